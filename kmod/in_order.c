// SPDX-License-Identifier: GPL-2.0-only
/*
 * nursery_for_each() in order: telling of sub-ranges one after the other, while others
 * are being worked on.
 *
 * Theory of operation. Sub-ranges are done out of order, and any number of them before the
 * first is: who is told may be slow, and the work must not wait for it. To remember them
 * all takes memory; so what is claimed at once is not a sub-range but a block, of which the
 * range has a fixed number. A block has one worker, who goes through it from its beginning. So
 * a number for each block says what is done, however long the range is.
 *
 * Between two blocks a worker holds no work that is not done. There it looks whether
 * there is something to tell, and if nobody else does so, tells of all that follows in
 * order. For as long as that takes it is not counted as a worker, and has another one
 * spawned in its place (for_each.c): so as many as before work on the range, and those that
 * find nothing to claim end. Nobody waits for who tells.
 *
 * Nothing is left untold. A worker writes what it has done and then tries to become the one
 * who tells; who tells stops being that one and then looks again at what is done. Both
 * in this order by full barriers. So if the worker found that somebody else tells, that one
 * finds what the worker wrote.
 */
#include "range.h"

/* The first sub-range of a block. They differ by one in length at most. */
static unsigned long first_of(const struct nursery_range *r, unsigned int block)
{
	return block * (r->nr / r->nr_units) + min_t(unsigned long, block, r->nr % r->nr_units);
}

/* r->nr is set. */
void nursery_order_init(struct nursery_range *r,
			int (*fn)(struct nursery_child *c, unsigned long start,
				  unsigned long end, void *ctx))
{
	struct nursery_order *o = r->order;

	memset(o, 0, sizeof(*o));
	o->fn = fn;
	r->nr_units = min_t(unsigned long, r->nr, NURSERY_BLOCKS);
}

/* Work on a block that the caller has claimed. Return: 0; what fn returned; -ECANCELED. */
int nursery_order_work(struct nursery_range *r, struct nursery_child *c, unsigned int block)
{
	unsigned long first = first_of(r, block), nr = first_of(r, block + 1) - first, i;
	int err;

	for (i = 0; i < nr; i++) {
		if (nursery_child_cancelled(c))
			return -ECANCELED;
		err = nursery_range_call(r, c, first + i, r->fn);
		if (err)
			return err;
		/* What it did comes before it is told of: pairs with is_due(). */
		smp_store_release(&r->order->done[block], i + 1);
		cond_resched();
	}
	return 0;
}

/* Is there something to tell? Who does not tell himself may be wrong. */
static bool is_due(const struct nursery_range *r)
{
	unsigned int block = READ_ONCE(r->order->block);

	if (block == r->nr_units)
		return false;
	/* Pairs with the release in nursery_order_work(). */
	return smp_load_acquire(&r->order->done[block]) > READ_ONCE(r->order->told);
}

static void stop(struct nursery_range *r)
{
	clear_bit_unlock(0, &r->order->telling);
	/* Then the look: pairs with the test in nursery_order_begin(). */
	smp_mb__after_atomic();
}

/*
 * Become the one who tells. Context: Between two blocks.
 * Return: whether there is something to tell; then nursery_order_tell() is due.
 */
bool nursery_order_begin(struct nursery_range *r)
{
	do {
		/* Fully ordered: what was done, then the test. */
		if (test_and_set_bit(0, &r->order->telling))
			return false;
		if (is_due(r))
			return true;
		stop(r);
	} while (is_due(r));
	return false;
}

/*
 * Tell of all that is to be told. @c: who does so.
 * Return: 0; what the function returned; -ECANCELED.
 */
int nursery_order_tell(struct nursery_range *r, struct nursery_child *c)
{
	struct nursery_order *o = r->order;
	int err;

	do {
		while (is_due(r)) {
			err = nursery_child_cancelled(c) ? -ECANCELED :
			      nursery_range_call(r, c, first_of(r, o->block) + o->told, o->fn);
			/* Nobody else is to go on. */
			if (err)
				return err;
			WRITE_ONCE(o->told, o->told + 1);
			if (o->told == first_of(r, o->block + 1) - first_of(r, o->block)) {
				WRITE_ONCE(o->told, 0);
				WRITE_ONCE(o->block, o->block + 1);
			}
			cond_resched();
		}
		stop(r);
	} while (nursery_order_begin(r));
	return 0;
}
