/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the NVMe reader share; main.c says what it is.
 */
#ifndef _NURSERY_NVME_H
#define _NURSERY_NVME_H

#include <linux/interrupt.h>
#include <linux/nursery.h>
#include <linux/nursery_dma.h>
#include <linux/nursery_op.h>
#include <linux/nvme.h>
#include <linux/pci.h>

#define NAMESPACE	1	/* the one that is read */

#define READER_CALLS	8	/* reads that user space has under way at a time ... */
#define READER_COMMANDS	8	/* ... and the commands of each */
/* So there is a slot for each command, whichever queue they all may be in. */
#define QUEUE_SLOTS	(READER_CALLS * READER_COMMANDS)
/* And so many entries that a queue is never full: no need to look. */
#define QUEUE_ENTRIES	(2 * QUEUE_SLOTS)

/* Whose a command is: he takes it out of that state, under queue->lock, and ends it. */
enum command_state {
	COMMAND_HELD,		/* who has begun it, or taken it */
	COMMAND_READY,		/* the canceller; to be issued when the queue is live */
	COMMAND_ISSUED,		/* the interrupt, or the reset; the controller has it */
};

struct command {
	struct nursery_child child;
	struct nursery_cancel_handler on_cancel, on_hard_cancel;
	struct queue *queue;
	enum command_state state;	/* queue->lock */
	bool aborting;			/* an Abort of it is under way; the same */
	int result;
	u32 *value;			/* where dword 0 of the completion goes, or NULL */
	struct read *read;		/* what it is part of, or NULL */
	struct command *aborts;		/* an Abort, of this one: it is no child */
	struct nvme_command sqe;
};

struct queue {
	struct controller *ctrl;
	unsigned int id;		/* 0: for administration */
	struct nursery_dma *sq, *cq;
	struct nursery_dma *lists;	/* of a slot: a page, for its PRP list */

	DECLARE_BITMAP(busy, QUEUE_SLOTS);
	/* What is below. Never taken together with that of another queue. */
	raw_spinlock_t lock;
	bool live;			/* the controller knows it */
	bool phase;			/* of entries that are new */
	unsigned int head, tail;
	struct command commands[QUEUE_SLOTS];
};

struct controller {
	struct pci_dev *pdev;
	void __iomem *regs;
	u64 cap;
	struct nursery nursery;
	struct nursery_child service;	/* keeps the controller up, resets it on request */
	atomic_t reset_wanted;
	wait_queue_head_t stopped;	/* reset_wanted is 0 again */
	int unstoppable;		/* or 0: its hardware can be stopped */
	atomic_t aborts_left;
	struct nursery_dma *identity;	/* what Identify writes to; the service's */
	unsigned int nr_queues;		/* one for administration, the others for reads */
	unsigned int nr_used;		/* those that the controller grants */
	struct queue **queues;

	/* Set when the service is ready. */
	unsigned int block_shift;
	u64 size;			/* of the namespace, in bytes */
	u32 max_transfer;		/* of a command, in bytes */

	struct nursery_op read, tell_size;
	char read_name[NURSERY_NAME_LEN], size_name[NURSERY_NAME_LEN];
};

/* controller.c */
int controller_check(struct controller *ctrl);
int controller_service(struct nursery_child *c);
int controller_quiesce(struct nursery *n, void *data);

/* queue.c */
int queue_init(struct queue *q, struct controller *ctrl, unsigned int id);
int queue_listen(struct queue *q);
void queue_stop(struct queue *q);
unsigned int queue_drain(struct queue *q);
void queue_clear(struct queue *q);
void queue_start(struct queue *q);
struct command *command_begin(struct queue *q, struct nursery *n,
			      const struct nvme_command *sqe);
__le64 *command_list(struct command *cmd, dma_addr_t *addr);
void command_issue(struct command *cmd);

/* read.c */
void read_command_over(struct read *read);
int reader_register(struct controller *ctrl);

#endif /* _NURSERY_NVME_H */
