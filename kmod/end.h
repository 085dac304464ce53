/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a function child that has been run (R10).
 *
 * In a header, as it is much of what a child costs: its worker has it in its loop.
 */
#ifndef _NURSERY_END_H
#define _NURSERY_END_H

#include "internal.h"
#include "trace.h"

/*
 * End a child that there is nobody to tell of: one that succeeded, or was cancelled and
 * says so. Where handlers were called, none is left and none runs; who called one may
 * still be about to drop nursery->lock, but see call_handler(). Nor has it left a nursery
 * open.
 *
 * This is the last access to a child without done(): it pairs with the acquire of who
 * waits for the child and then frees it, or spawns it again. Who sleeps until it is
 * woken has set CHILD_WAITED.
 */
static __always_inline bool child_end_quickly(struct nursery_child *c, int result)
{
	int live = CHILD_LIVE | NURSERY_CHILD_CANCELLED;
	int done = CHILD_DONE | NURSERY_CHILD_CANCELLED;

	if (unlikely(c->handlers || c->opened))
		return false;
	if (likely(!result))
		return atomic_cmpxchg(&c->state, CHILD_LIVE, CHILD_DONE) == CHILD_LIVE;
	return result == -ECANCELED && !READ_ONCE(c->pins) &&
	       atomic_cmpxchg(&c->state, live, done) == live;
}

/*
 * The function of @c returned, or it was skipped. Afterwards @c may not be touched.
 *
 * Context: Process context. Not counted yet, so @n is there.
 */
static __always_inline void child_end(struct nursery *n, struct nursery_child *c, int result)
{
	void (*done)(struct nursery_child *c);

	if (!nursery_debug_child_end(n, c))
		return;
	done = c->done;
	WRITE_ONCE(c->result, result);
	trace_nursery_child_done(n, c);
	if (unlikely(!child_end_quickly(c, result)) && !nursery_child_end_slowly(n, c, result))
		return;
	if (done)
		done(c);
}

#endif /* _NURSERY_END_H */
