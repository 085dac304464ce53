// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scope: opened with random parameters, filled, joined, looked at, and given
 * back. It lies on its owner's stack or in a slab object, its children likewise.
 *
 * What the core has handed back is poisoned or freed at once, while interrupts
 * and workers that have only just completed a child may not have returned yet.
 * Only then are the triggers retired, which waits for those interrupts.
 */
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "stress.h"

#define ON_STACK	2U

/* What outlives the scope. */
struct owner {
	struct stress_thread	*thread;
	struct stress_random	random;
	struct stress_child	**children;
	struct stress_trigger	*triggers;
	struct nursery_executor	*executors[2];
};

/*
 * Few workers must not be what a child depends on that nobody helps, or far below
 * others, where there may be no room on the stack to help.
 */
static bool is_too_few(const struct stress_executor *e, const struct stress_scope *s)
{
	unsigned int depth = e->flags & STRESS_NO_RETRACT ? 0 : 1;

	return e->flags & STRESS_FEW_WORKERS &&
	       (s->depth > depth || s->flags & SCOPE_NO_HELP);
}

/* One for the scope, or for one child of it. */
const struct stress_executor *stress_pick_executor(struct stress_random *r,
						   const struct stress_scope *s)
{
	const struct stress_executor *e;

	do {
		e = &stress_executors[stress_below(r, stress_nr_executors)];
	} while (is_too_few(e, s));
	return e;
}

struct deferred {
	struct stress_scope	*scope;
	unsigned int		order;		/* of the owner's, from 1; else 0 */
};

static void deferred_action(void *data)
{
	struct deferred *d = data;
	struct stress_scope *s = d->scope;

	if (atomic_read(&s->in_function) || atomic_read(&s->in_service) ||
	    atomic_read(&s->dones) != atomic_read(&s->dones_owed))
		stress_violation(s->thread, "I2", "an action runs before the children are over");
	if (d->order && d->order != s->nr_ordered--)
		stress_violation(s->thread, "I2", "action %u is called out of order", d->order);
	atomic_dec(&s->deferred);
	kfree(d);
}

/* Context: Process context, before the join or in a child. */
void stress_defer(struct stress_scope *s, bool owner)
{
	struct deferred *d = kmalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return;
	d->scope = s;
	d->order = owner ? ++s->nr_ordered : 0;
	atomic_inc(&s->deferred);
	stress_count(COUNT_DEFERRED);
	if (!nursery_defer(&s->nursery, deferred_action, d))
		return;
	atomic_dec(&s->deferred);
	if (owner)
		s->nr_ordered--;
	kfree(d);
}

/* With what is random about a scope. */
static void choose(struct stress_scope *s, struct stress_random *r)
{
	static const unsigned int bounds[] = { 0, 0, 0, 1, 1, 2, 5 };

	s->max_active = bounds[stress_below(r, ARRAY_SIZE(bounds))];
	s->executor = stress_pick_executor(r, s);
	if (stress_one_in(r, 2))
		s->flags |= SCOPE_SUPERVISE;
	if (!(s->executor->flags & STRESS_FEW_WORKERS) && stress_one_in(r, 5))
		s->flags |= SCOPE_NO_HELP;
	if (stress_one_in(r, 5))
		s->flags |= SCOPE_OWNER_CANCELS;
	else if (stress_one_in(r, 5))
		s->flags |= SCOPE_FIXED_DEADLINE;
	if (stress_one_in(r, 4))
		s->flags |= SCOPE_COLLECT;
	s->nr = 1 + stress_below(r, s->depth ? 6 : 12);
	if (!s->depth && stress_one_in(r, 16))
		s->nr = STRESS_MAX_CHILDREN;
	s->nr_spare = s->nr / 4;
}

/*
 * An executor need not stay longer than the nurseries that use it. If there is no
 * memory, one that stays will do.
 */
static struct nursery_executor *make_executor(const struct stress_executor *queue,
					      struct stress_random *r)
{
	struct nursery_executor *e;

	if (!(queue->flags & STRESS_OUR_QUEUE) || !stress_one_in(r, 2))
		return NULL;
	e = kzalloc(sizeof(*e), GFP_KERNEL);
	if (e)
		nursery_executor_init_wq(e, (*queue->executor)->wq);
	return e;
}

static void make_executors(struct stress_scope *s, struct owner *o)
{
	s->own_executor = make_executor(s->executor, &o->random);
	s->child_queue = stress_pick_executor(&o->random, s);
	s->child_executor = make_executor(s->child_queue, &o->random);
	o->executors[0] = s->own_executor;
	o->executors[1] = s->child_executor;
}

static int make_children(struct stress_scope *s, struct owner *o, struct stress_child *on_stack)
{
	unsigned int i;

	o->children = kcalloc(s->nr, sizeof(*o->children), GFP_KERNEL);
	if (!o->children)
		return -ENOMEM;
	s->children = o->children;
	s->only_functions = true;
	for (i = 0; i < s->nr; i++) {
		struct stress_trigger *t = NULL;
		struct stress_child *c;

		c = i < s->nr_on_stack ? &on_stack[i] : kmalloc(sizeof(*c), GFP_KERNEL);
		if (!c)
			return -ENOMEM;
		s->children[i] = c;
		if (stress_one_in(&o->random, 3)) {
			t = stress_trigger_new(&o->random);
			if (!t)
				return -ENOMEM;
			t->next = o->triggers;
			o->triggers = t;
			t->unparks = stress_one_in(&o->random, 4);
			if (!t->unparks)
				s->only_functions = false;
		}
		stress_child_start(c, s, i, t, &o->random);
	}
	return 0;
}

static void open_nursery(struct stress_scope *s, struct stress_random *r)
{
	bool must = s->parent ? stress_child_is_cancelled(s->parent) : stress_is_cancelled(s->up);
	struct nursery_params params = {
		.name		= s->flags & SCOPE_ON_STACK ? "stress stack" : "stress slab",
		.parent		= s->parent ? &s->parent->child : NULL,
		.outer		= s->up ? &s->up->nursery : NULL,
		.executor	= s->own_executor ?: *s->executor->executor,
		.max_active	= s->max_active,
		.flags		= (s->flags & SCOPE_SUPERVISE ? NURSERY_SUPERVISE : 0) |
				  (s->flags & SCOPE_NO_HELP ? NURSERY_NO_HELP : 0) |
				  (s->flags & SCOPE_COLLECT ? NURSERY_COLLECT : 0),
	};
	ktime_t latest = KTIME_MAX;

	if (stress_one_in(r, 2))
		params.grace = ns_to_ktime(stress_below(r, 300 * NSEC_PER_USEC));
	if (s->flags & SCOPE_FIXED_DEADLINE) {
		atomic_set(&s->reasons, STRESS_DEADLINE);
		atomic_set(&s->causes, stress_code_bit(-ETIMEDOUT));
		params.timeout = ns_to_ktime((50 + stress_below(r, 5000)) * NSEC_PER_USEC);
	}
	stress_count(COUNT_NURSERIES);
	if (s->flags & SCOPE_ON_STACK)
		stress_count(COUNT_NURSERIES_ON_STACK);
	nursery_init(&s->nursery, &params);

	if (params.timeout)
		latest = ktime_add(ktime_get(), params.timeout);
	if (ktime_after(nursery_effective_deadline(&s->nursery), latest))
		stress_violation(s->thread, "I3", "a nursery at depth %u has too late a deadline",
				 s->depth);
	if (must && !nursery_cancelled(&s->nursery))
		stress_violation(s->thread, "I3",
				 "a nursery at depth %u is not born cancelled below a cancelled one",
				 s->depth);
}

/* Everything that the owner does before the join. */
static void fill(struct stress_scope *s, struct stress_random *r)
{
	unsigned int i;

	for (i = 0; i < s->nr - s->nr_spare; i++) {
		struct stress_child *c = s->children[i];

		if (!(c->flags & (CHILD_EXTERNAL | CHILD_DELAYED | CHILD_SERVICE)))
			c->ticket = i + 1;
		stress_spawn(c, stress_may_start(c) && stress_one_in(r, 8));
		if (stress_one_in(r, 6))
			stress_defer(s, true);
		if (s->depth + 1 < STRESS_MAX_DEPTH && stress_one_in(r, 20))
			stress_open(s->thread, s, NULL, r);
		if (stress_one_in(r, 6))
			udelay(stress_below(r, 50));
	}
	if (!(s->flags & SCOPE_OWNER_CANCELS))
		return;
	if (stress_one_in(r, 2))
		usleep_range(10, 10 + stress_below(r, 300));
	stress_cancel(s, stress_pick_cause(r));
	if (!nursery_cancelled(&s->nursery))
		stress_violation(s->thread, "I3", "a nursery at depth %u does not stay cancelled",
				 s->depth);
	/* Refused: stress_spawn() sees to that. */
	stress_spawn_spare(s);
}

/*
 * The owner waits for one of its children, and has its memory back. Not on a
 * worker, if max_active may hold that child back: it is not the join of one child
 * that runs its siblings first.
 */
static void join_one(struct stress_scope *s, struct stress_random *r)
{
	unsigned int i = stress_below(r, s->nr);
	struct stress_child *c = s->children[i];

	if ((s->max_active && s->depth) || i >= s->nr - s->nr_spare)
		return;
	if (test_bit(i, s->freed) || test_bit(i, s->poisoned) || !c->accepted ||
	    c->flags & CHILD_SERVICE)
		return;
	stress_join_child(c);
	/* Where they are collected it is in a list. */
	if (c->flags & CHILD_HAS_DONE || test_bit(i, s->shared) || s->flags & SCOPE_COLLECT)
		return;
	set_bit(i, s->poisoned);
	stress_poison(c, sizeof(*c));
}

/* Is this what a join may return (I7)? */
static void check_result(struct stress_scope *s, int err)
{
	unsigned int errors = atomic_read(&s->errors), maybe = atomic_read(&s->maybe);
	bool cancelled = nursery_cancelled(&s->nursery);
	unsigned int allowed = maybe;

	if (errors) {
		allowed |= errors;
	} else if (cancelled) {
		allowed |= atomic_read(&s->causes);
		if (stress_may_be_cancelled_above(s))
			allowed |= stress_code_bit(-ECANCELED);
	} else {
		allowed |= stress_code_bit(0);
	}
	if (!(allowed & stress_code_bit(err)))
		stress_violation(s->thread, "I7",
				 "the join at depth %u returned %d, of errors 0x%x 0x%x, causes 0x%x%s",
				 s->depth, err, errors, maybe, atomic_read(&s->causes),
				 cancelled ? ", cancelled" : "");
	if (s->first_error && !maybe && err != s->first_error)
		stress_violation(s->thread, "I7", "the first error at depth %u is %d, not %d",
				 s->depth, s->first_error, err);
	if (cancelled ? !stress_may_be_cancelled(s) :
			s->cancel_returned || (errors && !(s->flags & SCOPE_SUPERVISE)))
		stress_violation(s->thread, "I3", "a nursery at depth %u ended %scancelled",
				 s->depth, cancelled ? "" : "not ");
	if (err == -ETIMEDOUT)
		stress_count(COUNT_TIMEOUTS);
}

static void never_called(void *data)
{
	struct stress_scope *s = data;

	stress_violation(s->thread, "I2", "an action that was refused is called");
}

/* A joined nursery takes nothing more, and says the same again. */
static void check_closed(struct stress_scope *s, int err)
{
	struct nursery_child late;
	int refusal;

	nursery_child_init(&late, NULL, NULL);
	refusal = nursery_child_begin(&s->nursery, &late);
	if (refusal == -ESHUTDOWN)
		refusal = nursery_defer(&s->nursery, never_called, s);
	if (refusal != -ESHUTDOWN)
		stress_violation(s->thread, "I1", "a joined nursery answers %d", refusal);
	if (nursery_join(&s->nursery) != err)
		stress_violation(s->thread, "I7", "a second join returned something else");
}

/* The owner's look at a child after the join; it may be gone. */
static void check_ended(struct stress_scope *s, unsigned int i)
{
	const struct stress_child *c = s->children[i];
	int dones;

	if (test_bit(i, s->freed))
		return;
	if (test_bit(i, s->poisoned)) {
		stress_check_poison(s->thread, c, sizeof(*c), "a child");
		return;
	}
	dones = atomic_read(&c->dones);
	if (c->start_failed)
		return;
	if (!c->accepted) {
		if (atomic_read(&c->begun) || dones)
			stress_child_violation(c, "I4", "was not spawned, but began");
		return;
	}
	stress_check_child(c, "the nursery's join");
	if (dones != !!(c->flags & CHILD_HAS_DONE))
		stress_child_violation(c, "I4", "had done() called %d times", dones);
	if (!dones)
		stress_count(atomic_read(&c->begun) || c->flags & CHILD_EXTERNAL ? COUNT_RAN :
									   COUNT_SKIPPED);
}

static void check_joined(struct stress_scope *s, int err)
{
	unsigned int i;

	if (!stress_scope_is_whole(s))
		stress_violation(s->thread, "I1", "the memory around a nursery was overwritten");
	if (atomic_read(&s->in_function) || atomic_read(&s->in_service))
		stress_violation(s->thread, "I1", "%d children run after the join",
				 atomic_read(&s->in_function) + atomic_read(&s->in_service));
	if (atomic_read(&s->dones) != atomic_read(&s->dones_owed))
		stress_violation(s->thread, "I1", "of %d done() %d were called by the join",
				 atomic_read(&s->dones_owed), atomic_read(&s->dones));
	if (atomic_read(&s->deferred))
		stress_violation(s->thread, "I2", "%d actions were not called by the join",
				 atomic_read(&s->deferred));
	for (i = 0; i < s->nr; i++)
		check_ended(s, i);
	check_result(s, err);
	check_closed(s, err);
}

/* After a violation anything may still be running: memory is leaked, a stack waits. */
static void wait_after_violation(struct stress_scope *s)
{
	unsigned int i;

	for (i = 0; i < 500; i++) {
		if (!atomic_read(&s->in_function) &&
		    atomic_read(&s->dones) == atomic_read(&s->dones_owed))
			break;
		msleep(20);
	}
	msleep(200);
}

static void give_back_children(struct stress_scope *s, struct owner *o, bool at_once)
{
	unsigned int i;

	/* All, unless memory ran out. */
	for (i = 0; i < s->nr && s->children && s->children[i]; i++) {
		if (i < s->nr_on_stack)
			stress_poison(s->children[i], sizeof(*s->children[i]));
		else if (!test_bit(i, s->freed))
			stress_give_back(o->thread, s->children[i], sizeof(*s->children[i]),
					 at_once);
	}
}

static void joined(struct nursery *n, int err)
{
	struct stress_scope *s = container_of(n, struct stress_scope, nursery);

	s->joined = err;
	complete(&s->over);
}

/* By whom nobody helps, the owner need not be the joiner; or it joins what is being joined. */
static int join(struct stress_scope *s, struct stress_random *r)
{
	bool twice = stress_one_in(r, 3);
	int err = 0;

	if (!(s->flags & SCOPE_NO_HELP) || !stress_one_in(r, 2))
		return nursery_join(&s->nursery);
	stress_count(COUNT_ASYNC);
	init_completion(&s->over);
	nursery_join_async(&s->nursery, joined);
	if (twice)
		err = nursery_join(&s->nursery);
	wait_for_completion(&s->over);
	if (twice && err != s->joined)
		stress_violation(s->thread, "I7", "of two joins one returned %d, the other %d",
				 err, s->joined);
	return s->joined;
}

static int run_scope(struct stress_scope *s, struct owner *o, struct stress_child *on_stack)
{
	struct stress_random *r = &o->random;
	int err;

	stress_canaries(&s->canary, &s->canary_end);
	raw_spin_lock_init(&s->late_lock);
	s->depth = s->up ? s->up->depth + 1 : 0;
	choose(s, r);
	s->nr_on_stack = on_stack ? min(s->nr, ON_STACK) : 0;
	make_executors(s, o);
	err = make_children(s, o, on_stack);
	if (err) {
		stress_no_memory();
		err = 0;
	} else {
		open_nursery(s, r);
		fill(s, r);
		if (stress_one_in(r, 2))
			join_one(s, r);
		if (s->flags & SCOPE_COLLECT && !stress_violated())
			stress_collect(s, r);
		err = join(s, r);
		check_joined(s, err);
	}
	if (stress_violated()) {
		wait_after_violation(s);
		o->children = NULL;
		o->triggers = NULL;
		return err;
	}
	stress_give_back(o->thread, o->executors[0], sizeof(*o->executors[0]), stress_one_in(r, 2));
	stress_give_back(o->thread, o->executors[1], sizeof(*o->executors[1]), stress_one_in(r, 2));
	give_back_children(s, o, stress_one_in(r, 2));
	return err;
}

/* The memory of the scope has been given back. */
static void end_owner(struct owner *o)
{
	struct stress_trigger *t;

	while ((t = o->triggers)) {
		o->triggers = t->next;
		stress_trigger_retire(t);
	}
	kfree(o->children);
}

static noinline_for_stack int open_on_stack(struct owner *o, struct stress_scope *up,
					    struct stress_child *parent)
{
	struct stress_child children[ON_STACK];
	struct stress_scope scope = {
		.thread = o->thread, .up = up, .parent = parent, .flags = SCOPE_ON_STACK,
	};
	int err = run_scope(&scope, o, children);
	unsigned int nr = scope.nr_on_stack;

	if (stress_violated())
		return err;
	stress_poison(&scope, sizeof(scope));
	end_owner(o);
	stress_check_poison(o->thread, &scope, sizeof(scope), "a nursery on the stack");
	stress_check_poison(o->thread, children, nr * sizeof(children[0]), "a child on the stack");
	return err;
}

static int open_on_slab(struct owner *o, struct stress_scope *up, struct stress_child *parent)
{
	struct stress_scope *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	if (!s) {
		stress_no_memory();
		return 0;
	}
	s->thread = o->thread;
	s->up = up;
	s->parent = parent;
	err = run_scope(s, o, NULL);
	if (stress_violated())
		return err;
	stress_give_back(o->thread, s, sizeof(*s), stress_one_in(&o->random, 2));
	end_owner(o);
	return err;
}

/**
 * stress_open - one scope, from its beginning to its end
 * @thread: whose it is
 * @up: the scope around it, or NULL
 * @parent: the child that opens it, or NULL
 * @r: decides; another stream is split off from it
 *
 * Context: Process context, may sleep.
 * Return: what the join returned.
 */
int stress_open(struct stress_thread *thread, struct stress_scope *up,
		struct stress_child *parent, struct stress_random *r)
{
	struct owner o = { .thread = thread, .random = stress_random_split(r) };

	return stress_one_in(&o.random, 3) ? open_on_stack(&o, up, parent) :
					     open_on_slab(&o, up, parent);
}
