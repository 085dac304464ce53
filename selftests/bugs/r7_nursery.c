// SPDX-License-Identifier: GPL-2.0-only
/*
 * R7 on a nursery: see r7_raw.c for the story.
 *
 * The object needs no count of references: who works on it is a child of it, and remove()
 * begins a join for which nobody waits. The last child does not release the object, the core
 * does, when that child has returned. A child that joins in place is refused. All objects are
 * below a nursery of the module's, so that it, in its turn, does not go before the last of them.
 */
#include <linux/nursery.h>
#include <linux/slab.h>
#include "bug.h"

struct foo {
	struct nursery		nursery;
	struct nursery_child	work;
};

static struct nursery all_foos;

static void foo_joined(struct nursery *n, int err)
{
	kfree(container_of(n, struct foo, nursery));
}

static int foo_work(struct nursery_child *c)
{
	struct foo *foo = container_of(c, struct foo, work);

	bug_window();
	WARN_ON_ONCE(nursery_join(&foo->nursery) != -EDEADLK);
	return 0;
}

static int foo_probe(struct device *dev)
{
	const struct nursery_params params = { .name = "foo", .outer = &all_foos };
	struct foo *foo = kzalloc(sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	nursery_init(&foo->nursery, &params);
	nursery_child_init(&foo->work, foo_work, NULL);
	nursery_spawn(&foo->nursery, &foo->work);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	nursery_join_async(&foo->nursery, foo_joined);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};

static int __init foo_start(void)
{
	int err;

	nursery_init(&all_foos, NULL);
	err = bug_driver_register(&foo_driver);
	if (err)
		nursery_join(&all_foos);
	return err;
}

static void __exit foo_stop(void)
{
	bug_driver_unregister(&foo_driver);
	nursery_join(&all_foos);
}

module_init(foo_start);
module_exit(foo_stop);

MODULE_DESCRIPTION("R7, on a nursery");
MODULE_LICENSE("GPL");
