// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel handlers: what a child wants to be called when it is cancelled.
 *
 * They are a list of the child, under its nursery's lock. Who cancels the child takes
 * them off the list, and calls them when it has dropped its locks. Each that was taken
 * pins its child until it has returned: an external child does not end meanwhile, and
 * a function child's worker waits. Who takes a handler off that has been taken waits as
 * well.
 */
#include <linux/export.h>

#include "internal.h"

/*
 * Take the handlers of a child, to be called by nursery_call_handlers().
 *
 * Context: nursery->lock held; the child is cancelled, and cannot end before the lock is
 * dropped.
 */
void nursery_take_handlers(struct nursery_child *c, struct nursery_cancel_handler **list)
{
	struct nursery_cancel_handler *h;

	while ((h = c->handlers)) {
		c->handlers = h->next;
		h->state = NURSERY_HANDLER_RUNNING;
		h->next = *list;
		*list = h;
		c->pins++;
	}
}

/* Call a handler that was taken, and drop the pin that it has on its child. */
static void call_handler(struct nursery_cancel_handler *h)
{
	struct nursery_child *c = h->child;
	unsigned long by = (unsigned long)h->fn;
	struct nursery *n = c->nursery;
	unsigned long flags;
	bool end;

	h->fn(h);

	raw_spin_lock_irqsave(&n->lock, flags);
	/*
	 * Without its pin a function child may end before we drop the lock. Its worker
	 * takes the lock before it leaves; so does the joiner, before it closes, as who
	 * took the handler looked at it: NURSERY_HELD.
	 */
	h->state = NURSERY_HANDLER_OFF;
	nursery_wake_waiters(n, h, 0);
	end = nursery_child_unpin(n, c);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (end)
		nursery_child_end_external(c, by);
}

/* Context: Any, no locks held. */
void nursery_call_handlers(struct nursery_cancel_handler *list)
{
	struct nursery_cancel_handler *h;

	while ((h = list)) {
		list = h->next;
		call_handler(h);
	}
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
