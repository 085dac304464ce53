// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA buffers that are contiguous for the device, and for the kernel, but not in physical
 * memory: as large as one likes where there is an IOMMU. CPU and device take turns.
 */
#include <linux/dma-mapping.h>
#include <linux/export.h>

#include "dma.h"

static void free_noncontiguous(struct nursery_dma *buf)
{
	dma_vunmap_noncontiguous(buf->dev, buf->cpu);
	dma_free_noncontiguous(buf->dev, buf->size, buf->sgt, buf->dir);
}

static const struct nursery_dma_kind noncontiguous = {
	.type = NURSERY_DMA_TYPE("noncontiguous"),
	.free = free_noncontiguous, .sync = nursery_dma_sync_alias,
};

/**
 * nursery_dma_alloc_noncontiguous - a large DMA buffer that a nursery owns
 * @n: the nursery
 * @dev: the device that will use it; a reference is held until the release
 * @size: in bytes
 * @dir: which way the data will go
 * @gfp: how to allocate
 *
 * Zeroed, one range of addresses for the device (@addr of the buffer) and one for the
 * kernel (@cpu). Not coherent: it is the CPU's at first, and changes hands by
 * nursery_dma_sync_for_device() and nursery_dma_sync_for_cpu(). Freed after the join, or
 * by nursery_dma_release().
 *
 * Context: Process context, may sleep.
 * Return: the buffer, or ERR_PTR: -ENOMEM; -ESHUTDOWN @n has been joined; -EINVAL @size
 *	   is 0, or @dir is no direction.
 */
struct nursery_dma *nursery_dma_alloc_noncontiguous(struct nursery *n, struct device *dev,
						    size_t size, enum dma_data_direction dir,
						    gfp_t gfp)
{
	struct nursery_dma *buf = nursery_dma_new(sizeof(*buf), dev, size, dir, gfp);
	struct sg_table *sgt;

	if (IS_ERR(buf))
		return buf;
	sgt = dma_alloc_noncontiguous(dev, size, dir, gfp | __GFP_ZERO, 0);
	if (!sgt)
		return nursery_dma_drop(buf, -ENOMEM);
	buf->cpu = dma_vmap_noncontiguous(dev, size, sgt);
	if (!buf->cpu) {
		dma_free_noncontiguous(dev, size, sgt, dir);
		return nursery_dma_drop(buf, -ENOMEM);
	}
	nursery_dma_set_table(buf, sgt);
	return nursery_dma_own(n, buf, &noncontiguous);
}
EXPORT_SYMBOL_GPL(nursery_dma_alloc_noncontiguous);
