// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fan-out: start n children, wait for all. Empty ones show what a child costs;
 * those that compute, how well two CPUs are used; those that sleep, whether a
 * child that is blocked holds up the others. "many-N" is N scopes of 1,000 empty
 * children each, opened at the same moment by as many threads.
 */
#include <linux/slab.h>

#include "bench.h"

static const struct bench_side *const all_sides[] = {
	&call_bare_side, &call_side, &hand_bound_side, &hand_unbound_side, &flush_side,
	&async_side,
#ifdef CONFIG_CLOSURES
	&closure_side,
#endif
	&kworker_side, &kthread_side, &wq_per_scope_side, &ours_side, NULL
};

static const struct bench_side *const computing_sides[] = {
	&call_side, &hand_bound_side, &hand_unbound_side, &ours_side, NULL
};

static const struct bench_side *const sleeping_sides[] = {
	&hand_bound_side, &hand_unbound_side, &flush_side, &async_side, &kthread_side,
	&ours_side, NULL
};

static int empty_run(void)
{
	static const unsigned int n[] = { 1, 8, 64, 1000, 10000, 100000 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "empty", .n = n[i], .sides = all_sides,
			.long_rounds = n[i] >= 100000,
		});
	return err;
}

const struct bench_workload bench_empty = { .name = "empty", .run = empty_run };

static int compute_run(void)
{
	int err;

	err = bench_measure(&(struct bench_case) {
		.workload = "compute-1us", .n = 1000, .spin_us = 1, .sides = computing_sides,
	});
	err = err ?: bench_measure(&(struct bench_case) {
		.workload = "compute-10us", .n = 1000, .spin_us = 10, .sides = computing_sides,
	});
	return err ?: bench_measure(&(struct bench_case) {
		.workload = "compute-100us", .n = 500, .spin_us = 100, .sides = computing_sides,
	});
}

const struct bench_workload bench_compute = { .name = "compute", .run = compute_run };

static int sleep_run(void)
{
	return bench_measure(&(struct bench_case) {
		.workload = "sleep-1ms", .n = 64, .sleep_us = 1000, .sides = sleeping_sides,
	});
}

const struct bench_workload bench_sleep = { .name = "sleep", .run = sleep_run };

#define PER_SCOPE	1000

/* One of the threads that open a scope each: a work item, alike for all contenders. */
struct opener {
	struct work_struct	work;
	struct bench_run	run;
	int			err;
};

struct openers {
	struct workqueue_struct	*wq;
	struct opener		opener[8];
};

static void opener_work(struct work_struct *work)
{
	struct opener *o = container_of(work, struct opener, work);

	o->err = o->run.side->run(&o->run);
}

static int many_prepare(struct bench_run *r, const struct bench_side *inner)
{
	struct openers *all = kzalloc(sizeof(*all), GFP_KERNEL);
	unsigned int i;

	if (!all)
		return -ENOMEM;
	all->wq = alloc_workqueue("bench_openers", WQ_UNBOUND, 0);
	if (!all->wq) {
		kfree(all);
		return -ENOMEM;
	}
	for (i = 0; i < r->n / PER_SCOPE; i++) {
		all->opener[i].run.side = inner;
		all->opener[i].run.items = bench_item(r, i * PER_SCOPE);
		all->opener[i].run.n = PER_SCOPE;
		INIT_WORK(&all->opener[i].work, opener_work);
	}
	r->private = all;
	return 0;
}

static int many_run_once(struct bench_run *r)
{
	struct openers *all = r->private;
	unsigned int i;
	int err = 0;

	for (i = 0; i < r->n / PER_SCOPE; i++)
		queue_work(all->wq, &all->opener[i].work);
	for (i = 0; i < r->n / PER_SCOPE; i++) {
		flush_work(&all->opener[i].work);
		err = err ?: all->opener[i].err;
	}
	return err;
}

static void many_cleanup(struct bench_run *r)
{
	struct openers *all = r->private;

	destroy_workqueue(all->wq);
	kfree(all);
}

static int many_ours_prepare(struct bench_run *r)
{
	return many_prepare(r, &ours_side);
}

static int many_bound_prepare(struct bench_run *r)
{
	return many_prepare(r, &hand_bound_side);
}

static int many_unbound_prepare(struct bench_run *r)
{
	return many_prepare(r, &hand_unbound_side);
}

static int many_async_prepare(struct bench_run *r)
{
	return many_prepare(r, &async_side);
}

static const struct bench_side many_ours_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct ours_item),
	.prepare	= many_ours_prepare,
	.run		= many_run_once,
	.cleanup	= many_cleanup,
};

static const struct bench_side many_bound_side = {
	.impl		= "hand-bound",
	.item_size	= sizeof(struct hand_item),
	.prepare	= many_bound_prepare,
	.run		= many_run_once,
	.cleanup	= many_cleanup,
};

static const struct bench_side many_unbound_side = {
	.impl		= "hand-unbound",
	.item_size	= sizeof(struct hand_item),
	.prepare	= many_unbound_prepare,
	.run		= many_run_once,
	.cleanup	= many_cleanup,
};

static const struct bench_side many_async_side = {
	.impl		= "async",
	.item_size	= sizeof(struct bench_task),
	.prepare	= many_async_prepare,
	.run		= many_run_once,
	.cleanup	= many_cleanup,
};

static const struct bench_side *const many_sides[] = {
	&many_bound_side, &many_unbound_side, &many_async_side, &many_ours_side, NULL
};

static int many_run(void)
{
	static const char * const name[] = { "many-1", "many-2", "many-4", "many-8" };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(name) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = name[i], .n = PER_SCOPE << i, .sides = many_sides,
		});
	return err;
}

const struct bench_workload bench_many = { .name = "many", .run = many_run };
