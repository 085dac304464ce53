// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a child: spawn, run, complete, finish.
 *
 * Whoever moves a child to RUNNING runs it; whoever moves it to COMPLETING ends
 * it. Both moves happen once (see enum nursery_child_state), so neither do two
 * workers run a child nor do two interrupts complete it.
 *
 * Between completion and end stand the child's pins: one for its function or
 * hardware, one for each of its cancel handlers that is running, one for somebody
 * who begins to wait for it. Who drops the last ends the child. So a handler
 * never finds its child gone, a completion in a hard interrupt never waits for a
 * handler, and a handler may complete its own child.
 */
#include <linux/export.h>
#include <linux/sched/task_stack.h>

#include "internal.h"
#include "trace.h"

/**
 * nursery_child_init - prepare a child
 * @c: the child, embedded in what it works on. Not spawned, or finished
 * @fn: what it does; NULL: an external child, for nursery_child_begin()
 * @done: called once, last, with the core's last reference to @c, so it may free
 *	@c or hand it on; or NULL. It may be called in any context, hard
 *	interrupts included, and must not sleep. nursery_join() waits for it.
 *
 * Context: Any.
 */
void nursery_child_init(struct nursery_child *c, nursery_fn_t fn,
			void (*done)(struct nursery_child *c))
{
	*c = (struct nursery_child) {
		.node		= LIST_HEAD_INIT(c->node),
		.fn		= fn,
		.done		= done,
		.handlers	= LIST_HEAD_INIT(c->handlers),
		.state		= CHILD_IDLE,
	};
}
EXPORT_SYMBOL_GPL(nursery_child_init);

static void runner_work(struct work_struct *work)
{
	nursery_runner_run(container_of(work, struct nursery_runner, work));
}

/* Only here do debugobjects hear of the work item; see nursery_child_finish(). */
static void runner_init(struct nursery_child *c)
{
	static __maybe_unused struct lock_class_key key;

	c->onstack = object_is_on_stack(c);
	__INIT_WORK_KEY(&c->runner.work, runner_work, c->onstack, &key);
}

static void runner_destroy(struct nursery_child *c)
{
	if (c->onstack)
		destroy_work_on_stack(&c->runner.work);
}

/* Give the child a place and pass it on. Context: nursery->lock held. */
static void submit(struct nursery *n, struct nursery_child *c)
{
	const struct nursery_executor *e = c->runner.executor;

	WRITE_ONCE(c->state, CHILD_QUEUED);
	c->active = true;
	n->nr_active++;
	list_add_tail(&c->node, &n->queued);
	e->ops->submit(e, &c->runner);
}

static bool has_place(const struct nursery *n)
{
	return !n->max_active || n->nr_active < n->max_active;
}

/*
 * The gate (R1): spawn, cancel and the end of join meet under nursery->lock.
 *
 * Context: nursery->lock held.
 */
static int admit(struct nursery *n, struct nursery_child *c, unsigned int state)
{
	unsigned int old;

	if (n->state & NURSERY_CLOSED)
		return -ESHUTDOWN;
	if (n->state & NURSERY_CANCELLED)
		return -ECANCELED;

	/*
	 * A cmpxchg, as somebody else may spawn @c into another nursery. The
	 * acquire pairs with the release of CHILD_DONE: what finished the child
	 * before is over with it.
	 */
	old = READ_ONCE(c->state);
	if ((old != CHILD_IDLE && old != CHILD_DONE) ||
	    cmpxchg_acquire(&c->state, old, CHILD_CLAIMED) != old)
		return -EBUSY;

	WRITE_ONCE(c->nursery, n);
	WRITE_ONCE(c->cancelled, false);
	c->task = NULL;
	c->result = 0;
	c->pins = 1;
	c->active = false;
	n->nr_children++;
	/* From here on cancel and join may find it, with its nursery: see their acquires. */
	smp_store_release(&c->state, state);
	return 0;
}

/**
 * nursery_spawn_on - start a child on an executor of its own
 * @n: the nursery
 * @c: the child, with a function; it belongs to @n until it has finished
 * @e: where it runs
 *
 * Never allocates (I8).
 *
 * Context: Any, hard interrupts included.
 * Return: 0: the child completes once, whatever happens (I4). An error changed
 *	   nothing: -ESHUTDOWN @n has been joined, -ECANCELED it has been
 *	   cancelled, -EBUSY @c is spawned and not finished, -EINVAL @c has no
 *	   function.
 */
int nursery_spawn_on(struct nursery *n, struct nursery_child *c,
		     const struct nursery_executor *e)
{
	unsigned long flags;
	int err;

	if (!c->fn)
		return -EINVAL;

	raw_spin_lock_irqsave(&n->lock, flags);
	err = admit(n, c, CHILD_WAITING);
	if (!err) {
		trace_nursery_spawn(n, c);
		c->runner.executor = e;
		runner_init(c);
		if (has_place(n))
			submit(n, c);
		else
			list_add_tail(&c->node, &n->waiting);
		/* A joiner that slept may have somebody to help now. */
		nursery_wake_waiters(n, n, 0);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_spawn_on);

/**
 * nursery_spawn - start a child on the nursery's executor
 * @n: the nursery
 * @c: the child, with a function; it belongs to @n until it has finished
 *
 * Context: Any, hard interrupts included.
 * Return: as nursery_spawn_on().
 */
int nursery_spawn(struct nursery *n, struct nursery_child *c)
{
	return nursery_spawn_on(n, c, n->executor);
}
EXPORT_SYMBOL_GPL(nursery_spawn);

/**
 * nursery_child_begin - start an external child
 * @n: the nursery
 * @c: the child, without a function; it belongs to @n until it has finished
 *
 * For an operation that something else carries out, such as a DMA transfer.
 * Call it before the hardware is started, so that the interrupt finds the child
 * begun; from then on exactly one nursery_child_complete() is owed. max_active
 * does not count it.
 *
 * Context: Any, hard interrupts included.
 * Return: 0, or as nursery_spawn_on(); -EINVAL if @c has a function.
 */
int nursery_child_begin(struct nursery *n, struct nursery_child *c)
{
	unsigned long flags;
	int err;

	if (c->fn)
		return -EINVAL;

	raw_spin_lock_irqsave(&n->lock, flags);
	err = admit(n, c, CHILD_RUNNING);
	if (!err) {
		trace_nursery_spawn(n, c);
		c->onstack = false;
		list_add_tail(&c->node, &n->running);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_child_begin);

/* Move a child from where it waits to RUNNING here. nursery->lock held. */
static void start_here(struct nursery *n, struct nursery_child *c)
{
	WRITE_ONCE(c->state, CHILD_RUNNING);
	WRITE_ONCE(c->task, current);
	list_move_tail(&c->node, &n->running);
}

/* Take a queued child back from its executor. Context: nursery->lock held. */
bool nursery_child_retract(struct nursery_child *c)
{
	const struct nursery_executor *e = c->runner.executor;

	return e->ops->retract && e->ops->retract(e, &c->runner);
}

/*
 * A queued child for the caller to run, or NULL if all have been started. The
 * oldest first, as the executor would.
 *
 * Context: nursery->lock held, process context.
 */
struct nursery_child *nursery_child_steal(struct nursery *n)
{
	struct nursery_child *c;

	list_for_each_entry(c, &n->queued, node) {
		if (nursery_child_retract(c)) {
			start_here(n, c);
			return c;
		}
	}
	return NULL;
}

/* Is this result an error that cancels the siblings and goes up (I7)? */
static bool is_error(const struct nursery_child *c)
{
	return c->result && !(c->result == -ECANCELED && nursery_child_cancelled(c));
}

/*
 * End a child that has completed and has no pins. Afterwards neither the child
 * nor, if it was the last, the nursery may be touched.
 *
 * Context: Any. @c->node is on a list of its nursery, or empty.
 */
void nursery_child_finish(struct nursery_child *c)
{
	void (*done)(struct nursery_child *c) = c->done;
	struct nursery *n = c->nursery;
	bool active = c->active;
	int result = c->result;
	unsigned long flags;

	/* Still counted, so @n stays for the cancel. */
	if (is_error(c))
		nursery_fail(n, result);
	if (c->fn)
		runner_destroy(c);
	trace_nursery_child_done(n, c);

	raw_spin_lock_irqsave(&n->lock, flags);
	list_del_init(&c->node);
	nursery_drop_handlers(c);
	/*
	 * Without done() this is the last access: the release pairs with the
	 * acquire of who waits for the child and then frees it, or spawns it again.
	 * Who sleeps until it is woken does not look: wake it after this, by name.
	 */
	smp_store_release(&c->state, CHILD_DONE);
	nursery_wake_waiters(n, c, result);
	if (done) {
		raw_spin_unlock_irqrestore(&n->lock, flags);
		done(c);
		raw_spin_lock_irqsave(&n->lock, flags);
	}

	if (active)
		n->nr_active--;
	while (!list_empty(&n->waiting) && has_place(n)) {
		c = list_first_entry(&n->waiting, struct nursery_child, node);
		list_del(&c->node);
		submit(n, c);
	}
	/* The joiner cannot be past this lock before we are: see scope.c. */
	if (!--n->nr_children || !list_empty(&n->queued))
		nursery_wake_waiters(n, n, 0);
	raw_spin_unlock_irqrestore(&n->lock, flags);
}

/* Drop a pin; the last one ends the child. Context: Any. */
void nursery_child_unpin(struct nursery_child *c)
{
	struct nursery *n = c->nursery;
	unsigned long flags;
	bool last;

	raw_spin_lock_irqsave(&n->lock, flags);
	last = !--c->pins;
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (last)
		nursery_child_finish(c);
}

/* The function returned or the hardware is done: drop its pin. */
static void complete_child(struct nursery_child *c, int result)
{
	/* Who reads it under nursery->lock reads it before the unpin: the task is there. */
	WRITE_ONCE(c->task, NULL);
	c->result = result;
	nursery_child_unpin(c);
}

/* Run a child that is RUNNING here to its end. Context: Process context. */
void nursery_child_run(struct nursery_child *c)
{
	struct nursery *n = c->nursery;
	int result = -ECANCELED;

	if (!nursery_child_cancelled(c)) {
		bool looked_at = nursery_dep_acquire(n);

		result = c->fn(c);
		if (looked_at)
			nursery_dep_release(n);
	}
	WRITE_ONCE(c->state, CHILD_COMPLETING);
	complete_child(c, result);
}

/**
 * nursery_runner_run - run the child that an executor was given
 * @r: what nursery_executor_ops.submit was given, and retract did not take back
 *
 * For executors. On return @r is gone.
 *
 * Context: Process context, no locks held.
 */
void nursery_runner_run(struct nursery_runner *r)
{
	struct nursery_child *c = container_of(r, struct nursery_child, runner);
	struct nursery *n = c->nursery;

	raw_spin_lock_irq(&n->lock);
	start_here(n, c);
	raw_spin_unlock_irq(&n->lock);
	nursery_child_run(c);
}
EXPORT_SYMBOL_GPL(nursery_runner_run);

/**
 * nursery_child_complete - an external child has finished
 * @c: the child, begun
 * @result: 0 or a negative errno; -ECANCELED if it was stopped as asked
 *
 * The last thing to do with the child: from here on it may be freed. Exactly
 * once for each begin; a second call is reported and ignored. Where an interrupt
 * and somebody else may both find the operation finished, let them agree who
 * calls.
 *
 * Context: Any, hard interrupts and the child's cancel handlers included.
 */
void nursery_child_complete(struct nursery_child *c, int result)
{
	/* Fully ordered (R10): what the hardware wrote comes before the end. */
	if (WARN_ONCE(c->fn || cmpxchg(&c->state, CHILD_RUNNING, CHILD_COMPLETING) != CHILD_RUNNING,
		      "nursery: completed a child twice, or one that was not begun\n"))
		return;
	complete_child(c, result);
}
EXPORT_SYMBOL_GPL(nursery_child_complete);

/*
 * To lockdep, a join of one child is a join of its nursery (R8). Pinned
 * meanwhile, as a child that has not finished keeps its nursery.
 */
static void tell_lockdep(struct nursery_child *c)
{
	struct nursery *n;
	bool pinned = false;

	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;

	raw_spin_lock_irq(&nursery_tree_lock);
	switch (smp_load_acquire(&c->state)) {	/* pairs with CHILD_DONE's release */
	case CHILD_WAITING:
	case CHILD_QUEUED:
	case CHILD_RUNNING:
		n = c->nursery;
		raw_spin_lock(&n->lock);
		/* No pin left: it is ending, there is nothing to wait for. */
		pinned = c->pins;
		if (pinned)
			c->pins++;
		raw_spin_unlock(&n->lock);
	}
	raw_spin_unlock_irq(&nursery_tree_lock);
	if (!pinned)
		return;
	if (nursery_dep_acquire(n))
		nursery_dep_release(n);
	nursery_child_unpin(c);
}

/**
 * nursery_child_join - wait for one child
 * @c: the child. Not one whose done() frees it.
 *
 * Runs the child here if it is still queued. done() may still be running on
 * return; only nursery_join() waits for it. Two children that wait for each other
 * are not found out, nor is one that waits for a sibling which max_active holds
 * back.
 *
 * Context: Process context, may sleep.
 * Return: the child's result; -EINVAL if it was never spawned; -EDEADLK if the
 *	   caller is the child, or runs below it.
 */
int nursery_child_join(struct nursery_child *c)
{
	struct nursery_waiter waiter;
	struct nursery *n;

	might_sleep();
	tell_lockdep(c);

	for (;;) {
		raw_spin_lock_irq(&nursery_tree_lock);
		switch (smp_load_acquire(&c->state)) {	/* pairs with CHILD_DONE's release */
		case CHILD_IDLE:
		case CHILD_CLAIMED:
			raw_spin_unlock_irq(&nursery_tree_lock);
			return -EINVAL;
		case CHILD_DONE:
			raw_spin_unlock_irq(&nursery_tree_lock);
			return c->result;
		}
		/* Not finished under the tree lock: its nursery stays while we hold it. */
		n = c->nursery;
		if (nursery_child_runs_here(c)) {
			raw_spin_unlock_irq(&nursery_tree_lock);
			return -EDEADLK;
		}
		raw_spin_lock(&n->lock);
		if (READ_ONCE(c->state) == CHILD_QUEUED && nursery_room_to_help() &&
		    nursery_child_retract(c)) {
			start_here(n, c);
			raw_spin_unlock(&n->lock);
			raw_spin_unlock_irq(&nursery_tree_lock);
			nursery_child_run(c);
			continue;
		}
		if (READ_ONCE(c->state) == CHILD_DONE) {
			raw_spin_unlock(&n->lock);
			raw_spin_unlock_irq(&nursery_tree_lock);
			continue;
		}
		nursery_add_waiter(n, &waiter, c);
		raw_spin_unlock(&n->lock);
		raw_spin_unlock_irq(&nursery_tree_lock);
		break;
	}
	wait_for_completion(&waiter.wake);
	return waiter.result;
}
EXPORT_SYMBOL_GPL(nursery_child_join);
