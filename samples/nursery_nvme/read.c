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
 * A call has no thread while the controller is at work. It begins in the context of its caller,
 * issues the commands of its first piece, and parks. The last of them to end has it run
 * again, by a worker where the interrupt was, which ends the piece and begins the next one.
 * Several calls are under way at a time, and each uses the queue of its processor.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "nursery_nvme.h"

/* A piece that takes so long is given up; the controller has so long to abort it. */
#define TIMEOUT	(30 * NSEC_PER_SEC)
#define GRACE	(NSEC_PER_SEC / 2)

/* What a call has to know from one run to the next. */
struct read {
	struct nursery_call *call;
	struct controller *ctrl;
	struct page **pages;		/* what is left: where to ... */
	u64 start, len;			/* ... and from, in bytes */
	struct nursery piece;
	u32 part;			/* in the piece, in bytes; 0: none has been begun */
	atomic_t nr_waits;		/* its commands, and who issues them */
};

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

/* Each command is a child of the piece: this does not wait. */
static int issue_commands(struct read *read, struct sg_table *table)
{
	struct controller *ctrl = read->ctrl;
	struct nvme_command sqe = { };
	struct sg_dma_page_iter page;
	struct command *cmd;
	u64 start = read->start;
	u32 left = read->part, len;
	struct queue *q;

	sqe.rw.opcode = nvme_cmd_read;
	sqe.rw.nsid = cpu_to_le32(NAMESPACE);
	__sg_page_iter_start(&page.base, table->sgl, table->nents, 0);
	for (; left; left -= len, start += len) {
		len = min(left, ctrl->max_transfer);
		sqe.rw.slba = cpu_to_le64(start >> ctrl->block_shift);
		sqe.rw.length = cpu_to_le16((len >> ctrl->block_shift) - 1);
		/* Of this processor; if it is another one in a moment, so be it. */
		q = ctrl->queues[1 + raw_smp_processor_id() % (ctrl->nr_used - 1)];
		cmd = command_begin(q, &read->piece, &sqe);
		if (IS_ERR(cmd))
			return PTR_ERR(cmd);
		cmd->read = read;
		atomic_inc(&read->nr_waits);
		set_pages(cmd, &page, DIV_ROUND_UP(len, PAGE_SIZE));
		command_issue(cmd);
	}
	return 0;
}

/* The last one has the call run again. Context: Any; the piece counts the command yet. */
void read_command_over(struct read *read)
{
	if (atomic_dec_and_test(&read->nr_waits))
		nursery_child_unpark(&read->call->child);
}

/* Return: false: it is over already, and the call is not told. */
static bool begin_piece(struct read *read)
{
	struct controller *ctrl = read->ctrl;
	struct nursery *n = &read->piece;
	struct nursery_dma *buf;
	int err;

	nursery_init(n, (&(struct nursery_params) {
		.name = "nvme read", .parent = &read->call->child, .timeout = TIMEOUT,
		.grace = GRACE,
	}));
	nursery_set_quiesce(n, controller_quiesce, ctrl);
	read->part = min(read->len, READER_COMMANDS * ctrl->max_transfer);
	atomic_set(&read->nr_waits, 1);
	buf = nursery_dma_map_pages(n, &ctrl->pdev->dev, read->pages,
				    DIV_ROUND_UP(read->part, PAGE_SIZE), DMA_FROM_DEVICE);
	err = IS_ERR(buf) ? PTR_ERR(buf) : issue_commands(read, buf->sgt);
	if (err)
		nursery_cancel(n, err);
	return !atomic_dec_and_test(&read->nr_waits);
}

/* It is over, or the call has been cancelled: then this waits for it. */
static int end_piece(struct read *read)
{
	int err = nursery_join(&read->piece);

	if (err)
		return err;
	read->call->value += read->part;
	read->pages += read->part / PAGE_SIZE;
	read->start += read->part;
	read->len -= read->part;
	return 0;
}

static int check(struct read *read, struct nursery_call *call)
{
	struct controller *ctrl = container_of(call->op, struct controller, read);
	u64 start = call->args[1], len = call->args[2];
	struct page **pages = nursery_call_pages(call, call->args[0], len);

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	if (!len || !IS_ALIGNED(start | len, 1U << ctrl->block_shift))
		return -EINVAL;
	if (start > ctrl->size || len > ctrl->size - start)
		return -ERANGE;
	read->call = call;
	read->ctrl = ctrl;
	read->pages = pages;
	read->start = start;
	read->len = len;
	return 0;
}

/* nvme-read-ADDRESS:OFFSET,START,LEN - from the disk to the caller's buffer */
static int run_read(struct nursery_call *call)
{
	struct read *read = call->data;
	int err = read->part ? end_piece(read) : check(read, call);

	for (; read->len && !err; err = end_piece(read))
		if (begin_piece(read))
			return NURSERY_PARK;
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
		.data_size = sizeof(struct read), .executor = nursery_executor_inline,
		.run = run_read,
	};
	ctrl->tell_size = (struct nursery_op) { .name = ctrl->size_name, .run = run_size };
	err = nursery_register_op(&ctrl->nursery, &ctrl->tell_size);
	return err ?: nursery_register_op(&ctrl->nursery, &ctrl->read);
}
