// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sample driver for edu devices, with a probe that fails at a step: at the fail_at-th
 * of the functions that it calls and that can fail. Nothing else of it differs. It is a
 * driver of its own, nursery_edu_steps, so the sample may be there, too.
 *
 * Inside those functions memory may run out at many more places; that is for the tests of
 * those functions, and the kernel's own do not all survive it.
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_op.h>
#include <linux/pci.h>

static unsigned int fail_at;
module_param(fail_at, uint, 0644);
MODULE_PARM_DESC(fail_at, "the step at which probe fails, from 1; 0: it does not");

static unsigned int steps;
module_param(steps, uint, 0444);
MODULE_PARM_DESC(steps, "how many steps the last probe made");

static struct lock_class_key key;

static bool fails_here(void)
{
	return ++steps == fail_at;
}

static bool fails_first(void)
{
	steps = 0;
	return fails_here();
}

#define devm_kzalloc(dev, size, gfp)						\
	(fails_first() ? NULL : (devm_kzalloc)(dev, size, gfp))
#define devm_kasprintf(...)							\
	(fails_here() ? NULL : (devm_kasprintf)(__VA_ARGS__))
#define pcim_enable_device(pdev)						\
	(fails_here() ? -EIO : (pcim_enable_device)(pdev))
#define pcim_iomap_regions(...)							\
	(fails_here() ? -EBUSY : (pcim_iomap_regions)(__VA_ARGS__))
#define dma_set_mask_and_coherent(dev, mask)					\
	(fails_here() ? -EIO : (dma_set_mask_and_coherent)(dev, mask))
#define pci_alloc_irq_vectors(...)						\
	(fails_here() ? -ENOSPC : (pci_alloc_irq_vectors)(__VA_ARGS__))
#define devm_request_irq(...)							\
	(fails_here() ? -EBUSY : (devm_request_irq)(__VA_ARGS__))
#define nursery_register_op(n, op)						\
	(fails_here() ? -ENOMEM : (nursery_register_op)(n, op))

#undef devm_nursery_init
#define devm_nursery_init(dev, n, params)					\
	(fails_here() ? -ENOMEM : __devm_nursery_init(dev, n, params, &key, "nursery:edu"))

#include "nursery_edu.c"
