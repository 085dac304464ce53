// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of an executor: which nurseries have children to start, and who comes
 * to start them.
 *
 * Children stay in their nursery; the queue lists nurseries. Whoever serves the
 * queue (a work item of its workqueue, or a thread) goes round that list, takes a
 * chunk of children from one, works for that nursery as long as it has more, and
 * then looks for the next. Joiners take from the same nurseries, without asking
 * the queue. So nobody waits for a particular server, and one that comes when
 * everything has been done finds nothing and goes.
 *
 * One is asked for at a time. queue->due says that somebody was asked, or looks,
 * and has not yet found something or found that there is nothing. A server that
 * takes something while there is more asks for the next before it runs it. So the
 * number of servers grows by one for each that had something to do, a blocked child
 * stalls nobody, and ten tiny children wake one worker and not ten.
 *
 * Why no child is forgotten. Say that a child is takeable if it has not been
 * started, its nursery is open to workers and below its bound. Then either due is
 * set, or a joiner was woken that has not yet looked, or somebody who holds the
 * lock that the child's list is under is about to ask:
 *  - Offering a child lists the nursery and asks if nobody is due, both under
 *    queue->lock, unless the nursery is listed and somebody is due already.
 *  - A server goes round under queue->lock. It takes a nursery that has nothing off
 *    the list, and clears due only if the list has become empty (nothing anywhere)
 *    or if it takes the only thing there is. What is offered after that finds the
 *    nursery not listed or nobody due, and asks, under the same lock.
 *  - A worker with children left in its batch reads due inside worker->lock before
 *    each start. A server that went round before saw the batch, and stayed or asked;
 *    one that clears due later, having seen it empty, took worker->lock after.
 * A server that could not look at a nursery goes round again.
 *
 * Order of locks. A spawner holds nursery->lock and takes queue->lock, to list the
 * nursery in one step with adding the child: after its last unlock the child may
 * have run, been joined, and the nursery be gone. A server holds queue->lock, which
 * keeps listed nurseries there, and wants nursery->lock: it only tries, and lets go
 * of queue->lock when it failed.
 *
 * Lifetime. The queues of our own executors are there as long as the module. Those
 * of callers are there until the nurseries that use them have been joined. A server
 * that has children which it has not counted keeps a nursery open and so the queue,
 * see worker.c. One that was asked and has not looked may come later than that:
 * when the last nursery goes off the list of a caller's queue, that server is parted
 * from it. The server's side takes server->lock, then only tries queue->lock; the
 * other side holds queue->lock and takes server->lock.
 */
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/string.h>

#include "internal.h"

/*
 * How long one server goes on before it asks for another and returns to its
 * workqueue, which may want to freeze, to leave a CPU, or to give others a turn.
 */
#define TURN	(HZ / 100 + 1)

void nursery_queue_init(struct nursery_queue *q, bool (*ask)(struct nursery_executor *e),
			unsigned int limit)
{
	raw_spin_lock_init(&q->lock);
	q->due = false;
	q->nr_workers = 0;
	q->limit = limit;
	INIT_LIST_HEAD(&q->nurseries);
	q->first = NULL;
	q->last = &q->first;
	q->asked = NULL;
	q->ask = ask;
	INIT_LIST_HEAD(&q->lent);
}

static struct nursery_executor *executor_of(struct nursery_queue *q)
{
	return container_of(q, struct nursery_executor, queue);
}

static bool is_empty(const struct nursery_queue *q)
{
	return list_empty(&q->nurseries) && !q->first;
}

/* Context: queue->lock held, nobody due. */
static void ask(struct nursery_queue *q)
{
	WRITE_ONCE(q->due, q->ask(executor_of(q)));
}

/* A caller's queue that has become empty is not to be touched by who is due. queue->lock held. */
static void part_if_empty(struct nursery_queue *q)
{
	struct nursery_server *s = q->asked;

	if (!s || q->limit || !is_empty(q))
		return;
	raw_spin_lock(&s->lock);
	s->executor = NULL;
	raw_spin_unlock(&s->lock);
	q->asked = NULL;
	WRITE_ONCE(q->due, false);
}

/* Ask for a worker if nobody is due. Context: Any, the executor is there. */
void nursery_queue_kick(const struct nursery_executor *e)
{
	struct nursery_queue *q = nursery_queue_of(e);
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	if (!q->due)
		ask(q);
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

/*
 * There is something to take from this nursery: see to it that somebody does.
 *
 * Context: nursery->lock held; the executor is a queue.
 */
void nursery_queue_offer(struct nursery *n)
{
	struct nursery_queue *q = nursery_queue_of(n->executor);
	bool due;

	/* A joiner is at hand, and sure to come even if the pool is saturated (I5). */
	due = n->waiters && !(n->state & NURSERY_NO_HELP) && nursery_wake_waiters(n, n, 0);
	/* Both locks are needed to change "listed", so one is enough to look. */
	if (!list_empty(&n->listed) && (due || READ_ONCE(q->due)))
		return;

	raw_spin_lock(&q->lock);
	if (list_empty(&n->listed))
		list_add_tail(&n->listed, &q->nurseries);
	if (!due && !q->due)
		ask(q);
	due |= q->due;
	raw_spin_unlock(&q->lock);
	/* A caller's queue and no work item left: see executor.c. */
	if (!due)
		nursery_queue_move(n);
}

/* Context: nursery->lock held, no child left or all taken; listed. */
void nursery_queue_unlist(struct nursery *n)
{
	struct nursery_queue *q = nursery_queue_of(n->executor);

	raw_spin_lock(&q->lock);
	list_del_init(&n->listed);
	part_if_empty(q);
	raw_spin_unlock(&q->lock);
}

/*
 * Let threads start the children of this nursery: there is one for every child
 * that blocks, and they need nobody else's stack.
 *
 * Context: nursery->lock held.
 */
void nursery_queue_move(struct nursery *n)
{
	struct nursery_child *c;

	if (n->executor == nursery_executor_thread)
		return;
	if (!list_empty(&n->listed))
		nursery_queue_unlist(n);
	/* With a bound, each child knows its executor. */
	if (n->max_active)
		list_for_each_entry(c, &n->ready, node)
			if (c->executor == n->executor)
				c->executor = nursery_executor_thread;
	WRITE_ONCE(n->executor, nursery_executor_thread);
	nursery_offer(n);
}

/* nursery_executor_ops.submit of our executors: a child of a nursery that has another. */
void nursery_queue_submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct nursery_queue *q = nursery_queue_of(e);

	raw_spin_lock(&q->lock);
	r->node.next = NULL;
	*q->last = &r->node;
	q->last = &r->node.next;
	if (!q->due)
		ask(q);
	raw_spin_unlock(&q->lock);
}

/* And retract. The runner is found from the front: joiners take the oldest first. */
bool nursery_queue_retract(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct nursery_queue *q = nursery_queue_of(e);
	struct llist_node **at;
	bool found = false;

	raw_spin_lock(&q->lock);
	for (at = &q->first; *at; at = &(*at)->next) {
		if (*at != &r->node)
			continue;
		*at = r->node.next;
		if (q->last == &r->node.next)
			q->last = at;
		part_if_empty(q);
		found = true;
		break;
	}
	raw_spin_unlock(&q->lock);
	return found;
}

enum look { LOOK_FOUND, LOOK_NOTHING, LOOK_AGAIN };

/* Take from the nurseries that are listed. Context: queue->lock held, irqs off. */
static enum look take_listed(struct nursery_queue *q, struct nursery_worker *w,
			     struct nursery **found, bool *left)
{
	enum look look = LOOK_NOTHING;
	struct nursery *n, *next;

	list_for_each_entry_safe(n, next, &q->nurseries, listed) {
		if (!raw_spin_trylock(&n->lock)) {
			look = LOOK_AGAIN;
			continue;
		}
		if (nursery_worker_take(n, w)) {
			/* The next to come starts with another nursery. */
			list_move_tail(&n->listed, &q->nurseries);
			*found = n;
			*left = nursery_worker_leaves_some(n, w);
			raw_spin_unlock(&n->lock);
			return LOOK_FOUND;
		}
		list_del_init(&n->listed);
		raw_spin_unlock(&n->lock);
	}
	return look;
}

/* Take the first of those that came one by one. Context: queue->lock held, irqs off. */
static enum look take_single(struct nursery_queue *q, struct nursery_worker *w,
			     struct nursery **found)
{
	struct llist_node *node = q->first;
	struct nursery_child *c;
	struct nursery *n;

	if (!node)
		return LOOK_NOTHING;
	c = container_of(node, struct nursery_child, runner.node);
	n = c->nursery;
	if (!raw_spin_trylock(&n->lock))
		return LOOK_AGAIN;
	q->first = node->next;
	if (!q->first)
		q->last = &q->first;
	hlist_del(&c->other);
	nursery_worker_start(n, w, c);
	raw_spin_unlock(&n->lock);
	*found = n;
	return LOOK_FOUND;
}

/* If @n is listed, it is the last. Context: queue->lock held. */
static bool lists_others(const struct nursery_queue *q, const struct nursery *n)
{
	return !list_empty(&q->nurseries) && q->nurseries.next != &n->listed;
}

/*
 * Go round once. @was_due: it is the caller who is due.
 *
 * Context: queue->lock held, irqs off.
 */
static enum look look_round(struct nursery_queue *q, struct nursery_worker *w,
			    struct nursery **found, bool was_due)
{
	enum look look = take_single(q, w, found), listed;
	bool left = false;

	if (look != LOOK_FOUND) {
		listed = take_listed(q, w, found, &left);
		look = listed == LOOK_NOTHING ? look : listed;
	}
	if (look == LOOK_AGAIN)
		return look;

	if (was_due) {
		WRITE_ONCE(q->due, false);
		q->asked = NULL;
	}
	/* More than what we have: our batch, other nurseries, or this one. */
	if (look == LOOK_FOUND && !q->due &&
	    (q->first || lists_others(q, *found) || left))
		ask(q);
	if (look == LOOK_NOTHING)
		part_if_empty(q);
	return look;
}

/* Lock the queue that a server was asked to serve, or return NULL. Leaves irqs off, if not. */
static struct nursery_queue *lock_queue(struct nursery_server *s)
{
	struct nursery_queue *q;

	for (;;) {
		raw_spin_lock_irq(&s->lock);
		if (!s->executor) {
			raw_spin_unlock_irq(&s->lock);
			return NULL;
		}
		q = &s->executor->queue;
		if (raw_spin_trylock(&q->lock)) {
			raw_spin_unlock(&s->lock);
			return q;
		}
		raw_spin_unlock_irq(&s->lock);
		cpu_relax();
	}
}

/* The first thing to do, for a server that is due; or NULL. Then the queue may be gone. */
static struct nursery *take_first(struct nursery_server *s, struct nursery_worker *w)
{
	struct nursery *n = NULL;
	struct nursery_queue *q;
	enum look look;

	do {
		q = lock_queue(s);
		if (!q)
			return NULL;
		look = look_round(q, w, &n, true);
		if (look == LOOK_NOTHING && s->counted)
			q->nr_workers--;
		raw_spin_unlock_irq(&q->lock);
		if (look == LOOK_AGAIN)
			cpu_relax();
	} while (look == LOOK_AGAIN);
	return n;
}

/* Something else to do, for one that has children to count; or NULL, and off the books. */
static struct nursery *take_another(struct nursery_queue *q, struct nursery_worker *w,
				    bool counted, bool time_is_up)
{
	struct nursery *n = NULL;
	enum look look;

	do {
		raw_spin_lock_irq(&q->lock);
		if (time_is_up) {
			look = LOOK_NOTHING;
			if (!is_empty(q) && !q->due)
				ask(q);
		} else {
			look = look_round(q, w, &n, false);
		}
		if (look == LOOK_NOTHING && counted)
			q->nr_workers--;
		raw_spin_unlock_irq(&q->lock);
		if (look == LOOK_AGAIN)
			cpu_relax();
	} while (look == LOOK_AGAIN);
	return n;
}

/* For ps and for stack dumps: a thread is called as the nursery that it works for. */
void nursery_take_name(const char *name)
{
	task_lock(current);
	strscpy(current->comm, name, sizeof(current->comm));
	task_unlock(current);
}

/*
 * Work for a nursery until it has nothing more for this executor.
 *
 * Return: with nursery->lock held, as the count is still due.
 */
static void work_for(struct nursery *n, struct nursery_worker *w, const struct nursery_executor *e,
		     unsigned long end)
{
	struct nursery_queue *q = nursery_queue_of(e);
	bool took, more;

	for (;;) {
		nursery_worker_run(n, w);
		raw_spin_lock_irq(&n->lock);
		nursery_worker_over(n, w);
		/* What came one by one, or has moved: the rest is not this executor's. */
		if (n->executor != e || time_after(jiffies, end))
			return;
		took = nursery_worker_take(n, w);
		if (!took)
			return;
		more = nursery_worker_leaves_some(n, w);
		if (more && !READ_ONCE(q->due))
			nursery_queue_kick(e);
		raw_spin_unlock_irq(&n->lock);
	}
}

/**
 * nursery_queue_serve - do what there is to do for an executor
 * @s: who was asked to; the executor may have parted
 *
 * On return neither the executor nor any nursery is referred to.
 *
 * Context: Process context, no locks held.
 */
void nursery_queue_serve(struct nursery_server *s)
{
	struct nursery_worker workers[2], *w = &workers[0], *other = &workers[1];
	struct nursery_executor *e = READ_ONCE(s->executor);
	unsigned long end = jiffies + TURN;
	struct nursery *n, *next;

	nursery_worker_init(w);
	nursery_worker_init(other);
	/* If it finds something, the executor is there, and is what we have read. */
	n = take_first(s, w);
	while (n) {
		if (s->named)
			nursery_take_name(n->name);
		work_for(n, w, e, end);
		/* Time is up and there is more, or a place became free that is not for us. */
		nursery_offer(n);
		raw_spin_unlock_irq(&n->lock);

		/* Not counted yet, so nursery and queue are there. */
		next = take_another(&e->queue, other, s->counted, time_after(jiffies, end));

		raw_spin_lock_irq(&n->lock);
		nursery_worker_leave(n, w);
		raw_spin_unlock_irq(&n->lock);
		n = next;
		swap(w, other);
	}
}
