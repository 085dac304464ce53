// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shields: a child has something to do that no cancel is to reach.
 *
 * A child counts its shields in its state, the word that has its flag. So a cancel,
 * which changes that word as well, finds a shield and leaves the flag and the handlers
 * alone, or comes before the shield. What it does instead is to set PENDING. The walk of
 * the cancel passes by the nurseries that a shielded child has opened, with all that is
 * below them.
 *
 * The last shield that goes takes PENDING with it in one cmpxchg, and the child itself
 * then does what a cancel would have done. Until it has done so, under
 * nursery_tree_lock, it raises no other shield.
 *
 * A flag that is set when the first shield goes up is put off like one that comes later:
 * a child that has been cancelled can still clean up in its own time.
 */
#include <linux/bug.h>
#include <linux/export.h>

#include "internal.h"

/**
 * nursery_shield - keep cancels from this child
 * @c: the calling child
 *
 * Until nursery_unshield() nursery_child_cancelled() is false, cancel-aware waits
 * last, cancel handlers are not called, and nurseries that @c has opened or opens
 * are not cancelled from above; one may still be cancelled itself, or by its own
 * deadline. A cancel that comes meanwhile, or came before, is put off, not lost.
 *
 * Only @c is shielded. Its nursery is cancelled all the same, and refuses what @c
 * wants to spawn there. A nursery that @c opens with .outer belongs to that one.
 *
 * Shields nest: each takes one nursery_unshield(), before the function returns.
 *
 * Context: The child's function; any.
 */
void nursery_shield(struct nursery_child *c)
{
	int old = atomic_read(&c->state), new;

	do {
		if (WARN_ONCE(!c->fn || child_phase(old) != CHILD_LIVE,
			      "nursery: shield of a child that does not run\n") ||
		    WARN_ONCE((old & CHILD_SHIELDS) == CHILD_SHIELDS,
			      "nursery: child %ps has too many shields\n", c->fn))
			return;
		new = old + CHILD_SHIELD;
		if (old & NURSERY_CHILD_CANCELLED)
			new += CHILD_PENDING - NURSERY_CHILD_CANCELLED;
		/* Ordered against mark_flag() by being the same word. */
	} while (!atomic_try_cmpxchg(&c->state, &old, new));
}
EXPORT_SYMBOL_GPL(nursery_shield);

/* @state without shields; what was put off is due. */
static int unshielded(int state)
{
	state &= ~CHILD_SHIELDS;
	if (state & CHILD_PENDING)
		state += NURSERY_CHILD_CANCELLED - CHILD_PENDING;
	return state;
}

/**
 * nursery_unshield - let cancels through again
 * @c: the calling child, shielded
 *
 * With the last shield a cancel that was put off takes place here: on return
 * nursery_child_cancelled() is true, the cancel handlers have been called and
 * the nurseries that @c opened are cancelled.
 *
 * Context: The child's function; any.
 */
void nursery_unshield(struct nursery_child *c)
{
	int old = atomic_read(&c->state), new;

	do {
		if (WARN_ONCE(!(old & CHILD_SHIELDS),
			      "nursery: unshield of a child that is not shielded\n"))
			return;
		new = old - CHILD_SHIELD;
		if (!(new & CHILD_SHIELDS))
			new = unshielded(new);
	} while (!atomic_try_cmpxchg(&c->state, &old, new));
	if (new & NURSERY_CHILD_CANCELLED)
		nursery_cancel_put_off(c);
}
EXPORT_SYMBOL_GPL(nursery_unshield);

/*
 * The function of @c has returned with a shield on, which ends with it. If a cancel was put
 * off, the child may say so: it has been asked.
 */
void nursery_shield_end(struct nursery_child *c)
{
	int old = atomic_read(&c->state);

	WARN_ONCE(1, "nursery: child %ps of \"%s\" returned with a shield on\n",
		  c->fn, c->nursery->name);
	do {
	} while (!atomic_try_cmpxchg(&c->state, &old, unshielded(old)));
}
