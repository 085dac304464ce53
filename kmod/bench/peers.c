// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simplest contender, a plain call in a loop ("call"), which is also the
 * measure of one CPU; and the domains of kernel/async.c ("async"), which
 * allocate for each child, and run it in the caller when that fails or when more
 * than 32,768 are waiting.
 */
#include <linux/async.h>

#include "bench.h"

static void call_child(struct bench_task *t)
{
	bench_task_do(t);
}

/* Through a pointer, as every other contender calls its children. */
static void (*call_fn)(struct bench_task *t) = call_child;

static int call_run(struct bench_run *r)
{
	struct bench_task *t = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		READ_ONCE(call_fn)(&t[i]);
	return 0;
}

const struct bench_side call_side = {
	.impl		= "call",
	.item_size	= sizeof(struct bench_task),
	.run		= call_run,
};

static void async_child(void *data, async_cookie_t cookie)
{
	bench_task_do(data);
}

static int async_run(struct bench_run *r)
{
	ASYNC_DOMAIN_EXCLUSIVE(domain);
	unsigned int i;

	for (i = 0; i < r->n; i++)
		async_schedule_domain(async_child, bench_item(r, i), &domain);
	async_synchronize_full_domain(&domain);
	return 0;
}

const struct bench_side async_side = {
	.impl		= "async",
	.item_size	= sizeof(struct bench_task),
	.run		= async_run,
};
