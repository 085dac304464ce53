// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus of the devices in this folder: the least that has bind and unbind in sysfs.
 *
 * Each driver brings its device, which has the driver's name and is on the bus for as
 * long as the driver is.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include "bug.h"

static struct bug_driver *driver_of(struct device *dev)
{
	return container_of(dev->driver, struct bug_driver, driver);
}

/* A bus without a match() offers each device to each driver. */
static int bug_probe(struct device *dev)
{
	if (strcmp(dev_name(dev), dev->driver->name))
		return -ENODEV;
	return driver_of(dev)->probe(dev);
}

static void bug_remove(struct device *dev)
{
	driver_of(dev)->remove(dev);
}

static struct bus_type bug_bus = {
	.name	= "nursery-bugs",
	.probe	= bug_probe,
	.remove	= bug_remove,
};

static void release_device(struct device *dev)
{
	kfree(dev);
}

static struct device *create_device(const char *name)
{
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	device_initialize(dev);
	dev->bus = &bug_bus;
	dev->release = release_device;
	err = dev_set_name(dev, "%s", name) ?: device_add(dev);
	if (err) {
		put_device(dev);
		return ERR_PTR(err);
	}
	return dev;
}

/**
 * bug_driver_register - put a driver and its device on the bus, and bind them
 * @bug: the driver
 *
 * Context: Process context, may sleep.
 * Return: 0, or an errno of the driver core. That of probe() is not among them.
 */
int bug_driver_register(struct bug_driver *bug)
{
	int err;

	bug->dev = create_device(bug->driver.name);
	if (IS_ERR(bug->dev))
		return PTR_ERR(bug->dev);
	bug->driver.bus = &bug_bus;
	err = driver_register(&bug->driver);
	if (err)
		device_unregister(bug->dev);
	return err;
}
EXPORT_SYMBOL_GPL(bug_driver_register);

/**
 * bug_driver_unregister - take both away again
 * @bug: the driver, unbound if it is bound
 *
 * Context: Process context, may sleep.
 */
void bug_driver_unregister(struct bug_driver *bug)
{
	driver_unregister(&bug->driver);
	device_unregister(bug->dev);
}
EXPORT_SYMBOL_GPL(bug_driver_unregister);

static int __init bug_bus_start(void)
{
	return bus_register(&bug_bus);
}

static void __exit bug_bus_stop(void)
{
	bus_unregister(&bug_bus);
}

module_init(bug_bus_start);
module_exit(bug_bus_stop);
MODULE_DESCRIPTION("A bus for drivers with bugs");
MODULE_LICENSE("GPL");
