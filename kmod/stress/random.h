/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers that follow from the seed.
 *
 * A stream is a keyed hash of 0, 1, 2, ... Whoever decides something has a stream
 * of its own, split off from that of who made it, so a decision depends on the
 * seed, the thread, the step and the place in the tree, and not on who came first.
 */
#ifndef _NURSERY_STRESS_RANDOM_H
#define _NURSERY_STRESS_RANDOM_H

#include <linux/math64.h>
#include <linux/siphash.h>

struct stress_random {
	siphash_key_t	key;
	u64		next;
};

static inline u64 stress_random(struct stress_random *r)
{
	return siphash_1u64(r->next++, &r->key);
}

/* Between 0 and @n - 1. */
static inline u32 stress_below(struct stress_random *r, u32 n)
{
	return (u32)stress_random(r) % n;
}

static inline bool stress_one_in(struct stress_random *r, u32 n)
{
	return !stress_below(r, n);
}

static inline struct stress_random stress_random_start(u64 seed, u64 thread, u64 step)
{
	siphash_key_t key = { .key = { seed, thread } };

	return (struct stress_random) {
		.key = { .key = { seed, siphash_1u64(step, &key) } },
	};
}

static inline struct stress_random stress_random_split(struct stress_random *r)
{
	return (struct stress_random) {
		.key = { .key = { r->key.key[0], stress_random(r) } },
	};
}

#endif /* _NURSERY_STRESS_RANDOM_H */
