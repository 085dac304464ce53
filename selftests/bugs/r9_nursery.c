// SPDX-License-Identifier: GPL-2.0-only
/*
 * R9 on a nursery: see r9_raw.c for the story.
 *
 * The workqueue is the executor of the scope, and of the one that the child opens. The queue's
 * only worker is in foo_writeback(), whose join runs foo_seek() itself.
 */
#include <linux/nursery.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

struct foo {
	struct workqueue_struct	*queue;
	struct nursery_executor	executor;
	struct nursery		nursery;
	struct nursery_child	writeback;
	struct nursery_child	seek;
	unsigned int		nr_seeks;
};

static int foo_seek(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, seek);

	bug_window();
	foo->nr_seeks++;
	return 0;
}

static int foo_writeback(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, writeback);
	int err = 0;

	scoped_nursery(n, .name = "foo seek", .parent = c, .executor = &foo->executor,
		       .result = &err) {
		nursery_child_init(&foo->seek, foo_seek, NULL);
		nursery_spawn(n, &foo->seek);
	}
	return err;
}

static int foo_probe(struct device *dev)
{
	struct nursery_params params = { .name = "foo" };
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	foo->queue = alloc_ordered_workqueue("foo", WQ_MEM_RECLAIM);
	if (!foo->queue) {
		kfree(foo);
		return -ENOMEM;
	}
	nursery_executor_init_wq(&foo->executor, foo->queue);
	params.executor = &foo->executor;
	nursery_init(&foo->nursery, &params);
	nursery_child_init(&foo->writeback, foo_writeback, NULL);
	nursery_spawn(&foo->nursery, &foo->writeback);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	nursery_join(&foo->nursery);
	destroy_workqueue(foo->queue);
	kfree(foo);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R9, on a nursery");
MODULE_LICENSE("GPL");
