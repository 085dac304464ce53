/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One open /dev/nursery: a nursery and the records of its finished children.
 */
#ifndef _NURSERY_FILE_H
#define _NURSERY_FILE_H

#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/nursery_op.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "internal.h"

struct nursery_file {
	struct nursery		nursery;
	struct pid		*opener;
	char			name[TASK_COMM_LEN];	/* of the opener */

	/* Spawns, reads and the making of the buffer, one at a time. */
	struct mutex		lock;
	unsigned long		outstanding;	/* calls, record not read; written under lock */
	void			*buffer;	/* set once: release; read: acquire */
	size_t			buffer_size;	/* valid once @buffer is */
	struct page		**buffer_pages;	/* the same */

	raw_spinlock_t		records_lock;	/* done() adds in any context */
	struct list_head	records;	/* struct nursery_call, by record */
	wait_queue_head_t	wait;		/* for a record, or for none outstanding */
	struct irq_work		wake;		/* wakes them where the caller may not */

	/* The end: the reaper joins, close() waits for it a while. */
	struct work_struct	reap;
	struct completion	reaped;
	struct kref		ref;		/* the open file, the reaper */
};

/* The file that a nursery is of, or NULL. */
struct nursery_file *nursery_file_of(struct nursery *n);

void nursery_file_wake(struct nursery_file *file);
void *nursery_buffer_alloc(size_t size, struct page ***pages);

#endif /* _NURSERY_FILE_H */
