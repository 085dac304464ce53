// SPDX-License-Identifier: GPL-2.0-only
/*
 * Race: ask in two ways, take the first answer, and leave nothing behind.
 *
 * The device is simulated. It answers over a mailbox, which is quick but sometimes
 * dead, and by polling, which is slow and always works. Nobody knows which it will
 * be, so the request goes out over both. What there is to learn:
 *
 * - nursery_race() returns the index of the first child that succeeded. A dead
 *   transport loses by failing; it does not stop the other.
 * - The loser is cancelled and then joined: when the race is over, nobody uses the
 *   buffer any more, which is the caller's stack. This is what one gets wrong by hand:
 *   to go on when the first answer is there is easy, to have stopped the other is not.
 * - If all fail, the race returns the first error, a negative number like any other.
 * - It needs no memory and no scope around it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/nursery.h>

enum transport { MAILBOX, POLLING, NR_TRANSPORTS };

struct request {
	struct nursery_child	child;
	ktime_t			latency;
	bool			dead;
	u32			*answer;	/* the caller's, until the race is over */
};

static atomic_t in_flight;

/* The device: it takes its time, and a dead transport finds out at once. */
static int ask(struct nursery_child *c)
{
	struct request *r = container_of(c, struct request, child);
	int err;

	if (r->dead)
		return -EIO;
	atomic_inc(&in_flight);
	err = nursery_sleep(c, r->latency);
	if (!err)
		*r->answer = 0xed;
	atomic_dec(&in_flight);
	return err;		/* -ECANCELED: the other one was quicker */
}

/* Return: which transport answered, or an errno. */
static int ask_both(bool mailbox_dead, bool polling_dead)
{
	u32 answer = 0;
	struct request r[NR_TRANSPORTS] = {
		[MAILBOX] = { .latency = NSEC_PER_MSEC, .dead = mailbox_dead },
		/* Would we wait for it although it lost, loading would take that long. */
		[POLLING] = { .latency = mailbox_dead ? 0 : 1000 * NSEC_PER_SEC,
			      .dead = polling_dead },
	};
	struct nursery_child *children[NR_TRANSPORTS];
	int i, winner;

	for (i = 0; i < NR_TRANSPORTS; i++) {
		r[i].answer = &answer;
		nursery_child_init(&r[i].child, ask, NULL);
		children[i] = &r[i].child;
	}
	winner = nursery_race(children, NR_TRANSPORTS);
	if (atomic_read(&in_flight) || (winner >= 0 && answer != 0xed))
		return -EBADMSG;
	return winner;
}

static int __init race_init(void)
{
	static const char * const names[] = { "mailbox", "polling" };
	int first = ask_both(false, false);
	int second = ask_both(true, false);
	int third = ask_both(true, true);

	if (first != MAILBOX || second != POLLING || third != -EIO)
		return -EBADMSG;
	pr_info("%s answered first, then %s, then none: %d\n", names[first], names[second],
		third);
	return 0;
}
module_init(race_init);

static void __exit race_exit(void)
{
}
module_exit(race_exit);

MODULE_DESCRIPTION("Sample: the first answer counts, in a nursery");
MODULE_LICENSE("GPL");
