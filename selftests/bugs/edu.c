// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's edu device: how its drivers begin, its interrupt, and how a transfer is started. When it
 * is over, and what that means, is the drivers'.
 */
#include <linux/dma-mapping.h>
#include <linux/io.h>

#include "edu.h"

/**
 * edu_setup - what every probe() of a driver for it begins with
 * @pdev: the device
 * @handler: for its interrupt, which may come from now on
 * @data: for @handler
 *
 * All of it is undone by the driver core.
 *
 * Context: Process context, may sleep.
 * Return: its registers, or an ERR_PTR() from the PCI core.
 */
void __iomem *edu_setup(struct pci_dev *pdev, irq_handler_t handler, void *data)
{
	void __iomem *regs;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return IOMEM_ERR_PTR(err);
	err = pcim_iomap_regions(pdev, BIT(0), pci_name(pdev));
	if (err)
		return IOMEM_ERR_PTR(err);
	regs = pcim_iomap_table(pdev)[0];
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (err)
		return IOMEM_ERR_PTR(err);
	pci_set_master(pdev);
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (err < 0)
		return IOMEM_ERR_PTR(err);
	err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), handler, IRQF_SHARED,
			       pci_name(pdev), data);
	return err ? IOMEM_ERR_PTR(err) : regs;
}
EXPORT_SYMBOL_GPL(edu_setup);

/**
 * edu_interrupted - is this interrupt from a transfer that is over?
 * @regs: what edu_setup() returned; NULL if it has not yet
 *
 * Context: Any; a handler's.
 * Return: true if it was; the interrupt has been acknowledged.
 */
bool edu_interrupted(void __iomem *regs)
{
	u32 status = regs ? readl(regs + EDU_IRQ_STATUS) : 0;

	if (status)
		writel(status, regs + EDU_IRQ_ACK);
	return status;
}
EXPORT_SYMBOL_GPL(edu_interrupted);

/**
 * edu_start_to_ram - start a transfer of EDU_SIZE bytes to RAM
 * @regs: what edu_setup() returned
 * @addr: where to. The device writes there some 100 ms later, and interrupts.
 *
 * Context: Any.
 */
void edu_start_to_ram(void __iomem *regs, dma_addr_t addr)
{
	writel(EDU_BUFFER, regs + EDU_DMA_SRC);
	writel(addr, regs + EDU_DMA_DST);
	writel(EDU_SIZE, regs + EDU_DMA_COUNT);
	writel(EDU_DMA_START | EDU_DMA_TO_RAM | EDU_DMA_IRQ, regs + EDU_DMA_CMD);
}
EXPORT_SYMBOL_GPL(edu_start_to_ram);
