// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA buffers that can be shared as a dma-buf, which may outlive the scope.
 *
 * Memory of the DMA API's own cannot do that: it belongs to a device, and has to be given
 * back while that is bound to its driver, which is what the join is for. So these buffers
 * are pages of ours, which are counted: the nursery has one reference and the dma-buf
 * another. The join unmaps them from the scope's device and drops the first; the last one
 * that is dropped frees them. What importers have of them is mapped for their devices,
 * and theirs to unmap: it is their transfers that the pages wait for.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "dma.h"

NURSERY_IMPORT_NS(DMA_BUF);

/* Pages that a buffer and its dma-buf share. */
struct shared_pages {
	struct kref		refs;
	void			*cpu;
	unsigned int		nr;
	struct mutex		lock;		/* @mappings */
	struct list_head	mappings;	/* of importers */
	struct page		*pages[] __counted_by(nr);
};

struct shareable {
	struct nursery_dma	dma;
	struct sg_table		table;
	struct shared_pages	*shared;
	atomic_t		exported;
};

/* For an importer's device: on the list while the CPU may want it to be synced. */
struct mapping {
	struct sg_table		table;
	struct device		*dev;
	enum dma_data_direction	dir;
	struct list_head	node;
};

static struct shareable *to_shareable(struct nursery_dma *buf)
{
	return container_of(buf, struct shareable, dma);
}

static void free_shared_pages(struct kref *refs)
{
	struct shared_pages *shared = container_of(refs, struct shared_pages, refs);
	unsigned int i;

	if (shared->cpu)
		vunmap(shared->cpu);
	for (i = 0; i < shared->nr && shared->pages[i]; i++)
		__free_page(shared->pages[i]);
	mutex_destroy(&shared->lock);
	kvfree(shared);
}

static void put_shared_pages(struct shared_pages *shared)
{
	kref_put(&shared->refs, free_shared_pages);
}

static struct shared_pages *new_shared_pages(unsigned int nr, gfp_t gfp)
{
	struct shared_pages *shared = kvzalloc(struct_size(shared, pages, nr), gfp);
	unsigned int i;

	if (!shared)
		return NULL;
	kref_init(&shared->refs);
	mutex_init(&shared->lock);
	INIT_LIST_HEAD(&shared->mappings);
	shared->nr = nr;
	for (i = 0; i < nr; i++) {
		shared->pages[i] = alloc_page(gfp | __GFP_ZERO);
		if (!shared->pages[i])
			goto fail;
	}
	shared->cpu = vmap(shared->pages, nr, VM_MAP, PAGE_KERNEL);
	if (shared->cpu)
		return shared;
fail:
	put_shared_pages(shared);
	return NULL;
}

/* All pages as a table, mapped for a device. */
static int map_pages(struct shared_pages *shared, struct device *dev, struct sg_table *table,
		     enum dma_data_direction dir, unsigned long attrs)
{
	int err;

	err = sg_alloc_table_from_pages_segment(table, shared->pages, shared->nr, 0,
						(size_t)shared->nr << PAGE_SHIFT,
						dma_get_max_seg_size(dev), GFP_KERNEL);
	if (err)
		return err;
	err = dma_map_sgtable(dev, table, dir, attrs);
	if (err)
		sg_free_table(table);
	return err;
}

static void free_shareable(struct nursery_dma *buf)
{
	dma_unmap_sgtable(buf->dev, buf->sgt, buf->dir, 0);
	sg_free_table(buf->sgt);
	put_shared_pages(to_shareable(buf)->shared);
}

static const struct nursery_dma_kind shareable = {
	.type = NURSERY_DMA_TYPE("shareable"),
	.free = free_shareable, .sync = nursery_dma_sync_alias,
};

/**
 * nursery_dma_alloc_shareable - a DMA buffer that can be exported as a dma-buf
 * @n: the nursery
 * @dev: the device that will use it; a reference is held until the release
 * @size: in bytes, a multiple of PAGE_SIZE, as all of the last page is shared, too
 * @dir: which way the data will go, for @dev
 * @gfp: how to allocate
 *
 * Zeroed, with one address for the kernel. The device is to be told the segments of the
 * buffer's @sgt. Not coherent: it is the CPU's at first, and changes hands by
 * nursery_dma_sync_for_device() and nursery_dma_sync_for_cpu(). Unmapped after the
 * join, or by nursery_dma_release(), and freed then unless nursery_dma_export() has
 * made others share it.
 *
 * Context: Process context, may sleep.
 * Return: the buffer, or ERR_PTR: -ENOMEM; what dma_map_sgtable() returns; -ESHUTDOWN @n
 *	   has been joined; -EINVAL @size is 0, no multiple or too large, or @dir is no
 *	   direction.
 */
struct nursery_dma *nursery_dma_alloc_shareable(struct nursery *n, struct device *dev,
						size_t size, enum dma_data_direction dir,
						gfp_t gfp)
{
	struct nursery_dma *buf;
	struct shareable *s;
	int err;

	if (!PAGE_ALIGNED(size) || size >> PAGE_SHIFT > INT_MAX)
		return ERR_PTR(-EINVAL);
	buf = nursery_dma_new(sizeof(*s), dev, size, dir, gfp);
	if (IS_ERR(buf))
		return buf;
	s = to_shareable(buf);
	s->shared = new_shared_pages(size >> PAGE_SHIFT, gfp);
	if (!s->shared)
		return nursery_dma_drop(buf, -ENOMEM);
	err = map_pages(s->shared, dev, &s->table, dir, 0);
	if (err) {
		put_shared_pages(s->shared);
		return nursery_dma_drop(buf, err);
	}
	buf->cpu = s->shared->cpu;
	nursery_dma_set_table(buf, &s->table);
	return nursery_dma_own(n, buf, &shareable);
}
EXPORT_SYMBOL_GPL(nursery_dma_alloc_shareable);

/*
 * The pages are mapped for the scope's device, too, and maybe for other importers. That is
 * allowed to who syncs by itself: DMA_ATTR_SKIP_CPU_SYNC.
 */
static struct sg_table *map_for_importer(struct dma_buf_attachment *attachment,
					 enum dma_data_direction dir)
{
	struct shared_pages *shared = attachment->dmabuf->priv;
	struct mapping *m = kzalloc(sizeof(*m), GFP_KERNEL);
	int err;

	if (!m)
		return ERR_PTR(-ENOMEM);
	m->dev = attachment->dev;
	m->dir = dir;
	err = map_pages(shared, m->dev, &m->table, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (err) {
		kfree(m);
		return ERR_PTR(err);
	}
	dma_sync_sgtable_for_device(m->dev, &m->table, dir);
	mutex_lock(&shared->lock);
	list_add(&m->node, &shared->mappings);
	mutex_unlock(&shared->lock);
	return &m->table;
}

static void unmap_for_importer(struct dma_buf_attachment *attachment, struct sg_table *table,
			       enum dma_data_direction dir)
{
	struct shared_pages *shared = attachment->dmabuf->priv;
	struct mapping *m = container_of(table, struct mapping, table);

	mutex_lock(&shared->lock);
	list_del(&m->node);
	mutex_unlock(&shared->lock);
	dma_sync_sgtable_for_cpu(m->dev, table, dir);
	dma_unmap_sgtable(m->dev, table, dir, DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(table);
	kfree(m);
}

/*
 * In the direction of each mapping, whatever the CPU is about to do. The scope's own device
 * is not among them: its transfers are the driver's to sync.
 */
static int begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct shared_pages *shared = dmabuf->priv;
	struct mapping *m;

	mutex_lock(&shared->lock);
	list_for_each_entry(m, &shared->mappings, node)
		dma_sync_sgtable_for_cpu(m->dev, &m->table, m->dir);
	invalidate_kernel_vmap_range(shared->cpu, dmabuf->size);
	mutex_unlock(&shared->lock);
	return 0;
}

static int end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct shared_pages *shared = dmabuf->priv;
	struct mapping *m;

	mutex_lock(&shared->lock);
	flush_kernel_vmap_range(shared->cpu, dmabuf->size);
	list_for_each_entry(m, &shared->mappings, node)
		dma_sync_sgtable_for_device(m->dev, &m->table, m->dir);
	mutex_unlock(&shared->lock);
	return 0;
}

static int map_for_process(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct shared_pages *shared = dmabuf->priv;

	return vm_map_pages(vma, shared->pages, shared->nr);
}

static int map_for_kernel(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct shared_pages *shared = dmabuf->priv;

	iosys_map_set_vaddr(map, shared->cpu);
	return 0;
}

static void release(struct dma_buf *dmabuf)
{
	put_shared_pages(dmabuf->priv);
}

static const struct dma_buf_ops export_ops = {
	.map_dma_buf = map_for_importer,
	.unmap_dma_buf = unmap_for_importer,
	.begin_cpu_access = begin_cpu_access,
	.end_cpu_access = end_cpu_access,
	.mmap = map_for_process,
	.vmap = map_for_kernel,
	.release = release,
};

/**
 * nursery_dma_export - share a buffer with others
 * @buf: the buffer, from nursery_dma_alloc_shareable()
 * @flags: O_RDWR or O_RDONLY, for those who get it as a file
 *
 * The dma-buf is the caller's: to be handed out by dma_buf_fd(), or given back by
 * dma_buf_put(). It, and what importers have of it, may outlive the nursery and its
 * device, and keep nursery.ko loaded; the memory is freed when all are done with it.
 *
 * Waiting for one another is for those who share it to arrange, by the dma-buf's
 * reservation object or otherwise: there is one dma-buf to a buffer, so one such object.
 *
 * Context: Process context, may sleep; the nursery has not been joined.
 * Return: the dma-buf, or ERR_PTR: -EINVAL @buf is of another kind; -EBUSY it has been
 *	   exported before; -ENOMEM.
 */
struct dma_buf *nursery_dma_export(struct nursery_dma *buf, int flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	struct shareable *s;

	if (buf->resource.type != &shareable.type)
		return ERR_PTR(-EINVAL);
	s = to_shareable(buf);
	if (atomic_xchg(&s->exported, true))
		return ERR_PTR(-EBUSY);
	info.ops = &export_ops;
	info.size = buf->size;
	info.flags = flags;
	info.priv = s->shared;
	kref_get(&s->shared->refs);
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		put_shared_pages(s->shared);
		atomic_set(&s->exported, false);
	}
	return dmabuf;
}
EXPORT_SYMBOL_GPL(nursery_dma_export);
