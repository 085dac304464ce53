// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executors: where children run.
 *
 * On a workqueue, a child's runner is a work item. To take it back is
 * cancel_work(), which never waits: either the item is still pending and then
 * nobody will run it, or a worker has it.
 */
#include <linux/export.h>
#include <linux/module.h>

#include "internal.h"

static void wq_submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	queue_work(e->wq, &r->work);
}

static bool wq_retract(const struct nursery_executor *e, struct nursery_runner *r)
{
	return cancel_work(&r->work);
}

static const struct nursery_executor_ops wq_ops = {
	.name		= "workqueue",
	.submit		= wq_submit,
	.retract	= wq_retract,
};

/**
 * nursery_executor_init_wq - run children on a workqueue of one's own
 * @e: the executor; it must outlive the nurseries that use it
 * @wq: the queue. A reclaim-safe one if the scope is on the way to free memory
 *	(R9). Destroy it after the nurseries have been joined.
 *
 * Context: Any.
 */
void nursery_executor_init_wq(struct nursery_executor *e, struct workqueue_struct *wq)
{
	e->ops = &wq_ops;
	e->wq = wq;
}
EXPORT_SYMBOL_GPL(nursery_executor_init_wq);

static struct nursery_executor unbound = { .ops = &wq_ops };

/*
 * nursery_executor_unbound - the default executor: any CPU, and as many children
 * at once as a workqueue allows
 */
const struct nursery_executor *const nursery_executor_unbound = &unbound;
EXPORT_SYMBOL_GPL(nursery_executor_unbound);

int nursery_executor_start(void)
{
	/* Not WQ_MEM_RECLAIM: children may wait for anything. */
	unbound.wq = alloc_workqueue("nursery", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return unbound.wq ? 0 : -ENOMEM;
}

/* A joiner woke before its last worker has left our text: wait for that too (R6). */
void nursery_executor_stop(void)
{
	destroy_workqueue(unbound.wq);
}
