// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coherent DMA buffers: memory that CPU and device may use at the same time, for rings,
 * mailboxes and whatever is small. Contiguous for both.
 */
#include <linux/dma-mapping.h>
#include <linux/export.h>

#include "dma.h"

static void free_coherent(struct nursery_dma *buf)
{
	dma_free_coherent(buf->dev, buf->size, buf->cpu, buf->addr);
}

static const struct nursery_dma_kind coherent = {
	.type = NURSERY_DMA_TYPE("coherent"), .free = free_coherent,
};

/**
 * nursery_dma_alloc - a coherent DMA buffer that a nursery owns
 * @n: the nursery
 * @dev: the device that will use it; a reference is held until the release
 * @size: in bytes
 * @gfp: how to allocate
 *
 * Zeroed. Freed after the join, or by nursery_dma_release().
 *
 * Context: Process context; sleeps if @gfp allows it.
 * Return: the buffer, or ERR_PTR: -ENOMEM; -ESHUTDOWN @n has been joined;
 *	   -EINVAL @size is 0.
 */
struct nursery_dma *nursery_dma_alloc(struct nursery *n, struct device *dev,
				      size_t size, gfp_t gfp)
{
	struct nursery_dma *buf;

	buf = nursery_dma_new(sizeof(*buf), dev, size, DMA_BIDIRECTIONAL, gfp);
	if (IS_ERR(buf))
		return buf;
	buf->cpu = dma_alloc_coherent(dev, size, &buf->addr, gfp);
	if (!buf->cpu)
		return nursery_dma_drop(buf, -ENOMEM);
	return nursery_dma_own(n, buf, &coherent);
}
EXPORT_SYMBOL_GPL(nursery_dma_alloc);
