/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scoped DMA: buffers that belong to a nursery.
 *
 * A buffer is released when its nursery has been joined and never before, so
 * it cannot be freed under a transfer that is a child of that nursery.
 */
#ifndef _LINUX_NURSERY_DMA_H
#define _LINUX_NURSERY_DMA_H

#include <linux/dma-direction.h>
#include <linux/nursery_resource.h>
#include <linux/types.h>

struct device;

/**
 * struct nursery_dma - a DMA buffer that a nursery owns
 * @dev: the device that uses it; a reference is held
 * @cpu: its address for the CPU
 * @addr: its address for the device
 * @size: in bytes
 * @dir: which way the data goes
 */
struct nursery_dma {
	struct device		*dev;
	void			*cpu;
	dma_addr_t		addr;
	size_t			size;
	enum dma_data_direction	dir;
	/* private: */
	struct nursery_resource	resource;
};

struct nursery_dma *nursery_dma_alloc(struct nursery *n, struct device *dev,
				      size_t size, gfp_t gfp);

#endif /* _LINUX_NURSERY_DMA_H */
