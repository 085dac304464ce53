// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for QEMU's edu device that sends what a process says through the device and
 * back, in DMA memory of whatever kind: /dev/nursery_kinds, see nursery_kinds.h. It is
 * right but for KINDS_LIE, which ends the scope under a live transfer: the mapping is
 * released then, and the IOMMU is to report it.
 *
 * It has no table of ids: a device has to be given to it by driver_override. One device.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/dmapool.h>
#include <linux/file.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_dma.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../../../kmod/compat.h"
#include "../../../samples/nursery_edu/nursery_edu.h"
#include "nursery_kinds.h"

NURSERY_IMPORT_NS(DMA_BUF);

struct kinds_device {
	struct pci_dev		*pdev;
	struct device		*dev;
	void __iomem		*regs;
	struct miscdevice	misc;
	struct mutex		lock;		/* one job at a time */
	struct nursery_child	*transfer;	/* in the engine; whoever takes it completes it */
};

/* One side of a job: a buffer, and how the kernel gets at what is in it. */
struct side {
	struct nursery_dma	*buf;
	void			*cpu;		/* what the buffer is made of, or it has */
	struct sg_table		table;
	struct dma_buf		*dmabuf;
};

static void complete_transfer(struct kinds_device *k)
{
	struct nursery_child *c = xchg(&k->transfer, NULL);

	if (c)
		nursery_child_complete(c, 0);
}

static irqreturn_t kinds_interrupt(int irq, void *data)
{
	struct kinds_device *k = data;
	u32 status = readl(k->regs + EDU_IRQ_STATUS);

	if (!status || PCI_POSSIBLE_ERROR(status))
		return IRQ_NONE;
	writel(status, k->regs + EDU_IRQ_ACK);
	if (status & EDU_IRQ_DMA)
		complete_transfer(k);
	return IRQ_HANDLED;
}

static int transfer(struct nursery *n, struct kinds_device *k, dma_addr_t src, dma_addr_t dst,
		    u32 len, u32 direction, bool lie)
{
	struct nursery_child c;
	int err;

	nursery_child_init(&c, NULL, NULL);
	err = nursery_child_begin(n, &c);
	if (err)
		return err;
	xchg(&k->transfer, &c);
	writel(src, k->regs + EDU_DMA_SRC);
	writel(dst, k->regs + EDU_DMA_DST);
	writel(len, k->regs + EDU_DMA_COUNT);
	writel(EDU_DMA_START | EDU_DMA_IRQ | direction, k->regs + EDU_DMA_CMD);
	if (lie)
		complete_transfer(k);
	return nursery_child_join(&c);
}

/* The address for the device of the byte at @at, and how many more there are in a row. */
static dma_addr_t find(const struct nursery_dma *buf, size_t at, u32 *len)
{
	struct scatterlist *sg;
	int i;

	if (!buf->sgt) {
		*len = min_t(size_t, buf->size - at, EDU_TRANSFER);
		return buf->addr + at;
	}
	for_each_sgtable_dma_sg(buf->sgt, sg, i) {
		if (at < sg_dma_len(sg)) {
			*len = min_t(size_t, sg_dma_len(sg) - at, EDU_TRANSFER);
			return sg_dma_address(sg) + at;
		}
		at -= sg_dma_len(sg);
	}
	*len = 0;
	return 0;
}

/* Through the device, piece by piece. @lie: the last transfer to RAM is not waited for. */
static int send(struct nursery *n, struct kinds_device *k, struct nursery_dma *src,
		struct nursery_dma *dst, size_t size, bool lie)
{
	dma_addr_t from, to;
	u32 len, room;
	size_t at;
	int err;

	for (at = 0; at < size; at += len) {
		from = find(src, at, &len);
		to = find(dst, at, &room);
		len = min3(len, room, (u32)(size - at));
		if (!len)
			return -EIO;
		err = transfer(n, k, from, EDU_BUFFER, len, 0, false);
		if (!err)
			err = transfer(n, k, EDU_BUFFER, to, len, EDU_DMA_TO_RAM,
				       lie && at + len == size);
		if (err)
			return err;
	}
	return 0;
}

static void free_exact(void *memory)
{
	free_pages_exact(memory, KINDS_SIZE);
}

/* Pages that the nursery owns, to be mapped. */
static void *own_pages(struct nursery *n)
{
	void *memory = alloc_pages_exact(KINDS_SIZE, GFP_KERNEL | __GFP_ZERO);
	int err;

	if (!memory)
		return ERR_PTR(-ENOMEM);
	err = nursery_defer(n, free_exact, memory);
	if (err) {
		free_exact(memory);
		return ERR_PTR(err);
	}
	return memory;
}

static void destroy_pool(void *pool)
{
	dma_pool_destroy(pool);
}

static struct nursery_dma *make_pooled(struct nursery *n, struct kinds_device *k)
{
	struct dma_pool *pool = dma_pool_create("nursery_kinds", k->dev, KINDS_SIZE, 8, 0);
	int err;

	if (!pool)
		return ERR_PTR(-ENOMEM);
	err = nursery_defer(n, destroy_pool, pool);
	if (err) {
		dma_pool_destroy(pool);
		return ERR_PTR(err);
	}
	return nursery_dma_pool_alloc(n, k->dev, pool, KINDS_SIZE, GFP_KERNEL);
}

static void free_table(void *table)
{
	sg_free_table(table);
}

/* In segments of a page, and the first of them does not begin with one. */
static struct nursery_dma *make_table(struct nursery *n, struct kinds_device *k, struct side *s,
				      enum dma_data_direction dir)
{
	struct scatterlist *sg;
	size_t at = 0, len;
	int i, err;

	s->cpu = own_pages(n);
	if (IS_ERR(s->cpu))
		return ERR_CAST(s->cpu);
	err = sg_alloc_table(&s->table, 3, GFP_KERNEL);
	if (err)
		return ERR_PTR(err);
	for_each_sgtable_sg(&s->table, sg, i) {
		len = i == 0 ? 1000 : i == 1 ? 3096 : KINDS_SIZE - at;
		sg_set_buf(sg, s->cpu + at, len);
		at += len;
	}
	err = nursery_defer(n, free_table, &s->table);
	if (err) {
		sg_free_table(&s->table);
		return ERR_PTR(err);
	}
	return nursery_dma_map_table(n, k->dev, &s->table, dir);
}

static void put_dma_buf(void *dmabuf)
{
	dma_buf_put(dmabuf);
}

/* Exported from a scope that is no more when it is imported. */
static struct nursery_dma *make_imported(struct nursery *n, struct kinds_device *k,
					 struct side *s, const void *data, size_t size,
					 enum dma_data_direction dir)
{
	struct dma_buf *dmabuf = ERR_PTR(-ENOMEM);
	int err;

	scoped_nursery(exporter, .name = "exporter", .outer = n) {
		struct nursery_dma *buf = nursery_dma_alloc_shareable(exporter, k->dev, KINDS_SIZE,
								      dir, GFP_KERNEL);

		if (IS_ERR(buf))
			return buf;
		if (dir == DMA_TO_DEVICE)
			memcpy(buf->cpu, data, size);
		dmabuf = nursery_dma_export(buf, O_RDWR);
	}
	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	err = nursery_defer(n, put_dma_buf, dmabuf);
	if (err) {
		dma_buf_put(dmabuf);
		return ERR_PTR(err);
	}
	s->dmabuf = dmabuf;
	return nursery_dma_import(n, k->dev, dmabuf, dir);
}

static struct nursery_dma *make(struct nursery *n, struct kinds_device *k,
				const struct kinds_job *job, struct side *s, void *data,
				enum dma_data_direction dir)
{
	struct page *page;

	switch (job->kind) {
	case KINDS_COHERENT:
		return nursery_dma_alloc(n, k->dev, KINDS_SIZE, GFP_KERNEL);
	case KINDS_NONCONTIGUOUS:
		return nursery_dma_alloc_noncontiguous(n, k->dev, KINDS_SIZE, dir, GFP_KERNEL);
	case KINDS_POOL:
		return make_pooled(n, k);
	case KINDS_SINGLE:
		s->cpu = nursery_kzalloc(n, KINDS_SIZE, GFP_KERNEL);
		if (!s->cpu)
			return ERR_PTR(-ENOMEM);
		return nursery_dma_map_single(n, k->dev, s->cpu, KINDS_SIZE, dir);
	case KINDS_PAGE:
		s->cpu = own_pages(n);
		if (IS_ERR(s->cpu))
			return ERR_CAST(s->cpu);
		page = virt_to_page(s->cpu);
		return nursery_dma_map_page(n, k->dev, page, 0, KINDS_SIZE, dir);
	case KINDS_SGTABLE:
		return make_table(n, k, s, dir);
	case KINDS_USER:
		return nursery_dma_map_user(n, k->dev,
					    u64_to_user_ptr(dir == DMA_TO_DEVICE ? job->src :
							    job->dst), job->size, dir);
	case KINDS_SHAREABLE:
		return nursery_dma_alloc_shareable(n, k->dev, KINDS_SIZE, dir, GFP_KERNEL);
	case KINDS_IMPORTED:
		return make_imported(n, k, s, data, job->size, dir);
	}
	return ERR_PTR(-EINVAL);
}

/* What has arrived, for a kind that the process does not see itself. */
static int fetch(struct side *dst, void *data, size_t size)
{
	struct iosys_map map;
	int err;

	if (!dst->dmabuf) {
		memcpy(data, dst->buf->cpu ?: dst->cpu, size);
		return 0;
	}
	err = dma_buf_begin_cpu_access(dst->dmabuf, DMA_FROM_DEVICE);
	if (err)
		return err;
	dma_resv_lock(dst->dmabuf->resv, NULL);
	err = dma_buf_vmap(dst->dmabuf, &map);
	if (!err) {
		memcpy(data, map.vaddr, size);
		dma_buf_vunmap(dst->dmabuf, &map);
	}
	dma_resv_unlock(dst->dmabuf->resv);
	return dma_buf_end_cpu_access(dst->dmabuf, DMA_FROM_DEVICE) ?: err;
}

static int run_in_scope(struct nursery *n, struct kinds_device *k, const struct kinds_job *job,
			struct side *sides, void *data)
{
	struct side *src = &sides[0], *dst = &sides[1];
	bool by_us = job->kind != KINDS_USER && job->kind != KINDS_IMPORTED;
	int err;

	src->buf = make(n, k, job, src, data, DMA_TO_DEVICE);
	if (IS_ERR(src->buf))
		return PTR_ERR(src->buf);
	dst->buf = make(n, k, job, dst, data, DMA_FROM_DEVICE);
	if (IS_ERR(dst->buf))
		return PTR_ERR(dst->buf);
	if (job->flags & KINDS_NO_TRANSFER)
		return 0;
	if (by_us)
		memcpy(src->buf->cpu ?: src->cpu, data, job->size);
	if (job->kind != KINDS_IMPORTED) {
		nursery_dma_sync_for_device(src->buf);
		nursery_dma_sync_for_device(dst->buf);
	}
	memset(data, 0, job->size);
	err = send(n, k, src->buf, dst->buf, job->size, job->flags & KINDS_LIE);
	if (err || job->kind == KINDS_USER)
		return err;
	if (by_us)
		nursery_dma_sync_for_cpu(dst->buf);
	return fetch(dst, data, job->size);
}

static bool is_dirty(u64 addr)
{
	struct page *page;
	bool dirty;

	if (get_user_pages_fast(addr & PAGE_MASK, 1, 0, &page) != 1)
		return false;
	dirty = PageDirty(page);
	put_page(page);
	return dirty;
}

static int wait_for_engine(struct kinds_device *k)
{
	u32 command;

	return readl_poll_timeout(k->regs + EDU_DMA_CMD, command, !(command & EDU_DMA_START),
				  10 * USEC_PER_MSEC, 10 * USEC_PER_SEC);
}

static int run(struct kinds_device *k, struct kinds_job *job, struct side *sides, void *data)
{
	int err = 0, joined;

	if (job->kind != KINDS_USER &&
	    copy_from_user(data, u64_to_user_ptr(job->src), job->size))
		return -EFAULT;
	scoped_nursery(n, .name = "kinds", .result = &joined)
		err = run_in_scope(n, k, job, sides, data);
	if (job->flags & KINDS_LIE)
		return wait_for_engine(k) ?: err ?: joined;
	if (err || joined)
		return err ?: joined;
	if (job->kind == KINDS_USER)
		job->dirty = is_dirty(job->src) + 2 * is_dirty(job->dst);
	else if (!(job->flags & KINDS_NO_TRANSFER) &&
		 copy_to_user(u64_to_user_ptr(job->dst), data, job->size))
		return -EFAULT;
	return 0;
}

static int run_job(struct kinds_device *k, struct kinds_job *job)
{
	struct side *sides;
	void *data;
	int err;

	if (!job->size || job->size > KINDS_SIZE)
		return -EINVAL;
	sides = kcalloc(2, sizeof(*sides), GFP_KERNEL);
	data = kmalloc(job->size, GFP_KERNEL);
	if (sides && data) {
		mutex_lock(&k->lock);
		err = run(k, job, sides, data);
		mutex_unlock(&k->lock);
	} else {
		err = -ENOMEM;
	}
	kfree(data);
	kfree(sides);
	return err;
}

/* An open file. */
struct holder {
	struct kinds_device	*k;
	struct nursery		nursery;
};

static int kinds_open(struct inode *inode, struct file *file)
{
	struct holder *h = kzalloc(sizeof(*h), GFP_KERNEL);

	if (!h)
		return -ENOMEM;
	h->k = container_of(file->private_data, struct kinds_device, misc);
	nursery_init(&h->nursery, NULL);
	file->private_data = h;
	return 0;
}

static int kinds_release(struct inode *inode, struct file *file)
{
	struct holder *h = file->private_data;

	nursery_join(&h->nursery);
	kfree(h);
	return 0;
}

static int export(struct holder *h)
{
	struct nursery_dma *buf;
	struct dma_buf *dmabuf;
	int fd;

	buf = nursery_dma_alloc_shareable(&h->nursery, h->k->dev, KINDS_SIZE, DMA_TO_DEVICE,
					  GFP_KERNEL);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	memset(buf->cpu, 0x77, KINDS_SIZE);
	nursery_dma_sync_for_device(buf);
	dmabuf = nursery_dma_export(buf, O_RDWR);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(dmabuf);
	return fd;
}

static long kinds_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct holder *h = file->private_data;
	void __user *user = (void __user *)arg;
	struct kinds_hold hold;
	struct kinds_job job;
	int err;

	switch (cmd) {
	case KINDS_RUN:
		if (copy_from_user(&job, user, sizeof(job)))
			return -EFAULT;
		err = run_job(h->k, &job);
		return err ?: copy_to_user(user, &job, sizeof(job)) ? -EFAULT : 0;
	case KINDS_HOLD:
		if (copy_from_user(&hold, user, sizeof(hold)))
			return -EFAULT;
		return PTR_ERR_OR_ZERO(nursery_dma_map_user(&h->nursery, h->k->dev,
							    u64_to_user_ptr(hold.addr), hold.size,
							    hold.write ? DMA_BIDIRECTIONAL :
							    DMA_TO_DEVICE));
	case KINDS_EXPORT:
		return export(h);
	}
	return -ENOTTY;
}

static const struct file_operations kinds_fops = {
	.owner		= THIS_MODULE,
	.open		= kinds_open,
	.release	= kinds_release,
	.unlocked_ioctl	= kinds_ioctl,
};

static int kinds_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct kinds_device *k = devm_kzalloc(&pdev->dev, sizeof(*k), GFP_KERNEL);
	int err;

	if (!k)
		return -ENOMEM;
	k->pdev = pdev;
	k->dev = &pdev->dev;
	mutex_init(&k->lock);
	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
	if (err)
		return err;
	k->regs = pcim_iomap_table(pdev)[0];
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (err)
		return err;
	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (err < 0)
		return err;
	err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), kinds_interrupt, IRQF_SHARED,
			       KBUILD_MODNAME, k);
	if (err)
		return err;
	k->misc = (struct miscdevice) {
		.minor = MISC_DYNAMIC_MINOR, .name = KBUILD_MODNAME, .fops = &kinds_fops,
		.parent = &pdev->dev,
	};
	pci_set_drvdata(pdev, k);
	return misc_register(&k->misc);
}

/* The test closes its files before: DMA_API_DEBUG says if something is still mapped. */
static void kinds_remove(struct pci_dev *pdev)
{
	struct kinds_device *k = pci_get_drvdata(pdev);

	misc_deregister(&k->misc);
}

static struct pci_driver kinds_driver = {
	.name	= KBUILD_MODNAME,
	.probe	= kinds_probe,
	.remove	= kinds_remove,
};
module_pci_driver(kinds_driver);

MODULE_DESCRIPTION("Test: DMA memory of every kind through QEMU's edu device");
MODULE_LICENSE("GPL");
