// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simplest contenders: to call the children, one after the other.
 *
 * "call" is the plain call that a nursery is compared with, and the measure of
 * one processor. It does for each child what a nursery's user does, on the same
 * items: nursery_child_init(), and then, where the other would spawn, a call of
 * the child's function through the child's pointer, and a look at its result. So
 * it reads and writes the memory that a child takes, and is no more than a call.
 *
 * "call-bare" is what is left without children: a call through a pointer, on an
 * array of nothing but tasks (12 bytes) that stays in the cache. It shows what
 * the work itself costs, and nobody who has children gets there.
 *
 * "async" are the domains of kernel/async.c, which allocate for each child, and
 * run it in the caller when that fails or when more than 32,768 are waiting.
 */
#include <linux/async.h>

#include "bench.h"

static int call_run(struct bench_run *r)
{
	struct ours_item *item = r->items;
	unsigned int i;
	int err = 0;

	for (i = 0; i < r->n && !err; i++) {
		struct nursery_child *c = &item[i].child;
		nursery_fn_t fn;

		nursery_child_init(c, ours_child, NULL);
		fn = READ_ONCE(c->fn);	/* the compiler shall not know it */
		err = fn(c);
	}
	return err;
}

const struct bench_side call_side = {
	.impl		= "call",
	.item_size	= sizeof(struct ours_item),
	.run		= call_run,
};

static void bare_child(struct bench_task *t)
{
	bench_task_do(t);
}

static void (*bare_fn)(struct bench_task *t) = bare_child;

static int call_bare_run(struct bench_run *r)
{
	struct bench_task *t = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		READ_ONCE(bare_fn)(&t[i]);
	return 0;
}

const struct bench_side call_bare_side = {
	.impl		= "call-bare",
	.item_size	= sizeof(struct bench_task),
	.run		= call_bare_run,
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
