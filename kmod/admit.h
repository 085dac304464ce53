/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate: how a child comes to belong to a nursery (R1).
 *
 * In a header, as it is most of what a spawn costs: each way to start a child that is to be
 * fast has its own copy. Others call nursery_admit().
 */
#ifndef _NURSERY_ADMIT_H
#define _NURSERY_ADMIT_H

#include "internal.h"
#include "trace.h"

/*
 * Count one in, unless the nursery is closed or cancelled. Context: Any. Fully ordered.
 *
 * Return: the nursery's state before that; if it has one of the two flags nothing was done.
 */
static __always_inline s64 child_count_in(struct nursery *n)
{
	s64 old = atomic64_read(&n->state);

	do {
		if (unlikely(old & (NURSERY_CLOSED | NURSERY_CANCELLED)))
			break;
	} while (!atomic64_try_cmpxchg(&n->state, &old, old + NURSERY_COUNT));
	return old;
}

/*
 * Let a child in. From then on cancel and join may find it, with its nursery and no
 * handlers: those are written before the count, which is fully ordered, and the phase
 * after it; they read the phase with an acquire. @phase may have flags.
 *
 * @from: where in the code it is spawned.
 *
 * Return: 0, or an errno that changed nothing.
 */
static __always_inline int child_admit(struct nursery *n, struct nursery_child *c,
				       unsigned int phase, unsigned long from)
{
	unsigned int old;
	s64 state;
	int err;

	err = nursery_debug_spawn(n, c, from);
	if (err)
		return err;
	old = atomic_read(&c->state);
	if (unlikely(!child_may_be_spawned(old)))
		return -EBUSY;
	/*
	 * What finished the child before is over with it: stores are not done before the
	 * branch that they depend on.
	 */
	WRITE_ONCE(c->nursery, n);
	c->handlers = NULL;
	c->pins = 0;
	state = child_count_in(n);
	if (unlikely(state & (NURSERY_CLOSED | NURSERY_CANCELLED))) {
		nursery_debug_child_end(n, c);
		return state & NURSERY_CLOSED ? -ESHUTDOWN : -ECANCELED;
	}
	/* To be collected: it is to tell of its end. */
	if (unlikely(state & NURSERY_COLLECTS) && !c->done)
		phase |= CHILD_TELLS;
	WRITE_ONCE(c->result, 0);
	atomic_set(&c->state, phase | (old & (CHILD_SERVICE | CHILD_BORROWS)));
	trace_nursery_spawn(n, c);
	return 0;
}

#endif /* _NURSERY_ADMIT_H */
