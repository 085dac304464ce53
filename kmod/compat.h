/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernel versions, 6.1 to 7.3, and nothing else. The code
 * reads as the newest kernel; this file makes it true on older ones.
 */
#ifndef _NURSERY_COMPAT_H
#define _NURSERY_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}

static inline void hrtimer_setup_on_stack(struct hrtimer *timer,
					  enum hrtimer_restart (*function)(struct hrtimer *),
					  clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init_on_stack(timer, clock, mode);
	timer->function = function;
}
#endif

/* Up to then the worker's thread is started where it is created. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define kthread_run_worker kthread_create_worker
#endif

/* The name of a namespace is a string from then on. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define NURSERY_IMPORT_NS(ns) MODULE_IMPORT_NS(ns)
#else
#define NURSERY_IMPORT_NS(ns) MODULE_IMPORT_NS(#ns)
#endif

/* An enumerator where it exists, and the default where it does not. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define WQ_PERCPU 0
#endif

#endif /* _NURSERY_COMPAT_H */
