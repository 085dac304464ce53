// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streaming mappings: memory that somebody else has is mapped for a device, and unmapped
 * after the join.
 *
 * The memory stays whose it is, and must be there until then, in quarantine as well. If it
 * is given to the nursery, too, before it is mapped (nursery_kzalloc(), or nursery_defer()
 * of what frees it), the order of release sees to that.
 */
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "dma.h"

/* What dma_map_single() maps is unmapped and synced like part of a page. */
static void unmap_page(struct nursery_dma *buf)
{
	dma_unmap_page(buf->dev, buf->addr, buf->size, buf->dir);
}

static void sync_page(struct nursery_dma *buf, bool for_cpu)
{
	if (for_cpu)
		dma_sync_single_for_cpu(buf->dev, buf->addr, buf->size, buf->dir);
	else
		dma_sync_single_for_device(buf->dev, buf->addr, buf->size, buf->dir);
}

static const struct nursery_dma_kind single = {
	.type = NURSERY_DMA_TYPE("single"), .free = unmap_page, .sync = sync_page,
};

static const struct nursery_dma_kind page_kind = {
	.type = NURSERY_DMA_TYPE("page"), .free = unmap_page, .sync = sync_page,
};

/**
 * nursery_dma_map_single - map memory of the kernel for a device
 * @n: the nursery, which owns the mapping and not the memory
 * @dev: the device that will use it; a reference is held until the release
 * @ptr: the memory, from kmalloc(), nursery_kzalloc() or the page allocator; not from the
 *	stack or vmalloc(). To be there until the mapping is released, and not to be
 *	touched by the CPU meanwhile but between nursery_dma_sync_for_cpu() and
 *	nursery_dma_sync_for_device()
 * @size: in bytes
 * @dir: which way the data will go
 *
 * Unmapped after the join, or by nursery_dma_release(). If the hardware could not be stopped,
 * the mapping goes to quarantine (nursery_set_quiesce()), and the memory is to stay until
 * nursery_dma_release_quarantine(), or for ever. It does if @n has had it before, from
 * nursery_kzalloc(), or to free it by nursery_defer().
 *
 * Context: Process context, may sleep.
 * Return: the buffer, or ERR_PTR: -ENOMEM there is no memory, or it cannot be mapped for
 *	   this device; -ESHUTDOWN @n has been joined; -EINVAL @size is 0, or @dir is no
 *	   direction.
 */
struct nursery_dma *nursery_dma_map_single(struct nursery *n, struct device *dev, void *ptr,
					   size_t size, enum dma_data_direction dir)
{
	struct nursery_dma *buf = nursery_dma_new(sizeof(*buf), dev, size, dir, GFP_KERNEL);

	if (IS_ERR(buf))
		return buf;
	buf->addr = dma_map_single(dev, ptr, size, dir);
	if (dma_mapping_error(dev, buf->addr))
		return nursery_dma_drop(buf, -ENOMEM);
	buf->cpu = ptr;
	return nursery_dma_own(n, buf, &single);
}
EXPORT_SYMBOL_GPL(nursery_dma_map_single);

/**
 * nursery_dma_map_page - map a page, or part of one, for a device
 * @n: the nursery, which owns the mapping and not the page
 * @dev: the device that will use it; a reference is held until the release
 * @page: the page, or the first of several that are one. As the memory of
 *	nursery_dma_map_single(); no reference is taken
 * @offset: where in @page, in bytes
 * @size: in bytes
 * @dir: which way the data will go
 *
 * As nursery_dma_map_single(), also where the kernel has no address for the page: then
 * the buffer's @cpu is NULL.
 *
 * Context: Process context, may sleep.
 * Return: as nursery_dma_map_single().
 */
struct nursery_dma *nursery_dma_map_page(struct nursery *n, struct device *dev,
					 struct page *page, size_t offset, size_t size,
					 enum dma_data_direction dir)
{
	struct nursery_dma *buf = nursery_dma_new(sizeof(*buf), dev, size, dir, GFP_KERNEL);

	if (IS_ERR(buf))
		return buf;
	buf->addr = dma_map_page(dev, page, offset, size, dir);
	if (dma_mapping_error(dev, buf->addr))
		return nursery_dma_drop(buf, -ENOMEM);
	if (!PageHighMem(page))
		buf->cpu = page_address(page) + offset;
	return nursery_dma_own(n, buf, &page_kind);
}
EXPORT_SYMBOL_GPL(nursery_dma_map_page);

static void unmap_table(struct nursery_dma *buf)
{
	dma_unmap_sgtable(buf->dev, buf->sgt, buf->dir, 0);
}

static const struct nursery_dma_kind table_kind = {
	.type = NURSERY_DMA_TYPE("sgtable"), .free = unmap_table, .sync = nursery_dma_sync_table,
};

/**
 * nursery_dma_map_table - map a scatter-gather table for a device
 * @n: the nursery, which owns the mapping and neither the table nor the memory
 * @dev: the device that will use it; a reference is held until the release
 * @sgt: the table, to be there until the mapping is released, as is what it refers to;
 *	that is as the memory of nursery_dma_map_single()
 * @dir: which way the data will go
 *
 * As dma_map_sgtable(): the device is to be told sgt->nents segments, as by
 * for_each_sgtable_dma_sg(). The buffer's @size is all of them, and its @addr that of the
 * first one; the CPU gets at the memory by @sgt only.
 *
 * Context: Process context, may sleep.
 * Return: the buffer, or ERR_PTR: -ENOMEM; what dma_map_sgtable() returns; -ESHUTDOWN @n
 *	   has been joined; -EINVAL @sgt is empty, or @dir is no direction.
 */
struct nursery_dma *nursery_dma_map_table(struct nursery *n, struct device *dev,
					  struct sg_table *sgt, enum dma_data_direction dir)
{
	struct nursery_dma *buf;
	struct scatterlist *sg;
	size_t size = 0;
	int i, err;

	for_each_sgtable_sg(sgt, sg, i)
		size += sg->length;
	buf = nursery_dma_new(sizeof(*buf), dev, size, dir, GFP_KERNEL);
	if (IS_ERR(buf))
		return buf;
	err = dma_map_sgtable(dev, sgt, dir, 0);
	if (err)
		return nursery_dma_drop(buf, err);
	nursery_dma_set_table(buf, sgt);
	return nursery_dma_own(n, buf, &table_kind);
}
EXPORT_SYMBOL_GPL(nursery_dma_map_table);

/**
 * nursery_dma_map_sgtable - map a scatter-gather table for a device, until the join
 * @n: the nursery, which owns the mapping and neither the table nor the memory
 * @dev: the device that will use it
 * @sgt: the table
 * @dir: which way the data will go
 *
 * As nursery_dma_map_table(), for who has the table and needs no handle: it is synced by
 * dma_sync_sgtable_for_cpu() and dma_sync_sgtable_for_device(), and neither lent nor
 * released before the join.
 *
 * Context: Process context, may sleep.
 * Return: 0, or an errno as nursery_dma_map_table().
 */
int nursery_dma_map_sgtable(struct nursery *n, struct device *dev, struct sg_table *sgt,
			    enum dma_data_direction dir)
{
	return PTR_ERR_OR_ZERO(nursery_dma_map_table(n, dev, sgt, dir));
}
EXPORT_SYMBOL_GPL(nursery_dma_map_sgtable);
