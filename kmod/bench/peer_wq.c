// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contenders on workqueues.
 *
 * "hand-bound" and "hand-unbound" are what one writes by hand for this: a work
 * item for each child, a counter, and a completion for who waits; on a queue
 * whose workers stay on the caller's CPU, and on one whose workers do not. The
 * better of the two is what a nursery is compared with. "flush" queues each
 * child and then flushes each. "wq-per-scope" makes a queue for each scope and
 * destroys it, which waits for the children.
 */
#include <linux/errno.h>

#include "bench.h"

struct workqueue_struct *bench_bound_wq, *bench_unbound_wq;

int peer_wq_start(void)
{
	bench_bound_wq = alloc_workqueue("bench_bound", WQ_PERCPU, 0);
	if (!bench_bound_wq)
		return -ENOMEM;
	bench_unbound_wq = alloc_workqueue("bench_unbound", WQ_UNBOUND, 0);
	if (!bench_unbound_wq) {
		destroy_workqueue(bench_bound_wq);
		return -ENOMEM;
	}
	return 0;
}

void peer_wq_stop(void)
{
	destroy_workqueue(bench_unbound_wq);
	destroy_workqueue(bench_bound_wq);
}

void hand_scope_init(struct hand_scope *s, struct workqueue_struct *wq, unsigned int n)
{
	atomic_set(&s->left, n);
	init_completion(&s->done);
	s->wq = wq;
}

void hand_child(struct work_struct *work)
{
	struct hand_item *item = container_of(work, struct hand_item, work);

	bench_task_do(&item->task);
	hand_child_done(item->scope);
}

static int hand_run(struct bench_run *r, struct workqueue_struct *wq)
{
	struct hand_item *item = r->items;
	struct hand_scope scope;
	unsigned int i;

	hand_scope_init(&scope, wq, r->n);
	for (i = 0; i < r->n; i++) {
		item[i].scope = &scope;
		INIT_WORK(&item[i].work, hand_child);
		queue_work(wq, &item[i].work);
	}
	wait_for_completion(&scope.done);
	return 0;
}

static int hand_bound_run(struct bench_run *r)
{
	return hand_run(r, bench_bound_wq);
}

const struct bench_side hand_bound_side = {
	.impl		= "hand-bound",
	.item_size	= sizeof(struct hand_item),
	.run		= hand_bound_run,
};

static int hand_unbound_run(struct bench_run *r)
{
	return hand_run(r, bench_unbound_wq);
}

const struct bench_side hand_unbound_side = {
	.impl		= "hand-unbound",
	.item_size	= sizeof(struct hand_item),
	.run		= hand_unbound_run,
};

struct work_item {
	struct bench_task	task;
	struct work_struct	work;
};

static void work_child(struct work_struct *work)
{
	bench_task_do(&container_of(work, struct work_item, work)->task);
}

static void queue_all(struct bench_run *r, struct workqueue_struct *wq)
{
	struct work_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		INIT_WORK(&item[i].work, work_child);
		queue_work(wq, &item[i].work);
	}
}

static int flush_run(struct bench_run *r)
{
	struct work_item *item = r->items;
	unsigned int i;

	queue_all(r, bench_bound_wq);
	for (i = 0; i < r->n; i++)
		flush_work(&item[i].work);
	return 0;
}

const struct bench_side flush_side = {
	.impl		= "flush",
	.item_size	= sizeof(struct work_item),
	.run		= flush_run,
};

static int wq_per_scope_run(struct bench_run *r)
{
	struct workqueue_struct *wq = alloc_workqueue("bench_scope", WQ_UNBOUND, 0);

	if (!wq)
		return -ENOMEM;
	queue_all(r, wq);
	destroy_workqueue(wq);
	return 0;
}

const struct bench_side wq_per_scope_side = {
	.impl		= "wq-per-scope",
	.item_size	= sizeof(struct work_item),
	.max_n		= 64,
	.run		= wq_per_scope_run,
};
