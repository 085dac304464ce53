// SPDX-License-Identifier: GPL-2.0-only
/*
 * R6 on a nursery: see r6_raw.c for the story.
 *
 * What lives as long as the module is a nursery, too, and its end is a join. The joiner only waits,
 * so it is a worker that returns from the module.
 */
#include <linux/nursery.h>
#include "bug.h"

static struct nursery nursery;

/* A module takes its time to go, too. */
static void foo_window(void)
{
	int i;

	for (i = 0; i < 4; i++)
		bug_window();
}

static int foo_work(struct nursery_child *c)
{
	foo_window();
	return 0;
}

static struct nursery_child work;

static int __init foo_start(void)
{
	const struct nursery_params params = { .name = "foo", .flags = NURSERY_NO_HELP };

	nursery_init(&nursery, &params);
	nursery_child_init(&work, foo_work, NULL);
	return 0;
}

static void __exit foo_stop(void)
{
	nursery_spawn(&nursery, &work);	/* as late as it can come */
	nursery_join(&nursery);
}

module_init(foo_start);
module_exit(foo_stop);

MODULE_DESCRIPTION("R6, on a nursery");
MODULE_LICENSE("GPL");
