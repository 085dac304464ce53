// SPDX-License-Identifier: GPL-2.0-only
/*
 * A child: how it is started and ends, and what is checked there. What a function
 * child does meanwhile is in act.c; what an external one's trigger does, here.
 */
#include <linux/preempt.h>
#include <linux/slab.h>

#include "stress.h"

/*
 * A result that goes up, before the core hears of it (I7). -ECANCELED is none if
 * the child is cancelled, which it may become until the core looks.
 */
static void note_result(struct stress_child *c, int result)
{
	struct stress_scope *s = c->scope;

	c->result = result;
	if (!result)
		return;
	if (result == -ECANCELED) {
		if (nursery_child_cancelled(&c->child))
			return;
		atomic_or(stress_code_bit(result), &s->maybe);
	} else {
		atomic_or(stress_code_bit(result), &s->errors);
		if (s->max_active == 1 && s->only_functions && !s->first_error)
			s->first_error = result;
		stress_count(COUNT_FAILED);
	}
	if (!(s->flags & SCOPE_SUPERVISE))
		atomic_or(STRESS_FAILED, &s->reasons);
	smp_mb__after_atomic();		/* the reason first: stress_check_child_flag() */
}

static int pick_result(struct stress_child *c)
{
	static const int errors[] = { -EIO, -ENXIO, -EPROTO };

	if (nursery_child_cancelled(&c->child))
		return stress_one_in(&c->random, 4) ? 0 : -ECANCELED;
	if (stress_one_in(&c->random, 25))
		return errors[stress_below(&c->random, ARRAY_SIZE(errors))];
	return stress_one_in(&c->random, 200) ? -ECANCELED : 0;
}

/* Each time that its function is called. Return: for the first time. */
static bool check_call(struct stress_child *c)
{
	int begun = atomic_inc_return(&c->begun);

	if (begun != c->parks + 1)
		stress_child_violation(c, "I4", "began %d times, and parked %u times", begun,
				       c->parks);
	if (!in_task() || irqs_disabled())
		stress_child_violation(c, "I8", "is not in process context");
	stress_take_trigger_back(c);
	if (begun == 1 && c->flags & CHILD_DELAYED)
		stress_check_not_before(c);
	return begun == 1;
}

static void check_begin(struct stress_child *c)
{
	struct stress_scope *s = c->scope;
	unsigned int active = atomic_inc_return(&s->in_function);
	bool first = check_call(c);

	if (s->max_active && active > s->max_active)
		stress_child_violation(c, "max_active", "is one of %u that run, not %u",
				       active, s->max_active);
	stress_check_child_flag(c);
	/* It is run again after a cancel, too, and in no order. */
	if (!first)
		return;
	stress_check_late(c);

	/* One at a time: nobody else is here, and KCSAN is asked whether that is so. */
	if (s->max_active == 1 && c->ticket) {
		if (c->ticket <= s->last_ticket)
			stress_child_violation(c, "max_active", "began after child %u",
					       s->last_ticket - 1);
		s->last_ticket = c->ticket;
	}
}

/* The end of a call. The last access: from here on c and s may go if the core lets go of them. */
static int end_call(struct stress_child *c, atomic_t *in_function, int result)
{
	if (result == NURSERY_PARK) {
		stress_count(COUNT_PARKS);
		c->parks++;
	}
	atomic_dec(in_function);
	atomic_inc(&c->returned);
	return result;
}

static int child_run(struct nursery_child *child)
{
	struct stress_child *c = container_of(child, struct stress_child, child);
	struct stress_scope *s = c->scope;
	int result = 0, acts;

	check_begin(c);
	if (c->starts && stress_get_ready(c, &result))
		return end_call(c, &s->in_function, result);
	for (acts = stress_below(&c->random, 4); acts && !result; acts--)
		result = stress_act(c);
	if (!result)
		result = pick_result(c);
	stress_check_child_flag(c);
	if (result != NURSERY_PARK)
		note_result(c, result);
	return end_call(c, &s->in_function, result);
}

static int service_run(struct nursery_child *child)
{
	struct stress_child *c = container_of(child, struct stress_child, child);
	struct stress_scope *s = c->scope;
	int result = 0;

	atomic_inc(&s->in_service);
	check_call(c);
	if (c->starts && stress_get_ready(c, &result))
		return end_call(c, &s->in_service, result);
	result = stress_serve(c);
	if (result != NURSERY_PARK)
		note_result(c, result);
	return end_call(c, &s->in_service, result);
}

/* Context: Any. The child is over, says @who. */
void stress_check_child(const struct stress_child *c, const char *who)
{
	struct stress_scope *s = c->scope;
	int begun = atomic_read(&c->begun), returned = atomic_read(&c->returned);

	if (!stress_child_is_whole(c))
		stress_child_violation(c, "I4", "has something else in the memory around it");
	if (returned != (c->flags & CHILD_EXTERNAL ? 1 : begun))
		stress_child_violation(c, "I1", "is over, says %s, but began %d times, returned %d",
				       who, begun, returned);
	if (begun && begun == c->parks)
		stress_child_violation(c, "I4", "is over, says %s, but has parked", who);
	if (begun || c->flags & CHILD_EXTERNAL)
		return;
	/* A service that has not begun may have been stopped. */
	if (!nursery_child_cancelled(&c->child) ||
	    (!READ_ONCE(c->cancel_called) && !(c->flags & CHILD_SERVICE) &&
	     !stress_may_be_cancelled(s)))
		stress_child_violation(c, "I4", "was skipped without a cancel");
}

static void child_done(struct nursery_child *child)
{
	struct stress_child *c = container_of(child, struct stress_child, child);
	struct stress_scope *s = c->scope;

	if (atomic_inc_return(&c->dones) != 1)
		stress_child_violation(c, "I4", "is done() twice");
	stress_check_child(c, "its done()");
	stress_count(atomic_read(&c->begun) || c->flags & CHILD_EXTERNAL ? COUNT_RAN :
									   COUNT_SKIPPED);
	atomic_inc(&s->dones);
	/* The core is not to touch it any more. */
	if (c->flags & CHILD_DONE_FREES)
		stress_free(c);
	else if (c->flags & CHILD_DONE_POISONS)
		stress_poison(c, sizeof(*c));
}

/* Context: Any. */
static void complete_child(struct stress_child *c, int result)
{
	note_result(c, result);
	atomic_inc(&c->returned);
	stress_count_context();
	nursery_child_complete(&c->child, result);
}

static void complete_cancelled(struct nursery_cancel_handler *h)
{
	struct stress_child *c = container_of(h, struct stress_child, handler);

	stress_check_child_flag(c);
	if (!atomic_xchg(&c->trigger->claimed, 1))
		complete_child(c, pick_result(c));
}

/* Context: An interrupt. */
void stress_trigger_fired(struct stress_trigger *t)
{
	struct stress_child *c = t->child;
	int acts;

	if (t->unparks) {
		stress_unpark_fired(t);
		return;
	}
	/* Too late: there may be no child any more. */
	if (atomic_xchg(&t->claimed, 1))
		return;
	stress_check_child_flag(c);
	for (acts = stress_below(&c->random, 3); acts; acts--)
		stress_act_in_interrupt(c);
	complete_child(c, pick_result(c));
}

/* It is not among few workers, whom a service would keep from all others. */
static bool may_serve(const struct stress_child *c)
{
	return !(c->scope->executor->flags & STRESS_FEW_WORKERS) &&
	       !(c->executor && c->executor->flags & STRESS_FEW_WORKERS);
}

/* What kind of a function child it is. */
static void choose_kind(struct stress_child *c, struct stress_random *r)
{
	struct stress_scope *s = c->scope;

	if (stress_one_in(r, 4)) {
		c->executor = stress_one_in(r, 2) ? s->child_queue : stress_pick_executor(r, s);
	} else if (stress_one_in(r, 5)) {
		c->flags |= CHILD_DELAYED;
		c->delay = 1 + stress_below(r, 500 * NSEC_PER_USEC);
		if (s->flags & (SCOPE_OWNER_CANCELS | SCOPE_FIXED_DEADLINE) && stress_one_in(r, 4))
			c->delay = STRESS_LONG_SLEEP;
	}
	if (may_serve(c) && stress_one_in(r, 12))
		c->flags |= CHILD_SERVICE;
}

/* @t: of an external child, or of one that parks, or NULL. */
void stress_child_start(struct stress_child *c, struct stress_scope *s, unsigned int index,
			struct stress_trigger *t, struct stress_random *r)
{
	*c = (struct stress_child) {
		.scope = s, .index = index, .trigger = t,
		.random = stress_random_split(r),
		.flags = index < s->nr_on_stack ? CHILD_ON_STACK : 0,
	};
	stress_canaries(&c->canary, &c->canary_end);
	if (t)
		t->child = c;
	if (t && !t->unparks) {
		c->flags |= CHILD_EXTERNAL;
		if (stress_one_in(r, 2))
			c->flags |= CHILD_HAS_HANDLER | (stress_one_in(r, 3) ? CHILD_HARD : 0);
	} else {
		choose_kind(c, r);
	}
	if (stress_one_in(r, 2)) {
		c->flags |= CHILD_HAS_DONE;
		if (!(c->flags & CHILD_ON_STACK) && stress_one_in(r, 4))
			c->flags |= CHILD_DONE_FREES;
		else if (stress_one_in(r, 4))
			c->flags |= CHILD_DONE_POISONS;
	}
	if (!(c->flags & (CHILD_DONE_FREES | CHILD_DONE_POISONS)) && stress_one_in(r, 2))
		__set_bit(index, s->shared);
	nursery_child_init(&c->child, c->flags & CHILD_EXTERNAL ? NULL :
			   c->flags & CHILD_SERVICE ? service_run : child_run,
			   c->flags & CHILD_HAS_DONE ? child_done : NULL);
	if (c->flags & CHILD_SERVICE)
		nursery_child_set_service(&c->child);
}

/* The child is begun: now its hardware starts, and then it may be gone any time. */
static void start_trigger(struct stress_child *c)
{
	struct stress_trigger *t = c->trigger;

	if (c->flags & CHILD_HARD)
		nursery_on_hard_cancel(&c->child, &c->handler, complete_cancelled);
	else if (c->flags & CHILD_HAS_HANDLER)
		nursery_on_cancel(&c->child, &c->handler, complete_cancelled);
	stress_trigger_arm(t);
}

/* What is private in it may have been written to; but it is still one that was never spawned. */
static void check_refused(struct stress_child *c, int err)
{
	stress_count(COUNT_REFUSED);
	smp_rmb();	/* the refusal, then its reason */
	if (err != -ECANCELED || !stress_may_be_cancelled(c->scope))
		stress_child_violation(c, "I4", "is refused: %d", err);
	if (atomic_read(&c->begun) || atomic_read(&c->dones) ||
	    nursery_child_cancelled(&c->child) ||
	    (in_task() && nursery_child_join(&c->child) != -EINVAL))
		stress_child_violation(c, "I4", "was changed by a spawn that was refused");
}

/* In one of the ways that there are. Afterwards @c may be gone. */
static int spawn(struct stress_child *c, bool start)
{
	const struct stress_executor *e = c->executor;
	struct stress_scope *s = c->scope;

	if (c->flags & CHILD_EXTERNAL)
		return nursery_child_begin(&s->nursery, &c->child);
	if (start)
		return stress_start_child(c);
	if (e)
		return nursery_spawn_on(&s->nursery, &c->child,
					e == s->child_queue && s->child_executor ?
					s->child_executor : *e->executor);
	if (!(c->flags & CHILD_DELAYED))
		return nursery_spawn(&s->nursery, &c->child);
	c->not_before = ktime_add_ns(ktime_get(), c->delay);
	return nursery_spawn_delayed(&s->nursery, &c->child, ns_to_ktime(c->delay));
}

/*
 * Context: Any; process context to @start it. @c is the caller's alone; its scope is not joined
 * meanwhile.
 */
int stress_spawn(struct stress_child *c, bool start)
{
	const struct stress_executor *e = c->executor ?: c->scope->executor;
	unsigned int index = c->index, flags = c->flags;
	struct stress_scope *s = c->scope;
	bool must_refuse = stress_is_cancelled(s);
	int err;

	if (!in_task() && e->flags & STRESS_PROCESS_ONLY)
		return -EAGAIN;
	if (flags & CHILD_DONE_FREES)
		set_bit(index, s->freed);
	if (flags & CHILD_DONE_POISONS)
		set_bit(index, s->poisoned);
	stress_count_context();
	err = spawn(c, start);
	if (err) {
		clear_bit(index, s->freed);
		clear_bit(index, s->poisoned);
		if (!start)
			check_refused(c, err);
		return err;
	}
	if (must_refuse)
		stress_violation(s->thread, "I3", "child %u at depth %u is accepted after a cancel",
				 index, s->depth);
	if (flags & CHILD_HAS_DONE)
		atomic_inc(&s->dones_owed);
	stress_count(COUNT_CHILDREN);
	if (flags & CHILD_DELAYED)
		stress_count(COUNT_DELAYED);
	if (flags & CHILD_SERVICE)
		stress_count(COUNT_SERVICES);
	if (flags & CHILD_EXTERNAL)
		stress_count(COUNT_EXTERNAL);
	else
		stress_count(COUNT_EXECUTOR + (e - stress_executors));
	if (!(flags & (CHILD_DONE_FREES | CHILD_DONE_POISONS)))
		smp_store_release(&c->accepted, true);	/* pairs with stress_pick_shared() */
	if (flags & CHILD_EXTERNAL)
		start_trigger(c);
	return 0;
}

/* One of those that are not the owner's to spawn, if there is one left. Context: Any. */
void stress_spawn_spare(struct stress_scope *s)
{
	unsigned int i = atomic_inc_return(&s->spares_taken) - 1;

	if (i < s->nr_spare)
		stress_spawn(s->children[s->nr - s->nr_spare + i], false);
}

/* One that anybody may cancel and join, and that has been spawned; or NULL. */
struct stress_child *stress_pick_shared(struct stress_scope *s, struct stress_random *r)
{
	unsigned int i = stress_below(r, s->nr);
	struct stress_child *c = s->children[i];

	if (!test_bit(i, s->shared))
		return NULL;
	/* Pairs with stress_spawn(): from there on it may be cancelled and joined. */
	return smp_load_acquire(&c->accepted) ? c : NULL;
}

/* Context: Process context. @c has been accepted, and stays. */
void stress_join_child(struct stress_child *c)
{
	int err = nursery_child_join(&c->child), result;

	stress_count(COUNT_CHILD_JOINS);
	result = atomic_read(&c->begun) || c->flags & CHILD_EXTERNAL ? c->result : -ECANCELED;
	if (err != result)
		stress_child_violation(c, "I4", "ended with %d, but its join returned %d",
				       result, err);
	stress_check_child(c, "its join");
}
