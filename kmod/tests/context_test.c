// SPDX-License-Identifier: GPL-2.0-only
/* Hard interrupts: all that is allowed in every context is done in one (I8). */
#include "util.h"

struct irq_args {
	struct nursery *n;
	struct nursery_child *c;
	int err;
};

static void irq_spawn(void *data)
{
	struct irq_args *a = data;

	a->err = nursery_spawn(a->n, a->c);
}

static void i8_spawn_from_hard_interrupt(struct kunit *test)
{
	struct irq_args a = { .err = -1 };
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	scoped_nursery(n, .name = "irq spawn", .result = &err) {
		a.n = n;
		a.c = &p.child;
		run_in_hardirq(irq_spawn, &a);
	}
	KUNIT_EXPECT_EQ(test, a.err, 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 1);
}

static void irq_complete(void *data)
{
	nursery_child_complete(data, 0);
}

static void i8_complete_from_hard_interrupt(struct kunit *test)
{
	struct nursery_child c;
	struct nursery n;
	int i;

	for (i = 0; i < 100; i++) {
		nursery_init(&n, NULL);
		nursery_child_init(&c, NULL, NULL);
		KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &c), 0);
		run_in_hardirq(irq_complete, &c);
		KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	}
}

static void irq_begin_and_complete(void *data)
{
	struct irq_args *a = data;

	a->err = nursery_child_begin(a->n, a->c);
	if (!a->err)
		nursery_child_complete(a->c, -EREMOTEIO);
}

static void i8_begin_and_fail_in_hard_interrupt(struct kunit *test)
{
	struct nursery_child c;
	struct irq_args a = { .c = &c, .err = -1 };
	struct probe p;
	int err = 0;

	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	nursery_child_init(&c, NULL, NULL);
	scoped_nursery(n, .name = "irq begin", .result = &err) {
		nursery_spawn(n, &p.child);
		wait_for_completion(&p.started);
		a.n = n;
		run_in_hardirq(irq_begin_and_complete, &a);
	}
	KUNIT_EXPECT_EQ(test, a.err, 0);
	KUNIT_EXPECT_EQ(test, err, -EREMOTEIO);
	KUNIT_EXPECT_EQ(test, p.slept, -ECANCELED);
}

static void irq_cancel(void *data)
{
	nursery_cancel(data, -EINTR);
}

static void i8_cancel_from_hard_interrupt(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct probe sleeper, queued;
	int err = 0;

	probe_init(&sleeper, 0);
	sleeper.sleep = LONG_TIME;
	probe_init(&queued, 0);
	scoped_nursery(n, .name = "irq cancel", .executor = e, .result = &err) {
		nursery_spawn(n, &sleeper.child);
		wait_for_completion(&sleeper.started);
		nursery_spawn(n, &queued.child);
		run_in_hardirq(irq_cancel, n);
		KUNIT_EXPECT_EQ(test, atomic_read(&queued.dones), 1);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, sleeper.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&queued.runs), 0);
	single_worker_destroy(e);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i8_spawn_from_hard_interrupt),
	KUNIT_CASE(i8_complete_from_hard_interrupt),
	KUNIT_CASE(i8_begin_and_fail_in_hard_interrupt),
	KUNIT_CASE(i8_cancel_from_hard_interrupt),
	{ }
};

struct kunit_suite nursery_context_suite = { .name = "nursery_context", .test_cases = cases };
