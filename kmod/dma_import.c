// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf of somebody else's, attached to and mapped for a device, and released after the
 * join.
 */
#include <linux/dma-buf.h>
#include <linux/export.h>
#include <linux/scatterlist.h>

#include "dma.h"

struct imported {
	struct nursery_dma		dma;
	struct dma_buf_attachment	*attachment;
};

static struct imported *to_imported(struct nursery_dma *buf)
{
	return container_of(buf, struct imported, dma);
}

/* Detach, and drop the reference. */
static void leave(struct dma_buf_attachment *attachment)
{
	struct dma_buf *dmabuf = attachment->dmabuf;

	dma_buf_detach(dmabuf, attachment);
	dma_buf_put(dmabuf);
}

static void free_imported(struct nursery_dma *buf)
{
	struct dma_buf_attachment *attachment = to_imported(buf)->attachment;

	dma_buf_unmap_attachment_unlocked(attachment, buf->sgt, buf->dir);
	leave(attachment);
}

/* The exporter's part may fail, and we have nobody to tell. */
static void sync_imported(struct nursery_dma *buf, bool for_cpu)
{
	WARN_ONCE(IS_ENABLED(CONFIG_DMA_API_DEBUG),
		  "nursery: %s: sync of an imported dma-buf: use dma_buf_%s_cpu_access()\n",
		  dev_name(buf->dev), for_cpu ? "begin" : "end");
}

static const struct nursery_dma_kind imported = {
	.type = NURSERY_DMA_TYPE("imported"), .free = free_imported, .sync = sync_imported,
};

/**
 * nursery_dma_import - map a dma-buf for a device
 * @n: the nursery
 * @dev: the device that will use it; a reference is held until the release
 * @dmabuf: the dma-buf; a reference is taken, and held until then: in quarantine as well
 * @dir: which way the data will go
 *
 * The device is to be told the segments of the buffer's @sgt, and there is no address for the
 * kernel. What others do with the memory the driver finds in the dma-buf's reservation
 * object, and for the CPU there are dma_buf_begin_cpu_access() and dma_buf_vmap().
 * Unmapped and detached after the join, or by nursery_dma_release().
 *
 * Context: Process context, may sleep; the dma-buf's reservation is not held.
 * Return: the buffer, or ERR_PTR: what dma_buf_attach() and dma_buf_map_attachment()
 *	   return; -ENOMEM; -ESHUTDOWN @n has been joined; -EINVAL @dir is no direction.
 */
struct nursery_dma *nursery_dma_import(struct nursery *n, struct device *dev,
				       struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct dma_buf_attachment *attachment;
	struct nursery_dma *buf;
	struct sg_table *sgt;

	buf = nursery_dma_new(sizeof(struct imported), dev, dmabuf->size, dir, GFP_KERNEL);
	if (IS_ERR(buf))
		return buf;
	attachment = dma_buf_attach(dmabuf, dev);
	if (IS_ERR(attachment))
		return nursery_dma_drop(buf, PTR_ERR(attachment));
	get_dma_buf(dmabuf);
	sgt = dma_buf_map_attachment_unlocked(attachment, dir);
	if (IS_ERR(sgt)) {
		leave(attachment);
		return nursery_dma_drop(buf, PTR_ERR(sgt));
	}
	to_imported(buf)->attachment = attachment;
	nursery_dma_set_table(buf, sgt);
	return nursery_dma_own(n, buf, &imported);
}
EXPORT_SYMBOL_GPL(nursery_dma_import);
