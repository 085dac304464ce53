// SPDX-License-Identifier: GPL-2.0-only
/*
 * A nursery that ends with its driver's hold on a device.
 *
 * It takes its place among what the driver has acquired with devm functions, all of which
 * is released in reverse order when the driver is unbound, or its probe fails. So what was
 * acquired before, such as registers and interrupts, is there until the last child has
 * finished; what was acquired later has gone before, and the children must not need it.
 */
#include <linux/device.h>
#include <linux/export.h>

#include "internal.h"

static void driver_leaves(void *data)
{
	struct nursery *n = data;

	nursery_cancel_by(n, -ENODEV, (unsigned long)__devm_nursery_init);
	nursery_join(n);
	/* The join was refused. The memory goes next, and nobody here can help that. */
	WARN_ONCE(!(atomic64_read(&n->state) & NURSERY_JOINED),
		  "nursery: \"%s\" is to end with its driver, by a child of its own\n", n->name);
}

/**
 * __devm_nursery_init - open a scope that ends with a driver; use devm_nursery_init()
 * @dev: the device
 * @n: the nursery
 * @params: how it is to behave; NULL for all defaults
 * @key: lock class of this kind of nursery
 * @key_name: its name
 *
 * Context: Process context, may sleep.
 * Return: as devm_nursery_init().
 */
int __devm_nursery_init(struct device *dev, struct nursery *n,
			const struct nursery_params *params, struct lock_class_key *key,
			const char *key_name)
{
	__nursery_init(n, params, key, key_name);
	return devm_add_action_or_reset(dev, driver_leaves, n);
}
EXPORT_SYMBOL_GPL(__devm_nursery_init);
