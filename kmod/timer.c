// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time: what happens to a nursery by itself, and when.
 *
 * Few nurseries wait for a time, so what each carries for it is one node in a queue
 * that is sorted by time, put where the first of the nursery's events is. A single
 * timer of the module is armed for the first of them all. It expires in hard interrupt
 * context also with PREEMPT_RT: whatever is done there is allowed in any context.
 *
 * Who changes an event of a nursery calls nursery_timer_set() under the same lock, and
 * the node moves. When the timer finds it, it is off the queue, and what is not due yet
 * puts it there again.
 *
 * The joiner takes its nursery off the queue, after it has closed it, so that it is
 * not put there again. If the timer is busy with it at that moment it waits, as it
 * would for a timer of its own in hrtimer_cancel().
 */
#include <linux/hrtimer.h>

#include "internal.h"

static DEFINE_RAW_SPINLOCK(timer_lock);	/* all below, nursery->timer; inside nursery->lock */
static struct timerqueue_head queue;	/* struct nursery, by timer */
static struct nursery *expiring;	/* the timer is busy with it, without the lock */
static struct hrtimer timer;

/* Arm the timer for the first. Context: timer_lock held. */
static void arm(void)
{
	struct timerqueue_node *first = timerqueue_getnext(&queue);

	if (first)
		hrtimer_start(&timer, first->expires, HRTIMER_MODE_ABS_HARD);
}

/* Context: timer_lock held. */
static bool is_queued(const struct nursery *n)
{
	return !RB_EMPTY_NODE(&n->timer.node);
}

/* When something is to happen next. Context: nursery->lock held. */
static ktime_t next_event(struct nursery *n)
{
	s64 state = atomic64_read(&n->state);
	/* A deadline that has passed is over: it has cancelled, or is about to. */
	ktime_t when = state & NURSERY_CANCELLED ? KTIME_MAX : n->deadline;

	when = min3(when, n->hard_at, nursery_stuck_at(n));
	/* Who takes those that are due looks for the next one. */
	return state & NURSERY_DUE ? when : min(when, nursery_first_parked(n));
}

/*
 * An event of the nursery has changed.
 *
 * Context: Any; nursery->lock held, and the nursery is kept open.
 */
void nursery_timer_set(struct nursery *n)
{
	ktime_t when = next_event(n);

	/* Set under nursery->lock, before the node is ever queued; for the joiner, too. */
	if (!(atomic64_read(&n->state) & NURSERY_TIMED)) {
		if (when == KTIME_MAX)
			return;
		atomic64_or(NURSERY_TIMED, &n->state);
	}
	raw_spin_lock(&timer_lock);
	if (is_queued(n)) {
		if (n->timer.expires == when)
			goto unlock;
		timerqueue_del(&queue, &n->timer);
	}
	n->timer.expires = when;
	if (when != KTIME_MAX && timerqueue_add(&queue, &n->timer))
		arm();
unlock:
	raw_spin_unlock(&timer_lock);
}

/* Something is due. Context: hard interrupt; the joiner waits for us. */
static void events(struct nursery *n, ktime_t now)
{
	struct nursery_cancel_handler *hard = NULL;
	bool timed_out;

	/* Closed: there are no children to be cancelled or run. */
	if (nursery_keep(n))
		return;
	raw_spin_lock(&n->lock);
	timed_out = n->deadline <= now && !nursery_cancelled(n);
	if (n->hard_at <= now)
		hard = nursery_grace_over(n);
	if (!timed_out)
		nursery_parked_expire(n, now);
	raw_spin_unlock(&n->lock);
	nursery_call_handlers(hard);
	if (timed_out)
		nursery_cancel_by(n, -ETIMEDOUT, (unsigned long)nursery_set_deadline);
	raw_spin_lock(&n->lock);
	nursery_stuck_expire(n, now);
	nursery_timer_set(n);
	raw_spin_unlock(&n->lock);
	nursery_offer_rest(n);
	nursery_uncount(n, 1);
}

static enum hrtimer_restart expire(struct hrtimer *unused)
{
	struct timerqueue_node *first;
	struct nursery *n;
	ktime_t now;

	raw_spin_lock(&timer_lock);
	while ((first = timerqueue_getnext(&queue)) &&
	       first->expires <= (now = ktime_get())) {
		n = container_of(first, struct nursery, timer);
		timerqueue_del(&queue, first);
		expiring = n;
		raw_spin_unlock(&timer_lock);
		events(n, now);
		raw_spin_lock(&timer_lock);
		expiring = NULL;
	}
	/* Whoever queues another one meanwhile starts the timer anew; this is for those before. */
	arm();
	raw_spin_unlock(&timer_lock);
	return HRTIMER_NORESTART;
}

/* After this no timer refers to the nursery. Context: Process context, closed. */
void nursery_timer_end(struct nursery *n)
{
	raw_spin_lock_irq(&timer_lock);
	if (is_queued(n))
		timerqueue_del(&queue, &n->timer);
	while (expiring == n) {
		raw_spin_unlock_irq(&timer_lock);
		cpu_relax();
		raw_spin_lock_irq(&timer_lock);
	}
	raw_spin_unlock_irq(&timer_lock);
}

void nursery_timer_start(void)
{
	timerqueue_init_head(&queue);
	hrtimer_setup(&timer, expire, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
}

/* All nurseries have been joined. */
void nursery_timer_stop(void)
{
	hrtimer_cancel(&timer);
}
