// SPDX-License-Identifier: GPL-2.0-only
/* The scope: no way out before all children have finished, and no deadlock. */
#include <linux/slab.h>

#include "util.h"

static void i1_join_waits_for_children(struct kunit *test)
{
	struct probe *p = kunit_kcalloc(test, 64, sizeof(*p), GFP_KERNEL);
	struct nursery n;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	nursery_init(&n, NULL);
	for (i = 0; i < 64; i++) {
		probe_init(&p[i], 0);
		p[i].sleep = (i % 8) * NSEC_PER_MSEC;
		KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p[i].child), 0);
	}
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	for (i = 0; i < 64; i++) {
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].runs), 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), 1);
	}
}

static void i1_empty_scope(struct kunit *test)
{
	struct nursery n;

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

/* A child that spawns itself again, as a new child, until the count is used up. */
struct chain {
	struct nursery *n;
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
		chain->err = chain->err ?: nursery_spawn(chain->n, &chain->child[i]);
	}
	return 0;
}

static void i1_join_waits_for_siblings_spawned_meanwhile(struct kunit *test)
{
	struct nursery n;

	chain = kunit_kzalloc(test, sizeof(*chain), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, chain);
	chain->n = &n;
	nursery_init(&n, NULL);
	nursery_child_init(&chain->child[0], chain_run, NULL);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &chain->child[0]), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, chain->err, 0);
	KUNIT_EXPECT_EQ(test, chain->next, (int)ARRAY_SIZE(chain->child));
}

/* A tree: each child opens a nursery with two children, down to depth 0. */
struct tree {
	struct nursery_child child;
	int depth;
	atomic_t *leaves;
};

static int tree_run(struct nursery_child *c)
{
	struct tree *t = container_of(c, struct tree, child);
	struct tree sub[2];
	int i, err = 0;

	if (!t->depth) {
		atomic_inc(t->leaves);
		return 0;
	}
	scoped_nursery(n, .name = "tree", .parent = c, .result = &err) {
		for (i = 0; i < 2; i++) {
			sub[i] = (struct tree){ .depth = t->depth - 1, .leaves = t->leaves };
			nursery_child_init(&sub[i].child, tree_run, NULL);
			nursery_spawn(n, &sub[i].child);
		}
	}
	return err;
}

static void i1_join_waits_for_nested(struct kunit *test)
{
	atomic_t leaves = ATOMIC_INIT(0);
	struct tree root = { .depth = 6, .leaves = &leaves };
	int err = -1;

	scoped_nursery(n, .name = "root", .result = &err) {
		nursery_child_init(&root.child, tree_run, NULL);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &root.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&leaves), 64);
}

enum way { BY_END, BY_BREAK, BY_CONTINUE, BY_GOTO, BY_RETURN };

static void note_release(void *released)
{
	*(int *)released = 1;
}

static noinline int leave(enum way way, struct probe *p, int *result)
{
	int released = 0;

	scoped_nursery(n, .name = "leave", .result = result) {
		nursery_defer(n, note_release, &released);
		nursery_spawn(n, &p->child);
		switch (way) {
		case BY_END:
		case BY_BREAK:
			break;
		case BY_CONTINUE:
			continue;
		case BY_GOTO:
			goto out;
		case BY_RETURN:
			return released;	/* before the join */
		}
		if (way == BY_BREAK)
			break;
	}
out:
	return released;
}

static void i1_every_way_out_of_a_scope_joins(struct kunit *test)
{
	enum way way;

	for (way = BY_END; way <= BY_RETURN; way++) {
		int result = -1, released;
		struct probe p;

		probe_init(&p, -EIO);
		p.sleep = 10 * NSEC_PER_MSEC;
		released = leave(way, &p, &result);
		KUNIT_EXPECT_EQ(test, released, way == BY_RETURN ? 0 : 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 1);
		KUNIT_EXPECT_EQ(test, result, -EIO);
	}
}

static int empty(struct nursery_child *c)
{
	return 0;
}

/* With KASAN: the last child touches no nursery and no child that is gone. */
static noinline int one_onstack_scope(int nr)
{
	struct nursery_child c[3];
	int i, err = -1;

	scoped_nursery(n, .name = "on stack", .result = &err) {
		for (i = 0; i < nr; i++) {
			nursery_child_init(&c[i], empty, NULL);
			nursery_spawn(n, &c[i]);
		}
	}
	memset(c, 0x5a, sizeof(c));
	barrier_data(c);
	return err;
}

static void i1_on_stack_nursery_is_free_after_join(struct kunit *test)
{
	int i, err = 0;

	for (i = 0; i < 3000; i++)
		err = err ?: one_onstack_scope(1 + i % 3);
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* On the heap KASAN sees the freed object itself. */
static void i1_heap_nursery_is_free_after_join(struct kunit *test)
{
	struct {
		struct nursery n;
		struct nursery_child c;
	} *s;
	int i, j, err = 0;

	for (i = 0; i < 3000; i++) {
		s = kmalloc(sizeof(*s), GFP_KERNEL);
		if (!s)
			break;
		nursery_init(&s->n, NULL);
		nursery_child_init(&s->c, empty, NULL);
		err = err ?: nursery_spawn(&s->n, &s->c);
		/* sometimes the worker is first, sometimes the joiner */
		for (j = 0; j < i % 1000; j++)
			cpu_relax();
		err = err ?: nursery_join(&s->n);
		kfree(s);
	}
	KUNIT_EXPECT_EQ(test, i, 3000);
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* Eight levels, each joining the next, and a single worker for all. */
struct level {
	struct nursery_child child;
	const struct nursery_executor *e;
	int depth;
	int deepest;
};

static int level_run(struct nursery_child *c)
{
	struct level *l = container_of(c, struct level, child);
	struct level sub = { .e = l->e, .depth = l->depth + 1, .deepest = l->depth + 1 };
	int err = 0;

	if (l->depth == 8)
		return 0;
	scoped_nursery(n, .name = "level", .parent = c, .executor = l->e, .result = &err) {
		nursery_child_init(&sub.child, level_run, NULL);
		nursery_spawn(n, &sub.child);
	}
	l->deepest = sub.deepest;
	return err;
}

static void i5_nested_joins_with_one_worker(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct level top = { .e = e };
	int err = -1;

	scoped_nursery(n, .name = "top", .executor = e, .result = &err) {
		nursery_child_init(&top.child, level_run, NULL);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &top.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, top.deepest, 8);
	single_worker_destroy(e);
}

static int open_gate(struct nursery_child *c)
{
	complete(to_probe(c)->gate);
	return 0;
}

/* The only worker is blocked on what a queued child does. */
static void i5_joiner_runs_what_the_pool_cannot(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe blocked, opener;
	int err = -1;

	probe_init(&blocked, 0);
	blocked.gate = &gate;
	probe_init(&opener, 0);
	opener.gate = &gate;
	nursery_child_init(&opener.child, open_gate, NULL);
	scoped_nursery(n, .name = "pool", .executor = e, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &blocked.child), 0);
		wait_for_completion(&blocked.started);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &opener.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	single_worker_destroy(e);
}

struct turn {
	struct nursery_child child;
	struct probe first, second;
	struct plug *plug;
	struct completion gate;
	struct task_struct *joiner;
	bool helped;
};

/* Beside the joiner: when it sleeps, end the first child. */
static int end_first(struct nursery_child *c)
{
	struct turn *t = container_of(c, struct turn, child);

	wait_until_asleep(t->joiner);
	complete(&t->gate);
	t->helped = wait_for_completion_timeout(&t->second.started, 60 * HZ);
	plug_remove(t->plug);
	return 0;
}

/*
 * A child waits for its place below max_active, while the joiner sleeps. When it is given
 * to its executor, that cannot run it, and the joiner does.
 */
static void i5_joiner_wakes_for_a_child_that_gets_its_turn(struct kunit *test)
{
	struct turn *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct nursery_executor *e = single_worker(test);
	struct plug plug;
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->plug = &plug;
	t->joiner = current;
	init_completion(&t->gate);
	probe_init(&t->first, 0);
	t->first.gate = &t->gate;
	probe_init(&t->second, 0);
	nursery_child_init(&t->child, end_first, NULL);
	plug_insert(&plug, e->wq);
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread,
		       .flags = NURSERY_NO_HELP) {
		scoped_nursery(n, .name = "turns", .max_active = 1, .result = &err) {
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &t->first.child), 0);
			wait_for_completion(&t->first.started);
			KUNIT_EXPECT_EQ(test, nursery_spawn_on(n, &t->second.child, e), 0);
			KUNIT_EXPECT_EQ(test, nursery_spawn(beside, &t->child), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE(test, t->helped);
	KUNIT_EXPECT_PTR_EQ(test, t->second.task, current);
	single_worker_destroy(e);
}

/* The joiner helps only with its own: a stranger's child stays in the queue. */
static void i5_joiner_does_not_run_strangers(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct nursery_params params = { .executor = e };
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *blocked = kunit_kcalloc(test, 3, sizeof(*blocked), GFP_KERNEL);
	struct probe *stranger = blocked + 1, *own = blocked + 2;
	struct nursery strangers;

	KUNIT_ASSERT_NOT_NULL(test, blocked);
	probe_init(blocked, 0);
	blocked->gate = &gate;
	probe_init(stranger, 0);
	probe_init(own, 0);
	nursery_init(&strangers, &params);
	nursery_spawn(&strangers, &blocked->child);
	wait_for_completion(&blocked->started);
	nursery_spawn(&strangers, &stranger->child);
	scoped_nursery(n, .name = "own", .executor = e)
		nursery_spawn(n, &own->child);
	KUNIT_EXPECT_EQ(test, atomic_read(&own->dones), 1);
	KUNIT_EXPECT_PTR_EQ(test, own->task, current);
	KUNIT_EXPECT_EQ(test, atomic_read(&stranger->runs), 0);
	complete(&gate);
	KUNIT_EXPECT_EQ(test, nursery_join(&strangers), 0);
	single_worker_destroy(e);
}

static void no_help_only_waits(struct kunit *test)
{
	struct probe p;

	probe_init(&p, 0);
	scoped_nursery(n, .name = "no help", .flags = NURSERY_NO_HELP)
		nursery_spawn(n, &p.child);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.dones), 1);
	KUNIT_EXPECT_PTR_NE(test, p.task, current);
}

struct joiner {
	struct nursery_child child;
	struct nursery *victim;
	bool below;
	int got;
};

static int join_above(struct nursery_child *c)
{
	struct joiner *j = container_of(c, struct joiner, child), sub;

	if (!j->below) {
		j->got = nursery_join(j->victim);
		return 0;
	}
	sub = (struct joiner){ .victim = j->victim };
	nursery_child_init(&sub.child, join_above, NULL);
	scoped_nursery(n, .name = "below", .parent = c)
		nursery_spawn(n, &sub.child);
	j->got = sub.got;
	return 0;
}

static void join_by_a_descendant_is_refused(struct kunit *test)
{
	bool below;

	for (below = false;; below = true) {
		struct joiner j = { .below = below };
		int err = -1;

		scoped_nursery(n, .name = "victim", .result = &err) {
			j.victim = n;
			nursery_child_init(&j.child, join_above, NULL);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &j.child), 0);
		}
		KUNIT_EXPECT_EQ(test, j.got, -EDEADLK);
		KUNIT_EXPECT_EQ(test, err, 0);
		if (below)
			break;
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i1_join_waits_for_children),
	KUNIT_CASE(i1_empty_scope),
	KUNIT_CASE(i1_join_waits_for_siblings_spawned_meanwhile),
	KUNIT_CASE(i1_join_waits_for_nested),
	KUNIT_CASE(i1_every_way_out_of_a_scope_joins),
	KUNIT_CASE(i1_on_stack_nursery_is_free_after_join),
	KUNIT_CASE(i1_heap_nursery_is_free_after_join),
	KUNIT_CASE(i5_nested_joins_with_one_worker),
	KUNIT_CASE(i5_joiner_runs_what_the_pool_cannot),
	KUNIT_CASE(i5_joiner_wakes_for_a_child_that_gets_its_turn),
	KUNIT_CASE(i5_joiner_does_not_run_strangers),
	KUNIT_CASE(no_help_only_waits),
	KUNIT_CASE(join_by_a_descendant_is_refused),
	{ }
};

struct kunit_suite nursery_scope_suite = { .name = "nursery_scope", .test_cases = cases };
