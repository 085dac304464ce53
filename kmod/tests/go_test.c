// SPDX-License-Identifier: GPL-2.0-only
/* nursery_go(): a function and an argument; the core has the child. */
#include <linux/slab.h>

#include "util.h"

struct call {
	atomic_t		calls;
	struct completion	*gate;
	int			ret;
};

static int count(struct nursery_child *c, void *arg)
{
	struct call *call = arg;

	atomic_inc(&call->calls);
	if (call->gate)
		wait_for_completion(call->gate);
	return call->ret;
}

static void go_calls_the_function_once(struct kunit *test)
{
	struct call call = { };
	int i, err = -1, refused = 0;

	scoped_nursery(n, .name = "go", .result = &err)
		for (i = 0; i < 1000; i++)
			refused += !!nursery_go(n, count, &call, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, refused, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&call.calls), 1000);
}

static void go_result_is_the_childs(struct kunit *test)
{
	struct call call = { .ret = -EIO };
	int err = -1;

	scoped_nursery(n, .name = "go", .result = &err)
		KUNIT_EXPECT_EQ(test, nursery_go(n, count, &call, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

/* What it is given as a child is one: it can wait, and open a nursery that it is above. */
static int use_child(struct nursery_child *c, void *arg)
{
	struct call *call = arg;
	struct probe p;
	int err = -1;

	probe_init(&p, 0);
	p.sleep = LONG_TIME;
	scoped_nursery(n, .name = "below", .parent = c, .result = &err) {
		nursery_spawn(n, &p.child);
		wait_for_completion(&p.started);
		complete(call->gate);
		call->ret = nursery_sleep(c, LONG_TIME);
	}
	return err;
}

static void go_child_can_wait_and_nest(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(ready);
	struct call call = { .gate = &ready };
	int err = -1;

	scoped_nursery(n, .name = "go", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_go(n, use_child, &call, GFP_KERNEL), 0);
		wait_for_completion(&ready);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, call.ret, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

static void go_refused_is_not_called(struct kunit *test)
{
	struct call call = { };
	struct nursery n;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_go(&n, NULL, &call, GFP_KERNEL), -EINVAL);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, nursery_go(&n, count, &call, GFP_KERNEL), -ECANCELED);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, nursery_go(&n, count, &call, GFP_KERNEL), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, atomic_read(&call.calls), 0);
}

static void go_without_memory_is_refused(struct kunit *test)
{
	struct call call = { };
	int err = -1;

	scoped_nursery(n, .name = "no memory", .result = &err) {
		if (!fail_next_allocation())
			kunit_skip(test, "this kernel has no fault injection");
		KUNIT_EXPECT_EQ(test, nursery_go(n, count, &call, GFP_FAILS), -ENOMEM);
		KUNIT_EXPECT_EQ(test, nursery_go(n, count, &call, GFP_KERNEL), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&call.calls), 1);
}

static void cancel_it(void *arg)
{
	nursery_cancel(arg, 0);
}

/* Freed in a hard interrupt, where PREEMPT_RT frees nothing. kmemleak sees what is left. */
static void go_children_may_end_in_a_hard_interrupt(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct call blocked = { .gate = &gate }, call = { };
	int i, err = -1;

	scoped_nursery(n, .name = "go", .executor = e, .max_active = 1, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_go(n, count, &blocked, GFP_KERNEL), 0);
		for (i = 0; i < 100; i++)
			nursery_go(n, count, &call, GFP_KERNEL);
		run_in_hardirq(cancel_it, n);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&call.calls), 0);
	single_worker_destroy(e);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(go_calls_the_function_once),
	KUNIT_CASE(go_result_is_the_childs),
	KUNIT_CASE(go_child_can_wait_and_nest),
	KUNIT_CASE(go_refused_is_not_called),
	KUNIT_CASE(go_without_memory_is_refused),
	KUNIT_CASE(go_children_may_end_in_a_hard_interrupt),
	{ }
};

struct kunit_suite nursery_go_suite = { .name = "nursery_go", .test_cases = cases };
