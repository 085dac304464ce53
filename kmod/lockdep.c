// SPDX-License-Identifier: GPL-2.0-only
/*
 * What lockdep is told (R8).
 *
 * A nursery is a lock that its children hold while they run and that join takes,
 * as with workqueues. A join under a lock that a child takes is then an
 * inversion, reported the first time that both have happened in any order,
 * however seldom they meet.
 *
 * Nurseries opened at one place in the code share a class. Where they are nested
 * in one another, their level tells them apart: it is the subclass. Lockdep has
 * eight; deeper levels are not looked at, as they are the same code again. A
 * function that opens nurseries recursively must name the .parent, or every
 * level is level 0, and lockdep says so.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>

#include "internal.h"

/* Half of MAX_LOCK_DEPTH: each helping join on a stack holds one more. */
#define HELP_LOCK_DEPTH	24

void nursery_dep_init(struct nursery *n, struct lock_class_key *key, const char *name)
{
	struct nursery *up = nursery_up(n);

	lockdep_init_map(&n->dep_map, name, key, 0);
	n->dep_level = up ? min(up->dep_level + 1, MAX_LOCKDEP_SUBCLASSES) : 0;
}

/*
 * A child of @n is about to run here, or a join to begin.
 *
 * Return: whether lockdep looks at it; then nursery_dep_release() is due. Not,
 * if the caller is inside already: a child that runs its sibling to join it.
 */
bool nursery_dep_acquire(struct nursery *n)
{
	if (n->dep_level >= MAX_LOCKDEP_SUBCLASSES || lock_is_held(&n->dep_map))
		return false;
	lock_acquire(&n->dep_map, n->dep_level, 0, 0, 1, NULL, _RET_IP_);
	return true;
}

void nursery_dep_release(struct nursery *n)
{
	lock_release(&n->dep_map, _RET_IP_);
}

bool nursery_dep_room(void)
{
	return current->lockdep_depth < HELP_LOCK_DEPTH;
}

/*
 * To lockdep, a join of one child is a join of its nursery (R8). That may go
 * meanwhile: a copy is taken while it is there.
 */
void nursery_dep_join_child(struct nursery_child *c)
{
	struct lockdep_map map;
	struct nursery *n;
	unsigned int level;
	bool look = false;

	local_irq_disable();
	switch (nursery_child_hold(c)) {
	case CHILD_IDLE:
	case CHILD_DONE:
		break;
	default:
		n = c->nursery;
		/* Who runs below it is refused, and waits for nothing. */
		look = n->dep_level < MAX_LOCKDEP_SUBCLASSES && !lock_is_held(&n->dep_map) &&
		       !nursery_child_runs_here(c);
		level = n->dep_level;
		lockdep_copy_map(&map, &n->dep_map);
		nursery_child_release(c);
	}
	local_irq_enable();
	if (!look)
		return;
	lock_acquire(&map, level, 0, 0, 1, NULL, _RET_IP_);
	lock_release(&map, _RET_IP_);
}
