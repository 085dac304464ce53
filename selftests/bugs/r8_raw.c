// SPDX-License-Identifier: GPL-2.0-only
/*
 * R8: waiting for a work with a lock held that the work wants.
 *
 * CVE-2025-38114 (e1000: cancel_work_sync() with the RTNL held), CVE-2024-40977 (mt7921s).
 *
 * To take the device down, its state is changed under a lock, and nothing may be started
 * after that. The call that sees to it is cancel_work_sync(), so it is made under
 * the lock; and it also waits, for a reset that wants the lock. The window is from where the
 * reset has begun to where it has the lock.
 *
 * Of a nursery, the two are two calls. A cancel closes the door and does not
 * wait: it may be made under any lock. The join comes after the unlock, and that of a
 * devm_nursery_init() after remove(). Should a driver join under the lock all the same, lockdep
 * says so at the first run, whether or not the two met, as selftests/nursery/lockdep.sh shows.
 */
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

static DEFINE_MUTEX(foo_lock);			/* is_up; others' devices as well, like the RTNL */

struct foo {
	struct work_struct	reset;
	struct completion	begun;		/* not to miss the window */
	unsigned int		nr_resets;
	bool			is_up;
};

static void foo_reset(struct work_struct *work)
{
	struct foo *foo = container_of(work, struct foo, reset);

	complete(&foo->begun);
	bug_window();
	mutex_lock(&foo_lock);
	if (foo->is_up)
		foo->nr_resets++;
	mutex_unlock(&foo_lock);
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = devm_kzalloc(dev, sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	foo->is_up = true;
	INIT_WORK(&foo->reset, foo_reset);
	init_completion(&foo->begun);
	schedule_work(&foo->reset);
	wait_for_completion(&foo->begun);
	dev_set_drvdata(dev, foo);
	return 0;
}

static void foo_remove(struct device *dev)
{
	struct foo *foo = dev_get_drvdata(dev);

	mutex_lock(&foo_lock);
	foo->is_up = false;
	cancel_work_sync(&foo->reset);
	mutex_unlock(&foo_lock);
}

static struct bug_driver foo_driver = {
	.driver	= { .name = KBUILD_MODNAME, .owner = THIS_MODULE },
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_bug_driver(foo_driver);

MODULE_DESCRIPTION("R8, with the bug: waits for a work under the lock that the work wants");
MODULE_LICENSE("GPL");
