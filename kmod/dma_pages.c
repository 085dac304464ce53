// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that somebody else has, mapped for a device; unmapped after the join.
 *
 * Their owner keeps them at least until the nursery has been joined, so no reference is
 * taken: there may be many. Only if the mapping has to go to quarantine the device may write
 * to them for longer than that; then they are held, before the join returns.
 */
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "dma.h"

struct page_memory {
	struct nursery_dma	dma;
	struct sg_table		table;
	bool			held;		/* in quarantine */
};

static struct page_memory *to_pages(struct nursery_dma *buf)
{
	return container_of(buf, struct page_memory, dma);
}

static void free_pages_mapping(struct nursery_dma *buf)
{
	struct page_memory *p = to_pages(buf);
	struct sg_page_iter page;

	dma_unmap_sgtable(buf->dev, &p->table, buf->dir, 0);
	if (p->held)
		for_each_sgtable_page(&p->table, &page, 0)
			put_page(sg_page_iter_page(&page));
	sg_free_table(&p->table);
}

static void withhold_pages(struct nursery_resource *r)
{
	struct page_memory *p = to_pages(container_of(r, struct nursery_dma, resource));
	struct sg_page_iter page;

	for_each_sgtable_page(&p->table, &page, 0)
		get_page(sg_page_iter_page(&page));
	p->held = true;
}

static const struct nursery_dma_kind pages_kind = {
	.type = {
		.name = "pages", .release = nursery_dma_released, .withhold = withhold_pages,
		.flags = NURSERY_RESOURCE_DMA,
	},
	.free = free_pages_mapping, .sync = nursery_dma_sync_table,
};

/**
 * nursery_dma_map_pages - map an array of pages for a device
 * @n: the nursery, which owns the mapping and not the pages
 * @dev: the device that will use it; a reference is held until the release
 * @pages: whole pages; those that follow one another in memory become one segment. The array
 *	is not needed any more when this returns
 * @nr: how many
 * @dir: which way the data will go
 *
 * The device is to be told the segments of the buffer's @sgt; there is no address for the
 * kernel. The pages are to be there until the join of @n returns, or nursery_dma_release()
 * does; no reference is taken. If the mapping goes to quarantine they are held, until they
 * are unmapped: whoever has them may free them after the join as ever.
 *
 * Context: Process context, may sleep.
 * Return: the buffer, or ERR_PTR: -ENOMEM; what dma_map_sgtable() returns; -ESHUTDOWN @n has
 *	   been joined; -EINVAL @nr is 0, or @dir is no direction.
 */
struct nursery_dma *nursery_dma_map_pages(struct nursery *n, struct device *dev,
					  struct page **pages, unsigned int nr,
					  enum dma_data_direction dir)
{
	size_t size = (size_t)nr * PAGE_SIZE;
	struct nursery_dma *buf;
	struct page_memory *p;
	int err;

	buf = nursery_dma_new(sizeof(*p), dev, size, dir, GFP_KERNEL);
	if (IS_ERR(buf))
		return buf;
	p = to_pages(buf);
	err = sg_alloc_table_from_pages_segment(&p->table, pages, nr, 0, size,
						dma_get_max_seg_size(dev), GFP_KERNEL);
	if (err)
		return nursery_dma_drop(buf, err);
	err = dma_map_sgtable(dev, &p->table, dir, 0);
	if (err) {
		sg_free_table(&p->table);
		return nursery_dma_drop(buf, err);
	}
	nursery_dma_set_table(buf, &p->table);
	return nursery_dma_own(n, buf, &pages_kind);
}
EXPORT_SYMBOL_GPL(nursery_dma_map_pages);
