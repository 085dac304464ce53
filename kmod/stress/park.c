// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that park, and who unparks them.
 *
 * One that parks until a time is run again by itself. One that parks for good sees to
 * it before that somebody unparks it: it does so itself, or its trigger does, in an interrupt,
 * perhaps before it has parked. If that unpark is lost its tree does not end. Siblings
 * unpark one another at random, which only makes them run earlier.
 *
 * A child that has parked is run again in any case, be it to see a cancel. So the first
 * thing that it does then is to take back its trigger, or to wait until that is done with it.
 */
#include <linux/ktime.h>
#include <linux/sched.h>

#include "stress.h"

#define MOST_PARKS	4

/* Return: what the function is to return: NURSERY_PARK, or 0: go on. */
int stress_park(struct stress_child *c)
{
	struct stress_trigger *t = c->trigger;

	if (c->parks == MOST_PARKS)
		return 0;
	if (t && !c->was_armed && stress_one_in(&c->random, 2)) {
		c->was_armed = true;
		c->armed = true;
		stress_trigger_arm(t);
		return NURSERY_PARK;
	}
	if (stress_one_in(&c->random, 3)) {
		nursery_child_unpark(&c->child);
		return NURSERY_PARK;
	}
	return nursery_child_park_until(&c->child,
			ktime_add_ns(ktime_get(), stress_below(&c->random, 300 * NSEC_PER_USEC)));
}

/* The trigger of a function child. Context: An interrupt. */
void stress_unpark_fired(struct stress_trigger *t)
{
	/* Too late: it has been run again, and may be gone. */
	if (atomic_xchg(&t->claimed, 1))
		return;
	WRITE_ONCE(t->child->unpark_called, true);
	stress_count(COUNT_UNPARKS);
	stress_count_context();
	nursery_child_unpark(&t->child->child);
	smp_store_release(&t->over, true);	/* pairs with stress_take_trigger_back() */
}

/* The child runs again. */
void stress_take_trigger_back(struct stress_child *c)
{
	struct stress_trigger *t = c->trigger;

	if (!c->armed)
		return;
	c->armed = false;
	if (!atomic_xchg(&t->claimed, 1))
		return;
	/* It has let go of us. */
	while (!smp_load_acquire(&t->over))
		cond_resched();
}

/* Context: Any. */
void stress_unpark_sibling(struct stress_child *c)
{
	struct stress_child *sibling = stress_pick_shared(c->scope, &c->random);

	if (!sibling)
		return;
	WRITE_ONCE(sibling->unpark_called, true);
	smp_mb();			/* the reason first: stress_check_not_before() */
	stress_count(COUNT_UNPARKS);
	stress_count_context();
	nursery_child_unpark(&sibling->child);
}

/* First of all in a delayed child's function. */
void stress_check_not_before(const struct stress_child *c)
{
	s64 early = ktime_to_ns(ktime_sub(c->not_before, ktime_get()));

	if (early > 0 && !READ_ONCE(c->unpark_called))
		stress_child_violation(c, "delay", "began %lld ns too early", early);
}
