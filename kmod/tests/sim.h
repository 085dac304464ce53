/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nursery_executor_sim: an executor for tests. One thread, which is its caller's, runs
 * the children that are ready in an order that is drawn from a seed. The same seed gives
 * the same order, so an interleaving that fails can be had again.
 *
 * What starts children must be in that thread, too: children, and what the test does
 * before nursery_sim_run(). A join inside a child runs the children that it waits for,
 * in an order from the same seed; the test's own nurseries have NURSERY_NO_HELP.
 */
#ifndef _NURSERY_TESTS_SIM_H
#define _NURSERY_TESTS_SIM_H

#include <linux/nursery.h>
#include <linux/prandom.h>

struct nursery_executor_sim {
	struct nursery_executor	executor;
	struct rnd_state	random;
	raw_spinlock_t		lock;		/* @ready; taken inside nursery->lock */
	struct llist_node	*ready;		/* runners, the latest first */
	struct nursery_runner	*choice;	/* of those that a join waits for; retract */
	u64			order;		/* a hash of what ran, in order */
	unsigned int		nr_runs;
};

void nursery_sim_init(struct nursery_executor_sim *sim, u32 seed);
void nursery_sim_run(struct nursery_executor_sim *sim);

/* To be called by a child, with what tells it from others: part of the order. */
void nursery_sim_note(struct nursery_executor_sim *sim, u32 id);

/* A number below @ceil, from the seed. */
u32 nursery_sim_draw(struct nursery_executor_sim *sim, u32 ceil);

#endif /* _NURSERY_TESTS_SIM_H */
