// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the hardware does not answer: quiesce, and children that are abandoned.
 *
 * A transfer is an external child, and a buffer is released when no child is left. If the
 * hardware never completes its transfer, or does so but goes on writing, only the driver can
 * tell when memory is safe: by its quiesce function, which stops the hardware, in process
 * context, and says whether it has. The core asks it at two occasions.
 *
 * Before the release, if a child failed or anything was cancelled: hardware that was told to
 * abort may have said that it did. What it answers here decides whether buffers are released or
 * go to quarantine (quarantine.c).
 *
 * And before that, if children are stuck: the nursery is cancelled, its grace is over, hard
 * handlers have been called and have returned, and an external child has still not
 * completed. Then whoever waits for it asks, and ends it with -ETIMEDOUT whatever the answer
 * is: it is abandoned. So no join waits for hardware for ever. A nursery without a quiesce
 * function abandons nothing.
 *
 * Why no hardware is started for a child that has been abandoned. From the cancel on
 * nursery_child_begin() refuses, so it could only be who has begun the child before and is not
 * there yet. Who waits for that single child by nursery_child_join() does so when it has been
 * started. The nursery's joiner waits until nothing else is left than hardware, and children
 * that are parked: no function is on its way between begin and start. Whoever else
 * starts hardware has to be kept out by the quiesce function itself. For the same
 * reason the answer that the joiner was given then is the last one: nobody asks again.
 *
 * Why nothing is completed that has been abandoned. Abandoning is a completion, and of two
 * one is heard, by the cmpxchg in nursery_child_complete() and in abandon(). The other one finds
 * ABANDONED, and nothing to report. That the memory of the child is still there when it looks
 * is up to the driver, whose quiesce function takes its children out of where its
 * interrupt looks for them. A handler of the child that runs has pinned it.
 *
 * How it is noticed. When the timer finds that the grace is over it sets STUCK. From then on
 * everything that may leave nothing but stuck children wakes the joiner, to look: who counts
 * down takes WAITING whatever is left (nursery_uncount()); and what is no count goes through
 * nursery_look_again(), which sets LOOK, and counts up and down to wake: a handler returned,
 * or a child was begun just before the cancel. The joiner takes LOOK back, looks, and goes to
 * sleep with a cmpxchg from the value that nursery->state had then: if something was counted
 * down or LOOK was set since, it looks again. That holds with and without a thread that
 * joins; Documentation/model/stuck.pml is about it. Those who wait for a single child are
 * woken under nursery->lock, and look under it before they sleep.
 */
#include <linux/export.h>
#include <linux/nursery_dma.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

struct quiesce {
	struct nursery_resource resource;
	int (*stop)(struct nursery *n, void *data);	/* nursery->lock */
	void *data;					/* the same */
	bool busy;					/* somebody asks; the same */
};

static void free_quiesce(struct nursery_resource *r)
{
	kfree(container_of(r, struct quiesce, resource));
}

/* It is kept with the resources, but is none to listings. */
const struct nursery_resource_type nursery_quiesce_type = {
	.name = "quiesce", .release = free_quiesce,
};

/* Context: nursery->lock held, QUIESCES is set. */
static struct quiesce *find_quiesce(const struct nursery *n)
{
	struct nursery_resource *r = n->resources;

	while (r->type != &nursery_quiesce_type)
		r = r->next;
	return container_of(r, struct quiesce, resource);
}

/**
 * nursery_set_quiesce - say how to stop the hardware of a nursery
 * @n: the nursery
 * @stop: stops the hardware that children of @n, or of nurseries below it, have
 *	started. Return: 0: it has stopped, and does not touch memory of @n any more. Else, as
 *	an errno: that is not known
 * @data: its second argument
 *
 * Called when a child of @n failed, or anything was cancelled: between the join and the
 * release, once more than before for children that were stuck. One call at a time. After
 * 0, what @n owns is released. Otherwise its buffers are not, but go to quarantine: see
 * nursery_dma_release_quarantine().
 *
 * Without it, external children are waited for until they complete. With it, those that have
 * not completed when the grace (params.grace) is over after a cancel of @n, and their hard
 * handlers have been called, are abandoned: @stop is called, then they end with -ETIMEDOUT,
 * and their done() is called, whatever it returned. A grace of 0 is over at once.
 *
 * When @stop returns, whatever it returns, nobody else may be about to complete a child of
 * @n: it takes them out of where the interrupt finds them, as by the lock or the xchg() that
 * protects that, and then calls synchronize_irq(). It may complete children itself. It also
 * waits for those who start hardware otherwise than from a function child of @n, or from
 * who joins; none can begin any more.
 *
 * Called again, it replaces what was set before; that may still be running on return. Has no
 * effect when @n has been joined.
 *
 * @stop is called in process context and may sleep. No lock of the core is held, but
 * whatever the joiner holds. It must not join @n, nor a child of @n.
 *
 * Context: Process context, may sleep. Does not fail: the few bytes that it takes are waited
 *	    for.
 */
void nursery_set_quiesce(struct nursery *n, int (*stop)(struct nursery *n, void *data), void *data)
{
	struct quiesce *q, *old;

	if (!nursery_debug_known(n, "quiesce function", _RET_IP_))
		return;
	q = kmalloc(sizeof(*q), GFP_KERNEL | __GFP_NOFAIL);
	*q = (struct quiesce){ .resource.type = &nursery_quiesce_type, .stop = stop, .data = data };
	if (nursery_keep(n)) {
		kfree(q);
		return;
	}
	raw_spin_lock_irq(&n->lock);
	if (atomic64_fetch_or(NURSERY_QUIESCES, &n->state) & NURSERY_QUIESCES) {
		old = find_quiesce(n);
		old->stop = stop;
		old->data = data;
	} else {
		old = NULL;
		q->resource.next = n->resources;
		n->resources = &q->resource;
		nursery_timer_set(n);
	}
	raw_spin_unlock_irq(&n->lock);
	if (old)
		kfree(q);
	nursery_uncount(n, 1);
}
EXPORT_SYMBOL_GPL(nursery_set_quiesce);

/* Call the quiesce function. Context: Process context; the nursery stays, QUIESCES is set. */
static int ask(struct nursery *n)
{
	int (*stop)(struct nursery *n, void *data);
	struct nursery_waiter waiter;
	struct quiesce *q;
	void *data;
	int err;

	raw_spin_lock_irq(&n->lock);
	q = find_quiesce(n);
	while (q->busy) {
		nursery_add_waiter(n, &waiter, q);
		raw_spin_unlock_irq(&n->lock);
		wait_for_completion(&waiter.wake);
		raw_spin_lock_irq(&n->lock);
	}
	q->busy = true;
	stop = q->stop;
	data = q->data;
	raw_spin_unlock_irq(&n->lock);

	err = stop(n, data);

	raw_spin_lock_irq(&n->lock);
	q->busy = false;
	nursery_wake_waiters(n, q, 0);
	raw_spin_unlock_irq(&n->lock);
	trace_nursery_quiesce(n, err);
	return err;
}

/* Those who wait for a single external child are to look. Context: nursery->lock held. */
static void wake_joiners_of_external(struct nursery *n)
{
	struct nursery_waiter **at = &n->waiters, *w;

	while ((w = *at)) {
		if (!w->looks) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->look = true;
		complete(&w->wake);
	}
}

/*
 * When is it to be looked for stuck children? Context: nursery->lock held.
 *
 * Return: an absolute time; KTIME_MAX: never, or that has been.
 */
ktime_t nursery_stuck_at(const struct nursery *n)
{
	const s64 looked_for = NURSERY_CANCELLED | NURSERY_QUIESCES;

	if ((atomic64_read(&n->state) & (looked_for | NURSERY_STUCK)) != looked_for)
		return KTIME_MAX;
	return n->grace;
}

/*
 * Is that now? Hard handlers that are due have been called before.
 *
 * Context: nursery->lock held; the caller keeps the nursery, and counts down afterwards.
 */
void nursery_stuck_expire(struct nursery *n, ktime_t now)
{
	if (nursery_stuck_at(n) > now)
		return;
	atomic64_or(NURSERY_STUCK, &n->state);
	wake_joiners_of_external(n);
}

/*
 * It may be that nothing is left but stuck children, and there is nobody who counts down.
 *
 * Context: nursery->lock held; a child is counted that cannot end before it is dropped.
 * Return: whether the caller is to count down by one when it has dropped the lock.
 */
bool nursery_look_again(struct nursery *n)
{
	if (likely(!(atomic64_read(&n->state) & NURSERY_STUCK)))
		return false;
	wake_joiners_of_external(n);
	/* To count up and down again is not seen by a joiner that is about to sleep. */
	atomic64_or(NURSERY_LOOK, &n->state);
	atomic64_add(NURSERY_COUNT, &n->state);
	return true;
}

/* Has it been asked to stop in every way there is? Context: nursery->lock held; external. */
static bool is_beyond_handlers(const struct nursery_child *c)
{
	return !c->handlers && c->pins <= 1;
}

/* Context: nursery->lock held, the child not finished. */
bool nursery_child_is_stuck(const struct nursery *n, const struct nursery_child *c)
{
	return atomic64_read(&n->state) & NURSERY_STUCK &&
	       child_phase(atomic_read(&c->state)) == CHILD_EXTERNAL && is_beyond_handlers(c);
}

/* Context: nursery->lock held. */
static bool only_stuck_are_left(struct nursery *n, s64 nr_left)
{
	struct nursery_child *c;
	bool some = false;

	hlist_for_each_entry(c, &n->others, other) {
		/* What an executor has is yet to run. One that has completed is about to end. */
		if (c->fn || !is_beyond_handlers(c))
			return false;
		some |= child_phase(atomic_read(&c->state)) == CHILD_EXTERNAL;
		nr_left--;
	}
	/* Services are counted when they have been told to stop. */
	for (c = nursery_next_parked(n, NULL); c; c = nursery_next_parked(n, c))
		nr_left -= !child_is_service(c) || atomic64_read(&n->state) & NURSERY_STOPS;
	return some && !nr_left;
}

/*
 * Is there nothing left to wait for but stuck children?
 *
 * @state: of the nursery, before the call and after it: for a cmpxchg that fails if the
 *	answer may have become another one
 *
 * Context: Any; the caller joins the nursery.
 */
bool nursery_is_stuck(struct nursery *n, s64 *state)
{
	unsigned long flags;
	bool stuck;

	if (likely(!(*state & NURSERY_STUCK)))
		return false;
	*state = atomic64_fetch_andnot(NURSERY_LOOK, &n->state) & ~NURSERY_LOOK;
	raw_spin_lock_irqsave(&n->lock, flags);
	stuck = only_stuck_are_left(n, nursery_count(*state));
	raw_spin_unlock_irqrestore(&n->lock, flags);
	return stuck;
}

/*
 * Complete a child in the hardware's stead, unless somebody has completed it.
 *
 * @answer: that of the quiesce function
 *
 * Context: nursery->lock held, and dropped here; the child has not finished.
 */
static void abandon(struct nursery *n, struct nursery_child *c, int answer)
	__releases(&n->lock)
{
	const int how = CHILD_ABANDONED | (answer ? CHILD_UNSTOPPED : 0);
	int old = atomic_read(&c->state);
	bool end;

	/* As in nursery_child_complete(). */
	do {
		if (child_phase(old) != CHILD_EXTERNAL) {
			raw_spin_unlock_irq(&n->lock);
			return;
		}
	} while (!atomic_try_cmpxchg(&c->state, &old,
				     (old - CHILD_EXTERNAL + CHILD_ENDING) | how));
	WRITE_ONCE(c->result, -ETIMEDOUT);
	end = nursery_child_unpin(n, c);
	raw_spin_unlock_irq(&n->lock);
	if (end)
		nursery_child_end_external(c, (unsigned long)nursery_set_quiesce);
}

static struct nursery_child *first_external(struct nursery *n)
{
	struct nursery_child *c;

	hlist_for_each_entry(c, &n->others, other)
		if (child_phase(atomic_read(&c->state)) == CHILD_EXTERNAL)
			return c;
	return NULL;
}

/*
 * Stop the hardware, and end what is stuck.
 *
 * Context: Process context, may sleep. The caller joins, and has found the nursery stuck.
 */
void nursery_abandon(struct nursery *n)
{
	struct nursery_child *c;
	int answer = ask(n);

	atomic64_or(NURSERY_ASKED | (answer ? NURSERY_UNSTOPPED : 0), &n->state);
	for (;;) {
		raw_spin_lock_irq(&n->lock);
		c = first_external(n);
		if (!c)
			break;
		abandon(n, c, answer);
	}
	raw_spin_unlock_irq(&n->lock);
}

/*
 * The same for one child and who waits for it. Others may still run: they are not asked for
 * the last time.
 *
 * Context: Process context, may sleep. The memory of the child stays; the nursery is counted
 * up for this call, and counted down here.
 */
void nursery_child_abandon(struct nursery *n, struct nursery_child *c)
{
	int answer = ask(n);

	raw_spin_lock_irq(&n->lock);
	abandon(n, c, answer);
	nursery_uncount(n, 1);
}

/*
 * Hardware may still use buffers of @n: so it may what is above, which may have lent its
 * own, or be what those of @n are made of.
 *
 * Context: Process context; the joiner, who has closed the nursery.
 */
void nursery_set_unstopped(struct nursery *n)
{
	struct nursery *up = nursery_up(n);

	/* For deferred actions that release a buffer. */
	atomic64_or(NURSERY_UNSTOPPED, &n->state);
	/* Read by its joiner, who comes after us. */
	if (up)
		atomic64_or(NURSERY_UNSTOPPED, &up->state);
}

/*
 * No child is left: may what the nursery owns be released?
 *
 * Context: Process context, may sleep; the joiner, who has closed the nursery.
 */
bool nursery_has_stopped(struct nursery *n)
{
	s64 state = atomic64_read(&n->state);

	if ((state & (NURSERY_QUIESCES | NURSERY_ASKED)) == NURSERY_QUIESCES &&
	    (state & (NURSERY_CANCELLED | NURSERY_UNSURE) || n->error) && ask(n))
		state |= NURSERY_UNSTOPPED;
	if (likely(!(state & NURSERY_UNSTOPPED)))
		return true;
	nursery_set_unstopped(n);
	return false;
}
