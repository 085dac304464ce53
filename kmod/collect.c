// SPDX-License-Identifier: GPL-2.0-only
/*
 * Collecting: finished children, one by one, as they finish.
 *
 * A nursery with NURSERY_COLLECT keeps those that have finished in a list, until
 * nursery_next() hands them out. Its children tell of their end (CHILD_TELLS), so they
 * are put there under nursery->lock; the flag stays with a finished child as long as
 * it is in the list, and a spawn refuses it. The list is a ring of which the nursery
 * knows the last, linked where children are that are to be started.
 *
 * Who asks for the next does meanwhile what a joiner does: it runs children, and sleeps
 * while there is nothing to run. It is woken as a joiner is, and also, as NEXT says, for a
 * child that has come into the list.
 */
#include <linux/export.h>
#include <linux/sched.h>

#include "internal.h"

/* A child has finished. Context: nursery->lock held; who ends it does not touch it again. */
void nursery_collect(struct nursery *n, struct nursery_child *c)
{
	struct llist_node *last = n->collected;

	c->link.next = last ? last->next : &c->link;
	if (last)
		last->next = &c->link;
	/* The caller of nursery_next() looks without the lock. */
	WRITE_ONCE(n->collected, &c->link);
	if (atomic64_read(&n->state) & NURSERY_NEXT)
		nursery_wake_joiner(n);
}

/* Take the first out; it is the caller's. Context: Process context, or any and closed. */
static struct nursery_child *take_first(struct nursery *n)
{
	struct nursery_child *c = NULL;
	struct llist_node *last;
	unsigned long flags;

	raw_spin_lock_irqsave(&n->lock, flags);
	last = n->collected;
	if (last) {
		c = nursery_linked(last->next);
		if (&c->link == last)
			WRITE_ONCE(n->collected, NULL);
		else
			last->next = c->link.next;
		/* From here on it may be spawned again. */
		atomic_fetch_andnot_release(CHILD_TELLS, &c->state);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return c;
}

/* Nobody asks for those that are left. Context: Any; nothing is collected any more. */
void nursery_collect_end(struct nursery *n)
{
	while (take_first(n))
		;
}

/* nursery_work() is over if there is one, or none will come. */
static bool next_is_known(struct nursery *n, struct nursery_worker *w)
{
	s64 state = atomic64_read(&n->state);

	return nursery_count(state) == w->finished || READ_ONCE(n->collected);
}

/**
 * nursery_next - wait for the next child to finish
 * @n: the nursery, with %NURSERY_COLLECT, which nobody joins
 *
 * Children come once each, in the order in which they finished: those that failed, were
 * cancelled, or never started as well. Those with a done() do not come, as they
 * have told already; nor does one whose nursery_start() failed. Runs queued children in the
 * caller's context meanwhile, as nursery_join() does.
 *
 * What comes is the caller's: it may be freed, or spawned again. What does not, as nobody asks,
 * is when nursery_join() has returned. One caller at a time.
 *
 * Context: Process context, may sleep; not from a child of @n.
 * Return: a finished child, whose result is that of nursery_child_join(); NULL: all that
 *	   were spawned have come, but for services. More may be spawned, and asked for.
 */
struct nursery_child *nursery_next(struct nursery *n)
{
	struct nursery_child *c;

	might_sleep();
	if (!nursery_debug_known(n, "wait for the next child", _RET_IP_))
		return NULL;
	c = take_first(n);
	if (c || atomic64_read(&n->state) & NURSERY_CLOSED)
		return c;
	if (WARN_ONCE(nursery_runs_here(n),
		      "nursery: a child of \"%s\" waits for the next to finish\n", n->name))
		return NULL;
	if (nursery_dep_acquire(n))
		nursery_dep_release(n);
	atomic64_or(NURSERY_NEXT, &n->state);
	nursery_work(n, next_is_known);
	atomic64_andnot(NURSERY_NEXT, &n->state);
	return take_first(n);
}
EXPORT_SYMBOL_GPL(nursery_next);
