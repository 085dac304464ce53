// SPDX-License-Identifier: GPL-2.0-only
/*
 * R2: a way out that forgets what is still running.
 *
 * remove() of many a driver in 2023: CVE-2023-1855 (xgene-hwmon), CVE-2023-1989 (btsdio),
 * CVE-2023-1990 (st-nci), CVE-2023-33203 (emac), CVE-2023-3141 (r592), CVE-2023-35824 (dm1105),
 * CVE-2023-35828 (renesas_usb3), CVE-2023-35829 (rkvdec). On other ways out, or of a timer:
 * CVE-2024-38630 (cpu5wdt), CVE-2026-23281 (libertas), CVE-2024-39495 (greybus),
 * CVE-2024-50061 (i3c-master-cdns), CVE-2024-50059 (ntb_hw_switchtec), CVE-2022-48788
 * (nvme-rdma).
 *
 * An interrupt has queued a work. remove() does not think of it, and when it has returned
 * the driver core frees what probe() had allocated. The window is as long as the work.
 *
 * A scope is left by a join, and in no other way. Nor need anybody think of it:
 * scoped_nursery() and devm_nursery_init() do.
 */
#include <linux/completion.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "bug.h"

struct foo {
	struct work_struct	work;
	struct completion	begun;		/* not to miss the window */
	unsigned int		nr_done;
};

static void foo_work(struct work_struct *work)
{
	struct foo *foo = container_of(work, struct foo, work);

	complete(&foo->begun);
	bug_window();
	foo->nr_done++;
}

static int foo_probe(struct device *dev)
{
	struct foo *foo = devm_kzalloc(dev, sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	INIT_WORK(&foo->work, foo_work);
	init_completion(&foo->begun);
	schedule_work(&foo->work);
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

MODULE_DESCRIPTION("R2, with the bug: remove() forgets a work");
MODULE_LICENSE("GPL");
