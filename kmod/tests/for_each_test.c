// SPDX-License-Identifier: GPL-2.0-only
/* For each: all of a range, each part once, on so many workers, in order or not. */
#include <linux/slab.h>

#include "util.h"

#define NR	5000

/* What the calls did. */
struct job {
	atomic_t *seen;			/* how often each of NR was done */
	unsigned long grain;		/* the most that a call may get */
	unsigned long fail_at;		/* fail in the call that has this */
	int err;
	atomic_t calls;
	atomic_t wrong;
	atomic_t now, most;		/* are in it at once */
	ktime_t sleep;
	struct completion begun;
	struct task_struct *caller;
	atomic_t by_caller;
	/* in order */
	unsigned long next;
	int tell_err;
	unsigned long tell_fail_at;
	atomic_long_t all;
	struct completion all_done;
	bool wait_for_all;
	bool telling;
};

static struct job *job_alloc(struct kunit *test)
{
	struct job *j = kunit_kzalloc(test, sizeof(*j), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, j);
	j->seen = kunit_kcalloc(test, NR, sizeof(*j->seen), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, j->seen);
	j->grain = ULONG_MAX;
	j->fail_at = ULONG_MAX;
	j->tell_fail_at = ULONG_MAX;
	j->caller = current;
	init_completion(&j->begun);
	init_completion(&j->all_done);
	return j;
}

static int job_run(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	struct job *j = ctx;
	int nr = atomic_inc_return(&j->now), old = atomic_read(&j->most), err = 0;
	unsigned long i;

	while (nr > old && !atomic_try_cmpxchg(&j->most, &old, nr))
		;
	atomic_inc(&j->calls);
	complete_all(&j->begun);
	if (current == j->caller)
		atomic_inc(&j->by_caller);
	if (start >= end || end > NR || end - start > j->grain)
		atomic_inc(&j->wrong);
	if (j->sleep)
		err = nursery_sleep(c, j->sleep);
	for (i = start; i < end && i < NR && !err; i++) {
		if (i == j->fail_at) {
			err = j->err;
			break;
		}
		atomic_inc(&j->seen[i]);
	}
	if (!err && atomic_long_add_return(end - start, &j->all) == NR)
		complete_all(&j->all_done);
	atomic_dec(&j->now);
	return err;
}

static void all_once(struct kunit *test, struct job *j, unsigned long start, unsigned long end)
{
	int i, wrong = 0;

	for (i = 0; i < NR; i++)
		wrong += atomic_read(&j->seen[i]) != (i >= start && i < end);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&j->wrong), 0);
}

static void all_of_the_range_is_done_once(struct kunit *test)
{
	static const unsigned long grains[] = { 0, 1, 2, 7, 64, NR - 1, NR, ULONG_MAX };
	static const unsigned int workers[] = { 0, 1, 2, 3, 64, UINT_MAX };
	int i, k;

	for (i = 0; i < ARRAY_SIZE(grains); i++) {
		for (k = 0; k < ARRAY_SIZE(workers); k++) {
			const struct nursery_range_params params = {
				.grain = grains[i], .max_active = workers[k],
			};
			struct job *j = job_alloc(test);

			j->grain = grains[i] ?: NR;
			KUNIT_EXPECT_EQ(test, nursery_for_each(j, 3, NR, &params, job_run), 0);
			all_once(test, j, 3, NR);
			kunit_kfree(test, j->seen);
			kunit_kfree(test, j);
		}
	}
}

static void on_every_executor(struct kunit *test)
{
	const struct nursery_executor *e[] = {
		NULL, nursery_executor_percpu, nursery_executor_highpri,
		nursery_executor_thread, nursery_executor_inline,
	};
	int i, flags;

	for (i = 0; i < ARRAY_SIZE(e); i++) {
		for (flags = 0; flags <= NURSERY_NO_HELP; flags += NURSERY_NO_HELP) {
			const struct nursery_range_params params = {
				.grain = 10, .max_active = 5, .executor = e[i], .flags = flags,
			};
			struct job *j = job_alloc(test);

			KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, NR, &params, job_run), 0);
			all_once(test, j, 0, NR);
			if (e[i] == nursery_executor_inline)
				KUNIT_EXPECT_EQ(test, atomic_read(&j->by_caller), NR / 10);
			else if (flags)
				KUNIT_EXPECT_EQ(test, atomic_read(&j->by_caller), 0);
		}
	}
}

/* Where the next part would begin beyond the last number that there is. */
struct edge {
	atomic_t calls;
	atomic_long_t sum;
	atomic_t wrong;
};

static int edge_run(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	struct edge *e = ctx;

	atomic_inc(&e->calls);
	atomic_long_add(end - start, &e->sum);
	if (start >= end || start < ULONG_MAX - 1000)
		atomic_inc(&e->wrong);
	return 0;
}

static int never(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	atomic_inc((atomic_t *)ctx);
	return 0;
}

static void ranges_at_the_edge(struct kunit *test)
{
	struct nursery_range_params params = { .grain = 7, .max_active = 4 };
	struct edge e = { };
	atomic_t calls = ATOMIC_INIT(0);

	KUNIT_EXPECT_EQ(test, 0,
			nursery_for_each(&e, ULONG_MAX - 1000, ULONG_MAX, &params, edge_run));
	KUNIT_EXPECT_EQ(test, atomic_read(&e.calls), 143);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&e.sum), 1000);
	KUNIT_EXPECT_EQ(test, atomic_read(&e.wrong), 0);

	/* All there is, in one. */
	params.grain = ULONG_MAX;
	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 0, ULONG_MAX, &params, never), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&calls), 1);

	/* Nothing, and what cannot be. */
	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 5, 5, NULL, never), 0);
	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 6, 5, NULL, never), -EINVAL);
	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 0, 5, NULL, NULL), -EINVAL);
	params.flags = NURSERY_SUPERVISE;
	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 0, 5, &params, never), -EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&calls), 1);
}

static void max_active_bounds_the_calls(struct kunit *test)
{
	const struct nursery_range_params params = { .grain = 1, .max_active = 5 };
	struct job *j = job_alloc(test);

	j->sleep = 200 * NSEC_PER_USEC;
	KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, 200, &params, job_run), 0);
	all_once(test, j, 0, 200);
	KUNIT_EXPECT_LE(test, atomic_read(&j->most), 5);
}

/* Each needs all others to have begun: so many workers there are. */
struct meeting {
	atomic_t here;
	int nr;
	struct completion all;
};

static int meet(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	struct meeting *m = ctx;

	if (atomic_inc_return(&m->here) == m->nr)
		complete_all(&m->all);
	wait_for_completion(&m->all);
	return 0;
}

static void as_many_workers_as_asked_for(struct kunit *test)
{
	const struct nursery_range_params params = { .grain = 1, .max_active = 100 };
	struct meeting m = { .nr = 100 };

	init_completion(&m.all);
	KUNIT_EXPECT_EQ(test, nursery_for_each(&m, 0, 100, &params, meet), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&m.here), 100);
}

/* Those before it are done, but for who is late; who comes to one behind it waits for the error. */
static int fail_at_100(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	atomic_inc((atomic_t *)ctx);
	if (start == 100)
		return -EIO;
	return start > 100 ? nursery_sleep(c, LONG_TIME) : 0;
}

static void first_error_stops_the_rest(struct kunit *test)
{
	const struct nursery_range_params params = { .grain = 1, .max_active = 4 };
	atomic_t calls = ATOMIC_INIT(0);

	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 0, NR, &params, fail_at_100), -EIO);
	/* Each of the others may have begun one when the error came, or not even one before it. */
	KUNIT_EXPECT_GE(test, atomic_read(&calls), 98);
	KUNIT_EXPECT_LE(test, atomic_read(&calls), 104);
}

/* The others sleep, and wake: the one that failed waits for none of them. */
static int fail_one(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	struct meeting *m = ctx;

	if (atomic_inc_return(&m->here) == m->nr)
		complete_all(&m->all);
	wait_for_completion(&m->all);
	return start == 0 ? -EIO : nursery_sleep(c, LONG_TIME);
}

static void i6_an_error_wakes_the_others(struct kunit *test)
{
	const struct nursery_range_params params = { .grain = 1, .max_active = 8 };
	struct meeting m = { .nr = 8 };

	init_completion(&m.all);
	KUNIT_EXPECT_EQ(test, nursery_for_each(&m, 0, 50, &params, fail_one), -EIO);
	KUNIT_EXPECT_EQ(test, atomic_read(&m.here), 8);
}

/* One call in a child, and what comes out of it. */
struct caller {
	struct nursery_child child;
	struct job *job;
	const struct nursery_executor *e;
	int got;
};

static int caller_run(struct nursery_child *c)
{
	struct caller *a = container_of(c, struct caller, child);
	const struct nursery_range_params params = {
		.parent = c, .grain = 1, .max_active = 3, .executor = a->e,
	};

	a->job->caller = current;
	a->got = nursery_for_each(a->job, 0, 100, &params, job_run);
	return a->got;
}

static void i3_cancel_travels_down_into_for_each(struct kunit *test)
{
	struct caller a = { .job = job_alloc(test), .got = 1000 };
	int err = -1;

	a.job->sleep = LONG_TIME;
	nursery_child_init(&a.child, caller_run, NULL);
	scoped_nursery(n, .name = "cancel", .result = &err) {
		nursery_spawn(n, &a.child);
		wait_for_completion(&a.job->begun);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, a.got, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_LE(test, atomic_read(&a.job->calls), 3);
}

static int cancel_worker(struct nursery_child *c, unsigned long start, unsigned long end,
			 void *ctx)
{
	atomic_inc((atomic_t *)ctx);
	if (start == 10)
		nursery_child_cancel(c);
	return 0;
}

/* A worker that is stopped leaves something undone: that is not a success. */
static void a_cancelled_worker_stops_all(struct kunit *test)
{
	const struct nursery_range_params params = { .grain = 1, .max_active = 1 };
	atomic_t calls = ATOMIC_INIT(0);

	KUNIT_EXPECT_EQ(test, nursery_for_each(&calls, 0, 100, &params, cancel_worker),
			-ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&calls), 11);
}

/* The only worker of the executor is the caller, or busy with something else. */
static void i5_for_each_with_one_worker(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct nursery_range_params params = { .executor = e, .max_active = 8 };
	struct caller a = { .job = job_alloc(test), .e = e };
	struct job *j = job_alloc(test);
	struct plug plug;

	nursery_child_init(&a.child, caller_run, NULL);
	scoped_nursery(n, .name = "caller", .executor = e, .flags = NURSERY_NO_HELP)
		nursery_spawn(n, &a.child);
	KUNIT_EXPECT_EQ(test, a.got, 0);
	all_once(test, a.job, 0, 100);

	plug_insert(&plug, e->wq);
	KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, NR, &params, job_run), 0);
	all_once(test, j, 0, NR);
	plug_remove(&plug);
	single_worker_destroy(e);
}

/* For each in for each, down to some depth. */
struct deep {
	int depth;
	atomic_t *leaves;
};

static int deep_run(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	const struct nursery_range_params params = { .parent = c, .grain = 1, .max_active = 3 };
	struct deep *d = ctx, below = { .depth = d->depth - 1, .leaves = d->leaves };

	if (!d->depth) {
		atomic_inc(d->leaves);
		return 0;
	}
	return nursery_for_each(&below, 0, 4, &params, deep_run);
}

static void i5_for_each_in_for_each(struct kunit *test)
{
	atomic_t leaves = ATOMIC_INIT(0);
	struct deep d = { .depth = 5, .leaves = &leaves };
	int err;

	/* A compound literal is one argument. */
	err = nursery_for_each(&d, 0, 4, &(struct nursery_range_params){ .grain = 1,
			       .max_active = 3 }, deep_run);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&leaves), 4096);
}

/* In order: the next one, done before, and nobody else here. */
static int job_tell(struct nursery_child *c, unsigned long start, unsigned long end, void *ctx)
{
	struct job *j = ctx;
	unsigned long i;

	if (READ_ONCE(j->telling) || start != j->next || end <= start || end > NR)
		atomic_inc(&j->wrong);
	WRITE_ONCE(j->telling, true);
	for (i = start; i < end && i < NR; i++)
		if (atomic_read(&j->seen[i]) != 1)
			atomic_inc(&j->wrong);
	j->next = end;
	if (j->wait_for_all)
		wait_for_completion(&j->all_done);
	WRITE_ONCE(j->telling, false);
	if (start <= j->tell_fail_at && j->tell_fail_at < end)
		return j->tell_err;
	return 0;
}

static void in_order_tells_all_in_order(struct kunit *test)
{
	static const unsigned long grains[] = { 0, 1, 7, 50, 79, NR };
	static const unsigned int workers[] = { 0, 1, 2, 5, 100 };
	int i, k;

	for (i = 0; i < ARRAY_SIZE(grains); i++) {
		for (k = 0; k < ARRAY_SIZE(workers); k++) {
			const struct nursery_range_params params = {
				.grain = grains[i], .max_active = workers[k],
				.in_order = job_tell,
			};
			struct job *j = job_alloc(test);

			KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, NR, &params, job_run), 0);
			all_once(test, j, 0, NR);
			KUNIT_EXPECT_EQ(test, j->next, NR);
			kunit_kfree(test, j->seen);
			kunit_kfree(test, j);
		}
	}
}

/* It tells of the first, and until then goes on all the rest: with one worker, too. */
static void in_order_does_not_stall_the_work(struct kunit *test)
{
	unsigned int workers;

	for (workers = 1; workers <= 4; workers++) {
		const struct nursery_range_params params = {
			.grain = 3, .max_active = workers, .in_order = job_tell,
		};
		struct job *j = job_alloc(test);

		j->wait_for_all = true;
		KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, NR, &params, job_run), 0);
		all_once(test, j, 0, NR);
		KUNIT_EXPECT_EQ(test, j->next, NR);
		KUNIT_EXPECT_LE(test, atomic_read(&j->most), (int)workers);
	}
}

static void in_order_and_max_active(struct kunit *test)
{
	const struct nursery_range_params params = {
		.grain = 1, .max_active = 3, .in_order = job_tell,
	};
	struct job *j = job_alloc(test);

	j->sleep = 100 * NSEC_PER_USEC;
	KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, 300, &params, job_run), 0);
	all_once(test, j, 0, 300);
	KUNIT_EXPECT_EQ(test, j->next, 300);
	KUNIT_EXPECT_LE(test, atomic_read(&j->most), 3);
}

static void in_order_stops_at_an_error(struct kunit *test)
{
	const struct nursery_range_params params = {
		.grain = 1, .max_active = 4, .in_order = job_tell,
	};
	struct job *j = job_alloc(test);

	/* Told of none from the one on that failed. */
	j->fail_at = 2500;
	j->err = -EIO;
	KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, NR, &params, job_run), -EIO);
	KUNIT_EXPECT_LE(test, j->next, 2500);
	KUNIT_EXPECT_EQ(test, atomic_read(&j->wrong), 0);

	j = job_alloc(test);
	j->tell_fail_at = 1000;
	j->tell_err = -EPIPE;
	KUNIT_EXPECT_EQ(test, nursery_for_each(j, 0, NR, &params, job_run), -EPIPE);
	KUNIT_EXPECT_EQ(test, j->next, 1001);
	KUNIT_EXPECT_EQ(test, atomic_read(&j->wrong), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(all_of_the_range_is_done_once),
	KUNIT_CASE(on_every_executor),
	KUNIT_CASE(ranges_at_the_edge),
	KUNIT_CASE(max_active_bounds_the_calls),
	KUNIT_CASE(as_many_workers_as_asked_for),
	KUNIT_CASE(first_error_stops_the_rest),
	KUNIT_CASE(i6_an_error_wakes_the_others),
	KUNIT_CASE(i3_cancel_travels_down_into_for_each),
	KUNIT_CASE(a_cancelled_worker_stops_all),
	KUNIT_CASE(i5_for_each_with_one_worker),
	KUNIT_CASE(i5_for_each_in_for_each),
	KUNIT_CASE(in_order_tells_all_in_order),
	KUNIT_CASE(in_order_does_not_stall_the_work),
	KUNIT_CASE(in_order_and_max_active),
	KUNIT_CASE(in_order_stops_at_an_error),
	{ }
};

struct kunit_suite nursery_for_each_suite = { .name = "nursery_for_each", .test_cases = cases };
