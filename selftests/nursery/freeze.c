// SPDX-License-Identifier: GPL-2.0-only
/*
 * The system freezes, as for suspend, with nurseries busy. Who waits for one in
 * user space does not keep it from freezing, and goes on waiting afterwards.
 * Children on the default executor run on; on a workqueue that is WQ_FREEZABLE
 * none starts until the thaw.
 *
 * /sys/power/pm_test makes a suspend stop right after the freezer, and thaw
 * after a while.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "edu_util.h"
#include "util.h"

#define PM_TEST		"/sys/power/pm_test"
#define PM_STATE	"/sys/power/state"
#define PM_DELAY	"/sys/module/suspend/parameters/pm_test_delay"
#define PM_TIMEOUT	"/sys/power/pm_freeze_timeout"

#define FROZEN_SECONDS	2
#define FREEZER_MS	"5000"		/* when the freezer gives up */
#define DEFAULT_MS	"20000"		/* the kernel's own */

#define BUSY		"nursery_busy"
#define BUSY_REPORT	"/sys/module/" BUSY "/parameters/report"

static int put(const char *path, const char *text)
{
	return write_file(path, text, SOON_MS);
}

/* Everybody in user space is frozen for FROZEN_SECONDS, and we are; or -EBUSY. */
static int freeze(void)
{
	return write_file(PM_STATE, "freeze", 60000);
}

FIXTURE(freeze) {
	bool possible;
	int fd;
};

FIXTURE_SETUP(freeze)
{
	char delay[12];

	self->fd = -1;
	self->possible = !access(PM_TEST, W_OK);
	if (!self->possible)
		return;
	snprintf(delay, sizeof(delay), "%d", FROZEN_SECONDS);
	ASSERT_EQ(0, put(PM_DELAY, delay));
	ASSERT_EQ(0, put(PM_TIMEOUT, FREEZER_MS));
	ASSERT_EQ(0, put(PM_TEST, "freezer"));
	self->fd = open_nursery(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(freeze)
{
	if (!self->possible)
		return;
	close(self->fd);
	put(PM_TEST, "none");
	put(PM_TIMEOUT, DEFAULT_MS);
}

/* A thread that waits for one record, and what came of it. */
struct waiter {
	pthread_t thread;
	pid_t tid;		/* atomically */
	int fd;
	bool poll;
	bool over;		/* atomically */
	int error;
	struct nursery_record record;
};

static void *wait_for_record(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_SEQ_CST);
	if (w->poll && poll(&p, 1, -1) != 1)
		w->error = errno;
	else if (read(w->fd, &w->record, sizeof(w->record)) != sizeof(w->record))
		w->error = errno ?: EIO;
	__atomic_store_n(&w->over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool waits(struct waiter *w)
{
	pid_t tid = __atomic_load_n(&w->tid, __ATOMIC_SEQ_CST);

	return tid && task_state(tid) == 'S';
}

#define TOO_MUCH	"this kernel cannot freeze without a suspend"

static void waits_through_a_freeze(struct __test_metadata *_metadata, int fd, bool with_poll)
{
	struct waiter w = { .fd = fd, .poll = with_poll };

	ASSERT_EQ(0, spawn(fd, NULL, 1, "sleep", 3600 * SEC));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, wait_for_record, &w));
	EXPECT_TRUE(wait_until(waits(&w), SOON_MS));
	EXPECT_EQ(0, freeze());
	EXPECT_TRUE(wait_until(waits(&w), SOON_MS));
	EXPECT_FALSE(__atomic_load_n(&w.over, __ATOMIC_SEQ_CST));
	ASSERT_EQ(0, cancel(fd, 0, 0));
	ASSERT_EQ(0, pthread_join(w.thread, NULL));
	EXPECT_EQ(0, w.error);
	EXPECT_EQ(-ECANCELED, w.record.result);
}

TEST_F_TIMEOUT(freeze, a_reader_waits_on, 60)
{
	if (!self->possible)
		SKIP(return, TOO_MUCH);
	waits_through_a_freeze(_metadata, self->fd, false);
}

TEST_F_TIMEOUT(freeze, a_poller_waits_on, 60)
{
	if (!self->possible)
		SKIP(return, TOO_MUCH);
	waits_through_a_freeze(_metadata, self->fd, true);
}

/* close() waits, not to be interrupted, for transfers that cannot be stopped. */
TEST_F_TIMEOUT(freeze, a_close_in_flight_is_waited_for, 60)
{
	struct edu_devices devices;
	int status, go[2];
	pid_t pid;
	char c;

	if (!self->possible)
		SKIP(return, TOO_MUCH);
	ASSERT_EQ(0, edu_start(&devices));
	if (!devices.nr)
		SKIP(return, "there is no edu device");
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fd = open_nursery(0);
		void *map = map_buffer(fd, 2 * EDU_CHUNK);

		if (!map || edu_spawn(fd, 0, 1) || !wait_until(edu_transfers(fd), SOON_MS))
			_exit(1);
		munmap(map, 2 * EDU_CHUNK);
		if (write(go[1], "", 1) != 1)
			_exit(2);
		close(fd);
		_exit(0);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	/* It waits, or has: nobody can say when the transfer ends. */
	EXPECT_TRUE(wait_until(strchr("DZ", task_state(pid)), SOON_MS));
	EXPECT_EQ(0, freeze());
	EXPECT_EQ(0, wait_exit(pid, SOON_MS, &status));
	EXPECT_EQ(0, status);
	close(go[0]);
	close(go[1]);
}

struct busy {
	unsigned int rounds, errors, gap_ms;
};

/* What nursery_busy tells of an executor; all zero if it does not know it. */
static struct busy busy(const char *executor)
{
	FILE *f = fopen(BUSY_REPORT, "r");
	struct busy b = { 0 }, line;
	char name[32];

	if (!f)
		return b;
	while (fscanf(f, "%31s %u %u %u", name, &line.rounds, &line.errors, &line.gap_ms) == 4)
		if (!strcmp(name, executor))
			b = line;
	fclose(f);
	return b;
}

TEST_F_TIMEOUT(freeze, only_a_freezable_queue_stands_still, 60)
{
	struct busy unbound, freezable;

	if (!self->possible)
		SKIP(return, TOO_MUCH);
	if (shell("modprobe " BUSY " 2>/dev/null"))
		SKIP(return, "there is no module " BUSY);
	EXPECT_TRUE(wait_until(busy("freezable").rounds > 3, SOON_MS));
	EXPECT_EQ(0, put(BUSY_REPORT, "anew"));
	EXPECT_EQ(0, freeze());
	unbound = busy("unbound");
	freezable = busy("freezable");
	EXPECT_TRUE(wait_until(busy("freezable").rounds > freezable.rounds + 3, SOON_MS));
	freezable = busy("freezable");
	EXPECT_EQ(0, shell("rmmod " BUSY));

	EXPECT_LE(FROZEN_SECONDS * 1000, freezable.gap_ms);
	EXPECT_GT(freezable.gap_ms / 2, unbound.gap_ms);
	EXPECT_EQ(0, freezable.errors);
	EXPECT_EQ(0, unbound.errors);
}

TEST_HARNESS_MAIN
