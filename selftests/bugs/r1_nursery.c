// SPDX-License-Identifier: GPL-2.0-only
/*
 * R1 on a nursery: see r1_raw.c for the story.
 *
 * The check is a child. A frame that comes after the join finds the nursery closed: the
 * spawn returns -ESHUTDOWN, with nothing changed. (While a check is pending it is -EBUSY.) The
 * memory has to be there for as long as frames find it, as ever: that is RCU's affair.
 */
#include <linux/jiffies.h>
#include <linux/nursery.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include "bug.h"

#define FOO_SILENCE_MS	500

struct foo {
	struct nursery		nursery;
	struct nursery_child	check;
	unsigned int		nr_silences;
};

static struct foo __rcu *foo_receiver;

static int foo_check(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, check);

	foo->nr_silences++;
	return 0;
}

static void foo_frame(struct timer_list *network)
{
	struct foo *foo;

	rcu_read_lock();
	foo = rcu_dereference(foo_receiver);
	if (foo)
		nursery_spawn_delayed(&foo->nursery, &foo->check, ms_to_ktime(FOO_SILENCE_MS));
	rcu_read_unlock();
	mod_timer(network, jiffies + 1);
}

static DEFINE_TIMER(foo_network, foo_frame);

static int foo_probe(struct device *dev)
{
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	nursery_init(&foo->nursery, NULL);
	nursery_child_init(&foo->check, foo_check, NULL);
	rcu_assign_pointer(foo_receiver, foo);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	nursery_cancel(&foo->nursery, 0);
	nursery_join(&foo->nursery);
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

MODULE_DESCRIPTION("R1, on a nursery");
MODULE_LICENSE("GPL");
