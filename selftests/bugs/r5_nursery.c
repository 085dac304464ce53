// SPDX-License-Identifier: GPL-2.0-only
/*
 * R5 on a nursery: see r5_raw.c for the story.
 *
 * There is nothing to do in remove(). The nursery is cancelled, after which no transfer is
 * begun, and joined: then the buffer is released, and after it what probe() has set up before.
 */
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_dma.h>
#include "edu.h"

struct foo {
	void __iomem		*regs;
	struct nursery		nursery;
	struct nursery_child	transfer;
	struct nursery_dma	*buf;
};

static irqreturn_t foo_interrupt(int irq, void *data)
{
	struct foo *foo = data;

	if (!edu_interrupted(foo->regs))
		return IRQ_NONE;
	nursery_child_complete(&foo->transfer, 0);
	if (!nursery_child_begin(&foo->nursery, &foo->transfer))
		edu_start_to_ram(foo->regs, foo->buf->addr);
	return IRQ_HANDLED;
}

static int foo_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct foo *foo = devm_kzalloc(&pdev->dev, sizeof(*foo), GFP_KERNEL);
	int err;

	if (!foo)
		return -ENOMEM;
	foo->regs = edu_setup(pdev, foo_interrupt, foo);
	if (IS_ERR(foo->regs))
		return PTR_ERR(foo->regs);
	err = devm_nursery_init(&pdev->dev, &foo->nursery, NULL);
	if (err)
		return err;
	nursery_child_init(&foo->transfer, NULL, NULL);
	foo->buf = nursery_dma_alloc(&foo->nursery, &pdev->dev, EDU_SIZE, GFP_KERNEL);
	if (IS_ERR(foo->buf))
		return PTR_ERR(foo->buf);
	nursery_child_begin(&foo->nursery, &foo->transfer);
	edu_start_to_ram(foo->regs, foo->buf->addr);
	return 0;
}

/* No table of ids: a device has to be given to it by driver_override. */
static struct pci_driver foo_driver = {
	.name	= KBUILD_MODNAME,
	.probe	= foo_probe,
};
module_pci_driver(foo_driver);

MODULE_DESCRIPTION("R5, on a nursery");
MODULE_LICENSE("GPL");
