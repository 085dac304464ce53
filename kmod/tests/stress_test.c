// SPDX-License-Identifier: GPL-2.0-only
/* Everything at once, many times: for KASAN, lockdep and the accounting. */
#include <linux/delay.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "util.h"

#define ROUNDS		300
#define CHILDREN	16

static atomic_t accepted, completed;

static void count_done(struct nursery_child *c)
{
	atomic_inc(&completed);
}

static int busy(struct nursery_child *c)
{
	u32 what = get_random_u32();

	if (what % 4 == 0)
		return nursery_sleep(c, what % (200 * NSEC_PER_USEC));
	if (what % 37 == 0)
		return -EIO;
	return 0;
}

struct cancel_args {
	struct nursery_child child;
	struct nursery *n;
};

/* In a nursery of its own: cancels the other from outside while it is joined. */
static int canceller(struct nursery_child *c)
{
	struct cancel_args *a = container_of(c, struct cancel_args, child);

	nursery_sleep(c, get_random_u32() % (200 * NSEC_PER_USEC));
	nursery_cancel(a->n, -EINTR);
	return 0;
}

static int one_round(struct nursery_child *c)
{
	struct cancel_args a;
	int i, err = 0;

	/* The cancelling scope is the inner one: it ends before its victim does. */
	scoped_nursery(n, .name = "victim", .max_active = get_random_u32() % 4, .result = &err) {
		a.n = n;
		nursery_child_init(&a.child, canceller, NULL);
		scoped_nursery(other, .name = "canceller") {
			nursery_spawn(other, &a.child);
			for (i = 0; i < CHILDREN; i++) {
				nursery_child_init(&c[i], busy, count_done);
				if (!nursery_spawn(n, &c[i]))
					atomic_inc(&accepted);
			}
		}
	}
	return err;
}

static int stress_thread(struct nursery_child *self)
{
	struct nursery_child *c = kcalloc(CHILDREN, sizeof(*c), GFP_KERNEL);
	int i, err, wrong = 0;

	if (!c)
		return -ENOMEM;
	for (i = 0; i < ROUNDS && !wrong; i++) {
		err = one_round(c);
		/* The cancel always comes; an error may come first. */
		if (err != -EINTR && err != -EIO)
			wrong = err ?: -EBADMSG;
	}
	kfree(c);
	return wrong;
}

static void spawn_cancel_and_join_race(struct kunit *test)
{
	struct nursery_child thread[4];
	int i, err = -1;

	atomic_set(&accepted, 0);
	atomic_set(&completed, 0);
	scoped_nursery(n, .name = "stress", .flags = NURSERY_NO_HELP, .result = &err) {
		for (i = 0; i < ARRAY_SIZE(thread); i++) {
			nursery_child_init(&thread[i], stress_thread, NULL);
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &thread[i]), 0);
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_GT(test, atomic_read(&accepted), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&accepted), atomic_read(&completed));
}

/* A child that several wait for. The first to be woken makes it a new one. */
#define NR_AWAITERS	24

struct awaited {
	struct nursery_child child;
	struct completion started, go;
	atomic_t woken;
	bool overwritten;
};

struct awaiter {
	struct nursery_child child;
	struct awaited *awaited;
	struct task_struct *task;
};

static int wait_for_go(struct nursery_child *c)
{
	struct awaited *a = container_of(c, struct awaited, child);

	complete(&a->started);
	wait_for_completion(&a->go);
	return 0;
}

static int await(struct nursery_child *c)
{
	struct awaiter *a = container_of(c, struct awaiter, child);
	struct nursery_child *joined = &a->awaited->child, fresh;
	int i;

	smp_store_release(&a->task, current);	/* pairs with sleeps() */
	nursery_child_join(joined);
	if (atomic_inc_return(&a->awaited->woken) != 1)
		return 0;
	nursery_child_init(joined, wait_for_go, NULL);
	memcpy(&fresh, joined, sizeof(fresh));
	for (i = 0; i < 1000; i++)
		cpu_relax();
	a->awaited->overwritten |= memcmp(&fresh, joined, sizeof(fresh));
	return 0;
}

/* It is in its join, and does not look at the child any more. */
static bool sleeps(const struct awaiter *a)
{
	struct task_struct *task = smp_load_acquire(&a->task);	/* pairs with await() */

	return task && READ_ONCE(task->__state) == TASK_UNINTERRUPTIBLE;
}

/*
 * nursery_child_join() hands the memory back: nobody writes to it any more. The
 * core wakes them one after the other, so if it had something left to write, the
 * first one would see it.
 */
static void i4_joined_child_is_not_written_to(struct kunit *test)
{
	struct awaiter *a = kunit_kcalloc(test, NR_AWAITERS, sizeof(*a), GFP_KERNEL);
	struct awaited *awaited = kunit_kzalloc(test, sizeof(*awaited), GFP_KERNEL);
	struct nursery n;
	int i, round;

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, awaited);
	nursery_init(&n, NULL);
	nursery_child_init(&awaited->child, wait_for_go, NULL);
	for (round = 0; round < 100; round++) {
		init_completion(&awaited->started);
		init_completion(&awaited->go);
		atomic_set(&awaited->woken, 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &awaited->child), 0);
		/* Then none of those who wait for it runs it. */
		wait_for_completion(&awaited->started);
		scoped_nursery(joiners, .name = "joiners", .flags = NURSERY_NO_HELP) {
			for (i = 0; i < NR_AWAITERS; i++) {
				a[i] = (struct awaiter){ .awaited = awaited };
				nursery_child_init(&a[i].child, await, NULL);
				nursery_spawn(joiners, &a[i].child);
			}
			for (i = 0; i < NR_AWAITERS; i++)
				while (!sleeps(&a[i]))
					usleep_range(50, 100);
			complete(&awaited->go);
		}
	}
	KUNIT_EXPECT_FALSE(test, awaited->overwritten);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

struct target {
	struct nursery_child child;		/* cancels and joins the other */
	struct nursery_child *other;
	atomic_t stop;
};

static int pester(struct nursery_child *c)
{
	struct target *t = container_of(c, struct target, child);

	while (!atomic_read(&t->stop)) {
		nursery_child_cancel(t->other);
		nursery_child_join(t->other);
		cond_resched();
	}
	return 0;
}

static int nothing(struct nursery_child *c)
{
	return 0;
}

/* A child is cancelled and joined by somebody while it is spawned, again and again. */
static void cancel_and_join_meet_spawn(struct kunit *test)
{
	struct nursery_child *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct target *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	struct nursery one, two, outer;
	int i, refused = 0;

	KUNIT_ASSERT_NOT_NULL(test, c);
	KUNIT_ASSERT_NOT_NULL(test, t);
	nursery_init(&outer, NULL);
	nursery_init(&one, NULL);
	nursery_init(&two, NULL);
	nursery_child_init(c, nothing, NULL);
	nursery_child_init(&t->child, pester, NULL);
	t->other = c;
	KUNIT_EXPECT_EQ(test, nursery_spawn(&outer, &t->child), 0);
	for (i = 0; i < 300; i++) {
		refused += !!nursery_spawn(i & 1 ? &one : &two, c);
		nursery_child_join(c);
		cond_resched();
	}
	atomic_set(&t->stop, 1);
	KUNIT_EXPECT_EQ(test, refused, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&one), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&two), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&outer), 0);
}

struct timed {
	struct nursery_child child;
	struct completion *started;
	bool is_first, go, over;
	unsigned int ns;
};

static int take_a_while(struct nursery_child *c)
{
	struct timed *t = container_of(c, struct timed, child);

	t->is_first = true;
	complete(t->started);
	while (!READ_ONCE(t->go))
		cond_resched();
	ndelay(t->ns);
	WRITE_ONCE(t->over, true);
	return 0;
}

/*
 * I1 for one child. A worker has taken two; one is joined, which takes it from the worker,
 * while that ends the other and looks for more.
 */
static void i1_joined_child_has_finished(struct kunit *test)
{
	struct timed *t = kunit_kcalloc(test, 2, sizeof(*t), GFP_KERNEL), *second;
	struct nursery_executor *e = single_worker(test);
	DECLARE_COMPLETION_ONSTACK(started);
	int i, round, early = 0, err;
	struct plug plug;
	unsigned int ns;

	KUNIT_ASSERT_NOT_NULL(test, t);
	for (round = 0; round < 2000; round++) {
		err = -1;
		ns = round % 200 * 25;
		reinit_completion(&started);
		plug_insert(&plug, e->wq);
		scoped_nursery(n, .name = "two", .executor = e, .result = &err) {
			for (i = 0; i < 2; i++) {
				t[i] = (struct timed){ .started = &started, .ns = ns };
				nursery_child_init(&t[i].child, take_a_while, NULL);
				nursery_spawn(n, &t[i].child);
			}
			plug_remove(&plug);
			wait_for_completion(&started);
			second = &t[t[0].is_first];
			WRITE_ONCE(second->go, true);
			WRITE_ONCE(t[!t[0].is_first].go, true);
			nursery_child_join(&second->child);
			early += !READ_ONCE(second->over);
		}
		KUNIT_EXPECT_EQ(test, err, 0);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, early, 0);
	single_worker_destroy(e);
}

struct link {
	struct nursery_child child;
	struct nursery_child *next;
};

static int join_next(struct nursery_child *c)
{
	struct link *l = container_of(c, struct link, child);

	return l->next ? nursery_child_join(l->next) : 0;
}

/* Each child joins the next: helping must not run the stack over. */
static void i5_chain_of_joins_fits_the_stack(struct kunit *test)
{
	struct link *l = kunit_kcalloc(test, 300, sizeof(*l), GFP_KERNEL);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, l);
	/* Spawned from the end, so that each finds the next one spawned. */
	scoped_nursery(n, .name = "chain", .result = &err) {
		for (i = 299; i >= 0; i--) {
			l[i].next = i < 299 ? &l[i + 1].child : NULL;
			nursery_child_init(&l[i].child, join_next, NULL);
			nursery_spawn(n, &l[i].child);
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i4_joined_child_is_not_written_to),
	KUNIT_CASE(cancel_and_join_meet_spawn),
	KUNIT_CASE(i1_joined_child_has_finished),
	KUNIT_CASE(i5_chain_of_joins_fits_the_stack),
	KUNIT_CASE(spawn_cancel_and_join_race),
	{ }
};

struct kunit_suite nursery_stress_suite = { .name = "nursery_stress", .test_cases = cases };
