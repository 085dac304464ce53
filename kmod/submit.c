// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that are handed to an executor one by one.
 *
 * An executor of ours takes children from the nursery, a chunk at a time, and is not told of
 * each (queue.c). All others are: an executor of the caller's, and one that is not the
 * nursery's own. Such a child is in nursery->others, SUBMITTED, until somebody calls
 * nursery_runner_run() for it, or until it is taken back: by a joiner, to run it, or by
 * a cancel, to end it. Which of them it is, the executor's retract() settles.
 *
 * The executor may have to wait for what the joiner does. So a joiner takes back what it
 * can, and one that has no room on its stack has that run by threads (I5).
 */
#include <linux/export.h>

#include "internal.h"

/* Give a child to an executor that takes them one by one. Context: nursery->lock held. */
void nursery_child_submit(struct nursery *n, struct nursery_child *c,
			  const struct nursery_executor *e)
{
	c->executor = e;
	child_set_phase(c, CHILD_SUBMITTED);
	hlist_add_head(&c->other, &n->others);
	if (nursery_takes_place(n, c))
		n->nr_active++;
	e->ops->submit(e, &c->runner);
}

/* A joiner that slept may have somebody to help now. Context: Any; submitted, counted. */
void nursery_wake_to_help(struct nursery *n)
{
	/* What was submitted, then the look at the flag: the joiner does the reverse. */
	smp_mb();
	if (!(n->flags & NURSERY_NO_HELP))
		nursery_wake_joiner(n);
}

/* Can a joiner take it back, to run it, or to give it to a thread? nursery->lock held. */
static bool may_retract(const struct nursery_child *c, bool for_threads)
{
	return child_phase(atomic_read(&c->state)) == CHILD_SUBMITTED && !child_is_service(c) &&
	       c->executor->ops->retract &&
	       !(for_threads && c->executor == nursery_executor_thread);
}

bool nursery_has_submitted(struct nursery *n, bool for_threads)
{
	struct nursery_child *c;
	bool some = false;

	if (hlist_empty(&n->others))
		return false;
	raw_spin_lock_irq(&n->lock);
	hlist_for_each_entry(c, &n->others, other)
		some |= may_retract(c, for_threads);
	raw_spin_unlock_irq(&n->lock);
	return some;
}

/*
 * Take a child back from an executor that was given it: then it is the caller's, LIVE,
 * and its place below max_active still taken. Context: nursery->lock held.
 */
bool nursery_child_retract(struct nursery *n, struct nursery_child *c)
{
	const struct nursery_executor *e = c->executor;

	if (!e->ops->retract || !e->ops->retract(e, &c->runner))
		return false;
	hlist_del(&c->other);
	c->handlers = NULL;
	c->pins = 0;
	child_set_phase(c, CHILD_LIVE);
	return true;
}

/*
 * What other executors have been given and have not started is for threads to start.
 *
 * Return: whether they gave back all that they can.
 */
bool nursery_submit_to_threads(struct nursery *n)
{
	struct nursery_child *c;
	struct hlist_node *next;
	bool all = true;

	raw_spin_lock_irq(&n->lock);
	hlist_for_each_entry_safe(c, next, &n->others, other) {
		if (!may_retract(c, true))
			continue;
		if (!nursery_child_retract(n, c)) {
			all = false;
			continue;
		}
		if (nursery_takes_place(n, c))
			n->nr_active--;
		nursery_child_submit(n, c, nursery_executor_thread);
	}
	raw_spin_unlock_irq(&n->lock);
	return all;
}

/* A child that was given to an executor is started by @w. Context: nursery->lock held. */
void nursery_child_start(struct nursery *n, struct nursery_worker *w, struct nursery_child *c)
{
	hlist_del(&c->other);
	c->handlers = NULL;
	c->pins = 0;
	child_set_phase(c, CHILD_LIVE);
	nursery_worker_give(w, c);
}

/**
 * nursery_runner_run - run the child that an executor was given
 * @r: what nursery_executor_ops.submit was given, and retract did not take back
 *
 * For executors of callers. On return @r is gone.
 *
 * Context: Process context, no locks held.
 */
void nursery_runner_run(struct nursery_runner *r)
{
	struct nursery_child *c = container_of(r, struct nursery_child, runner);
	struct nursery *n = c->nursery;
	struct nursery_worker w;

	nursery_worker_init(&w, n->executor);
	raw_spin_lock_irq(&n->lock);
	nursery_worker_add(n, &w);
	nursery_child_start(n, &w, c);
	raw_spin_unlock_irq(&n->lock);

	nursery_worker_run(n, &w);
	nursery_worker_over(n, &w);
	nursery_offer_rest(n);
	nursery_worker_leave(n, &w);
}
EXPORT_SYMBOL_GPL(nursery_runner_run);
