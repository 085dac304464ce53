// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancels, and what must and what may be cancelled (I3, I6).
 *
 * A cancel is written down twice. Before it, as a reason: a flag that is seen
 * must have one, at the nursery or above it. After it, as returned: whoever reads
 * that and is below must see the flag. Not in a shield: there nothing may be seen of what
 * is above.
 *
 * "No function begins after the cancel" cannot be seen from outside for a single
 * child: a worker that has started it may be interrupted before the function's
 * first instruction. But then it has at most one such child, for its next one it
 * looks at the flag. So a task that begins two is a violation; and so is one, if
 * the only child that max_active allows has cancelled its nursery.
 */
#include <linux/ktime.h>
#include <linux/sched.h>

#include "stress.h"

int stress_pick_cause(struct stress_random *r)
{
	static const int causes[] = { 0, -EINTR, -ENODEV, -EAGAIN };

	return causes[stress_below(r, ARRAY_SIZE(causes))];
}

/* Context: Any. Who calls keeps @s from being joined, or is its joiner. */
void stress_cancel(struct stress_scope *s, int cause)
{
	atomic_or(stress_code_bit(cause), &s->causes);
	atomic_or(STRESS_CALLED, &s->reasons);
	smp_mb__after_atomic();		/* the reason first: stress_check_child_flag() */
	nursery_cancel(&s->nursery, cause);
	smp_store_release(&s->cancel_returned, true);	/* stress_is_cancelled()'s acquire */
	stress_count(COUNT_CANCELS);
	stress_count_context();
}

/* Context: Any. @c has been accepted, and stays. */
void stress_cancel_child(struct stress_child *c)
{
	WRITE_ONCE(c->cancel_called, true);
	smp_mb();			/* the reason first: stress_check_child_flag() */
	nursery_child_cancel(&c->child);
	smp_store_release(&c->cancel_returned, true);	/* stress_child_is_cancelled()'s acquire */
	stress_count(COUNT_CHILD_CANCELS);
	stress_count_context();
}

/* Certainly, so whoever is in it, and not at its end, must see it. */
bool stress_is_cancelled(const struct stress_scope *s)
{
	for (; s; s = s->up) {
		if (smp_load_acquire(&s->cancel_returned))	/* pairs with stress_cancel() */
			return true;
		if (!s->parent)
			continue;
		if (s->parent->shielded)
			return false;
		/* Pairs with stress_cancel_child(). */
		if (smp_load_acquire(&s->parent->cancel_returned))
			return true;
	}
	return false;
}

/* Context: @c itself. */
bool stress_child_is_cancelled(const struct stress_child *c)
{
	if (c->shielded)
		return false;
	/* Pairs with stress_cancel_child(). */
	return smp_load_acquire(&c->cancel_returned) || stress_is_cancelled(c->scope);
}

bool stress_may_be_cancelled(const struct stress_scope *s)
{
	return atomic_read(&s->reasons) || stress_may_be_cancelled_above(s);
}

/* The same, by something that is not its own cancel, error or deadline. */
bool stress_may_be_cancelled_above(const struct stress_scope *s)
{
	for (; s->up; s = s->up) {
		if (s->parent && s->parent->shielded)
			return false;
		if ((s->parent && READ_ONCE(s->parent->cancel_called)) ||
		    atomic_read(&s->up->reasons))
			return true;
	}
	return false;
}

/* I3: the flag is there when it must be, and not when it cannot be. In the child. */
void stress_check_child_flag(const struct stress_child *c)
{
	bool must = stress_child_is_cancelled(c);
	bool cancelled = nursery_child_cancelled(&c->child);

	smp_rmb();	/* the flag, then its reason */
	if (must && !cancelled)
		stress_child_violation(c, "I3", "does not see that it is cancelled");
	if (cancelled && !READ_ONCE(c->cancel_called) && !stress_may_be_cancelled(c->scope))
		stress_child_violation(c, "I3", "is cancelled, but nobody did that");
}

/* The function of @c begins here after a cancel has returned (I6). */
static void count_late(struct stress_scope *s, struct stress_child *c)
{
	unsigned long flags;
	unsigned int i;

	stress_count(COUNT_LATE);
	raw_spin_lock_irqsave(&s->late_lock, flags);
	for (i = 0; i < s->nr_late; i++)
		if (s->late[i] == current)
			stress_child_violation(c, "I6",
					       "is the second that %s began after a cancel",
					       current->comm);
	if (s->nr_late < ARRAY_SIZE(s->late))
		s->late[s->nr_late++] = current;
	raw_spin_unlock_irqrestore(&s->late_lock, flags);
}

/* First of all in a child's function. */
void stress_check_late(struct stress_child *c)
{
	if (c->scope->max_active == 1 && c->scope->cancelled_alone)
		stress_child_violation(c, "I6", "began after the one before it had cancelled");
	if (stress_is_cancelled(c->scope))
		count_late(c->scope, c);
}
