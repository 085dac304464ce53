// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: who runs children.
 *
 * A work item, a thread and a joiner that helps do the same: take a chunk of a
 * nursery's children into the slots of a struct nursery_worker, run one after the
 * other, come back for the next chunk, and leave when there is none. A worker counts
 * itself in nursery->state, and the children that it has ended as well until it leaves. So
 * the nursery stays open, and with it everything that the worker needs, up to the moment
 * when it counts them all down at once; then it touches neither the nursery nor its
 * executor again.
 *
 * worker->range says what is in the slots: those from "next" to "end" are to be
 * started, and if RUNNING is set the one before "next" has been started and not
 * ended. The worker goes on with a cmpxchg that at once takes the running child out
 * and starts the next. Others change the word under nursery->lock, also by cmpxchg:
 * they take children away at the end, to run them or to cancel them, and with
 * HELD they make the worker stop at its next step, until they let go of the lock: so
 * the running child that they look at does not finish and its memory is there. That
 * is the only lock a worker meets, and only if somebody is interested in its child.
 *
 * A worker that takes more than one child makes sure that somebody is on the way to look
 * after the others, before it starts the first: that may block. See queue.c.
 *
 * A cancel first marks the nursery, then takes away what workers have. A worker first
 * shows what it has taken, then looks for the mark, before it starts any of it. Both
 * steps of each are in this order by full barriers, so one of the two sees the other.
 *
 * A child gets the context of the worker. A joiner's is that of a task, with its
 * credentials, its memory-allocation scope, its priority and its cgroup; none of
 * it may be changed for longer than the child runs.
 */
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/prefetch.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/sched/task_stack.h>

#include "end.h"
#include "internal.h"

/*
 * What running a child takes of the stack, and the same again for its callees.
 * Documentation/core-api/nursery.rst has what a level of nesting was measured to
 * take.
 */
#define HELP_STACK	(THREAD_SIZE / 2)

/* What a child must leave as it was. */
#define SCOPE_FLAGS	(PF_MEMALLOC | PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO | PF_MEMALLOC_PIN)

/* In ns: longer than it takes to wake a CPU, and time for hundreds of short children. */
#define PATIENCE	(20 * NSEC_PER_USEC)

/* worker->range */
#define RANGE_NEXT(range)	((range) & 0xff)
#define RANGE_END(range)	((range) >> 8 & 0xff)
#define RANGE(next, end)	((next) | (end) << 8)
#define RANGE_RUNNING		BIT(16)
#define RANGE_HELD		BIT(17)
#define RANGE_FLAGS		(RANGE_RUNNING | RANGE_HELD)

/* child->state: something is to be looked at before its function is called. */
#define CHILD_SPECIAL	(NURSERY_CHILD_CANCELLED | CHILD_SERVICE | CHILD_STARTED | CHILD_UNPARKED)

/* May this task run one more child on top of what it has on its stack? */
bool nursery_room_to_help(void)
{
	unsigned long here = (unsigned long)&here;

	return nursery_dep_room() &&
	       here - (unsigned long)end_of_stack(current) > HELP_STACK;
}

void nursery_worker_init(struct nursery_worker *w, const struct nursery_executor *e)
{
	atomic_set(&w->range, 0);
	w->finished = 0;
	w->executor = e;
	w->end = 0;
	w->since = 0;
	w->task = current;
	INIT_HLIST_NODE(&w->node);
}

/*
 * From here on others see what it has. It counts itself, as all that it takes may be
 * taken from it again.
 *
 * Context: nursery->lock held; the nursery is kept by the caller.
 */
void nursery_worker_add(struct nursery *n, struct nursery_worker *w)
{
	atomic64_add(NURSERY_COUNT, &n->state);
	w->finished = 1;
	w->since = 0;
	hlist_add_head(&w->node, &n->workers);
}

/* Others see from here on what is in the slots. Fully ordered: see the cancel above. */
static void show(struct nursery_worker *w, unsigned int nr)
{
	atomic_xchg(&w->range, RANGE(0, nr));
}

/* Others may take some of what @w has. Context: Any; shown. Fully ordered, or was set. */
static void spread(struct nursery *n, struct nursery_worker *w)
{
	if (!(atomic64_read(&n->state) & NURSERY_SPREAD))
		atomic64_fetch_or(NURSERY_SPREAD, &n->state);
	if (!w->since)
		w->since = ktime_get_mono_fast_ns();
}

/*
 * Have @w run a child that the caller has taken. It counts as started, and nobody else
 * takes it: its spawner, or who joins just this child, waits for @w and not for it.
 *
 * Context: @w is between two batches.
 */
void nursery_worker_give(struct nursery_worker *w, struct nursery_child *c)
{
	c->opened = NULL;
	w->slots[0] = c;
	/* Fully ordered, as show(). */
	atomic_xchg(&w->range, RANGE(1, 1) | RANGE_RUNNING);
}

/* What nursery_worker_give() gave, or NULL. Context: the worker itself. */
static struct nursery_child *given(struct nursery_worker *w)
{
	int range = atomic_read(&w->range);

	return range & RANGE_RUNNING ? w->slots[RANGE_NEXT(range) - 1] : NULL;
}

/* Take what nobody has taken. Context: Any; what @w has is seen by others. */
static bool take_ready(struct nursery *n, struct nursery_worker *w)
{
	struct llist_node *list = nursery_ready_grab(n);
	unsigned int nr = 0;

	if (!list)
		return false;
	do {
		struct nursery_child *c = nursery_linked(list);

		w->slots[nr++] = c;
		list = list->next;
		c->opened = NULL;
	} while (list && nr < NURSERY_CHUNK);
	if (list)
		nursery_ready_put(n, list);
	show(w, nr);
	/* For whoever looked in vain meanwhile, or finds none in the nursery later on. */
	if (nr > 1)
		spread(n, w);
	/* Others may have some left, too: it was for those that we were asked to come. */
	if (nr > 1 || nursery_ready_any(n) || atomic64_read(&n->state) & NURSERY_SPREAD)
		nursery_offer(n);
	return true;
}

/* Does @w have children that are not started? Context: nursery->lock held. */
static bool has_some(struct nursery_worker *w)
{
	int range = atomic_read(&w->range);

	return RANGE_NEXT(range) != RANGE_END(range);
}

/* Take half of what another one has not started. Context: nursery->lock held. */
static bool steal(struct nursery *n, struct nursery_worker *w)
{
	struct nursery_worker *other;
	bool more;

	if (!(atomic64_fetch_andnot(NURSERY_SPREAD, &n->state) & NURSERY_SPREAD))
		return false;
	/* Fully ordered, then the look: what is shown from now on is spread anew. */
	for (other = nursery_first_worker(n); other; other = nursery_next_worker(n, other)) {
		int old = atomic_read(&other->range);
		unsigned int next, end, nr;

		if (other == w)
			continue;
		do {
			next = RANGE_NEXT(old);
			end = RANGE_END(old);
			nr = (end - next + 1) / 2;
		} while (nr && !atomic_try_cmpxchg(&other->range, &old,
						   (old & RANGE_FLAGS) | RANGE_HELD |
						   RANGE(next, end - nr)));
		if (!nr)
			continue;
		/* Held, so it does not fill its slots anew meanwhile. */
		memcpy(w->slots, &other->slots[end - nr], nr * sizeof(w->slots[0]));
		nursery_worker_release(other);
		show(w, nr);
		/* There may be more: here, there and with those that we have not come to. */
		for (more = nr > 1; other && !more; other = nursery_next_worker(n, other))
			more = other != w && has_some(other);
		if (more) {
			spread(n, w);
			nursery_offer(n);
		}
		return true;
	}
	return false;
}

/* Take children that were parked, and whose time has come. Context: nursery->lock held. */
static bool take_due(struct nursery *n, struct nursery_worker *w)
{
	unsigned int nr = nursery_take_due(n, w->slots, NURSERY_CHUNK), i;

	if (!nr)
		return false;
	for (i = 0; i < nr; i++)
		w->slots[i]->opened = NULL;
	show(w, nr);
	if (nr > 1)
		spread(n, w);
	if (nr > 1 || nursery_ready_any(n))
		nursery_offer(n);
	return true;
}

/* With a bound, those queue behind others. Context: nursery->lock held. */
static void queue_due(struct nursery *n)
{
	struct nursery_child *due[NURSERY_CHUNK];
	unsigned int i, nr;

	nr = nursery_take_due(n, due, NURSERY_CHUNK);
	for (i = 0; i < nr; i++)
		nursery_child_queue(n, due[i], n->executor);
}

/* With a bound: the child whose turn it is. Context: nursery->lock held. */
static bool take_in_order(struct nursery *n, struct nursery_worker *w)
{
	struct nursery_child *c;

	queue_due(n);
	if (list_empty(&n->ready) || !nursery_has_place(n))
		return false;
	c = list_first_entry(&n->ready, struct nursery_child, node);
	list_del(&c->node);
	n->nr_active++;
	c->handlers = NULL;
	c->pins = 0;
	c->opened = NULL;
	child_set_phase(c, CHILD_LIVE);
	w->slots[0] = c;
	show(w, 1);
	if (nursery_has_turn(n))
		nursery_offer(n);
	return true;
}

/*
 * Take children to run. Context: nursery->lock held; @w has run all that it had.
 * Return: whether there were any.
 */
bool nursery_worker_take_locked(struct nursery *n, struct nursery_worker *w)
{
	if (n->max_active)
		return take_in_order(n, w);
	return take_ready(n, w) || take_due(n, w) || steal(n, w);
}

/* The same, without nursery->lock held. Context: Process context. */
bool nursery_worker_take(struct nursery *n, struct nursery_worker *w)
{
	bool took;

	if (!n->max_active) {
		if (take_ready(n, w))
			return true;
		/* A look: who spreads some later offers them. */
		if (!(atomic64_read(&n->state) & (NURSERY_SPREAD | NURSERY_DUE)))
			return false;
	}
	raw_spin_lock_irq(&n->lock);
	took = nursery_worker_take_locked(n, w);
	raw_spin_unlock_irq(&n->lock);
	return took;
}

/* Has anybody children that are not started? Context: nursery->lock held. */
bool nursery_workers_have_some(struct nursery *n)
{
	struct nursery_worker *w;

	if (!(atomic64_read(&n->state) & NURSERY_SPREAD))
		return false;
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w))
		if (has_some(w))
			return true;
	return false;
}

/* Take away what @w has not started, as a list; @flags are set in its range meanwhile. */
static struct llist_node *disown(struct nursery_worker *w, int flags)
{
	int old = atomic_read(&w->range);
	struct llist_node *list = NULL;
	unsigned int i;

	do {
	} while (!atomic_try_cmpxchg(&w->range, &old, (old & RANGE_FLAGS) | flags |
				     RANGE(RANGE_NEXT(old), RANGE_NEXT(old))));
	for (i = RANGE_END(old); i > RANGE_NEXT(old); i--) {
		w->slots[i - 1]->link.next = list;
		list = &w->slots[i - 1]->link;
	}
	return list;
}

/*
 * The same for others. Held, so that it does not fill its slots anew before they have
 * been read.
 *
 * Context: nursery->lock held.
 */
struct llist_node *nursery_worker_disown(struct nursery_worker *w)
{
	struct llist_node *list = disown(w, RANGE_HELD);

	nursery_worker_release(w);
	return list;
}

/*
 * The child that @w runs, or NULL. It does not end before nursery_worker_release().
 *
 * Context: nursery->lock held until then.
 */
struct nursery_child *nursery_worker_hold(struct nursery_worker *w)
{
	int old = atomic_read(&w->range);

	do {
		if (!(old & RANGE_RUNNING))
			return NULL;
	} while (!atomic_try_cmpxchg(&w->range, &old, old | RANGE_HELD));
	return w->slots[RANGE_NEXT(old) - 1];
}

void nursery_worker_release(struct nursery_worker *w)
{
	/* A release, so that @w finds what was done to the child. */
	atomic_fetch_andnot_release(RANGE_HELD, &w->range);
}

/*
 * The joiner, if it is not beyond closing the nursery. It does not leave before
 * nursery->lock is dropped.
 *
 * Context: nursery->lock held.
 */
struct nursery_worker *nursery_look_at_joiner(struct nursery *n)
{
	s64 old = atomic64_read(&n->state);

	/* With ASYNC it is something else. */
	if (!READ_ONCE(n->joiner))
		return NULL;
	do {
		if (old & (NURSERY_CLOSED | NURSERY_ASYNC))
			return NULL;
	} while (!atomic64_try_cmpxchg(&n->state, &old, old | NURSERY_HELD));
	return READ_ONCE(n->joiner);
}

/* Somebody holds what we run: wait until he lets go of the lock. */
static noinline int wait_for_holder(struct nursery *n, struct nursery_worker *w)
{
	raw_spin_lock_irq(&n->lock);
	raw_spin_unlock_irq(&n->lock);
	return atomic_read(&w->range);
}

/* Once in each batch, before its second child: has somebody come for the others? */
static noinline void hurry(struct nursery_worker *w)
{
	if (w->since && ktime_get_mono_fast_ns() - w->since > PATIENCE)
		nursery_queue_hurry(w->executor);
}

/* Take the running child out and start the next one, or return NULL. */
static __always_inline struct nursery_child *step(struct nursery *n, struct nursery_worker *w)
{
	int old = atomic_read(&w->range), new;
	unsigned int next, end;

	for (;;) {
		if (unlikely(old & RANGE_HELD)) {
			old = wait_for_holder(n, w);
			continue;
		}
		next = RANGE_NEXT(old);
		end = RANGE_END(old);
		new = next == end ? RANGE(next, end) : RANGE(next + 1, end) | RANGE_RUNNING;
		/* Fully ordered: the child's end (R10). */
		if (likely(atomic_try_cmpxchg(&w->range, &old, new)))
			break;
	}
	if (next == end)
		return NULL;
	if (next + 1 != end) {
		prefetchw(w->slots[next + 1]);
		if (unlikely(next == 1))
			hurry(w);
	}
	return w->slots[next];
}

/* What a child finds, and must leave as it was: the next child's is the same. */
struct context {
	const struct cred	*cred;
	unsigned int		scope;		/* of memory allocation */
	int			preempt;
};

static __always_inline struct context get_context(void)
{
	return (struct context) {
		.cred		= current_cred(),
		.scope		= current->flags & SCOPE_FLAGS,
		.preempt	= preempt_count(),
	};
}

static noinline void restore_context(struct nursery_child *c, struct context context)
{
	WARN_ONCE(1, "nursery: child %ps left its worker with other credentials, another memory-allocation scope or in atomic context\n",
		  c->fn);
	current->flags = (current->flags & ~SCOPE_FLAGS) | context.scope;
	preempt_count_set(context.preempt);
	if (current_cred() != context.cred)
		revert_creds(context.cred);
}

static __always_inline int call(struct nursery *n, struct nursery_child *c,
				struct context context)
{
	bool looked_at;
	int result;

	looked_at = nursery_dep_acquire(n);
	result = c->fn(c);
	if (looked_at)
		nursery_dep_release(n);
	if (unlikely(current_cred() != context.cred || preempt_count() != context.preempt ||
		     (current->flags & SCOPE_FLAGS) != context.scope))
		restore_context(c, context);
	return result;
}

/* A child that may not be to be called, or not like others. */
static noinline int call_special(struct nursery *n, struct nursery_worker *w,
				 struct nursery_child *c, struct context context)
{
	bool is_service = child_is_service(c);
	int result = -ECANCELED;

	if (nursery_child_starts(n, c)) {
		if (is_service)
			nursery_service_begin(n, w);
		result = call(n, c, context);
		if (is_service)
			nursery_service_end(n, w);
	}
	if (is_service)
		nursery_service_give_place(n);
	return result;
}

static __always_inline int run(struct nursery *n, struct nursery_worker *w,
			       struct nursery_child *c, struct context context)
{
	if (unlikely(atomic_read(&c->state) & CHILD_SPECIAL))
		return call_special(n, w, c, context);
	return call(n, c, context);
}

/* The turn is over: what has not been started is for the next to come. */
static noinline void give_back(struct nursery *n, struct nursery_worker *w)
{
	struct llist_node *list = disown(w, 0);

	if (!list)
		return;
	nursery_ready_put(n, list);
	nursery_offer(n);
}

/*
 * Run a child that has been shown as running, and end it after it has been taken out.
 *
 * Return: the next one, shown as running; or NULL.
 */
static __always_inline struct nursery_child *run_one(struct nursery *n, struct nursery_worker *w,
						     struct nursery_child *c,
						     struct context context)
{
	struct nursery_child *next;
	int result = run(n, w, c, context);

	if (unlikely(w->end && time_after(jiffies, w->end)))
		give_back(n, w);
	/* As long as it is shown: in between a cancel of it would find neither. */
	if (unlikely(result == NURSERY_PARK && c->opened))
		nursery_tree_park(n, c);
	next = step(n, w);
	if (unlikely(result == NURSERY_PARK)) {
		nursery_child_park(n, c);
		return next;
	}
	child_end(n, c, result);
	/* Written here alone; a listing that reads it may be late. */
	WRITE_ONCE(w->finished, w->finished + 1);
	return next;
}

/* The nursery is cancelled. What has not been started does not start; nor do others come. */
static noinline void run_cancelled(struct nursery *n, struct nursery_worker *w)
{
	struct context context = get_context();
	struct nursery_child *c = given(w);
	struct llist_node *list, *next;

	list = disown(w, 0);
	w->finished += nursery_children_skip(n, &list);
	if (c && !nursery_is_parked_service(n, c))
		nursery_child_tell(c);
	/* Then those that had parked: they see that they are cancelled. */
	while (c || list) {
		if (!c) {
			next = list->next;
			c = nursery_linked(list);
			list = next;
			nursery_child_tell(c);
			nursery_worker_give(w, c);
		}
		run_one(n, w, c, context);
		c = NULL;
	}
}

/*
 * Run all that is in the slots, or up to worker->end.
 *
 * Context: Process context, no locks held.
 */
void nursery_worker_run(struct nursery *n, struct nursery_worker *w)
{
	struct context context;
	struct nursery_child *c;

	/* They have been shown; one that was marked after this look is found there. */
	if (unlikely(atomic64_read(&n->state) & NURSERY_CANCELLED)) {
		run_cancelled(n, w);
		return;
	}
	context = get_context();
	for (c = given(w) ?: step(n, w); c; )
		c = run_one(n, w, c, context);
}

/*
 * To be called once after each nursery_worker_run(), to give back the place that
 * the child had. With a bound there is one.
 */
void nursery_worker_over(struct nursery *n, struct nursery_worker *w)
{
	unsigned long flags;

	if (likely(!n->max_active))
		return;
	raw_spin_lock_irqsave(&n->lock, flags);
	n->nr_active--;
	nursery_submit_waiting(n);
	raw_spin_unlock_irqrestore(&n->lock, flags);
}

/*
 * @w takes no more here: count what it ended. If those were the last the nursery is
 * gone, and with it may be its executor.
 */
void nursery_worker_leave(struct nursery *n, struct nursery_worker *w)
{
	unsigned int finished = w->finished;

	raw_spin_lock_irq(&n->lock);
	hlist_del_init(&w->node);
	raw_spin_unlock_irq(&n->lock);
	w->finished = 0;
	nursery_uncount(n, finished);
}
