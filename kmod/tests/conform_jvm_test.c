// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Kotlin's coroutine scopes and the JDK's StructuredTaskScope promise, here. See
 * Documentation/core-api/nursery-conformance.rst.
 */
#include <linux/slab.h>

#include "util.h"

#define ROUNDS	500

/* A parent that attaches, one after the other, all that may be below it. */
struct attach {
	struct nursery_child child;
	struct completion *begun;
	struct probe leaf;
	struct nursery_child external;
	struct nursery_cancel_handler handler;
	int calls;		/* of the handler */
	int spawned, nested;	/* what the spawn and the join said */
};

static void stop_external(struct nursery_cancel_handler *h)
{
	struct attach *a = container_of(h, struct attach, handler);

	a->calls++;
	nursery_child_complete(&a->external, -ECANCELED);
}

static int attach(struct nursery_child *c)
{
	struct attach *a = container_of(c, struct attach, child);

	complete(a->begun);
	scoped_nursery(n, .name = "attached", .parent = c, .result = &a->nested) {
		a->spawned = nursery_spawn(n, &a->leaf.child);
		if (nursery_child_begin(n, &a->external))
			continue;
		nursery_on_cancel(&a->external, &a->handler, stop_external);
	}
	return a->nested;
}

/*
 * The cancel comes before, between or after the attaching: what was attached is cancelled,
 * and what was not is refused. If one escaped, the join would not return.
 */
static void attach_versus_cancel(struct kunit *test)
{
	struct attach *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(begun);
	int i, round, err, wrong = 0;
	struct nursery n;

	KUNIT_ASSERT_NOT_NULL(test, a);
	for (round = 0; round < ROUNDS; round++) {
		*a = (struct attach){ .begun = &begun };
		reinit_completion(&begun);
		probe_init(&a->leaf, 0);
		a->leaf.sleep = LONG_TIME;
		nursery_child_init(&a->external, NULL, NULL);
		nursery_child_init(&a->child, attach, NULL);
		nursery_init(&n, NULL);
		nursery_spawn(&n, &a->child);
		wait_for_completion(&begun);
		for (i = 0; i < round * 8; i++)
			cpu_relax();
		if (round & 1)
			cond_resched();
		nursery_cancel(&n, -EINTR);
		err = nursery_join(&n);
		wrong += err != -EINTR || a->nested != -ECANCELED;
		wrong += a->spawned && a->spawned != -ECANCELED;
		wrong += atomic_read(&a->leaf.dones) != !a->spawned;
		wrong += atomic_read(&a->leaf.runs) && a->leaf.slept != -ECANCELED;
		wrong += a->calls > 1;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* A child with a family of its own: a leaf that fails on demand, and one that sleeps. */
struct household {
	struct nursery_child child;
	struct probe failing, sleeping;
	int result;
};

static int keep_house(struct nursery_child *c)
{
	struct household *h = container_of(c, struct household, child);

	scoped_nursery(n, .name = "household", .parent = c, .result = &h->result) {
		nursery_spawn(n, &h->sleeping.child);
		wait_for_completion(&h->sleeping.started);
		nursery_spawn(n, &h->failing.child);
	}
	return h->result;
}

static void household_init(struct household *h, int ret, struct completion *gate)
{
	*h = (struct household){ };
	probe_init(&h->failing, ret);
	h->failing.gate = gate;
	probe_init(&h->sleeping, 0);
	h->sleeping.sleep = LONG_TIME;
	nursery_child_init(&h->child, keep_house, NULL);
}

/* A failure stays in its own branch; the supervisor's end does not. */
static void supervisor_isolation(struct kunit *test)
{
	struct household *h = kunit_kcalloc(test, 2, sizeof(*h), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);
	int err = 0;

	KUNIT_ASSERT_NOT_NULL(test, h);
	household_init(&h[0], -EIO, &gate);
	household_init(&h[1], 0, NULL);
	scoped_nursery(n, .name = "supervisor", .executor = nursery_executor_thread,
		       .flags = NURSERY_SUPERVISE, .result = &err) {
		nursery_spawn(n, &h[0].child);
		nursery_spawn(n, &h[1].child);
		wait_for_completion(&h[1].sleeping.started);
		complete(&gate);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&h[0].child), -EIO);
		KUNIT_EXPECT_EQ(test, h[0].sleeping.slept, -ECANCELED);
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(n));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&h[1].child));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&h[1].sleeping.child));
		/* Down it goes as in any nursery. */
		nursery_cancel(n, -EINTR);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&h[1].child), -ECANCELED);
	}
	KUNIT_EXPECT_EQ(test, h[1].sleeping.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

/* What is forked after the cancel does not run, and its owner is told by the fork. */
static void fork_after_cancel(struct kunit *test)
{
	struct probe before, after;
	int err = -1;

	probe_init(&before, 0);
	before.sleep = LONG_TIME;
	probe_init(&after, 0);
	scoped_nursery(n, .name = "fork", .result = &err) {
		nursery_spawn(n, &before.child);
		wait_for_completion(&before.started);
		nursery_cancel(n, 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &after.child), -ECANCELED);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&after.child), -EINVAL);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&after.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&after.dones), 0);
}

struct cleaner {
	struct nursery_child child;
	struct completion started;
	int slept, spawned, cleaned;
};

static int clean_up(struct nursery_child *c)
{
	struct cleaner *k = container_of(c, struct cleaner, child);
	struct probe p;

	complete(&k->started);
	k->slept = nursery_sleep(c, LONG_TIME);
	/* Cancelled. What has to be done yet may sleep, and have children. */
	nursery_shield(c);
	probe_init(&p, 0);
	p.sleep = NSEC_PER_MSEC;
	scoped_nursery(n, .name = "cleanup", .parent = c, .result = &k->cleaned)
		k->spawned = nursery_spawn(n, &p.child);
	k->cleaned = k->cleaned ?: p.slept ?: nursery_sleep(c, NSEC_PER_MSEC);
	nursery_unshield(c);
	return k->slept;
}

static void non_cancellable_cleanup(struct kunit *test)
{
	struct cleaner k = { .cleaned = -1, .spawned = -1 };
	int err = 0;

	init_completion(&k.started);
	nursery_child_init(&k.child, clean_up, NULL);
	scoped_nursery(n, .name = "cancelled", .result = &err) {
		nursery_spawn(n, &k.child);
		wait_for_completion(&k.started);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, k.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, k.spawned, 0);
	KUNIT_EXPECT_EQ(test, k.cleaned, 0);
}

/* The first that succeeds is the result: who failed does not matter, the rest is gone. */
static void any_successful(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 3, sizeof(*p), GFP_KERNEL);
	struct nursery_child *children[3];
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 3; i++) {
		probe_init(&p[i], i ? 0 : -EIO);
		children[i] = &p[i].child;
	}
	p[1].sleep = LONG_TIME;
	p[2].sleep = 5 * NSEC_PER_MSEC;
	KUNIT_EXPECT_EQ(test, nursery_race(children, 3), 2);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), 1);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[1].child), -ECANCELED);

	/* None: the first failure. */
	probe_init(&p[0], -EIO);
	probe_init(&p[1], -ENOSPC);
	p[1].sleep = 20 * NSEC_PER_MSEC;
	i = nursery_race(children, 2);
	KUNIT_EXPECT_TRUE(test, i == -EIO || i == -ENOSPC);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[0].dones) + atomic_read(&p[1].dones), 2);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(attach_versus_cancel),
	KUNIT_CASE(supervisor_isolation),
	KUNIT_CASE(fork_after_cancel),
	KUNIT_CASE(non_cancellable_cleanup),
	KUNIT_CASE(any_successful),
	{ }
};

struct kunit_suite nursery_conform_jvm_suite = {
	.name = "nursery_conform_jvm", .test_cases = cases,
};
