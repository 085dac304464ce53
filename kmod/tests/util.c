// SPDX-License-Identifier: GPL-2.0-only
/* What the suites share: see util.h. */
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "util.h"

int probe_run(struct nursery_child *c)
{
	struct probe *p = to_probe(c);

	p->task = current;
	atomic_inc(&p->runs);
	complete_all(&p->started);
	if (p->gate)
		wait_for_completion(p->gate);
	if (p->sleep)
		p->slept = nursery_sleep(c, p->sleep);
	p->saw_cancel = nursery_child_cancelled(c);
	return p->slept ?: p->ret;
}

void probe_done(struct nursery_child *c)
{
	atomic_inc(&to_probe(c)->dones);
}

void probe_init(struct probe *p, int ret)
{
	*p = (struct probe){ .ret = ret };
	init_completion(&p->started);
	nursery_child_init(&p->child, probe_run, probe_done);
}

bool is_asleep(struct task_struct *task)
{
	return READ_ONCE(task->__state) == TASK_UNINTERRUPTIBLE;
}

void wait_until_asleep(struct task_struct *task)
{
	while (!is_asleep(task))
		usleep_range(50, 100);
}

void *zeroed(struct kunit *test, size_t nr, size_t size)
{
	void *array = kunit_kcalloc(test, nr, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, array);
	return array;
}

void rendezvous_init(struct rendezvous *r)
{
	init_completion(&r->here);
	init_completion(&r->go_on);
}

void rendezvous_wait(struct rendezvous *r)
{
	complete(&r->here);
	wait_for_completion(&r->go_on);
}

struct hardirq_call {
	struct irq_work work;
	void (*fn)(void *arg);
	void *arg;
	bool was_hard;
};

static void hardirq_call(struct irq_work *work)
{
	struct hardirq_call *call = container_of(work, struct hardirq_call, work);

	call->was_hard = in_hardirq();
	call->fn(call->arg);
}

void run_in_hardirq(void (*fn)(void *arg), void *arg)
{
	struct hardirq_call call = {
		.work = IRQ_WORK_INIT_HARD(hardirq_call), .fn = fn, .arg = arg,
	};

	irq_work_queue(&call.work);
	irq_work_sync(&call.work);
	WARN_ON(!call.was_hard);
}

bool fail_next_allocation(void)
{
	fail_allocation(1);
	return IS_ENABLED(CONFIG_FAILSLAB);
}

void fail_allocation(unsigned int nth)
{
#if defined(CONFIG_FAILSLAB)
	current->fail_nth = nth;
#endif
}

bool allocation_has_failed(void)
{
	bool failed = false;

#if defined(CONFIG_FAILSLAB)
	failed = !current->fail_nth;
	current->fail_nth = 0;
#endif
	return failed;
}

bool may_fail_allocations(void)
{
	void *memory;

	if (!IS_ENABLED(CONFIG_FAILSLAB))
		return false;
	fail_allocation(1);
	memory = kmalloc(8, GFP_KERNEL | __GFP_NOWARN);
	kfree(memory);
	return allocation_has_failed();
}

struct nursery_executor *single_worker(struct kunit *test)
{
	struct nursery_executor *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	struct workqueue_struct *wq = alloc_ordered_workqueue("nursery_kunit", 0);

	KUNIT_ASSERT_NOT_NULL(test, e);
	KUNIT_ASSERT_NOT_NULL(test, wq);
	nursery_executor_init_wq(e, wq);
	return e;
}

void single_worker_destroy(struct nursery_executor *e)
{
	destroy_workqueue(e->wq);
}

static void plug_run(struct work_struct *work)
{
	wait_for_completion(&container_of(work, struct plug, work)->removed);
}

/* Its work has been initialised, on the stack or not. */
static void insert(struct plug *p, struct workqueue_struct *wq)
{
	init_completion(&p->removed);
	queue_work(wq, &p->work);
}

static void remove(struct plug *p)
{
	complete(&p->removed);
	flush_work(&p->work);
}

void plug_insert(struct plug *p, struct workqueue_struct *wq)
{
	INIT_WORK_ONSTACK(&p->work, plug_run);
	insert(p, wq);
}

void plug_remove(struct plug *p)
{
	remove(p);
	destroy_work_on_stack(&p->work);
}

struct busy_worker {
	struct nursery_executor	executor;
	struct plug		plug;
};

struct nursery_executor *busy_worker(struct kunit *test)
{
	struct workqueue_struct *wq = alloc_ordered_workqueue("nursery_kunit", 0);
	struct busy_worker *b;

	KUNIT_ASSERT_NOT_NULL(test, wq);
	b = NEW(test, struct busy_worker, 1);
	nursery_executor_init_wq(&b->executor, wq);
	INIT_WORK(&b->plug.work, plug_run);
	insert(&b->plug, wq);
	return &b->executor;
}

void busy_worker_destroy(struct nursery_executor *e)
{
	remove(&container_of(e, struct busy_worker, executor)->plug);
	destroy_workqueue(e->wq);
}
