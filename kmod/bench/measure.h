/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the benchmark measures: see measure.c.
 *
 * A workload is a list of cases, a case one workload with a number of children,
 * and a contender one way to do it. What the children work on are items: an
 * array for each contender, of a type of its own, that starts with a
 * struct bench_task and has in it whatever that contender needs for a child. So
 * each pays for the memory that it uses, and for none that another one does.
 */
#ifndef _NURSERY_BENCH_MEASURE_H
#define _NURSERY_BENCH_MEASURE_H

#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/types.h>

/* What a child does, and that it did it. The first field of every item. */
struct bench_task {
	u32	runs;		/* how often; only the child writes here */
	u32	spin;		/* steps of computing; 0: none */
	u32	sleep_us;	/* and how long it sleeps; 0: not */
};

/* One contender in one case, while that is measured. */
struct bench_run {
	const struct bench_side	*side;
	void			*items;		/* @n of them */
	unsigned int		n;
	unsigned int		reps;		/* how often in one timed section */
	u64			start;		/* of the timed section, ns */
	void			*private;
	bool			out;		/* takes no part in this case */
};

/**
 * struct bench_side - a contender: one way to do a workload
 * @impl: its name in the results
 * @item_size: of an item, which starts with a struct bench_task
 * @items_per_child: 0: one
 * @max_n: the most children that it is asked for; 0: as many as the case has
 * @prepare: before the first round, to make what is made once; or NULL.
 *	-EOPNOTSUPP: this cannot be done here, leave it out and say so
 * @setup: before each timed section, not timed; or NULL
 * @run: what is timed: start the children, return when all have finished and
 *	the items could be freed
 * @check: after each timed section, not timed: 0 if what was to happen did. NULL:
 *	that every item ran once for each repetition
 * @cleanup: undoes @prepare; or NULL
 * @once: @run is not repeated in a timed section, as @setup is needed before it,
 *	or as it sets bench_run.start itself
 */
struct bench_side {
	const char	*impl;
	size_t		item_size;
	unsigned int	items_per_child;
	unsigned int	max_n;
	int		(*prepare)(struct bench_run *r);
	int		(*setup)(struct bench_run *r);
	int		(*run)(struct bench_run *r);
	int		(*check)(struct bench_run *r);
	void		(*cleanup)(struct bench_run *r);
	bool		once;
};

/**
 * struct bench_case - what is measured side by side, in the same rounds
 * @workload: its name in the results
 * @n: number of children
 * @spin_us: how long each child computes
 * @sleep_us: how long each child sleeps
 * @sides: the contenders, ends with a NULL
 * @long_rounds: end after five rounds if they have taken too long
 */
struct bench_case {
	const char				*workload;
	unsigned int				n;
	unsigned int				spin_us;
	unsigned int				sleep_us;
	const struct bench_side *const		*sides;
	bool					long_rounds;
};

/**
 * struct bench_workload - what main.c can be asked for
 * @name: in debugfs
 * @run: measures its cases, one after the other
 */
struct bench_workload {
	const char	*name;
	int		(*run)(void);
};

struct seq_file;

int bench_measure(const struct bench_case *c);
void bench_note_size(const char *workload, const char *impl, size_t bytes);
void bench_results_show(struct seq_file *m);
void bench_results_clear(void);
void bench_calibrate(void);
u64 bench_now(void);

void bench_task_slow(struct bench_task *t);

static inline void *bench_item(const struct bench_run *r, unsigned int i)
{
	return r->items + i * r->side->item_size;
}

/* What every child does; inline, so that no contender pays a call for it. */
static inline void bench_task_do(struct bench_task *t)
{
	WRITE_ONCE(t->runs, t->runs + 1);
	if (unlikely(t->spin | t->sleep_us))
		bench_task_slow(t);
}

#endif /* _NURSERY_BENCH_MEASURE_H */
