// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvme-reader KIND DISK SIZE BLOCK DEPTH PASSES: read a disk and say how long it took.
 *
 * KIND aio: DISK is a block device of the kernel's own driver, read with O_DIRECT by the
 * kernel's asynchronous I/O, into small pages, as dd has for a block. KIND huge: the same into
 * large pages. KIND nursery: DISK is the end of the name of nursery_nvme's
 * operation. Both read SIZE bytes PASSES times from the beginning, in BLOCKs, DEPTH of
 * which are under way at a time: when one is there the next one is asked for. A depth of 1
 * is what dd does. What is read is not looked at, but that it was read is.
 *
 * Prints bytes and nanoseconds.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/nursery.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MOST	64
#define HUGE	(2UL << 20)

static unsigned long size, block, depth, passes;
static unsigned long asked, there;	/* bytes, of all passes */
static int fd;
static char *buffer;

/* Of the kind: ask for the next block into slot i; wait for some, and fill slots[]. */
static void (*ask)(unsigned int i, unsigned long start);
static unsigned int (*wait_some)(unsigned int *slots);

static aio_context_t context;

static void aio_ask(unsigned int i, unsigned long start)
{
	struct iocb io = {
		.aio_data = i, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
		.aio_buf = (unsigned long)buffer + i * block, .aio_nbytes = block,
		.aio_offset = start,
	}, *list = &io;

	if (syscall(SYS_io_submit, context, 1, &list) != 1)
		err(1, "io_submit");
}

static unsigned int aio_wait_some(unsigned int *slots)
{
	struct io_event events[MOST];
	int nr = syscall(SYS_io_getevents, context, 1, MOST, events, NULL), i;

	if (nr < 1)
		err(1, "io_getevents");
	for (i = 0; i < nr; i++) {
		if (events[i].res != (long)block)
			errx(1, "a read returned %lld", events[i].res);
		slots[i] = events[i].data;
	}
	return nr;
}

static void aio_open(const char *disk, int advice)
{
	unsigned long len = (block * depth + HUGE - 1) / HUGE * HUGE;

	fd = open(disk, O_RDONLY | O_DIRECT);
	if (fd < 0)
		err(1, "%s", disk);
	if (syscall(SYS_io_setup, MOST, &context))
		err(1, "io_setup");
	buffer = aligned_alloc(HUGE, len);
	if (!buffer || madvise(buffer, len, advice))
		err(1, "memory");
	memset(buffer, 0, len);
	ask = aio_ask;
	wait_some = aio_wait_some;
}

static struct nursery_spawn call = { .nr_args = 3 };

static void nursery_ask(unsigned int i, unsigned long start)
{
	call.args[0] = i * block;
	call.args[1] = start;
	call.args[2] = block;
	call.cookie = i;
	if (ioctl(fd, NURSERY_IOC_SPAWN, &call))
		err(1, "%s", call.op);
}

static unsigned int nursery_wait_some(unsigned int *slots)
{
	struct nursery_record records[MOST];
	ssize_t len = read(fd, records, sizeof(records));
	unsigned int nr = len / sizeof(*records), i;

	if (len <= 0)
		err(1, "read");
	for (i = 0; i < nr; i++) {
		if (records[i].result || records[i].value != block)
			errx(1, "a read returned %d", records[i].result);
		slots[i] = records[i].cookie;
	}
	return nr;
}

static void nursery_open(const char *disk)
{
	struct nursery_buffer args = { .size = block * depth };

	fd = open("/dev/nursery", O_RDWR);
	if (fd < 0 || ioctl(fd, NURSERY_IOC_BUFFER, &args))
		err(1, "/dev/nursery");
	buffer = mmap(NULL, args.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, args.offset);
	if (buffer == MAP_FAILED)
		err(1, "mmap");
	memset(buffer, 0, args.size);
	snprintf(call.op, sizeof(call.op), "nvme-read-%s", disk);
	ask = nursery_ask;
	wait_some = nursery_wait_some;
}

static void ask_next(unsigned int i)
{
	if (asked < size * passes) {
		ask(i, asked % size);
		asked += block;
	}
}

static unsigned long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

int main(int argc, char **argv)
{
	unsigned int slots[MOST], nr, i;
	unsigned long start;

	if (argc != 7)
		errx(2, "usage: nvme-reader aio|huge|nursery DISK SIZE BLOCK DEPTH PASSES");
	size = strtoul(argv[3], NULL, 0);
	block = strtoul(argv[4], NULL, 0);
	depth = strtoul(argv[5], NULL, 0);
	passes = strtoul(argv[6], NULL, 0);
	if (!block || size % block || !depth || depth > MOST)
		errx(2, "a size of whole blocks, and a depth of 1 to %d", MOST);
	if (!strcmp(argv[1], "nursery"))
		nursery_open(argv[2]);
	else
		aio_open(argv[2], strcmp(argv[1], "huge") ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);

	start = now();
	for (i = 0; i < depth; i++)
		ask_next(i);
	while (there < size * passes) {
		nr = wait_some(slots);
		for (i = 0; i < nr; i++) {
			there += block;
			ask_next(slots[i]);
		}
	}
	printf("%lu %lu\n", there, now() - start);
	return 0;
}
