// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that are always busy. For each of several executors a thread opens a
 * nursery, spawns children that return at once, compute, sleep, block or open
 * nurseries of their own, cancels every fourth nursery, joins, and compares what
 * became of the children with what it spawned; over and over until the module is
 * unloaded. Meanwhile CPUs may come and go, and the system may freeze.
 *
 * Reading the parameter "report" gives a line for each executor:
 *
 *	NAME ROUNDS ERRORS GAP
 *
 * GAP is the longest time between the starts of two children, in ms, since
 * something was written to the parameter. The first errors are in the log.
 */
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "../../../kmod/compat.h"

#define NR_ITEMS	20
#define NR_NESTED	4
#define PINNED_CPU	1

enum kind { QUICK, COMPUTE, SLEEP, BLOCK, NESTED, NR_KINDS };

struct item {
	struct nursery_child	child;
	struct driver		*driver;
	enum kind		kind;
	bool			block;		/* until cancelled */
	atomic_t		runs;
	atomic_t		dones;
};

struct driver {
	const char		*name;
	const struct nursery_executor *const *builtin;
	unsigned int		wq_flags;	/* else: of a queue of its own */
	int			max_active;
	bool			pinned;		/* spawns on PINNED_CPU while that is there */
	bool			only_there;	/* the joiner never helps */

	struct workqueue_struct	*wq;
	struct nursery_executor	own;
	struct task_struct	*thread;
	struct item		items[NR_ITEMS];

	unsigned int		rounds;		/* of the thread; others look */
	unsigned int		errors;

	spinlock_t		lock;		/* the two below */
	ktime_t			last_start;
	ktime_t			gap;
};

static struct driver drivers[] = {
	{ .name = "unbound", .builtin = &nursery_executor_unbound },
	{ .name = "percpu", .builtin = &nursery_executor_percpu, .pinned = true },
	{ .name = "highpri", .builtin = &nursery_executor_highpri, .pinned = true },
	{ .name = "thread", .builtin = &nursery_executor_thread },
	{ .name = "pinned", .wq_flags = WQ_PERCPU, .pinned = true },
	{ .name = "single", .wq_flags = WQ_PERCPU, .max_active = 1, .pinned = true },
	{ .name = "freezable", .wq_flags = WQ_UNBOUND | WQ_FREEZABLE, .only_there = true },
};

static void note_start(struct driver *d)
{
	ktime_t now = ktime_get();

	spin_lock(&d->lock);
	d->gap = max(d->gap, ktime_sub(now, d->last_start));
	d->last_start = max(d->last_start, now);
	spin_unlock(&d->lock);
}

static int run_quick(struct nursery_child *c)
{
	return 0;
}

static int run_nested(struct nursery_child *c, const struct nursery_executor *e)
{
	struct nursery_child child[NR_NESTED];
	int i, err;

	scoped_nursery(n, .name = "busy nested", .parent = c, .executor = e, .result = &err) {
		for (i = 0; i < NR_NESTED; i++) {
			nursery_child_init(&child[i], run_quick, NULL);
			if (nursery_spawn(n, &child[i]))
				break;
		}
	}
	return err;
}

static const struct nursery_executor *executor_of(const struct driver *d)
{
	return d->builtin ? *d->builtin : &d->own;
}

static int run_item(struct nursery_child *c)
{
	struct item *item = container_of(c, struct item, child);
	int i;

	note_start(item->driver);
	atomic_inc(&item->runs);
	switch (item->kind) {
	case COMPUTE:
		for (i = 0; i < 40; i++) {
			udelay(5);
			cond_resched();
		}
		return 0;
	case SLEEP:
		return nursery_sleep(c, NSEC_PER_MSEC);
	case BLOCK:
		return nursery_sleep(c, item->block ? KTIME_MAX : 2 * NSEC_PER_MSEC);
	case NESTED:
		return run_nested(c, executor_of(item->driver));
	default:
		return 0;
	}
}

static void item_done(struct nursery_child *c)
{
	atomic_inc(&container_of(c, struct item, child)->dones);
}

static void complain(struct driver *d, const char *what, int value)
{
	if (!d->errors)
		pr_err("nursery_busy: %s: round %u: %s: %d\n", d->name, d->rounds, what, value);
	WRITE_ONCE(d->errors, d->errors + 1);
}

/* Every child ended once, and none ran twice; without a cancel all have run. */
static void check(struct driver *d, const struct item *item, bool cancelled)
{
	int runs = atomic_read(&item->runs), dones = atomic_read(&item->dones);

	if (dones != 1)
		complain(d, "a child did not end once", dones);
	if (runs > 1 || (!runs && !cancelled))
		complain(d, "a child did not run once", runs);
}

static void one_round(struct driver *d)
{
	bool cancel = d->rounds % 4 == 3;
	int err = 0, i;

	scoped_nursery(n, .name = d->name, .executor = executor_of(d), .result = &err,
		       .flags = d->only_there || d->rounds % 2 ? NURSERY_NO_HELP : 0) {
		for (i = 0; i < NR_ITEMS; i++) {
			struct item *item = &d->items[i];

			*item = (struct item){
				.driver = d, .kind = i % NR_KINDS, .block = cancel,
			};
			nursery_child_init(&item->child, run_item, item_done);
			err = nursery_spawn(n, &item->child);
			if (err)
				complain(d, "a spawn was refused", err);
		}
		if (cancel)
			nursery_cancel(n, -EINTR);
	}
	if (err != (cancel ? -EINTR : 0))
		complain(d, "the join returned", err);
	for (i = 0; i < NR_ITEMS; i++)
		check(d, &d->items[i], cancel);
	WRITE_ONCE(d->rounds, d->rounds + 1);
}

static int driver_thread(void *data)
{
	struct driver *d = data;

	while (!kthread_should_stop()) {
		/* Its work goes to the queue of this CPU. Offline: anywhere, till it is back. */
		if (d->pinned && cpu_online(PINNED_CPU))
			set_cpus_allowed_ptr(current, cpumask_of(PINNED_CPU));
		one_round(d);
		usleep_range(10000, 20000);
	}
	return 0;
}

static int get_report(char *buffer, const struct kernel_param *param)
{
	int len = 0, i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		struct driver *d = &drivers[i];
		ktime_t gap;

		spin_lock(&d->lock);
		gap = d->gap;
		spin_unlock(&d->lock);
		len += scnprintf(buffer + len, PAGE_SIZE - len, "%s %u %u %lld\n", d->name,
				 READ_ONCE(d->rounds), READ_ONCE(d->errors), ktime_to_ms(gap));
	}
	return len;
}

static int set_report(const char *value, const struct kernel_param *param)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		spin_lock(&drivers[i].lock);
		drivers[i].gap = 0;
		spin_unlock(&drivers[i].lock);
	}
	return 0;
}

static const struct kernel_param_ops report_ops = { .get = get_report, .set = set_report };
module_param_cb(report, &report_ops, NULL, 0600);
MODULE_PARM_DESC(report, "for each executor: name, rounds, errors, longest gap in ms");

static void stop_driver(struct driver *d)
{
	if (d->thread)
		kthread_stop(d->thread);
	if (d->wq)
		destroy_workqueue(d->wq);
}

static int start_driver(struct driver *d)
{
	struct task_struct *thread;

	if (!d->builtin) {
		d->wq = alloc_workqueue("busy_%s", d->wq_flags, d->max_active, d->name);
		if (!d->wq)
			return -ENOMEM;
		nursery_executor_init_wq(&d->own, d->wq);
	}
	d->last_start = ktime_get();
	thread = kthread_run(driver_thread, d, "busy_%s", d->name);
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	d->thread = thread;
	return 0;
}

static void busy_stop(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		stop_driver(&drivers[i]);
}

static int __init busy_start(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		spin_lock_init(&drivers[i].lock);
	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		err = start_driver(&drivers[i]);
		if (err) {
			busy_stop();
			return err;
		}
	}
	return 0;
}

module_init(busy_start);
module_exit(busy_stop);
MODULE_DESCRIPTION("Test: nurseries on several executors, busy all the time");
MODULE_LICENSE("GPL");
