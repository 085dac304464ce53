// SPDX-License-Identifier: GPL-2.0-only
/*
 * What DEBUG_OBJECTS is told, and what is said about it.
 *
 * Theory of operation. A nursery is an active object from its init to the end of its
 * join, a child from its spawn to its end. Before and afterwards neither is an object
 * at all, as nobody says when the memory becomes something else. So the kernel finds
 * out if memory is freed, or initialised again, that has an active one in it.
 *
 * Its own report knows an address and a type, and is given five times only. One of ours
 * follows it, always, that names the nursery, the child's function and the places in the
 * code that spawned and opened.
 *
 * What can be done about it is done. A call that makes no sense does nothing. Who frees
 * what is still in use has to wait: it is cancelled, and memory goes when it is over. Where
 * one may not wait, or the memory has been overwritten, the report is all there is.
 *
 * Overwritten memory is told by a pointer in each object to itself, which also tells
 * a nursery that was never initialised.
 *
 * All of this may be called in every context, but holds no lock of ours: to remember an
 * object may take memory.
 */
#include <linux/debugobjects.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

#include "internal.h"

/* child->prepared: nursery_child_init() has been called */
#define CHILD_PREPARED	0x6b696e64

/* So many children of a nursery are named. */
#define NR_NAMED	8

/* nursery->self, child->self: NULL or anything else if it is not active */
static bool nursery_is_intact(const struct nursery *n)
{
	return READ_ONCE(n->self) == n;
}

static bool child_is_intact(const struct nursery_child *c)
{
	return READ_ONCE(c->self) == c;
}

/* For messages: of the nursery of an intact child. */
static const char *name_of(const struct nursery *n)
{
	return nursery_is_intact(n) ? n->name : "(overwritten)";
}

/* To be said after what all kernels report: where it comes from. */
void nursery_debug_tell(const struct nursery *n)
{
	pr_err("nursery: \"%s\" was opened at %pS\n", name_of(n), (void *)n->opened_from);
}

void nursery_debug_tell_child(const struct nursery_child *c)
{
	pr_err("nursery: child %ps was spawned at %pS\n", nursery_child_symbol(c),
	       (void *)c->spawned_from);
}

/* May the caller wait? false as well where the kernel cannot tell. */
static bool may_wait(void)
{
	return preemptible() && !rcu_preempt_depth();
}

/* Active from now on, if it was not: then @descr->fixup_init is called and has its say. */
static void remember(void *addr, const struct debug_obj_descr *descr)
{
	if (object_is_on_stack(addr))
		debug_object_init_on_stack(addr, descr);
	else
		debug_object_init(addr, descr);
}

static void forget(void *addr, const struct debug_obj_descr *descr)
{
	debug_object_deactivate(addr, descr);
	debug_object_free(addr, descr);
}

/* nurseries */

static void *nursery_hint(void *addr)
{
	struct nursery *n = addr;

	return nursery_is_intact(n) ? (void *)n->opened_from : NULL;
}

static bool nursery_fixup_init(void *addr, enum debug_obj_state state)
{
	((struct nursery *)addr)->again = true;
	return false;
}

struct named {
	const void *symbol;
	unsigned long from;
};

static void add_named(struct named *named, unsigned int *nr, const struct nursery_child *c)
{
	if (*nr < NR_NAMED)
		named[*nr] = (struct named){ nursery_child_symbol(c), c->spawned_from };
	(*nr)++;
}

static void add_list(struct named *named, unsigned int *nr, struct llist_node *list)
{
	for (; list; list = list->next)
		add_named(named, nr, nursery_linked(list));
}

/* As in listings: what is to be started is taken out, and put back. */
static unsigned int find_children(struct nursery *n, struct named *named)
{
	struct llist_node *list;
	struct nursery_worker *w;
	struct nursery_child *c;
	unsigned int nr = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&n->lock, flags);
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w)) {
		c = nursery_worker_hold(w);
		if (c) {
			add_named(named, &nr, c);
			nursery_worker_release(w);
		}
		list = n->max_active ? NULL : nursery_worker_disown(w);
		if (list) {
			add_list(named, &nr, list);
			nursery_ready_put(n, list);
		}
	}
	hlist_for_each_entry(c, &n->others, other)
		add_named(named, &nr, c);
	if (n->max_active) {
		list_for_each_entry(c, &n->ready, node)
			add_named(named, &nr, c);
	} else {
		list = nursery_ready_grab_all(n);
		add_list(named, &nr, list);
		if (list)
			nursery_ready_put(n, list);
	}
	for (c = nursery_next_parked(n, NULL); c; c = nursery_next_parked(n, c))
		add_named(named, &nr, c);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return nr;
}

static void name_children(struct nursery *n)
{
	struct named named[NR_NAMED];
	unsigned int i, nr;

	/* The nursery stays: what is taken out and put back is offered after that. */
	if (nursery_keep(n))
		return;
	nr = find_children(n, named);
	nursery_offer_rest(n);
	nursery_uncount(n, 1);
	for (i = 0; i < min_t(unsigned int, nr, NR_NAMED); i++)
		pr_err("nursery: child %ps of \"%s\", spawned at %pS, has not finished\n",
		       named[i].symbol, n->name, (void *)named[i].from);
	if (nr > NR_NAMED)
		pr_err("nursery: nor have %u others\n", nr - NR_NAMED);
}

/* Memory is about to be freed. Return: whether the nursery in it is gone. */
static bool end_nursery(struct nursery *n)
{
	if (!nursery_is_intact(n)) {
		WARN(1, "nursery: memory is freed where a nursery was opened that was not joined, and overwritten\n");
		return false;
	}
	WARN(1, "nursery: \"%s\", opened at %pS, is freed and has not been joined\n",
	     n->name, (void *)n->opened_from);
	if (atomic64_read(&n->state) & NURSERY_CLOSED) {
		pr_err("nursery: \"%s\" is just being joined\n", n->name);
		return false;
	}
	name_children(n);
	nursery_cancel(n, -ECANCELED);
	if (!may_wait())
		return false;
	return nursery_join(n) != -EDEADLK;
}

static bool nursery_fixup_free(void *addr, enum debug_obj_state state);

static const struct debug_obj_descr nursery_descr = {
	.name		= "nursery",
	.debug_hint	= nursery_hint,
	.fixup_init	= nursery_fixup_init,
	.fixup_free	= nursery_fixup_free,
};

static bool nursery_fixup_free(void *addr, enum debug_obj_state state)
{
	struct nursery *n = addr;

	if (!end_nursery(n)) {
		pr_err("nursery: it cannot be waited for: the memory is freed under it\n");
		n->self = NULL;
		forget(n, &nursery_descr);
	}
	return true;
}

/*
 * A nursery is to be initialised. @from: where.
 *
 * Return: false: it is open, and to be left alone.
 */
bool nursery_debug_open(struct nursery *n, unsigned long from)
{
	n->again = false;
	remember(n, &nursery_descr);
	if (!n->again) {
		debug_object_activate(n, &nursery_descr);
		n->opened_from = from;
		WRITE_ONCE(n->self, n);
		return true;
	}
	if (nursery_is_intact(n)) {
		WARN(1, "nursery: \"%s\", opened at %pS, is initialised again at %pS and has not been joined: ignored\n",
		     n->name, (void *)n->opened_from, (void *)from);
		name_children(n);
	} else {
		WARN(1, "nursery: memory is initialised at %pS where a nursery was opened that was not joined, and overwritten\n",
		     (void *)from);
	}
	return false;
}

/* It has been joined. @n->self stays: calls on a joined nursery are defined. */
void nursery_debug_joined(struct nursery *n)
{
	forget(n, &nursery_descr);
}

/*
 * Is this a nursery, open or joined? @what: is done with it, at @from.
 *
 * Context: Any.
 */
bool nursery_debug_known(struct nursery *n, const char *what, unsigned long from)
{
	if (likely(nursery_is_intact(n)))
		return true;
	debug_object_assert_init(n, &nursery_descr);
	WARN(1, "nursery: %s at %pS of a nursery that was never initialised, or was overwritten: refused\n",
	     what, (void *)from);
	return false;
}

/* A join begins, at @from. Return: false: it is to be refused. */
bool nursery_debug_join(struct nursery *n, unsigned long from)
{
	if (!nursery_debug_known(n, "join", from))
		return false;
	WARN(IS_ENABLED(CONFIG_PREEMPT_COUNT) && !preemptible(),
	     "nursery: \"%s\", opened at %pS, is joined at %pS in atomic context\n",
	     n->name, (void *)n->opened_from, (void *)from);
	return true;
}

/* children */

static void *child_hint(void *addr)
{
	return (void *)nursery_child_symbol(addr);
}

static bool child_fixup_init(void *addr, enum debug_obj_state state)
{
	((struct nursery_child *)addr)->again = true;
	return false;
}

/* Memory is about to be freed. Return: whether the child in it has ended. */
static bool end_child(struct nursery_child *c)
{
	if (!child_is_intact(c)) {
		WARN(1, "nursery: memory is freed where a child was spawned that has not finished, and overwritten\n");
		return false;
	}
	WARN(1, "nursery: child %ps of \"%s\", spawned at %pS, is freed and has not finished\n",
	     nursery_child_symbol(c), name_of(c->nursery), (void *)c->spawned_from);
	/* Which may free it: that is done already. */
	c->done = NULL;
	nursery_child_cancel(c);
	if (may_wait())
		nursery_child_join(c);
	return !child_is_intact(c);
}

static bool child_fixup_free(void *addr, enum debug_obj_state state);

static const struct debug_obj_descr child_descr = {
	.name		= "nursery_child",
	.debug_hint	= child_hint,
	.fixup_init	= child_fixup_init,
	.fixup_free	= child_fixup_free,
};

static bool child_fixup_free(void *addr, enum debug_obj_state state)
{
	struct nursery_child *c = addr;

	if (!end_child(c)) {
		pr_err("nursery: it cannot be waited for: the memory is freed under it\n");
		c->self = NULL;
		forget(c, &child_descr);
	}
	return true;
}

static void report_again(struct nursery_child *c, const char *what, unsigned long from)
{
	if (child_is_intact(c))
		WARN(1, "nursery: child %ps of \"%s\", spawned at %pS, is %s at %pS and has not finished: ignored\n",
		     nursery_child_symbol(c), name_of(c->nursery), (void *)c->spawned_from, what,
		     (void *)from);
	else
		WARN(1, "nursery: a child is %s at %pS where one was spawned that has not finished, and overwritten\n",
		     what, (void *)from);
}

/*
 * A child is to be initialised, at @from. It may be spawned then, or never.
 *
 * Return: false: it is live, and to be left alone.
 */
bool nursery_debug_child_init(struct nursery_child *c, unsigned long from)
{
	c->again = false;
	remember(c, &child_descr);
	if (c->again) {
		report_again(c, "initialised again", from);
		return false;
	}
	debug_object_free(c, &child_descr);
	c->self = NULL;
	c->prepared = CHILD_PREPARED;
	return true;
}

/*
 * A child is to be spawned in @n, at @from.
 *
 * Return: 0: it is active from now on, until nursery_debug_child_end(). -EINVAL; -EBUSY.
 */
int nursery_debug_spawn(struct nursery *n, struct nursery_child *c, unsigned long from)
{
	if (c->prepared != CHILD_PREPARED) {
		WARN(1, "nursery: spawn at %pS in \"%s\" of a child that was never initialised, or was overwritten: refused\n",
		     (void *)from, name_of(n));
		return -EINVAL;
	}
	if (!nursery_is_intact(n)) {
		debug_object_assert_init(n, &nursery_descr);
		WARN(1, "nursery: child %ps is spawned at %pS in a nursery that was never initialised, or was overwritten: refused\n",
		     nursery_child_symbol(c), (void *)from);
		return -EINVAL;
	}
	if (!child_may_be_spawned(atomic_read(&c->state)))
		return -EBUSY;
	c->again = false;
	remember(c, &child_descr);
	/* Who looked at the phase at the same time fails here. */
	if (c->again || debug_object_activate(c, &child_descr)) {
		report_again(c, "spawned", from);
		return -EBUSY;
	}
	c->spawned_from = from;
	WRITE_ONCE(c->self, c);
	return 0;
}

/*
 * A child of @n ends, or was not spawned after all. From here on it may be initialised,
 * spawned and freed.
 *
 * Return: whether it is intact. If not it is not to be touched.
 */
bool nursery_debug_child_end(struct nursery *n, struct nursery_child *c)
{
	bool intact = child_is_intact(c);

	if (!intact)
		WARN(1, "nursery: a child of \"%s\" has been freed or overwritten while it ran: %ps, if this is still true\n",
		     name_of(n), nursery_child_symbol(c));
	else if (!nursery_is_intact(n))
		WARN(1, "nursery: the nursery of child %ps, spawned at %pS, has been freed or overwritten: was it on a stack, and not joined?\n",
		     nursery_child_symbol(c), (void *)c->spawned_from);
	if (intact)
		WRITE_ONCE(c->self, NULL);
	forget(c, &child_descr);
	return intact;
}
