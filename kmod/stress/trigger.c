// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts: what completes external children, and does other things before. A
 * trigger is a timer or a tasklet (softirq), or an hrtimer or irq_work (hard
 * interrupt). It stands for the hardware, so it is not the core's, and outlives
 * the child that it completes: it may go off in vain, after a cancel handler has
 * completed the child.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "stress.h"

static void timer_fired(struct timer_list *timer)
{
	stress_trigger_fired(container_of(timer, struct stress_trigger, timer));
}

static void tasklet_fired(struct tasklet_struct *tasklet)
{
	stress_trigger_fired(container_of(tasklet, struct stress_trigger, tasklet));
}

static enum hrtimer_restart hrtimer_fired(struct hrtimer *hrtimer)
{
	stress_trigger_fired(container_of(hrtimer, struct stress_trigger, hrtimer));
	return HRTIMER_NORESTART;
}

static void irq_work_fired(struct irq_work *work)
{
	stress_trigger_fired(container_of(work, struct stress_trigger, work));
}

/* Context: Process context. */
struct stress_trigger *stress_trigger_new(struct stress_random *r)
{
	struct stress_trigger *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	t->kind = stress_below(r, TRIGGER_KINDS);
	t->delay_us = stress_one_in(r, 2) ? stress_below(r, 20) : stress_below(r, 1000);
	switch (t->kind) {
	case TRIGGER_TIMER:
		timer_setup(&t->timer, timer_fired, 0);
		break;
	case TRIGGER_TASKLET:
		tasklet_setup(&t->tasklet, tasklet_fired);
		break;
	case TRIGGER_HRTIMER:
		hrtimer_setup(&t->hrtimer, hrtimer_fired, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
		break;
	default:
		t->work = IRQ_WORK_INIT_HARD(irq_work_fired);
	}
	return t;
}

/* Context: Any. Those that have no delay go off at once. */
void stress_trigger_arm(struct stress_trigger *t)
{
	switch (t->kind) {
	case TRIGGER_TIMER:
		mod_timer(&t->timer, jiffies + usecs_to_jiffies(t->delay_us));
		break;
	case TRIGGER_TASKLET:
		tasklet_schedule(&t->tasklet);
		break;
	case TRIGGER_HRTIMER:
		hrtimer_start(&t->hrtimer, ns_to_ktime(t->delay_us * NSEC_PER_USEC),
			      HRTIMER_MODE_REL_HARD);
		break;
	default:
		irq_work_queue(&t->work);
	}
}

/* After this it does not go off any more. Context: Process context. */
void stress_trigger_retire(struct stress_trigger *t)
{
	switch (t->kind) {
	case TRIGGER_TIMER:
		timer_delete_sync(&t->timer);
		break;
	case TRIGGER_TASKLET:
		tasklet_kill(&t->tasklet);
		break;
	case TRIGGER_HRTIMER:
		hrtimer_cancel(&t->hrtimer);
		break;
	default:
		irq_work_sync(&t->work);
	}
	kfree(t);
}
