// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scope: init and join.
 *
 * Theory of operation. A nursery counts its children that have not finished, in the
 * word that also has its flags. Counting down is the last thing that who ended a child,
 * or many, does with the nursery. Who counts down to zero and finds that the joiner
 * sleeps has thereby taken it on to wake it, and the joiner does not leave before. Who
 * finds that it does not sleep is done. So when the joiner has seen zero nobody but the
 * joiner will touch the nursery again: it may lie on the joiner's stack.
 *
 * The joiner does not wait for what it can do itself. It is a worker like others
 * (worker.c): it takes children and runs them in its own context, and sleeps only
 * while all that are left have been started elsewhere. So no join depends on a free
 * worker (I5). Where half of its stack is used, as in a nursery in a nursery in a
 * nursery, it leaves them to the workers of the executor. Those of ours are sure to come: if
 * all that a workqueue may run are blocked there are threads, one for each that blocks. A
 * caller's queue may have to wait for what the joiner does, so there a thread stands in
 * for it. It goes on as long as children spawn siblings; the moment at which it finds
 * none left closes the nursery, by changing the word that spawn counts in, so a spawn
 * either is joined or is refused.
 *
 * Then, in this order: the timer is taken back, the hardware is asked whether it has
 * stopped, if there is doubt (quiesce.c), what the nursery owns is released, last in first
 * out (I2), and the nursery leaves the tree, after which no cancel and no listing can find it.
 *
 * Of several that join at once the first does all this. The others sleep on waiters of
 * their own, under nursery->lock, and are given the result as the last thing before the
 * nursery counts as joined. They do not look at it again: after join_async.c that may be
 * freed by then.
 */
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include "internal.h"
#include "trace.h"

/**
 * __nursery_init - open a scope; use nursery_init()
 * @n: the nursery
 * @params: how it is to behave; NULL for all defaults
 * @key: lock class of this kind of nursery
 * @key_name: its name
 *
 * Context: Process context, interrupts and softirqs on. Does not sleep.
 */
void __nursery_init(struct nursery *n, const struct nursery_params *params,
		    struct lock_class_key *key, const char *key_name)
{
	static const struct nursery_params defaults;

	if (!params)
		params = &defaults;
	if (!nursery_debug_open(n, _RET_IP_))
		return;

	atomic64_set(&n->state, params->flags & NURSERY_COLLECT ? NURSERY_COLLECTS : 0);
	n->joiner = NULL;
	n->max_active = params->max_active;
	if (n->max_active) {
		INIT_LIST_HEAD(&n->ready);
	} else {
		init_llist_head(&n->inbox);
		init_llist_head(&n->packs);
	}
	n->executor = params->executor ?: nursery_executor_unbound;
	n->flags = params->flags & NURSERY_USER_FLAGS;
	n->lane = raw_smp_processor_id();
	if (!n->max_active && nursery_is_queue(n->executor) &&
	    n->executor != nursery_executor_inline)
		n->flags |= NURSERY_PUSHES;
	INIT_HLIST_HEAD(&n->workers);
	raw_spin_lock_init(&n->lock);
	n->nr_active = 0;
	n->nr_services = 0;
	n->nr_claims = 0;
	INIT_HLIST_HEAD(&n->others);
	n->waiters = NULL;
	n->resources = NULL;
	timerqueue_init(&n->timer);
	n->deadline = KTIME_MAX;
	n->parked = RB_ROOT;
	n->spared = RB_ROOT;
	n->error = 0;
	n->cause = 0;
	n->canceller = 0;
	n->grace = params->grace;
	n->hard_at = KTIME_MAX;
	n->winner = NULL;
	n->name = params->name ?: "nursery";
	nursery_tree_add(n, params->parent, params->outer);
	nursery_dep_init(n, key, key_name);
	trace_nursery_open(n);

	if (params->timeout)
		nursery_set_deadline(n, ktime_add_safe(ktime_get(), params->timeout));
}
EXPORT_SYMBOL_GPL(__nursery_init);

/* Context: nursery->lock held. */
void nursery_add_waiter(struct nursery *n, struct nursery_waiter *w, const void *key)
{
	w->key = key;
	w->looks = false;
	w->look = false;
	w->next = n->waiters;
	init_completion(&w->wake);
	n->waiters = w;
}

/*
 * Wake who waits for @key. complete() is a full barrier and takes the lock that the
 * sleeper takes before it leaves, so @w may lie on the sleeper's stack.
 *
 * Context: nursery->lock held.
 */
void nursery_wake_waiters(struct nursery *n, const void *key, int result)
{
	struct nursery_waiter **at = &n->waiters, *w;

	while ((w = *at)) {
		if (w->key != key) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->result = result;
		complete(&w->wake);
	}
}

/*
 * If the joiner sleeps, wake it: there may be something to do.
 *
 * Context: Any; the caller keeps the nursery.
 * Return: whether it slept, and will help.
 */
bool nursery_wake_joiner(struct nursery *n)
{
	s64 old = atomic64_read(&n->state);

	if ((old & (NURSERY_WAITING | NURSERY_ASYNC)) != NURSERY_WAITING)
		return false;
	old = atomic64_fetch_andnot(NURSERY_WAITING, &n->state);
	if (!(old & NURSERY_WAITING))
		return false;
	complete(&n->joiner->wake);
	/* It may be another one than the caller has seen. */
	return !(old & NURSERY_CRAMPED);
}

/*
 * Keep the nursery from closing, until nursery_uncount(). Context: Any.
 * Return: 0; -ESHUTDOWN: it is closed.
 */
int nursery_keep(struct nursery *n)
{
	s64 old = atomic64_read(&n->state);

	do {
		if (old & NURSERY_CLOSED)
			return -ESHUTDOWN;
	} while (!atomic64_try_cmpxchg(&n->state, &old, old + NURSERY_COUNT));
	return 0;
}

/*
 * Count down: @finished children have finished, and whoever kept the nursery for them
 * is done with it. It may be gone afterwards.
 *
 * Context: Any.
 */
void nursery_uncount(struct nursery *n, unsigned int finished)
{
	s64 old = atomic64_read(&n->state), new;

	do {
		new = old - (s64)finished * NURSERY_COUNT;
		if (!nursery_count(new) || unlikely(old & NURSERY_STUCK))
			new &= ~NURSERY_WAITING;
	} while (!atomic64_try_cmpxchg(&n->state, &old, new));
	/* Only if we took the flag is the nursery there: the joiner sleeps until this. */
	if (!(old & ~new & NURSERY_WAITING))
		return;
	if (old & NURSERY_ASYNC)
		nursery_join_later(n);
	else
		complete(&n->joiner->wake);
}

/* What join returns (I7). Context: the nursery is closed. */
int nursery_result(const struct nursery *n)
{
	if (n->error)
		return n->error;
	return atomic64_read(&n->state) & NURSERY_CANCELLED ? n->cause : 0;
}

/*
 * One of those that an executor was given one by one. @vain: how many times in a row
 * there were such, and none was given back, as it is about to be started.
 */
static bool take_submitted(struct nursery *n, struct nursery_worker *w, unsigned int *vain)
{
	bool took = false, some = false;
	struct nursery_child *c;

	/* A look: who adds one later wakes us. */
	if (hlist_empty(&n->others))
		return false;
	raw_spin_lock_irq(&n->lock);
	hlist_for_each_entry(c, &n->others, other) {
		if (child_phase(atomic_read(&c->state)) != CHILD_SUBMITTED || child_is_service(c))
			continue;
		some = true;
		took = nursery_child_retract(n, c);
		if (took) {
			nursery_worker_give(w, c);
			break;
		}
	}
	raw_spin_unlock_irq(&n->lock);
	*vain = some && !took ? *vain + 1 : 0;
	return took;
}

/* How often a joiner tries to take children back from executors before it sleeps a bit. */
#define TRIES		16

/* What the joiner could do, did it not sleep. */
enum joiner {
	JOINER_ONLY_WAITS,
	JOINER_HELPS,
	JOINER_NEEDS_THREAD,		/* it would help, but has no room on its stack */
	JOINER_IS_CRAMPED,		/* the same, and others are sure to come */
};

/* Is there something that a worker could take, and nobody has? */
static bool has_some(struct nursery *n)
{
	bool some;

	if (!n->max_active && nursery_ready_any(n))
		return true;
	raw_spin_lock_irq(&n->lock);
	some = n->max_active ? nursery_has_turn(n) : nursery_workers_have_some(n);
	raw_spin_unlock_irq(&n->lock);
	return some;
}

/*
 * Sleep until there are no children, or there is something to do. Not for long, if only
 * an executor's own delay keeps us from that: it may even wait for our CPU.
 *
 * A thread that was @asked for, or NULL, and has not come yet will offer what it leaves. One
 * that has come may have done so before we slept.
 */
static void sleep(struct nursery *n, struct nursery_worker *w,
		  const struct nursery_stand_in *asked, enum joiner joiner, unsigned int vain)
{
	bool cramped = joiner == JOINER_IS_CRAMPED, some, submitted;
	s64 old = atomic64_read(&n->state), new;

	init_completion(&w->wake);
	do {
		if (nursery_is_stuck(n, &old) || !nursery_count(old))
			return;
		new = (old & ~NURSERY_CRAMPED) | NURSERY_WAITING | (cramped ? NURSERY_CRAMPED : 0);
	} while (!atomic64_try_cmpxchg(&n->state, &old, new));
	/*
	 * Fully ordered, then a look: either an offer finds the flag, or we find what was
	 * offered. If the flag has been taken meanwhile, the wake-up is on its way.
	 */
	some = (joiner == JOINER_HELPS || joiner == JOINER_NEEDS_THREAD) &&
	       !(asked && !list_empty(&asked->node)) && has_some(n);
	submitted = joiner != JOINER_ONLY_WAITS && !some &&
		    nursery_has_submitted(n, joiner != JOINER_HELPS);
	some |= old & NURSERY_NEXT && READ_ONCE(n->collected);
	if (submitted && vain > TRIES && wait_for_completion_timeout(&w->wake, 1))
		return;
	if ((some || submitted) &&
	    atomic64_fetch_andnot(NURSERY_WAITING, &n->state) & NURSERY_WAITING)
		return;
	if (old & NURSERY_KILLABLE) {
		if (!wait_for_completion_killable(&w->wake))
			return;
		/* Killed. As above. */
		if (atomic64_fetch_andnot(NURSERY_WAITING, &n->state) & NURSERY_WAITING)
			return;
	}
	wait_for_completion(&w->wake);
}

/*
 * Leave what we have no room for on our stack to others. Those who serve an executor of ours
 * are sure to come; for a caller's, which may have to wait for us, there is a thread.
 */
static void sleep_beside_others(struct nursery *n, struct nursery_worker *w, unsigned int *vain)
{
	struct nursery_stand_in thread = { .nursery = n };

	*vain = nursery_submit_to_threads(n) ? 0 : *vain + 1;
	if (n->executor->queue.limit) {
		sleep(n, w, NULL, JOINER_IS_CRAMPED, *vain);
		return;
	}
	if (!has_some(n)) {
		sleep(n, w, NULL, JOINER_NEEDS_THREAD, *vain);
		return;
	}
	atomic64_add(NURSERY_COUNT, &n->state);
	nursery_stand_in(&thread);
	/* What is offered from now on wakes us, and we come here again. */
	sleep(n, w, &thread, JOINER_NEEDS_THREAD, *vain);
	if (nursery_stand_in_withdraw(&thread))
		nursery_uncount(n, 1);
}

/* What is still to be known when it is closed. */
#define STAYS	(NURSERY_CANCELLED | NURSERY_TIMED | \
		 NURSERY_ASYNC | NURSERY_JOINING | NURSERY_OTHERS | NURSERY_COLLECTS | \
		 NURSERY_QUIESCES | NURSERY_UNSURE | NURSERY_ASKED | NURSERY_UNSTOPPED)

/*
 * Close the nursery if no more children are counted than the @finished that the joiner
 * has ended.
 *
 * Context: Process context; the caller joins the nursery.
 * Return: whether it is closed.
 */
bool nursery_close(struct nursery *n, unsigned int finished)
{
	s64 old = atomic64_read(&n->state);

	for (;;) {
		if (nursery_count(old) != finished)
			return false;
		if (old & NURSERY_SERVED) {
			nursery_stop_services(n);
			old = atomic64_read(&n->state);
			continue;
		}
		if (old & NURSERY_LISTED) {
			nursery_queue_unlist(n, finished);
			old = atomic64_read(&n->state);
			continue;
		}
		if (old & NURSERY_HELD) {
			/* Who set it did so under the lock: wait for him to drop it. */
			raw_spin_lock_irq(&n->lock);
			old = atomic64_fetch_andnot(NURSERY_HELD, &n->state) & ~NURSERY_HELD;
			raw_spin_unlock_irq(&n->lock);
			continue;
		}
		if (atomic64_try_cmpxchg(&n->state, &old,
					 (old & STAYS) | NURSERY_CLOSED))
			break;
	}
	if (nursery_is_queue(n->executor))
		nursery_queue_leave(n->executor);
	return true;
}

/*
 * The joiner looks whether it has been killed: then it cancels, once. After that it is
 * not killable any more, and waits for what is left.
 *
 * Return: whether it is still killable.
 */
static bool look_for_kill(struct nursery *n)
{
	if (likely(!(atomic64_read(&n->state) & NURSERY_KILLABLE)))
		return false;
	if (!fatal_signal_pending(current))
		return true;
	atomic64_andnot(NURSERY_KILLABLE, &n->state);
	nursery_cancel_by(n, -EINTR, (unsigned long)nursery_join_killable);
	return false;
}

static bool is_joined_here(struct nursery *n)
{
	struct nursery_worker *joiner;
	bool here;

	raw_spin_lock_irq(&n->lock);
	joiner = nursery_look_at_joiner(n);
	here = joiner && joiner->task == current;
	raw_spin_unlock_irq(&n->lock);
	return here;
}

/*
 * The caller has been killed while it runs a child of @n. It may do so as a joiner, of @n
 * or of a nursery around it, who would not look before the child returns.
 *
 * Context: Process context.
 */
void nursery_kill(struct nursery *n)
{
	/* What is above is there as long as the child runs. */
	for (; n; n = nursery_up(n))
		if (atomic64_read(&n->state) & NURSERY_KILLABLE && is_joined_here(n))
			look_for_kill(n);
}

/*
 * Run children, or wait for them, as the nursery's joiner, until @over says so.
 *
 * Context: Process context, may sleep. One at a time.
 */
void nursery_work(struct nursery *n, bool (*over)(struct nursery *n, struct nursery_worker *w))
{
	bool helps = !(n->flags & NURSERY_NO_HELP);
	struct nursery_worker w;
	unsigned int vain = 0;
	s64 state;

	nursery_worker_init(&w, n->executor);
	/* Others find what is in its slots, once something is, and where to wake us. */
	smp_store_release(&n->joiner, &w);
	while (!over(n, &w)) {
		bool room = helps && nursery_room_to_help();

		/* There are more, and there may be no end of them. */
		if (w.finished)
			cond_resched();
		/* A batch that takes longer than a tick is broken off, to look again. */
		w.end = look_for_kill(n) ? (jiffies + 1) ?: 1 : 0;
		if (room && (nursery_worker_take(n, &w) || take_submitted(n, &w, &vain))) {
			nursery_worker_run(n, &w);
			nursery_worker_over(n, &w);
			continue;
		}
		if (w.finished) {
			nursery_uncount(n, w.finished);
			w.finished = 0;
			continue;
		}
		state = atomic64_read(&n->state);
		if (nursery_is_stuck(n, &state)) {
			nursery_abandon(n);
			continue;
		}
		if (helps && !room)
			sleep_beside_others(n, &w, &vain);
		else
			sleep(n, &w, NULL, helps ? JOINER_HELPS : JOINER_ONLY_WAITS, vain);
	}
	if (atomic64_read(&n->state) & NURSERY_CLOSED) {
		WRITE_ONCE(n->joiner, NULL);
		return;
	}
	/* The others look at what is on our stack under the lock, as long as we are there. */
	raw_spin_lock_irq(&n->lock);
	n->joiner = NULL;
	atomic64_andnot(NURSERY_HELD, &n->state);
	raw_spin_unlock_irq(&n->lock);
	if (w.finished)
		nursery_uncount(n, w.finished);
}

static bool is_closed(struct nursery *n, struct nursery_worker *w)
{
	return nursery_close(n, w->finished);
}

/* Give the result to others that join. Return: the state, without OTHERS. */
static s64 tell_others(struct nursery *n, int result)
{
	s64 old;

	raw_spin_lock_irq(&n->lock);
	nursery_wake_waiters(n, n, result);
	old = atomic64_fetch_andnot(NURSERY_OTHERS, &n->state);
	raw_spin_unlock_irq(&n->lock);
	return old & ~NURSERY_OTHERS;
}

/*
 * The end of a nursery that has been closed: see above for the order. It may be gone
 * afterwards.
 *
 * Context: Process context, may sleep. Once.
 * Return: what the join returns.
 */
int nursery_end(struct nursery *n)
{
	int result = nursery_result(n);
	s64 old = atomic64_read(&n->state);

	if (old & NURSERY_TIMED)
		nursery_timer_end(n);
	if (old & NURSERY_COLLECTS && !(old & NURSERY_ASYNC))
		nursery_collect_end(n);
	trace_nursery_join(n, result);
	nursery_release_all(n, nursery_has_stopped(n));
	nursery_tree_del(n);
	nursery_debug_joined(n);

	old = atomic64_read(&n->state);
	do {
		if (unlikely(old & NURSERY_OTHERS))
			old = tell_others(n, result);
		/* Fully ordered: pairs with the acquire of a join that finds the flag. */
	} while (!atomic64_try_cmpxchg(&n->state, &old, old | NURSERY_JOINED));
	return result;
}

/* Somebody joins already: wait for his result. */
static int join_with_another(struct nursery *n)
{
	struct nursery_waiter waiter;
	s64 old;

	raw_spin_lock_irq(&n->lock);
	old = atomic64_read(&n->state);
	do {
		if (old & NURSERY_JOINED) {
			raw_spin_unlock_irq(&n->lock);
			return nursery_result(n);
		}
	} while (!atomic64_try_cmpxchg(&n->state, &old, old | NURSERY_OTHERS));
	nursery_add_waiter(n, &waiter, n);
	/* Who finds OTHERS takes the lock, so this comes before the end of the nursery. */
	raw_spin_unlock_irq(&n->lock);
	wait_for_completion(&waiter.wake);
	return waiter.result;
}

static int join(struct nursery *n, bool killable, unsigned long from)
{
	might_sleep();
	if (!nursery_debug_join(n, from))
		return -EINVAL;

	/* All that the joiner did comes before. */
	if (atomic64_read_acquire(&n->state) & NURSERY_JOINED)
		return nursery_result(n);
	if (nursery_runs_here(n))
		return -EDEADLK;

	if (nursery_dep_acquire(n))
		nursery_dep_release(n);
	/* This settles who is the first. */
	if (atomic64_fetch_or(NURSERY_JOINING, &n->state) & NURSERY_JOINING)
		return join_with_another(n);
	if (killable)
		atomic64_or(NURSERY_KILLABLE, &n->state);
	nursery_work(n, is_closed);
	return nursery_end(n);
}

/**
 * nursery_join - wait for all children, then release what the nursery owns
 * @n: the nursery
 *
 * Runs queued children in the caller's context, unless %NURSERY_NO_HELP. On
 * return every child, and every child of a child, has finished (I1), everything
 * that the nursery owned has been released (I2), and nothing refers to @n any
 * more: it may be freed, or initialised again. A further join returns the same
 * result. Join does not cancel; until the last child has finished, children may
 * spawn siblings.
 *
 * Several may join at once, and all return the same: the first helps and releases,
 * the others wait for him. Then @n may be freed when all have returned. If
 * nursery_join_async() was called before, this waits for that to be over but for its done().
 *
 * To lockdep this is a lock that every child holds while it runs: joining with a lock
 * held that a child takes is reported (R8).
 *
 * Context: Process context, may sleep.
 * Return: the first real error of a child; else the cause of the cancel, if
 *	   there was one; else 0. -EDEADLK, with nothing changed, if the caller
 *	   is itself a child of @n or of a nursery below it. -EINVAL, with DEBUG_OBJECTS:
 *	   @n was never initialised.
 */
int nursery_join(struct nursery *n)
{
	return join(n, false, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_join);

/**
 * nursery_join_killable - nursery_join() that a fatal signal turns into a cancel
 * @n: the nursery
 *
 * For a scope that a process waits for: if it is killed the nursery is cancelled with
 * -EINTR, and the join goes on until every child has finished, as nursery_join() does,
 * by then without regard to signals. Children should end soon after a cancel.
 *
 * While the joiner runs a child itself a kill is noticed by the cancel-aware waits of
 * that child, by its nursery_cond_resched(), and when it has returned; not while it is in
 * another kind of wait. %NURSERY_NO_HELP avoids that. A signal that comes when
 * all children have finished does nothing.
 *
 * Context: Process context, may sleep.
 * Return: as nursery_join(): after a kill -EINTR, unless a child failed, or the
 *	   nursery had been cancelled before with another cause.
 */
int nursery_join_killable(struct nursery *n)
{
	return join(n, true, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_join_killable);
