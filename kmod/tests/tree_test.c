// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree: a child's nurseries are found by a cancel from above, wherever the core keeps
 * them, and leave it in any order.
 */
#include <linux/random.h>

#include "util.h"

#define OPENED	3

/* A child that opens some nurseries, each with a sleeper, and joins them in some order. */
struct opener {
	struct nursery_child	child;
	struct nursery		opened[OPENED];
	struct probe		sleeper[OPENED];
	const unsigned int	*order;
	int			result[OPENED];
	struct completion	ready;
};

static int open_several(struct nursery_child *c)
{
	struct opener *o = container_of(c, struct opener, child);
	unsigned int i;

	for (i = 0; i < OPENED; i++) {
		nursery_init(&o->opened[i], &(struct nursery_params) { .parent = c });
		nursery_spawn(&o->opened[i], &o->sleeper[i].child);
		wait_for_completion(&o->sleeper[i].started);
	}
	complete(&o->ready);
	for (i = 0; i < OPENED; i++)
		o->result[o->order[i]] = nursery_join(&o->opened[o->order[i]]);
	return -ECANCELED;
}

static struct opener *opener(struct kunit *test, nursery_fn_t fn)
{
	struct opener *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, o);
	for (i = 0; i < OPENED; i++) {
		probe_init(&o->sleeper[i], 0);
		o->sleeper[i].sleep = LONG_TIME;
	}
	init_completion(&o->ready);
	nursery_child_init(&o->child, fn, NULL);
	return o;
}

/* To cancel one child looks below its siblings, too: have what they opened seen. */
static void walk(struct kunit *test, struct nursery *n)
{
	struct nursery_child transfer;

	nursery_child_init(&transfer, NULL, NULL);
	KUNIT_ASSERT_EQ(test, nursery_child_begin(n, &transfer), 0);
	nursery_child_cancel(&transfer);
	nursery_child_complete(&transfer, -ECANCELED);
}

static void check_several(struct kunit *test, const unsigned int *order, bool walked)
{
	struct opener *o = opener(test, open_several);
	unsigned int i;
	int err = -1;

	o->order = order;
	scoped_nursery(n, .name = "outer", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &o->child), 0);
		wait_for_completion(&o->ready);
		if (walked)
			walk(test, n);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	for (i = 0; i < OPENED; i++) {
		KUNIT_EXPECT_EQ(test, o->result[i], -ECANCELED);
		KUNIT_EXPECT_EQ(test, o->sleeper[i].slept, -ECANCELED);
	}
}

static void i3_cancel_reaches_all_that_a_child_opened(struct kunit *test)
{
	static const unsigned int orders[][OPENED] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		check_several(test, orders[i], false);
		check_several(test, orders[i], true);
	}
}

/* The cancel of the child that opened them alone. */
static void i3_cancel_of_a_child_reaches_what_it_opened(struct kunit *test)
{
	static const unsigned int order[] = { 0, 1, 2 };
	struct opener *o = opener(test, open_several);
	unsigned int i;
	int err = -1;

	o->order = order;
	scoped_nursery(n, .name = "outer", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &o->child), 0);
		wait_for_completion(&o->ready);
		nursery_child_cancel(&o->child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < OPENED; i++)
		KUNIT_EXPECT_EQ(test, o->sleeper[i].slept, -ECANCELED);
}

/* One nursery after the other; the first has been seen by a walk. */
struct seen {
	struct nursery_child	child;
	struct completion	open, go_on;
	struct probe		sleeper;
	int			first, second;
};

static int open_two(struct nursery_child *c)
{
	struct seen *s = container_of(c, struct seen, child);
	struct nursery first;

	nursery_init(&first, (&(struct nursery_params) { .name = "first", .parent = c }));
	complete(&s->open);
	wait_for_completion(&s->go_on);
	s->first = nursery_join(&first);
	scoped_nursery(n, .name = "second", .parent = c, .result = &s->second) {
		nursery_spawn(n, &s->sleeper.child);
		wait_for_completion(&s->sleeper.started);
		complete(&s->open);
	}
	return s->second;
}

static void i1_nested_ends_after_a_walk_has_seen_it(struct kunit *test)
{
	struct seen s = { .first = -1 };
	int err = -1;

	init_completion(&s.open);
	init_completion(&s.go_on);
	probe_init(&s.sleeper, 0);
	s.sleeper.sleep = LONG_TIME;
	nursery_child_init(&s.child, open_two, NULL);
	scoped_nursery(n, .name = "outer", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &s.child), 0);
		wait_for_completion(&s.open);
		walk(test, n);
		complete(&s.go_on);
		wait_for_completion(&s.open);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, s.first, 0);
	KUNIT_EXPECT_EQ(test, s.second, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s.sleeper.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* A child that parks with a nursery open, and joins it when it is run again. */
static int open_and_park(struct nursery_child *c)
{
	struct opener *o = container_of(c, struct opener, child);

	if (!completion_done(&o->ready)) {
		nursery_init(&o->opened[0], &(struct nursery_params) { .parent = c });
		nursery_spawn(&o->opened[0], &o->sleeper[0].child);
		wait_for_completion(&o->sleeper[0].started);
		complete_all(&o->ready);
		return NURSERY_PARK;
	}
	o->result[0] = nursery_join(&o->opened[0]);
	return o->result[0];
}

static void i3_cancel_reaches_what_a_parked_child_opened(struct kunit *test)
{
	struct opener *o = opener(test, open_and_park);
	int err = -1;

	scoped_nursery(n, .name = "outer", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &o->child), 0);
		wait_for_completion(&o->ready);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, o->result[0], -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->sleeper[0].slept, -ECANCELED);
}

/* A child that opens one nursery after the other until it is cancelled. */
struct hurried {
	struct nursery_child	child;
	struct completion	started;
	unsigned int		quick;		/* nurseries, before one that has a sleeper */
	unsigned int		missed;
};

static int end_at_once(struct nursery_child *c)
{
	return 0;
}

static int sleep_long(struct nursery_child *c)
{
	return nursery_sleep(c, LONG_TIME);
}

static int open_often(struct nursery_child *c)
{
	struct hurried *h = container_of(c, struct hurried, child);
	struct nursery_child below;
	unsigned int i;
	int err = 0;

	complete(&h->started);
	for (i = 0; i <= h->quick; i++) {
		bool cancelled = nursery_child_cancelled(c);

		nursery_child_init(&below, i < h->quick ? end_at_once : sleep_long, NULL);
		scoped_nursery(n, .name = "below", .parent = c, .result = &err) {
			/* If the child was cancelled so is what it opens from then on. */
			h->missed += cancelled && !nursery_cancelled(n);
			nursery_spawn(n, &below);
		}
	}
	return err;
}

/* A cancel that came while a nursery was opened and missed it would leave a sleeper. */
static void i3_cancel_misses_no_nursery_that_is_opened(struct kunit *test)
{
	struct hurried h = { };
	unsigned int i;
	int err = -1;

	init_completion(&h.started);
	for (i = 0; i < 2000; i++) {
		h.quick = get_random_u32() % 8;
		nursery_child_init(&h.child, open_often, NULL);
		scoped_nursery(n, .name = "outer", .result = &err) {
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &h.child), 0);
			wait_for_completion(&h.started);
			if (i % 2)
				walk(test, n);
			if (i % 3)
				nursery_cancel(n, -EINTR);
			else
				nursery_child_cancel(&h.child);
		}
		KUNIT_EXPECT_EQ(test, err, i % 3 ? -EINTR : 0);
	}
	KUNIT_EXPECT_EQ(test, h.missed, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i3_cancel_reaches_all_that_a_child_opened),
	KUNIT_CASE(i3_cancel_of_a_child_reaches_what_it_opened),
	KUNIT_CASE(i1_nested_ends_after_a_walk_has_seen_it),
	KUNIT_CASE(i3_cancel_reaches_what_a_parked_child_opened),
	KUNIT_CASE(i3_cancel_misses_no_nursery_that_is_opened),
	{ }
};

struct kunit_suite nursery_tree_suite = {
	.name		= "nursery_tree",
	.test_cases	= cases,
};
