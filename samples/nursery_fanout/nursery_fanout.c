// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fan out: start one child for each thing to do, and wait for all of them.
 *
 * The device is simulated: an instrument with eight channels, each of which takes a
 * while to convert. Read one after the other they take eight times as long, so each is
 * read by a child of its own. What there is to learn:
 *
 * - The child is embedded in what it works on, and finds it with container_of(). Here
 *   that is the stack of the caller. It may be, as nobody is left when the scope is.
 * - The bus takes four transfers at a time: that is max_active, and no lock, no
 *   semaphore and no queue of ours.
 * - The first channel that fails cancels the others, and its error is the scope's. If
 *   all of it takes too long, that is -ETIMEDOUT. The caller looks at one result.
 * - Results come in the order of the array, in whatever order the channels were ready.
 *
 * To see a failure, load it with bad_channel=3: the module then does not load.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/nursery.h>

#define NR_CHANNELS	8
#define BUS_LIMIT	4

static int bad_channel = -1;
module_param(bad_channel, int, 0444);
MODULE_PARM_DESC(bad_channel, "a channel that fails to convert");

struct channel {
	struct nursery_child	child;
	unsigned int		index;
	u32			value;
};

/* The device: later channels are faster, and convert to the square of their number. */
static int convert(struct nursery_child *c, struct channel *ch)
{
	int err = nursery_sleep(c, (NR_CHANNELS - ch->index) * NSEC_PER_MSEC);

	if (err)
		return err;	/* -ECANCELED: we were asked to stop, and that is no error */
	if (ch->index == bad_channel)
		return -EIO;
	ch->value = ch->index * ch->index;
	return 0;
}

static int read_channel(struct nursery_child *c)
{
	return convert(c, container_of(c, struct channel, child));
}

static int read_all(struct channel *ch)
{
	int i, err = 0;

	scoped_nursery(n, .name = "channels", .max_active = BUS_LIMIT,
		       .timeout = 10 * NSEC_PER_SEC, .result = &err) {
		for (i = 0; i < NR_CHANNELS; i++) {
			ch[i] = (struct channel){ .index = i };
			nursery_child_init(&ch[i].child, read_channel, NULL);
			/* Refused if one has failed already: the join says why. */
			if (nursery_spawn(n, &ch[i].child))
				break;
		}
	}
	/* However the block was left, no child runs any more. */
	return err;
}

static int __init fanout_init(void)
{
	struct channel ch[NR_CHANNELS];
	u32 sum = 0;
	int i, err;

	err = read_all(ch);
	if (err)
		return err;
	for (i = 0; i < NR_CHANNELS; i++)
		sum += ch[i].value;
	if (sum != 140)
		return -EBADMSG;
	pr_info("%d channels read, %d at a time, sum %u\n", NR_CHANNELS, BUS_LIMIT, sum);
	return 0;
}
module_init(fanout_init);

static void __exit fanout_exit(void)
{
}
module_exit(fanout_exit);

MODULE_DESCRIPTION("Sample: many things at once, in a nursery");
MODULE_LICENSE("GPL");
