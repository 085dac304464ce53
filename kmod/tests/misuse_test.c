// SPDX-License-Identifier: GPL-2.0-only
/*
 * Misuse that has a defined answer: an errno, and nothing changed. What is reported
 * instead is tested by selftests/nursery/misuse.sh.
 */
#include <linux/slab.h>

#include "util.h"

static int start_by_spawn(struct nursery *n, struct nursery_child *c)
{
	return nursery_spawn(n, c);
}

static int start_by_spawn_on(struct nursery *n, struct nursery_child *c)
{
	return nursery_spawn_on(n, c, nursery_executor_thread);
}

static int start_by_begin(struct nursery *n, struct nursery_child *c)
{
	int err;

	nursery_child_init(c, NULL, NULL);
	err = nursery_child_begin(n, c);
	if (!err)
		nursery_child_complete(c, 0);
	return err;
}

static int start_later(struct nursery *n, struct nursery_child *c)
{
	return nursery_spawn_delayed(n, c, 1);
}

static int get_ready(struct nursery_child *c)
{
	nursery_child_ready(c);
	return 0;
}

static int start_and_wait(struct nursery *n, struct nursery_child *c)
{
	nursery_child_init(c, get_ready, NULL);
	return nursery_start(n, c);
}

/* All ways to start a child. */
static int (* const start[])(struct nursery *n, struct nursery_child *c) = {
	start_by_spawn, start_by_spawn_on, start_by_begin, start_later, start_and_wait,
};

static void nothing_starts_in_a_cancelled_nursery(struct kunit *test)
{
	struct nursery n, other;
	struct probe p;
	int i;

	nursery_init(&n, NULL);
	nursery_cancel(&n, -EINTR);
	for (i = 0; i < ARRAY_SIZE(start); i++) {
		probe_init(&p, 0);
		nursery_init(&other, NULL);
		KUNIT_EXPECT_EQ(test, start[i](&n, &p.child), -ECANCELED);
		KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 0);
		/* The caller's, as before. */
		KUNIT_EXPECT_EQ(test, start[i](&other, &p.child), 0);
		/* Joined with it, as its done() may still run when it has been joined alone. */
		KUNIT_EXPECT_EQ(test, nursery_join(&other), 0);
	}
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
}

static void nothing_starts_in_a_joined_nursery(struct kunit *test)
{
	struct nursery n, other;
	struct probe p;
	int i;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	for (i = 0; i < ARRAY_SIZE(start); i++) {
		probe_init(&p, 0);
		nursery_init(&other, NULL);
		KUNIT_EXPECT_EQ(test, start[i](&n, &p.child), -ESHUTDOWN);
		KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 0);
		KUNIT_EXPECT_EQ(test, start[i](&other, &p.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_join(&other), 0);
	}
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void never(void *data)
{
	*(bool *)data = true;
}

static void a_joined_nursery_does_not_change(struct kunit *test)
{
	bool called = false;
	struct nursery n;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	nursery_cancel(&n, -EIO);
	nursery_set_deadline(&n, 0);
	KUNIT_EXPECT_FALSE(test, nursery_cancelled(&n));
	KUNIT_EXPECT_EQ(test, nursery_effective_deadline(&n), KTIME_MAX);
	KUNIT_EXPECT_EQ(test, nursery_defer(&n, never, &called), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_FALSE(test, called);
}

/* A nursery of its own refuses it, too; the one that it belongs to gets it back once. */
static void expect_busy(struct kunit *test, struct nursery *n, struct nursery_child *c)
{
	struct nursery other;

	nursery_init(&other, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(n, c), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_spawn_on(n, c, nursery_executor_thread), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&other, c), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(&other, c, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_start(&other, c), -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_join(&other), 0);
}

static void a_child_is_spawned_once(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct nursery_child hardware;
	struct probe *p = kunit_kcalloc(test, 4, sizeof(*p), GFP_KERNEL);
	struct probe *runs = p, *queued = p + 1, *submitted = p + 2, *waits = p + 3;
	struct plug plug;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 4; i++)
		probe_init(&p[i], 0);
	runs->gate = &gate;
	nursery_child_init(&hardware, NULL, NULL);
	scoped_nursery(n, .name = "busy", .executor = e) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &runs->child), 0);
		wait_for_completion(&runs->started);
		expect_busy(test, n, &runs->child);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &queued->child), 0);
		expect_busy(test, n, &queued->child);
		KUNIT_EXPECT_EQ(test, nursery_child_begin(n, &hardware), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_begin(n, &hardware), -EBUSY);
		nursery_child_complete(&hardware, 0);
		complete(&gate);
	}
	plug_insert(&plug, e->wq);
	scoped_nursery(n, .name = "busy elsewhere") {
		KUNIT_EXPECT_EQ(test, nursery_spawn_on(n, &submitted->child, e), 0);
		expect_busy(test, n, &submitted->child);
		plug_remove(&plug);
	}
	reinit_completion(&gate);
	reinit_completion(&runs->started);
	scoped_nursery(n, .name = "busy in order", .max_active = 1) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &runs->child), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &waits->child), 0);
		expect_busy(test, n, &waits->child);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&runs->dones), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&queued->dones), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&submitted->dones), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&waits->dones), 1);
	single_worker_destroy(e);
}

static void joining_twice_gives_the_same_result(struct kunit *test)
{
	struct nursery n;
	struct probe p;
	int i;

	nursery_init(&n, NULL);
	probe_init(&p, -EIO);
	nursery_spawn(&n, &p.child);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, nursery_join(&n), -EIO);

	nursery_init(&n, NULL);
	nursery_cancel(&n, -EINTR);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);

	/* A new life forgets it. */
	nursery_init(&n, NULL);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

#define DEPTH	6

/* Each level is a child that opens a nursery, in turn below itself and below another. */
struct descendant {
	struct nursery_child child;
	struct descendant *up;
	struct nursery *nursery;		/* that it belongs to */
	int depth;
	int allowed;				/* joins that were not refused */
};

static int join_all_above(struct nursery_child *c)
{
	struct descendant *d = container_of(c, struct descendant, child), *at;
	struct descendant below = { .up = d, .depth = d->depth + 1 };
	int err = 0;

	nursery_child_init(&below.child, join_all_above, NULL);
	for (at = d; at; at = at->up) {
		d->allowed += nursery_join(at->nursery) != -EDEADLK;
		d->allowed += nursery_child_join(&at->child) != -EDEADLK;
	}
	if (d->depth == DEPTH)
		return 0;
	scoped_nursery(n, .name = "level", .parent = c, .result = &err) {
		if (d->depth % 2) {
			below.nursery = n;
			nursery_spawn(n, &below.child);
			continue;
		}
		scoped_nursery(inner, .name = "inner level", .outer = n) {
			below.nursery = inner;
			nursery_spawn(inner, &below.child);
		}
	}
	d->allowed += below.allowed;
	return err;
}

static void a_descendant_joins_nothing_above(struct kunit *test)
{
	struct descendant top = { };
	int err = -1;

	nursery_child_init(&top.child, join_all_above, NULL);
	scoped_nursery(n, .name = "top", .result = &err) {
		top.nursery = n;
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &top.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, top.allowed, 0);
}

/* Who has been released, in order. */
struct order {
	char names[8];
	int nr;
};

struct mark {
	struct order *order;
	char name;
};

static void leave_mark(void *data)
{
	struct mark *m = data;

	m->order->names[m->order->nr++] = m->name;
}

enum way { BY_GOTO, BY_RETURN, BY_BREAK, NR_WAYS };

static noinline void leave_three_scopes(enum way way, struct probe *p, struct mark *m)
{
	scoped_nursery(outer, .name = "outer") {
		nursery_defer(outer, leave_mark, &m[0]);
		nursery_spawn(outer, &p[0].child);
		scoped_nursery(middle, .name = "middle", .outer = outer) {
			nursery_defer(middle, leave_mark, &m[1]);
			nursery_spawn(middle, &p[1].child);
			scoped_nursery(inner, .name = "inner", .outer = middle) {
				nursery_defer(inner, leave_mark, &m[2]);
				nursery_spawn(inner, &p[2].child);
				if (way == BY_GOTO)
					goto out;
				if (way == BY_RETURN)
					return;
				break;
			}
			break;
		}
		break;
	}
out:
	barrier();
}

static void scopes_left_at_once_are_joined_inside_out(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 3, sizeof(*p), GFP_KERNEL);
	struct order order;
	struct mark m[] = { { &order, 'o' }, { &order, 'm' }, { &order, 'i' } };
	enum way way;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (way = 0; way < NR_WAYS; way++) {
		order = (struct order){ };
		for (i = 0; i < 3; i++)
			probe_init(&p[i], 0);
		leave_three_scopes(way, p, m);
		KUNIT_EXPECT_STREQ(test, order.names, "imo");
		for (i = 0; i < 3; i++)
			KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), 1);
	}
}

/* More than are counted. */
#define MANY	300

struct opener {
	struct nursery_child child;
	struct nursery n[MANY];
	struct probe p[MANY];
	int err;
};

static int open_many(struct nursery_child *c)
{
	struct opener *o = container_of(c, struct opener, child);
	const struct nursery_params params = { .name = "one of many", .parent = c };
	int i;

	for (i = 0; i < MANY; i++) {
		nursery_init(&o->n[i], &params);
		probe_init(&o->p[i], 0);
		o->err = o->err ?: nursery_spawn(&o->n[i], &o->p[i].child);
	}
	/* In no order: every third, then the others. */
	for (i = 0; i < MANY; i += 3)
		o->err = o->err ?: nursery_join(&o->n[i]);
	for (i = 0; i < MANY; i++)
		o->err = o->err ?: nursery_join(&o->n[i]);
	return 0;
}

/* And they are not taken for left open: the log says nothing. */
static void a_child_joins_what_it_opened_in_any_order(struct kunit *test)
{
	struct opener *o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, o);
	nursery_child_init(&o->child, open_many, NULL);
	scoped_nursery(n, .name = "many", .result = &err)
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &o->child), 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, o->err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&o->p[MANY - 1].dones), 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(nothing_starts_in_a_cancelled_nursery),
	KUNIT_CASE(nothing_starts_in_a_joined_nursery),
	KUNIT_CASE(a_joined_nursery_does_not_change),
	KUNIT_CASE(a_child_is_spawned_once),
	KUNIT_CASE(joining_twice_gives_the_same_result),
	KUNIT_CASE(a_descendant_joins_nothing_above),
	KUNIT_CASE(scopes_left_at_once_are_joined_inside_out),
	KUNIT_CASE(a_child_joins_what_it_opened_in_any_order),
	{ }
};

struct kunit_suite nursery_misuse_suite = { .name = "nursery_misuse", .test_cases = cases };
