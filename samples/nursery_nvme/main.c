// SPDX-License-Identifier: GPL-2.0-only
/*
 * A reader for NVMe controllers, with nurseries: after the public NVM Express Base
 * Specification. QEMU's nvme device will do; see docs/system/devices/nvme in QEMU.
 *
 * What there is to learn, in the order of the files:
 *
 * main.c        All that the driver acquires belongs to one nursery, in the order in which it
 *		 is acquired, and that to the device. So there is no remove(), and nothing to
 *		 undo when a probe fails half-way.
 * controller.c  The controller is brought up, reset and taken down by one child, a service.
 * queue.c       A command is an external child. A cancel sends an Abort; if that does not
 *		 help in time, the service resets the controller, and other people's
 *		 commands go on after it.
 * read.c        What user space calls: a piece of a read is a nursery with a DMA mapping
 *		 and its commands.
 *
 * There is no list of what is under way, no reference count, and no flag that says that the
 * driver goes away. The join waits for the calls; then the service takes the
 * controller down; then the interrupts are freed, then the queues.
 *
 * It takes no controller that it is not given by name, as there may be data on it:
 *
 *	echo nursery_nvme >/sys/bus/pci/devices/ADDRESS/driver_override
 */
#include <linux/module.h>

#include "nursery_nvme.h"

static int start(struct controller *ctrl)
{
	struct nursery *n = &ctrl->nursery;
	unsigned int i;
	int err;

	ctrl->identity = nursery_dma_alloc(n, &ctrl->pdev->dev, NVME_IDENTIFY_DATA_SIZE,
					   GFP_KERNEL);
	if (IS_ERR(ctrl->identity))
		return PTR_ERR(ctrl->identity);
	ctrl->queues = nursery_kzalloc(n, ctrl->nr_queues * sizeof(*ctrl->queues), GFP_KERNEL);
	if (!ctrl->queues)
		return -ENOMEM;
	for (i = 0; i < ctrl->nr_queues; i++) {
		ctrl->queues[i] = nursery_kzalloc(n, sizeof(struct queue), GFP_KERNEL);
		if (!ctrl->queues[i])
			return -ENOMEM;
		err = queue_init(ctrl->queues[i], ctrl, i);
		if (err)
			return err;
	}
	for (i = 0; i < ctrl->nr_queues; i++) {
		err = queue_listen(ctrl->queues[i]);
		if (err)
			return err;
	}

	nursery_child_init(&ctrl->service, controller_service, NULL);
	nursery_child_set_service(&ctrl->service);
	atomic_set(&ctrl->reset_wanted, 1);
	return nursery_start(n, &ctrl->service) ?: reader_register(ctrl);
}

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct nursery_params params = {
		/* A call goes on where the interrupt was that ended its commands. */
		.executor = nursery_executor_percpu,
		.max_active = READER_CALLS,
		/* Calls are strangers to one another, and under way while they are parked. */
		.flags = NURSERY_SUPERVISE | NURSERY_KEEP_PLACES,
	};
	struct controller *ctrl;
	int err, nr;

	ctrl = devm_kzalloc(&pdev->dev, sizeof(*ctrl), GFP_KERNEL);
	params.name = devm_kasprintf(&pdev->dev, GFP_KERNEL, "nvme %s", pci_name(pdev));
	if (!ctrl || !params.name)
		return -ENOMEM;
	ctrl->pdev = pdev;
	init_waitqueue_head(&ctrl->stopped);

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
	if (err)
		return err;
	ctrl->regs = pcim_iomap_table(pdev)[0];
	err = controller_check(ctrl);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	pci_set_master(pdev);
	nr = pci_alloc_irq_vectors(pdev, 2, 1 + num_possible_cpus(), PCI_IRQ_MSIX);
	if (nr < 0)
		return nr;
	ctrl->nr_queues = nr;

	err = devm_nursery_init(&pdev->dev, &ctrl->nursery, &params);
	if (err)
		return err;
	nursery_set_quiesce(&ctrl->nursery, controller_quiesce, ctrl);
	return start(ctrl);
}

static struct pci_driver reader_driver = {
	.name		= KBUILD_MODNAME,
	.probe		= probe,
};
module_pci_driver(reader_driver);

MODULE_DESCRIPTION("Sample: an NVMe controller driven with nurseries");
MODULE_LICENSE("GPL");
