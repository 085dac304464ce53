// SPDX-License-Identifier: GPL-2.0-only
/*
 * Closures ("closure"), where the kernel exports them: a parent on the stack, a
 * closure for each child that is queued once and then returns to the parent,
 * and closure_sync(). On the unbound queue.
 */
#include <linux/closure.h>

#include "bench.h"

struct closure_item {
	struct bench_task	task;
	struct closure		cl;
};

static CLOSURE_CALLBACK(closure_child)
{
	closure_type(item, struct closure_item, cl);

	bench_task_do(&item->task);
	closure_return(cl);
}

static int closure_run(struct bench_run *r)
{
	struct closure_item *item = r->items;
	struct closure parent;
	unsigned int i;

	closure_init_stack(&parent);
	for (i = 0; i < r->n; i++) {
		closure_init(&item[i].cl, &parent);
		continue_at(&item[i].cl, closure_child, bench_unbound_wq);
	}
	closure_sync(&parent);
	return 0;
}

const struct bench_side closure_side = {
	.impl		= "closure",
	.item_size	= sizeof(struct closure_item),
	.run		= closure_run,
};
