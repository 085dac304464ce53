// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a child: spawn, begin, end.
 *
 * Whoever takes a child off the list that it is on, under the list's lock, runs it
 * or ends it. So neither do two workers run a child nor does a cancel end one that
 * runs. Of two completions of an external child one is heard, by a cmpxchg.
 *
 * A function child is ended by the worker that ran it, with one fully ordered atomic
 * (R10) that fails if there is somebody to tell: a canceller, or one who waits for
 * just this child. Only then is nursery->lock taken.
 *
 * Between completion and end of an external child stand its pins: one for its
 * hardware, one for each of its cancel handlers that is running. Who drops the last
 * ends the child. So a handler never finds its child gone, a completion in a hard
 * interrupt never waits for a handler, and a handler may complete its own child. A
 * function child's worker can wait for handlers, and does.
 */
#include <linux/export.h>

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
	/* The rest is set when it is needed. */
	c->nursery = NULL;
	c->fn = fn;
	c->done = done;
	atomic_set(&c->state, CHILD_IDLE);
	c->result = 0;
}
EXPORT_SYMBOL_GPL(nursery_child_init);

static bool has_place(const struct nursery *n)
{
	return !n->max_active || n->nr_active < n->max_active;
}

/* Give a child to an executor that takes them one by one. Context: nursery->lock held. */
static void submit(struct nursery *n, struct nursery_child *c, const struct nursery_executor *e)
{
	c->executor = e;
	atomic_set(&c->state, (atomic_read(&c->state) & ~CHILD_PHASE) | CHILD_SUBMITTED);
	hlist_add_head(&c->other, &n->others);
	if (n->max_active)
		n->nr_active++;
	e->ops->submit(e, &c->runner);
}

/* Do the workers of the nursery's executor take its children from the nursery? */
static bool is_chained(const struct nursery *n, const struct nursery_executor *e)
{
	return e == n->executor && nursery_is_queue(e);
}

/*
 * With a bound: children whose turn it is and whose executor takes them one by one.
 *
 * Context: nursery->lock held.
 */
void nursery_submit_waiting(struct nursery *n)
{
	if (!n->max_active)
		return;
	while (!list_empty(&n->ready) && has_place(n)) {
		struct nursery_child *c = list_first_entry(&n->ready, struct nursery_child, node);
		const struct nursery_executor *e = c->executor;

		if (is_chained(n, e))
			break;
		nursery_ready_take(n);
		submit(n, c, e);
	}
}

/* If there is something that a worker may take, see to it. Context: nursery->lock held. */
void nursery_offer(struct nursery *n)
{
	if (!list_empty(&n->ready) && has_place(n) && nursery_is_queue(n->executor))
		nursery_queue_offer(n);
}

/*
 * The gate (R1): spawn, cancel and the end of join meet under nursery->lock.
 *
 * Context: nursery->lock held.
 */
static int admit(struct nursery *n, struct nursery_child *c, unsigned int phase)
{
	unsigned int old;

	if (unlikely(n->state & (NURSERY_CLOSED | NURSERY_CANCELLED)))
		return n->state & NURSERY_CLOSED ? -ESHUTDOWN : -ECANCELED;

	/* The acquire pairs with the end: what finished the child before is over with it. */
	old = child_phase(atomic_read_acquire(&c->state));
	if (unlikely(old != CHILD_IDLE && old != CHILD_DONE))
		return -EBUSY;

	WRITE_ONCE(c->nursery, n);
	c->result = 0;
	n->nr_children++;
	/* From here on cancel and join may find it, with its nursery: see their acquires. */
	atomic_set_release(&c->state, phase);
	return 0;
}

/* A child of @n has finished or did not start. Context: nursery->lock held. */
void nursery_uncount(struct nursery *n, unsigned int finished)
{
	n->nr_children -= finished;
	/* The joiner cannot be past this lock before we are: see scope.c. */
	if (!n->nr_children)
		nursery_wake_waiters(n, n, 0);
}

/* Context: nursery->lock held. */
static bool may_run_inline(const struct nursery *n, unsigned long flags)
{
	return in_task() && !irqs_disabled_flags(flags) && list_empty(&n->ready) &&
	       has_place(n) && nursery_room_to_help();
}

/* Run it inside the spawn. Context: nursery->lock held; drops it. Process context. */
static void run_inline(struct nursery *n, struct nursery_child *c)
{
	struct nursery_worker w;

	nursery_worker_init(&w);
	if (n->max_active)
		n->nr_active++;
	nursery_worker_start(n, &w, c);
	raw_spin_unlock_irq(&n->lock);

	nursery_worker_run(n, &w);

	raw_spin_lock_irq(&n->lock);
	nursery_worker_over(n, &w);
	nursery_offer(n);
	nursery_worker_leave(n, &w);
	raw_spin_unlock_irq(&n->lock);
}

/**
 * nursery_spawn_on - start a child on an executor of its own
 * @n: the nursery
 * @c: the child, with a function; it belongs to @n until it has finished
 * @e: where it runs
 *
 * Never allocates (I8).
 *
 * Context: Any, hard interrupts included; with nursery_executor_inline, that of
 *	    the child's function.
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

	if (unlikely(!c->fn))
		return -EINVAL;

	raw_spin_lock_irqsave(&n->lock, flags);
	err = admit(n, c, CHILD_QUEUED);
	if (unlikely(err))
		goto unlock;
	trace_nursery_spawn(n, c);
	if (unlikely(e == nursery_executor_inline) && may_run_inline(n, flags)) {
		run_inline(n, c);
		return 0;
	}
	if (unlikely(n->max_active)) {
		c->executor = e;
		nursery_ready_add(n, c);
		nursery_submit_waiting(n);
		nursery_offer(n);
	} else if (likely(is_chained(n, e))) {
		nursery_ready_add(n, c);
		nursery_queue_offer(n);
	} else {
		submit(n, c, e);
		/* A joiner that slept may have somebody to help now. */
		if (!(n->state & NURSERY_NO_HELP))
			nursery_wake_waiters(n, n, 0);
	}
unlock:
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
	return nursery_spawn_on(n, c, READ_ONCE(n->executor));
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
		c->handlers = NULL;
		c->pins = 1;
		hlist_add_head(&c->other, &n->others);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_child_begin);

/*
 * Take a child back from an executor that was given it: then it is the caller's,
 * in phase ENDING, and its place still taken. Context: nursery->lock held.
 */
bool nursery_child_retract(struct nursery *n, struct nursery_child *c)
{
	const struct nursery_executor *e = c->executor;

	if (!e->ops->retract || !e->ops->retract(e, &c->runner))
		return false;
	hlist_del(&c->other);
	INIT_LIST_HEAD(&c->ring);
	atomic_set(&c->state, (atomic_read(&c->state) & ~CHILD_PHASE) | CHILD_ENDING);
	return true;
}

/* Is this result an error that cancels the siblings and goes up (I7)? */
static bool is_error(const struct nursery_child *c, int result)
{
	return result && !(result == -ECANCELED && nursery_child_cancelled(c));
}

/* A handler of the child still runs, as it did not wait: do so. nursery->lock held. */
static void wait_for_handlers(struct nursery *n, struct nursery_child *c)
{
	struct nursery_waiter waiter;

	while (c->pins) {
		nursery_add_waiter(n, &waiter, &c->pins);
		raw_spin_unlock_irq(&n->lock);
		wait_for_completion(&waiter.wake);
		raw_spin_lock_irq(&n->lock);
	}
}

/* The child has finished, and there may be somebody to tell. nursery->lock held. */
static void finish_locked(struct nursery *n, struct nursery_child *c, int result)
{
	int old = atomic_read(&c->state), new;

	do {
		new = (old & NURSERY_CHILD_CANCELLED) | CHILD_DONE;
	} while (!atomic_try_cmpxchg(&c->state, &old, new));
	if (old & CHILD_WAITED)
		nursery_wake_waiters(n, c, result);
}

static noinline void end_slowly(struct nursery *n, struct nursery_child *c, int result)
{
	if (is_error(c, result))
		nursery_fail(n, result);
	raw_spin_lock_irq(&n->lock);
	nursery_drop_handlers(c);
	wait_for_handlers(n, c);
	finish_locked(n, c, result);
	raw_spin_unlock_irq(&n->lock);
}

/*
 * The function of @c returned, or it was skipped. Afterwards @c may not be touched.
 *
 * Context: Process context. Not counted yet, so @n is there.
 */
void nursery_child_end(struct nursery *n, struct nursery_child *c, int result)
{
	void (*done)(struct nursery_child *c) = c->done;

	c->result = result;
	trace_nursery_child_done(n, c);
	/*
	 * Without done() this is the last access: it pairs with the acquire of who
	 * waits for the child and then frees it, or spawns it again. Who sleeps until
	 * it is woken has set CHILD_WAITED.
	 */
	if (unlikely(result || c->handlers ||
		     atomic_cmpxchg(&c->state, CHILD_RUNNING, CHILD_DONE) != CHILD_RUNNING))
		end_slowly(n, c, result);
	if (done)
		done(c);
}

/* End one child that was never started. Context: Any; @n is there. */
static void skip(struct nursery *n, struct nursery_child *c)
{
	void (*done)(struct nursery_child *c) = c->done;
	unsigned long flags;

	c->result = -ECANCELED;
	trace_nursery_child_done(n, c);
	if (atomic_xchg(&c->state, CHILD_DONE | NURSERY_CHILD_CANCELLED) & CHILD_WAITED) {
		raw_spin_lock_irqsave(&n->lock, flags);
		nursery_wake_waiters(n, c, -ECANCELED);
		raw_spin_unlock_irqrestore(&n->lock, flags);
	}
	if (done)
		done(c);
}

/*
 * End a ring of children that were never started, because they were cancelled.
 *
 * Context: Any. They are the caller's and not counted yet, so @n is there.
 * Return: how many, to be counted.
 */
unsigned int nursery_children_skip(struct nursery *n, struct nursery_child *ring)
{
	unsigned int nr = 0;

	while (ring) {
		skip(n, nursery_ring_pop(&ring));
		nr++;
	}
	return nr;
}

/* End an external child that has completed and has no pins. Context: Any; counted here. */
static void end_external(struct nursery_child *c)
{
	void (*done)(struct nursery_child *c) = c->done;
	struct nursery *n = c->nursery;
	int result = c->result;
	unsigned long flags;

	/* Still counted, so @n stays for the cancel. */
	if (is_error(c, result))
		nursery_fail(n, result);
	trace_nursery_child_done(n, c);

	raw_spin_lock_irqsave(&n->lock, flags);
	hlist_del(&c->other);
	nursery_drop_handlers(c);
	finish_locked(n, c, result);
	if (done) {
		raw_spin_unlock_irqrestore(&n->lock, flags);
		done(c);
		raw_spin_lock_irqsave(&n->lock, flags);
	}
	nursery_uncount(n, 1);
	raw_spin_unlock_irqrestore(&n->lock, flags);
}

/*
 * Drop a pin. The last one ends an external child; a function child's worker waits
 * for it.
 *
 * Context: Any.
 */
void nursery_child_unpin(struct nursery_child *c)
{
	struct nursery *n = c->nursery;
	unsigned long flags;
	bool end = false;

	raw_spin_lock_irqsave(&n->lock, flags);
	if (!--c->pins) {
		if (c->fn)
			nursery_wake_waiters(n, &c->pins, 0);
		else
			end = true;
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (end)
		end_external(c);
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

	nursery_worker_init(&w);
	raw_spin_lock_irq(&n->lock);
	hlist_del(&c->other);
	nursery_worker_start(n, &w, c);
	raw_spin_unlock_irq(&n->lock);

	nursery_worker_run(n, &w);

	raw_spin_lock_irq(&n->lock);
	nursery_worker_over(n, &w);
	nursery_offer(n);
	nursery_worker_leave(n, &w);
	raw_spin_unlock_irq(&n->lock);
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
	int old = atomic_read(&c->state);

	/* Fully ordered (R10): what the hardware wrote comes before the end. */
	do {
		if (WARN_ONCE(c->fn || child_phase(old) != CHILD_RUNNING,
			      "nursery: completed a child twice, or one that was not begun\n"))
			return;
	} while (!atomic_try_cmpxchg(&c->state, &old, old - CHILD_RUNNING + CHILD_ENDING));
	c->result = result;
	nursery_child_unpin(c);
}
EXPORT_SYMBOL_GPL(nursery_child_complete);

/* With a bound, is it this child's turn to start? Context: nursery->lock held. */
static bool is_its_turn(struct nursery *n, struct nursery_child *c)
{
	return !n->max_active ||
	       (has_place(n) && !list_empty(&n->ready) &&
		list_first_entry(&n->ready, struct nursery_child, node) == c);
}

/*
 * Take a child that has not started, to run it here. Context: nursery->lock held.
 */
static bool take_to_run(struct nursery *n, struct nursery_child *c)
{
	switch (child_phase(atomic_read(&c->state))) {
	case CHILD_QUEUED:
		if (!is_its_turn(n, c) || !nursery_unqueue(n, c))
			return false;
		if (n->max_active)
			n->nr_active++;
		return true;
	case CHILD_SUBMITTED:
		return nursery_child_retract(n, c);
	}
	return false;
}

/*
 * A child that is to be waited for, and that this stack has no room for: it goes to
 * where there is room for every child. Also, from here on no worker starts it but
 * under nursery->lock: see child->state. Context: nursery->lock held.
 */
static void leave_to_threads(struct nursery *n, struct nursery_child *c)
{
	if (n->max_active)
		return;
	switch (child_phase(atomic_read(&c->state))) {
	case CHILD_QUEUED:
		if (!nursery_unqueue(n, c))
			return;
		break;
	case CHILD_SUBMITTED:
		if (!nursery_child_retract(n, c))
			return;
		break;
	default:
		return;
	}
	atomic_set(&c->state, (atomic_read(&c->state) & ~CHILD_PHASE) | CHILD_QUEUED);
	nursery_ready_add(n, c);
	nursery_queue_move(n);
	nursery_offer(n);
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
	struct nursery_worker w;
	struct nursery *n;
	int result;

	might_sleep();
	nursery_dep_join_child(c);

	raw_spin_lock_irq(&nursery_tree_lock);
	switch (child_phase(atomic_read_acquire(&c->state))) {	/* pairs with the end */
	case CHILD_IDLE:
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
	/* The flag is set under the lock of the list that @c is on, if it is on one. */
	if (nursery_room_to_help() && take_to_run(n, c)) {
		nursery_worker_init(&w);
		nursery_worker_start(n, &w, c);
		raw_spin_unlock(&n->lock);
		raw_spin_unlock_irq(&nursery_tree_lock);
		nursery_worker_run(n, &w);
		result = c->result;
		raw_spin_lock_irq(&n->lock);
		nursery_worker_over(n, &w);
		nursery_offer(n);
		nursery_worker_leave(n, &w);
		raw_spin_unlock_irq(&n->lock);
		return result;
	}
	leave_to_threads(n, c);
	/* Fully ordered: either its end sees that we wait, or we see its end. */
	if (child_phase(atomic_fetch_or(CHILD_WAITED, &c->state)) == CHILD_DONE) {
		raw_spin_unlock(&n->lock);
		raw_spin_unlock_irq(&nursery_tree_lock);
		return c->result;
	}
	nursery_add_waiter(n, &waiter, c);
	raw_spin_unlock(&n->lock);
	raw_spin_unlock_irq(&nursery_tree_lock);
	wait_for_completion(&waiter.wake);
	return waiter.result;
}
EXPORT_SYMBOL_GPL(nursery_child_join);
