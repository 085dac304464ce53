// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that begin in the spawn itself and go on elsewhere: how they begin, wait for their turn,
 * and end, whoever ends them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "util.h"

#define MODULE	"nursery_parked_op"
#define NR	16

FIXTURE(parked) {
	int fd;
};

FIXTURE_SETUP(parked)
{
	if (shell("modprobe " MODULE " 2>/dev/null"))
		SKIP(return, "there is no module " MODULE);
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(parked)
{
	close(self->fd);
	shell("rmmod " MODULE " 2>/dev/null");
}

/* How many calls are under way, or wait; -1: there is no such operation. */
static int nr_pending(void)
{
	struct nursery_op_entry *ops;
	int fd = open_nursery(0), nr_pending = -1;
	__u32 nr, i;

	ops = list_ops(fd, &nr);
	for (i = 0; ops && i < nr; i++)
		if (!strcmp(ops[i].name, "park"))
			nr_pending = ops[i].pending;
	free(ops);
	close(fd);
	return nr_pending;
}

TEST_F(parked, begins_in_the_caller)
{
	struct nursery_record r;

	ASSERT_EQ(0, spawn(self->fd, NULL, 7, "park", 1));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(0, r.result);
	EXPECT_EQ(7, r.cookie);
	EXPECT_EQ(getpid(), r.value);
}

/* Those for which there is no place wait, and then begin elsewhere. */
TEST_F(parked, more_than_the_bound)
{
	struct nursery_record r[NR + 1];
	__u64 id, first;
	unsigned int next = 0;
	int i;

	ASSERT_EQ(0, spawn(self->fd, &first, NR, "park", 0));
	ASSERT_EQ(0, spawn(self->fd, &id, NR, "park", 0));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, spawn(self->fd, NULL, i, "park", 1));
	EXPECT_EQ(NR + 2, nr_pending());
	EXPECT_EQ(0, cancel(self->fd, first, 0));
	ASSERT_EQ(NR + 1, read_records(self->fd, r, NR + 1, SOON_MS));
	for (i = 0; i < NR + 1; i++) {
		/* Its record may come later than that of who got its place. */
		if (r[i].id == first) {
			EXPECT_EQ(-ECANCELED, r[i].result);
			continue;
		}
		EXPECT_EQ(0, r[i].result);
		/* One place, so in order. */
		EXPECT_EQ(next++, r[i].cookie);
	}
	EXPECT_EQ(NR, next);
	EXPECT_EQ(0, cancel(self->fd, id, 0));
	ASSERT_EQ(1, read_records(self->fd, r, 1, SOON_MS));
	EXPECT_EQ(-ECANCELED, r[0].result);
	EXPECT_TRUE(wait_until(!nr_pending(), SOON_MS));
}

TEST_F(parked, close_ends_them)
{
	int fd = open_nursery(0), i;

	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, spawn(fd, NULL, 0, "park", 0));
	EXPECT_EQ(NR, nr_pending());
	close(fd);
	EXPECT_TRUE(wait_until(!nr_pending(), SOON_MS));
}

/* Of one file: the first error cancels the others. */
static bool ended_without_provider(const struct nursery_record *r)
{
	return r->result == -ENODEV || r->result == -ECANCELED;
}

TEST_F(parked, provider_goes)
{
	struct nursery_record r[NR];
	int failed = 0, fd, i;

	for (i = 0; i < NR; i++)
		ASSERT_EQ(0, spawn(self->fd, NULL, 0, "park", 0));
	ASSERT_EQ(0, shell("rmmod " MODULE));
	ASSERT_EQ(NR, read_records(self->fd, r, NR, SOON_MS));
	for (i = 0; i < NR; i++) {
		EXPECT_TRUE(ended_without_provider(&r[i]));
		failed += r[i].result == -ENODEV;
	}
	/* The first that failed has cancelled the others, which may tell of their end before it. */
	EXPECT_LE(1, failed);
	fd = open_nursery(0);
	EXPECT_EQ(-ENOENT, spawn(fd, NULL, 0, "park", 0));
	close(fd);
}

/* Calls and the end of their provider at the same moment: all is over, and nothing lost. */
TEST_F(parked, provider_goes_meanwhile)
{
	struct nursery_record r;
	int spawned, ended, i, fd, err, status;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, shell("modprobe " MODULE));
		fd = open_nursery(0);
		pid = fork();
		if (!pid)
			_exit(!!shell("rmmod " MODULE));
		spawned = 0;
		do {
			err = spawn(fd, NULL, 0, "park", 1);
			spawned += !err;
		} while (!err);
		EXPECT_TRUE(err == -ENODEV || err == -ENOENT || err == -ECANCELED);
		for (ended = 0; ended < spawned; ended++) {
			ASSERT_EQ(1, read_records(fd, &r, 1, SOON_MS));
			EXPECT_TRUE(!r.result || ended_without_provider(&r));
		}
		close(fd);
		EXPECT_EQ(0, wait_exit(pid, SOON_MS, &status));
		EXPECT_EQ(0, status);
	}
}

TEST_HARNESS_MAIN
