// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver with a nursery: QEMU's edu device (PCI 1234:11e8, see docs/specs/edu
 * in QEMU), which copies up to 4 KiB between RAM and a buffer of its own.
 *
 * There are two scopes. The device's nursery lives from probe to remove; its
 * children are calls of the operation "edu-copy" that user space makes, one at a
 * time, as there is one DMA engine. Each call opens a nursery of its own for its
 * buffer and its transfers: RAM to device, and back. A transfer is an
 * external child, completed by the interrupt.
 *
 * So there is no remove(), and no list of what is going on. The device's nursery is
 * joined before what the driver acquired earlier is released, the interrupt first of all:
 * no call runs after that, so no transfer and no buffer is left.
 *
 * While the system sleeps and while the device is reset no call runs, either, but those who
 * wait for theirs need not know: it goes on afterwards.
 *
 * Nobody waits for ever for a transfer whose interrupt does not come. The engine cannot be
 * aborted, but without bus mastering it reaches no memory: the hard cancel handler takes that
 * away, and edu_quiesce() waits for the engine to end. If it does not, the chunk's
 * buffer goes to quarantine, and no other chunk is begun before the engine has
 * stopped. Parameters of the module make such things happen, for tests.
 */
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_dma.h>
#include <linux/nursery_op.h>
#include <linux/pci.h>

#include "nursery_edu.h"

/* A transfer takes a tenth of a second. */
#define EDU_STOP		(USEC_PER_SEC / 2)

static unsigned int timeout_ms = 10000;
module_param(timeout_ms, uint, 0644);
MODULE_PARM_DESC(timeout_ms, "Cancel a chunk that takes so long; it should take half a second");

static unsigned int grace_ms = 2000;
module_param(grace_ms, uint, 0644);
MODULE_PARM_DESC(grace_ms, "Stop the engine if a transfer takes so long after a cancel");

static unsigned int lose_irqs;
module_param(lose_irqs, uint, 0644);
MODULE_PARM_DESC(lose_irqs, "For tests: how many interrupts are to be ignored from now on");

static bool stop_fails;
module_param(stop_fails, bool, 0644);
MODULE_PARM_DESC(stop_fails, "For tests: the engine cannot be stopped");

static unsigned int late_irqs;
module_param(late_irqs, uint, 0444);
MODULE_PARM_DESC(late_irqs, "How many interrupts came for a transfer that had been given up");

struct edu_transfer {
	struct nursery_child child;
	struct nursery_cancel_handler on_cancel;
	struct nursery_cancel_handler on_hard_cancel;
	struct edu_device *edu;
};

struct edu_device {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct nursery nursery;
	struct nursery_op copy;
	struct edu_transfer *transfer;	/* in the engine; whoever takes it completes it */
	atomic_t state;			/* EDU_RUNNING, EDU_HELD */
	wait_queue_head_t changed;	/* @state: a bit is gone */
	bool stuck;			/* the engine could not be stopped; chunks, one at a time */
};

#define EDU_RUNNING	BIT(0)	/* a call is; there is but one at a time */
#define EDU_HELD	BIT(1)	/* none may begin: the device sleeps, or is being reset */

/* From the interrupt and from the cancel handler: one of them finds it. */
static bool edu_complete(struct edu_device *edu, int result)
{
	struct edu_transfer *transfer = xchg(&edu->transfer, NULL);

	if (transfer)
		nursery_child_complete(&transfer->child, result);
	return transfer;
}

/* Is this interrupt one that does not come? */
static bool edu_is_lost(void)
{
	unsigned int left = READ_ONCE(lose_irqs);

	do {
		if (likely(!left))
			return false;
	} while (!try_cmpxchg(&lose_irqs, &left, left - 1));
	return true;
}

static irqreturn_t edu_interrupt(int irq, void *data)
{
	struct edu_device *edu = data;
	u32 status = readl(edu->regs + EDU_IRQ_STATUS);

	if (!status || PCI_POSSIBLE_ERROR(status))
		return IRQ_NONE;
	writel(status, edu->regs + EDU_IRQ_ACK);
	if (status & EDU_IRQ_DMA && !edu_is_lost() && !edu_complete(edu, 0))
		WRITE_ONCE(late_irqs, late_irqs + 1);
	return IRQ_HANDLED;
}

/* The engine cannot be stopped, but a device that is gone has stopped for good. */
static void edu_cancel(struct nursery_cancel_handler *h)
{
	struct edu_device *edu = container_of(h, struct edu_transfer, on_cancel)->edu;

	if (!pci_device_is_present(edu->pdev))
		edu_complete(edu, -ENODEV);
}

/* It had the grace to end. In a timer's interrupt: what has to sleep is for edu_quiesce(). */
static void edu_force(struct nursery_cancel_handler *h)
{
	struct edu_device *edu = container_of(h, struct edu_transfer, on_hard_cancel)->edu;

	if (!stop_fails)
		pci_clear_master(edu->pdev);
}

/*
 * Have the engine stop. When it runs no more it may reach memory again: it knows
 * none.
 */
static int edu_stop(struct edu_device *edu)
{
	u32 cmd;
	int err;

	if (stop_fails)
		return -EIO;
	pci_clear_master(edu->pdev);
	/* A device that is gone has stopped for good. */
	err = readl_poll_timeout(edu->regs + EDU_DMA_CMD, cmd,
				 !(cmd & EDU_DMA_START) || PCI_POSSIBLE_ERROR(cmd),
				 USEC_PER_MSEC, EDU_STOP);
	if (err)
		return err;
	/* Its interrupt, if that was lost on its way, is not to be taken for the next one's. */
	writel(EDU_IRQ_DMA, edu->regs + EDU_IRQ_ACK);
	synchronize_irq(pci_irq_vector(edu->pdev, 0));
	pci_set_master(edu->pdev);
	return 0;
}

/* Before the engine is used: it may not have stopped when it was to. */
static int edu_make_ready(struct edu_device *edu)
{
	int err;

	if (!edu->stuck)
		return 0;
	err = edu_stop(edu);
	if (err)
		return err;
	edu->stuck = false;
	nursery_dma_release_quarantine(&edu->pdev->dev);
	return 0;
}

/* A chunk went wrong: see that the engine does not touch its buffer any more. */
static int edu_quiesce(struct nursery *n, void *data)
{
	struct edu_device *edu = data;
	int err = edu_stop(edu);

	edu->stuck = err;
	/* A late interrupt finds nothing now, and one that came in time has completed it. */
	xchg(&edu->transfer, NULL);
	synchronize_irq(pci_irq_vector(edu->pdev, 0));
	return err;
}

/* Run one transfer as a child of @n and wait for it. */
static int edu_transfer(struct nursery *n, struct edu_device *edu, dma_addr_t src,
			dma_addr_t dst, u32 len, u32 direction)
{
	struct edu_transfer transfer = { .edu = edu };
	int err;

	nursery_child_init(&transfer.child, NULL, NULL);
	err = nursery_child_begin(n, &transfer.child);
	if (err)
		return err;

	/* Ordered before the start below, and pairs with the xchg() of edu_complete(). */
	xchg(&edu->transfer, &transfer);
	nursery_on_hard_cancel(&transfer.child, &transfer.on_hard_cancel, edu_force);
	if (nursery_on_cancel(&transfer.child, &transfer.on_cancel, edu_cancel)) {
		edu_complete(edu, -ECANCELED);
	} else {
		writel(src, edu->regs + EDU_DMA_SRC);
		writel(dst, edu->regs + EDU_DMA_DST);
		writel(len, edu->regs + EDU_DMA_COUNT);
		writel(EDU_DMA_START | EDU_DMA_IRQ | direction, edu->regs + EDU_DMA_CMD);
	}
	return nursery_child_join(&transfer.child);
}

/* Send the buffer to the device and fetch it back, piece by piece. */
static int edu_loop_back(struct nursery *n, struct edu_device *edu, struct nursery_dma *buf,
			 u32 len)
{
	u32 done, piece;
	int err;

	for (done = 0; done < len; done += piece) {
		piece = min_t(u32, len - done, EDU_TRANSFER);
		err = edu_transfer(n, edu, buf->addr + done, EDU_BUFFER, piece, 0);
		if (err)
			return err;
		/* What comes back comes from the device, or it is zeroes. */
		memset(buf->cpu + done, 0, piece);
		err = edu_transfer(n, edu, EDU_BUFFER, buf->addr + done, piece, EDU_DMA_TO_RAM);
		if (err)
			return err;
	}
	return 0;
}

/* edu-copy:SRC,DST,LEN - through the device, within the caller's buffer */
static int edu_copy(struct nursery_call *call)
{
	struct edu_device *edu = container_of(call->op, struct edu_device, copy);
	u64 len = call->args[2];
	void *src = nursery_call_buffer(call, call->args[0], len);
	void *dst = nursery_call_buffer(call, call->args[1], len);
	int err, joined;

	if (IS_ERR(src))
		return PTR_ERR(src);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (!len || len > EDU_BUFFER_SIZE)
		return -EINVAL;
	err = edu_make_ready(edu);
	if (err)
		return err;

	scoped_nursery(n, .name = "edu chunk", .parent = &call->child, .result = &joined,
		       .timeout = timeout_ms * NSEC_PER_MSEC, .grace = grace_ms * NSEC_PER_MSEC) {
		struct nursery_dma *buf = nursery_dma_alloc(n, &edu->pdev->dev,
							    EDU_BUFFER_SIZE, GFP_KERNEL);

		if (IS_ERR(buf))
			return PTR_ERR(buf);

		nursery_set_quiesce(n, edu_quiesce, edu);
		memcpy(buf->cpu, src, len);
		err = edu_loop_back(n, edu, buf, len);
		if (!err)
			memcpy(dst, buf->cpu, len);
	}
	/*
	 * What has arrived has arrived, cancelled or not. If not, the scope knows better
	 * why: a refused transfer may be a timeout.
	 */
	return err ? joined ?: err : 0;
}

static bool edu_begin(struct edu_device *edu)
{
	return atomic_cmpxchg(&edu->state, 0, EDU_RUNNING) == 0;
}

static void edu_clear(struct edu_device *edu, int bit)
{
	(void)atomic_fetch_andnot_release(bit, &edu->state);
	wake_up(&edu->changed);
}

/* The call that runs may end, which takes half a second; others wait for edu_go_on(). */
static void edu_hold(struct pci_dev *pdev)
{
	struct edu_device *edu = pci_get_drvdata(pdev);

	atomic_or(EDU_HELD, &edu->state);
	wait_event(edu->changed, !(atomic_read_acquire(&edu->state) & EDU_RUNNING));
}

static void edu_go_on(struct pci_dev *pdev)
{
	edu_clear(pci_get_drvdata(pdev), EDU_HELD);
}

static int edu_run(struct nursery_call *call)
{
	struct edu_device *edu = container_of(call->op, struct edu_device, copy);
	int err;

	/* Not for ever: who waits is cancelled if the device goes instead of coming back. */
	err = nursery_wait_event(&call->child, edu->changed, edu_begin(edu));
	if (err)
		return err;
	err = edu_copy(call);
	edu_clear(edu, EDU_RUNNING);
	return err;
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct nursery_params params = {
		.max_active = 1,		/* one engine */
		.flags = NURSERY_SUPERVISE,	/* calls are strangers to one another */
	};
	struct edu_device *edu;
	int err;

	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	params.name = devm_kasprintf(&pdev->dev, GFP_KERNEL, "edu %s", pci_name(pdev));
	if (!edu || !params.name)
		return -ENOMEM;
	edu->pdev = pdev;
	init_waitqueue_head(&edu->changed);
	pci_set_drvdata(pdev, edu);

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
	if (err)
		return err;
	edu->regs = pcim_iomap_table(pdev)[0];
	if ((readl(edu->regs + EDU_ID) & 0xffff) != EDU_ID_MAGIC)
		return -ENODEV;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (err)
		return err;
	pci_set_master(pdev);

	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (err < 0)
		return err;
	err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), edu_interrupt, IRQF_SHARED,
			       KBUILD_MODNAME, edu);
	if (err)
		return err;

	/* Who had it before may have left it running. */
	err = edu_stop(edu);
	if (err)
		return err;
	nursery_dma_release_quarantine(&pdev->dev);

	/* After all that its children need. */
	err = devm_nursery_init(&pdev->dev, &edu->nursery, &params);
	if (err)
		return err;
	edu->copy = (struct nursery_op) {
		.name = "edu-copy", .usage = "SRC,DST,LEN", .nr_args = 3, .run = edu_run,
	};
	return nursery_register_op(&edu->nursery, &edu->copy);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(EDU_VENDOR_ID, EDU_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static int edu_suspend(struct device *dev)
{
	edu_hold(to_pci_dev(dev));
	return 0;
}

static int edu_resume(struct device *dev)
{
	edu_go_on(to_pci_dev(dev));
	return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(edu_pm, edu_suspend, edu_resume);

static const struct pci_error_handlers edu_err_handler = {
	.reset_prepare	= edu_hold,
	.reset_done	= edu_go_on,
};

static struct pci_driver edu_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= edu_ids,
	.probe		= edu_probe,
	.shutdown	= edu_hold,	/* for good: memory is not ours any more */
	.driver.pm	= pm_sleep_ptr(&edu_pm),
	.err_handler	= &edu_err_handler,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Sample: QEMU's edu device driven with nurseries");
MODULE_LICENSE("GPL");
