// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlines: a nursery is cancelled with -ETIMEDOUT at a time.
 *
 * Few nurseries have one, so what every nursery carries for it is a node in a queue
 * that is sorted by time; a single timer of the module is armed for the first. In
 * hard interrupt context also with PREEMPT_RT: to cancel is allowed there.
 *
 * The joiner takes its nursery off the queue, after it has closed it, so that it is
 * not put there again. If the timer is cancelling it at that moment it waits, as it
 * would for a timer of its own in hrtimer_cancel().
 */
#include <linux/export.h>
#include <linux/hrtimer.h>

#include "internal.h"

static DEFINE_RAW_SPINLOCK(deadline_lock);	/* all below; inside nursery->lock */
static struct timerqueue_head deadlines;	/* struct nursery, by deadline */
static struct nursery *expiring;		/* is being cancelled, without the lock */
static struct hrtimer timer;

/* Arm the timer for the first. Context: deadline_lock held; not from the timer. */
static void arm(void)
{
	struct timerqueue_node *first = timerqueue_getnext(&deadlines);

	if (first)
		hrtimer_start(&timer, first->expires, HRTIMER_MODE_ABS_HARD);
}

static bool is_queued(const struct nursery *n)
{
	return !RB_EMPTY_NODE(&n->deadline.node);
}

static enum hrtimer_restart expire(struct hrtimer *unused)
{
	struct timerqueue_node *first;
	struct nursery *n;

	raw_spin_lock(&deadline_lock);
	while ((first = timerqueue_getnext(&deadlines)) &&
	       first->expires <= ktime_get()) {
		n = container_of(first, struct nursery, deadline);
		timerqueue_del(&deadlines, first);
		expiring = n;
		raw_spin_unlock(&deadline_lock);
		nursery_cancel(n, -ETIMEDOUT);
		raw_spin_lock(&deadline_lock);
		expiring = NULL;
	}
	/* Whoever queues another one meanwhile starts the timer anew; this is for those before. */
	arm();
	raw_spin_unlock(&deadline_lock);
	return HRTIMER_NORESTART;
}

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

	/* The joiner takes off what was set before it closed; from then on this refuses. */
	if (nursery_keep(n))
		return;
	raw_spin_lock_irqsave(&n->lock, flags);
	atomic64_or(NURSERY_TIMED, &n->state);
	raw_spin_lock(&deadline_lock);
	if (is_queued(n))
		timerqueue_del(&deadlines, &n->deadline);
	WRITE_ONCE(n->deadline.expires, when);
	if (when != KTIME_MAX && timerqueue_add(&deadlines, &n->deadline))
		arm();
	raw_spin_unlock(&deadline_lock);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	nursery_uncount(n, 1);
}
EXPORT_SYMBOL_GPL(nursery_set_deadline);

/* After this nothing refers to the nursery's deadline. Context: Process context, closed. */
void nursery_deadline_end(struct nursery *n)
{
	raw_spin_lock_irq(&deadline_lock);
	if (is_queued(n))
		timerqueue_del(&deadlines, &n->deadline);
	while (expiring == n) {
		raw_spin_unlock_irq(&deadline_lock);
		cpu_relax();
		raw_spin_lock_irq(&deadline_lock);
	}
	raw_spin_unlock_irq(&deadline_lock);
}

/**
 * nursery_effective_deadline - when a nursery is cancelled at the latest
 * @n: the nursery
 *
 * Context: Any.
 * Return: the earliest of its own deadline and those above it; KTIME_MAX: none.
 */
ktime_t nursery_effective_deadline(const struct nursery *n)
{
	ktime_t when = KTIME_MAX;

	/* What is above is there as long as @n is. */
	for (; n; n = nursery_up(n))
		when = min(when, READ_ONCE(n->deadline.expires));
	return when;
}
EXPORT_SYMBOL_GPL(nursery_effective_deadline);

void nursery_deadline_start(void)
{
	timerqueue_init_head(&deadlines);
	hrtimer_setup(&timer, expire, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
}

/* All nurseries have been joined. */
void nursery_deadline_stop(void)
{
	hrtimer_cancel(&timer);
}
