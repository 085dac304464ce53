// SPDX-License-Identifier: GPL-2.0-only
/* Executors: that children run where they were told to. */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/llist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <uapi/linux/sched/types.h>

#include "util.h"

/* Where a child ran. */
struct where {
	struct nursery_child child;
	struct task_struct *task;
	char comm[TASK_COMM_LEN];
	unsigned int cpu, flags, policy, rt_priority;
	int nice;
	bool cpus_are_set;
	const struct cpumask *cpus;
};

static int where_run(struct nursery_child *c)
{
	struct where *w = container_of(c, struct where, child);

	w->task = current;
	strscpy(w->comm, current->comm, sizeof(w->comm));
	w->cpu = raw_smp_processor_id();
	w->flags = current->flags;
	w->policy = current->policy;
	w->rt_priority = current->rt_priority;
	w->nice = task_nice(current);
	w->cpus_are_set = w->cpus && cpumask_equal(current->cpus_ptr, w->cpus);
	return 0;
}

/* Run one child on @e, without the joiner's help. */
static void run_where(struct kunit *test, struct where *w, const struct nursery_executor *e)
{
	int err = -1;

	nursery_child_init(&w->child, where_run, NULL);
	scoped_nursery(n, .name = "where", .executor = e, .flags = NURSERY_NO_HELP,
		       .result = &err)
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &w->child), 0);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void workqueues(struct kunit *test)
{
	struct where w = { };

	run_where(test, &w, nursery_executor_unbound);
	KUNIT_EXPECT_TRUE(test, w.flags & PF_WQ_WORKER);
	KUNIT_EXPECT_EQ(test, w.nice, 0);

	migrate_disable();
	run_where(test, &w, nursery_executor_percpu);
	KUNIT_EXPECT_TRUE(test, w.flags & PF_WQ_WORKER);
	KUNIT_EXPECT_EQ(test, w.cpu, raw_smp_processor_id());

	run_where(test, &w, nursery_executor_highpri);
	KUNIT_EXPECT_EQ(test, w.cpu, raw_smp_processor_id());
	KUNIT_EXPECT_EQ(test, w.nice, MIN_NICE);
	migrate_enable();
}

static void own_queue(struct kunit *test)
{
	struct workqueue_struct *wq = alloc_workqueue("nursery_own",
						      WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	struct nursery_executor e;
	struct where w = { };
	int i;

	KUNIT_ASSERT_NOT_NULL(test, wq);
	nursery_executor_init_wq(&e, wq);
	for (i = 0; i < 100; i++)
		run_where(test, &w, &e);
	KUNIT_EXPECT_TRUE(test, w.flags & PF_WQ_WORKER);
	destroy_workqueue(wq);
}

/* The executor is gone when its last nursery is; its work item may come yet. */
static void own_executor_ends_with_its_nursery(struct kunit *test)
{
	struct workqueue_struct *wq = alloc_ordered_workqueue("nursery_own", 0);
	struct nursery_executor *e;
	struct probe p;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, wq);
	for (i = 0; i < 200; i++) {
		e = kmalloc(sizeof(*e), GFP_KERNEL);
		if (!e)
			break;
		nursery_executor_init_wq(e, wq);
		probe_init(&p, 0);
		scoped_nursery(n, .name = "short", .executor = e)
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p.child), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);
		memset(e, 0x5a, sizeof(*e));
		kfree(e);
	}
	KUNIT_EXPECT_EQ(test, i, 200);
	destroy_workqueue(wq);
}

/*
 * Executors come and go, of a workqueue that is busy with something else: what they had
 * asked for there is not to be missing elsewhere.
 */
static void executors_that_ended_keep_no_work_item(struct kunit *test)
{
	struct workqueue_struct *busy = alloc_ordered_workqueue("nursery_busy", 0);
	struct workqueue_struct *wq = alloc_workqueue("nursery_own", WQ_UNBOUND, 0);
	struct nursery_executor e;
	struct probe p[2];
	struct plug plug;
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, busy);
	KUNIT_ASSERT_NOT_NULL(test, wq);
	plug_insert(&plug, busy);
	for (i = 0; i < 1000; i++) {
		nursery_executor_init_wq(&e, busy);
		probe_init(&p[0], 0);
		scoped_nursery(n, .name = "short", .executor = &e)
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[0].child), 0);
	}
	nursery_executor_init_wq(&e, wq);
	probe_init(&p[0], 0);
	probe_init(&p[1], 0);
	scoped_nursery(n, .name = "other", .executor = &e, .flags = NURSERY_NO_HELP,
		       .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[0].child), 0);
		KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&p[0].started, 60 * HZ));
		plug_remove(&plug);
		/* If that failed: work items have come back, and are asked for anew. */
		flush_workqueue(busy);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[1].child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	destroy_workqueue(wq);
	destroy_workqueue(busy);
}

/*
 * One server has a chunk of children and is blocked in the first. Who it asked for finds
 * another one, just spawned, and is blocked as well: somebody is to come for the chunk.
 */
static void blocked_server_is_followed(struct kunit *test)
{
	struct workqueue_struct *wq = alloc_workqueue("nursery_own", WQ_UNBOUND, 3);
	struct probe *p = kunit_kcalloc(test, 4, sizeof(*p), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct nursery_executor e;
	struct plug plug[3];
	int i, started, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, wq);
	KUNIT_ASSERT_NOT_NULL(test, p);
	nursery_executor_init_wq(&e, wq);
	for (i = 0; i < 3; i++)
		plug_insert(&plug[i], wq);
	scoped_nursery(n, .name = "chunk", .executor = &e, .flags = NURSERY_NO_HELP,
		       .result = &err) {
		for (i = 0; i < 4; i++) {
			probe_init(&p[i], 0);
			p[i].gate = &gate;
		}
		for (i = 0; i < 3; i++)
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[i].child), 0);
		plug_remove(&plug[0]);
		/* One of the three has started; the place of the next is plugged. */
		for (started = 0; !started; usleep_range(100, 200))
			for (i = 0; i < 3; i++)
				started += atomic_read(&p[i].runs);
		KUNIT_EXPECT_EQ(test, started, 1);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[3].child), 0);
		plug_remove(&plug[1]);
		plug_remove(&plug[2]);
		KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&p[3].started, 60 * HZ));
		for (i = 0; i < PROMPT_MS && started < 3; i += 10) {
			usleep_range(10000, 11000);
			started = atomic_read(&p[0].runs) + atomic_read(&p[1].runs) +
				  atomic_read(&p[2].runs) + 1;
		}
		KUNIT_EXPECT_EQ(test, started, 3);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	destroy_workqueue(wq);
}

static void thread_is_called_as_its_nursery(struct kunit *test)
{
	struct where w = { };

	run_where(test, &w, nursery_executor_thread);
	KUNIT_EXPECT_TRUE(test, w.flags & PF_KTHREAD);
	KUNIT_EXPECT_FALSE(test, w.flags & PF_WQ_WORKER);
	KUNIT_EXPECT_STREQ(test, w.comm, "where");
}

/* As many as block at once get a thread each. */
static void threads_grow_on_demand(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 64, sizeof(*p), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "blocked", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		for (i = 0; i < 64; i++) {
			probe_init(&p[i], 0);
			p[i].gate = &gate;
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[i].child), 0);
		}
		for (i = 0; i < 64; i++)
			KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&p[i].started,
									     60 * HZ));
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void threads_of_ones_own(struct kunit *test)
{
	struct where w = { .cpus = cpumask_of(0) };
	const struct nursery_executor *e;

	e = nursery_executor_create_threads("own", &(const struct nursery_thread_attrs) {
		.policy = SCHED_FIFO, .priority = 7, .cpus = cpumask_of(0), .node = NUMA_NO_NODE });
	KUNIT_ASSERT_FALSE(test, IS_ERR(e));
	run_where(test, &w, e);
	KUNIT_EXPECT_EQ(test, w.policy, SCHED_FIFO);
	KUNIT_EXPECT_EQ(test, w.rt_priority, 7);
	KUNIT_EXPECT_TRUE(test, w.cpus_are_set);
	nursery_executor_destroy_threads(e);

	e = nursery_executor_create_threads("nice", &(const struct nursery_thread_attrs) {
		.nice = 5, .node = NUMA_NO_NODE });
	KUNIT_ASSERT_FALSE(test, IS_ERR(e));
	run_where(test, &w, e);
	KUNIT_EXPECT_EQ(test, w.nice, 5);
	nursery_executor_destroy_threads(e);
}

static void thread_attributes_that_cannot_be(struct kunit *test)
{
	static const struct nursery_thread_attrs wrong[] = {
		{ .policy = SCHED_FIFO, .priority = 0, .node = NUMA_NO_NODE },
		{ .policy = SCHED_FIFO, .priority = 100, .node = NUMA_NO_NODE },
		{ .policy = SCHED_NORMAL, .priority = 1, .node = NUMA_NO_NODE },
		{ .policy = SCHED_NORMAL, .nice = 20, .node = NUMA_NO_NODE },
		{ .policy = SCHED_DEADLINE, .node = NUMA_NO_NODE },
		{ .policy = 99, .node = NUMA_NO_NODE },
		{ .node = MAX_NUMNODES },
		{ .node = -5 },
		{ .cpus = cpu_none_mask, .node = NUMA_NO_NODE },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_PTR_EQ(test, nursery_executor_create_threads("wrong", &wrong[i]),
				    ERR_PTR(-EINVAL));
}

static void inline_runs_inside_the_spawn(struct kunit *test)
{
	struct where w = { };
	int err = -1;

	nursery_child_init(&w.child, where_run, NULL);
	scoped_nursery(n, .name = "inline", .executor = nursery_executor_inline, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &w.child), 0);
		KUNIT_EXPECT_PTR_EQ(test, w.task, current);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&w.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void spawn_inline(void *data)
{
	struct nursery_child *c = data;

	WARN_ON(nursery_spawn(c->nursery, c));
}

/* Not in an interrupt: its children may sleep. */
static void inline_does_not_run_in_an_interrupt(struct kunit *test)
{
	const struct nursery_params params = {
		.name = "irq inline", .executor = nursery_executor_inline,
		.flags = NURSERY_NO_HELP,
	};
	struct where w = { };
	struct nursery n;

	nursery_init(&n, &params);
	nursery_child_init(&w.child, where_run, NULL);
	w.child.nursery = &n;
	run_in_hardirq(spawn_inline, &w.child);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_TRUE(test, w.flags & PF_WQ_WORKER);
}

/* Children of one nursery on different executors, with a bound and without. */
static void mix(struct kunit *test, unsigned int max_active)
{
	const struct nursery_executor *e[] = {
		nursery_executor_unbound, nursery_executor_percpu, nursery_executor_highpri,
		nursery_executor_thread, nursery_executor_inline,
	};
	struct probe *p = kunit_kcalloc(test, 100, sizeof(*p), GFP_KERNEL);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "mixed", .max_active = max_active, .result = &err) {
		for (i = 0; i < 100; i++) {
			probe_init(&p[i], 0);
			KUNIT_EXPECT_EQ(test, nursery_spawn_on(n, &p[i].child,
							       e[i % ARRAY_SIZE(e)]), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), 1);
}

static void executors_in_one_nursery(struct kunit *test)
{
	mix(test, 0);
	mix(test, 1);
	mix(test, 3);
}

/* An executor of the caller's: a list, and a work item that runs what is in it. */
struct own_executor {
	struct nursery_executor executor;
	struct llist_head runners;
	struct work_struct work;
	unsigned int nr_run;
};

static void own_submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct own_executor *own = container_of((struct nursery_executor *)e,
						struct own_executor, executor);

	llist_add(&r->node, &own->runners);
	queue_work(system_long_wq, &own->work);
}

static void own_work(struct work_struct *work)
{
	struct own_executor *own = container_of(work, struct own_executor, work);
	struct nursery_runner *r, *next;

	llist_for_each_entry_safe(r, next, llist_del_all(&own->runners), node) {
		nursery_runner_run(r);
		own->nr_run++;
	}
}

static void executor_of_ones_own(struct kunit *test)
{
	static const struct nursery_executor_ops ops = { .name = "own", .submit = own_submit };
	struct own_executor *own = kunit_kzalloc(test, sizeof(*own), GFP_KERNEL);
	struct probe *p = kunit_kcalloc(test, 50, sizeof(*p), GFP_KERNEL);
	unsigned int bound;
	int i, err;

	KUNIT_ASSERT_NOT_NULL(test, own);
	KUNIT_ASSERT_NOT_NULL(test, p);
	own->executor.ops = &ops;
	INIT_WORK(&own->work, own_work);
	for (bound = 0; bound < 3; bound++) {
		own->nr_run = 0;
		err = -1;
		scoped_nursery(n, .name = "own", .executor = &own->executor, .max_active = bound,
			       .result = &err) {
			for (i = 0; i < 50; i++) {
				probe_init(&p[i], 0);
				KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[i].child), 0);
			}
		}
		KUNIT_EXPECT_EQ(test, err, 0);
		flush_work(&own->work);
		/* It cannot take back what it was given: it ran all of them. */
		KUNIT_EXPECT_EQ(test, own->nr_run, 50);
	}

	/* Cancelled before its turn: skipped then, and completed once. */
	probe_init(&p[0], 0);
	err = -1;
	scoped_nursery(n, .name = "own", .executor = &own->executor, .result = &err) {
		nursery_spawn(n, &p[0].child);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[0].dones), 1);
	flush_work(&own->work);
}

/* A scope that is opened on this CPU; whether its child is found by a worker, wherever that is. */
static long open_here(void *data)
{
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	scoped_nursery(n, .name = "here", .flags = NURSERY_NO_HELP, .result = &err)
		/* One that is lost is taken back, or the join would wait for ever. */
		if (nursery_spawn(n, &p.child) ||
		    !wait_for_completion_timeout(&p.started, 60 * HZ))
			nursery_cancel(n, -ETIME);
	return err;
}

/* Queues have a list for each CPU: what is in any of them is found. */
static void scopes_on_every_cpu(struct kunit *test)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_EQ(test, work_on_cpu(cpu, open_here, NULL), 0L);
	cpus_read_unlock();
}

static struct kunit_case cases[] = {
	KUNIT_CASE(workqueues),
	KUNIT_CASE(own_queue),
	KUNIT_CASE(own_executor_ends_with_its_nursery),
	KUNIT_CASE(executors_that_ended_keep_no_work_item),
	KUNIT_CASE(blocked_server_is_followed),
	KUNIT_CASE(thread_is_called_as_its_nursery),
	KUNIT_CASE(threads_grow_on_demand),
	KUNIT_CASE(threads_of_ones_own),
	KUNIT_CASE(thread_attributes_that_cannot_be),
	KUNIT_CASE(inline_runs_inside_the_spawn),
	KUNIT_CASE(inline_does_not_run_in_an_interrupt),
	KUNIT_CASE(executors_in_one_nursery),
	KUNIT_CASE(scopes_on_every_cpu),
	KUNIT_CASE(executor_of_ones_own),
	{ }
};

struct kunit_suite nursery_executor_suite = { .name = "nursery_executor", .test_cases = cases };
