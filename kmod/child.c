// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a child: spawn, begin, end.
 *
 * A spawn takes no lock: it counts the child in nursery->state, which is also the gate
 * (R1), and pushes it on the nursery's inbox. If there are others that is all, and the
 * last access: the child may be run and joined at once. The one that found the inbox
 * empty offers the nursery to the workers, for all that come after it; it counts itself
 * meanwhile, so that the nursery stays until it is done.
 *
 * Whoever takes a child out of where it is runs it or ends it. So neither do two
 * workers run a child nor does a cancel end one that runs. Of two completions of an
 * external child one is heard, by a cmpxchg.
 *
 * A function child is ended by the worker that ran it, with one fully ordered atomic
 * (R10) that fails if there is somebody to tell: a canceller, or one who waits for
 * just this child. Only then is nursery->lock taken. Who has nothing but a pointer to a
 * child, and wants its nursery, holds the child: it does not become DONE meanwhile, so
 * its nursery stays.
 *
 * With max_active a function child claims a place from its spawn on. It gets one when it
 * is taken to be run, and its worker gives that back after done(): nursery->nr_active. The
 * claim ends earlier, with the child or when it parks, under nursery->lock:
 * nursery->nr_claims. So who has seen that a child has finished, be it in its done(), finds
 * that there is room for another.
 *
 * Between completion and end of an external child stand its pins: one for its
 * hardware, one for each of its cancel handlers that is running. Who drops the last
 * ends the child. So a handler never finds its child gone, a completion in a hard
 * interrupt never waits for a handler, and a handler may complete its own child. A
 * function child's worker can wait for handlers, and does.
 */
#include <linux/export.h>
#include <linux/prefetch.h>

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

/* Context: nursery->lock held. */
bool nursery_has_place(const struct nursery *n)
{
	return !n->max_active || n->nr_active < n->max_active;
}

/* Does a child that is started count below max_active? */
bool nursery_takes_place(const struct nursery *n, const struct nursery_child *c)
{
	return n->max_active && !child_is_service(c);
}

/* Give a child to an executor that takes them one by one. Context: nursery->lock held. */
static void submit(struct nursery *n, struct nursery_child *c, const struct nursery_executor *e)
{
	c->executor = e;
	child_set_phase(c, CHILD_SUBMITTED);
	hlist_add_head(&c->other, &n->others);
	if (nursery_takes_place(n, c))
		n->nr_active++;
	e->ops->submit(e, &c->runner);
}

/* Do the workers of the nursery's executor take its children from the nursery? */
static bool is_chained(const struct nursery *n, const struct nursery_executor *e)
{
	return e == n->executor && nursery_is_queue(e);
}

/* A joiner that slept may have somebody to help now. Context: Any; submitted, counted. */
void nursery_wake_to_help(struct nursery *n)
{
	/* What was submitted, then the look at the flag: the joiner does the reverse. */
	smp_mb();
	if (!(n->flags & NURSERY_NO_HELP))
		nursery_wake_joiner(n);
}

/*
 * With a bound: children whose turn it is and whose executor takes them one by one.
 *
 * Context: nursery->lock held.
 */
void nursery_submit_waiting(struct nursery *n)
{
	bool some = false;

	while (n->max_active && !list_empty(&n->ready) && nursery_has_place(n)) {
		struct nursery_child *c = list_first_entry(&n->ready, struct nursery_child, node);

		if (is_chained(n, c->executor))
			break;
		list_del(&c->node);
		submit(n, c, c->executor);
		some = true;
	}
	if (some)
		nursery_wake_to_help(n);
}

/* Can a joiner take it back, to run it, or to give it to a thread? nursery->lock held. */
static bool may_retract(const struct nursery_child *c, bool for_threads)
{
	return child_phase(atomic_read(&c->state)) == CHILD_SUBMITTED && !child_is_service(c) &&
	       c->executor->ops->retract &&
	       !(for_threads && c->executor == nursery_executor_thread);
}

bool nursery_has_submitted(struct nursery *n, bool for_threads)
{
	struct nursery_child *c;
	bool some = false;

	if (hlist_empty(&n->others))
		return false;
	raw_spin_lock_irq(&n->lock);
	hlist_for_each_entry(c, &n->others, other)
		some |= may_retract(c, for_threads);
	raw_spin_unlock_irq(&n->lock);
	return some;
}

/*
 * What other executors have been given and have not started is for threads to start.
 *
 * Return: whether they gave back all that they can.
 */
bool nursery_submit_to_threads(struct nursery *n)
{
	struct nursery_child *c;
	struct hlist_node *next;
	bool all = true;

	raw_spin_lock_irq(&n->lock);
	hlist_for_each_entry_safe(c, next, &n->others, other) {
		if (!may_retract(c, true))
			continue;
		if (!nursery_child_retract(n, c)) {
			all = false;
			continue;
		}
		if (n->max_active)
			n->nr_active--;
		submit(n, c, nursery_executor_thread);
	}
	raw_spin_unlock_irq(&n->lock);
	return all;
}

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

/* A child that was given to an executor is started by @w. Context: nursery->lock held. */
void nursery_child_start(struct nursery *n, struct nursery_worker *w, struct nursery_child *c)
{
	hlist_del(&c->other);
	c->handlers = NULL;
	c->pins = 0;
	child_set_phase(c, CHILD_LIVE);
	nursery_worker_give(w, c);
}

/*
 * The gate (R1): count one in, unless the nursery is closed or cancelled. In one that
 * collects, the child is to tell of its end. Context: Any.
 */
static int count_in(struct nursery *n, const struct nursery_child *c, unsigned int *phase)
{
	s64 old = atomic64_read(&n->state);

	do {
		if (likely(!(old & (NURSERY_CLOSED | NURSERY_CANCELLED | NURSERY_COLLECTS))))
			continue;
		if (old & NURSERY_CLOSED)
			return -ESHUTDOWN;
		if (old & NURSERY_CANCELLED)
			return -ECANCELED;
		if (!c->done)
			*phase |= CHILD_TELLS;
	} while (!atomic64_try_cmpxchg(&n->state, &old, old + NURSERY_COUNT));
	return 0;
}

/*
 * Let a child in. From then on cancel and join may find it, with its nursery and no
 * handlers: those are written before the count, which is fully ordered, and the phase
 * after it; they read the phase with an acquire. @phase may have flags.
 *
 * @from: where in the code it is spawned.
 *
 * Return: 0, or an errno that changed nothing.
 */
static __always_inline int admit(struct nursery *n, struct nursery_child *c,
				 unsigned int phase, unsigned long from)
{
	unsigned int old;
	int err;

	err = nursery_debug_spawn(n, c, from);
	if (err)
		return err;
	old = atomic_read(&c->state);
	if (unlikely(!child_may_be_spawned(old)))
		return -EBUSY;
	/*
	 * What finished the child before is over with it: stores are not done before the
	 * branch that they depend on.
	 */
	WRITE_ONCE(c->nursery, n);
	c->handlers = NULL;
	c->pins = 0;
	err = count_in(n, c, &phase);
	if (unlikely(err)) {
		nursery_debug_child_end(n, c);
		return err;
	}
	WRITE_ONCE(c->result, 0);
	atomic_set(&c->state, phase | (old & CHILD_SERVICE));
	trace_nursery_spawn(n, c);
	return 0;
}

/* The same for other files. */
int nursery_admit(struct nursery *n, struct nursery_child *c, unsigned int phase,
		  unsigned long from)
{
	return admit(n, c, phase, from);
}

/*
 * Run a child that is the caller's.
 *
 * Context: Process context, no locks held.
 * Return: whether it has finished, and not parked.
 */
static bool run_here(struct nursery *n, struct nursery_child *c)
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

/* With a bound: @c wants a place, or is given one. Context: nursery->lock held. */
static void claim(struct nursery *n, struct nursery_child *c)
{
	if (!(atomic_fetch_or(CHILD_CLAIMS, &c->state) & CHILD_CLAIMS))
		n->nr_claims++;
}

/* It wants none for now. Context: nursery->lock held. */
void nursery_child_unclaim(struct nursery *n, struct nursery_child *c)
{
	if (!n->max_active)
		return;
	if (atomic_fetch_andnot(CHILD_CLAIMS, &c->state) & CHILD_CLAIMS)
		n->nr_claims--;
}

/* What is not pushed on the inbox of the nursery. Context: nursery->lock held, @c LIVE. */
void nursery_child_queue(struct nursery *n, struct nursery_child *c,
			 const struct nursery_executor *e)
{
	if (!nursery_takes_place(n, c)) {
		submit(n, c, e);
		return;
	}
	claim(n, c);
	child_set_phase(c, CHILD_WAITS);
	c->executor = e;
	list_add_tail(&c->node, &n->ready);
	nursery_submit_waiting(n);
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
		claim(n, c);
		n->nr_active++;
	}
}

/* Second half, without. @is_service: it has been entered as one. */
static void spawn_unlocked(struct nursery *n, struct nursery_child *c, bool run_inline,
			   bool is_service)
{
	if (run_inline)
		run_here(n, c);
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
	if (unlikely(!is_chained(n, e) || n->max_active || e == nursery_executor_inline ||
		     child_is_service(c)))
		spawn_slowly(n, c, e, true);
	else if (!nursery_ready_push_behind(n, c))
		spawn_first(n, c);
}

/* Start a child that has been admitted, LIVE. Context: as nursery_spawn_on(). */
void nursery_child_launch(struct nursery *n, struct nursery_child *c,
			  const struct nursery_executor *e)
{
	launch(n, c, e);
}

static __always_inline int spawn(struct nursery *n, struct nursery_child *c,
				 const struct nursery_executor *e, unsigned long from)
{
	int err;

	if (unlikely(!c->fn))
		return -EINVAL;
	err = admit(n, c, CHILD_LIVE, from);
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
	return spawn(n, c, n->executor, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_spawn);

/* The same for other files, which know where their caller is. */
int nursery_spawn_from(struct nursery *n, struct nursery_child *c, unsigned long from)
{
	return spawn_from(n, c, n->executor, from);
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
 * one that is parked or delayed. Where max_active is 0 none is refused for that.
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
		return spawn(n, c, n->executor, _RET_IP_);
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

/**
 * nursery_child_begin - start an external child
 * @n: the nursery
 * @c: the child, without a function; it belongs to @n until it has finished
 *
 * For an operation that something else carries out, such as a DMA transfer.
 * Call it before the hardware is started, so that the interrupt finds the child
 * begun; from then on exactly one nursery_child_complete() is owed. max_active
 * does not count it.
 *
 * Context: Any, hard interrupts included.
 * Return: 0, or as nursery_spawn_on(); -EINVAL if @c has a function.
 */
int nursery_child_begin(struct nursery *n, struct nursery_child *c)
{
	unsigned long flags;
	int err;

	if (c->fn)
		return -EINVAL;
	err = admit(n, c, CHILD_EXTERNAL, _RET_IP_);
	if (err)
		return err;
	raw_spin_lock_irqsave(&n->lock, flags);
	c->pins = 1;
	hlist_add_head(&c->other, &n->others);
	/* A cancel that came since then has not found it: do what it would have done. */
	if (atomic64_read(&n->state) & NURSERY_CANCELLED)
		atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return 0;
}
EXPORT_SYMBOL_GPL(nursery_child_begin);

/*
 * Take a child back from an executor that was given it: then it is the caller's, LIVE,
 * and its place below max_active still taken. Context: nursery->lock held.
 */
bool nursery_child_retract(struct nursery *n, struct nursery_child *c)
{
	const struct nursery_executor *e = c->executor;

	if (!e->ops->retract || !e->ops->retract(e, &c->runner))
		return false;
	hlist_del(&c->other);
	c->handlers = NULL;
	c->pins = 0;
	child_set_phase(c, CHILD_LIVE);
	return true;
}

/* Is this result an error that cancels the siblings and goes up (I7)? */
static bool is_error(const struct nursery_child *c, int result)
{
	return result && !(result == -ECANCELED && nursery_child_cancelled(c));
}

/* A handler of the child still runs, as it did not wait: do so. nursery->lock held. */
void nursery_wait_for_handlers(struct nursery *n, struct nursery_child *c)
{
	struct nursery_waiter waiter;

	while (c->pins) {
		nursery_add_waiter(n, &waiter, &c->pins);
		raw_spin_unlock_irq(&n->lock);
		wait_for_completion(&waiter.wake);
		raw_spin_lock_irq(&n->lock);
	}
}

/*
 * The child has finished, and there may be somebody to tell.
 *
 * Context: nursery->lock held.
 * Return: false: somebody holds it. To be tried again with the lock dropped meanwhile.
 */
static bool finish_locked(struct nursery *n, struct nursery_child *c, int result)
{
	int old = atomic_read(&c->state), stays;
	bool collect;

	do {
		if (old & CHILD_HELD)
			return false;
		/* One whose start has failed is the starter's. */
		collect = (old & (CHILD_TELLS | CHILD_STARTING)) == CHILD_TELLS && !c->done &&
			  (atomic64_read(&n->state) & (NURSERY_COLLECTS | NURSERY_ASYNC)) ==
			  NURSERY_COLLECTS;
		stays = NURSERY_CHILD_CANCELLED | CHILD_SERVICE | (collect ? CHILD_TELLS : 0);
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

/* The last access to the child, and to its nursery. */
void nursery_child_release(struct nursery_child *c)
{
	atomic_fetch_andnot_release(CHILD_HELD, &c->state);
}

/* It is about to end: has it joined the nurseries that it opened? Context: Any, no locks held. */
static void check_left_open(struct nursery *n, struct nursery_child *c)
{
	if (unlikely(child_nr_open(atomic_read(&c->state))))
		nursery_tree_left_open(n, c);
}

/* Return: whether done() is to be called. If not, @c may not be touched any more. */
static noinline bool end_slowly(struct nursery *n, struct nursery_child *c, int result)
{
	bool starting = atomic_read(&c->state) & CHILD_STARTING;
	unsigned long by = (unsigned long)c->fn;
	bool finished, won;

	if (unlikely(child_is_shielded(c)))
		nursery_shield_end(c);
	check_left_open(n, c);
	/* One that is not ready fails to who started it, and to nobody else. */
	if (is_error(c, result) && !starting)
		nursery_fail(n, result, by);
	do {
		raw_spin_lock_irq(&n->lock);
		nursery_drop_handlers(c);
		nursery_wait_for_handlers(n, c);
		finished = finish_locked(n, c, result);
		won = n->flags & NURSERY_RACE && n->winner == c;
		raw_spin_unlock_irq(&n->lock);
	} while (!finished);
	/* Counted by its worker, so @n is there. */
	if (won)
		nursery_cancel_by(n, 0, by);
	return !starting;
}

/*
 * End a child that there is nobody to tell of: one that succeeded, or was cancelled and
 * says so. Where handlers were called, none is left and none runs; who called one may
 * still be about to drop nursery->lock, but see call_handler().
 *
 * This is the last access to a child without done(): it pairs with the acquire of who
 * waits for the child and then frees it, or spawns it again. Who sleeps until it is
 * woken has set CHILD_WAITED.
 */
static bool end_quickly(struct nursery_child *c, int result)
{
	int live = CHILD_LIVE | NURSERY_CHILD_CANCELLED;
	int done = CHILD_DONE | NURSERY_CHILD_CANCELLED;

	if (unlikely(c->handlers))
		return false;
	if (likely(!result))
		return atomic_cmpxchg(&c->state, CHILD_LIVE, CHILD_DONE) == CHILD_LIVE;
	return result == -ECANCELED && !READ_ONCE(c->pins) &&
	       atomic_cmpxchg(&c->state, live, done) == live;
}

/*
 * The function of @c returned, or it was skipped. Afterwards @c may not be touched.
 *
 * Context: Process context. Not counted yet, so @n is there.
 */
void nursery_child_end(struct nursery *n, struct nursery_child *c, int result)
{
	void (*done)(struct nursery_child *c);

	if (!nursery_debug_child_end(n, c))
		return;
	done = c->done;
	WRITE_ONCE(c->result, result);
	trace_nursery_child_done(n, c);
	if (unlikely(!end_quickly(c, result)) && !end_slowly(n, c, result))
		return;
	if (done)
		done(c);
}

/* End one child that was never started. Context: Any, no locks held; @n is there. */
static void skip(struct nursery *n, struct nursery_child *c)
{
	void (*done)(struct nursery_child *c);
	unsigned long flags;
	bool finished;

	if (!nursery_debug_child_end(n, c))
		return;
	done = c->done;
	WRITE_ONCE(c->result, -ECANCELED);
	trace_nursery_child_done(n, c);
	if (atomic_cmpxchg(&c->state, CHILD_LIVE, CHILD_DONE | NURSERY_CHILD_CANCELLED) !=
	    CHILD_LIVE) {
		/* As in end_slowly(). */
		if (atomic_fetch_or(NURSERY_CHILD_CANCELLED, &c->state) & CHILD_STARTING)
			done = NULL;
		do {
			raw_spin_lock_irqsave(&n->lock, flags);
			finished = finish_locked(n, c, -ECANCELED);
			raw_spin_unlock_irqrestore(&n->lock, flags);
		} while (!finished);
	}
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
	int err;

	err = nursery_debug_spawn(n, c, from);
	if (err)
		return err;
	if (!child_may_be_spawned(atomic_read(&c->state)))
		return -EBUSY;
	WRITE_ONCE(c->nursery, n);
	c->handlers = NULL;
	c->pins = 0;
	/* Pairs with the acquire of who looks at the child, as in admit(). */
	atomic_set_release(&c->state, CHILD_LIVE);
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

/*
 * End an external child that has completed and has no pins. If it failed, it is the code at
 * @by that cancels its siblings.
 *
 * Context: Any; counted here.
 */
void nursery_child_end_external(struct nursery_child *c, unsigned long by)
{
	void (*done)(struct nursery_child *c);
	struct nursery *n = c->nursery;
	int result = c->result;
	unsigned long flags;
	bool finished;

	if (!nursery_debug_child_end(n, c))
		return;
	done = c->done;
	check_left_open(n, c);
	/* Still counted, so @n stays for the cancel. */
	if (is_error(c, result))
		nursery_fail(n, result, by);
	trace_nursery_child_done(n, c);

	raw_spin_lock_irqsave(&n->lock, flags);
	hlist_del(&c->other);
	nursery_drop_handlers(c);
	while (!(finished = finish_locked(n, c, result))) {
		raw_spin_unlock_irqrestore(&n->lock, flags);
		cpu_relax();
		raw_spin_lock_irqsave(&n->lock, flags);
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (done)
		done(c);
	nursery_uncount(n, 1);
}

/*
 * Drop a pin. The last one ends an external child; a function child's worker waits
 * for it.
 *
 * Context: nursery->lock held.
 * Return: whether the caller is to call nursery_child_end_external(), without the lock.
 */
bool nursery_child_unpin(struct nursery *n, struct nursery_child *c)
{
	bool is_function = c->fn;

	if (c->pins > 1) {
		WRITE_ONCE(c->pins, c->pins - 1);
		return false;
	}
	/*
	 * The last access to a function child, which may end without the lock: pairs with
	 * the look in end_quickly() and the cmpxchg behind it.
	 */
	smp_store_release(&c->pins, 0);
	if (is_function)
		nursery_wake_waiters(n, &c->pins, 0);
	return !is_function;
}

/**
 * nursery_runner_run - run the child that an executor was given
 * @r: what nursery_executor_ops.submit was given, and retract did not take back
 *
 * For executors of callers. On return @r is gone.
 *
 * Context: Process context, no locks held.
 */
void nursery_runner_run(struct nursery_runner *r)
{
	struct nursery_child *c = container_of(r, struct nursery_child, runner);
	struct nursery *n = c->nursery;
	struct nursery_worker w;

	nursery_worker_init(&w, n->executor);
	raw_spin_lock_irq(&n->lock);
	nursery_worker_add(n, &w);
	nursery_child_start(n, &w, c);
	raw_spin_unlock_irq(&n->lock);

	nursery_worker_run(n, &w);
	nursery_worker_over(n, &w);
	nursery_offer_rest(n);
	nursery_worker_leave(n, &w);
}
EXPORT_SYMBOL_GPL(nursery_runner_run);

static noinline void report_completion(const struct nursery_child *c, unsigned long from)
{
	if (WARN_ONCE(1, "nursery: child %ps is completed at %pS twice, or was not begun\n",
		      nursery_child_symbol(c), (void *)from))
		nursery_debug_tell_child(c);
}

/**
 * nursery_child_complete - an external child has finished
 * @c: the child, begun
 * @result: 0 or a negative errno; -ECANCELED if it was stopped as asked
 *
 * The last thing to do with the child: from here on it may be freed. Exactly
 * once for each begin; a second call is reported and ignored. Where an interrupt
 * and somebody else may both find the operation finished, let them agree who
 * calls.
 *
 * Context: Any, hard interrupts and the child's cancel handlers included.
 */
void nursery_child_complete(struct nursery_child *c, int result)
{
	int old = atomic_read(&c->state);
	unsigned long flags;
	struct nursery *n;
	bool end;

	/* Fully ordered (R10): what the hardware wrote comes before the end. */
	do {
		if (c->fn || child_phase(old) != CHILD_EXTERNAL) {
			report_completion(c, _RET_IP_);
			return;
		}
	} while (!atomic_try_cmpxchg(&c->state, &old, old - CHILD_EXTERNAL + CHILD_ENDING));
	WRITE_ONCE(c->result, result);
	n = c->nursery;
	raw_spin_lock_irqsave(&n->lock, flags);
	end = nursery_child_unpin(n, c);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	if (end)
		nursery_child_end_external(c, _RET_IP_);
}
EXPORT_SYMBOL_GPL(nursery_child_complete);

/* Take it out of what workers have not started. Context: nursery->lock held. */
static bool take_from_workers(struct nursery *n, struct nursery_child *c)
{
	struct llist_node *list, **at;
	struct nursery_worker *w;
	bool found = false;

	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		list = nursery_worker_disown(w);
		for (at = &list; *at && !found; ) {
			if (*at == &c->link) {
				*at = c->link.next;
				found = true;
			} else {
				at = &(*at)->next;
			}
		}
		if (list)
			nursery_ready_put(n, list);
		if (found)
			break;
	}
	return found;
}

/*
 * Take a child that has not been started, to run it or to end it: then it is the
 * caller's, LIVE. With a bound, to run it must be its turn, and it gets the place.
 *
 * Context: nursery->lock held, the child not finished. The nursery is to be offered
 * afterwards.
 * Return: whether it worked. Not, if it has been started, or is being cancelled.
 */
bool nursery_child_take(struct nursery *n, struct nursery_child *c, bool to_run)
{
	switch (child_phase(atomic_read(&c->state))) {
	case CHILD_LIVE:
		return !n->max_active &&
		       (nursery_ready_remove(n, c) || take_from_workers(n, c));
	case CHILD_WAITS:
		if (to_run && (!nursery_has_place(n) ||
			       list_first_entry(&n->ready, struct nursery_child, node) != c))
			return false;
		list_del(&c->node);
		if (to_run)
			n->nr_active++;
		c->handlers = NULL;
		c->pins = 0;
		child_set_phase(c, CHILD_LIVE);
		return true;
	case CHILD_SUBMITTED:
		if (!nursery_child_retract(n, c))
			return false;
		if (nursery_takes_place(n, c) && !to_run)
			n->nr_active--;
		return true;
	case CHILD_PARKED:
		return !to_run && nursery_parked_remove(n, c);
	}
	return false;
}

/**
 * nursery_child_join - wait for one child
 * @c: the child. Not one whose done() frees it.
 *
 * Runs the child here if it is still queued. done() may still be running on
 * return; only nursery_join() waits for it. Where several join one child, it may be
 * freed or initialised anew when all have returned. Two children that wait for each other
 * are not found out, nor is one that waits for a sibling which max_active holds
 * back.
 *
 * Context: Process context, may sleep.
 * Return: the child's result; -EINVAL if it was never spawned; -EDEADLK if the
 *	   caller is the child, or runs below it.
 */
int nursery_child_join(struct nursery_child *c)
{
	struct nursery_stand_in thread;
	struct nursery_waiter waiter;
	unsigned int phase;
	struct nursery *n;
	bool taken;

	might_sleep();
	nursery_dep_join_child(c);

again:
	local_irq_disable();
	phase = nursery_child_hold(c);
	if (phase == CHILD_IDLE || phase == CHILD_DONE) {
		local_irq_enable();
		/* If it is spawned again at this moment, of this life or the next. */
		return phase == CHILD_IDLE ? -EINVAL : READ_ONCE(c->result);
	}
	n = c->nursery;
	if (nursery_child_runs_here(c)) {
		nursery_child_release(c);
		local_irq_enable();
		return -EDEADLK;
	}
	raw_spin_lock(&n->lock);
	/* A service may not end before its joiner does. */
	taken = !child_is_service(c) && nursery_child_take(n, c, true);
	if (taken && nursery_room_to_help()) {
		raw_spin_unlock(&n->lock);
		nursery_offer_rest(n);
		nursery_child_release(c);
		local_irq_enable();
		/* Ours and not counted, so the nursery stays. */
		if (!run_here(n, c))
			goto again;
		return READ_ONCE(c->result);
	}
	/* Held, so it has not finished: its end will see that we wait. */
	atomic_or(CHILD_WAITED, &c->state);
	nursery_add_waiter(n, &waiter, c);
	raw_spin_unlock(&n->lock);
	nursery_offer_rest(n);
	if (taken) {
		/* No room on this stack. */
		thread.nursery = n;
		thread.child = c;
		nursery_stand_in(&thread);
	}
	nursery_child_release(c);
	local_irq_enable();
	wait_for_completion(&waiter.wake);
	return waiter.result;
}
EXPORT_SYMBOL_GPL(nursery_child_join);
