// SPDX-License-Identifier: GPL-2.0-only
/*
 * Services: they go on until they are stopped, asleep or parked, and are not stopped as long
 * as a function of an ordinary child runs, whatever else is cancelled.
 *
 * They spawn nothing, so that this can be seen from outside.
 */
#include <linux/sched.h>

#include "stress.h"

/* It has seen that it is to stop. */
static void check_stopped(const struct stress_child *c)
{
	if (!READ_ONCE(c->cancel_called) && atomic_read(&c->scope->in_function))
		stress_child_violation(c, "service", "is stopped while %d others run",
				       atomic_read(&c->scope->in_function));
}

/* Return: what its function is to return. */
int stress_serve(struct stress_child *c)
{
	int acts;

	for (acts = stress_below(&c->random, 3); acts; acts--) {
		if (stress_one_in(&c->random, 2))
			stress_unpark_sibling(c);
		else
			cond_resched();
	}
	if (!nursery_child_cancelled(&c->child)) {
		switch (stress_below(&c->random, 8)) {
		case 0:
			return 0;
		case 1 ... 3:
			return NURSERY_PARK;
		}
		if (!nursery_sleep(&c->child, ns_to_ktime(STRESS_LONG_SLEEP)))
			stress_child_violation(c, "I6", "serves, and was not woken by a cancel");
	}
	check_stopped(c);
	return -ECANCELED;
}
