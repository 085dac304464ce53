// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scoped DMA: buffers as resources of a nursery (R5).
 *
 * A transfer is an external child of the nursery that owns its buffer, or of one
 * below, so the buffer is there until the hardware is done with it. Release
 * happens where memory for DMA may be unmapped and freed, whatever its kind: in process
 * context.
 *
 * A buffer is of a kind, which is a type of resource that knows a bit more: each has a
 * file of its own, dma_*.c, that makes such buffers and undoes that. Here is what all
 * of them share: the life of struct nursery_dma, with the reference to its device, and
 * the handing over between CPU and device.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "dma.h"
#include "internal.h"

static const struct nursery_dma_kind *kind_of(const struct nursery_dma *buf)
{
	return container_of(buf->resource.type, struct nursery_dma_kind, type);
}

/*
 * Begin to make a buffer.
 *
 * @bytes: of the struct that begins with the struct nursery_dma
 *
 * Context: Any in which @gfp may be allocated.
 * Return: the buffer, or ERR_PTR: -EINVAL there is nothing to transfer, or no direction;
 *	   -ENOMEM.
 */
struct nursery_dma *nursery_dma_new(size_t bytes, struct device *dev, size_t size,
				    enum dma_data_direction dir, gfp_t gfp)
{
	struct nursery_dma *buf;

	if (!size || !valid_dma_direction(dir))
		return ERR_PTR(-EINVAL);
	buf = kzalloc(bytes, gfp);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->dev = get_device(dev);
	buf->size = size;
	buf->dir = dir;
	raw_spin_lock_init(&buf->lock);
	return buf;
}

/* It could not be made: what its kind has done so far is undone. Return: @err, as ERR_PTR. */
struct nursery_dma *nursery_dma_drop(struct nursery_dma *buf, int err)
{
	put_device(buf->dev);
	kfree(buf);
	return ERR_PTR(err);
}

static void free_buffer(struct nursery_dma *buf)
{
	struct device *dev = buf->dev;

	kind_of(buf)->free(buf);
	kfree(buf);
	/* It may be the last one, and the IOMMU's view of the device goes with it. */
	put_device(dev);
}

/*
 * A buffer has been made: from here on it is the nursery's.
 *
 * Context: Process context.
 * Return: the buffer, or, with all undone, what nursery_own() says.
 */
struct nursery_dma *nursery_dma_own(struct nursery *n, struct nursery_dma *buf,
				    const struct nursery_dma_kind *kind)
{
	int err;

	buf->resource.type = &kind->type;
	buf->nursery = n;
	err = nursery_own(n, &buf->resource, &kind->type);
	if (err) {
		free_buffer(buf);
		return ERR_PTR(err);
	}
	return buf;
}

void nursery_dma_released(struct nursery_resource *r)
{
	free_buffer(container_of(r, struct nursery_dma, resource));
}

/* A mapped table is what the buffer consists of. */
void nursery_dma_set_table(struct nursery_dma *buf, struct sg_table *sgt)
{
	buf->sgt = sgt;
	buf->addr = sg_dma_address(sgt->sgl);
}

void nursery_dma_sync_table(struct nursery_dma *buf, bool for_cpu)
{
	if (for_cpu)
		dma_sync_sgtable_for_cpu(buf->dev, buf->sgt, buf->dir);
	else
		dma_sync_sgtable_for_device(buf->dev, buf->sgt, buf->dir);
}

/* A table whose address for the kernel is an alias, which some caches have to be told about. */
void nursery_dma_sync_alias(struct nursery_dma *buf, bool for_cpu)
{
	if (!for_cpu)
		flush_kernel_vmap_range(buf->cpu, buf->size);
	nursery_dma_sync_table(buf, for_cpu);
	if (for_cpu)
		invalidate_kernel_vmap_range(buf->cpu, buf->size);
}

/**
 * nursery_dma_sync_for_cpu - let the CPU see what the device has written
 * @buf: the buffer, of any kind
 *
 * To be called when the transfer is over (its child has finished), before the CPU reads.
 * From then on the buffer is the CPU's until nursery_dma_sync_for_device(). Where both
 * always see what the other writes (coherent memory, also from a pool) nothing is
 * done, so who is given a buffer need not know its kind; but for one of
 * nursery_dma_import(): there it is dma_buf_begin_cpu_access(), which may fail.
 *
 * With CONFIG_DMA_API_DEBUG there is a warning, once, if the device does not write to
 * the buffer at all: DMA_TO_DEVICE.
 *
 * Context: Any.
 */
void nursery_dma_sync_for_cpu(struct nursery_dma *buf)
{
	WARN_ONCE(IS_ENABLED(CONFIG_DMA_API_DEBUG) && buf->dir == DMA_TO_DEVICE,
		  "nursery: %s: sync for the CPU of a buffer that the device only reads (%s)\n",
		  dev_name(buf->dev), buf->resource.type->name);
	if (kind_of(buf)->sync)
		kind_of(buf)->sync(buf, true);
}
EXPORT_SYMBOL_GPL(nursery_dma_sync_for_cpu);

/**
 * nursery_dma_sync_for_device - let the device see what the CPU has written
 * @buf: the buffer, of any kind
 *
 * To be called when the CPU is done with it, before the next transfer is started. Also
 * where the device only writes (DMA_FROM_DEVICE): the buffer is the device's
 * again. Nothing is done, and nothing is to be, as for nursery_dma_sync_for_cpu().
 *
 * Context: Any.
 */
void nursery_dma_sync_for_device(struct nursery_dma *buf)
{
	if (kind_of(buf)->sync)
		kind_of(buf)->sync(buf, false);
}
EXPORT_SYMBOL_GPL(nursery_dma_sync_for_device);
