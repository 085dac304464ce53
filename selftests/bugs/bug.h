/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all of these drivers share: a device to bind to, and the window.
 *
 * In a pair of drivers the one half has a bug as it was found upstream, written anew
 * for a device that is not there; the other is the same driver on a nursery. What they
 * have in common is written the same way and stands in the same place: see
 * diff -y rN_raw.c rN_nursery.c.
 */
#ifndef _NURSERY_BUG_H
#define _NURSERY_BUG_H

#include <linux/delay.h>
#include <linux/device.h>
#include <linux/module.h>

/**
 * struct bug_driver - a driver, and the only device that it drives
 * @driver: its name is also the device's; the bus is filled in
 * @probe: as of any driver
 * @remove: the same
 */
struct bug_driver {
	struct device_driver	driver;
	int			(*probe)(struct device *dev);
	void			(*remove)(struct device *dev);
	/* private: */
	struct device		*dev;
};

int bug_driver_register(struct bug_driver *bug);
void bug_driver_unregister(struct bug_driver *bug);

#define module_bug_driver(bug)	\
	module_driver(bug, bug_driver_register, bug_driver_unregister)

/*
 * The window: here the code upstream had something to do, or was interrupted, or lost its
 * processor. It lasts for long, so that what can happen in it does.
 */
#define BUG_WINDOW_MS	40

static inline void bug_window(void)
{
	msleep(BUG_WINDOW_MS);
}

#endif /* _NURSERY_BUG_H */
