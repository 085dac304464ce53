// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlines: moved, passed, of nurseries in one another. Nothing here is over quickly
 * or slowly: where a time has to have passed, the deadline of another nursery tells.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include "util.h"

/* Something that ends when it is cancelled, and not before. */
struct endless {
	struct nursery_child		child;
	struct nursery_cancel_handler	handler;
};

static void end(struct nursery_cancel_handler *h)
{
	nursery_child_complete(&container_of(h, struct endless, handler)->child, -ECANCELED);
}

static int begin(struct nursery *n, struct endless *e)
{
	int err;

	nursery_child_init(&e->child, NULL, NULL);
	err = nursery_child_begin(n, &e->child);
	if (!err)
		nursery_on_cancel(&e->child, &e->handler, end);
	return err;
}

static void wait_until(ktime_t when)
{
	struct endless e;
	struct nursery n;

	nursery_init(&n, NULL);
	begin(&n, &e);
	nursery_set_deadline(&n, when);
	nursery_join(&n);
}

static void deadline_may_be_moved_to_earlier(struct kunit *test)
{
	struct nursery_params params = { .name = "earlier", .timeout = LONG_TIME };
	struct nursery n;
	struct endless e;

	nursery_init(&n, &params);
	begin(&n, &e);
	nursery_set_deadline(&n, ktime_add(ktime_get(), NSEC_PER_MSEC));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
}

static void deadline_may_be_moved_to_later(struct kunit *test)
{
	ktime_t first, second;
	struct nursery n;
	struct endless e;

	nursery_init(&n, NULL);
	begin(&n, &e);
	do {
		first = ktime_add(ktime_get(), 50 * NSEC_PER_MSEC);
		nursery_set_deadline(&n, first);
		second = ktime_add(first, LONG_TIME);
		nursery_set_deadline(&n, second);
		/* Else it may have been the first one that was too late. */
	} while (ktime_get() >= first && !nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n), second);
	if (!nursery_cancelled(&n)) {
		wait_until(ktime_add(first, NSEC_PER_MSEC));
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	}
	/* And back again. */
	nursery_set_deadline(&n, first);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
}

static void deadline_that_has_passed_cancels_at_once(struct kunit *test)
{
	struct nursery_params params = { .name = "passed", .timeout = 1 };
	struct nursery_child late;
	struct nursery n;
	struct endless e;
	ktime_t start;
	int err;

	nursery_init(&n, &params);
	start = ktime_get();
	err = begin(&n, &e);
	KUNIT_EXPECT_TRUE(test, err == 0 || err == -ECANCELED);
	while (!nursery_cancelled(&n))
		cond_resched();
	nursery_child_init(&late, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &late), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);

	/* The same for one that is set: now, and before the machine was. */
	nursery_init(&n, NULL);
	begin(&n, &e);
	nursery_set_deadline(&n, ktime_get());
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);

	nursery_init(&n, NULL);
	begin(&n, &e);
	nursery_set_deadline(&n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), start), PROMPT_MS);
}

static void deadline_comes_too_late_for_one_that_is_cancelled(struct kunit *test)
{
	ktime_t when = ktime_add(ktime_get(), 10 * NSEC_PER_MSEC);
	struct nursery_child child;
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_child_init(&child, NULL, NULL);
	nursery_child_begin(&n, &child);
	nursery_cancel(&n, -EINTR);
	nursery_set_deadline(&n, when);
	wait_until(ktime_add(when, NSEC_PER_MSEC));
	nursery_child_complete(&child, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&n), -EINTR);
}

static void deadline_of_one_that_is_joined_has_no_effect(struct kunit *test)
{
	struct nursery_params params = { .name = "joined", .timeout = 5 * NSEC_PER_MSEC };
	ktime_t when = ktime_add(ktime_get(), NSEC_PER_MSEC);
	struct nursery n, early;
	bool cancelled;
	int err;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	nursery_set_deadline(&n, when);
	wait_until(ktime_add(when, NSEC_PER_MSEC));
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);

	/* One that it had is gone with the join. */
	nursery_init(&early, &params);
	when = nursery_effective_deadline(&early);
	KUNIT_EXPECT_NE(test, when, KTIME_MAX);
	err = nursery_join(&early);
	cancelled = nursery_cancelled(&early);
	wait_until(ktime_add(when, NSEC_PER_MSEC));
	KUNIT_EXPECT_EQ(test, nursery_cancelled(&early), cancelled);
	KUNIT_EXPECT_EQ(test, nursery_join(&early), err);
}

static void deadlines_of_many_nurseries(struct kunit *test)
{
	/* In the order of their deadlines: forwards, backwards and mixed. */
	static const unsigned int ms[] = { 2, 4, 6, 8, 15, 13, 11, 9, 3, 14, 5, 12, 1, 1, 7, 10 };
	struct nursery *n = kunit_kcalloc(test, ARRAY_SIZE(ms), sizeof(*n), GFP_KERNEL);
	struct endless *e = kunit_kcalloc(test, ARRAY_SIZE(ms), sizeof(*e), GFP_KERNEL);
	ktime_t start = ktime_get();
	int i;

	KUNIT_ASSERT_NOT_NULL(test, n);
	KUNIT_ASSERT_NOT_NULL(test, e);
	for (i = 0; i < ARRAY_SIZE(ms); i++) {
		nursery_init(&n[i], NULL);
		begin(&n[i], &e[i]);
		nursery_set_deadline(&n[i], ktime_add(start, ms[i] * NSEC_PER_MSEC));
	}
	for (i = 0; i < ARRAY_SIZE(ms); i++) {
		KUNIT_EXPECT_EQ(test, nursery_join(&n[i]), -ETIMEDOUT);
		KUNIT_EXPECT_GE(test, ktime_get(), ktime_add(start, ms[i] * NSEC_PER_MSEC));
	}
}

static void effective_deadline_is_the_earliest_above(struct kunit *test)
{
	ktime_t now = ktime_get(), early = ktime_add(now, LONG_TIME);
	ktime_t middle = ktime_add(early, 1), late = ktime_add(early, 2);
	struct nursery_params params = { .name = "below" };
	struct nursery n[3];

	nursery_init(&n[0], NULL);
	params.outer = &n[0];
	nursery_init(&n[1], &params);
	params.outer = &n[1];
	nursery_init(&n[2], &params);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[2]), KTIME_MAX);

	nursery_set_deadline(&n[0], middle);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[2]), middle);
	nursery_set_deadline(&n[1], late);	/* one above is earlier */
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[2]), middle);
	nursery_set_deadline(&n[2], early);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[2]), early);
	/* What is below does not count. */
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[1]), middle);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[0]), middle);
	/* Each may be moved, and taken back. */
	nursery_set_deadline(&n[2], KTIME_MAX);
	nursery_set_deadline(&n[0], KTIME_MAX);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[2]), late);
	nursery_set_deadline(&n[1], early);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[2]), early);
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n[0]), KTIME_MAX);

	nursery_join(&n[2]);
	nursery_join(&n[1]);
	nursery_join(&n[0]);
}

/* A child that opens a nursery with a deadline, or below one. */
struct opener {
	struct nursery_child	child;
	struct probe		inner;
	ktime_t			timeout;	/* of its own nursery */
	ktime_t			effective;
	int			joined, cause;
	bool			forgives;
};

static int opener_run(struct nursery_child *c)
{
	struct opener *o = container_of(c, struct opener, child);

	scoped_nursery(n, .name = "opened", .parent = c, .timeout = o->timeout,
		       .result = &o->joined) {
		o->effective = nursery_effective_deadline(n);
		nursery_spawn(n, &o->inner.child);
		/* Here and not in the join, so that the cause can be asked for. */
		nursery_child_join(&o->inner.child);
		o->cause = nursery_cancel_cause(n);
	}
	return o->forgives ? 0 : o->joined;
}

static struct opener *new_opener(struct kunit *test, ktime_t timeout, bool forgives)
{
	struct opener *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, o);
	probe_init(&o->inner, 0);
	o->inner.sleep = LONG_TIME;
	o->timeout = timeout;
	o->forgives = forgives;
	nursery_child_init(&o->child, opener_run, NULL);
	return o;
}

static void timeout_of_the_parent_is_a_cancel_below(struct kunit *test)
{
	struct opener *o = new_opener(test, 0, false);
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_spawn(&n, &o->child);
	wait_for_completion(&o->inner.started);
	KUNIT_EXPECT_EQ(test, o->effective, KTIME_MAX);
	nursery_set_deadline(&n, ktime_get());
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
	/* It was cancelled, by something above. What timed out is told there. */
	KUNIT_EXPECT_EQ(test, o->joined, -ECANCELED);
	KUNIT_EXPECT_EQ(test, o->cause, -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&n), -ETIMEDOUT);
}

static void timeout_below_is_an_error_unless_forgiven(struct kunit *test)
{
	struct opener *hard = new_opener(test, NSEC_PER_MSEC, false);
	struct opener *kind = new_opener(test, NSEC_PER_MSEC, true);
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_spawn(&n, &kind->child);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&kind->child), 0);
	KUNIT_EXPECT_EQ(test, kind->joined, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, kind->cause, -ETIMEDOUT);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));

	nursery_spawn(&n, &hard->child);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&hard->child), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_cancel_cause(&n), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
	KUNIT_EXPECT_PTR_EQ(test, nursery_canceller(&n), (void *)opener_run);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(deadline_may_be_moved_to_earlier),
	KUNIT_CASE(deadline_may_be_moved_to_later),
	KUNIT_CASE(deadline_that_has_passed_cancels_at_once),
	KUNIT_CASE(deadline_comes_too_late_for_one_that_is_cancelled),
	KUNIT_CASE(deadline_of_one_that_is_joined_has_no_effect),
	KUNIT_CASE(deadlines_of_many_nurseries),
	KUNIT_CASE(effective_deadline_is_the_earliest_above),
	KUNIT_CASE(timeout_of_the_parent_is_a_cancel_below),
	KUNIT_CASE(timeout_below_is_an_error_unless_forgiven),
	{ }
};

struct kunit_suite nursery_deadline_suite = { .name = "nursery_deadline", .test_cases = cases };
