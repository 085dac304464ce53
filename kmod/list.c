// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listings for user space: a snapshot of the tree.
 *
 * Taken under nursery_tree_lock into memory allocated before, so it is of one
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
		nursery_fn_t fn;	/* name it after this, when unlocked */
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

static void add(struct snapshot *s, const struct nursery_entry *entry, nursery_fn_t fn)
{
	s->items[s->nr].entry = *entry;
	s->items[s->nr].fn = fn;
	s->nr++;
}

/* Context: nursery_tree_lock and c->nursery->lock held. */
static void add_child(struct snapshot *s, const struct nursery_child *c, u32 depth)
{
	struct task_struct *task = READ_ONCE(c->task);
	struct nursery_entry entry = {
		.nursery = c->nursery->id,
		.depth = depth,
		.kind = c->fn ? NURSERY_ENTRY_CHILD : NURSERY_ENTRY_EXTERNAL,
		.flags = nursery_child_cancelled(c) ? NURSERY_ENTRY_CANCELLED : 0,
		.pid = task ? task_pid_vnr(task) : 0,
	};
	const struct nursery_call *call = nursery_call_of(c);

	/* The caller's half of a call is as far as the operation is. */
	switch (call ? READ_ONCE(call->child.state) : READ_ONCE(c->state)) {
	case CHILD_WAITING:
		entry.state = NURSERY_STATE_WAITING;
		break;
	case CHILD_QUEUED:
		entry.state = NURSERY_STATE_QUEUED;
		break;
	default:
		entry.state = NURSERY_STATE_RUNNING;
	}
	if (call && c == &call->user)
		entry.id = call->id;
	if (call || !c->fn)
		strscpy(entry.name, call ? call->name : "transfer", sizeof(entry.name));
	add(s, &entry, call ? NULL : c->fn);
}

/* Context: nursery_tree_lock and nursery->lock held. */
static void add_children(struct snapshot *s, const struct list_head *children, u32 depth)
{
	struct nursery_child *c;

	list_for_each_entry(c, children, node) {
		if (s->nr == s->room)
			return;
		add_child(s, c, depth);
	}
}

/* A nursery and its children; where there is no room, count. nursery_tree_lock held. */
static void add_nursery(struct snapshot *s, struct nursery *n, u32 depth)
{
	struct nursery_file *file = nursery_file_of(n);
	struct nursery_entry entry = {
		.id = n->id,
		.nursery = n->up ? n->up->id : 0,
		.depth = depth,
		.kind = NURSERY_ENTRY_NURSERY,
		.pid = file ? pid_vnr(file->opener) : 0,
	};
	u32 all;

	strscpy(entry.name, n->name, sizeof(entry.name));

	raw_spin_lock(&n->lock);
	all = s->nr + 1 + n->nr_children;
	if (s->nr >= s->room) {
		s->nr = all;
		raw_spin_unlock(&n->lock);
		return;
	}
	entry.state = n->state & NURSERY_CLOSED ? NURSERY_STATE_RELEASING : NURSERY_STATE_OPEN;
	entry.flags = n->state & NURSERY_CANCELLED ? NURSERY_ENTRY_CANCELLED : 0;
	entry.nr_children = n->nr_children;
	entry.nr_resources = READ_ONCE(n->nr_resources);
	entry.cause = n->cause;
	entry.deadline = n->deadline == KTIME_MAX ? 0 : ktime_to_ns(n->deadline);
	add(s, &entry, NULL);
	add_children(s, &n->running, depth + 1);
	add_children(s, &n->queued, depth + 1);
	add_children(s, &n->waiting, depth + 1);
	if (s->nr == s->room)
		s->nr = all;
	raw_spin_unlock(&n->lock);
}

/* Context: nursery_tree_lock held. */
static void add_subtree(struct snapshot *s, struct nursery *root)
{
	struct nursery *n, *next;
	u32 depth = 0;

	for (n = root; n; n = next) {
		add_nursery(s, n, depth);
		next = nursery_tree_next(n, root);
		if (next && next->up == n)
			depth++;
		else if (next)	/* back up to where the next one hangs */
			for (; n->up != next->up; n = n->up)
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

	raw_spin_lock_irq(&nursery_tree_lock);
	if (root) {
		add_subtree(&s, root);
	} else {
		while ((root = nursery_tree_next_root(root)))
			add_subtree(&s, root);
	}
	raw_spin_unlock_irq(&nursery_tree_lock);

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
