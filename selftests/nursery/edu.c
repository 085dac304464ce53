// SPDX-License-Identifier: GPL-2.0-only
/*
 * End to end: /dev/nursery, the sample driver, real DMA. Data goes through
 * several devices at once and comes back as it was; and whatever ends a transfer
 * that is on its way (cancel, close, SIGKILL, unbind, remove) ends all of it, at
 * once, and leaves nothing behind. After each test every device copies again.
 */
#include <fcntl.h>
#include <signal.h>
#include "../kselftest_harness.h"
#include "edu_util.h"

/* For each device, so that there are calls waiting and calls in the device. */
#define CALLS		4
#define LIMIT_MS	5000	/* for what ends at once, but for a transfer */

#define TOO_FEW		"too few edu devices"

FIXTURE(edu) {
	struct edu_devices devices;
	struct census before;
	int watch;		/* a file to look at the system with */
	int fd;			/* the file whose calls are in flight */
	unsigned int calls;
	char *map;		/* what is sent, then room for what comes back */
};

FIXTURE_SETUP(edu)
{
	self->fd = -1;
	self->watch = open_nursery(0);
	ASSERT_LE(0, self->watch);
	ASSERT_EQ(0, edu_start(&self->devices));
	ASSERT_EQ(0, take_census(&self->before));
	EXPECT_EQ(0, self->before.children);
}

FIXTURE_TEARDOWN(edu)
{
	unsigned int i;

	if (self->map)
		munmap(self->map, 2 * self->calls * EDU_CHUNK);
	if (self->fd >= 0)
		close(self->fd);
	if (self->devices.nr) {
		EXPECT_EQ(0, wait_for_census(&self->before, LIMIT_MS));
		for (i = 0; i < self->devices.nr; i++)
			EXPECT_TRUE(edu_driven_by(self->devices.addr[i], EDU_DRIVER));
		EXPECT_EQ(0, edu_copies(self->devices.nr, 99, SOON_MS));
		EXPECT_EQ(0, wait_for_census(&self->before, LIMIT_MS));
	}
	close(self->watch);
}

static int start_calls(FIXTURE_DATA(edu) *self, unsigned int calls)
{
	unsigned int i;
	int err = 0;

	self->calls = calls;
	self->fd = open_nursery(0);
	self->map = map_buffer(self->fd, 2 * calls * EDU_CHUNK);
	if (!self->map)
		return -ENOMEM;
	edu_fill(self->map, calls * EDU_CHUNK, 1);
	for (i = 0; i < calls && !err; i++)
		err = edu_spawn(self->fd, i, calls);
	return err;
}

/* Start calls for all devices, and return when a transfer is on its way. */
static int start_flight(FIXTURE_DATA(edu) *self)
{
	int err = start_calls(self, self->devices.nr * CALLS);

	if (!err && !wait_until(edu_transfers(self->watch), LIMIT_MS))
		err = -ETIMEDOUT;
	return err;
}

/* All records come, and some call did not work; how not is said by @must and @may. */
static void expect_broken_off(struct __test_metadata *_metadata, FIXTURE_DATA(edu) *self,
			      int must, int may)
{
	struct nursery_record *r = calloc(self->calls, sizeof(*r));
	unsigned int i, musts = 0;
	size_t src;

	ASSERT_NE(NULL, r);
	ASSERT_EQ(self->calls, read_records(self->fd, r, self->calls, LIMIT_MS));
	for (i = 0; i < self->calls; i++) {
		if (r[i].result) {
			musts += r[i].result == must;
			EXPECT_TRUE(r[i].result == must || r[i].result == may)
				TH_LOG("a record says %d", r[i].result);
			continue;
		}
		src = r[i].cookie * EDU_CHUNK;
		EXPECT_EQ(0, memcmp(self->map + src, self->map + src + self->calls * EDU_CHUNK,
				    EDU_CHUNK));
	}
	EXPECT_LT(0, musts);
	free(r);
}

/* 96 KiB; all devices have calls, and several have a transfer, at the same time. */
TEST_F(edu, copy_through_all_devices)
{
	unsigned int i, got = 0, devices = 0, transfers = 0, n;
	const unsigned int chunks = 24;
	struct nursery_record r[24];
	__u64 end;

	if (self->devices.nr < 2)
		SKIP(return, TOO_FEW);
	ASSERT_EQ(0, start_calls(self, chunks));
	for (end = now_ns() + 2 * SOON_MS * MS; got < chunks && now_ns() < end; ) {
		n = edu_transfers(self->watch);
		transfers = n > transfers ? n : transfers;
		edu_pending(self->watch, &n);
		devices = n > devices ? n : devices;
		got += read_records(self->fd, r + got, chunks - got, 10);
	}
	ASSERT_EQ(chunks, got);
	EXPECT_LE(2, transfers);
	EXPECT_EQ(self->devices.nr, devices);
	for (i = 0; i < chunks; i++)
		EXPECT_EQ(0, r[i].result);
	EXPECT_EQ(0, memcmp(self->map, self->map + chunks * EDU_CHUNK, chunks * EDU_CHUNK));
}

/* What is copied is what was asked for, to the byte; the rest is refused. */
TEST_F(edu, copy_of_other_sizes)
{
	static const struct {
		__u64 src, dst, len;
		int result;
	} cases[] = {
		{ 0, EDU_CHUNK, 1, 0 },
		{ 3, EDU_CHUNK + 5, EDU_CHUNK - 1, 0 },
		{ EDU_CHUNK, 0, EDU_CHUNK, 0 },
		{ 0, 2 * EDU_CHUNK - 1, 1, 0 },
		{ 0, EDU_CHUNK, 0, -EINVAL },
		{ 0, EDU_CHUNK, EDU_CHUNK + 1, -EINVAL },
		{ 0, 3 * EDU_CHUNK - 6, 7, -EFAULT },
		{ 3 * EDU_CHUNK - 6, 0, 7, -EFAULT },
		{ 0, ~0ULL, 1, -EFAULT },
		{ ~0ULL, 0, 1, -EFAULT },
		{ 0, 1, ~0ULL, -EFAULT },
	};
	char *want = malloc(3 * EDU_CHUNK), *map;
	struct nursery_record r;
	unsigned int i;
	int fd;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	ASSERT_NE(NULL, want);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fd = open_nursery(0);
		map = map_buffer(fd, 3 * EDU_CHUNK);
		ASSERT_NE(NULL, map);
		edu_fill(map, 3 * EDU_CHUNK, i);
		memcpy(want, map, 3 * EDU_CHUNK);
		if (!cases[i].result)
			memmove(want + cases[i].dst, want + cases[i].src, cases[i].len);
		ASSERT_EQ(0, spawn(fd, NULL, 0, EDU_OP, cases[i].src, cases[i].dst,
				   cases[i].len));
		ASSERT_EQ(1, read_records(fd, &r, 1, SOON_MS));
		EXPECT_EQ(cases[i].result, r.result)
			TH_LOG("case %u", i);
		EXPECT_EQ(0, memcmp(want, map, 3 * EDU_CHUNK))
			TH_LOG("case %u", i);
		munmap(map, 3 * EDU_CHUNK);
		close(fd);
	}
	free(want);
}

TEST_F(edu, cancel_in_flight)
{
	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	ASSERT_EQ(0, start_flight(self));
	ASSERT_EQ(0, cancel(self->fd, 0, 0));
	expect_broken_off(_metadata, self, -ECANCELED, -ECANCELED);
	EXPECT_EQ(-ECANCELED, edu_spawn(self->fd, 0, self->calls));
}

TEST_F(edu, deadline_in_flight)
{
	struct nursery_deadline deadline = { .when = 1 };

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	ASSERT_EQ(0, start_flight(self));
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_DEADLINE, &deadline));
	expect_broken_off(_metadata, self, -ECANCELED, -ECANCELED);
}

/* One that has not started yet: none of the others minds. */
TEST_F(edu, cancel_of_one_call)
{
	unsigned int i, calls = self->devices.nr * CALLS + 1;
	struct nursery_record *r;
	__u64 last;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	ASSERT_EQ(0, start_flight(self));
	ASSERT_EQ(0, spawn(self->fd, &last, calls - 1, EDU_OP, 0, EDU_CHUNK, 1));
	ASSERT_EQ(0, cancel(self->fd, last, 0));
	r = calloc(calls, sizeof(*r));
	ASSERT_NE(NULL, r);
	ASSERT_EQ(calls, read_records(self->fd, r, calls, SOON_MS));
	for (i = 0; i < calls; i++)
		EXPECT_EQ(r[i].id == last ? -ECANCELED : 0, r[i].result);
	free(r);
}

/* The buffer goes with the file: the transfers must be over before. */
TEST_F(edu, close_in_flight)
{
	__u64 start;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	ASSERT_EQ(0, start_flight(self));
	munmap(self->map, 2 * self->calls * EDU_CHUNK);
	self->map = NULL;
	start = now_ns();
	close(self->fd);
	self->fd = -1;
	EXPECT_GT(LIMIT_MS * MS, now_ns() - start);
	EXPECT_EQ(0, wait_for_census(&self->before, LIMIT_MS));
}

TEST_F(edu, sigkill_in_flight)
{
	int status;
	pid_t pid;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!start_calls(self, self->devices.nr * CALLS))
			pause();
		_exit(1);
	}
	EXPECT_TRUE(wait_until(edu_transfers(self->watch), LIMIT_MS));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(0, wait_exit(pid, LIMIT_MS, &status));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(0, wait_for_census(&self->before, LIMIT_MS));
}

TEST_F(edu, two_processes_at_once)
{
	unsigned int i;
	pid_t pids[2];
	int status;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i])
			_exit(-edu_copies(8, i + 7, 2 * SOON_MS));
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, wait_exit(pids[i], 2 * SOON_MS, &status));
		EXPECT_EQ(0, status);
	}
}

static bool has_calls(int watch, pid_t pid)
{
	struct nursery_entry *list;
	bool found = false;
	__u32 nr, i;

	list = list_entries(watch, NURSERY_LIST_ALL, &nr);
	for (i = 0; i < nr; i++)
		found |= list[i].kind == NURSERY_ENTRY_NURSERY && list[i].pid == pid &&
			 list[i].nr_children;
	free(list);
	return found;
}

/* Somebody is killed; the other's calls, in the same devices, go on. */
TEST_F(edu, sigkill_beside_another)
{
	pid_t victim, other;
	int status;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	victim = fork();
	ASSERT_LE(0, victim);
	if (!victim) {
		if (!start_calls(self, self->devices.nr * CALLS))
			pause();
		_exit(1);
	}
	EXPECT_TRUE(wait_until(edu_transfers(self->watch), LIMIT_MS));
	other = fork();
	ASSERT_LE(0, other);
	if (!other)
		_exit(-edu_copies(self->devices.nr * 2, 5, 2 * SOON_MS));
	EXPECT_TRUE(wait_until(has_calls(self->watch, other) || task_state(other) == 'Z',
			       LIMIT_MS));
	ASSERT_EQ(0, kill(victim, SIGKILL));
	ASSERT_EQ(0, wait_exit(victim, LIMIT_MS, &status));
	ASSERT_EQ(0, wait_exit(other, 2 * SOON_MS, &status));
	EXPECT_EQ(0, status);
}

/*
 * The driver leaves its device while it transfers. The first call that loses its
 * device says so, and fails its nursery: the others were cancelled, or had worked.
 */
static void unbind_in_flight(struct __test_metadata *_metadata, FIXTURE_DATA(edu) *self,
			     unsigned int nr)
{
	unsigned int i;
	__u64 start;

	ASSERT_EQ(0, start_flight(self));
	start = now_ns();
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, edu_unbind(self->devices.addr[i], EDU_DRIVER));
	expect_broken_off(_metadata, self, -ENODEV, -ECANCELED);
	EXPECT_GT(2 * LIMIT_MS * MS, now_ns() - start);
	for (i = 0; i < nr; i++)
		EXPECT_EQ(0, edu_bind(self->devices.addr[i], EDU_DRIVER));
}

TEST_F(edu, unbind_one_in_flight)
{
	if (self->devices.nr < 2)
		SKIP(return, TOO_FEW);
	unbind_in_flight(_metadata, self, 1);
}

TEST_F(edu, unbind_all_in_flight)
{
	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	unbind_in_flight(_metadata, self, self->devices.nr);
}

/* The device leaves the bus while it transfers, and comes back. */
static void remove_in_flight(struct __test_metadata *_metadata, FIXTURE_DATA(edu) *self,
			     unsigned int nr)
{
	char path[64];
	unsigned int i;
	__u64 start;

	ASSERT_EQ(0, start_flight(self));
	start = now_ns();
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove",
			 self->devices.addr[i]);
		EXPECT_EQ(0, write_file(path, "1", LIMIT_MS));
		EXPECT_EQ(-1, access(path, F_OK));
	}
	expect_broken_off(_metadata, self, -ENODEV, -ECANCELED);
	EXPECT_GT(2 * LIMIT_MS * MS, now_ns() - start);
	EXPECT_EQ(0, write_file("/sys/bus/pci/rescan", "1", LIMIT_MS));
	for (i = 0; i < nr; i++)
		EXPECT_TRUE(wait_until(edu_driven_by(self->devices.addr[i], EDU_DRIVER),
				       LIMIT_MS));
}

TEST_F(edu, remove_one_in_flight)
{
	if (self->devices.nr < 2)
		SKIP(return, TOO_FEW);
	remove_in_flight(_metadata, self, 1);
}

TEST_F(edu, remove_all_in_flight)
{
	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	remove_in_flight(_metadata, self, self->devices.nr);
}

/* Nobody offers the operation any more: there is none. */
TEST_F(edu, no_device_bound)
{
	unsigned int i, devices;
	int fd;

	if (self->devices.nr < 1)
		SKIP(return, TOO_FEW);
	fd = open_nursery(0);
	ASSERT_LE(0, fd);
	for (i = 0; i < self->devices.nr; i++)
		EXPECT_EQ(0, edu_unbind(self->devices.addr[i], EDU_DRIVER));
	EXPECT_EQ(-ENOENT, spawn(fd, NULL, 0, EDU_OP, 0, 1, 1));
	EXPECT_EQ(0, edu_pending(fd, &devices));
	for (i = 0; i < self->devices.nr; i++)
		EXPECT_EQ(0, edu_bind(self->devices.addr[i], EDU_DRIVER));
	close(fd);
}

TEST_HARNESS_MAIN
