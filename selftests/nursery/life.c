// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ends a nursery: the last close, and the death of its owner. Its children
 * are gone then, however many, and nobody hangs. And in the hurly-burly of many
 * children and many threads no record is lost, and none comes twice.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include "../kselftest_harness.h"
#include "util.h"

#define FOREVER	(3600 * SEC)

FIXTURE(life) {
	struct census before;
	int watch;
};

FIXTURE_SETUP(life)
{
	self->watch = open_nursery(0);
	ASSERT_LE(0, self->watch);
	ASSERT_EQ(0, take_census(&self->before));
}

FIXTURE_TEARDOWN(life)
{
	EXPECT_EQ(0, wait_for_census(&self->before, SOON_MS));
	close(self->watch);
}

/* How many of these ids a listing of the system has. */
static unsigned int listed(int fd, const __u64 *ids, unsigned int nr_ids)
{
	struct nursery_entry *list;
	unsigned int found = 0, k;
	__u32 nr, i;

	list = list_entries(fd, NURSERY_LIST_ALL, &nr);
	for (i = 0; i < nr; i++)
		for (k = 0; k < nr_ids; k++)
			found += list[i].id == ids[k];
	free(list);
	return found;
}

static __u64 outstanding(int fd)
{
	struct nursery_info info = { 0 };

	return call(fd, NURSERY_IOC_INFO, &info) ? ~0ULL : info.outstanding;
}

static int spawn_sleepers(int fd, __u64 *ids, unsigned int nr)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		err = spawn(fd, ids ? &ids[i] : NULL, i, "sleep", FOREVER);
	return err;
}

/* Wait until the file's nursery, which somebody else may have, has @nr children. */
static bool wait_children(int watch, __u64 id, unsigned int nr)
{
	return wait_until(({
		struct nursery_entry *list;
		unsigned int children = ~0;
		__u32 entries, i;

		list = list_entries(watch, NURSERY_LIST_ALL, &entries);
		for (i = 0; i < entries; i++)
			if (list[i].id == id)
				children = list[i].nr_children;
		free(list);
		children == nr;
	}), SOON_MS);
}

TEST_F(life, close_cancels_and_joins)
{
	struct nursery_buffer buffer = { .size = 1 };
	int fd = open_nursery(0);
	__u64 ids[10], start;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, spawn_sleepers(fd, ids, 10));
	ASSERT_EQ(0, call(fd, NURSERY_IOC_BUFFER, &buffer));
	EXPECT_EQ(10, listed(self->watch, ids, 10));
	start = now_ns();
	close(fd);
	/* it is all over when close() returns, at least when it was fast */
	if (now_ns() - start < 900 * MS)
		EXPECT_EQ(0, listed(self->watch, ids, 10));
	EXPECT_TRUE(wait_until(!listed(self->watch, ids, 10), SOON_MS));
}

TEST_F(life, close_with_records_unread)
{
	int fd = open_nursery(0);
	unsigned int i;

	ASSERT_LE(0, fd);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, spawn(fd, NULL, i, "sleep", 0));
	EXPECT_TRUE(wait_children(self->watch, id_of(fd), 0));
	EXPECT_EQ(100, outstanding(fd));
	close(fd);
}

TEST_F(life, close_of_nothing)
{
	int i, fd;

	for (i = 0; i < 200; i++) {
		fd = open_nursery(0);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, close(fd));
	}
}

TEST_F(life, sigkill_of_the_owner)
{
	int status, pipefd[2];
	__u64 id = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipefd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fd = open_nursery(0);

		id = id_of(fd);
		if (spawn_sleepers(fd, NULL, 100) ||
		    write(pipefd[1], &id, sizeof(id)) != sizeof(id))
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_EQ(sizeof(id), read(pipefd[0], &id, sizeof(id)));
	EXPECT_TRUE(wait_children(self->watch, id, 100));

	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(0, wait_exit(pid, SOON_MS, &status));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, wait_for_census(&self->before, SOON_MS));
}

/* Killed in the middle of read() and of poll(), with the buffer mapped. */
TEST_F(life, sigkill_of_a_reader)
{
	struct pollfd p = { .events = POLLIN };
	struct nursery_record r;
	int how, pipefd[2], status;
	pid_t pid;
	char c;

	for (how = 0; how < 2; how++) {
		ASSERT_EQ(0, pipe(pipefd));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			p.fd = open_nursery(0);
			if (!map_buffer(p.fd, 1 << 20) || spawn_sleepers(p.fd, NULL, 5) ||
			    write(pipefd[1], "", 1) != 1)
				_exit(1);
			_exit(how ? poll(&p, 1, -1) : read(p.fd, &r, sizeof(r)));
		}
		close(pipefd[1]);
		ASSERT_EQ(1, read(pipefd[0], &c, 1));
		close(pipefd[0]);
		EXPECT_TRUE(wait_until(task_state(pid) == 'S', SOON_MS));
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(0, wait_exit(pid, SOON_MS, &status));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
}

/* A file is a nursery, however many processes have it: the last close ends it. */
TEST_F(life, fork_shares_it)
{
	int fd = open_nursery(0), status;
	struct nursery_record r;
	__u64 id;
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, spawn(fd, &id, 0, "sleep", FOREVER));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* the child sees the same, and adds to it */
		if (listed(fd, &id, 1) != 1 || spawn(fd, NULL, 1, "sleep", 0))
			_exit(1);
		close(fd);
		_exit(0);
	}
	ASSERT_EQ(0, wait_exit(pid, SOON_MS, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, listed(self->watch, &id, 1));
	ASSERT_EQ(1, read_records(fd, &r, 1, SOON_MS));
	EXPECT_EQ(1, r.cookie);
	EXPECT_EQ(0, r.result);
	EXPECT_EQ(1, outstanding(fd));
	close(fd);
	EXPECT_TRUE(wait_until(!listed(self->watch, &id, 1), SOON_MS));
}

TEST_F(life, fork_inherits_it)
{
	int fd = open_nursery(0), pipefd[2];
	__u64 id;
	pid_t pid;
	char c;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, spawn(fd, &id, 0, "sleep", FOREVER));
	ASSERT_EQ(0, pipe(pipefd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(pipefd[1]);
		_exit(read(pipefd[0], &c, 1) != 0);	/* until the parent says so */
	}
	close(pipefd[0]);
	close(fd);		/* not the last */
	sleep_ms(200);
	EXPECT_EQ(1, listed(self->watch, &id, 1));
	close(pipefd[1]);
	ASSERT_EQ(0, wait_exit(pid, SOON_MS, NULL));
	EXPECT_TRUE(wait_until(!listed(self->watch, &id, 1), SOON_MS));
}

/* Each process gets its own records, and nothing of the other's. */
static int see_only_ones_own(unsigned int who)
{
	struct nursery_record r[50];
	int fd = open_nursery(0);
	unsigned int i;

	for (i = 0; i < 50; i++)
		if (spawn(fd, NULL, who * 1000 + i, "sleep", i * MS))
			return 1;
	if (read_records(fd, r, 50, SOON_MS) != 50 || outstanding(fd))
		return 2;
	for (i = 0; i < 50; i++)
		if (r[i].cookie / 1000 != who || r[i].result)
			return 3;
	return 0;
}

TEST_F(life, two_processes_at_once)
{
	pid_t pids[2];
	int i, status;

	for (i = 0; i < 2; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i])
			_exit(see_only_ones_own(i + 1));
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, wait_exit(pids[i], 2 * SOON_MS, &status));
		EXPECT_EQ(0, status);
	}
}

#define MANY	10000

/* More than there are workers, and more than a queue would hold. */
TEST_F(life, many_children)
{
	struct nursery_record *r = calloc(MANY, sizeof(*r));
	char *seen = calloc(MANY, 1);
	int fd = open_nursery(0);
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, r);
	ASSERT_NE(NULL, seen);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, spawn(fd, NULL, i, "sleep", 0));
	ASSERT_EQ(MANY, read_records(fd, r, MANY, 2 * SOON_MS));
	for (i = 0; i < MANY; i++) {
		ASSERT_GT(MANY, r[i].cookie);
		EXPECT_EQ(0, r[i].result);
		EXPECT_EQ(0, seen[r[i].cookie]++);
	}
	EXPECT_EQ(0, outstanding(fd));
	EXPECT_EQ(0, read(fd, r, sizeof(*r)));
	close(fd);
}

/* All asleep, most without a worker: cancel does not need one for each. */
TEST_F(life, cancel_of_many_sleepers)
{
	const unsigned int nr = 2000;
	struct nursery_record *r = calloc(nr, sizeof(*r));
	int fd = open_nursery(0);
	unsigned int i;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, r);
	ASSERT_EQ(0, spawn_sleepers(fd, NULL, nr));
	ASSERT_EQ(0, cancel(fd, 0, 0));
	ASSERT_EQ(nr, read_records(fd, r, nr, 2 * SOON_MS));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(-ECANCELED, r[i].result);
	EXPECT_EQ(0, outstanding(fd));
	close(fd);
}

/*
 * Threads that spawn, cancel, list and read in one nursery, as fast as they can:
 * each child that was spawned gives one record, with one of the two results.
 */
#define STRESS_CHILDREN	1500	/* of each spawner */
#define SPAWNERS	2
#define READERS		2

struct stress {
	int fd;
	int failed;			/* atomically, from here on */
	int spawning;
	__u64 last;
	unsigned int records;
	unsigned char seen[SPAWNERS * STRESS_CHILDREN];
};

static void *stress_spawner(void *arg)
{
	static int number;
	struct stress *s = arg;
	unsigned int i, first = __atomic_fetch_add(&number, 1, __ATOMIC_SEQ_CST) * STRESS_CHILDREN;
	__u64 id;

	for (i = 0; i < STRESS_CHILDREN; i++) {
		if (spawn(s->fd, &id, first + i, "sleep", i % 4 * 100000))
			__atomic_fetch_add(&s->failed, 1, __ATOMIC_SEQ_CST);
		else
			__atomic_store_n(&s->last, id, __ATOMIC_SEQ_CST);
	}
	__atomic_fetch_sub(&s->spawning, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *stress_canceller(void *arg)
{
	struct stress *s = arg;
	int err;

	while (__atomic_load_n(&s->spawning, __ATOMIC_SEQ_CST)) {
		err = cancel(s->fd, __atomic_load_n(&s->last, __ATOMIC_SEQ_CST) ?: ~0ULL, 0);
		if (err && err != -ENOENT)
			__atomic_fetch_add(&s->failed, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void *stress_lister(void *arg)
{
	struct stress *s = arg;
	__u32 nr;

	while (__atomic_load_n(&s->spawning, __ATOMIC_SEQ_CST)) {
		free(list_entries(s->fd, NURSERY_LIST_ALL, &nr));
		free(list_ops(s->fd, &nr));
	}
	return NULL;
}

static void *stress_reader(void *arg)
{
	struct stress *s = arg;
	struct nursery_record r[7];
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t len, i;

	while (__atomic_load_n(&s->records, __ATOMIC_SEQ_CST) < sizeof(s->seen)) {
		if (!poll(&p, 1, 100))
			continue;
		len = read(s->fd, r, sizeof(r));
		for (i = 0; i < len / (ssize_t)sizeof(*r); i++) {
			if ((r[i].result && r[i].result != -ECANCELED) ||
			    r[i].cookie >= sizeof(s->seen) ||
			    __atomic_fetch_add(&s->seen[r[i].cookie], 1, __ATOMIC_SEQ_CST))
				__atomic_fetch_add(&s->failed, 1, __ATOMIC_SEQ_CST);
			__atomic_fetch_add(&s->records, 1, __ATOMIC_SEQ_CST);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(life, stress, 60)
{
	static void *(*const roles[])(void *) = {
		stress_spawner, stress_spawner, stress_canceller, stress_lister,
		stress_reader, stress_reader,
	};
	pthread_t threads[ARRAY_SIZE(roles)];
	static struct stress s;
	unsigned int i, missing = 0;

	s.spawning = SPAWNERS;
	s.fd = open_nursery(0);
	ASSERT_LE(0, s.fd);
	for (i = 0; i < ARRAY_SIZE(roles); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, roles[i], &s));
	for (i = 0; i < ARRAY_SIZE(roles); i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(0, s.failed);
	EXPECT_EQ(sizeof(s.seen), s.records);
	for (i = 0; i < sizeof(s.seen); i++)
		missing += s.seen[i] != 1;
	EXPECT_EQ(0, missing);
	EXPECT_EQ(0, outstanding(s.fd));
	close(s.fd);
}

/* Spawners against the end of the nursery: refused or recorded, nothing between. */
static void *race_spawner(void *arg)
{
	struct stress *s = arg;
	unsigned int spawned = 0;
	int err;

	while (!(err = spawn(s->fd, NULL, 0, "sleep", FOREVER)))
		spawned++;
	if (err != -ECANCELED)
		__atomic_fetch_add(&s->failed, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&s->records, spawned, __ATOMIC_SEQ_CST);
	return NULL;
}

TEST_F(life, cancel_against_spawn)
{
	struct nursery_record r;
	pthread_t threads[2];
	struct stress s;
	unsigned int round, i;

	for (round = 0; round < 50; round++) {
		s.failed = 0;
		s.records = 0;
		s.fd = open_nursery(0);
		ASSERT_LE(0, s.fd);
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, race_spawner, &s));
		sleep_ms(round % 5);
		ASSERT_EQ(0, cancel(s.fd, 0, 0));
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, s.failed);
		EXPECT_EQ(s.records, outstanding(s.fd));
		for (i = 0; i < s.records; i++) {
			ASSERT_EQ(1, read_records(s.fd, &r, 1, SOON_MS));
			ASSERT_EQ(-ECANCELED, r.result);
		}
		EXPECT_EQ(0, read(s.fd, &r, sizeof(r)));
		close(s.fd);
	}
}

TEST_HARNESS_MAIN
