// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlines: a nursery is cancelled with -ETIMEDOUT at a time.
 *
 * The nursery's own is one of the events that timer.c waits for. What is above may
 * cancel it earlier.
 */
#include <linux/export.h>

#include "internal.h"

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

	if (!nursery_debug_known(n, "deadline", _RET_IP_))
		return;
	/* The joiner takes off what was set before it closed; from then on this refuses. */
	if (nursery_keep(n))
		return;
	raw_spin_lock_irqsave(&n->lock, flags);
	WRITE_ONCE(n->deadline, when);
	nursery_timer_set(n);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	nursery_uncount(n, 1);
}
EXPORT_SYMBOL_GPL(nursery_set_deadline);

/**
 * nursery_effective_deadline - when a nursery is cancelled at the latest
 * @n: the nursery
 *
 * What is above a shielded child does not count: it cancels nothing below it as long
 * as the shield is up.
 *
 * Context: Any.
 * Return: the earliest of its own deadline and those above it; KTIME_MAX: none.
 */
ktime_t nursery_effective_deadline(const struct nursery *n)
{
	const struct nursery_child *parent;
	ktime_t when = KTIME_MAX;

	/* What is above is there as long as @n is. */
	for (; n; n = nursery_up(n)) {
		when = min(when, READ_ONCE(n->deadline));
		parent = nursery_parent(n);
		if (parent && child_is_shielded(parent))
			break;
	}
	return when;
}
EXPORT_SYMBOL_GPL(nursery_effective_deadline);
