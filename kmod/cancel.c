// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel: a sticky flag that travels down (I3).
 *
 * In a first pass, under nursery_tree_lock, every nursery of the subtree and
 * every child that runs in it is marked, and what there is to do is collected:
 * children that have not started, to be ended, a list at a time, and cancel
 * handlers, to be called. In a second pass, without locks, it is done, at once and in
 * the canceller's context (I6). Each handler that was collected pins its child, and a
 * pinned or not ended child keeps its nursery, so the second pass refers to nothing
 * that can go away.
 *
 * Nested nurseries are cancelled with -ECANCELED and not with the cause: what
 * their joins return then is not an error to their parents (I7), and the cause
 * is told once, by the nursery that was cancelled.
 */
#include <linux/export.h>
#include <linux/nursery_op.h>

#include "internal.h"
#include "trace.h"

/* What the first pass collects for the second. */
struct cancel_batch {
	struct list_head unstarted;		/* the first child of each ring, by node */
	struct nursery_cancel_handler *handlers;
};

static void batch_init(struct cancel_batch *batch)
{
	INIT_LIST_HEAD(&batch->unstarted);
	batch->handlers = NULL;
}

/* Context: child->nursery->lock held, which is the lock of its handlers; it runs. */
static void mark_running(struct nursery_child *c, struct cancel_batch *batch)
{
	struct nursery_cancel_handler *h;

	atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
	while ((h = c->handlers)) {
		c->handlers = h->next;
		h->state = NURSERY_HANDLER_RUNNING;
		h->next = batch->handlers;
		batch->handlers = h;
		c->pins++;
	}
}

/* Mark what a worker runs, and take what it has not started. nursery->lock held. */
static void mark_worker(struct nursery_worker *w, struct cancel_batch *batch)
{
	raw_spin_lock(&w->lock);
	/* Not yet ended: it goes out of w->child, under this lock, before it is. */
	if (w->child)
		mark_running(w->child, batch);
	if (w->batch) {
		list_add_tail(&w->batch->node, &batch->unstarted);
		w->batch = NULL;
	}
	raw_spin_unlock(&w->lock);
}

/* A child that an executor has, or hardware. Context: nursery->lock held. */
static void mark_other(struct nursery *n, struct nursery_child *c, struct cancel_batch *batch)
{
	switch (child_phase(atomic_read(&c->state))) {
	case CHILD_SUBMITTED:
		if (nursery_child_retract(n, c)) {
			if (n->max_active)
				n->nr_active--;
			list_add_tail(&c->node, &batch->unstarted);
			return;
		}
		/* Its executor will run it yet, see the mark, and skip the function. */
		atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
		return;
	case CHILD_RUNNING:
		mark_running(c, batch);
		return;
	}
}

/* Context: nursery_tree_lock held. */
static void mark_nursery(struct nursery *n, int cause, struct cancel_batch *batch)
{
	struct nursery_worker *w;
	struct nursery_child *c;
	struct hlist_node *next;

	raw_spin_lock(&n->lock);
	if (!(n->state & (NURSERY_CANCELLED | NURSERY_CLOSED))) {
		n->cause = cause;
		WRITE_ONCE(n->state, n->state | NURSERY_CANCELLED);
		trace_nursery_cancel(n);
		hlist_for_each_entry(w, &n->workers, node)
			mark_worker(w, batch);
		hlist_for_each_entry_safe(c, next, &n->others, other)
			mark_other(n, c, batch);
		list_splice_tail_init(&n->ready, &batch->unstarted);
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
	h->state = NURSERY_HANDLER_OFF;
	nursery_wake_waiters(n, h, 0);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	nursery_child_unpin(c);
}

/* End a ring of children that did not start. Its last one may be the nursery's last. */
static void end_unstarted(struct nursery_child *first)
{
	struct nursery *n = first->nursery;
	unsigned long flags;
	unsigned int nr;

	/* With a bound they come one by one: see ready.c. */
	if (n->max_active)
		INIT_LIST_HEAD(&first->ring);
	nr = nursery_children_skip(n, first);
	raw_spin_lock_irqsave(&n->lock, flags);
	nursery_uncount(n, nr);
	raw_spin_unlock_irqrestore(&n->lock, flags);
}

/* The second pass. Handlers first: somebody's sleep ends with each. */
static void carry_out(struct cancel_batch *batch)
{
	struct nursery_cancel_handler *h;
	struct nursery_child *c;

	while ((h = batch->handlers)) {
		batch->handlers = h->next;
		call_handler(h);
	}
	while ((c = list_first_entry_or_null(&batch->unstarted, struct nursery_child, node))) {
		list_del(&c->node);
		end_unstarted(c);
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

/* Mark a child that has not finished. Context: nursery->lock held. */
static void mark_child(struct nursery *n, struct nursery_child *c, struct cancel_batch *batch)
{
	struct nursery_worker *w;

	/* What is ENDING is started or ended by somebody else, and so is what he has. */
	if (child_phase(atomic_read(&c->state)) == CHILD_QUEUED) {
		if (nursery_unqueue(n, c)) {
			list_add_tail(&c->node, &batch->unstarted);
			return;
		}
	}
	if (!c->fn || child_phase(atomic_read(&c->state)) == CHILD_SUBMITTED) {
		mark_other(n, c, batch);
		return;
	}
	hlist_for_each_entry(w, &n->workers, node) {
		bool found;

		raw_spin_lock(&w->lock);
		found = w->child == c;
		if (found)
			mark_running(c, batch);
		raw_spin_unlock(&w->lock);
		if (found)
			return;
	}
}

/* The nurseries that @c opened; @c itself is not looked at. nursery_tree_lock held. */
static void mark_opened_by(struct nursery *n, const struct nursery_child *c,
			   struct cancel_batch *batch)
{
	struct nursery *below;

	hlist_for_each_entry(below, &n->nested, sibling)
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
	switch (child_phase(atomic_read_acquire(&c->state))) {	/* pairs with the end */
	case CHILD_IDLE:
	case CHILD_DONE:
		break;
	default:
		/* Not finished under the tree lock: its nursery stays while we hold it. */
		n = READ_ONCE(c->nursery);
		raw_spin_lock(&n->lock);
		mark_child(n, c, &batch);
		/* If it had a place below max_active, that is free. */
		nursery_submit_waiting(n);
		nursery_offer(n);
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
	hlist_for_each_entry(c, &n->others, other) {
		call = nursery_call_of(c);
		if (!call || c != &call->user || call->id != id)
			continue;
		mark_other(n, c, batch);
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

	if (!(n->state & NURSERY_SUPERVISE))
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

	raw_spin_lock_irqsave(&n->lock, flags);
	if (!nursery_child_cancelled(c)) {
		h->state = NURSERY_HANDLER_ON;
		h->next = c->handlers;
		c->handlers = h;
		raw_spin_unlock_irqrestore(&n->lock, flags);
		return 0;
	}
	h->state = NURSERY_HANDLER_RUNNING;
	c->pins++;
	raw_spin_unlock_irqrestore(&n->lock, flags);
	call_handler(h);
	return -ECANCELED;
}
EXPORT_SYMBOL_GPL(nursery_on_cancel);

static void unlink_handler(struct nursery_cancel_handler *h)
{
	struct nursery_cancel_handler **at = &h->child->handlers;

	/* A child has one or two. */
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	h->state = NURSERY_HANDLER_OFF;
}

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
	running = h->state == NURSERY_HANDLER_RUNNING;
	if (running)
		nursery_add_waiter(n, &waiter, h);
	else if (h->state == NURSERY_HANDLER_ON)
		unlink_handler(h);
	raw_spin_unlock_irq(&n->lock);
	if (running)
		wait_for_completion(&waiter.wake);
}
EXPORT_SYMBOL_GPL(nursery_off_cancel);

/* The child ends: its handlers are not called any more. nursery->lock held. */
void nursery_drop_handlers(struct nursery_child *c)
{
	WARN_ONCE(c->fn && c->handlers,
		  "nursery: child %ps of \"%s\" returned with a cancel handler on\n",
		  c->fn, c->nursery->name);
	while (c->handlers)
		unlink_handler(c->handlers);
}
