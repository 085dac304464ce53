// SPDX-License-Identifier: GPL-2.0-only
/* Children that hold no thread while they wait: delayed and parked ones. */
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "sim.h"
#include "util.h"

/* A child that parks @parks times, and records what it sees. */
struct parker {
	struct nursery_child	child;
	unsigned int		parks;
	ktime_t			delay;		/* each park's; 0: until it is unparked */
	int			ret;		/* in the end */
	int			cancelled_ret;	/* the first time that it sees a cancel */
	bool			unparks_itself;
	struct completion	parked;		/* is about to return NURSERY_PARK */
	unsigned int		runs;
	unsigned int		cancelled_runs;
	ktime_t			last_run;
	atomic_t		dones;
};

static struct parker *to_parker(struct nursery_child *c)
{
	return container_of(c, struct parker, child);
}

static int park(struct parker *p)
{
	if (p->unparks_itself)
		nursery_child_unpark(&p->child);
	complete(&p->parked);
	if (p->delay)
		return nursery_child_park_until(&p->child, ktime_add(ktime_get(), p->delay));
	return NURSERY_PARK;
}

static int parker_run(struct nursery_child *c)
{
	struct parker *p = to_parker(c);

	p->runs++;
	p->last_run = ktime_get();
	if (nursery_child_cancelled(c) && !p->cancelled_runs++) {
		if (p->cancelled_ret == NURSERY_PARK)
			return park(p);
		return p->cancelled_ret;
	}
	if (p->runs <= p->parks)
		return park(p);
	return p->ret;
}

static void parker_done(struct nursery_child *c)
{
	atomic_inc(&to_parker(c)->dones);
}

static void parker_init(struct parker *p, unsigned int parks, ktime_t delay)
{
	*p = (struct parker) { .parks = parks, .delay = delay, .cancelled_ret = -ECANCELED };
	init_completion(&p->parked);
	nursery_child_init(&p->child, parker_run, parker_done);
}

static void unpark(void *child)
{
	nursery_child_unpark(child);
}

static void delayed_starts_after_its_time(struct kunit *test)
{
	ktime_t delay = 5 * NSEC_PER_MSEC, before = ktime_get();
	struct parker p;
	int err = -1;

	parker_init(&p, 0, 0);
	scoped_nursery(n, .result = &err)
		KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(n, &p.child, delay), 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, p.runs, 1);
	KUNIT_EXPECT_GE(test, ktime_sub(p.last_run, before), delay);
}

static void delayed_start_in_order_of_time(struct kunit *test)
{
	ktime_t start, spawned;
	struct parker p[3];
	int i;

	/* Spawned in less time than lies between two of them, or once more. */
	do {
		for (i = 0; i < 3; i++)
			parker_init(&p[i], 0, 0);
		/* Ordered: each has ended before the next starts. */
		scoped_nursery(n, .max_active = 1) {
			start = ktime_get();
			nursery_spawn_delayed(n, &p[0].child, 200 * NSEC_PER_MSEC);
			nursery_spawn_delayed(n, &p[1].child, 100 * NSEC_PER_MSEC);
			nursery_spawn_delayed(n, &p[2].child, NSEC_PER_MSEC);
			spawned = ktime_get();
		}
	} while (ktime_sub(spawned, start) >= 99 * NSEC_PER_MSEC);
	KUNIT_EXPECT_LT(test, p[2].last_run, p[1].last_run);
	KUNIT_EXPECT_LT(test, p[1].last_run, p[0].last_run);
}

/* The timer is set for one that comes later, and is due earlier. */
static void early_one_does_not_wait_for_a_late_one(struct kunit *test)
{
	struct parker late, early;

	parker_init(&late, 0, 0);
	parker_init(&early, 0, 0);
	scoped_nursery(n) {
		nursery_spawn_delayed(n, &late.child, LONG_TIME);
		nursery_spawn_delayed(n, &early.child, NSEC_PER_MSEC);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&early.child), 0);
		KUNIT_EXPECT_EQ(test, late.runs, 0);
		nursery_child_unpark(&late.child);
	}
	KUNIT_EXPECT_EQ(test, late.runs, 1);
}

/* When the first is due the others are looked at, and left. */
static void each_waits_for_its_own_time(struct kunit *test)
{
	ktime_t before = ktime_get();
	struct parker p[3];
	int i;

	for (i = 0; i < 3; i++)
		parker_init(&p[i], 0, 0);
	scoped_nursery(n)
		for (i = 0; i < 3; i++)
			nursery_spawn_delayed(n, &p[i].child, (1 + 30 * i) * NSEC_PER_MSEC);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_GE(test, ktime_sub(p[i].last_run, before),
				(1 + 30 * i) * NSEC_PER_MSEC);
}

static void delayed_without_delay_starts_at_once(struct kunit *test)
{
	struct parker p[2];

	parker_init(&p[0], 0, 0);
	parker_init(&p[1], 0, 0);
	scoped_nursery(n) {
		KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(n, &p[0].child, 0), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(n, &p[1].child, -1), 0);
	}
	KUNIT_EXPECT_EQ(test, p[0].runs, 1);
	KUNIT_EXPECT_EQ(test, p[1].runs, 1);
}

/* The longest delay there is would let the join hang, if one of them were waited for. */
static void i4_delayed_and_cancelled_never_runs(struct kunit *test)
{
	struct parker p[3];
	int i, err = -1;

	for (i = 0; i < 3; i++)
		parker_init(&p[i], 0, 0);
	scoped_nursery(n, .result = &err) {
		nursery_spawn_delayed(n, &p[0].child, LONG_TIME);
		nursery_spawn_delayed(n, &p[1].child, KTIME_MAX);
		nursery_spawn_delayed(n, &p[2].child, LONG_TIME);
		nursery_child_cancel(&p[0].child);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[0].dones), 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[1].dones), 0);
		nursery_cancel(n, -EINTR);
		/* At once, and not when their time has come. */
		KUNIT_EXPECT_EQ(test, atomic_read(&p[1].dones), 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[2].dones), 1);
		KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(n, &p[0].child, 1), -ECANCELED);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, p[i].runs, 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), 1);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[i].child), -ECANCELED);
	}
}

static void deadline_ends_delayed(struct kunit *test)
{
	struct parker p;
	int err = -1;

	parker_init(&p, 0, 0);
	scoped_nursery(n, .timeout = 2 * NSEC_PER_MSEC, .result = &err)
		nursery_spawn_delayed(n, &p.child, LONG_TIME);
	KUNIT_EXPECT_EQ(test, err, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, p.runs, 0);
}

static void unpark_starts_delayed(struct kunit *test)
{
	struct parker p;

	parker_init(&p, 0, 0);
	scoped_nursery(n) {
		nursery_spawn_delayed(n, &p.child, LONG_TIME);
		nursery_child_unpark(&p.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), 0);
	}
	KUNIT_EXPECT_EQ(test, p.runs, 1);
}

static void delayed_spawn_refuses_as_spawn(struct kunit *test)
{
	struct nursery n;
	struct parker p;

	parker_init(&p, 0, 0);
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(&n, &p.child, LONG_TIME), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(&n, &p.child, LONG_TIME), -EBUSY);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(&n, &p.child, LONG_TIME), -ESHUTDOWN);
	nursery_child_init(&p.child, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(&n, &p.child, LONG_TIME), -EINVAL);
}

/* With a single worker, the second child can only run if the first does not hold it. */
static void parked_holds_no_thread(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct parker first, second;
	int err = -1;

	parker_init(&first, 1, 0);
	parker_init(&second, 0, 0);
	scoped_nursery(n, .executor = e, .flags = NURSERY_NO_HELP, .result = &err) {
		nursery_spawn(n, &first.child);
		wait_for_completion(&first.parked);
		nursery_spawn(n, &second.child);
		while (!atomic_read(&second.dones))
			schedule_timeout_uninterruptible(1);
		KUNIT_EXPECT_EQ(test, first.runs, 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&first.dones), 0);
		nursery_child_unpark(&first.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, first.runs, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&first.dones), 1);
	single_worker_destroy(e);
}

/* Occupies the only worker, and waits for a sibling that has parked. */
struct occupier {
	struct nursery_child child;
	struct nursery_child *sibling;
	struct completion begun;
	struct task_struct *task;
	int got;
};

static int occupy(struct nursery_child *c)
{
	struct occupier *o = container_of(c, struct occupier, child);

	o->task = current;
	complete(&o->begun);
	o->got = nursery_child_join(o->sibling);
	return 0;
}

/* Whether it is due when the time has come, or has been unparked: somebody runs it. */
static void join_a_parked_sibling(struct kunit *test, ktime_t delay, unsigned int max_active)
{
	struct nursery_executor *e = single_worker(test);
	struct occupier o = { .got = 1000 };
	struct parker p;
	int err = -1;

	parker_init(&p, 2, delay);
	p.ret = -EIO;
	o.sibling = &p.child;
	init_completion(&o.begun);
	nursery_child_init(&o.child, occupy, NULL);
	scoped_nursery(n, .executor = e, .max_active = max_active, .result = &err,
		       .flags = NURSERY_NO_HELP | NURSERY_SUPERVISE) {
		nursery_spawn(n, &p.child);
		wait_for_completion(&p.parked);
		nursery_spawn(n, &o.child);
		wait_for_completion(&o.begun);
		while (!delay && !completion_done(&p.parked)) {
			wait_until_asleep(o.task);
			nursery_child_unpark(&p.child);
			schedule_timeout_uninterruptible(1);
		}
		if (!delay)
			nursery_child_unpark(&p.child);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_EQ(test, o.got, -EIO);
	KUNIT_EXPECT_EQ(test, p.runs, 3);
	single_worker_destroy(e);
}

static void i5_child_joins_its_parked_sibling(struct kunit *test)
{
	join_a_parked_sibling(test, 0, 0);
	join_a_parked_sibling(test, NSEC_PER_MSEC, 0);
	join_a_parked_sibling(test, NSEC_PER_MSEC, 2);
}

/* Nor a place below max_active. */
static void parked_holds_no_place(struct kunit *test)
{
	struct parker first, second;

	parker_init(&first, 1, 0);
	parker_init(&second, 0, 0);
	scoped_nursery(n, .max_active = 1) {
		nursery_spawn(n, &first.child);
		nursery_spawn(n, &second.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&second.child), 0);
		nursery_child_unpark(&first.child);
	}
	KUNIT_EXPECT_EQ(test, first.runs, 2);
}

static void parked_runs_again_at_its_time(struct kunit *test)
{
	ktime_t before = ktime_get();
	struct parker p;

	parker_init(&p, 3, 2 * NSEC_PER_MSEC);
	p.ret = -EIO;
	scoped_nursery(n, .flags = NURSERY_SUPERVISE) {
		nursery_spawn(n, &p.child);
		/* Joining one that parks is to wait until it has finished. */
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), -EIO);
	}
	KUNIT_EXPECT_EQ(test, p.runs, 4);
	KUNIT_EXPECT_GE(test, ktime_sub(p.last_run, before), 6 * NSEC_PER_MSEC);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 1);
}

static void early_unpark_is_not_lost(struct kunit *test)
{
	struct parker p;

	/* Nobody else unparks it: without that the join would hang. */
	parker_init(&p, 100, 0);
	p.unparks_itself = true;
	scoped_nursery(n)
		nursery_spawn(n, &p.child);
	KUNIT_EXPECT_EQ(test, p.runs, 101);
}

static void unpark_in_hardirq(struct kunit *test)
{
	struct parker p;

	parker_init(&p, 2, 0);
	scoped_nursery(n) {
		nursery_spawn(n, &p.child);
		wait_for_completion(&p.parked);
		run_in_hardirq(unpark, &p.child);
		wait_for_completion(&p.parked);
		run_in_hardirq(unpark, &p.child);
	}
	KUNIT_EXPECT_EQ(test, p.runs, 3);
}

static void unpark_of_others_does_nothing(struct kunit *test)
{
	struct parker p;

	parker_init(&p, 0, 0);
	nursery_child_unpark(&p.child);
	scoped_nursery(n)
		nursery_spawn(n, &p.child);
	nursery_child_unpark(&p.child);
	KUNIT_EXPECT_EQ(test, p.runs, 1);
	scoped_nursery(n)
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p.child), 0);
	KUNIT_EXPECT_EQ(test, p.runs, 2);
}

/* It is run to see the cancel, once; what it returns then counts. */
static void i6_cancel_runs_parked(struct kunit *test)
{
	struct parker p[2];
	int err = -1;

	parker_init(&p[0], 1, 0);
	parker_init(&p[1], 1, LONG_TIME);
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &p[0].child);
		nursery_spawn(n, &p[1].child);
		wait_for_completion(&p[0].parked);
		wait_for_completion(&p[1].parked);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, p[0].runs, 2);
	KUNIT_EXPECT_EQ(test, p[1].runs, 2);
	KUNIT_EXPECT_EQ(test, p[1].cancelled_runs, 1);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p[1].child), -ECANCELED);
}

static void child_cancel_runs_parked(struct kunit *test)
{
	struct parker p, sibling;
	int err = -1;

	parker_init(&p, 1, 0);
	parker_init(&sibling, 1, 0);
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &p.child);
		nursery_spawn(n, &sibling.child);
		wait_for_completion(&p.parked);
		wait_for_completion(&sibling.parked);
		nursery_child_cancel(&p.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), -ECANCELED);
		KUNIT_EXPECT_EQ(test, sibling.runs, 1);
		nursery_child_unpark(&sibling.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, sibling.cancelled_runs, 0);
}

/* What the executor's only worker had to do is done: a child that was about to park has. */
static void wait_for_worker(struct nursery_executor *e)
{
	struct plug plug;

	plug_insert(&plug, e->wq);
	plug_remove(&plug);
}

/* A cancelled child may wait for its hardware to stop: no further cancel disturbs it. */
static void cancelled_may_park_again(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct parker p;
	int i, err;

	/* Be it cancelled alone first, or with its nursery. */
	for (i = 0; i < 2; i++) {
		err = -1;
		parker_init(&p, 2, 0);
		p.cancelled_ret = NURSERY_PARK;
		p.ret = -ECANCELED;
		scoped_nursery(n, .executor = e, .flags = NURSERY_NO_HELP, .result = &err) {
			nursery_spawn(n, &p.child);
			wait_for_completion(&p.parked);
			wait_for_worker(e);
			if (i)
				nursery_child_cancel(&p.child);
			nursery_cancel(n, 0);
			wait_for_completion(&p.parked);
			wait_for_worker(e);
			nursery_cancel(n, 0);
			nursery_child_cancel(&p.child);
			wait_for_worker(e);
			KUNIT_EXPECT_EQ(test, p.runs, 2);
			nursery_child_unpark(&p.child);
		}
		KUNIT_EXPECT_EQ(test, err, 0);
		KUNIT_EXPECT_EQ(test, p.runs, 3);
	}
	single_worker_destroy(e);
}

/* Those that know of a cancel have their time as well, whatever the others wait for. */
static void cancelled_may_park_until_a_time(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct parker p, sibling;
	int err = -1;

	parker_init(&p, 2, 0);
	p.cancelled_ret = NURSERY_PARK;
	p.ret = -ECANCELED;
	parker_init(&sibling, 0, 0);
	scoped_nursery(n, .executor = e, .flags = NURSERY_NO_HELP, .result = &err) {
		nursery_spawn_delayed(n, &sibling.child, LONG_TIME);
		nursery_spawn(n, &p.child);
		wait_for_completion(&p.parked);
		wait_for_worker(e);
		/* From the second time on. */
		p.delay = NSEC_PER_MSEC;
		nursery_child_cancel(&p.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), -ECANCELED);
		KUNIT_EXPECT_EQ(test, sibling.runs, 0);
		nursery_child_unpark(&sibling.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, p.cancelled_runs, 2);
	single_worker_destroy(e);
}

/* Its function sees what the unpark was about: then there is nothing left to be told. */
static void unpark_before_the_start_is_no_run_more(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct parker p;
	struct plug plug;

	parker_init(&p, 1, 0);
	plug_insert(&plug, e->wq);
	scoped_nursery(n, .executor = e, .flags = NURSERY_NO_HELP) {
		nursery_spawn(n, &p.child);
		nursery_child_unpark(&p.child);
		plug_remove(&plug);
		wait_for_completion(&p.parked);
		wait_for_worker(e);
		KUNIT_EXPECT_EQ(test, p.runs, 1);
		nursery_child_unpark(&p.child);
	}
	KUNIT_EXPECT_EQ(test, p.runs, 2);
	single_worker_destroy(e);
}

/* Cancelled while it runs, it may have looked before: it does not park. */
static int cancel_self_and_park(struct nursery_child *c)
{
	struct parker *p = to_parker(c);

	if (p->runs++)
		return nursery_child_cancelled(c) ? -ECANCELED : -EINVAL;
	nursery_child_cancel(c);
	return NURSERY_PARK;
}

static void cancel_before_park_is_not_lost(struct kunit *test)
{
	struct parker p;
	int err = -1;

	parker_init(&p, 0, 0);
	nursery_child_init(&p.child, cancel_self_and_park, NULL);
	scoped_nursery(n, .result = &err)
		nursery_spawn(n, &p.child);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, p.runs, 2);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), -ECANCELED);
}

/* An executor that knows nothing of parking is given the child when it is due. */
static void parks_on_any_executor(struct kunit *test)
{
	const struct nursery_executor *executors[] = {
		nursery_executor_percpu, nursery_executor_highpri, nursery_executor_thread,
		nursery_executor_inline,
	};
	struct nursery_executor_sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);
	struct parker p;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, sim);
	for (i = 0; i < ARRAY_SIZE(executors); i++) {
		parker_init(&p, 2, NSEC_PER_MSEC);
		scoped_nursery(n, .executor = executors[i])
			nursery_spawn_delayed(n, &p.child, NSEC_PER_MSEC);
		KUNIT_EXPECT_EQ(test, p.runs, 3);
	}
	nursery_sim_init(sim, 1);
	parker_init(&p, 2, NSEC_PER_MSEC);
	scoped_nursery(n, .executor = &sim->executor, .flags = NURSERY_NO_HELP) {
		nursery_spawn_delayed(n, &p.child, NSEC_PER_MSEC);
		while (!atomic_read(&p.dones)) {
			nursery_sim_run(sim);
			schedule_timeout_uninterruptible(1);
		}
	}
	KUNIT_EXPECT_EQ(test, p.runs, 3);
	/* A joiner that helps takes them from such an executor, too. */
	parker_init(&p, 2, NSEC_PER_MSEC);
	scoped_nursery(n, .executor = &sim->executor)
		nursery_spawn_delayed(n, &p.child, NSEC_PER_MSEC);
	KUNIT_EXPECT_EQ(test, p.runs, 3);
}

#define MANY	10000

/* Some at the same moment, some one by one, in the order of time or against it. */
static void many_park_and_run_again(struct kunit *test)
{
	struct parker *many = vzalloc(array_size(MANY, sizeof(*many)));
	unsigned int i, wrong = 0;
	struct rnd_state random;
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, many);
	prandom_seed_state(&random, 1);
	scoped_nursery(n, .result = &err) {
		for (i = 0; i < MANY; i++) {
			/* Not 0: that would be a park until it is unparked. */
			parker_init(&many[i], 1,
				    1 + prandom_u32_state(&random) % (16 * NSEC_PER_MSEC));
			nursery_spawn_delayed(n, &many[i].child,
					      prandom_u32_state(&random) % (16 * NSEC_PER_MSEC));
			cond_resched();
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < MANY; i++)
		wrong += many[i].runs != 2 || atomic_read(&many[i].dones) != 1;
	KUNIT_EXPECT_EQ(test, wrong, 0);
	vfree(many);
}

static void many_parked_are_cancelled(struct kunit *test)
{
	struct parker *many = vzalloc(array_size(MANY, sizeof(*many)));
	unsigned int i, wrong = 0;
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, many);
	scoped_nursery(n, .result = &err) {
		for (i = 0; i < MANY; i++) {
			parker_init(&many[i], 1, LONG_TIME + i);
			if (i % 2)
				nursery_spawn_delayed(n, &many[i].child, LONG_TIME - i);
			else
				nursery_spawn(n, &many[i].child);
			cond_resched();
		}
		for (i = 0; i < MANY; i += 2)
			wait_for_completion(&many[i].parked);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	for (i = 0; i < MANY; i++)
		wrong += many[i].runs != (i % 2 ? 0 : 2) || atomic_read(&many[i].dones) != 1;
	KUNIT_EXPECT_EQ(test, wrong, 0);
	vfree(many);
}

static struct kunit_case park_cases[] = {
	KUNIT_CASE(delayed_starts_after_its_time),
	KUNIT_CASE(delayed_start_in_order_of_time),
	KUNIT_CASE(early_one_does_not_wait_for_a_late_one),
	KUNIT_CASE(each_waits_for_its_own_time),
	KUNIT_CASE(delayed_without_delay_starts_at_once),
	KUNIT_CASE(i4_delayed_and_cancelled_never_runs),
	KUNIT_CASE(deadline_ends_delayed),
	KUNIT_CASE(unpark_starts_delayed),
	KUNIT_CASE(delayed_spawn_refuses_as_spawn),
	KUNIT_CASE(parked_holds_no_thread),
	KUNIT_CASE(i5_child_joins_its_parked_sibling),
	KUNIT_CASE(parked_holds_no_place),
	KUNIT_CASE(parked_runs_again_at_its_time),
	KUNIT_CASE(early_unpark_is_not_lost),
	KUNIT_CASE(unpark_in_hardirq),
	KUNIT_CASE(unpark_of_others_does_nothing),
	KUNIT_CASE(i6_cancel_runs_parked),
	KUNIT_CASE(child_cancel_runs_parked),
	KUNIT_CASE(cancelled_may_park_again),
	KUNIT_CASE(cancelled_may_park_until_a_time),
	KUNIT_CASE(unpark_before_the_start_is_no_run_more),
	KUNIT_CASE(cancel_before_park_is_not_lost),
	KUNIT_CASE(parks_on_any_executor),
	KUNIT_CASE(many_park_and_run_again),
	KUNIT_CASE(many_parked_are_cancelled),
	{ }
};

struct kunit_suite nursery_park_suite = {
	.name = "nursery_park",
	.test_cases = park_cases,
};
