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

#define NO_FAULTS	"this kernel has no fault injection"
#define MOST		200	/* allocations in a call; there are a few */

FIXTURE(fault) {
	int fd;
	int failures;
	struct census before;
};

FIXTURE_SETUP(fault)
{
	self->fd = -1;
	self->failures = open_failures();
	if (self->failures == -ENOENT)
		return;		/* the tests skip themselves */
	ASSERT_LE(0, self->failures);
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, take_census(&self->before));
}

FIXTURE_TEARDOWN(fault)
{
	close(self->fd);
	close(self->failures);
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
		fail_allocation(__fd, __nth);					\
		__err = (attempt);						\
		__through = !allocation_has_failed(__fd);			\
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
	if (self->failures < 0)
		SKIP(return, NO_FAULTS);
	EXPECT_LE(1, sweep(self->failures, open_and_close()));
	EXPECT_EQ(0, wait_for_census(&self->before, SOON_MS));
}

TEST_F(fault, spawn)
{
	struct nursery_record records[MOST];
	struct nursery_info info = { 0 };
	unsigned int spawned = 0, refused;
	__u64 id;

	if (self->failures < 0)
		SKIP(return, NO_FAULTS);
	refused = sweep(self->failures, ({
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

	if (self->failures < 0)
		SKIP(return, NO_FAULTS);
	kmsg_say("nursery-vm: expect vmalloc error|vmap|page allocation failure");
	/* A file each, as one that lacks large parts is made of small ones, and is made. */
	refused = sweep(self->failures, open_with_buffer());
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
	if (self->failures < 0)
		SKIP(return, NO_FAULTS);
	EXPECT_LE(1, sweep(self->failures, list(self->fd, NURSERY_IOC_LIST)));
	EXPECT_LE(1, sweep(self->failures, list(self->fd, NURSERY_IOC_OPS)));
}

TEST_HARNESS_MAIN
