// SPDX-License-Identifier: GPL-2.0-only
/* Cancel handlers: called once, by whom, and not after they have been taken off. */
#include <linux/preempt.h>
#include <linux/slab.h>

#include "util.h"

/* One that notes where it was called. */
struct noted {
	struct nursery_cancel_handler	handler;
	int				calls;
	struct task_struct		*task;
	bool				in_hardirq;
	unsigned int			place;		/* among all that were called */
};

static unsigned int places;

static void note(struct nursery_cancel_handler *h)
{
	struct noted *noted = container_of(h, struct noted, handler);

	noted->calls++;
	noted->task = current;
	noted->in_hardirq = in_hardirq();
	noted->place = ++places;
}

static void cancel(void *n)
{
	nursery_cancel(n, 0);
}

static void cancel_child(void *c)
{
	nursery_child_cancel(c);
}

static void begin(struct kunit *test, struct nursery *n, struct nursery_child *c)
{
	nursery_child_init(c, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(n, c), 0);
}

static void i6_handler_runs_once_however_often_it_is_cancelled(struct kunit *test)
{
	struct noted a = { }, b = { };
	struct nursery_child c, sibling;
	struct nursery n;

	nursery_init(&n, NULL);
	begin(test, &n, &c);
	begin(test, &n, &sibling);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&c, &a.handler, note), 0);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&sibling, &b.handler, note), 0);
	nursery_child_cancel(&c);
	KUNIT_EXPECT_EQ(test, a.calls, 1);
	KUNIT_EXPECT_EQ(test, b.calls, 0);
	nursery_child_cancel(&c);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, b.calls, 1);
	nursery_child_cancel(&sibling);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, a.calls, 1);
	KUNIT_EXPECT_EQ(test, b.calls, 1);
	nursery_child_complete(&c, 0);
	nursery_child_complete(&sibling, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void i6_handler_runs_in_the_cancellers_context(struct kunit *test)
{
	struct noted by_nursery = { }, by_child = { }, here = { };
	struct nursery_child c[3];
	struct nursery n;
	int i;

	nursery_init(&n, NULL);
	for (i = 0; i < 3; i++)
		begin(test, &n, &c[i]);
	nursery_on_cancel(&c[0], &by_nursery.handler, note);
	nursery_on_cancel(&c[1], &by_child.handler, note);
	nursery_on_cancel(&c[2], &here.handler, note);
	nursery_child_cancel(&c[2]);
	KUNIT_EXPECT_FALSE(test, here.in_hardirq);
	KUNIT_EXPECT_PTR_EQ(test, here.task, current);
	run_in_hardirq(cancel_child, &c[1]);
	KUNIT_EXPECT_EQ(test, by_child.calls, 1);
	KUNIT_EXPECT_TRUE(test, by_child.in_hardirq);
	KUNIT_EXPECT_EQ(test, by_nursery.calls, 0);
	run_in_hardirq(cancel, &n);
	KUNIT_EXPECT_EQ(test, by_nursery.calls, 1);
	KUNIT_EXPECT_TRUE(test, by_nursery.in_hardirq);
	for (i = 0; i < 3; i++)
		nursery_child_complete(&c[i], 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

/* A child with several handlers, some of which it takes off. */
struct several {
	struct nursery_child	child;
	struct noted		noted[4];
	int			registered;
	struct completion	ready, cancelled;
	struct noted		late;
	int			late_registered;
	struct task_struct	*task;
};

static int several_run(struct nursery_child *c)
{
	struct several *s = container_of(c, struct several, child);
	int i;

	s->task = current;
	for (i = 0; i < ARRAY_SIZE(s->noted); i++)
		s->registered |= nursery_on_cancel(c, &s->noted[i].handler, note);
	/* One in the middle, and the last that was put on. */
	nursery_off_cancel(&s->noted[1].handler);
	nursery_off_cancel(&s->noted[3].handler);
	complete(&s->ready);
	wait_for_completion(&s->cancelled);
	s->late_registered = nursery_on_cancel(c, &s->late.handler, note);
	/* Off is allowed for all: called, off before, and called when put on. */
	for (i = 0; i < ARRAY_SIZE(s->noted); i++)
		nursery_off_cancel(&s->noted[i].handler);
	nursery_off_cancel(&s->late.handler);
	return -ECANCELED;
}

static void i6_handlers_of_one_child(struct kunit *test)
{
	struct several *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, s);
	init_completion(&s->ready);
	init_completion(&s->cancelled);
	nursery_child_init(&s->child, several_run, NULL);
	scoped_nursery(n, .name = "several", .result = &err) {
		nursery_spawn(n, &s->child);
		wait_for_completion(&s->ready);
		nursery_cancel(n, 0);
		/* Before the cancel returned, so the first two are noted. */
		KUNIT_EXPECT_EQ(test, s->noted[0].calls, 1);
		KUNIT_EXPECT_EQ(test, s->noted[2].calls, 1);
		complete(&s->cancelled);
	}
	KUNIT_EXPECT_EQ(test, s->registered, 0);
	KUNIT_EXPECT_EQ(test, s->noted[0].calls, 1);
	KUNIT_EXPECT_EQ(test, s->noted[1].calls, 0);
	KUNIT_EXPECT_EQ(test, s->noted[2].calls, 1);
	KUNIT_EXPECT_EQ(test, s->noted[3].calls, 0);
	KUNIT_EXPECT_PTR_EQ(test, s->noted[0].task, current);
	/* Too late: in the context of who registered it. */
	KUNIT_EXPECT_EQ(test, s->late_registered, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s->late.calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, s->late.task, s->task);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void handler_is_free_when_it_is_off(struct kunit *test)
{
	struct nursery_child c;
	struct nursery n;
	int i;

	nursery_init(&n, NULL);
	begin(test, &n, &c);
	for (i = 0; i < 3; i++) {
		struct noted *noted = kzalloc(sizeof(*noted), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, noted);
		/* Not called; called by a cancel; called when it is put on. */
		KUNIT_EXPECT_EQ(test, nursery_on_cancel(&c, &noted->handler, note),
				i == 2 ? -ECANCELED : 0);
		if (i == 1)
			nursery_child_cancel(&c);
		nursery_off_cancel(&noted->handler);
		KUNIT_EXPECT_EQ(test, noted->calls, i ? 1 : 0);
		kfree(noted);
	}
	nursery_cancel(&n, 0);
	nursery_child_complete(&c, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

/* When its child is over. */
static void handler_may_be_used_again(struct kunit *test)
{
	struct noted noted = { };
	struct nursery_child c;
	struct nursery n;
	int i;

	for (i = 1; i <= 3; i++) {
		nursery_init(&n, NULL);
		begin(test, &n, &c);
		KUNIT_EXPECT_EQ(test, nursery_on_cancel(&c, &noted.handler, note), 0);
		nursery_cancel(&n, 0);
		KUNIT_EXPECT_EQ(test, noted.calls, i);
		nursery_child_complete(&c, 0);
		KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	}
}

/* Before children that did not start are ended: somebody's wait ends with a handler. */
struct skipped {
	struct nursery_child	child;
	unsigned int		place;
};

static int never_run(struct nursery_child *c)
{
	return -EIO;
}

static void skipped_done(struct nursery_child *c)
{
	container_of(c, struct skipped, child)->place = ++places;
}

static void i6_handlers_come_first(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	struct nursery_params params = { .name = "order", .executor = e };
	struct noted noted = { };
	struct skipped skipped;
	struct nursery_child c;
	struct nursery n;

	nursery_init(&n, &params);
	begin(test, &n, &c);
	nursery_on_cancel(&c, &noted.handler, note);
	skipped.place = 0;
	nursery_child_init(&skipped.child, never_run, skipped_done);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &skipped.child), 0);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, noted.calls, 1);
	KUNIT_EXPECT_NE(test, skipped.place, 0);
	KUNIT_EXPECT_LT(test, noted.place, skipped.place);
	nursery_child_complete(&c, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	busy_worker_destroy(e);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i6_handler_runs_once_however_often_it_is_cancelled),
	KUNIT_CASE(i6_handler_runs_in_the_cancellers_context),
	KUNIT_CASE(i6_handlers_of_one_child),
	KUNIT_CASE(handler_is_free_when_it_is_off),
	KUNIT_CASE(handler_may_be_used_again),
	KUNIT_CASE(i6_handlers_come_first),
	{ }
};

struct kunit_suite nursery_handler_suite = { .name = "nursery_handler", .test_cases = cases };
