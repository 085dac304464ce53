/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structured concurrency for drivers.
 *
 * A nursery is a scope that owns children: functions on an executor, hardware
 * operations completed by an interrupt, and nested nurseries. The scope cannot
 * be left before all of them have finished, and what it owns (DMA buffers,
 * deferred actions) is released only after that, last in, first out.
 *
 * Documentation/core-api/nursery.rst has the concepts, the invariants I1 to I9
 * that the comments refer to, and the rules for calling contexts.
 */
#ifndef _LINUX_NURSERY_H
#define _LINUX_NURSERY_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/timerqueue.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct completion;
struct cpumask;
struct device;
struct nursery;
struct nursery_child;
struct nursery_executor;
struct nursery_resource;
struct nursery_server;
struct nursery_waiter;

/**
 * typedef nursery_fn_t - what a child does
 * @child: the child itself; use container_of() to find what it works on
 *
 * Context: Process context, may sleep. Runs on the executor or in the context
 *          of a joiner that helps.
 * Return: 0 or a negative errno. -ECANCELED from a cancelled child is not an
 *         error (I7). %NURSERY_PARK: not finished, to be called again; see
 *         nursery_child_unpark().
 */
typedef int (*nursery_fn_t)(struct nursery_child *child);

/* What a child's function returns to be called again later, and to hold no thread meanwhile. */
#define NURSERY_PARK	1

/**
 * DOC: flags of a nursery
 *
 * %NURSERY_SUPERVISE
 *	A child's error does not cancel its siblings. nursery_join() still
 *	returns the first error.
 *
 * %NURSERY_NO_HELP
 *	The joiner only waits. Without it, a joiner runs queued children itself,
 *	in its own context and with the locks that it holds.
 *
 * %NURSERY_COLLECT
 *	Children that have finished are kept for nursery_next(). They may not be
 *	freed or spawned again before that has returned them, or the nursery has been
 *	joined.
 *
 * %NURSERY_KEEP_PLACES
 *	A child that parks keeps its place below max_active until it has finished, as one
 *	does whose hardware is at work. So max_active says how many are under way,
 *	and not how many run. Let none of them wait for one that has not started.
 */
#define NURSERY_SUPERVISE	BIT(0)
#define NURSERY_NO_HELP		BIT(1)
#define NURSERY_COLLECT		BIT(2)
#define NURSERY_KEEP_PLACES	BIT(3)

/**
 * struct nursery_params - how a nursery is to behave
 * @name: for logs, traces and lockdep; must outlive the nursery. NULL: "nursery"
 * @parent: the running child that opens this nested nursery, or NULL
 * @outer: enclosing nursery of the same function, or NULL: cancel travels down.
 *	Ignored if @parent is given.
 * @executor: where spawned children run; NULL: nursery_executor_unbound
 * @max_active: how many function children may run at once; 0: no bound,
 *	1: ordered, first in, first out. Hardware (external) children and nested
 *	nurseries are not counted, nor are children that have parked.
 * @flags: %NURSERY_SUPERVISE, %NURSERY_NO_HELP, %NURSERY_COLLECT, %NURSERY_KEEP_PLACES
 * @timeout: time from now until cancel(-ETIMEDOUT), in ns; 0: none
 * @grace: how long children have after a cancel, and after their other handlers have been
 *	called, until those of nursery_on_hard_cancel() are called if they are still
 *	there, in ns; 0: at once
 * @result: scoped_nursery() only: where the join's result goes, or NULL
 */
struct nursery_params {
	const char			*name;
	struct nursery_child		*parent;
	struct nursery			*outer;
	const struct nursery_executor	*executor;
	unsigned int			max_active;
	unsigned int			flags;
	ktime_t				timeout;
	ktime_t				grace;
	int				*result;
};

/**
 * struct nursery_runner - one child on its way through an executor of the caller's
 * @node: for the executor, from submit() until it calls nursery_runner_run()
 */
struct nursery_runner {
	struct llist_node		node;
};

/**
 * struct nursery_executor_ops - how an executor takes work
 * @name: for introspection
 * @submit: queue @r, so that nursery_runner_run(@r) is called once in process
 *	context. Called in any context, interrupts off and the nursery's lock
 *	held: it must not sleep, fail, or call nursery_runner_run() itself.
 * @retract: optional: take back @r if it has not started and say whether it
 *	worked; then nursery_runner_run(@r) is not called. Same context. Without
 *	it, joiners cannot help and cancelled children wait for their turn to be
 *	skipped.
 */
struct nursery_executor_ops {
	const char *name;
	void (*submit)(const struct nursery_executor *e, struct nursery_runner *r);
	bool (*retract)(const struct nursery_executor *e, struct nursery_runner *r);
};

/* private: part of a queue, that of one CPU or all of it; see kmod/queue.c */
struct nursery_lane {
	struct llist_head	incoming;	/* nurseries that have something to take ... */
	raw_spinlock_t		lock;		/* the rest; in task context only */
	unsigned int		nr;		/* not less than there are in @nurseries */
	struct list_head	nurseries;	/* ... or may still have, by listed */
} ____cacheline_aligned_in_smp;

/* private: what an executor of ours has to do; see kmod/queue.c */
struct nursery_queue {
	int			due;		/* who was asked for and has not yet looked */
	unsigned int		limit;		/* of nr_workers; 0: a caller's queue */
	atomic_t		nr_workers;	/* work items that serve it */
	atomic_t		nr_looking;	/* servers that look for something to take */
	void			(*ask)(struct nursery_executor *e, bool elsewhere);
	struct nursery_server	*asked;		/* who is due, if it can part from us */
	struct nursery_server	*spare;		/* a work item at hand */
	struct nursery_lane __percpu	*lanes;	/* NULL: there is one */
	unsigned int		turn;		/* the CPU whose lane is looked at first */
	raw_spinlock_t		runners_lock;	/* @first, @last */
	struct llist_node	*first;		/* runners that came one by one ... */
	struct llist_node	**last;		/* ... in order */
	struct list_head	lent;		/* waits for a thread; a caller's: an item */
	struct nursery_lane	lane;		/* that one: of executors of callers */
};

/**
 * struct nursery_executor - where children run
 * @ops: the implementation. An executor of the caller's own sets this only.
 * @wq: the queue of an executor made by nursery_executor_init_wq()
 */
struct nursery_executor {
	const struct nursery_executor_ops	*ops;
	struct workqueue_struct			*wq;
	/* private: of executors that workers of ours serve; else all zero */
	struct nursery_queue			queue;
};

extern const struct nursery_executor *const nursery_executor_unbound;
extern const struct nursery_executor *const nursery_executor_percpu;
extern const struct nursery_executor *const nursery_executor_highpri;
extern const struct nursery_executor *const nursery_executor_thread;
extern const struct nursery_executor *const nursery_executor_inline;

/**
 * struct nursery_thread_attrs - how the threads of an executor are scheduled
 * @policy: SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO or SCHED_RR
 * @priority: 1 to 99 for SCHED_FIFO and SCHED_RR; else 0
 * @nice: -20 to 19; 0 for SCHED_FIFO and SCHED_RR
 * @cpus: where they may run; NULL: anywhere
 * @node: NUMA node of their stacks; NUMA_NO_NODE: any
 */
struct nursery_thread_attrs {
	unsigned int		policy;
	int			priority;
	int			nice;
	const struct cpumask	*cpus;
	int			node;
};

const struct nursery_executor *
nursery_executor_create_threads(const char *name, const struct nursery_thread_attrs *attrs);
void nursery_executor_destroy_threads(const struct nursery_executor *e);
void nursery_executor_init_wq(struct nursery_executor *e, struct workqueue_struct *wq);
void nursery_runner_run(struct nursery_runner *r);

/**
 * struct nursery - a scope that owns children
 *
 * Embed it in what the children work for, or put it on the stack; all fields
 * are private. Initialise with nursery_init(), end with nursery_join().
 */
struct nursery {
	/* private: */
	atomic64_t			state;		/* enum nursery_state and a count */
	union {
		struct nursery_worker	*joiner;	/* who joins, and helps */
		struct llist_node	ended;		/* or nobody: see join_async.c */
	};
	union {
		struct {				/* children to start; see ready.c */
			struct llist_head	inbox;
			struct llist_head	packs;
		};
		struct list_head	ready;		/* the same, with max_active; lock */
	};
	const struct nursery_executor	*executor;
	union {
		struct llist_node	incoming;	/* lane->incoming */
		struct list_head	listed;		/* lane->nurseries */
	};
	struct hlist_head		workers;	/* who else runs children here; lock */
	raw_spinlock_t			lock;		/* all down to "tree" */
	unsigned int			nr_active;	/* started and not over; with max_active */
	unsigned int			nr_services;	/* not finished: see service.c */
	unsigned int			nr_claims;	/* with max_active: see bound.c */
	struct hlist_head		others;		/* external, or given to an executor */
	struct nursery_waiter		*waiters;	/* for something else than the end */
	struct nursery_resource		*resources;	/* last in first */
	struct timerqueue_node		timer;		/* the first of its events; see timer.c */
	ktime_t				deadline;	/* cancel(-ETIMEDOUT) */
	struct rb_root			parked;		/* children, by timer; see park.c */
	struct rb_root			spared;		/* those that no cancel of it concerns */
	int				error;		/* the first real error */
	int				cause;		/* why it was cancelled ... */
	unsigned long			canceller;	/* ... and by what code */
	ktime_t				grace;		/* how long; once cancelled, until when */
	ktime_t				hard_at;	/* hard handlers are due; see handler.c */
	union {
		struct nursery_child	*winner;	/* of a race: see race.c */
		struct llist_node	*collected;	/* the last: see collect.c */
		void			(*joined)(struct nursery *n, int err);	/* join_async.c */
	};

	/* tree: see tree.c */
	unsigned long			above;		/* the child or nursery around it */
	struct hlist_head		nested;		/* nurseries right below, by sibling */
	struct hlist_node		sibling;

	/* set by nursery_init() and never changed */
	u16				flags;
	u16				lane;		/* of the executor: its opener's CPU */
	unsigned int			max_active;	/* 0: no bound */
	const char			*name;
	atomic64_t			id;		/* 0: nobody has asked for it */
#ifdef CONFIG_LOCKDEP
	struct lockdep_map		dep_map;	/* "held" by children, "taken" by join */
	unsigned int			dep_level;	/* its subclass: see lockdep.c */
#endif
#ifdef CONFIG_DEBUG_OBJECTS
	const void			*self;		/* see debug.c */
	unsigned long			opened_from;
	bool				again;
#endif
};

/**
 * struct nursery_child - one unit of asynchronous work
 *
 * Embed it in what the work is about; all fields are private. The memory must
 * stay until the child has finished: until its done() is called; if it has none,
 * until nursery_child_join() has returned; or until nursery_join() has.
 */
struct nursery_child {
	/* private: */
	struct nursery		*nursery;	/* valid while the child is not finished */
	nursery_fn_t		fn;		/* NULL: external, hardware */
	void			(*done)(struct nursery_child *c);
	union {
		struct {
			union {
				struct {		/* to be started; see ready.c */
					struct llist_node	link;
					struct llist_node	pack;
				};
				struct {		/* runs */
					ktime_t			until;	/* is to park */
					struct nursery		*opened; /* see tree.c */
				};
				struct list_head	node;	/* the same, with max_active */
				struct hlist_node	other;	/* in nursery->others */
			};
			union {
				struct {		/* given to an executor, or to be */
					struct nursery_runner		runner;
					const struct nursery_executor	*executor;
				};
				struct {		/* else; nursery->lock */
					struct nursery_cancel_handler	*handlers;
					unsigned int			pins;	/* it cannot end */
				};
			};
		};
		struct timerqueue_node	timer;	/* parked; see park.c */
	};
	atomic_t		state;		/* enum nursery_child_state and flags */
	int			result;
#ifdef CONFIG_DEBUG_OBJECTS
	const void		*self;		/* see debug.c */
	unsigned long		spawned_from;
	unsigned int		prepared;
	bool			again;
#endif
};

/**
 * struct nursery_cancel_handler - what to do when a child is cancelled
 *
 * Embed it next to what the handler needs; all fields are private.
 */
struct nursery_cancel_handler {
	/* private: */
	struct nursery_cancel_handler	*next;		/* child->handlers; nursery->lock */
	struct nursery_child		*child;
	void				(*fn)(struct nursery_cancel_handler *h);
	enum {
		NURSERY_HANDLER_OFF,
		NURSERY_HANDLER_ON,
		NURSERY_HANDLER_RUNNING,		/* is to be called, or runs */
	} state;	/* written under nursery->lock; OFF is looked for without */
	bool				hard;		/* set when it is put on */
	/* nursery->lock: the grace of a hard one */
	bool				begun;
	ktime_t				due;		/* how long it is; once begun, until when */
};

/* private: nursery_child->state, beside what kmod/internal.h has */
#define NURSERY_CHILD_CANCELLED	BIT(3)	/* sticky */

/* scope */

void __nursery_init(struct nursery *n, const struct nursery_params *params,
		    struct lock_class_key *key, const char *key_name);

/**
 * nursery_init - open a scope
 * @n: the nursery
 * @params: how it is to behave; NULL for all defaults. Not kept.
 *
 * A nested nursery (@params->parent or @params->outer) below a cancelled one
 * is born cancelled. Each use of the macro is a lock class of its own.
 *
 * Context: Process context, interrupts and softirqs on; does not sleep. With
 *	    @params->parent, that child must be running.
 */
#define nursery_init(n, params)						\
do {									\
	static struct lock_class_key __nursery_key;			\
									\
	__nursery_init(n, params, &__nursery_key, "nursery:" #n);	\
} while (0)

int __devm_nursery_init(struct device *dev, struct nursery *n,
			const struct nursery_params *params, struct lock_class_key *key,
			const char *key_name);

/**
 * devm_nursery_init - open a scope that ends when a driver is unbound from its device
 * @dev: the device
 * @n: the nursery; its memory is acquired before, as by devm_kzalloc()
 * @params: how it is to behave; NULL for all defaults. Not kept.
 *
 * As nursery_init(). When the driver is unbound, or its probe fails, the nursery is
 * cancelled, with the cause -ENODEV, and joined at its place among the other managed
 * resources of @dev: before what was acquired earlier is released, after what was
 * acquired later. So acquire first what children need until they have stopped, such as
 * registers and the interrupt.
 *
 * The driver may cancel and join the nursery itself before that, as in its remove() or
 * shutdown(), but for nursery_join_async(): its done() would be called too late.
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENOMEM: @n is joined, and not used any more.
 */
#define devm_nursery_init(dev, n, params)				\
({									\
	static struct lock_class_key __nursery_key;			\
									\
	__devm_nursery_init(dev, n, params, &__nursery_key, "nursery:" #n);	\
})

int nursery_join(struct nursery *n);
int nursery_join_killable(struct nursery *n);
void nursery_join_async(struct nursery *n, void (*done)(struct nursery *n, int err));

/* private: a scoped_nursery() on the stack */
struct nursery_scope {
	struct nursery	nursery;
	int		*result;
	bool		entered;
	bool		left;
};

/* private: */
static inline struct nursery *
nursery_scope_enter(struct nursery_scope *scope, const struct nursery_params *params,
		    struct lock_class_key *key, const char *key_name)
{
	__nursery_init(&scope->nursery, params, key, key_name);
	scope->result = params->result;
	scope->entered = true;
	return &scope->nursery;
}

/* private: */
static inline void nursery_scope_exit(struct nursery_scope *scope)
{
	int err = nursery_join(&scope->nursery);

	if (scope->result)
		*scope->result = err;
}

/* private: two loops of one turn: the outer owns the scope, the inner declares the pointer */
#define __scoped_nursery(_scope, _n, ...)					\
	for (struct nursery_scope _scope					\
	     __attribute__((__cleanup__(nursery_scope_exit))) = {};		\
	     !_scope.entered;)							\
		__scoped_nursery_enter(_scope, _n, __VA_ARGS__)

#define __scoped_nursery_enter(_scope, _n, ...)					\
	for (struct nursery *_n =						\
	     nursery_scope_enter(&_scope,					\
			&(const struct nursery_params){ __VA_ARGS__ },		\
			({ static struct lock_class_key __key; &__key; }),	\
			"nursery:" #_n);					\
	     !_scope.left; _scope.left = true)

/**
 * scoped_nursery - a nursery for the block that follows
 * @n: name of the variable, struct nursery \*, to declare
 * @...: fields of struct nursery_params, as in ``.name = "scan"``
 *
 * The nursery lives on the stack. Every way out of the block (its end, break,
 * goto, return) joins it first; the join's result goes where @result of the
 * parameters points. break and continue leave the block, not a loop around it; the
 * value of a return is computed before the join. An error in the block itself does
 * not cancel the children: call nursery_cancel() for that.
 *
 * Context: Process context, may sleep.
 */
#define scoped_nursery(n, ...)	\
	__scoped_nursery(__UNIQUE_ID(nursery_scope), n, __VA_ARGS__)

/* children */

void nursery_child_init(struct nursery_child *c, nursery_fn_t fn,
			void (*done)(struct nursery_child *c));
void nursery_child_set_service(struct nursery_child *c);
int nursery_spawn(struct nursery *n, struct nursery_child *c);
int nursery_spawn_on(struct nursery *n, struct nursery_child *c,
		     const struct nursery_executor *e);
int nursery_spawn_delayed(struct nursery *n, struct nursery_child *c, ktime_t delay);
int nursery_try_spawn(struct nursery *n, struct nursery_child *c);
int nursery_go(struct nursery *n, int (*fn)(struct nursery_child *c, void *arg), void *arg,
	       gfp_t gfp);
int nursery_child_begin(struct nursery *n, struct nursery_child *c);
void nursery_child_complete(struct nursery_child *c, int result);
void nursery_child_unpark(struct nursery_child *c);
int nursery_child_park_until(struct nursery_child *c, ktime_t when);
int nursery_child_join(struct nursery_child *c);
struct nursery_child *nursery_next(struct nursery *n);
int nursery_start(struct nursery *n, struct nursery_child *c);
void nursery_child_ready(struct nursery_child *c);

/* cancellation */

void nursery_cancel(struct nursery *n, int cause);
void nursery_child_cancel(struct nursery_child *c);
bool nursery_cancelled(const struct nursery *n);
int nursery_cancel_cause(const struct nursery *n);
void *nursery_canceller(const struct nursery *n);
int nursery_on_cancel(struct nursery_child *c, struct nursery_cancel_handler *h,
		      void (*fn)(struct nursery_cancel_handler *h));
int nursery_on_hard_cancel(struct nursery_child *c, struct nursery_cancel_handler *h,
			   void (*fn)(struct nursery_cancel_handler *h));
void nursery_off_cancel(struct nursery_cancel_handler *h);
void nursery_shield(struct nursery_child *c);
void nursery_unshield(struct nursery_child *c);
void nursery_set_deadline(struct nursery *n, ktime_t when);
ktime_t nursery_effective_deadline(const struct nursery *n);

/**
 * nursery_child_cancelled - has this child been asked to stop?
 * @c: the child
 *
 * The flag to poll in a loop: one load. Sticky, and set by a cancel of the
 * child, of its nursery, or of anything above. Between nursery_shield() and
 * nursery_unshield() it is not seen.
 *
 * Context: Any.
 * Return: true once the child has been cancelled, unless it is shielded.
 */
static inline bool nursery_child_cancelled(const struct nursery_child *c)
{
	/* A hint to stop, it orders nothing. */
	return atomic_read(&c->state) & NURSERY_CHILD_CANCELLED;
}

/* combinators: no allocation, no scope around them */

int __nursery_race(struct lock_class_key *key, struct nursery_child *parent,
		   struct nursery_child **children, unsigned int nr);

/* private: its arguments are passed on as they are, compound literals included */
#define __nursery_with_key(fn, ...)					\
({									\
	static struct lock_class_key __nursery_key;			\
									\
	fn(&__nursery_key, __VA_ARGS__);				\
})

/**
 * nursery_race_below - run children until one of them succeeds, below a child
 * @...: struct nursery_child \*parent: the calling child, whose cancel reaches the race;
 *	struct nursery_child \*\*children: each has a function, none is spawned;
 *	unsigned int nr: how many there are
 *
 * The first child whose result is 0 wins. The others are cancelled, with cause 0, and joined.
 * An error does not stop the others. Each child completes exactly once, whoever wins: one
 * that was not started by then with -ECANCELED, and its done() is called. The children run on the
 * executor of the parent's nursery. Never allocates. Each use of the macro is a lock class of
 * its own.
 *
 * A child that has succeeded when another had won before has the result 0, but did not win: if
 * both have acquired something, it is to be given back by who sees the index.
 *
 * Context: Process context, from the function of the parent; may sleep.
 * Return: the index of the winner. If there is none, -ECANCELED if the race was cancelled from
 *	   above, or each child on its own; else the first error, by time. -EINVAL: there
 *	   are no children, or one without a function; -EBUSY: there is one that is spawned
 *	   and not finished. In both cases nothing was started.
 */
#define nursery_race_below(...)	__nursery_with_key(__nursery_race, __VA_ARGS__)

/**
 * nursery_race - run children until one of them succeeds
 * @...: struct nursery_child \*\*children: each has a function, none is spawned;
 *	unsigned int nr: how many there are
 *
 * As nursery_race_below(), for callers that are not children: on
 * nursery_executor_unbound, and not to be cancelled but child by child.
 *
 * Context: Process context, may sleep.
 * Return: as nursery_race_below().
 */
#define nursery_race(...)	__nursery_with_key(__nursery_race, NULL, __VA_ARGS__)

/**
 * struct nursery_range_params - how nursery_for_each() is to go about it
 * @name: for logs, traces and listings; NULL: "for_each"
 * @parent: the calling child, or NULL: what cancels it cancels this
 * @outer: enclosing nursery of the same function, or NULL: cancel travels down. Ignored if
 *	@parent is given.
 * @executor: where the others than the caller work; NULL: nursery_executor_unbound
 * @grain: how much of the range the function is called for at most; 0: an eighth of what
 *	each worker would get
 * @max_active: how many may be in the function at once, the caller among them; 0: as many as
 *	CPUs are online
 * @flags: %NURSERY_NO_HELP: the caller only waits
 * @in_order: called for each sub-range when the function has succeeded for all up to
 *	its end: one call at a time, in the order of the range, while others are being worked
 *	on. The function does not wait for it, however slow it is: who is in it is
 *	not counted in @max_active, and another worker comes. An error stops all, as one of
 *	the function does. At most 64 workers then. Or NULL
 */
struct nursery_range_params {
	const char			*name;
	struct nursery_child		*parent;
	struct nursery			*outer;
	const struct nursery_executor	*executor;
	unsigned long			grain;
	unsigned int			max_active;
	unsigned int			flags;
	int (*in_order)(struct nursery_child *c, unsigned long start, unsigned long end,
			void *ctx);
};

int __nursery_for_each(struct lock_class_key *key, void *ctx, unsigned long start,
		       unsigned long end, const struct nursery_range_params *params,
		       int (*fn)(struct nursery_child *c, unsigned long start,
				 unsigned long end, void *ctx));

/**
 * nursery_for_each - call a function for all of a range, on several CPUs
 * @...: void \*ctx: for the function;
 *	unsigned long start, unsigned long end: the range, without its end;
 *	const struct nursery_range_params \*params: NULL for all defaults;
 *	int (\*fn)(struct nursery_child \*c, unsigned long start, unsigned long end, void \*ctx)
 *
 * fn is called for parts of the range that together are all of it, each once, in any
 * order, several at a time. c is a child, for nursery_child_cancelled() and cancel-aware
 * waits; a handler that fn puts on is to be off when it returns. The caller works, too, unless
 * %NURSERY_NO_HELP. On return no call is under way. Never allocates. Each use of the
 * macro is a lock class of its own.
 *
 * Context: Process context, may sleep.
 * Return: 0: fn has returned 0 for all of the range, and so has in_order(). Else the first
 *	   error, after which none was started. -ECANCELED: it was cancelled; -EINVAL: start is
 *	   beyond end, there is no fn, or a flag that is not allowed.
 */
#define nursery_for_each(...)	__nursery_with_key(__nursery_for_each, __VA_ARGS__)

/* waits that end with a cancel: see kmod/wait.c */

/* private: a child that waits, on its stack */
struct nursery_wait {
	struct nursery_cancel_handler	handler;
	struct task_struct		*task;
	unsigned int			state;		/* to sleep in */
};

void __nursery_wait_start(struct nursery_wait *w, struct nursery_child *c);
void __nursery_wait_killed(struct nursery_wait *w);
void __nursery_wait_end(struct nursery_wait *w);

/*
 * private: the condition is looked at last before each sleep and first after it, so once
 * it is true it wins. A condition that takes what it finds loses nothing.
 */
#define __nursery_wait_event(c, wq_head, condition, timeout)			\
({										\
	struct nursery_child *__c = (c);					\
	long __left = (timeout);						\
	struct nursery_wait __wait;						\
	int __err = 0;								\
										\
	might_sleep();								\
	if (!(condition)) {							\
		__nursery_wait_start(&__wait, __c);				\
		while (___wait_event(wq_head,					\
			({ __err = __nursery_wait_over(__c, condition, __left);	\
			   __err <= 0; }),					\
			__wait.state, 0, 0, __left = schedule_timeout(__left)))	\
			__nursery_wait_killed(&__wait);				\
		__nursery_wait_end(&__wait);					\
	}									\
	__err;									\
})

/* private: what the wait returns; 1: it goes on */
#define __nursery_wait_over(c, condition, left)					\
	((condition) ? 0 : nursery_child_cancelled(c) ? -ECANCELED : (left) ? 1 : -ETIME)

/**
 * nursery_wait_event - sleep until a condition is true or the child is cancelled
 * @c: the calling child
 * @wq_head: the wait queue on which the condition is signalled
 * @condition: C expression for what is waited for; evaluated as in wait_event(), so
 *	it must not sleep
 *
 * As wait_event(), whoever makes the condition true wakes @wq_head, by wake_up(). A
 * condition that is true wins over a cancel, also if the child was cancelled before:
 * who goes round a loop of waits looks at nursery_child_cancelled() himself. After
 * the return neither the wait queue nor the child refers to the waiter.
 *
 * Context: Process context, may sleep; from the child's function.
 * Return: 0: the condition was true. -ECANCELED: it was not, and the child has been
 *	   cancelled.
 */
#define nursery_wait_event(c, wq_head, condition)				\
	__nursery_wait_event(c, wq_head, condition, MAX_SCHEDULE_TIMEOUT)

/**
 * nursery_wait_event_timeout - nursery_wait_event() that ends after a time
 * @c: the calling child
 * @wq_head: the wait queue on which the condition is signalled
 * @condition: C expression for what is waited for
 * @timeout: how long, in jiffies; 0: only look
 *
 * Unlike wait_event_timeout() it does not tell how much of the time was left: its
 * results are those of wait_event_hrtimeout(). So a time-out here is told apart from a
 * deadline of the nursery, which cancels with -ETIMEDOUT.
 *
 * Context: Process context, may sleep; from the child's function.
 * Return: 0: the condition was true, at the end of the time at the latest. If it
 *	   was not: -ECANCELED if the child has been cancelled, else -ETIME.
 */
#define nursery_wait_event_timeout(c, wq_head, condition, timeout)		\
	__nursery_wait_event(c, wq_head, condition, timeout)

int nursery_wait_for_completion(struct nursery_child *c, struct completion *x);
int nursery_sleep(struct nursery_child *c, ktime_t duration);
int nursery_cond_resched(struct nursery_child *c);

/* what a scope owns */

int nursery_defer(struct nursery *n, void (*fn)(void *), void *data);
void *nursery_kzalloc(struct nursery *n, size_t size, gfp_t gfp) __alloc_size(2);
int nursery_get_device(struct nursery *n, struct device *dev);

#endif /* _LINUX_NURSERY_H */
