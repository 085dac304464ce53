// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stress test of nurseries: random trees of scopes, cancelled at random, on
 * random executors, from process context, soft and hard interrupts; see stress.h.
 * What the invariants I1 to I8 promise is checked all the time; the first
 * violation is told in one line, and ends the run.
 *
 * Writing anything to nursery_stress/run in debugfs starts a run of "seconds"
 * seconds and returns when it is over: -EBADE if there was a violation, -EINTR if
 * the writer is to die, -ENOMEM. How it goes is in the kernel's log; its last line
 * has what was done.
 *
 * Decisions follow from "seed", the number of the thread and that of the step, so
 * the same run makes the same trees; but not at the same time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "stress.h"

#define MAX_THREADS	64
#define PROGRESS	(5 * HZ)	/* a line of it */
#define STUCK		(60 * HZ)	/* the longest that a step may take */

static unsigned int seconds = 10;
module_param(seconds, uint, 0644);
MODULE_PARM_DESC(seconds, "how long a run takes (default 10)");

u64 stress_seed = 1;
module_param_named(seed, stress_seed, ullong, 0644);
MODULE_PARM_DESC(seed, "what all decisions follow from (default 1)");

static unsigned int threads = 4;
module_param(threads, uint, 0644);
MODULE_PARM_DESC(threads, "how many make trees at the same time (default 4)");

atomic_long_t stress_counts[NR_COUNTS];

static DEFINE_MUTEX(lock);	/* one run at a time */
static struct dentry *dir;
static bool stopping;
static bool no_memory;

/* Context: Any. */
void stress_stop(void)
{
	WRITE_ONCE(stopping, true);
}

/* There is none, so what would be a test is not one. */
void stress_no_memory(void)
{
	WRITE_ONCE(no_memory, true);
	stress_stop();
}

void stress_count_context(void)
{
	stress_count(in_hardirq() ? COUNT_HARDIRQ :
		     in_serving_softirq() ? COUNT_SOFTIRQ : COUNT_PROCESS);
}

static long count(enum stress_count what)
{
	return atomic_long_read(&stress_counts[what]);
}

static int make_trees(void *data)
{
	struct stress_thread *thread = data;
	struct stress_random r;

	while (!READ_ONCE(stopping)) {
		r = stress_random_start(stress_seed, thread->id, thread->step);
		stress_open(thread, NULL, NULL, &r);
		WRITE_ONCE(thread->step, thread->step + 1);
		cond_resched();
	}
	stress_free_kept(thread);
	WRITE_ONCE(thread->idle, true);
	/* The task is to be there for kthread_stop(). */
	set_current_state(TASK_IDLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_IDLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int start_threads(struct stress_thread *thread)
{
	unsigned int i;

	for (i = 0; i < threads; i++) {
		thread[i].id = i;
		spin_lock_init(&thread[i].lock);
		thread[i].task = kthread_run(make_trees, &thread[i], "nursery_stress/%u", i);
		if (IS_ERR(thread[i].task)) {
			int err = PTR_ERR(thread[i].task);

			thread[i].task = NULL;
			return err;
		}
	}
	return 0;
}

static u64 steps(const struct stress_thread *thread)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < threads; i++)
		sum += READ_ONCE(thread[i].step);
	return sum;
}

static void tell_progress(const struct stress_thread *thread, unsigned long start)
{
	pr_info("%3lu s: %llu trees, %ld nurseries, %ld children, %ld cancels\n",
		(jiffies - start) / HZ, steps(thread), count(COUNT_NURSERIES),
		count(COUNT_CHILDREN), count(COUNT_CANCELS) + count(COUNT_CHILD_CANCELS));
}

static void tell_counts(const struct stress_thread *thread)
{
	char executors[160];
	unsigned int i;
	int length = 0;

	executors[0] = '\0';
	for (i = 0; i < stress_nr_executors; i++)
		length += scnprintf(executors + length, sizeof(executors) - length, " %s %ld",
				    stress_executors[i].name, count(COUNT_EXECUTOR + i));
	pr_info("seed %llu: %llu trees; nurseries %ld (on stack %ld); children %ld (external %ld, ran %ld, skipped %ld, failed %ld, refused %ld, joined alone %ld); cancels %ld (of children %ld, time-outs %ld, functions just beginning %ld); shields %ld (put off %ld); actions %ld; delayed %ld, parked %ld, unparked %ld, services %ld, started %ld, collected %ld, joined by nobody %ld; calls from process %ld, softirq %ld, hard interrupt %ld; executors:%s\n",
		stress_seed, steps(thread), count(COUNT_NURSERIES),
		count(COUNT_NURSERIES_ON_STACK), count(COUNT_CHILDREN), count(COUNT_EXTERNAL),
		count(COUNT_RAN), count(COUNT_SKIPPED), count(COUNT_FAILED), count(COUNT_REFUSED),
		count(COUNT_CHILD_JOINS), count(COUNT_CANCELS) + count(COUNT_CHILD_CANCELS),
		count(COUNT_CHILD_CANCELS), count(COUNT_TIMEOUTS), count(COUNT_LATE),
		count(COUNT_SHIELDS), count(COUNT_PUT_OFF), count(COUNT_DEFERRED),
		count(COUNT_DELAYED), count(COUNT_PARKS), count(COUNT_UNPARKS),
		count(COUNT_SERVICES), count(COUNT_STARTS), count(COUNT_COLLECTED),
		count(COUNT_ASYNC),
		count(COUNT_PROCESS), count(COUNT_SOFTIRQ), count(COUNT_HARDIRQ), executors);
}

/* A thread that is always at the same step is a join that does not end. */
static bool is_stuck(struct stress_thread *thread)
{
	unsigned int i;

	for (i = 0; i < threads; i++) {
		u64 step = READ_ONCE(thread[i].step);

		if (step != thread[i].seen_step) {
			thread[i].seen_step = step;
			thread[i].seen = jiffies;
		} else if (time_after(jiffies, thread[i].seen + STUCK)) {
			stress_violation(&thread[i], "I5", "a tree does not end");
			return true;
		}
	}
	return false;
}

static bool all_idle(const struct stress_thread *thread)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (!READ_ONCE(thread[i].idle))
			return false;
	return true;
}

/* Return: 0; -EINTR; -ETIMEDOUT, if a thread will never end. */
static int watch(struct stress_thread *thread)
{
	unsigned long start = jiffies, end = start + seconds * HZ, told = start;
	unsigned int i;
	int err = 0;

	for (i = 0; i < threads; i++)
		thread[i].seen = start;
	while (!all_idle(thread)) {
		schedule_timeout_idle(HZ / 10);
		if (is_stuck(thread))
			return -ETIMEDOUT;
		if (fatal_signal_pending(current))
			err = -EINTR;
		if (err || time_after(jiffies, end))
			stress_stop();
		if (time_after(jiffies, told + PROGRESS)) {
			tell_progress(thread, start);
			told = jiffies;
		}
	}
	return err;
}

static int run(void)
{
	struct stress_thread *thread = kcalloc(threads, sizeof(*thread), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!thread)
		return -ENOMEM;
	stopping = false;
	no_memory = false;
	stress_violations_clear();
	for (i = 0; i < NR_COUNTS; i++)
		atomic_long_set(&stress_counts[i], 0);
	err = stress_executors_start();
	if (err)
		goto out;
	err = start_threads(thread);
	if (err)
		stress_stop();
	else
		err = watch(thread);
	if (err == -ETIMEDOUT) {
		/* They run in this module, on these queues and this memory, for good. */
		__module_get(THIS_MODULE);
		return -EBADE;
	}
	for (i = 0; i < threads && thread[i].task; i++)
		kthread_stop(thread[i].task);
	stress_executors_stop();
	stress_free_sync();
	tell_counts(thread);
	if (stress_violated())
		err = -EBADE;
	else if (!err && READ_ONCE(no_memory))
		err = -ENOMEM;
out:
	kfree(thread);
	return err;
}

static ssize_t run_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	int err;

	if (!threads || threads > MAX_THREADS)
		return -EINVAL;
	if (mutex_lock_killable(&lock))
		return -EINTR;
	err = run();
	mutex_unlock(&lock);
	return err ?: size;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.write	= run_write,
};

static int __init stress_start(void)
{
	dir = debugfs_create_dir("nursery_stress", NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	return 0;
}

static void __exit stress_exit(void)
{
	debugfs_remove(dir);
}

module_init(stress_start);
module_exit(stress_exit);
MODULE_DESCRIPTION("Stress test of nurseries");
MODULE_LICENSE("GPL");
