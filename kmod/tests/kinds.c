// SPDX-License-Identifier: GPL-2.0-only
/* DMA memory of each kind: see kinds.h. */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "kinds.h"

#define POOLED	64

static struct nursery_dma *coherent(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_alloc(n, m->dev, KIND_SIZE, m->gfp);
}

static struct nursery_dma *noncontiguous(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_alloc_noncontiguous(n, m->dev, KIND_SIZE, m->dir, m->gfp);
}

static struct nursery_dma *pooled(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_pool_alloc(n, m->dev, m->pool, POOLED, m->gfp);
}

static struct nursery_dma *single(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_map_single(n, m->dev, m->memory, KIND_SIZE, m->dir);
}

static struct nursery_dma *page(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_map_page(n, m->dev, m->page, 8, PAGE_SIZE - 8, m->dir);
}

static struct nursery_dma *table(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_map_table(n, m->dev, &m->table, m->dir);
}

static struct nursery_dma *pages(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_map_pages(n, m->dev, m->others, KIND_PAGES, m->dir);
}

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
static struct nursery_dma *shareable(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_alloc_shareable(n, m->dev, KIND_SIZE, m->dir, m->gfp);
}

static struct nursery_dma *imported(struct nursery *n, struct kind_material *m)
{
	return nursery_dma_import(n, m->dev, m->dmabuf, m->dir);
}

/* From a scope of its own, that has ended when this returns. */
static struct dma_buf *exported(struct kind_material *m)
{
	struct dma_buf *dmabuf = NULL;

	scoped_nursery(n, .name = "exporter") {
		struct nursery_dma *buf = shareable(n, m);

		if (!IS_ERR(buf))
			dmabuf = nursery_dma_export(buf, O_RDWR);
	}
	return IS_ERR(dmabuf) ? NULL : dmabuf;
}

static void put_exported(struct dma_buf *dmabuf)
{
	dma_buf_put(dmabuf);
}
#else
/* Not put anywhere, just not none. */
static struct dma_buf *exported(struct kind_material *m)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void put_exported(struct dma_buf *dmabuf)
{
}
#endif

const struct kind kinds[] = {
	{ "coherent", coherent, KIND_SIZE, .zeroed = true },
	{ "noncontiguous", noncontiguous, KIND_SIZE, .streaming = true, .in_segments = true,
	  .zeroed = true },
	{ "pool", pooled, POOLED, .zeroed = true },
	{ "single", single, KIND_SIZE, .streaming = true },
	{ "page", page, PAGE_SIZE - 8, .streaming = true },
	{ "sgtable", table, KIND_SIZE, .streaming = true, .in_segments = true, .no_cpu = true,
	  .once = true },
	{ "pages", pages, KIND_SIZE, .streaming = true, .in_segments = true, .no_cpu = true,
	  .once = true },
#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
	{ "shareable", shareable, KIND_SIZE, .streaming = true, .in_segments = true,
	  .zeroed = true },
	{ "imported", imported, KIND_SIZE, .streaming = true, .in_segments = true,
	  .no_cpu = true, .not_synced = true },
#endif
};

const unsigned int nr_kinds = ARRAY_SIZE(kinds);

void kind_material_exit(struct kunit *test)
{
	struct kind_material *m = test->priv;
	int i;

	if (!m)
		return;
	if (m->dmabuf)
		put_exported(m->dmabuf);
	dma_pool_destroy(m->pool);
	sg_free_table(&m->table);
	for (i = 0; i < KIND_PAGES; i++) {
		if (m->pages[i])
			__free_page(m->pages[i]);
		if (m->others[i])
			__free_page(m->others[i]);
	}
	if (m->page)
		__free_page(m->page);
	if (m->memory)
		free_pages_exact(m->memory, KIND_SIZE);
	if (!IS_ERR_OR_NULL(m->pdev))
		platform_device_unregister(m->pdev);
	kfree(m);
}

int kind_material_init(struct kunit *test)
{
	struct kind_material *m;
	bool all = true;
	int i, err;

	if (!IS_ENABLED(CONFIG_HAS_DMA))
		kunit_skip(test, "this kernel has no DMA");
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	test->priv = m;		/* for kind_material_exit(), which comes in any case */
	m->pdev = platform_device_register_simple("nursery_kunit", PLATFORM_DEVID_AUTO, NULL, 0);
	if (IS_ERR(m->pdev))
		return PTR_ERR(m->pdev);
	m->dev = &m->pdev->dev;
	err = dma_coerce_mask_and_coherent(m->dev, DMA_BIT_MASK(32));
	if (err)
		return err;
	for (i = 0; i < KIND_PAGES; i++) {
		m->pages[i] = alloc_page(GFP_KERNEL | GFP_DMA32);
		m->others[i] = alloc_page(GFP_KERNEL | GFP_DMA32);
		all &= m->pages[i] && m->others[i];
	}
	m->page = alloc_page(GFP_KERNEL | GFP_DMA32);
	m->memory = alloc_pages_exact(KIND_SIZE, GFP_KERNEL | GFP_DMA32);
	m->pool = dma_pool_create("nursery_kunit", m->dev, POOLED, 8, 0);
	m->dir = DMA_BIDIRECTIONAL;
	m->gfp = GFP_KERNEL;
	m->dmabuf = exported(m);
	if (!all || !m->page || !m->memory || !m->pool || !m->dmabuf)
		return -ENOMEM;
	return sg_alloc_table_from_pages(&m->table, m->pages, KIND_PAGES, 0, KIND_SIZE, GFP_KERNEL);
}

unsigned int device_refs(const struct device *dev)
{
	return kref_read(&dev->kobj.kref);
}
