// SPDX-License-Identifier: GPL-2.0-only
/* Shields: what a cancel does not reach, and that it is not lost. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "util.h"

/* A child that is cancelled in its shield, and what it saw before and after. */
struct shielded {
	struct nursery_child		child;
	struct nursery_cancel_handler	handler;
	struct rendezvous		in_shield;
	unsigned int			levels;
	struct nursery			*own;		/* where it was spawned */
	struct task_struct		*task;
	struct task_struct		*caller;	/* of the handler */
	int				calls;
	int				calls_inside;
	bool				seen_inside;
	int				slept_inside;
	int				spawned_inside;
	bool				seen_by_half;	/* one level less */
	bool				seen_after;
	int				slept_after;
};

static void count_call(struct nursery_cancel_handler *h)
{
	struct shielded *s = container_of(h, struct shielded, handler);

	s->calls++;
	s->caller = current;
}

static int shielded_run(struct nursery_child *c)
{
	struct shielded *s = container_of(c, struct shielded, child);
	struct probe sibling;
	unsigned int i;

	s->task = current;
	probe_init(&sibling, 0);
	nursery_on_cancel(c, &s->handler, count_call);
	for (i = 0; i < s->levels; i++)
		nursery_shield(c);
	rendezvous_wait(&s->in_shield);
	s->seen_inside = nursery_child_cancelled(c);
	s->slept_inside = nursery_sleep(c, NSEC_PER_MSEC);
	s->calls_inside = s->calls;
	s->spawned_inside = nursery_spawn(s->own, &sibling.child);
	if (!s->spawned_inside)
		nursery_child_join(&sibling.child);
	for (i = 1; i < s->levels; i++)
		nursery_unshield(c);
	s->seen_by_half = nursery_child_cancelled(c);
	nursery_unshield(c);
	s->seen_after = nursery_child_cancelled(c);
	s->slept_after = nursery_sleep(c, NSEC_PER_MSEC);
	nursery_off_cancel(&s->handler);
	return s->slept_after;
}

static struct shielded *new_shielded(struct kunit *test, unsigned int levels)
{
	struct shielded *s;

	s = NEW(test, struct shielded, 1);
	rendezvous_init(&s->in_shield);
	s->levels = levels;
	nursery_child_init(&s->child, shielded_run, NULL);
	return s;
}

static void expect_put_off(struct kunit *test, const struct shielded *s)
{
	KUNIT_EXPECT_FALSE(test, s->seen_inside);
	KUNIT_EXPECT_EQ(test, s->slept_inside, 0);
	KUNIT_EXPECT_EQ(test, s->calls_inside, 0);
	KUNIT_EXPECT_FALSE(test, s->seen_by_half && s->levels > 1);
	KUNIT_EXPECT_TRUE(test, s->seen_after);
	KUNIT_EXPECT_EQ(test, s->slept_after, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s->calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, s->caller, s->task);
}

/* Cancel @s by @cancel when it is in its shield. Return: what the join says. */
static int cancel_in_shield(struct shielded *s,
			    void (*cancel)(struct nursery *n, struct nursery_child *c))
{
	int err = -1;

	scoped_nursery(n, .name = "shield", .result = &err) {
		s->own = n;
		nursery_spawn(n, &s->child);
		wait_for_completion(&s->in_shield.here);
		cancel(n, &s->child);
		complete(&s->in_shield.go_on);
	}
	return err;
}

static void i3_shield_puts_a_cancel_off(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 1);
	struct probe sibling;
	int err = 0;

	probe_init(&sibling, 0);
	sibling.sleep = LONG_TIME;
	scoped_nursery(n, .name = "shield", .result = &err) {
		s->own = n;
		nursery_spawn(n, &sibling.child);
		nursery_spawn(n, &s->child);
		wait_for_completion(&s->in_shield.here);
		nursery_cancel(n, -EINTR);
		KUNIT_EXPECT_TRUE(test, nursery_cancelled(n));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&s->child));
		complete(&s->in_shield.go_on);
	}
	expect_put_off(test, s);
	/* The nursery is cancelled all the same, and so is who is not shielded. */
	KUNIT_EXPECT_EQ(test, s->spawned_inside, -ECANCELED);
	KUNIT_EXPECT_TRUE(test, sibling.saw_cancel || !atomic_read(&sibling.runs));
	/* It was asked, so what it said is no error. */
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

static void cancel_child_twice(struct nursery *n, struct nursery_child *c)
{
	nursery_child_cancel(c);
	nursery_child_cancel(c);
}

static void i3_shield_puts_the_cancel_of_one_child_off(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 1);

	KUNIT_EXPECT_EQ(test, cancel_in_shield(s, cancel_child_twice), 0);
	expect_put_off(test, s);
	KUNIT_EXPECT_EQ(test, s->spawned_inside, 0);
}

static void i3_shield_puts_a_cancel_from_above_off(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 1);
	int outer_err = 0, err = 0;

	scoped_nursery(outer, .name = "outer", .result = &outer_err) {
		scoped_nursery(n, .name = "shield", .outer = outer, .result = &err) {
			s->own = n;
			nursery_spawn(n, &s->child);
			wait_for_completion(&s->in_shield.here);
			nursery_cancel(outer, -EINTR);
			complete(&s->in_shield.go_on);
		}
	}
	expect_put_off(test, s);
	KUNIT_EXPECT_EQ(test, err, -ECANCELED);
	KUNIT_EXPECT_EQ(test, outer_err, -EINTR);
}

static void cancel_nursery(struct nursery *n, struct nursery_child *c)
{
	nursery_cancel(n, -EINTR);
}

static void i3_shields_nest(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 255);

	KUNIT_EXPECT_EQ(test, cancel_in_shield(s, cancel_nursery), -EINTR);
	expect_put_off(test, s);
}

static void shield_without_a_cancel_leaves_no_trace(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 3);
	int err = -1;

	complete(&s->in_shield.go_on);
	scoped_nursery(n, .name = "shield", .result = &err) {
		s->own = n;
		nursery_spawn(n, &s->child);
		nursery_child_join(&s->child);
		nursery_cancel(n, 0);
	}
	KUNIT_EXPECT_FALSE(test, s->seen_inside);
	KUNIT_EXPECT_FALSE(test, s->seen_after);
	KUNIT_EXPECT_EQ(test, s->slept_after, 0);
	KUNIT_EXPECT_EQ(test, s->calls, 0);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void cancel_in_hardirq(void *n)
{
	nursery_cancel(n, -EINTR);
}

static void cancel_from_hardirq(struct nursery *n, struct nursery_child *c)
{
	run_in_hardirq(cancel_in_hardirq, n);
}

static void i8_cancel_from_hard_interrupt_is_put_off(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 1);

	KUNIT_EXPECT_EQ(test, cancel_in_shield(s, cancel_from_hardirq), -EINTR);
	expect_put_off(test, s);
}

/* A child that is cancelled first, and cleans up then. */
struct cleaner {
	struct nursery_child		child;
	struct nursery_cancel_handler	early, late;
	struct completion		started;
	int				early_calls, late_calls;
	int				slept_before;
	int				late_registered, late_calls_inside;
	bool				seen_inside;
	int				slept_inside;
	struct probe			helper;
	int				helped;
	bool				seen_after;
	struct nursery			nested;
	bool				nested_after;
};

static void early_call(struct nursery_cancel_handler *h)
{
	container_of(h, struct cleaner, early)->early_calls++;
}

static void late_call(struct nursery_cancel_handler *h)
{
	container_of(h, struct cleaner, late)->late_calls++;
}

static int cleaner_run(struct nursery_child *c)
{
	struct cleaner *l = container_of(c, struct cleaner, child);
	struct nursery_params params = { .name = "clean-up", .parent = c };

	nursery_on_cancel(c, &l->early, early_call);
	complete(&l->started);
	l->slept_before = nursery_sleep(c, LONG_TIME);

	nursery_shield(c);
	l->late_registered = nursery_on_cancel(c, &l->late, late_call);
	l->seen_inside = nursery_child_cancelled(c);
	l->slept_inside = nursery_sleep(c, NSEC_PER_MSEC);
	scoped_nursery(n, .name = "clean-up", .parent = c, .result = &l->helped)
		nursery_spawn(n, &l->helper.child);
	nursery_init(&l->nested, &params);
	l->late_calls_inside = l->late_calls;
	nursery_unshield(c);

	l->nested_after = nursery_cancelled(&l->nested);
	nursery_join(&l->nested);
	l->seen_after = nursery_child_cancelled(c);
	nursery_off_cancel(&l->early);
	nursery_off_cancel(&l->late);
	return -ECANCELED;
}

static void i3_cancelled_child_cleans_up_in_its_shield(struct kunit *test)
{
	struct cleaner *l;
	int err = 0;

	l = NEW(test, struct cleaner, 1);
	init_completion(&l->started);
	probe_init(&l->helper, 0);
	l->helper.sleep = NSEC_PER_MSEC;
	nursery_child_init(&l->child, cleaner_run, NULL);
	scoped_nursery(n, .name = "cleaned", .result = &err) {
		nursery_spawn(n, &l->child);
		wait_for_completion(&l->started);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, l->slept_before, -ECANCELED);
	KUNIT_EXPECT_EQ(test, l->early_calls, 1);
	/* As if there had been none ... */
	KUNIT_EXPECT_FALSE(test, l->seen_inside);
	KUNIT_EXPECT_EQ(test, l->slept_inside, 0);
	KUNIT_EXPECT_EQ(test, l->late_registered, 0);
	KUNIT_EXPECT_EQ(test, l->late_calls_inside, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&l->helper.runs), 1);
	KUNIT_EXPECT_EQ(test, l->helper.slept, 0);
	KUNIT_EXPECT_EQ(test, l->helped, 0);
	/* ... until it ends. */
	KUNIT_EXPECT_TRUE(test, l->seen_after);
	KUNIT_EXPECT_EQ(test, l->late_calls, 1);
	KUNIT_EXPECT_TRUE(test, l->nested_after);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* Nurseries that are open in a shield: all but "around" are below it. */
struct tree {
	struct nursery_child	child;
	struct nursery		*own;
	struct rendezvous	in_shield;
	struct nursery		before;		/* opened before the shield */
	struct nursery		below;		/* that one is its outer */
	struct nursery		within;		/* opened after the cancel */
	struct nursery		around;		/* its outer is the child's own nursery */
	struct probe		far;		/* runs in "below" */
	bool			cancelled[4];	/* in the shield */
	bool			after[4];
	int			spawned;
	struct probe		near;		/* runs in "within" */
};

static void look(struct tree *t, bool *cancelled)
{
	cancelled[0] = nursery_cancelled(&t->before);
	cancelled[1] = nursery_cancelled(&t->below);
	cancelled[2] = nursery_cancelled(&t->within);
	cancelled[3] = nursery_cancelled(&t->around);
}

static int tree_run(struct nursery_child *c)
{
	struct tree *t = container_of(c, struct tree, child);
	struct nursery_params by_child = { .name = "child's", .parent = c };
	struct nursery_params by_before = { .name = "below", .outer = &t->before };
	struct nursery_params by_own = { .name = "around", .outer = t->own };

	nursery_init(&t->before, &by_child);
	nursery_init(&t->below, &by_before);
	nursery_init(&t->around, &by_own);
	nursery_spawn(&t->below, &t->far.child);
	wait_for_completion(&t->far.started);
	nursery_shield(c);
	rendezvous_wait(&t->in_shield);
	nursery_init(&t->within, &by_child);
	t->spawned = nursery_spawn(&t->within, &t->near.child);
	wait_for_completion(&t->near.started);
	look(t, t->cancelled);
	nursery_unshield(c);
	look(t, t->after);
	nursery_join(&t->within);
	nursery_join(&t->around);
	nursery_join(&t->below);
	return nursery_join(&t->before);
}

static struct tree *new_tree(struct kunit *test)
{
	struct tree *t;

	t = NEW(test, struct tree, 1);
	rendezvous_init(&t->in_shield);
	probe_init(&t->far, 0);
	probe_init(&t->near, 0);
	t->far.sleep = LONG_TIME;
	t->near.sleep = LONG_TIME;
	nursery_child_init(&t->child, tree_run, NULL);
	return t;
}

static void expect_sheltered(struct kunit *test, const struct tree *t)
{
	int i;

	KUNIT_EXPECT_EQ(test, t->spawned, 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_FALSE_MSG(test, t->cancelled[i], "nursery %d", i);
		KUNIT_EXPECT_TRUE_MSG(test, t->after[i], "nursery %d", i);
	}
	KUNIT_EXPECT_EQ(test, t->near.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, t->far.slept, -ECANCELED);
}

static void i3_shield_shelters_all_that_is_below(struct kunit *test)
{
	struct tree *t = new_tree(test);
	struct nursery_params params = { .name = "sibling" };
	struct nursery older, younger;
	int err = 0;

	scoped_nursery(n, .name = "tree", .result = &err) {
		params.outer = n;
		nursery_init(&older, &params);
		t->own = n;
		nursery_spawn(n, &t->child);
		wait_for_completion(&t->in_shield.here);
		nursery_init(&younger, &params);
		nursery_cancel(n, -EINTR);
		/* The walk passes by what is sheltered, and goes on. */
		KUNIT_EXPECT_TRUE(test, nursery_cancelled(&older));
		KUNIT_EXPECT_TRUE(test, nursery_cancelled(&younger));
		complete(&t->in_shield.go_on);
		nursery_child_join(&t->child);
		nursery_join(&younger);
		nursery_join(&older);
	}
	expect_sheltered(test, t);
	/* It belongs to what it names, not to the child whose function opened it. */
	KUNIT_EXPECT_TRUE(test, t->cancelled[3]);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

static void i3_shield_shelters_from_the_cancel_of_one_child(struct kunit *test)
{
	struct tree *t = new_tree(test);
	int err = -1;

	scoped_nursery(n, .name = "tree", .result = &err) {
		t->own = n;
		nursery_spawn(n, &t->child);
		wait_for_completion(&t->in_shield.here);
		nursery_child_cancel(&t->child);
		complete(&t->in_shield.go_on);
	}
	expect_sheltered(test, t);
	KUNIT_EXPECT_FALSE(test, t->cancelled[3]);
	KUNIT_EXPECT_FALSE(test, t->after[3]);
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* What is opened in the shield has a cancel, and a deadline, of its own. */
struct own_cancel {
	struct nursery_child	child;
	struct nursery		*own;
	struct probe		by_cancel, by_deadline, failing, sibling;
	int			cancelled, timed_out, failed;
	ktime_t			effective, effective_own, effective_after;
	ktime_t			mine;
};

static int own_cancel_run(struct nursery_child *c)
{
	struct own_cancel *o = container_of(c, struct own_cancel, child);

	nursery_shield(c);
	nursery_cancel(o->own, -EINTR);
	scoped_nursery(n, .name = "cancelled", .parent = c, .result = &o->cancelled) {
		nursery_spawn(n, &o->by_cancel.child);
		wait_for_completion(&o->by_cancel.started);
		nursery_cancel(n, -EPIPE);
	}
	scoped_nursery(n, .name = "timed out", .parent = c, .result = &o->timed_out) {
		nursery_spawn(n, &o->by_deadline.child);
		wait_for_completion(&o->by_deadline.started);
		nursery_set_deadline(n, ktime_get());
	}
	scoped_nursery(n, .name = "failed", .parent = c, .result = &o->failed) {
		nursery_spawn(n, &o->sibling.child);
		wait_for_completion(&o->sibling.started);
		nursery_spawn(n, &o->failing.child);
	}
	scoped_nursery(n, .name = "deadline", .parent = c) {
		o->effective = nursery_effective_deadline(n);
		nursery_set_deadline(n, o->mine);
		scoped_nursery(below, .name = "below", .outer = n)
			o->effective_own = nursery_effective_deadline(below);
		nursery_set_deadline(n, KTIME_MAX);
		nursery_unshield(c);
		o->effective_after = nursery_effective_deadline(n);
	}
	return -ECANCELED;
}

static void i3_nursery_in_a_shield_has_its_own_cancel(struct kunit *test)
{
	struct own_cancel *o;
	ktime_t deadline = ktime_add(ktime_get(), LONG_TIME);
	int err = 0;

	o = NEW(test, struct own_cancel, 1);
	probe_init(&o->by_cancel, 0);
	o->by_cancel.sleep = LONG_TIME;
	probe_init(&o->by_deadline, 0);
	o->by_deadline.sleep = LONG_TIME;
	probe_init(&o->sibling, 0);
	o->sibling.sleep = LONG_TIME;
	probe_init(&o->failing, -EIO);
	o->mine = ktime_add(deadline, NSEC_PER_SEC);
	nursery_child_init(&o->child, own_cancel_run, NULL);
	scoped_nursery(n, .name = "around", .result = &err) {
		o->own = n;
		nursery_set_deadline(n, deadline);
		nursery_spawn(n, &o->child);
	}
	KUNIT_EXPECT_EQ(test, o->by_cancel.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->cancelled, -EPIPE);
	KUNIT_EXPECT_EQ(test, o->by_deadline.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->timed_out, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, o->sibling.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->failed, -EIO);
	/* What is above the shield sets no time, as long as it is up. */
	KUNIT_EXPECT_EQ(test, o->effective, KTIME_MAX);
	KUNIT_EXPECT_EQ(test, o->effective_own, o->mine);
	KUNIT_EXPECT_EQ(test, o->effective_after, deadline);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* The deadline of what is above passes while the shield is up. */
static void let_deadline_pass(struct nursery *n, struct nursery_child *c)
{
	nursery_set_deadline(n, ktime_get());
	while (!nursery_cancelled(n))
		msleep(20);
}

static void deadline_in_a_shield_is_put_off(struct kunit *test)
{
	struct shielded *s = new_shielded(test, 1);

	KUNIT_EXPECT_EQ(test, cancel_in_shield(s, let_deadline_pass), -ETIMEDOUT);
	expect_put_off(test, s);
}

/* Shields go up and down all the time; the cancel comes in between, or within. */
struct flicker {
	struct nursery_child		child;
	struct nursery_cancel_handler	handler;
	struct completion		started;
	struct nursery			nested;
	atomic_t			calls;
	bool				nested_cancelled;
};

static void count_flicker(struct nursery_cancel_handler *h)
{
	atomic_inc(&container_of(h, struct flicker, handler)->calls);
}

static int flicker_run(struct nursery_child *c)
{
	struct flicker *f = container_of(c, struct flicker, child);
	struct nursery_params params = { .parent = c };

	nursery_init(&f->nested, &params);
	nursery_on_cancel(c, &f->handler, count_flicker);
	complete(&f->started);
	while (!nursery_child_cancelled(c)) {
		nursery_shield(c);
		nursery_shield(c);
		cond_resched();
		nursery_unshield(c);
		nursery_unshield(c);
		cond_resched();
	}
	nursery_off_cancel(&f->handler);
	/* Whoever set the flag may not have come to what is below: this waits for it. */
	nursery_shield(c);
	nursery_unshield(c);
	f->nested_cancelled = nursery_cancelled(&f->nested);
	return nursery_join(&f->nested);
}

static void shield_and_cancel_race(struct kunit *test)
{
	struct flicker *f;
	int i, err;

	f = NEW(test, struct flicker, 1);
	for (i = 0; i < 300; i++) {
		err = -1;
		*f = (struct flicker){ };
		init_completion(&f->started);
		nursery_child_init(&f->child, flicker_run, NULL);
		scoped_nursery(n, .name = "flicker", .result = &err) {
			nursery_spawn(n, &f->child);
			wait_for_completion(&f->started);
			if (i % 3 == 0)
				nursery_cancel(n, 0);
			else if (i % 3 == 1)
				nursery_child_cancel(&f->child);
			else
				run_in_hardirq(cancel_in_hardirq, n);
		}
		KUNIT_ASSERT_EQ(test, atomic_read(&f->calls), 1);
		KUNIT_ASSERT_TRUE(test, f->nested_cancelled);
		KUNIT_ASSERT_EQ(test, err, i % 3 == 2 ? -EINTR : 0);
	}
}

/* A child that forgets its shield, and is cancelled in it. */
static int forgetful_run(struct nursery_child *c)
{
	nursery_shield(c);
	nursery_shield(c);
	nursery_child_cancel(c);
	return -ECANCELED;
}

/* One that has none to lower. */
static int confused_run(struct nursery_child *c)
{
	nursery_unshield(c);
	return nursery_child_cancelled(c) ? -EIO : 0;
}

static void shield_that_is_forgotten_ends_with_the_function(struct kunit *test)
{
	struct nursery_child c;
	int err = -1;

	nursery_child_init(&c, forgetful_run, NULL);
	pr_notice("nursery-vm: expect shield\\.c\n");
	scoped_nursery(n, .name = "forgetful", .result = &err) {
		nursery_spawn(n, &c);
		/* It was asked: no error. */
		KUNIT_EXPECT_EQ(test, nursery_child_join(&c), -ECANCELED);
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(n));
	}
	pr_notice("nursery-vm: expected\n");
	KUNIT_EXPECT_TRUE(test, nursery_child_cancelled(&c));
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void shield_that_is_not_there_is_not_lowered(struct kunit *test)
{
	struct nursery_child c;
	int err = -1;

	nursery_child_init(&c, confused_run, NULL);
	pr_notice("nursery-vm: expect shield\\.c\n");
	scoped_nursery(n, .name = "confused", .result = &err)
		nursery_spawn(n, &c);
	pr_notice("nursery-vm: expected\n");
	KUNIT_EXPECT_EQ(test, err, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i3_shield_puts_a_cancel_off),
	KUNIT_CASE(i3_shield_puts_the_cancel_of_one_child_off),
	KUNIT_CASE(i3_shield_puts_a_cancel_from_above_off),
	KUNIT_CASE(i3_shields_nest),
	KUNIT_CASE(shield_without_a_cancel_leaves_no_trace),
	KUNIT_CASE(i8_cancel_from_hard_interrupt_is_put_off),
	KUNIT_CASE(i3_cancelled_child_cleans_up_in_its_shield),
	KUNIT_CASE(i3_shield_shelters_all_that_is_below),
	KUNIT_CASE(i3_shield_shelters_from_the_cancel_of_one_child),
	KUNIT_CASE(i3_nursery_in_a_shield_has_its_own_cancel),
	KUNIT_CASE(deadline_in_a_shield_is_put_off),
	KUNIT_CASE(shield_and_cancel_race),
	KUNIT_CASE(shield_that_is_forgotten_ends_with_the_function),
	KUNIT_CASE(shield_that_is_not_there_is_not_lowered),
	{ }
};

struct kunit_suite nursery_shield_suite = { .name = "nursery_shield", .test_cases = cases };
