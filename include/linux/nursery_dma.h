/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scoped DMA: buffers that belong to a nursery.
 *
 * A buffer is released when its nursery has been joined, or before that when no
 * child has it, so it cannot be freed under a transfer that is a child of that nursery.
 */
#ifndef _LINUX_NURSERY_DMA_H
#define _LINUX_NURSERY_DMA_H

#include <linux/dma-direction.h>
#include <linux/err.h>
#include <linux/kconfig.h>
#include <linux/nursery_resource.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct completion;
struct device;
struct dma_buf;
struct dma_pool;
struct nursery_child;
struct page;
struct sg_table;
struct nursery;

/**
 * struct nursery_loan - a buffer that a child has
 *
 * For nursery_dma_lend_also(); all fields are private. Zeroed before its first use.
 */
struct nursery_loan {
	/* private: see kmod/dma_lend.c */
	struct hlist_node	node;
	struct nursery_dma	*buf;		/* NULL: it is none; @buf's lock */
	struct nursery_child	*child;
};

/**
 * struct nursery_dma - memory that a device may use, which a nursery owns
 * @dev: the device that uses it; a reference is held
 * @cpu: its address for the CPU; NULL: there is none
 * @addr: its address for the device; where that sees it in several segments, of the first
 * @size: in bytes
 * @dir: which way the data goes
 * @sgt: its segments for the device, mapped; NULL: there is just the one
 *
 * Only to be read. Valid until the nursery has been joined, or nursery_dma_release().
 */
struct nursery_dma {
	struct device		*dev;
	void			*cpu;
	dma_addr_t		addr;
	size_t			size;
	enum dma_data_direction	dir;
	struct sg_table		*sgt;
	/* private: */
	struct nursery_resource	resource;
	struct nursery		*nursery;	/* as long as that has it */
	raw_spinlock_t		lock;		/* what follows */
	bool			leaves;		/* it is not lent any more */
	bool			stays;		/* until the join: see dma_lend.c */
	bool			unsafe;		/* to be withheld then */
	unsigned int		nr_loans;
	struct completion	*returned;	/* somebody waits for all of them */
	struct nursery_loan	loan;		/* one of them */
};

struct nursery_dma *nursery_dma_alloc(struct nursery *n, struct device *dev,
				      size_t size, gfp_t gfp);
struct nursery_dma *nursery_dma_alloc_noncontiguous(struct nursery *n, struct device *dev,
						    size_t size, enum dma_data_direction dir,
						    gfp_t gfp);
struct nursery_dma *nursery_dma_pool_alloc(struct nursery *n, struct device *dev,
					   struct dma_pool *pool, size_t size, gfp_t gfp);
struct nursery_dma *nursery_dma_map_single(struct nursery *n, struct device *dev, void *ptr,
					   size_t size, enum dma_data_direction dir);
struct nursery_dma *nursery_dma_map_page(struct nursery *n, struct device *dev,
					 struct page *page, size_t offset, size_t size,
					 enum dma_data_direction dir);
struct nursery_dma *nursery_dma_map_table(struct nursery *n, struct device *dev,
					  struct sg_table *sgt, enum dma_data_direction dir);
int nursery_dma_map_sgtable(struct nursery *n, struct device *dev, struct sg_table *sgt,
			    enum dma_data_direction dir);
struct nursery_dma *nursery_dma_map_pages(struct nursery *n, struct device *dev,
					  struct page **pages, unsigned int nr,
					  enum dma_data_direction dir);
struct nursery_dma *nursery_dma_map_user(struct nursery *n, struct device *dev,
					 void __user *addr, size_t size,
					 enum dma_data_direction dir);

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
struct nursery_dma *nursery_dma_alloc_shareable(struct nursery *n, struct device *dev,
						size_t size, enum dma_data_direction dir,
						gfp_t gfp);
struct dma_buf *nursery_dma_export(struct nursery_dma *buf, int flags);
struct nursery_dma *nursery_dma_import(struct nursery *n, struct device *dev,
				       struct dma_buf *dmabuf, enum dma_data_direction dir);
#else
static inline struct nursery_dma *
nursery_dma_alloc_shareable(struct nursery *n, struct device *dev, size_t size,
			    enum dma_data_direction dir, gfp_t gfp)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline struct dma_buf *nursery_dma_export(struct nursery_dma *buf, int flags)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline struct nursery_dma *nursery_dma_import(struct nursery *n, struct device *dev,
						     struct dma_buf *dmabuf,
						     enum dma_data_direction dir)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#endif

void nursery_dma_sync_for_cpu(struct nursery_dma *buf);
void nursery_dma_sync_for_device(struct nursery_dma *buf);
void nursery_set_quiesce(struct nursery *n, int (*stop)(struct nursery *n, void *data),
			 void *data);
unsigned long nursery_dma_release_quarantine(struct device *dev);

int nursery_dma_lend(struct nursery_dma *buf, struct nursery_child *child);
int nursery_dma_lend_also(struct nursery_dma *buf, struct nursery_child *child,
			  struct nursery_loan *loan);
void nursery_dma_return(struct nursery_dma *buf, struct nursery_child *child);
int nursery_dma_release(struct nursery_dma *buf);
void nursery_dma_release_wait(struct nursery_dma *buf);

#endif /* _LINUX_NURSERY_DMA_H */
