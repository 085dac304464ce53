// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scoped DMA: buffers of every kind. What the hardware sees of it is the subject of
 * selftests/nursery/kinds.c.
 */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "kinds.h"

/* Deferred between the buffers: which of them are there when it is called? */
struct witness {
	struct device	*dev;
	unsigned int	refs;
	unsigned int	expected;
	const char	*cpu;		/* of the buffer before it, and the first byte there */
	char		first;
};

static void look(void *data)
{
	struct witness *w = data;

	w->refs = device_refs(w->dev);
	if (w->cpu)
		w->first = *w->cpu;	/* KASAN: it must still be there */
}

static void make_one(struct kunit *test, struct nursery *n, const struct kind *kind,
		     struct kind_material *m)
{
	struct nursery_dma *buf = kind->make(n, m);

	KUNIT_EXPECT_FALSE_MSG(test, IS_ERR(buf), "%s: %d", kind->name, PTR_ERR_OR_ZERO(buf));
	if (IS_ERR(buf))
		return;
	KUNIT_EXPECT_PTR_EQ(test, buf->dev, m->dev);
	KUNIT_EXPECT_EQ_MSG(test, buf->size, kind->size, "%s", kind->name);
	KUNIT_EXPECT_EQ_MSG(test, !!buf->sgt, kind->in_segments, "%s", kind->name);
	KUNIT_EXPECT_EQ_MSG(test, !buf->cpu, kind->no_cpu, "%s", kind->name);
	KUNIT_EXPECT_FALSE(test, dma_mapping_error(m->dev, buf->addr));
	if (buf->sgt)
		KUNIT_EXPECT_EQ(test, buf->addr, sg_dma_address(buf->sgt->sgl));
	KUNIT_EXPECT_EQ_MSG(test, (int)buf->dir,
			    kind->streaming ? (int)m->dir : DMA_BIDIRECTIONAL, "%s", kind->name);
}

static void i2_buffers_of_every_kind_are_one_stack(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct witness *w = NEW(test, struct witness, nr_kinds);
	unsigned int i, base;

	base = device_refs(m->dev);
	scoped_nursery(n, .name = "kinds") {
		for (i = 0; i < nr_kinds; i++) {
			make_one(test, n, &kinds[i], m);
			w[i].dev = m->dev;
			KUNIT_EXPECT_EQ(test, nursery_defer(n, look, &w[i]), 0);
		}
		KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + nr_kinds);
	}
	/* Each is called when all that came later has been released, and nothing else. */
	for (i = 0; i < nr_kinds; i++)
		KUNIT_EXPECT_EQ_MSG(test, w[i].refs, base + i + 1, "%s", kinds[i].name);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
}

#define MIXED	40

/* Any order of all that a nursery owns, some kinds several times, devices and memory too. */
static void i2_any_mixture_is_one_stack(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct witness *w = NEW(test, struct witness, MIXED);
	unsigned int i, what, base, expected, seed, used;
	struct rnd_state random;

	/* The same memory may be mapped more than once only if no device writes to it. */
	m->dir = DMA_TO_DEVICE;
	base = device_refs(m->dev);
	for (seed = 1; seed <= 20; seed++) {
		prandom_seed_state(&random, seed);
		memset(w, 0, MIXED * sizeof(*w));
		expected = base;
		used = 0;
		scoped_nursery(n, .name = "mixture") {
			for (i = 0; i < MIXED; i++) {
				what = prandom_u32_state(&random) % (nr_kinds + 2);
				if (what < nr_kinds && kinds[what].once && used++)
					what = nr_kinds;
				if (what < nr_kinds)
					make_one(test, n, &kinds[what], m);
				else if (what == nr_kinds)
					KUNIT_EXPECT_EQ(test, nursery_get_device(n, m->dev), 0);
				else
					KUNIT_EXPECT_NOT_NULL(test,
							      nursery_kzalloc(n, 8, GFP_KERNEL));
				expected += what <= nr_kinds;
				/* When it is called, so much is left. */
				w[i].dev = m->dev;
				w[i].expected = expected;
				KUNIT_EXPECT_EQ(test, nursery_defer(n, look, &w[i]), 0);
			}
		}
		for (i = 0; i < MIXED; i++)
			KUNIT_EXPECT_EQ_MSG(test, w[i].refs, w[i].expected, "seed %u, place %u",
					    seed, i);
		KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
	}
}

static void i2_contents_are_there_until_the_release(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct witness *w = NEW(test, struct witness, nr_kinds);
	unsigned int i;

	scoped_nursery(n, .name = "kinds") {
		for (i = 0; i < nr_kinds; i++) {
			struct nursery_dma *buf = kinds[i].make(n, m);

			if (IS_ERR(buf)) {
				KUNIT_FAIL(test, "%s: %ld", kinds[i].name, PTR_ERR(buf));
				continue;
			}
			if (kinds[i].zeroed)
				KUNIT_EXPECT_NULL(test, memchr_inv(buf->cpu, 0, buf->size));
			if (buf->cpu)
				memset(buf->cpu, 0x40 + i, buf->size);
			w[i].dev = m->dev;
			w[i].cpu = buf->cpu;
			nursery_defer(n, look, &w[i]);
		}
	}
	for (i = 0; i < nr_kinds; i++)
		KUNIT_EXPECT_EQ_MSG(test, w[i].first, w[i].cpu ? 0x40 + i : 0, "%s",
				    kinds[i].name);
}

static void refused_after_the_join(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery n;
	unsigned int i, base;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
	nursery_join(&n);
	for (i = 0; i < nr_kinds; i++) {
		struct nursery_dma *buf = kinds[i].make(&n, m);

		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(buf), -ESHUTDOWN, "%s", kinds[i].name);
	}
	KUNIT_EXPECT_EQ(test, nursery_dma_map_sgtable(&n, m->dev, &m->table, m->dir), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
}

/* A cancelled nursery does not refuse: there may be something to be put in order. */
static void made_in_a_cancelled_nursery(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery n;
	unsigned int i;

	nursery_init(&n, NULL);
	nursery_cancel(&n, 0);
	for (i = 0; i < nr_kinds; i++)
		make_one(test, &n, &kinds[i], m);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void refuses_what_can_never_be_right(struct kunit *test)
{
	struct kind_material *m = test->priv;
	unsigned int base;
	struct nursery n;
	struct sg_table empty = { };
	enum dma_data_direction dir;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
#define REFUSED(call)	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(call), -EINVAL)
	REFUSED(nursery_dma_alloc(&n, m->dev, 0, GFP_KERNEL));
	REFUSED(nursery_dma_pool_alloc(&n, m->dev, m->pool, 0, GFP_KERNEL));
	REFUSED(nursery_dma_alloc_noncontiguous(&n, m->dev, 0, DMA_TO_DEVICE, GFP_KERNEL));
	REFUSED(nursery_dma_map_single(&n, m->dev, m->memory, 0, DMA_TO_DEVICE));
	REFUSED(nursery_dma_map_page(&n, m->dev, m->page, 0, 0, DMA_TO_DEVICE));
	REFUSED(nursery_dma_map_table(&n, m->dev, &empty, DMA_TO_DEVICE));
	for (dir = DMA_NONE; dir <= DMA_NONE + 1; dir++) {
		REFUSED(nursery_dma_alloc_noncontiguous(&n, m->dev, 8, dir, GFP_KERNEL));
		REFUSED(nursery_dma_map_single(&n, m->dev, m->memory, 8, dir));
		REFUSED(nursery_dma_map_page(&n, m->dev, m->page, 0, 8, dir));
		KUNIT_EXPECT_EQ(test, nursery_dma_map_sgtable(&n, m->dev, &m->table, dir),
				-EINVAL);
	}
#undef REFUSED
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
	nursery_join(&n);
}

static void table_is_mapped_until_the_join(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct scatterlist *sg;
	unsigned int base, i;
	size_t mapped = 0;

	base = device_refs(m->dev);
	scoped_nursery(n, .name = "table") {
		KUNIT_EXPECT_EQ(test,
				nursery_dma_map_sgtable(n, m->dev, &m->table, DMA_TO_DEVICE), 0);
		KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + 1);
		for_each_sgtable_dma_sg(&m->table, sg, i)
			mapped += sg_dma_len(sg);
		KUNIT_EXPECT_EQ(test, mapped, KIND_SIZE);
	}
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
}

/* Memory of the nursery's own, mapped: unmapped before it is freed (DMA_API_DEBUG). */
static void i2_mapped_memory_of_the_same_nursery(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *buf = NULL;

	scoped_nursery(n, .name = "own memory") {
		void *memory = nursery_kzalloc(n, 3000, GFP_KERNEL);

		if (memory)
			buf = nursery_dma_map_single(n, m->dev, memory, 3000, DMA_FROM_DEVICE);
		KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL(buf));
		if (!IS_ERR_OR_NULL(buf))
			KUNIT_EXPECT_PTR_EQ(test, buf->cpu, memory);
	}
}

/* All that is allowed, in each direction: DMA_API_DEBUG and ourselves are silent. */
static void sync_of_every_kind(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = {
		DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE,
	};
	struct kind_material *m = test->priv;
	unsigned int i, j;

	for (j = 0; j < ARRAY_SIZE(dirs); j++) {
		struct nursery n;

		m->dir = dirs[j];
		nursery_init(&n, NULL);
		for (i = 0; i < nr_kinds; i++) {
			struct nursery_dma *buf = kinds[i].make(&n, m);

			KUNIT_EXPECT_FALSE(test, IS_ERR(buf));
			if (IS_ERR(buf) || kinds[i].not_synced)
				continue;
			if (buf->dir != DMA_TO_DEVICE)
				nursery_dma_sync_for_cpu(buf);
			nursery_dma_sync_for_device(buf);
		}
		nursery_join(&n);
	}
}

static int cannot_stop(struct nursery *n, void *data)
{
	return -EIO;
}

/* How many of the pages have so many references? */
static unsigned int nr_held(struct kind_material *m, int refs)
{
	unsigned int i, nr = 0;

	for (i = 0; i < KIND_PAGES; i++)
		nr += page_ref_count(m->pages[i]) == refs;
	return nr;
}

/* The device may write to them after their owner has freed them. */
static void i9_pages_are_held_in_quarantine(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery n;

	nursery_init(&n, NULL);
	nursery_set_quiesce(&n, cannot_stop, NULL);
	KUNIT_EXPECT_FALSE(test, IS_ERR(nursery_dma_map_pages(&n, m->dev, m->pages, KIND_PAGES,
							      DMA_FROM_DEVICE)));
	/* While the nursery has them they are nobody else's affair. */
	KUNIT_EXPECT_EQ(test, nr_held(m, 1), KIND_PAGES);
	nursery_cancel(&n, -EIO);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EIO);
	KUNIT_EXPECT_EQ(test, nr_held(m, 2), KIND_PAGES);
	KUNIT_EXPECT_EQ(test, nursery_dma_release_quarantine(m->dev), 1ul);
	KUNIT_EXPECT_EQ(test, nr_held(m, 1), KIND_PAGES);
}

/* Pages that follow one another are one segment. */
static void pages_become_segments(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct page *pages[KIND_PAGES + 1] = { };
	struct nursery_dma *buf;
	unsigned int i;

	for (i = 0; i < KIND_PAGES; i++)
		pages[i] = virt_to_page(m->memory + i * PAGE_SIZE);
	pages[KIND_PAGES] = m->page;
	scoped_nursery(n) {
		buf = nursery_dma_map_pages(n, m->dev, pages, KIND_PAGES, DMA_TO_DEVICE);
		KUNIT_EXPECT_FALSE(test, IS_ERR(buf));
		if (!IS_ERR(buf)) {
			KUNIT_EXPECT_EQ(test, buf->sgt->orig_nents, 1);
			KUNIT_EXPECT_EQ(test, buf->size, KIND_SIZE);
		}
		buf = nursery_dma_map_pages(n, m->dev, pages + 1, KIND_PAGES, DMA_TO_DEVICE);
		KUNIT_EXPECT_FALSE(test, IS_ERR(buf));
		if (!IS_ERR(buf) && page_to_pfn(m->page) !=
				    page_to_pfn(pages[KIND_PAGES - 1]) + 1)
			KUNIT_EXPECT_EQ(test, buf->sgt->orig_nents, 2);
		buf = nursery_dma_map_pages(n, m->dev, pages, 0, DMA_TO_DEVICE);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(buf), -EINVAL);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i2_buffers_of_every_kind_are_one_stack),
	KUNIT_CASE(i2_any_mixture_is_one_stack),
	KUNIT_CASE(i2_contents_are_there_until_the_release),
	KUNIT_CASE(refused_after_the_join),
	KUNIT_CASE(made_in_a_cancelled_nursery),
	KUNIT_CASE(refuses_what_can_never_be_right),
	KUNIT_CASE(table_is_mapped_until_the_join),
	KUNIT_CASE(i2_mapped_memory_of_the_same_nursery),
	KUNIT_CASE(sync_of_every_kind),
	KUNIT_CASE(i9_pages_are_held_in_quarantine),
	KUNIT_CASE(pages_become_segments),
	{ }
};

struct kunit_suite nursery_dma_suite = {
	.name = "nursery_dma", .init = kind_material_init, .exit = kind_material_exit,
	.test_cases = cases,
};
