// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel-aware waits: they end when the child is cancelled.
 *
 * Each is the kernel's own wait plus a cancel handler on the waiter's stack that
 * wakes its task. A wake between the test of the flag and the sleep is not lost:
 * the task state is set before the test.
 */
#include <linux/export.h>
#include <linux/hrtimer.h>
#include <linux/sched.h>

#include "internal.h"

struct wait {
	struct nursery_cancel_handler handler;
	struct task_struct *task;
};

static void wake_task(struct nursery_cancel_handler *h)
{
	wake_up_process(container_of(h, struct wait, handler)->task);
}

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
	struct wait wait = { .task = current };
	int ret = 0;

	might_sleep();

	nursery_on_cancel(c, &wait.handler, wake_task);
	for (;;) {
		/* Idle: no load, and not for the hung-task detector to count. */
		set_current_state(TASK_IDLE);
		if (nursery_child_cancelled(c)) {
			ret = -ECANCELED;
			break;
		}
		/* 0: it expired; else somebody woke us. */
		if (!schedule_hrtimeout(&when, HRTIMER_MODE_ABS))
			break;
	}
	__set_current_state(TASK_RUNNING);
	nursery_off_cancel(&wait.handler);
	return ret;
}
EXPORT_SYMBOL_GPL(nursery_sleep);
