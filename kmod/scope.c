// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scope: init and join.
 *
 * Theory of operation. A nursery counts its children that have not finished. The
 * count only falls under nursery->lock, as the last thing that who ended a child, or
 * many, does with the nursery, and the joiner reads it under the same lock. So when
 * the joiner has seen zero, the last of them has let go of the lock and nobody but
 * the joiner will touch the nursery again: it may lie on the joiner's stack.
 *
 * The joiner does not wait for what it can do itself. It is a worker like others
 * (worker.c): it takes children and runs them in its own context, and sleeps only
 * while all that are left have been started elsewhere. So no join depends on a free
 * worker (I5). Where half of its stack is used, as in a nursery in a nursery in a
 * nursery, it leaves its children to threads, of which there is one for each that
 * blocks. It goes on as long as children spawn siblings; the moment at which it finds
 * none left closes the nursery, under the lock that spawn takes, so a spawn either is
 * joined or is refused.
 *
 * Then, in this order: the deadline is taken back, what the nursery owns is
 * released, last in first out (I2), and the nursery leaves the tree, after which
 * no cancel and no listing can find it.
 */
#include <linux/export.h>

#include "internal.h"
#include "trace.h"

/**
 * __nursery_init - open a scope; use nursery_init()
 * @n: the nursery
 * @params: how it is to behave; NULL for all defaults
 * @key: lock class of this kind of nursery
 * @key_name: its name
 *
 * Context: Any.
 */
void __nursery_init(struct nursery *n, const struct nursery_params *params,
		    struct lock_class_key *key, const char *key_name)
{
	static const struct nursery_params defaults;

	if (!params)
		params = &defaults;

	raw_spin_lock_init(&n->lock);
	n->state = params->flags & NURSERY_USER_FLAGS;
	n->nr_children = 0;
	n->nr_active = 0;
	n->max_active = params->max_active;
	n->nr_resources = 0;
	n->error = 0;
	n->cause = 0;
	INIT_LIST_HEAD(&n->ready);
	INIT_HLIST_HEAD(&n->others);
	INIT_HLIST_HEAD(&n->workers);
	n->waiters = NULL;
	n->resources = NULL;
	n->executor = params->executor ?: nursery_executor_unbound;
	INIT_LIST_HEAD(&n->listed);
	timerqueue_init(&n->deadline);
	n->deadline.expires = KTIME_MAX;
	n->name = params->name ?: "nursery";
	nursery_tree_add(n, params->parent, params->outer);
	nursery_dep_init(n, key, key_name);
	trace_nursery_open(n);

	if (params->timeout)
		nursery_set_deadline(n, ktime_add_safe(ktime_get(), params->timeout));
}
EXPORT_SYMBOL_GPL(__nursery_init);

/* Context: nursery->lock held. */
void nursery_add_waiter(struct nursery *n, struct nursery_waiter *w, const void *key)
{
	w->key = key;
	w->next = n->waiters;
	init_completion(&w->wake);
	n->waiters = w;
}

/*
 * Wake who waits for @key, and say whether there was anybody. complete() is a full
 * barrier and takes the lock that the sleeper takes before it leaves, so @w may lie
 * on the sleeper's stack.
 *
 * Context: nursery->lock held.
 */
bool nursery_wake_waiters(struct nursery *n, const void *key, int result)
{
	struct nursery_waiter **at = &n->waiters, *w;
	bool woke = false;

	while ((w = *at)) {
		if (w->key != key) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->result = result;
		complete(&w->wake);
		woke = true;
	}
	return woke;
}

/* What join returns (I7). Context: the nursery is closed. */
int nursery_result(const struct nursery *n)
{
	if (n->error)
		return n->error;
	return n->state & NURSERY_CANCELLED ? n->cause : 0;
}

/* One of those that an executor was given one by one. Context: nursery->lock held. */
static bool take_submitted(struct nursery *n, struct nursery_worker *w)
{
	struct nursery_child *c;

	hlist_for_each_entry(c, &n->others, other) {
		if (child_phase(atomic_read(&c->state)) == CHILD_SUBMITTED &&
		    nursery_child_retract(n, c)) {
			nursery_worker_start(n, w, c);
			return true;
		}
	}
	return false;
}

/* The same, but to have threads run them all. Context: nursery->lock held. */
static void leave_to_threads(struct nursery *n)
{
	struct nursery_child *c;
	struct hlist_node *next;

	hlist_for_each_entry_safe(c, next, &n->others, other) {
		if (child_phase(atomic_read(&c->state)) != CHILD_SUBMITTED ||
		    !nursery_child_retract(n, c))
			continue;
		if (n->max_active) {
			n->nr_active--;
			c->executor = nursery_executor_thread;
		}
		atomic_set(&c->state, (atomic_read(&c->state) & ~CHILD_PHASE) | CHILD_QUEUED);
		nursery_ready_add(n, c);
	}
	if (!list_empty(&n->ready))
		nursery_queue_move(n);
	nursery_offer(n);
}

/*
 * Find something to run, or leave it to others.
 *
 * Context: nursery->lock held.
 */
static bool help(struct nursery *n, struct nursery_worker *w)
{
	const struct nursery_executor *e = n->executor;

	if (n->state & NURSERY_NO_HELP)
		return false;
	if (!nursery_room_to_help()) {
		leave_to_threads(n);
		return false;
	}
	if (!nursery_worker_take(n, w))
		return take_submitted(n, w);
	/* It may block: somebody is to come for the others. */
	if (nursery_is_queue(e) && nursery_worker_leaves_some(n, w) &&
	    !READ_ONCE(e->queue.due))
		nursery_queue_kick(e);
	return true;
}

/* Run or wait for children until there are none, then close the nursery. */
static void wait_for_children(struct nursery *n)
{
	struct nursery_waiter waiter;
	struct nursery_worker w;

	nursery_worker_init(&w);
	raw_spin_lock_irq(&n->lock);
	for (;;) {
		if (n->nr_children != w.finished && help(n, &w)) {
			raw_spin_unlock_irq(&n->lock);
			nursery_worker_run(n, &w);
			raw_spin_lock_irq(&n->lock);
			nursery_worker_over(n, &w);
			continue;
		}
		if (!hlist_unhashed(&w.node))
			nursery_worker_leave(n, &w);
		if (!n->nr_children)
			break;
		nursery_add_waiter(n, &waiter, n);
		raw_spin_unlock_irq(&n->lock);
		wait_for_completion(&waiter.wake);
		raw_spin_lock_irq(&n->lock);
	}
	/*
	 * Read locklessly, as a hint that orders nothing, by nursery_cancelled() and
	 * nursery_is_open(). Who acts on it asks again under the lock: admit().
	 */
	WRITE_ONCE(n->state, n->state | NURSERY_CLOSED);
	if (!list_empty(&n->listed))
		nursery_queue_unlist(n);
	raw_spin_unlock_irq(&n->lock);
}

/**
 * nursery_join - wait for all children, then release what the nursery owns
 * @n: the nursery
 *
 * Runs queued children in the caller's context, unless %NURSERY_NO_HELP. On
 * return every child, and every child of a child, has finished (I1), everything
 * that the nursery owned has been released (I2), and nothing refers to @n any
 * more: it may be freed, or initialised again. A further join returns the same
 * result. Join does not cancel; until the last child has finished, children may
 * spawn siblings.
 *
 * One caller at a time. To lockdep this is a lock that every child holds while
 * it runs: joining with a lock held that a child takes is reported (R8).
 *
 * Context: Process context, may sleep.
 * Return: the first real error of a child; else the cause of the cancel, if
 *	   there was one; else 0. -EDEADLK, with nothing changed, if the caller
 *	   is itself a child of @n or of a nursery below it.
 */
int nursery_join(struct nursery *n)
{
	might_sleep();

	/* Only the joiner sets the bit: a join after the end, by rule not a race. */
	if (READ_ONCE(n->state) & NURSERY_JOINED)
		return nursery_result(n);
	if (nursery_runs_here(n))
		return -EDEADLK;

	if (nursery_dep_acquire(n))
		nursery_dep_release(n);
	wait_for_children(n);
	if (n->state & NURSERY_TIMED)
		nursery_deadline_end(n);
	trace_nursery_join(n, nursery_result(n));
	nursery_release_all(n);
	nursery_tree_del(n);
	WRITE_ONCE(n->state, n->state | NURSERY_JOINED);
	return nursery_result(n);
}
EXPORT_SYMBOL_GPL(nursery_join);
