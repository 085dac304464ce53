// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control: without it the DMA tests prove nothing. A driver that frees
 * its buffer under a transfer is seen by the IOMMU, which says so in the kernel's
 * log; the same driver with the same transfer, when it waits, is not. The device
 * then goes back to the sample driver and works.
 */
#include <fcntl.h>
#include "../kselftest_harness.h"
#include "edu_util.h"

#define WRONG	"nursery_wrong_edu"
#define EARLY	"/sys/module/" WRONG "/parameters/early"

FIXTURE(dma_fault) {
	struct edu_devices devices;
	const char *addr;
	char regex[256];
	int kmsg;
};

/* PCI addresses in the log have no domain. */
static const char *without_domain(const char *addr)
{
	return strchr(addr, ':') + 1;
}

FIXTURE_SETUP(dma_fault)
{
	ASSERT_EQ(0, edu_start(&self->devices));
	if (!self->devices.nr)
		return;
	self->addr = self->devices.addr[self->devices.nr - 1];
	self->kmsg = kmsg_open();
	ASSERT_LE(0, self->kmsg);
	snprintf(self->regex, sizeof(self->regex), "DMAR: .*DMA Write.* device .%s. fault addr",
		 without_domain(self->addr));
	ASSERT_EQ(0, shell("modprobe " WRONG));
	ASSERT_EQ(0, edu_unbind(self->addr, EDU_DRIVER));
}

static int override_driver(const char *addr, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", addr);
	return write_file(path, driver, SOON_MS);
}

FIXTURE_TEARDOWN(dma_fault)
{
	if (!self->devices.nr)
		return;
	edu_unbind(self->addr, WRONG);
	EXPECT_EQ(0, override_driver(self->addr, "\n"));
	EXPECT_EQ(0, edu_bind(self->addr, EDU_DRIVER));
	EXPECT_EQ(0, shell("rmmod " WRONG));
	/* several for each device, the one that misbehaved among them */
	EXPECT_EQ(0, edu_copies(2 * self->devices.nr, 1, SOON_MS));
	close(self->kmsg);
}

/* Have the wrong driver do its transfer; it is over when this returns. */
static int transfer(FIXTURE_DATA(dma_fault) *self, const char *early)
{
	int err = write_file(EARLY, early, SOON_MS);

	if (!err)
		err = override_driver(self->addr, WRONG);
	if (!err)
		err = edu_bind(self->addr, WRONG);
	return err;
}

TEST_F(dma_fault, not_after_the_transfer)
{
	if (!self->devices.nr)
		SKIP(return, "no edu device");
	ASSERT_EQ(0, transfer(self, "N"));
	EXPECT_TRUE(edu_driven_by(self->addr, WRONG));
	EXPECT_FALSE(kmsg_find(self->kmsg, "DMAR: .*(DMA|fault)", 500));
}

TEST_F(dma_fault, under_a_live_transfer)
{
	bool seen;
	int err;

	if (!self->devices.nr)
		SKIP(return, "no edu device");
	/* two lines: that there is one, and which */
	kmsg_say("nursery-vm: expect DMAR: DRHD: handling fault status|%s", self->regex);
	err = transfer(self, "Y");
	seen = kmsg_find(self->kmsg, self->regex, SOON_MS);
	kmsg_say("nursery-vm: expected");
	ASSERT_EQ(0, err);
	EXPECT_TRUE(seen)
		TH_LOG("the IOMMU let a transfer write to freed memory");
}

TEST_HARNESS_MAIN
