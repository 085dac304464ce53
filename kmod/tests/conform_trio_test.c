// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Trio promises of its nurseries and cancel scopes, here. A case is called as Trio's
 * own test of the behaviour is; Documentation/core-api/nursery-conformance.rst says what
 * that is, and which other case proves what has none here.
 */
#include <linux/slab.h>

#include "util.h"

/* Fails when it sees that @parent sleeps. */
struct crasher {
	struct nursery_child child;
	struct task_struct *parent;
};

static int crash(struct nursery_child *c)
{
	struct crasher *k = container_of(c, struct crasher, child);

	wait_until_asleep(k->parent);
	return -EIO;
}

/* The parent sleeps behind a child that would never end of itself. */
static void child_crash_wakes_parent(struct kunit *test)
{
	struct crasher k = { .parent = current };
	struct probe sleeper;
	int err = 0;

	probe_init(&sleeper, 0);
	sleeper.sleep = LONG_TIME;
	nursery_child_init(&k.child, crash, NULL);
	scoped_nursery(n, .name = "crash", .flags = NURSERY_NO_HELP, .result = &err) {
		nursery_spawn(n, &sleeper.child);
		wait_for_completion(&sleeper.started);
		nursery_spawn(n, &k.child);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_EQ(test, sleeper.slept, -ECANCELED);
}

/* Both run when the first fails. The scope tells one error, and the other is not lost. */
static void two_child_crashes(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe p[2];
	int i, err = 0;

	for (i = 0; i < 2; i++) {
		probe_init(&p[i], i ? -ENOSPC : -EIO);
		p[i].gate = &gate;
	}
	scoped_nursery(n, .name = "two crashes", .result = &err) {
		for (i = 0; i < 2; i++) {
			nursery_spawn(n, &p[i].child);
			wait_for_completion(&p[i].started);
		}
		complete_all(&gate);
	}
	KUNIT_EXPECT_TRUE(test, err == -EIO || err == -ENOSPC);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[0].child), -EIO);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[1].child), -ENOSPC);
}

/* A cancel stays: each further wait of the child ends at once, too. */
struct sleepyhead {
	struct nursery_child child;
	struct completion started;
	int cancelled;
};

static int sleep_thrice(struct nursery_child *c)
{
	struct sleepyhead *s = container_of(c, struct sleepyhead, child);
	int i;

	complete(&s->started);
	for (i = 0; i < 3; i++)
		s->cancelled += nursery_sleep(c, LONG_TIME) == -ECANCELED;
	return -ECANCELED;
}

static void cancel_edge_cases(struct kunit *test)
{
	struct sleepyhead s = { };
	int err = 0;

	init_completion(&s.started);
	nursery_child_init(&s.child, sleep_thrice, NULL);
	scoped_nursery(n, .name = "edge", .result = &err) {
		nursery_spawn(n, &s.child);
		wait_for_completion(&s.started);
		nursery_child_cancel(&s.child);
		nursery_child_cancel(&s.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&s.child), -ECANCELED);
		nursery_cancel(n, -EINTR);
		nursery_cancel(n, -EIO);
	}
	KUNIT_EXPECT_EQ(test, s.cancelled, 3);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* Each worker opens a nursery with two leaves in it. */
struct family {
	struct nursery_child worker;
	struct probe leaf[2];
	int err;
};

static int family_run(struct nursery_child *c)
{
	struct family *f = container_of(c, struct family, worker);
	int i;

	scoped_nursery(n, .name = "leaves", .parent = c, .result = &f->err)
		for (i = 0; i < 2; i++)
			nursery_spawn(n, &f->leaf[i].child);
	return f->err;
}

/* Two of them, whose leaves sleep. */
static void start_families(struct nursery *n, struct family *f)
{
	int i, j;

	for (i = 0; i < 2; i++) {
		for (j = 0; j < 2; j++) {
			probe_init(&f[i].leaf[j], 0);
			f[i].leaf[j].sleep = LONG_TIME;
		}
		nursery_child_init(&f[i].worker, family_run, NULL);
		nursery_spawn(n, &f[i].worker);
	}
	for (i = 0; i < 4; i++)
		wait_for_completion(&f[i / 2].leaf[i % 2].started);
}

static void cancel_inheritance(struct kunit *test)
{
	struct family *f = NEW(test, struct family, 2);
	int i, err = -1;

	scoped_nursery(n, .name = "workers", .executor = nursery_executor_thread,
		       .result = &err) {
		start_families(n, f);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, f[i / 2].leaf[i % 2].slept, -ECANCELED);
		KUNIT_EXPECT_TRUE(test, f[i / 2].leaf[i % 2].saw_cancel);
		KUNIT_EXPECT_EQ(test, f[i / 2].err, -ECANCELED);
	}
}

/* Of nested scopes each tells the cause that it was given, if it was given one first. */
static void cancel_scope_nesting(struct kunit *test)
{
	struct nursery_params params = { .name = "nesting" };
	struct nursery n[3];
	int i;

	for (i = 0; i < 3; i++) {
		params.outer = i ? &n[i - 1] : NULL;
		nursery_init(&n[i], &params);
	}
	nursery_cancel(&n[2], -EIO);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n[1]));
	nursery_cancel(&n[1], -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_join(&n[2]), -EIO);
	KUNIT_EXPECT_EQ(test, nursery_join(&n[1]), -EINTR);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n[0]));
	KUNIT_EXPECT_EQ(test, nursery_join(&n[0]), 0);
}

static void basic_timeout(struct kunit *test)
{
	struct nursery_params params = { .name = "timeout" };
	struct nursery n;
	struct probe p;

	/* One that is joined before its deadline is not cancelled, then or later. */
	nursery_init(&n, &params);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n), KTIME_MAX);
	nursery_set_deadline(&n, ktime_add(ktime_get(), LONG_TIME));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	nursery_set_deadline(&n, ktime_get());
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);

	/* A deadline from the start ends a child that sleeps. */
	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	params.timeout = NSEC_PER_MSEC;
	nursery_init(&n, &params);
	nursery_spawn(&n, &p.child);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, nursery_cancelled(&n));

	/* So does one that was far away, and is moved to where it has passed. */
	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	params.timeout = LONG_TIME;
	nursery_init(&n, &params);
	nursery_spawn(&n, &p.child);
	wait_for_completion(&p.started);
	nursery_set_deadline(&n, ktime_sub_ms(ktime_get(), 1));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, p.slept, -ECANCELED);
}

/* A wait is never shorter than it was to be. */
static void timekeeping(struct kunit *test)
{
	ktime_t start = ktime_get();
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	p.sleep = 20 * NSEC_PER_MSEC;
	scoped_nursery(n, .name = "time", .result = &err)
		nursery_spawn(n, &p.child);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_GE(test, ktime_sub(ktime_get(), start), 20 * NSEC_PER_MSEC);
}

/* A scope that nobody is in may be cancelled, too. */
static void cancel_unbound(struct kunit *test)
{
	struct nursery n;
	struct probe p;

	/* before the first child */
	probe_init(&p, 0);
	nursery_init(&n, NULL);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);

	/* after the first child */
	p.sleep = LONG_TIME;
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), 0);
	wait_for_completion(&p.started);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);

	/* after the join: too late, and the nursery is as new when it is opened again */
	probe_init(&p, 0);
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), -ESHUTDOWN);
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);
}

/* A child that waits for something that knows of no cancel. */
static void failed_abort(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe stubborn;
	int err = -1;

	probe_init(&stubborn, 0);
	stubborn.gate = &gate;
	scoped_nursery(n, .name = "stubborn", .result = &err) {
		nursery_spawn(n, &stubborn.child);
		wait_for_completion(&stubborn.started);
		nursery_cancel(n, -EINTR);
		/* It goes on, and nobody says that it has finished. */
		KUNIT_EXPECT_EQ(test, atomic_read(&stubborn.dones), 0);
		complete(&gate);
	}
	KUNIT_EXPECT_TRUE(test, stubborn.saw_cancel);
	KUNIT_EXPECT_EQ(test, atomic_read(&stubborn.dones), 1);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* A cancel finds what is below a child, and that only: so it knows who opened what. */
static void task_tree_introspection(struct kunit *test)
{
	struct family *f = NEW(test, struct family, 2);
	int j, err = -1;

	scoped_nursery(n, .name = "tree", .executor = nursery_executor_thread, .result = &err) {
		start_families(n, f);
		nursery_child_cancel(&f[1].worker);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&f[1].worker), -ECANCELED);
		for (j = 0; j < 2; j++) {
			KUNIT_EXPECT_EQ(test, f[1].leaf[j].slept, -ECANCELED);
			KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&f[0].leaf[j].child));
		}
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&f[0].worker));
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(n));
		nursery_cancel(n, 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* The earliest of those around is what counts, wherever it stands. */
static void current_effective_deadline(struct kunit *test)
{
	ktime_t now = ktime_get(), near = now + LONG_TIME, far = now + 2 * LONG_TIME;

	scoped_nursery(outer, .name = "outer") {
		scoped_nursery(inner, .name = "inner", .outer = outer) {
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(inner), KTIME_MAX);
			nursery_set_deadline(outer, far);
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(inner), far);
			nursery_set_deadline(inner, near);
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(inner), near);
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(outer), far);
			nursery_set_deadline(outer, near - 1);
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(inner), near - 1);
			nursery_set_deadline(outer, KTIME_MAX);
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(inner), near);
			nursery_set_deadline(inner, KTIME_MAX);
			KUNIT_EXPECT_EQ(test, nursery_effective_deadline(inner), KTIME_MAX);
		}
	}
}

#define DEPTH	5000

static void very_deep_cancel_scope_nesting(struct kunit *test)
{
	struct nursery *n = kvcalloc(DEPTH, sizeof(*n), GFP_KERNEL);
	struct nursery_params params = { .name = "deep" };
	int i, cancelled = 0, told = 0;
	ktime_t when;

	KUNIT_ASSERT_NOT_NULL(test, n);
	for (i = 0; i < DEPTH; i++) {
		params.outer = i ? &n[i - 1] : NULL;
		nursery_init(&n[i], &params);
	}
	when = ktime_get() + LONG_TIME;
	nursery_set_deadline(&n[0], when);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[DEPTH - 1]), when);
	nursery_cancel(&n[0], -EINTR);
	for (i = 0; i < DEPTH; i++)
		cancelled += nursery_cancelled(&n[i]);
	for (i = DEPTH - 1; i > 0; i--)
		told += nursery_join(&n[i]) == -ECANCELED;
	KUNIT_EXPECT_EQ(test, cancelled, DEPTH);
	KUNIT_EXPECT_EQ(test, told, DEPTH - 1);
	KUNIT_EXPECT_EQ(test, nursery_join(&n[0]), -EINTR);
	kvfree(n);
}

/* Moved to and fro: one deadline is left, not thousands. */
static void cancel_scope_deadline_duplicates(struct kunit *test)
{
	ktime_t when = ktime_get() + LONG_TIME;
	struct probe p;
	int i, err = -1;

	probe_init(&p, 0);
	p.sleep = NSEC_PER_MSEC;
	scoped_nursery(n, .name = "moved", .result = &err) {
		nursery_spawn(n, &p.child);
		for (i = 0; i < 2000; i++) {
			nursery_set_deadline(n, when);
			nursery_set_deadline(n, when + 1);
		}
		KUNIT_EXPECT_EQ(test, nursery_effective_deadline(n), when + 1);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* Waits beside a scope of its own, shielded or not, for what the test does to the outer one. */
struct shielded {
	struct nursery_child child;
	struct probe leaf;		/* in a scope below the shield */
	struct completion up, go;	/* the shield is up; the outer scope was cancelled */
	bool hidden, seen, hidden_again;
	int slept_hidden, slept_seen, slept_hidden_again;
	int inner;			/* a scope inside that was cancelled itself */
};

static int cancel_inside(struct nursery_child *c)
{
	struct probe p;
	int err = 0;

	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	scoped_nursery(n, .name = "inside", .parent = c, .result = &err) {
		nursery_spawn(n, &p.child);
		wait_for_completion(&p.started);
		nursery_cancel(n, -EXDEV);
	}
	return err;
}

static int behind_a_shield(struct nursery_child *c)
{
	struct shielded *s = container_of(c, struct shielded, child);

	nursery_shield(c);
	complete(&s->up);
	wait_for_completion(&s->go);
	s->hidden = !nursery_child_cancelled(c);
	s->slept_hidden = nursery_sleep(c, NSEC_PER_MSEC);
	s->inner = cancel_inside(c);
	nursery_unshield(c);
	s->seen = nursery_child_cancelled(c);
	s->slept_seen = nursery_sleep(c, LONG_TIME);
	nursery_shield(c);
	s->hidden_again = !nursery_child_cancelled(c);
	s->slept_hidden_again = nursery_sleep(c, NSEC_PER_MSEC);
	nursery_unshield(c);
	return -ECANCELED;
}

static struct shielded *shielded(struct kunit *test, nursery_fn_t fn)
{
	struct shielded *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	init_completion(&s->up);
	init_completion(&s->go);
	probe_init(&s->leaf, 0);
	s->leaf.sleep = LONG_TIME;
	nursery_child_init(&s->child, fn, NULL);
	return s;
}

/* Cancel the outer scope when the shield is up. */
static void cancel_outer(struct kunit *test, struct shielded *s)
{
	int err = 0;

	scoped_nursery(n, .name = "outer", .result = &err) {
		nursery_spawn(n, &s->child);
		wait_for_completion(&s->up);
		nursery_cancel(n, -EINTR);
		complete(&s->go);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* The outer cancel is hidden, one inside is not; it is seen when the shield is down. */
static void cancel_shielding(struct kunit *test)
{
	struct shielded *s = shielded(test, behind_a_shield);

	cancel_outer(test, s);
	KUNIT_EXPECT_TRUE(test, s->hidden);
	KUNIT_EXPECT_EQ(test, s->slept_hidden, 0);
	KUNIT_EXPECT_EQ(test, s->inner, -EXDEV);
	KUNIT_EXPECT_TRUE(test, s->seen);
	KUNIT_EXPECT_EQ(test, s->slept_seen, -ECANCELED);
	KUNIT_EXPECT_TRUE(test, s->hidden_again);
	KUNIT_EXPECT_EQ(test, s->slept_hidden_again, 0);
}

/* Takes its shield down while a leaf sleeps in a scope below it. */
static int unshield_above_a_leaf(struct nursery_child *c)
{
	struct shielded *s = container_of(c, struct shielded, child);

	nursery_shield(c);
	scoped_nursery(n, .name = "below", .parent = c, .result = &s->inner) {
		nursery_spawn(n, &s->leaf.child);
		wait_for_completion(&s->leaf.started);
		complete(&s->up);
		wait_for_completion(&s->go);
		s->hidden = !nursery_child_cancelled(&s->leaf.child) && !nursery_cancelled(n);
		nursery_unshield(c);
		s->seen = nursery_cancelled(n);
	}
	return s->inner;
}

static void cancel_shield_abort(struct kunit *test)
{
	struct shielded *s = shielded(test, unshield_above_a_leaf);

	cancel_outer(test, s);
	KUNIT_EXPECT_TRUE(test, s->hidden);
	KUNIT_EXPECT_TRUE(test, s->seen);
	KUNIT_EXPECT_EQ(test, s->inner, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s->leaf.slept, -ECANCELED);
}

/* What is below a shield does not look above it for a deadline. */
struct timed {
	struct nursery_child child;
	ktime_t far, shielded, unshielded;
};

static int look_at_deadlines(struct nursery_child *c)
{
	struct timed *t = container_of(c, struct timed, child);

	scoped_nursery(n, .name = "inner", .parent = c) {
		nursery_set_deadline(n, t->far);
		nursery_shield(c);
		t->shielded = nursery_effective_deadline(n);
		nursery_unshield(c);
		t->unshielded = nursery_effective_deadline(n);
	}
	return 0;
}

static void current_effective_deadline_with_a_shield(struct kunit *test)
{
	ktime_t near = ktime_get() + LONG_TIME;
	struct timed t = { .far = near + LONG_TIME };
	int err = -1;

	nursery_child_init(&t.child, look_at_deadlines, NULL);
	scoped_nursery(n, .name = "outer", .result = &err) {
		nursery_set_deadline(n, near);
		nursery_spawn(n, &t.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, t.shielded, t.far);
	KUNIT_EXPECT_EQ(test, t.unshielded, near);
}

/* A child that gets ready in one way or another. */
struct starter {
	struct nursery_child child;
	enum { READY, FAILS, RETURNS, SLEEPS } how;
	struct completion entered;
	struct completion gate;		/* READY: it goes on until this */
	bool over;
};

static int starter_run(struct nursery_child *c)
{
	struct starter *s = container_of(c, struct starter, child);
	int err;

	complete(&s->entered);
	err = nursery_sleep(c, s->how == SLEEPS ? LONG_TIME : NSEC_PER_MSEC);
	if (err)
		return err;
	if (s->how == FAILS)
		return -EIO;
	if (s->how == READY) {
		nursery_child_ready(c);
		wait_for_completion(&s->gate);
		WRITE_ONCE(s->over, true);
	}
	return 0;
}

static void starter_init(struct starter *s, int how)
{
	*s = (struct starter){ .how = how };
	init_completion(&s->entered);
	init_completion(&s->gate);
	nursery_child_init(&s->child, starter_run, NULL);
}

static void nursery_start_tells_how_it_went(struct kunit *test)
{
	struct starter *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	struct nursery n;

	KUNIT_ASSERT_NOT_NULL(test, s);
	nursery_init(&n, NULL);

	/* Ready: it goes on, and the nursery waits for it. */
	starter_init(s, READY);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s->child), 0);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(s->over));
	complete(&s->gate);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&s->child), 0);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(s->over));

	/* A failure before is the starter's affair, and not the nursery's. */
	starter_init(s, FAILS);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s->child), -EIO);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	starter_init(s, RETURNS);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s->child), -EPROTO);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);

	/* Too late */
	starter_init(s, READY);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s->child), -ESHUTDOWN);
	nursery_init(&n, NULL);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s->child), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
}

struct cancelled_start {
	struct nursery_child child;
	struct nursery *n;
	struct starter starter;
	int err;
};

static int start_in_background(struct nursery_child *c)
{
	struct cancelled_start *k = container_of(c, struct cancelled_start, child);

	k->err = nursery_start(k->n, &k->starter.child);
	return 0;
}

/* While somebody waits for a child to get ready, its nursery is cancelled. */
static void nursery_start_with_cancelled_nursery(struct kunit *test)
{
	struct cancelled_start *k = kunit_kzalloc(test, sizeof(*k), GFP_KERNEL);
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, k);
	starter_init(&k->starter, SLEEPS);
	nursery_child_init(&k->child, start_in_background, NULL);
	scoped_nursery(others, .name = "others", .executor = nursery_executor_thread) {
		scoped_nursery(n, .name = "target", .result = &err) {
			k->n = n;
			nursery_spawn(others, &k->child);
			wait_for_completion(&k->starter.entered);
			nursery_cancel(n, -EINTR);
			nursery_child_join(&k->child);
		}
	}
	KUNIT_EXPECT_EQ(test, k->err, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* Who gets ready counts already: the scope is not over before. */
static void nursery_start_keeps_nursery_open(struct kunit *test)
{
	struct cancelled_start *k = kunit_kcalloc(test, 2, sizeof(*k), GFP_KERNEL);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, k);
	scoped_nursery(others, .name = "others", .executor = nursery_executor_thread) {
		scoped_nursery(n, .name = "target", .result = &err) {
			for (i = 0; i < 2; i++) {
				k[i].n = n;
				/* The second never gets ready. */
				starter_init(&k[i].starter, i ? FAILS : READY);
				complete(&k[i].starter.gate);
				nursery_child_init(&k[i].child, start_in_background, NULL);
				nursery_spawn(others, &k[i].child);
				wait_for_completion(&k[i].starter.entered);
			}
		}
		/* Whatever the starters have been told, the children are over. */
		KUNIT_EXPECT_TRUE(test, READ_ONCE(k[0].starter.over));
	}
	KUNIT_EXPECT_EQ(test, k[0].err, 0);
	KUNIT_EXPECT_EQ(test, k[1].err, -EIO);
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* tricycle: a service that notes whether anybody still needed it when it was cancelled. */
struct served {
	struct nursery_child service;
	struct nursery_child ordinary[3];
	atomic_t working;		/* ordinary children */
	struct completion gate;		/* they go on until this, cancelled or not */
	struct completion serving;
	atomic_t started;
	struct completion all_started;
	int slept;			/* the service */
	int still_working;		/* when it was cancelled */
};

static int serve(struct nursery_child *c)
{
	struct served *s = container_of(c, struct served, service);

	complete(&s->serving);
	s->slept = nursery_sleep(c, LONG_TIME);
	s->still_working = atomic_read(&s->working);
	return s->slept;
}

static struct served *served_now;

static int work(struct nursery_child *c)
{
	struct served *s = served_now;

	if (atomic_inc_return(&s->started) == ARRAY_SIZE(s->ordinary))
		complete_all(&s->all_started);
	wait_for_completion(&s->gate);
	atomic_dec(&s->working);
	return 0;
}

static int run_served(struct kunit *test, struct served *s, int cause)
{
	int i, err = -1;

	*s = (struct served){ .slept = 1, .still_working = -1 };
	served_now = s;
	init_completion(&s->gate);
	init_completion(&s->serving);
	init_completion(&s->all_started);
	atomic_set(&s->working, ARRAY_SIZE(s->ordinary));
	nursery_child_init(&s->service, serve, NULL);
	nursery_child_set_service(&s->service);
	scoped_nursery(n, .name = "served", .executor = nursery_executor_thread,
		       .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &s->service), 0);
		for (i = 0; i < ARRAY_SIZE(s->ordinary); i++) {
			nursery_child_init(&s->ordinary[i], work, NULL);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &s->ordinary[i]), 0);
		}
		/* One that has not begun never would. */
		wait_for_completion(&s->serving);
		wait_for_completion(&s->all_started);
		if (cause)
			nursery_cancel(n, cause);
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&s->service));
		complete_all(&s->gate);
	}
	return err;
}

/* It is cancelled when the last of the others has finished, cancel or not. */
static void services_last(struct kunit *test)
{
	struct served *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_EXPECT_EQ(test, run_served(test, s, 0), 0);
	KUNIT_EXPECT_EQ(test, s->slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s->still_working, 0);
	KUNIT_EXPECT_EQ(test, run_served(test, s, -EINTR), -EINTR);
	KUNIT_EXPECT_EQ(test, s->slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s->still_working, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(child_crash_wakes_parent),
	KUNIT_CASE(two_child_crashes),
	KUNIT_CASE(cancel_edge_cases),
	KUNIT_CASE(cancel_inheritance),
	KUNIT_CASE(cancel_scope_nesting),
	KUNIT_CASE(basic_timeout),
	KUNIT_CASE(timekeeping),
	KUNIT_CASE(cancel_unbound),
	KUNIT_CASE(failed_abort),
	KUNIT_CASE(task_tree_introspection),
	KUNIT_CASE(current_effective_deadline),
	KUNIT_CASE(very_deep_cancel_scope_nesting),
	KUNIT_CASE(cancel_scope_deadline_duplicates),
	KUNIT_CASE(cancel_shielding),
	KUNIT_CASE(cancel_shield_abort),
	KUNIT_CASE(current_effective_deadline_with_a_shield),
	KUNIT_CASE(nursery_start_tells_how_it_went),
	KUNIT_CASE(nursery_start_with_cancelled_nursery),
	KUNIT_CASE(nursery_start_keeps_nursery_open),
	KUNIT_CASE(services_last),
	{ }
};

struct kunit_suite nursery_conform_trio_suite = {
	.name = "nursery_conform_trio", .test_cases = cases,
};
