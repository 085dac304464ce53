// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a file's scoped buffer.
 *
 * User space maps it, operations address it, and hardware may be told to write to it. For
 * the kernel it is one range, as from vmalloc_user(). For hardware it is made of parts that are
 * as large as can be had without trouble: with an IOMMU each part is mapped by itself,
 * which is most of what it costs to have a device read or write a buffer.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "file.h"

/* 2 MB of small pages: larger ones are hardly there, and hardly better. */
#define LARGEST_ORDER	9U

/* Fill up to @nr of @pages with one part. Return: how many; 0: there is no memory. */
static unsigned int alloc_part(struct page **pages, unsigned int nr)
{
	/* If there is none that is large, the next smaller one will do. */
	const gfp_t light = __GFP_NORETRY | __GFP_NOWARN;
	unsigned int order = min_t(unsigned int, ilog2(nr), LARGEST_ORDER), i;
	struct page *page;

	for (;; order--) {
		page = alloc_pages(GFP_KERNEL | __GFP_ZERO | (order ? light : 0), order);
		if (page)
			break;
		if (!order)
			return 0;
	}
	/* User space has them one by one. */
	split_page(page, order);
	for (i = 0; i < 1U << order; i++)
		pages[i] = page + i;
	return 1U << order;
}

static void free_pages_of(struct page **pages, unsigned int nr)
{
	while (nr--)
		__free_page(pages[nr]);
	kvfree(pages);
}

/**
 * nursery_buffer_alloc - memory for a scoped buffer
 * @size: in bytes, whole pages
 * @pages: set to an array of its pages, which goes with the buffer
 *
 * Zeroed. To be freed by vfree().
 *
 * Context: Process context, may sleep.
 * Return: its address, or NULL.
 */
void *nursery_buffer_alloc(size_t size, struct page ***pages)
{
	unsigned int nr = size / PAGE_SIZE, done, part;
	struct page **array;
	void *buffer;

	array = kvmalloc_array(nr, sizeof(*array), GFP_KERNEL);
	if (!array)
		return NULL;
	for (done = 0; done < nr; done += part) {
		part = alloc_part(array + done, nr - done);
		if (!part)
			goto no_memory;
		cond_resched();
	}
	/* From here on the pages, and the array, are the range's. */
	buffer = vmap(array, nr, VM_MAP | VM_USERMAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (!buffer)
		goto no_memory;
	*pages = array;
	return buffer;

no_memory:
	free_pages_of(array, done);
	return NULL;
}
