// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tree of nested nurseries: each inner node is a child that opens a nursery,
 * spawns the nodes below it and joins. Figures are per leaf. "tree-2": two nodes
 * below each, so as many nurseries as leaves; "tree-16": sixteen. Nurseries and
 * children are in the items and not on the stack, so that depth costs little of
 * it. Beside it: the leaves alone in one flat nursery ("nursery-flat"), and the
 * tree walked by plain calls ("call"). By hand there is none: work items that
 * wait for work items on their own queue can deadlock.
 */
#include "bench.h"

#define MAX_LEAVES	65536

struct tree_item {
	struct bench_task	task;
	struct nursery_child	child;
	struct nursery		nursery;	/* of an inner node */
	const struct bench_run	*run;
};

/*
 * The nodes are numbered as in a heap: node i has fan x i + 1 and the fan - 1
 * that follow below it. The last @n of them are the leaves.
 */
static unsigned int fan(const struct bench_run *r)
{
	return (unsigned long)r->private;
}

static unsigned int nr_inner(const struct bench_run *r)
{
	return (r->n - 1) / (fan(r) - 1);
}

static int prepare_2(struct bench_run *r)
{
	r->private = (void *)2;
	return 0;
}

static int prepare_16(struct bench_run *r)
{
	r->private = (void *)16;
	return 0;
}

static int node(struct nursery_child *c)
{
	struct tree_item *item = container_of(c, struct tree_item, child), *below;
	const struct bench_run *r = item->run;
	const struct nursery_params params = { .name = "tree", .parent = c };
	unsigned int at = item - (struct tree_item *)r->items, i;
	int err = 0, ret;

	bench_task_do(&item->task);
	if (at >= nr_inner(r))
		return 0;

	nursery_init(&item->nursery, &params);
	for (i = 0; i < fan(r) && !err; i++) {
		below = bench_item(r, at * fan(r) + 1 + i);
		below->run = r;
		nursery_child_init(&below->child, node, NULL);
		err = nursery_spawn(&item->nursery, &below->child);
	}
	ret = nursery_join(&item->nursery);
	return err ?: ret;
}

static int nursery_tree_run(struct bench_run *r)
{
	struct tree_item *root = r->items;
	struct nursery n;
	int err, ret;

	nursery_init(&n, &(struct nursery_params) { .name = "root" });
	root->run = r;
	nursery_child_init(&root->child, node, NULL);
	err = nursery_spawn(&n, &root->child);
	ret = nursery_join(&n);
	return err ?: ret;
}

static void call_node(const struct bench_run *r, unsigned int at)
{
	unsigned int i;

	bench_task_do(bench_item(r, at));
	if (at < nr_inner(r))
		for (i = 0; i < fan(r); i++)
			call_node(r, at * fan(r) + 1 + i);
}

static int call_tree_run(struct bench_run *r)
{
	call_node(r, 0);
	return 0;
}

/* Inner nodes of a tree of two: one less than leaves; of sixteen: fewer. */
static int check_tree(struct bench_run *r)
{
	unsigned int i;

	for (i = 0; i < nr_inner(r) + r->n; i++) {
		struct bench_task *t = bench_item(r, i);

		if (READ_ONCE(t->runs) != r->reps) {
			pr_err("nursery_bench: node %u ran %u times, not %u\n",
			       i, t->runs, r->reps);
			return -EBADMSG;
		}
	}
	return 0;
}

static int ours_run_flat(struct bench_run *r)
{
	return ours_side.run(r);
}

static const struct bench_side tree_2_side = {
	.impl			= "nursery",
	.item_size		= sizeof(struct tree_item),
	.items_per_child	= 2,
	.prepare		= prepare_2,
	.run			= nursery_tree_run,
	.check			= check_tree,
};

static const struct bench_side tree_16_side = {
	.impl			= "nursery",
	.item_size		= sizeof(struct tree_item),
	.items_per_child	= 2,
	.prepare		= prepare_16,
	.run			= nursery_tree_run,
	.check			= check_tree,
};

static const struct bench_side call_2_side = {
	.impl			= "call",
	.item_size		= sizeof(struct bench_task),
	.items_per_child	= 2,
	.prepare		= prepare_2,
	.run			= call_tree_run,
	.check			= check_tree,
};

static const struct bench_side call_16_side = {
	.impl			= "call",
	.item_size		= sizeof(struct bench_task),
	.items_per_child	= 2,
	.prepare		= prepare_16,
	.run			= call_tree_run,
	.check			= check_tree,
};

static const struct bench_side flat_side = {
	.impl			= "nursery-flat",
	.item_size		= sizeof(struct ours_item),
	.run			= ours_run_flat,
};

static const struct bench_side *const sides_2[] = {
	&call_2_side, &flat_side, &tree_2_side, NULL
};

static const struct bench_side *const sides_16[] = {
	&call_16_side, &flat_side, &tree_16_side, NULL
};

static int tree_run(void)
{
	static const unsigned int n[] = { 256, 4096, MAX_LEAVES };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "tree-2", .n = n[i], .sides = sides_2,
			.long_rounds = n[i] == MAX_LEAVES,
		});
	for (i = 0; i < ARRAY_SIZE(n) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "tree-16", .n = n[i], .sides = sides_16,
			.long_rounds = n[i] == MAX_LEAVES,
		});
	return err;
}

const struct bench_workload bench_tree = { .name = "tree", .run = tree_run };
