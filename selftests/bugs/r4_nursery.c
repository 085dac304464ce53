// SPDX-License-Identifier: GPL-2.0-only
/*
 * R4 on a nursery: see r4_raw.c for the story.
 *
 * The time is the scope's. When it is over the child is cancelled, which it may look at
 * with nursery_child_cancelled(); this one does not, and the scope lasts until it is done.
 */
#include <linux/nursery.h>
#include <linux/slab.h>
#include "bug.h"

#define FOO_PATIENCE_MS	10

struct foo_reset {
	struct nursery_child	work;
};

static int foo_reset_work(struct nursery_child *c)
{
	nursery_child_ready(c);
	bug_window();
	return 0;
}

static int foo_reset(struct device *dev)
{
	struct foo_reset *reset = kzalloc(sizeof(*reset), GFP_KERNEL);
	int err = 0;

	if (!reset)
		return -ENOMEM;
	scoped_nursery(n, .name = "foo reset", .timeout = ms_to_ktime(FOO_PATIENCE_MS),
		       .result = &err) {
		nursery_child_init(&reset->work, foo_reset_work, NULL);
		nursery_start(n, &reset->work);		/* not to miss the window */
	}
	kfree(reset);
	return err;
}

static int foo_probe(struct device *dev)
{
	return 0;
}

static void foo_remove(struct device *dev)
{
	foo_reset(dev);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R4, on a nursery");
MODULE_LICENSE("GPL");
