// SPDX-License-Identifier: GPL-2.0-only
/*
 * A race: children of which the first to succeed ends the others.
 *
 * Theory of operation. A race is a nursery on the caller's stack, and a flag of it. Its
 * children tell of their end (CHILD_TELLS), so each ends under nursery->lock; there
 * the first with result 0 becomes nursery->winner, and whoever ended it then cancels the
 * nursery. So there is one winner, even if two succeed at once, and it is the one that
 * cancelled the others. Errors do not cancel, as the nursery supervises; it keeps the
 * first.
 *
 * The winner may be found while children are still being spawned. The nursery takes no
 * more then; those that are left complete as if they had been spawned and cancelled before
 * they started. So a caller need not know how far it got.
 */
#include <linux/export.h>

#include "internal.h"

/* A look before anything is started. */
static int check(struct nursery_child *const *children, unsigned int nr)
{
	unsigned int i;

	if (!nr || nr > INT_MAX)
		return -EINVAL;
	for (i = 0; i < nr; i++)
		if (!children[i]->fn)
			return -EINVAL;
	for (i = 0; i < nr; i++) {
		if (!child_may_be_spawned(atomic_read(&children[i]->state)))
			return -EBUSY;
	}
	return 0;
}

/* Start all, or complete those that come too late. Return: 0; -EBUSY. */
static int start(struct nursery *n, struct nursery_child **children, unsigned int nr,
		 unsigned long from)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		err = nursery_admit(n, children[i], CHILD_LIVE | CHILD_TELLS, from);
		if (!err)
			nursery_child_launch(n, children[i], n->executor);
		else if (err == -ECANCELED)
			err = nursery_child_skip(n, children[i], from);
	}
	return err;
}

/**
 * __nursery_race - run children until one succeeds; use nursery_race(), nursery_race_below()
 * @key: lock class of this race
 * @parent: the calling child, or NULL
 * @children: the children
 * @nr: how many there are
 *
 * Context: Process context, may sleep.
 * Return: the winner's index, or an errno.
 */
int __nursery_race(struct lock_class_key *key, struct nursery_child *parent,
		   struct nursery_child **children, unsigned int nr)
{
	const struct nursery_params params = {
		.name = "race", .parent = parent, .flags = NURSERY_SUPERVISE,
		.executor = parent ? parent->nursery->executor : NULL,
	};
	struct nursery n;
	unsigned int i;
	int err;

	might_sleep();
	err = check(children, nr);
	if (err)
		return err;

	__nursery_init(&n, &params, key, "nursery:race");
	n.flags |= NURSERY_RACE;
	err = start(&n, children, nr, _RET_IP_);
	/* One is there twice, or was spawned by somebody else meanwhile. */
	if (err)
		nursery_cancel(&n, 0);
	nursery_join(&n);
	if (err)
		return err;

	/* Its done() may have freed it: the address is enough. */
	for (i = 0; i < nr && n.winner; i++)
		if (children[i] == n.winner)
			return i;
	if (nursery_cancelled(&n))
		return -ECANCELED;
	return n.error ?: -ECANCELED;
}
EXPORT_SYMBOL_GPL(__nursery_race);
