// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel handlers: what a child wants to be called when it is cancelled.
 *
 * They are a list of the child, under its nursery's lock. Who cancels the child takes
 * them off the list, and calls them when it has dropped its locks. Each that was taken
 * pins its child until it has returned: an external child does not end meanwhile, and
 * a function child's worker waits. Who takes a handler off that has been taken waits as
 * well.
 *
 * Hard handlers are for children that a cancel, and the handlers that are called at once,
 * have not ended within the nursery's grace. They stay on the list meanwhile, so if
 * the child ends nobody calls them. Each has its own time, as children may be cancelled
 * one by one; nursery->hard_at is the first of these, and one of the nursery's events
 * in timer.c. When the timer finds that it has come, it looks for handlers at the nursery's
 * children as a cancel does. The grace of a nursery begins with its cancel, for all of its
 * children, also those that are shielded then; but not for services, which it spares. From
 * then on nursery->grace says when that is over, and no more how long it is: for handlers that
 * are put on later, whoever does so, that is the time.
 *
 * But a child is asked before it is forced. Who cancels may have handlers of many children
 * to call, and lose its CPU before it has. As long as there is one that was taken and has
 * not returned, nobody looks at the child's hard handlers. Who returns from the last one
 * does, and the child has all of the grace from then on.
 */
#include <linux/export.h>
#include <linux/ktime.h>

#include "internal.h"

/* The nursery is being cancelled. Context: nursery->lock held. */
void nursery_grace_begin(struct nursery *n)
{
	if (n->grace)
		n->grace = ktime_add_safe(ktime_get(), n->grace);
}

/*
 * How many handlers of @c have been taken and have not returned. Context: nursery->lock held;
 * @c has not completed, so one pin of an external child is its hardware's.
 */
static unsigned int nr_running(const struct nursery_child *c)
{
	return c->pins - !c->fn;
}

/* The grace of a hard handler begins, if it has not. Context: nursery->lock held. */
static void begin(struct nursery_cancel_handler *h, ktime_t due)
{
	if (!h->begun)
		h->due = due;
	h->begun = true;
}

/*
 * Is a hard handler of a cancelled child to be called now? If not, the timer is to find it.
 *
 * Context: nursery->lock held; the child has not ended, so the nursery is kept open.
 */
static bool is_due(struct nursery *n, struct nursery_cancel_handler *h)
{
	ktime_t now = ktime_get();
	/* A service is stopped when the others have finished, with a grace of its own. */
	bool with_all = nursery_cancelled(n) && !child_is_service(h->child);

	begin(h, with_all ? n->grace : ktime_add_safe(now, h->due));
	if (h->due <= now)
		return true;
	if (h->due < n->hard_at) {
		n->hard_at = h->due;
		nursery_timer_set(n);
	}
	return false;
}

/* Take the handler that @at refers to. Context: nursery->lock held. */
static void take(struct nursery_cancel_handler **at, struct nursery_cancel_handler **list)
{
	struct nursery_cancel_handler *h = *at;

	*at = h->next;
	h->state = NURSERY_HANDLER_RUNNING;
	h->next = *list;
	*list = h;
	h->child->pins++;
}

/* Take the hard ones that are due. Context: as below; no other runs. */
static void take_hard(struct nursery_child *c, struct nursery_cancel_handler **list)
{
	struct nursery_cancel_handler **at = &c->handlers;

	while (*at) {
		if ((*at)->hard && is_due(c->nursery, *at))
			take(at, list);
		else
			at = &(*at)->next;
	}
}

/*
 * Take those handlers of a child that are due, to be called by nursery_call_handlers().
 *
 * Context: nursery->lock held; the child is cancelled, and cannot end before the lock is
 * dropped.
 */
void nursery_take_handlers(struct nursery_child *c, struct nursery_cancel_handler **list)
{
	struct nursery_cancel_handler **at = &c->handlers;

	while (*at) {
		if ((*at)->hard)
			at = &(*at)->next;
		else
			take(at, list);
	}
	if (!nr_running(c))
		take_hard(c, list);
}

/* Is it to be forced, if it is time? Not if it is shielded: time is when the shield goes. */
static bool may_be_forced(const struct nursery_child *c)
{
	return nursery_child_cancelled(c) &&
	       (c->fn || child_phase(atomic_read(&c->state)) == CHILD_EXTERNAL);
}

/*
 * A handler of @c has returned, and still has its pin. If it was the last that the hard ones
 * have waited for, their grace begins.
 *
 * Context: nursery->lock held.
 */
static void ask_no_more(struct nursery_child *c, struct nursery_cancel_handler **list)
{
	struct nursery_cancel_handler *h;
	ktime_t now;

	if (likely(!c->handlers) || !may_be_forced(c) || nr_running(c) > 1)
		return;
	now = ktime_get();
	for (h = c->handlers; h; h = h->next)
		begin(h, ktime_add_safe(now, h->due));
	take_hard(c, list);
}

/*
 * Call a handler that was taken, and drop the pin that it has on its child. Hard ones that
 * are to follow are put in front of @list.
 */
static void call_handler(struct nursery_cancel_handler *h, struct nursery_cancel_handler **list)
{
	struct nursery_child *c = h->child;
	unsigned long by = (unsigned long)h->fn;
	struct nursery *n = c->nursery;
	bool is_function = c->fn;
	unsigned long flags;
	bool end, look;

	h->fn(h);

	raw_spin_lock_irqsave(&n->lock, flags);
	/* The last access to the handler: pairs with the look in nursery_off_cancel(). */
	smp_store_release(&h->state, NURSERY_HANDLER_OFF);
	nursery_wake_waiters(n, h, 0);
	ask_no_more(c, list);
	/*
	 * Without its pin a function child may end before we drop the lock. Its worker
	 * takes the lock before it leaves; so does the joiner, before it closes, as who
	 * took the handler looked at it: NURSERY_HELD.
	 */
	end = nursery_child_unpin(n, c);
	/* One that is external and does not end is still counted. */
	look = !is_function && !end && nursery_look_again(n);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (end)
		nursery_child_end_external(c, by);
	if (look)
		nursery_uncount(n, 1);
}

/* A handler of the child still runs, as it did not wait: do so. nursery->lock held. */
void nursery_wait_for_handlers(struct nursery *n, struct nursery_child *c)
{
	struct nursery_waiter waiter;

	while (c->pins) {
		nursery_add_waiter(n, &waiter, &c->pins);
		raw_spin_unlock_irq(&n->lock);
		wait_for_completion(&waiter.wake);
		raw_spin_lock_irq(&n->lock);
	}
}

/*
 * nursery->hard_at has come: take the hard handlers that are due.
 *
 * Context: nursery->lock held. The nursery's timer is to be set afterwards.
 * Return: a list, for nursery_call_handlers().
 */
struct nursery_cancel_handler *nursery_grace_over(struct nursery *n)
{
	struct nursery_cancel_handler *list = NULL;
	struct nursery_worker *w;
	struct nursery_child *c;

	/* That of the others is found anew. */
	n->hard_at = KTIME_MAX;
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		c = nursery_worker_hold(w);
		if (!c)
			continue;
		if (may_be_forced(c) && !nr_running(c))
			take_hard(c, &list);
		nursery_worker_release(w);
	}
	hlist_for_each_entry(c, &n->others, other)
		if (!c->fn && may_be_forced(c) && !nr_running(c))
			take_hard(c, &list);
	return list;
}

/* Context: Any, no locks held. */
void nursery_call_handlers(struct nursery_cancel_handler *list)
{
	struct nursery_cancel_handler *h;

	while ((h = list)) {
		list = h->next;
		call_handler(h, &list);
	}
}

/*
 * Put a handler on a child, or, if it is cancelled and @h is due, call it.
 *
 * Return: 0; -ECANCELED: it was called.
 */
static int put_on(struct nursery_child *c, struct nursery_cancel_handler *h, bool hard)
{
	struct nursery *n = c->nursery;
	unsigned long flags;

	h->child = c;
	h->hard = hard;

	raw_spin_lock_irqsave(&n->lock, flags);
	h->due = n->grace;
	h->begun = nursery_cancelled(n);
	if (!nursery_child_cancelled(c) || (hard && (nr_running(c) || !is_due(n, h)))) {
		h->state = NURSERY_HANDLER_ON;
		h->next = c->handlers;
		c->handlers = h;
		raw_spin_unlock_irqrestore(&n->lock, flags);
		return 0;
	}
	h->state = NURSERY_HANDLER_RUNNING;
	c->pins++;
	raw_spin_unlock_irqrestore(&n->lock, flags);
	h->next = NULL;
	nursery_call_handlers(h);
	return -ECANCELED;
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
	h->fn = fn;
	return put_on(c, h, false);
}
EXPORT_SYMBOL_GPL(nursery_on_cancel);

/**
 * nursery_on_hard_cancel - have a function called when a cancel has not been enough
 * @c: the child, running or begun
 * @h: the handler; as for nursery_on_cancel()
 * @fn: as for nursery_on_cancel(), but called after the grace (params.grace) of @c's
 *	nursery, if @c is still there. Mostly in a hard interrupt.
 *
 * For what must not be done lightly, such as to reset the device that has not stopped
 * when it was asked to. Give @c a handler that asks as well.
 *
 * The grace begins when the handlers of nursery_on_cancel() that @c has have been called
 * for a cancel, and have returned: @fn never comes before them, or while one of them runs. If
 * @c has none it begins with the cancel of the nursery, or if just @c was cancelled with
 * that (at the latest with this call, or when a shield that kept it from @c goes). It
 * does not begin anew. A grace of 0 is over at once.
 *
 * A service is stopped later than its nursery is cancelled, and has a grace of its own then. But
 * if it puts @fn on in between, it is the nursery's, which may be over.
 *
 * Context: as nursery_on_cancel().
 * Return: 0: registered. -ECANCELED: the child has been cancelled, its grace is
 *	   over, and @fn has been called here.
 */
int nursery_on_hard_cancel(struct nursery_child *c, struct nursery_cancel_handler *h,
			   void (*fn)(struct nursery_cancel_handler *h))
{
	h->fn = fn;
	return put_on(c, h, true);
}
EXPORT_SYMBOL_GPL(nursery_on_hard_cancel);

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
	struct nursery_waiter waiter;
	struct nursery *n;
	bool running;

	might_sleep();

	/* It has been called. The child may not end yet, but who called it is done with it. */
	if (smp_load_acquire(&h->state) == NURSERY_HANDLER_OFF)
		return;
	n = h->child->nursery;
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
	if (WARN_ONCE(c->fn && c->handlers,
		      "nursery: child %ps of \"%s\" returned with a cancel handler on\n",
		      nursery_child_fn(c), c->nursery->name))
		nursery_debug_tell_child(c);
	while (c->handlers)
		unlink_handler(c->handlers);
}
