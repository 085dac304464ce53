// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware's children, without the hardware: begin all, as one starts transfers,
 * complete all, as their interrupts would, and join, which finds nothing left to
 * wait for. By hand ("hand") there is a count and a completion, and nobody whom
 * a cancel could ask to stop.
 */
#include "bench.h"

static int external_run_ours(struct bench_run *r)
{
	struct ours_item *item = r->items;
	unsigned int i, begun = 0;
	struct nursery n;
	int err = 0, ret;

	nursery_init(&n, &(struct nursery_params) { .name = "external" });
	for (i = 0; i < r->n && !err; i++) {
		nursery_child_init(&item[i].child, NULL, NULL);
		err = nursery_child_begin(&n, &item[i].child);
		begun += !err;
	}
	for (i = 0; i < begun; i++) {
		bench_task_do(&item[i].task);
		nursery_child_complete(&item[i].child, 0);
	}
	ret = nursery_join(&n);
	return err ?: ret;
}

static const struct bench_side nursery_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct ours_item),
	.run		= external_run_ours,
};

struct transfer {
	struct bench_task	task;
	struct hand_scope	*scope;
};

static noinline void transfer_begin(struct hand_scope *s, struct transfer *t)
{
	t->scope = s;
	atomic_inc(&s->left);
}

static noinline void transfer_complete(struct transfer *t)
{
	hand_child_done(t->scope);
}

static int external_run_hand(struct bench_run *r)
{
	struct transfer *t = r->items;
	struct hand_scope scope;
	unsigned int i;

	/* One more, until all have begun. */
	hand_scope_init(&scope, NULL, 1);
	for (i = 0; i < r->n; i++)
		transfer_begin(&scope, &t[i]);
	for (i = 0; i < r->n; i++) {
		bench_task_do(&t[i].task);
		transfer_complete(&t[i]);
	}
	hand_child_done(&scope);
	wait_for_completion(&scope.done);
	return 0;
}

static const struct bench_side hand_side = {
	.impl		= "hand",
	.item_size	= sizeof(struct transfer),
	.run		= external_run_hand,
};

static const struct bench_side *const sides[] = { &hand_side, &nursery_side, NULL };

static int external_run(void)
{
	static const unsigned int n[] = { 1, 64, 1000 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "external", .n = n[i], .sides = sides,
		});
	return err;
}

const struct bench_workload bench_external = { .name = "external", .run = external_run };
