// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that wait for a time and hold no thread: each runs, is to be run again up to
 * 256 ms later, and ends. The time is counted from the last timer on: what is measured is
 * how late it gets, with all those that came before. By hand that is delayed work
 * ("hand-bound", "hand-unbound").
 */
#include <linux/hash.h>
#include <linux/ktime.h>

#include "bench.h"

#define MAX_DELAY	(256 * NSEC_PER_MSEC)
/* A million of those take half a minute for all rounds. */
#define HAND_MAX	10000

/* When the last timer expires. */
static atomic64_t last;

/* Until when an item waits: in each round as long. */
static ktime_t draw(u32 number)
{
	ktime_t when = ktime_get() + ((u64)hash_32(number, 32) * MAX_DELAY >> 32);
	s64 old = atomic64_read(&last);

	while (when > old && !atomic64_try_cmpxchg(&last, &old, when))
		;
	return when;
}

static int parked_setup(struct bench_run *r)
{
	atomic64_set(&last, 0);
	return 0;
}

struct parked_item {
	struct bench_task	task;
	u32			number;		/* from 1 on; 0: has parked */
	struct nursery_child	child;
};

static int parked_child(struct nursery_child *c)
{
	struct parked_item *item = container_of(c, struct parked_item, child);
	u32 number = item->number;

	if (number) {
		item->number = 0;
		return nursery_child_park_until(c, draw(number));
	}
	bench_task_do(&item->task);
	return 0;
}

static int parked_run(struct bench_run *r)
{
	struct parked_item *item = r->items;
	struct nursery n;
	unsigned int i;
	int err = 0, ret;

	nursery_init(&n, &(struct nursery_params) { .name = "parked" });
	for (i = 0; i < r->n && !err; i++) {
		item[i].number = i + 1;
		nursery_child_init(&item[i].child, parked_child, NULL);
		err = nursery_spawn(&n, &item[i].child);
	}
	ret = nursery_join(&n);
	r->start = atomic64_read(&last);
	return err ?: ret;
}

static const struct bench_side nursery_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct parked_item),
	.setup		= parked_setup,
	.run		= parked_run,
	.once		= true,
};

struct delayed_item {
	struct bench_task	task;
	u32			number;
	struct delayed_work	work;
	struct hand_scope	*scope;
};

static void delayed_child(struct work_struct *work)
{
	struct delayed_item *item = container_of(to_delayed_work(work), struct delayed_item, work);
	struct hand_scope *scope = item->scope;
	u32 number = item->number;
	ktime_t delay;

	if (number) {
		item->number = 0;
		delay = draw(number) - ktime_get();
		queue_delayed_work(scope->wq, &item->work, nsecs_to_jiffies(max(delay, 0)) + 1);
		return;
	}
	bench_task_do(&item->task);
	hand_child_done(scope);
}

static int delayed_run(struct bench_run *r, struct workqueue_struct *wq)
{
	struct delayed_item *item = r->items;
	struct hand_scope scope;
	unsigned int i;

	hand_scope_init(&scope, wq, r->n);
	for (i = 0; i < r->n; i++) {
		item[i].number = i + 1;
		item[i].scope = &scope;
		INIT_DELAYED_WORK(&item[i].work, delayed_child);
		queue_delayed_work(wq, &item[i].work, 0);
	}
	wait_for_completion(&scope.done);
	r->start = atomic64_read(&last);
	return 0;
}

static int bound_run(struct bench_run *r)
{
	return delayed_run(r, bench_bound_wq);
}

static const struct bench_side bound_side = {
	.impl		= "hand-bound",
	.item_size	= sizeof(struct delayed_item),
	.setup		= parked_setup,
	.max_n		= HAND_MAX,
	.run		= bound_run,
	.once		= true,
};

static int unbound_run(struct bench_run *r)
{
	return delayed_run(r, bench_unbound_wq);
}

static const struct bench_side unbound_side = {
	.impl		= "hand-unbound",
	.item_size	= sizeof(struct delayed_item),
	.setup		= parked_setup,
	.max_n		= HAND_MAX,
	.run		= unbound_run,
	.once		= true,
};

static const struct bench_side *const sides[] = {
	&bound_side, &unbound_side, &nursery_side, NULL
};

static int parked_workload(void)
{
	static const unsigned int n[] = { 10000, 1000000 };
	unsigned int i;
	int err = 0;

	/* All that there is for each while it waits. */
	bench_note_size("memory-parked", "nursery", sizeof(struct parked_item));
	bench_note_size("memory-parked", "hand-bound", sizeof(struct delayed_item));
	bench_note_size("memory-parked", "hand-unbound", sizeof(struct delayed_item));
	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "parked", .n = n[i], .sides = sides, .long_rounds = true,
		});
	return err;
}

const struct bench_workload bench_parked = { .name = "parked", .run = parked_workload };
