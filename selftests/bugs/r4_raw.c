// SPDX-License-Identifier: GPL-2.0-only
/*
 * R4: a waiter that gives up, and frees.
 *
 * CVE-2024-26974 (QAT: adf_aer) and CVE-2024-39493 (the fix for it, which was wrong, too).
 *
 * A device is reset by a work, and the caller waits for so long and no longer. Then it
 * frees the request and tells of an error. The work comes to its end all the same, looks
 * whether somebody waits for it, and completes a completion, in memory that is something else by
 * now. The window is as long as the reset takes longer than expected.
 *
 * In a nursery the end of the time is a cancel, and not the end of the wait: the join returns
 * -ETIMEDOUT, and it does so when the child has ended.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

#define FOO_PATIENCE_MS	10

struct foo_reset {
	struct work_struct	work;
	struct completion	begun;		/* not to miss the window */
	struct completion	done;
	bool			waited_for;	/* or else the work frees it */
};

static void foo_reset_work(struct work_struct *work)
{
	struct foo_reset *reset = container_of(work, struct foo_reset, work);

	complete(&reset->begun);
	bug_window();
	if (reset->waited_for)
		complete(&reset->done);
	else
		kfree(reset);
}

static int foo_reset(struct device *dev)
{
	struct foo_reset *reset = kzalloc(sizeof(*reset), GFP_KERNEL);
	int err = 0;

	if (!reset)
		return -ENOMEM;
	INIT_WORK(&reset->work, foo_reset_work);
	init_completion(&reset->begun);
	init_completion(&reset->done);
	reset->waited_for = true;
	schedule_work(&reset->work);
	wait_for_completion(&reset->begun);
	if (!wait_for_completion_timeout(&reset->done, msecs_to_jiffies(FOO_PATIENCE_MS)))
		err = -ETIMEDOUT;
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

MODULE_DESCRIPTION("R4, with the bug: gives up waiting, and frees");
MODULE_LICENSE("GPL");
