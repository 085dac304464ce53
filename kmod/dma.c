// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scoped DMA: buffers as resources of a nursery (R5).
 *
 * A transfer is an external child of the nursery that owns its buffer, or of one
 * below, so the buffer is there until the hardware is done with it. Release
 * happens where dma_free_coherent() must be called: in process context.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/nursery_dma.h>
#include <linux/slab.h>

#include "internal.h"

static void release_coherent(struct nursery_resource *r)
{
	struct nursery_dma *buf = container_of(r, struct nursery_dma, resource);

	dma_free_coherent(buf->dev, buf->size, buf->cpu, buf->addr);
	put_device(buf->dev);
	kfree(buf);
}

static const struct nursery_resource_type coherent_type = {
	.name = "coherent", .release = release_coherent, .flags = NURSERY_RESOURCE_DMA,
};

/**
 * nursery_dma_alloc - a coherent DMA buffer that a nursery owns
 * @n: the nursery
 * @dev: the device that will use it; a reference is held until the release
 * @size: in bytes
 * @gfp: how to allocate
 *
 * Zeroed. Freed after the join, never by the caller.
 *
 * Context: Process context; sleeps if @gfp allows it.
 * Return: the buffer, or ERR_PTR: -ENOMEM; -ESHUTDOWN @n has been joined;
 *	   -EINVAL @size is 0.
 */
struct nursery_dma *nursery_dma_alloc(struct nursery *n, struct device *dev,
				      size_t size, gfp_t gfp)
{
	struct nursery_dma *buf;
	int err;

	if (!size)
		return ERR_PTR(-EINVAL);

	buf = kzalloc(sizeof(*buf), gfp);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->cpu = dma_alloc_coherent(dev, size, &buf->addr, gfp);
	if (!buf->cpu) {
		kfree(buf);
		return ERR_PTR(-ENOMEM);
	}
	buf->dev = get_device(dev);
	buf->size = size;
	buf->dir = DMA_BIDIRECTIONAL;

	err = nursery_own(n, &buf->resource, &coherent_type);
	if (err) {
		release_coherent(&buf->resource);
		return ERR_PTR(err);
	}
	return buf;
}
EXPORT_SYMBOL_GPL(nursery_dma_alloc);
