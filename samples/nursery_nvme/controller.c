// SPDX-License-Identifier: GPL-2.0-only
/*
 * The controller: brought up, reset, and taken down by one child.
 *
 * That child is a service of the controller's nursery. It is started by the probe, and its
 * first act is the first reset; then it parks. Who wants another reset, in whatever
 * context, sets reset_wanted and unparks it. The join stops it when no command is left, also if
 * the nursery was cancelled, so commands may rely on it to the end; its last act is to
 * take the controller down. So the resets are one after the other without a lock, and
 * there is no other place where one has to be waited for.
 *
 * If the controller cannot be brought up again, the nursery is cancelled, and nothing is begun
 * any more. If it cannot even be stopped, all commands are given up, and what they, or
 * it, may still write to goes to quarantine; until a probe has made it stop.
 */
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/wait.h>

#include "nursery_nvme.h"

#define POLL_US		500
#define ADMIN_TIMEOUT	(10 * NSEC_PER_SEC)

/* Is it one that we can drive? Our pages are its pages. */
int controller_check(struct controller *ctrl)
{
	ctrl->cap = lo_hi_readq(ctrl->regs + NVME_REG_CAP);
	if (PCI_POSSIBLE_ERROR(ctrl->cap))
		return -ENODEV;
	if (NVME_CAP_MQES(ctrl->cap) + 1 < QUEUE_ENTRIES ||
	    NVME_CAP_MPSMIN(ctrl->cap) + 12 > PAGE_SHIFT ||
	    NVME_CAP_MPSMAX(ctrl->cap) + 12 < PAGE_SHIFT)
		return -EOPNOTSUPP;
	return 0;
}

/* Tell it to be enabled or not, and wait until it is. */
static int set_enabled(struct controller *ctrl, bool enabled)
{
	u32 timeout = (NVME_CAP_TIMEOUT(ctrl->cap) + 1) * (USEC_PER_SEC / 2);
	u32 config = 0, status;
	int err;

	if (enabled)
		config = NVME_CC_ENABLE | NVME_CC_CSS_NVM | NVME_CC_IOSQES | NVME_CC_IOCQES |
			 (PAGE_SHIFT - 12) << NVME_CC_MPS_SHIFT;
	writel(config, ctrl->regs + NVME_REG_CC);
	err = readl_poll_timeout(ctrl->regs + NVME_REG_CSTS, status,
				 PCI_POSSIBLE_ERROR(status) ||
				 (status & NVME_CSTS_RDY) == (enabled ? NVME_CSTS_RDY : 0),
				 POLL_US, timeout);
	/* This never changes: so what was read came from the controller. */
	if (lo_hi_readq(ctrl->regs + NVME_REG_CAP) == ctrl->cap)
		return err;
	/* One that is not there any more has stopped for good. One that does not answer has not. */
	if (pci_device_is_present(ctrl->pdev))
		return -EIO;
	return enabled ? -ENODEV : 0;
}

/*
 * Stop it, and end what was cancelled. If it does not stop, it is of no use to anybody any
 * more: all is cancelled and ended, and controller_quiesce() says what that means.
 *
 * Return: how many commands are to be issued again, or an errno.
 */
static int take_down(struct controller *ctrl)
{
	unsigned int i, again = 0;
	int err;

	for (i = 0; i < ctrl->nr_queues; i++)
		queue_stop(ctrl->queues[i]);
	err = set_enabled(ctrl, false);
	if (err) {
		dev_err(&ctrl->pdev->dev, "the controller does not stop: %d\n", err);
		WRITE_ONCE(ctrl->unstoppable, err);
		nursery_cancel(&ctrl->nursery, -ENODEV);
	}
	for (i = 0; i < ctrl->nr_queues; i++)
		again += queue_drain(ctrl->queues[i]);
	/* Whose command made him want it: that is over now. */
	atomic_set(&ctrl->reset_wanted, 0);
	wake_up_all(&ctrl->stopped);
	return err ?: again;
}

/* An interrupt that has taken a command will have completed it. */
static int synchronize(struct controller *ctrl)
{
	unsigned int i;

	for (i = 0; i < ctrl->nr_queues; i++)
		synchronize_irq(pci_irq_vector(ctrl->pdev, i));
	return READ_ONCE(ctrl->unstoppable);
}

/*
 * May the controller still write to what @n owns? Not to that of commands that it has
 * answered. For others the hard handlers have wanted a reset, and the service is at it.
 */
int controller_quiesce(struct nursery *n, void *data)
{
	struct controller *ctrl = data;

	wait_event(ctrl->stopped, !atomic_read(&ctrl->reset_wanted));
	return synchronize(ctrl);
}

/* The same for an administrative command: the service waits for it, and cannot be asked. */
static int quiesce_admin(struct nursery *n, void *data)
{
	take_down(data);
	return synchronize(data);
}

/*
 * Carry out one administrative command, and wait for it.
 *
 * @value: set to what the command returns; or NULL
 */
static int administer(struct controller *ctrl, const struct nvme_command *sqe, u32 *value)
{
	struct command *cmd;
	int err;

	scoped_nursery(n, .name = "nvme admin", .parent = &ctrl->service,
		       .timeout = ADMIN_TIMEOUT, .result = &err) {
		nursery_set_quiesce(n, quiesce_admin, ctrl);
		cmd = command_begin(ctrl->queues[0], n, sqe);
		if (IS_ERR(cmd))
			return PTR_ERR(cmd);
		cmd->value = value;
		command_issue(cmd);
	}
	return err;
}

/* Have the controller write 4096 bytes about itself or a namespace to ctrl->identity. */
static int identify(struct controller *ctrl, u8 what, u32 nsid)
{
	struct nvme_command sqe = { };

	sqe.identify.opcode = nvme_admin_identify;
	sqe.identify.nsid = cpu_to_le32(nsid);
	sqe.identify.cns = what;
	sqe.identify.dptr.prp1 = cpu_to_le64(ctrl->identity->addr);
	return administer(ctrl, &sqe, NULL);
}

static int identify_controller(struct controller *ctrl)
{
	struct nvme_id_ctrl *id = ctrl->identity->cpu;
	unsigned int shift = NVME_CAP_MPSMIN(ctrl->cap) + 12;
	/* What one page of a PRP list and the entry before it hold. */
	u32 max = (PAGE_SIZE / sizeof(__le64)) * PAGE_SIZE;
	int err = identify(ctrl, NVME_ID_CNS_CTRL, 0);

	if (err)
		return err;
	if (id->mdts && id->mdts + shift < ilog2(max))
		max = 1U << (id->mdts + shift);
	ctrl->max_transfer = max;
	atomic_set(&ctrl->aborts_left, min(id->acl + 1, QUEUE_SLOTS / 2));
	return 0;
}

static int identify_namespace(struct controller *ctrl)
{
	struct nvme_id_ns *id = ctrl->identity->cpu;
	struct nvme_lbaf *format;
	int err = identify(ctrl, NVME_ID_CNS_NS, NAMESPACE);

	if (err)
		return err;
	format = &id->lbaf[id->flbas & NVME_NS_FLBAS_LBA_MASK];
	/* No metadata, and blocks that pages are made of. */
	if (!id->nsze || format->ms || format->ds < 9 || format->ds > PAGE_SHIFT)
		return -EMEDIUMTYPE;
	ctrl->block_shift = format->ds;
	ctrl->size = le64_to_cpu(id->nsze) << format->ds;
	return 0;
}

/* Ask for a queue for each interrupt; it may grant fewer, but not fewer than before. */
static int count_queues(struct controller *ctrl)
{
	unsigned int most = ctrl->nr_queues - 2, nr;	/* as it counts: for commands, from 0 */
	struct nvme_command sqe = { };
	u32 granted;
	int err;

	sqe.features.opcode = nvme_admin_set_features;
	sqe.features.fid = cpu_to_le32(NVME_FEAT_NUM_QUEUES);
	sqe.features.dword11 = cpu_to_le32(most | most << 16);
	err = administer(ctrl, &sqe, &granted);
	if (err)
		return err;
	nr = 2 + min3(most, granted & 0xffff, granted >> 16);
	if (nr < ctrl->nr_used)
		return -EIO;
	if (!ctrl->nr_used)
		ctrl->nr_used = nr;
	return 0;
}

static int create_queue(struct controller *ctrl, struct queue *q)
{
	struct nvme_command sqe = { };
	int err;

	sqe.create_cq.opcode = nvme_admin_create_cq;
	sqe.create_cq.prp1 = cpu_to_le64(q->cq->addr);
	sqe.create_cq.cqid = cpu_to_le16(q->id);
	sqe.create_cq.qsize = cpu_to_le16(QUEUE_ENTRIES - 1);
	sqe.create_cq.cq_flags = cpu_to_le16(NVME_QUEUE_PHYS_CONTIG | NVME_CQ_IRQ_ENABLED);
	sqe.create_cq.irq_vector = cpu_to_le16(q->id);
	err = administer(ctrl, &sqe, NULL);
	if (err)
		return err;

	memset(&sqe, 0, sizeof(sqe));
	sqe.create_sq.opcode = nvme_admin_create_sq;
	sqe.create_sq.prp1 = cpu_to_le64(q->sq->addr);
	sqe.create_sq.sqid = cpu_to_le16(q->id);
	sqe.create_sq.qsize = cpu_to_le16(QUEUE_ENTRIES - 1);
	sqe.create_sq.sq_flags = cpu_to_le16(NVME_QUEUE_PHYS_CONTIG);
	sqe.create_sq.cqid = cpu_to_le16(q->id);
	return administer(ctrl, &sqe, NULL);
}

static int enable(struct controller *ctrl)
{
	struct queue *admin = ctrl->queues[0];
	int err;

	queue_clear(admin);
	writel((QUEUE_ENTRIES - 1) | (QUEUE_ENTRIES - 1) << 16, ctrl->regs + NVME_REG_AQA);
	lo_hi_writeq(admin->sq->addr, ctrl->regs + NVME_REG_ASQ);
	lo_hi_writeq(admin->cq->addr, ctrl->regs + NVME_REG_ACQ);
	err = set_enabled(ctrl, true);
	if (!err)
		queue_start(admin);
	return err;
}

static int bring_up(struct controller *ctrl)
{
	unsigned int i;
	int err;

	err = enable(ctrl);
	if (!err && !ctrl->size)	/* the first time */
		err = identify_controller(ctrl) ?: identify_namespace(ctrl);
	if (!err)
		err = count_queues(ctrl);
	for (i = 1; i < ctrl->nr_used && !err; i++) {
		queue_clear(ctrl->queues[i]);
		err = create_queue(ctrl, ctrl->queues[i]);
		if (!err)
			queue_start(ctrl->queues[i]);
	}
	return err;
}

static int restart(struct controller *ctrl)
{
	bool first = !ctrl->size;
	int again = take_down(ctrl);

	if (again < 0)
		return again;
	/* What a driver before us could not make stop has stopped now. */
	if (first)
		nursery_dma_release_quarantine(&ctrl->pdev->dev);
	else
		dev_info(&ctrl->pdev->dev, "reset, %d commands are to be issued again\n", again);
	return bring_up(ctrl);
}

/* The service: its first run is the first reset, its last one takes the controller down. */
int controller_service(struct nursery_child *c)
{
	struct controller *ctrl = container_of(c, struct controller, service);
	int err = 0;

	if (!nursery_child_cancelled(c) && atomic_read(&ctrl->reset_wanted))
		err = restart(ctrl);
	/* Nobody is left who needs it, and nothing is to be issued again. */
	if (nursery_child_cancelled(c))
		return min(take_down(ctrl), 0);
	if (err) {
		dev_err(&ctrl->pdev->dev, "the controller cannot be brought up: %d\n", err);
		nursery_cancel(&ctrl->nursery, -ENODEV);
		if (!ctrl->unstoppable)
			take_down(ctrl);
		return err;
	}
	nursery_child_ready(c);
	return NURSERY_PARK;
}
