// SPDX-License-Identifier: GPL-2.0-only
/*
 * nursery_for_each(): a function is called for all parts of a range, on several CPUs.
 *
 * Theory of operation. A worker is a child. It claims the next sub-range, by one atomic
 * that does not go past the end, calls the function for it, and comes back for another,
 * until there is none or somebody failed. So a slow sub-range delays nobody, and the bound is
 * the number of workers.
 *
 * However many there are, nobody allocates them. The first lies on the caller's stack and
 * runs there, inside the spawn: the caller works before anybody else has come. A worker that
 * starts and sees that there is more to do and a place for another one spawns up to two
 * others, which lie on its own stack, and joins them before it returns. So their
 * number doubles with each step, and each pays for its share. One that is joined and has
 * not been started by then is run by who joins it, as any child: it finds nothing left.
 *
 * In order, a worker may have to tell (in_order.c), which may take any time. It gives its
 * place to a stand-in meanwhile, a third one on its stack. If that has not begun when
 * all has been told it is revoked; else it is the worker from then on, and who told
 * is done.
 */
#include <linux/cpumask.h>
#include <linux/export.h>
#include <linux/sched.h>

#include "range.h"

/* How many sub-ranges each worker gets, if nobody says how long they are to be. */
#define SHARES	8

/* @taken: it has begun, or was revoked; settled by who sets it. */
struct worker {
	struct nursery_child	child;
	struct nursery_range	*range;
	atomic_t		taken;
};

enum {
	LEFT, RIGHT,		/* who it spawns when it starts */
	STAND_IN,
	WORKERS,
};

/* Is there something to be claimed? A look. */
static bool has_more(const struct nursery_range *r)
{
	return atomic_long_read(&r->next) < r->nr_units;
}

static bool claim(struct nursery_range *r, unsigned long *unit)
{
	/* Each unit goes to one worker, and that is all it orders. */
	*unit = atomic_long_fetch_add_unless(&r->next, 1, r->nr_units);
	return *unit != r->nr_units;
}

static int run_worker(struct nursery_child *c);

static void worker_init(struct worker *w, struct nursery_range *r)
{
	nursery_child_init(&w->child, run_worker, NULL);
	w->range = r;
	atomic_set(&w->taken, 0);
}

/* Spawn another worker, if there is work and a place for it. */
static bool spawn_worker(struct nursery_range *r, struct worker *w)
{
	if (!has_more(r) || atomic_dec_if_positive(&r->places) < 0)
		return false;
	worker_init(w, r);
	if (!nursery_spawn(&r->nursery, &w->child))
		return true;
	/* It was cancelled: there is nothing to do, and nobody to be joined. */
	w->range = NULL;
	return false;
}

/* Return: false: it had begun before, or was revoked. Orders nothing: its join does. */
static bool take(struct worker *w)
{
	return !atomic_xchg(&w->taken, 1);
}

/*
 * A block is done: tell of it, and of others, if it is time to.
 *
 * Return: whether the caller still is a worker. If not, @stand_in is one, and to be joined.
 */
static bool tell(struct nursery_range *r, struct nursery_child *c, struct worker *stand_in,
		 int *err)
{
	bool spawned;

	if (!nursery_order_begin(r))
		return true;
	atomic_inc(&r->places);
	spawned = spawn_worker(r, stand_in);
	*err = nursery_order_tell(r, c);
	if (!spawned)
		return atomic_dec_if_positive(&r->places) >= 0;
	if (!take(stand_in))
		return false;
	/* Revoked: it ends at once, here if nobody is about to start it. */
	nursery_child_join(&stand_in->child);
	return true;
}

/*
 * Work, from a unit on that the caller has claimed.
 *
 * Return: 0; what a function returned; -ECANCELED: there was more to do.
 */
static int work(struct nursery_range *r, struct nursery_child *c, unsigned long unit,
		struct worker *stand_in)
{
	bool is_worker = true;
	int err = 0;

	do {
		if (nursery_child_cancelled(c))
			return -ECANCELED;
		if (!r->order) {
			err = nursery_range_call(r, c, unit, r->fn);
			cond_resched();
			continue;
		}
		err = nursery_order_work(r, c, unit);
		if (!err)
			is_worker = tell(r, c, stand_in, &err);
	} while (!err && is_worker && claim(r, &unit));
	return err;
}

/* The others are to stop, before this one waits for any of them. */
static void fail(struct nursery_range *r, int err)
{
	if (err == -ECANCELED)
		nursery_cancel_by(&r->nursery, err, (unsigned long)r->fn);
	else
		nursery_fail(&r->nursery, err, (unsigned long)r->fn);
}

static int run_worker(struct nursery_child *c)
{
	struct worker *self = container_of(c, struct worker, child), others[WORKERS];
	struct nursery_range *r = self->range;
	unsigned long unit;
	unsigned int i;
	int err;

	/* Its own share before it asks for others: that may take long, and them little. */
	if (!take(self) || !claim(r, &unit))
		return 0;
	for (i = 0; i < WORKERS; i++)
		others[i].range = NULL;
	for (i = LEFT; i <= RIGHT && spawn_worker(r, &others[i]); i++)
		;
	err = work(r, c, unit, &others[STAND_IN]);
	if (err)
		fail(r, err);
	for (i = 0; i < WORKERS; i++)
		if (others[i].range)
			nursery_child_join(&others[i].child);
	return err;
}

/* Have all done. Context: all of @r is set but the nursery. */
static int run(struct nursery_range *r, const struct nursery_range_params *params,
	       unsigned int max_active, struct lock_class_key *key)
{
	const struct nursery_params nursery_params = {
		.name = params->name ?: "for_each", .parent = params->parent,
		.outer = params->outer, .executor = params->executor, .flags = params->flags,
	};
	struct worker first;

	atomic_long_set(&r->next, 0);
	atomic_set(&r->places, min_t(unsigned long, max_active, r->nr_units) - 1);
	__nursery_init(&r->nursery, &nursery_params, key, "nursery:for_each");
	worker_init(&first, r);
	/* Refused: the join says why. */
	nursery_spawn_on(&r->nursery, &first.child, params->flags & NURSERY_NO_HELP ?
			 r->nursery.executor : nursery_executor_inline);
	return nursery_join(&r->nursery);
}

/* The same, with what it takes of the stack to remember what is done. */
static noinline_for_stack int
run_in_order(struct nursery_range *r, const struct nursery_range_params *params,
	     unsigned int max_active, struct lock_class_key *key)
{
	struct nursery_order order;

	r->order = &order;
	nursery_order_init(r, params->in_order);
	return run(r, params, max_active, key);
}

/**
 * __nursery_for_each - call a function for all of a range; use nursery_for_each()
 * @key: lock class of this one
 * @ctx: see there
 * @start: see there
 * @end: see there
 * @params: see there
 * @fn: see there
 *
 * Context: Process context, may sleep.
 * Return: see there.
 */
int __nursery_for_each(struct lock_class_key *key, void *ctx, unsigned long start,
		       unsigned long end, const struct nursery_range_params *params,
		       int (*fn)(struct nursery_child *c, unsigned long start,
				 unsigned long end, void *ctx))
{
	static const struct nursery_range_params defaults;
	unsigned int max_active;
	struct nursery_range r;

	might_sleep();
	if (!params)
		params = &defaults;
	if (!fn || start > end || params->flags & ~NURSERY_NO_HELP)
		return -EINVAL;
	if (start == end)
		return 0;

	max_active = params->max_active ?: num_online_cpus();
	/* One in the other is what a second worker would be. */
	if (params->executor == nursery_executor_inline)
		max_active = 1;
	r.fn = fn;
	r.ctx = ctx;
	r.start = start;
	r.end = end;
	r.grain = params->grain ?: max((end - start) / max_active / SHARES, 1UL);
	r.nr = (end - start - 1) / r.grain + 1;
	r.nr_units = r.nr;
	r.order = NULL;
	return params->in_order ? run_in_order(&r, params, max_active, key) :
				  run(&r, params, max_active, key);
}
EXPORT_SYMBOL_GPL(__nursery_for_each);
