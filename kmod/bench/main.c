// SPDX-License-Identifier: GPL-2.0-only
/*
 * A benchmark: nurseries beside what else a kernel has for the same purpose.
 *
 * In debugfs, in nursery_bench/: "workloads" lists the names; writing one of them
 * to "run" measures it, and the write fails if a contender did or if a count was
 * wrong; "results" has what the last run measured, a line for each workload,
 * number of children and contender. tools/bench/bench runs all and compares.
 *
 * How it is measured is in measure.c; each contender and each workload has its
 * file, see the Makefile.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/stringify.h>
#include <linux/uaccess.h>

#include "bench.h"

static const struct bench_workload *const workloads[] = {
	&bench_memory, &bench_empty, &bench_compute, &bench_sleep, &bench_thread,
	&bench_many, &bench_chain, &bench_external, &bench_hardirq, &bench_cancel, &bench_tree,
	&bench_parked,
};

static DEFINE_MUTEX(lock);	/* the results, and one run at a time */
static struct dentry *dir;

static int workloads_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(workloads); i++)
		seq_printf(m, "%s\n", workloads[i]->name);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(workloads);

static int results_show(struct seq_file *m, void *unused)
{
	mutex_lock(&lock);
	bench_results_show(m);
	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(results);

static int run_workload(const struct bench_workload *w)
{
	int err;

	if (mutex_lock_killable(&lock))
		return -EINTR;
	bench_results_clear();
	err = w->run();
	if (err)
		bench_results_clear();
	mutex_unlock(&lock);
	return err;
}

static ssize_t run_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	char name[32] = "";
	unsigned int i;
	int err;

	if (size >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buf, size))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(workloads); i++) {
		if (!sysfs_streq(name, workloads[i]->name))
			continue;
		err = run_workload(workloads[i]);
		return err ?: size;
	}
	return -EINVAL;
}

static const struct file_operations run_fops = {
	.owner	= THIS_MODULE,
	.write	= run_write,
};

static int __init bench_start(void)
{
	int err = peer_wq_start();

	if (err)
		return err;
	bench_calibrate();
	dir = debugfs_create_dir("nursery_bench", NULL);
	debugfs_create_file("workloads", 0444, dir, NULL, &workloads_fops);
	debugfs_create_file("results", 0444, dir, NULL, &results_fops);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	return 0;
}

static void __exit bench_stop(void)
{
	debugfs_remove(dir);
	bench_results_clear();
	peer_wq_stop();
}

module_init(bench_start);
module_exit(bench_stop);
/* Of this module, and so of nursery.ko. */
MODULE_INFO(compiler, __stringify(__GNUC__) "." __stringify(__GNUC_MINOR__) "."
		      __stringify(__GNUC_PATCHLEVEL__));
MODULE_DESCRIPTION("Benchmark of nurseries");
MODULE_LICENSE("GPL");
