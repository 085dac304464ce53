// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a child: spawn and end.
 *
 * A spawn takes no lock: it counts the child in nursery->state, which is also the gate
 * (admit.h), and pushes it on the nursery's inbox. If there are others that is all, and the
 * last access: the child may be run and joined at once. The one that found the inbox
 * empty offers the nursery to the workers, for all that come after it; it counts itself
 * meanwhile, so that the nursery stays until it is done.
 *
 * Whoever takes a child out of where it is runs it or ends it. So neither do two
 * workers run a child nor does a cancel end one that runs.
 *
 * A function child is ended by the worker that ran it, with one fully ordered atomic
 * (R10) that fails if there is somebody to tell: a canceller, or one who waits for
 * just this child. Only then is nursery->lock taken. Who has nothing but a pointer to a
 * child, and wants its nursery, holds the child: it does not become DONE meanwhile, so
 * its nursery stays.
 *
 * What is not on this path has files of its own: external.c for what hardware does, bound.c
 * for max_active, submit.c for executors of others, park.c and start.c.
 */
#include <linux/export.h>
#include <linux/prefetch.h>

#include "admit.h"
#include "internal.h"
#include "trace.h"

/*
 * So many children are outstanding, and who is due has not come: look for another CPU.
 * It takes longer to spawn them than to wake one. As bits of the count, all set.
 */
#define BACKLOG		(1023LL * NURSERY_COUNT)

/**
 * nursery_child_init - prepare a child
 * @c: the child, embedded in what it works on. Not spawned, or finished
 * @fn: what it does; NULL: an external child, for nursery_child_begin()
 * @done: called once, last, with the core's last reference to @c, so it may free
 *	@c or hand it on; or NULL. It may be called in any context, hard
 *	interrupts included, and must not sleep. nursery_join() waits for it.
 *
 * Context: Any.
 */
void nursery_child_init(struct nursery_child *c, nursery_fn_t fn,
			void (*done)(struct nursery_child *c))
{
	if (!nursery_debug_child_init(c, _RET_IP_))
		return;
	/* The rest is set when it is needed. */
	c->nursery = NULL;
	c->fn = fn;
	c->done = done;
	atomic_set(&c->state, CHILD_IDLE);
	c->result = 0;
}
EXPORT_SYMBOL_GPL(nursery_child_init);

/* A worker leaves: is there something for others? Context: Any; counted. */
void nursery_offer_rest(struct nursery *n)
{
	unsigned long flags;
	bool some;

	if (!n->max_active) {
		some = nursery_ready_any(n);
	} else {
		raw_spin_lock_irqsave(&n->lock, flags);
		some = nursery_has_turn(n);
		raw_spin_unlock_irqrestore(&n->lock, flags);
	}
	if (some)
		nursery_offer(n);
}

/*
 * Let a child in: see child_admit(), which it is, for those who do not do it all the time.
 *
 * Context: Any.
 */
int nursery_admit(struct nursery *n, struct nursery_child *c, unsigned int phase,
		  unsigned long from)
{
	return child_admit(n, c, phase, from);
}

/*
 * Run a child that is the caller's.
 *
 * Context: Process context, no locks held.
 * Return: whether it has finished, and not parked.
 */
bool nursery_child_run_here(struct nursery *n, struct nursery_child *c)
{
	struct nursery_worker w;
	bool finished;

	nursery_worker_init(&w, n->executor);
	raw_spin_lock_irq(&n->lock);
	nursery_worker_add(n, &w);
	nursery_worker_give(&w, c);
	raw_spin_unlock_irq(&n->lock);

	nursery_worker_run(n, &w);
	/* It counts itself, too. */
	finished = w.finished > 1;
	nursery_worker_over(n, &w);
	nursery_offer_rest(n);
	nursery_worker_leave(n, &w);
	return finished;
}

static bool may_run_inline(struct nursery *n, struct nursery_child *c,
			   const struct nursery_executor *e, unsigned long flags)
{
	if (likely(e != nursery_executor_inline) || !in_task() || irqs_disabled_flags(flags) ||
	    !nursery_room_to_help())
		return false;
	/* Its starter waits until it is ready, and who spawns a service for nothing. */
	if (atomic_read(&c->state) & (CHILD_STARTING | CHILD_SERVICE))
		return false;
	return n->max_active ? list_empty(&n->ready) && nursery_has_place(n) : true;
}

/*
 * The inbox was empty: somebody is to come. Others that push theirs behind this one rely
 * on that, so be quick.
 */
static void spawn_first(struct nursery *n, struct nursery_child *c)
{
	/* The child may be over before we are, but the nursery stays until we are done. */
	atomic64_add(NURSERY_COUNT, &n->state);
	preempt_disable();
	nursery_ready_push(n, c);
	nursery_offer(n);
	preempt_enable();
	nursery_uncount(n, 1);
}

/* First half, with the lock. @run_inline: the second one runs it. */
static void spawn_locked(struct nursery *n, struct nursery_child *c,
			 const struct nursery_executor *e, bool run_inline)
{
	/* As in spawn_first(). */
	atomic64_add(NURSERY_COUNT, &n->state);
	if (!run_inline) {
		nursery_child_queue(n, c, e);
	} else if (n->max_active) {
		nursery_child_claim(n, c);
		n->nr_active++;
	}
}

/* Second half, without. @is_service: it has been entered as one. */
static void spawn_unlocked(struct nursery *n, struct nursery_child *c, bool run_inline,
			   bool is_service)
{
	if (run_inline)
		nursery_child_run_here(n, c);
	else if (n->max_active)
		nursery_offer_rest(n);
	else
		nursery_wake_to_help(n);
	nursery_uncount(n, 1 + is_service);
}

/* @is_new: spawned, and not made ready again. */
static noinline void spawn_slowly(struct nursery *n, struct nursery_child *c,
				  const struct nursery_executor *e, bool is_new)
{
	bool run_inline, is_service;
	unsigned long flags;

	raw_spin_lock_irqsave(&n->lock, flags);
	is_service = is_new && nursery_service_enter(n, c);
	run_inline = is_new && may_run_inline(n, c, e, flags);
	spawn_locked(n, c, e, run_inline);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	spawn_unlocked(n, c, run_inline, is_service);
}

/*
 * A child that nobody else has, LIVE, is to be run by the nursery's executor: one that
 * was parked.
 *
 * Context: Any, no locks held. Not counted yet, so @n is there; it may be gone afterwards.
 */
void nursery_child_make_ready(struct nursery *n, struct nursery_child *c)
{
	if (!nursery_is_queue(n->executor) || n->max_active || child_is_service(c))
		spawn_slowly(n, c, n->executor, false);
	else if (!nursery_ready_push_behind(n, c))
		spawn_first(n, c);
}

static __always_inline void launch(struct nursery *n, struct nursery_child *c,
				   const struct nursery_executor *e)
{
	/* A look: others may count past it. */
	if (unlikely(!(~atomic64_read(&n->state) & BACKLOG)))
		nursery_queue_hurry(n->executor);
	if (unlikely((e && e != n->executor) || !(n->flags & NURSERY_PUSHES) ||
		     child_is_service(c)))
		spawn_slowly(n, c, e ?: n->executor, true);
	else if (!nursery_ready_push_behind(n, c))
		spawn_first(n, c);
}

/* Start a child that has been admitted, LIVE. Context: as nursery_spawn_on(). */
void nursery_child_launch(struct nursery *n, struct nursery_child *c,
			  const struct nursery_executor *e)
{
	launch(n, c, e);
}

/* @e: NULL: the nursery's. */
static __always_inline int spawn(struct nursery *n, struct nursery_child *c,
				 const struct nursery_executor *e, unsigned long from)
{
	int err;

	if (unlikely(!c->fn))
		return -EINVAL;
	err = child_admit(n, c, CHILD_LIVE, from);
	if (unlikely(err))
		return err;
	launch(n, c, e);
	return 0;
}

static noinline int spawn_from(struct nursery *n, struct nursery_child *c,
			       const struct nursery_executor *e, unsigned long from)
{
	return spawn(n, c, e, from);
}

/**
 * nursery_spawn_on - start a child on an executor of its own
 * @n: the nursery
 * @c: the child, with a function; it belongs to @n until it has finished
 * @e: where it runs
 *
 * Never allocates (I8).
 *
 * Context: Any, hard interrupts included; with nursery_executor_inline, that of
 *	    the child's function.
 * Return: 0: the child completes once, whatever happens (I4). An error changed
 *	   nothing: -ESHUTDOWN @n has been joined, -ECANCELED it has been
 *	   cancelled, -EBUSY @c is spawned and not finished, -EINVAL @c has no
 *	   function, or, with DEBUG_OBJECTS, it or @n was never initialised.
 */
int nursery_spawn_on(struct nursery *n, struct nursery_child *c,
		     const struct nursery_executor *e)
{
	return spawn_from(n, c, e, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_spawn_on);

/**
 * nursery_spawn - start a child on the nursery's executor
 * @n: the nursery
 * @c: the child, with a function; it belongs to @n until it has finished
 *
 * Context: Any, hard interrupts included.
 * Return: as nursery_spawn_on().
 */
int nursery_spawn(struct nursery *n, struct nursery_child *c)
{
	return spawn(n, c, NULL, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_spawn);

/* The same for other files, which know where their caller is. */
int nursery_spawn_from(struct nursery *n, struct nursery_child *c, unsigned long from)
{
	return spawn_from(n, c, NULL, from);
}

/* Why a spawn would be refused, or 0. A look. */
static int refusal(const struct nursery *n, const struct nursery_child *c)
{
	s64 state = atomic64_read(&n->state);

	if (!child_may_be_spawned(atomic_read(&c->state)))
		return -EBUSY;
	if (state & NURSERY_CLOSED)
		return -ESHUTDOWN;
	return state & NURSERY_CANCELLED ? -ECANCELED : 0;
}

/**
 * nursery_try_spawn - start a child, unless it had to wait for others
 * @n: the nursery
 * @c: the child, with a function
 *
 * As nursery_spawn(), but with max_active the child is refused, and nothing changed, if so
 * many function children of @n run or are to be run, whether or not a worker has
 * come for them. One that has finished does not count, in its done() already; nor does
 * one that is delayed, or parked without %NURSERY_KEEP_PLACES. Where max_active is 0 none is
 * refused for that.
 *
 * Context: Any, hard interrupts included.
 * Return: as nursery_spawn(); -EAGAIN: there are max_active. Any other reason for a
 *	   refusal is told first.
 */
int nursery_try_spawn(struct nursery *n, struct nursery_child *c)
{
	bool run_inline = false;
	unsigned long flags;
	int err;

	/* A service takes no place. */
	if (!nursery_takes_place(n, c))
		return spawn(n, c, NULL, _RET_IP_);
	if (!c->fn)
		return -EINVAL;
	raw_spin_lock_irqsave(&n->lock, flags);
	if (n->nr_claims < n->max_active)
		err = nursery_admit(n, c, CHILD_LIVE, _RET_IP_);
	else
		err = refusal(n, c) ?: -EAGAIN;
	if (!err) {
		run_inline = may_run_inline(n, c, n->executor, flags);
		spawn_locked(n, c, n->executor, run_inline);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (!err)
		spawn_unlocked(n, c, run_inline, false);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_try_spawn);

/*
 * The child has finished, and there may be somebody to tell.
 *
 * Context: nursery->lock held.
 * Return: false: somebody holds it. To be tried again with the lock dropped meanwhile.
 */
bool nursery_child_finish(struct nursery *n, struct nursery_child *c, int result)
{
	int old = atomic_read(&c->state), stays;
	bool collect;

	/* Before it has visibly finished, and after its handlers. */
	if (unlikely(old & CHILD_BORROWS))
		nursery_loans_end(n, c);
	do {
		if (old & CHILD_HELD)
			return false;
		/* One whose start has failed is the starter's. */
		collect = (old & (CHILD_TELLS | CHILD_STARTING)) == CHILD_TELLS && !c->done &&
			  (atomic64_read(&n->state) & (NURSERY_COLLECTS | NURSERY_ASYNC)) ==
			  NURSERY_COLLECTS;
		stays = NURSERY_CHILD_CANCELLED | CHILD_SERVICE | CHILD_ABANDONED |
			(collect ? CHILD_TELLS : 0);
	} while (!atomic_try_cmpxchg(&c->state, &old, (old & stays) | CHILD_DONE));
	if (old & CHILD_SERVICE)
		nursery_service_over(n);
	if (old & CHILD_CLAIMS)
		n->nr_claims--;
	if (old & CHILD_WAITED)
		nursery_wake_waiters(n, c, result);
	/* What waits for the memory of a race's children is its join, not this. */
	if (old & CHILD_TELLS && n->flags & NURSERY_RACE && !result && !n->winner)
		n->winner = c;
	if (old & CHILD_STARTING)
		nursery_start_failed(n, c, result, old & NURSERY_CHILD_CANCELLED);
	if (collect)
		nursery_collect(n, c);
	return true;
}

/*
 * Hold a child that has not finished: it does not until nursery_child_release(), and so
 * its nursery stays. Who wants to end it meanwhile spins.
 *
 * Context: Any; interrupts off from here until the release.
 * Return: its phase. IDLE, DONE: it is not held.
 */
unsigned int nursery_child_hold(struct nursery_child *c)
{
	int old = atomic_read_acquire(&c->state);	/* pairs with the end */

	for (;;) {
		if (child_phase(old) == CHILD_IDLE || child_phase(old) == CHILD_DONE)
			return child_phase(old);
		if (old & CHILD_HELD) {
			cpu_relax();
			old = atomic_read_acquire(&c->state);
			continue;
		}
		if (atomic_try_cmpxchg(&c->state, &old, old | CHILD_HELD))
			return child_phase(old);
	}
}

/*
 * The same for who has nothing to do with a child that is not spawned, or has finished.
 *
 * Context: as nursery_child_hold().
 * Return: its nursery; NULL: it is not held.
 */
struct nursery *nursery_child_hold_unfinished(struct nursery_child *c)
{
	switch (nursery_child_hold(c)) {
	case CHILD_IDLE:
	case CHILD_DONE:
		return NULL;
	}
	return c->nursery;
}

/* The last access to the child, and to its nursery. */
void nursery_child_release(struct nursery_child *c)
{
	atomic_fetch_andnot_release(CHILD_HELD, &c->state);
}

/*
 * A child has been run, and its end takes more than one atomic: see child_end().
 *
 * Context: Process context, no locks held. Counted by its worker, so @n is there.
 * Return: whether done() is to be called. If not, @c may not be touched any more.
 */
bool nursery_child_end_slowly(struct nursery *n, struct nursery_child *c, int result)
{
	bool starting = atomic_read(&c->state) & CHILD_STARTING;
	unsigned long by = (unsigned long)c->fn;
	bool finished, won;

	if (unlikely(child_is_shielded(c)))
		nursery_shield_end(c);
	nursery_check_left_open(n, c);
	/* One that is not ready fails to who started it, and to nobody else. */
	if (child_failed(c, result) && !starting)
		nursery_fail(n, result, by);
	do {
		raw_spin_lock_irq(&n->lock);
		nursery_drop_handlers(c);
		nursery_wait_for_handlers(n, c);
		finished = nursery_child_finish(n, c, result);
		won = n->flags & NURSERY_RACE && n->winner == c;
		raw_spin_unlock_irq(&n->lock);
	} while (!finished);
	if (won)
		nursery_cancel_by(n, 0, by);
	return !starting;
}

/* There is somebody to tell. Return: as nursery_child_end_slowly(). */
static noinline bool skip_slowly(struct nursery *n, struct nursery_child *c)
{
	int old = atomic_fetch_or(NURSERY_CHILD_CANCELLED, &c->state);
	unsigned long flags;
	bool finished;

	do {
		raw_spin_lock_irqsave(&n->lock, flags);
		finished = nursery_child_finish(n, c, -ECANCELED);
		raw_spin_unlock_irqrestore(&n->lock, flags);
	} while (!finished);
	return !(old & CHILD_STARTING);
}

/* End one child that was never started. Context: Any, no locks held; @n is there. */
static __always_inline void skip(struct nursery *n, struct nursery_child *c)
{
	void (*done)(struct nursery_child *c);

	if (!nursery_debug_child_end(n, c))
		return;
	done = c->done;
	WRITE_ONCE(c->result, -ECANCELED);
	trace_nursery_child_done(n, c);
	if (unlikely(atomic_cmpxchg(&c->state, CHILD_LIVE,
				    CHILD_DONE | NURSERY_CHILD_CANCELLED) != CHILD_LIVE) &&
	    !skip_slowly(n, c))
		return;
	if (done)
		done(c);
}

/*
 * Complete a child as one that was cancelled before it started, though it was not even
 * spawned. Context: Any, no locks held. The caller keeps @n.
 *
 * @from: where in the code it was to be spawned.
 *
 * Return: 0; -EBUSY: it is spawned and not finished.
 */
int nursery_child_skip(struct nursery *n, struct nursery_child *c, unsigned long from)
{
	int err, old;

	err = nursery_debug_spawn(n, c, from);
	if (err)
		return err;
	old = atomic_read(&c->state);
	if (!child_may_be_spawned(old))
		return -EBUSY;
	WRITE_ONCE(c->nursery, n);
	c->handlers = NULL;
	c->pins = 0;
	/* Pairs with the acquire of who looks at the child, as in admit(). */
	atomic_set_release(&c->state, CHILD_LIVE | (old & CHILD_BORROWS));
	trace_nursery_spawn(n, c);
	skip(n, c);
	return 0;
}

/*
 * They were cancelled: end children that were never started. Those that were run
 * and have parked are left in the list: they are to be run again.
 *
 * Context: Any, no locks held. They are the caller's and not counted yet, so @n is there.
 * Return: how many it ended, to be counted.
 */
unsigned int nursery_children_skip(struct nursery *n, struct llist_node **list)
{
	struct llist_node *node = *list, *next;
	unsigned int nr = 0;

	for (*list = NULL; node; node = next) {
		struct nursery_child *c = nursery_linked(node);

		next = node->next;
		if (next)
			prefetchw(next);
		if (unlikely(atomic_read(&c->state) & CHILD_STARTED)) {
			node->next = *list;
			*list = node;
			continue;
		}
		skip(n, c);
		nr++;
	}
	return nr;
}
