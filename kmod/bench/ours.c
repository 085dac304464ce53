// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contender: a nursery, with nothing about it that a driver would not do.
 * Its name in the results is "nursery"; the default executor, helping allowed.
 */
#include <linux/errno.h>

#include "bench.h"

/* Empty, computing or sleeping: it sleeps as children of nurseries do. */
int ours_child(struct nursery_child *c)
{
	struct bench_task *t = &container_of(c, struct ours_item, child)->task;

	if (unlikely(t->sleep_us)) {
		WRITE_ONCE(t->runs, t->runs + 1);
		return nursery_sleep(c, t->sleep_us * NSEC_PER_USEC);
	}
	bench_task_do(t);
	return 0;
}

static int ours_run(struct bench_run *r)
{
	struct ours_item *item = r->items;
	struct nursery n;
	unsigned int i;
	int err = 0, ret;

	nursery_init(&n, &(struct nursery_params) { .name = "bench" });
	for (i = 0; i < r->n && !err; i++) {
		nursery_child_init(&item[i].child, ours_child, NULL);
		err = nursery_spawn(&n, &item[i].child);
	}
	ret = nursery_join(&n);
	return err ?: ret;
}

const struct bench_side ours_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct ours_item),
	.run		= ours_run,
};

/* What each takes of memory; of async domains and threads the types are not public. */
static int memory_run(void)
{
	bench_note_size("memory-child", "nursery", sizeof(struct nursery_child));
	bench_note_size("memory-child", "hand-bound",
			sizeof(struct work_struct) + sizeof(struct hand_scope *));
	bench_note_size("memory-child", "hand-unbound",
			sizeof(struct work_struct) + sizeof(struct hand_scope *));
	bench_note_size("memory-child", "flush", sizeof(struct work_struct));
	bench_note_size("memory-scope", "nursery", sizeof(struct nursery));
	bench_note_size("memory-scope", "hand-bound", sizeof(struct hand_scope));
	bench_note_size("memory-scope", "hand-unbound", sizeof(struct hand_scope));
	return 0;
}

const struct bench_workload bench_memory = { .name = "memory", .run = memory_run };
