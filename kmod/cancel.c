// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel: a sticky flag that travels down (I3).
 *
 * In a first pass, under nursery_tree_lock, every nursery of the subtree and
 * every child in it is marked, and what there is to do is collected: children
 * that have not started, to be ended, and cancel handlers, to be called. In a
 * second pass, without locks, it is done, at once and in the canceller's
 * context (I6). Each handler that was collected pins its child, and a pinned or
 * not ended child keeps its nursery, so the second pass refers to nothing that
 * can go away.
 *
 * Nested nurseries are cancelled with -ECANCELED and not with the cause: what
 * their joins return then is not an error to their parents (I7), and the cause
 * is told once, by the nursery that was cancelled.
 */
#include <linux/export.h>
#include <linux/hrtimer.h>
#include <linux/nursery_op.h>
#include <linux/sched/task_stack.h>

#include "internal.h"
#include "trace.h"

/* What the first pass collects for the second. */
struct cancel_batch {
	struct list_head unstarted;	/* struct nursery_child, by node */
	struct list_head handlers;	/* struct nursery_cancel_handler, by node */
};

static void batch_init(struct cancel_batch *batch)
{
	INIT_LIST_HEAD(&batch->unstarted);
	INIT_LIST_HEAD(&batch->handlers);
}

/* Context: child->nursery->lock held. */
static void collect_unstarted(struct nursery_child *c, struct cancel_batch *batch)
{
	WRITE_ONCE(c->cancelled, true);
	WRITE_ONCE(c->state, CHILD_COMPLETING);
	c->result = -ECANCELED;
	list_move_tail(&c->node, &batch->unstarted);
}

/* Context: child->nursery->lock held. */
static void collect_handlers(struct nursery_child *c, struct cancel_batch *batch)
{
	struct nursery_cancel_handler *h;

	WRITE_ONCE(c->cancelled, true);
	list_for_each_entry(h, &c->handlers, node) {
		h->running = true;
		c->pins++;
	}
	list_splice_tail_init(&c->handlers, &batch->handlers);
}

/* Context: child->nursery->lock held, the child not finished. */
static void mark_child(struct nursery_child *c, struct cancel_batch *batch)
{
	switch (READ_ONCE(c->state)) {
	case CHILD_QUEUED:
		if (!nursery_child_retract(c)) {
			/* It is being started: its runner will see the mark and skip it. */
			WRITE_ONCE(c->cancelled, true);
			return;
		}
		fallthrough;
	case CHILD_WAITING:
		collect_unstarted(c, batch);
		return;
	case CHILD_RUNNING:
		collect_handlers(c, batch);
		return;
	}
}

/* Context: nursery_tree_lock held. */
static void mark_nursery(struct nursery *n, int cause, struct cancel_batch *batch)
{
	struct nursery_child *c, *next;

	raw_spin_lock(&n->lock);
	if (!(n->state & (NURSERY_CANCELLED | NURSERY_CLOSED))) {
		n->cause = cause;
		WRITE_ONCE(n->state, n->state | NURSERY_CANCELLED);
		trace_nursery_cancel(n);
		list_for_each_entry(c, &n->running, node)
			mark_child(c, batch);
		list_for_each_entry_safe(c, next, &n->queued, node)
			mark_child(c, batch);
		list_for_each_entry_safe(c, next, &n->waiting, node)
			mark_child(c, batch);
	}
	raw_spin_unlock(&n->lock);
}

/* Context: nursery_tree_lock held. */
static void mark_subtree(struct nursery *root, int cause, struct cancel_batch *batch)
{
	struct nursery *n;

	for (n = root; n; n = nursery_tree_next(n, root))
		mark_nursery(n, n == root ? cause : -ECANCELED, batch);
}

/* Call a collected handler and drop the pin that it has on its child. */
static void call_handler(struct nursery_cancel_handler *h)
{
	struct nursery_child *c = h->child;
	struct nursery *n = c->nursery;
	unsigned long flags;

	h->fn(h);

	raw_spin_lock_irqsave(&n->lock, flags);
	h->running = false;
	nursery_wake_waiters(n, h, 0);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	nursery_child_unpin(c);
}

/* The second pass. Handlers first: somebody's sleep ends with each. */
static void carry_out(struct cancel_batch *batch)
{
	struct nursery_cancel_handler *h;
	struct nursery_child *c;

	while ((h = list_first_entry_or_null(&batch->handlers, struct nursery_cancel_handler,
					     node))) {
		list_del_init(&h->node);
		call_handler(h);
	}
	while ((c = list_first_entry_or_null(&batch->unstarted, struct nursery_child, node))) {
		list_del_init(&c->node);
		nursery_child_unpin(c);
	}
}

/**
 * nursery_cancel - ask all children to stop
 * @n: the nursery
 * @cause: what nursery_join() is to return if no child fails; 0 or an errno.
 *	The first cause stays.
 *
 * Children that have not started never will: they end here with -ECANCELED, and
 * their done() is called. Of those that run the flag is set and the cancel
 * handlers are called, here; nested nurseries are cancelled alike. Does not
 * wait: the scope is left by nursery_join() only.
 *
 * Context: Any, hard interrupts included.
 */
void nursery_cancel(struct nursery *n, int cause)
{
	struct cancel_batch batch;
	unsigned long flags;

	batch_init(&batch);
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	mark_subtree(n, cause, &batch);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	carry_out(&batch);
}
EXPORT_SYMBOL_GPL(nursery_cancel);

/* The nurseries that @c opened; @c itself is not looked at. nursery_tree_lock held. */
static void mark_opened_by(struct nursery *n, const struct nursery_child *c,
			   struct cancel_batch *batch)
{
	struct nursery *below;

	list_for_each_entry(below, &n->nested, sibling)
		if (below->parent == c)
			mark_subtree(below, -ECANCELED, batch);
}

/**
 * nursery_child_cancel - ask one child to stop
 * @c: the child. Its memory must stay, but it may be finished, or not spawned:
 *	then nothing happens.
 *
 * As nursery_cancel(), for the child and the nurseries that it opened. Its
 * siblings are not concerned.
 *
 * Context: Any, hard interrupts included.
 */
void nursery_child_cancel(struct nursery_child *c)
{
	struct cancel_batch batch;
	unsigned long flags;
	struct nursery *n;

	batch_init(&batch);
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	switch (smp_load_acquire(&c->state)) {	/* pairs with CHILD_DONE's release */
	case CHILD_IDLE:
	case CHILD_CLAIMED:
	case CHILD_DONE:
		break;
	default:
		/* Not finished under the tree lock: its nursery stays while we hold it. */
		n = READ_ONCE(c->nursery);
		raw_spin_lock(&n->lock);
		mark_child(c, &batch);
		raw_spin_unlock(&n->lock);
		mark_opened_by(n, c, &batch);
	}
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	carry_out(&batch);
}
EXPORT_SYMBOL_GPL(nursery_child_cancel);

/*
 * Mark the call @id of @n, if there is one. Marked under the lock that it was
 * found under: once that is dropped, a call may finish and be freed.
 *
 * Context: nursery_tree_lock held.
 */
static bool mark_call(struct nursery *n, u64 id, struct cancel_batch *batch)
{
	const struct nursery_call *call;
	struct nursery_child *c;
	bool found = false;

	raw_spin_lock(&n->lock);
	/* The caller's half of a call is external: running from the start. */
	list_for_each_entry(c, &n->running, node) {
		call = nursery_call_of(c);
		if (!call || c != &call->user || call->id != id)
			continue;
		mark_child(c, batch);
		found = true;
		break;
	}
	raw_spin_unlock(&n->lock);
	return found;
}

static bool mark_id(struct nursery *root, u64 id, int cause, struct cancel_batch *batch)
{
	struct nursery *n;

	for (n = root; n; n = nursery_tree_next(n, root)) {
		if (n->id == id) {
			mark_subtree(n, cause, batch);
			return true;
		}
		if (mark_call(n, id, batch))
			return true;
	}
	return false;
}

/*
 * Cancel the nursery or the call that a listing shows with this id.
 *
 * @within: look at this nursery and what is below; NULL: everywhere
 *
 * Context: Any.
 * Return: 0; -ENOENT.
 */
int nursery_cancel_id(struct nursery *within, u64 id, int cause)
{
	struct nursery *root = NULL;
	struct cancel_batch batch;
	unsigned long flags;
	bool found = false;

	batch_init(&batch);
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	if (within)
		found = mark_id(within, id, cause, &batch);
	else
		while (!found && (root = nursery_tree_next_root(root)))
			found = mark_id(root, id, cause, &batch);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	carry_out(&batch);
	return found ? 0 : -ENOENT;
}

/**
 * nursery_cancelled - has this nursery been cancelled?
 * @n: the nursery
 *
 * Context: Any.
 * Return: true from the cancel of @n, or of anything above it, on.
 */
bool nursery_cancelled(const struct nursery *n)
{
	/* A hint to stop, it orders nothing. */
	return READ_ONCE(n->state) & NURSERY_CANCELLED;
}
EXPORT_SYMBOL_GPL(nursery_cancelled);

/* A child failed: keep the first error, and cancel its siblings. Context: Any. */
void nursery_fail(struct nursery *n, int error)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&n->lock, flags);
	if (!n->error)
		n->error = error;
	raw_spin_unlock_irqrestore(&n->lock, flags);

	if (!(n->flags & NURSERY_SUPERVISE))
		nursery_cancel(n, error);
}

/**
 * nursery_on_cancel - have a function called when a child is cancelled
 * @c: the child, running or begun
 * @h: the handler; it must stay until nursery_off_cancel(), or until the child
 *	has finished
 * @fn: called once, in the canceller's context (any: it must not sleep). It may
 *	complete an external child. The child does not finish while it runs.
 *
 * A function child takes its handlers off before it returns. Those of an
 * external child go with its completion.
 *
 * Context: Any, while the child cannot finish: from its function, or before its
 *	    hardware is started.
 * Return: 0: registered. -ECANCELED: the child has been cancelled already, and
 *	   @fn has been called here.
 */
int nursery_on_cancel(struct nursery_child *c, struct nursery_cancel_handler *h,
		      void (*fn)(struct nursery_cancel_handler *h))
{
	struct nursery *n = c->nursery;
	unsigned long flags;

	h->child = c;
	h->fn = fn;
	h->running = false;
	INIT_LIST_HEAD(&h->node);

	raw_spin_lock_irqsave(&n->lock, flags);
	if (!nursery_child_cancelled(c)) {
		list_add_tail(&h->node, &c->handlers);
		raw_spin_unlock_irqrestore(&n->lock, flags);
		return 0;
	}
	h->running = true;
	c->pins++;
	raw_spin_unlock_irqrestore(&n->lock, flags);
	call_handler(h);
	return -ECANCELED;
}
EXPORT_SYMBOL_GPL(nursery_on_cancel);

/**
 * nursery_off_cancel - take a cancel handler off
 * @h: the handler, whether or not it has been called
 *
 * On return the handler does not run and will not: @h may be freed.
 *
 * Context: Process context, may sleep; not from a handler. The child has not
 *	    finished.
 */
void nursery_off_cancel(struct nursery_cancel_handler *h)
{
	struct nursery *n = h->child->nursery;
	struct nursery_waiter waiter;
	bool running;

	might_sleep();

	raw_spin_lock_irq(&n->lock);
	running = h->running;
	if (running)
		nursery_add_waiter(n, &waiter, h);
	else
		list_del_init(&h->node);
	raw_spin_unlock_irq(&n->lock);
	if (running)
		wait_for_completion(&waiter.wake);
}
EXPORT_SYMBOL_GPL(nursery_off_cancel);

/* The child ends: its handlers are not called any more. nursery->lock held. */
void nursery_drop_handlers(struct nursery_child *c)
{
	struct nursery_cancel_handler *h, *next;

	WARN_ONCE(c->fn && !list_empty(&c->handlers),
		  "nursery: child %ps of \"%s\" returned with a cancel handler on\n",
		  c->fn, c->nursery->name);
	list_for_each_entry_safe(h, next, &c->handlers, node)
		list_del_init(&h->node);
}

static enum hrtimer_restart deadline_passed(struct hrtimer *timer)
{
	nursery_cancel(container_of(timer, struct nursery, timer), -ETIMEDOUT);
	return HRTIMER_NORESTART;
}

void nursery_timer_setup(struct nursery *n)
{
	if (object_is_on_stack(n)) {
		n->state |= NURSERY_ONSTACK;
		hrtimer_setup_on_stack(&n->timer, deadline_passed, CLOCK_MONOTONIC,
				       HRTIMER_MODE_ABS);
	} else {
		hrtimer_setup(&n->timer, deadline_passed, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	}
}

/* After this the timer refers to the nursery no more. Context: Process context, closed. */
void nursery_timer_stop(struct nursery *n)
{
	hrtimer_cancel(&n->timer);
	if (n->state & NURSERY_ONSTACK)
		destroy_hrtimer_on_stack(&n->timer);
}

/**
 * nursery_set_deadline - cancel a nursery with -ETIMEDOUT at a time
 * @n: the nursery
 * @when: absolute CLOCK_MONOTONIC; KTIME_MAX: no deadline. May be moved either
 *	way; one that has passed cancels at once.
 *
 * Has no effect once the last child has finished and the nursery is joined.
 *
 * Context: Any, hard interrupts included.
 */
void nursery_set_deadline(struct nursery *n, ktime_t when)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&n->lock, flags);
	/* Closed under this lock: after it the timer is never started again. */
	if (!(n->state & NURSERY_CLOSED)) {
		WRITE_ONCE(n->deadline, when);
		if (when == KTIME_MAX)
			hrtimer_try_to_cancel(&n->timer);
		else
			hrtimer_start(&n->timer, when, HRTIMER_MODE_ABS);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
}
EXPORT_SYMBOL_GPL(nursery_set_deadline);

/**
 * nursery_effective_deadline - when a nursery is cancelled at the latest
 * @n: the nursery
 *
 * Context: Any.
 * Return: the earliest of its own deadline and those above it; KTIME_MAX: none.
 */
ktime_t nursery_effective_deadline(const struct nursery *n)
{
	ktime_t when = KTIME_MAX;
	unsigned long flags;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	for (; n; n = n->up)
		when = min(when, READ_ONCE(n->deadline));
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	return when;
}
EXPORT_SYMBOL_GPL(nursery_effective_deadline);
