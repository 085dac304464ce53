// SPDX-License-Identifier: GPL-2.0-only
/* What join returns (I7), and whom an error stops. */
#include "util.h"

static void i7_first_real_error_wins(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe first, second;
	int err = 0;

	probe_init(&first, -EIO);
	probe_init(&second, -ENOSPC);
	second.gate = &gate;
	scoped_nursery(n, .name = "two errors", .result = &err) {
		nursery_spawn(n, &second.child);
		wait_for_completion(&second.started);
		nursery_spawn(n, &first.child);
		nursery_child_join(&first.child);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

static void i7_error_cancels_the_siblings(struct kunit *test)
{
	struct probe bad, sleeper;
	int err = 0;

	probe_init(&bad, -EIO);
	probe_init(&sleeper, 0);
	sleeper.sleep = LONG_TIME;
	scoped_nursery(n, .name = "fail fast", .result = &err) {
		nursery_spawn(n, &sleeper.child);
		wait_for_completion(&sleeper.started);
		nursery_spawn(n, &bad.child);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_EQ(test, sleeper.slept, -ECANCELED);
}

static void i7_supervised_siblings_go_on(struct kunit *test)
{
	struct probe bad, sleeper;
	int err = 0;

	probe_init(&bad, -EIO);
	probe_init(&sleeper, 0);
	sleeper.sleep = 30 * NSEC_PER_MSEC;
	scoped_nursery(n, .name = "supervise", .flags = NURSERY_SUPERVISE, .result = &err) {
		nursery_spawn(n, &bad.child);
		nursery_child_join(&bad.child);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &sleeper.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_EQ(test, sleeper.slept, 0);
}

static void i7_error_beats_the_cause_of_a_cancel(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe bad;
	int err = 0;

	probe_init(&bad, -EIO);
	bad.gate = &gate;
	scoped_nursery(n, .name = "both", .result = &err) {
		nursery_spawn(n, &bad.child);
		wait_for_completion(&bad.started);
		nursery_cancel(n, -EINTR);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

static void i7_cancelled_children_are_not_errors(struct kunit *test)
{
	static const int causes[] = { 0, -EINTR, -ECANCELED };
	struct probe p;
	int i, err;

	for (i = 0; i < ARRAY_SIZE(causes); i++) {
		probe_init(&p, -ECANCELED);
		p.sleep = LONG_TIME;
		err = 1;
		scoped_nursery(n, .name = "cancelled", .result = &err) {
			nursery_spawn(n, &p.child);
			wait_for_completion(&p.started);
			nursery_cancel(n, causes[i]);
		}
		KUNIT_EXPECT_EQ(test, err, causes[i]);
	}
}

/* Nobody asked it to stop: then -ECANCELED is an error like others. */
static void i7_ecanceled_of_its_own_is_an_error(struct kunit *test)
{
	struct probe p;
	int err = 0;

	probe_init(&p, -ECANCELED);
	scoped_nursery(n, .name = "not cancelled", .result = &err)
		nursery_spawn(n, &p.child);
	KUNIT_EXPECT_EQ(test, err, -ECANCELED);
}

static void i7_external_error_counts(struct kunit *test)
{
	struct nursery_child c;
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_child_init(&c, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &c), 0);
	nursery_child_complete(&c, -EREMOTEIO);
	KUNIT_EXPECT_TRUE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EREMOTEIO);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EREMOTEIO);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i7_first_real_error_wins),
	KUNIT_CASE(i7_error_cancels_the_siblings),
	KUNIT_CASE(i7_supervised_siblings_go_on),
	KUNIT_CASE(i7_error_beats_the_cause_of_a_cancel),
	KUNIT_CASE(i7_cancelled_children_are_not_errors),
	KUNIT_CASE(i7_ecanceled_of_its_own_is_an_error),
	KUNIT_CASE(i7_external_error_counts),
	{ }
};

struct kunit_suite nursery_result_suite = { .name = "nursery_result", .test_cases = cases };
