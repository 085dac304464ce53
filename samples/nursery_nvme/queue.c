// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue pair, and commands as external children.
 *
 * Each slot of a queue has a command, whose place in the array is its number to the
 * controller. It is begun as a child of whoever wants it, filled in by him, and issued;
 * from then on it ends by itself. There are several who may end it: the interrupt, a
 * cancel, the reset. They look at its state under the queue's lock, and who finds it in
 * the state that is his takes it and completes the child, without the lock.
 *
 * A cancel is soft first: it sends the controller an Abort, and the command ends when the
 * controller says so. The command's child also waits for the answer to that Abort, or a
 * slow Abort might hit the slot's next command; so an Abort need not be a child itself.
 * If that did not help within the grace, the hard cancel asks for a reset. When the
 * controller has stopped, queue_drain() ends the commands that were cancelled. Those of
 * others are issued again, and nobody but the log will know.
 */
#include <linux/cleanup.h>

#include "nursery_nvme.h"

static void __iomem *doorbell(struct queue *q, unsigned int which)
{
	return q->ctrl->regs + NVME_REG_DBS +
	       ((2 * q->id + which) * 4 << NVME_CAP_STRIDE(q->ctrl->cap));
}

/* Give it to the controller. Context: queue->lock held, queue live. */
static void submit(struct queue *q, struct command *cmd)
{
	struct nvme_command *sq = q->sq->cpu;

	sq[q->tail] = cmd->sqe;
	q->tail = (q->tail + 1) % QUEUE_ENTRIES;
	cmd->state = COMMAND_ISSUED;
	/* Orders what the controller is to find before it. */
	writel(q->tail, doorbell(q, 0));
}

/* A free slot, or NULL if there is none. It is the caller's until it is issued. */
static struct command *take_slot(struct queue *q, const struct nvme_command *sqe)
{
	struct command *cmd;
	unsigned int i;

	do {
		i = find_first_zero_bit(q->busy, QUEUE_SLOTS);
		if (i >= QUEUE_SLOTS)
			return NULL;
	} while (test_and_set_bit_lock(i, q->busy));
	cmd = &q->commands[i];
	cmd->value = NULL;
	cmd->read = NULL;
	cmd->aborts = NULL;
	cmd->sqe = *sqe;
	cmd->sqe.common.command_id = i;
	return cmd;
}

static void free_slot(struct command *cmd)
{
	/* Pairs with the lock of who takes it: what was done with it comes before. */
	clear_bit_unlock(cmd->sqe.common.command_id, cmd->queue->busy);
}

static void command_done(struct nursery_child *c)
{
	struct command *cmd = container_of(c, struct command, child);
	struct read *read = cmd->read;

	free_slot(cmd);
	if (read)
		read_command_over(read);
}

/**
 * command_begin - begin a command
 * @q: the queue that it will be issued on
 * @n: the nursery whose child it becomes
 * @sqe: what to tell the controller; the number of the command is filled in
 *
 * The caller completes what it wants to of @cmd->sqe, and calls command_issue().
 *
 * Return: the command, or ERR_PTR: -ECANCELED @n has been cancelled; -EBUSY there is no
 *	   slot.
 */
struct command *command_begin(struct queue *q, struct nursery *n,
			      const struct nvme_command *sqe)
{
	struct command *cmd = take_slot(q, sqe);
	int err;

	if (!cmd)
		return ERR_PTR(-EBUSY);
	nursery_child_init(&cmd->child, NULL, command_done);
	err = nursery_child_begin(n, &cmd->child);
	if (err) {
		free_slot(cmd);
		return ERR_PTR(err);
	}
	return cmd;
}

/* The page for the PRP list of a command that was begun. */
__le64 *command_list(struct command *cmd, dma_addr_t *addr)
{
	struct nursery_dma *lists = cmd->queue->lists;
	size_t offset = cmd->sqe.common.command_id * PAGE_SIZE;

	*addr = lists->addr + offset;
	return lists->cpu + offset;
}

/*
 * Take it from whose it is by its state.
 *
 * Context: queue->lock held.
 * Return: whether the caller is to complete it, without the lock. Not while there is an
 *	   Abort: who ends that will.
 */
static bool take(struct command *cmd, int result)
{
	cmd->state = COMMAND_HELD;
	cmd->result = result;
	return !cmd->aborting;
}

/* The Abort of a command was answered, or never will be. */
static void abort_over(struct command *abort)
{
	struct command *cmd = abort->aborts;
	bool over;

	free_slot(abort);
	atomic_inc(&cmd->queue->ctrl->aborts_left);
	scoped_guard(raw_spinlock_irqsave, &cmd->queue->lock) {
		cmd->aborting = false;
		over = cmd->state == COMMAND_HELD;
	}
	if (over)
		nursery_child_complete(&cmd->child, cmd->result);
}

/* The last thing to do with what was taken. */
static void end(struct command *cmd)
{
	if (cmd->aborts)
		abort_over(cmd);
	else
		nursery_child_complete(&cmd->child, cmd->result);
}

/* An Abort for a command that is marked as aborting. The reset is over before, or ends it. */
static void send_abort(struct command *cmd)
{
	struct controller *ctrl = cmd->queue->ctrl;
	struct queue *admin = ctrl->queues[0];
	struct nvme_command sqe = { };
	struct command *abort;
	bool sent;

	sqe.abort.opcode = nvme_admin_abort_cmd;
	sqe.abort.sqid = cpu_to_le16(cmd->queue->id);
	sqe.abort.cid = cmd->sqe.common.command_id;
	abort = take_slot(admin, &sqe);
	abort->aborts = cmd;

	scoped_guard(raw_spinlock_irqsave, &admin->lock) {
		sent = admin->live;
		if (sent)
			submit(admin, abort);
	}
	if (!sent)
		abort_over(abort);
}

/* The soft cancel. What its submitter still holds he will not issue. */
static void cancel(struct nursery_cancel_handler *h)
{
	struct command *cmd = container_of(h, struct command, on_cancel);
	bool over = false, abort = false;

	scoped_guard(raw_spinlock_irqsave, &cmd->queue->lock) {
		if (cmd->state == COMMAND_READY)
			over = take(cmd, -ECANCELED);
		/* The controller takes so many at a time. For others there is the reset. */
		else if (cmd->state == COMMAND_ISSUED)
			abort = atomic_dec_if_positive(&cmd->queue->ctrl->aborts_left) >= 0;
		cmd->aborting = abort;
	}
	if (over)
		nursery_child_complete(&cmd->child, cmd->result);
	if (abort)
		send_abort(cmd);
}

/* The hard cancel. */
static void cancel_hard(struct nursery_cancel_handler *h)
{
	struct command *cmd = container_of(h, struct command, on_hard_cancel);
	struct controller *ctrl = cmd->queue->ctrl;

	/* Under the lock, so that one reset does for all: see restart(). */
	scoped_guard(raw_spinlock_irqsave, &cmd->queue->lock)
		if (cmd->state == COMMAND_ISSUED || cmd->aborting)
			atomic_set(&ctrl->reset_wanted, 1);
	nursery_child_unpark(&ctrl->service);
}

/**
 * command_issue - have the controller carry out a command
 * @cmd: from command_begin(), filled in; on return it may be over
 *
 * While there is a reset it waits for the end of that.
 */
void command_issue(struct command *cmd)
{
	struct queue *q = cmd->queue;
	bool over = false;

	/* Until the state says that it is theirs they leave it to us to look for a cancel. */
	nursery_on_cancel(&cmd->child, &cmd->on_cancel, cancel);
	nursery_on_hard_cancel(&cmd->child, &cmd->on_hard_cancel, cancel_hard);

	scoped_guard(raw_spinlock_irqsave, &q->lock) {
		if (nursery_child_cancelled(&cmd->child))
			over = take(cmd, -ECANCELED);
		else if (q->live)
			submit(q, cmd);
		else
			cmd->state = COMMAND_READY;
	}
	if (over)
		nursery_child_complete(&cmd->child, cmd->result);
}

static int status_to_errno(u16 status)
{
	switch (status & 0x7ff) {
	case NVME_SC_SUCCESS:
		return 0;
	case NVME_SC_ABORT_REQ:
	case NVME_SC_ABORT_QUEUE:
		return -ECANCELED;
	case NVME_SC_INVALID_FIELD:
		return -EINVAL;
	case NVME_SC_LBA_RANGE:
		return -ERANGE;
	}
	return -EIO;
}

/* Take the next command that the controller has finished. Context: queue->lock held. */
static struct command *next_finished(struct queue *q, bool *over)
{
	struct nvme_completion *cq = q->cq->cpu, *cqe;
	struct command *cmd;
	u16 status;

	for (;;) {
		cqe = &cq[q->head];
		status = le16_to_cpu(READ_ONCE(cqe->status));
		if ((status & 1) != q->phase)
			return NULL;
		/* The rest of the entry is not older than its phase. */
		dma_rmb();
		q->head = (q->head + 1) % QUEUE_ENTRIES;
		if (!q->head)
			q->phase = !q->phase;

		cmd = cqe->command_id < QUEUE_SLOTS ? &q->commands[cqe->command_id] : NULL;
		if (cmd && cmd->state == COMMAND_ISSUED)
			break;
		dev_warn_ratelimited(&q->ctrl->pdev->dev, "queue %u: nobody waits for command %u\n",
				     q->id, cqe->command_id);
	}
	if (cmd->value)
		*cmd->value = le32_to_cpu(cqe->result.u32);
	*over = take(cmd, status_to_errno(status >> 1));
	return cmd;
}

/* End what the controller has finished. Return: whether there was anything. */
static bool reap(struct queue *q)
{
	struct command *cmd;
	bool over, any;

	for (any = false;; any = true) {
		scoped_guard(raw_spinlock_irqsave, &q->lock) {
			cmd = next_finished(q, &over);
			/* All of them at once: this is what takes time. */
			if (!cmd && any && q->live)
				writel(q->head, doorbell(q, 1));
		}
		if (!cmd)
			return any;
		if (over)
			end(cmd);
	}
}

static irqreturn_t interrupt(int irq, void *data)
{
	return reap(data) ? IRQ_HANDLED : IRQ_NONE;
}

/* From now on nothing is given to the controller. */
void queue_stop(struct queue *q)
{
	scoped_guard(raw_spinlock_irq, &q->lock)
		q->live = false;
}

/*
 * The controller has been stopped, or all is cancelled: end what it had finished, and what is
 * cancelled, and keep the rest for queue_start(). Of the queue for administration first,
 * for the Aborts.
 *
 * Return: how many there are to be issued again.
 */
unsigned int queue_drain(struct queue *q)
{
	unsigned int i, again = 0;
	struct command *cmd;
	bool issued, over;

	reap(q);
	for (i = 0; i < QUEUE_SLOTS; i++) {
		cmd = &q->commands[i];
		scoped_guard(raw_spinlock_irq, &q->lock) {
			issued = cmd->state == COMMAND_ISSUED;
			over = issued && (cmd->aborts || nursery_child_cancelled(&cmd->child));
			if (over) {
				over = take(cmd, -ECANCELED);
			} else if (issued) {
				cmd->state = COMMAND_READY;
				again++;
			}
		}
		if (over)
			end(cmd);
	}
	return again;
}

/* As the controller will find it. */
void queue_clear(struct queue *q)
{
	scoped_guard(raw_spinlock_irq, &q->lock) {
		memset(q->cq->cpu, 0, q->cq->size);
		q->head = 0;
		q->tail = 0;
		q->phase = true;
	}
}

/* The controller knows it: issue what has come meanwhile. */
void queue_start(struct queue *q)
{
	unsigned int i;

	scoped_guard(raw_spinlock_irq, &q->lock) {
		q->live = true;
		for (i = 0; i < QUEUE_SLOTS; i++)
			if (q->commands[i].state == COMMAND_READY)
				submit(q, &q->commands[i]);
	}
}

static void free_interrupt(void *data)
{
	struct queue *q = data;

	pci_free_irq(q->ctrl->pdev, q->id, q);
}

/* What the queue needs belongs to the controller's nursery. */
int queue_init(struct queue *q, struct controller *ctrl, unsigned int id)
{
	struct device *dev = &ctrl->pdev->dev;
	unsigned int i;

	q->ctrl = ctrl;
	q->id = id;
	raw_spin_lock_init(&q->lock);
	for (i = 0; i < QUEUE_SLOTS; i++)
		q->commands[i].queue = q;
	q->sq = nursery_dma_alloc(&ctrl->nursery, dev,
				  QUEUE_ENTRIES * sizeof(struct nvme_command), GFP_KERNEL);
	if (IS_ERR(q->sq))
		return PTR_ERR(q->sq);
	q->cq = nursery_dma_alloc(&ctrl->nursery, dev,
				  QUEUE_ENTRIES * sizeof(struct nvme_completion), GFP_KERNEL);
	if (IS_ERR(q->cq))
		return PTR_ERR(q->cq);
	q->lists = nursery_dma_alloc(&ctrl->nursery, dev, QUEUE_SLOTS * PAGE_SIZE, GFP_KERNEL);
	if (IS_ERR(q->lists))
		return PTR_ERR(q->lists);
	queue_clear(q);
	return 0;
}

/*
 * The interrupt comes after the memory that it looks at, so it goes before. It comes after
 * that of all queues: what was deferred before a buffer was acquired is not done if that
 * has to go to quarantine.
 */
int queue_listen(struct queue *q)
{
	struct controller *ctrl = q->ctrl;
	int err;

	err = pci_request_irq(ctrl->pdev, q->id, interrupt, NULL, q, "nursery_nvme%u",
			      q->id);
	if (err)
		return err;
	/* A command ends where it was issued, if the processors do not change. */
	if (q->id)
		irq_set_affinity(pci_irq_vector(ctrl->pdev, q->id), cpumask_of(q->id - 1));
	err = nursery_defer(&ctrl->nursery, free_interrupt, q);
	if (err)
		free_interrupt(q);
	return err;
}
