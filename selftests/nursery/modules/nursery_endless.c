// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that has no end of children: each spawns the next. Whoever runs them does
 * so for seconds, and has to let others run on its CPU meanwhile, also in kernels that
 * do not preempt it.
 *
 * Writing to the parameter run does it, and "turns" is then how often another task of
 * that CPU, which sleeps for 20 ms each time, has run meanwhile. Who runs the children:
 *
 *	joiner		in nursery_join(), as the workqueue is busy with something else
 *	threads		an executor of threads
 *	executor	one of the driver's own, which cannot be had back what it is about
 *			to start, and before that sleeps; the joiner wants to help
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#define NR_CHILDREN	64
#define LATE		10	/* of the driver's own executor */

static struct nursery nursery;
static struct nursery_child children[NR_CHILDREN];
static unsigned long end;

static unsigned int seconds = 3;
module_param(seconds, uint, 0600);
MODULE_PARM_DESC(seconds, "how long (default 3)");

static unsigned int turns;
module_param(turns, uint, 0400);
MODULE_PARM_DESC(turns, "how often another task has run");

static int run_next(struct nursery_child *c)
{
	struct nursery_child *next = &children[(c - children + 1) % NR_CHILDREN];
	int err;

	if (time_after(jiffies, READ_ONCE(end)))
		return 0;
	/* Who ran it the last time may not be through with it. */
	do {
		err = nursery_spawn(&nursery, next);
	} while (err == -EBUSY);
	return err;
}

static int watch(void *data)
{
	while (!kthread_should_stop()) {
		msleep(20);
		if (time_before(jiffies, READ_ONCE(end)))
			turns++;
	}
	return 0;
}

/* In the task that opens the nursery. */
static int run_all(const struct nursery_executor *e, unsigned int flags)
{
	const struct nursery_params params = { .name = "endless", .executor = e, .flags = flags };
	int i, err;

	for (i = 0; i < NR_CHILDREN; i++)
		nursery_child_init(&children[i], run_next, NULL);
	WRITE_ONCE(end, jiffies + seconds * HZ);
	nursery_init(&nursery, &params);
	err = nursery_spawn(&nursery, &children[0]);
	return nursery_join(&nursery) ?: err;
}

static struct task_struct *start_task(int (*fn)(void *data), const void *data)
{
	struct task_struct *task = kthread_create(fn, (void *)data, "endless");

	if (IS_ERR(task))
		return task;
	kthread_bind(task, cpumask_last(cpu_online_mask));
	wake_up_process(task);
	return task;
}

static int join_in_thread(void *data)
{
	int err = run_all(data, 0);

	/* To be there for kthread_stop(). */
	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return err;
}

/* The join is in a thread of that CPU. */
static int run_beside(const struct nursery_executor *e)
{
	struct task_struct *task = start_task(join_in_thread, e);

	if (IS_ERR(task))
		return PTR_ERR(task);
	msleep(seconds * MSEC_PER_SEC);
	return kthread_stop(task);
}

struct plug {
	struct work_struct work;
	struct completion removed;
};

static void plug_run(struct work_struct *work)
{
	wait_for_completion(&container_of(work, struct plug, work)->removed);
}

static int run_in_joiner(void)
{
	struct workqueue_struct *wq = alloc_ordered_workqueue("endless", 0);
	struct nursery_executor e;
	struct plug plug;
	int err;

	if (!wq)
		return -ENOMEM;
	INIT_WORK_ONSTACK(&plug.work, plug_run);
	init_completion(&plug.removed);
	queue_work(wq, &plug.work);
	nursery_executor_init_wq(&e, wq);
	err = run_beside(&e);
	complete(&plug.removed);
	destroy_workqueue(wq);
	destroy_work_on_stack(&plug.work);
	return err;
}

static int run_in_threads(void)
{
	const struct nursery_thread_attrs attrs = {
		.cpus = cpumask_of(cpumask_last(cpu_online_mask)), .node = NUMA_NO_NODE,
	};
	const struct nursery_executor *e = nursery_executor_create_threads("endless", &attrs);
	int err;

	if (IS_ERR(e))
		return PTR_ERR(e);
	err = run_all(e, NURSERY_NO_HELP);
	nursery_executor_destroy_threads(e);
	return err;
}

/* There is one child at a time. */
static struct nursery_runner *submitted;

static void submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	smp_store_release(&submitted, r);	/* pairs with the xchg() */
}

static bool retract(const struct nursery_executor *e, struct nursery_runner *r)
{
	return false;
}

static const struct nursery_executor_ops own_ops = {
	.name = "endless", .submit = submit, .retract = retract,
};

static int run_submitted(void *data)
{
	struct nursery_runner *r;

	while (!kthread_should_stop()) {
		msleep(LATE);
		r = xchg(&submitted, NULL);
		if (r)
			nursery_runner_run(r);
	}
	return 0;
}

static int run_in_own_executor(void)
{
	const struct nursery_executor e = { .ops = &own_ops };
	struct task_struct *task = start_task(run_submitted, NULL);
	int err;

	if (IS_ERR(task))
		return PTR_ERR(task);
	err = run_beside(&e);
	kthread_stop(task);
	return err;
}

static int set_run(const char *how, const struct kernel_param *param)
{
	struct task_struct *watcher = start_task(watch, NULL);
	int err = -EINVAL;

	if (IS_ERR(watcher))
		return PTR_ERR(watcher);
	turns = 0;
	if (sysfs_streq(how, "joiner"))
		err = run_in_joiner();
	else if (sysfs_streq(how, "threads"))
		err = run_in_threads();
	else if (sysfs_streq(how, "executor"))
		err = run_in_own_executor();
	kthread_stop(watcher);
	return err;
}

static const struct kernel_param_ops run_ops = { .set = set_run };
module_param_cb(run, &run_ops, NULL, 0200);
MODULE_PARM_DESC(run, "joiner, threads or executor: have it run children without end");

static int __init endless_start(void)
{
	return 0;
}

static void __exit endless_stop(void)
{
}

module_init(endless_start);
module_exit(endless_stop);
MODULE_DESCRIPTION("Test: children without end");
MODULE_LICENSE("GPL");
