// SPDX-License-Identifier: GPL-2.0-only
/*
 * What others promise, here: Go's errgroup and conc, OCaml's Eio, and Zephyr's k_work. See
 * Documentation/core-api/nursery-conformance.rst.
 */
#include <linux/slab.h>

#include "util.h"

#define NR	16

/* Sleeps, and makes what it can of being cancelled. */
struct victim {
	struct nursery_child child;
	struct completion started;
	int ret;		/* if cancelled */
};

static int suffer(struct nursery_child *c)
{
	struct victim *v = container_of(c, struct victim, child);

	complete(&v->started);
	return nursery_sleep(c, LONG_TIME) ? v->ret : 0;
}

/* conc: errors that others have because they were cancelled do not hide the first. */
static void fail_fast_gives_the_root_cause(struct kunit *test)
{
	struct victim *v = kunit_kcalloc(test, NR, sizeof(*v), GFP_KERNEL);
	struct probe root;
	int i, err = 0;

	KUNIT_ASSERT_NOT_NULL(test, v);
	probe_init(&root, -EIO);
	scoped_nursery(n, .name = "root cause", .executor = nursery_executor_thread,
		       .result = &err) {
		for (i = 0; i < NR; i++) {
			init_completion(&v[i].started);
			v[i].ret = i % 2 ? -EPIPE : -ECANCELED;
			nursery_child_init(&v[i].child, suffer, NULL);
			nursery_spawn(n, &v[i].child);
			wait_for_completion(&v[i].started);
		}
		nursery_spawn(n, &root.child);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ(test, nursery_child_join(&v[i].child), v[i].ret);
}

/* Eio: hooks of a switch, of which one goes wrong. */
struct hook {
	int number;
	int err;			/* what its work came to */
	int *order, *next;
};

static void run_hook(void *data)
{
	struct hook *h = data;
	struct probe bad;

	h->order[(*h->next)++] = h->number;
	if (h->number != 1)
		return;
	/* It may use nurseries itself. */
	probe_init(&bad, -EIO);
	scoped_nursery(n, .name = "hook", .result = &h->err)
		nursery_spawn(n, &bad.child);
}

static void failing_hook_does_not_skip_the_others(struct kunit *test)
{
	int order[3] = { -1, -1, -1 }, next = 0, i, err = -1;
	struct hook h[3];

	scoped_nursery(n, .name = "switch", .result = &err) {
		for (i = 0; i < 3; i++) {
			h[i] = (struct hook){ .number = i, .order = order, .next = &next };
			KUNIT_EXPECT_EQ(test, nursery_defer(n, run_hook, &h[i]), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, h[1].err, -EIO);
	KUNIT_EXPECT_EQ(test, next, 3);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, order[i], 2 - i);
	/* The scope's children did well, and that is what the join is about. */
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* Zephyr: a work item that is being cancelled takes no submit until it is idle. */
static void submit_while_cancelling(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct nursery one, other;
	struct probe p;

	probe_init(&p, 0);
	p.gate = &gate;
	nursery_init(&one, NULL);
	nursery_init(&other, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&one, &p.child), 0);
	wait_for_completion(&p.started);
	nursery_child_cancel(&p.child);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&one, &p.child), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&other, &p.child), -EBUSY);
	KUNIT_EXPECT_TRUE(test, nursery_child_cancelled(&p.child));
	complete(&gate);
	/* To wait is to cancel with k_work_cancel_sync(). */
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&one), 0);

	/* The cancel was of that run alone. */
	probe_init(&p, 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&other, &p.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&other), 0);
	KUNIT_EXPECT_FALSE(test, p.saw_cancel);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);
}

/* Zephyr: one that is queued behind another is taken back by its cancel, and never runs. */
static void cancel_of_queued_work(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe busy, queued;
	int err = -1;

	probe_init(&busy, 0);
	busy.gate = &gate;
	probe_init(&queued, 0);
	scoped_nursery(n, .name = "queue", .executor = e, .result = &err) {
		nursery_spawn(n, &busy.child);
		wait_for_completion(&busy.started);
		nursery_spawn(n, &queued.child);
		nursery_child_cancel(&queued.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&queued.child), -ECANCELED);
		/* Idle: it may be submitted again at once. */
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &queued.child), 0);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&queued.runs), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&queued.dones), 2);
	single_worker_destroy(e);
}

/* errgroup: at the limit TryGo() says no, where Go() would wait. */
static void try_go(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 3, sizeof(*p), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);
	int i, refused, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 3; i++)
		probe_init(&p[i], 0);
	p[0].gate = &gate;
	p[1].gate = &gate;
	scoped_nursery(n, .name = "limit", .max_active = 2, .result = &err) {
		for (i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[i].child), 0);
			wait_for_completion(&p[i].started);
		}
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[2].child), -EAGAIN);
		complete_all(&gate);
		/* It was refused, so it is ours: as if nothing had happened. */
		do {
			cond_resched();
			refused = nursery_try_spawn(n, &p[2].child);
		} while (refused == -EAGAIN);
		KUNIT_EXPECT_EQ(test, refused, 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[2].runs), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[2].dones), 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(fail_fast_gives_the_root_cause),
	KUNIT_CASE(failing_hook_does_not_skip_the_others),
	KUNIT_CASE(submit_while_cancelling),
	KUNIT_CASE(cancel_of_queued_work),
	KUNIT_CASE(try_go),
	{ }
};

struct kunit_suite nursery_conform_misc_suite = {
	.name = "nursery_conform_misc", .test_cases = cases,
};
