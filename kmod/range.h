/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What for_each.c and in_order.c share: one nursery_for_each() on its way, on the stack
 * of its caller.
 */
#ifndef _NURSERY_RANGE_H
#define _NURSERY_RANGE_H

#include "internal.h"

/* How many parts a range is cut into, if it is to be told in order: see in_order.c. */
#define NURSERY_BLOCKS	64

/*
 * @start: of the range
 * @end: behind it
 * @grain: how long a sub-range is; the last may be shorter
 * @nr: how many there are
 * @nr_units: of what is claimed at once: sub-ranges, or blocks of them
 * @next: unit to be claimed
 * @places: how many workers may still be spawned
 * @order: NULL: in no order
 */
struct nursery_range {
	struct nursery		nursery;
	int			(*fn)(struct nursery_child *c, unsigned long start,
				      unsigned long end, void *ctx);
	void			*ctx;
	unsigned long		start;
	unsigned long		end;
	unsigned long		grain;
	unsigned long		nr;
	unsigned long		nr_units;
	atomic_long_t		next;
	atomic_t		places;
	struct nursery_order	*order;
};

/*
 * @fn: is told of each sub-range
 * @telling: bit 0: somebody calls @fn, and alone writes ...
 * @block: ... where he is ...
 * @told: ... and of how many of this block he has told
 * @done: how many sub-ranges of each block @range->fn has done; its worker writes it
 */
struct nursery_order {
	int			(*fn)(struct nursery_child *c, unsigned long start,
				      unsigned long end, void *ctx);
	unsigned long		telling;
	unsigned int		block;
	unsigned long		told;
	unsigned long		done[NURSERY_BLOCKS];
};

/* Call @fn for sub-range number @i. */
static inline int
nursery_range_call(struct nursery_range *r, struct nursery_child *c, unsigned long i,
		   int (*fn)(struct nursery_child *c, unsigned long start, unsigned long end,
			     void *ctx))
{
	unsigned long start = r->start + i * r->grain;

	/* The end of the last one must not be beyond what a long can hold. */
	return fn(c, start, r->end - start > r->grain ? start + r->grain : r->end, r->ctx);
}

/* in_order.c */
void nursery_order_init(struct nursery_range *r,
			int (*fn)(struct nursery_child *c, unsigned long start,
				  unsigned long end, void *ctx));
int nursery_order_work(struct nursery_range *r, struct nursery_child *c, unsigned int block);
bool nursery_order_begin(struct nursery_range *r);
int nursery_order_tell(struct nursery_range *r, struct nursery_child *c);

#endif /* _NURSERY_RANGE_H */
