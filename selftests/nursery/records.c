// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spawn, and the record of each child: what spawn refuses, that a record says
 * which child it is of and how and when it ended, and the ways to wait for it
 * with read() and poll(). No record is lost or comes twice.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include "../kselftest_harness.h"
#include "util.h"

#define PAGE	4096
#define RECORD	sizeof(struct nursery_record)

FIXTURE(records) {
	int fd;
};

FIXTURE_SETUP(records)
{
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(records)
{
	close(self->fd);
}

static __u64 outstanding(int fd)
{
	struct nursery_info info = { 0 };

	call(fd, NURSERY_IOC_INFO, &info);
	return info.outstanding;
}

/* Children of the file that have not finished; their records need not be read. */
static int unfinished(int fd)
{
	struct nursery_entry *list;
	int unfinished = -1;
	__u32 nr;

	list = list_entries(fd, 0, &nr);
	if (list)
		unfinished = list->nr_children;
	free(list);
	return unfinished;
}

static int set_nonblock(int fd, bool on)
{
	return fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0);
}

TEST_F(records, spawn_refuses)
{
	struct nursery_spawn s = { .nr_args = 1, .op = "sleep" };
	unsigned int i;

	memset(s.op, 'a', sizeof(s.op));
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_SPAWN, &s));	/* no end */
	memset(s.op, 0, sizeof(s.op));
	memset(s.op, 'a', sizeof(s.op) - 1);
	EXPECT_EQ(-ENOENT, call(self->fd, NURSERY_IOC_SPAWN, &s));	/* the longest */
	EXPECT_EQ(-ENOENT, spawn(self->fd, NULL, 0, ""));
	EXPECT_EQ(-ENOENT, spawn(self->fd, NULL, 0, "no such thing"));
	EXPECT_EQ(-ENOENT, spawn(self->fd, NULL, 0, "sleepy", 0));
	EXPECT_EQ(-ENOENT, spawn(self->fd, NULL, 0, "slee", 0));

	EXPECT_EQ(-EINVAL, spawn(self->fd, NULL, 0, "sleep"));
	EXPECT_EQ(-EINVAL, spawn(self->fd, NULL, 0, "sleep", 1, 2));
	EXPECT_EQ(-EINVAL, spawn(self->fd, NULL, 0, "copy", 1, 2));

	s = (struct nursery_spawn) { .nr_args = NURSERY_OP_ARGS + 1, .op = "sleep" };
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_SPAWN, &s));
	s.nr_args = ~0;
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_SPAWN, &s));
	for (i = 1; i < NURSERY_OP_ARGS; i++) {
		s = (struct nursery_spawn) { .nr_args = 1, .op = "sleep" };
		s.args[i] = 1;
		EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_SPAWN, &s));
	}

	/* refused is not spawned: no child, and no record */
	EXPECT_EQ(0, outstanding(self->fd));
	EXPECT_EQ(0, unfinished(self->fd));
	EXPECT_EQ(0, cancel(self->fd, 0, 0));
	EXPECT_EQ(-ECANCELED, spawn(self->fd, NULL, 0, "sleep", 0));
	EXPECT_EQ(0, outstanding(self->fd));
}

TEST_F(records, say_which_and_how_and_when)
{
	struct nursery_record r;
	__u64 before, id = 0;

	before = now_ns();
	ASSERT_EQ(0, spawn(self->fd, &id, 0xfedcba9876543210, "sleep", 50 * MS));
	EXPECT_NE(0, id);
	EXPECT_EQ(1, outstanding(self->fd));

	memset(&r, 0xff, sizeof(r));
	ASSERT_EQ(RECORD, read(self->fd, &r, sizeof(r)));
	EXPECT_EQ(id, r.id);
	EXPECT_EQ(0xfedcba9876543210, r.cookie);
	EXPECT_EQ(0, r.value);
	EXPECT_EQ(0, r.result);
	EXPECT_EQ(0, r.flags);
	EXPECT_LE(before + 50 * MS, r.when);
	EXPECT_LE(r.when, now_ns());
	EXPECT_EQ(0, outstanding(self->fd));
}

TEST_F(records, of_failures)
{
	static const struct {
		__u64 arg;
		int result;
	} cases[] = {
		{ EIO, -EIO }, { ENOMEM, -ENOMEM }, { 4095, -4095 }, { ECANCELED, -ECANCELED },
		{ 0, -EINVAL }, { 4096, -EINVAL }, { -EIO, -EINVAL }, { 1ULL << 32 | 5, -EINVAL },
	};
	struct nursery_record r;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fd = open_nursery(0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, spawn(fd, NULL, i, "fail", cases[i].arg));
		ASSERT_EQ(1, read_records(fd, &r, 1, SOON_MS));
		EXPECT_EQ(i, r.cookie);
		EXPECT_EQ(cases[i].result, r.result);
		close(fd);
	}
}

TEST_F(records, read_blocks_until_one_is_there)
{
	struct nursery_record r;
	__u64 before = now_ns();

	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 300 * MS));
	ASSERT_EQ(RECORD, read(self->fd, &r, sizeof(r)));
	EXPECT_LE(before + 300 * MS, now_ns());
}

TEST_F(records, read_nonblock)
{
	struct nursery_record r;
	__u64 id;

	ASSERT_EQ(0, set_nonblock(self->fd, true));
	EXPECT_EQ(0, read(self->fd, &r, sizeof(r)));
	ASSERT_EQ(0, spawn(self->fd, &id, 0, "sleep", 3600 * SEC));
	EXPECT_EQ(-1, read(self->fd, &r, sizeof(r)));
	EXPECT_EQ(EAGAIN, errno);
	ASSERT_EQ(0, cancel(self->fd, id, 0));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(0, read(self->fd, &r, sizeof(r)));
}

TEST_F(records, read_of_nothing)
{
	struct nursery_record r;

	EXPECT_EQ(0, read(self->fd, &r, sizeof(r)));
	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 0));
	ASSERT_EQ(RECORD, read(self->fd, &r, sizeof(r)));
	EXPECT_EQ(0, read(self->fd, &r, sizeof(r)));
}

TEST_F(records, read_short_buffer)
{
	struct nursery_record r;

	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 0));
	EXPECT_EQ(-1, read(self->fd, &r, sizeof(r) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(self->fd, &r, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
}

/* As many as are there and fit, whole ones, and each once. */
TEST_F(records, read_several)
{
	struct nursery_record r[8];
	unsigned int i, seen = 0;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, spawn(self->fd, NULL, i, "sleep", i * MS));
	ASSERT_TRUE(wait_until(!unfinished(self->fd), SOON_MS));
	EXPECT_EQ(5, outstanding(self->fd));

	ASSERT_EQ(2 * RECORD, read(self->fd, r, 2 * RECORD + RECORD / 2));
	EXPECT_EQ(3, outstanding(self->fd));
	ASSERT_EQ(3 * RECORD, read(self->fd, r + 2, 6 * RECORD));
	EXPECT_EQ(0, outstanding(self->fd));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, r[i].result);
		ASSERT_GT(5, r[i].cookie);
		seen |= 1 << r[i].cookie;
	}
	EXPECT_EQ(0x1f, seen);
}

TEST_F(records, a_bad_pointer_loses_none)
{
	struct nursery_record r[2], *at;
	char *page;

	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, mprotect(page + PAGE, PAGE, PROT_NONE));
	at = (struct nursery_record *)(page + PAGE - RECORD - 8);

	ASSERT_EQ(0, spawn(self->fd, NULL, 1, "sleep", 0));
	ASSERT_EQ(0, spawn(self->fd, NULL, 2, "sleep", 0));
	ASSERT_TRUE(wait_until(!unfinished(self->fd), SOON_MS));

	EXPECT_EQ(-1, read(self->fd, page + PAGE, 4 * RECORD));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(2, outstanding(self->fd));
	/* there is room for one, and eight bytes of the next */
	ASSERT_EQ(RECORD, read(self->fd, at, 2 * RECORD));
	EXPECT_EQ(1, outstanding(self->fd));
	ASSERT_EQ(RECORD, read(self->fd, r, 2 * RECORD));
	EXPECT_EQ(3, at->cookie + r[0].cookie);
	EXPECT_EQ(0, read(self->fd, r, 2 * RECORD));
}

static void ignore(int signal)
{
	(void)signal;
}

TEST_F(records, read_ends_with_a_signal)
{
	struct sigaction action = { .sa_handler = ignore };	/* no SA_RESTART */
	struct itimerval often = { { 0, 100000 }, { 0, 100000 } };
	struct nursery_record r;

	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 3600 * SEC));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	EXPECT_EQ(-1, read(self->fd, &r, sizeof(r)));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(1, outstanding(self->fd));
}

static void *reader(void *arg)
{
	struct nursery_record r;

	return (void *)read(*(int *)arg, &r, sizeof(r));
}

/* Who waits when somebody else takes the last record waits for nothing any more. */
TEST_F(records, two_readers_of_one_record)
{
	pthread_t threads[2];
	void *got[2];
	__u64 id;
	int i;

	ASSERT_EQ(0, spawn(self->fd, &id, 0, "sleep", 3600 * SEC));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, reader, &self->fd));
	sleep_ms(200);	/* let them block; sooner or later, it must hold */
	ASSERT_EQ(0, cancel(self->fd, id, 0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(threads[i], &got[i]));
	EXPECT_EQ(RECORD, (size_t)got[0] + (size_t)got[1]);
}

TEST_F(records, poll_tells_when_one_is_there)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	struct nursery_record r;

	EXPECT_EQ(0, poll(&p, 1, 0));			/* no child */
	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 3600 * SEC));
	EXPECT_EQ(0, poll(&p, 1, 0));			/* no record */
	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 500 * MS));
	ASSERT_EQ(1, poll(&p, 1, SOON_MS));		/* asleep when it comes */
	EXPECT_EQ(POLLIN, p.revents);
	ASSERT_EQ(1, poll(&p, 1, 0));			/* not used up */
	ASSERT_EQ(RECORD, read(self->fd, &r, sizeof(r)));
	EXPECT_EQ(0, poll(&p, 1, 0));			/* used up */
}

TEST_F(records, come_in_the_order_of_the_ends)
{
	struct nursery_record r[3];

	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 3600 * SEC));
	ASSERT_EQ(0, spawn(self->fd, NULL, 1, "sleep", 0));
	ASSERT_EQ(1, read_records(self->fd, &r[0], 1, SOON_MS));
	EXPECT_EQ(1, r[0].cookie);
	ASSERT_EQ(0, cancel(self->fd, 0, 0));
	ASSERT_EQ(1, read_records(self->fd, &r[1], 1, SOON_MS));
	EXPECT_EQ(0, r[1].cookie);
	EXPECT_LE(r[0].when, r[1].when);
}

TEST_HARNESS_MAIN
