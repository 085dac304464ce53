// SPDX-License-Identifier: GPL-2.0-only
/*
 * R8 on a nursery: see r8_raw.c for the story.
 *
 * The cancel is under the lock, the join is not: devm_nursery_init() has it come when remove() has
 * returned.
 */
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/nursery.h>
#include <linux/slab.h>
#include "bug.h"

static DEFINE_MUTEX(foo_lock);			/* is_up; others' devices as well, like the RTNL */

struct foo {
	struct nursery		nursery;
	struct nursery_child	reset;
	struct completion	begun;		/* not to miss the window */
	unsigned int		nr_resets;
	bool			is_up;
};

static int foo_reset(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, reset);

	complete(&foo->begun);
	bug_window();
	mutex_lock(&foo_lock);
	if (foo->is_up)
		foo->nr_resets++;
	mutex_unlock(&foo_lock);
	return 0;
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = devm_kzalloc(dev, sizeof(*foo), GFP_KERNEL);
	int err;

	if (!foo)
		return -ENOMEM;
	foo->is_up = true;
	err = devm_nursery_init(dev, &foo->nursery, NULL);
	if (err)
		return err;
	nursery_child_init(&foo->reset, foo_reset, NULL);
	init_completion(&foo->begun);
	nursery_spawn(&foo->nursery, &foo->reset);
	wait_for_completion(&foo->begun);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	mutex_lock(&foo_lock);
	foo->is_up = false;
	nursery_cancel(&foo->nursery, 0);
	mutex_unlock(&foo_lock);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R8, on a nursery");
MODULE_LICENSE("GPL");
