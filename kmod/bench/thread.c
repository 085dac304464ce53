// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that want a thread of their own: n empty ones, spawned on the executor
 * of threads and joined. Warm: its threads are there from the rounds before.
 *
 * "nursery-thread": the joiner only waits (NURSERY_NO_HELP), so that each child is
 * run by a thread, which is checked. This is what is compared with kthread_create()
 * and kthread_stop() ("kthread"), and with one thread that is there already and
 * does one after the other ("kworker"). "nursery-thread-help": the same without
 * the flag, so the joiner runs what no thread has begun.
 */
#include <linux/errno.h>
#include <linux/sched.h>

#include "bench.h"

struct threaded_item {
	struct bench_task	task;
	struct nursery_child	child;
	struct task_struct	*joiner;	/* who must not run it; or NULL */
};

static int threaded_child(struct nursery_child *c)
{
	struct threaded_item *item = container_of(c, struct threaded_item, child);

	bench_task_do(&item->task);
	return item->joiner == current ? -EBADMSG : 0;
}

static int threaded_run(struct bench_run *r, unsigned int flags)
{
	const struct nursery_params params = {
		.name = "threads", .executor = nursery_executor_thread, .flags = flags,
	};
	struct threaded_item *item = r->items;
	struct nursery n;
	unsigned int i;
	int err = 0, ret;

	nursery_init(&n, &params);
	for (i = 0; i < r->n && !err; i++) {
		item[i].joiner = flags & NURSERY_NO_HELP ? current : NULL;
		nursery_child_init(&item[i].child, threaded_child, NULL);
		err = nursery_spawn(&n, &item[i].child);
	}
	ret = nursery_join(&n);
	return err ?: ret;
}

static int threaded_run_wait(struct bench_run *r)
{
	return threaded_run(r, NURSERY_NO_HELP);
}

static int threaded_run_help(struct bench_run *r)
{
	return threaded_run(r, 0);
}

static const struct bench_side wait_side = {
	.impl		= "nursery-thread",
	.item_size	= sizeof(struct threaded_item),
	.run		= threaded_run_wait,
};

static const struct bench_side help_side = {
	.impl		= "nursery-thread-help",
	.item_size	= sizeof(struct threaded_item),
	.run		= threaded_run_help,
};

static const struct bench_side *const sides[] = {
	&kworker_side, &kthread_side, &help_side, &wait_side, NULL
};

static int thread_run(void)
{
	static const unsigned int n[] = { 1, 8, 64 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "thread", .n = n[i], .sides = sides,
		});
	return err;
}

const struct bench_workload bench_thread = { .name = "thread", .run = thread_run };
