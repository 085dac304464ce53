// SPDX-License-Identifier: GPL-2.0-only
/*
 * R7: the last reference is put by what its release waits for.
 *
 * CVE-2024-41063 (Bluetooth: hci_core).
 *
 * A work holds a reference to its object. If remove() has put its own before, the work
 * releases the object, and with it the workqueue on which it runs: that is, it waits for
 * itself. The window is the run of the work.
 *
 * Who joins what he is part of is refused by a nursery, with -EDEADLK, in every kernel. And
 * where nobody knows who will be the last, nobody joins in place: with nursery_join_async() the
 * core releases the object when the last child has ended.
 */
#include <linux/kref.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

struct foo {
	struct kref		ref;
	struct workqueue_struct	*queue;
	struct work_struct	work;
};

static void foo_release(struct kref *ref)
{
	struct foo *foo = container_of(ref, struct foo, ref);

	destroy_workqueue(foo->queue);
	kfree(foo);
}

static void foo_work(struct work_struct *work)
{
	struct foo *foo = container_of(work, struct foo, work);

	bug_window();
	kref_put(&foo->ref, foo_release);
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	foo->queue = alloc_workqueue("foo", WQ_UNBOUND, 0);
	if (!foo->queue) {
		kfree(foo);
		return -ENOMEM;
	}
	kref_init(&foo->ref);
	INIT_WORK(&foo->work, foo_work);
	kref_get(&foo->ref);
	queue_work(foo->queue, &foo->work);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	kref_put(&foo->ref, foo_release);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R7, with the bug: a work destroys its own workqueue");
MODULE_LICENSE("GPL");
