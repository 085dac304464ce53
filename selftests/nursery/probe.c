// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe that fails half-way, at each step: the driver lets go of all that it had
 * acquired, the nursery of the device among it, and the next probe succeeds. Meanwhile
 * the other devices copy, with transfers in flight and calls that wait, and notice nothing.
 *
 * A kernel with fault injection has allocations fail, one after the other, inside the
 * functions that the probe calls, too; in another with kprobes, nursery_fail_step has
 * those functions themselves fail. ROUNDS says how often each.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "edu_util.h"

#define DEFAULT_ROUNDS	2
#define HOUR		3600
#define MOST		1000	/* allocations in a probe */

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define FAIL_STEP	"nursery_fail_step"
#define FAILURES	"/sys/module/" FAIL_STEP "/parameters/failures"

/* The functions that the sample's probe calls, and what each says when it fails. */
static const struct step {
	const char *function, *formerly;
	int value;
} steps[] = {
	{ "devm_kmalloc", NULL, 0 },
	{ "devm_kasprintf", NULL, 0 },
	{ "pcim_enable_device", NULL, -EIO },
	{ "pcim_iomap_regions", NULL, -EBUSY },
	{ "dma_set_mask", NULL, -EIO },
	{ "pci_alloc_irq_vectors_affinity", NULL, -ENOSPC },
	{ "devm_request_threaded_irq", NULL, -EBUSY },
	{ "__devm_add_action", "devm_add_action", -ENOMEM },
	{ "nursery_register_op", NULL, -ENOMEM },
};

FIXTURE(probe) {
	struct edu_devices devices;
	struct census before;
	const char *addr;	/* of the device whose probe fails */
	unsigned int rounds;
	pid_t others;		/* who copies through the other devices */
	int stop[2];		/* closed when he may end */
};

/* Until the pipe is closed: there is always more than the devices can do at once. */
static void copy_until_told(int pipe, unsigned int devices)
{
	char c;
	int err;

	fcntl(pipe, F_SETFL, O_NONBLOCK);
	do {
		err = edu_copies(2 * devices, 4, 3 * SOON_MS);
	} while (!err && read(pipe, &c, 1) < 0);
	_exit(-err);
}

FIXTURE_SETUP(probe)
{
	const char *rounds = getenv("ROUNDS");

	self->rounds = rounds ? atoi(rounds) : DEFAULT_ROUNDS;
	ASSERT_EQ(0, edu_start(&self->devices));
	if (self->devices.nr < 2)
		return;
	self->addr = self->devices.addr[0];
	ASSERT_EQ(0, take_census(&self->before));
	ASSERT_EQ(0, edu_unbind(self->addr, EDU_DRIVER));
	ASSERT_EQ(0, pipe2(self->stop, O_CLOEXEC));
	self->others = fork();
	if (!self->others) {
		close(self->stop[1]);
		copy_until_told(self->stop[0], self->devices.nr - 1);
	}
	ASSERT_LT(0, self->others);
}

FIXTURE_TEARDOWN(probe)
{
	int status;

	if (self->devices.nr < 2)
		return;
	close(self->stop[1]);
	EXPECT_EQ(0, wait_exit(self->others, 3 * SOON_MS, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, edu_bind(self->addr, EDU_DRIVER));
	EXPECT_EQ(0, edu_copies(2 * self->devices.nr, 6, SOON_MS));
	EXPECT_EQ(0, wait_for_census(&self->before, SOON_MS));
}

static int read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	int number = -1;

	if (f) {
		if (fscanf(f, "%d", &number) != 1)
			number = -1;
		fclose(f);
	}
	return number;
}

static int load_step(const struct step *step)
{
	int status = shell("modprobe " FAIL_STEP " function=%s value=%d 2>/dev/null",
			   step->function, step->value);

	if (status && step->formerly)
		status = shell("modprobe " FAIL_STEP " function=%s value=%d",
			       step->formerly, step->value);
	return status;
}

TEST_F_TIMEOUT(probe, fails_at_each_call, HOUR)
{
	unsigned int i, round;
	__u64 start, took, longest = 0;

	if (self->devices.nr < 2)
		SKIP(return, "too few edu devices");
	if (shell("modprobe " FAIL_STEP " 2>/dev/null && rmmod " FAIL_STEP))
		SKIP(return, "there is no module " FAIL_STEP ", or no kprobes");
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		ASSERT_EQ(0, load_step(&steps[i]))
			TH_LOG("%s", steps[i].function);
		for (round = 0; round < self->rounds; round++) {
			start = now_ns();
			EXPECT_NE(0, edu_bind(self->addr, EDU_DRIVER))
				TH_LOG("%s may fail", steps[i].function);
			took = now_ns() - start;
			longest = took > longest ? took : longest;
			EXPECT_FALSE(edu_driven_by(self->addr, EDU_DRIVER));
		}
		EXPECT_EQ((int)self->rounds, read_number(FAILURES))
			TH_LOG("%s", steps[i].function);
		EXPECT_EQ(0, shell("rmmod " FAIL_STEP));
		/* nothing is held on to: the whole of it works */
		EXPECT_EQ(0, edu_bind(self->addr, EDU_DRIVER));
		EXPECT_EQ(0, edu_unbind(self->addr, EDU_DRIVER));
	}
	printf("# probe: %zu steps, %u rounds each; the longest took %llu ms\n",
	       ARRAY_SIZE(steps), self->rounds, longest / MS);
	fflush(stdout);
}

/* By this thread, whose @nth allocation fails; @through: it made fewer. */
static int bind_with_failure(int fail_nth, int bind, const char *addr, unsigned int nth,
			     bool *through)
{
	char text[16];
	int err;

	snprintf(text, sizeof(text), "%u", nth);
	if (pwrite(fail_nth, text, strlen(text), 0) < 0)
		return -errno;
	err = write(bind, addr, strlen(addr)) < 0 ? -errno : 0;
	memset(text, 0, sizeof(text));
	*through = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 && atoi(text);
	pwrite(fail_nth, "0", 1, 0);
	return err;
}

TEST_F_TIMEOUT(probe, fails_at_each_allocation, HOUR)
{
	int fail_nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC), bind;
	unsigned int nth = 1, round, failed = 0;
	bool through;
	int err;

	if (self->devices.nr < 2)
		SKIP(return, "too few edu devices");
	if (fail_nth < 0)
		SKIP(return, "this kernel has no fault injection");
	ASSERT_EQ(0, write_file(FAILSLAB "ignore-gfp-wait", "N", SOON_MS));
	ASSERT_EQ(0, write_file(FAILSLAB "verbose", "0", SOON_MS));
	bind = open("/sys/bus/pci/drivers/" EDU_DRIVER "/bind", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, bind);
	for (round = 0; round < self->rounds; round++) {
		through = false;
		for (nth = 1; !through; nth++) {
			ASSERT_GT(MOST, nth);
			err = bind_with_failure(fail_nth, bind, self->addr, nth, &through);
			/* Some it can do without. */
			EXPECT_EQ(!err, edu_driven_by(self->addr, EDU_DRIVER));
			failed += !!err;
			if (!err)
				EXPECT_EQ(0, edu_unbind(self->addr, EDU_DRIVER));
		}
		EXPECT_EQ(0, err);
	}
	EXPECT_LT(5 * self->rounds, failed);
	printf("# probe: %u rounds of %u allocations, %u failed probes\n", round, nth - 1, failed);
	fflush(stdout);
	close(bind);
	close(fail_nth);
}

TEST_HARNESS_MAIN
