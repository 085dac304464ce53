// SPDX-License-Identifier: GPL-2.0-only
/* Cancel-aware waits: they end with a cancel, lose nothing, and leave nothing behind. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "util.h"

#define MANY	8
#define ROUNDS	60

/* Where children wait: an item to take, on a wait queue, and a completion. */
struct place {
	wait_queue_head_t	queue;
	atomic_t		items;
	struct completion	completion;
};

struct waiter;
typedef int (*wait_fn)(struct waiter *w);

struct waiter {
	struct nursery_child	child;
	struct place		*place;
	wait_fn			wait;
	long			timeout;
	struct task_struct	*task;		/* there until it has returned */
	struct completion	started;
	struct completion	*gate;		/* before it waits; NULL: not */
	int			ret;		/* of the wait */
};

static bool take_item(struct place *p)
{
	return atomic_add_unless(&p->items, -1, 0);
}

static int wait_item(struct waiter *w)
{
	return nursery_wait_event(&w->child, w->place->queue, take_item(w->place));
}

static int wait_item_timeout(struct waiter *w)
{
	return nursery_wait_event_timeout(&w->child, w->place->queue, take_item(w->place),
					  w->timeout);
}

static int wait_completion(struct waiter *w)
{
	return nursery_wait_for_completion(&w->child, &w->place->completion);
}

static int wait_sleep(struct waiter *w)
{
	return nursery_sleep(&w->child, LONG_TIME);
}

static int wait_resched(struct waiter *w)
{
	int ret;

	while (!(ret = nursery_cond_resched(&w->child)))
		usleep_range(100, 1000);
	return ret;
}

static const wait_fn waits[] = {
	wait_item, wait_item_timeout, wait_completion, wait_sleep, wait_resched
};

static int waiter_run(struct nursery_child *c)
{
	struct waiter *w = container_of(c, struct waiter, child);

	w->task = current;
	complete(&w->started);
	if (w->gate)
		wait_for_completion(w->gate);
	WRITE_ONCE(w->ret, w->wait(w));
	return w->ret;
}

static void waiter_init(struct waiter *w, struct place *p, wait_fn wait)
{
	*w = (struct waiter){ .place = p, .wait = wait, .timeout = 10000 * HZ, .ret = 1 };
	init_completion(&w->started);
	nursery_child_init(&w->child, waiter_run, NULL);
}

static struct place *new_place(struct kunit *test)
{
	struct place *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	init_waitqueue_head(&p->queue);
	init_completion(&p->completion);
	return p;
}

static struct waiter *new_waiters(struct kunit *test, unsigned int nr)
{
	struct waiter *w = kunit_kcalloc(test, nr, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	return w;
}

/* Is somebody in the queue of the completion? */
static bool is_waited_for(struct completion *x)
{
	unsigned long flags;
	bool waited;

	raw_spin_lock_irqsave(&x->wait.lock, flags);
	waited = swait_active(&x->wait);
	raw_spin_unlock_irqrestore(&x->wait.lock, flags);
	return waited;
}

static bool has_waiters(struct place *p, wait_fn wait)
{
	if (wait == wait_item)
		/* waitqueue_active() without a barrier: looked at again and again */
		return waitqueue_active(&p->queue);
	if (wait == wait_completion)
		return is_waited_for(&p->completion);
	return true;
}

/* Until it sleeps, or is about to: that is as much as can be seen. */
static void wait_until_it_waits(struct waiter *w)
{
	wait_for_completion(&w->started);
	while (!has_waiters(w->place, w->wait))
		usleep_range(20, 100);
}

/*
 * Has nobody woken it yet? Once woken it is in the queue of a CPU, or on its way there, until
 * its wait has returned.
 */
static bool sleeps_on(const struct waiter *w)
{
	bool asleep = false;

	rcu_read_lock();	/* as long as it waits its task stays, and a bit longer */
	if (READ_ONCE(w->ret) == 1)
		asleep = !READ_ONCE(w->task->on_rq) && READ_ONCE(w->task->__state) & TASK_NORMAL;
	rcu_read_unlock();
	smp_rmb();		/* it was asleep, then a look whether that was in its wait */
	return asleep && READ_ONCE(w->ret) == 1;
}

static void expect_nothing_left(struct kunit *test, struct place *p)
{
	KUNIT_EXPECT_FALSE(test, has_waiters(p, wait_item));
	KUNIT_EXPECT_FALSE(test, has_waiters(p, wait_completion));
}

static void cancel_it(void *arg)
{
	nursery_cancel(arg, -EINTR);
}

static void i6_every_wait_ends_with_a_cancel(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, MANY);
	int i, j, err;
	ktime_t start;
	bool hard;

	for (i = 0; i < 2 * (int)ARRAY_SIZE(waits); i++) {
		hard = i & 1;
		err = 1;
		start = ktime_get();
		scoped_nursery(n, .name = "waiters", .executor = nursery_executor_thread,
			       .flags = NURSERY_NO_HELP, .result = &err) {
			for (j = 0; j < MANY; j++) {
				waiter_init(&w[j], p, waits[i / 2]);
				KUNIT_EXPECT_EQ(test, nursery_spawn(n, &w[j].child), 0);
			}
			for (j = 0; j < MANY; j++)
				wait_until_it_waits(&w[j]);
			start = ktime_get();
			if (hard)
				run_in_hardirq(cancel_it, n);
			else
				cancel_it(n);
			/* From here on it is up to the scheduler. One of them polls. */
			for (j = 0; j < MANY && waits[i / 2] != wait_resched; j++)
				KUNIT_EXPECT_FALSE_MSG(test, sleeps_on(&w[j]), "wait %d", i);
		}
		KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), start), PROMPT_MS);
		KUNIT_EXPECT_EQ(test, err, -EINTR);
		for (j = 0; j < MANY; j++)
			KUNIT_EXPECT_EQ_MSG(test, w[j].ret, -ECANCELED, "wait %d", i);
		expect_nothing_left(test, p);
	}
}

static void i6_every_wait_ends_with_the_deadline(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, ARRAY_SIZE(waits));
	int i, err = 0;

	scoped_nursery(n, .name = "late", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		for (i = 0; i < ARRAY_SIZE(waits); i++) {
			waiter_init(&w[i], p, waits[i]);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &w[i].child), 0);
		}
		for (i = 0; i < ARRAY_SIZE(waits); i++)
			wait_for_completion(&w[i].started);
		nursery_set_deadline(n, ktime_add_ns(ktime_get(), 5 * NSEC_PER_MSEC));
	}
	KUNIT_EXPECT_EQ(test, err, -ETIMEDOUT);
	for (i = 0; i < ARRAY_SIZE(waits); i++)
		KUNIT_EXPECT_EQ_MSG(test, w[i].ret, -ECANCELED, "wait %d", i);
	expect_nothing_left(test, p);
}

/* A cancel of one child, not of the nursery. */
static void i6_cancel_of_one_waiter_leaves_the_others(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, 2);
	int err = -1;

	scoped_nursery(n, .name = "two", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		waiter_init(&w[0], p, wait_item);
		waiter_init(&w[1], p, wait_item);
		nursery_spawn(n, &w[0].child);
		nursery_spawn(n, &w[1].child);
		wait_until_it_waits(&w[0]);
		wait_until_it_waits(&w[1]);
		nursery_child_cancel(&w[0].child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&w[0].child), -ECANCELED);
		atomic_inc(&p->items);
		wake_up(&p->queue);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, w[1].ret, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p->items), 0);
	expect_nothing_left(test, p);
}

static void waits_end_when_there_is_what_they_wait_for(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, 3);
	int i, err = -1;

	scoped_nursery(n, .name = "served", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		for (i = 0; i < 3; i++) {
			waiter_init(&w[i], p, waits[i]);
			nursery_spawn(n, &w[i].child);
		}
		for (i = 0; i < 3; i++)
			wait_until_it_waits(&w[i]);
		atomic_add(2, &p->items);
		wake_up_all(&p->queue);
		complete(&p->completion);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, w[i].ret, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p->items), 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&p->completion));
	expect_nothing_left(test, p);
}

/* Cancelled before they wait: what is there wins, else they return without a sleep. */
static void what_is_there_wins_over_a_cancel(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, ARRAY_SIZE(waits));
	DECLARE_COMPLETION_ONSTACK(gate);
	int there, i, err = -1;

	for (there = 0; there < 2; there++) {
		atomic_set(&p->items, 2 * there);
		reinit_completion(&gate);
		if (there)
			complete(&p->completion);
		scoped_nursery(n, .name = "cancelled", .executor = nursery_executor_thread,
			       .flags = NURSERY_NO_HELP, .result = &err) {
			for (i = 0; i < ARRAY_SIZE(waits); i++) {
				waiter_init(&w[i], p, waits[i]);
				w[i].gate = &gate;
				nursery_spawn(n, &w[i].child);
			}
			for (i = 0; i < ARRAY_SIZE(waits); i++)
				wait_for_completion(&w[i].started);
			nursery_cancel(n, 0);
			complete_all(&gate);
		}
		KUNIT_EXPECT_EQ(test, err, 0);
		for (i = 0; i < ARRAY_SIZE(waits); i++)
			KUNIT_EXPECT_EQ_MSG(test, w[i].ret,
					    there && i < 3 ? 0 : -ECANCELED, "wait %d", i);
		KUNIT_EXPECT_EQ(test, atomic_read(&p->items), 0);
		KUNIT_EXPECT_FALSE(test, completion_done(&p->completion));
		expect_nothing_left(test, p);
	}
}

/* There is something, but it is the cancel that wakes them. */
static void what_came_before_the_cancel_is_taken(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, 2);
	int err = -1;

	scoped_nursery(n, .name = "late", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		waiter_init(&w[0], p, wait_item);
		waiter_init(&w[1], p, wait_completion);
		nursery_spawn(n, &w[0].child);
		nursery_spawn(n, &w[1].child);
		wait_until_it_waits(&w[0]);
		wait_until_it_waits(&w[1]);
		atomic_inc(&p->items);
		complete(&p->completion);
		nursery_cancel(n, 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, w[0].ret, 0);
	KUNIT_EXPECT_EQ(test, w[1].ret, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p->items), 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&p->completion));
	expect_nothing_left(test, p);
}

/* Nobody wakes: only the time ends these. */
static int wait_for_time(struct waiter *w)
{
	unsigned long later = jiffies + 2;

	return nursery_wait_event_timeout(&w->child, w->place->queue,
					  time_after(jiffies, later), 4);
}

static void wait_event_timeout_returns(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter w;
	int err = -1;

	/* It is false all the time. */
	waiter_init(&w, p, wait_item_timeout);
	w.timeout = 2;
	scoped_nursery(n, .name = "timeout", .result = &err)
		nursery_spawn(n, &w.child);
	KUNIT_EXPECT_EQ(test, w.ret, -ETIME);
	KUNIT_EXPECT_EQ(test, err, -ETIME);

	/* A look, and no sleep. */
	waiter_init(&w, p, wait_item_timeout);
	w.timeout = 0;
	scoped_nursery(n, .name = "look")
		nursery_spawn(n, &w.child);
	KUNIT_EXPECT_EQ(test, w.ret, -ETIME);
	atomic_inc(&p->items);
	waiter_init(&w, p, wait_item_timeout);
	w.timeout = 0;
	scoped_nursery(n, .name = "look")
		nursery_spawn(n, &w.child);
	KUNIT_EXPECT_EQ(test, w.ret, 0);

	/* It is true when the time is up. */
	waiter_init(&w, p, wait_for_time);
	scoped_nursery(n, .name = "in time", .result = &err)
		nursery_spawn(n, &w.child);
	KUNIT_EXPECT_EQ(test, w.ret, 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	expect_nothing_left(test, p);
}

/* A cancelled wait takes nothing: what comes later is still there. */
static void cancelled_wait_for_completion_eats_none(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter w;

	waiter_init(&w, p, wait_completion);
	scoped_nursery(n, .name = "cancelled", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP) {
		nursery_spawn(n, &w.child);
		wait_until_it_waits(&w);
		nursery_cancel(n, 0);
	}
	KUNIT_EXPECT_EQ(test, w.ret, -ECANCELED);
	complete(&p->completion);
	KUNIT_EXPECT_TRUE(test, try_wait_for_completion(&p->completion));
	KUNIT_EXPECT_FALSE(test, try_wait_for_completion(&p->completion));
}

static void complete_all_lets_all_go(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, MANY);
	int i, err = -1;

	scoped_nursery(n, .name = "all", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP, .result = &err) {
		for (i = 0; i < MANY; i++) {
			waiter_init(&w[i], p, wait_completion);
			nursery_spawn(n, &w[i].child);
		}
		wait_until_it_waits(&w[0]);
		complete_all(&p->completion);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE(test, completion_done(&p->completion));
}

/* One waiter is cancelled, and there is something for one: nobody runs in between. */
struct both {
	struct place *p;
	struct nursery_child *victim;
};

static void cancel_and_complete(void *arg)
{
	struct both *b = arg;

	nursery_child_cancel(b->victim);
	complete(&b->p->completion);
}

static void serve(struct place *p, wait_fn wait)
{
	if (wait == wait_completion) {
		complete(&p->completion);
	} else {
		atomic_inc(&p->items);
		wake_up(&p->queue);
	}
}

/*
 * If the one that is cancelled does not get it, the other one does, without another
 * wake-up.
 */
static void what_a_cancelled_waiter_leaves_goes_to_the_next(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, 2);
	struct both b = { .p = p, .victim = &w[0].child };
	int i, bad = 0, err = -1;

	for (i = 0; i < ROUNDS && !bad; i++) {
		scoped_nursery(n, .name = "next", .executor = nursery_executor_thread,
			       .flags = NURSERY_NO_HELP, .timeout = 20 * NSEC_PER_SEC,
			       .result = &err) {
			waiter_init(&w[0], p, i & 1 ? wait_completion : wait_item);
			waiter_init(&w[1], p, w[0].wait);
			nursery_spawn(n, &w[0].child);
			wait_until_it_waits(&w[0]);
			nursery_spawn(n, &w[1].child);
			wait_for_completion(&w[1].started);
			if (i & 1) {
				run_in_hardirq(cancel_and_complete, &b);
			} else {
				nursery_child_cancel(b.victim);
				serve(p, w[0].wait);
			}
			/* If the first one got it: another one for the other. */
			if (!nursery_child_join(&w[0].child))
				serve(p, w[0].wait);
		}
		bad = err || w[1].ret || atomic_read(&p->items) ||
		      completion_done(&p->completion);
	}
	KUNIT_EXPECT_EQ_MSG(test, bad, 0, "round %d: %d, %d, join %d", i, w[0].ret, w[1].ret, err);
	expect_nothing_left(test, p);
}

/* All of them are cancelled, while half as many are served: what is not taken is left. */
static void what_is_served_is_taken_once_or_left(struct kunit *test)
{
	struct place *p = new_place(test);
	struct waiter *w = new_waiters(test, MANY);
	int i, j, got, left, wrong = 0;

	for (i = 0; i < ROUNDS; i++) {
		scoped_nursery(n, .name = "crowd", .executor = nursery_executor_thread,
			       .flags = NURSERY_NO_HELP) {
			for (j = 0; j < MANY; j++) {
				waiter_init(&w[j], p, i & 1 ? wait_completion : wait_item);
				nursery_spawn(n, &w[j].child);
			}
			for (j = 0; j < MANY; j++)
				wait_for_completion(&w[j].started);
			for (j = 0; j < MANY; j++) {
				nursery_child_cancel(&w[j].child);
				if (j & 1)
					serve(p, w[0].wait);
			}
		}
		for (j = 0, got = 0; j < MANY; j++)
			got += !w[j].ret;
		left = atomic_xchg(&p->items, 0);
		while (try_wait_for_completion(&p->completion))
			left++;
		wrong += got + left != MANY / 2;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	expect_nothing_left(test, p);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i6_every_wait_ends_with_a_cancel),
	KUNIT_CASE(i6_every_wait_ends_with_the_deadline),
	KUNIT_CASE(i6_cancel_of_one_waiter_leaves_the_others),
	KUNIT_CASE(waits_end_when_there_is_what_they_wait_for),
	KUNIT_CASE(what_is_there_wins_over_a_cancel),
	KUNIT_CASE(what_came_before_the_cancel_is_taken),
	KUNIT_CASE(wait_event_timeout_returns),
	KUNIT_CASE(cancelled_wait_for_completion_eats_none),
	KUNIT_CASE(complete_all_lets_all_go),
	KUNIT_CASE(what_a_cancelled_waiter_leaves_goes_to_the_next),
	KUNIT_CASE(what_is_served_is_taken_once_or_left),
	{ }
};

struct kunit_suite nursery_wait_suite = { .name = "nursery_wait", .test_cases = cases };
