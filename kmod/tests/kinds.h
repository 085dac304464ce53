/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nursery's DMA memory of each kind, made from the same few pages, for tests that hold
 * for all of them. User memory is not among them: KUnit runs in a kernel thread; see
 * selftests/nursery/kinds.c.
 */
#ifndef _NURSERY_TESTS_KINDS_H
#define _NURSERY_TESTS_KINDS_H

#include <linux/nursery_dma.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>

#include "util.h"

#define KIND_PAGES	3
#define KIND_SIZE	(KIND_PAGES * PAGE_SIZE)

/* What the kinds are made of, and a device to make them for. */
struct kind_material {
	struct platform_device	*pdev;
	struct device		*dev;
	struct page		*page;
	struct page		*pages[KIND_PAGES];
	struct page		*others[KIND_PAGES];
	struct sg_table		table;		/* of @pages */
	struct dma_pool		*pool;
	void			*memory;	/* KIND_SIZE bytes */
	struct dma_buf		*dmabuf;	/* its scope is no more */
	enum dma_data_direction	dir;
	gfp_t			gfp;
};

struct kind {
	const char *name;
	struct nursery_dma *(*make)(struct nursery *n, struct kind_material *m);
	size_t size;
	bool streaming;		/* has the caller's direction */
	bool in_segments;
	bool no_cpu;		/* no address for the kernel */
	bool zeroed;
	bool not_synced;	/* by the nursery */
	bool once;		/* its material is in use from then on */
};

extern const struct kind kinds[];
extern const unsigned int nr_kinds;

/* For a suite: test->priv is a struct kind_material. Skips in a kernel without DMA. */
int kind_material_init(struct kunit *test);
void kind_material_exit(struct kunit *test);

/* How often the device is referred to: each buffer does. */
unsigned int device_refs(const struct device *dev);

#endif /* _NURSERY_TESTS_KINDS_H */
