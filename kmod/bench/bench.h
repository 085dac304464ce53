/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of nursery_bench.ko share: contenders, workloads and queues. */
#ifndef _NURSERY_BENCH_BENCH_H
#define _NURSERY_BENCH_BENCH_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/nursery.h>
#include <linux/workqueue.h>

#include "../compat.h"
#include "measure.h"

/* A child of a nursery. */
struct ours_item {
	struct bench_task	task;
	struct nursery_child	child;
};

int ours_child(struct nursery_child *c);

/* What one writes by hand: children as work items, a count, and somebody who waits. */
struct hand_scope {
	atomic_t		left;
	struct completion	done;
	struct workqueue_struct	*wq;
};

struct hand_item {
	struct bench_task	task;
	struct work_struct	work;
	struct hand_scope	*scope;
};

void hand_scope_init(struct hand_scope *s, struct workqueue_struct *wq, unsigned int n);
void hand_child(struct work_struct *work);

/* The last child wakes the waiter, and touches the scope no more. */
static inline void hand_child_done(struct hand_scope *s)
{
	if (atomic_dec_and_test(&s->left))
		complete(&s->done);
}

/* Made once: what is measured is their use. */
extern struct workqueue_struct *bench_bound_wq, *bench_unbound_wq;

/* The contenders of a fan-out: start n children, wait for all. */
extern const struct bench_side ours_side;			/* ours.c */
extern const struct bench_side call_side, call_bare_side, async_side;	/* peers.c */
extern const struct bench_side hand_bound_side, hand_unbound_side, flush_side,
			       wq_per_scope_side;		/* peer_wq.c */
extern const struct bench_side kthread_side, kworker_side;	/* peer_kthread.c */
#ifdef CONFIG_CLOSURES
extern const struct bench_side closure_side;			/* peer_closure.c */
#endif

int peer_wq_start(void);
void peer_wq_stop(void);

extern const struct bench_workload bench_empty, bench_compute, bench_sleep, bench_many,
				   bench_tree, bench_thread, bench_chain, bench_external,
				   bench_hardirq, bench_cancel, bench_parked, bench_memory;

#endif /* _NURSERY_BENCH_BENCH_H */
