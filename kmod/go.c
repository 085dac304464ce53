// SPDX-License-Identifier: GPL-2.0-only
/*
 * nursery_go(): children that the core allocates, and frees when they have finished.
 *
 * The child's done() frees it, which is the core's last access to a child and may
 * be in any context: where a canceller is that in turn may free no memory (in a hard
 * interrupt or under a raw lock, on PREEMPT_RT), the memory goes a grace period later.
 */
#include <linux/export.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "internal.h"

struct go {
	struct nursery_child child;
	union {
		struct {
			int (*fn)(struct nursery_child *c, void *arg);
			void *arg;
		};
		struct rcu_head rcu;	/* when it is over */
	};
};

static int run_go(struct nursery_child *c)
{
	struct go *go = container_of(c, struct go, child);

	return go->fn(c, go->arg);
}

static void free_go(struct nursery_child *c)
{
	struct go *go = container_of(c, struct go, child);

	/* A kernel that does not count who can be preempted is not PREEMPT_RT. */
	if (!IS_ENABLED(CONFIG_PREEMPT_COUNT) || preemptible())
		kfree(go);
	else
		kfree_rcu(go, rcu);
}

/* The function to name a child after: its user's. Context: it has not finished. */
const void *nursery_child_fn(const struct nursery_child *c)
{
	return c->fn == run_go ? (void *)container_of(c, struct go, child)->fn : (void *)c->fn;
}

/**
 * nursery_go - run a function as a child, without a struct nursery_child of one's own
 * @n: the nursery
 * @fn: what the child does, with @arg; what it returns is the child's result, or
 *	%NURSERY_PARK. @c is for the waits, for nested nurseries and to be unparked;
 *	it is gone when @fn has returned its result
 * @arg: for @fn; not freed, nor looked at
 * @gfp: how to allocate the child
 *
 * There is nothing to join but the nursery. A child that is cancelled before it has
 * started ends without a call of @fn: what @arg points to is best owned by the
 * nursery (nursery_kzalloc()), or by who joins it. With %NURSERY_COLLECT
 * nursery_next() does not return such children.
 *
 * Context: Any in which @gfp may be allocated.
 * Return: 0: the child was spawned. -ENOMEM, or as nursery_spawn(): then there
 *	   is no child, and @fn is not called. -EINVAL: @fn is NULL.
 */
int nursery_go(struct nursery *n, int (*fn)(struct nursery_child *c, void *arg), void *arg,
	       gfp_t gfp)
{
	struct go *go;
	int err;

	if (!fn)
		return -EINVAL;
	go = kmalloc(sizeof(*go), gfp);
	if (!go)
		return -ENOMEM;
	nursery_child_init(&go->child, run_go, free_go);
	go->fn = fn;
	go->arg = arg;
	err = nursery_spawn_from(n, &go->child, _RET_IP_);
	if (err)
		kfree(go);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_go);
