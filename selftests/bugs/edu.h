/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's edu device, as far as it does not matter who uses it: see samples/nursery_edu.
 */
#ifndef _NURSERY_BUG_EDU_H
#define _NURSERY_BUG_EDU_H

#include <linux/interrupt.h>
#include <linux/pci.h>

#include "../../samples/nursery_edu/nursery_edu.h"

#define EDU_SIZE	EDU_TRANSFER

void __iomem *edu_setup(struct pci_dev *pdev, irq_handler_t handler, void *data);
bool edu_interrupted(void __iomem *regs);
void edu_start_to_ram(void __iomem *regs, dma_addr_t addr);

#endif /* _NURSERY_BUG_EDU_H */
