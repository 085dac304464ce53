// SPDX-License-Identifier: GPL-2.0-only
/* Interleavings from a seed: the executor of sim.h, and what it is for. */
#include <linux/slab.h>

#include "sim.h"
#include "util.h"

#define SEEDS	1000
#define WIDTH	4

/* A child that spawns siblings, opens a nested nursery, fails, or cancels: as drawn. */
struct actor {
	struct nursery_child child;
	struct nursery_executor_sim *sim;
	struct nursery *nursery;
	unsigned int depth;
	u32 id;
	bool ended;
};

/* All actors of one run; none is used twice. */
struct play {
	struct nursery_executor_sim sim;
	struct actor actor[256];
	unsigned int nr;		/* actors that were spawned */
	unsigned int nr_ended;
	unsigned int nr_released;	/* deferred actions that ran */
	bool wrong;
};

static struct play *play;	/* one at a time */

static int act(struct nursery_child *c);

static void ended(struct nursery_child *c)
{
	struct actor *a = container_of(c, struct actor, child);

	play->wrong |= a->ended;
	a->ended = true;
	play->nr_ended++;
}

static void enter(struct nursery *n, unsigned int depth)
{
	struct actor *a = &play->actor[play->nr];

	if (play->nr == ARRAY_SIZE(play->actor))
		return;
	*a = (struct actor) { .sim = &play->sim, .nursery = n, .depth = depth, .id = play->nr };
	nursery_child_init(&a->child, act, ended);
	if (!nursery_spawn(n, &a->child))
		play->nr++;
}

/* Runs when the scope's children are done: how many were spawned in it is known. */
static void released(void *data)
{
	play->nr_released++;
}

static int nested(struct actor *a)
{
	unsigned int first = play->nr, i, nr = 1 + nursery_sim_draw(a->sim, WIDTH);
	int err = 0;

	scoped_nursery(n, .name = "scene", .parent = &a->child, .executor = &a->sim->executor,
		       .result = &err) {
		if (!nursery_defer(n, released, NULL))
			play->nr_released--;
		for (i = 0; i < nr; i++)
			enter(n, a->depth + 1);
	}
	/* I1: those that were entered here have ended; actors are numbered in order. */
	for (i = first; i < play->nr; i++)
		play->wrong |= play->actor[i].nursery != a->nursery &&
			       play->actor[i].depth == a->depth + 1 && !play->actor[i].ended;
	return err;
}

static int act(struct nursery_child *c)
{
	struct actor *a = container_of(c, struct actor, child);

	nursery_sim_note(a->sim, a->id);
	if (nursery_child_cancelled(c))
		return -ECANCELED;
	switch (nursery_sim_draw(a->sim, 8)) {
	case 0:
	case 1:
		return a->depth < 5 ? nested(a) : 0;
	case 2:
		enter(a->nursery, a->depth);
		return 0;
	case 3:
		return -EIO;
	case 4:
		nursery_cancel(a->nursery, -EINTR);
		return 0;
	}
	return 0;
}

/* Return: what the join said. */
static int perform(u32 seed)
{
	const struct nursery_params params = {
		.name = "stage", .flags = NURSERY_NO_HELP, .executor = &play->sim.executor,
	};
	struct nursery n;
	unsigned int i;

	memset(play, 0, sizeof(*play));
	nursery_sim_init(&play->sim, seed);
	nursery_init(&n, &params);
	for (i = 0; i < WIDTH; i++)
		enter(&n, 0);
	nursery_sim_run(&play->sim);
	return nursery_join(&n);
}

static void sim_explores_seeds(struct kunit *test)
{
	u64 order, orders = 0;
	unsigned int nr_runs = 0;
	int err, again;
	u32 seed;

	play = kunit_kzalloc(test, sizeof(*play), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, play);
	for (seed = 1; seed <= SEEDS; seed++) {
		err = perform(seed);
		if (play->wrong || play->nr_ended != play->nr || play->nr_released ||
		    (err && err != -EIO && err != -EINTR)) {
			KUNIT_FAIL(test, "seed %u: %u of %u ended, %d deferred actions missing, %d",
				   seed, play->nr_ended, play->nr, -play->nr_released, err);
			break;
		}
		nr_runs += play->sim.nr_runs;
		order = play->sim.order;
		orders ^= order;

		/* The same seed is the same performance. */
		again = perform(seed);
		KUNIT_EXPECT_EQ(test, again, err);
		KUNIT_EXPECT_EQ(test, play->sim.order, order);
	}
	/* They are not all alike, nor empty. */
	KUNIT_EXPECT_NE(test, orders, 0);
	KUNIT_EXPECT_GT(test, nr_runs, SEEDS * WIDTH / 2);
}

/* A driver's bug that depends on the order: the reader must not run first. */
struct racy {
	struct nursery_child child;
	struct nursery_executor_sim *sim;
	bool reads;
	int *value;
};

static int racy_run(struct nursery_child *c)
{
	struct racy *r = container_of(c, struct racy, child);

	if (!r->reads)
		*r->value = 1;
	return r->reads && !*r->value ? -EINVAL : 0;
}

static int racy_driver(u32 seed)
{
	struct nursery_executor_sim sim;
	const struct nursery_params params = {
		.name = "racy", .flags = NURSERY_NO_HELP, .executor = &sim.executor,
	};
	struct racy r[2];
	int value = 0, i, err = 0;
	struct nursery n;

	nursery_sim_init(&sim, seed);
	nursery_init(&n, &params);
	for (i = 0; i < 2; i++) {
		r[i].value = &value;
		r[i].reads = i;
		nursery_child_init(&r[i].child, racy_run, NULL);
		err = err ?: nursery_spawn(&n, &r[i].child);
	}
	nursery_sim_run(&sim);
	return nursery_join(&n) ?: err;
}

static void sim_finds_a_race_and_replays_it(struct kunit *test)
{
	unsigned int good = 0, bad = 0, i;
	u32 seed, failing = 0;

	for (seed = 1; seed <= 100; seed++) {
		if (racy_driver(seed)) {
			failing = seed;
			bad++;
		} else {
			good++;
		}
	}
	KUNIT_EXPECT_GT(test, good, 0);
	KUNIT_ASSERT_GT(test, bad, 0);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, racy_driver(failing), -EINVAL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(sim_explores_seeds),
	KUNIT_CASE(sim_finds_a_race_and_replays_it),
	{ }
};

struct kunit_suite nursery_sim_suite = { .name = "nursery_sim", .test_cases = cases };
