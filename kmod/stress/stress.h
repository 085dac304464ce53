/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of nursery_stress.ko share.
 *
 * A thread makes one tree after the other; each is a step. A scope is a nursery
 * with children, opened by the thread, by a child (.parent) or by another scope's
 * owner (.outer). A function child does random things; an external one has a
 * trigger, which goes off in an interrupt, does random things and completes it.
 *
 * What is known about the core, the checks need to know for certain. So who asks
 * for something says so before ("called", "reasons"), and after it returned
 * ("returned"); between the two anything may be.
 */
#ifndef _NURSERY_STRESS_STRESS_H
#define _NURSERY_STRESS_STRESS_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/nursery.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

#include "../compat.h"
#include "random.h"

#define STRESS_MAX_CHILDREN	64	/* of a scope: bits of its bitmaps */
#define STRESS_MAX_DEPTH	4
#define STRESS_MAX_EXECUTORS	16
#define STRESS_LONG_SLEEP	(20 * NSEC_PER_SEC)	/* only a cancel ends it in time */

/* A place where children run: executor.c has the table. */
struct stress_executor {
	const char				*name;
	/* the core's exported pointer, or that to a queue of ours */
	const struct nursery_executor *const	*executor;
	unsigned int				flags;
};

/* A child may wait long for a worker, or for good if it is a child's child. */
#define STRESS_FEW_WORKERS	BIT(0)
/* It may run the child in spawn. */
#define STRESS_PROCESS_ONLY	BIT(1)
/* Nobody but it can run the child. With few workers. */
#define STRESS_NO_RETRACT	BIT(2)
/* A workqueue of ours, on which a scope may make an executor that goes with it. */
#define STRESS_OUR_QUEUE	BIT(3)

/* One memory block that was given back, and is looked at once more before it is freed. */
struct stress_kept {
	void	*memory;
	size_t	size;
};

/* A kthread that makes trees. */
struct stress_thread {
	unsigned int		id;
	u64			step;		/* read by the watchdog */
	struct task_struct	*task;
	bool			idle;		/* will make no tree any more */

	u64			seen_step;	/* of the watchdog */
	unsigned long		seen;

	spinlock_t		lock;		/* below: scopes of one tree end in parallel */
	struct stress_kept	kept[8];
	unsigned int		next_kept;
};

/* Why a nursery may be cancelled. Set before it can be. */
#define STRESS_CALLED		BIT(0)
#define STRESS_FAILED		BIT(1)
#define STRESS_DEADLINE		BIT(2)

/* scope->flags */
#define SCOPE_ON_STACK		BIT(0)
#define SCOPE_SUPERVISE		BIT(1)
#define SCOPE_NO_HELP		BIT(2)
#define SCOPE_OWNER_CANCELS	BIT(3)	/* before it joins, so a child may sleep for it */
#define SCOPE_FIXED_DEADLINE	BIT(4)	/* the same, after its timeout; nobody moves it */
#define SCOPE_COLLECT		BIT(5)

struct stress_scope {
	u64				canary;
	struct nursery			nursery;

	/* Set before the first spawn. */
	struct stress_thread		*thread;
	struct stress_scope		*up;
	struct stress_child		*parent;	/* that opened it, or NULL */
	struct stress_child		**children;
	const struct stress_executor	*executor;
	struct nursery_executor		*own_executor;	/* in its place, or NULL */
	const struct stress_executor	*child_queue;	/* where children have ... */
	struct nursery_executor		*child_executor; /* in its place, or NULL */
	unsigned int			depth;
	unsigned int			max_active;
	unsigned int			flags;
	unsigned int			nr;		/* of children */
	unsigned int			nr_on_stack;	/* the first ones */
	unsigned int			nr_spare;	/* the last ones: spawned by the others */
	DECLARE_BITMAP(shared, STRESS_MAX_CHILDREN);	/* anybody may cancel or join it */

	bool				only_functions;	/* no external children */

	DECLARE_BITMAP(freed, STRESS_MAX_CHILDREN);	/* by their done(), or about to be */
	DECLARE_BITMAP(poisoned, STRESS_MAX_CHILDREN);	/* the same */
	atomic_t			spares_taken;
	atomic_t			in_function;	/* children that are in theirs ... */
	atomic_t			in_service;	/* ... and services */
	atomic_t			dones_owed;	/* of spawns that returned 0 */
	atomic_t			dones;
	atomic_t			deferred;	/* actions not yet called */
	unsigned int			nr_ordered;	/* those that the owner deferred */

	atomic_t			reasons;	/* STRESS_CALLED and so on */
	atomic_t			causes;		/* of cancels, by stress_code_bit() */
	atomic_t			errors;		/* certainly, of children; alike */
	atomic_t			maybe;		/* of those of which it is not certain */
	bool				cancel_returned;

	/* Only with max_active 1, by the one child that runs; so plain. */
	unsigned int			last_ticket;
	bool				cancelled_alone;
	int				first_error;	/* only without external children */

	raw_spinlock_t			late_lock;
	struct task_struct		*late[8];	/* that began a child after the cancel */
	unsigned int			nr_late;

	struct completion		over;		/* nursery_join_async() is ... */
	int				joined;		/* ... and told this */
	u64				canary_end;
};

/* child->flags */
#define CHILD_EXTERNAL		BIT(0)
#define CHILD_HAS_DONE		BIT(1)
#define CHILD_DONE_FREES	BIT(2)
#define CHILD_DONE_POISONS	BIT(3)
#define CHILD_HAS_HANDLER	BIT(4)	/* external: the handler completes it */
#define CHILD_ON_STACK		BIT(5)
#define CHILD_HARD		BIT(6)	/* that handler is a hard one */
#define CHILD_DELAYED		BIT(7)
#define CHILD_SERVICE		BIT(8)

struct stress_child {
	u64				canary;
	struct nursery_child		child;
	struct nursery_cancel_handler	handler;	/* of an external child */
	struct stress_scope		*scope;
	struct stress_trigger		*trigger;	/* completes it, or unparks it, or NULL */
	const struct stress_executor	*executor;	/* of its own, or NULL */
	struct stress_random		random;
	unsigned int			index;		/* in its scope */
	unsigned int			flags;
	unsigned int			ticket;		/* place among the owner's spawns, or 0 */
	atomic_t			begun;
	atomic_t			returned;	/* or completed, if external */
	atomic_t			dones;
	int				result;		/* what it returned */
	u64				delay;		/* in ns; delayed */
	ktime_t				not_before;	/* the same */
	unsigned int			parks;		/* by itself: how often it did */
	bool				armed;		/* the trigger is to unpark it ... */
	bool				was_armed;	/* ... which it does once */
	bool				unpark_called;
	bool				starts;		/* and has not said that it is ready */
	bool				start_failed;
	bool				came;		/* by nursery_next() */
	bool				accepted;
	bool				cancel_called;
	bool				cancel_returned;
	bool				shielded;	/* no change while it has a scope open */
	u64				canary_end;
};

enum stress_trigger_kind {
	TRIGGER_TIMER,		/* softirq */
	TRIGGER_TASKLET,
	TRIGGER_HRTIMER,	/* hard interrupt */
	TRIGGER_IRQ_WORK,
	TRIGGER_KINDS,
};

/*
 * Goes off once, some time after it was armed, in an interrupt. Its memory stays
 * until its owner retires it, after the memory of child and scope has gone.
 */
struct stress_trigger {
	struct stress_trigger		*next;		/* of the same owner */
	struct stress_child		*child;
	atomic_t			claimed;	/* who sets it completes the child */
	bool				unparks;	/* instead ... */
	bool				over;		/* ... and has done so */
	enum stress_trigger_kind	kind;
	unsigned int			delay_us;
	union {
		struct timer_list	timer;
		struct tasklet_struct	tasklet;
		struct hrtimer		hrtimer;
		struct irq_work		work;
	};
};

/* What the last line tells. */
enum stress_count {
	COUNT_NURSERIES,
	COUNT_NURSERIES_ON_STACK,
	COUNT_CHILDREN,			/* accepted */
	COUNT_EXTERNAL,			/* of these */
	COUNT_REFUSED,
	COUNT_RAN,
	COUNT_SKIPPED,
	COUNT_FAILED,
	COUNT_CANCELS,
	COUNT_CHILD_CANCELS,
	COUNT_SHIELDS,
	COUNT_PUT_OFF,			/* of these, with a cancel at their end */
	COUNT_TIMEOUTS,
	COUNT_CHILD_JOINS,
	COUNT_LATE,			/* functions that were about to begin at a cancel */
	COUNT_DEFERRED,
	COUNT_DELAYED,
	COUNT_PARKS,
	COUNT_UNPARKS,			/* of others */
	COUNT_SERVICES,
	COUNT_STARTS,
	COUNT_COLLECTED,
	COUNT_ASYNC,			/* joins */
	COUNT_PROCESS,			/* calls that start, complete or cancel: from where */
	COUNT_SOFTIRQ,
	COUNT_HARDIRQ,
	COUNT_EXECUTOR,			/* function children, by executor */
	NR_COUNTS = COUNT_EXECUTOR + STRESS_MAX_EXECUTORS,
};

/* main.c */
extern atomic_long_t stress_counts[NR_COUNTS];
void stress_stop(void);
void stress_no_memory(void);

static inline void stress_count(enum stress_count what)
{
	atomic_long_inc(&stress_counts[what]);
}

void stress_count_context(void);

/* check.c */
extern u64 stress_seed;
__printf(3, 4) void stress_violation(const struct stress_thread *thread, const char *invariant,
				     const char *format, ...);

/* About child @c: @format goes on from there. */
#define stress_child_violation(c, invariant, format, ...)				\
do {											\
	const struct stress_child *__c = (c);						\
											\
	stress_violation(__c->scope->thread, invariant, "child %u at depth %u " format,	\
			 __c->index, __c->scope->depth, ##__VA_ARGS__);			\
} while (0)

bool stress_violated(void);
void stress_violations_clear(void);
unsigned int stress_code_bit(int code);
void stress_canaries(u64 *first, u64 *last);
bool stress_scope_is_whole(const struct stress_scope *s);
bool stress_child_is_whole(const struct stress_child *c);
void stress_poison(void *memory, size_t size);
void stress_check_poison(const struct stress_thread *thread, const void *memory, size_t size,
			 const char *what);
void stress_give_back(struct stress_thread *thread, void *memory, size_t size, bool at_once);
void stress_free(void *memory);
void stress_free_sync(void);
void stress_free_kept(struct stress_thread *thread);

/* executor.c */
extern const struct stress_executor stress_executors[];
extern const unsigned int stress_nr_executors;
int stress_executors_start(void);
void stress_executors_stop(void);

/* own.c */
struct workqueue_struct;
extern const struct nursery_executor *stress_own, *stress_own_plain;
void stress_own_start(struct workqueue_struct *wq);

/* trigger.c */
struct stress_trigger *stress_trigger_new(struct stress_random *r);
void stress_trigger_arm(struct stress_trigger *t);
void stress_trigger_retire(struct stress_trigger *t);
void stress_trigger_fired(struct stress_trigger *t);	/* in child.c */

/* child.c */
void stress_child_start(struct stress_child *c, struct stress_scope *s, unsigned int index,
			struct stress_trigger *t, struct stress_random *r);
int stress_spawn(struct stress_child *c, bool start);
void stress_spawn_spare(struct stress_scope *s);
void stress_join_child(struct stress_child *c);
void stress_check_child(const struct stress_child *c, const char *who);
struct stress_child *stress_pick_shared(struct stress_scope *s, struct stress_random *r);

/* park.c */
int stress_park(struct stress_child *c);
void stress_unpark_fired(struct stress_trigger *t);
void stress_take_trigger_back(struct stress_child *c);
void stress_unpark_sibling(struct stress_child *c);
void stress_check_not_before(const struct stress_child *c);

/* service.c */
int stress_serve(struct stress_child *c);

/* start.c */
bool stress_may_start(const struct stress_child *c);
int stress_get_ready(struct stress_child *c, int *result);
int stress_start_child(struct stress_child *c);

/* collect.c */
void stress_collect(struct stress_scope *s, struct stress_random *r);

/* act.c */
int stress_act(struct stress_child *c);
void stress_act_in_interrupt(struct stress_child *c);

/* cancel.c */
void stress_cancel(struct stress_scope *s, int cause);
void stress_cancel_child(struct stress_child *c);
bool stress_is_cancelled(const struct stress_scope *s);
bool stress_child_is_cancelled(const struct stress_child *c);
bool stress_may_be_cancelled(const struct stress_scope *s);
bool stress_may_be_cancelled_above(const struct stress_scope *s);
void stress_check_child_flag(const struct stress_child *c);
void stress_check_late(struct stress_child *c);
int stress_pick_cause(struct stress_random *r);

/* scope.c */
const struct stress_executor *stress_pick_executor(struct stress_random *r,
						   const struct stress_scope *s);
int stress_open(struct stress_thread *thread, struct stress_scope *up,
		struct stress_child *parent, struct stress_random *r);
void stress_defer(struct stress_scope *s, bool owner);

#endif /* _NURSERY_STRESS_STRESS_H */
