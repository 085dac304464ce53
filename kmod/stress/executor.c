// SPDX-License-Identifier: GPL-2.0-only
/*
 * The executors that children are spawned on: a table. An executor of the core is
 * one line more; a queue of ours is one in the enum, one among the queues, and
 * one in the table.
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/numa.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "stress.h"

enum {
	BOUND,
	ORDERED,
	HIGHPRI,
	RECLAIM,
	OWN,		/* for own.c */
	NR_QUEUES,
};

static struct nursery_executor ours[NR_QUEUES];
static const struct nursery_executor *our[NR_QUEUES] = {
	&ours[BOUND], &ours[ORDERED], &ours[HIGHPRI], &ours[RECLAIM],
};

static const struct nursery_executor *own_threads;

const struct stress_executor stress_executors[] = {
	{ "unbound", &nursery_executor_unbound },
	{ "percpu", &nursery_executor_percpu },
	{ "core-highpri", &nursery_executor_highpri },
	{ "thread", &nursery_executor_thread },
	{ "inline", &nursery_executor_inline, STRESS_PROCESS_ONLY },
	{ "bound", &our[BOUND], STRESS_OUR_QUEUE },
	{ "ordered", &our[ORDERED], STRESS_FEW_WORKERS | STRESS_OUR_QUEUE },
	{ "highpri", &our[HIGHPRI], STRESS_OUR_QUEUE },
	{ "reclaim", &our[RECLAIM], STRESS_OUR_QUEUE },
	{ "own-threads", &own_threads },
	{ "own", &stress_own, STRESS_FEW_WORKERS },
	{ "own-plain", &stress_own_plain, STRESS_FEW_WORKERS | STRESS_NO_RETRACT },
};

const unsigned int stress_nr_executors = ARRAY_SIZE(stress_executors);

int stress_executors_start(void)
{
	struct workqueue_struct *queues[NR_QUEUES] = {
		[BOUND]		= alloc_workqueue("stress_bound", WQ_PERCPU, 0),
		[ORDERED]	= alloc_ordered_workqueue("stress_ordered", 0),
		[HIGHPRI]	= alloc_workqueue("stress_highpri", WQ_UNBOUND | WQ_HIGHPRI, 0),
		[RECLAIM]	= alloc_workqueue("stress_reclaim", WQ_PERCPU | WQ_MEM_RECLAIM, 0),
		[OWN]		= alloc_workqueue("stress_own", WQ_UNBOUND, 0),
	};
	const struct nursery_thread_attrs attrs = { .nice = 5, .node = NUMA_NO_NODE };
	unsigned int i;
	int err = 0;

	BUILD_BUG_ON(ARRAY_SIZE(stress_executors) > STRESS_MAX_EXECUTORS);
	for (i = 0; i < NR_QUEUES; i++) {
		nursery_executor_init_wq(&ours[i], queues[i]);
		if (!queues[i])
			err = -ENOMEM;
	}
	stress_own_start(queues[OWN]);
	own_threads = nursery_executor_create_threads("stress", &attrs);
	if (IS_ERR(own_threads)) {
		err = PTR_ERR(own_threads);
		own_threads = NULL;
	}
	if (err)
		stress_executors_stop();
	return err;
}

void stress_executors_stop(void)
{
	unsigned int i;

	if (own_threads)
		nursery_executor_destroy_threads(own_threads);
	for (i = 0; i < NR_QUEUES; i++)
		if (ours[i].wq)
			destroy_workqueue(ours[i].wq);
}
