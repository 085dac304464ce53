// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scope: init and join.
 *
 * Theory of operation. A nursery counts its children that have not finished.
 * The count only falls under nursery->lock, as the last thing that the end of a
 * child does with the nursery, and the joiner reads it under the same lock. So
 * when the joiner has seen zero, the last child has let go of the lock and
 * nobody but the joiner will touch the nursery again: it may lie on the
 * joiner's stack.
 *
 * The joiner does not wait for what it can do itself. It takes back children
 * from the executor and runs them in its own context, and sleeps only while all
 * that are left have been started elsewhere. So no join depends on a free
 * worker (I5). It goes on as long as children spawn siblings; the moment at
 * which it finds none left closes the nursery, under the lock that spawn takes,
 * so a spawn either is joined or is refused.
 *
 * Then, in this order: the deadline's timer is stopped, what the nursery owns is
 * released, last in first out (I2), and the nursery leaves the tree, after which
 * no cancel and no listing can find it.
 */
#include <linux/export.h>
#include <linux/sched/task_stack.h>

#include "internal.h"
#include "trace.h"

/* What running a child needs of the stack, and the same again for its callees. */
#define HELP_STACK	(THREAD_SIZE / 2)

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
	n->state = 0;
	n->flags = params->flags & (NURSERY_SUPERVISE | NURSERY_NO_HELP);
	n->max_active = params->max_active;
	n->nr_active = 0;
	n->nr_children = 0;
	n->nr_resources = 0;
	n->error = 0;
	n->cause = 0;
	INIT_LIST_HEAD(&n->waiting);
	INIT_LIST_HEAD(&n->queued);
	INIT_LIST_HEAD(&n->running);
	INIT_LIST_HEAD(&n->waiters);
	n->resources = NULL;
	n->executor = params->executor ?: nursery_executor_unbound;
	n->deadline = KTIME_MAX;
	n->name = params->name ?: "nursery";
	n->id = nursery_new_id();
	nursery_timer_setup(n);
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
	init_completion(&w->wake);
	list_add_tail(&w->node, &n->waiters);
}

/*
 * Wake who waits for @key. complete() is a full barrier and takes the lock that
 * the sleeper takes before it leaves, so @w may lie on the sleeper's stack.
 *
 * Context: nursery->lock held.
 */
void nursery_wake_waiters(struct nursery *n, const void *key, int result)
{
	struct nursery_waiter *w, *next;

	list_for_each_entry_safe(w, next, &n->waiters, node) {
		if (w->key != key)
			continue;
		list_del(&w->node);
		w->result = result;
		complete(&w->wake);
	}
}

/* What join returns (I7). Context: the nursery is closed. */
int nursery_result(const struct nursery *n)
{
	if (n->error)
		return n->error;
	return n->state & NURSERY_CANCELLED ? n->cause : 0;
}

/* May this task run one more child on top of what it has on its stack? */
bool nursery_room_to_help(void)
{
	unsigned long here = (unsigned long)&here;

	return nursery_dep_room() &&
	       here - (unsigned long)end_of_stack(current) > HELP_STACK;
}

/* Run or wait for children until there are none, then close the nursery. */
static void wait_for_children(struct nursery *n)
{
	struct nursery_waiter waiter;
	struct nursery_child *c;

	for (;;) {
		raw_spin_lock_irq(&n->lock);
		c = !(n->flags & NURSERY_NO_HELP) && nursery_room_to_help() ?
			nursery_child_steal(n) : NULL;
		if (!c && !n->nr_children)
			break;
		if (!c)
			nursery_add_waiter(n, &waiter, n);
		raw_spin_unlock_irq(&n->lock);

		if (c)
			nursery_child_run(c);
		else
			wait_for_completion(&waiter.wake);
	}
	/*
	 * Read locklessly, as a hint that orders nothing, by nursery_cancelled() and
	 * nursery_is_open(). Who acts on it asks again under the lock: admit().
	 */
	WRITE_ONCE(n->state, n->state | NURSERY_CLOSED);
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
	nursery_timer_stop(n);
	trace_nursery_join(n, nursery_result(n));
	nursery_release_all(n);
	nursery_tree_del(n);
	WRITE_ONCE(n->state, n->state | NURSERY_JOINED);
	return nursery_result(n);
}
EXPORT_SYMBOL_GPL(nursery_join);
