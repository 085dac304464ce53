// SPDX-License-Identifier: GPL-2.0-only
/*
 * What children do, one random thing after the other. Who waits here must not be
 * able to wait for itself: a child with an even index may join a sibling with an
 * odd one, which joins nobody; not where max_active may keep that one waiting;
 * and with an executor of few workers only where the stack is not yet deep, as
 * the core helps while there is room on it.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/sched.h>

#include "stress.h"

/* A sleep that lasts as long as it should, or ends with a cancel. */
static int nap(struct stress_child *c)
{
	u64 duration = stress_below(&c->random, 200 * NSEC_PER_USEC);
	ktime_t start = ktime_get();
	int err = nursery_sleep(&c->child, ns_to_ktime(duration));

	if (err ? err != -ECANCELED || !nursery_child_cancelled(&c->child) :
		  ktime_to_ns(ktime_sub(ktime_get(), start)) < duration)
		stress_child_violation(c, "I6", "slept %llu ns not to the end: %d", duration, err);
	return err;
}

/* It is certain that there will be a cancel. */
static int sleep_long(struct stress_child *c)
{
	const struct stress_executor *e = c->executor ?: c->scope->executor;

	if (!(c->scope->flags & (SCOPE_OWNER_CANCELS | SCOPE_FIXED_DEADLINE)) ||
	    e->flags & STRESS_PROCESS_ONLY)
		return 0;
	if (!nursery_sleep(&c->child, ns_to_ktime(STRESS_LONG_SLEEP)))
		stress_child_violation(c, "I6", "was not woken by a cancel");
	return -ECANCELED;
}

static int poll_flag(struct stress_child *c)
{
	ktime_t end = ktime_add_us(ktime_get(), stress_below(&c->random, 50));

	while (!nursery_child_cancelled(&c->child))
		if (ktime_after(ktime_get(), end))
			return 0;
	return -ECANCELED;
}

/* The scope itself, or one above it. */
static struct stress_scope *pick_scope(struct stress_child *c)
{
	struct stress_scope *s = c->scope;

	while (s->up && stress_one_in(&c->random, 4))
		s = s->up;
	return s;
}

static int cancel_scope(struct stress_child *c)
{
	struct stress_scope *s = pick_scope(c);

	if (!stress_one_in(&c->random, 4))
		return 0;
	stress_cancel(s, stress_pick_cause(&c->random));
	if (s == c->scope && s->max_active == 1)
		s->cancelled_alone = true;
	stress_check_child_flag(c);
	return 0;
}

static void cancel_sibling(struct stress_child *c)
{
	struct stress_child *sibling = stress_pick_shared(c->scope, &c->random);

	if (sibling && stress_one_in(&c->random, 2))
		stress_cancel_child(sibling);
}

static bool may_join(const struct stress_child *c, const struct stress_child *sibling)
{
	const struct stress_executor *here = c->executor ?: c->scope->executor;
	/* That of the scope in any case: there it is run again when it has parked. */
	unsigned int flags = sibling->scope->executor->flags |
			     (sibling->executor ? sibling->executor->flags : 0);

	/*
	 * Inside a spawn the spawner waits for us: it may be that sibling, or the
	 * owner for whose cancel that sibling sleeps.
	 */
	if (here->flags & STRESS_PROCESS_ONLY)
		return false;
	return c->index % 2 == 0 && sibling->index % 2 && !c->scope->max_active &&
	       /* It is not stopped as long as we are there. */
	       !(sibling->flags & CHILD_SERVICE) &&
	       !(flags & STRESS_FEW_WORKERS && c->scope->depth) &&
	       !(flags & STRESS_NO_RETRACT);
}

static void join_sibling(struct stress_child *c)
{
	struct stress_child *sibling = stress_pick_shared(c->scope, &c->random);

	if (sibling && may_join(c, sibling))
		stress_join_child(sibling);
}

static void move_deadline(struct stress_child *c)
{
	struct stress_scope *s = c->scope;
	ktime_t when = KTIME_MAX;

	if (s->flags & (SCOPE_OWNER_CANCELS | SCOPE_FIXED_DEADLINE))
		return;
	if (!stress_one_in(&c->random, 3)) {
		atomic_or(stress_code_bit(-ETIMEDOUT), &s->causes);
		atomic_or(STRESS_DEADLINE, &s->reasons);
		smp_mb__after_atomic();		/* the reason first: stress_check_child_flag() */
		when = ktime_add_us(ktime_get(), stress_below(&c->random, 5000));
	}
	nursery_set_deadline(&s->nursery, when);
}

static void check_shield(const struct stress_child *c)
{
	if (nursery_child_cancelled(&c->child))
		stress_child_violation(c, "I3", "sees a cancel in its shield");
}

static void raise_shield(struct stress_child *c)
{
	stress_count(COUNT_SHIELDS);
	c->shielded = true;
	nursery_shield(&c->child);
	check_shield(c);
}

static void lower_shield(struct stress_child *c)
{
	check_shield(c);
	nursery_unshield(&c->child);
	c->shielded = false;
	stress_check_child_flag(c);
	if (nursery_child_cancelled(&c->child))
		stress_count(COUNT_PUT_OFF);
}

static void shield_for_a_while(struct stress_child *c)
{
	raise_shield(c);
	udelay(stress_below(&c->random, 50));
	lower_shield(c);
}

struct handler {
	struct nursery_cancel_handler	handler;
	atomic_t			calls;
};

static void count_call(struct nursery_cancel_handler *h)
{
	atomic_inc(&container_of(h, struct handler, handler)->calls);
}

/* A handler is called once if there is a cancel while it is on, else never; a hard one perhaps. */
static void wait_with_handler(struct stress_child *c)
{
	struct handler h = { .calls = ATOMIC_INIT(0) };
	bool cancelled, hard = stress_one_in(&c->random, 3);
	int calls, err;

	err = hard ? nursery_on_hard_cancel(&c->child, &h.handler, count_call) :
		     nursery_on_cancel(&c->child, &h.handler, count_call);
	calls = atomic_read(&h.calls);
	if (err && (err != -ECANCELED || calls != 1))
		stress_child_violation(c, "I6", "is cancelled, its handler was called %d times: %d",
				       calls, err);
	if (!err && stress_one_in(&c->random, 2))
		nap(c);
	if (!err && !c->shielded && stress_one_in(&c->random, 4))
		shield_for_a_while(c);
	cancelled = nursery_child_cancelled(&c->child);
	nursery_off_cancel(&h.handler);
	calls = atomic_read(&h.calls);
	if (calls > 1 || (cancelled && !calls && !hard) ||
	    (calls && !nursery_child_cancelled(&c->child)))
		stress_child_violation(c, "I6", "had its handler called %d times", calls);
}

static void ask_in_vain(struct stress_child *c)
{
	struct stress_scope *s = c->scope;
	int err = nursery_spawn(&s->nursery, &c->child);

	if (err != -EBUSY && (err != -ECANCELED || !stress_may_be_cancelled(s)))
		stress_child_violation(c, "I4", "runs, and is spawned again: %d", err);
	err = nursery_join(&s->nursery);
	if (err == -EDEADLK)
		err = nursery_child_join(&c->child);
	if (err == -EDEADLK && s->parent)
		err = nursery_join(&s->up->nursery);
	if (err != -EDEADLK)
		stress_child_violation(c, "I5", "joined what it is in: %d", err);
}

/* Things that take their time, none of which a cancel ends. */
static int act_in_shield(struct stress_child *c)
{
	struct stress_scope *s = c->scope;
	int err = 0;

	raise_shield(c);
	switch (stress_below(&c->random, 6)) {
	case 0:
		nap(c);
		break;
	case 1:
		cancel_scope(c);
		break;
	case 2:
		wait_with_handler(c);
		break;
	case 3:
		/* Another one, within. */
		nursery_shield(&c->child);
		nap(c);
		nursery_unshield(&c->child);
		break;
	default:
		if (s->depth + 1 < STRESS_MAX_DEPTH)
			err = stress_open(s->thread, s, c, &c->random);
	}
	lower_shield(c);
	return err;
}

/* Return: what the function is to return, or 0: go on. */
int stress_act(struct stress_child *c)
{
	struct stress_scope *s = c->scope;

	switch (stress_below(&c->random, 32)) {
	case 0 ... 1:
		udelay(stress_below(&c->random, 20));
		return 0;
	case 2:
		cond_resched();
		return 0;
	case 3 ... 4:
		return nap(c);
	case 5:
		return poll_flag(c);
	case 6:
		return sleep_long(c);
	case 7 ... 10:
		stress_spawn_spare(s);
		return 0;
	case 11:
		return cancel_scope(c);
	case 12 ... 13:
		cancel_sibling(c);
		return 0;
	case 14 ... 16:
		join_sibling(c);
		return 0;
	case 17 ... 18:
		if (s->depth + 1 == STRESS_MAX_DEPTH)
			return 0;
		return stress_open(s->thread, s, c, &c->random);
	case 19 ... 20:
		wait_with_handler(c);
		return 0;
	case 21:
		stress_defer(s, false);
		return 0;
	case 22:
		ask_in_vain(c);
		return 0;
	case 23 ... 25:
		return act_in_shield(c);
	case 26 ... 28:
		return stress_park(c);
	case 29 ... 30:
		stress_unpark_sibling(c);
		return 0;
	default:
		move_deadline(c);
		return 0;
	}
}

/* Context: An interrupt; @c is external and not yet completed. */
void stress_act_in_interrupt(struct stress_child *c)
{
	switch (stress_below(&c->random, 10)) {
	case 0 ... 3:
		stress_spawn_spare(c->scope);
		return;
	case 4:
		if (stress_one_in(&c->random, 4))
			stress_cancel(pick_scope(c), stress_pick_cause(&c->random));
		return;
	case 5:
		cancel_sibling(c);
		return;
	case 6:
		move_deadline(c);
		return;
	case 7 ... 8:
		stress_unpark_sibling(c);
		return;
	}
}
