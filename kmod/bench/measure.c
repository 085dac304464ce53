// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measuring, and keeping what was measured.
 *
 * The contenders of a case take turns, round after round, each round starting
 * with another one, so that whatever else happens on the machine happens to all.
 * Of the rounds the minimum and the median are kept.
 *
 * The clock runs from before the first spawn until the contender has returned,
 * when its storage could be freed. Inside are the initialisation of the scope
 * and of each child, as in a driver; outside are the allocation of the items, and
 * the check after each round that every child did what it was to do. One that
 * did not ends the benchmark with an error.
 *
 * A clock may be coarse (256 ns in user-mode Linux), so a short section is
 * repeated back to back and timed as one: as often as makes LONG_ENOUGH.
 *
 * In a guest whose time stamp counter counts instructions (vm run --instructions)
 * these can be measured instead. Each section is measured alone then, begins just
 * after a tick and with nothing else to do, and has a real-time priority, or what
 * a wake-up costs would depend on what ran when; so the median is the same, boot
 * after boot. There is one processor, and a worker that was asked for but did not
 * get it before the section ended is not in the figure.
 *
 * Children that compute count steps of a loop that was calibrated when the
 * module was loaded. They do not wait for the clock to advance, as udelay() does:
 * that takes the same time on a processor that another one is using, and so would
 * show a speed-up where there is none.
 */
#include <linux/ktime.h>
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/timex.h>

#include "measure.h"

#define LONG_ENOUGH	(200 * NSEC_PER_USEC)
#define MAX_REPS	100000
#define MAX_SIDES	12
#define FEWEST_ROUNDS	5
/* for a case with long_rounds, until it may end early */
#define LONG_CASE	(5 * NSEC_PER_SEC)

static unsigned int rounds = 21;
module_param(rounds, uint, 0644);
MODULE_PARM_DESC(rounds, "rounds of each measurement");

/* To look at some things closely, with a profiler for instance. */
static char *only_impl[8];
static int nr_only_impl;
module_param_array(only_impl, charp, &nr_only_impl, 0444);
MODULE_PARM_DESC(only_impl, "measure these contenders alone");

static unsigned int only_n[8];
static int nr_only_n;
module_param_array(only_n, uint, &nr_only_n, 0444);
MODULE_PARM_DESC(only_n, "measure only cases of so many children");

/* Then the figures called ns are instructions. */
static bool instructions;
module_param(instructions, bool, 0444);
MODULE_PARM_DESC(instructions, "the time stamp counter counts instructions: measure those");

struct result {
	struct list_head	node;
	const char		*workload;
	const char		*impl;
	unsigned int		n;
	unsigned int		rounds;
	unsigned int		reps;
	u64			min;		/* of one repetition, ps; or bytes */
	u64			median;
	bool			bytes;
};

static LIST_HEAD(results);	/* struct result; main.c's lock */
static u32 steps_per_us;

static bool is_wanted_impl(const char *impl)
{
	int i;

	for (i = 0; i < nr_only_impl; i++)
		if (!strcmp(only_impl[i], impl))
			return true;
	return !nr_only_impl;
}

static bool is_wanted_n(unsigned int n)
{
	int i;

	for (i = 0; i < nr_only_n; i++)
		if (only_n[i] == n)
			return true;
	return !nr_only_n;
}

u64 bench_now(void)
{
	return instructions ? get_cycles() : ktime_get_ns();
}

/*
 * Steps that depend on one another. Volatile, as without results to keep the
 * compiler would find out that there is nothing to do.
 */
static noinline void bench_spin(u32 steps)
{
	u32 x = steps;

	while (steps--) {
		x = x * 1664525 + 1013904223;
		asm volatile("" : "+r" (x));
	}
}

noinline void bench_task_slow(struct bench_task *t)
{
	if (t->spin)
		bench_spin(t->spin);
	if (t->sleep_us)
		usleep_range(t->sleep_us, t->sleep_us);
}

/* The fastest of some tries: the others were disturbed. */
void bench_calibrate(void)
{
	const u32 steps = 1000000;
	u64 best = U64_MAX, start;
	int i;

	for (i = 0; i < 10; i++) {
		start = bench_now();
		bench_spin(steps);
		best = min(best, bench_now() - start);
		cond_resched();
	}
	steps_per_us = max_t(u64, div64_u64((u64)steps * NSEC_PER_USEC, max_t(u64, best, 1)), 1);
	pr_info("nursery_bench: a microsecond of computing is %u steps\n", steps_per_us);
}

void bench_results_clear(void)
{
	struct result *r, *next;

	list_for_each_entry_safe(r, next, &results, node)
		kfree(r);
	INIT_LIST_HEAD(&results);
}

static void show_per_child(struct seq_file *m, const char *name, u64 ps, unsigned int n)
{
	u64 per_child = div_u64(ps + n / 2, n);

	seq_printf(m, " %s=%llu.%03llu", name, div_u64(per_child, 1000),
		   per_child - 1000 * div_u64(per_child, 1000));
}

/* One line each, of name=value. Times are nanoseconds; "total": of all children. */
void bench_results_show(struct seq_file *m)
{
	struct result *r;

	list_for_each_entry(r, &results, node) {
		seq_printf(m, "workload=%s n=%u impl=%s rounds=%u",
			   r->workload, r->n, r->impl, r->rounds);
		if (r->bytes) {
			seq_printf(m, " ns_min=%llu ns_median=%llu unit=bytes\n",
				   r->min, r->median);
			continue;
		}
		seq_printf(m, " reps=%u total_min=%llu total_median=%llu", r->reps,
			   div_u64(r->min, 1000), div_u64(r->median, 1000));
		show_per_child(m, "ns_min", r->min, r->n);
		show_per_child(m, "ns_median", r->median, r->n);
		seq_putc(m, '\n');
	}
}

static int add_result(const struct result *result)
{
	struct result *r = kmemdup(result, sizeof(*r), GFP_KERNEL);

	if (!r)
		return -ENOMEM;
	list_add_tail(&r->node, &results);
	return 0;
}

/* What a child or a scope takes of memory: not measured, but told with the rest. */
void bench_note_size(const char *workload, const char *impl, size_t bytes)
{
	struct result result = {
		.workload = workload, .impl = impl, .n = 1, .rounds = 1,
		.min = bytes, .median = bytes, .bytes = true,
	};

	add_result(&result);
}

static unsigned int nr_items(const struct bench_run *r)
{
	return r->n * (r->side->items_per_child ?: 1);
}

static int check_runs(struct bench_run *r)
{
	unsigned int i;

	for (i = 0; i < nr_items(r); i++) {
		struct bench_task *t = bench_item(r, i);

		if (READ_ONCE(t->runs) != r->reps) {
			pr_err("nursery_bench: child %u ran %u times, not %u\n",
			       i, t->runs, r->reps);
			return -EBADMSG;
		}
	}
	return 0;
}

/* One timed section with all that is around it. */
static int one_round(const struct bench_case *c, struct bench_run *r, u64 *elapsed)
{
	unsigned int i;
	int err = 0;
	u64 end;

	for (i = 0; i < nr_items(r); i++)
		*(struct bench_task *)bench_item(r, i) = (struct bench_task) {
			.spin = c->spin_us * steps_per_us,
			.sleep_us = c->sleep_us,
		};
	if (r->side->setup)
		err = r->side->setup(r);
	if (err)
		return err;

	/* On the way out of a sleep of whole ticks a tick has just been. */
	if (instructions)
		msleep(20);
	r->start = bench_now();
	for (i = 0; i < r->reps && !err; i++)
		err = r->side->run(r);
	end = bench_now();
	if (!err)
		err = r->side->check ? r->side->check(r) : check_runs(r);
	if (err)
		pr_err("nursery_bench: %s %u: %s failed, %d\n", c->workload, r->n,
		       r->side->impl, err);
	*elapsed = end - r->start;
	cond_resched();
	return err;
}

/* A few rounds that are not counted say how often to repeat. */
static int warm_up(const struct bench_case *c, struct bench_run *r)
{
	u64 elapsed = 0;
	int err;

	r->reps = 1;
	err = one_round(c, r, &elapsed);
	if (instructions || r->side->once || elapsed > 100 * LONG_ENOUGH)
		return err;
	/* From the second on the caches are warm. By tens, for the clock is coarse. */
	while (!err) {
		err = one_round(c, r, &elapsed);
		if (elapsed > LONG_ENOUGH / 20 || r->reps > MAX_REPS / 10)
			break;
		r->reps *= 10;
	}
	r->reps = clamp_t(u64, div64_u64((u64)r->reps * LONG_ENOUGH, max_t(u64, elapsed, 1)),
			  1, MAX_REPS);
	return err;
}

/* Whatever happens, runs_free() follows. */
static int runs_init(const struct bench_case *c, struct bench_run *runs)
{
	struct bench_run *r;
	int i, err;

	for (i = 0; c->sides[i]; i++) {
		const struct bench_side *side = c->sides[i];

		r = &runs[i];
		*r = (struct bench_run) { .n = c->n, .out = true };
		r->side = side;
		if (side->max_n && c->n > side->max_n)
			continue;
		if (!is_wanted_impl(side->impl))
			continue;
		r->items = kvcalloc(nr_items(r), side->item_size, GFP_KERNEL);
		if (!r->items)
			return -ENOMEM;
		err = side->prepare ? side->prepare(r) : 0;
		if (!err) {
			r->out = false;
			err = warm_up(c, r);
		}
		if (err == -EOPNOTSUPP) {
			pr_info("nursery_bench: %s %u: %s cannot be measured here\n",
				c->workload, c->n, side->impl);
			if (!r->out && side->cleanup)
				side->cleanup(r);
			r->out = true;
			continue;
		}
		if (err)
			return err;
	}
	return 0;
}

static void runs_free(const struct bench_case *c, struct bench_run *runs)
{
	int i;

	for (i = 0; c->sides[i]; i++) {
		if (!runs[i].out && runs[i].side->cleanup)
			runs[i].side->cleanup(&runs[i]);
		kvfree(runs[i].items);
	}
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int keep(const struct bench_case *c, struct bench_run *runs, u64 *samples,
		unsigned int nr_rounds, unsigned int stride)
{
	int i, err = 0;

	for (i = 0; c->sides[i] && !err; i++) {
		struct bench_run *r = &runs[i];
		u64 *s = samples + i * stride;

		if (r->out)
			continue;
		sort(s, nr_rounds, sizeof(*s), compare, NULL);
		err = add_result(&(struct result) {
			.workload = c->workload, .impl = r->side->impl, .n = c->n,
			.rounds = nr_rounds, .reps = r->reps,
			.min = div_u64(s[0] * 1000, r->reps),
			.median = div_u64((s[(nr_rounds - 1) / 2] + s[nr_rounds / 2]) * 500,
					  r->reps),
		});
	}
	return err;
}

/* Samples of contender i are at i * @max_rounds. */
static int take_turns(const struct bench_case *c, struct bench_run *runs, u64 *samples,
		      unsigned int max_rounds, unsigned int *nr_rounds)
{
	u64 begin = bench_now();
	unsigned int i, nr, round;
	int err;

	for (nr = 0; c->sides[nr]; nr++)
		;
	for (round = 0; round < max_rounds; round++) {
		if (c->long_rounds && round >= FEWEST_ROUNDS && bench_now() - begin > LONG_CASE)
			break;
		for (i = 0; i < nr; i++) {
			unsigned int who = (round + i) % nr;

			if (runs[who].out)
				continue;
			if (fatal_signal_pending(current))
				return -EINTR;
			err = one_round(c, &runs[who], &samples[who * max_rounds + round]);
			if (err)
				return err;
		}
	}
	*nr_rounds = round;
	return 0;
}

/**
 * bench_measure - measure one case and keep the results
 * @c: the case
 *
 * Context: Process context, may sleep, for long. One at a time.
 * Return: 0 or a negative errno: a contender or its check failed.
 */
int bench_measure(const struct bench_case *c)
{
	unsigned int max_rounds = clamp(READ_ONCE(rounds), 1u, 10000u), nr_rounds;
	struct bench_run *runs;
	u64 *samples;
	int err = -ENOMEM;

	if (!is_wanted_n(c->n))
		return 0;
	samples = kvcalloc(MAX_SIDES * max_rounds, sizeof(*samples), GFP_KERNEL);
	runs = kcalloc(MAX_SIDES, sizeof(*runs), GFP_KERNEL);
	if (samples && runs) {
		for (nr_rounds = 0; c->sides[nr_rounds]; nr_rounds++)
			runs[nr_rounds] = (struct bench_run) { .out = true };
		if (instructions)
			sched_set_fifo_low(current);
		err = WARN_ON(nr_rounds > MAX_SIDES) ? -EINVAL : runs_init(c, runs);
		if (!err)
			err = take_turns(c, runs, samples, max_rounds, &nr_rounds);
		if (!err)
			err = keep(c, runs, samples, nr_rounds, max_rounds);
		runs_free(c, runs);
		if (instructions)
			sched_set_normal(current, 0);
	}
	kfree(runs);
	kvfree(samples);
	return err;
}
