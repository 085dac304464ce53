// SPDX-License-Identifier: GPL-2.0-only
/* Cancel: it is sticky, travels down and not up, and is prompt. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "util.h"

/* Wait until @p has started and sleeps, or is about to. */
static void wait_started(struct kunit *test, struct probe *p)
{
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&p->started, 60 * HZ), 0);
}

static void i3_cancel_is_sticky(struct kunit *test)
{
	struct nursery n;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	nursery_cancel(&n, -EINTR);
	nursery_cancel(&n, -EIO);	/* the first cause stays */
	KUNIT_EXPECT_TRUE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
	KUNIT_EXPECT_TRUE(test, nursery_cancelled(&n));
}

/* A child that opens a nursery with a sleeping child in it. */
struct outer_child {
	struct nursery_child child;
	struct nursery *nested;
	struct probe inner;
	int nested_result;
	struct completion ready;
};

static int outer_run(struct nursery_child *c)
{
	struct outer_child *o = container_of(c, struct outer_child, child);

	scoped_nursery(n, .name = "nested", .parent = c, .result = &o->nested_result) {
		o->nested = n;
		nursery_spawn(n, &o->inner.child);
		wait_for_completion(&o->inner.started);
		complete(&o->ready);
	}
	return o->nested_result;
}

static struct outer_child *outer_child(struct kunit *test)
{
	struct outer_child *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, o);
	probe_init(&o->inner, 0);
	o->inner.sleep = LONG_TIME;
	init_completion(&o->ready);
	nursery_child_init(&o->child, outer_run, NULL);
	return o;
}

static void i3_cancel_travels_down(struct kunit *test)
{
	struct outer_child *o = outer_child(test);
	int err = -1;

	scoped_nursery(n, .name = "outer", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &o->child), 0);
		wait_for_completion(&o->ready);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_TRUE(test, o->inner.saw_cancel);
	KUNIT_EXPECT_EQ(test, o->inner.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->nested_result, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

static void i3_cancel_does_not_travel_up(struct kunit *test)
{
	struct outer_child *o = outer_child(test);
	struct probe sibling;
	int err = -1;

	probe_init(&sibling, 0);
	sibling.sleep = 50 * NSEC_PER_MSEC;
	scoped_nursery(n, .name = "outer", .result = &err) {
		nursery_spawn(n, &sibling.child);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &o->child), 0);
		wait_for_completion(&o->ready);
		nursery_cancel(o->nested, 0);
		nursery_child_join(&o->child);
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(n));
	}
	KUNIT_EXPECT_EQ(test, o->inner.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->nested_result, 0);
	KUNIT_EXPECT_FALSE(test, sibling.saw_cancel);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void i3_error_travels_up(struct kunit *test)
{
	struct outer_child *o = outer_child(test);
	struct probe sibling;
	int err = 0;

	o->inner.sleep = 0;
	o->inner.ret = -EIO;
	probe_init(&sibling, 0);
	sibling.sleep = LONG_TIME;
	scoped_nursery(n, .name = "outer", .result = &err) {
		nursery_spawn(n, &sibling.child);
		nursery_spawn(n, &o->child);
	}
	KUNIT_EXPECT_EQ(test, o->nested_result, -EIO);
	KUNIT_EXPECT_TRUE(test, sibling.saw_cancel || !atomic_read(&sibling.runs));
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

static void i3_below_a_cancelled_nursery_all_is_cancelled(struct kunit *test)
{
	struct nursery_params params = { .name = "inner" };
	struct nursery outer, inner;
	struct probe p;

	probe_init(&p, 0);
	nursery_init(&outer, NULL);
	nursery_cancel(&outer, -EINTR);
	params.outer = &outer;
	nursery_init(&inner, &params);
	KUNIT_EXPECT_TRUE(test, nursery_cancelled(&inner));
	KUNIT_EXPECT_EQ(test, nursery_spawn(&inner, &p.child), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&inner), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&outer), -EINTR);
}

static void i3_cancel_travels_down_from_outer(struct kunit *test)
{
	struct nursery_params params = { .name = "inner" };
	struct nursery outer, inner;

	nursery_init(&outer, NULL);
	params.outer = &outer;
	nursery_init(&inner, &params);
	nursery_cancel(&inner, 0);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&outer));
	KUNIT_EXPECT_EQ(test, nursery_join(&inner), 0);

	nursery_init(&inner, &params);
	nursery_cancel(&outer, 0);
	KUNIT_EXPECT_TRUE(test, nursery_cancelled(&inner));
	KUNIT_EXPECT_EQ(test, nursery_join(&inner), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&outer), 0);
}

/* Known by its address, as who cancels. */
static noinline void cancel_here(struct nursery *n)
{
	nursery_cancel(n, -EINTR);
	barrier();	/* so that it is a call, and not a jump */
}

static noinline void cancel_child_here(struct nursery_child *c)
{
	nursery_child_cancel(c);
	barrier();
}

static noinline void fail_here(struct nursery_child *c)
{
	nursery_child_complete(c, -EIO);
	barrier();
}

/* Is @address in the short function that begins at @fn? */
static bool is_in(const void *address, const void *fn)
{
	return address > fn && address < fn + 256;
}

static void cause_and_canceller_are_kept(struct kunit *test)
{
	struct nursery_params params = { .name = "inner" };
	struct nursery outer, inner, late;
	const void *canceller;

	nursery_init(&outer, NULL);
	params.outer = &outer;
	nursery_init(&inner, &params);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&outer), 0);
	KUNIT_EXPECT_NULL(test, nursery_canceller(&outer));

	cancel_here(&outer);
	nursery_cancel(&outer, -EIO);	/* the first one stays */
	canceller = nursery_canceller(&outer);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&outer), -EINTR);
	KUNIT_EXPECT_TRUE_MSG(test, is_in(canceller, cancel_here), "it is %pS", canceller);

	/* What is below knows by whom, and that it was not meant itself. */
	nursery_init(&late, &params);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&inner), -ECANCELED);
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&inner), canceller);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&late), -ECANCELED);
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&late), canceller);

	nursery_join(&late);
	nursery_join(&inner);
	KUNIT_EXPECT_EQ(test, nursery_join(&outer), -EINTR);
	/* And after the join, too. */
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&outer), -EINTR);
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&outer), canceller);
}

static void canceller_of_a_failure_is_the_child(struct kunit *test)
{
	struct nursery_child transfer;
	struct nursery n;
	struct probe p;

	nursery_init(&n, NULL);
	probe_init(&p, -EIO);
	nursery_spawn(&n, &p.child);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EIO);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&n), -EIO);
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&n), (void *)probe_run);

	nursery_init(&n, NULL);
	nursery_child_init(&transfer, NULL, NULL);
	nursery_child_begin(&n, &transfer);
	fail_here(&transfer);
	KUNIT_EXPECT_TRUE_MSG(test, is_in(nursery_canceller(&n), fail_here), "it is %pS",
			      nursery_canceller(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EIO);
}

static void canceller_of_a_timeout_is_the_deadline(struct kunit *test)
{
	struct nursery_child transfer;
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_child_init(&transfer, NULL, NULL);
	nursery_child_begin(&n, &transfer);
	nursery_set_deadline(&n, ktime_get());
	while (!nursery_cancelled(&n))
		msleep(20);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&n), -ETIMEDOUT);
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&n), (void *)nursery_set_deadline);
	nursery_child_complete(&transfer, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
}

/* A child that opens two nurseries, the second one later. */
struct opener {
	struct nursery_child child;
	struct nursery first, second;
	struct completion opened, go_on;
};

static int opener_run(struct nursery_child *c)
{
	struct opener *o = container_of(c, struct opener, child);
	struct nursery_params params = { .parent = c };

	nursery_init(&o->first, &params);
	complete(&o->opened);
	wait_for_completion(&o->go_on);
	nursery_init(&o->second, &params);
	nursery_join(&o->second);
	return nursery_join(&o->first);
}

static void canceller_of_what_a_child_opened(struct kunit *test)
{
	struct opener *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, o);
	init_completion(&o->opened);
	init_completion(&o->go_on);
	nursery_child_init(&o->child, opener_run, NULL);
	scoped_nursery(n, .name = "outer", .result = &err) {
		nursery_spawn(n, &o->child);
		wait_for_completion(&o->opened);
		cancel_child_here(&o->child);
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(n));
		complete(&o->go_on);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE_MSG(test, is_in(nursery_canceller(&o->first), cancel_child_here),
			      "it is %pS", nursery_canceller(&o->first));
	/* A child has no room to remember by whom, only that it was. */
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&o->second), (void *)nursery_child_cancel);
}

static void i6_sleeping_children_wake_at_once(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 32, sizeof(*p), GFP_KERNEL);
	int i, err = -1;
	ktime_t start;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "sleepers", .result = &err) {
		for (i = 0; i < 32; i++) {
			probe_init(&p[i], 0);
			p[i].sleep = LONG_TIME;
			nursery_spawn(n, &p[i].child);
		}
		for (i = 0; i < 32; i++)
			wait_started(test, &p[i]);
		start = ktime_get();
		nursery_cancel(n, 0);
	}
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), start), PROMPT_MS);
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 32; i++)
		KUNIT_EXPECT_EQ(test, p[i].slept, -ECANCELED);
}

static void i6_queued_children_never_start(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct probe *p = kunit_kcalloc(test, 64, sizeof(*p), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);
	int i, runs = 0, dones = 0;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "queued", .executor = e, .max_active = 32) {
		for (i = 0; i < 64; i++) {
			probe_init(&p[i], 0);
			p[i].gate = &gate;
			nursery_spawn(n, &p[i].child);
		}
		wait_started(test, &p[0]);
		nursery_cancel(n, 0);
		/* Their completion does not wait for the one that is blocked. */
		for (i = 1; i < 64; i++)
			dones += atomic_read(&p[i].dones);
		KUNIT_EXPECT_EQ(test, dones, 63);
		complete_all(&gate);
	}
	for (i = 1; i < 64; i++)
		runs += atomic_read(&p[i].runs);
	KUNIT_EXPECT_EQ(test, runs, 0);
	single_worker_destroy(e);
}

static void i6_cancel_of_one_child_leaves_the_others(struct kunit *test)
{
	struct probe a, b;
	int err = -1;

	probe_init(&a, 0);
	a.sleep = LONG_TIME;
	probe_init(&b, 0);
	b.sleep = 20 * NSEC_PER_MSEC;
	scoped_nursery(n, .name = "one of two", .result = &err) {
		nursery_spawn(n, &a.child);
		nursery_spawn(n, &b.child);
		wait_started(test, &a);
		nursery_child_cancel(&a.child);
	}
	KUNIT_EXPECT_EQ(test, a.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, b.slept, 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	nursery_child_cancel(&a.child);		/* finished: nothing happens */
}

/* An external child that its cancel handler completes. */
struct transfer {
	struct nursery_child child;
	struct nursery_cancel_handler handler;
	struct task_struct *canceller;
	int calls;
};

static void abort_transfer(struct nursery_cancel_handler *h)
{
	struct transfer *t = container_of(h, struct transfer, handler);

	t->canceller = current;
	t->calls++;
	nursery_child_complete(&t->child, -ECANCELED);
}

static void begin(struct kunit *test, struct nursery *n, struct nursery_child *c)
{
	nursery_child_init(c, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(n, c), 0);
}

static void i6_handler_runs_at_once_and_may_complete_its_child(struct kunit *test)
{
	struct transfer t = { };
	struct nursery n;

	nursery_init(&n, NULL);
	begin(test, &n, &t.child);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&t.child, &t.handler, abort_transfer), 0);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, t.calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, t.canceller, current);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
}

static void i6_handler_of_a_cancelled_child_runs_when_registered(struct kunit *test)
{
	struct transfer t = { };
	struct nursery n;

	nursery_init(&n, NULL);
	begin(test, &n, &t.child);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&t.child, &t.handler, abort_transfer), -ECANCELED);
	KUNIT_EXPECT_EQ(test, t.calls, 1);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void handler_of_a_finished_child_is_not_called(struct kunit *test)
{
	struct transfer t = { };
	struct nursery n;

	nursery_init(&n, NULL);
	begin(test, &n, &t.child);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&t.child, &t.handler, abort_transfer), 0);
	nursery_child_complete(&t.child, 0);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, t.calls, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

/* A handler that is slow, and a child that takes it off meanwhile. */
struct slow {
	struct nursery_child child;
	struct nursery_cancel_handler handler;
	struct completion registered, in_handler;
	struct task_struct *task;
	bool handler_left;
	bool is_off;
	bool left_when_off;
};

static void slow_handler(struct nursery_cancel_handler *h)
{
	struct slow *s = container_of(h, struct slow, handler);

	complete(&s->in_handler);
	/* Until the child waits for us. A handler must not sleep, but this one may. */
	while (!READ_ONCE(s->is_off) && !is_asleep(s->task))
		usleep_range(50, 100);
	WRITE_ONCE(s->handler_left, true);
}

static int slow_run(struct nursery_child *c)
{
	struct slow *s = container_of(c, struct slow, child);

	s->task = current;
	nursery_on_cancel(c, &s->handler, slow_handler);
	complete(&s->registered);
	wait_for_completion(&s->in_handler);
	nursery_off_cancel(&s->handler);
	s->left_when_off = READ_ONCE(s->handler_left);
	WRITE_ONCE(s->is_off, true);
	return -ECANCELED;
}

static void off_cancel_waits_for_a_running_handler(struct kunit *test)
{
	struct slow s = { };
	int err = -1;

	init_completion(&s.registered);
	init_completion(&s.in_handler);
	nursery_child_init(&s.child, slow_run, NULL);
	scoped_nursery(n, .name = "slow", .result = &err) {
		nursery_spawn(n, &s.child);
		wait_for_completion(&s.registered);
		nursery_cancel(n, 0);
	}
	KUNIT_EXPECT_TRUE(test, s.left_when_off);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void deadline_cancels_with_etimedout(struct kunit *test)
{
	struct probe p;
	int err = 0;

	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	scoped_nursery(n, .name = "late", .timeout = 10 * NSEC_PER_MSEC, .result = &err)
		nursery_spawn(n, &p.child);
	KUNIT_EXPECT_EQ(test, err, -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, p.slept == -ECANCELED || !atomic_read(&p.runs));
}

static void deadline_may_be_moved_and_removed(struct kunit *test)
{
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	p.sleep = 50 * NSEC_PER_MSEC;
	scoped_nursery(n, .name = "moved", .timeout = LONG_TIME, .result = &err) {
		nursery_set_deadline(n, ktime_add(ktime_get(), NSEC_PER_SEC * 10));
		nursery_spawn(n, &p.child);
		nursery_set_deadline(n, KTIME_MAX);
		KUNIT_EXPECT_EQ(test, nursery_effective_deadline(n), KTIME_MAX);
	}
	KUNIT_EXPECT_EQ(test, err, 0);

	scoped_nursery(n, .name = "expired", .timeout = LONG_TIME, .result = &err)
		nursery_set_deadline(n, ktime_get());
	/* The scope may have ended before the timer fired: both are right. */
	KUNIT_EXPECT_TRUE(test, err == 0 || err == -ETIMEDOUT);

	scoped_nursery(outer, .name = "outer", .timeout = LONG_TIME)
		scoped_nursery(inner, .name = "inner", .outer = outer)
			KUNIT_EXPECT_NE(test, nursery_effective_deadline(inner), KTIME_MAX);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i3_cancel_is_sticky),
	KUNIT_CASE(i3_cancel_travels_down),
	KUNIT_CASE(i3_cancel_does_not_travel_up),
	KUNIT_CASE(i3_error_travels_up),
	KUNIT_CASE(i3_below_a_cancelled_nursery_all_is_cancelled),
	KUNIT_CASE(i3_cancel_travels_down_from_outer),
	KUNIT_CASE(cause_and_canceller_are_kept),
	KUNIT_CASE(canceller_of_a_failure_is_the_child),
	KUNIT_CASE(canceller_of_a_timeout_is_the_deadline),
	KUNIT_CASE(canceller_of_what_a_child_opened),
	KUNIT_CASE(i6_sleeping_children_wake_at_once),
	KUNIT_CASE(i6_queued_children_never_start),
	KUNIT_CASE(i6_cancel_of_one_child_leaves_the_others),
	KUNIT_CASE(i6_handler_runs_at_once_and_may_complete_its_child),
	KUNIT_CASE(i6_handler_of_a_cancelled_child_runs_when_registered),
	KUNIT_CASE(handler_of_a_finished_child_is_not_called),
	KUNIT_CASE(off_cancel_waits_for_a_running_handler),
	KUNIT_CASE(deadline_cancels_with_etimedout),
	KUNIT_CASE(deadline_may_be_moved_and_removed),
	{ }
};

struct kunit_suite nursery_cancel_suite = { .name = "nursery_cancel", .test_cases = cases };
