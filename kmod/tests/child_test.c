// SPDX-License-Identifier: GPL-2.0-only
/* The child: one completion for each spawn, refusals that change nothing, bounds. */
#include <linux/slab.h>

#include "util.h"

static atomic_t freed;

static void free_probe(struct nursery_child *c)
{
	atomic_inc(&freed);
	kfree(to_probe(c));
}

static void i4_done_is_last_and_may_free_the_child(struct kunit *test)
{
	int i, nr = 0;

	atomic_set(&freed, 0);
	scoped_nursery(n, .name = "done frees") {
		for (i = 0; i < 1000; i++) {
			struct probe *p = kmalloc(sizeof(*p), GFP_KERNEL);

			if (!p)
				break;
			probe_init(p, 0);
			nursery_child_init(&p->child, probe_run, free_probe);
			if (nursery_spawn(n, &p->child))
				kfree(p);
			else
				nr++;
		}
	}
	KUNIT_EXPECT_EQ(test, nr, 1000);
	KUNIT_EXPECT_EQ(test, atomic_read(&freed), nr);
}

static void i4_skipped_child_completes_once(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe blocked, queued;
	int err = -1;

	probe_init(&blocked, 0);
	blocked.gate = &gate;
	probe_init(&queued, 0);
	scoped_nursery(n, .name = "skip", .executor = e, .result = &err) {
		nursery_spawn(n, &blocked.child);
		wait_for_completion(&blocked.started);
		nursery_spawn(n, &queued.child);
		nursery_cancel(n, 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&queued.dones), 1);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&queued.child), -ECANCELED);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&queued.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&queued.dones), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&blocked.dones), 1);
	single_worker_destroy(e);
}

static void i4_refused_spawn_changes_nothing(struct kunit *test)
{
	struct nursery_child external;
	DECLARE_COMPLETION_ONSTACK(gate);
	struct nursery n, other;
	struct probe p;

	nursery_child_init(&external, NULL, NULL);
	probe_init(&p, 0);

	/* arguments that can never be right */
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &external), -EINVAL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &p.child), -EINVAL);

	/* spawned and not finished */
	p.gate = &gate;
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), 0);
	nursery_init(&other, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&other, &p.child), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_join(&other), 0);
	complete(&gate);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);

	/* joined */
	probe_init(&p, 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &external), -ESHUTDOWN);

	/* cancelled */
	nursery_init(&n, NULL);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &external), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 0);

	/* and the caller still owns it */
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);
}

static void i4_finished_child_may_be_spawned_again(struct kunit *test)
{
	struct probe p;
	int i;

	for (i = 0; i < 100; i++) {
		scoped_nursery(n, .name = "again") {
			probe_init(&p, -i);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p.child), 0);
			KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), -i);
		}
	}
}

static void child_join_gives_the_result(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 3, sizeof(*p), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "results", .flags = NURSERY_SUPERVISE) {
		for (i = 0; i < 3; i++) {
			probe_init(&p[i], -i);
			p[i].sleep = NSEC_PER_MSEC;
			nursery_child_init(&p[i].child, probe_run, NULL);
			nursery_spawn(n, &p[i].child);
		}
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[1].child), -1);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[1].child), -1);
	}
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[2].child), -2);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[0].child), 0);

	nursery_child_init(&p[0].child, probe_run, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[0].child), -EINVAL);
}

static int join_self(struct nursery_child *c)
{
	return nursery_child_join(c);
}

static void child_join_of_oneself_is_refused(struct kunit *test)
{
	struct nursery_child c;
	int err = -1;

	nursery_child_init(&c, join_self, NULL);
	scoped_nursery(n, .name = "self", .result = &err)
		nursery_spawn(n, &c);
	KUNIT_EXPECT_EQ(test, err, -EDEADLK);
}

struct sibling {
	struct nursery_child child;
	struct nursery_child *other;
	struct completion spawned;
};

static int join_sibling(struct nursery_child *c)
{
	struct sibling *s = container_of(c, struct sibling, child);

	wait_for_completion(&s->spawned);
	return nursery_child_join(s->other);
}

/* One worker: the sibling that is waited for runs in the waiter. */
static void i5_child_joins_its_queued_sibling(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct sibling s;
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	s.other = &p.child;
	init_completion(&s.spawned);
	nursery_child_init(&s.child, join_sibling, NULL);
	scoped_nursery(n, .name = "siblings", .executor = e, .flags = NURSERY_NO_HELP,
		       .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &s.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p.child), 0);
		complete(&s.spawned);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);
	single_worker_destroy(e);
}

/*
 * Counts how many of it run at once, and in which order they start. The first ones go on when
 * as many as may be have met.
 */
struct bounded {
	struct nursery_child child;
	int index;
	int bound;
};

static atomic_t now, most, order_errors, started;
static DECLARE_COMPLETION(met);

static int bounded_run(struct nursery_child *c)
{
	struct bounded *b = container_of(c, struct bounded, child);
	int nr = atomic_inc_return(&now), old = atomic_read(&most);

	while (nr > old && !atomic_try_cmpxchg(&most, &old, nr))
		;
	if (atomic_inc_return(&started) - 1 != b->index)
		atomic_inc(&order_errors);
	if (nr == b->bound)
		complete_all(&met);
	wait_for_completion(&met);
	nursery_sleep(c, 200 * NSEC_PER_USEC);
	atomic_dec(&now);
	return 0;
}

static void run_bounded(struct kunit *test, unsigned int max_active)
{
	struct bounded *b = kunit_kcalloc(test, 60, sizeof(*b), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, b);
	atomic_set(&now, 0);
	atomic_set(&most, 0);
	atomic_set(&started, 0);
	atomic_set(&order_errors, 0);
	reinit_completion(&met);
	scoped_nursery(n, .name = "bounded", .max_active = max_active) {
		for (i = 0; i < 60; i++) {
			b[i].index = i;
			b[i].bound = max_active;
			nursery_child_init(&b[i].child, bounded_run, NULL);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &b[i].child), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&started), 60);
}

static void max_active_bounds(struct kunit *test)
{
	run_bounded(test, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&most), 3);
}

static void max_active_one_is_in_order(struct kunit *test)
{
	run_bounded(test, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&most), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&order_errors), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i4_done_is_last_and_may_free_the_child),
	KUNIT_CASE(i4_skipped_child_completes_once),
	KUNIT_CASE(i4_refused_spawn_changes_nothing),
	KUNIT_CASE(i4_finished_child_may_be_spawned_again),
	KUNIT_CASE(child_join_gives_the_result),
	KUNIT_CASE(child_join_of_oneself_is_refused),
	KUNIT_CASE(i5_child_joins_its_queued_sibling),
	KUNIT_CASE(max_active_bounds),
	KUNIT_CASE(max_active_one_is_in_order),
	{ }
};

struct kunit_suite nursery_child_suite = { .name = "nursery_child", .test_cases = cases };
