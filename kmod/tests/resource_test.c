// SPDX-License-Identifier: GPL-2.0-only
/* What a scope owns: released after the join, in LIFO order (I2). For buffers see dma_test.c. */
#include <linux/device.h>
#include <linux/nursery_op.h>
#include <linux/slab.h>

#include "util.h"

struct order {
	int released[8];
	int nr;
};

struct action {
	struct order *order;
	int number;
};

static void release(void *data)
{
	struct action *a = data;

	a->order->released[a->order->nr++] = a->number;
}

static void i2_released_in_lifo_order_after_the_join(struct kunit *test)
{
	struct order order = { };
	struct action a[4];
	struct probe p;
	struct nursery n;
	int i;

	probe_init(&p, -EIO);		/* also when a child fails */
	p.sleep = 20 * NSEC_PER_MSEC;
	nursery_init(&n, NULL);
	for (i = 0; i < 4; i++) {
		a[i] = (struct action){ .order = &order, .number = i };
		KUNIT_EXPECT_EQ(test, nursery_defer(&n, release, &a[i]), 0);
	}
	nursery_spawn(&n, &p.child);
	nursery_child_join(&p.child);
	KUNIT_EXPECT_EQ(test, order.nr, 0);	/* the child is done, the scope is not */
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EIO);
	KUNIT_ASSERT_EQ(test, order.nr, 4);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, order.released[i], 3 - i);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, order.nr, 4);
}

/* A child that defers, and notes whether anything was released under it. */
struct scope_user {
	struct nursery_child child;
	struct nursery *n;
	struct order *order;
	struct action action;
	struct completion started;
	int seen;
	int err;
};

static int use(struct nursery_child *c)
{
	struct scope_user *u = container_of(c, struct scope_user, child);

	u->err = nursery_defer(u->n, release, &u->action);
	complete(&u->started);
	nursery_sleep(c, LONG_TIME);
	/* Cancelled, and in no hurry. */
	nursery_shield(c);
	nursery_sleep(c, 10 * NSEC_PER_MSEC);
	nursery_unshield(c);
	u->seen = READ_ONCE(u->order->nr);
	return 0;
}

static void i2_nothing_is_released_under_a_child(struct kunit *test)
{
	struct order order = { };
	struct scope_user u[3];
	int i;

	scoped_nursery(n, .name = "users") {
		for (i = 0; i < 3; i++) {
			u[i] = (struct scope_user){ .n = n, .order = &order };
			u[i].action.order = &order;
			init_completion(&u[i].started);
			nursery_child_init(&u[i].child, use, NULL);
			nursery_spawn(n, &u[i].child);
		}
		for (i = 0; i < 3; i++)
			wait_for_completion(&u[i].started);
		nursery_cancel(n, 0);
	}
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, u[i].err, 0);
		KUNIT_EXPECT_EQ(test, u[i].seen, 0);
	}
}

static void i2_nested_scope_releases_before_its_parent(struct kunit *test)
{
	struct order order = { };
	struct action a = { &order, 1 }, b = { &order, 2 };

	scoped_nursery(outer, .name = "outer") {
		nursery_defer(outer, release, &a);
		scoped_nursery(inner, .name = "inner", .outer = outer)
			nursery_defer(inner, release, &b);
		KUNIT_EXPECT_EQ(test, order.nr, 1);
	}
	KUNIT_EXPECT_EQ(test, order.nr, 2);
	KUNIT_EXPECT_EQ(test, order.released[0], 2);
}

static void refused_after_the_join(struct kunit *test)
{
	struct order order = { };
	struct action a = { &order, 1 };
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, release, &a), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, order.nr, 0);
}

/* Memory that is used when it is looked at: KASAN says if it has gone already. */
struct filled {
	char *data;
	size_t size;
	bool intact;
};

static void check_filled(void *data)
{
	struct filled *f = data;

	f->intact = !memchr_inv(f->data, 0x5a, f->size);
}

static void i2_memory_takes_part_in_the_order(struct kunit *test)
{
	static const size_t sizes[] = { 1, 8, 100, 4096, 100000 };
	struct filled f[ARRAY_SIZE(sizes)] = { };
	bool zeroed = true;
	int i, nr = 0;

	scoped_nursery(n, .name = "memory") {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			f[i].size = sizes[i];
			f[i].data = nursery_kzalloc(n, sizes[i], GFP_KERNEL);
			if (!f[i].data)
				break;
			nr++;
			zeroed &= !memchr_inv(f[i].data, 0, sizes[i]);
			KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)f[i].data,
							   ARCH_KMALLOC_MINALIGN));
			/* Called when all that came later has been freed. */
			KUNIT_EXPECT_EQ(test, nursery_defer(n, check_filled, &f[i]), 0);
			memset(f[i].data, 0x5a, sizes[i]);
		}
	}
	KUNIT_EXPECT_EQ(test, nr, (int)ARRAY_SIZE(sizes));
	KUNIT_EXPECT_TRUE(test, zeroed);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_TRUE(test, f[i].intact);
}

static void kzalloc_refuses_and_keeps_nothing(struct kunit *test)
{
	/* Not to be worked out by the compiler, which would warn. */
	size_t huge = SIZE_MAX;
	struct order order = { };
	struct action a[2] = { { &order, 0 }, { &order, 1 } };
	struct nursery n;

	OPTIMIZER_HIDE_VAR(huge);
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, release, &a[0]), 0);
	KUNIT_EXPECT_NULL(test, nursery_kzalloc(&n, huge, GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, nursery_kzalloc(&n, huge / 2, GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_PTR_EQ(test, nursery_kzalloc(&n, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	if (fail_next_allocation())
		KUNIT_EXPECT_NULL(test, nursery_kzalloc(&n, 8, GFP_FAILS));
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, release, &a[1]), 0);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_NOT_NULL(test, nursery_kzalloc(&n, 8, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, order.nr, 2);
	KUNIT_EXPECT_EQ(test, order.released[0], 1);
	/* kmemleak sees what a refusal keeps. */
	KUNIT_EXPECT_NULL(test, nursery_kzalloc(&n, 8, GFP_KERNEL));
}

/* A resource that only counts its release. */
struct counted {
	struct nursery_resource resource;
	struct order *order;
};

static void release_counted(struct nursery_resource *r)
{
	struct order *order = container_of(r, struct counted, resource)->order;

	order->released[order->nr++] = 0;
}

static const struct nursery_resource_type counted_type = {
	.name = "counted", .release = release_counted,
};

static void a_type_of_ones_own(struct kunit *test)
{
	struct order order = { };
	struct counted c[2] = { { .order = &order }, { .order = &order } };
	struct nursery n;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_own(&n, &c[0].resource, &counted_type), 0);
	KUNIT_EXPECT_EQ(test, nursery_own(&n, &c[1].resource, &counted_type), 0);
	KUNIT_EXPECT_EQ(test, order.nr, 0);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, order.nr, 2);
	KUNIT_EXPECT_EQ(test, nursery_own(&n, &c[0].resource, &counted_type), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, order.nr, 2);
}

struct refs {
	struct device *dev;
	unsigned int nr;
};

static void count_refs(void *data)
{
	struct refs *refs = data;

	refs->nr = kref_read(&refs->dev->kobj.kref);
}

static void i2_device_references_take_part_in_the_order(struct kunit *test)
{
	/* No owner: as in devm_test.c. */
	struct device *dev = __root_device_register("nursery_kunit", NULL);
	struct refs before = { .dev = dev }, after = { .dev = dev };
	struct nursery n;
	unsigned int nr;

	KUNIT_ASSERT_FALSE(test, IS_ERR(dev));
	nr = kref_read(&dev->kobj.kref);
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, count_refs, &before), 0);
	KUNIT_EXPECT_EQ(test, nursery_get_device(&n, dev), 0);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, count_refs, &after), 0);
	KUNIT_EXPECT_EQ(test, kref_read(&dev->kobj.kref), nr + 1);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, after.nr, nr + 1);
	KUNIT_EXPECT_EQ(test, before.nr, nr);
	KUNIT_EXPECT_EQ(test, nursery_get_device(&n, dev), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, kref_read(&dev->kobj.kref), nr);
	root_device_unregister(dev);
}

static int no_op(struct nursery_call *call)
{
	return 0;
}

static void operation_is_a_resource(struct kunit *test)
{
	struct nursery_op op = { .name = "kunit-op", .run = no_op };
	struct nursery_op bad[] = {
		{ .name = "", .run = no_op },
		{ .run = no_op },
		{ .name = "no-function" },
		{ .name = "a-name-that-is-longer-than-it-may-be", .run = no_op },
		{ .name = "args", .nr_args = NURSERY_OP_ARGS + 1, .run = no_op },
	};
	struct nursery n;
	int i;

	nursery_init(&n, NULL);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, nursery_register_op(&n, &bad[i]), -EINVAL);
	KUNIT_EXPECT_EQ(test, nursery_register_op(&n, &op), 0);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, nursery_register_op(&n, &op), -ESHUTDOWN);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i2_released_in_lifo_order_after_the_join),
	KUNIT_CASE(i2_nothing_is_released_under_a_child),
	KUNIT_CASE(i2_nested_scope_releases_before_its_parent),
	KUNIT_CASE(refused_after_the_join),
	KUNIT_CASE(i2_memory_takes_part_in_the_order),
	KUNIT_CASE(kzalloc_refuses_and_keeps_nothing),
	KUNIT_CASE(a_type_of_ones_own),
	KUNIT_CASE(i2_device_references_take_part_in_the_order),
	KUNIT_CASE(operation_is_a_resource),
	{ }
};

struct kunit_suite nursery_resource_suite = { .name = "nursery_resource", .test_cases = cases };
