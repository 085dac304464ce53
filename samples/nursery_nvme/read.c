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
#include <linux/vmalloc.h>

#include "nursery_nvme.h"

/* A piece that takes so long is given up; the controller has so long to abort it. */
#define TIMEOUT	(30 * NSEC_PER_SEC)
#define GRACE	(NSEC_PER_SEC / 2)

static void free_table(void *data)
{
	sg_free_table(data);
}

/* Map part of a buffer for the controller to write to, until @n has been joined. */
static struct sg_table *map_buffer(struct nursery *n, struct device *dev, void *buf, u32 len)
{
	struct sg_table *pages = nursery_kzalloc(n, sizeof(*pages), GFP_KERNEL);
	struct scatterlist *sg;
	int err, i;

	if (!pages)
		return ERR_PTR(-ENOMEM);
	err = sg_alloc_table(pages, DIV_ROUND_UP(len, PAGE_SIZE), GFP_KERNEL);
	if (err)
		return ERR_PTR(err);
	for_each_sgtable_sg(pages, sg, i)
		sg_set_page(sg, vmalloc_to_page(buf + i * PAGE_SIZE), PAGE_SIZE, 0);
	err = nursery_defer(n, free_table, pages);
	if (err)
		sg_free_table(pages);
	else
		err = nursery_dma_map_sgtable(n, dev, pages, DMA_FROM_DEVICE);
	return err ? ERR_PTR(err) : pages;
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
static int issue_reads(struct nursery *n, struct controller *ctrl, struct sg_table *pages,
		       u64 start, u32 len)
{
	struct nvme_command sqe = { };
	struct sg_dma_page_iter page;
	struct command *cmd;
	struct queue *q;
	u32 part;

	sqe.rw.opcode = nvme_cmd_read;
	sqe.rw.nsid = cpu_to_le32(NAMESPACE);
	__sg_page_iter_start(&page.base, pages->sgl, pages->nents, 0);
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

static int read_piece(struct nursery_call *call, struct controller *ctrl, void *buf, u64 start,
		      u32 len)
{
	struct sg_table *pages;
	int err, joined;

	scoped_nursery(n, .name = "nvme read", .parent = &call->child, .timeout = TIMEOUT,
		       .grace = GRACE, .result = &joined) {
		pages = map_buffer(n, &ctrl->pdev->dev, buf, len);
		err = IS_ERR(pages) ? PTR_ERR(pages) : issue_reads(n, ctrl, pages, start, len);
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
	void *buf = nursery_call_buffer(call, call->args[0], len);
	u64 most = READER_COMMANDS * ctrl->max_transfer, part;
	int err = 0;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	if (!len || !PAGE_ALIGNED(buf) || !IS_ALIGNED(start | len, 1U << ctrl->block_shift))
		return -EINVAL;
	if (start > ctrl->size || len > ctrl->size - start)
		return -ERANGE;

	for (; len && !err; len -= part, start += part, buf += part) {
		part = min(len, most);
		err = read_piece(call, ctrl, buf, start, part);
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
