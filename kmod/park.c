// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parked children: they wait for a time, or to be told, and hold no thread.
 *
 * A child parks when its function returns NURSERY_PARK, and is run again, from the
 * start of its function, when its time has come, when somebody unparks it, or, once,
 * when it is cancelled. A delayed child is one that is parked before it was ever run; if it
 * is cancelled it is ended instead.
 *
 * They wait in nursery->parked, sorted by time, in the memory that a child has for
 * lists and cancel handlers: it needs neither meanwhile. The timer (timer.c) is set for the
 * first. When it expires it does nothing for the children but to set DUE and to offer
 * the nursery, so an interrupt costs the same for one child and for a million; workers
 * take those that are due out of the tree, a chunk at a time. As long as there are any
 * the timer is left alone: it is set again by who finds no more.
 *
 * A nursery whose executor takes children one by one has no workers that look: the timer
 * itself hands them out, some at a time.
 *
 * An unpark that comes before the function has returned sets UNPARKED, and the child
 * is run again instead of being parked; so does a cancel, if the function may not have seen
 * it. Otherwise a child that is cancelled may park, to wait until its hardware has
 * stopped. It is in nursery->spared then, where no second cancel disturbs it. So are
 * services, which a cancel of the nursery passes over: it need not look at each of them.
 *
 * All of this is decided under nursery->lock. A child that nobody else refers to goes
 * from there to the nursery's executor, as if it had just been spawned; that may be
 * another one than the child was first spawned on.
 */
#include <linux/export.h>
#include <linux/ktime.h>
#include <linux/rbtree.h>

#include "internal.h"
#include "trace.h"

/* child->result, while its function runs: child->until is valid. Never seen by others. */
#define UNTIL	1

/* With an executor that takes children one by one: handed out by one interrupt. */
#define HAND_OUT	16

static struct nursery_child *parked(struct rb_node *node)
{
	return rb_entry_safe(node, struct nursery_child, timer.node);
}

static bool is_earlier(struct rb_node *a, const struct rb_node *b)
{
	return parked(a)->timer.expires <
	       rb_entry(b, struct nursery_child, timer.node)->timer.expires;
}

static struct rb_root *root_of(struct nursery *n, struct nursery_child *c)
{
	return atomic_read(&c->state) & CHILD_ASIDE ? &n->spared : &n->parked;
}

/* Out of the tree, and the caller's: LIVE. Context: nursery->lock held, @c PARKED. */
static void take(struct nursery *n, struct nursery_child *c)
{
	int old = atomic_read(&c->state);

	rb_erase(&c->timer.node, root_of(n, c));
	c->handlers = NULL;
	c->pins = 0;
	do {
	} while (!atomic_try_cmpxchg(&c->state, &old,
				     (old & ~(CHILD_PHASE | CHILD_ASIDE)) | CHILD_LIVE));
}

/* Is it a service that has been stopped? */
static bool stops(const struct nursery *n, const struct nursery_child *c)
{
	return child_is_service(c) && atomic64_read(&n->state) & NURSERY_STOPS;
}

/* A service that has been run, and is not stopped with its nursery. */
bool nursery_is_parked_service(const struct nursery *n, const struct nursery_child *c)
{
	return child_is_spared(n, c) && atomic_read(&c->state) & CHILD_STARTED;
}

/*
 * Park a child, unless it has been unparked or cancelled meanwhile. @started: it has
 * been run.
 *
 * Context: nursery->lock held; @c is the caller's, LIVE.
 * Return: false: it is to be run now, or to be skipped.
 */
static bool park(struct nursery *n, struct nursery_child *c, ktime_t when, bool started)
{
	int old, new;
	bool parks;

	/* A cancel of the nursery that came after the function's return has not found it. */
	if (stops(n, c) || (nursery_cancelled(n) && !child_is_spared(n, c)))
		atomic_or(NURSERY_CHILD_CANCELLED, &c->state);
	old = atomic_read(&c->state);
	do {
		bool tell = old & NURSERY_CHILD_CANCELLED && !(old & CHILD_TOLD);

		parks = !tell && !(old & CHILD_UNPARKED);
		new = old & ~CHILD_UNPARKED;
		if (started)
			new |= CHILD_STARTED | (tell ? CHILD_TOLD : 0);
		if (parks)
			new += CHILD_PARKED - CHILD_LIVE;
		if (parks && (new & CHILD_TOLD || (started && child_is_spared(n, c))))
			new |= CHILD_ASIDE;
	} while (!atomic_try_cmpxchg(&c->state, &old, new));
	if (!parks)
		return false;

	c->timer.expires = when;
	rb_add(&c->timer.node, root_of(n, c), is_earlier);
	if (!rb_prev(&c->timer.node))
		nursery_timer_set(n);
	return true;
}

/*
 * The function of @c returned NURSERY_PARK; @c may not be touched afterwards.
 *
 * Context: Process context, no locks held. Not counted, so @n is there.
 */
void nursery_child_park(struct nursery *n, struct nursery_child *c)
{
	ktime_t when = c->result == UNTIL ? c->until : KTIME_MAX;
	bool parks;

	c->result = 0;
	trace_nursery_child_park(n, c);
	if (unlikely(child_is_shielded(c)))
		nursery_shield_end(c);
	raw_spin_lock_irq(&n->lock);
	nursery_drop_handlers(c);
	nursery_wait_for_handlers(n, c);
	nursery_child_leave_place(n, c);
	parks = park(n, c, when, true);
	raw_spin_unlock_irq(&n->lock);
	if (!parks)
		nursery_child_make_ready(n, c);
}

/*
 * A child is about to be run that has been parked, unparked or cancelled.
 *
 * Return: false: it is not to be, as it was cancelled and has never been run.
 */
bool nursery_child_starts(struct nursery *n, struct nursery_child *c)
{
	int old;

	/* It has been shown, so who stops services finds it, or we find that he has. */
	if (stops(n, c))
		nursery_child_tell(c);
	/* Fully ordered: whoever unparked it before this is seen by its function. */
	old = atomic_fetch_andnot(CHILD_STARTED | CHILD_UNPARKED, &c->state);

	return !(old & NURSERY_CHILD_CANCELLED) || old & CHILD_STARTED;
}

/* A child is cancelled, and if it has parked it is about to be run to see that. */
void nursery_child_tell(struct nursery_child *c)
{
	bool started = atomic_read(&c->state) & CHILD_STARTED;

	atomic_or(NURSERY_CHILD_CANCELLED | (started ? CHILD_TOLD : 0), &c->state);
}

static struct nursery_child *first_parked(const struct nursery *n)
{
	struct nursery_child *c = parked(rb_first(&n->parked));
	struct nursery_child *spared = parked(rb_first(&n->spared));

	if (!c || (spared && spared->timer.expires < c->timer.expires))
		return spared;
	return c;
}

/* When the first of those that are parked is to be run. Context: nursery->lock held. */
ktime_t nursery_first_parked(const struct nursery *n)
{
	struct nursery_child *c = first_parked(n);

	return c ? c->timer.expires : KTIME_MAX;
}

static struct nursery_child *take_first(struct nursery *n, ktime_t now)
{
	struct nursery_child *c = first_parked(n);

	if (!c || c->timer.expires > now)
		return NULL;
	take(n, c);
	return c;
}

/*
 * The timer has expired. If parked children are due, the nursery is to be offered.
 *
 * Context: Any; nursery->lock held.
 */
void nursery_parked_expire(struct nursery *n, ktime_t now)
{
	struct nursery_child *c;
	unsigned int i;

	if (nursery_first_parked(n) > now)
		return;
	if (nursery_is_queue(n->executor)) {
		atomic64_or(NURSERY_DUE, &n->state);
		return;
	}
	for (i = 0; i < HAND_OUT && (c = take_first(n, now)); i++)
		nursery_child_queue(n, c, n->executor);
	nursery_wake_to_help(n);
}

/*
 * Take up to @room children that are due. They are the caller's, to be run.
 *
 * Context: nursery->lock held, kept open.
 * Return: how many.
 */
unsigned int nursery_take_due(struct nursery *n, struct nursery_child **to, unsigned int room)
{
	struct nursery_child *c;
	unsigned int nr = 0;
	ktime_t now;

	if (!(atomic64_read(&n->state) & NURSERY_DUE))
		return 0;
	now = ktime_get();
	while (nr < room && (c = take_first(n, now))) {
		/* Not in a chunk: others would wait for it. */
		if (child_is_service(c))
			nursery_child_queue(n, c, n->executor);
		else
			to[nr++] = c;
	}
	if (nr < room) {
		atomic64_andnot(NURSERY_DUE, &n->state);
		nursery_timer_set(n);
	}
	return nr;
}

/*
 * For a cancel: take up to @room children that do not know of it, as a list, to be
 * ended, or run to see it.
 *
 * Context: nursery->lock held.
 */
struct llist_node *nursery_take_parked(struct nursery *n, unsigned int room)
{
	struct rb_node *next = rb_first(&n->parked);
	struct llist_node *list = NULL;
	struct nursery_child *c;

	while (room && (c = parked(next))) {
		next = rb_next(next);
		/* One that was to get ready, and did while it was parked. */
		if (nursery_is_parked_service(n, c))
			continue;
		room--;
		take(n, c);
		c->link.next = list;
		list = &c->link;
	}
	return list;
}

/* The same for one that is parked. Context: nursery->lock held. Return: whether it worked. */
bool nursery_parked_remove(struct nursery *n, struct nursery_child *c)
{
	if (atomic_read(&c->state) & CHILD_TOLD)
		return false;
	take(n, c);
	return true;
}

/* For who waits for just this one. nursery->lock held. Return: whether it is due, and taken. */
bool nursery_parked_take_due(struct nursery *n, struct nursery_child *c)
{
	if (c->timer.expires > ktime_get())
		return false;
	take(n, c);
	return true;
}

/* For listings: the parked child after @c; NULL: the first. Context: nursery->lock held. */
struct nursery_child *nursery_next_parked(struct nursery *n, struct nursery_child *c)
{
	struct rb_node *next = c ? rb_next(&c->timer.node) : rb_first(&n->parked);

	if (!next && (!c || root_of(n, c) == &n->parked))
		next = rb_first(&n->spared);
	return parked(next);
}

/**
 * nursery_spawn_delayed - start a child on the nursery's executor, later
 * @n: the nursery
 * @c: the child, with a function; it belongs to @n until it has finished
 * @delay: until it may start, in ns. Up to 0: at once.
 *
 * Until then it holds no thread and no place below max_active. A cancel before it
 * starts ends it at once; its function is not called. nursery_child_unpark() starts
 * it earlier. Never allocates (I8).
 *
 * Context: Any, hard interrupts included.
 * Return: as nursery_spawn_on().
 */
int nursery_spawn_delayed(struct nursery *n, struct nursery_child *c, ktime_t delay)
{
	bool parks, is_service;
	unsigned long flags;
	int err;

	if (delay <= 0)
		return nursery_spawn_from(n, c, _RET_IP_);
	if (!c->fn)
		return -EINVAL;
	err = nursery_admit(n, c, CHILD_LIVE, _RET_IP_);
	if (err)
		return err;
	raw_spin_lock_irqsave(&n->lock, flags);
	is_service = nursery_service_enter(n, c);
	parks = park(n, c, ktime_add_safe(ktime_get(), delay), false);
	raw_spin_unlock_irqrestore(&n->lock, flags);
	/* It was cancelled at this moment: a worker skips it. */
	if (!parks)
		nursery_child_make_ready(n, c);
	if (is_service)
		nursery_uncount(n, 1);
	return 0;
}
EXPORT_SYMBOL_GPL(nursery_spawn_delayed);

/**
 * nursery_child_park_until - park until a time, or until unparked
 * @c: the calling child
 * @when: absolute CLOCK_MONOTONIC; KTIME_MAX: until unparked
 *
 * For the end of a child's function: ``return nursery_child_park_until(c, when);``.
 * To return %NURSERY_PARK alone is to park until unparked.
 *
 * Context: Process context, from the child's function.
 * Return: %NURSERY_PARK.
 */
int nursery_child_park_until(struct nursery_child *c, ktime_t when)
{
	c->result = UNTIL;
	c->until = when;
	return NURSERY_PARK;
}
EXPORT_SYMBOL_GPL(nursery_child_park_until);

/**
 * nursery_child_unpark - run a parked child again
 * @c: the child. Its memory must stay, but it may be finished, or not spawned:
 *	then nothing happens.
 *
 * A delayed child starts now. If the child runs and returns NURSERY_PARK after this, it
 * is run again at once; several such calls count as one. What the caller did before is
 * seen by the child's function. As with a condition variable, the function may also be run
 * when nobody has called this for it: let it look for what it waits for.
 *
 * Context: Any, hard interrupts included.
 */
void nursery_child_unpark(struct nursery_child *c)
{
	bool ready = false;
	unsigned long flags;
	struct nursery *n;

	local_irq_save(flags);
	n = nursery_child_hold_unfinished(c);
	if (!n) {
		local_irq_restore(flags);
		return;
	}
	raw_spin_lock(&n->lock);
	if (child_phase(atomic_read(&c->state)) == CHILD_PARKED) {
		take(n, c);
		ready = true;
	} else {
		/* Fully ordered: pairs with nursery_child_starts() and park(). */
		atomic_fetch_or(CHILD_UNPARKED, &c->state);
	}
	raw_spin_unlock(&n->lock);
	/* If it was parked it is ours until it is pushed. */
	nursery_child_release(c);
	local_irq_restore(flags);
	if (ready)
		nursery_child_make_ready(n, c);
}
EXPORT_SYMBOL_GPL(nursery_child_unpark);
