// SPDX-License-Identifier: GPL-2.0-only
/*
 * R10 on a nursery: see r10_raw.c for the story.
 *
 * The request is a child that hardware carries out. To give it back is to complete it, to kill it
 * is to join it.
 */
#include <linux/cache.h>
#include <linux/kthread.h>
#include <linux/nursery.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "bug.h"

#define FOO_REQUESTS	2000		/* each time that it is bound */
#define FOO_STEPS	1000		/* about what the controller needs for one */
#define FOO_DATA	SZ_4K

struct foo {
	struct task_struct	*controller;
	bool			submitted;
	struct nursery		nursery ____cacheline_aligned_in_smp;
	struct nursery_child	request;
	unsigned char		*data ____cacheline_aligned_in_smp;
};

/* Each line of the cache that is written to is one store in the way of the next. */
static void foo_write(struct foo *foo, unsigned char value)
{
	unsigned int i;

	for (i = 0; i < FOO_DATA; i += SMP_CACHE_BYTES)
		WRITE_ONCE(foo->data[i], value);
}

static void foo_submit(struct foo *foo)
{
	foo_write(foo, 0);
	nursery_child_begin(&foo->nursery, &foo->request);
	/* Pairs with foo_controller(): the request is whole. */
	smp_store_release(&foo->submitted, true);
}

static void foo_give_back(struct foo *foo)
{
	foo_write(foo, 1);
	nursery_child_complete(&foo->request, 0);
}

static void foo_kill(struct foo *foo)
{
	nursery_child_cancel(&foo->request);
	nursery_child_join(&foo->request);
}

/* Go on when the controller does, or some steps later. */
static void foo_meet(struct foo *foo, unsigned int steps)
{
	/* Pairs with foo_controller(). */
	while (smp_load_acquire(&foo->submitted))
		cond_resched();
	while (steps--)
		barrier();
}

static int foo_controller(void *data)
{
	struct foo *foo = data;

	while (!kthread_should_stop()) {
		/* Pairs with foo_submit(). */
		if (smp_load_acquire(&foo->submitted)) {
			/* Pairs with foo_meet(). */
			smp_store_release(&foo->submitted, false);
			foo_give_back(foo);
		}
		cond_resched();
	}
	return 0;
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = devm_kzalloc(dev, sizeof(*foo), GFP_KERNEL);
	unsigned int i;

	if (!foo)
		return -ENOMEM;
	foo->data = devm_kzalloc(dev, FOO_DATA, GFP_KERNEL);
	if (!foo->data)
		return -ENOMEM;
	nursery_init(&foo->nursery, NULL);
	nursery_child_init(&foo->request, NULL, NULL);
	foo->controller = kthread_run(foo_controller, foo, "foo");
	if (IS_ERR(foo->controller)) {
		nursery_join(&foo->nursery);
		return PTR_ERR(foo->controller);
	}
	dev_set_drvdata(dev, foo);

	for (i = 0; i < FOO_REQUESTS; i++) {
		foo_submit(foo);
		foo_meet(foo, i % FOO_STEPS);
		foo_kill(foo);
	}
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	nursery_join(&foo->nursery);
	kthread_stop(foo->controller);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R10, on a nursery");
MODULE_LICENSE("GPL");
