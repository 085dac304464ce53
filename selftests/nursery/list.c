// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listings: the file's own tree, the whole system, the operations, and the rules
 * of the array that they fill.
 */
#include <fcntl.h>
#include "../kselftest_harness.h"
#include "util.h"

#define PAGE		4096
#define CORE		"core"	/* the nursery of the core's operations */
#define SLEEPERS	3
#define FOREVER		(3600 * SEC)

FIXTURE(list) {
	int fd;
	__u64 id;
	__u64 children[SLEEPERS];
};

FIXTURE_SETUP(list)
{
	unsigned int i;

	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
	self->id = id_of(self->fd);
	for (i = 0; i < SLEEPERS; i++)
		ASSERT_EQ(0, spawn(self->fd, &self->children[i], i, "sleep", FOREVER));
}

FIXTURE_TEARDOWN(list)
{
	close(self->fd);
}

static const struct nursery_entry *find(const struct nursery_entry *list, __u32 nr, __u64 id)
{
	__u32 i;

	for (i = 0; i < nr; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

/* Have all children started? The first ones of a burst are still queued at times. */
static bool all_run(int fd)
{
	struct nursery_entry *list;
	bool all = true;
	__u32 nr, i;

	list = list_entries(fd, 0, &nr);
	for (i = 1; i < nr; i++)
		all &= list[i].state == NURSERY_STATE_RUNNING;
	free(list);
	return all;
}

TEST_F(list, own_tree)
{
	const struct nursery_entry *e;
	struct nursery_entry *list;
	unsigned int i;
	char comm[16] = "";
	__u32 nr;
	int fd;

	fd = open("/proc/self/comm", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, comm, sizeof(comm) - 1));
	close(fd);
	comm[strcspn(comm, "\n")] = '\0';

	ASSERT_TRUE(wait_until(all_run(self->fd), SOON_MS));
	list = list_entries(self->fd, 0, &nr);
	ASSERT_NE(NULL, list);
	ASSERT_EQ(1 + SLEEPERS, nr);
	EXPECT_EQ(self->id, list->id);
	EXPECT_EQ(0, list->nursery);
	EXPECT_EQ(0, list->depth);
	EXPECT_EQ(NURSERY_ENTRY_NURSERY, list->kind);
	EXPECT_EQ(NURSERY_STATE_OPEN, list->state);
	EXPECT_EQ(0, list->flags);
	EXPECT_EQ(SLEEPERS, list->nr_children);
	EXPECT_EQ(0, list->nr_resources);
	EXPECT_EQ(getpid(), list->pid);
	EXPECT_EQ(0, list->cause);
	EXPECT_EQ(0, list->deadline);
	EXPECT_STREQ(comm, list->name);

	for (i = 0; i < SLEEPERS; i++) {
		e = find(list, nr, self->children[i]);
		ASSERT_NE(NULL, e);
		EXPECT_EQ(self->id, e->nursery);
		EXPECT_EQ(1, e->depth);
		EXPECT_EQ(NURSERY_ENTRY_EXTERNAL, e->kind);
		EXPECT_EQ(NURSERY_STATE_RUNNING, e->state);
		EXPECT_EQ(0, e->flags);
		EXPECT_STREQ("sleep", e->name);
	}
	free(list);
}

TEST_F(list, counts_what_the_nursery_owns)
{
	struct nursery_entry *list;
	__u32 nr;

	ASSERT_NE(NULL, map_buffer(self->fd, 4096));
	list = list_entries(self->fd, 0, &nr);
	ASSERT_NE(NULL, list);
	EXPECT_EQ(1, list->nr_resources);
	free(list);
}

/* In pre-order: each child right below its nursery, and no entry out of the blue. */
TEST_F(list, the_whole_system)
{
	const struct nursery_entry *core = NULL;
	struct nursery_entry *list;
	__u32 nr, i, sleeps = 0;
	int other = open_nursery(0);
	__u64 id;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, spawn(other, &id, 0, "sleep", FOREVER));
	list = list_entries(other, NURSERY_LIST_ALL, &nr);
	ASSERT_NE(NULL, list);
	EXPECT_NE(NULL, find(list, nr, self->id));
	EXPECT_NE(NULL, find(list, nr, id_of(other)));
	EXPECT_NE(NULL, find(list, nr, id));
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_NE(NULL, find(list, nr, self->children[i]));

	for (i = 0; i < nr; i++) {
		if (!list[i].depth) {
			EXPECT_EQ(NURSERY_ENTRY_NURSERY, list[i].kind);
			EXPECT_EQ(0, list[i].nursery);
		} else {
			ASSERT_LT(0, i);
			EXPECT_LE(list[i].depth, list[i - 1].depth + 1);
			EXPECT_NE(NULL, find(list, i, list[i].nursery));
		}
		if (list[i].kind == NURSERY_ENTRY_NURSERY &&
		    !strcmp(list[i].name, CORE))
			core = &list[i];
		/* the operation's side of the calls */
		sleeps += list[i].kind == NURSERY_ENTRY_CHILD && core &&
			  list[i].nursery == core->id && !strcmp(list[i].name, "sleep");
	}
	ASSERT_NE(NULL, core);
	EXPECT_EQ(SLEEPERS + 1, core->nr_children);
	EXPECT_EQ(SLEEPERS + 1, sleeps);
	EXPECT_EQ(0, core->pid);
	free(list);

	/* without the flag: one's own only */
	list = list_entries(other, 0, &nr);
	ASSERT_NE(NULL, list);
	EXPECT_EQ(2, nr);
	EXPECT_EQ(NULL, find(list, nr, self->id));
	free(list);
	close(other);
}

/* Who runs a call is told, if somebody does. */
TEST_F(list, says_who_runs)
{
	struct nursery_entry *list = NULL;
	__u32 nr, i;
	int pid = 0;

	ASSERT_TRUE(wait_until(({
		free(list);
		list = list_entries(self->fd, NURSERY_LIST_ALL, &nr);
		for (i = 0; i < nr; i++)
			if (list[i].kind == NURSERY_ENTRY_CHILD &&
			    list[i].state == NURSERY_STATE_RUNNING)
				pid = list[i].pid;
		pid;
	}), SOON_MS));
	EXPECT_LT(0, pid);
	free(list);
}

TEST_F(list, room_for_fewer)
{
	struct nursery_entry entries[3];
	struct nursery_list args = {
		.entries = (uintptr_t)entries, .entry_size = sizeof(entries[0]), .nr = 2,
	};

	memset(entries, 0xee, sizeof(entries));
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(1 + SLEEPERS, args.nr);
	EXPECT_EQ(self->id, entries[0].id);
	EXPECT_EQ(self->id, entries[1].nursery);
	EXPECT_EQ(0xeeeeeeeeeeeeeeee, entries[2].id);
}

TEST_F(list, room_for_none)
{
	struct nursery_list args = { .entry_size = sizeof(struct nursery_entry) };

	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(1 + SLEEPERS, args.nr);
	args = (struct nursery_list) { .entry_size = sizeof(struct nursery_op_entry) };
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_OPS, &args));
	EXPECT_LE(4, args.nr);
}

TEST_F(list, room_for_more)
{
	struct nursery_entry entries[8];
	struct nursery_list args = {
		.entries = (uintptr_t)entries, .entry_size = sizeof(entries[0]), .nr = 8,
	};

	memset(entries, 0xee, sizeof(entries));
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(1 + SLEEPERS, args.nr);
	EXPECT_EQ(0xeeeeeeeeeeeeeeee, entries[1 + SLEEPERS].id);
}

/* A caller that knows less, or more, than the kernel. */
TEST_F(list, entries_of_other_sizes)
{
	struct {
		struct nursery_entry known;
		__u64 unknown[2];
	} large[1 + SLEEPERS];
	__u64 ids[1 + SLEEPERS + 1];
	struct nursery_list args = {
		.entries = (uintptr_t)ids, .entry_size = sizeof(ids[0]), .nr = 1 + SLEEPERS,
	};
	unsigned int i;

	memset(ids, 0xee, sizeof(ids));
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(1 + SLEEPERS, args.nr);
	EXPECT_EQ(self->id, ids[0]);
	for (i = 1; i < 1 + SLEEPERS; i++)
		EXPECT_EQ(1, (ids[i] == self->children[0]) + (ids[i] == self->children[1]) +
			     (ids[i] == self->children[2]));
	EXPECT_EQ(0xeeeeeeeeeeeeeeee, ids[1 + SLEEPERS]);

	memset(large, 0xee, sizeof(large));
	args.entries = (uintptr_t)large;
	args.entry_size = sizeof(large[0]);
	ASSERT_EQ(0, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(self->id, large[0].known.id);
	for (i = 0; i < 1 + SLEEPERS; i++) {
		EXPECT_EQ(0, large[i].unknown[0]);
		EXPECT_EQ(0, large[i].unknown[1]);
	}
}

TEST_F(list, refuses)
{
	struct nursery_entry entries[4];
	struct nursery_list args = { .entries = (uintptr_t)entries, .nr = 1 };
	char *page;

	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_LIST, &args));	/* entries of no size */
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_OPS, &args));
	args.entry_size = sizeof(entries[0]);
	args.entries = 0;
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_OPS, &args));
	args.entries = -4096ULL;
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_OPS, &args));
	/* absurd sizes: the array ends before the address wraps around */
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, mprotect(page + PAGE, PAGE, PROT_NONE));
	args = (struct nursery_list) {
		.entries = (uintptr_t)page, .entry_size = ~0U, .nr = NURSERY_LIST_MAX,
	};
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_LIST, &args));
	EXPECT_EQ(-EFAULT, call(self->fd, NURSERY_IOC_OPS, &args));
	args.nr = NURSERY_LIST_MAX + 1;
	EXPECT_EQ(-EINVAL, call(self->fd, NURSERY_IOC_LIST, &args));
}

TEST_F(list, operations_of_the_core)
{
	static const struct {
		const char *name;
		__u32 nr_args;
	} core[] = { { "sleep", 1 }, { "fail", 1 }, { "checksum", 2 }, { "copy", 3 } };
	struct nursery_op_entry *ops;
	unsigned int k, found;
	__u32 nr, i;

	ops = list_ops(self->fd, &nr);
	ASSERT_NE(NULL, ops);
	for (k = 0; k < ARRAY_SIZE(core); k++) {
		found = 0;
		for (i = 0; i < nr; i++) {
			if (strcmp(ops[i].name, core[k].name))
				continue;
			found++;
			EXPECT_EQ(core[k].nr_args, ops[i].nr_args);
			EXPECT_STREQ(CORE, ops[i].provider);
			EXPECT_NE('\0', ops[i].usage[0]);
			EXPECT_EQ(!strcmp(core[k].name, "sleep") ? SLEEPERS : 0, ops[i].pending);
		}
		EXPECT_EQ(1, found);
	}
	free(ops);
}

TEST_HARNESS_MAIN
