// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listings for user space: a snapshot of the tree.
 *
 * Taken under the locks of the tree into memory allocated before, so it is of one
 * moment; names of functions are looked up and everything is copied out after.
 * At most NURSERY_LIST_MAX entries are made under the lock; what goes beyond the
 * caller's array is counted by nurseries.
 */
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "file.h"
#include "list.h"

struct snapshot {
	struct {
		struct nursery_entry entry;
		const void *fn;		/* name it after this, when unlocked */
	} *items;
	u32 room;
	u32 nr;		/* that there are: more than room is fine */
};

/*
 * Copy entry number @nr to the caller's array, in the caller's size of entry.
 *
 * Return: 0; -EFAULT.
 */
int nursery_put_entry(const struct nursery_list *list, u32 nr, const void *entry, size_t size)
{
	void __user *to = u64_to_user_ptr(list->entries + (u64)nr * list->entry_size);

	if (copy_to_user(to, entry, min_t(size_t, size, list->entry_size)))
		return -EFAULT;
	if (list->entry_size > size && clear_user(to + size, list->entry_size - size))
		return -EFAULT;
	return 0;
}

static void add(struct snapshot *s, const struct nursery_entry *entry, const void *fn)
{
	s->items[s->nr].entry = *entry;
	s->items[s->nr].fn = fn;
	s->nr++;
}

/*
 * @task runs it; NULL: nobody. Context: nursery_tree_lock and c->nursery->lock held.
 */
static void add_child(struct snapshot *s, const struct nursery_child *c, u32 depth, u32 state,
		      struct task_struct *task)
{
	struct nursery_entry entry = {
		.nursery = nursery_id(c->nursery),
		.depth = depth,
		.kind = c->fn ? NURSERY_ENTRY_CHILD : NURSERY_ENTRY_EXTERNAL,
		.state = state,
		.flags = nursery_child_cancelled(c) ? NURSERY_ENTRY_CANCELLED : 0,
		.pid = task ? task_pid_vnr(task) : 0,
	};
	const struct nursery_call *call = nursery_call_of(c);

	if (s->nr == s->room)
		return;
	/* The caller's half of a call is as far as the operation is. */
	if (call && c == &call->user) {
		entry.id = call->id;
		if (!READ_ONCE(call->started))
			entry.state = NURSERY_STATE_QUEUED;
	}
	if (call || !c->fn)
		strscpy(entry.name, call ? call->name : "transfer", sizeof(entry.name));
	add(s, &entry, call ? NULL : nursery_child_fn(c));
}

/* Children that are to be started, as a list. Context: as add_child(). */
static void add_unstarted(struct snapshot *s, struct llist_node *list, u32 depth)
{
	for (; list && s->nr < s->room; list = list->next)
		add_child(s, nursery_linked(list), depth, NURSERY_STATE_QUEUED, NULL);
}

/*
 * What is to be started is taken out to be looked at, and put back: it is to be offered
 * afterwards. Context: as add_child().
 */
static void add_worker(struct snapshot *s, struct nursery *n, struct nursery_worker *w, u32 depth)
{
	struct llist_node *list;
	struct nursery_child *c;

	c = nursery_worker_hold(w);
	if (c) {
		add_child(s, c, depth, NURSERY_STATE_RUNNING, w->task);
		nursery_worker_release(w);
	}
	/* With max_active there is at most one, and it is about to be started. */
	list = n->max_active ? NULL : nursery_worker_disown(w);
	if (list) {
		add_unstarted(s, list, depth);
		nursery_ready_put(n, list);
	}
}

/* The entries from @from on, the oldest first: the list has the youngest there. */
static void reverse(struct snapshot *s, u32 from)
{
	u32 to;

	for (to = s->nr; to > from + 1; from++, to--)
		swap(s->items[from], s->items[to - 1]);
}

/* Context: nursery_tree_lock and nursery->lock held. */
static void add_children(struct snapshot *s, struct nursery *n, u32 depth)
{
	struct nursery_worker *w;
	struct nursery_child *c;
	struct llist_node *list;
	u32 from;

	/* Before the workers' come in again. */
	list = n->max_active ? NULL : nursery_ready_grab_all(n);
	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w))
		add_worker(s, n, w, depth);
	from = s->nr;
	hlist_for_each_entry(c, &n->others, other)
		add_child(s, c, depth, child_phase(atomic_read(&c->state)) == CHILD_SUBMITTED ?
			  NURSERY_STATE_QUEUED : NURSERY_STATE_RUNNING, NULL);
	reverse(s, from);
	if (list) {
		add_unstarted(s, list, depth);
		nursery_ready_put(n, list);
	}
	if (n->max_active)
		list_for_each_entry(c, &n->ready, node)
			add_child(s, c, depth, NURSERY_STATE_WAITING, NULL);
	for (c = nursery_next_parked(n, NULL); c && s->nr < s->room; c = nursery_next_parked(n, c))
		add_child(s, c, depth, NURSERY_STATE_PARKED, NULL);
}

/* Not finished, as far as their workers have told. Context: nursery->lock held. */
static u32 nr_children(struct nursery *n)
{
	u32 nr = nursery_count(atomic64_read(&n->state)) + n->nr_services;
	struct nursery_worker *w;

	for (w = nursery_first_worker(n); w; w = nursery_next_worker(n, w))
		nr -= READ_ONCE(w->finished);
	return nr;
}

/* Context: nursery->lock held. */
static u32 nr_resources(const struct nursery *n)
{
	struct nursery_resource *r;
	u32 nr = 0;

	for (r = n->resources; r; r = r->next)
		nr += r->type != &nursery_quiesce_type;
	return nr;
}

/* A nursery and its children; where there is no room, count. nursery_tree_lock held. */
static void add_nursery(struct snapshot *s, struct nursery *n, u32 depth)
{
	struct nursery_file *file = nursery_file_of(n);
	struct nursery_entry entry = {
		.id = nursery_id(n),
		.nursery = nursery_up(n) ? nursery_id(nursery_up(n)) : 0,
		.depth = depth,
		.kind = NURSERY_ENTRY_NURSERY,
		.pid = file ? pid_vnr(file->opener) : 0,
	};
	s64 state;
	u32 all;

	strscpy(entry.name, n->name, sizeof(entry.name));

	raw_spin_lock(&n->lock);
	state = atomic64_read(&n->state);
	all = s->nr + 1 + nr_children(n);
	if (s->nr >= s->room) {
		s->nr = all;
		raw_spin_unlock(&n->lock);
		return;
	}
	entry.state = state & NURSERY_CLOSED ? NURSERY_STATE_RELEASING : NURSERY_STATE_OPEN;
	entry.flags = state & NURSERY_CANCELLED ? NURSERY_ENTRY_CANCELLED : 0;
	entry.nr_children = nr_children(n);
	entry.nr_resources = nr_resources(n);
	entry.cause = n->cause;
	entry.deadline = n->deadline == KTIME_MAX ? 0 : ktime_to_ns(n->deadline);
	add(s, &entry, NULL);
	add_children(s, n, depth + 1);
	if (s->nr == s->room)
		s->nr = all;
	raw_spin_unlock(&n->lock);
	/* What was taken out and put back. */
	if (!(state & NURSERY_CLOSED))
		nursery_offer_rest(n);
}

/* Context: nursery_tree_lock held. */
static void add_subtree(struct snapshot *s, struct nursery *root)
{
	struct nursery *n, *next;
	u32 depth = 0;

	for (n = root; n; n = next) {
		add_nursery(s, n, depth);
		next = nursery_tree_next(n, root);
		if (next && nursery_up(next) == n)
			depth++;
		else if (next)	/* back up to where the next one hangs */
			for (; nursery_up(n) != nursery_up(next); n = nursery_up(n))
				depth--;
	}
}

/**
 * nursery_list_tree - NURSERY_IOC_LIST
 * @root: list this nursery and what is below; NULL: all
 * @list: the caller's array; its nr is set to how many there are
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINVAL too large an array; -ENOMEM; -EFAULT.
 */
int nursery_list_tree(struct nursery *root, struct nursery_list *list)
{
	struct snapshot s = { .room = list->nr };
	int err = 0;
	u32 i;

	if (s.room > NURSERY_LIST_MAX)
		return -EINVAL;
	if (s.room) {
		s.items = kvcalloc(s.room, sizeof(*s.items), GFP_KERNEL_ACCOUNT);
		if (!s.items)
			return -ENOMEM;
	}

	raw_spin_lock(&nursery_roots_lock);
	raw_spin_lock_irq(&nursery_tree_lock);
	if (root) {
		add_subtree(&s, root);
	} else {
		while ((root = nursery_next_root(root)))
			add_subtree(&s, root);
	}
	raw_spin_unlock_irq(&nursery_tree_lock);
	raw_spin_unlock(&nursery_roots_lock);

	for (i = 0; i < min(s.nr, s.room) && !err; i++) {
		struct nursery_entry *entry = &s.items[i].entry;

		if (s.items[i].fn)
			snprintf(entry->name, sizeof(entry->name), "%ps", s.items[i].fn);
		err = nursery_put_entry(list, i, entry, sizeof(*entry));
	}
	kvfree(s.items);
	list->nr = s.nr;
	return err;
}
