// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadline: a transfer that takes too long is aborted, and if that does not help the
 * device is reset.
 *
 * The device is simulated, with a work item for its interrupt. It is good, slow, or
 * hangs so that it ignores even an abort. What there is to learn:
 *
 * - The transfer is an external child: begun before the hardware is started, completed
 *   by the interrupt. The scope cannot be left while the device may still write to our
 *   stack, whatever the clock says.
 * - The deadline cancels the scope. That calls the handler of nursery_on_cancel(), which
 *   asks the device to abort; when the device says so, the child completes. (If all of a
 *   scope is to be done by a time, that is .timeout.)
 * - .grace is how long the device has for that. Only if the child is still there then, the
 *   handler of nursery_on_hard_cancel() is called, and does what the device cannot ignore.
 * - Both are called in a timer's interrupt, and so is what else may complete the child. Who
 *   takes the transfer out of the device with xchg() is the one to complete it.
 * - What has to be undone when no child is left goes to nursery_defer().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/workqueue.h>

enum health { GOOD, SLOW, HANGS };

struct device_state {
	enum health		health;
	struct transfer		*transfer;	/* in the hardware; who takes it completes it */
	struct delayed_work	interrupt;
	unsigned int		interrupts, aborts, resets;
};

struct transfer {
	struct nursery_child		child;
	struct nursery_cancel_handler	on_cancel, on_hard_cancel;
	struct device_state		*dev;
};

static void complete_transfer(struct device_state *dev, int result)
{
	struct transfer *t = xchg(&dev->transfer, NULL);

	if (t)
		nursery_child_complete(&t->child, result);
}

static void interrupt(struct work_struct *work)
{
	struct device_state *dev = container_of(to_delayed_work(work), struct device_state,
						interrupt);

	dev->interrupts++;
	complete_transfer(dev, 0);
}

/* Ask. A device that hangs does not hear it. */
static void abort_transfer(struct nursery_cancel_handler *h)
{
	struct device_state *dev = container_of(h, struct transfer, on_cancel)->dev;

	dev->aborts++;
	if (dev->health != HANGS)
		complete_transfer(dev, -ECANCELED);
}

/* Do not ask. After a reset the device is known to have stopped. */
static void reset_device(struct nursery_cancel_handler *h)
{
	struct device_state *dev = container_of(h, struct transfer, on_hard_cancel)->dev;

	dev->resets++;
	complete_transfer(dev, -ECANCELED);
}

static void free_interrupt(void *data)
{
	struct device_state *dev = data;

	cancel_delayed_work_sync(&dev->interrupt);
}

static int run(struct device_state *dev, enum health health, ktime_t timeout)
{
	struct transfer t = { .dev = dev };
	int err;

	*dev = (struct device_state){ .health = health };
	INIT_DELAYED_WORK(&dev->interrupt, interrupt);
	nursery_child_init(&t.child, NULL, NULL);
	scoped_nursery(n, .name = "transfer", .grace = 5 * NSEC_PER_MSEC, .result = &err) {
		if (nursery_defer(n, free_interrupt, dev) || nursery_child_begin(n, &t.child))
			break;
		/* From here on the child is owed a completion. */
		xchg(&dev->transfer, &t);
		nursery_on_cancel(&t.child, &t.on_cancel, abort_transfer);
		nursery_on_hard_cancel(&t.child, &t.on_hard_cancel, reset_device);
		/* Start it. Only a good device has it done in time. */
		if (health == GOOD)
			schedule_delayed_work(&dev->interrupt, 1);
		/*
		 * The clock begins with the hardware, so that no abort comes before the start.
		 * Where others may cancel as well, look for that: see nursery_edu.
		 */
		nursery_set_deadline(n, ktime_add(ktime_get(), timeout));
	}
	return err;
}

static int __init deadline_init(void)
{
	static struct device_state dev;
	int err;

	err = run(&dev, GOOD, 100 * NSEC_PER_SEC);
	if (err || dev.interrupts != 1 || dev.aborts || dev.resets)
		return err ?: -EBADMSG;
	err = run(&dev, SLOW, 5 * NSEC_PER_MSEC);
	if (err != -ETIMEDOUT || dev.aborts != 1 || dev.resets)
		return -EBADMSG;
	err = run(&dev, HANGS, 5 * NSEC_PER_MSEC);
	if (err != -ETIMEDOUT || dev.aborts != 1 || dev.resets != 1)
		return -EBADMSG;
	pr_info("one transfer done, one aborted, one ended by a reset: %d\n", err);
	return 0;
}
module_init(deadline_init);

static void __exit deadline_exit(void)
{
}
module_exit(deadline_exit);

MODULE_DESCRIPTION("Sample: a deadline and a device that hangs, in a nursery");
MODULE_LICENSE("GPL");
