// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that cancels its nursery where little is allowed: under a raw
 * spinlock, or in a hard interrupt that is no thread on PREEMPT_RT either. The
 * calls of its operation end there, those that have not started at once (I8).
 *
 * Writing "lock" or "irq" to the parameter cancel does it. The operation,
 * "raw-wait", sleeps until it is cancelled; one runs at a time.
 */
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_op.h>
#include <linux/string.h>

static struct nursery nursery;
static DEFINE_RAW_SPINLOCK(lock);

static int raw_wait(struct nursery_call *call)
{
	return nursery_sleep(&call->child, KTIME_MAX);
}

static struct nursery_op op = { .name = "raw-wait", .run = raw_wait };

static void cancel_in_irq(struct irq_work *work)
{
	nursery_cancel(&nursery, -ENODEV);
}

static int set_cancel(const char *how, const struct kernel_param *param)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(cancel_in_irq);

	if (sysfs_streq(how, "lock")) {
		raw_spin_lock_irq(&lock);
		nursery_cancel(&nursery, -ENODEV);
		raw_spin_unlock_irq(&lock);
	} else if (sysfs_streq(how, "irq")) {
		irq_work_queue(&work);
		irq_work_sync(&work);
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct kernel_param_ops cancel_ops = { .set = set_cancel };
module_param_cb(cancel, &cancel_ops, NULL, 0200);
MODULE_PARM_DESC(cancel, "lock: cancel under a raw lock; irq: in a hard interrupt");

static int __init raw_cancel_start(void)
{
	static const struct nursery_params params = {
		.name = "raw cancel", .max_active = 1, .flags = NURSERY_SUPERVISE,
	};
	int err;

	nursery_init(&nursery, &params);
	err = nursery_register_op(&nursery, &op);
	if (err)
		nursery_join(&nursery);
	return err;
}

static void __exit raw_cancel_stop(void)
{
	nursery_cancel(&nursery, -ENODEV);
	nursery_join(&nursery);
}

module_init(raw_cancel_start);
module_exit(raw_cancel_stop);
MODULE_DESCRIPTION("Test: cancels calls under a raw lock and in a hard interrupt");
MODULE_LICENSE("GPL");
