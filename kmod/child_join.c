// SPDX-License-Identifier: GPL-2.0-only
/*
 * To wait for one child.
 *
 * Who waits for a child that has not been started takes it out of where it waits, and runs
 * it; who cancels just one takes it out alike, and ends it. Whoever has taken it is the
 * only one who does either. If it has been started the joiner sleeps on a waiter of its
 * own, which the child's end finds by CHILD_WAITED.
 *
 * The joiner has nothing but a pointer to the child, so it holds the child until it has
 * either taken it or is in the list of waiters: meanwhile the child does not end, and its
 * nursery stays.
 *
 * A child that has been started has a worker, until it parks. To run it again takes one anew,
 * and a caller's queue may have none: the only one may be who waits here. So there the joiner
 * looks again after a while, and has a thread of ours run the child if it is queued, or due
 * and still parked (I5).
 */
#include <linux/export.h>

#include "internal.h"

/* Take it out of what workers have not started. Context: nursery->lock held. */
static bool take_from_workers(struct nursery *n, struct nursery_child *c)
{
	struct llist_node *list, **at;
	struct nursery_worker *w;
	bool found = false;

	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		list = nursery_worker_disown(w);
		for (at = &list; *at && !found; ) {
			if (*at == &c->link) {
				*at = c->link.next;
				found = true;
			} else {
				at = &(*at)->next;
			}
		}
		if (list)
			nursery_ready_put(n, list);
		if (found)
			break;
	}
	return found;
}

/*
 * Take a child that has not been started, or is to be run again, to run it or to end it: then
 * it is the caller's, LIVE. With a bound, to run it must be its turn, and it gets the place.
 *
 * Context: nursery->lock held, the child not finished. The nursery is to be offered
 * afterwards.
 * Return: whether it worked. Not, if it has been started, or is being cancelled.
 */
bool nursery_child_take(struct nursery *n, struct nursery_child *c, bool to_run)
{
again:
	switch (child_phase(atomic_read(&c->state))) {
	case CHILD_LIVE:
		return !n->max_active &&
		       (nursery_ready_remove(n, c) || take_from_workers(n, c));
	case CHILD_WAITS:
		if (to_run && (!nursery_has_place(n) ||
			       list_first_entry(&n->ready, struct nursery_child, node) != c))
			return false;
		list_del(&c->node);
		if (to_run)
			n->nr_active++;
		c->handlers = NULL;
		c->pins = 0;
		child_set_phase(c, CHILD_LIVE);
		return true;
	case CHILD_SUBMITTED:
		if (!nursery_child_retract(n, c))
			return false;
		if (nursery_takes_place(n, c) && !to_run)
			n->nr_active--;
		return true;
	case CHILD_PARKED:
		if (!to_run)
			return nursery_parked_remove(n, c);
		if (!nursery_parked_take_due(n, c))
			return false;
		if (!n->max_active)
			return true;
		nursery_child_queue(n, c, n->executor);
		goto again;
	}
	return false;
}

/* Is @w in the list, so that nobody has woken it? Context: nursery->lock held. */
static bool is_waiting(const struct nursery *n, const struct nursery_waiter *w)
{
	const struct nursery_waiter *at = n->waiters;

	while (at && at != w)
		at = at->next;
	return at;
}

/*
 * The caller waits for @c, by @w, and nobody may be there to run it again. If it is to be,
 * have a thread do so. Its memory stays until the caller has returned.
 *
 * Return: whether a thread does.
 */
static bool look_again(struct nursery_child *c, const struct nursery_waiter *w,
		       struct nursery_stand_in *thread)
{
	struct nursery *n;
	bool taken;

	local_irq_disable();
	n = nursery_child_hold_unfinished(c);
	if (!n) {
		local_irq_enable();
		return false;
	}
	raw_spin_lock(&n->lock);
	/* If not, it has finished, and this is another life of it. */
	taken = is_waiting(n, w) && nursery_child_take(n, c, true);
	raw_spin_unlock(&n->lock);
	nursery_offer_rest(n);
	if (taken) {
		thread->nursery = n;
		thread->child = c;
		nursery_stand_in(thread);
	}
	nursery_child_release(c);
	local_irq_enable();
	return taken;
}

/* How long a joiner of one child sleeps before it looks for the first time. */
#define PATIENCE	(HZ / 10 + 1)

/**
 * nursery_child_join - wait for one child
 * @c: the child. Not one whose done() frees it.
 *
 * Runs the child here if it is still queued. If it has parked, and its executor has nobody
 * to run it again, a thread of the core does after a while. done() may still be running on
 * return; only nursery_join() waits for it. Where several join one child, it may be
 * freed or initialised anew when all have returned. Two children that wait for each other
 * are not found out, nor is one that waits for a sibling which max_active holds
 * back.
 *
 * Context: Process context, may sleep.
 * Return: the child's result; -ETIMEDOUT if it was abandoned, see nursery_set_quiesce();
 *	   -EINVAL if it was never spawned; -EDEADLK if the
 *	   caller is the child, or runs below it.
 */
int nursery_child_join(struct nursery_child *c)
{
	struct nursery_stand_in thread;
	struct nursery_waiter waiter;
	bool taken, may_lack_workers;
	unsigned long patience;
	unsigned int phase;
	struct nursery *n;

	might_sleep();
	nursery_dep_join_child(c);

again:
	local_irq_disable();
	phase = nursery_child_hold(c);
	if (phase == CHILD_IDLE || phase == CHILD_DONE) {
		local_irq_enable();
		/* If it is spawned again at this moment, of this life or the next. */
		return phase == CHILD_IDLE ? -EINVAL : READ_ONCE(c->result);
	}
	n = c->nursery;
	if (nursery_child_runs_here(c)) {
		nursery_child_release(c);
		local_irq_enable();
		return -EDEADLK;
	}
	raw_spin_lock(&n->lock);
	if (nursery_child_is_stuck(n, c)) {
		atomic64_add(NURSERY_COUNT, &n->state);
		raw_spin_unlock(&n->lock);
		nursery_child_release(c);
		local_irq_enable();
		nursery_child_abandon(n, c);
		goto again;
	}
	/* A service may not end before its joiner does. */
	taken = !child_is_service(c) && nursery_child_take(n, c, true);
	if (taken && nursery_room_to_help()) {
		raw_spin_unlock(&n->lock);
		nursery_offer_rest(n);
		nursery_child_release(c);
		local_irq_enable();
		/* Ours and not counted, so the nursery stays. */
		if (!nursery_child_run_here(n, c))
			goto again;
		return READ_ONCE(c->result);
	}
	/* Held, so it has not finished: its end will see that we wait. */
	atomic_or(CHILD_WAITED, &c->state);
	nursery_add_waiter(n, &waiter, c);
	waiter.looks = !c->fn;
	may_lack_workers = c->fn && !child_is_service(c) && !n->executor->queue.limit;
	raw_spin_unlock(&n->lock);
	nursery_offer_rest(n);
	if (taken) {
		/* No room on this stack. */
		thread.nursery = n;
		thread.child = c;
		nursery_stand_in(&thread);
	}
	nursery_child_release(c);
	local_irq_enable();
	/* It may also be that the child takes long: look less and less often. */
	patience = PATIENCE;
	while (may_lack_workers && !wait_for_completion_timeout(&waiter.wake, patience)) {
		if (look_again(c, &waiter, &thread))
			patience = PATIENCE;
		else
			patience = min_t(unsigned long, 2 * patience, MAX_JIFFY_OFFSET);
	}
	if (!may_lack_workers)
		wait_for_completion(&waiter.wake);
	if (unlikely(waiter.look))
		goto again;
	return waiter.result;
}
EXPORT_SYMBOL_GPL(nursery_child_join);
