// SPDX-License-Identifier: GPL-2.0-only
/*
 * The form of the ioctls of /dev/nursery: which numbers there are, that a
 * structure may be shorter or longer than the kernel's, that unknown flags and
 * reserved fields are refused, and so are bad pointers. Structures lie right
 * before a page that cannot be touched: the kernel uses the size it is given.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include "../kselftest_harness.h"
#include "util.h"

#define PAGE	4096

#define IN	_IOC_WRITE
#define OUT	_IOC_READ

FIXTURE(abi) {
	int fd;
	char *page;		/* the one after it cannot be touched */
};

FIXTURE_SETUP(abi)
{
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
	self->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, mprotect(self->page + PAGE, PAGE, PROT_NONE));
}

FIXTURE_TEARDOWN(abi)
{
	close(self->fd);
}

/* Call with the first @size bytes of @args; fewer or more than it has. */
static int call_sized(FIXTURE_DATA(abi) *self, unsigned int dir, unsigned long request,
		      void *args, size_t len, size_t size)
{
	char *at = self->page + PAGE - size;
	int err;

	memset(at, 0, size);
	memcpy(at, args, len < size ? len : size);
	err = call(self->fd, _IOC(dir, NURSERY_IOC_MAGIC, _IOC_NR(request), size), at);
	memcpy(args, at, len < size ? len : size);
	return err;
}

/* The same, of a structure that has grown by @extra bytes, the last of which is @last. */
static int call_longer(FIXTURE_DATA(abi) *self, unsigned int dir, unsigned long request,
		       void *args, size_t len, size_t extra, char last)
{
	char *at = self->page + PAGE - len - extra;

	memcpy(at, args, len);
	memset(at + len, 0, extra);
	at[len + extra - 1] = last;
	return call(self->fd, _IOC(dir, NURSERY_IOC_MAGIC, _IOC_NR(request), len + extra), at);
}

TEST_F(abi, sizes_are_the_published_ones)
{
	EXPECT_EQ(40, sizeof(struct nursery_info));
	EXPECT_EQ(88, sizeof(struct nursery_spawn));
	EXPECT_EQ(16, sizeof(struct nursery_cancel));
	EXPECT_EQ(16, sizeof(struct nursery_deadline));
	EXPECT_EQ(24, sizeof(struct nursery_buffer));
	EXPECT_EQ(24, sizeof(struct nursery_list));
	EXPECT_EQ(88, sizeof(struct nursery_entry));
	EXPECT_EQ(136, sizeof(struct nursery_op_entry));
	EXPECT_EQ(40, sizeof(struct nursery_record));
}

TEST_F(abi, info)
{
	struct nursery_info info, other;
	int fd;

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_INFO, &info));
	EXPECT_EQ(NURSERY_ABI_VERSION, info.abi);
	EXPECT_EQ(0, info.flags);
	EXPECT_NE(0, info.id);
	EXPECT_EQ(0, info.outstanding);
	EXPECT_EQ(0, info.buffer_size);
	EXPECT_LE(1 << 20, info.buffer_max);

	fd = open_nursery(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, call(fd, NURSERY_IOC_INFO, &other));
	EXPECT_NE(info.id, other.id);
	close(fd);
}

TEST_F(abi, unknown_requests)
{
	static const unsigned long requests[] = {
		_IOR('N', 0x1f, struct nursery_info),		/* before the first */
		_IOWR('N', 0x27, struct nursery_list),		/* after the last */
		_IOWR('N', 0x2f, struct nursery_list),
		_IOWR('N', 0xff, struct nursery_list),
		_IOR('M', 0x20, struct nursery_info),		/* another magic */
		_IOR(0, 0x20, struct nursery_info),
		_IOW('N', 0x20, struct nursery_info),		/* other directions */
		_IOWR('N', 0x20, struct nursery_info),
		_IOW('N', 0x21, struct nursery_spawn),
		_IOR('N', 0x22, struct nursery_cancel),
		_IOWR('N', 0x23, struct nursery_deadline),
		_IO('N', 0x20),
		_IO('N', 0x22),
		_IOC(OUT, 'N', 0x20, 0),			/* no structure */
		_IOC(IN, 'N', 0x22, 0),
		0,
		FIONREAD,
		TCGETS,
	};
	char args[256] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++)
		EXPECT_EQ(-ENOTTY, call(self->fd, requests[i], args))
			TH_LOG("request %#lx", requests[i]);
}

/* What a short structure leaves out is zero; what comes back is cut. */
TEST_F(abi, shorter_structures)
{
	struct nursery_spawn s = { .nr_args = 1, .args = { 0 }, .cookie = 5, .op = "sleep" };
	struct nursery_deadline deadline = { 0 };
	struct nursery_buffer buffer = { .size = 1 };
	struct nursery_list list = { .entry_size = sizeof(struct nursery_entry) };
	struct nursery_cancel c = { 0 };
	struct nursery_record record;
	struct nursery_info info = { 0 };

	EXPECT_EQ(0, call_sized(self, OUT, NURSERY_IOC_INFO, &info, sizeof(info), 4));
	EXPECT_EQ(NURSERY_ABI_VERSION, info.abi);
	EXPECT_EQ(0, info.id);
	EXPECT_EQ(0, call_sized(self, IN | OUT, NURSERY_IOC_SPAWN, &s, sizeof(s),
				offsetof(struct nursery_spawn, op) + sizeof("sleep")));
	EXPECT_NE(0, s.id);
	EXPECT_EQ(0, call_sized(self, IN, NURSERY_IOC_DEADLINE, &deadline, sizeof(deadline), 8));
	EXPECT_EQ(0, call_sized(self, IN | OUT, NURSERY_IOC_BUFFER, &buffer, sizeof(buffer), 8));
	EXPECT_EQ(PAGE, buffer.size);
	EXPECT_EQ(0, call_sized(self, IN | OUT, NURSERY_IOC_LIST, &list, sizeof(list), 16));
	EXPECT_LE(1, list.nr);
	list.nr = 0;
	EXPECT_EQ(0, call_sized(self, IN | OUT, NURSERY_IOC_OPS, &list, sizeof(list), 16));
	EXPECT_LE(4, list.nr);

	ASSERT_EQ(1, read_records(self->fd, &record, 1, SOON_MS));
	EXPECT_EQ(s.id, record.id);
	EXPECT_EQ(5, record.cookie);
	EXPECT_EQ(0, record.result);

	/* last, for it cancels; one byte of the id is enough */
	EXPECT_EQ(0, call_sized(self, IN, NURSERY_IOC_CANCEL, &c, sizeof(c), 1));
	EXPECT_EQ(-ECANCELED, spawn(self->fd, NULL, 0, "sleep", 0));
}

/* A later structure: fine as long as nothing is in what this kernel does not know. */
static void longer_structures(struct __test_metadata *_metadata, FIXTURE_DATA(abi) *self,
			      size_t extra)
{
	struct nursery_spawn s = { .nr_args = 1, .op = "sleep" };
	struct nursery_deadline deadline = { 0 };
	struct nursery_buffer buffer = { .size = 1 };
	struct nursery_list list = { .entry_size = sizeof(struct nursery_entry) };
	struct nursery_cancel c = { 0 };
	struct nursery_info info;
	const struct {
		unsigned int dir;
		unsigned long request;
		void *args;
		size_t len;
	} calls[] = {
		{ IN | OUT, NURSERY_IOC_SPAWN, &s, sizeof(s) },
		{ IN, NURSERY_IOC_DEADLINE, &deadline, sizeof(deadline) },
		{ IN | OUT, NURSERY_IOC_BUFFER, &buffer, sizeof(buffer) },
		{ IN | OUT, NURSERY_IOC_LIST, &list, sizeof(list) },
		{ IN | OUT, NURSERY_IOC_OPS, &list, sizeof(list) },
		{ IN, NURSERY_IOC_CANCEL, &c, sizeof(c) },
	};
	char *at = self->page + PAGE - sizeof(info) - extra;
	unsigned int i;
	size_t k;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_EQ(-E2BIG, call_longer(self, calls[i].dir, calls[i].request,
					      calls[i].args, calls[i].len, extra, 1))
			TH_LOG("call %u", i);
	}
	/* nothing has happened */
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_INFO, &info));
	EXPECT_EQ(0, info.outstanding);
	EXPECT_EQ(0, info.buffer_size);

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_EQ(0, call_longer(self, calls[i].dir, calls[i].request,
					 calls[i].args, calls[i].len, extra, 0))
			TH_LOG("call %u", i);
	}

	/* what only comes back is zeroed where the kernel has nothing to say */
	memset(at, 0xff, sizeof(info) + extra);
	ASSERT_EQ(0, call(self->fd, _IOC(OUT, NURSERY_IOC_MAGIC, _IOC_NR(NURSERY_IOC_INFO),
					 sizeof(info) + extra), at));
	EXPECT_EQ(NURSERY_ABI_VERSION, ((struct nursery_info *)at)->abi);
	for (k = sizeof(info); k < sizeof(info) + extra; k++)
		ASSERT_EQ(0, at[k]);
}

TEST_F(abi, slightly_longer_structures)
{
	longer_structures(_metadata, self, 8);
}

TEST_F(abi, much_longer_structures)
{
	longer_structures(_metadata, self, 2048);
}

TEST_F(abi, flags_and_reserved_fields)
{
	struct nursery_spawn s = { .flags = 1, .nr_args = 1, .op = "sleep" };
	struct nursery_cancel c = { .flags = 1 };
	struct nursery_deadline deadlines[] = { { .flags = 1 }, { .reserved = 1 },
						{ .flags = 1U << 31 } };
	struct nursery_buffer buffers[] = { { .size = 1, .flags = 1 },
					    { .size = 1, .reserved = 1 } };
	struct nursery_list lists[] = {
		{ .entry_size = 8, .flags = NURSERY_LIST_ALL << 1 },
		{ .entry_size = 8, .flags = 1U << 31 },
		{ .entry_size = 8, .reserved = 1 },
	};
	struct nursery_list ops = { .entry_size = 8, .flags = NURSERY_LIST_ALL };
	struct nursery_info info;
	unsigned int i;

	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_SPAWN, &s));
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_CANCEL, &c));
	for (i = 0; i < ARRAY_SIZE(deadlines); i++)
		EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_DEADLINE, &deadlines[i]));
	for (i = 0; i < ARRAY_SIZE(buffers); i++)
		EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_BUFFER, &buffers[i]));
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_LIST, &lists[i]));
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_OPS, &ops));
	ops.flags = 0;
	ops.reserved = 1;
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_OPS, &ops));

	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_INFO, &info));
	EXPECT_EQ(0, info.outstanding);
	EXPECT_EQ(0, info.buffer_size);
	EXPECT_EQ(0, spawn(self->fd, NULL, 0, "sleep", 0));
}

TEST_F(abi, bad_pointers)
{
	static const unsigned long requests[] = {
		NURSERY_IOC_INFO, NURSERY_IOC_SPAWN, NURSERY_IOC_CANCEL, NURSERY_IOC_DEADLINE,
		NURSERY_IOC_BUFFER, NURSERY_IOC_LIST, NURSERY_IOC_OPS,
	};
	struct nursery_info info;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		EXPECT_EQ(-EFAULT, call(self->fd, requests[i], NULL))
			TH_LOG("request %#lx", requests[i]);
		/* the last byte is in the forbidden page */
		EXPECT_EQ(-EFAULT, call(self->fd, requests[i],
					self->page + PAGE - _IOC_SIZE(requests[i]) + 1))
			TH_LOG("request %#lx", requests[i]);
		/* not the user's memory */
		EXPECT_EQ(-EFAULT, call(self->fd, requests[i], (void *)-PAGE))
			TH_LOG("request %#lx", requests[i]);
	}
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_INFO, self->page));

	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_INFO, &info));
	EXPECT_EQ(0, info.outstanding);
}

TEST_HARNESS_MAIN
