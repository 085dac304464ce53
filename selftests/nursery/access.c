// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may do what: the device is root's; a file that was handed to somebody else
 * lets them use that nursery, and look at and cancel no other; a file that is to
 * be closed by exec() is.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "../kselftest_harness.h"
#include "util.h"

#define FOREVER	(3600 * SEC)

FIXTURE(access) {
	int fd, foreign;
	__u64 child, foreign_child;
};

FIXTURE_SETUP(access)
{
	self->fd = open_nursery(0);
	self->foreign = open_nursery(0);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->foreign);
	ASSERT_EQ(0, spawn(self->fd, &self->child, 0, "sleep", FOREVER));
	ASSERT_EQ(0, spawn(self->foreign, &self->foreign_child, 0, "sleep", FOREVER));
}

FIXTURE_TEARDOWN(access)
{
	close(self->fd);
	close(self->foreign);
}

TEST_F(access, mode)
{
	struct stat st;

	ASSERT_EQ(0, stat(DEVICE, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
}

/* This process becomes nobody, and stays it: each test is a process. */
TEST_F(access, nobody_cannot_open)
{
	ASSERT_EQ(0, become_nobody());
	EXPECT_EQ(-1, open(DEVICE, O_RDWR));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, open(DEVICE, O_RDONLY));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(access, nobody_cannot_list_the_system)
{
	struct nursery_list args = {
		.entry_size = sizeof(struct nursery_entry), .flags = NURSERY_LIST_ALL,
	};
	struct nursery_entry *list;
	__u32 nr;

	ASSERT_EQ(0, become_nobody());
	EXPECT_EQ(-EPERM, call(self->fd, NURSERY_IOC_LIST, &args));
	list = list_entries(self->fd, 0, &nr);
	ASSERT_NE(NULL, list);
	EXPECT_EQ(2, nr);
	free(list);
}

TEST_F(access, nobody_cannot_cancel_others)
{
	struct nursery_record r;
	__u64 foreign = id_of(self->foreign);

	ASSERT_EQ(0, become_nobody());
	EXPECT_EQ(-EPERM, cancel(self->fd, foreign, 0));
	EXPECT_EQ(-EPERM, cancel(self->fd, self->foreign_child, 0));
	/* whether there is such a thing is not told either */
	EXPECT_EQ(-EPERM, cancel(self->fd, ~0ULL, 0));
	EXPECT_EQ(0, read_records(self->foreign, &r, 1, 200));

	EXPECT_EQ(0, cancel(self->fd, self->child, 0));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(self->child, r.id);
	EXPECT_EQ(0, cancel(self->fd, id_of(self->fd), 0));
}

TEST_F(access, nobody_can_use_what_was_handed_over)
{
	struct nursery_record r;

	ASSERT_EQ(0, become_nobody());
	ASSERT_EQ(0, spawn(self->fd, NULL, 5, "sleep", 0));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(5, r.cookie);
	EXPECT_EQ(0, r.result);
	EXPECT_NE(NULL, map_buffer(self->fd, 4096));
}

TEST_F(access, exec_closes_what_it_should)
{
	int closed = open_nursery(O_CLOEXEC);
	int status;
	pid_t pid;

	ASSERT_LE(0, closed);
	EXPECT_EQ(FD_CLOEXEC, fcntl(closed, F_GETFD));
	EXPECT_EQ(0, fcntl(self->fd, F_GETFD));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char command[128];

		snprintf(command, sizeof(command),
			 "[ -e /proc/self/fd/%d ] && [ ! -e /proc/self/fd/%d ]",
			 self->fd, closed);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	ASSERT_EQ(0, wait_exit(pid, SOON_MS, &status));
	EXPECT_EQ(0, status);
	close(closed);
}

TEST_HARNESS_MAIN
