// SPDX-License-Identifier: GPL-2.0-only
/*
 * A join that no thread waits in.
 *
 * Theory of operation. nursery_join_async() marks the nursery as one whose joiner sleeps
 * for ever: WAITING, and ASYNC. Who counts the last child down takes WAITING, as it would to
 * wake a joiner, and puts the nursery on a list. That may be in any context; a work item
 * then does what is left of a join: close the nursery, release what it owns, take it out of
 * the tree, and call done(). If somebody has spawned meanwhile the nursery does not close.
 * It then waits anew, and the work item goes on with another one. Between the two
 * nobody else touches the nursery: who set WAITING, or took it, is the only one to go on.
 *
 * Releases and done() are the users', and may sleep, or even wait for the end of another
 * nursery on the list. So there are several work items, and each nursery that comes gets
 * one that is idle. While none is, those that are not blocked go on.
 *
 * Nobody helps the children: they are up to their executor (I5). Such a scope may be on the
 * way to free memory (R9), so our queue has a thread in reserve and needs no memory.
 *
 * An outer nursery counts one that is joined in this way like a child, until done() has
 * returned, as no function of its own waits for it any more (I1).
 */
#include <linux/bitops.h>
#include <linux/export.h>
#include <linux/sched.h>

#include "internal.h"

#define ITEMS	BITS_PER_LONG

static struct {
	raw_spinlock_t		lock;		/* all but @wq and @items; inside all others */
	struct llist_node	*first;		/* nurseries, by ended ... */
	struct llist_node	**last;		/* ... in order */
	unsigned long		idle;		/* of @items, as bits: to be queued */
	struct workqueue_struct	*wq;
	struct work_struct	items[ITEMS];
} ends = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(ends.lock),
	.last = &ends.first,
	.idle = ~0UL,
};

/*
 * A nursery that is joined without a joiner has no children left: see to the rest.
 *
 * Context: Any. The caller has taken WAITING, or the nursery never had it. It may be gone
 * afterwards.
 */
void nursery_join_later(struct nursery *n)
{
	struct work_struct *item = NULL;
	unsigned long flags;

	n->ended.next = NULL;
	raw_spin_lock_irqsave(&ends.lock, flags);
	*ends.last = &n->ended;
	ends.last = &n->ended.next;
	if (ends.idle) {
		item = &ends.items[__ffs(ends.idle)];
		ends.idle &= ends.idle - 1;
	}
	raw_spin_unlock_irqrestore(&ends.lock, flags);
	if (item)
		queue_work(ends.wq, item);
}

/* The next nursery; or NULL, and the item is idle. */
static struct nursery *next_ended(struct work_struct *item)
{
	struct llist_node *node;

	raw_spin_lock_irq(&ends.lock);
	node = ends.first;
	if (node) {
		ends.first = node->next;
		if (!ends.first)
			ends.last = &ends.first;
	} else {
		ends.idle |= BIT(item - ends.items);
	}
	raw_spin_unlock_irq(&ends.lock);
	return node ? llist_entry(node, struct nursery, ended) : NULL;
}

/* Have it joined when no children are counted: now, or by who counts the last one down. */
static void wait_for_children(struct nursery *n)
{
	s64 old = atomic64_read(&n->state);

	do {
		/* As in sleep() of scope.c. */
		if (nursery_is_stuck(n, &old) || !nursery_count(old)) {
			nursery_join_later(n);
			return;
		}
	} while (!atomic64_try_cmpxchg(&n->state, &old, old | NURSERY_WAITING));
}

/* The outer nursery, which counts @n. With a parent it is that child's affair to wait. */
static struct nursery *outer_of(const struct nursery *n)
{
	return nursery_parent(n) ? NULL : nursery_up(n);
}

static void join(struct nursery *n)
{
	void (*done)(struct nursery *n, int err) = n->joined;
	struct nursery *outer = outer_of(n);
	s64 state;
	int err;

	if (!nursery_close(n, 0)) {
		state = atomic64_read(&n->state);
		if (nursery_is_stuck(n, &state))
			nursery_abandon(n);
		wait_for_children(n);
		return;
	}
	err = nursery_end(n);
	done(n, err);
	if (outer)
		nursery_uncount(outer, 1);
}

static void join_ended(struct work_struct *item)
{
	struct nursery *n;

	while ((n = next_ended(item))) {
		join(n);
		/* There may be no end of them. */
		cond_resched();
	}
}

/**
 * nursery_join_async - have a nursery joined when all children have finished
 * @n: the nursery, which nobody joins
 * @done: called with the result of the join, last: it may free @n, or initialise it
 *	again. It may sleep
 *
 * Returns at once; no thread waits meanwhile, and nothing is allocated. Until the last child has
 * finished, children may spawn siblings. Then, in process context, everything that the
 * nursery owned is released, it leaves the tree, and @done is called.
 *
 * There is no joiner that runs children: they wait until their executor has a worker for
 * them. nursery_join() may be called meanwhile, too, and returns before @done is called.
 * With .outer, the join of the outer nursery waits until @done has returned; with .parent,
 * that child must not finish before @done has been called.
 *
 * Once for each nursery: joined a second time in this way, or after nursery_join() has been
 * called, it is reported, and @done is not called.
 *
 * Context: Any, children of @n included.
 */
void nursery_join_async(struct nursery *n, void (*done)(struct nursery *n, int err))
{
	struct nursery *outer = outer_of(n);

	if (WARN_ONCE(atomic64_fetch_or(NURSERY_JOINING, &n->state) & NURSERY_JOINING,
		      "nursery: \"%s\" is joined by %pS, and by somebody else\n", n->name,
		      __builtin_return_address(0)))
		return;
	if (outer)
		WARN_ON_ONCE(nursery_keep(outer));
	/* Nobody asks for the next child any more: what @joined shares its place with is over. */
	if (atomic64_fetch_or(NURSERY_ASYNC, &n->state) & NURSERY_COLLECTS)
		nursery_collect_end(n);
	/* Read by who takes WAITING, which comes after. */
	n->joined = done;
	wait_for_children(n);
}
EXPORT_SYMBOL_GPL(nursery_join_async);

int nursery_join_async_start(void)
{
	unsigned int i;

	for (i = 0; i < ITEMS; i++)
		INIT_WORK(&ends.items[i], join_ended);
	ends.wq = alloc_workqueue("nursery_join", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_MAX_ACTIVE);
	return ends.wq ? 0 : -ENOMEM;
}

/* All nurseries have been joined; a work item may still be about to see that. */
void nursery_join_async_stop(void)
{
	destroy_workqueue(ends.wq);
}
