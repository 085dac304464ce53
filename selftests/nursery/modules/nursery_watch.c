// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says whether edu devices have a transfer in flight when the system is shut down, for a
 * reboot, a power off or a kexec: "before" any device is, and "after" those that were
 * found later than this module was loaded, for devices are shut down in the reverse order of
 * that in which they came. So it can be seen what their driver's shutdown does.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/reboot.h>

#include "../../../samples/nursery_edu/nursery_edu.h"

static struct platform_device *watcher;

static void look_at(struct pci_dev *pdev, const char *when)
{
	void __iomem *regs = pci_iomap(pdev, 0, 0);
	u32 command;

	if (!regs)
		return;
	command = readl(regs + EDU_DMA_CMD);
	pr_info("nursery_watch: %s: %s: %s\n", when, pci_name(pdev),
		command & EDU_DMA_START ? "in flight" : "idle");
	pci_iounmap(pdev, regs);
}

static void look(const char *when)
{
	struct pci_dev *pdev = NULL;

	while ((pdev = pci_get_device(EDU_VENDOR_ID, EDU_DEVICE_ID, pdev)))
		look_at(pdev, when);
}

static int look_before(struct notifier_block *block, unsigned long event, void *data)
{
	look("before");
	return NOTIFY_DONE;
}

static struct notifier_block before = { .notifier_call = look_before };

static void look_after(struct platform_device *pdev)
{
	look("after");
}

static int watch_probe(struct platform_device *pdev)
{
	return 0;
}

static struct platform_driver watch_driver = {
	.driver.name	= KBUILD_MODNAME,
	.probe		= watch_probe,
	.shutdown	= look_after,
};

static int __init watch_init(void)
{
	int err;

	watcher = platform_device_register_simple(KBUILD_MODNAME, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(watcher))
		return PTR_ERR(watcher);
	err = platform_driver_register(&watch_driver);
	if (!err) {
		err = register_reboot_notifier(&before);
		if (!err)
			return 0;
		platform_driver_unregister(&watch_driver);
	}
	platform_device_unregister(watcher);
	return err;
}
module_init(watch_init);

static void __exit watch_exit(void)
{
	unregister_reboot_notifier(&before);
	platform_driver_unregister(&watch_driver);
	platform_device_unregister(watcher);
}
module_exit(watch_exit);

MODULE_DESCRIPTION("Test: what edu devices do before and after their driver's shutdown");
MODULE_LICENSE("GPL");
