// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that is wrong on purpose: it joins a nursery with a mutex held that
 * the nursery's children take. That is a deadlock, which it only just misses:
 * the child that takes the mutex, and the join under the mutex, belong to two
 * lives of the same nursery. Lockdep is to report it all the same.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nursery.h>

static DEFINE_MUTEX(bad_lock);

static int take_lock(struct nursery_child *c)
{
	mutex_lock(&bad_lock);
	mutex_unlock(&bad_lock);
	return 0;
}

static int do_nothing(struct nursery_child *c)
{
	return 0;
}

/* One place in the code, so one class of nursery, whatever the child does. */
static int one_life(nursery_fn_t fn, bool lock)
{
	struct nursery_child child;
	struct nursery bad_nursery;
	int err;

	nursery_init(&bad_nursery, NULL);
	nursery_child_init(&child, fn, NULL);
	err = nursery_spawn(&bad_nursery, &child);
	if (lock)
		mutex_lock(&bad_lock);
	err = nursery_join(&bad_nursery) ?: err;
	if (lock)
		mutex_unlock(&bad_lock);
	return err;
}

static int __init bad_lock_start(void)
{
	return one_life(take_lock, false) ?: one_life(do_nothing, true);
}

static void __exit bad_lock_stop(void)
{
}

module_init(bad_lock_start);
module_exit(bad_lock_stop);
MODULE_DESCRIPTION("Negative control: joins a nursery under a lock that its child takes");
MODULE_LICENSE("GPL");
