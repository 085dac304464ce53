// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices come and go, sleep and are reset, while data goes through them.
 *
 * In each round one edu device has a transfer in flight and a call that waits for
 * it, one has a transfer in flight, and one is idle. One of the calls is nurseryctl's,
 * which copies a file. Then all of them are struck at the same time, in one of the
 * ways below. Nothing may hang: five seconds after what a strike takes with nothing under way
 * all is over, every call too; or twice as many, in a kernel with lockdep, where everything
 * takes long. How long the longest took is printed. What says that it was copied was, to the
 * byte; of the rest nothing has arrived, and there is no file. Then the devices come back, and
 * work.
 *
 * The devices take turns in the three parts. A round counts if they were at it when the
 * blow fell. ROUNDS says how many, WAY names the ways, all by default. Complaints of the
 * kernel, the IOMMU's and the DMA API's among them, are for those who read its log
 * (tools/vm/scan-log).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "../kselftest_harness.h"
#include "edu_util.h"
#include "qmp.h"

#define DEFAULT_ROUNDS	2
#define HOUR		3600	/* the harness has to know */

#define IN		"/tmp/come_and_go.in"
#define OUT		"/tmp/come_and_go.out"
#define FILE_SIZE	3000	/* one chunk */

/* Which device has which part: the first ones, and the rest is idle, too. */
enum part { QUEUE, FLIGHT, IDLE, PARTS };

/* To QUEUE, of half a second each: a slow machine needs a while to set the stage. */
#define CALLS		6

struct show {
	struct edu_devices devices;
	int slots[EDU_MAX];
	struct census before;
	int watch;		/* a file to look at the system with */
	int qmp;
	unsigned int rounds;

	/* this round's */
	const char *addr[EDU_MAX];
	int fd;
	char *map;		/* what is sent, then room for what comes back */
	pid_t copy;		/* nurseryctl */
	pid_t owners[2];	/* of the file with the calls, if not we; and of an idle one */
};

/* A way to strike: a device, or all at once. It returns when the kernel says that it is done. */
struct way {
	const char *name;
	int (*strike)(struct show *s, unsigned int device);
	int (*strike_all)(struct show *s);
	int (*restore)(struct show *s, unsigned int device);
	bool (*possible)(struct show *s);
	bool harmless;		/* calls only take longer */
	bool abandons;		/* a transfer that was cancelled before may not end by itself */
	bool owners_die;
};

static int unbind(struct show *s, unsigned int device)
{
	return edu_unbind(s->addr[device], EDU_DRIVER);
}

static int bind(struct show *s, unsigned int device)
{
	return edu_bind(s->addr[device], EDU_DRIVER);
}

static const struct way way_unbind = { .name = "unbind", .strike = unbind, .restore = bind };

static int unload(struct show *s)
{
	return shell("rmmod " EDU_DRIVER) ? -EBUSY : 0;
}

/* It finds its devices itself. */
static int load(struct show *s, unsigned int device)
{
	return shell("modprobe " EDU_DRIVER) ? -ENODEV : 0;
}

static const struct way way_unload = { .name = "unload", .strike_all = unload, .restore = load };

static int write_attribute(struct show *s, unsigned int device, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", s->addr[device], name);
	return write_file(path, text, 2 * SOON_MS);
}

static int remove_it(struct show *s, unsigned int device)
{
	return write_attribute(s, device, "remove", "1");
}

static int scan_bus(struct show *s, unsigned int device)
{
	return write_file("/sys/bus/pci/rescan", "1", 2 * SOON_MS);
}

static const struct way way_remove = { .name = "remove", .strike = remove_it, .restore = scan_bus };

#define LOCKDEP		"/proc/lockdep"

static unsigned int limit_ms(void)
{
	return access(LOCKDEP, F_OK) ? 5000 : SOON_MS;
}

static bool has_slots(struct show *s)
{
	unsigned int i;

	for (i = 0; i < s->devices.nr; i++)
		if (s->slots[i] < 1)
			return false;
	/* After the report (see expect_report()) lockdep is off: only if it is asked for. */
	if (!access(LOCKDEP, F_OK) && !getenv("WAY"))
		return false;
	return s->qmp >= 0;
}

/* Addresses go by slots, so the part does. */
static int slot(struct show *s, unsigned int device)
{
	unsigned int i;

	for (i = 0; s->devices.addr[i] != s->addr[device]; i++)
		;
	return s->slots[i];
}

static int pull(struct show *s, unsigned int device)
{
	return slot_pull(s->addr[device]);
}

/* QEMU may still hold on to the one that was there. */
static int put_back(struct show *s, unsigned int device)
{
	int port = slot(s, device) - 1;

	return wait_until(!qmp(s->qmp, "device_add",
			       "'driver': 'edu', 'id': 'edu%d', 'bus': 'port%d'", port, port),
			  SOON_MS) ? 0 : -ETIMEDOUT;
}

static const struct way way_surprise = {
	.name = "surprise",
	.strike = pull, .restore = put_back, .possible = has_slots, .abandons = true,
};

/*
 * Somebody pushes the button beside the slot, and does not wait for the five seconds that
 * are for second thoughts: the slot's power goes off, once the driver has let go of the card.
 */
static int ask_all(struct show *s)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < s->devices.nr && !err; i++)
		err = qmp(s->qmp, "device_del", "'id': 'edu%d'", slot(s, i) - 1);
	return err;
}

static int power_off(struct show *s, unsigned int device)
{
	return slot_power_off(slot(s, device));
}

static const struct way way_unplug = {
	.name = "unplug",
	.strike_all = ask_all, .strike = power_off, .restore = put_back, .possible = has_slots,
};

static bool has_reset(struct show *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", s->devices.addr[0]);
	return !access(path, W_OK);
}

static int reset(struct show *s, unsigned int device)
{
	return write_attribute(s, device, "reset", "1");
}

static const struct way way_reset = {
	.name = "reset",
	.strike = reset, .possible = has_reset, .harmless = true,
};

#define PM_STATE	"/sys/power/state"
#define PM_TEST		"/sys/power/pm_test"
#define PM_DELAY	"/sys/module/suspend/parameters/pm_test_delay"
#define KEYBOARD	"/sys/devices/platform/i8042/serio0/power/wakeup"

/* With CONFIG_PM_DEBUG all but the sleep itself; else there has to be somebody to wake us. */
static bool can_sleep(struct show *s)
{
	return !access(PM_TEST, W_OK) || (!access(KEYBOARD, W_OK) && s->qmp >= 0);
}

/* Keys that QEMU presses and lets go of, the first of them when we sleep, or another. */
static int set_alarm_clock(struct show *s)
{
	int i, err = write_file(KEYBOARD, "enabled", SOON_MS);

	for (i = 0; i < 20 && !err; i++)
		err = qmp(s->qmp, "send-key",
			  "'keys': [{'type': 'qcode', 'data': 'shift'}], 'hold-time': 300");
	return err;
}

static int suspend(struct show *s)
{
	int err, try;

	if (!access(PM_TEST, W_OK)) {
		err = write_file(PM_DELAY, "0", SOON_MS) ?: write_file(PM_TEST, "devices", SOON_MS);
		err = err ?: write_file(PM_STATE, "freeze", 6 * SOON_MS);
		write_file(PM_TEST, "none", SOON_MS);
		return err;
	}
	err = set_alarm_clock(s);
	/* A key at the wrong moment keeps it from falling asleep. */
	for (try = 0; try < 10 && !err; try++) {
		err = write_file(PM_STATE, "freeze", 6 * SOON_MS);
		if (err != -EBUSY)
			break;
		err = 0;
	}
	return err;
}

static const struct way way_suspend = {
	.name = "suspend",
	.strike_all = suspend, .possible = can_sleep, .harmless = true,
};

static int kill_all(struct show *s)
{
	if (kill(s->copy, SIGKILL) || kill(s->owners[0], SIGKILL) ||
	    kill(s->owners[1], SIGKILL))
		return -errno;
	return 0;
}

static const struct way way_sigkill = {
	.name = "sigkill", .strike_all = kill_all, .owners_die = true,
};

/* Calls that have not finished. */
static unsigned int pending(struct show *s, enum part part)
{
	char provider[NURSERY_NAME_LEN];
	struct nursery_op_entry *ops;
	unsigned int count = 0;
	__u32 nr, i;

	snprintf(provider, sizeof(provider), "edu %s", s->addr[part]);
	ops = list_ops(s->watch, &nr);
	for (i = 0; i < nr; i++)
		if (!strcmp(ops[i].provider, provider) && !strcmp(ops[i].name, EDU_OP))
			count += ops[i].pending;
	free(ops);
	return count;
}

static bool all_play_their_parts(struct show *s)
{
	return pending(s, QUEUE) > 1 && pending(s, FLIGHT) == 1 &&
	       pending(s, IDLE) == 0 && edu_transfers(s->watch) == 2;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

/* On a slow machine it may be over before it is seen; then the round does not count. */
static int start_copy(struct show *s)
{
	s->copy = fork();
	if (!s->copy) {
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execlp("nurseryctl", "nurseryctl", "edu-copy", "--quiet", IN, OUT, NULL);
		_exit(127);
	}
	if (s->copy < 0)
		return -errno;
	wait_until(pending(s, FLIGHT) || has_ended(s->copy), SOON_MS);
	return 0;
}

static int start_calls(struct show *s, unsigned int seed)
{
	unsigned int i;
	int err = 0;

	s->fd = open_nursery(0);
	s->map = map_buffer(s->fd, 2 * CALLS * EDU_CHUNK);
	if (!s->map)
		return -ENOMEM;
	edu_fill(s->map, CALLS * EDU_CHUNK, seed);
	for (i = 0; i < CALLS && !err; i++)
		err = edu_spawn(s->fd, i, CALLS);
	return err;
}

/* Somebody with a nursery, and perhaps with calls in it. */
static pid_t start_owner(struct show *s, bool with_calls)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (with_calls ? !start_calls(s, 1) : open_nursery(0) >= 0)
		pause();
	_exit(1);
}

static int cast_parts(struct show *s, unsigned int round)
{
	unsigned int i;
	int err;

	for (i = 0; i < s->devices.nr; i++) {
		s->addr[i] = s->devices.addr[(round + i) % s->devices.nr];
		err = unbind(s, i);
		if (err)
			return err;
	}
	return bind(s, QUEUE);
}

/*
 * The device with the fewest calls gets the next one, of several that which was bound first:
 * so the file goes to FLIGHT.
 */
static int start_round(struct show *s, const struct way *way, unsigned int round)
{
	unsigned int i;
	int err;

	err = cast_parts(s, round);
	if (!err && way->owners_die) {
		s->owners[1] = start_owner(s, false);
		s->owners[0] = start_owner(s, true);
		if (s->owners[0] < 0 || s->owners[1] < 0)
			return -EAGAIN;
		err = wait_until(pending(s, QUEUE) == CALLS, SOON_MS) ? 0 : -ETIMEDOUT;
	} else if (!err) {
		err = start_calls(s, round);
	}
	for (i = FLIGHT; i < s->devices.nr && !err; i++)
		err = bind(s, i);
	if (!err)
		err = start_copy(s);
	/* a transfer takes a tenth of a second: let the blow fall anywhere in it */
	sleep_ms(rand() % 100);
	return err;
}

/* All devices at once, for each of them somebody else. */
static int strike(struct show *s, const struct way *way)
{
	pid_t pids[EDU_MAX];
	int status, err = 0;
	unsigned int i;

	if (way->strike_all)
		err = way->strike_all(s);
	if (!way->strike)
		return err;
	for (i = 0; i < s->devices.nr; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(-way->strike(s, i));
	}
	for (i = 0; i < s->devices.nr; i++) {
		if (wait_exit(pids[i], 3 * SOON_MS, &status))
			err = -ETIMEDOUT;
		else if (status)
			err = -EIO;
	}
	return err;
}

static int restore(struct show *s, const struct way *way)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < s->devices.nr && way->restore && !err; i++)
		if (!edu_driven_by(s->addr[i], EDU_DRIVER))
			err = way->restore(s, i);
	for (i = 0; i < s->devices.nr && !err; i++)
		if (!wait_until(edu_driven_by(s->addr[i], EDU_DRIVER), 2 * SOON_MS))
			err = -ENODEV;
	return err;
}

/* One strike with nothing under way: how long does it take here? */
static int rehearse(struct show *s, const struct way *way, unsigned int *ms)
{
	__u64 start = now_ns();
	unsigned int i;
	int err;

	for (i = 0; i < s->devices.nr; i++)
		s->addr[i] = s->devices.addr[i];
	err = strike(s, way);
	*ms = (now_ns() - start) / MS;
	return err ?: restore(s, way);
}

static bool file_arrived(void)
{
	return !shell("cmp -s " IN " " OUT);
}

/* The file is there, whole, if nurseryctl says so, else it is not. */
static void expect_honest_copy(struct __test_metadata *_metadata, struct show *s,
			       const struct way *way)
{
	int status;

	ASSERT_EQ(0, wait_exit(s->copy, SOON_MS, &status))
		TH_LOG("nurseryctl hangs");
	if (access(OUT, F_OK)) {
		EXPECT_NE(0, status);
		EXPECT_FALSE(way->harmless);
	} else {
		EXPECT_TRUE(file_arrived());
		/* killed once it had put it in its place */
		EXPECT_TRUE(!status || way->owners_die);
		unlink(OUT);
	}
}

/* What worked has arrived; of what did not nothing has. */
static void expect_honest_records(struct __test_metadata *_metadata, struct show *s,
				  const struct way *way)
{
	static const char nothing[EDU_CHUNK];
	struct nursery_record r[CALLS];
	const char *src, *dst;
	unsigned int i;

	ASSERT_EQ(CALLS, read_records(s->fd, r, CALLS, SOON_MS));
	for (i = 0; i < CALLS; i++) {
		src = s->map + r[i].cookie * EDU_CHUNK;
		dst = src + CALLS * EDU_CHUNK;
		if (!r[i].result) {
			EXPECT_EQ(0, memcmp(src, dst, EDU_CHUNK));
			continue;
		}
		EXPECT_FALSE(way->harmless);
		EXPECT_TRUE(r[i].result == -ENODEV || r[i].result == -ECANCELED ||
			    (way->abandons && r[i].result == -ETIMEDOUT))
			TH_LOG("a record says %d", r[i].result);
		EXPECT_EQ(0, memcmp(nothing, dst, EDU_CHUNK));
	}
	munmap(s->map, 2 * CALLS * EDU_CHUNK);
	close(s->fd);
}

/* They have to be gone, and their calls with them. */
static void expect_dead_owners(struct __test_metadata *_metadata, struct show *s)
{
	unsigned int i;
	int status;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, wait_exit(s->owners[i], SOON_MS, &status));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
}

FIXTURE(come_and_go) {
	struct show show;
	bool report;
};

FIXTURE_VARIANT(come_and_go) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(come_and_go, unbind) { .way = &way_unbind };
FIXTURE_VARIANT_ADD(come_and_go, unload) { .way = &way_unload };
FIXTURE_VARIANT_ADD(come_and_go, remove) { .way = &way_remove };
FIXTURE_VARIANT_ADD(come_and_go, surprise) { .way = &way_surprise };
FIXTURE_VARIANT_ADD(come_and_go, unplug) { .way = &way_unplug };
FIXTURE_VARIANT_ADD(come_and_go, reset) { .way = &way_reset };
FIXTURE_VARIANT_ADD(come_and_go, suspend) { .way = &way_suspend };
FIXTURE_VARIANT_ADD(come_and_go, sigkill) { .way = &way_sigkill };

/* In 6.1 the order of pciehp's own locks, reset_lock and pci_rescan_remove_lock, is wrong. */
static bool expect_report(struct show *s, const struct way *way)
{
	if (way->possible != has_slots || !has_slots(s) || access(LOCKDEP, F_OK))
		return false;
	kmsg_say("nursery-vm: expect possible circular locking dependency detected");
	return true;
}

FIXTURE_SETUP(come_and_go)
{
	const char *rounds = getenv("ROUNDS");
	struct show *s = &self->show;
	char data[FILE_SIZE];
	unsigned int i;
	int fd;

	s->rounds = rounds ? atoi(rounds) : DEFAULT_ROUNDS;
	s->watch = open_nursery(0);
	ASSERT_LE(0, s->watch);
	s->qmp = qmp_open();
	ASSERT_EQ(0, edu_start(&s->devices));
	for (i = 0; i < s->devices.nr; i++)
		s->slots[i] = slot_of(s->devices.addr[i]);
	ASSERT_EQ(0, take_census(&s->before));
	EXPECT_EQ(0, s->before.children);

	edu_fill(data, sizeof(data), 5);
	fd = open(IN, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(data), write(fd, data, sizeof(data)));
	close(fd);
}

FIXTURE_TEARDOWN(come_and_go)
{
	struct show *s = &self->show;

	if (self->report)
		kmsg_say("nursery-vm: expected");
	if (s->qmp >= 0)
		close(s->qmp);
	if (s->devices.nr) {
		EXPECT_EQ(0, edu_copies(2 * s->devices.nr, 3, SOON_MS));
		EXPECT_EQ(0, wait_for_census(&s->before, SOON_MS));
	}
	close(s->watch);
	unlink(IN);
	unlink(OUT);
}

TEST_F_TIMEOUT(come_and_go, rounds, HOUR)
{
	unsigned int round, counted = 0, ms = 0, longest = 0, idle = 0;
	const struct way *way = variant->way;
	const char *wanted = getenv("WAY");
	struct show *s = &self->show;
	bool counts;
	__u64 start;

	if (wanted && !strstr(wanted, way->name))
		SKIP(return, "not asked for");
	if (s->devices.nr < PARTS)
		SKIP(return, "too few edu devices");
	if (way->possible && !way->possible(s))
		SKIP(return, "not in this machine");
	self->report = expect_report(s, way);
	if (!way->owners_die)	/* or there is nobody to strike */
		ASSERT_EQ(0, rehearse(s, way, &idle));
	for (round = 0; counted < s->rounds; round++) {
		ASSERT_GT(2 * s->rounds + 20, round)
			TH_LOG("only %u rounds were as they should be", counted);
		ASSERT_EQ(0, start_round(s, way, round));
		counts = all_play_their_parts(s);
		counted += counts;
		start = now_ns();
		ASSERT_EQ(0, strike(s, way));
		if (way->harmless)	/* the calls take the time that they take */
			ms = (now_ns() - start) / MS;
		expect_honest_copy(_metadata, s, way);
		if (way->owners_die)
			expect_dead_owners(_metadata, s);
		else
			expect_honest_records(_metadata, s, way);
		if (!way->harmless)
			ms = (now_ns() - start) / MS;
		longest = ms > longest ? ms : longest;
		EXPECT_GT(idle + limit_ms(), ms);
		ASSERT_EQ(0, restore(s, way));
		ASSERT_EQ(0, wait_for_census(&s->before, SOON_MS));
		if (_metadata->passed == 0)
			break;
	}
	printf("# %s: %u rounds, %u with all parts played; the longest took %u ms (idle: %u ms)\n",
	       way->name, round, counted, longest, idle);
	fflush(stdout);
}

TEST_HARNESS_MAIN
