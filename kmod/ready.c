// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that are to be started: nursery->ready and workers' batches.
 *
 * A worker that came back to the nursery for every child would pull the
 * nursery's cache line from one CPU to another for each, which costs more than
 * many a child. So children are handed out in chunks of up to CHUNK, and taking a
 * chunk is one list operation, however many are in it: nursery->ready is a list
 * of the first child of each chunk, and the children of a chunk are in a ring.
 * The spawner adds to the last chunk while that has room and has not been taken.
 *
 * A chunk becomes the batch of the worker that took it. The worker starts its
 * children one by one, in order; until then others may still take half of what is
 * left, cancel it, or take one out by name. So a child that blocks stalls nobody
 * behind it.
 *
 * With a bound (max_active) each place that becomes free is given to one child:
 * there nursery->ready is a plain list in the order of spawning, and what would be
 * the ring keeps the executor that the child was spawned on.
 */
#include <linux/prefetch.h>

#include "internal.h"

/* Enough to make the hand-over cheap: it costs about as much as twenty empty children. */
#define CHUNK	32

/* Context: nursery->lock held. */
void nursery_ready_add(struct nursery *n, struct nursery_child *c)
{
	struct nursery_child *first;

	if (n->max_active) {
		list_add_tail(&c->node, &n->ready);
		return;
	}
	if (!list_empty(&n->ready)) {
		first = list_last_entry(&n->ready, struct nursery_child, node);
		if (first->chunk < CHUNK) {
			first->chunk++;
			c->node.next = NULL;	/* not the first of a chunk */
			list_add_tail(&c->ring, &first->ring);
			return;
		}
	}
	c->chunk = 1;
	INIT_LIST_HEAD(&c->ring);
	list_add_tail(&c->node, &n->ready);
}

/* The oldest chunk; with a bound, the oldest child. Context: nursery->lock held, not empty. */
struct nursery_child *nursery_ready_take(struct nursery *n)
{
	struct nursery_child *c = list_first_entry(&n->ready, struct nursery_child, node);

	list_del(&c->node);
	if (n->max_active)
		INIT_LIST_HEAD(&c->ring);
	return c;
}

/* Take the first child out of a ring. Context: the ring is the caller's, or locked. */
struct nursery_child *nursery_ring_pop(struct nursery_child **ring)
{
	struct nursery_child *c = *ring;

	if (list_empty(&c->ring)) {
		*ring = NULL;
		return c;
	}
	*ring = list_next_entry(c, ring);
	prefetchw(*ring);
	__list_del_entry(&c->ring);
	return c;
}

/* Take the younger half out of a ring; of one child, that. Context: the ring is locked. */
struct nursery_child *nursery_ring_split(struct nursery_child **ring)
{
	struct list_head *first = &(*ring)->ring, *last = first->prev, *at = first, *pos;
	struct nursery_child *half;
	unsigned int more = 0;

	list_for_each(pos, first)
		more++;
	if (!more) {
		half = *ring;
		*ring = NULL;
		return half;
	}
	for (more /= 2; more; more--)
		at = at->next;
	/* What is up to @at stays, what is behind it becomes a ring of its own. */
	half = list_entry(at->next, struct nursery_child, ring);
	half->ring.prev = last;
	last->next = &half->ring;
	at->next = first;
	first->prev = at;
	return half;
}

/* Take @c out of the ring, if it is there. Context: the ring is locked. */
static bool ring_remove(struct nursery_child **ring, struct nursery_child *c)
{
	struct list_head *pos;

	if (!*ring)
		return false;
	if (*ring == c) {
		nursery_ring_pop(ring);
		return true;
	}
	list_for_each(pos, &(*ring)->ring) {
		if (pos == &c->ring) {
			list_del(pos);
			return true;
		}
	}
	return false;
}

static void ready_remove(struct nursery *n, struct nursery_child *c)
{
	if (n->max_active) {
		list_del(&c->node);
		return;
	}
	if (c->node.next) {
		struct nursery_child *next = list_next_entry(c, ring);

		if (next == c) {
			list_del(&c->node);
			return;
		}
		next->chunk = c->chunk;
		list_replace(&c->node, &next->node);
	}
	list_del(&c->ring);
}

static void take_out(struct nursery_child *c)
{
	INIT_LIST_HEAD(&c->ring);
	atomic_set(&c->state, (atomic_read(&c->state) & ~CHILD_PHASE) | CHILD_ENDING);
}

/*
 * Take one child back before it is started: then it is the caller's, in phase
 * ENDING, to start or to end. Looks through the batches, whose number is that of
 * the workers and whose size is that of a chunk.
 *
 * Context: nursery->lock held, @c not finished.
 * Return: whether it worked. Not, if it has been started or is being cancelled.
 */
bool nursery_unqueue(struct nursery *n, struct nursery_child *c)
{
	struct nursery_worker *w;
	bool found = false;

	hlist_for_each_entry(w, &n->workers, node) {
		raw_spin_lock(&w->lock);
		found = ring_remove(&w->batch, c);
		if (found)
			take_out(c);
		raw_spin_unlock(&w->lock);
		if (found)
			return true;
	}
	/*
	 * In no batch, and none gets into one while we hold the lock. What a cancel
	 * of the nursery took away is still QUEUED until it has been ended.
	 */
	if (child_phase(atomic_read(&c->state)) != CHILD_QUEUED || n->state & NURSERY_CANCELLED)
		return false;
	ready_remove(n, c);
	take_out(c);
	return true;
}
