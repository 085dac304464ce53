// SPDX-License-Identifier: GPL-2.0-only
/*
 * A chain: each child starts the next one and returns; the last ends it. Never
 * more than two at a time, so this is the time from one child to the next.
 */
#include <linux/async.h>

#include "bench.h"

struct chain_item {
	struct bench_task	task;
	struct nursery_child	child;
	struct nursery		*nursery;
	struct chain_item	*next;
};

static int chain_child(struct nursery_child *c)
{
	struct chain_item *item = container_of(c, struct chain_item, child), *next = item->next;

	bench_task_do(&item->task);
	if (!next)
		return 0;
	next->nursery = item->nursery;
	nursery_child_init(&next->child, chain_child, NULL);
	return nursery_spawn(next->nursery, &next->child);
}

static int nursery_setup(struct bench_run *r)
{
	struct chain_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		item[i].next = i + 1 < r->n ? &item[i + 1] : NULL;
	return 0;
}

static int nursery_chain_run(struct bench_run *r)
{
	struct chain_item *first = r->items;
	struct nursery n;
	int err, ret;

	nursery_init(&n, &(struct nursery_params) { .name = "chain" });
	first->nursery = &n;
	nursery_child_init(&first->child, chain_child, NULL);
	err = nursery_spawn(&n, &first->child);
	ret = nursery_join(&n);
	return err ?: ret;
}

static const struct bench_side nursery_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct chain_item),
	.setup		= nursery_setup,
	.run		= nursery_chain_run,
};

/* By hand the counter is not needed: the last child knows that it is. */
struct hand_chain_item {
	struct hand_item	hand;
	struct hand_chain_item	*next;
};

static void hand_chain_child(struct work_struct *work)
{
	struct hand_chain_item *item = container_of(work, struct hand_chain_item, hand.work);
	struct hand_chain_item *next = item->next;
	struct hand_scope *scope = item->hand.scope;

	bench_task_do(&item->hand.task);
	if (!next) {
		complete(&scope->done);
		return;
	}
	next->hand.scope = scope;
	INIT_WORK(&next->hand.work, hand_chain_child);
	queue_work(scope->wq, &next->hand.work);
}

static int hand_setup(struct bench_run *r)
{
	struct hand_chain_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		item[i].next = i + 1 < r->n ? &item[i + 1] : NULL;
	return 0;
}

static int hand_chain_run(struct bench_run *r, struct workqueue_struct *wq)
{
	struct hand_chain_item *first = r->items;
	struct hand_scope scope;

	hand_scope_init(&scope, wq, 1);
	first->hand.scope = &scope;
	INIT_WORK(&first->hand.work, hand_chain_child);
	queue_work(wq, &first->hand.work);
	wait_for_completion(&scope.done);
	return 0;
}

static int bound_chain_run(struct bench_run *r)
{
	return hand_chain_run(r, bench_bound_wq);
}

static const struct bench_side bound_side = {
	.impl		= "hand-bound",
	.item_size	= sizeof(struct hand_chain_item),
	.setup		= hand_setup,
	.run		= bound_chain_run,
};

static int unbound_chain_run(struct bench_run *r)
{
	return hand_chain_run(r, bench_unbound_wq);
}

static const struct bench_side unbound_side = {
	.impl		= "hand-unbound",
	.item_size	= sizeof(struct hand_chain_item),
	.setup		= hand_setup,
	.run		= unbound_chain_run,
};

struct async_chain_item {
	struct bench_task	task;
	struct async_domain	*domain;
	struct async_chain_item	*next;
};

static void async_chain_child(void *data, async_cookie_t cookie)
{
	struct async_chain_item *item = data, *next = item->next;

	bench_task_do(&item->task);
	if (!next)
		return;
	next->domain = item->domain;
	async_schedule_domain(async_chain_child, next, next->domain);
}

static int async_setup(struct bench_run *r)
{
	struct async_chain_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		item[i].next = i + 1 < r->n ? &item[i + 1] : NULL;
	return 0;
}

static int async_chain_run(struct bench_run *r)
{
	ASYNC_DOMAIN_EXCLUSIVE(domain);
	struct async_chain_item *first = r->items;

	first->domain = &domain;
	async_schedule_domain(async_chain_child, first, &domain);
	async_synchronize_full_domain(&domain);
	return 0;
}

static const struct bench_side async_chain_side = {
	.impl		= "async",
	.item_size	= sizeof(struct async_chain_item),
	.setup		= async_setup,
	.run		= async_chain_run,
};

static const struct bench_side *const sides[] = {
	&bound_side, &unbound_side, &async_chain_side, &nursery_side, NULL
};

static int chain_run(void)
{
	return bench_measure(&(struct bench_case) {
		.workload = "chain", .n = 1000, .sides = sides,
	});
}

const struct bench_workload bench_chain = { .name = "chain", .run = chain_run };
