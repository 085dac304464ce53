/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's edu device, as docs/specs/edu in QEMU has it. Also for the drivers of the
 * selftests that are for this device.
 */
#ifndef _NURSERY_EDU_H
#define _NURSERY_EDU_H

#include <linux/bits.h>
#include <linux/sizes.h>

#define EDU_VENDOR_ID		0x1234
#define EDU_DEVICE_ID		0x11e8

/* Registers, in BAR 0 */
#define EDU_ID			0x00
#define EDU_ID_MAGIC		0x000000ed	/* in the low 16 bits */
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98
#define EDU_DMA_START		BIT(0)		/* stays set until the transfer is over */
#define EDU_DMA_TO_RAM		BIT(1)
#define EDU_DMA_IRQ		BIT(2)		/* ... then interrupt: */

#define EDU_IRQ_DMA		0x100		/* in EDU_IRQ_STATUS */
#define EDU_BUFFER		0x40000		/* the device's own, as its DMA engine sees it */
#define EDU_BUFFER_SIZE		SZ_4K
/* At most this much at a time: QEMU 7.2 ends if the buffer's last byte is touched. */
#define EDU_TRANSFER		SZ_2K
#define EDU_DMA_BITS		28

#endif /* _NURSERY_EDU_H */
