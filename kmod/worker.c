// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: who runs children.
 *
 * A work item, a thread and a joiner that helps do the same: take a chunk of a
 * nursery's children, run one after the other, come back for the next chunk, and
 * leave when there is none. While a worker has ended children that it has not yet
 * counted, the nursery stays open, and with it everything that the worker needs:
 * so it counts them last, when it leaves, under nursery->lock, and then touches
 * neither the nursery nor its executor again.
 *
 * A child is ended only after worker->child has moved on to the next. So whoever
 * finds a child there, under worker->lock, has one that is not yet finished and
 * whose memory is there.
 *
 * Before a worker starts a child while others are left in its batch, somebody is
 * on the way to look after those: the child may block. See queue.c for who.
 *
 * A child gets the context of the worker. A joiner's is that of a task, with its
 * credentials, its memory-allocation scope, its priority and its cgroup; none of
 * it may be changed for longer than the child runs.
 */
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

#include "internal.h"

/*
 * What running a child takes of the stack, and the same again for its callees.
 * Documentation/core-api/nursery.rst has what a level of nesting was measured to
 * take.
 */
#define HELP_STACK	(THREAD_SIZE / 2)

/* What a child must leave as it was. */
#define SCOPE_FLAGS	(PF_MEMALLOC | PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO | PF_MEMALLOC_PIN)

/* May this task run one more child on top of what it has on its stack? */
bool nursery_room_to_help(void)
{
	unsigned long here = (unsigned long)&here;

	return nursery_dep_room() &&
	       here - (unsigned long)end_of_stack(current) > HELP_STACK;
}

void nursery_worker_init(struct nursery_worker *w)
{
	raw_spin_lock_init(&w->lock);
	w->finished = 0;
	w->batch = NULL;
	w->child = NULL;
	w->task = current;
	INIT_HLIST_NODE(&w->node);
}

/* From here on a cancel marks the child and calls its handlers. */
static void start(struct nursery_worker *w, struct nursery_child *c)
{
	c->handlers = NULL;
	c->pins = 0;
	atomic_set(&c->state, (atomic_read(&c->state) & ~CHILD_PHASE) | CHILD_RUNNING);
	w->child = c;
}

/*
 * Have @w start a child that is on no list any more.
 *
 * Context: nursery->lock held, which keeps others from looking at @w; @w is
 * between two children.
 */
void nursery_worker_start(struct nursery *n, struct nursery_worker *w, struct nursery_child *c)
{
	start(w, c);
	if (hlist_unhashed(&w->node))
		hlist_add_head(&w->node, &n->workers);
}

/* Half of what another worker has not started. Context: nursery->lock held. */
static struct nursery_child *steal(struct nursery *n, struct nursery_worker *w)
{
	struct nursery_child *ring = NULL;
	struct nursery_worker *other;

	hlist_for_each_entry(other, &n->workers, node) {
		/* A look: what is put there later is put there under nursery->lock. */
		if (other == w || !READ_ONCE(other->batch))
			continue;
		raw_spin_lock(&other->lock);
		if (other->batch)
			ring = nursery_ring_split(&other->batch);
		raw_spin_unlock(&other->lock);
		if (ring)
			break;
	}
	return ring;
}

/*
 * Is there something to take, for others than @w? A bound is not looked at.
 *
 * Context: nursery->lock held.
 */
bool nursery_worker_leaves_some(const struct nursery *n, const struct nursery_worker *w)
{
	const struct nursery_worker *other;

	if (w->batch || !list_empty(&n->ready))
		return true;
	/* What is left where @w has stolen. The newest come first, and have most. */
	hlist_for_each_entry(other, &n->workers, node)
		if (READ_ONCE(other->batch))
			return true;
	return false;
}

/*
 * Take children to run, and start the first.
 *
 * Context: nursery->lock held; @w has run all that it had.
 * Return: whether there were any.
 */
bool nursery_worker_take(struct nursery *n, struct nursery_worker *w)
{
	struct nursery_child *ring;

	if (!list_empty(&n->ready)) {
		if (n->max_active && n->nr_active >= n->max_active)
			return false;
		ring = nursery_ready_take(n);
		if (n->max_active)
			n->nr_active++;
	} else {
		ring = steal(n, w);
		if (!ring)
			return false;
	}
	w->batch = ring;
	nursery_worker_start(n, w, nursery_ring_pop(&w->batch));
	return true;
}

/* The next child of the batch, started, or NULL. */
static struct nursery_child *next_child(struct nursery *n, struct nursery_worker *w)
{
	const struct nursery_executor *e = READ_ONCE(n->executor);
	struct nursery_child *c = NULL;
	bool kick = false;

	raw_spin_lock_irq(&w->lock);
	if (w->batch) {
		c = nursery_ring_pop(&w->batch);
		start(w, c);
		/* Inside the lock: see queue.c for what this pairs with. */
		kick = w->batch && !READ_ONCE(e->queue.due);
	} else {
		w->child = NULL;
	}
	raw_spin_unlock_irq(&w->lock);
	if (kick)
		nursery_queue_kick(e);
	return c;
}

/* A child must leave its worker as it found it: the next child's context is the same. */
static void check_context(struct nursery_child *c, const struct cred *cred, unsigned int scope,
			  int preempt)
{
	if (likely(current_cred() == cred && (current->flags & SCOPE_FLAGS) == scope &&
		   preempt_count() == preempt))
		return;
	WARN_ONCE(1, "nursery: child %ps left its worker with other credentials, another memory-allocation scope or in atomic context\n",
		  c->fn);
	current->flags = (current->flags & ~SCOPE_FLAGS) | scope;
	preempt_count_set(preempt);
	if (current_cred() != cred)
		revert_creds(cred);
}

static int run(struct nursery *n, struct nursery_child *c)
{
	unsigned int scope = current->flags & SCOPE_FLAGS;
	const struct cred *cred = current_cred();
	int preempt = preempt_count();
	bool looked_at;
	int result;

	if (nursery_child_cancelled(c))
		return -ECANCELED;
	looked_at = nursery_dep_acquire(n);
	result = c->fn(c);
	if (looked_at)
		nursery_dep_release(n);
	check_context(c, cred, scope, preempt);
	return result;
}

/*
 * Run what was started and all of the batch. Each child is ended here.
 *
 * Context: Process context, no locks held.
 */
void nursery_worker_run(struct nursery *n, struct nursery_worker *w)
{
	struct nursery_child *c = w->child, *next;
	int result;

	do {
		result = run(n, c);
		next = next_child(n, w);
		nursery_child_end(n, c, result);
		/* Written here alone; a listing that reads it may be late. */
		WRITE_ONCE(w->finished, w->finished + 1);
		c = next;
	} while (c);
}

/*
 * To be called once after each nursery_worker_run(), to give back the place that
 * the child had. With a bound a batch is one child.
 *
 * Context: nursery->lock held.
 */
void nursery_worker_over(struct nursery *n, struct nursery_worker *w)
{
	if (!n->max_active)
		return;
	n->nr_active--;
	nursery_submit_waiting(n);
}

/*
 * @w takes no more here: count what it ended. If those were the last, the nursery
 * may be gone when nursery->lock is dropped, and so may be its executor.
 *
 * Context: nursery->lock held.
 */
void nursery_worker_leave(struct nursery *n, struct nursery_worker *w)
{
	hlist_del_init(&w->node);
	nursery_uncount(n, w->finished);
	w->finished = 0;
}
