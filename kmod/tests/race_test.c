// SPDX-License-Identifier: GPL-2.0-only
/* The race: the first success wins, and the others are gone when it returns. */
#include <linux/slab.h>

#include "util.h"

#define MOST	8

/* Up to MOST probes that race, and the array that nursery_race() takes. */
struct racers {
	struct probe p[MOST];
	struct nursery_child *children[MOST];
};

static struct racers *racers_alloc(struct kunit *test)
{
	struct racers *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	for (i = 0; i < MOST; i++) {
		probe_init(&r->p[i], 0);
		r->children[i] = &r->p[i].child;
	}
	return r;
}

static void each_completed_once(struct kunit *test, struct racers *r, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&r->p[i].dones), 1, "child %d", i);
}

/* Open the gate of another one when this one has ended: that one ends later. */
static void done_opens_gate(struct nursery_child *c)
{
	struct probe *p = to_probe(c);

	probe_done(c);
	complete_all(p->gate);
}

static int run_then_open(struct nursery_child *c)
{
	struct probe *p = to_probe(c);

	atomic_inc(&p->runs);
	return p->ret;
}

static void first_success_wins(struct kunit *test)
{
	struct racers *r = racers_alloc(test);

	r->p[0].sleep = LONG_TIME;
	r->p[1].ret = -EIO;
	r->p[3].sleep = LONG_TIME;
	KUNIT_EXPECT_EQ(test, nursery_race(r->children, 4), 2);
	each_completed_once(test, r, 4);
	/* Cancelled while they slept, or before they started. */
	if (atomic_read(&r->p[0].runs))
		KUNIT_EXPECT_EQ(test, r->p[0].slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_child_join(r->children[0]), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_child_join(r->children[2]), 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(r->children[3]), -ECANCELED);
}

/* A success that comes after all the errors still wins. */
static void errors_do_not_decide(struct kunit *test)
{
	struct racers *r = racers_alloc(test);
	DECLARE_COMPLETION_ONSTACK(gate);

	r->p[0].ret = -EIO;
	r->p[0].gate = &gate;
	nursery_child_init(&r->p[0].child, run_then_open, done_opens_gate);
	r->p[1].gate = &gate;
	KUNIT_EXPECT_EQ(test, nursery_race(r->children, 2), 1);
	KUNIT_EXPECT_FALSE(test, r->p[1].saw_cancel);
	each_completed_once(test, r, 2);
}

static void if_none_succeeds_the_first_error_is_told(struct kunit *test)
{
	struct racers *r = racers_alloc(test);
	DECLARE_COMPLETION_ONSTACK(gate);

	/* The last one fails first. */
	r->p[0].ret = -EPERM;
	r->p[0].gate = &gate;
	r->p[1].ret = -ENXIO;
	r->p[1].gate = &gate;
	r->p[2].ret = -EIO;
	r->p[2].gate = &gate;
	nursery_child_init(&r->p[2].child, run_then_open, done_opens_gate);
	KUNIT_EXPECT_EQ(test, nursery_race(r->children, 3), -EIO);
	each_completed_once(test, r, 3);
}

/* Ends only when it is cancelled, and calls that a success. */
static int succeed_when_cancelled(struct nursery_child *c)
{
	complete_all(to_probe(c)->gate);
	nursery_sleep(c, LONG_TIME);
	return 0;
}

static void success_after_the_winner_does_not_win(struct kunit *test)
{
	struct racers *r = racers_alloc(test);
	DECLARE_COMPLETION_ONSTACK(gate);

	nursery_child_init(r->children[0], succeed_when_cancelled, probe_done);
	r->p[0].gate = &gate;
	r->p[1].gate = &gate;
	KUNIT_EXPECT_EQ(test, nursery_race(r->children, 2), 1);
	each_completed_once(test, r, 2);
	KUNIT_EXPECT_EQ(test, nursery_child_join(r->children[0]), 0);
}

/* Two that end at the same time: one of them wins, and all have completed. */
static void there_is_one_winner(struct kunit *test)
{
	struct racers *r = racers_alloc(test);
	int i, j, wrong = 0, won[MOST] = { };

	for (i = 0; i < 2000; i++) {
		int winner;

		for (j = 0; j < MOST; j++)
			probe_init(&r->p[j], j % 2 ? 0 : -EIO);
		winner = nursery_race(r->children, MOST);
		if (winner < 0 || winner >= MOST || !(winner % 2))
			wrong++;
		else
			won[winner]++;
		for (j = 0; j < MOST; j++)
			wrong += atomic_read(&r->p[j].dones) != 1;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, won[1] + won[3] + won[5] + won[7], 2000);
}

/* The children may be gone when the race returns; with KASAN. */
struct loose {
	struct nursery_child child;
	int ret;
};

static atomic_t loose_freed;

static int loose_run(struct nursery_child *c)
{
	return container_of(c, struct loose, child)->ret;
}

static void loose_done(struct nursery_child *c)
{
	kfree(container_of(c, struct loose, child));
	atomic_inc(&loose_freed);
}

static void done_may_free_the_children(struct kunit *test)
{
	struct nursery_child *children[4];
	int i, j;

	atomic_set(&loose_freed, 0);
	for (i = 0; i < 100; i++) {
		for (j = 0; j < 4; j++) {
			struct loose *l = kzalloc(sizeof(*l), GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, l);
			l->ret = j == 3 ? 0 : -EIO;
			nursery_child_init(&l->child, loose_run, loose_done);
			children[j] = &l->child;
		}
		KUNIT_EXPECT_EQ(test, nursery_race(children, 4), 3);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&loose_freed), 400);
}

static void refused_race_starts_nothing(struct kunit *test)
{
	struct racers *r = racers_alloc(test);
	DECLARE_COMPLETION_ONSTACK(gate);

	KUNIT_EXPECT_EQ(test, nursery_race(r->children, 0), -EINVAL);

	nursery_child_init(r->children[2], NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_race(r->children, 3), -EINVAL);

	probe_init(&r->p[2], 0);
	r->p[2].gate = &gate;
	scoped_nursery(n, .name = "busy") {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, r->children[2]), 0);
		KUNIT_EXPECT_EQ(test, nursery_race(r->children, 3), -EBUSY);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&r->p[0].runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->p[0].dones), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->p[2].runs), 1);
}

/* A race in a child, and what comes out of it. */
struct race {
	struct nursery_child child;
	struct racers *racers;
	int nr;
	bool below;
	bool late;		/* only when this child has been cancelled */
	struct completion started;
	int got;
};

static int race_run(struct nursery_child *c)
{
	struct race *r = container_of(c, struct race, child);

	complete(&r->started);
	if (r->late)
		nursery_sleep(c, LONG_TIME);
	r->got = r->below ? nursery_race_below(c, r->racers->children, r->nr) :
			    nursery_race(r->racers->children, r->nr);
	return 0;
}

static void race_init(struct race *r, struct racers *racers, int nr, bool below)
{
	*r = (struct race){ .racers = racers, .nr = nr, .below = below, .got = 1000 };
	init_completion(&r->started);
	nursery_child_init(&r->child, race_run, NULL);
}

/* Each child is cancelled on its own, and nobody has won. */
static void a_race_without_anybody_left_is_cancelled(struct kunit *test)
{
	struct racers *racers = racers_alloc(test);
	struct race r;
	int i;

	race_init(&r, racers, 3, false);
	for (i = 0; i < 3; i++)
		racers->p[i].sleep = LONG_TIME;
	scoped_nursery(n, .name = "race", .executor = nursery_executor_thread) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &r.child), 0);
		for (i = 0; i < 3; i++) {
			wait_for_completion(&racers->p[i].started);
			nursery_child_cancel(racers->children[i]);
		}
	}
	KUNIT_EXPECT_EQ(test, r.got, -ECANCELED);
	each_completed_once(test, racers, 3);
}

static void i3_cancel_travels_down_into_a_race(struct kunit *test)
{
	struct racers *racers = racers_alloc(test);
	struct race r;
	int i, err = -1;

	race_init(&r, racers, 3, true);
	racers->p[0].ret = -EIO;
	for (i = 1; i < 3; i++)
		racers->p[i].sleep = LONG_TIME;
	scoped_nursery(n, .name = "race", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &r.child), 0);
		for (i = 0; i < 3; i++)
			wait_for_completion(&racers->p[i].started);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	/* And not the error of one that dropped out before. */
	KUNIT_EXPECT_EQ(test, r.got, -ECANCELED);
	each_completed_once(test, racers, 3);
}

/* Nothing can be started, and still each child completes. */
static void i4_race_below_a_cancelled_child_completes_all(struct kunit *test)
{
	struct racers *racers = racers_alloc(test);
	struct race r;
	int i;

	race_init(&r, racers, 3, true);
	r.late = true;
	scoped_nursery(n, .name = "race") {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &r.child), 0);
		wait_for_completion(&r.started);
		nursery_child_cancel(&r.child);
	}
	KUNIT_EXPECT_EQ(test, r.got, -ECANCELED);
	each_completed_once(test, racers, 3);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&racers->p[i].runs), 0);
}

/* One after the other, inside the race: who is not needed any more never starts. */
static void i4_who_is_not_started_completes_too(struct kunit *test)
{
	struct racers *racers = racers_alloc(test);
	struct race r;

	race_init(&r, racers, 4, true);
	racers->p[0].ret = -EIO;
	scoped_nursery(n, .name = "inline", .executor = nursery_executor_inline)
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &r.child), 0);
	KUNIT_EXPECT_EQ(test, r.got, 1);
	each_completed_once(test, racers, 4);
	KUNIT_EXPECT_EQ(test, atomic_read(&racers->p[2].runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&racers->p[3].runs), 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(racers->children[3]), -ECANCELED);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(first_success_wins),
	KUNIT_CASE(errors_do_not_decide),
	KUNIT_CASE(if_none_succeeds_the_first_error_is_told),
	KUNIT_CASE(success_after_the_winner_does_not_win),
	KUNIT_CASE(there_is_one_winner),
	KUNIT_CASE(done_may_free_the_children),
	KUNIT_CASE(refused_race_starts_nothing),
	KUNIT_CASE(a_race_without_anybody_left_is_cancelled),
	KUNIT_CASE(i3_cancel_travels_down_into_a_race),
	KUNIT_CASE(i4_race_below_a_cancelled_child_completes_all),
	KUNIT_CASE(i4_who_is_not_started_completes_too),
	{ }
};

struct kunit_suite nursery_race_suite = { .name = "nursery_race", .test_cases = cases };
