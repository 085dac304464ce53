// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that is wrong on purpose: children that run at the same time count in
 * one variable, and nothing orders them. KCSAN is to report it; that it does shows
 * that it looks into modules as these are built.
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/sched.h>

static unsigned long bad_count;

static int count_along(struct nursery_child *c)
{
	unsigned long end = jiffies + HZ;

	while (time_before(jiffies, end)) {
		bad_count++;
		cond_resched();
	}
	return 0;
}

static int __init bad_race_start(void)
{
	struct nursery_child child[4];
	unsigned int i;
	int err = 0;

	scoped_nursery(n, .name = "bad race", .result = &err) {
		for (i = 0; i < ARRAY_SIZE(child); i++) {
			nursery_child_init(&child[i], count_along, NULL);
			nursery_spawn(n, &child[i]);
		}
	}
	return err;
}

static void __exit bad_race_stop(void)
{
}

module_init(bad_race_start);
module_exit(bad_race_stop);
MODULE_DESCRIPTION("Negative control: children that race for a variable");
MODULE_LICENSE("GPL");
