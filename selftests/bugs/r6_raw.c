// SPDX-License-Identifier: GPL-2.0-only
/*
 * R6: a module whose text goes while its worker returns through it.
 *
 * CVE-2024-26976 (kvm: async_pf), CVE-2021-47100 (ipmi_msghandler).
 *
 * The module's exit waits for its work by what the work says last. It is not the last
 * thing that it does: there is the way back to the workqueue, through text that is
 * no longer there. That the waiter woke does not prove that the worker has left. The window
 * is the end of the function.
 *
 * The children of a nursery are counted down by the core, whose module cannot go before
 * this one. When the join returns, no function of the driver is on any stack.
 */
#include <linux/completion.h>
#include <linux/workqueue.h>
#include "bug.h"

static DECLARE_COMPLETION(done);

/* A module takes its time to go, too. */
static void foo_window(void)
{
	int i;

	for (i = 0; i < 4; i++)
		bug_window();
}

static void foo_work(struct work_struct *work)
{
	complete(&done);
	foo_window();
}

static DECLARE_WORK(work, foo_work);

static int __init foo_start(void)
{
	return 0;
}

static void __exit foo_stop(void)
{
	schedule_work(&work);		/* as late as it can come */
	wait_for_completion(&done);
}

module_init(foo_start);
module_exit(foo_stop);

MODULE_DESCRIPTION("R6, with the bug: the module goes before its worker has returned");
MODULE_LICENSE("GPL");
