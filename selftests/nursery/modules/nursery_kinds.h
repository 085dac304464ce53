/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What nursery_kinds.ko is told by its test. The device file is a scope: what is held stays
 * until it is closed.
 */
#ifndef NURSERY_KINDS_H
#define NURSERY_KINDS_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Kinds of DMA memory */
enum {
	KINDS_COHERENT,
	KINDS_NONCONTIGUOUS,
	KINDS_POOL,
	KINDS_SINGLE,
	KINDS_PAGE,
	KINDS_SGTABLE,
	KINDS_USER,
	KINDS_SHAREABLE,
	KINDS_IMPORTED,
	KINDS_NR,
};

/* Flags */
#define KINDS_NO_TRANSFER	1	/* only make the buffers, and release them */
#define KINDS_LIE		2	/* say that a transfer is over when it has been started */

#define KINDS_SIZE		(2 * 4096)	/* at most */

/* Send @size bytes from @src through the device to @dst, in buffers of a kind. */
struct kinds_job {
	__u32 kind;
	__u32 flags;
	__u64 src;
	__u64 dst;
	__u32 size;
	__u32 dirty;		/* out: the first page of @src (1), of @dst (2) */
};

/* Hold user memory for the device to read, or to read and write. */
struct kinds_hold {
	__u64 addr;
	__u64 size;
	__u32 write;
	__u32 pad;
};

#define KINDS_RUN	_IOWR('k', 0, struct kinds_job)
#define KINDS_HOLD	_IOW('k', 1, struct kinds_hold)
#define KINDS_EXPORT	_IO('k', 2)	/* a dma-buf of KINDS_SIZE bytes, each 0x77 */

#endif /* NURSERY_KINDS_H */
