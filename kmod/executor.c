// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executors on workqueues: work items that serve an executor's queue.
 *
 * A work item cannot be in a child, nor in the executor: a workqueue takes an item
 * at the same address with the same function for the one that still runs, and
 * queues it behind that worker, which may be blocked in another child. So items
 * come from a pool of the module, and go back when the server is done.
 *
 * The pool starts with SERVERS. A server that is about to run children, and so may
 * block for long, adds one where few are left; it must not wait for memory, as its
 * queue may be one that memory waits for. If that fails, fewer run at once. The
 * last RESERVE are for callers' queues: those that are used on the way to free
 * memory (R9) do not wait for it, so their items come back. As with a mempool, a
 * reserve is enough then. Our own executors go on with threads.
 *
 * They do that, too, when WORKERS of their items are in use, long before the
 * workqueue's own limit: beyond that limit an item waits for the blocked ones, and
 * they may wait for a child that it would start.
 *
 * Items that are queued and not run do not come back while their workqueue is busy with
 * something else, be they parted from. So a caller's queue that finds the pool empty is
 * put on a list, and gets the next item that comes back or is made: nobody will ask for it
 * again, for children that are spawned from now on rely on the one that is due. To make one
 * may wait for memory: the reserve is for as many queues that have ended in that way.
 */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

#define SERVERS	64
#define RESERVE	16
#define WORKERS	256

static struct nursery_executor unbound, percpu, highpri, inline_executor;

struct wq_server {
	struct nursery_server	server;
	struct work_struct	work;
	struct llist_node	all;
	struct wq_server	*next;		/* free */
};

static struct {
	raw_spinlock_t		lock;		/* @free, @nr_free, @starving */
	struct wq_server	*free;
	unsigned int		nr_free;
	struct list_head	starving;	/* callers' queues, by lent: nr_free is 0 */
	struct work_struct	refill;		/* makes items for those */
	struct llist_head	all;		/* what was allocated; only grows */
	struct wq_server	first[SERVERS];
} pool = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(pool.lock),
	.starving = LIST_HEAD_INIT(pool.starving),
};

static void serve(struct work_struct *work);

/* Some other CPU than this one. Context: Preemption off. */
static unsigned int another_cpu(void)
{
	unsigned int cpu = cpumask_any_distribute(cpu_online_mask);

	/* Goes round: the next one is another. */
	return cpu == smp_processor_id() ? cpumask_any_distribute(cpu_online_mask) : cpu;
}

/* Send @s to an executor, whose queue->due is set. */
static void send(struct wq_server *s, struct nursery_executor *e, bool elsewhere)
{
	bool ours = e->queue.limit;

	s->server.counted = ours;
	/* Who parts may wait until both are written. */
	preempt_disable();
	if (ours)
		atomic_inc(&e->queue.nr_workers);
	else
		WRITE_ONCE(e->queue.asked, &s->server);
	/*
	 * Last, as part() may know the same item from before: when it finds the executor it
	 * may clear q->asked. queue_work() orders this before the item's run.
	 */
	smp_store_release(&s->server.executor, (unsigned long)e);
	if (elsewhere)
		queue_work_on(another_cpu(), e->wq, &s->work);
	else
		queue_work(e->wq, &s->work);
	preempt_enable();
}

static void server_put(struct wq_server *s)
{
	struct nursery_queue *q;
	unsigned long flags;

	raw_spin_lock_irqsave(&pool.lock, flags);
	q = list_first_entry_or_null(&pool.starving, struct nursery_queue, lent);
	if (q) {
		send(s, container_of(q, struct nursery_executor, queue), false);
		/* The last access: pairs with the look in nursery_executor_sate(). */
		list_del_init_careful(&q->lent);
	} else {
		s->next = pool.free;
		pool.free = s;
		WRITE_ONCE(pool.nr_free, pool.nr_free + 1);
	}
	raw_spin_unlock_irqrestore(&pool.lock, flags);
}

/* Context: pool.lock held. Return: one, unless no more than @leave are left. */
static struct wq_server *take_free(unsigned int leave)
{
	struct wq_server *s = pool.free;

	if (pool.nr_free <= leave)
		return NULL;
	pool.free = s->next;
	WRITE_ONCE(pool.nr_free, pool.nr_free - 1);
	return s;
}

/* The same, without the lock held. Context: Any. */
static struct wq_server *server_get(unsigned int leave)
{
	struct wq_server *s;
	unsigned long flags;

	raw_spin_lock_irqsave(&pool.lock, flags);
	s = take_free(leave);
	raw_spin_unlock_irqrestore(&pool.lock, flags);
	return s;
}

static void server_init(struct wq_server *s)
{
	static __maybe_unused struct lock_class_key key;

	__INIT_WORK_KEY(&s->work, serve, 0, &key);
	server_put(s);
}

/* Context: Process context. */
static bool add_server(gfp_t gfp)
{
	struct wq_server *s = kzalloc(sizeof(*s), gfp | __GFP_NOWARN);

	if (!s)
		return false;
	llist_add(&s->all, &pool.all);
	server_init(s);
	return true;
}

static bool is_starving(void)
{
	bool some;

	raw_spin_lock_irq(&pool.lock);
	some = !list_empty(&pool.starving);
	raw_spin_unlock_irq(&pool.lock);
	return some;
}

/* May wait for memory, as it is not on the way to free any. */
static void refill(struct work_struct *work)
{
	while (is_starving())
		if (!add_server(GFP_KERNEL))
			schedule_timeout_uninterruptible(HZ / 100 + 1);
}

/* There is no item: the next one is for this caller's queue. Context: Any. */
static void starve(struct nursery_executor *e)
{
	unsigned long flags;
	struct wq_server *s;

	raw_spin_lock_irqsave(&pool.lock, flags);
	s = take_free(0);	/* has one come back meanwhile? */
	if (!s)
		list_add_tail(&e->queue.lent, &pool.starving);
	raw_spin_unlock_irqrestore(&pool.lock, flags);
	if (s)
		send(s, e, false);
	else
		queue_work(unbound.wq, &pool.refill);
}

/*
 * A caller's queue may go: it does not wait for an item any more. If this finds that it
 * does not, who has just sent one will not touch it again.
 *
 * Context: Any.
 * Return: whether it waited; then nobody is due.
 */
bool nursery_executor_sate(struct nursery_executor *e)
{
	unsigned long flags;
	bool waited;

	/* Pairs with server_put(): what was sent is seen. */
	if (list_empty_careful(&e->queue.lent))
		return false;
	raw_spin_lock_irqsave(&pool.lock, flags);
	waited = !list_empty(&e->queue.lent);
	if (waited)
		list_del_init(&e->queue.lent);
	raw_spin_unlock_irqrestore(&pool.lock, flags);
	return waited;
}

static void serve(struct work_struct *work)
{
	struct wq_server *s = container_of(work, struct wq_server, work);

	struct nursery_executor *e = (struct nursery_executor *)READ_ONCE(s->server.executor);
	/* An executor of ours stays, and keeps one item at hand. */
	bool ours = s->server.counted;

	if (READ_ONCE(pool.nr_free) < 2 * RESERVE)
		add_server(GFP_NOWAIT);
	nursery_queue_serve(&s->server);
	if (!ours || cmpxchg(&e->queue.spare, NULL, &s->server))
		server_put(s);
}

/*
 * nursery_queue.ask. A workqueue starts items near the CPU that queued them; @elsewhere is
 * for those that may run anywhere. Context: Any; the caller has set queue->due.
 */
static void ask_workqueue(struct nursery_executor *e, bool elsewhere)
{
	struct nursery_queue *q = &e->queue;
	struct nursery_server *spare;
	bool ours = q->limit;
	struct wq_server *s = NULL;

	if (elsewhere && e != &unbound)
		return;
	if (!ours || atomic_read(&q->nr_workers) < q->limit) {
		spare = ours ? xchg(&q->spare, NULL) : NULL;
		s = spare ? container_of(spare, struct wq_server, server) :
			    server_get(ours ? RESERVE : 0);
	}
	if (s)
		send(s, e, elsewhere);
	else if (ours)
		nursery_threads_lend(e);
	else
		starve(e);
}

static const struct nursery_executor_ops wq_ops = {
	.name		= "workqueue",
	.submit		= nursery_queue_submit,
	.retract	= nursery_queue_retract,
};

/**
 * nursery_executor_init_wq - run children on a workqueue of one's own
 * @e: the executor; it must outlive the nurseries that use it
 * @wq: the queue. A reclaim-safe one if the scope is on the way to free memory
 *	(R9). Destroy it after the nurseries have been joined.
 *
 * As many children run at once as @wq allows. A joiner that has run out of stack
 * has a thread start the children that it waits for, whatever @wq is.
 *
 * Context: Any.
 */
void nursery_executor_init_wq(struct nursery_executor *e, struct workqueue_struct *wq)
{
	e->ops = &wq_ops;
	e->wq = wq;
	nursery_queue_init(&e->queue, ask_workqueue, 0, NULL);
}
EXPORT_SYMBOL_GPL(nursery_executor_init_wq);

/*
 * nursery_executor_unbound - the default executor: any CPU
 */
const struct nursery_executor *const nursery_executor_unbound = &unbound;
EXPORT_SYMBOL_GPL(nursery_executor_unbound);

/*
 * nursery_executor_percpu - on the CPU that spawned: for short children that find
 * their data in its cache
 */
const struct nursery_executor *const nursery_executor_percpu = &percpu;
EXPORT_SYMBOL_GPL(nursery_executor_percpu);

/*
 * nursery_executor_highpri - on the CPU that spawned, before others' work
 */
const struct nursery_executor *const nursery_executor_highpri = &highpri;
EXPORT_SYMBOL_GPL(nursery_executor_highpri);

/*
 * nursery_executor_inline - inside the spawn, which must then be in a context that
 * the child can run in. Children for which there is no place below max_active, or
 * no room on the stack, go where those of nursery_executor_unbound go.
 */
const struct nursery_executor *const nursery_executor_inline = &inline_executor;
EXPORT_SYMBOL_GPL(nursery_executor_inline);

/* Not WQ_MEM_RECLAIM: children may wait for anything. */
static const struct {
	struct nursery_executor *executor;
	struct nursery_executor_ops ops;
	const char *name;
	unsigned int flags;
} builtin[] = {
#define OPS(_name)	{ .name = _name, .submit = nursery_queue_submit,	\
			  .retract = nursery_queue_retract }
	{ &unbound, OPS("unbound"), "nursery", WQ_UNBOUND },
	{ &percpu, OPS("percpu"), "nursery_percpu", WQ_PERCPU },
	{ &highpri, OPS("highpri"), "nursery_highpri", WQ_PERCPU | WQ_HIGHPRI },
	{ &inline_executor, OPS("inline"), "nursery_inline", WQ_UNBOUND },
#undef OPS
};

static DEFINE_PER_CPU(struct nursery_lane, lanes[ARRAY_SIZE(builtin)]);

/* A joiner woke before its last server has left our text: wait for that too (R6). */
static void pool_stop(void)
{
	struct wq_server *s, *next;
	unsigned int i;

	for (i = 0; i < SERVERS; i++)
		cancel_work_sync(&pool.first[i].work);
	llist_for_each_entry_safe(s, next, llist_del_all(&pool.all), all) {
		cancel_work_sync(&s->work);
		kfree(s);
	}
}

static void destroy_queues(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(builtin); i++)
		if (builtin[i].executor->wq)
			destroy_workqueue(builtin[i].executor->wq);
}

int nursery_executor_start(void)
{
	unsigned int i;

	INIT_WORK(&pool.refill, refill);
	for (i = 0; i < SERVERS; i++)
		server_init(&pool.first[i]);
	for (i = 0; i < ARRAY_SIZE(builtin); i++) {
		struct nursery_executor *e = builtin[i].executor;

		e->ops = &builtin[i].ops;
		nursery_queue_init(&e->queue, ask_workqueue, WORKERS, &lanes[i]);
		e->wq = alloc_workqueue("%s", builtin[i].flags, WQ_MAX_ACTIVE, builtin[i].name);
		if (!e->wq) {
			destroy_queues();
			return -ENOMEM;
		}
	}
	return 0;
}

void nursery_executor_stop(void)
{
	destroy_queues();
	pool_stop();
}
