/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of nursery.ko share, and the locking rules.
 *
 * To spawn a child, to run it and to end it takes no lock, but one atomic on each
 * word that is concerned: see child.c, worker.c and queue.c. What is left to locks,
 * all of them raw, in this order:
 *
 * nursery_roots_lock: the list of nurseries that are below no other. In task
 *	context with interrupts on only.
 *
 * nursery_tree_lock: one for the system. Which nursery is below which. Held
 *	while a cancel or a listing walks down. Nurseries that a child opens one after
 *	the other come and go without it; others take it twice.
 *
 * lane->lock: of the queue of an executor. Which nurseries have something to take. In
 *	task context with interrupts on only: what may happen in an interrupt comes in by
 *	lists without locks. Who takes a child back from an executor only tries it.
 *
 * nursery->lock: the rest of one nursery: hardware, cancel handlers, bounds, and
 *	looking at what workers have. An executor's submit() and retract() are called
 *	with it held.
 *
 * buf->lock of a struct nursery_dma, and inside it that of a bucket: loans. See dma_lend.c.
 *
 * No callback of a user (a child's function, done(), a cancel handler, a
 * release action) is called with any of them held.
 */
#ifndef _NURSERY_INTERNAL_H
#define _NURSERY_INTERNAL_H

#include <linux/build_bug.h>
#include <linux/completion.h>
#include <linux/nursery.h>
#include <linux/nursery_resource.h>

#include "compat.h"

/* nursery->flags, beside those of struct nursery_params. They stay: read without a lock */
#define NURSERY_USER_FLAGS	(NURSERY_SUPERVISE | NURSERY_NO_HELP | NURSERY_COLLECT | \
				 NURSERY_KEEP_PLACES)
#define NURSERY_OF_FILE		BIT(15)	/* embedded in a struct nursery_file */
#define NURSERY_RACE		BIT(14)	/* the first success cancels it: see race.c */
#define NURSERY_PUSHES		BIT(13)	/* its executor takes children from its inbox */

/*
 * nursery->state: flags, and above them how many children have not been counted as
 * finished. Only ever changed by a read-modify-write, fully ordered (R10).
 *
 *   count up	spawn, begin, with a cmpxchg that refuses on CLOSED and CANCELLED
 *		(R1). A spawn counts itself, too, until it is done with the nursery.
 *   count down	by who ended children, last of all. Who makes it zero takes WAITING
 *		with it in the same cmpxchg: then it is to wake the joiner, who
 *		sleeps until that; else it does not touch the nursery again.
 *   CLOSED	by the joiner, with a cmpxchg that needs a count of zero
 *   CANCELLED	sticky; with a cmpxchg that refuses on CLOSED
 *   WAITING	the joiner goes to sleep. Who takes the flag wakes it, once
 *   CRAMPED	with WAITING: the joiner has no room on its stack to help, so it is of no
 *		use to wake it for that. Set, or not, with WAITING
 *   LISTED	in lane->incoming or lane->nurseries; see queue.c
 *   SPREAD	a worker may have children in its slots that it has not started. Set by
 *		the worker, after it has shown them; taken back under nursery->lock,
 *		by who then looks at all and finds none
 *   SERVED	nr_services may not be zero. Both are changed under nursery->lock
 *   STOPS	the joiner has cancelled the services, and counts them; see service.c
 *   DUE	a parked child's time has come; the timer does not look for more of them.
 *		Set and cleared under nursery->lock, by who then finds none
 *   ASYNC	nobody sleeps in a join: who takes WAITING passes the nursery on to
 *		join_async.c, and it is no use to wake a joiner for anything else
 *   JOINING	somebody joins, or has joined, by whatever function
 *   OTHERS	and others wait for his result, as nursery->waiters. Under nursery->lock
 *   HELD	somebody has looked, under nursery->lock, at what the joiner has on its
 *		stack; the joiner takes the lock before it closes
 *   NEXT	who works as a joiner is in nursery_next(): see collect.c
 *   COLLECTS	NURSERY_COLLECT, here for spawns to see; set by init
 *   KILLABLE	a fatal signal of the joiner cancels the nursery; by the joiner
 *   QUIESCES	it has a quiesce function: see quiesce.c. Set under nursery->lock
 *   STUCK	who counts down takes WAITING, whatever is left: the joiner is to look for
 *		children that the hardware does not complete. By the timer
 *   LOOK	something changed that is not counted: with STUCK the joiner is to look
 *		again. Set under nursery->lock; taken back by the joiner, before it looks
 *   UNSURE	a child was cancelled alone, or failed to start
 *   ASKED	the quiesce function has been called when nothing but hardware was left
 *   UNSTOPPED	hardware of this nursery, or of one below, could not be stopped
 */
enum nursery_state {
	NURSERY_CANCELLED	= BIT(0),
	NURSERY_CLOSED		= BIT(1),
	NURSERY_JOINED		= BIT(2),	/* and everything is released */
	NURSERY_WAITING		= BIT(3),
	NURSERY_LISTED		= BIT(4),
	NURSERY_HELD		= BIT(5),
	NURSERY_SPREAD		= BIT(6),
	NURSERY_TIMED		= BIT(7),	/* has been in the queue of timer.c */
	NURSERY_ASYNC		= BIT(8),	/* set once, with JOINING */
	NURSERY_DUE		= BIT(9),	/* parked children may be; see park.c */
	NURSERY_CRAMPED		= BIT(10),
	NURSERY_SERVED		= BIT(11),	/* there may be services */
	NURSERY_STOPS		= BIT(12),	/* they are stopped, and counted */
	NURSERY_KILLABLE	= BIT(13),
	NURSERY_JOINING		= BIT(14),
	NURSERY_OTHERS		= BIT(15),
	NURSERY_NEXT		= BIT(16),
	NURSERY_COLLECTS	= BIT(17),
	NURSERY_QUIESCES	= BIT(18),
	NURSERY_STUCK		= BIT(19),
	NURSERY_UNSURE		= BIT(20),
	NURSERY_ASKED		= BIT(21),
	NURSERY_UNSTOPPED	= BIT(22),
	NURSERY_LOOK		= BIT(23),
	NURSERY_COUNT		= BIT(24),	/* one child */
};

static inline s64 nursery_count(s64 state)
{
	return state / NURSERY_COUNT;
}

/*
 * child->state: a phase, and flags beside it.
 *
 *   IDLE, DONE -> LIVE				spawn
 *   IDLE, DONE -> WAITS			spawn, with max_active
 *   WAITS -> LIVE				taken; nursery->lock
 *   LIVE, WAITS -> SUBMITTED -> LIVE		its executor takes children one by one;
 *						nursery->lock
 *   IDLE, DONE -> EXTERNAL -> ENDING		begin, complete
 *   LIVE -> PARKED -> LIVE			see park.c; nursery->lock
 *   LIVE, ENDING -> DONE			it has finished, or was skipped
 *
 * Who starts a LIVE child is settled by the list or the slot that it is in, not
 * here. Flags are set at any time, so every change of a spawned child is a
 * read-modify-write. The one to DONE is fully ordered (R10): what the child did comes
 * before, and who sees DONE with an acquire may free the child, unless that has a
 * done() to say when.
 */
enum nursery_child_state {
	CHILD_IDLE,
	CHILD_WAITS,		/* in nursery->ready */
	CHILD_SUBMITTED,	/* in nursery->others, given to an executor */
	CHILD_LIVE,		/* to be started, or started */
	CHILD_EXTERNAL,		/* in nursery->others, hardware */
	CHILD_ENDING,		/* the same, completed and not yet ended */
	CHILD_DONE,
	CHILD_PARKED,		/* in nursery->parked or spared */
	CHILD_PHASE	= 7,
	/* BIT(3) is NURSERY_CHILD_CANCELLED, as nursery_child_cancelled() is inline */
	CHILD_WAITED	= BIT(4),	/* somebody sleeps until it has finished */
	CHILD_HELD	= BIT(5),	/* somebody looks at it: it does not become DONE */
	CHILD_TELLS	= BIT(6),	/* its end is told, with nursery->lock. DONE: collected */
	CHILD_SERVICE	= BIT(7),	/* see service.c; it stays */
	CHILD_STARTING	= BIT(8),	/* and to who waits for it to be ready: see start.c */
	CHILD_PENDING	= BIT(9),	/* a cancel is put off: see shield.c */
	CHILD_UNPARKED	= BIT(10),	/* before it parks: then it does not */
	CHILD_CLAIMS	= BIT(11),	/* counted in nursery->nr_claims; nursery->lock */
	CHILD_STARTED	= BIT(12),	/* has parked, and not been run again */
	CHILD_TOLD	= BIT(13),	/* has been run again, or will be, to see the cancel */
	CHILD_ASIDE	= BIT(14),	/* parked, in nursery->spared; nursery->lock */
	CHILD_ABANDONED	= BIT(15),	/* completed in the hardware's stead; DONE, too */
	CHILD_UNSTOPPED	= CHILD_ASIDE,	/* ... ENDING: which could not be stopped */
	CHILD_BORROWS	= BIT(16),	/* it may have loans: see dma_lend.c */
	CHILD_SHIELD	= BIT(17),	/* one of them ... */
	CHILD_SHIELDS	= 0xff * CHILD_SHIELD,	/* ... of so many at most */
	/* From BIT(25) on: how many nurseries are open that it opened, modulo 128. */
};

/* In child->state: one nursery that the child opened, as .parent, and that is not joined */
#define CHILD_OPENED		BIT(25)

static inline unsigned int child_nr_open(int state)
{
	return (unsigned int)state / CHILD_OPENED;
}

static inline unsigned int child_phase(int state)
{
	return state & CHILD_PHASE;
}

/* IDLE, or DONE and not in the list of a nursery that collects. */
static inline bool child_may_be_spawned(int state)
{
	return child_phase(state) == CHILD_IDLE ||
	       (state & (CHILD_PHASE | CHILD_TELLS)) == CHILD_DONE;
}

static inline bool child_is_service(const struct nursery_child *c)
{
	return atomic_read(&c->state) & CHILD_SERVICE;
}

/*
 * Is it a service that others may rely on? The joiner cancels it when none of those are
 * left; a cancel of the nursery does not. Context: nursery->lock held, or a look.
 */
static inline bool child_is_spared(const struct nursery *n, const struct nursery_child *c)
{
	return (atomic_read(&c->state) & (CHILD_SERVICE | CHILD_STARTING)) == CHILD_SERVICE &&
	       !(atomic64_read(&n->state) & NURSERY_STOPS);
}

static inline bool child_is_shielded(const struct nursery_child *c)
{
	return atomic_read(&c->state) & CHILD_SHIELDS;
}

/* Change the phase and keep the flags. Context: nobody else changes the phase. */
static inline void child_set_phase(struct nursery_child *c, unsigned int phase)
{
	int old = atomic_read(&c->state);

	do {
	} while (!atomic_try_cmpxchg(&c->state, &old, (old & ~CHILD_PHASE) | phase));
}

/* How many children are handed out at once: see ready.c. */
#define NURSERY_CHUNK	16

/*
 * Somebody who runs children of a nursery: a work item or a thread of its
 * executor, or a joiner that helps. On the stack of whoever it is, and while it may
 * have children in nursery->workers, or nursery->joiner.
 *
 * @range: which of the slots are to be started, and whether one is: see worker.c
 * @finished: how many nursery->state still counts of those that it ended, and itself.
 *	The worker writes it; listings look
 * @executor: the nursery's
 * @end: of its turn, in jiffies; 0: none
 * @since: when it first had children that others may take, in ns; 0: not yet
 * @task: whose stack this is on
 * @node: in nursery->workers; nursery->lock
 * @wake: the joiner sleeps here
 * @slots: children
 */
struct nursery_worker {
	atomic_t		range;
	unsigned int		finished;
	const struct nursery_executor	*executor;
	unsigned long		end;
	u64			since;
	struct task_struct	*task;
	struct hlist_node	node;
	struct completion	wake;
	struct nursery_child	*slots[NURSERY_CHUNK];
};

/*
 * Somebody who sleeps until something happens to @key: a child (it finished), its state
 * (it is ready, or has failed to be), a cancel handler (it returned), a nursery (its join
 * is over). On the sleeper's stack; linked under nursery->lock.
 */
struct nursery_waiter {
	struct nursery_waiter	*next;
	const void		*key;
	struct completion	wake;
	int			result;		/* of the child, or of the join */
	bool			looks;		/* is woken as well to look whether it is stuck */
	bool			look;		/* and has been for that */
};

/* What drivers embed is to stay small: four cache lines, and one. */
#if defined(CONFIG_64BIT) && !defined(CONFIG_DEBUG_SPINLOCK) && !defined(CONFIG_LOCKDEP) && \
	!defined(CONFIG_DEBUG_OBJECTS)
static_assert(sizeof(struct nursery) <= 256);
static_assert(sizeof(struct nursery_child) <= 64);
#endif

/* scope.c */
void nursery_add_waiter(struct nursery *n, struct nursery_waiter *w, const void *key);
void nursery_wake_waiters(struct nursery *n, const void *key, int result);
bool nursery_wake_joiner(struct nursery *n);
int nursery_keep(struct nursery *n);
void nursery_uncount(struct nursery *n, unsigned int finished);
int nursery_result(const struct nursery *n);
void nursery_kill(struct nursery *n);
void nursery_work(struct nursery *n, bool (*over)(struct nursery *n, struct nursery_worker *w));
bool nursery_close(struct nursery *n, unsigned int finished);
int nursery_end(struct nursery *n);

/* Would it take a child now? A look, no promise: spawn decides. */
static inline bool nursery_is_open(const struct nursery *n)
{
	return !(atomic64_read(&n->state) & (NURSERY_CANCELLED | NURSERY_CLOSED));
}

/* join_async.c */
void nursery_join_later(struct nursery *n);
int nursery_join_async_start(void);
void nursery_join_async_stop(void);

/* tree.c */
extern raw_spinlock_t nursery_roots_lock, nursery_tree_lock;
u64 nursery_new_id(void);
u64 nursery_id(const struct nursery *n);
void nursery_tree_add(struct nursery *n, struct nursery_child *parent, struct nursery *outer);
void nursery_tree_del(struct nursery *n);
void nursery_tree_list_opened(struct nursery *n);
void nursery_tree_park(struct nursery *n, struct nursery_child *c);
void nursery_tree_left_open(struct nursery *n, struct nursery_child *c);
struct nursery_child *nursery_parent(const struct nursery *n);
struct nursery *nursery_up(const struct nursery *n);
struct nursery *nursery_tree_next(struct nursery *n, struct nursery *root);
struct nursery *nursery_tree_pass(struct nursery *n, struct nursery *root);
struct nursery *nursery_next_root(struct nursery *n);
bool nursery_runs_here(struct nursery *n);
bool nursery_child_runs_here(struct nursery_child *c);

/* ready.c */
void nursery_ready_push(struct nursery *n, struct nursery_child *c);
void nursery_ready_put(struct nursery *n, struct llist_node *list);
struct llist_node *nursery_ready_grab(struct nursery *n);
struct llist_node *nursery_ready_grab_all(struct nursery *n);
bool nursery_ready_remove(struct nursery *n, struct nursery_child *c);

static inline struct nursery_child *nursery_linked(struct llist_node *node)
{
	return llist_entry(node, struct nursery_child, link);
}

/*
 * Push a child behind others that are in the inbox. Whoever pushed the first of them
 * offers the nursery after that, and who comes takes them all: nothing is left to do,
 * and the nursery not to be touched again.
 *
 * Context: Any; the child is counted.
 * Return: false, and nothing is done, if there are no others.
 */
static __always_inline bool nursery_ready_push_behind(struct nursery *n, struct nursery_child *c)
{
	struct llist_node *first = READ_ONCE(n->inbox.first);

	do {
		if (!first)
			return false;
		c->link.next = first;
	} while (!try_cmpxchg(&n->inbox.first, &first, &c->link));
	return true;
}

/* Is there something to be started that nobody has taken? A look. Without max_active. */
static inline bool nursery_ready_any(const struct nursery *n)
{
	return !llist_empty(&n->inbox) || !llist_empty(&n->packs) ||
	       atomic64_read(&n->state) & NURSERY_DUE;
}

/* With max_active: is it somebody's turn? Context: nursery->lock held. */
static inline bool nursery_has_turn(const struct nursery *n)
{
	return (!list_empty(&n->ready) || atomic64_read(&n->state) & NURSERY_DUE) &&
	       n->nr_active < n->max_active;
}

/* child.c */
void nursery_child_launch(struct nursery *n, struct nursery_child *c,
			  const struct nursery_executor *e);
bool nursery_child_run_here(struct nursery *n, struct nursery_child *c);
bool nursery_child_finish(struct nursery *n, struct nursery_child *c, int result);
bool nursery_child_end_slowly(struct nursery *n, struct nursery_child *c, int result);
unsigned int nursery_children_skip(struct nursery *n, struct llist_node **list);
int nursery_admit(struct nursery *n, struct nursery_child *c, unsigned int phase,
		  unsigned long from);
int nursery_spawn_from(struct nursery *n, struct nursery_child *c, unsigned long from);
void nursery_child_make_ready(struct nursery *n, struct nursery_child *c);
int nursery_child_skip(struct nursery *n, struct nursery_child *c, unsigned long from);
unsigned int nursery_child_hold(struct nursery_child *c);
struct nursery *nursery_child_hold_unfinished(struct nursery_child *c);
void nursery_child_release(struct nursery_child *c);
void nursery_offer_rest(struct nursery *n);

/* Is this result an error that cancels the siblings and goes up (I7)? */
static inline bool child_failed(const struct nursery_child *c, int result)
{
	return result && !(result == -ECANCELED && nursery_child_cancelled(c));
}

/* A child is about to end: has it joined the nurseries that it opened? Context: Any, no locks. */
static inline void nursery_check_left_open(struct nursery *n, struct nursery_child *c)
{
	if (unlikely(child_nr_open(atomic_read(&c->state)) || (c->fn && c->opened)))
		nursery_tree_left_open(n, c);
}

/* child_join.c */
bool nursery_child_take(struct nursery *n, struct nursery_child *c, bool to_run);

/* external.c */
bool nursery_child_unpin(struct nursery *n, struct nursery_child *c);
void nursery_child_end_external(struct nursery_child *c, unsigned long by);

/* bound.c */
void nursery_child_claim(struct nursery *n, struct nursery_child *c);
void nursery_child_leave_place(struct nursery *n, struct nursery_child *c);
void nursery_child_queue(struct nursery *n, struct nursery_child *c,
			 const struct nursery_executor *e);
void nursery_submit_waiting(struct nursery *n);

/* Context: nursery->lock held. */
static inline bool nursery_has_place(const struct nursery *n)
{
	return !n->max_active || n->nr_active < n->max_active;
}

/* Has it parked, and kept its place? Until it is run again. */
static inline bool nursery_has_kept_place(const struct nursery *n, const struct nursery_child *c)
{
	return n->flags & NURSERY_KEEP_PLACES && atomic_read(&c->state) & CHILD_STARTED;
}

/* Is a child that is started counted below max_active, and was not before? */
static inline bool nursery_takes_place(const struct nursery *n, const struct nursery_child *c)
{
	return n->max_active && !child_is_service(c) && !nursery_has_kept_place(n, c);
}

/* submit.c */
void nursery_child_submit(struct nursery *n, struct nursery_child *c,
			  const struct nursery_executor *e);
bool nursery_child_retract(struct nursery *n, struct nursery_child *c);
void nursery_child_start(struct nursery *n, struct nursery_worker *w, struct nursery_child *c);
void nursery_wake_to_help(struct nursery *n);
bool nursery_submit_to_threads(struct nursery *n);
bool nursery_has_submitted(struct nursery *n, bool for_threads);

/* start.c */
void nursery_start_failed(struct nursery *n, struct nursery_child *c, int result, bool cancelled);

/* worker.c */
void nursery_worker_init(struct nursery_worker *w, const struct nursery_executor *e);
void nursery_worker_add(struct nursery *n, struct nursery_worker *w);
void nursery_worker_give(struct nursery_worker *w, struct nursery_child *c);
bool nursery_worker_take(struct nursery *n, struct nursery_worker *w);
bool nursery_worker_take_locked(struct nursery *n, struct nursery_worker *w);
bool nursery_workers_have_some(struct nursery *n);
void nursery_worker_run(struct nursery *n, struct nursery_worker *w);
void nursery_worker_over(struct nursery *n, struct nursery_worker *w);
void nursery_worker_leave(struct nursery *n, struct nursery_worker *w);
struct nursery_worker *nursery_look_at_joiner(struct nursery *n);
struct llist_node *nursery_worker_disown(struct nursery_worker *w);
struct nursery_child *nursery_worker_hold(struct nursery_worker *w);
void nursery_worker_release(struct nursery_worker *w);
bool nursery_room_to_help(void);

/* All who run children, the joiner first. Context: nursery->lock held. */
static inline struct nursery_worker *
nursery_next_worker(const struct nursery *n, const struct nursery_worker *w)
{
	return hlist_entry_safe(w && !hlist_unhashed(&w->node) ? w->node.next : n->workers.first,
				struct nursery_worker, node);
}

static inline struct nursery_worker *nursery_first_worker(struct nursery *n)
{
	return nursery_look_at_joiner(n) ?: nursery_next_worker(n, NULL);
}

/* queue.c */

/*
 * Somebody who was asked to serve an executor's queue: a work item, a thread. It
 * may come when the queue is long gone; then @executor says so. That is changed by
 * cmpxchg: the lowest bit is set while the server looks for something to take.
 */
struct nursery_server {
	unsigned long		executor;	/* 0: parted */
	bool			counted;	/* in queue->nr_workers */
	bool			named;		/* a thread that takes the nursery's name */
};

/* queue->due. Cleared by a server, fully ordered, before it looks. */
enum nursery_queue_due {
	DUE_NOBODY,
	DUE_ONE,
	DUE_ANOTHER,	/* the first one did not come, and a second was asked for */
};

void nursery_queue_init(struct nursery_queue *q,
			void (*ask)(struct nursery_executor *e, bool elsewhere),
			unsigned int limit, struct nursery_lane __percpu *lanes);
void nursery_queue_serve(struct nursery_server *s);
void nursery_queue_kick(const struct nursery_executor *e);
void nursery_queue_hurry(const struct nursery_executor *e);
void nursery_queue_unlist(struct nursery *n, unsigned int finished);
void nursery_queue_leave(const struct nursery_executor *e);
void nursery_queue_submit(const struct nursery_executor *e, struct nursery_runner *r);
bool nursery_queue_retract(const struct nursery_executor *e, struct nursery_runner *r);
void nursery_take_name(const char *name);
void __nursery_offer(struct nursery *n, s64 state);

/* Do workers of ours take this executor's children from the nursery? */
static inline bool nursery_is_queue(const struct nursery_executor *e)
{
	return e->queue.ask;
}

/* Do the workers of the nursery's executor take its children from the nursery? */
static inline bool nursery_is_chained(const struct nursery *n, const struct nursery_executor *e)
{
	return e == n->executor && nursery_is_queue(e);
}

/* Executors are const to those who use them; what is in the queue is ours. */
static inline struct nursery_queue *nursery_queue_of(const struct nursery_executor *e)
{
	return (struct nursery_queue *)&e->queue;
}

/*
 * There is something to take from this nursery: see to it that somebody does. See
 * queue.c for what the two reads rely on.
 *
 * Context: Any. The caller keeps the nursery; what there is to take was put there
 * with a full barrier. The executor is a queue.
 */
static inline void nursery_offer(struct nursery *n)
{
	s64 state = atomic64_read(&n->state);

	if (unlikely((state & (NURSERY_LISTED | NURSERY_WAITING)) != NURSERY_LISTED ||
		     !READ_ONCE(READ_ONCE(n->executor)->queue.due)))
		__nursery_offer(n, state);
}

/* park.c */
void nursery_child_park(struct nursery *n, struct nursery_child *c);
bool nursery_child_starts(struct nursery *n, struct nursery_child *c);
void nursery_child_tell(struct nursery_child *c);
ktime_t nursery_first_parked(const struct nursery *n);
void nursery_parked_expire(struct nursery *n, ktime_t now);
unsigned int nursery_take_due(struct nursery *n, struct nursery_child **to, unsigned int room);
bool nursery_is_parked_service(const struct nursery *n, const struct nursery_child *c);
struct llist_node *nursery_take_parked(struct nursery *n, unsigned int room);
bool nursery_parked_remove(struct nursery *n, struct nursery_child *c);
bool nursery_parked_take_due(struct nursery *n, struct nursery_child *c);
struct nursery_child *nursery_next_parked(struct nursery *n, struct nursery_child *c);

/* go.c */
const void *nursery_child_fn(const struct nursery_child *c);

/* collect.c */
void nursery_collect(struct nursery *n, struct nursery_child *c);
void nursery_collect_end(struct nursery *n);

/* service.c */
bool nursery_service_enter(struct nursery *n, struct nursery_child *c);
void nursery_service_begin(struct nursery *n, struct nursery_worker *w);
void nursery_service_end(struct nursery *n, struct nursery_worker *w);
void nursery_service_give_place(struct nursery *n);
void nursery_service_over(struct nursery *n);
bool nursery_services_stop(struct nursery *n);

/* What a child is known by in messages, for %ps: an external one has no function. */
static inline const void *nursery_child_symbol(const struct nursery_child *c)
{
	return c->fn ? nursery_child_fn(c) : (const void *)c->done;
}

/* cancel.c */
void nursery_stop_services(struct nursery *n);
void nursery_cancel_by(struct nursery *n, int cause, unsigned long canceller);
unsigned long nursery_child_canceller(const struct nursery_child *c);
void nursery_fail(struct nursery *n, int error, unsigned long by);
int nursery_cancel_id(struct nursery *within, u64 id, int cause);
void nursery_cancel_put_off(struct nursery_child *c);

/* handler.c */
void nursery_take_handlers(struct nursery_child *c, struct nursery_cancel_handler **list);
void nursery_grace_begin(struct nursery *n);
struct nursery_cancel_handler *nursery_grace_over(struct nursery *n);
void nursery_call_handlers(struct nursery_cancel_handler *list);
void nursery_drop_handlers(struct nursery_child *c);
void nursery_wait_for_handlers(struct nursery *n, struct nursery_child *c);

/* shield.c */
void nursery_shield_end(struct nursery_child *c);

/* timer.c */
void nursery_timer_start(void);
void nursery_timer_stop(void);
void nursery_timer_set(struct nursery *n);
void nursery_timer_end(struct nursery *n);

/* resource.c */
void nursery_release_all(struct nursery *n, bool stopped);
void nursery_release_early(struct nursery *n, struct nursery_resource *r);

/* dma_lend.c */
void nursery_loans_end(const struct nursery *n, struct nursery_child *c);
bool nursery_dma_is_safe(struct nursery_resource *r);

/* quiesce.c */
extern const struct nursery_resource_type nursery_quiesce_type;
ktime_t nursery_stuck_at(const struct nursery *n);
void nursery_stuck_expire(struct nursery *n, ktime_t now);
bool nursery_look_again(struct nursery *n);
bool nursery_child_is_stuck(const struct nursery *n, const struct nursery_child *c);
bool nursery_is_stuck(struct nursery *n, s64 *state);
void nursery_abandon(struct nursery *n);
void nursery_child_abandon(struct nursery *n, struct nursery_child *c);
bool nursery_has_stopped(struct nursery *n);
void nursery_set_unstopped(struct nursery *n);

/*
 * quarantine.c: resources of one nursery that are not released, the last that was
 * acquired first. On the joiner's stack.
 */
struct nursery_withheld {
	struct nursery_resource	*first;
	struct nursery_resource	**last;
	unsigned int		nr_dropped;	/* deferred actions, which never run */
};

bool nursery_withhold(struct nursery *n, struct nursery_withheld *w, struct nursery_resource *r);
void nursery_quarantine(struct nursery *n, const struct nursery_withheld *w);
void nursery_quarantine_start(void);
void nursery_quarantine_stop(void);

/*
 * A thread is to do what a joiner has no stack for: run children of @nursery, or this
 * @child that was taken for it. On the joiner's stack.
 */
struct nursery_stand_in {
	struct list_head	node;
	struct nursery		*nursery;
	struct nursery_child	*child;
};

/* executor.c, thread.c */
void nursery_stand_in(struct nursery_stand_in *s);
bool nursery_stand_in_withdraw(struct nursery_stand_in *s);
bool nursery_executor_sate(struct nursery_executor *e);
int nursery_executor_start(void);
void nursery_executor_stop(void);
int nursery_threads_start(void);
void nursery_threads_stop(void);
void nursery_threads_lend(struct nursery_executor *e);

/* op.c, op_core.c */
struct nursery_call;
struct nursery_file;
const struct nursery_call *nursery_call_of(const struct nursery_child *c);
int nursery_call_spawn(struct nursery_file *file, const char *name, const u64 *args,
		       unsigned int nr_args, u64 cookie, u64 *id);
int nursery_core_ops_start(void);
void nursery_core_ops_stop(void);

/* dev.c */
int nursery_dev_start(void);
void nursery_dev_stop(void);

/* debug.c: who frees, initialises or uses what is not his */
#ifdef CONFIG_DEBUG_OBJECTS
bool nursery_debug_open(struct nursery *n, unsigned long from);
bool nursery_debug_join(struct nursery *n, unsigned long from);
void nursery_debug_joined(struct nursery *n);
bool nursery_debug_known(struct nursery *n, const char *what, unsigned long from);
bool nursery_debug_child_init(struct nursery_child *c, unsigned long from);
int nursery_debug_spawn(struct nursery *n, struct nursery_child *c, unsigned long from);
bool nursery_debug_child_end(struct nursery *n, struct nursery_child *c);
void nursery_debug_tell(const struct nursery *n);
void nursery_debug_tell_child(const struct nursery_child *c);
#else
static inline void nursery_debug_tell(const struct nursery *n) { }
static inline void nursery_debug_tell_child(const struct nursery_child *c) { }
static inline bool nursery_debug_open(struct nursery *n, unsigned long from) { return true; }
static inline bool nursery_debug_join(struct nursery *n, unsigned long from) { return true; }
static inline void nursery_debug_joined(struct nursery *n) { }
static inline bool nursery_debug_known(struct nursery *n, const char *what, unsigned long from)
{
	return true;
}

static inline bool nursery_debug_child_init(struct nursery_child *c, unsigned long from)
{
	return true;
}

static inline int nursery_debug_spawn(struct nursery *n, struct nursery_child *c,
				      unsigned long from)
{
	return 0;
}

static inline bool nursery_debug_child_end(struct nursery *n, struct nursery_child *c)
{
	return true;
}
#endif

/* lockdep: a child "holds" its nursery while it runs, join "takes" it (R8) */
#ifdef CONFIG_LOCKDEP
void nursery_dep_init(struct nursery *n, struct lock_class_key *key, const char *name);
bool nursery_dep_acquire(struct nursery *n);
void nursery_dep_release(struct nursery *n);
bool nursery_dep_room(void);
void nursery_dep_join_child(struct nursery_child *c);
#else
static inline void nursery_dep_init(struct nursery *n, struct lock_class_key *key,
				    const char *name) { }
static inline bool nursery_dep_acquire(struct nursery *n) { return false; }
static inline void nursery_dep_release(struct nursery *n) { }
static inline bool nursery_dep_room(void) { return true; }
static inline void nursery_dep_join_child(struct nursery_child *c) { }
#endif

#endif /* _NURSERY_INTERNAL_H */
