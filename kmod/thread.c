// SPDX-License-Identifier: GPL-2.0-only
/*
 * The executor of threads: for children that block for long, or need a thread of
 * their own.
 *
 * A pool of kthreads that serve a queue as work items do. Who asks for one wakes
 * an idle thread; if there is none, the keeper, a work item, makes one. A thread that
 * finds nothing to do is idle. The keeper comes by from time to time and stops those
 * that were idle all that time. It alone makes and stops threads, so kthread_stop()
 * finds every thread where it was left.
 *
 * One of these pools belongs to the module. It is also where the executors on
 * workqueues get more workers from when theirs are all in use, and where joiners
 * without stack leave their nurseries: nobody waits for a thread that others
 * occupy. What that takes is memory for stacks; while there is none the keeper tries
 * again and again.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <uapi/linux/sched/types.h>

#include "internal.h"

#define IDLE_TIME	(5 * HZ)
#define RETRY_TIME	(HZ / 100 + 1)

struct threads {
	struct nursery_executor		executor;
	struct nursery_thread_attrs	attrs;
	cpumask_var_t			cpus;		/* attrs.cpus */
	char				name[TASK_COMM_LEN];

	raw_spinlock_t			lock;		/* all below; inside all others */
	struct list_head		idle;		/* struct thread; last idle first */
	struct list_head		lent;		/* struct nursery_queue, by lent */
	struct list_head		stand_ins;	/* struct nursery_stand_in */
	bool				asked;		/* our own queue is to be served */
	unsigned int			wanted;		/* threads to make */
	unsigned int			nr;
	struct delayed_work		keeper;
};

struct thread {
	struct list_head		node;		/* threads->idle, or empty: woken */
	struct threads			*threads;
	struct task_struct		*task;
	unsigned long			idle_since;	/* jiffies */
};

static DEFINE_PER_CPU(struct nursery_lane, lanes);
static struct threads builtin = { .attrs = { .node = NUMA_NO_NODE } };
/* Not nursery_executor_unbound's: making threads must not wait for children. */
static struct workqueue_struct *keepers;

static struct threads *to_threads(struct nursery_executor *e)
{
	return container_of(e, struct threads, executor);
}

/* See to it that a thread looks for something to do. Context: threads->lock held. */
static void summon(struct threads *t)
{
	struct thread *thread = list_first_entry_or_null(&t->idle, struct thread, node);

	if (thread) {
		list_del_init(&thread->node);
		wake_up_process(thread->task);
		return;
	}
	WRITE_ONCE(t->wanted, t->wanted + 1);
	mod_delayed_work(keepers, &t->keeper, 0);
}

/* nursery_queue.ask. Context: Any. */
static void ask_threads(struct nursery_executor *e, bool elsewhere)
{
	struct threads *t = to_threads(e);
	unsigned long flags;

	if (elsewhere)
		return;
	raw_spin_lock_irqsave(&t->lock, flags);
	t->asked = true;
	summon(t);
	raw_spin_unlock_irqrestore(&t->lock, flags);
}

/* Serve the queue of an executor of the module once. Context: Any. */
void nursery_threads_lend(struct nursery_executor *e)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&builtin.lock, flags);
	if (list_empty(&e->queue.lent))
		list_add_tail(&e->queue.lent, &builtin.lent);
	summon(&builtin);
	raw_spin_unlock_irqrestore(&builtin.lock, flags);
}

/*
 * Have a thread do what the caller has no stack for. What is asked for is counted in
 * the nursery's state, once, and the thread takes over the count.
 *
 * Context: Any.
 */
void nursery_stand_in(struct nursery_stand_in *s)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&builtin.lock, flags);
	list_add_tail(&s->node, &builtin.stand_ins);
	summon(&builtin);
	raw_spin_unlock_irqrestore(&builtin.lock, flags);
}

/* Return: whether it was in time; then the count is the caller's again. */
bool nursery_stand_in_withdraw(struct nursery_stand_in *s)
{
	unsigned long flags;
	bool withdrawn;

	raw_spin_lock_irqsave(&builtin.lock, flags);
	withdrawn = !list_empty(&s->node);
	list_del_init(&s->node);
	raw_spin_unlock_irqrestore(&builtin.lock, flags);
	return withdrawn;
}

/* Do what a joiner has asked for, as one of its nursery's workers. */
static void stand_in(struct nursery *n, struct nursery_child *c)
{
	struct nursery_worker w;

	nursery_take_name(n->name);
	nursery_worker_init(&w, n->executor);
	raw_spin_lock_irq(&n->lock);
	nursery_worker_add(n, &w);
	raw_spin_unlock_irq(&n->lock);
	/* We count ourselves; the joiner has done so before, if there is no child. */
	if (c)
		nursery_worker_give(&w, c);
	else
		nursery_uncount(n, 1);
	if (c || nursery_worker_take(n, &w)) {
		do {
			nursery_worker_run(n, &w);
			nursery_worker_over(n, &w);
			cond_resched();
		} while (!c && nursery_worker_take(n, &w));
	}
	nursery_offer_rest(n);
	nursery_worker_leave(n, &w);
}

/* What a thread is to do next: one of these, or nothing, and it is idle. */
struct errand {
	struct nursery_executor	*executor;	/* serve its queue */
	struct nursery		*nursery;	/* stand in for its joiner */
	struct nursery_child	*child;
};

static bool next_errand(struct threads *t, struct thread *self, struct errand *errand)
{
	struct nursery_stand_in *s;
	struct nursery_queue *q;
	bool some = true;

	*errand = (struct errand) { };
	raw_spin_lock_irq(&t->lock);
	s = list_first_entry_or_null(&t->stand_ins, struct nursery_stand_in, node);
	q = list_first_entry_or_null(&t->lent, struct nursery_queue, lent);
	if (s) {
		list_del_init(&s->node);
		errand->nursery = s->nursery;
		errand->child = s->child;
	} else if (q) {
		list_del_init(&q->lent);
		errand->executor = container_of(q, struct nursery_executor, queue);
	} else if (t->asked) {
		t->asked = false;
		errand->executor = &t->executor;
	} else {
		self->idle_since = jiffies;
		list_add(&self->node, &t->idle);
		some = false;
		/* There is nothing to do for those that have not been made yet, either. */
		WRITE_ONCE(t->wanted, 0);
	}
	raw_spin_unlock_irq(&t->lock);
	return some;
}

/* A new thread does so itself: until it runs, the kernel may still set its CPUs. */
static void set_attrs(const struct threads *t)
{
	const struct nursery_thread_attrs *a = &t->attrs;
	struct sched_attr attr = {
		.size		= sizeof(attr),
		.sched_policy	= a->policy,
		.sched_priority	= a->priority,
		.sched_nice	= a->nice,
	};

	if (a->policy || a->nice)
		WARN_ON_ONCE(sched_setattr_nocheck(current, &attr));
	/* Of the CPUs that are asked for, some may be gone: then any will do. */
	if (a->cpus)
		set_cpus_allowed_ptr(current, t->cpus);
}

static int thread_fn(void *data)
{
	struct thread *self = data;
	struct threads *t = self->threads;
	struct nursery_server server = { .named = true };
	struct errand errand;

	set_attrs(t);
	for (;;) {
		/* There may be no end of errands. */
		cond_resched();
		if (next_errand(t, self, &errand)) {
			if (errand.nursery) {
				stand_in(errand.nursery, errand.child);
				continue;
			}
			server.executor = (unsigned long)errand.executor;
			nursery_queue_serve(&server);
			continue;
		}
		nursery_take_name(t->name);
		for (;;) {
			/* Idle: no load, and not for the hung-task detector to count. */
			set_current_state(TASK_IDLE);
			if (kthread_should_stop()) {
				__set_current_state(TASK_RUNNING);
				return 0;
			}
			/* Who summons us takes us out first, then wakes us. */
			if (list_empty(&self->node))
				break;
			schedule();
		}
		__set_current_state(TASK_RUNNING);
	}
}

static int make_thread(struct threads *t)
{
	struct thread *thread = kzalloc(sizeof(*thread), GFP_KERNEL);
	struct task_struct *task;

	if (!thread)
		return -ENOMEM;
	INIT_LIST_HEAD(&thread->node);
	thread->threads = t;
	task = kthread_create_on_node(thread_fn, thread, t->attrs.node, "%s", t->name);
	if (IS_ERR(task)) {
		kfree(thread);
		return PTR_ERR(task);
	}
	thread->task = task;
	wake_up_process(task);
	return 0;
}

/* Take a thread out that has been idle since before @when, the longest idle. */
static struct thread *take_idle(struct threads *t, unsigned long when)
{
	struct thread *thread = NULL;

	raw_spin_lock_irq(&t->lock);
	if (!list_empty(&t->idle)) {
		thread = list_last_entry(&t->idle, struct thread, node);
		if (time_after(thread->idle_since, when))
			thread = NULL;
		else
			list_del(&thread->node);
	}
	raw_spin_unlock_irq(&t->lock);
	return thread;
}

/* One by one, and only while nobody wants more: to stop one takes a while. */
static void stop_idle(struct threads *t, unsigned long when)
{
	struct thread *thread;

	while (!READ_ONCE(t->wanted) && (thread = take_idle(t, when))) {
		/* It does not look at ->node again: should_stop comes first. */
		kthread_stop(thread->task);
		kfree(thread);
		raw_spin_lock_irq(&t->lock);
		t->nr--;
		raw_spin_unlock_irq(&t->lock);
	}
}

static void keep(struct work_struct *work)
{
	struct threads *t = container_of(to_delayed_work(work), struct threads, keeper);
	bool failed = false;

	raw_spin_lock_irq(&t->lock);
	while (t->wanted) {
		/* Before it is there: by then it may have blocked, and another one be wanted. */
		WRITE_ONCE(t->wanted, t->wanted - 1);
		raw_spin_unlock_irq(&t->lock);
		failed = make_thread(t);
		raw_spin_lock_irq(&t->lock);
		if (failed) {
			WRITE_ONCE(t->wanted, t->wanted + 1);
			break;
		}
		t->nr++;
	}
	raw_spin_unlock_irq(&t->lock);
	stop_idle(t, jiffies - IDLE_TIME);

	raw_spin_lock_irq(&t->lock);
	if (t->wanted)
		mod_delayed_work(keepers, &t->keeper, failed ? RETRY_TIME : 0);
	else if (t->nr)
		queue_delayed_work(keepers, &t->keeper, IDLE_TIME);
	raw_spin_unlock_irq(&t->lock);
}

static const struct nursery_executor_ops thread_ops = {
	.name		= "thread",
	.submit		= nursery_queue_submit,
	.retract	= nursery_queue_retract,
};

static void threads_init(struct threads *t, const char *name,
			 struct nursery_lane __percpu *lanes)
{
	strscpy(t->name, name, sizeof(t->name));
	t->executor.ops = &thread_ops;
	/* Never parted from: it ends after its nurseries, with its threads. */
	nursery_queue_init(&t->executor.queue, ask_threads, UINT_MAX, lanes);
	raw_spin_lock_init(&t->lock);
	INIT_LIST_HEAD(&t->idle);
	INIT_LIST_HEAD(&t->lent);
	INIT_LIST_HEAD(&t->stand_ins);
	INIT_DELAYED_WORK(&t->keeper, keep);
}

/* All nurseries have been joined: the threads become idle, if they are not yet. */
static void threads_end(struct threads *t)
{
	bool some;

	for (;;) {
		/* No more are wanted; one may be under way to become idle. */
		cancel_delayed_work_sync(&t->keeper);
		WRITE_ONCE(t->wanted, 0);
		stop_idle(t, jiffies);
		raw_spin_lock_irq(&t->lock);
		some = t->nr;
		raw_spin_unlock_irq(&t->lock);
		if (!some)
			break;
		schedule_timeout_uninterruptible(1);
	}
}

static bool attrs_are_right(const struct nursery_thread_attrs *a)
{
	if (a->cpus && !cpumask_intersects(a->cpus, cpu_possible_mask))
		return false;
	if (a->node != NUMA_NO_NODE && (a->node < 0 || a->node >= MAX_NUMNODES ||
					!node_online(a->node)))
		return false;
	switch (a->policy) {
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
		return !a->priority && a->nice >= MIN_NICE && a->nice <= MAX_NICE;
	case SCHED_FIFO:
	case SCHED_RR:
		return !a->nice && a->priority >= 1 && a->priority < MAX_RT_PRIO;
	}
	return false;
}

/**
 * nursery_executor_create_threads - an executor with threads of its own
 * @name: what its idle threads are called; copied, up to 15 characters
 * @attrs: how they are to be scheduled, copied; NULL: as any kthread
 *
 * Threads are made when children need them, one for each that blocks, and stopped
 * when they have been idle for some seconds. While a thread runs a child it is called
 * as the child's nursery.
 *
 * Context: Process context, may sleep.
 * Return: the executor, to be given to nursery_executor_destroy_threads(), or
 *	   ERR_PTR: -EINVAL attributes that can never be right; -ENOMEM.
 */
const struct nursery_executor *
nursery_executor_create_threads(const char *name, const struct nursery_thread_attrs *attrs)
{
	struct threads *t;

	if (attrs && !attrs_are_right(attrs))
		return ERR_PTR(-EINVAL);
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->attrs = attrs ? *attrs : builtin.attrs;
	if (t->attrs.cpus) {
		if (!alloc_cpumask_var(&t->cpus, GFP_KERNEL)) {
			kfree(t);
			return ERR_PTR(-ENOMEM);
		}
		cpumask_copy(t->cpus, t->attrs.cpus);
	}
	threads_init(t, name, NULL);
	return &t->executor;
}
EXPORT_SYMBOL_GPL(nursery_executor_create_threads);

/**
 * nursery_executor_destroy_threads - the end of such an executor
 * @e: made by nursery_executor_create_threads(); the nurseries that use it have
 *	been joined
 *
 * Context: Process context, may sleep.
 */
void nursery_executor_destroy_threads(const struct nursery_executor *e)
{
	struct threads *t = to_threads((struct nursery_executor *)e);

	threads_end(t);
	if (t->attrs.cpus)
		free_cpumask_var(t->cpus);
	kfree(t);
}
EXPORT_SYMBOL_GPL(nursery_executor_destroy_threads);

/*
 * nursery_executor_thread - a thread for every child that blocks
 */
const struct nursery_executor *const nursery_executor_thread = &builtin.executor;
EXPORT_SYMBOL_GPL(nursery_executor_thread);

int nursery_threads_start(void)
{
	keepers = alloc_workqueue("nursery_keeper", WQ_UNBOUND, 0);
	if (!keepers)
		return -ENOMEM;
	threads_init(&builtin, "nursery", &lanes);
	return 0;
}

void nursery_threads_stop(void)
{
	threads_end(&builtin);
	destroy_workqueue(keepers);
}
