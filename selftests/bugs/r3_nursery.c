// SPDX-License-Identifier: GPL-2.0-only
/*
 * R3 on a nursery: see r3_raw.c for the story.
 *
 * The waiter joins. It goes on when foo_decrypt() has returned, not when it has come to some line.
 * A joiner would also run what no worker has come for; this one only waits, as the other half does.
 */
#include <linux/nursery.h>
#include <linux/slab.h>
#include "bug.h"

struct foo {
	struct nursery		nursery;
	struct nursery_child	decrypt;
	unsigned int		nr_pending;
};

static int foo_decrypt(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, decrypt);

	bug_window();
	foo->nr_pending--;
	return 0;
}

static int foo_probe(struct device *dev)
{
	const struct nursery_params params = { .name = "foo", .flags = NURSERY_NO_HELP };
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	nursery_init(&foo->nursery, &params);
	nursery_child_init(&foo->decrypt, foo_decrypt, NULL);
	foo->nr_pending++;
	nursery_spawn(&foo->nursery, &foo->decrypt);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	nursery_join(&foo->nursery);
	kfree(foo);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R3, on a nursery");
MODULE_LICENSE("GPL");
