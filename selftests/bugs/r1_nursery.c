// SPDX-License-Identifier: GPL-2.0-only
/*
 * R1 on a nursery: see r1_raw.c for the story.
 *
 * The check is a child. A frame that comes after the join finds the nursery closed: the
 * spawn returns -ESHUTDOWN, with nothing changed. (While a check is pending it is -EBUSY.)
 */
#include <linux/jiffies.h>
#include <linux/nursery.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include "bug.h"

#define FOO_SILENCE_MS	100

struct foo {
	struct nursery		nursery;
	struct nursery_child	check;
	struct timer_list	frames;		/* where they come from */
	unsigned int		nr_silences;
};

static int foo_check(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, check);

	foo->nr_silences++;
	return 0;
}

static void foo_frame(struct timer_list *t)
{
	struct foo *foo = container_of(t, struct foo, frames);

	nursery_spawn_delayed(&foo->nursery, &foo->check, ms_to_ktime(FOO_SILENCE_MS));
	mod_timer(&foo->frames, jiffies + 1);
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	nursery_init(&foo->nursery, NULL);
	nursery_child_init(&foo->check, foo_check, NULL);
	timer_setup(&foo->frames, foo_frame, 0);
	mod_timer(&foo->frames, jiffies + 1);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	nursery_cancel(&foo->nursery, 0);
	nursery_join(&foo->nursery);
	bug_window();
	timer_delete_sync(&foo->frames);
	kfree(foo);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R1, on a nursery");
MODULE_LICENSE("GPL");
