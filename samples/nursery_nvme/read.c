// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading: what user space can ask for.
 *
 * A call reads into the caller's buffer: the controller writes to the very pages that user
 * space has mapped. It goes piece by piece. A piece is a nursery that owns the DMA mapping
 * of its part of the buffer, and has a child for each command; so the mapping goes when no
 * command can write to it any more, whatever ended them. The file that the buffer
 * belongs to stays as long as the call does.
 *
 * Several calls run at a time, on several processors, and each uses the queue of its own.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "nursery_nvme.h"

/* A piece that takes so long is given up; the controller has so long to abort it. */
#define TIMEOUT	(30 * NSEC_PER_SEC)
#define GRACE	(NSEC_PER_SEC / 2)

/* Some pages of a buffer, as a nursery owns them. */
struct mapping {
	struct page **pages;
	unsigned int nr;
	struct sg_table table;
	struct scatterlist parts[];
};

static void put_pages(void *data)
{
	struct mapping *map = data;

	while (map->nr--)
		put_page(map->pages[map->nr]);
}

static bool follows(struct page **page)
{
	return page_to_pfn(page[0]) == page_to_pfn(page[-1]) + 1;
}

/* The pages as parts, each of which is one piece of memory. */
static void fill_table(struct mapping *map, unsigned int nr_parts)
{
	struct scatterlist *sg = map->parts;
	unsigned int i;

	sg_init_table(sg, nr_parts);
	map->table.sgl = sg;
	map->table.nents = nr_parts;
	map->table.orig_nents = nr_parts;
	for (i = 0; i < map->nr; i++) {
		get_page(map->pages[i]);
		if (i && follows(&map->pages[i]))
			sg->length += PAGE_SIZE;
		else
			sg_set_page(i ? ++sg : sg, map->pages[i], PAGE_SIZE, 0);
	}
}

/*
 * Map pages of a buffer for the controller to write to, until @n has been joined.
 *
 * The caller's file frees them also if the controller could not be stopped, so they are
 * held with the mapping. If that goes to quarantine they are lost, as a deferred
 * action is not run then; the table is memory of @n and stays with the mapping.
 */
static struct sg_table *map_pages(struct nursery *n, struct device *dev, struct page **pages,
				  unsigned int nr)
{
	unsigned int nr_parts = 1, i;
	struct mapping *map;
	int err;

	for (i = 1; i < nr; i++)
		nr_parts += !follows(&pages[i]);
	map = nursery_kzalloc(n, struct_size(map, parts, nr_parts), GFP_KERNEL);
	if (!map)
		return ERR_PTR(-ENOMEM);
	map->pages = pages;
	map->nr = nr;
	fill_table(map, nr_parts);
	err = nursery_defer(n, put_pages, map);
	if (err)
		put_pages(map);
	else
		err = nursery_dma_map_sgtable(n, dev, &map->table, DMA_FROM_DEVICE);
	return err ? ERR_PTR(err) : &map->table;
}

/* Tell a command where to write so many of the next pages: two, or one and a list. */
static void set_pages(struct command *cmd, struct sg_dma_page_iter *page, unsigned int nr)
{
	union nvme_data_ptr *ptr = &cmd->sqe.rw.dptr;
	dma_addr_t addr;
	unsigned int i;
	__le64 *list;

	__sg_page_iter_dma_next(page);
	ptr->prp1 = cpu_to_le64(sg_page_iter_dma_address(page));
	if (nr == 1)
		return;
	if (nr == 2) {
		__sg_page_iter_dma_next(page);
		ptr->prp2 = cpu_to_le64(sg_page_iter_dma_address(page));
		return;
	}
	list = command_list(cmd, &addr);
	for (i = 0; i < nr - 1; i++) {
		__sg_page_iter_dma_next(page);
		list[i] = cpu_to_le64(sg_page_iter_dma_address(page));
	}
	ptr->prp2 = cpu_to_le64(addr);
}

/* Read from the disk at @start. Each command is a child of @n: this does not wait. */
static int issue_reads(struct nursery *n, struct controller *ctrl, struct sg_table *table,
		       u64 start, u32 len)
{
	struct nvme_command sqe = { };
	struct sg_dma_page_iter page;
	struct command *cmd;
	struct queue *q;
	u32 part;

	sqe.rw.opcode = nvme_cmd_read;
	sqe.rw.nsid = cpu_to_le32(NAMESPACE);
	__sg_page_iter_start(&page.base, table->sgl, table->nents, 0);
	for (; len; len -= part, start += part) {
		part = min(len, ctrl->max_transfer);
		sqe.rw.slba = cpu_to_le64(start >> ctrl->block_shift);
		sqe.rw.length = cpu_to_le16((part >> ctrl->block_shift) - 1);
		/* Of this processor; if it is another one in a moment, so be it. */
		q = ctrl->queues[1 + raw_smp_processor_id() % (ctrl->nr_used - 1)];
		cmd = command_begin(q, n, &sqe);
		if (IS_ERR(cmd))
			return PTR_ERR(cmd);
		set_pages(cmd, &page, DIV_ROUND_UP(part, PAGE_SIZE));
		command_issue(cmd);
	}
	return 0;
}

static int read_piece(struct nursery_call *call, struct controller *ctrl, struct page **pages,
		      u64 start, u32 len)
{
	struct sg_table *table;
	int err, joined;

	scoped_nursery(n, .name = "nvme read", .parent = &call->child, .timeout = TIMEOUT,
		       .grace = GRACE, .result = &joined) {
		nursery_set_quiesce(n, controller_quiesce, ctrl);
		table = map_pages(n, &ctrl->pdev->dev, pages, DIV_ROUND_UP(len, PAGE_SIZE));
		err = IS_ERR(table) ? PTR_ERR(table) : issue_reads(n, ctrl, table, start, len);
		if (err)
			nursery_cancel(n, err);
	}
	return joined;
}

/* nvme-read-ADDRESS:OFFSET,START,LEN - from the disk to the caller's buffer */
static int run_read(struct nursery_call *call)
{
	struct controller *ctrl = container_of(call->op, struct controller, read);
	u64 start = call->args[1], len = call->args[2];
	struct page **pages = nursery_call_pages(call, call->args[0], len);
	u64 most = READER_COMMANDS * ctrl->max_transfer, part;
	int err = 0;

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	if (!len || !IS_ALIGNED(start | len, 1U << ctrl->block_shift))
		return -EINVAL;
	if (start > ctrl->size || len > ctrl->size - start)
		return -ERANGE;

	for (; len && !err; len -= part, start += part, pages += part / PAGE_SIZE) {
		part = min(len, most);
		err = read_piece(call, ctrl, pages, start, part);
		call->value += err ? 0 : part;
	}
	return err;
}

/* nvme-size-ADDRESS - how large the disk is, in bytes */
static int run_size(struct nursery_call *call)
{
	call->value = container_of(call->op, struct controller, tell_size)->size;
	return 0;
}

/* Operations with the controller's address in their names, for there may be several. */
int reader_register(struct controller *ctrl)
{
	int err;

	snprintf(ctrl->read_name, NURSERY_NAME_LEN, "nvme-read-%s", pci_name(ctrl->pdev));
	snprintf(ctrl->size_name, NURSERY_NAME_LEN, "nvme-size-%s", pci_name(ctrl->pdev));
	/* Who calls them has a colon for something else. */
	strreplace(ctrl->read_name, ':', '-');
	strreplace(ctrl->size_name, ':', '-');
	ctrl->read = (struct nursery_op) {
		.name = ctrl->read_name, .usage = "OFFSET,START,LEN (bytes)", .nr_args = 3,
		.run = run_read,
	};
	ctrl->tell_size = (struct nursery_op) { .name = ctrl->size_name, .run = run_size };
	err = nursery_register_op(&ctrl->nursery, &ctrl->tell_size);
	return err ?: nursery_register_op(&ctrl->nursery, &ctrl->read);
}
