// SPDX-License-Identifier: GPL-2.0-only
/*
 * What C++'s scopes promise, here: stdexec's async_scope, libunifex, and counting_scope of
 * the standard. See Documentation/core-api/nursery-conformance.rst.
 */
#include <linux/slab.h>

#include "util.h"

#define SPAWNERS	256
#define EACH		1024

static struct nursery scope;
static atomic_t ran, refused;

static int work(struct nursery_child *c)
{
	atomic_inc(&ran);
	return 0;
}

struct spawner {
	struct nursery_child child;
	struct nursery_child *work;		/* EACH of them */
};

static int spawn_all(struct nursery_child *c)
{
	struct spawner *s = container_of(c, struct spawner, child);
	int i;

	for (i = 0; i < EACH; i++) {
		nursery_child_init(&s->work[i], work, NULL);
		if (nursery_spawn(&scope, &s->work[i]))
			atomic_inc(&refused);
	}
	return 0;
}

/* Many threads spawn at the same time, into a scope that none of them is in. */
static void spawn_from_many_threads(struct kunit *test)
{
	struct nursery_child *all = kvcalloc(SPAWNERS * EACH, sizeof(*all), GFP_KERNEL);
	struct spawner *s = kunit_kcalloc(test, SPAWNERS, sizeof(*s), GFP_KERNEL);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_NOT_NULL(test, all);
	atomic_set(&ran, 0);
	atomic_set(&refused, 0);
	nursery_init(&scope, NULL);
	scoped_nursery(n, .name = "spawners", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		for (i = 0; i < SPAWNERS; i++) {
			s[i].work = &all[i * EACH];
			nursery_child_init(&s[i].child, spawn_all, NULL);
			nursery_spawn(n, &s[i].child);
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&scope), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&refused), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&ran), SPAWNERS * EACH);
	kvfree(all);
}

struct late {
	struct nursery_child child;
	struct nursery *n;
	struct task_struct *joiner;
	struct probe more[4];
	int spawned;
};

static int spawn_more(struct nursery_child *c)
{
	struct late *l = container_of(c, struct late, child);

	/* The joiner is deep in its join. */
	wait_until_asleep(l->joiner);
	while (l->spawned < ARRAY_SIZE(l->more) &&
	       !nursery_spawn(l->n, &l->more[l->spawned].child))
		l->spawned++;
	return 0;
}

/* A join that has begun takes in what its last child spawns. */
static void join_takes_in_what_is_spawned_meanwhile(struct kunit *test)
{
	struct late *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->joiner = current;
	for (i = 0; i < ARRAY_SIZE(l->more); i++) {
		probe_init(&l->more[i], 0);
		l->more[i].sleep = NSEC_PER_MSEC;
	}
	nursery_child_init(&l->child, spawn_more, NULL);
	scoped_nursery(n, .name = "late", .flags = NURSERY_NO_HELP, .result = &err) {
		l->n = n;
		nursery_spawn(n, &l->child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, l->spawned, (int)ARRAY_SIZE(l->more));
	for (i = 0; i < ARRAY_SIZE(l->more); i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&l->more[i].dones), 1);
}

/* A stop that is requested reaches work that has started, and refuses what comes later. */
static void stop_reaches_all_and_closes(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 3, sizeof(*p), GFP_KERNEL);
	int i, err = 0;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 3; i++) {
		probe_init(&p[i], 0);
		p[i].sleep = LONG_TIME;
	}
	scoped_nursery(n, .name = "stop", .result = &err) {
		for (i = 0; i < 2; i++) {
			nursery_spawn(n, &p[i].child);
			wait_for_completion(&p[i].started);
		}
		nursery_cancel(n, -EINTR);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[2].child), -ECANCELED);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, p[i].slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[2].runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[2].dones), 0);
}

struct deferred {
	struct nursery n;
	struct completion told;
	int err;
	int dones;			/* of the child, when it was told */
	struct probe child;
};

static void joined(struct nursery *n, int err)
{
	struct deferred *d = container_of(n, struct deferred, n);

	d->err = err;
	d->dones = atomic_read(&d->child.dones);
	complete(&d->told);
}

/* A join that is only begun: it completes when the last child has, and tells what came of it. */
static void deferred_join(struct kunit *test)
{
	struct deferred *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);

	KUNIT_ASSERT_NOT_NULL(test, d);
	init_completion(&d->told);
	probe_init(&d->child, -EIO);
	d->child.gate = &gate;
	nursery_init(&d->n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&d->n, &d->child.child), 0);
	wait_for_completion(&d->child.started);
	nursery_join_async(&d->n, joined);
	KUNIT_EXPECT_FALSE(test, completion_done(&d->told));
	complete(&gate);
	wait_for_completion(&d->told);
	KUNIT_EXPECT_EQ(test, d->err, -EIO);
	KUNIT_EXPECT_EQ(test, d->dones, 1);

	/* Of an empty scope, too. */
	reinit_completion(&d->told);
	nursery_init(&d->n, NULL);
	nursery_join_async(&d->n, joined);
	wait_for_completion(&d->told);
	KUNIT_EXPECT_EQ(test, d->err, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(spawn_from_many_threads),
	KUNIT_CASE(join_takes_in_what_is_spawned_meanwhile),
	KUNIT_CASE(stop_reaches_all_and_closes),
	KUNIT_CASE(deferred_join),
	{ }
};

struct kunit_suite nursery_conform_cpp_suite = {
	.name = "nursery_conform_cpp", .test_cases = cases,
};
