// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA memory of every kind, as the hardware sees it: data goes through a device and comes
 * back as it was; when the scope has ended the device has no access any more; and
 * allocations that fail, one after the other, leave nothing behind. With memory of the
 * process itself among the kinds, and dma-bufs.
 *
 * What is left mapped DMA_API_DEBUG reports when the device's driver leaves, after each
 * test; what is left allocated kmemleak finds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "edu_util.h"
#include "modules/nursery_kinds.h"

#define DRIVER		"nursery_kinds"
#define FILE_OF_DRIVER	"/dev/" DRIVER
#define MOST		300	/* allocations in a call; there are some dozens */
#define SIZE		5000	/* more than two transfers, and than a page */
#define MAP_SIZE	(4 * 4096)
#define LONG_S		100	/* for what takes half a minute */

static const char * const names[KINDS_NR] = {
	[KINDS_COHERENT] = "coherent",
	[KINDS_NONCONTIGUOUS] = "noncontiguous",
	[KINDS_POOL] = "pool",
	[KINDS_SINGLE] = "single",
	[KINDS_PAGE] = "page",
	[KINDS_SGTABLE] = "sgtable",
	[KINDS_USER] = "user",
	[KINDS_SHAREABLE] = "shareable",
	[KINDS_IMPORTED] = "imported",
};

FIXTURE(kinds) {
	struct edu_devices devices;
	const char *addr;
	int fd;
	char *src, *dst;	/* the process's own, not aligned */
	char *map;
};

static int override_driver(const char *addr, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", addr);
	return write_file(path, driver, SOON_MS);
}

FIXTURE_SETUP(kinds)
{
	self->fd = -1;
	ASSERT_EQ(0, edu_start(&self->devices));
	if (!self->devices.nr)
		return;
	self->addr = self->devices.addr[0];
	ASSERT_EQ(0, shell("modprobe " DRIVER));
	ASSERT_EQ(0, edu_unbind(self->addr, EDU_DRIVER));
	ASSERT_EQ(0, override_driver(self->addr, DRIVER));
	ASSERT_EQ(0, edu_bind(self->addr, DRIVER));
	ASSERT_TRUE(wait_until(!access(FILE_OF_DRIVER, F_OK), SOON_MS));
	self->fd = open(FILE_OF_DRIVER, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->map = mmap(NULL, 2 * MAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	self->src = self->map + 100;
	self->dst = self->map + MAP_SIZE + 4000;
	edu_fill(self->map, 2 * MAP_SIZE, 7);
}

FIXTURE_TEARDOWN(kinds)
{
	if (!self->devices.nr)
		return;
	close(self->fd);
	munmap(self->map, 2 * MAP_SIZE);
	EXPECT_EQ(0, edu_unbind(self->addr, DRIVER));
	EXPECT_EQ(0, override_driver(self->addr, "\n"));
	EXPECT_EQ(0, edu_bind(self->addr, EDU_DRIVER));
	EXPECT_EQ(0, shell("rmmod " DRIVER));
	EXPECT_EQ(0, edu_copies(2 * self->devices.nr, 1, SOON_MS));
}

static int run(FIXTURE_DATA(kinds) *self, __u32 kind, __u32 flags, __u32 *dirty)
{
	struct kinds_job job = {
		.kind = kind, .flags = flags, .size = SIZE,
		.src = (uintptr_t)self->src, .dst = (uintptr_t)self->dst,
	};
	int err = call(self->fd, KINDS_RUN, &job);

	if (dirty)
		*dirty = job.dirty;
	return err;
}

TEST_F_TIMEOUT(kinds, each_goes_through_the_device, LONG_S)
{
	unsigned int kind;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	for (kind = 0; kind < KINDS_NR; kind++) {
		edu_fill(self->src, SIZE, kind);
		memset(self->dst - 1, 0x55, SIZE + 2);
		EXPECT_EQ(0, run(self, kind, 0, NULL))
			TH_LOG("%s", names[kind]);
		EXPECT_EQ(0, memcmp(self->src, self->dst, SIZE))
			TH_LOG("%s", names[kind]);
		/* not a byte more */
		EXPECT_EQ(0x55, self->dst[-1]);
		EXPECT_EQ(0x55, self->dst[SIZE]);
	}
}

/*
 * A driver that lies: it says that the transfer is over when it has been started. So the scope
 * ends, its buffers are released, and the IOMMU reports what the device still does.
 */
TEST_F_TIMEOUT(kinds, none_is_mapped_after_the_scope, LONG_S)
{
	static const __u32 lies[] = {
		KINDS_SINGLE, KINDS_SGTABLE, KINDS_USER,
	};
	unsigned int i;
	char regex[256];
	bool seen;
	int kmsg, err;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	/* PCI addresses in the log have no domain. */
	snprintf(regex, sizeof(regex), "DMAR: .*DMA Write.* device .%s. fault addr",
		 strchr(self->addr, ':') + 1);
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		/* There are no more than ten such messages in so long a time. */
		sleep_ms(i ? 5500 : 0);
		kmsg = kmsg_open();
		ASSERT_LE(0, kmsg);
		kmsg_say("nursery-vm: expect DMAR: DRHD: handling fault status|%s", regex);
		err = run(self, lies[i], KINDS_LIE, NULL);
		seen = kmsg_find(kmsg, regex, SOON_MS);
		kmsg_say("nursery-vm: expected");
		close(kmsg);
		EXPECT_EQ(0, err);
		EXPECT_TRUE(seen)
			TH_LOG("the IOMMU let a transfer write to what was released: %s",
			       names[lies[i]]);
	}
}

/* Marked dirty are the pages that the device wrote, and no others. */
TEST_F(kinds, user_pages_are_dirty_if_they_were_written)
{
	__u32 dirty = 0;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	EXPECT_EQ(0, run(self, KINDS_USER, 0, &dirty));
	EXPECT_EQ(2, dirty);
}

static int hold(FIXTURE_DATA(kinds) *self, void *addr, __u64 size, __u32 write)
{
	struct kinds_hold hold = { .addr = (uintptr_t)addr, .size = size, .write = write };

	return call(self->fd, KINDS_HOLD, &hold);
}

static long locked_kib(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

TEST_F(kinds, user_pages_are_counted_until_the_scope_ends)
{
	long before = locked_kib();

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	/* 4 + 5000 bytes from offset 4092 touch three pages. */
	EXPECT_EQ(0, hold(self, self->map + 4092, 4 + 5000, 1));
	EXPECT_EQ(before + 12, locked_kib());
	/* What was unmapped is still there for the device. */
	EXPECT_EQ(0, munmap(self->map, MAP_SIZE));
	EXPECT_EQ(before + 12, locked_kib());
	close(self->fd);
	EXPECT_EQ(before, locked_kib());
	self->fd = open(FILE_OF_DRIVER, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, self->fd);
}

TEST_F(kinds, user_pages_are_limited)
{
	struct rlimit limit = { .rlim_cur = 8192, .rlim_max = 8192 };
	int status = -1;
	pid_t pid;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &limit) || become_nobody())
			_exit(1);
		if (hold(self, self->map, 3 * 4096, 0) != -ENOMEM)
			_exit(2);
		if (hold(self, self->map, 2 * 4096, 0))
			_exit(3);
		if (hold(self, self->map, 1, 0) != -ENOMEM)
			_exit(4);
		_exit(locked_kib() == 8 ? 0 : 5);
	}
	ASSERT_EQ(0, wait_exit(pid, SOON_MS, &status));
	EXPECT_EQ(0, status);
	/* It has exited, with pages that are still held. Now they go. */
	close(self->fd);
	self->fd = open(FILE_OF_DRIVER, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, self->fd);
}

TEST_F(kinds, user_memory_that_may_not_be_used)
{
	long before = locked_kib();
	char *hole = self->map + MAP_SIZE, *huge = (char *)~4095UL;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	EXPECT_EQ(-EINVAL, hold(self, self->map, 0, 0));
	EXPECT_EQ(-EINVAL, hold(self, huge, 8192, 0));
	EXPECT_EQ(-EFAULT, hold(self, huge, 4096, 0));
	EXPECT_EQ(-EFAULT, hold(self, NULL, 1, 0));
	/* half of it */
	EXPECT_EQ(0, munmap(hole, MAP_SIZE));
	EXPECT_EQ(-EFAULT, hold(self, hole - 4096, 8192, 0));
	EXPECT_EQ(0, hold(self, hole - 4096, 4096, 0));
	EXPECT_EQ(before + 4, locked_kib());
	EXPECT_EQ(self->map, mmap(self->map, MAP_SIZE, PROT_READ,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(-EFAULT, hold(self, self->map, 100, 1));
	EXPECT_EQ(0, hold(self, self->map, 100, 0));
	EXPECT_EQ(before + 8, locked_kib());
}

/* The file that was its scope is closed, and the driver has left the device. */
TEST_F(kinds, dma_buf_outlives_scope_and_driver)
{
	int fd, i;
	char *map;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	fd = ioctl(self->fd, KINDS_EXPORT);
	ASSERT_LE(0, fd);
	close(self->fd);
	EXPECT_EQ(0, edu_unbind(self->addr, DRIVER));
	map = mmap(NULL, KINDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	for (i = 0; i < KINDS_SIZE && map[i] == 0x77; i++)
		;
	EXPECT_EQ(KINDS_SIZE, i);
	memset(map, 0x11, KINDS_SIZE);
	munmap(map, KINDS_SIZE);
	close(fd);
	EXPECT_EQ(0, edu_bind(self->addr, DRIVER));
	EXPECT_TRUE(wait_until(!access(FILE_OF_DRIVER, F_OK), SOON_MS));
	self->fd = open(FILE_OF_DRIVER, O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, self->fd);
}

/* Has DMA_API_DEBUG given up? Then what it does not say means nothing. */
static bool dma_debug_is_off(void)
{
	char c = 'N';
	int fd = open("/sys/kernel/debug/dma-api/disabled", O_RDONLY);

	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = 'Y';
	close(fd);
	return c == 'Y';
}

/* The first allocation fails, then the second, until a job gets through without. */
TEST_F_TIMEOUT(kinds, allocations_that_fail, LONG_S)
{
	int failures = open_failures();
	unsigned int kind, nth, refused;
	long before = locked_kib();
	bool through;
	int err;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	if (failures == -ENOENT)
		SKIP(return, "this kernel has no fault injection");
	ASSERT_LE(0, failures);
	/* vmalloc() and the page allocator tell the log */
	kmsg_say("nursery-vm: expect vmalloc error|page allocation failure");
	for (kind = 0; kind < KINDS_NR; kind++) {
		refused = 0;
		through = false;
		for (nth = 1; nth < MOST && !through; nth++) {
			fail_allocation(failures, nth);
			err = run(self, kind, KINDS_NO_TRANSFER, NULL);
			through = !allocation_has_failed(failures);
			if (err) {
				EXPECT_EQ(-ENOMEM, err)
					TH_LOG("%s: allocation %u", names[kind], nth);
				refused++;
			}
		}
		EXPECT_TRUE(through)
			TH_LOG("%s", names[kind]);
		/* at least the handles, of both sides */
		EXPECT_LE(2, refused)
			TH_LOG("%s", names[kind]);
		TH_LOG("%s: %u of %u failures refuse it", names[kind], refused, nth - 2);
		EXPECT_EQ(before, locked_kib());
		EXPECT_EQ(0, run(self, kind, KINDS_NO_TRANSFER, NULL));
	}
	kmsg_say("nursery-vm: expected");
	EXPECT_FALSE(dma_debug_is_off());
	close(failures);
}

TEST_HARNESS_MAIN
