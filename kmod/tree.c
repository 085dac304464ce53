// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree: which nursery is below which.
 *
 * Every nursery of the system is in it from init to the end of its join: below
 * the nursery of the child that opened it, below its outer one, or as a root. Cancel
 * and listing walk it in pre-order, by pointers and not by recursion, so depth costs
 * no stack.
 *
 * What is above a nursery does not change and outlives it. What is below is changed
 * and walked under nursery_tree_lock. Most nurseries are roots; only listings look for
 * those, so their list has a lock of its own that does not turn interrupts off.
 *
 * A nursery that a running child opens comes and goes without a lock, if it is the only
 * one: it is in child->opened, and not in a list. That word is NULL when the child is
 * shown in a worker's slots, and changed by these only:
 *
 *   NULL -> nursery	it is opened, by the child
 *   nursery -> NULL	it has been joined. The joiner's last access to the child
 *   nursery -> LISTS	by who walks, under nursery_tree_lock, before he goes below; he puts it
 *   LISTS -> NULL	in the list, where it stays. So it leaves as the others do
 *
 * All of them are cmpxchg but the last. The second and the third settle whether a walk
 * finds a nursery that is about to leave: if so it stays until the lock is dropped. A
 * nursery that is not the only one is put in the list at once.
 *
 * Who walks finds the children whose word that is in the slots of the nursery's workers,
 * and holds each meanwhile (worker.c). A child that has not been shown has opened none; one that
 * has ended, or parks, has none in its word: it puts what it left open in the list before.
 *
 * A cancel first marks a child, then looks at its word; a child first opens a nursery, then
 * looks whether it is marked. Both steps of each are in this order by full barriers.
 * So either the cancel finds the nursery, or the child finds the mark and opens it as a
 * cancelled one, or both.
 *
 * A child counts in its state the nurseries in the list that it opened, until they are
 * joined. A child without any ends as if there were no nested nurseries. One that returns and
 * leaves some open is wrong, and so is who joins a nursery with others below: both are
 * reported, and what was left open goes one step up, as what is above it may be gone.
 */
#include <linux/atomic.h>
#include <linux/sched.h>

#include "internal.h"
#include "trace.h"

DEFINE_RAW_SPINLOCK(nursery_roots_lock);
DEFINE_RAW_SPINLOCK(nursery_tree_lock);
static HLIST_HEAD(roots);	/* struct nursery, by sibling; nursery_roots_lock */

/* nursery->above: the nursery around, or, with this bit, the child that opened it. */
#define ABOVE_IS_CHILD	1UL

/* The child that opened @n, or NULL. */
struct nursery_child *nursery_parent(const struct nursery *n)
{
	unsigned long above = READ_ONCE(n->above);

	return above & ABOVE_IS_CHILD ? (struct nursery_child *)(above & ~ABOVE_IS_CHILD) : NULL;
}

/* The nursery around @n, or NULL. */
struct nursery *nursery_up(const struct nursery *n)
{
	struct nursery_child *parent = nursery_parent(n);

	return parent ? parent->nursery : (struct nursery *)READ_ONCE(n->above);
}

/* For traces: the id of the nursery around @n, or 0. */
u64 nursery_up_id(const struct nursery *n)
{
	const struct nursery *up = nursery_up(n);

	return up ? nursery_id(up) : 0;
}

/* For nurseries and calls: never 0, never used twice. Context: Any. */
u64 nursery_new_id(void)
{
	static atomic64_t last;

	return atomic64_inc_return_relaxed(&last);
}

/*
 * A nursery has none before somebody asks: most are never asked for theirs, and the counter is
 * a cache line that all CPUs would want whenever a scope opens.
 *
 * Context: Any; the caller keeps the nursery.
 */
u64 nursery_id(const struct nursery *n)
{
	atomic64_t *id = (atomic64_t *)&n->id;
	u64 old = atomic64_read(id), new;

	if (old)
		return old;
	new = nursery_new_id();
	return atomic64_cmpxchg(id, 0, new) ?: new;
}

static void add_root(struct nursery *n)
{
	raw_spin_lock(&nursery_roots_lock);
	hlist_add_head(&n->sibling, &roots);
	raw_spin_unlock(&nursery_roots_lock);
}

/* child->opened: it is being put in the list, under nursery_tree_lock. */
#define LISTS	((struct nursery *)1UL)

/*
 * Put the nursery that @c has opened by itself in the list, where walks find it.
 *
 * Context: nursery_tree_lock held; @c is a child of @n, runs, and does not end meanwhile.
 */
static void list_opened(struct nursery *n, struct nursery_child *c)
{
	struct nursery *below = READ_ONCE(c->opened);

	do {
		if (!below)
			return;
	} while (!try_cmpxchg(&c->opened, &below, LISTS));
	/* It does not leave any more, but by the lock. */
	hlist_add_head(&below->sibling, &n->nested);
	atomic_add(CHILD_OPENED, &c->state);
	/* Who finds the word empty finds the list. */
	smp_store_release(&c->opened, NULL);
}

/*
 * The same for all children of @n that run. To be called before who walks looks at
 * n->nested; after, if he marks children, he has done so.
 *
 * Context: nursery_tree_lock held.
 */
void nursery_tree_list_opened(struct nursery *n)
{
	struct nursery_worker *w;
	struct nursery_child *c;

	raw_spin_lock(&n->lock);
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		c = nursery_worker_hold(w);
		if (!c)
			continue;
		list_opened(n, c);
		nursery_worker_release(w);
	}
	raw_spin_unlock(&n->lock);
}

/* The child @c of @n, which has just run, parks with a nursery open that it may join later. */
void nursery_tree_park(struct nursery *n, struct nursery_child *c)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	list_opened(n, c);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
}

/* The child opens @n as its only one. Context: it runs. Return: false: it has another one. */
static bool open_alone(struct nursery *n, struct nursery_child *parent)
{
	if (!parent->fn || child_phase(atomic_read(&parent->state)) != CHILD_LIVE)
		return false;
	INIT_HLIST_NODE(&n->sibling);
	/* Fully ordered, with all that is in @n, before the look at the flag: see above. */
	return !READ_ONCE(parent->opened) && !cmpxchg(&parent->opened, NULL, n);
}

/* What is above has been cancelled. Context: nursery_tree_lock held. */
static void open_cancelled(struct nursery *n, struct nursery_child *parent, struct nursery *outer)
{
	/* Who found it in child->opened has done so before. */
	if (nursery_cancelled(n))
		return;
	n->cause = -ECANCELED;
	n->canceller = parent ? nursery_child_canceller(parent) : outer->canceller;
	atomic64_or(NURSERY_CANCELLED, &n->state);
}

/* Enter the tree; below a cancelled child or nursery, as a cancelled nursery. */
void nursery_tree_add(struct nursery *n, struct nursery_child *parent, struct nursery *outer)
{
	struct nursery *up = parent ? parent->nursery : outer;
	unsigned long flags;
	bool alone;

	atomic64_set(&n->id, 0);
	INIT_HLIST_HEAD(&n->nested);
	n->above = parent ? (unsigned long)parent | ABOVE_IS_CHILD : (unsigned long)outer;
	if (!up) {
		/* A parent that was never spawned is none. */
		n->above = 0;
		add_root(n);
		return;
	}

	alone = parent && open_alone(n, parent);
	if (alone && likely(!nursery_child_cancelled(parent)))
		return;
	/* Cancel marks and walks under this lock: it finds us, or we find its mark. */
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	if (!alone) {
		hlist_add_head(&n->sibling, &up->nested);
		if (parent)
			atomic_add(CHILD_OPENED, &parent->state);
	}
	if (parent ? nursery_child_cancelled(parent) : nursery_cancelled(outer))
		open_cancelled(n, parent, outer);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
}

/* What is still open below is a bug of the caller: it survives as a root. */
static void disown_nested(struct nursery *n)
{
	struct nursery *below;
	struct hlist_node *next;

	raw_spin_lock(&nursery_roots_lock);
	raw_spin_lock_irq(&nursery_tree_lock);
	hlist_for_each_entry_safe(below, next, &n->nested, sibling) {
		WARN(1, "nursery: \"%s\" was joined with \"%s\" below it still open\n",
		     n->name, below->name);
		nursery_debug_tell(n);
		nursery_debug_tell(below);
		hlist_del(&below->sibling);
		WRITE_ONCE(below->above, 0);
		hlist_add_head(&below->sibling, &roots);
	}
	raw_spin_unlock_irq(&nursery_tree_lock);
	raw_spin_unlock(&nursery_roots_lock);
}

/*
 * The child @c of @n returns with nurseries open that it opened: a bug of the caller.
 * They stay open, right below @n.
 *
 * Context: Any, no locks held; @c has not ended.
 */
void nursery_tree_left_open(struct nursery *n, struct nursery_child *c)
{
	struct nursery *below;
	unsigned long flags;

	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	if (c->fn)
		list_opened(n, c);
	hlist_for_each_entry(below, &n->nested, sibling) {
		if (nursery_parent(below) != c)
			continue;
		WARN(1, "nursery: child %ps of \"%s\" returned with \"%s\" still open, which it opened\n",
		     nursery_child_symbol(c), n->name, below->name);
		nursery_debug_tell(below);
		nursery_debug_tell_child(c);
		WRITE_ONCE(below->above, (unsigned long)n);
		atomic_sub(CHILD_OPENED, &c->state);
	}
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
}

/*
 * Leave what is above. A child that opened us has not returned, unless it is wrong: then
 * it has been reported, and is above us no more. Only if it returns while somebody else
 * is here, and its memory goes at once, that is looked at once more. To rule this out would
 * take another atomic of all who are right.
 *
 * Return: false: we were moved to the roots meanwhile.
 */
static bool leave_above(struct nursery *n)
{
	struct nursery_child *parent = nursery_parent(n);
	bool below;

	/* Fully ordered, and the last access: it may end now. */
	if (parent && hlist_unhashed_lockless(&n->sibling) &&
	    cmpxchg(&parent->opened, n, NULL) == n)
		return true;
	raw_spin_lock_irq(&nursery_tree_lock);
	below = n->above;
	if (below) {
		hlist_del(&n->sibling);
		parent = nursery_parent(n);
		/* The last access: it may end now. */
		if (parent)
			atomic_sub(CHILD_OPENED, &parent->state);
	}
	raw_spin_unlock_irq(&nursery_tree_lock);
	return below;
}

/* Leave the tree. */
void nursery_tree_del(struct nursery *n)
{
	/* A look: who opened one below has joined it, or will never. */
	if (unlikely(!hlist_empty(&n->nested)))
		disown_nested(n);
	if (READ_ONCE(n->above) && leave_above(n))
		return;
	raw_spin_lock(&nursery_roots_lock);
	hlist_del(&n->sibling);
	raw_spin_unlock(&nursery_roots_lock);
}

/* The lists begin with the youngest; walks go from the oldest. */
static struct nursery *oldest(const struct hlist_head *list)
{
	struct hlist_node *node = list->first;

	while (node && node->next)
		node = node->next;
	return hlist_entry_safe(node, struct nursery, sibling);
}

static struct nursery *younger(const struct nursery *n, const struct hlist_head *list)
{
	struct hlist_node **prev = n->sibling.pprev;

	if (prev == &list->first)
		return NULL;
	return hlist_entry(container_of(prev, struct hlist_node, next), struct nursery, sibling);
}

/* As nursery_tree_next(), but nothing that is below @n. */
struct nursery *nursery_tree_pass(struct nursery *n, struct nursery *root)
{
	struct nursery *up, *next = NULL;

	for (; !next && n != root; n = up) {
		up = nursery_up(n);
		next = younger(n, &up->nested);
	}
	return next;
}

/*
 * The nursery after @n in a pre-order walk of the subtree of @root, or NULL.
 *
 * Context: nursery_tree_lock held.
 */
struct nursery *nursery_tree_next(struct nursery *n, struct nursery *root)
{
	nursery_tree_list_opened(n);
	return oldest(&n->nested) ?: nursery_tree_pass(n, root);
}

/* The root after @n (NULL: the first), or NULL. Context: nursery_roots_lock held. */
struct nursery *nursery_next_root(struct nursery *n)
{
	return n ? younger(n, &roots) : oldest(&roots);
}

/* Does this task run a child of @n, or just @c, if that is given? Context: Any. */
static bool runs_child_of(struct nursery *n, const struct nursery_child *c)
{
	struct nursery_child *running;
	struct nursery_worker *w;
	unsigned long flags;
	bool here = false;

	raw_spin_lock_irqsave(&n->lock, flags);
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		/* Our own does not change while we look. */
		if (w->task != current)
			continue;
		running = nursery_worker_hold(w);
		if (!running)
			continue;
		nursery_worker_release(w);
		here |= !c || running == c;
	}
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return here;
}

/* Does this task run a child of the subtree of @root? nursery_tree_lock held. */
static bool subtree_runs_here(struct nursery *root)
{
	struct nursery *n;

	for (n = root; n; n = nursery_tree_next(n, root))
		if (runs_child_of(n, NULL))
			return true;
	return false;
}

/* Is the caller a child of @n, or of a nursery below it (R7)? Context: Any. */
bool nursery_runs_here(struct nursery *n)
{
	unsigned long flags;
	bool here;

	/* A look without locks is enough: if we were there, we would have written it. */
	if (hlist_empty(&n->workers) && hlist_empty(&n->nested) && !READ_ONCE(n->joiner))
		return false;
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	here = subtree_runs_here(n);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	return here;
}

/*
 * Is the caller @c itself, or a child of a nursery that @c opened?
 *
 * Context: @c held.
 */
bool nursery_child_runs_here(struct nursery_child *c)
{
	struct nursery *n;
	unsigned long flags;
	bool here = false;

	if (runs_child_of(c->nursery, c))
		return true;
	/* If we were there we would have written it: in the one, or in the other. */
	if (!smp_load_acquire(&c->opened) && hlist_empty(&c->nursery->nested))
		return false;
	raw_spin_lock_irqsave(&nursery_tree_lock, flags);
	nursery_tree_list_opened(c->nursery);
	hlist_for_each_entry(n, &c->nursery->nested, sibling)
		here |= nursery_parent(n) == c && subtree_runs_here(n);
	raw_spin_unlock_irqrestore(&nursery_tree_lock, flags);
	return here;
}
