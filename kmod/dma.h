/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kinds of DMA memory have in common: see dma.c. Each kind is a file.
 */
#ifndef _NURSERY_DMA_H
#define _NURSERY_DMA_H

#include <linux/nursery_dma.h>

/**
 * struct nursery_dma_kind - what buffers of one kind have in common
 * @type: its release is nursery_dma_released()
 * @free: undo what made the buffer, but for struct nursery_dma itself and the reference
 *	to its device. Process context, may sleep
 * @sync: hand it to the CPU (@for_cpu) or to the device. NULL: nothing is to be done,
 *	as both see what the other writes
 */
struct nursery_dma_kind {
	struct nursery_resource_type	type;
	void				(*free)(struct nursery_dma *buf);
	void				(*sync)(struct nursery_dma *buf, bool for_cpu);
};

void nursery_dma_released(struct nursery_resource *r);

#define NURSERY_DMA_TYPE(_name) {						\
	.name = _name, .release = nursery_dma_released,				\
	.flags = NURSERY_RESOURCE_DMA,						\
}

struct nursery_dma *nursery_dma_new(size_t bytes, struct device *dev, size_t size,
				    enum dma_data_direction dir, gfp_t gfp);
struct nursery_dma *nursery_dma_drop(struct nursery_dma *buf, int err);
struct nursery_dma *nursery_dma_own(struct nursery *n, struct nursery_dma *buf,
				    const struct nursery_dma_kind *kind);
void nursery_dma_set_table(struct nursery_dma *buf, struct sg_table *sgt);
void nursery_dma_sync_table(struct nursery_dma *buf, bool for_cpu);
void nursery_dma_sync_alias(struct nursery_dma *buf, bool for_cpu);

#endif /* _NURSERY_DMA_H */
