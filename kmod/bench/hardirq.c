// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children started by a hard interrupt: an hrtimer that expires on the joiner's
 * CPU. The joiner spins until all have been started, and then joins. The clock
 * runs from the interrupt's first spawn.
 */
#include <linux/hrtimer.h>
#include <linux/processor.h>

#include "bench.h"

struct shot {
	struct hrtimer		timer;
	struct bench_run	*run;
	void			(*start)(struct shot *s);
	struct nursery		*nursery;
	struct hand_scope	*scope;
	int			err;
	bool			fired;
};

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	struct shot *s = container_of(timer, struct shot, timer);

	if (WARN_ON_ONCE(!in_hardirq()))
		s->err = -EINVAL;
	s->run->start = bench_now();
	s->start(s);
	smp_store_release(&s->fired, true);	/* pairs with fire()'s acquire */
	return HRTIMER_NORESTART;
}

static int fire(struct shot *s)
{
	hrtimer_setup_on_stack(&s->timer, expired, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&s->timer, ns_to_ktime(50 * NSEC_PER_USEC), HRTIMER_MODE_REL_PINNED_HARD);
	while (!smp_load_acquire(&s->fired))	/* pairs with expired()'s release */
		cpu_relax();
	return s->err;
}

static void shot_end(struct shot *s)
{
	hrtimer_cancel(&s->timer);
	destroy_hrtimer_on_stack(&s->timer);
}

static void start_ours(struct shot *s)
{
	struct ours_item *item = s->run->items;
	unsigned int i;

	for (i = 0; i < s->run->n && !s->err; i++) {
		nursery_child_init(&item[i].child, ours_child, NULL);
		s->err = nursery_spawn(s->nursery, &item[i].child);
	}
}

static int ours_hardirq_run(struct bench_run *r)
{
	struct nursery n;
	struct shot s = { .run = r, .start = start_ours, .nursery = &n };
	int err, ret;

	nursery_init(&n, &(struct nursery_params) { .name = "hardirq" });
	err = fire(&s);
	ret = nursery_join(&n);
	shot_end(&s);
	return err ?: ret;
}

static const struct bench_side nursery_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct ours_item),
	.run		= ours_hardirq_run,
	.once		= true,
};

static void start_hand(struct shot *s)
{
	struct hand_item *item = s->run->items;
	unsigned int i;

	for (i = 0; i < s->run->n; i++) {
		item[i].scope = s->scope;
		INIT_WORK(&item[i].work, hand_child);
		queue_work(s->scope->wq, &item[i].work);
	}
}

static int hand_hardirq_run(struct bench_run *r, struct workqueue_struct *wq)
{
	struct hand_scope scope;
	struct shot s = { .run = r, .start = start_hand, .scope = &scope };
	int err;

	hand_scope_init(&scope, wq, r->n);
	err = fire(&s);
	wait_for_completion(&scope.done);
	shot_end(&s);
	return err;
}

static int bound_hardirq_run(struct bench_run *r)
{
	return hand_hardirq_run(r, bench_bound_wq);
}

static const struct bench_side bound_side = {
	.impl		= "hand-bound",
	.item_size	= sizeof(struct hand_item),
	.run		= bound_hardirq_run,
	.once		= true,
};

static int unbound_hardirq_run(struct bench_run *r)
{
	return hand_hardirq_run(r, bench_unbound_wq);
}

static const struct bench_side unbound_side = {
	.impl		= "hand-unbound",
	.item_size	= sizeof(struct hand_item),
	.run		= unbound_hardirq_run,
	.once		= true,
};

static const struct bench_side *const sides[] = {
	&bound_side, &unbound_side, &nursery_side, NULL
};

static int hardirq_run(void)
{
	static const unsigned int n[] = { 1, 64, 1000 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "hardirq", .n = n[i], .sides = sides,
		});
	return err;
}

const struct bench_workload bench_hardirq = { .name = "hardirq", .run = hardirq_run };
