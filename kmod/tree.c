// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree: which nursery is below which.
 *
 * Every nursery of the system is in it from init to the end of its join, below
 * the nursery of the child that opened it, below its outer one, or as a root.
 * Cancel and listing walk it in pre-order, by pointers and not by recursion, so
 * depth costs no stack.
 */
#include <linux/sched.h>

#include "internal.h"

DEFINE_RAW_SPINLOCK(nursery_tree_lock);
static HLIST_HEAD(roots);	/* struct nursery, by sibling; nursery_tree_lock */

static u64 last_id;		/* nursery_tree_lock */

/* For nurseries and calls: never 0, never used twice. Context: Any. */
u64 nursery_new_id(void)
{
	unsigned long flags;
	u64 id;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	id = ++last_id;
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	return id;
}

/* Enter the tree; below a cancelled child or nursery, as a cancelled nursery. */
void nursery_tree_add(struct nursery *n, struct nursery_child *parent, struct nursery *outer)
{
	struct nursery *up = parent ? parent->nursery : outer;
	unsigned long flags;

	INIT_HLIST_HEAD(&n->nested);
	n->up = up;
	n->parent = parent;

	/* Cancel marks and walks under this lock: it finds us, or we find its mark. */
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	n->id = ++last_id;
	hlist_add_head(&n->sibling, up ? &up->nested : &roots);
	if (parent ? nursery_child_cancelled(parent) : outer && nursery_cancelled(outer)) {
		n->cause = -ECANCELED;
		n->state |= NURSERY_CANCELLED;
	}
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
}

/* Leave the tree. What is still open below is a bug of the caller: it survives as a root. */
void nursery_tree_del(struct nursery *n)
{
	struct nursery *below;
	struct hlist_node *next;
	unsigned long flags;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	hlist_for_each_entry_safe(below, next, &n->nested, sibling) {
		WARN(1, "nursery: \"%s\" was joined with \"%s\" below it still open\n",
		     n->name, below->name);
		below->up = NULL;
		below->parent = NULL;
		hlist_del(&below->sibling);
		hlist_add_head(&below->sibling, &roots);
	}
	hlist_del(&n->sibling);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
}

/*
 * The nursery after @n in a pre-order walk of the subtree of @root, or NULL.
 *
 * Context: nursery_tree_lock held.
 */
struct nursery *nursery_tree_next(struct nursery *n, struct nursery *root)
{
	if (!hlist_empty(&n->nested))
		return hlist_entry(n->nested.first, struct nursery, sibling);
	for (; n != root; n = n->up)
		if (n->sibling.next)
			return hlist_entry(n->sibling.next, struct nursery, sibling);
	return NULL;
}

/* The root after @n (NULL: the first), or NULL. Context: nursery_tree_lock held. */
struct nursery *nursery_tree_next_root(struct nursery *n)
{
	return hlist_entry_safe(n ? n->sibling.next : roots.first, struct nursery, sibling);
}

/* Does this task run a child of @n? Context: Any. */
static bool runs_child_of(struct nursery *n)
{
	struct nursery_worker *w;
	bool here = false;

	raw_spin_lock(&n->lock);
	hlist_for_each_entry(w, &n->workers, node)
		here |= w->task == current && w->child;
	raw_spin_unlock(&n->lock);
	return here;
}

/* Does this task run a child of the subtree of @root? nursery_tree_lock held. */
static bool subtree_runs_here(struct nursery *root)
{
	struct nursery *n;

	for (n = root; n; n = nursery_tree_next(n, root))
		if (runs_child_of(n))
			return true;
	return false;
}

/* Is the caller a child of @n, or of a nursery below it (R7)? Context: Any. */
bool nursery_runs_here(struct nursery *n)
{
	unsigned long flags;
	bool here;

	/* A look without locks is enough: if we were there, we would have written it. */
	if (hlist_empty(&n->workers) && hlist_empty(&n->nested))
		return false;
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	here = subtree_runs_here(n);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	return here;
}

/*
 * Is the caller @c itself, or a child of a nursery that @c opened?
 *
 * Context: nursery_tree_lock held, @c not finished.
 */
bool nursery_child_runs_here(struct nursery_child *c)
{
	struct nursery *n = c->nursery;
	struct nursery_worker *w;
	bool here = false;

	raw_spin_lock(&n->lock);
	hlist_for_each_entry(w, &n->workers, node)
		here |= w->task == current && w->child == c;
	raw_spin_unlock(&n->lock);
	if (here)
		return true;
	hlist_for_each_entry(n, &c->nursery->nested, sibling)
		if (n->parent == c && subtree_runs_here(n))
			return true;
	return false;
}
