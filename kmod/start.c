// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start: a spawn that returns when the child says that it is ready.
 *
 * Theory of operation. A child that is being started carries CHILD_STARTING, until it says
 * that it is ready, or until its end. Both happen under nursery->lock, and there wake
 * who sleeps in nursery_start(). So the starter is woken once. It hears either that
 * the child is ready, and is a child like all others from then on; or how it ended.
 *
 * An end before that is the starter's affair alone: the error does not reach the nursery,
 * and done() is not called. So to its caller a start that failed is a spawn that failed: the
 * child is the caller's, whether or not its function ran (I4).
 *
 * The starter cannot help as a joiner does: the child may go on for as long as the
 * nursery. A queue of ours never lacks a worker for it. A caller's may: the starter may
 * even be what its only worker runs. So after a while it has a thread of ours run the
 * child, as joiners do that have no stack left (I5).
 *
 * To lockdep a start is no join: a child that is ready may take locks that the starter
 * holds. That it may not do so earlier is not found out.
 */
#include <linux/export.h>

#include "internal.h"

/*
 * A child ended that had not said that it is ready. This is the last access to it.
 *
 * Context: nursery->lock held.
 */
void nursery_start_failed(struct nursery *n, struct nursery_child *c, int result, bool cancelled)
{
	if (!result)
		result = cancelled ? -ECANCELED : -EPROTO;
	atomic64_or(NURSERY_UNSURE, &n->state);
	nursery_wake_waiters(n, &c->state, result);
}

/*
 * Nobody may be there to run the child: have a thread do so, unless it has been started.
 *
 * Context: The caller waits, by @w, for the child.
 */
static void rescue(struct nursery *n, struct nursery_child *c, struct nursery_waiter *w,
		   struct nursery_stand_in *thread)
{
	bool taken;

	/* Who has not been woken under the lock waits for a child that is there. */
	raw_spin_lock_irq(&n->lock);
	taken = !completion_done(&w->wake) && nursery_child_take(n, c, true);
	raw_spin_unlock_irq(&n->lock);
	if (!taken)
		return;
	/* It is ours to start, so the nursery stays. */
	nursery_offer_rest(n);
	thread->nursery = n;
	thread->child = c;
	nursery_stand_in(thread);
}

/**
 * nursery_start - start a child, and wait until it is ready
 * @n: the nursery
 * @c: the child, with a function that calls nursery_child_ready()
 *
 * For a child that serves others as long as the nursery is there: on return it does. When the
 * child has said that it is ready it belongs to @n as if by nursery_spawn(). If it ends
 * before, its result is returned here and is no error of @n: siblings are not
 * cancelled, and nursery_join() does not return it. After any error @c is the caller's
 * again and its done() is not called, whether or not its function ran.
 *
 * The child runs on the executor of @n and never inside this call. A caller that is
 * cancelled meanwhile waits on; if it is a child of @n, so is @c then, and should return. With
 * max_active a child of @n that starts another one waits for a place while it has
 * one itself.
 *
 * Context: Process context, may sleep.
 * Return: 0: it is ready. What nursery_spawn() returns: it was not spawned. Else the
 *	   child's error, or, if it returned 0 and never was ready, -ECANCELED if it
 *	   was cancelled and -EPROTO if not. -EDEADLK: max_active of @n is 1, and the
 *	   caller is its child, or runs below it.
 */
int nursery_start(struct nursery *n, struct nursery_child *c)
{
	unsigned long patience = HZ / 10 + 1;
	struct nursery_stand_in thread;
	struct nursery_waiter waiter;
	bool may_lack_workers;
	int err;

	might_sleep();
	if (!c->fn || !nursery_debug_known(n, "start", _RET_IP_))
		return -EINVAL;
	may_lack_workers = !n->executor->queue.limit && !(n->flags & NURSERY_NO_HELP);
	if (n->max_active == 1 && nursery_runs_here(n))
		return -EDEADLK;
	err = nursery_admit(n, c, CHILD_LIVE | CHILD_TELLS | CHILD_STARTING, _RET_IP_);
	if (err)
		return err;
	raw_spin_lock_irq(&n->lock);
	nursery_add_waiter(n, &waiter, &c->state);
	raw_spin_unlock_irq(&n->lock);
	nursery_child_launch(n, c, n->executor);

	/* It may also be that the child is started and takes long: look less and less often. */
	for (; may_lack_workers && !wait_for_completion_timeout(&waiter.wake, patience);
	     patience = min_t(unsigned long, 2 * patience, MAX_JIFFY_OFFSET))
		rescue(n, c, &waiter, &thread);
	if (!may_lack_workers)
		wait_for_completion(&waiter.wake);
	return waiter.result;
}
EXPORT_SYMBOL_GPL(nursery_start);

/**
 * nursery_child_ready - tell the starter of this child that it may go on
 * @c: the child
 *
 * What was done before is seen by whoever nursery_start() returns to. Does nothing when
 * called again, or for a child that was spawned: one function serves for both.
 *
 * Context: Any, while the child cannot finish: from its function, or while that waits.
 */
void nursery_child_ready(struct nursery_child *c)
{
	struct nursery *n = c->nursery;
	unsigned long flags;

	/* Cleared here alone, but for the end. */
	if (!(atomic_read(&c->state) & CHILD_STARTING))
		return;
	raw_spin_lock_irqsave(&n->lock, flags);
	if (atomic_fetch_andnot(CHILD_STARTING, &c->state) & CHILD_STARTING)
		nursery_wake_waiters(n, &c->state, 0);
	raw_spin_unlock_irqrestore(&n->lock, flags);
}
EXPORT_SYMBOL_GPL(nursery_child_ready);
