// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel, then join: the time from before the cancel until join has returned.
 *
 * "cancel-queued": children that have been spawned and that nobody has started.
 * What keeps them so is a work item that sleeps in the executor's queue, which
 * runs one at a time: a saturated executor, whatever the nursery keeps of its
 * children itself and what it hands on. No trick of the nursery's own could do:
 * with max_active the one that runs would have to be waited for, with busy
 * processors the canceller would have none. The nursery cancels and joins while
 * the queue is still blocked: a join that waits for the queue shows, and is told of.
 * Then the queue is unblocked and flushed, and only after that is looked whether
 * a child has run: none may, not even late.
 *
 * Beside it what one does without a nursery. "hand-bound" and "hand-unbound" let
 * run what is queued: the queue is unblocked as the clock starts. Queueing is not
 * in their figure, as spawning is not in the nursery's; that they have one worker
 * is no handicap, for with two it took as long.
 * "hand-cancel" cancels each and leaves the queue blocked, as the nursery does.
 *
 * "cancel-sleeping": children that sleep in a cancel-aware wait, each on a worker
 * of its own, or on a thread of the executor of threads ("nursery-thread"); all
 * are woken by the cancel and return -ECANCELED. Beside it what the wake-ups alone
 * cost: as many threads, made before, that are woken, each say so, and go back to
 * sleep ("thread-wake").
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "bench.h"

/* If a join waited for the queue after all: a bad figure is better than a hang. */
#define PLUG_TIMEOUT	(5 * HZ)

/* A queue of one worker and the work item that blocks it. */
struct plug {
	struct workqueue_struct	*wq;
	struct work_struct	work;
	struct completion	blocks, remove;
	int			cpu;
	struct nursery_executor	executor;
	struct nursery		nursery;
	struct hand_scope	scope;
};

static void plug_work(struct work_struct *work)
{
	struct plug *p = container_of(work, struct plug, work);

	complete(&p->blocks);
	wait_for_completion_timeout(&p->remove, PLUG_TIMEOUT);
}

static int plug_prepare(struct bench_run *r, struct workqueue_struct *wq, int cpu)
{
	struct plug *p = wq ? kzalloc(sizeof(*p), GFP_KERNEL) : NULL;

	if (!p) {
		if (wq)
			destroy_workqueue(wq);
		return -ENOMEM;
	}
	p->wq = wq;
	p->cpu = cpu;
	INIT_WORK(&p->work, plug_work);
	nursery_executor_init_wq(&p->executor, wq);
	r->private = p;
	return 0;
}

static int unbound_prepare(struct bench_run *r)
{
	return plug_prepare(r, alloc_ordered_workqueue("bench_plug", 0), WORK_CPU_UNBOUND);
}

static int bound_prepare(struct bench_run *r)
{
	return plug_prepare(r, alloc_workqueue("bench_plug", WQ_PERCPU, 1), 0);
}

static void plug_cleanup(struct bench_run *r)
{
	struct plug *p = r->private;

	destroy_workqueue(p->wq);
	kfree(p);
}

static void plug_insert(struct plug *p)
{
	init_completion(&p->blocks);
	init_completion(&p->remove);
	queue_work_on(p->cpu, p->wq, &p->work);
	wait_for_completion(&p->blocks);
}

/* Whatever was still queued has run when this returns. */
static void plug_remove(struct plug *p)
{
	complete(&p->remove);
	flush_workqueue(p->wq);
}

static int check_none_ran(struct bench_run *r)
{
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		struct bench_task *t = bench_item(r, i);

		if (READ_ONCE(t->runs)) {
			pr_err("nursery_bench: child %u ran, although cancelled\n", i);
			return -EBADMSG;
		}
	}
	return 0;
}

static int queued_setup(struct bench_run *r)
{
	struct ours_item *item = r->items;
	struct plug *p = r->private;
	const struct nursery_params params = { .name = "cancel", .executor = &p->executor };
	unsigned int i;
	int err = 0;

	plug_insert(p);
	nursery_init(&p->nursery, &params);
	for (i = 0; i < r->n && !err; i++) {
		nursery_child_init(&item[i].child, ours_child, NULL);
		err = nursery_spawn(&p->nursery, &item[i].child);
	}
	if (err) {
		nursery_join(&p->nursery);
		plug_remove(p);
	}
	return err;
}

static int queued_run(struct bench_run *r)
{
	struct plug *p = r->private;

	nursery_cancel(&p->nursery, -EINTR);
	return nursery_join(&p->nursery) == -EINTR ? 0 : -EBADMSG;
}

static int queued_check(struct bench_run *r)
{
	bool was_plugged = work_busy(&((struct plug *)r->private)->work);

	plug_remove(r->private);
	if (!was_plugged)
		pr_warn("nursery_bench: join waited for a worker\n");
	return check_none_ran(r);
}

static const struct bench_side queued_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct ours_item),
	.prepare	= unbound_prepare,
	.setup		= queued_setup,
	.run		= queued_run,
	.check		= queued_check,
	.cleanup	= plug_cleanup,
	.once		= true,
};

static int hand_setup(struct bench_run *r)
{
	struct hand_item *item = r->items;
	struct plug *p = r->private;
	unsigned int i;

	plug_insert(p);
	hand_scope_init(&p->scope, p->wq, r->n);
	for (i = 0; i < r->n; i++) {
		item[i].scope = &p->scope;
		INIT_WORK(&item[i].work, hand_child);
		queue_work_on(p->cpu, p->wq, &item[i].work);
	}
	return 0;
}

static int hand_let_run(struct bench_run *r)
{
	struct plug *p = r->private;

	complete(&p->remove);
	wait_for_completion(&p->scope.done);
	return 0;
}

static const struct bench_side hand_bound_queued_side = {
	.impl		= "hand-bound",
	.item_size	= sizeof(struct hand_item),
	.prepare	= bound_prepare,
	.setup		= hand_setup,
	.run		= hand_let_run,
	.cleanup	= plug_cleanup,
	.once		= true,
};

static const struct bench_side hand_unbound_queued_side = {
	.impl		= "hand-unbound",
	.item_size	= sizeof(struct hand_item),
	.prepare	= unbound_prepare,
	.setup		= hand_setup,
	.run		= hand_let_run,
	.cleanup	= plug_cleanup,
	.once		= true,
};

static int hand_cancel_run(struct bench_run *r)
{
	struct hand_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		cancel_work_sync(&item[i].work);
	return 0;
}

static int hand_cancel_check(struct bench_run *r)
{
	plug_remove(r->private);
	return check_none_ran(r);
}

static const struct bench_side hand_cancel_side = {
	.impl		= "hand-cancel",
	.item_size	= sizeof(struct hand_item),
	.prepare	= unbound_prepare,
	.setup		= hand_setup,
	.run		= hand_cancel_run,
	.check		= hand_cancel_check,
	.cleanup	= plug_cleanup,
	.once		= true,
};

static const struct bench_side *const queued_sides[] = {
	&hand_bound_queued_side, &hand_unbound_queued_side, &hand_cancel_side, &queued_side, NULL
};

/* Until @count is @n or has stopped on its way. Then some more, for the last to fall asleep. */
static bool wait_for_count(const atomic_t *count, unsigned int n)
{
	unsigned int before = 0, now;
	int tries = 0;

	for (; tries < 150; tries++) {
		now = atomic_read(count);
		if (now == n)
			break;
		if (now != before)
			tries = 0;
		before = now;
		msleep(20);
	}
	msleep(20);
	now = atomic_read(count);
	if (now != n)
		pr_info("nursery_bench: %u of %u are asleep, no more come\n", now, n);
	return now == n;
}

struct sleepers {
	struct nursery		nursery;
	atomic_t		asleep;
	atomic_t		cancelled;
	struct task_struct	**thread;
	struct hand_scope	scope;
	atomic_t		round;
};

struct sleeping_item {
	struct bench_task	task;
	struct nursery_child	child;
	struct sleepers		*all;
};

static int sleeping_child(struct nursery_child *c)
{
	struct sleeping_item *item = container_of(c, struct sleeping_item, child);
	int err;

	bench_task_do(&item->task);
	atomic_inc(&item->all->asleep);
	err = nursery_sleep(c, 1000 * NSEC_PER_SEC);
	if (err == -ECANCELED)
		atomic_inc(&item->all->cancelled);
	return err;
}

static int sleepers_prepare(struct bench_run *r)
{
	struct sleepers *all = kzalloc(sizeof(*all), GFP_KERNEL);

	r->private = all;
	return all ? 0 : -ENOMEM;
}

static void sleepers_cleanup(struct bench_run *r)
{
	kfree(r->private);
}

static int sleeping_setup_on(struct bench_run *r, const struct nursery_executor *executor)
{
	const struct nursery_params params = { .name = "sleepers", .executor = executor };
	struct sleeping_item *item = r->items;
	struct sleepers *all = r->private;
	unsigned int i;
	int err = 0;

	atomic_set(&all->asleep, 0);
	atomic_set(&all->cancelled, 0);
	nursery_init(&all->nursery, &params);
	for (i = 0; i < r->n && !err; i++) {
		item[i].all = all;
		nursery_child_init(&item[i].child, sleeping_child, NULL);
		err = nursery_spawn(&all->nursery, &item[i].child);
	}
	/* The executor may not run that many at once. */
	if (!err && !wait_for_count(&all->asleep, r->n))
		err = -EOPNOTSUPP;
	if (err) {
		nursery_cancel(&all->nursery, 0);
		nursery_join(&all->nursery);
	}
	return err;
}

static int sleeping_setup(struct bench_run *r)
{
	return sleeping_setup_on(r, NULL);
}

static int sleeping_setup_threads(struct bench_run *r)
{
	return sleeping_setup_on(r, nursery_executor_thread);
}

static int sleeping_run(struct bench_run *r)
{
	struct sleepers *all = r->private;

	nursery_cancel(&all->nursery, -EINTR);
	return nursery_join(&all->nursery) == -EINTR ? 0 : -EBADMSG;
}

static int sleeping_check(struct bench_run *r)
{
	struct sleepers *all = r->private;

	return atomic_read(&all->cancelled) == r->n ? 0 : -EBADMSG;
}

static const struct bench_side sleeping_side = {
	.impl		= "nursery",
	.item_size	= sizeof(struct sleeping_item),
	.prepare	= sleepers_prepare,
	.setup		= sleeping_setup,
	.run		= sleeping_run,
	.check		= sleeping_check,
	.cleanup	= sleepers_cleanup,
	.once		= true,
};

static const struct bench_side sleeping_threads_side = {
	.impl		= "nursery-thread",
	.item_size	= sizeof(struct sleeping_item),
	.prepare	= sleepers_prepare,
	.setup		= sleeping_setup_threads,
	.run		= sleeping_run,
	.check		= sleeping_check,
	.cleanup	= sleepers_cleanup,
	.once		= true,
};

struct thread_item {
	struct bench_task	task;
	struct task_struct	*thread;
	struct sleepers		*all;
	int			seen;		/* the last round that it woke for */
};

/* Sleeps until the round has changed or it is to stop. */
static int bare_thread(void *data)
{
	struct thread_item *item = data;
	struct sleepers *all = item->all;

	for (;;) {
		atomic_inc(&all->asleep);
		for (;;) {
			set_current_state(TASK_IDLE);
			if (kthread_should_stop() || atomic_read(&all->round) != item->seen)
				break;
			schedule();
		}
		__set_current_state(TASK_RUNNING);
		if (kthread_should_stop())
			return 0;
		item->seen = atomic_read(&all->round);
		bench_task_do(&item->task);
		atomic_dec(&all->asleep);
		hand_child_done(&all->scope);
	}
}

static void threads_cleanup(struct bench_run *r)
{
	struct thread_item *item = r->items;
	unsigned int i;

	for (i = 0; i < r->n && item[i].thread; i++)
		kthread_stop(item[i].thread);
	sleepers_cleanup(r);
}

static int threads_prepare(struct bench_run *r)
{
	struct thread_item *item = r->items;
	int err = sleepers_prepare(r);
	unsigned int i;

	for (i = 0; i < r->n && !err; i++) {
		struct task_struct *thread;

		item[i].all = r->private;
		thread = kthread_run(bare_thread, &item[i], "bench/%u", i);
		if (IS_ERR(thread))
			err = PTR_ERR(thread);
		else
			item[i].thread = thread;
	}
	if (err && r->private)
		threads_cleanup(r);
	return err;
}

static int threads_setup(struct bench_run *r)
{
	struct sleepers *all = r->private;

	hand_scope_init(&all->scope, NULL, r->n);
	return wait_for_count(&all->asleep, r->n) ? 0 : -EBADMSG;
}

static int threads_run(struct bench_run *r)
{
	struct thread_item *item = r->items;
	struct sleepers *all = r->private;
	unsigned int i;

	atomic_inc(&all->round);
	for (i = 0; i < r->n; i++)
		wake_up_process(item[i].thread);
	wait_for_completion(&all->scope.done);
	return 0;
}

static const struct bench_side threads_side = {
	.impl		= "thread-wake",
	.item_size	= sizeof(struct thread_item),
	.prepare	= threads_prepare,
	.setup		= threads_setup,
	.run		= threads_run,
	.cleanup	= threads_cleanup,
	.once		= true,
};

static const struct bench_side *const sleeping_sides[] = {
	&threads_side, &sleeping_side, &sleeping_threads_side, NULL
};

static int cancel_run(void)
{
	static const unsigned int queued[] = { 1000, 10000 };
	static const unsigned int sleeping[] = { 64, 400, 1000 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(queued) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "cancel-queued", .n = queued[i], .sides = queued_sides,
		});
	for (i = 0; i < ARRAY_SIZE(sleeping) && !err; i++)
		err = bench_measure(&(struct bench_case) {
			.workload = "cancel-sleeping", .n = sleeping[i], .sides = sleeping_sides,
		});
	return err;
}

const struct bench_workload bench_cancel = { .name = "cancel", .run = cancel_run };
