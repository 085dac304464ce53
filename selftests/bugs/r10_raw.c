// SPDX-License-Identifier: GPL-2.0-only
/*
 * R10: a wake-up that is lost between two processors.
 *
 * CVE-2022-48760 (usb_kill_urb()).
 *
 * Who gives back a request notes that it is no longer in use, and then looks whether somebody
 * kills it, to be woken. Who kills it notes that, and then looks whether it is in
 * use. Each writes one variable and reads the other: without full barriers both may read
 * before what the other has written is to be seen. Then nobody wakes who sleeps. Upstream,
 * atomic_dec() was taken for a barrier, which it is on x86 and not elsewhere; here a
 * store stands for it, as that is no barrier on x86 either. The window is as long as
 * that store waits for those before it, and wide if these are many: the data.
 *
 * The end of a nursery's child is fully ordered against the look of who joins it; that is
 * the core's to see to, and not a line that a driver can leave out.
 */
#include <linux/cache.h>
#include <linux/kthread.h>
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
	bool			in_use ____cacheline_aligned_in_smp;
	struct task_struct	*killer ____cacheline_aligned_in_smp;
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
	WRITE_ONCE(foo->killer, NULL);
	WRITE_ONCE(foo->in_use, true);
	/* Pairs with foo_controller(): the request is whole. */
	smp_store_release(&foo->submitted, true);
}

static void foo_give_back(struct foo *foo)
{
	struct task_struct *killer;

	foo_write(foo, 1);
	WRITE_ONCE(foo->in_use, false);
	killer = READ_ONCE(foo->killer);
	if (killer)
		wake_up_process(killer);
}

static void foo_kill(struct foo *foo)
{
	WRITE_ONCE(foo->killer, current);
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!READ_ONCE(foo->in_use))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
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
	foo->controller = kthread_run(foo_controller, foo, "foo");
	if (IS_ERR(foo->controller))
		return PTR_ERR(foo->controller);
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

	kthread_stop(foo->controller);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R10, with the bug: a wake-up is lost for want of a barrier");
MODULE_LICENSE("GPL");
