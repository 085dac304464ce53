// SPDX-License-Identifier: GPL-2.0-only
/* NURSERY_KEEP_PLACES: a child that parks keeps its place below max_active. */
#include <linux/slab.h>

#include "util.h"

/* A child that is under way from its first run to its done(), and parks meanwhile. */
struct walker {
	struct nursery_child	child;
	unsigned int		parks;		/* so many times */
	bool			unparks_itself;	/* or waits until it is unparked */
	unsigned int		runs;
	atomic_t		dones;
	struct completion	parked;		/* is about to return NURSERY_PARK */
	atomic_t		*under_way;	/* of all */
	atomic_t		*most;
};

static struct walker *to_walker(struct nursery_child *c)
{
	return container_of(c, struct walker, child);
}

static void count(struct walker *w)
{
	int now = atomic_inc_return(w->under_way), most = atomic_read(w->most);

	do {
		if (now <= most)
			return;
	} while (!atomic_try_cmpxchg(w->most, &most, now));
}

static int walker_run(struct nursery_child *c)
{
	struct walker *w = to_walker(c);

	if (!w->runs++ && w->under_way)
		count(w);
	if (nursery_child_cancelled(c))
		return -ECANCELED;
	if (w->runs > w->parks)
		return 0;
	if (w->unparks_itself)
		nursery_child_unpark(c);
	complete(&w->parked);
	return NURSERY_PARK;
}

static void walker_done(struct nursery_child *c)
{
	struct walker *w = to_walker(c);

	if (w->under_way && w->runs)
		atomic_dec(w->under_way);
	atomic_inc(&w->dones);
}

static void walker_init(struct walker *w, unsigned int parks)
{
	*w = (struct walker) { .parks = parks };
	init_completion(&w->parked);
	nursery_child_init(&w->child, walker_run, walker_done);
}

/* With the inline executor a spawn returns when the child has run, if it has a place. */
static void parked_keeps_its_place(struct kunit *test)
{
	struct walker *w = NEW(test, struct walker, 3);
	struct probe probe;
	int i, err = -1;

	probe_init(&probe, 0);
	for (i = 0; i < 3; i++)
		walker_init(&w[i], 1);
	scoped_nursery(n, .executor = nursery_executor_inline, .max_active = 2, .result = &err,
		       .flags = NURSERY_KEEP_PLACES) {
		for (i = 0; i < 3; i++)
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &w[i].child), 0);
		KUNIT_EXPECT_EQ(test, w[0].runs, 1);
		KUNIT_EXPECT_EQ(test, w[1].runs, 1);
		KUNIT_EXPECT_EQ(test, w[2].runs, 0);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &probe.child), -EAGAIN);
		/* Not yet started, so it has none to keep. */
		KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(n, &probe.child, LONG_TIME), 0);

		nursery_child_unpark(&w[1].child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&w[1].child), 0);
		/* There is one for another, and it has it. */
		wait_for_completion(&w[2].parked);
		KUNIT_EXPECT_EQ(test, w[0].runs, 1);
		nursery_child_unpark(&w[2].child);
		nursery_child_unpark(&w[0].child);
		nursery_child_unpark(&probe.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, w[i].runs, 2);
		KUNIT_EXPECT_EQ(test, atomic_read(&w[i].dones), 1);
	}
}

#define BOUND	4
#define NR	32

/* On each executor as many are under way as max_active says, and no more. */
static void never_more_than_the_bound_are_under_way(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	const struct nursery_executor *executors[] = {
		nursery_executor_unbound, nursery_executor_percpu, nursery_executor_thread,
		nursery_executor_inline, e,
	};
	struct walker *w = NEW(test, struct walker, NR);
	unsigned int i, j, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(executors); i++) {
		atomic_t under_way = ATOMIC_INIT(0), most = ATOMIC_INIT(0);
		int err = -1;

		scoped_nursery(n, .executor = executors[i], .max_active = BOUND, .result = &err,
			       .flags = NURSERY_KEEP_PLACES) {
			for (j = 0; j < NR; j++) {
				walker_init(&w[j], j % 4);
				w[j].unparks_itself = j % 8 < 4;
				w[j].under_way = &under_way;
				w[j].most = &most;
				nursery_spawn(n, &w[j].child);
			}
			for (j = 0; j < NR; j++)
				while (!w[j].unparks_itself && !atomic_read(&w[j].dones)) {
					nursery_child_unpark(&w[j].child);
					schedule_timeout_uninterruptible(1);
				}
		}
		KUNIT_EXPECT_EQ(test, err, 0);
		KUNIT_EXPECT_LE(test, atomic_read(&most), BOUND);
		KUNIT_EXPECT_EQ(test, atomic_read(&under_way), 0);
		for (j = 0; j < NR; j++)
			wrong += atomic_read(&w[j].dones) != 1 || w[j].runs <= w[j].parks;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	single_worker_destroy(e);
}

/* How many of @nr find a place? They are spawned, and park. */
static unsigned int places(struct nursery *n, struct walker *w, unsigned int nr)
{
	unsigned int i, found = 0;

	for (i = 0; i < nr; i++) {
		walker_init(&w[i], 1);
		found += !nursery_try_spawn(n, &w[i].child);
	}
	return found;
}

/* Whatever ends a parked child, and wherever it is then: its place is free, once. */
static void cancelled_child_gives_its_place_back(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	struct walker *w = NEW(test, struct walker, 3), *more = NEW(test, struct walker, 3);
	int i, err = -1;

	for (i = 0; i < 3; i++)
		walker_init(&w[i], 1);
	scoped_nursery(n, .executor = e, .max_active = 2, .result = &err,
		       .flags = NURSERY_KEEP_PLACES) {
		for (i = 0; i < 2; i++)
			nursery_spawn_on(n, &w[i].child, nursery_executor_inline);
		KUNIT_EXPECT_EQ(test, w[1].runs, 1);
		/* Parked. */
		nursery_child_cancel(&w[0].child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&w[0].child), -ECANCELED);
		/* Unparked, and its worker does not come. */
		nursery_child_unpark(&w[1].child);
		nursery_child_cancel(&w[1].child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&w[1].child), -ECANCELED);
		KUNIT_EXPECT_EQ(test, places(n, more, 3), 2);
		for (i = 0; i < 2; i++)
			nursery_child_cancel(&more[i].child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, w[i].runs, 2);
	busy_worker_destroy(e);
}

static void cancel_ends_parked_and_waiting(struct kunit *test)
{
	struct walker *w = NEW(test, struct walker, 8);
	int i, err = -1;

	scoped_nursery(n, .executor = nursery_executor_inline, .max_active = 2, .result = &err,
		       .flags = NURSERY_KEEP_PLACES) {
		for (i = 0; i < 8; i++) {
			walker_init(&w[i], 1);
			nursery_spawn(n, &w[i].child);
		}
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_EQ(test, w[i].runs, i < 2 ? 2 : 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&w[i].dones), 1);
	}
}

/* A service has no place to keep. */
static void parked_service_takes_none(struct kunit *test)
{
	struct walker service, w;
	int err = -1;

	walker_init(&service, 100);
	walker_init(&w, 0);
	nursery_child_set_service(&service.child);
	scoped_nursery(n, .max_active = 1, .flags = NURSERY_KEEP_PLACES, .result = &err) {
		nursery_spawn(n, &service.child);
		wait_for_completion(&service.parked);
		nursery_child_unpark(&service.child);
		wait_for_completion(&service.parked);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &w.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&w.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, service.runs, 3);
}

struct late {
	struct work_struct	work;
	struct task_struct	*joiner;
	struct nursery_child	*child;
};

static void unpark_when_asleep(struct work_struct *work)
{
	struct late *late = container_of(work, struct late, work);

	wait_until_asleep(late->joiner);
	nursery_child_unpark(late->child);
}

/* The executor's only worker does not come: the joiner runs it again, or there is no end. */
static void i5_joiner_runs_it_again(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	struct late late = { .joiner = current };
	struct walker w;
	int err = -1;

	INIT_WORK_ONSTACK(&late.work, unpark_when_asleep);
	walker_init(&w, 1);
	late.child = &w.child;
	scoped_nursery(n, .executor = e, .max_active = 1, .flags = NURSERY_KEEP_PLACES,
		       .result = &err) {
		nursery_spawn_on(n, &w.child, nursery_executor_inline);
		queue_work(system_unbound_wq, &late.work);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, w.runs, 2);
	flush_work(&late.work);
	destroy_work_on_stack(&late.work);
	busy_worker_destroy(e);
}

static struct kunit_case place_cases[] = {
	KUNIT_CASE(parked_keeps_its_place),
	KUNIT_CASE(never_more_than_the_bound_are_under_way),
	KUNIT_CASE(cancelled_child_gives_its_place_back),
	KUNIT_CASE(cancel_ends_parked_and_waiting),
	KUNIT_CASE(parked_service_takes_none),
	KUNIT_CASE(i5_joiner_runs_it_again),
	{ }
};

struct kunit_suite nursery_place_suite = { .name = "nursery_place", .test_cases = place_cases };
