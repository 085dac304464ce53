// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel-aware waits: they end when the child is cancelled.
 *
 * Each is the kernel's own wait plus a cancel handler on the waiter's stack that
 * wakes its task. A wake between the test of the flag and the sleep is not lost:
 * the task state is set before the test, and the canceller sets the flag before he
 * calls the handler. A child that was cancelled before has its handler called when that
 * is registered, which does no harm, and finds the flag.
 *
 * What is waited for is looked at before the flag, so it wins over a cancel: a child
 * that took something (a completion, an item off a queue) is never told -ECANCELED.
 *
 * All sleep in TASK_IDLE: no load, and not for the hung-task detector to count. At
 * first a fatal signal wakes them as well: the waiter may be a joiner that helps, in
 * nursery_join_killable(), and has to cancel. If it is not, it goes on to sleep, with its
 * ears shut.
 */
#include <linux/completion.h>
#include <linux/export.h>
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/swait.h>

#include "internal.h"

static void wake_task(struct nursery_cancel_handler *h)
{
	wake_up_process(container_of(h, struct nursery_wait, handler)->task);
}

/**
 * __nursery_wait_start - from here on a cancel of a child wakes the caller
 * @w: on the caller's stack; to be given to __nursery_wait_end()
 * @c: the calling child
 *
 * For the macros of nursery.h. The caller sleeps in the state @w->state.
 *
 * Context: Process context, does not sleep.
 */
void __nursery_wait_start(struct nursery_wait *w, struct nursery_child *c)
{
	w->task = current;
	w->state = TASK_IDLE | TASK_WAKEKILL;
	nursery_on_cancel(c, &w->handler, wake_task);
}
EXPORT_SYMBOL_GPL(__nursery_wait_start);

/**
 * __nursery_wait_killed - a fatal signal has woken the caller: cancel what it joins
 * @w: started
 *
 * That may be above the child, so who waits looks at the flag again.
 *
 * Context: Process context; TASK_RUNNING.
 */
void __nursery_wait_killed(struct nursery_wait *w)
{
	w->state = TASK_IDLE;
	nursery_kill(w->handler.child->nursery);
}
EXPORT_SYMBOL_GPL(__nursery_wait_killed);

/**
 * __nursery_wait_end - the caller waits no more
 * @w: started; no canceller refers to it any more
 *
 * Context: Process context, may sleep; TASK_RUNNING.
 */
void __nursery_wait_end(struct nursery_wait *w)
{
	nursery_off_cancel(&w->handler);
}
EXPORT_SYMBOL_GPL(__nursery_wait_end);

/**
 * nursery_sleep - sleep until a time has passed or the child is cancelled
 * @c: the calling child
 * @duration: how long, in ns
 *
 * Context: Process context, from the child's function.
 * Return: 0: the time has passed; -ECANCELED.
 */
int nursery_sleep(struct nursery_child *c, ktime_t duration)
{
	ktime_t when = ktime_add_safe(ktime_get(), duration);
	struct nursery_wait wait;
	int ret = 0;

	might_sleep();

	__nursery_wait_start(&wait, c);
	for (;;) {
		set_current_state(wait.state);
		if (nursery_child_cancelled(c)) {
			ret = -ECANCELED;
			break;
		}
		/* 0: it expired; else somebody woke us. */
		if (!schedule_hrtimeout(&when, HRTIMER_MODE_ABS))
			break;
		if (signal_pending_state(wait.state, current))
			__nursery_wait_killed(&wait);
	}
	__set_current_state(TASK_RUNNING);
	__nursery_wait_end(&wait);
	return ret;
}
EXPORT_SYMBOL_GPL(nursery_sleep);

/*
 * Sleep until @x looks completed, @c is cancelled or we are killed. Afterwards we are in
 * no queue.
 */
static void sleep_on_completion(struct nursery_child *c, struct completion *x,
				unsigned int state)
{
	DECLARE_SWAITQUEUE(entry);

	for (;;) {
		prepare_to_swait_exclusive(&x->wait, &entry, state);
		if (completion_done(x) || nursery_child_cancelled(c) ||
		    signal_pending_state(state, current))
			break;
		schedule();
	}
	finish_swait(&x->wait, &entry);
}

/**
 * nursery_wait_for_completion - wait for a completion, or until the child is cancelled
 * @c: the calling child
 * @x: the completion; others may wait for it, too
 *
 * As wait_for_completion(): one complete() lets one waiter go. A wait that is cancelled
 * takes none, and leaves it to the next waiter. A completion that has been completed
 * wins over a cancel.
 *
 * After -ECANCELED somebody may still be on the way to complete @x: keep it until
 * that cannot happen any more. After 0 it may go, if nobody else uses it.
 *
 * Context: Process context, may sleep; from the child's function.
 * Return: 0: it was completed, and one complete() is used up; -ECANCELED: the child
 *	   has been cancelled.
 */
int nursery_wait_for_completion(struct nursery_child *c, struct completion *x)
{
	struct nursery_wait wait;
	int ret = 0;

	might_sleep();

	if (try_wait_for_completion(x))
		return 0;
	__nursery_wait_start(&wait, c);
	do {
		sleep_on_completion(c, x, wait.state);
		if (nursery_child_cancelled(c))
			ret = -ECANCELED;
		/*
		 * complete() counts, then takes one waiter off the queue, who has to see to it
		 * that it is taken. If that was us, the count is there: so we try even when
		 * cancelled. And not while we are in the queue: the next complete() could
		 * choose us when we have taken one and are about to go.
		 */
		if (try_wait_for_completion(x)) {
			ret = 0;
			break;
		}
		if (signal_pending_state(wait.state, current))
			__nursery_wait_killed(&wait);
	} while (!ret);
	__nursery_wait_end(&wait);
	return ret;
}
EXPORT_SYMBOL_GPL(nursery_wait_for_completion);

/**
 * nursery_cond_resched - let others run, and look whether the child is cancelled
 * @c: the calling child
 *
 * For long loops: cond_resched(), and then nursery_child_cancelled().
 *
 * Context: Process context, may sleep; from the child's function.
 * Return: 0; -ECANCELED: the child has been cancelled.
 */
int nursery_cond_resched(struct nursery_child *c)
{
	cond_resched();
	if (unlikely(fatal_signal_pending(current)))
		nursery_kill(c->nursery);
	return nursery_child_cancelled(c) ? -ECANCELED : 0;
}
EXPORT_SYMBOL_GPL(nursery_cond_resched);
