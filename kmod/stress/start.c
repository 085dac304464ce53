// SPDX-License-Identifier: GPL-2.0-only
/*
 * nursery_start(): its owner waits until a child is ready, and hears what came of it
 * if it never is. Until then the child does nothing that needs its owner.
 */
#include "stress.h"

/*
 * Not where the child may have to wait for a place: those that have one may be waiting for a
 * worker that waits for an owner further up, and who waits for a start does not help.
 *
 * Context: The owner of @c's scope.
 */
bool stress_may_start(const struct stress_child *c)
{
	const struct stress_scope *s = c->scope;

	return !(c->flags & (CHILD_EXTERNAL | CHILD_DELAYED | CHILD_DONE_FREES |
			     CHILD_DONE_POISONS)) &&
	       !c->executor && !(s->executor->flags & STRESS_FEW_WORKERS) &&
	       !s->max_active && !(s->flags & SCOPE_OWNER_CANCELS);
}

/*
 * In the child, which is being started.
 *
 * Return: 0: it is ready, and goes on; else what its function is to return. If that is not
 * NURSERY_PARK it is noted for the starter, and nobody else hears of it.
 */
int stress_get_ready(struct stress_child *c, int *result)
{
	if (nursery_child_cancelled(&c->child)) {
		*result = -ECANCELED;
	} else {
		switch (stress_below(&c->random, 6)) {
		case 0:
			*result = -EIO;
			break;
		case 1:
			*result = 0;
			break;
		case 2:
			*result = stress_park(c);
			if (*result)
				return NURSERY_PARK;
			fallthrough;
		default:
			c->starts = false;
			nursery_child_ready(&c->child);
			/* Before that: from then on a service is not cancelled with its nursery. */
			if (nursery_child_cancelled(&c->child) && c->flags & CHILD_SERVICE)
				WRITE_ONCE(c->cancel_called, true);
			return 0;
		}
	}
	c->result = *result;
	return 1;
}

/* What it has said to who started it. Context: The owner. */
static void check_failure(struct stress_child *c, int err)
{
	bool cancelled = nursery_child_cancelled(&c->child);
	int want = -ECANCELED;

	smp_rmb();	/* the flag, then its reason */
	if (atomic_read(&c->begun)) {
		want = c->result ?: cancelled ? -ECANCELED : -EPROTO;
		stress_check_child(c, "its start");
	}
	if (err != want)
		stress_child_violation(c, "start", "failed with %d, the starter heard %d", want,
				       err);
	if (want == -ECANCELED && !stress_may_be_cancelled(c->scope))
		stress_child_violation(c, "start", "was cancelled, but nobody did that");
	if (atomic_read(&c->dones))
		stress_child_violation(c, "start", "failed, and is done()");
}

/* Return: what nursery_start() says. Context: The owner. */
int stress_start_child(struct stress_child *c)
{
	int err;

	c->starts = true;
	stress_count(COUNT_STARTS);
	err = nursery_start(&c->scope->nursery, &c->child);
	if (err) {
		c->start_failed = true;
		check_failure(c, err);
	} else if (!atomic_read(&c->begun) || c->starts) {
		stress_child_violation(c, "start", "is told to be ready, and never said so");
	}
	return err;
}
