// SPDX-License-Identifier: GPL-2.0-only
/*
 * R3: code after the complete() that lets the waiter go on.
 *
 * CVE-2024-26583 (tls: asynchronous decryption).
 *
 * The last thing that a request does is to tell who waits for it. Almost the last: it
 * then writes to the object once more, which is the waiter's to free. The window is
 * between the two; an interrupt is enough to open it.
 *
 * A child of a nursery does not tell anybody. It returns, and the core counts it down: no
 * line of the driver comes after that.
 */
#include <linux/completion.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

struct foo {
	struct work_struct	decrypt;
	struct completion	done;
	unsigned int		nr_pending;
};

static void foo_decrypt(struct work_struct *work)
{
	struct foo *foo = container_of(work, struct foo, decrypt);

	complete(&foo->done);
	bug_window();
	foo->nr_pending--;
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	INIT_WORK(&foo->decrypt, foo_decrypt);
	init_completion(&foo->done);
	foo->nr_pending++;
	schedule_work(&foo->decrypt);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	wait_for_completion(&foo->done);
	kfree(foo);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R3, with the bug: touches what the waiter has freed");
MODULE_LICENSE("GPL");
