// SPDX-License-Identifier: GPL-2.0-only
/*
 * R1: work that is queued again after it was cancelled.
 *
 * CVE-2026-23393 (bridge: br_cfm), CVE-2026-23239 (espintcp), CVE-2026-23240 (tls: the work
 * that transmits), CVE-2024-26654 (sound/sh/aica: a timer and a work that arm each other).
 *
 * Frames come, and each sees to it that somebody looks later whether more have come. They are
 * others' to stop, and find the receiver by RCU. To take that down the work is cancelled, and
 * then the receiver is taken from the list and freed, after a grace period. cancel_..._sync()
 * knows of what is queued when it is called. It shuts no door: the window is from there to
 * where the last frame has gone, and a frame that falls into it queues the work again, which is
 * then freed while it is queued.
 *
 * A nursery is a door, too: spawn, cancel and join meet in one atomic, and what comes
 * after the join is refused.
 */
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include "bug.h"

#define FOO_SILENCE_MS	500

struct foo {
	struct delayed_work	check;
	unsigned int		nr_silences;
};

static struct foo __rcu *foo_receiver;

static void foo_check(struct work_struct *work)
{
	struct foo *foo = container_of(to_delayed_work(work), struct foo, check);

	foo->nr_silences++;
}

static void foo_frame(struct timer_list *network)
{
	struct foo *foo;

	rcu_read_lock();
	foo = rcu_dereference(foo_receiver);
	if (foo)
		schedule_delayed_work(&foo->check, msecs_to_jiffies(FOO_SILENCE_MS));
	rcu_read_unlock();
	mod_timer(network, jiffies + 1);
}

static DEFINE_TIMER(foo_network, foo_frame);

static int foo_probe(struct device *dev)
{
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	INIT_DELAYED_WORK(&foo->check, foo_check);
	rcu_assign_pointer(foo_receiver, foo);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	cancel_delayed_work_sync(&foo->check);
	bug_window();
	RCU_INIT_POINTER(foo_receiver, NULL);
	synchronize_rcu();
	kfree(foo);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};

static int __init foo_start(void)
{
	int err = bug_driver_register(&foo_driver);

	if (!err)
		mod_timer(&foo_network, jiffies + 1);
	return err;
}

static void __exit foo_stop(void)
{
	bug_driver_unregister(&foo_driver);
	timer_delete_sync(&foo_network);
}

module_init(foo_start);
module_exit(foo_stop);

MODULE_DESCRIPTION("R1, with the bug: work queued between its cancel and the free");
MODULE_LICENSE("GPL");
