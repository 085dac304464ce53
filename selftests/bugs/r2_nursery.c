// SPDX-License-Identifier: GPL-2.0-only
/*
 * R2 on a nursery: see r2_raw.c for the story.
 *
 * Here, too, remove() does not think of the work. It need not: devm_nursery_init() has the
 * nursery cancelled and joined on every way out, before what probe() had allocated
 * earlier is freed.
 */
#include <linux/completion.h>
#include <linux/nursery.h>
#include <linux/slab.h>
#include "bug.h"

struct foo {
	struct nursery		nursery;
	struct nursery_child	work;
	struct completion	begun;		/* not to miss the window */
	unsigned int		nr_done;
};

static int foo_work(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, work);

	complete(&foo->begun);
	bug_window();
	foo->nr_done++;
	return 0;
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = devm_kzalloc(dev, sizeof(*foo), GFP_KERNEL);
	int err;

	if (!foo)
		return -ENOMEM;
	err = devm_nursery_init(dev, &foo->nursery, NULL);
	if (err)
		return err;
	nursery_child_init(&foo->work, foo_work, NULL);
	init_completion(&foo->begun);
	nursery_spawn(&foo->nursery, &foo->work);
	wait_for_completion(&foo->begun);
	return 0;
}

static void foo_remove(struct device *dev)
{
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R2, on a nursery");
MODULE_LICENSE("GPL");
