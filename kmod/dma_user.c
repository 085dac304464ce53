// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a process, pinned and mapped for a device; unmapped and unpinned after the
 * join.
 *
 * The pin is a long-term one (FOLL_LONGTERM). How long it lasts is not up to the kernel:
 * a scope lives until its children end, and may be a file that a process keeps open; and
 * where the hardware cannot be proved stopped, the pages are withheld until a
 * reset. So they are first moved to where they do not stand in the way of others (memory
 * hotplug, CMA), and memory that cannot be pinned for so long (a file's, where its
 * filesystem has to know of each write) is refused at once instead of corrupted later.
 *
 * For the same reason they count as locked memory of the process (RLIMIT_MEMLOCK), as
 * those of VFIO do. The mm is kept for that, but not what is mapped in it: a process may
 * exit, or unmap the range, and the device goes on with pages that are nobody else's.
 *
 * If the device may have written, the pages are marked dirty as they are unpinned: when
 * the mapping is gone, so what the device wrote is there, and under the page lock, as
 * filesystems ask for.
 */
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "dma.h"

struct user_memory {
	struct nursery_dma	dma;
	struct sg_table		table;
	struct mm_struct	*mm;		/* in whose locked_vm they count */
	struct page		**pages;
	unsigned long		nr;		/* in @pages */
};

static struct user_memory *to_user(struct nursery_dma *buf)
{
	return container_of(buf, struct user_memory, dma);
}

/* Does the device write to it? */
static bool is_written(const struct nursery_dma *buf)
{
	return buf->dir != DMA_TO_DEVICE;
}

/* What is pinned goes, dirty or not, and what was counted with it. */
static void unpin(struct user_memory *u, unsigned long nr_pinned, bool dirty)
{
	unpin_user_pages_dirty_lock(u->pages, nr_pinned, dirty);
	kvfree(u->pages);
	account_locked_vm(u->mm, u->nr, false);
	mmdrop(u->mm);
}

/* Return: 0, or an errno with nothing pinned, counted or held. */
static int pin(struct user_memory *u, unsigned long start)
{
	unsigned int flags = FOLL_LONGTERM | (is_written(&u->dma) ? FOLL_WRITE : 0);
	unsigned long done = 0;
	int err, got;

	err = account_locked_vm(current->mm, u->nr, true);
	if (err)
		return err;
	u->mm = current->mm;
	mmgrab(u->mm);
	/* As large as the process says: it may be too much, which is no news. */
	u->pages = kvmalloc_array(u->nr, sizeof(*u->pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!u->pages) {
		unpin(u, 0, false);
		return -ENOMEM;
	}
	while (done < u->nr) {
		got = pin_user_pages_fast(start + done * PAGE_SIZE,
					  min_t(unsigned long, u->nr - done, INT_MAX),
					  flags, u->pages + done);
		if (got <= 0) {
			unpin(u, done, false);
			return got ?: -EFAULT;
		}
		done += got;
	}
	return 0;
}

static int map(struct user_memory *u, unsigned int offset)
{
	struct nursery_dma *buf = &u->dma;
	int err;

	err = sg_alloc_table_from_pages_segment(&u->table, u->pages, u->nr, offset, buf->size,
						dma_get_max_seg_size(buf->dev), GFP_KERNEL);
	if (err)
		return err;
	err = dma_map_sgtable(buf->dev, &u->table, buf->dir, 0);
	if (err)
		sg_free_table(&u->table);
	else
		nursery_dma_set_table(buf, &u->table);
	return err;
}

static void free_user(struct nursery_dma *buf)
{
	struct user_memory *u = to_user(buf);

	dma_unmap_sgtable(buf->dev, buf->sgt, buf->dir, 0);
	sg_free_table(buf->sgt);
	unpin(u, u->nr, is_written(buf));
}

static const struct nursery_dma_kind user_kind = {
	.type = NURSERY_DMA_TYPE("user"), .free = free_user, .sync = nursery_dma_sync_table,
};

/**
 * nursery_dma_map_user - pin memory of the calling process and map it for a device
 * @n: the nursery
 * @dev: the device that will use it; a reference is held until the release
 * @addr: where it begins; need not be aligned
 * @size: in bytes
 * @dir: which way the data will go. The process must be allowed to read, and unless it
 *	is DMA_TO_DEVICE to write there
 *
 * The device is to be told the segments of the buffer's @sgt; there is no address for the
 * kernel. Unpinned after the join, or by nursery_dma_release(), and marked dirty then
 * if the device could write. Until then, in quarantine as well (nursery_set_quiesce()), the
 * pages count as locked memory of the process, even if it unmaps them, or exits.
 *
 * The process may touch the memory while the device has it, and see anything there: the
 * driver must be content with whatever the device reads.
 *
 * Context: Process context, that of the process, may sleep; mmap_lock not held. Neither
 *	    may who joins @n hold it, of whatever process.
 * Return: the buffer, or ERR_PTR: -EFAULT not all of it is memory that may be used so;
 *	   -EOPNOTSUPP it cannot be pinned for long; -ENOMEM there is no memory, or
 *	   RLIMIT_MEMLOCK would be exceeded; what dma_map_sgtable() returns; -ESHUTDOWN @n
 *	   has been joined; -EINVAL @size is 0 or reaches beyond all addresses, @dir is no
 *	   direction, or the caller is a kernel thread.
 */
struct nursery_dma *nursery_dma_map_user(struct nursery *n, struct device *dev,
					 void __user *addr, size_t size,
					 enum dma_data_direction dir)
{
	unsigned long start = (unsigned long)addr, last;
	struct nursery_dma *buf;
	struct user_memory *u;
	int err;

	if (!current->mm || !size || check_add_overflow(start, size - 1, &last))
		return ERR_PTR(-EINVAL);
	buf = nursery_dma_new(sizeof(*u), dev, size, dir, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(buf))
		return buf;
	u = to_user(buf);
	u->nr = (last >> PAGE_SHIFT) - (start >> PAGE_SHIFT) + 1;
	err = pin(u, start & PAGE_MASK);
	if (err)
		return nursery_dma_drop(buf, err);
	err = map(u, offset_in_page(start));
	if (err) {
		unpin(u, u->nr, false);
		return nursery_dma_drop(buf, err);
	}
	return nursery_dma_own(n, buf, &user_kind);
}
EXPORT_SYMBOL_GPL(nursery_dma_map_user);
