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
 * What is shielded is passed by: see shield.c.
 *
 * Nested nurseries are cancelled with -ECANCELED and not with the cause: what
 * their joins return then is not an error to their parents (I7), and the cause
 * is told once, by the nursery that was cancelled. What code cancelled it is the
 * same for all: the address is for whoever wants to know why.
 */
#include <linux/export.h>
#include <linux/instruction_pointer.h>
#include <linux/nursery_op.h>

#include "internal.h"
#include "trace.h"

/* What the first pass collects for the second; and by what code this cancel is. */
struct cancel_batch {
	unsigned long canceller;
	struct nursery_child *unstarted;	/* the first of each list, by pack */
	struct nursery_cancel_handler *handlers;
};

/* Lists of children that did not start, each of one nursery. */
static void add_unstarted(struct cancel_batch *batch, struct llist_node *list)
{
	struct nursery_child *first;

	if (!list)
		return;
	first = nursery_linked(list);
	first->pack.next = batch->unstarted ? &batch->unstarted->pack : NULL;
	batch->unstarted = first;
}

static void add_unstarted_child(struct cancel_batch *batch, struct nursery_child *c)
{
	c->link.next = NULL;
	add_unstarted(batch, &c->link);
}

/*
 * Set the flag, or PENDING, if the child is shielded.
 *
 * Return: whether it is the flag.
 */
static bool mark_flag(struct nursery_child *c)
{
	int old = atomic_read(&c->state), flag;

	do {
		flag = old & CHILD_SHIELDS ? CHILD_PENDING : NURSERY_CHILD_CANCELLED;
	} while (!atomic_try_cmpxchg(&c->state, &old, old | flag));
	return flag == NURSERY_CHILD_CANCELLED;
}

/* Context: child->nursery->lock held, which is the lock of its handlers; it runs. */
static void mark_running(struct nursery_child *c, struct cancel_batch *batch)
{
	if (mark_flag(c))
		nursery_take_handlers(c, &batch->handlers);
}

/* Mark what a worker runs, and take what it has not started. nursery->lock held. */
static void mark_worker(struct nursery *n, struct nursery_worker *w,
			struct cancel_batch *batch)
{
	struct nursery_child *c;

	add_unstarted(batch, nursery_worker_disown(w));
	c = nursery_worker_hold(w);
	if (c) {
		if (!child_is_spared(n, c))
			mark_running(c, batch);
		nursery_worker_release(w);
	}
}

/* A child that an executor has, or hardware. Context: nursery->lock held. */
static void mark_other(struct nursery *n, struct nursery_child *c, struct cancel_batch *batch)
{
	switch (child_phase(atomic_read(&c->state))) {
	case CHILD_SUBMITTED:
		if (nursery_child_retract(n, c)) {
			if (nursery_takes_place(n, c))
				n->nr_active--;
			add_unstarted_child(batch, c);
			return;
		}
		/* Its executor will run it yet, see the mark, and skip the function. */
		atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
		return;
	case CHILD_EXTERNAL:
		mark_running(c, batch);
		return;
	}
}

/* Set the flag, unless it is set or too late. Context: nursery->lock held. */
static bool mark_state(struct nursery *n, int cause, unsigned long canceller)
{
	s64 old = atomic64_read(&n->state);

	do {
		if (old & (NURSERY_CANCELLED | NURSERY_CLOSED))
			return false;
		/* Read by who sees the flag. Written here alone, under the lock. */
		n->cause = cause;
		n->canceller = canceller;
		/* Fully ordered, then the look at what workers have: see worker.c. */
	} while (!atomic64_try_cmpxchg(&n->state, &old, old | NURSERY_CANCELLED));
	return true;
}

/* Context: nursery_tree_lock held. */
static void mark_nursery(struct nursery *n, int cause, struct cancel_batch *batch)
{
	struct nursery_worker *w;
	struct nursery_child *c;
	struct llist_node *list;
	struct hlist_node *next;

	raw_spin_lock(&n->lock);
	if (!mark_state(n, cause, batch->canceller)) {
		raw_spin_unlock(&n->lock);
		return;
	}
	trace_nursery_cancel(n);
	nursery_grace_begin(n);
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w))
		mark_worker(n, w, batch);
	/* A service that has been unparked, and that its executor has, has begun as well. */
	hlist_for_each_entry_safe(c, next, &n->others, other)
		if (!nursery_is_parked_service(n, c))
			mark_other(n, c, batch);
	if (n->max_active) {
		while ((c = list_first_entry_or_null(&n->ready, struct nursery_child, node))) {
			list_del(&c->node);
			c->handlers = NULL;
			c->pins = 0;
			child_set_phase(c, CHILD_LIVE);
			add_unstarted_child(batch, c);
		}
	} else {
		while ((list = nursery_ready_grab(n)))
			add_unstarted(batch, list);
	}
	/* One of those that are parked stands for the others: see end_unstarted(). */
	add_unstarted(batch, nursery_take_parked(n, 1));
	/* Hardware cannot end before the lock is dropped, so the nursery is kept open. */
	if (!hlist_empty(&n->others) && nursery_stuck_at(n) != KTIME_MAX)
		nursery_timer_set(n);
	raw_spin_unlock(&n->lock);
}

/*
 * Has a shielded child opened it? The child was marked before; if it has raised its shield
 * since then, or lowers it now, it delivers that mark after us, under the same lock.
 *
 * Context: nursery_tree_lock held.
 */
static bool is_sheltered(const struct nursery *n)
{
	const struct nursery_child *parent = nursery_parent(n);

	return parent && child_is_shielded(parent);
}

/* Is it below a service, which goes on for now? Context: nursery_tree_lock held. */
static bool is_spared(const struct nursery *n)
{
	const struct nursery_child *parent = nursery_parent(n);

	return parent && child_is_spared(parent->nursery, parent);
}

/* Context: nursery_tree_lock held. */
static void mark_subtree(struct nursery *root, int cause, struct cancel_batch *batch)
{
	struct nursery *n = root;

	while (n) {
		if (n != root && (is_sheltered(n) || is_spared(n))) {
			n = nursery_tree_pass(n, root);
			continue;
		}
		mark_nursery(n, n == root ? cause : -ECANCELED, batch);
		n = nursery_tree_next(n, root);
	}
}

/*
 * Children of @n that are to be started do not; or again, and see that they are cancelled.
 * The last one may be the nursery's last.
 */
static void end_list(struct nursery *n, struct llist_node *list)
{
	unsigned int nr = nursery_children_skip(n, &list);
	struct llist_node *next;

	/* If any are left, those keep the nursery. */
	if (nr)
		nursery_uncount(n, nr);
	for (; list; list = next) {
		struct nursery_child *c = nursery_linked(list);

		next = list->next;
		nursery_child_tell(c);
		nursery_child_make_ready(n, c);
	}
}

/* Of how many parked children the nursery's lock is held for. */
#define PARKED_CHUNK	64

/*
 * End a list of children that did not start, and in a cancelled nursery before that
 * all that are parked: there may be a million. The list keeps the nursery meanwhile.
 */
static void end_unstarted(struct nursery_child *first)
{
	struct nursery *n = first->nursery;
	struct llist_node *list;
	unsigned long flags;

	while (nursery_cancelled(n)) {
		raw_spin_lock_irqsave(&n->lock, flags);
		list = nursery_take_parked(n, PARKED_CHUNK);
		raw_spin_unlock_irqrestore(&n->lock, flags);
		if (!list)
			break;
		end_list(n, list);
	}
	end_list(n, &first->link);
}

/* Services, and no others. Context: nursery_tree_lock held, and nursery->lock. */
static void mark_services(struct nursery *n, struct cancel_batch *batch)
{
	struct nursery_child *c, *next_parked;
	struct nursery_worker *w;
	struct hlist_node *next;

	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		c = nursery_worker_hold(w);
		if (!c)
			continue;
		if (child_is_service(c))
			mark_running(c, batch);
		nursery_worker_release(w);
	}
	hlist_for_each_entry_safe(c, next, &n->others, other)
		if (child_is_service(c))
			mark_other(n, c, batch);
	for (c = nursery_next_parked(n, NULL); c; c = next_parked) {
		next_parked = nursery_next_parked(n, c);
		if (child_is_service(c) && nursery_parked_remove(n, c))
			add_unstarted_child(batch, c);
	}
}

/* The second pass. Handlers first: somebody's sleep ends with each. */
static void carry_out(struct cancel_batch *batch)
{
	struct nursery_child *c;

	nursery_call_handlers(batch->handlers);
	while ((c = batch->unstarted)) {
		batch->unstarted = c->pack.next ?
			llist_entry(c->pack.next, struct nursery_child, pack) : NULL;
		end_unstarted(c);
	}
}

/* nursery_cancel(), by the code at @canceller. Context: Any. */
void nursery_cancel_by(struct nursery *n, int cause, unsigned long canceller)
{
	struct cancel_batch batch = { .canceller = canceller };
	unsigned long flags;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	mark_subtree(n, cause, &batch);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	carry_out(&batch);
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
	if (nursery_debug_known(n, "cancel", _RET_IP_))
		nursery_cancel_by(n, cause, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_cancel);

/* Mark a child that has not finished. Context: nursery->lock held, @c held. */
static void mark_child(struct nursery *n, struct nursery_child *c, struct cancel_batch *batch)
{
	struct nursery_worker *w;

	if (nursery_child_take(n, c, false)) {
		add_unstarted_child(batch, c);
		return;
	}
	if (!c->fn || child_phase(atomic_read(&c->state)) == CHILD_SUBMITTED) {
		mark_other(n, c, batch);
		return;
	}
	/* Who has taken it and not shown it yet will see the mark, and skip it. */
	mark_flag(c);
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		struct nursery_child *running = nursery_worker_hold(w);

		if (running == c)
			mark_running(c, batch);
		if (running)
			nursery_worker_release(w);
	}
}

/* The nurseries that @c opened; @c itself is not looked at. nursery_tree_lock held. */
static void mark_opened_by(struct nursery *n, const struct nursery_child *c,
			   struct cancel_batch *batch)
{
	struct nursery *below;

	nursery_tree_list_opened(n);
	hlist_for_each_entry(below, &n->nested, sibling)
		if (nursery_parent(below) == c && !is_sheltered(below))
			mark_subtree(below, -ECANCELED, batch);
}

/*
 * The flag of @c, which runs here, is set as its last shield has gone: do what else there
 * is to a cancel.
 */
void nursery_cancel_put_off(struct nursery_child *c)
{
	struct nursery *n = c->nursery;
	struct cancel_batch batch = { };
	unsigned long flags;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	batch.canceller = nursery_child_canceller(c);
	raw_spin_lock(&n->lock);
	mark_running(c, &batch);
	raw_spin_unlock(&n->lock);
	mark_opened_by(n, c, &batch);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	carry_out(&batch);
}

/* No others than services are left: they are to stop. Context: the joiner. */
void nursery_stop_services(struct nursery *n)
{
	struct cancel_batch batch = { .canceller = (unsigned long)nursery_join };
	struct nursery *below;

	raw_spin_lock_irq(&nursery_tree_lock);
	raw_spin_lock(&n->lock);
	if (nursery_services_stop(n)) {
		mark_services(n, &batch);
		raw_spin_unlock(&n->lock);
		nursery_tree_list_opened(n);
		hlist_for_each_entry(below, &n->nested, sibling) {
			const struct nursery_child *parent = nursery_parent(below);

			if (parent && child_is_service(parent) && !is_sheltered(below))
				mark_subtree(below, -ECANCELED, &batch);
		}
	} else {
		raw_spin_unlock(&n->lock);
	}
	raw_spin_unlock_irq(&nursery_tree_lock);
	carry_out(&batch);
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
	struct cancel_batch batch = { .canceller = _RET_IP_ };
	unsigned long flags;
	struct nursery *n;

	local_irq_save(flags);
	n = nursery_child_hold_unfinished(c);
	if (n) {
		atomic64_or(NURSERY_UNSURE, &n->state);
		raw_spin_lock(&nursery_tree_lock);
		raw_spin_lock(&n->lock);
		mark_child(n, c, &batch);
		/* If it had a place below max_active, that is free. */
		nursery_submit_waiting(n);
		raw_spin_unlock(&n->lock);
		mark_opened_by(n, c, &batch);
		raw_spin_unlock(&nursery_tree_lock);
		nursery_offer_rest(n);
		nursery_child_release(c);
	}
	local_irq_restore(flags);
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
		if ((u64)atomic64_read(&n->id) == id) {
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
 * Context: Process context.
 * Return: 0; -ENOENT.
 */
int nursery_cancel_id(struct nursery *within, u64 id, int cause)
{
	struct cancel_batch batch = { .canceller = _RET_IP_ };
	struct nursery *root = NULL;
	unsigned long flags;
	bool found = false;

	raw_spin_lock(&nursery_roots_lock);
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	if (within)
		found = mark_id(within, id, cause, &batch);
	else
		while (!found && (root = nursery_next_root(root)))
			found = mark_id(root, id, cause, &batch);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	raw_spin_unlock(&nursery_roots_lock);
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
	return atomic64_read(&n->state) & NURSERY_CANCELLED;
}
EXPORT_SYMBOL_GPL(nursery_cancelled);

/* Was it? Then its cause and who did it may be read, which do not change any more. */
static bool was_cancelled(const struct nursery *n)
{
	/* Pairs with mark_state(), which writes them before it sets the flag. */
	return atomic64_read_acquire(&n->state) & NURSERY_CANCELLED;
}

/**
 * nursery_cancel_cause - why has this nursery been cancelled?
 * @n: the nursery
 *
 * Context: Any.
 * Return: what nursery_cancel() was given, which may be 0; -ETIMEDOUT of a deadline; the
 *	   error of the child that failed; -ECANCELED if something above was cancelled.
 *	   0 if @n has not been cancelled: nursery_cancelled() tells these apart.
 */
int nursery_cancel_cause(const struct nursery *n)
{
	return was_cancelled(n) ? n->cause : 0;
}
EXPORT_SYMBOL_GPL(nursery_cancel_cause);

/**
 * nursery_canceller - what code has cancelled this nursery?
 * @n: the nursery
 *
 * For messages: print it with %pS. It is where nursery_cancel() of @n or of a nursery
 * above it was called, or nursery_child_cancel() of a child above; for a child
 * that failed its function, or where it was completed; for a deadline
 * nursery_set_deadline().
 *
 * Context: Any.
 * Return: an address in the kernel's text; NULL if @n has not been cancelled.
 */
void *nursery_canceller(const struct nursery *n)
{
	return was_cancelled(n) ? (void *)n->canceller : NULL;
}
EXPORT_SYMBOL_GPL(nursery_canceller);

/*
 * Who cancelled @c, which is cancelled: a child has no room to keep it, its nursery has.
 *
 * Context: nursery_tree_lock held.
 */
unsigned long nursery_child_canceller(const struct nursery_child *c)
{
	return (unsigned long)nursery_canceller(c->nursery) ?: (unsigned long)nursery_child_cancel;
}

/*
 * A child failed, by the code at @by: keep the first error, and cancel its siblings.
 *
 * Context: Any.
 */
void nursery_fail(struct nursery *n, int error, unsigned long by)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&n->lock, flags);
	if (!n->error)
		n->error = error;
	raw_spin_unlock_irqrestore(&n->lock, flags);

	if (!(n->flags & NURSERY_SUPERVISE))
		nursery_cancel_by(n, error, by);
}
