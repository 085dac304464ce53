/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of nursery.ko share, and the locking rules.
 *
 * All locks are raw, because children are spawned and completed in hard
 * interrupts (I8). Taken in this order:
 *
 * nursery_tree_lock: one for the system. Which nursery is below which. Held
 *	while a cancel or a listing walks down. A joiner takes it once more
 *	before it returns, to leave the tree. So while somebody holds it and has
 *	seen a child that is not finished, that child's nursery cannot go away.
 *
 * nursery->lock: everything else of one nursery. An executor's submit() and
 *	retract() are called with it held.
 *
 * queue->lock: of an executor. Which nurseries have something to take, and who
 *	was asked to take it. A worker comes from the queue to the nursery, the
 *	other way round, so there it only tries; see queue.c.
 *
 * worker->lock: what one worker has taken and what it runs. From outside it is
 *	taken with nursery->lock held, by the worker itself alone.
 *
 * No callback of a user (a child's function, done(), a cancel handler, a
 * release action) is called with any of them held.
 */
#ifndef _NURSERY_INTERNAL_H
#define _NURSERY_INTERNAL_H

#include <linux/completion.h>
#include <linux/nursery.h>
#include <linux/nursery_resource.h>

#include "compat.h"

/*
 * nursery->state. The low bits are the flags of struct nursery_params. Written
 * under nursery->lock, but for JOINED.
 */
enum nursery_state {
	NURSERY_CANCELLED	= BIT(24),	/* sticky */
	NURSERY_CLOSED		= BIT(25),	/* the last child is gone: no spawn any more */
	NURSERY_JOINED		= BIT(26),	/* and everything is released; by the joiner */
	NURSERY_TIMED		= BIT(27),	/* had a deadline: see deadline.c */
	NURSERY_OF_FILE		= BIT(28),	/* embedded in a struct nursery_file */
};

#define NURSERY_USER_FLAGS	(NURSERY_SUPERVISE | NURSERY_NO_HELP)

/*
 * child->state: a phase, and flags beside it.
 *
 *   IDLE, DONE -> QUEUED | RUNNING		spawn, begin; nursery->lock
 *   QUEUED -> SUBMITTED			its executor takes them one by one
 *   QUEUED, SUBMITTED -> RUNNING		a worker takes it off the list that it
 *						is on, under the lock of that list
 *   QUEUED, SUBMITTED -> ENDING		somebody took it off its list, by name,
 *   ENDING -> RUNNING | DONE			to run it or because it is cancelled
 *   QUEUED -> DONE				cancelled with all that are in the list
 *   RUNNING -> DONE				its function returned
 *   RUNNING -> ENDING -> DONE			its hardware is done; no handler runs
 *
 * While a child is on a list (nursery->ready or ->others, or a worker's batch)
 * the word is written under the lock of the list, nursery->lock or worker->lock,
 * so its start may be a plain store. From then on others set flags at any time,
 * and every change is a read-modify-write. The one to DONE is fully ordered (R10):
 * what the child did comes before, and who sees DONE with an acquire may free the
 * child, unless that has a done() to say when.
 */
enum nursery_child_state {
	CHILD_IDLE,
	CHILD_QUEUED,		/* in nursery->ready or in a worker's batch */
	CHILD_SUBMITTED,	/* given to an executor that takes children one by one */
	CHILD_RUNNING,
	CHILD_ENDING,		/* taken off its list by who starts or ends it; completed */
	CHILD_DONE,
	CHILD_PHASE	= 7,
	/* BIT(3) is NURSERY_CHILD_CANCELLED, as nursery_child_cancelled() is inline */
	CHILD_WAITED	= BIT(4),	/* somebody sleeps until it has finished */
};

static inline unsigned int child_phase(int state)
{
	return state & CHILD_PHASE;
}

/*
 * Somebody who runs children of a nursery: a work item or a thread of its
 * executor, or a joiner that helps. On the stack of whoever it is; from the first
 * child that it takes to the moment when it counts those that it ended it is in
 * nursery->workers.
 *
 * @lock: @batch and @child, between the worker and all others
 * @batch: children that it has taken and not started, in a ring, or NULL
 * @child: the one that it has started and not ended
 * @finished: how many it ended and nursery->nr_children still has. The worker
 *	writes it; listings look
 * @task: whose stack this is on
 * @node: in nursery->workers; nursery->lock
 */
struct nursery_worker {
	raw_spinlock_t		lock;
	unsigned int		finished;
	struct nursery_child	*batch;
	struct nursery_child	*child;
	struct task_struct	*task;
	struct hlist_node	node;
};

/*
 * Somebody who sleeps until something happens to @key: the nursery (it has no
 * children any more, or one to help with), a child (it finished), a cancel handler
 * (it returned). On the sleeper's stack; linked under nursery->lock.
 */
struct nursery_waiter {
	struct nursery_waiter	*next;
	const void		*key;
	struct completion	wake;
	int			result;		/* of the child */
};

/* scope.c */
void nursery_add_waiter(struct nursery *n, struct nursery_waiter *w, const void *key);
bool nursery_wake_waiters(struct nursery *n, const void *key, int result);
int nursery_result(const struct nursery *n);

/* Would it take a child now? A look, no promise: spawn decides. */
static inline bool nursery_is_open(const struct nursery *n)
{
	return !(READ_ONCE(n->state) & (NURSERY_CANCELLED | NURSERY_CLOSED));
}

/* tree.c */
extern raw_spinlock_t nursery_tree_lock;
u64 nursery_new_id(void);
void nursery_tree_add(struct nursery *n, struct nursery_child *parent, struct nursery *outer);
void nursery_tree_del(struct nursery *n);
struct nursery *nursery_tree_next(struct nursery *n, struct nursery *root);
struct nursery *nursery_tree_next_root(struct nursery *n);
bool nursery_runs_here(struct nursery *n);
bool nursery_child_runs_here(struct nursery_child *c);

/* ready.c */
void nursery_ready_add(struct nursery *n, struct nursery_child *c);
struct nursery_child *nursery_ready_take(struct nursery *n);
void nursery_ready_take_all(struct nursery *n, struct list_head *chunks);
struct nursery_child *nursery_ring_pop(struct nursery_child **ring);
struct nursery_child *nursery_ring_split(struct nursery_child **ring);
bool nursery_unqueue(struct nursery *n, struct nursery_child *c);

/* child.c */
void nursery_child_end(struct nursery *n, struct nursery_child *c, int result);
unsigned int nursery_children_skip(struct nursery *n, struct nursery_child *ring);
void nursery_child_unpin(struct nursery_child *c);
bool nursery_child_retract(struct nursery *n, struct nursery_child *c);
void nursery_submit_waiting(struct nursery *n);
void nursery_offer(struct nursery *n);
void nursery_uncount(struct nursery *n, unsigned int finished);

/* worker.c */
void nursery_worker_init(struct nursery_worker *w);
void nursery_worker_start(struct nursery *n, struct nursery_worker *w, struct nursery_child *c);
bool nursery_worker_take(struct nursery *n, struct nursery_worker *w);
bool nursery_worker_leaves_some(const struct nursery *n, const struct nursery_worker *w);
void nursery_worker_run(struct nursery *n, struct nursery_worker *w);
void nursery_worker_over(struct nursery *n, struct nursery_worker *w);
void nursery_worker_leave(struct nursery *n, struct nursery_worker *w);
bool nursery_room_to_help(void);

/* queue.c */

/*
 * Somebody who was asked to serve an executor's queue: a work item, a thread. It
 * may come when the queue is long gone; then @executor says so.
 */
struct nursery_server {
	raw_spinlock_t		lock;		/* @executor */
	struct nursery_executor	*executor;	/* NULL: parted */
	bool			counted;	/* in queue->nr_workers */
	bool			named;		/* a thread that takes the nursery's name */
};

void nursery_queue_init(struct nursery_queue *q, bool (*ask)(struct nursery_executor *e),
			unsigned int limit);
void nursery_queue_serve(struct nursery_server *s);
void nursery_queue_offer(struct nursery *n);
void nursery_queue_kick(const struct nursery_executor *e);
void nursery_queue_unlist(struct nursery *n);
void nursery_queue_move(struct nursery *n);
void nursery_queue_submit(const struct nursery_executor *e, struct nursery_runner *r);
bool nursery_queue_retract(const struct nursery_executor *e, struct nursery_runner *r);

void nursery_take_name(const char *name);

/* Do workers of ours take this executor's children from the nursery? */
static inline bool nursery_is_queue(const struct nursery_executor *e)
{
	return e->queue.ask;
}

/* Executors are const to those who use them; what is in the queue is ours. */
static inline struct nursery_queue *nursery_queue_of(const struct nursery_executor *e)
{
	return (struct nursery_queue *)&e->queue;
}

/* cancel.c */
void nursery_fail(struct nursery *n, int error);
int nursery_cancel_id(struct nursery *within, u64 id, int cause);
void nursery_drop_handlers(struct nursery_child *c);

/* deadline.c */
void nursery_deadline_start(void);
void nursery_deadline_stop(void);
void nursery_deadline_end(struct nursery *n);

/* resource.c */
void nursery_release_all(struct nursery *n);

/* executor.c, thread.c */
int nursery_executor_start(void);
void nursery_executor_stop(void);
int nursery_threads_start(void);
void nursery_threads_stop(void);
bool nursery_threads_lend(struct nursery_executor *e);

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
