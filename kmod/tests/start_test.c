// SPDX-License-Identifier: GPL-2.0-only
/* Start: what the starter hears, and what the nursery does not hear. */
#include <linux/slab.h>

#include "util.h"

/* A child that does some of this, in this order. */
struct service {
	struct nursery_child	child;
	int			early;		/* fail with this before being ready */
	ktime_t			sleep;		/* before being ready */
	int			readies;	/* how often it says that it is */
	bool			in_hardirq;	/* and where */
	struct completion	*gate;		/* goes on until this */
	int			late;		/* what it returns then */
	int			set_up;		/* written before being ready */
	struct completion	begun;
	atomic_t		runs;
	atomic_t		dones;
};

static void say_ready(void *child)
{
	nursery_child_ready(child);
}

static int service_run(struct nursery_child *c)
{
	struct service *s = container_of(c, struct service, child);
	int i, err = 0;

	atomic_inc(&s->runs);
	complete_all(&s->begun);
	if (s->sleep)
		err = nursery_sleep(c, s->sleep);
	if (err || s->early)
		return err ?: s->early;
	s->set_up = 1;
	for (i = 0; i < s->readies; i++) {
		if (s->in_hardirq)
			run_in_hardirq(say_ready, c);
		else
			nursery_child_ready(c);
	}
	if (s->gate)
		wait_for_completion(s->gate);
	return s->late;
}

static void service_done(struct nursery_child *c)
{
	atomic_inc(&container_of(c, struct service, child)->dones);
}

static void service_init(struct service *s)
{
	*s = (struct service){ .readies = 1 };
	init_completion(&s->begun);
	nursery_child_init(&s->child, service_run, service_done);
}

static void start_returns_when_the_child_is_ready(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct service s;
	int err = -1;

	service_init(&s);
	s.gate = &gate;
	scoped_nursery(n, .name = "start", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), 0);
		KUNIT_EXPECT_EQ(test, s.set_up, 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 0);
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), -EBUSY);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.runs), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 1);
}

/* The error is the starter's alone, and the child is the starter's again. */
static void failure_before_ready_is_the_starters(struct kunit *test)
{
	struct service s;
	struct probe sibling;
	int err = -1;

	service_init(&s);
	s.early = -EIO;
	probe_init(&sibling, 0);
	sibling.sleep = LONG_TIME;
	scoped_nursery(n, .name = "start", .result = &err) {
		nursery_spawn(n, &sibling.child);
		wait_for_completion(&sibling.started);
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), -EIO);
		KUNIT_EXPECT_EQ(test, atomic_read(&s.runs), 1);
		KUNIT_EXPECT_FALSE(test, nursery_cancelled(n));

		memset(&s, 0x5a, sizeof(s));
		service_init(&s);
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&s.child), 0);
		nursery_child_cancel(&sibling.child);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 1);
}

static void i4_done_is_not_called_if_start_failed(struct kunit *test)
{
	struct service s;

	service_init(&s);
	s.early = -EIO;
	scoped_nursery(n, .name = "start")
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), -EIO);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.runs), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 0);
}

/* It may be freed at once; with KASAN. */
static void i4_child_of_a_failed_start_is_the_callers(struct kunit *test)
{
	struct service *s;
	int i, err = -1;

	scoped_nursery(n, .name = "start", .result = &err) {
		for (i = 0; i < 1000; i++) {
			s = kmalloc(sizeof(*s), GFP_KERNEL);
			KUNIT_EXPECT_NOT_NULL(test, s);
			if (!s)
				break;
			service_init(s);
			s->early = -EIO;
			if (nursery_start(n, &s->child) != -EIO)
				break;
			kfree(s);
		}
	}
	KUNIT_EXPECT_EQ(test, i, 1000);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void return_without_ready_is_eproto(struct kunit *test)
{
	struct service s;
	int err = -1;

	service_init(&s);
	s.readies = 0;
	scoped_nursery(n, .name = "start", .result = &err)
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), -EPROTO);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 0);
}

static void failure_after_ready_is_the_nurserys(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct service s;
	struct probe sibling;
	int err = -1;

	service_init(&s);
	s.gate = &gate;
	s.late = -EIO;
	probe_init(&sibling, 0);
	sibling.sleep = LONG_TIME;
	scoped_nursery(n, .name = "start", .result = &err) {
		nursery_spawn(n, &sibling.child);
		wait_for_completion(&sibling.started);
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), 0);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_EQ(test, sibling.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 1);
}

static void ready_twice_and_ready_of_a_spawned_child_do_nothing(struct kunit *test)
{
	struct service s;
	int err = -1;

	service_init(&s);
	s.readies = 3;
	scoped_nursery(n, .name = "start", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&s.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);

	service_init(&s);
	scoped_nursery(n, .name = "spawn", .result = &err)
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &s.child), 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.runs), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 1);
}

static void i8_ready_from_hard_interrupt(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct service s;
	int err = -1;

	service_init(&s);
	s.in_hardirq = true;
	s.gate = &gate;
	scoped_nursery(n, .name = "start", .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 0);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void refused_start_changes_nothing(struct kunit *test)
{
	struct nursery_child external;
	struct service s;
	struct nursery n;

	service_init(&s);
	nursery_child_init(&external, NULL, NULL);
	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &external), -EINVAL);
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s.child), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s.child), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 0);

	nursery_init(&n, NULL);
	KUNIT_EXPECT_EQ(test, nursery_start(&n, &s.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s.runs), 1);
}

/* A child that starts another one, and what it hears. */
struct starter {
	struct nursery_child child;
	struct nursery *n;		/* NULL: one of its own, on @e */
	const struct nursery_executor *e;
	struct service service;
	int got;
};

static int starter_run(struct nursery_child *c)
{
	struct starter *s = container_of(c, struct starter, child);

	if (s->n) {
		s->got = nursery_start(s->n, &s->service.child);
		return 0;
	}
	scoped_nursery(n, .name = "below", .parent = c, .executor = s->e)
		s->got = nursery_start(n, &s->service.child);
	return 0;
}

static struct starter *starter_alloc(struct kunit *test)
{
	struct starter *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	service_init(&s->service);
	s->got = 1000;
	nursery_child_init(&s->child, starter_run, NULL);
	return s;
}

static void cancelled_while_starting(struct kunit *test)
{
	struct starter *s = starter_alloc(test);
	int err = -1;

	s->service.sleep = LONG_TIME;
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread) {
		scoped_nursery(n, .name = "start", .result = &err) {
			s->n = n;
			nursery_spawn(beside, &s->child);
			wait_for_completion(&s->service.begun);
			nursery_cancel(n, -EINTR);
		}
	}
	KUNIT_EXPECT_EQ(test, s->got, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.dones), 0);
}

/* It is queued behind one that blocks, and taken away there. */
static void cancelled_before_it_was_run(struct kunit *test)
{
	struct starter *s = starter_alloc(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe first;
	int err = -1;

	probe_init(&first, 0);
	first.gate = &gate;
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread) {
		scoped_nursery(n, .name = "start", .max_active = 1, .result = &err) {
			s->n = n;
			nursery_spawn(n, &first.child);
			wait_for_completion(&first.started);
			nursery_spawn(beside, &s->child);
			/* Refused until it is spawned, and nothing happens before. */
			while (READ_ONCE(s->got) == 1000) {
				nursery_child_cancel(&s->service.child);
				schedule_timeout_uninterruptible(1);
			}
			complete(&gate);
		}
	}
	KUNIT_EXPECT_EQ(test, s->got, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.dones), 0);
}

static void start_by_the_only_active_child_is_refused(struct kunit *test)
{
	struct starter *s = starter_alloc(test);
	int err = -1;

	scoped_nursery(n, .name = "start", .max_active = 1, .result = &err) {
		s->n = n;
		nursery_spawn(n, &s->child);
	}
	KUNIT_EXPECT_EQ(test, s->got, -EDEADLK);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.runs), 0);
}

/* The starter is what the only worker of the executor runs. */
static void i5_start_with_one_worker(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct starter *s = starter_alloc(test);

	s->e = e;
	scoped_nursery(n, .name = "start", .executor = e, .flags = NURSERY_NO_HELP)
		nursery_spawn(n, &s->child);
	KUNIT_EXPECT_EQ(test, s->got, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.dones), 1);

	/* With a bound it is taken where it waits for its turn. */
	s = starter_alloc(test);
	scoped_nursery(n, .name = "start", .executor = e, .max_active = 1) {
		s->n = n;
		scoped_nursery(beside, .name = "beside", .executor = e, .flags = NURSERY_NO_HELP)
			nursery_spawn(beside, &s->child);
	}
	KUNIT_EXPECT_EQ(test, s->got, 0);
	single_worker_destroy(e);
}

/* Ready, it goes on; so it cannot run in the spawn. */
static void start_on_the_inline_executor(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct service s;

	service_init(&s);
	s.gate = &gate;
	scoped_nursery(n, .name = "start", .executor = nursery_executor_inline) {
		KUNIT_EXPECT_EQ(test, nursery_start(n, &s.child), 0);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&s.dones), 1);
}

/* It parks before it is ready, and others tell what it has been waiting for. */
static int park_run(struct nursery_child *c)
{
	struct service *s = container_of(c, struct service, child);

	atomic_inc(&s->runs);
	complete_all(&s->begun);
	return nursery_child_cancelled(c) ? -ECANCELED : NURSERY_PARK;
}

/* A cancel of the nursery passes over services that are ready, and over no others. */
static void cancel_of_a_service_that_parks(struct kunit *test, bool ready)
{
	struct nursery_executor *e = single_worker(test);
	struct starter *s = starter_alloc(test);
	struct nursery_child hardware;
	struct plug plug;
	int err = -1;

	nursery_child_init(&s->service.child, park_run, service_done);
	nursery_child_set_service(&s->service.child);
	nursery_child_init(&hardware, NULL, NULL);
	scoped_nursery(beside, .name = "beside", .executor = nursery_executor_thread) {
		scoped_nursery(n, .name = "start", .executor = e, .result = &err) {
			s->n = n;
			nursery_child_begin(n, &hardware);
			nursery_spawn(beside, &s->child);
			wait_for_completion(&s->service.begun);
			/* When the only worker has come to the plug the service is parked. */
			plug_insert(&plug, e->wq);
			plug_remove(&plug);
			if (ready) {
				nursery_child_ready(&s->service.child);
				nursery_child_join(&s->child);
			}
			nursery_cancel(n, -EINTR);
			plug_insert(&plug, e->wq);
			plug_remove(&plug);
			KUNIT_EXPECT_EQ(test, atomic_read(&s->service.runs), ready ? 1 : 2);
			nursery_child_complete(&hardware, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, s->got, ready ? 0 : -ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.runs), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->service.dones), ready);
	single_worker_destroy(e);
}

static void service_that_is_not_ready_is_cancelled_where_it_parks(struct kunit *test)
{
	cancel_of_a_service_that_parks(test, false);
}

static void service_that_gets_ready_while_it_parks_is_left_to_the_join(struct kunit *test)
{
	cancel_of_a_service_that_parks(test, true);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(start_returns_when_the_child_is_ready),
	KUNIT_CASE(failure_before_ready_is_the_starters),
	KUNIT_CASE(i4_done_is_not_called_if_start_failed),
	KUNIT_CASE(i4_child_of_a_failed_start_is_the_callers),
	KUNIT_CASE(return_without_ready_is_eproto),
	KUNIT_CASE(failure_after_ready_is_the_nurserys),
	KUNIT_CASE(ready_twice_and_ready_of_a_spawned_child_do_nothing),
	KUNIT_CASE(i8_ready_from_hard_interrupt),
	KUNIT_CASE(refused_start_changes_nothing),
	KUNIT_CASE(cancelled_while_starting),
	KUNIT_CASE(cancelled_before_it_was_run),
	KUNIT_CASE(start_by_the_only_active_child_is_refused),
	KUNIT_CASE(i5_start_with_one_worker),
	KUNIT_CASE(start_on_the_inline_executor),
	KUNIT_CASE(service_that_is_not_ready_is_cancelled_where_it_parks),
	KUNIT_CASE(service_that_gets_ready_while_it_parks_is_left_to_the_join),
	{ }
};

struct kunit_suite nursery_start_suite = { .name = "nursery_start", .test_cases = cases };
