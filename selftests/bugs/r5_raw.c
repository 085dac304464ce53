// SPDX-License-Identifier: GPL-2.0-only
/*
 * R5: a buffer that is freed while the device writes to it.
 *
 * CVE-2026-46301 (spi-topcliff-pch), and CVE-2026-31485 (spi-fsl-lpspi: its DMA channels). Of
 * the same rule, but in other places: fastrpc frees in interrupt context, and CVE-2024-43856
 * (dmam_free_coherent()) is about a buffer that is freed before the record of it.
 *
 * There is always a transfer under way: the interrupt starts the next one. remove() frees
 * the buffer, and then stops the controller, which waits for the last of them. Each line is
 * right, and the order is not: the window is what is left of the transfer. Without an IOMMU
 * the device writes to memory that is somebody else's, and nobody is told.
 *
 * In a nursery a transfer is a child, and the buffer is owned by the scope. There is
 * no order to get wrong: the join waits for the one, and then releases the other.
 */
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include "edu.h"

struct foo {
	void __iomem		*regs;
	bool			stopping;
	struct completion	stopped;
	void			*buf;
	dma_addr_t		addr;
};

static irqreturn_t foo_interrupt(int irq, void *data)
{
	struct foo *foo = data;

	if (!edu_interrupted(foo->regs))
		return IRQ_NONE;
	if (READ_ONCE(foo->stopping))
		complete(&foo->stopped);
	else
		edu_start_to_ram(foo->regs, foo->addr);
	return IRQ_HANDLED;
}

static int foo_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct foo *foo = devm_kzalloc(&pdev->dev, sizeof(*foo), GFP_KERNEL);

	if (!foo)
		return -ENOMEM;
	init_completion(&foo->stopped);
	foo->regs = edu_setup(pdev, foo_interrupt, foo);
	if (IS_ERR(foo->regs))
		return PTR_ERR(foo->regs);
	foo->buf = dma_alloc_coherent(&pdev->dev, EDU_SIZE, &foo->addr, GFP_KERNEL);
	if (!foo->buf)
		return -ENOMEM;
	edu_start_to_ram(foo->regs, foo->addr);
	pci_set_drvdata(pdev, foo);
	return 0;
}

static void foo_remove(struct pci_dev *pdev)
{
	struct foo *foo = pci_get_drvdata(pdev);

	dma_free_coherent(&pdev->dev, EDU_SIZE, foo->buf, foo->addr);
	WRITE_ONCE(foo->stopping, true);
	wait_for_completion(&foo->stopped);
}

/* No table of ids: a device has to be given to it by driver_override. */
static struct pci_driver foo_driver = {
	.name	= KBUILD_MODNAME,
	.probe	= foo_probe,
	.remove	= foo_remove,
};
module_pci_driver(foo_driver);

MODULE_DESCRIPTION("R5, with the bug: frees a DMA buffer under a live transfer");
MODULE_LICENSE("GPL");
