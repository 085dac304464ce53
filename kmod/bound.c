// SPDX-License-Identifier: GPL-2.0-only
/*
 * max_active: how many function children of a nursery run at once.
 *
 * Those that have to wait do so in nursery->ready, in order. One gets a place when it is
 * taken to be run, and its worker gives that back after done(): nursery->nr_active. So a
 * child whose done() is still running counts among those that run.
 *
 * For nursery_try_spawn() there is a second count. A child claims a place from its spawn on,
 * whether it waits or runs. The claim ends earlier, with the child or when it parks:
 * nursery->nr_claims. So who has seen that a child has finished, be it in its done(), finds
 * that there is room for another.
 *
 * With NURSERY_KEEP_PLACES a child that parks keeps both until it has finished. When it is to be
 * run again it does not queue here, as it has its place, but is given to the nursery's
 * executor at once.
 *
 * Both counts and the list are under nursery->lock. Services, external children and nested
 * nurseries neither claim nor take a place; a nursery without a bound has none of all this.
 */
#include "internal.h"

/* With a bound: @c wants a place, or is given one. Context: nursery->lock held. */
void nursery_child_claim(struct nursery *n, struct nursery_child *c)
{
	if (!(atomic_fetch_or(CHILD_CLAIMS, &c->state) & CHILD_CLAIMS))
		n->nr_claims++;
}

/* It parks: it wants none for now, or keeps it. Context: nursery->lock held, @c has run. */
void nursery_child_leave_place(struct nursery *n, struct nursery_child *c)
{
	if (!n->max_active || child_is_service(c))
		return;
	if (n->flags & NURSERY_KEEP_PLACES)
		n->nr_active++;		/* its worker is about to give one back */
	else if (atomic_fetch_andnot(CHILD_CLAIMS, &c->state) & CHILD_CLAIMS)
		n->nr_claims--;
}

/*
 * With a bound: children whose turn it is and whose executor takes them one by one.
 *
 * Context: nursery->lock held.
 */
void nursery_submit_waiting(struct nursery *n)
{
	bool some = false;

	while (n->max_active && !list_empty(&n->ready) && nursery_has_place(n)) {
		struct nursery_child *c = list_first_entry(&n->ready, struct nursery_child, node);

		if (nursery_is_chained(n, c->executor))
			break;
		list_del(&c->node);
		nursery_child_submit(n, c, c->executor);
		some = true;
	}
	if (some)
		nursery_wake_to_help(n);
}

/* What is not pushed on the inbox of the nursery. Context: nursery->lock held, @c LIVE. */
void nursery_child_queue(struct nursery *n, struct nursery_child *c,
			 const struct nursery_executor *e)
{
	if (!nursery_takes_place(n, c)) {
		nursery_child_submit(n, c, e);
		if (nursery_has_kept_place(n, c))
			nursery_wake_to_help(n);
		return;
	}
	nursery_child_claim(n, c);
	child_set_phase(c, CHILD_WAITS);
	c->executor = e;
	list_add_tail(&c->node, &n->ready);
	nursery_submit_waiting(n);
}
