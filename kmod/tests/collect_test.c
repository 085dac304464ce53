// SPDX-License-Identifier: GPL-2.0-only
/* nursery_next(): children as they finish. */
#include <linux/slab.h>

#include "util.h"

/* A child that records how often it came. */
struct item {
	struct nursery_child	child;
	struct completion	*gate;
	int			ret;
	unsigned int		came;
	struct task_struct	*task;
};

static int item_run(struct nursery_child *c)
{
	struct item *item = container_of(c, struct item, child);

	item->task = current;
	if (item->gate)
		wait_for_completion(item->gate);
	return item->ret;
}

static void item_init(struct item *item, int ret)
{
	*item = (struct item) { .ret = ret };
	nursery_child_init(&item->child, item_run, NULL);
}

static struct item *next(struct nursery *n)
{
	struct nursery_child *c = nursery_next(n);

	return c ? container_of(c, struct item, child) : NULL;
}

static void children_come_as_they_finish(struct kunit *test)
{
	struct completion gates[3];
	struct item items[3];
	int i;

	scoped_nursery(n, .flags = NURSERY_COLLECT | NURSERY_NO_HELP) {
		for (i = 0; i < 3; i++) {
			init_completion(&gates[i]);
			item_init(&items[i], 0);
			items[i].gate = &gates[i];
			nursery_spawn(n, &items[i].child);
		}
		complete(&gates[1]);
		KUNIT_EXPECT_PTR_EQ(test, next(n), &items[1]);
		complete(&gates[2]);
		KUNIT_EXPECT_PTR_EQ(test, next(n), &items[2]);
		complete(&gates[0]);
		KUNIT_EXPECT_PTR_EQ(test, next(n), &items[0]);
		KUNIT_EXPECT_NULL(test, next(n));
	}
}

#define MANY	10000

static void each_comes_once(struct kunit *test)
{
	struct item *items = kvcalloc(MANY, sizeof(*items), GFP_KERNEL), *item;
	unsigned int i, nr = 0, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, items);
	scoped_nursery(n, .flags = NURSERY_COLLECT | NURSERY_SUPERVISE) {
		for (i = 0; i < MANY; i++) {
			item_init(&items[i], -1 - (int)i % 100);
			nursery_spawn(n, &items[i].child);
		}
		while ((item = next(n))) {
			nr++;
			wrong += nursery_child_join(&item->child) != item->ret;
			item->came++;
		}
		KUNIT_EXPECT_NULL(test, next(n));
	}
	for (i = 0; i < MANY; i++)
		wrong += items[i].came != 1;
	KUNIT_EXPECT_EQ(test, nr, MANY);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	kvfree(items);
}

/* The only worker is busy: who asks runs them himself (I5). */
static void i5_who_asks_helps(struct kunit *test)
{
	struct item *items = kunit_kcalloc(test, 20, sizeof(*items), GFP_KERNEL);
	struct nursery_executor *e = busy_worker(test);
	unsigned int i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, items);
	scoped_nursery(n, .flags = NURSERY_COLLECT, .executor = e) {
		for (i = 0; i < 20; i++) {
			item_init(&items[i], 0);
			nursery_spawn(n, &items[i].child);
		}
		while (next(n))
			nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, 20);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_PTR_EQ(test, items[i].task, current);
	busy_worker_destroy(e);
}

/* It is the caller's then: a generator that feeds itself. */
static void who_came_may_be_spawned_again(struct kunit *test)
{
	struct item a, b, *item;
	unsigned int nr = 0;

	item_init(&a, 0);
	item_init(&b, 0);
	scoped_nursery(n, .flags = NURSERY_COLLECT) {
		nursery_spawn(n, &a.child);
		nursery_spawn(n, &b.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&a.child), 0);
		/* Not before: it is in the list. */
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &a.child), -EBUSY);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &a.child), -EBUSY);
		while ((item = next(n)))
			if (++nr <= 100)
				KUNIT_EXPECT_EQ(test, nursery_spawn(n, &item->child), 0);
	}
	KUNIT_EXPECT_EQ(test, nr, 102);
}

static void join_takes_those_that_are_left(struct kunit *test)
{
	struct item items[3];
	int i, err = -1;

	for (i = 0; i < 3; i++)
		item_init(&items[i], 0);
	scoped_nursery(n, .flags = NURSERY_COLLECT, .result = &err) {
		for (i = 0; i < 3; i++)
			nursery_spawn(n, &items[i].child);
		KUNIT_EXPECT_NOT_NULL(test, next(n));
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	/* They are not in the list of a nursery that is gone. */
	scoped_nursery(n)
		for (i = 0; i < 3; i++)
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &items[i].child), 0);
}

/* Those with a done() have told. */
static void who_has_told_does_not_come(struct kunit *test)
{
	struct probe p;
	struct item item;

	probe_init(&p, 0);
	item_init(&item, 0);
	scoped_nursery(n, .flags = NURSERY_COLLECT) {
		nursery_spawn(n, &p.child);
		nursery_spawn(n, &item.child);
		KUNIT_EXPECT_PTR_EQ(test, next(n), &item);
		KUNIT_EXPECT_NULL(test, next(n));
		KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 1);
	}
}

static void complete_child(void *c)
{
	nursery_child_complete(c, -EIO);
}

static void external_children_come(struct kunit *test)
{
	struct nursery_child c;
	int err = -1;

	nursery_child_init(&c, NULL, NULL);
	scoped_nursery(n, .flags = NURSERY_COLLECT | NURSERY_SUPERVISE, .result = &err) {
		nursery_child_begin(n, &c);
		run_in_hardirq(complete_child, &c);
		KUNIT_EXPECT_PTR_EQ(test, nursery_next(n), &c);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&c), -EIO);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

/* Hardware that finishes when somebody waits for it. */
struct finisher {
	struct nursery_child	child, hardware;
	struct task_struct	*waiter;
};

static int finish_run(struct nursery_child *c)
{
	struct finisher *f = container_of(c, struct finisher, child);

	wait_until_asleep(f->waiter);
	run_in_hardirq(complete_child, &f->hardware);
	return 0;
}

/* As long as there is one child it does not say that there is none. */
static void who_asks_waits_for_the_last_one(struct kunit *test)
{
	struct finisher f = { .waiter = current };

	nursery_child_init(&f.hardware, NULL, NULL);
	nursery_child_init(&f.child, finish_run, NULL);
	scoped_nursery(beside, .executor = nursery_executor_thread) {
		scoped_nursery(n, .flags = NURSERY_COLLECT | NURSERY_SUPERVISE) {
			nursery_child_begin(n, &f.hardware);
			nursery_spawn(beside, &f.child);
			KUNIT_EXPECT_PTR_EQ(test, nursery_next(n), &f.hardware);
			KUNIT_EXPECT_NULL(test, nursery_next(n));
		}
	}
}

/* They wait to be asked for in the order in which they finished, and not the last one first. */
static void those_that_wait_come_in_order(struct kunit *test)
{
	struct nursery_child c[4];
	int i, k;

	for (i = 0; i < 4; i++)
		nursery_child_init(&c[i], NULL, NULL);
	scoped_nursery(n, .flags = NURSERY_COLLECT) {
		/* The list is empty in between, and has had more than one. */
		for (k = 0; k < 2; k++) {
			for (i = 0; i < 4; i++)
				nursery_child_begin(n, &c[i]);
			for (i = 0; i < 4; i++)
				nursery_child_complete(&c[i ^ 1], 0);
			for (i = 0; i < 4; i++)
				KUNIT_EXPECT_PTR_EQ(test, nursery_next(n), &c[i ^ 1]);
		}
		KUNIT_EXPECT_NULL(test, nursery_next(n));
	}
}

static int ready_or_fail(struct nursery_child *c)
{
	struct item *item = container_of(c, struct item, child);

	if (!item->ret)
		nursery_child_ready(c);
	return item->ret;
}

static void item_done(struct nursery_child *c)
{
	container_of(c, struct item, child)->came++;
}

/* As those that were spawned; and one that did not get ready has not been spawned. */
static void started_children_come_if_they_got_ready(struct kunit *test)
{
	struct item ready, told, failed;

	item_init(&ready, 0);
	nursery_child_init(&ready.child, ready_or_fail, NULL);
	item_init(&told, 0);
	nursery_child_init(&told.child, ready_or_fail, item_done);
	item_init(&failed, -EIO);
	nursery_child_init(&failed.child, ready_or_fail, NULL);
	scoped_nursery(n, .flags = NURSERY_COLLECT) {
		KUNIT_EXPECT_EQ(test, nursery_start(n, &told.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_start(n, &failed.child), -EIO);
		KUNIT_EXPECT_EQ(test, nursery_start(n, &ready.child), 0);
		KUNIT_EXPECT_PTR_EQ(test, next(n), &ready);
		KUNIT_EXPECT_NULL(test, next(n));
		KUNIT_EXPECT_EQ(test, told.came, 1);
		/* And is the caller's at once. */
		KUNIT_EXPECT_EQ(test, nursery_start(n, &failed.child), -EIO);
	}
}

/* One that fails comes, and so do those that it took with it: each has its result. */
static void cancelled_children_come(struct kunit *test)
{
	struct item failing, delayed;
	struct nursery_child *c;
	unsigned int nr = 0;
	int err = -1;

	item_init(&failing, -EIO);
	item_init(&delayed, 0);
	scoped_nursery(n, .flags = NURSERY_COLLECT, .result = &err) {
		nursery_spawn_delayed(n, &delayed.child, LONG_TIME);
		nursery_spawn(n, &failing.child);
		while ((c = nursery_next(n))) {
			nr++;
			KUNIT_EXPECT_EQ(test, nursery_child_join(c),
					c == &failing.child ? -EIO : -ECANCELED);
		}
	}
	KUNIT_EXPECT_EQ(test, nr, 2);
	KUNIT_EXPECT_EQ(test, err, -EIO);
}

static void service_does_not_keep_next(struct kunit *test)
{
	struct probe service;
	struct item item;

	probe_init(&service, -ECANCELED);
	service.sleep = LONG_TIME;
	nursery_child_set_service(&service.child);
	item_init(&item, 0);
	scoped_nursery(n, .flags = NURSERY_COLLECT) {
		nursery_spawn(n, &service.child);
		wait_for_completion(&service.started);
		nursery_spawn(n, &item.child);
		KUNIT_EXPECT_PTR_EQ(test, next(n), &item);
		KUNIT_EXPECT_NULL(test, next(n));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&service.child));
	}
}

struct async_scope {
	struct nursery		nursery;
	struct completion	over;
};

static void joined(struct nursery *n, int err)
{
	complete(&container_of(n, struct async_scope, nursery)->over);
}

static void async_join_ends_collecting(struct kunit *test)
{
	struct async_scope *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	const struct nursery_params params = { .flags = NURSERY_COLLECT };
	DECLARE_COMPLETION_ONSTACK(gate);
	struct item first, second;

	KUNIT_ASSERT_NOT_NULL(test, s);
	init_completion(&s->over);
	item_init(&first, 0);
	item_init(&second, 0);
	second.gate = &gate;
	nursery_init(&s->nursery, &params);
	nursery_spawn(&s->nursery, &first.child);
	nursery_spawn(&s->nursery, &second.child);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&first.child), 0);
	nursery_join_async(&s->nursery, joined);
	complete_all(&gate);
	wait_for_completion(&s->over);
	scoped_nursery(n) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &first.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &second.child), 0);
	}
}

static struct kunit_case collect_cases[] = {
	KUNIT_CASE(children_come_as_they_finish),
	KUNIT_CASE(each_comes_once),
	KUNIT_CASE(i5_who_asks_helps),
	KUNIT_CASE(who_came_may_be_spawned_again),
	KUNIT_CASE(join_takes_those_that_are_left),
	KUNIT_CASE(who_has_told_does_not_come),
	KUNIT_CASE(external_children_come),
	KUNIT_CASE(who_asks_waits_for_the_last_one),
	KUNIT_CASE(those_that_wait_come_in_order),
	KUNIT_CASE(started_children_come_if_they_got_ready),
	KUNIT_CASE(cancelled_children_come),
	KUNIT_CASE(service_does_not_keep_next),
	KUNIT_CASE(async_join_ends_collecting),
	{ }
};

struct kunit_suite nursery_collect_suite = {
	.name = "nursery_collect",
	.test_cases = collect_cases,
};
