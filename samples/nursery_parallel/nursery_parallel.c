// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parallel: map, filter and reduce over an array, on all CPUs.
 *
 * Here are the three of them, built from nursery_for_each(), which calls a function with
 * pieces of a range, each in a child. What there is to learn:
 *
 * - A range is worth splitting if a piece takes longer than to start a child: some
 *   microseconds. So the unit here is a block of numbers, and not a number.
 * - The array is not copied and nothing is allocated. When the call returns nobody uses it.
 * - A piece that fails stops what has not begun, and its error is the result.
 * - Nothing is written by two pieces: a map has a place for each result; filter and reduce
 *   have one for each block, and what is left, to add up a few numbers, is done by the
 *   caller. So the result is the same whoever was first, and needs no lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/nursery.h>

#define NR		4096
#define BLOCK		64
#define NR_BLOCKS	(NR / BLOCK)

struct array {
	u32	in[NR], out[NR];
	u32	nr;			/* filter: how many were kept */
	u32	at[NR_BLOCKS];		/* filter: how many, then where, in each block */
	u64	sum[NR_BLOCKS];		/* reduce: of each block */
};

/* map: out[] = the squares of in[], which have to fit. @from, @to: blocks. */
static int square(struct nursery_child *c, unsigned long from, unsigned long to, void *ctx)
{
	struct array *a = ctx;
	unsigned long i;

	for (i = from * BLOCK; i < to * BLOCK; i++) {
		if (a->in[i] > U16_MAX)
			return -EOVERFLOW;
		a->out[i] = a->in[i] * a->in[i];
	}
	return 0;
}

static bool is_even(u32 x)
{
	return !(x & 1);
}

/* filter, in two steps: see how many are kept in each block ... */
static int count_even(struct nursery_child *c, unsigned long from, unsigned long to, void *ctx)
{
	struct array *a = ctx;
	unsigned long b, i;

	for (b = from; b < to; b++)
		for (i = b * BLOCK, a->at[b] = 0; i < (b + 1) * BLOCK; i++)
			a->at[b] += is_even(a->in[i]);
	return 0;
}

/* ... so that each block knows where its own go. */
static int keep_even(struct nursery_child *c, unsigned long from, unsigned long to, void *ctx)
{
	struct array *a = ctx;
	unsigned long b, i;
	u32 at;

	for (b = from; b < to; b++)
		for (i = b * BLOCK, at = a->at[b]; i < (b + 1) * BLOCK; i++)
			if (is_even(a->in[i]))
				a->out[at++] = a->in[i];
	return 0;
}

static int filter(struct array *a)
{
	int b, err = nursery_for_each(a, 0, NR_BLOCKS, NULL, count_even);
	u32 here;

	if (err)
		return err;
	for (b = 0, a->nr = 0; b < NR_BLOCKS; b++) {
		here = a->at[b];
		a->at[b] = a->nr;
		a->nr += here;
	}
	return nursery_for_each(a, 0, NR_BLOCKS, NULL, keep_even);
}

/* reduce: a sum of each block, then of those */
static int add(struct nursery_child *c, unsigned long from, unsigned long to, void *ctx)
{
	struct array *a = ctx;
	unsigned long b, i;

	for (b = from; b < to; b++)
		for (i = b * BLOCK, a->sum[b] = 0; i < (b + 1) * BLOCK; i++)
			a->sum[b] += a->in[i];
	return 0;
}

static int __init parallel_init(void)
{
	static struct array a;
	u64 sum = 0;
	int i, err;

	for (i = 0; i < NR; i++)
		a.in[i] = i;
	err = nursery_for_each(&a, 0, NR_BLOCKS, NULL, square);
	if (err)
		return err;
	memcpy(a.in, a.out, sizeof(a.in));
	err = filter(&a);
	if (err)
		return err;
	memset(a.in, 0, sizeof(a.in));
	memcpy(a.in, a.out, a.nr * sizeof(a.in[0]));
	err = nursery_for_each(&a, 0, NR_BLOCKS, NULL, add);
	if (err)
		return err;
	for (i = 0; i < NR_BLOCKS; i++)
		sum += a.sum[i];

	/* These are squares already, and theirs do not fit. */
	err = nursery_for_each(&a, 0, NR_BLOCKS, NULL, square);
	if (a.nr != NR / 2 || sum != 11444858880ULL || err != -EOVERFLOW)
		return -EBADMSG;
	pr_info("%d squares, %u even, sum %llu; too large: %d\n", NR, a.nr, sum, err);
	return 0;
}
module_init(parallel_init);

static void __exit parallel_exit(void)
{
}
module_exit(parallel_exit);

MODULE_DESCRIPTION("Sample: map, filter and reduce, with nurseries");
MODULE_LICENSE("GPL");
