// SPDX-License-Identifier: GPL-2.0-only
/*
 * Service: something that runs beside the work, from before its begin to after its end.
 *
 * The device is simulated: it may transfer only while somebody keeps it alive, by
 * kicking it every few hundred microseconds. What there is to learn:
 *
 * - nursery_start() returns when the service says that it is ready, or fails with the
 *   service's error. So no transfer meets a device that nobody kicks yet, and there is
 *   no flag to wait for by hand.
 * - nursery_child_set_service() makes a child one that is cancelled when all ordinary
 *   children are done, and not before. The scope ends without being told to: a loop that
 *   has no end would otherwise keep it open.
 * - Also when a transfer fails and all others are cancelled, the device is kicked until
 *   the last of them has really stopped.
 * - The period is nursery_sleep(), which ends with the cancel.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/nursery.h>

#define NR_TRANSFERS	4
#define PERIOD		(200 * NSEC_PER_USEC)

struct device_state {
	struct nursery_child	kicker;
	bool			alive;		/* somebody kicks it */
	unsigned int		kicks;
};

struct transfer {
	struct nursery_child	child;
	struct device_state	*dev;
	int			ret;		/* what it is to end with */
	bool			begun, was_alive;	/* the device, until its end */
};

/* The service: get the device up, say so, and keep it up until nobody needs it. */
static int kick(struct nursery_child *c)
{
	struct device_state *dev = container_of(c, struct device_state, kicker);
	int err = nursery_sleep(c, NSEC_PER_MSEC);	/* it is slow to start */

	if (err)
		return err;
	WRITE_ONCE(dev->alive, true);
	nursery_child_ready(c);
	do {
		dev->kicks++;
	} while (!nursery_sleep(c, PERIOD));
	WRITE_ONCE(dev->alive, false);
	return -ECANCELED;	/* as asked, so it is no error */
}

static int transfer(struct nursery_child *c)
{
	struct transfer *t = container_of(c, struct transfer, child);

	t->begun = true;
	t->was_alive = READ_ONCE(t->dev->alive);
	if (t->ret)
		return t->ret;
	nursery_sleep(c, 2 * NSEC_PER_MSEC);
	t->was_alive &= READ_ONCE(t->dev->alive);
	return nursery_child_cancelled(c) ? -ECANCELED : 0;
}

/* @bad: a transfer that fails, or -1. Return: 0, or what is wrong. */
static int run(int bad, int expected)
{
	struct device_state dev = { };
	struct transfer t[NR_TRANSFERS];
	int i, started = 0, not_ready = 0, err;

	nursery_child_init(&dev.kicker, kick, NULL);
	nursery_child_set_service(&dev.kicker);
	scoped_nursery(n, .name = "device", .result = &err) {
		not_ready = nursery_start(n, &dev.kicker);
		if (not_ready)
			break;
		for (i = 0; i < NR_TRANSFERS; i++) {
			t[i] = (struct transfer){ .dev = &dev, .ret = i == bad ? -EIO : 0 };
			nursery_child_init(&t[i].child, transfer, NULL);
			if (nursery_spawn(n, &t[i].child))
				break;
			started++;
		}
	}
	if (not_ready)
		return not_ready;
	if (err != expected || dev.alive || !dev.kicks)
		return -EBADMSG;
	for (i = 0; i < started; i++)
		if (t[i].begun && !t[i].was_alive)
			return -EBADMSG;
	return 0;
}

static int __init service_init(void)
{
	int err = run(-1, 0) ?: run(1, -EIO);

	if (err)
		return err;
	pr_info("%d transfers while the device was kicked; so it was when one failed\n",
		NR_TRANSFERS);
	return 0;
}
module_init(service_init);

static void __exit service_exit(void)
{
}
module_exit(service_exit);

MODULE_DESCRIPTION("Sample: a periodic service, in a nursery");
MODULE_LICENSE("GPL");
