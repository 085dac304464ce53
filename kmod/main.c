// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading: the parts, in the order in which they need each other. */
#include <linux/init.h>
#include <linux/module.h>

#include "internal.h"

static int __init nursery_module_init(void)
{
	int err;

	nursery_quarantine_start();
	nursery_timer_start();
	err = nursery_threads_start();
	if (err)
		goto stop_quarantine;
	err = nursery_executor_start();
	if (err)
		goto stop_threads;
	err = nursery_join_async_start();
	if (err)
		goto stop_executor;
	err = nursery_core_ops_start();
	if (err)
		goto stop_join_async;
	err = nursery_dev_start();
	if (err)
		goto stop_core_ops;
	return 0;

stop_core_ops:
	nursery_core_ops_stop();
stop_join_async:
	nursery_join_async_stop();
stop_executor:
	nursery_executor_stop();
stop_threads:
	nursery_threads_stop();
stop_quarantine:
	nursery_quarantine_stop();
	return err;
}

static void __exit nursery_module_exit(void)
{
	nursery_dev_stop();
	nursery_core_ops_stop();
	nursery_join_async_stop();
	nursery_executor_stop();
	nursery_threads_stop();
	nursery_timer_stop();
	nursery_quarantine_stop();
}

module_init(nursery_module_init);
module_exit(nursery_module_exit);
MODULE_DESCRIPTION("Structured concurrency for drivers");
MODULE_LICENSE("GPL");
