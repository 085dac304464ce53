// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scoped buffer: one for each file, mapped by user space and worked on by
 * operations, which stay within it. It outlives the file as long as it is mapped.
 */
#include <fcntl.h>
#include "../kselftest_harness.h"
#include "util.h"

#define PAGE	4096
#define SIZE	(256 * 1024)

FIXTURE(buffer) {
	int fd;
};

FIXTURE_SETUP(buffer)
{
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(buffer)
{
	close(self->fd);
}

static int make_buffer(int fd, __u64 size, struct nursery_buffer *args)
{
	*args = (struct nursery_buffer) { .size = size, .offset = ~0ULL };
	return call(fd, NURSERY_IOC_BUFFER, args);
}

static __u64 buffer_max(int fd)
{
	struct nursery_info info = { 0 };

	call(fd, NURSERY_IOC_INFO, &info);
	return info.buffer_max;
}

static __u32 crc32(const unsigned char *data, size_t len)
{
	__u32 crc = ~0;
	int bit;

	while (len--) {
		crc ^= *data++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void fill(unsigned char *data, size_t len, unsigned int seed)
{
	while (len--) {
		seed = seed * 1103515245 + 12345;
		*data++ = seed >> 16;
	}
}

/* Run one operation in a file of its own that shares nothing; its record. */
static struct nursery_record run_alone(__u64 size, const char *op, unsigned int nr_args,
				       const __u64 *args)
{
	struct nursery_record r = { .result = 1 };
	int fd = open_nursery(0);

	if (fd >= 0 && (!size || map_buffer(fd, size)) &&
	    !spawn_args(fd, NULL, 0, op, nr_args, args))
		read_records(fd, &r, 1, SOON_MS);
	close(fd);
	return r;
}

TEST_F(buffer, refuses)
{
	struct nursery_buffer args;
	__u64 max = buffer_max(self->fd);

	EXPECT_EQ(-EINVAL, make_buffer(self->fd, 0, &args));
	EXPECT_EQ(-EFBIG, make_buffer(self->fd, max + 1, &args));
	EXPECT_EQ(-EFBIG, make_buffer(self->fd, ~0ULL, &args));
	EXPECT_EQ(-EFBIG, make_buffer(self->fd, 1ULL << 63, &args));
	ASSERT_EQ(0, make_buffer(self->fd, PAGE, &args));
	EXPECT_EQ(-EBUSY, make_buffer(self->fd, PAGE, &args));
	EXPECT_EQ(-EBUSY, make_buffer(self->fd, 1, &args));
}

TEST_F(buffer, the_largest)
{
	__u64 max = buffer_max(self->fd);
	char *map = map_buffer(self->fd, max);
	struct nursery_record r;

	ASSERT_NE(NULL, map);
	EXPECT_EQ(0, map[0]);
	map[max - 1] = 'x';
	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "copy", max - 1, 0, 1));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(0, r.result);
	EXPECT_EQ('x', map[0]);
}

TEST_F(buffer, is_whole_pages_of_zeroes)
{
	struct nursery_buffer args;
	struct nursery_info info;
	unsigned char *map;
	unsigned int i;

	ASSERT_EQ(0, make_buffer(self->fd, PAGE + 1, &args));
	EXPECT_EQ(2 * PAGE, args.size);
	EXPECT_EQ(0, args.offset % PAGE);
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_INFO, &info));
	EXPECT_EQ(2 * PAGE, info.buffer_size);
	map = mmap(NULL, args.size, PROT_READ, MAP_SHARED, self->fd, args.offset);
	ASSERT_NE(MAP_FAILED, map);
	for (i = 0; i < args.size; i++)
		ASSERT_EQ(0, map[i]);
}

TEST_F(buffer, mmap_refuses)
{
	struct nursery_buffer args;

	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0));
	ASSERT_EQ(0, make_buffer(self->fd, 2 * PAGE, &args));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->fd,
				   args.offset));
	EXPECT_EQ(EINVAL, errno);
	/* beyond its end, by size, by offset, by both */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, self->fd, args.offset));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd,
				   args.offset + 2 * PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, self->fd,
				   args.offset + PAGE));
	EXPECT_NE(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd,
				   args.offset + PAGE));
}

/* A mapping is of the buffer: seen by operations and by other mappings. */
TEST_F(buffer, is_shared)
{
	char *map = map_buffer(self->fd, PAGE), *again;

	ASSERT_NE(NULL, map);
	again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, again);
	strcpy(map, "shared");
	EXPECT_STREQ("shared", again);
}

TEST_F(buffer, checksum_is_crc32)
{
	static const __u64 parts[][2] = {
		{ 0, SIZE }, { 0, 0 }, { SIZE, 0 }, { 1, 1 }, { SIZE - 1, 1 }, { 3, 12345 },
		{ 65535, 65537 },
	};
	unsigned char *map = map_buffer(self->fd, SIZE);
	struct nursery_record r;
	unsigned int i;

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0xcbf43926, crc32((const unsigned char *)"123456789", 9));
	fill(map, SIZE, 1);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(0, spawn(self->fd, NULL, i, "checksum", parts[i][0], parts[i][1]));
		ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
		EXPECT_EQ(0, r.result);
		EXPECT_EQ(crc32(map + parts[i][0], parts[i][1]), r.value)
			TH_LOG("offset %llu, length %llu", parts[i][0], parts[i][1]);
	}
}

TEST_F(buffer, copy_copies_that_and_no_more)
{
	unsigned char *map = map_buffer(self->fd, SIZE), *before;
	const unsigned int src = 17, dst = 150001, len = 100000 - 1;
	struct nursery_record r;

	ASSERT_NE(NULL, map);
	fill(map, SIZE, 2);
	before = malloc(SIZE);
	ASSERT_NE(NULL, before);
	memcpy(before, map, SIZE);

	ASSERT_EQ(0, spawn(self->fd, NULL, 0, "copy", src, dst, len));
	ASSERT_EQ(1, read_records(self->fd, &r, 1, SOON_MS));
	EXPECT_EQ(0, r.result);
	memcpy(before + dst, before + src, len);
	EXPECT_EQ(0, memcmp(before, map, SIZE));
	free(before);
}

TEST_F(buffer, operations_stay_within)
{
	static const struct {
		char op[NURSERY_NAME_LEN];
		unsigned int nr_args;
		__u64 args[3];
		int result;
	} cases[] = {
		{ "checksum", 2, { 0, SIZE + 1 }, -EFAULT },
		{ "checksum", 2, { SIZE, 1 }, -EFAULT },
		{ "checksum", 2, { SIZE + 1, 0 }, -EFAULT },
		{ "checksum", 2, { ~0ULL, 1 }, -EFAULT },
		{ "checksum", 2, { 1, ~0ULL }, -EFAULT },		/* the sum is 0 */
		{ "checksum", 2, { 1ULL << 63, 1ULL << 63 }, -EFAULT },
		{ "copy", 3, { 0, SIZE - 9, 10 }, -EFAULT },
		{ "copy", 3, { SIZE - 9, 0, 10 }, -EFAULT },
		{ "copy", 3, { 0, ~0ULL - 4, 10 }, -EFAULT },
		{ "copy", 3, { 0, 1, ~0ULL }, -EFAULT },
		{ "copy", 3, { 0, 9, 10 }, -EINVAL },			/* they overlap */
		{ "copy", 3, { 9, 0, 10 }, -EINVAL },
		{ "copy", 3, { 5, 5, 10 }, -EINVAL },
		{ "copy", 3, { 0, 10, 10 }, 0 },			/* they touch */
		{ "copy", 3, { 10, 0, 10 }, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].result, run_alone(SIZE, cases[i].op, cases[i].nr_args,
						     cases[i].args).result)
			TH_LOG("%s %llu,%llu,%llu", cases[i].op, cases[i].args[0],
			       cases[i].args[1], cases[i].args[2]);
}

TEST_F(buffer, operations_without_one)
{
	static const __u64 nothing[3];

	EXPECT_EQ(-EFAULT, run_alone(0, "checksum", 2, nothing).result);
	EXPECT_EQ(-EFAULT, run_alone(0, "copy", 3, nothing).result);
}

/* The mapping keeps the file, and so the nursery, until it goes. */
TEST_F(buffer, outlives_the_close)
{
	unsigned char *map = map_buffer(self->fd, SIZE);
	struct census before, after;
	__u32 crc;

	ASSERT_NE(NULL, map);
	ASSERT_EQ(0, take_census(&before));
	fill(map, SIZE, 3);
	crc = crc32(map, SIZE);
	close(self->fd);
	EXPECT_EQ(crc, crc32(map, SIZE));
	fill(map, SIZE, 4);
	EXPECT_NE(crc, crc32(map, SIZE));

	ASSERT_EQ(0, take_census(&after));
	EXPECT_EQ(before.resources, after.resources);
	ASSERT_EQ(0, munmap(map, SIZE));
	after = before;
	after.files--;
	after.resources--;
	EXPECT_EQ(0, wait_for_census(&after, SOON_MS));
	self->fd = -1;
}

/* Closed while operations read and write all of it: they end first, it goes then. */
TEST_F(buffer, stays_under_operations)
{
	const __u64 half = 4 << 20;
	unsigned int i, round;
	char *map;
	int fd;

	for (round = 0; round < 20; round++) {
		fd = open_nursery(0);
		map = map_buffer(fd, 2 * half);
		ASSERT_NE(NULL, map);
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, spawn(fd, NULL, i, "copy", 0, half, half));
			ASSERT_EQ(0, spawn(fd, NULL, i, "checksum", 0, 2 * half));
		}
		ASSERT_EQ(0, munmap(map, 2 * half));
		sleep_ms(round % 4);
		ASSERT_EQ(0, close(fd));
	}
}

TEST_HARNESS_MAIN
