// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail while DMA memory is made, of every kind: the first one, then the
 * second, until it is made without. After each the nursery is as before, can be joined,
 * and nothing is left: that kmemleak and DMA_API_DEBUG look for.
 */
#include <linux/slab.h>

#include "kinds.h"

#define MOST	200	/* allocations for one buffer; there are a dozen or two */

static void note(void *data)
{
	++*(unsigned int *)data;
}

/* Fail allocation @nth. Return: whether there were so many. */
static bool make_without(struct kunit *test, const struct kind *kind, struct kind_material *m,
			 unsigned int nth, unsigned int *refused)
{
	unsigned int base = device_refs(m->dev), notes = 0;
	struct nursery_dma *buf;
	struct nursery n;
	bool failed;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, note, &notes), 0);
	fail_allocation(nth);
	buf = kind->make(&n, m);
	failed = allocation_has_failed();
	if (IS_ERR(buf)) {
		KUNIT_EXPECT_EQ_MSG(test, (int)PTR_ERR(buf), -ENOMEM, "%s: allocation %u",
				    kind->name, nth);
		KUNIT_EXPECT_TRUE(test, failed);
		KUNIT_EXPECT_EQ_MSG(test, device_refs(m->dev), base, "%s: allocation %u",
				    kind->name, nth);
		++*refused;
	}
	/* What it owned it owns, and takes more. */
	KUNIT_EXPECT_EQ(test, notes, 0);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, note, &notes), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, notes, 2);
	KUNIT_EXPECT_EQ_MSG(test, device_refs(m->dev), base, "%s: allocation %u", kind->name,
			    nth);
	return failed;
}

static void every_kind_survives_every_failure(struct kunit *test)
{
	struct kind_material *m = test->priv;
	unsigned int i, nth, refused;

	if (!may_fail_allocations())
		kunit_skip(test, "no fault injection, or not of allocations that may sleep");
	for (i = 0; i < nr_kinds; i++) {
		refused = 0;
		for (nth = 1; nth < MOST; nth++)
			if (!make_without(test, &kinds[i], m, nth, &refused))
				break;
		KUNIT_EXPECT_LT_MSG(test, nth, MOST, "%s", kinds[i].name);
		KUNIT_EXPECT_GE_MSG(test, refused, 1, "%s", kinds[i].name);
		kunit_info(test, "%s: %u of %u failures refuse it\n", kinds[i].name, refused,
			   nth - 1);
	}
}

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
#include <linux/dma-buf.h>
#include <linux/fcntl.h>

static void export_survives_every_failure(struct kunit *test)
{
	struct kind_material *m = test->priv;
	unsigned int nth, refused = 0;
	bool failed = true;

	if (!may_fail_allocations())
		kunit_skip(test, "no fault injection, or not of allocations that may sleep");
	for (nth = 1; nth < MOST && failed; nth++) {
		struct nursery_dma *buf;
		struct dma_buf *dmabuf;
		struct nursery n;

		nursery_init(&n, NULL);
		buf = nursery_dma_alloc_shareable(&n, m->dev, KIND_SIZE, DMA_TO_DEVICE,
						  GFP_KERNEL);
		KUNIT_ASSERT_FALSE(test, IS_ERR(buf));
		fail_allocation(nth);
		dmabuf = nursery_dma_export(buf, O_RDWR);
		failed = allocation_has_failed();
		if (IS_ERR(dmabuf)) {
			KUNIT_EXPECT_TRUE(test, failed);
			refused++;
			/* One that was refused changed nothing: it may be tried again. */
			dmabuf = nursery_dma_export(buf, O_RDWR);
		}
		KUNIT_EXPECT_FALSE(test, IS_ERR(dmabuf));
		KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
		if (!IS_ERR(dmabuf))
			dma_buf_put(dmabuf);
	}
	KUNIT_EXPECT_FALSE(test, failed);
	KUNIT_EXPECT_GE(test, refused, 1);
}
#else
static void export_survives_every_failure(struct kunit *test)
{
	kunit_skip(test, "this kernel has no DMA_SHARED_BUFFER");
}
#endif

static struct kunit_case cases[] = {
	KUNIT_CASE(every_kind_survives_every_failure),
	KUNIT_CASE(export_survives_every_failure),
	{ }
};

struct kunit_suite nursery_dma_fail_suite = {
	.name = "nursery_dma_fail", .init = kind_material_init, .exit = kind_material_exit,
	.test_cases = cases,
};
