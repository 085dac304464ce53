// SPDX-License-Identifier: GPL-2.0-only
/*
 * Services: children that serve others, and are stopped when those are done.
 *
 * A service runs until it is cancelled. It is not one of those that a join waits for, so
 * it is not counted in nursery->state but in nursery->nr_services. When the joiner finds
 * that no others are left, it stops the services: it cancels them, one by one and not the
 * nursery, and counts them like all others from then on (STOPS), so that it waits for
 * them. Whatever they still spawn is joined as well.
 *
 * To close the nursery the joiner has to find nr_services zero, under nursery->lock. So
 * while there is a service the nursery stays, and its worker need not be counted: it
 * takes its own count back before the function is called, and counts itself again after
 * it.
 *
 * A cancel of the nursery, from wherever it comes, passes over the services that have begun
 * and what they opened: the others take their time to stop, and still need them. They
 * are stopped as ever, when none of those is left. One that is still to get ready
 * (start.c) serves nobody, and is cancelled with the others.
 *
 * A service goes to its executor alone, not in a chunk with others that would have to
 * wait for it, and never to a joiner, who would wait for himself. It takes no place below
 * max_active, which is there for those that finish.
 */
#include <linux/export.h>

#include "internal.h"

/**
 * nursery_child_set_service - have a child run until all others have finished
 * @c: the child, initialised, with a function, not spawned. It stays a service until it
 *	is initialised again.
 *
 * nursery_join() first waits for the ordinary children, then cancels the services, then
 * joins them. Until then a service may rely on what the scope owns, and the others on the
 * service, also if the nursery is cancelled: that concerns a service only if it has not
 * begun. One that fails cancels its siblings as any child does; one that returns 0
 * before it was asked to is just finished. max_active does not count it.
 *
 * Context: Any.
 */
void nursery_child_set_service(struct nursery_child *c)
{
	unsigned int phase = child_phase(atomic_read(&c->state));

	if (WARN_ONCE(!c->fn || (phase != CHILD_IDLE && phase != CHILD_DONE),
		      "nursery: only a function child that is not spawned can be made a service\n"))
		return;
	atomic_or(CHILD_SERVICE, &c->state);
}
EXPORT_SYMBOL_GPL(nursery_child_set_service);

/*
 * A child that has been admitted, and counted, may be a service.
 *
 * Context: nursery->lock held; @c LIVE, and the caller's.
 * Return: whether the caller is to take the count back, when it has given the child away
 *	   and is done with the nursery.
 */
bool nursery_service_enter(struct nursery *n, struct nursery_child *c)
{
	if (!child_is_service(c))
		return false;
	if (atomic64_read(&n->state) & NURSERY_STOPS) {
		/* Too late: it does not start. */
		atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
		return false;
	}
	n->nr_services++;
	atomic64_or(NURSERY_SERVED, &n->state);
	return true;
}

/*
 * A service is about to be called. From here on it is the service that keeps the nursery.
 *
 * Context: Process context, no locks held; @w runs it, and has nothing else.
 */
void nursery_service_begin(struct nursery *n, struct nursery_worker *w)
{
	unsigned int finished = w->finished;

	WRITE_ONCE(w->finished, 0);
	nursery_uncount(n, finished);
}

/* It has returned. Context: as above. */
void nursery_service_end(struct nursery *n, struct nursery_worker *w)
{
	atomic64_add(NURSERY_COUNT, &n->state);
	WRITE_ONCE(w->finished, 1);
}

/*
 * nursery_worker_over() gives back the place of what was run, and a service has had none.
 *
 * Context: Process context, no locks held.
 */
void nursery_service_give_place(struct nursery *n)
{
	if (!n->max_active)
		return;
	raw_spin_lock_irq(&n->lock);
	n->nr_active++;
	raw_spin_unlock_irq(&n->lock);
}

/* A service ends: who ended it counts it like others. Context: nursery->lock held. */
void nursery_service_over(struct nursery *n)
{
	if (atomic64_read(&n->state) & NURSERY_STOPS)
		return;
	atomic64_add(NURSERY_COUNT, &n->state);
	n->nr_services--;
}

/*
 * There are no others left than services, if there are any: from now on they are counted,
 * and to be cancelled by the caller.
 *
 * Context: nursery->lock held; the joiner.
 * Return: whether there are.
 */
bool nursery_services_stop(struct nursery *n)
{
	unsigned int nr = n->nr_services;

	if (nr) {
		atomic64_or(NURSERY_STOPS, &n->state);
		atomic64_add((s64)nr * NURSERY_COUNT, &n->state);
		n->nr_services = 0;
	}
	/* Should another one enter it is set again, so who closes sees that. */
	atomic64_andnot(NURSERY_SERVED, &n->state);
	return nr;
}
