// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for QEMU's edu device that is wrong on purpose: it frees its DMA
 * buffer under a transfer that it has started. It does what nursery_edu makes
 * impossible, for a test that sees the IOMMU report it. With early=0 it waits
 * for the transfer first, and there is nothing to report.
 *
 * It has no table of ids: a device has to be given to it by driver_override.
 */
#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>

#include "../../../samples/nursery_edu/nursery_edu.h"

static bool early = true;
module_param(early, bool, 0644);
MODULE_PARM_DESC(early, "free the buffer before the transfer is over");

static int wait_for_transfer(void __iomem *regs)
{
	u32 command;

	return readl_poll_timeout(regs + EDU_DMA_CMD, command, !(command & EDU_DMA_START),
				  10 * USEC_PER_MSEC, 10 * USEC_PER_SEC);
}

static int wrong_edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	void __iomem *regs;
	dma_addr_t addr;
	void *buf;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	err = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
	if (err)
		return err;
	regs = pcim_iomap_table(pdev)[0];
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(EDU_DMA_BITS));
	if (err)
		return err;
	buf = dma_alloc_coherent(&pdev->dev, EDU_TRANSFER, &addr, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	pci_set_master(pdev);

	writel(EDU_BUFFER, regs + EDU_DMA_SRC);
	writel(addr, regs + EDU_DMA_DST);
	writel(EDU_TRANSFER, regs + EDU_DMA_COUNT);
	writel(EDU_DMA_START | EDU_DMA_TO_RAM, regs + EDU_DMA_CMD);

	if (!early)
		err = wait_for_transfer(regs);
	/* The bug, unless the transfer has been waited for. */
	dma_free_coherent(&pdev->dev, EDU_TRANSFER, buf, addr);
	/* The device stays ours, and may use the bus, until it has done its worst. */
	if (early)
		err = wait_for_transfer(regs);
	return err;
}

static struct pci_driver wrong_edu_driver = {
	.name	= KBUILD_MODNAME,
	.probe	= wrong_edu_probe,
};
module_pci_driver(wrong_edu_driver);

MODULE_DESCRIPTION("Negative control: frees a DMA buffer under a live transfer");
MODULE_LICENSE("GPL");
