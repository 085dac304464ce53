// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe that fails half-way, at each step: the driver lets go of all that it had
 * acquired, the nursery of the device among it, and the next probe succeeds. Meanwhile
 * the other devices copy, with transfers in flight and calls that wait, and notice nothing.
 *
 * The driver is nursery_edu_steps, which is the sample but for the failures. ROUNDS says how
 * often each step fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../kselftest_harness.h"
#include "edu_util.h"

#define DEFAULT_ROUNDS	2
#define HOUR		3600	/* the harness has to know */
#define LIMIT_MS	5000

#define DRIVER		"nursery_edu_steps"
#define PARAMETERS	"/sys/module/" DRIVER "/parameters/"

FIXTURE(probe) {
	struct edu_devices devices;
	struct census before;
	const char *addr;	/* of the device whose probe fails */
	unsigned int rounds;
	bool there;		/* the driver is */
	pid_t others;		/* who copies through the other devices */
	int go_on[2];		/* until it is closed */
};

/* There is always more than the devices can do at once. */
static void copy_for_long(int go_on, unsigned int devices)
{
	char c;
	int err;

	fcntl(go_on, F_SETFL, O_NONBLOCK);
	do {
		err = edu_copies(2 * devices, 4, 3 * SOON_MS);
	} while (!err && read(go_on, &c, 1) < 0);
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
	self->there = !shell("modprobe " DRIVER " 2>/dev/null");
}

FIXTURE_TEARDOWN(probe)
{
	if (!self->there)
		return;
	EXPECT_EQ(0, shell("rmmod " DRIVER));
	EXPECT_EQ(0, edu_bind(self->addr, EDU_DRIVER));
	EXPECT_EQ(0, edu_copies(2 * self->devices.nr, 6, SOON_MS));
	EXPECT_EQ(0, wait_for_census(&self->before, LIMIT_MS));
}

static unsigned int steps(void)
{
	FILE *f = fopen(PARAMETERS "steps", "r");
	unsigned int steps = 0;

	if (f) {
		if (fscanf(f, "%u", &steps) != 1)
			steps = 0;
		fclose(f);
	}
	return steps;
}

static int fail_at(unsigned int step)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", step);
	return write_file(PARAMETERS "fail_at", text, SOON_MS);
}

TEST_F_TIMEOUT(probe, fails_at_each_step, HOUR)
{
	unsigned int nr_steps, step, round;
	__u64 start, took, longest = 0;
	int status;

	if (self->devices.nr < 2)
		SKIP(return, "too few edu devices");
	if (!self->there)
		SKIP(return, "there is no module " DRIVER);
	/* without a failure: how many steps there are, and that it works */
	ASSERT_EQ(0, edu_unbind(self->addr, EDU_DRIVER));
	ASSERT_EQ(0, edu_bind(self->addr, DRIVER));
	nr_steps = steps();
	EXPECT_LT(5, nr_steps);
	ASSERT_EQ(0, edu_copies(2 * self->devices.nr, 2, SOON_MS));
	ASSERT_EQ(0, edu_unbind(self->addr, DRIVER));

	ASSERT_EQ(0, pipe(self->go_on));
	self->others = fork();
	if (!self->others) {
		close(self->go_on[1]);
		copy_for_long(self->go_on[0], self->devices.nr - 1);
	}
	ASSERT_LT(0, self->others);

	for (step = 1; step <= nr_steps; step++) {
		ASSERT_EQ(0, fail_at(step));
		for (round = 0; round < self->rounds; round++) {
			start = now_ns();
			EXPECT_NE(0, edu_bind(self->addr, DRIVER));
			took = now_ns() - start;
			longest = took > longest ? took : longest;
			EXPECT_FALSE(edu_driven_by(self->addr, DRIVER))
				TH_LOG("step %u may fail", step);
			EXPECT_LE(step, steps());
		}
	}
	EXPECT_GT(LIMIT_MS * MS, longest);
	close(self->go_on[1]);
	ASSERT_EQ(0, wait_exit(self->others, 3 * SOON_MS, &status));
	EXPECT_EQ(0, status);
	/* nothing is held on to: all of it works again */
	ASSERT_EQ(0, fail_at(0));
	ASSERT_EQ(0, edu_bind(self->addr, DRIVER));
	EXPECT_EQ(0, edu_copies(2 * self->devices.nr, 8, SOON_MS));
	ASSERT_EQ(0, edu_unbind(self->addr, DRIVER));
	printf("# probe: %u steps, %u rounds each; the longest took %llu ms\n",
	       nr_steps, self->rounds, longest / MS);
	fflush(stdout);
}

TEST_HARNESS_MAIN
