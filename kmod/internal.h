/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of nursery.ko share, and the locking rules.
 *
 * Two locks, both raw because children are spawned and completed in hard
 * interrupts (I8), taken in this order:
 *
 * nursery_tree_lock: one for the system. Which nursery is below which. Held
 *	while a cancel or a listing walks down. A joiner takes it once more
 *	before it returns, to leave the tree. So while somebody holds it and has
 *	seen a child that is not finished, that child's nursery cannot go away.
 *
 * nursery->lock: everything else of one nursery, and its children. The
 *	executor's submit() and retract() are called with it held.
 *
 * No callback of a user (a child's function, done(), a cancel handler, a
 * release action) is called with either held.
 */
#ifndef _NURSERY_INTERNAL_H
#define _NURSERY_INTERNAL_H

#include <linux/completion.h>
#include <linux/nursery.h>
#include <linux/nursery_resource.h>

#include "compat.h"

/* nursery->flags: embedded in a struct nursery_file */
#define NURSERY_OF_FILE		BIT(31)

/* nursery->state */
enum nursery_state {
	NURSERY_CANCELLED	= BIT(0),	/* sticky */
	NURSERY_CLOSED		= BIT(1),	/* the last child is gone: no spawn any more */
	NURSERY_JOINED		= BIT(2),	/* and everything is released */
	NURSERY_ONSTACK		= BIT(3),	/* the timer is on a stack, for debugobjects */
};

/*
 * child->state. Written under nursery->lock, but for RUNNING -> COMPLETING: of a
 * function child that is for its runner alone; of an external child it is a
 * cmpxchg, so that of two completions exactly one is heard.
 *
 *   IDLE, DONE -> CLAIMED			spawn, begin: filled in
 *   CLAIMED -> WAITING | RUNNING		and published
 *   WAITING -> QUEUED				a place below max_active is free
 *   QUEUED -> RUNNING				a runner or a helping joiner starts it
 *   WAITING, QUEUED -> COMPLETING		cancelled before it started
 *   RUNNING -> COMPLETING			its function returned, its hardware is done
 *   COMPLETING -> DONE				no cancel handler of it runs any more
 */
enum nursery_child_state {
	CHILD_IDLE,
	CHILD_CLAIMED,		/* by a spawn that is filling it in: as good as IDLE */
	CHILD_WAITING,
	CHILD_QUEUED,
	CHILD_RUNNING,
	CHILD_COMPLETING,
	CHILD_DONE,
};

/*
 * Somebody who sleeps until something happens to @key: the nursery (a child
 * finished or can be helped), a child (it finished), a cancel handler (it
 * returned). On the sleeper's stack; linked under nursery->lock.
 */
struct nursery_waiter {
	struct list_head	node;
	const void		*key;
	struct completion	wake;
	int			result;		/* of the child */
};

/* scope.c */
void nursery_add_waiter(struct nursery *n, struct nursery_waiter *w, const void *key);
void nursery_wake_waiters(struct nursery *n, const void *key, int result);
int nursery_result(const struct nursery *n);
bool nursery_room_to_help(void);

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

/* child.c */
void nursery_child_run(struct nursery_child *c);
void nursery_child_finish(struct nursery_child *c);
void nursery_child_unpin(struct nursery_child *c);
bool nursery_child_retract(struct nursery_child *c);
struct nursery_child *nursery_child_steal(struct nursery *n);

/* cancel.c */
void nursery_fail(struct nursery *n, int error);
int nursery_cancel_id(struct nursery *within, u64 id, int cause);
void nursery_drop_handlers(struct nursery_child *c);
void nursery_timer_setup(struct nursery *n);
void nursery_timer_stop(struct nursery *n);

/* resource.c */
void nursery_release_all(struct nursery *n);

/* executor.c */
int nursery_executor_start(void);
void nursery_executor_stop(void);

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
#else
static inline void nursery_dep_init(struct nursery *n, struct lock_class_key *key,
				    const char *name) { }
static inline bool nursery_dep_acquire(struct nursery *n) { return false; }
static inline void nursery_dep_release(struct nursery *n) { }
static inline bool nursery_dep_room(void) { return true; }
#endif

#endif /* _NURSERY_INTERNAL_H */
