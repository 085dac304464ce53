// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancel by every road: of a child, of the nursery, by a failing sibling, by the
 * deadline. Children that sleep wake at once, each says -ECANCELED in its
 * record, and the nursery takes no more.
 */
#include <fcntl.h>
#include "../kselftest_harness.h"
#include "util.h"

#define SLEEPERS	8
#define FOREVER		(3600 * SEC)

FIXTURE(cancel) {
	int fd;
	__u64 ids[SLEEPERS];
};

FIXTURE_SETUP(cancel)
{
	unsigned int i;

	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < SLEEPERS; i++)
		ASSERT_EQ(0, spawn(self->fd, &self->ids[i], i, "sleep", FOREVER));
}

FIXTURE_TEARDOWN(cancel)
{
	close(self->fd);
}

/* The file's nursery as a listing shows it. */
static struct nursery_entry own_entry(int fd)
{
	struct nursery_entry own = { 0 }, *list;
	__u32 nr;

	list = list_entries(fd, 0, &nr);
	if (list)
		own = *list;
	free(list);
	return own;
}

static int set_deadline(int fd, __u64 when)
{
	struct nursery_deadline args = { .when = when };

	return call(fd, NURSERY_IOC_DEADLINE, &args);
}

/* All sleepers end now, cancelled, and the nursery with them. */
static void expect_all_cancelled(struct __test_metadata *_metadata, FIXTURE_DATA(cancel) *self,
				 int cause)
{
	struct nursery_record r[SLEEPERS];
	struct nursery_entry own;
	unsigned int i, ended = 0;

	ASSERT_EQ(SLEEPERS, read_records(self->fd, r, SLEEPERS, SOON_MS));
	for (i = 0; i < SLEEPERS; i++) {
		EXPECT_EQ(-ECANCELED, r[i].result);
		ASSERT_GT(SLEEPERS, r[i].cookie);
		EXPECT_EQ(self->ids[r[i].cookie], r[i].id);
		ended |= 1 << r[i].cookie;
	}
	EXPECT_EQ((1 << SLEEPERS) - 1, ended);
	EXPECT_EQ(-ECANCELED, spawn(self->fd, NULL, 0, "sleep", 0));
	own = own_entry(self->fd);
	EXPECT_EQ(NURSERY_ENTRY_CANCELLED, own.flags);
	EXPECT_EQ(cause, own.cause);
	/* a record may be read while its child takes its last step */
	EXPECT_TRUE(wait_until(!own_entry(self->fd).nr_children, SOON_MS));
}

TEST_F(cancel, refuses)
{
	struct nursery_cancel bad[] = {
		{ .cause = 1 }, { .cause = EIO }, { .cause = -4096 }, { .cause = 1 << 31 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_CANCEL, &bad[i]));
	EXPECT_EQ(-ENOENT, cancel(self->fd, ~0ULL, 0));
	EXPECT_EQ(0, own_entry(self->fd).flags);
	EXPECT_EQ(SLEEPERS, own_entry(self->fd).nr_children);
}

TEST_F(cancel, own_nursery)
{
	ASSERT_EQ(0, cancel(self->fd, 0, 0));
	expect_all_cancelled(_metadata, self, 0);
	EXPECT_EQ(0, cancel(self->fd, 0, -EIO));	/* again: the first cause stays */
	EXPECT_EQ(0, own_entry(self->fd).cause);
}

TEST_F(cancel, own_nursery_by_id_with_a_cause)
{
	ASSERT_EQ(0, cancel(self->fd, id_of(self->fd), -EINTR));
	expect_all_cancelled(_metadata, self, -EINTR);
}

TEST_F(cancel, largest_cause)
{
	ASSERT_EQ(0, cancel(self->fd, 0, -4095));
	expect_all_cancelled(_metadata, self, -4095);
}

TEST_F(cancel, a_child_and_not_its_siblings)
{
	struct nursery_record r;

	ASSERT_EQ(0, cancel(self->fd, self->ids[3], 0));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(self->ids[3], r.id);
	EXPECT_EQ(3, r.cookie);
	EXPECT_EQ(-ECANCELED, r.result);

	EXPECT_EQ(0, read_records(self->fd, &r, 1, 300));
	EXPECT_EQ(0, own_entry(self->fd).flags);
	/* it may still be about to take its last step */
	EXPECT_TRUE(wait_until(own_entry(self->fd).nr_children == SLEEPERS - 1, SOON_MS));
	EXPECT_EQ(-ENOENT, cancel(self->fd, self->ids[3], 0));
	/* a cancelled child is no error: the nursery is as good as before */
	ASSERT_EQ(0, spawn(self->fd, NULL, 77, "sleep", 0));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(77, r.cookie);
	EXPECT_EQ(0, r.result);
}

/* For the one with CAP_SYS_ADMIN; access.c has the others. */
TEST_F(cancel, from_another_file)
{
	int other = open_nursery(0);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, cancel(other, id_of(self->fd), -ETIME));
	expect_all_cancelled(_metadata, self, -ETIME);
	EXPECT_EQ(0, spawn(other, NULL, 0, "sleep", 0));
	close(other);
}

TEST_F(cancel, a_child_from_another_file)
{
	struct nursery_record r;
	int other = open_nursery(0);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, cancel(other, self->ids[0], 0));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(self->ids[0], r.id);
	EXPECT_EQ(0, own_entry(self->fd).flags);
	close(other);
}

TEST_F(cancel, by_a_failing_sibling)
{
	struct nursery_record r[SLEEPERS + 1];
	unsigned int i, failed = 0;
	__u64 id;

	ASSERT_EQ(0, spawn(self->fd, &id, 99, "fail", EIO));
	ASSERT_EQ(SLEEPERS + 1, read_records(self->fd, r, SLEEPERS + 1, SOON_MS));
	for (i = 0; i <= SLEEPERS; i++) {
		failed += r[i].id == id;
		EXPECT_EQ(r[i].id == id ? -EIO : -ECANCELED, r[i].result);
	}
	EXPECT_EQ(1, failed);
	EXPECT_EQ(-ECANCELED, spawn(self->fd, NULL, 0, "sleep", 0));
	EXPECT_EQ(NURSERY_ENTRY_CANCELLED, own_entry(self->fd).flags);
	EXPECT_EQ(-EIO, own_entry(self->fd).cause);
}

TEST_F(cancel, by_the_deadline)
{
	__u64 when = now_ns() + FOREVER;
	struct nursery_entry own;

	ASSERT_EQ(0, set_deadline(self->fd, when));
	own = own_entry(self->fd);
	EXPECT_EQ(when, own.deadline);
	EXPECT_EQ(0, own.flags);
	when = now_ns() + 300 * MS;
	ASSERT_EQ(0, set_deadline(self->fd, when));
	expect_all_cancelled(_metadata, self, -ETIMEDOUT);
	EXPECT_LE(when, now_ns());
}

TEST_F(cancel, by_a_deadline_in_the_past)
{
	ASSERT_EQ(0, set_deadline(self->fd, 1));
	expect_all_cancelled(_metadata, self, -ETIMEDOUT);
}

TEST_F(cancel, by_a_deadline_moved_nearer)
{
	ASSERT_EQ(0, set_deadline(self->fd, now_ns() + FOREVER));
	ASSERT_EQ(0, set_deadline(self->fd, now_ns() + 100 * MS));
	expect_all_cancelled(_metadata, self, -ETIMEDOUT);
}

TEST_F(cancel, not_by_a_deadline_moved_away)
{
	static const __u64 away[] = { FOREVER, 0, ~0ULL };	/* later, never, and never */
	struct nursery_record r;
	int fds[3];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fds[i] = open_nursery(0);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, set_deadline(fds[i], now_ns() + 4 * SEC));
		ASSERT_EQ(0, spawn(fds[i], NULL, i, "sleep", 4500 * MS));
		ASSERT_EQ(0, set_deadline(fds[i], away[i] == FOREVER ? now_ns() + FOREVER :
						  away[i]));
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, read_records(fds[i], &r, 1, SOON_MS));
		EXPECT_EQ(0, r.result);
		EXPECT_EQ(0, own_entry(fds[i]).flags);
		EXPECT_EQ(0, own_entry(fds[i]).cause);
		close(fds[i]);
	}
	EXPECT_EQ(0, own_entry(self->fd).flags);
}

TEST_F(cancel, deadline_of_none)
{
	EXPECT_EQ(0, own_entry(self->fd).deadline);
	ASSERT_EQ(0, set_deadline(self->fd, now_ns() + FOREVER));
	EXPECT_NE(0, own_entry(self->fd).deadline);
	ASSERT_EQ(0, set_deadline(self->fd, 0));
	EXPECT_EQ(0, own_entry(self->fd).deadline);
	EXPECT_EQ(SLEEPERS, own_entry(self->fd).nr_children);
}

/* What was there before stays readable; only nothing new is taken. */
TEST_F(cancel, leaves_the_buffer)
{
	struct nursery_buffer buffer = { .size = 1 };
	char *map = map_buffer(self->fd, 4096);
	int fd;

	ASSERT_NE(NULL, map);
	strcpy(map, "still here");
	ASSERT_EQ(0, cancel(self->fd, 0, 0));
	expect_all_cancelled(_metadata, self, 0);
	EXPECT_STREQ("still here", map);

	fd = open_nursery(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, cancel(fd, 0, 0));
	EXPECT_EQ(-ECANCELED, call(fd, NURSERY_IOC_BUFFER, &buffer));
	close(fd);
}

TEST_HARNESS_MAIN
