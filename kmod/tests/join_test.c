// SPDX-License-Identifier: GPL-2.0-only
/* Joins that no thread waits in, and several joins at once. */
#include <linux/slab.h>

#include "util.h"

/* A nursery that is joined by nobody, what it owns, and what done() finds. */
struct scope {
	struct nursery n;
	struct probe p;
	struct completion over;
	struct completion *wait;	/* done() waits for this */
	int err;
	int dones;
	bool released;
	bool released_before;		/* ... done() */
	bool in_task;
	bool frees;			/* done() frees it */
};

static atomic_t nr_over;

static void scope_done(struct nursery *n, int err)
{
	struct scope *s = container_of(n, struct scope, n);

	s->err = err;
	s->dones++;
	s->released_before = s->released;
	s->in_task = in_task() && !irqs_disabled();
	if (s->wait)
		wait_for_completion(s->wait);
	if (s->frees) {
		kfree(s);
		atomic_inc(&nr_over);
	} else {
		complete(&s->over);
	}
}

static void scope_release(void *data)
{
	struct scope *s = data;

	s->released = true;
}

static void scope_open(struct scope *s, const struct nursery_params *params)
{
	*s = (struct scope){ .err = 1000 };
	init_completion(&s->over);
	probe_init(&s->p, 0);
	nursery_init(&s->n, params);
}

static struct scope *scopes_alloc(struct kunit *test, int nr)
{
	struct scope *s = kunit_kcalloc(test, nr, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	return s;
}

static void i1_async_join_waits_for_children(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	DECLARE_COMPLETION_ONSTACK(gate);

	scope_open(s, NULL);
	s->p.gate = &gate;
	KUNIT_EXPECT_EQ(test, nursery_defer(&s->n, scope_release, s), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&s->n, &s->p.child), 0);
	nursery_join_async(&s->n, scope_done);
	wait_for_completion(&s->p.started);
	KUNIT_EXPECT_EQ(test, s->dones, 0);
	KUNIT_EXPECT_FALSE(test, s->released);
	complete(&gate);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->p.dones), 1);
	KUNIT_EXPECT_TRUE(test, s->released_before);
	KUNIT_EXPECT_TRUE(test, s->in_task);
	/* As after any join. */
	KUNIT_EXPECT_EQ(test, nursery_spawn(&s->n, &s->p.child), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, nursery_join(&s->n), 0);
	KUNIT_EXPECT_EQ(test, s->dones, 1);
}

static void i7_async_join_tells_errors_and_causes(struct kunit *test)
{
	const struct nursery_params timed = { .timeout = NSEC_PER_MSEC };
	struct scope *s = scopes_alloc(test, 1);

	scope_open(s, NULL);
	nursery_join_async(&s->n, scope_done);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, 0);

	scope_open(s, NULL);
	s->p.ret = -EIO;
	nursery_spawn(&s->n, &s->p.child);
	nursery_join_async(&s->n, scope_done);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, -EIO);

	scope_open(s, NULL);
	s->p.sleep = LONG_TIME;
	nursery_spawn(&s->n, &s->p.child);
	nursery_join_async(&s->n, scope_done);
	nursery_cancel(&s->n, -EINTR);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, -EINTR);

	scope_open(s, &timed);
	s->p.sleep = LONG_TIME;
	nursery_spawn(&s->n, &s->p.child);
	nursery_join_async(&s->n, scope_done);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, -ETIMEDOUT);
}

/* The memory goes with done(); with KASAN. */
static void i1_done_may_free_the_nursery(struct kunit *test)
{
	int i, j, nr = 0;

	atomic_set(&nr_over, 0);
	for (i = 0; i < 2000; i++) {
		struct scope *s = kmalloc(sizeof(*s), GFP_KERNEL);

		if (!s)
			break;
		scope_open(s, NULL);
		s->frees = true;
		if (nursery_spawn(&s->n, &s->p.child))
			break;
		for (j = 0; j < i % 500; j++)
			cpu_relax();
		nursery_join_async(&s->n, scope_done);
		nr++;
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, nr, 2000);
	while (atomic_read(&nr_over) < nr)
		schedule_timeout_uninterruptible(1);
}

/* A child that spawns a sibling, down to the last of them. */
struct chain {
	struct scope scope;
	struct nursery_child child[50];
	int next;
	int err;
};

static struct chain *chain;

static int chain_run(struct nursery_child *c)
{
	int i = ++chain->next;

	if (i < ARRAY_SIZE(chain->child)) {
		nursery_child_init(&chain->child[i], chain_run, NULL);
		chain->err = chain->err ?: nursery_spawn(&chain->scope.n, &chain->child[i]);
	}
	return 0;
}

static void i1_async_join_waits_for_siblings_spawned_meanwhile(struct kunit *test)
{
	chain = kunit_kzalloc(test, sizeof(*chain), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chain);
	scope_open(&chain->scope, NULL);
	nursery_child_init(&chain->child[0], chain_run, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&chain->scope.n, &chain->child[0]), 0);
	nursery_join_async(&chain->scope.n, scope_done);
	wait_for_completion(&chain->scope.over);
	KUNIT_EXPECT_EQ(test, chain->err, 0);
	KUNIT_EXPECT_EQ(test, chain->next, (int)ARRAY_SIZE(chain->child));
}

/* Spawned from outside, all the time, while it wants to end: joined or refused. */
static void i4_spawn_and_async_join_race(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	int i, j, nr, err, wrong = 0;
	struct probe *p = kunit_kcalloc(test, 64, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 200; i++) {
		scope_open(s, NULL);
		nursery_spawn(&s->n, &s->p.child);
		nursery_join_async(&s->n, scope_done);
		for (nr = 0; nr < 64; nr++) {
			probe_init(&p[nr], 0);
			err = nursery_spawn(&s->n, &p[nr].child);
			if (err)
				break;
			if (nr % 8 == i % 8)
				cond_resched();
		}
		wrong += nr < 64 && err != -ESHUTDOWN;
		wait_for_completion(&s->over);
		wrong += s->dones != 1 || atomic_read(&s->p.dones) != 1;
		for (j = 0; j < nr; j++)
			wrong += atomic_read(&p[j].dones) != 1;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* done() of some waits for done() of others that come later. */
static void async_joins_do_not_wait_for_one_another(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 16);
	DECLARE_COMPLETION_ONSTACK(gate);
	int i;

	for (i = 0; i < 16; i++)
		scope_open(&s[i], NULL);
	for (i = 0; i < 15; i++)
		s[i].wait = &gate;
	for (i = 0; i < 15; i++) {
		nursery_spawn(&s[i].n, &s[i].p.child);
		nursery_join_async(&s[i].n, scope_done);
		wait_for_completion(&s[i].p.started);
	}
	nursery_join_async(&s[15].n, scope_done);
	wait_for_completion(&s[15].over);
	complete_all(&gate);
	for (i = 0; i < 15; i++) {
		wait_for_completion(&s[i].over);
		KUNIT_EXPECT_EQ(test, s[i].err, 0);
	}
}

static void irq_join_async(void *data)
{
	nursery_join_async(data, scope_done);
}

static void i8_async_join_from_hard_interrupt(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	DECLARE_COMPLETION_ONSTACK(gate);

	scope_open(s, NULL);
	run_in_hardirq(irq_join_async, &s->n);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, 0);

	scope_open(s, NULL);
	s->p.gate = &gate;
	nursery_spawn(&s->n, &s->p.child);
	run_in_hardirq(irq_join_async, &s->n);
	complete(&gate);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_TRUE(test, s->in_task);
}

/* Nobody helps: what the executor cannot start waits until it can, and is not forgotten. */
static void async_join_waits_for_its_executor(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	const struct nursery_params params = { .executor = e };
	struct scope *s = scopes_alloc(test, 1);
	struct probe *more = kunit_kcalloc(test, 40, sizeof(*more), GFP_KERNEL);
	struct plug plug;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, more);
	plug_insert(&plug, e->wq);
	scope_open(s, &params);
	nursery_join_async(&s->n, scope_done);
	wait_for_completion(&s->over);

	scope_open(s, &params);
	nursery_spawn(&s->n, &s->p.child);
	nursery_join_async(&s->n, scope_done);
	for (i = 0; i < 40; i++) {
		probe_init(&more[i], 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(&s->n, &more[i].child), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&s->p.runs), 0);
	plug_remove(&plug);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->p.dones), 1);
	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&more[i].dones), 1);
	single_worker_destroy(e);
}

/* The last child to end is hardware, in an interrupt. */
static void irq_complete(void *data)
{
	nursery_child_complete(data, -EREMOTEIO);
}

static void i8_last_child_of_an_async_join_ends_in_hard_interrupt(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	struct nursery_child c;

	scope_open(s, NULL);
	nursery_child_init(&c, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&s->n, &c), 0);
	nursery_join_async(&s->n, scope_done);
	run_in_hardirq(irq_complete, &c);
	wait_for_completion(&s->over);
	KUNIT_EXPECT_EQ(test, s->err, -EREMOTEIO);
	KUNIT_EXPECT_TRUE(test, s->in_task);
}

/* Opens the gate when the join beside it sleeps. */
struct opener {
	struct nursery_child child;
	struct completion *gate;
	struct task_struct *joiner;
};

static int opener_run(struct nursery_child *c)
{
	struct opener *o = container_of(c, struct opener, child);

	wait_until_asleep(o->joiner);
	complete(o->gate);
	return 0;
}

static void opener_init(struct opener *o, struct completion *gate)
{
	o->gate = gate;
	o->joiner = current;
	nursery_child_init(&o->child, opener_run, NULL);
}

static void i1_outer_join_waits_for_an_async_one(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	DECLARE_COMPLETION_ONSTACK(gate);
	DECLARE_COMPLETION_ONSTACK(wait);
	struct opener child, done;
	int dones = -1, err = -1;

	opener_init(&child, &gate);
	opener_init(&done, &wait);
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread) {
		scoped_nursery(outer, .name = "outer", .result = &err) {
			const struct nursery_params params = { .name = "inner", .outer = outer };

			scope_open(s, &params);
			s->p.gate = &gate;
			s->wait = &wait;
			nursery_spawn(&s->n, &s->p.child);
			nursery_join_async(&s->n, scope_done);
			nursery_spawn(beside, &child.child);
			nursery_spawn(beside, &done.child);
		}
		dones = s->dones;
		KUNIT_EXPECT_TRUE(test, try_wait_for_completion(&s->over));
	}
	KUNIT_EXPECT_EQ(test, dones, 1);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, s->err, 0);
}

static void i3_cancel_travels_down_into_an_async_join(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	int err = -1;

	scoped_nursery(outer, .name = "outer", .result = &err) {
		const struct nursery_params params = { .name = "inner", .outer = outer };

		scope_open(s, &params);
		s->p.sleep = LONG_TIME;
		nursery_spawn(&s->n, &s->p.child);
		nursery_join_async(&s->n, scope_done);
		nursery_cancel(outer, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, s->err, -ECANCELED);
}

/* A child that joins, and what it gets. */
struct joiner {
	struct nursery_child child;
	struct nursery *n;
	struct completion begun;
	int got;
};

static int joiner_run(struct nursery_child *c)
{
	struct joiner *j = container_of(c, struct joiner, child);

	complete(&j->begun);
	j->got = nursery_join(j->n);
	return 0;
}

static void joiner_init(struct joiner *j, struct nursery *n)
{
	*j = (struct joiner){ .n = n, .got = 1000 };
	init_completion(&j->begun);
	nursery_child_init(&j->child, joiner_run, NULL);
}

#define JOINERS	4

/* All wait, and all get the same; the children are gone for each of them. */
static void several_joiners_get_the_same(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct opener opener;
	struct joiner *j = kunit_kcalloc(test, JOINERS, sizeof(*j), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, j);
	opener_init(&opener, &gate);
	scope_open(s, NULL);
	s->p.gate = &gate;
	s->p.ret = -EIO;
	KUNIT_EXPECT_EQ(test, nursery_defer(&s->n, scope_release, s), 0);
	nursery_spawn(&s->n, &s->p.child);
	wait_for_completion(&s->p.started);
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread) {
		for (i = 0; i < JOINERS; i++) {
			joiner_init(&j[i], &s->n);
			nursery_spawn(beside, &j[i].child);
			wait_for_completion(&j[i].begun);
		}
		nursery_spawn(beside, &opener.child);
		KUNIT_EXPECT_EQ(test, nursery_join(&s->n), -EIO);
		KUNIT_EXPECT_TRUE(test, s->released);
		KUNIT_EXPECT_EQ(test, atomic_read(&s->p.dones), 1);
	}
	for (i = 0; i < JOINERS; i++)
		KUNIT_EXPECT_EQ(test, j[i].got, -EIO);
}

/* They meet the end of the first at every moment. */
static void several_joiners_at_the_end(struct kunit *test)
{
	struct scope *s = scopes_alloc(test, 1);
	struct joiner *j = kunit_kcalloc(test, JOINERS, sizeof(*j), GFP_KERNEL);
	int i, k, got, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, j);
	for (i = 0; i < 1000; i++) {
		scope_open(s, NULL);
		s->p.ret = -1 - i % 100;
		nursery_defer(&s->n, scope_release, s);
		nursery_spawn(&s->n, &s->p.child);
		scoped_nursery(beside, .name = "beside", .flags = NURSERY_NO_HELP) {
			for (k = 0; k < JOINERS; k++) {
				joiner_init(&j[k], &s->n);
				nursery_spawn(beside, &j[k].child);
			}
			for (k = 0; k < i % 50; k++)
				cpu_relax();
			got = nursery_join(&s->n);
			wrong += got != s->p.ret || !s->released;
		}
		for (k = 0; k < JOINERS; k++)
			wrong += j[k].got != s->p.ret;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* The result is told before done(), which may free the nursery. */
static void join_of_what_is_joined_async(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct opener opener;
	struct scope *s = kmalloc(sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	atomic_set(&nr_over, 0);
	opener_init(&opener, &gate);
	scope_open(s, NULL);
	s->frees = true;
	s->p.gate = &gate;
	s->p.ret = -EIO;
	nursery_spawn(&s->n, &s->p.child);
	nursery_join_async(&s->n, scope_done);
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread) {
		nursery_spawn(beside, &opener.child);
		KUNIT_EXPECT_EQ(test, nursery_join(&s->n), -EIO);
	}
	while (!atomic_read(&nr_over))
		schedule_timeout_uninterruptible(1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i1_async_join_waits_for_children),
	KUNIT_CASE(i7_async_join_tells_errors_and_causes),
	KUNIT_CASE(i1_done_may_free_the_nursery),
	KUNIT_CASE(i1_async_join_waits_for_siblings_spawned_meanwhile),
	KUNIT_CASE(i4_spawn_and_async_join_race),
	KUNIT_CASE(async_joins_do_not_wait_for_one_another),
	KUNIT_CASE(i8_async_join_from_hard_interrupt),
	KUNIT_CASE(async_join_waits_for_its_executor),
	KUNIT_CASE(i8_last_child_of_an_async_join_ends_in_hard_interrupt),
	KUNIT_CASE(i1_outer_join_waits_for_an_async_one),
	KUNIT_CASE(i3_cancel_travels_down_into_an_async_join),
	KUNIT_CASE(several_joiners_get_the_same),
	KUNIT_CASE(several_joiners_at_the_end),
	KUNIT_CASE(join_of_what_is_joined_async),
	{ }
};

struct kunit_suite nursery_join_suite = { .name = "nursery_join", .test_cases = cases };
