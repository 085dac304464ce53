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
 * One is asked for at a time. queue->due says that somebody was asked and has not
 * yet looked. A server that takes something while there is more offers that before it
 * runs anything. So the number of servers grows by one for each that had something to
 * do, a blocked child stalls nobody, and ten tiny children wake one worker and not ten.
 * A scheduler may put who was asked for behind who asked, and not see to it before its
 * next tick; so a worker that has been busy for longer than a wake-up takes, and sees
 * that nobody came, has one more sent to another CPU.
 *
 * Why no child is forgotten. Who leaves a child where others can take it, be it a
 * spawner or a worker with more than one in its slots, offers the nursery: it reads
 * that the nursery is LISTED, or lists it, and then that somebody is due, or asks. A
 * server first clears due, then looks everywhere; it takes a nursery off the list by
 * first clearing LISTED, then looking into it again. All steps are in that order by
 * full barriers. So either the offer finds the flag cleared, and asks or lists anew, or
 * the server finds the child. Whoever takes children away for a moment and puts them
 * back, offers them.
 *
 * A joiner that sleeps is woken by the offer, instead of asking: it is sure to come even
 * if the pool is saturated (I5), and offers again what it leaves. Not so one without room on
 * its stack: see scope.c.
 *
 * LISTED, without a lock: who sets the flag pushes the nursery on lane->incoming, in
 * any context. All else is done under lane->lock in task context. A nursery that is
 * listed cannot close, as its joiner takes it off the list first, under the lock.
 *
 * The queues of the module's own executors, which all share, have a lane for each CPU, so
 * that scopes which open and close on several CPUs do not meet. A nursery is
 * always listed in the lane of the CPU that opened it, which most often is the one that
 * joins it. Servers look at all lanes, each in its turn, and first whether there is
 * anything, without the lock. They cannot miss what they are to find: lane->nr is not less
 * than the nurseries that are LISTED and have left lane->incoming. It is raised before any
 * leaves that, by a full barrier, and lowered when the flag has been cleared for good. Who
 * has set the flag and not pushed the nursery yet looks at due afterwards.
 *
 * Lifetime. The queues of our own executors are there as long as the module. Those
 * of callers are there until the nurseries that use them have been joined. A server
 * that works for a nursery keeps it open and so the queue, see worker.c. One that was
 * asked and has not looked may come later than that: when a nursery that uses a caller's
 * queue has closed, that server is parted from it, if it has not begun to look; if it
 * has, it does nothing there that takes long, and is waited for.
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

/* server->executor: the server looks. */
#define LOOKS	1UL

static const struct cpumask *lanes_of(const struct nursery_queue *q)
{
	return q->lanes ? cpu_possible_mask : cpumask_of(0);
}

static struct nursery_lane *lane_at(struct nursery_queue *q, unsigned int cpu)
{
	return q->lanes ? per_cpu_ptr(q->lanes, cpu) : &q->lane;
}

static void lane_init(struct nursery_lane *lane)
{
	init_llist_head(&lane->incoming);
	raw_spin_lock_init(&lane->lock);
	lane->nr = 0;
	INIT_LIST_HEAD(&lane->nurseries);
}

void nursery_queue_init(struct nursery_queue *q,
			void (*ask)(struct nursery_executor *e, bool elsewhere),
			unsigned int limit, struct nursery_lane __percpu *lanes)
{
	unsigned int cpu;

	q->due = DUE_NOBODY;
	q->limit = limit;
	atomic_set(&q->nr_workers, 0);
	atomic_set(&q->nr_looking, 0);
	q->ask = ask;
	q->asked = NULL;
	q->spare = NULL;
	q->lanes = lanes;
	q->turn = 0;
	raw_spin_lock_init(&q->runners_lock);
	q->first = NULL;
	q->last = &q->first;
	INIT_LIST_HEAD(&q->lent);
	for_each_cpu(cpu, lanes_of(q))
		lane_init(lane_at(q, cpu));
}

static struct nursery_lane *lane_of(const struct nursery *n)
{
	return lane_at(nursery_queue_of(READ_ONCE(n->executor)), n->lane);
}

static struct nursery_executor *executor_of(struct nursery_queue *q)
{
	return container_of(q, struct nursery_executor, queue);
}

/*
 * Ask for a server if nobody is due. One will come, be it later: that is relied on.
 *
 * Context: Any; the executor is there.
 */
void nursery_queue_kick(const struct nursery_executor *e)
{
	struct nursery_queue *q = nursery_queue_of(e);

	if (!READ_ONCE(q->due) && !xchg(&q->due, DUE_ONE))
		q->ask(executor_of(q), false);
}

/*
 * The one who is due has not come for a while, and there is something to take: it may
 * wait for the CPU that asked, with others idle. Ask for another one there, once.
 *
 * Context: Any; the executor is there.
 */
void nursery_queue_hurry(const struct nursery_executor *e)
{
	struct nursery_queue *q = nursery_queue_of(e);

	/* The first one is still due, so this orders nothing: it settles who asks. */
	if (READ_ONCE(q->due) == DUE_ONE && cmpxchg(&q->due, DUE_ONE, DUE_ANOTHER) == DUE_ONE)
		q->ask(executor_of(q), true);
}

/* Put a nursery on the list of its queue. Context: Any. */
static void enlist(struct nursery *n)
{
	/* Who finds the flag set may wait for the nursery to come in: be quick. */
	preempt_disable();
	if (!(atomic64_fetch_or(NURSERY_LISTED, &n->state) & NURSERY_LISTED))
		llist_add(&n->incoming, &lane_of(n)->incoming);
	preempt_enable();
}

/* See nursery_offer(). */
void __nursery_offer(struct nursery *n, s64 state)
{
	const struct nursery_executor *e = READ_ONCE(n->executor);
	bool woke = false;

	if ((state & (NURSERY_WAITING | NURSERY_CRAMPED)) == NURSERY_WAITING &&
	    !(n->flags & NURSERY_NO_HELP))
		woke = nursery_wake_joiner(n);
	/* Executors of callers have been given theirs one by one. */
	if (!nursery_is_queue(e))
		return;
	if (!(state & NURSERY_LISTED))
		enlist(n);
	if (!woke)
		nursery_queue_kick(e);
}

/* Those that came in go on the list. Context: lane->lock held. */
static void take_in(struct nursery_lane *lane)
{
	struct llist_node *node, *next;
	unsigned int nr = lane->nr;

	if (llist_empty(&lane->incoming))
		return;
	/* Some, as it looks to others, before they leave the first list. */
	WRITE_ONCE(lane->nr, nr + 1);
	for (node = llist_reverse_order(llist_del_all(&lane->incoming)); node; node = next) {
		next = node->next;
		list_add_tail(&llist_entry(node, struct nursery, incoming)->listed,
			      &lane->nurseries);
		nr++;
	}
	WRITE_ONCE(lane->nr, nr);
}

/* It is LISTED no more. Context: lane->lock held. */
static void count_out(struct nursery_lane *lane)
{
	WRITE_ONCE(lane->nr, lane->nr - 1);
}

/* Context: Any. Without the lock it is a look: see above. */
static bool lane_is_empty(const struct nursery_lane *lane)
{
	if (!llist_empty(&lane->incoming))
		return false;
	smp_rmb();	/* pairs with the emptying of that in take_in() */
	return !READ_ONCE(lane->nr);
}

static bool is_empty(struct nursery_queue *q)
{
	unsigned int cpu;

	for_each_cpu(cpu, lanes_of(q))
		if (!lane_is_empty(lane_at(q, cpu)))
			return false;
	return !READ_ONCE(q->first);
}

/*
 * Is there something in a caller's queue? With the lock, so that nobody else is about to
 * find that a nursery which is still listed has nothing.
 *
 * Context: As part().
 * Return: false: somebody has the lock, and we must not wait.
 */
static bool look_at_rest(struct nursery_queue *q, bool wait, bool *some)
{
	if (wait)
		raw_spin_lock(&q->lane.lock);
	else if (!raw_spin_trylock(&q->lane.lock))
		return false;
	*some = !is_empty(q);
	raw_spin_unlock(&q->lane.lock);
	return true;
}

/*
 * A caller's queue may go: part from it who was asked. One that looks is waited for, if
 * @wait. For what others have in the queue another one is asked.
 *
 * Context: Any, if not @wait.
 * Return: whether nobody refers to the queue any more, but for what others have there. If
 *	   not, it may be that nobody is due.
 */
static bool part(struct nursery_executor *e, bool wait)
{
	struct nursery_queue *q = &e->queue;
	struct nursery_server *s;
	bool waited, some;

	for (;;) {
		/* First, as who sends it one sets q->asked before. */
		waited = nursery_executor_sate(e);
		s = READ_ONCE(q->asked);
		if (!waited && !s && !atomic_read_acquire(&q->nr_looking))
			return true;
		if (waited ||
		    (s && cmpxchg(&s->executor, (unsigned long)e, 0) == (unsigned long)e)) {
			WRITE_ONCE(q->asked, NULL);
			/* Fully ordered, then the look: as a server does. */
			xchg(&q->due, DUE_NOBODY);
			if (!look_at_rest(q, wait, &some))
				return false;
			if (!some)
				continue;	/* others may look */
			nursery_queue_kick(e);
			/*
			 * Those that we saw may have closed before that server was asked,
			 * and so not have parted from it. If one is there now it will: first
			 * q->asked is written, then the list looked at; who closes takes his
			 * nursery off the list, and then looks at q->asked.
			 */
			smp_mb();
			if (!look_at_rest(q, wait, &some))
				return false;
			if (some)
				return true;
			continue;
		}
		/* It looks, or is about to. */
		if (!wait)
			return false;
		cpu_relax();
	}
}

/*
 * A nursery has closed, and with it a caller's executor may go. A server that has just
 * taken the nursery off the list may still hold the queue's lock: it is waited for.
 *
 * Context: Process context; the executor is a queue.
 */
void nursery_queue_leave(const struct nursery_executor *e)
{
	if (e->queue.limit)
		return;
	/* Asks anew for nurseries that go on using it. */
	part((struct nursery_executor *)e, true);
}

/*
 * nursery_executor_ops.submit of our executors: a child of a nursery that has another.
 *
 * Context: nursery->lock held.
 */
void nursery_queue_submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct nursery_queue *q = nursery_queue_of(e);

	raw_spin_lock(&q->runners_lock);
	r->node.next = NULL;
	/* The first of them is looked at without the lock. */
	WRITE_ONCE(*q->last, &r->node);
	q->last = &r->node.next;
	raw_spin_unlock(&q->runners_lock);
	/* Between what is put there and the look at due, as with an offer. */
	smp_mb();
	nursery_queue_kick(e);
}

/* Who looks at this moment may have missed it. Context: queue->runners_lock held. */
static void put_back(struct nursery_queue *q, struct nursery_runner *r)
{
	r->node.next = q->first;
	if (!q->first)
		q->last = &r->node.next;
	WRITE_ONCE(q->first, &r->node);
	/* As in submit. */
	smp_mb();
	nursery_queue_kick(executor_of(q));
}

/*
 * And retract. The runner is found from the front: joiners take the oldest first. A
 * server that looks at this moment takes it itself.
 *
 * Context: nursery->lock held.
 */
bool nursery_queue_retract(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct nursery_queue *q = nursery_queue_of(e);
	struct llist_node **at;
	bool found = false;

	raw_spin_lock(&q->runners_lock);
	for (at = &q->first; *at; at = &(*at)->next) {
		if (*at != &r->node)
			continue;
		/* A shortcut: part() would find it, too. */
		if (!q->limit && atomic_read(&q->nr_looking))
			break;
		WRITE_ONCE(*at, r->node.next);
		if (q->last == &r->node.next)
			q->last = at;
		found = true;
		break;
	}
	if (found && !q->limit) {
		/*
		 * Out, then parted. Pairs with part(): who asks for a server because of
		 * this child looks again.
		 */
		smp_mb();
		found = part((struct nursery_executor *)e, false);
		if (!found)
			put_back(q, r);
	}
	raw_spin_unlock(&q->runners_lock);
	return found;
}

/* Take the first of those that came one by one. */
static struct nursery *take_runner(struct nursery_queue *q, struct nursery_worker *w)
{
	struct nursery_child *c;
	struct llist_node *node;
	struct nursery *n;
	unsigned long flags;

	if (!READ_ONCE(q->first))
		return NULL;
	raw_spin_lock_irqsave(&q->runners_lock, flags);
	node = q->first;
	if (node) {
		WRITE_ONCE(q->first, node->next);
		if (!q->first)
			q->last = &q->first;
	}
	raw_spin_unlock_irqrestore(&q->runners_lock, flags);
	if (!node)
		return NULL;
	/* It cannot be retracted any more, so it is ours, and keeps its nursery. */
	c = container_of(node, struct nursery_child, runner.node);
	n = c->nursery;
	raw_spin_lock_irqsave(&n->lock, flags);
	nursery_worker_add(n, w);
	nursery_child_start(n, w, c);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return n;
}

/* Take children of this nursery. Context: lane->lock held, the nursery is listed. */
static bool visit(struct nursery *n, struct nursery_worker *w)
{
	unsigned long flags;
	bool took;

	/* The same look as in has_some(), which follows. */
	if (!n->max_active && !nursery_ready_any(n) &&
	    !(atomic64_read(&n->state) & NURSERY_SPREAD))
		return false;
	raw_spin_lock_irqsave(&n->lock, flags);
	nursery_worker_add(n, w);
	took = nursery_worker_take_locked(n, w);
	if (!took)
		hlist_del_init(&w->node);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (!took)
		nursery_uncount(n, 1);
	return took;
}

/* Has it something to take after all? */
static bool has_some(struct nursery *n)
{
	unsigned long flags;
	bool some;

	if (!n->max_active && nursery_ready_any(n))
		return true;
	/* Who takes the flag back for a moment and finds some offers them. */
	if (!n->max_active && !(atomic64_read(&n->state) & NURSERY_SPREAD))
		return false;
	raw_spin_lock_irqsave(&n->lock, flags);
	if (n->max_active)
		some = nursery_has_turn(n);
	else
		some = nursery_workers_have_some(n);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return some;
}

/*
 * Nothing to take here: off the list, but for what comes at this moment.
 *
 * Context: lane->lock held.
 */
static void unlist_empty(struct nursery_lane *lane, struct nursery *n)
{
	/* Counted meanwhile: when it is not listed any more it might close. */
	atomic64_add(NURSERY_COUNT, &n->state);
	list_del(&n->listed);
	atomic64_fetch_andnot(NURSERY_LISTED, &n->state);
	/* Fully ordered, then the look: either an offer sees the one or we see the other. */
	if (has_some(n) && !(atomic64_fetch_or(NURSERY_LISTED, &n->state) & NURSERY_LISTED))
		list_add_tail(&n->listed, &lane->nurseries);
	else
		count_out(lane);
	nursery_uncount(n, 1);
}

/*
 * The joiner has ended @finished children that are still counted, and wants to close.
 *
 * First the look, then take_in(): who set LISTED and is not counted any more has pushed
 * the nursery. One that is counted may be about to. A spawner who comes from here on may
 * have seen LISTED, so this looks at the count again.
 *
 * Context: Process context; the caller joins the nursery.
 */
void nursery_queue_unlist(struct nursery *n, unsigned int finished)
{
	struct nursery_lane *lane = lane_of(n);
	s64 state;

	raw_spin_lock(&lane->lock);
	state = atomic64_read(&n->state);
	if (state & NURSERY_LISTED && nursery_count(state) == finished) {
		take_in(lane);
		list_del(&n->listed);
		/*
		 * Fully ordered: who spawns from outside has counted in before this, and we
		 * see it, or will find the flag cleared.
		 */
		state = atomic64_fetch_andnot(NURSERY_LISTED, &n->state);
		if (nursery_count(state) != finished &&
		    !(atomic64_fetch_or(NURSERY_LISTED, &n->state) & NURSERY_LISTED))
			list_add_tail(&n->listed, &lane->nurseries);
		else
			count_out(lane);
	}
	raw_spin_unlock(&lane->lock);
}

/* Find something to do in one lane. @more: set if there may be more, in other nurseries. */
static struct nursery *look_at_lane(struct nursery_lane *lane, struct nursery_worker *w,
				    bool *more)
{
	struct nursery *n, *next, *found = NULL;

	raw_spin_lock(&lane->lock);
	take_in(lane);
	list_for_each_entry_safe(n, next, &lane->nurseries, listed) {
		if (visit(n, w)) {
			/* The next to come starts with another nursery. */
			list_move_tail(&n->listed, &lane->nurseries);
			found = n;
			*more = lane->nurseries.next != &n->listed;
			break;
		}
		unlist_empty(lane, n);
	}
	raw_spin_unlock(&lane->lock);
	return found;
}

/*
 * Go round: find something to do. What there is beside that is offered by those who
 * took it, or here.
 *
 * Context: Process context.
 */
static struct nursery *look_round(struct nursery_queue *q, struct nursery_worker *w)
{
	/* Once: who changed it while we go round would have us miss lanes. */
	unsigned int start = READ_ONCE(q->turn), cpu;
	struct nursery *n = take_runner(q, w);
	bool more = n && !is_empty(q);

	if (!n) {
		for_each_cpu_wrap(cpu, lanes_of(q), start) {
			struct nursery_lane *lane = lane_at(q, cpu);

			if (lane_is_empty(lane))
				continue;
			/* The next to come starts with another lane, too, if there is one. */
			WRITE_ONCE(q->turn, cpu);
			if (n) {
				more = true;
				break;
			}
			n = look_at_lane(lane, w, &more);
		}
	}
	if (more)
		nursery_queue_kick(executor_of(q));
	return n;
}

/*
 * The first thing to do, for a server that is due; or NULL. Then the executor may be
 * gone. While it looks it is not to be preempted: somebody may wait for that.
 */
static struct nursery *take_first(struct nursery_server *s, struct nursery_worker *w,
				  struct nursery_executor *e)
{
	struct nursery_queue *q = &e->queue;
	struct nursery *n = NULL;

	preempt_disable();
	/* Parted, unless this works; then who parts waits for the end of the look. */
	if (cmpxchg(&s->executor, (unsigned long)e, (unsigned long)e | LOOKS) ==
	    (unsigned long)e) {
		atomic_inc(&q->nr_looking);
		if (!q->limit)
			cmpxchg(&q->asked, s, NULL);
		/* Fully ordered, then the look: see above. */
		xchg(&q->due, DUE_NOBODY);
		n = look_round(q, w);
		if (!n && s->counted)
			atomic_dec(&q->nr_workers);
		/* The last access, if there was nothing. */
		atomic_dec_return_release(&q->nr_looking);
	}
	preempt_enable();
	return n;
}

/* For ps and for stack dumps: a thread is called as the nursery that it works for. */
void nursery_take_name(const char *name)
{
	task_lock(current);
	strscpy(current->comm, name, sizeof(current->comm));
	task_unlock(current);
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
	unsigned long end = (jiffies + TURN) ?: 1;
	struct nursery_executor *e = (struct nursery_executor *)READ_ONCE(s->executor);
	struct nursery *n, *next;

	nursery_worker_init(w, e);
	nursery_worker_init(other, e);
	w->end = end;
	other->end = end;
	n = e ? take_first(s, w, e) : NULL;
	while (n) {
		if (s->named)
			nursery_take_name(n->name);
		do {
			nursery_worker_run(n, w);
			nursery_worker_over(n, w);
			/* If it came one by one, the others are not this executor's. */
		} while (n->executor == e && !time_after(jiffies, end) &&
			 nursery_worker_take(n, w));
		nursery_offer_rest(n);

		/* We are counted, so nursery and queue are there. */
		next = NULL;
		if (!time_after(jiffies, end))
			next = look_round(&e->queue, other);
		else if (!is_empty(&e->queue))
			nursery_queue_kick(e);
		if (!next && s->counted)
			atomic_dec(&e->queue.nr_workers);
		/* A caller's, to which children came one by one: nobody else parts from it. */
		if (!next && !e->queue.limit && is_empty(&e->queue))
			part(e, true);
		nursery_worker_leave(n, w);
		n = next;
		swap(w, other);
	}
}
