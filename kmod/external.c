// SPDX-License-Identifier: GPL-2.0-only
/*
 * External children: operations that something else carries out, such as hardware.
 *
 * One begins before its hardware is started, and is in nursery->others from then on; whoever
 * finds the operation finished completes it. Of two completions one is heard, by a
 * cmpxchg; the other is reported.
 *
 * Between completion and end of an external child stand its pins: one for its
 * hardware, one for each of its cancel handlers that is running. Who drops the last
 * ends the child. So a handler never finds its child gone, a completion in a hard
 * interrupt never waits for a handler, and a handler may complete its own child. A
 * function child has the pins of its handlers alone: its worker can wait for them, and does.
 */
#include <linux/export.h>

#include "admit.h"
#include "internal.h"
#include "trace.h"

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
	bool look = false;
	int err;

	if (c->fn)
		return -EINVAL;
	err = child_admit(n, c, CHILD_EXTERNAL, _RET_IP_);
	if (err)
		return err;
	raw_spin_lock_irqsave(&n->lock, flags);
	c->pins = 1;
	hlist_add_head(&c->other, &n->others);
	/* A cancel that came since then has not found it: do what it would have done. */
	if (atomic64_read(&n->state) & NURSERY_CANCELLED) {
		atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
		nursery_timer_set(n);
		look = nursery_look_again(n);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (look)
		nursery_uncount(n, 1);
	return 0;
}
EXPORT_SYMBOL_GPL(nursery_child_begin);

/* See nursery_child_end_external(), for those which that begins with. */
static void end(struct nursery *n, struct nursery_child *c, unsigned long by)
{
	void (*done)(struct nursery_child *c) = c->done;
	int result = c->result;
	unsigned long flags;
	bool finished;

	nursery_check_left_open(n, c);
	/* Still counted, so @n stays for the cancel. */
	if (child_failed(c, result))
		nursery_fail(n, result, by);

	raw_spin_lock_irqsave(&n->lock, flags);
	hlist_del(&c->other);
	nursery_drop_handlers(c);
	while (!(finished = nursery_child_finish(n, c, result))) {
		raw_spin_unlock_irqrestore(&n->lock, flags);
		cpu_relax();
		raw_spin_lock_irqsave(&n->lock, flags);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (done)
		done(c);
	nursery_uncount(n, 1);
}

/*
 * End one that succeeded, was not cancelled, and of which there is nobody to tell: so most
 * completions take the lock once.
 *
 * Context: nursery->lock held; no pins.
 * Return: whether it is one. Then done() is to be called, and it to be counted.
 */
static bool end_quickly(struct nursery *n, struct nursery_child *c)
{
	if (c->result || atomic_read(&c->state) != CHILD_ENDING)
		return false;
	if (unlikely(c->handlers))
		nursery_drop_handlers(c);
	hlist_del(&c->other);
	/* Without done() the last access to it. */
	if (likely(atomic_cmpxchg(&c->state, CHILD_ENDING, CHILD_DONE) == CHILD_ENDING))
		return true;
	/* Somebody has just come to hold it. */
	hlist_add_head(&c->other, &n->others);
	return false;
}

/* It ends now. Context: Any. Return: whether it does. */
static bool begin_end(struct nursery *n, struct nursery_child *c)
{
	if (!nursery_debug_child_end(n, c))
		return false;
	trace_nursery_child_done(n, c);
	return true;
}

/*
 * End an external child that has completed and has no pins. If it failed, it is the code at
 * @by that cancels its siblings.
 *
 * Context: Any; counted here.
 */
void nursery_child_end_external(struct nursery_child *c, unsigned long by)
{
	if (begin_end(c->nursery, c))
		end(c->nursery, c, by);
}

/*
 * Drop a pin. The last one ends an external child; a function child's worker waits
 * for it.
 *
 * Context: nursery->lock held.
 * Return: whether the caller is to call nursery_child_end_external(), without the lock.
 */
bool nursery_child_unpin(struct nursery *n, struct nursery_child *c)
{
	bool is_function = c->fn;

	if (c->pins > 1) {
		WRITE_ONCE(c->pins, c->pins - 1);
		return false;
	}
	/*
	 * The last access to a function child, which may end without the lock: pairs with
	 * the look in child_end_quickly() and the cmpxchg behind it.
	 */
	smp_store_release(&c->pins, 0);
	if (is_function)
		nursery_wake_waiters(n, &c->pins, 0);
	return !is_function;
}

static noinline void report_completion(const struct nursery_child *c, unsigned long from)
{
	if (WARN_ONCE(1, "nursery: child %ps is completed at %pS twice, or was not begun\n",
		      nursery_child_symbol(c), (void *)from))
		nursery_debug_tell_child(c);
}

/**
 * nursery_child_complete - an external child has finished
 * @c: the child, begun
 * @result: 0 or a negative errno; -ECANCELED if it was stopped as asked
 *
 * The last thing to do with the child: from here on it may be freed. Exactly
 * once for each begin; a second call is reported and ignored. Where an interrupt
 * and somebody else may both find the operation finished, let them agree who
 * calls. Of a child that has been abandoned, see nursery_set_quiesce(), a completion is
 * ignored as long as the memory is still that child's.
 *
 * Context: Any, hard interrupts and the child's cancel handlers included.
 */
void nursery_child_complete(struct nursery_child *c, int result)
{
	void (*done)(struct nursery_child *c);
	int old = atomic_read(&c->state);
	bool last, ended = false;
	unsigned long flags;
	struct nursery *n;

	/* Fully ordered (R10): what the hardware wrote comes before the end. */
	do {
		if (c->fn || child_phase(old) != CHILD_EXTERNAL) {
			if (!(old & CHILD_ABANDONED))
				report_completion(c, _RET_IP_);
			return;
		}
	} while (!atomic_try_cmpxchg(&c->state, &old, old - CHILD_EXTERNAL + CHILD_ENDING));
	WRITE_ONCE(c->result, result);
	n = c->nursery;
	done = c->done;
	raw_spin_lock_irqsave(&n->lock, flags);
	last = nursery_child_unpin(n, c) && begin_end(n, c);
	if (last)
		ended = end_quickly(n, c);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (last && !ended)
		end(n, c, _RET_IP_);
	if (ended && done)
		done(c);
	if (ended)
		nursery_uncount(n, 1);
}
EXPORT_SYMBOL_GPL(nursery_child_complete);
