// SPDX-License-Identifier: GPL-2.0-only
/* No deadlock at any depth, with any pool saturated (I5). */
#include <linux/sched/task_stack.h>
#include <linux/slab.h>

#include "util.h"

#define DEPTH	10000

/* A child that opens a nursery with one child, which opens a nursery ... */
struct level {
	struct nursery_child child;
	struct nursery nursery;
	const struct nursery_executor *executor;
	struct level *next;		/* NULL: the deepest */
	unsigned long sp;		/* the stack pointer, and whose stack */
	struct task_struct *task;
	bool is_worker;			/* of a workqueue */
};

static int level_run(struct nursery_child *c)
{
	struct level *l = container_of(c, struct level, child);
	const struct nursery_params params = {
		.name = "level", .parent = c, .executor = l->executor,
	};

	l->sp = (unsigned long)__builtin_frame_address(0);
	l->task = current;
	l->is_worker = current->flags & PF_WQ_WORKER;
	if (!l->next)
		return -EXDEV;
	nursery_init(&l->nursery, &params);
	nursery_child_init(&l->next->child, level_run, NULL);
	return nursery_spawn(&l->nursery, &l->next->child) ?: nursery_join(&l->nursery);
}

/* What one level takes of the stack, where two are on the same one: the median is enough. */
static void print_stack_use(struct kunit *test, const struct level *l, const char *name)
{
	unsigned long most = 0, least = ULONG_MAX, use;
	unsigned int stacks = 1, i;

	for (i = 1; i < DEPTH; i++) {
		if (l[i].task != l[i - 1].task) {
			stacks++;
			continue;
		}
		use = l[i - 1].sp - l[i].sp;
		/* A thread that was reused for a deeper level starts anew. */
		if (use > THREAD_SIZE)
			continue;
		most = max(most, use);
		least = min(least, use);
	}
	kunit_info(test, "%s: %u levels on %u stacks of %lu bytes; %lu to %lu bytes a level\n",
		   name, DEPTH, stacks, (unsigned long)THREAD_SIZE, least, most);
}

/* Return: what comes of the deepest. */
static int run_some_levels(struct level *l, unsigned int nr, const struct nursery_executor *e)
{
	int err = 0, ret = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		l[i].executor = e;
		l[i].next = i + 1 < nr ? &l[i + 1] : NULL;
	}
	nursery_child_init(&l[0].child, level_run, NULL);
	scoped_nursery(n, .name = "depth", .executor = e, .result = &err)
		ret = nursery_spawn(n, &l[0].child);
	return ret ?: err;
}

static void run_levels(struct kunit *test, const struct nursery_executor *e, const char *name)
{
	struct level *l = kvcalloc(DEPTH, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	/* The error of the deepest has come all the way up. */
	KUNIT_EXPECT_EQ(test, run_some_levels(l, DEPTH, e), -EXDEV);
	print_stack_use(test, l, name);
	kvfree(l);
}

static void i5_depth_unbound(struct kunit *test)
{
	run_levels(test, nursery_executor_unbound, "unbound");
}

/* A joiner without room leaves its children to the workers of their executor. */
static void i5_no_room_leaves_them_to_workers(struct kunit *test)
{
	unsigned int few = 100, rounds = 50, changes = 0, i;
	struct level *l = kunit_kcalloc(test, few, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	/* Now there are threads, idle ones, that would be there as soon as a worker is. */
	KUNIT_EXPECT_EQ(test, run_some_levels(l, few, nursery_executor_thread), -EXDEV);
	while (rounds--) {
		KUNIT_EXPECT_EQ(test, run_some_levels(l, few, nursery_executor_unbound), -EXDEV);
		for (i = 1; i < few; i++) {
			if (l[i].task == l[i - 1].task)
				continue;
			changes++;
			KUNIT_EXPECT_TRUE(test, l[i].is_worker);
		}
	}
	/* Not all of them found room on one stack. */
	KUNIT_EXPECT_GT(test, changes, 0U);
}

static void i5_depth_percpu(struct kunit *test)
{
	run_levels(test, nursery_executor_percpu, "percpu");
	run_levels(test, nursery_executor_highpri, "highpri");
}

static void i5_depth_thread(struct kunit *test)
{
	run_levels(test, nursery_executor_thread, "thread");
}

static void i5_depth_inline(struct kunit *test)
{
	run_levels(test, nursery_executor_inline, "inline");
}

/* An ordered, reclaim-safe queue: one worker, and a rescuer that does not help. */
static void i5_depth_ordered(struct kunit *test)
{
	struct workqueue_struct *wq = alloc_ordered_workqueue("nursery_depth", WQ_MEM_RECLAIM);
	struct nursery_executor e;

	KUNIT_ASSERT_NOT_NULL(test, wq);
	nursery_executor_init_wq(&e, wq);
	run_levels(test, &e, "ordered");
	destroy_workqueue(wq);
}

/* Children each of which needs all of its group to have been started. */
#define GROUPS	512
#define MEMBERS	8

struct group {
	atomic_t started;
	struct completion all;
};

struct member {
	struct nursery_child child;
	struct group *group;
};

static int member_run(struct nursery_child *c)
{
	struct group *g = container_of(c, struct member, child)->group;

	if (atomic_inc_return(&g->started) == MEMBERS)
		complete_all(&g->all);
	wait_for_completion(&g->all);
	return 0;
}

static void run_groups(struct kunit *test, const struct nursery_executor *e)
{
	struct member *m = kvcalloc(GROUPS * MEMBERS, sizeof(*m), GFP_KERNEL);
	struct group *g = kvcalloc(GROUPS, sizeof(*g), GFP_KERNEL);
	int i, err = -1;

	if (m && g) {
		for (i = 0; i < GROUPS; i++)
			init_completion(&g[i].all);
		scoped_nursery(n, .name = "groups", .executor = e, .result = &err) {
			for (i = 0; i < GROUPS * MEMBERS; i++) {
				/* The last members of 64 groups are spawned after the others. */
				m[i].group = &g[i / (64 * MEMBERS) * 64 + i % 64];
				nursery_child_init(&m[i].child, member_run, NULL);
				KUNIT_EXPECT_EQ(test, nursery_spawn(n, &m[i].child), 0);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	kvfree(m);
	kvfree(g);
}

static void i5_children_that_block_on_one_another(struct kunit *test)
{
	run_groups(test, nursery_executor_unbound);
	run_groups(test, nursery_executor_thread);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i5_depth_unbound),
	KUNIT_CASE(i5_no_room_leaves_them_to_workers),
	KUNIT_CASE(i5_depth_percpu),
	KUNIT_CASE(i5_depth_thread),
	KUNIT_CASE(i5_depth_inline),
	KUNIT_CASE(i5_depth_ordered),
	KUNIT_CASE(i5_children_that_block_on_one_another),
	{ }
};

struct kunit_suite nursery_depth_suite = { .name = "nursery_depth", .test_cases = cases };
