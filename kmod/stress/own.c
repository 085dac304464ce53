// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executors of a caller's own, by struct nursery_executor_ops: a list of runners
 * that one work item runs, in order. There are two, as retract() is optional;
 * without it nobody else can run what is on the list.
 */
#include <linux/kernel.h>
#include <linux/llist.h>
#include <linux/workqueue.h>

#include "stress.h"

struct own_executor {
	struct nursery_executor	executor;
	raw_spinlock_t		lock;
	struct llist_node	*first;		/* struct nursery_runner, by node */
	struct llist_node	**last;
	struct work_struct	work;
	struct workqueue_struct	*wq;
};

static struct own_executor own, plain;
const struct nursery_executor *stress_own = &own.executor;
const struct nursery_executor *stress_own_plain = &plain.executor;

/* Context: @o->lock held; @place points to one that is on the list. */
static struct llist_node *take(struct own_executor *o, struct llist_node **place)
{
	struct llist_node *node = *place;

	*place = node->next;
	if (o->last == &node->next)
		o->last = place;
	return node;
}

static void submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct own_executor *o = container_of(e, struct own_executor, executor);
	unsigned long flags;

	raw_spin_lock_irqsave(&o->lock, flags);
	r->node.next = NULL;
	*o->last = &r->node;
	o->last = &r->node.next;
	raw_spin_unlock_irqrestore(&o->lock, flags);
	queue_work(o->wq, &o->work);
}

static bool retract(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct own_executor *o = container_of(e, struct own_executor, executor);
	struct llist_node **place;
	unsigned long flags;
	bool found = false;

	raw_spin_lock_irqsave(&o->lock, flags);
	for (place = &o->first; *place && !found; ) {
		found = *place == &r->node;
		if (found)
			take(o, place);
		else
			place = &(*place)->next;
	}
	raw_spin_unlock_irqrestore(&o->lock, flags);
	return found;
}

static void run_all(struct work_struct *work)
{
	struct own_executor *o = container_of(work, struct own_executor, work);
	struct llist_node *node;

	do {
		raw_spin_lock_irq(&o->lock);
		node = o->first ? take(o, &o->first) : NULL;
		raw_spin_unlock_irq(&o->lock);
		if (node)
			nursery_runner_run(llist_entry(node, struct nursery_runner, node));
	} while (node);
}

static const struct nursery_executor_ops own_ops = {
	.name = "stress-own", .submit = submit, .retract = retract,
};

static const struct nursery_executor_ops plain_ops = {
	.name = "stress-plain", .submit = submit,
};

static void start(struct own_executor *o, const struct nursery_executor_ops *ops,
		  struct workqueue_struct *wq)
{
	o->executor.ops = ops;
	raw_spin_lock_init(&o->lock);
	o->first = NULL;
	o->last = &o->first;
	o->wq = wq;
	INIT_WORK(&o->work, run_all);
}

/* Destroying @wq ends them. */
void stress_own_start(struct workqueue_struct *wq)
{
	start(&own, &own_ops, wq);
	start(&plain, &plain_ops, wq);
}
