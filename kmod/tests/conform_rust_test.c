// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Rust's scopes promise, here: async_scoped, structured_spawn, moro, and tokio's
 * TaskTracker and JoinSet. See Documentation/core-api/nursery-conformance.rst.
 */
#include <linux/slab.h>

#include "util.h"

/* async_scoped: children that compute into the caller's array */

struct cell {
	struct nursery_child child;
	int *out;
	int index;
	struct completion *before;	/* wait for this; NULL: not */
	struct completion *after;	/* and let this one go */
};

static int fill(struct nursery_child *c)
{
	struct cell *cell = container_of(c, struct cell, child);

	if (cell->before)
		wait_for_completion(cell->before);
	*cell->out = cell->index * cell->index;
	if (cell->after)
		complete(cell->after);
	return 0;
}

static atomic_t completed;

static void count(struct nursery_child *c)
{
	atomic_inc(&completed);
}

#define CELLS	100
#define DEFAULT	(-7)

/* Cancelled half way: all complete, and who did not run has left the default. */
static void cancellation_completeness(struct kunit *test)
{
	struct cell *cell = kunit_kcalloc(test, CELLS, sizeof(*cell), GFP_KERNEL);
	int *out = kunit_kcalloc(test, CELLS, sizeof(*out), GFP_KERNEL);
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	int i, result, ran = 0, skipped = 0, err = -1;
	struct probe busy;

	KUNIT_ASSERT_NOT_NULL(test, cell);
	KUNIT_ASSERT_NOT_NULL(test, out);
	atomic_set(&completed, 0);
	probe_init(&busy, 0);
	busy.gate = &gate;
	scoped_nursery(n, .name = "half", .executor = e, .result = &err) {
		for (i = 0; i < CELLS; i++) {
			cell[i] = (struct cell){ .out = &out[i], .index = i };
			out[i] = DEFAULT;
			nursery_child_init(&cell[i].child, fill, count);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &cell[i].child), 0);
			if (i != CELLS / 2 - 1)
				continue;
			nursery_child_join(&cell[i].child);
			/* The second half finds the worker busy. */
			nursery_spawn(n, &busy.child);
			wait_for_completion(&busy.started);
		}
		nursery_cancel(n, 0);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&completed), CELLS);
	for (i = 0; i < CELLS; i++) {
		result = nursery_child_join(&cell[i].child);
		ran += !result && out[i] == i * i;
		skipped += result == -ECANCELED && out[i] == DEFAULT;
	}
	KUNIT_EXPECT_EQ(test, ran + skipped, CELLS);
	KUNIT_EXPECT_GT(test, ran, 0);
	KUNIT_EXPECT_GE(test, skipped, CELLS / 2);
	single_worker_destroy(e);
}

struct borrower {
	struct nursery_child child;
	const int *borrowed;
	struct completion started;
	bool intact;
};

static int use_what_is_borrowed(struct nursery_child *c)
{
	struct borrower *b = container_of(c, struct borrower, child);

	complete(&b->started);
	nursery_sleep(c, LONG_TIME);
	b->intact = READ_ONCE(*b->borrowed) == 42;
	return -ECANCELED;
}

/* Leaves early, with a child that uses this frame. */
static noinline int lend_and_leave(struct borrower *b)
{
	int lent = 42, err = -1;

	b->borrowed = &lent;
	scoped_nursery(n, .name = "lend", .result = &err) {
		nursery_spawn(n, &b->child);
		wait_for_completion(&b->started);
		nursery_cancel(n, -EINTR);
		goto out;
	}
out:
	WRITE_ONCE(lent, 0);
	return err;
}

static void cancellation_soundness(struct kunit *test)
{
	struct borrower *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	init_completion(&b->started);
	nursery_child_init(&b->child, use_what_is_borrowed, NULL);
	KUNIT_EXPECT_EQ(test, lend_and_leave(b), -EINTR);
	KUNIT_EXPECT_TRUE(test, b->intact);
}

/* The last is over first; the results are in the order of the spawns all the same. */
static void ordered_collect(struct kunit *test)
{
	struct completion *over = kunit_kcalloc(test, 9, sizeof(*over), GFP_KERNEL);
	struct cell *cell = kunit_kcalloc(test, 8, sizeof(*cell), GFP_KERNEL);
	int out[8] = { };
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, over);
	KUNIT_ASSERT_NOT_NULL(test, cell);
	for (i = 0; i < 9; i++)
		init_completion(&over[i]);
	scoped_nursery(n, .name = "ordered", .executor = nursery_executor_thread,
		       .result = &err) {
		for (i = 0; i < 8; i++) {
			cell[i] = (struct cell){
				.out = &out[i], .index = i,
				.before = &over[i + 1], .after = &over[i],
			};
			nursery_child_init(&cell[i].child, fill, NULL);
			nursery_spawn(n, &cell[i].child);
		}
		KUNIT_EXPECT_FALSE(test, completion_done(&over[0]));
		complete(&over[8]);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, out[i], i * i);
}

/* structured_spawn: what a task holds is given back before anybody can see that it ended */

struct holder {
	struct nursery_child child;
	struct completion *held;
	const char **log;		/* where to write next */
	int err;
};

static void drop(void *data)
{
	struct holder *h = data;

	*h->log++ = "held";
}

static int hold(struct nursery_child *c)
{
	struct holder *h = container_of(c, struct holder, child);
	int err = 0;

	scoped_nursery(n, .name = "hold", .parent = c) {
		err = nursery_defer(n, drop, h);
		complete(h->held);
		err = err ?: nursery_sleep(c, LONG_TIME);
	}
	return err;
}

static void strict_drop_ordering(struct kunit *test)
{
	struct holder *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(held);
	const char *log[2] = { };
	int err = 0;

	KUNIT_ASSERT_NOT_NULL(test, h);
	h->held = &held;
	h->log = log;
	nursery_child_init(&h->child, hold, NULL);
	scoped_nursery(n, .name = "late", .result = &err) {
		nursery_spawn(n, &h->child);
		wait_for_completion(&held);
		KUNIT_EXPECT_NULL(test, log[0]);
		nursery_set_deadline(n, ktime_get());
		/* Who joins just the child sees it, too. */
		KUNIT_EXPECT_EQ(test, nursery_child_join(&h->child), -ECANCELED);
		KUNIT_EXPECT_STREQ(test, log[0] ?: "", "held");
	}
	KUNIT_EXPECT_EQ(test, err, -ETIMEDOUT);
	KUNIT_EXPECT_NULL(test, log[1]);
}

/* moro: a job awaits a job that it spawned in the same scope, both use its caller's stack */

struct job {
	struct nursery_child child;
	struct nursery *n;
	struct job *inner;
	const int *value;
	int result;
};

static int job_run(struct nursery_child *c)
{
	struct job *j = container_of(c, struct job, child);
	int err;

	if (!j->inner) {
		j->result = *j->value;
		return 0;
	}
	err = nursery_spawn(j->n, &j->inner->child) ?: nursery_child_join(&j->inner->child);
	j->result = j->inner->result * 2;
	return err;
}

static void hello_world(struct kunit *test)
{
	int value = 22, result = 0, err = -1;
	struct job inner = { .value = &value };
	struct job outer = { .inner = &inner };

	scoped_nursery(n, .name = "hello", .result = &err) {
		outer.n = n;
		nursery_child_init(&inner.child, job_run, NULL);
		nursery_child_init(&outer.child, job_run, NULL);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &outer.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&outer.child), 0);
		result = outer.result * 2;
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, result, 88);
}

struct input {
	struct nursery_child child;
	int value;
	bool lasting;		/* who is good goes on until it is cancelled */
};

static int validate(struct nursery_child *c)
{
	struct input *in = container_of(c, struct input, child);

	if (in->value < 0)
		return -ERANGE;
	return in->lasting ? nursery_sleep(c, LONG_TIME) : 0;
}

static int monitor_run(const int *values, int nr, bool lasting)
{
	struct input in[4];
	int i, err = -1;

	scoped_nursery(n, .name = "monitor", .result = &err) {
		for (i = 0; i < nr; i++) {
			in[i] = (struct input){ .value = values[i], .lasting = lasting };
			nursery_child_init(&in[i].child, validate, NULL);
			/* Refused once a bad one was seen. */
			if (nursery_spawn(n, &in[i].child))
				break;
		}
	}
	return err;
}

static void monitor(struct kunit *test)
{
	static const int good[] = { 1, 2, 10 }, bad[] = { 1, 2, -3, 10 };

	KUNIT_EXPECT_EQ(test, monitor_run(good, 3, false), 0);
	KUNIT_EXPECT_EQ(test, monitor_run(bad, 4, false), -ERANGE);
	/* Without the cancel this one would not come back. */
	KUNIT_EXPECT_EQ(test, monitor_run(bad, 4, true), -ERANGE);
}

#define REPLICAS	3
#define WIDTH		2
#define MESSAGES	200

/* One sends and one receives. A completion counts: how many slots are free, or filled. */
struct queue {
	struct completion room, full;
	int slot[WIDTH];
};

static void queue_init(struct queue *q)
{
	int i;

	init_completion(&q->room);
	init_completion(&q->full);
	for (i = 0; i < WIDTH; i++)
		complete(&q->room);
}

struct replica {
	struct nursery_child child;
	struct queue queue;
	int received, sum;
};

static int replica_run(struct nursery_child *c)
{
	struct replica *r = container_of(c, struct replica, child);
	int message;

	do {
		wait_for_completion(&r->queue.full);
		message = r->queue.slot[r->received++ % WIDTH];
		complete(&r->queue.room);
		r->sum += message;
	} while (message);
	return 0;
}

/* The host fills queues that are narrow, and the consumers are not all started yet. */
static void replicas(struct kunit *test)
{
	struct replica *r = kunit_kcalloc(test, REPLICAS, sizeof(*r), GFP_KERNEL);
	int i, message, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, r);
	scoped_nursery(n, .name = "replicas", .result = &err) {
		for (i = 0; i < REPLICAS; i++) {
			queue_init(&r[i].queue);
			nursery_child_init(&r[i].child, replica_run, NULL);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &r[i].child), 0);
		}
		for (message = MESSAGES; message >= 0; message--) {
			for (i = 0; i < REPLICAS; i++) {
				wait_for_completion(&r[i].queue.room);
				r[i].queue.slot[(MESSAGES - message) % WIDTH] = message;
				complete(&r[i].queue.full);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < REPLICAS; i++) {
		KUNIT_EXPECT_EQ(test, r[i].received, MESSAGES + 1);
		KUNIT_EXPECT_EQ(test, r[i].sum, MESSAGES * (MESSAGES + 1) / 2);
	}
}

/* A child ends the scope with a value, which is no error. */
struct finder {
	struct nursery_child child;
	struct nursery *n;
	int found;
};

static int find(struct nursery_child *c)
{
	struct finder *f = container_of(c, struct finder, child);

	f->found = 23;
	nursery_cancel(f->n, 0);
	/* It is cancelled itself: what it would do next ends at once. */
	return nursery_sleep(c, LONG_TIME);
}

static void terminate(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 4, sizeof(*p), GFP_KERNEL);
	struct finder f = { };
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "search", .result = &err) {
		for (i = 0; i < 4; i++) {
			probe_init(&p[i], 0);
			p[i].sleep = LONG_TIME;
			nursery_spawn(n, &p[i].child);
		}
		f.n = n;
		nursery_child_init(&f.child, find, NULL);
		nursery_spawn(n, &f.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, f.found, 23);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[i].child), -ECANCELED);
}

/* tokio: tasks are spawned from outside while the tracker is closed */

#define SPAWNERS	4
#define ATTEMPTS	64
#define ROUNDS		100

static struct nursery tracker;

struct spawner {
	struct nursery_child child;
	struct nursery_child task[ATTEMPTS];
	int accepted, wrong;
	bool refused;
};

static int nothing(struct nursery_child *c)
{
	return 0;
}

/* Once refused, always refused. */
static int spawn_all(struct nursery_child *c)
{
	struct spawner *s = container_of(c, struct spawner, child);
	int i, err;

	for (i = 0; i < ATTEMPTS; i++) {
		nursery_child_init(&s->task[i], nothing, count);
		err = nursery_spawn(&tracker, &s->task[i]);
		if (!err) {
			s->accepted++;
			s->wrong += s->refused;
		} else {
			s->refused = true;
			s->wrong += err != -ESHUTDOWN;
		}
		cond_resched();
	}
	return 0;
}

static void close_against_spawn(struct kunit *test)
{
	struct spawner *s = kunit_kcalloc(test, SPAWNERS, sizeof(*s), GFP_KERNEL);
	int i, round, joined, at_join, accepted, wrong = 0, lost = 0, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, s);
	for (round = 0; round < ROUNDS; round++) {
		atomic_set(&completed, 0);
		nursery_init(&tracker, NULL);
		scoped_nursery(n, .name = "spawners", .flags = NURSERY_NO_HELP, .result = &err) {
			for (i = 0; i < SPAWNERS; i++) {
				s[i].accepted = 0;
				s[i].refused = false;
				nursery_child_init(&s[i].child, spawn_all, NULL);
				nursery_spawn(n, &s[i].child);
			}
			joined = nursery_join(&tracker);
			at_join = atomic_read(&completed);
		}
		for (i = 0, accepted = 0; i < SPAWNERS; i++) {
			accepted += s[i].accepted;
			wrong += s[i].wrong;
		}
		/* All that was let in is over at the join, and nothing was let in later. */
		lost += accepted != at_join;
		wrong += joined || err;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, lost, 0);
}

/* tokio's JoinSet: who is over first comes first, and a set that is empty says so. */
static void join_next(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 3, sizeof(*p), GFP_KERNEL);
	struct completion gate[3];
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, p);
	scoped_nursery(n, .name = "set", .executor = nursery_executor_thread,
		       .flags = NURSERY_COLLECT | NURSERY_NO_HELP, .result = &err) {
		KUNIT_EXPECT_NULL(test, nursery_next(n));
		for (i = 0; i < 3; i++) {
			init_completion(&gate[i]);
			probe_init(&p[i], 0);
			p[i].gate = &gate[i];
			nursery_child_init(&p[i].child, probe_run, NULL);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[i].child), 0);
		}
		for (i = 2; i >= 0; i--) {
			complete(&gate[i]);
			KUNIT_EXPECT_PTR_EQ(test, nursery_next(n), &p[i].child);
		}
		KUNIT_EXPECT_NULL(test, nursery_next(n));
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(cancellation_completeness),
	KUNIT_CASE(cancellation_soundness),
	KUNIT_CASE(ordered_collect),
	KUNIT_CASE(strict_drop_ordering),
	KUNIT_CASE(hello_world),
	KUNIT_CASE(monitor),
	KUNIT_CASE(replicas),
	KUNIT_CASE(terminate),
	KUNIT_CASE(close_against_spawn),
	KUNIT_CASE(join_next),
	{ }
};

struct kunit_suite nursery_conform_rust_suite = {
	.name = "nursery_conform_rust", .test_cases = cases,
};
