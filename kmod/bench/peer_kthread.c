// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contenders on threads. "kthread" makes one for each child and stops it: a
 * thread that is stopped before it runs never does, so each says that it has
 * begun, and who stops them waits for that. "kworker" gives all children to one
 * kthread_worker, which was made before, and flushes it.
 */
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>

#include "bench.h"

struct kthread_item {
	struct bench_task	task;
	struct task_struct	*thread;
	struct completion	begun;
};

static int kthread_child(void *data)
{
	struct kthread_item *item = data;

	complete(&item->begun);
	bench_task_do(&item->task);
	return 0;
}

static int kthread_run_all(struct bench_run *r)
{
	struct kthread_item *item = r->items;
	unsigned int i, started;
	int err = 0;

	for (started = 0; started < r->n; started++) {
		struct task_struct *thread;

		init_completion(&item[started].begun);
		thread = kthread_create(kthread_child, &item[started], "bench/%u", started);
		if (IS_ERR(thread)) {
			err = PTR_ERR(thread);
			break;
		}
		/* It may end before it is stopped. */
		item[started].thread = get_task_struct(thread);
		wake_up_process(thread);
	}
	for (i = 0; i < started; i++) {
		wait_for_completion(&item[i].begun);
		kthread_stop(item[i].thread);
		put_task_struct(item[i].thread);
	}
	return err;
}

const struct bench_side kthread_side = {
	.impl		= "kthread",
	.item_size	= sizeof(struct kthread_item),
	.max_n		= 64,
	.run		= kthread_run_all,
};

struct kworker_item {
	struct bench_task	task;
	struct kthread_work	work;
};

static void kworker_child(struct kthread_work *work)
{
	bench_task_do(&container_of(work, struct kworker_item, work)->task);
}

static int kworker_prepare(struct bench_run *r)
{
	struct kthread_worker *worker = kthread_run_worker(0, "bench_kworker");

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	r->private = worker;
	return 0;
}

static int kworker_run(struct bench_run *r)
{
	struct kworker_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		kthread_init_work(&item[i].work, kworker_child);
		kthread_queue_work(r->private, &item[i].work);
	}
	kthread_flush_worker(r->private);
	return 0;
}

static void kworker_cleanup(struct bench_run *r)
{
	kthread_destroy_worker(r->private);
}

const struct bench_side kworker_side = {
	.impl		= "kworker",
	.item_size	= sizeof(struct kworker_item),
	.prepare	= kworker_prepare,
	.run		= kworker_run,
	.cleanup	= kworker_cleanup,
};
