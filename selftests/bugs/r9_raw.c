// SPDX-License-Identifier: GPL-2.0-only
/*
 * R9: what has to make progress without memory waits for what need not.
 *
 * CVE-2024-57888, which is about when the warning below is due, and many a report of that
 * warning.
 *
 * Writing back frees memory, so its workqueue has WQ_MEM_RECLAIM: a thread is kept in reserve
 * for when none can be created. It does one thing at a time. One work of it waits for another
 * one, which cannot be behind it, and so is on an ordinary queue, that has no such thread. With no
 * memory left both wait. There is no window to hit: the workqueue code looks at the two queues.
 *
 * In a nursery the other one is a child, and may be on the same queue: a joiner that finds a child
 * not started runs it itself, so that it needs no thread at all. The workqueue code does not see
 * a join, so that it is silent says little. That both come to their end says more, for there is
 * no other thread for the queue; and kmod/tests/depth_test.c does it ten thousand levels deep.
 */
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

struct foo {
	struct workqueue_struct	*queue;
	struct work_struct	writeback;
	struct work_struct	seek;
	unsigned int		nr_seeks;
};

static void foo_seek(struct work_struct *work)
{
	struct foo *foo = container_of(work, struct foo, seek);

	bug_window();
	foo->nr_seeks++;
}

static void foo_writeback(struct work_struct *work)
{
	struct foo *foo = container_of(work, struct foo, writeback);

	schedule_work(&foo->seek);
	flush_work(&foo->seek);
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	foo->queue = alloc_ordered_workqueue("foo", WQ_MEM_RECLAIM);
	if (!foo->queue) {
		kfree(foo);
		return -ENOMEM;
	}
	INIT_WORK(&foo->writeback, foo_writeback);
	INIT_WORK(&foo->seek, foo_seek);
	queue_work(foo->queue, &foo->writeback);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	destroy_workqueue(foo->queue);
	kfree(foo);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R9, with the bug: waits for an ordinary work on the way to free memory");
MODULE_LICENSE("GPL");
