// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coherent DMA buffers of one size, many to a page, from a dma_pool of the caller's:
 * descriptors, commands.
 *
 * The pool must be there until the last of them has been released, also where the
 * hardware could not be proved stopped and they are withheld. Who gives the pool to
 * the nursery first, by nursery_defer(), has both: it is destroyed when they are back,
 * and never if they may not come back.
 */
#include <linux/dmapool.h>
#include <linux/export.h>

#include "dma.h"

struct pooled {
	struct nursery_dma	dma;
	struct dma_pool		*pool;
};

static void free_pooled(struct nursery_dma *buf)
{
	dma_pool_free(container_of(buf, struct pooled, dma)->pool, buf->cpu, buf->addr);
}

static const struct nursery_dma_kind pooled = {
	.type = NURSERY_DMA_TYPE("pool"), .free = free_pooled,
};

/**
 * nursery_dma_pool_alloc - a small coherent DMA buffer from a pool
 * @n: the nursery
 * @dev: the device of the pool; a reference is held until the release
 * @pool: the pool, to be there until then. Give what destroys it to @n first, by
 *	nursery_defer()
 * @size: of the pool's blocks, in bytes
 * @gfp: how to allocate
 *
 * Zeroed. Goes back to the pool after the join, or by nursery_dma_release(). If the hardware
 * could not be stopped it goes to quarantine (nursery_set_quiesce()), and the pool is to stay
 * until nursery_dma_release_quarantine(), or for ever: an action of nursery_defer() is not run
 * then.
 *
 * Context: Process context; sleeps if @gfp allows it.
 * Return: the buffer, or ERR_PTR: -ENOMEM; -ESHUTDOWN @n has been joined; -EINVAL @size
 *	   is 0.
 */
struct nursery_dma *nursery_dma_pool_alloc(struct nursery *n, struct device *dev,
					   struct dma_pool *pool, size_t size, gfp_t gfp)
{
	struct nursery_dma *buf;

	buf = nursery_dma_new(sizeof(struct pooled), dev, size, DMA_BIDIRECTIONAL, gfp);
	if (IS_ERR(buf))
		return buf;
	container_of(buf, struct pooled, dma)->pool = pool;
	buf->cpu = dma_pool_zalloc(pool, gfp, &buf->addr);
	if (!buf->cpu)
		return nursery_dma_drop(buf, -ENOMEM);
	return nursery_dma_own(n, buf, &pooled);
}
EXPORT_SYMBOL_GPL(nursery_dma_pool_alloc);
