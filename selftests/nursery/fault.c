// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail, one after the other: with the kernel's fault injection
 * the first allocation of a call is made to fail, then the second, until a call
 * gets through without. Each refusal must be ENOMEM and change nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "util.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define NO_FAULTS	"this kernel has no fault injection"
#define MOST		200	/* allocations in a call; there are a few */

FIXTURE(fault) {
	int fd;
	int fail_nth;
	struct census before;
};

FIXTURE_SETUP(fault)
{
	self->fd = -1;
	self->fail_nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (self->fail_nth < 0)
		return;		/* the tests skip themselves */
	/* GFP_KERNEL allocations too, and no stack trace for each */
	ASSERT_EQ(0, write_file(FAILSLAB "ignore-gfp-wait", "N", SOON_MS));
	ASSERT_EQ(0, write_file(FAILSLAB "verbose", "0", SOON_MS));
	ASSERT_EQ(0, write_file(FAIL_PAGE "ignore-gfp-wait", "N", SOON_MS));
	ASSERT_EQ(0, write_file(FAIL_PAGE "min-order", "0", SOON_MS));
	ASSERT_EQ(0, write_file(FAIL_PAGE "verbose", "0", SOON_MS));
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, take_census(&self->before));
}

FIXTURE_TEARDOWN(fault)
{
	close(self->fd);
	close(self->fail_nth);
}

static void fail_nth(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fd, text, len, 0) != len)
		perror(FAIL_NTH);
}

/* Is the failure still to come? Then the call made fewer allocations. */
static bool still_armed(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return false;
	return atoi(text) != 0;
}

/* Run @attempt with failure 1, 2, ... until none happens; counts the refusals. */
#define sweep(fd, attempt) ({							\
	unsigned int __nth, __refused = 0;					\
	int __fd = (fd);							\
	bool __through = false;							\
										\
	for (__nth = 1; __nth < MOST && !__through; __nth++) {			\
		int __err;							\
										\
		fail_nth(__fd, __nth);						\
		__err = (attempt);						\
		__through = still_armed(__fd);					\
		fail_nth(__fd, 0);						\
		if (__err) {							\
			EXPECT_EQ(-ENOMEM, __err);				\
			__refused++;						\
		}								\
	}									\
	EXPECT_TRUE(__through);							\
	__refused;								\
})

static int open_and_close(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

TEST_F(fault, open)
{
	if (self->fail_nth < 0)
		SKIP(return, NO_FAULTS);
	EXPECT_LE(1, sweep(self->fail_nth, open_and_close()));
	EXPECT_EQ(0, wait_for_census(&self->before, SOON_MS));
}

TEST_F(fault, spawn)
{
	struct nursery_record records[MOST];
	struct nursery_info info = { 0 };
	unsigned int spawned = 0, refused;
	__u64 id;

	if (self->fail_nth < 0)
		SKIP(return, NO_FAULTS);
	refused = sweep(self->fail_nth, ({
		int err = spawn(self->fd, &id, 0, "sleep", 0);

		spawned += !err;
		err;
	}));
	EXPECT_LE(1, refused);
	/* The refused ones are not there, the others are, with one record each. */
	EXPECT_EQ(0, call(self->fd, NURSERY_IOC_INFO, &info));
	EXPECT_EQ(spawned, info.outstanding);
	EXPECT_EQ(spawned, read_records(self->fd, records, spawned, SOON_MS));
	EXPECT_EQ(0, read(self->fd, records, sizeof(records)));
}

static int open_with_buffer(void)
{
	struct nursery_buffer buffer = { .size = 64 * 1024 };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = call(fd, NURSERY_IOC_BUFFER, &buffer);
	close(fd);
	return err;
}

TEST_F(fault, buffer)
{
	struct nursery_buffer buffer = { .size = 64 * 1024 };
	unsigned int refused;

	if (self->fail_nth < 0)
		SKIP(return, NO_FAULTS);
	kmsg_say("nursery-vm: expect vmalloc error|vmap|page allocation failure");
	/* A file each, as one that lacks large parts is made of small ones, and is made. */
	refused = sweep(self->fail_nth, open_with_buffer());
	kmsg_say("nursery-vm: expected");
	EXPECT_LE(4, refused);
	EXPECT_EQ(0, wait_for_census(&self->before, SOON_MS));
	EXPECT_EQ(0, call(self->fd, NURSERY_IOC_BUFFER, &buffer));
}

static int list(int fd, unsigned long request)
{
	/* few: what is larger than a page is tried in another way when it fails */
	struct nursery_op_entry entries[16];
	struct nursery_list args = {
		.entries = (uintptr_t)entries,
		.entry_size = 16,
		.nr = 16,
	};

	return call(fd, request, &args);
}

TEST_F(fault, listings)
{
	if (self->fail_nth < 0)
		SKIP(return, NO_FAULTS);
	EXPECT_LE(1, sweep(self->fail_nth, list(self->fd, NURSERY_IOC_LIST)));
	EXPECT_LE(1, sweep(self->fail_nth, list(self->fd, NURSERY_IOC_OPS)));
}

TEST_HARNESS_MAIN
