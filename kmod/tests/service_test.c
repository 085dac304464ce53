// SPDX-License-Identifier: GPL-2.0-only
/* Services: stopped when all others are done. */
#include <linux/completion.h>

#include "util.h"

static void service_init(struct probe *p)
{
	probe_init(p, -ECANCELED);
	p->sleep = LONG_TIME;
	nursery_child_set_service(&p->child);
}

static void i1_services_last(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe service, child;
	int err = -1;

	service_init(&service);
	probe_init(&child, 0);
	child.gate = &gate;
	scoped_nursery(n, .flags = NURSERY_NO_HELP, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &service.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &child.child), 0);
		wait_for_completion(&service.started);
		wait_for_completion(&child.started);
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&service.child));
		complete(&gate);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&child.child), 0);
		/* Not before the join: more children may be spawned. */
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&service.child));
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_FALSE(test, child.saw_cancel);
	KUNIT_EXPECT_TRUE(test, service.saw_cancel);
	KUNIT_EXPECT_EQ(test, service.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&service.dones), 1);
}

/* A child that a service serves until it ends: it must find the service alive. */
struct client {
	struct nursery_child child;
	struct nursery_child *service;
	bool served;
};

static int client_run(struct nursery_child *c)
{
	struct client *client = container_of(c, struct client, child);

	schedule_timeout_uninterruptible(2);
	client->served = !nursery_child_cancelled(client->service);
	return 0;
}

static void services_outlive_all_others(struct kunit *test)
{
	struct client clients[8];
	struct probe service;
	unsigned int i;
	int err = -1;

	service_init(&service);
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &service.child);
		wait_for_completion(&service.started);
		for (i = 0; i < ARRAY_SIZE(clients); i++) {
			clients[i] = (struct client) { .service = &service.child };
			nursery_child_init(&clients[i].child, client_run, NULL);
			nursery_spawn(n, &clients[i].child);
		}
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		KUNIT_EXPECT_TRUE(test, clients[i].served);
	KUNIT_EXPECT_EQ(test, atomic_read(&service.runs), 1);
	KUNIT_EXPECT_TRUE(test, service.saw_cancel);
}

/* What a service spawns when it is stopped is joined, and is not cancelled. */
struct last_words {
	struct nursery_child child;
	struct nursery *nursery;
	struct completion started;
	struct probe words;
	struct probe too_late;
};

static int last_words_run(struct nursery_child *c)
{
	struct last_words *l = container_of(c, struct last_words, child);

	complete(&l->started);
	nursery_sleep(c, LONG_TIME);
	nursery_spawn(l->nursery, &l->words.child);
	return nursery_spawn(l->nursery, &l->too_late.child);
}

static void stopped_service_may_spawn(struct kunit *test)
{
	struct last_words l;
	int err = -1;

	init_completion(&l.started);
	probe_init(&l.words, 0);
	service_init(&l.too_late);
	nursery_child_init(&l.child, last_words_run, NULL);
	nursery_child_set_service(&l.child);
	scoped_nursery(n, .result = &err) {
		l.nursery = n;
		nursery_spawn(n, &l.child);
		wait_for_completion(&l.started);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&l.words.runs), 1);
	KUNIT_EXPECT_FALSE(test, l.words.saw_cancel);
	/* Another service comes too late: it does not start. */
	KUNIT_EXPECT_EQ(test, atomic_read(&l.too_late.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&l.too_late.dones), 1);
}

static void failing_service_cancels(struct kunit *test)
{
	struct probe service, child;
	int err = -1;

	probe_init(&service, -EIO);
	nursery_child_set_service(&service.child);
	probe_init(&child, 0);
	child.sleep = LONG_TIME;
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &child.child);
		wait_for_completion(&child.started);
		nursery_spawn(n, &service.child);
	}
	KUNIT_EXPECT_EQ(test, err, -EIO);
	KUNIT_EXPECT_TRUE(test, child.saw_cancel);
}

static void service_may_end_early(struct kunit *test)
{
	struct probe service;
	int err = -1;

	probe_init(&service, 0);
	nursery_child_set_service(&service.child);
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &service.child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&service.child), 0);
		/* It is one for the next time, too. */
		service.sleep = LONG_TIME;
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &service.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&service.dones), 2);
}

/* Its executor is busy until after the join: it is stopped before it started. */
static void service_that_never_started(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	struct probe service;
	int err = -1;

	service_init(&service);
	scoped_nursery(n, .executor = e, .result = &err)
		nursery_spawn(n, &service.child);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&service.runs), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&service.dones), 1);
	busy_worker_destroy(e);
}

static void service_takes_no_place(struct kunit *test)
{
	enum { NR_SERVICES = 2, NR_CHILDREN = 3 };
	struct probe *service = NEW(test, struct probe, NR_SERVICES);
	struct probe *child = NEW(test, struct probe, NR_CHILDREN);
	unsigned int i;
	int err = -1;

	for (i = 0; i < NR_SERVICES; i++)
		service_init(&service[i]);
	for (i = 0; i < NR_CHILDREN; i++)
		probe_init(&child[i], 0);
	scoped_nursery(n, .max_active = 1, .result = &err) {
		for (i = 0; i < NR_SERVICES; i++)
			nursery_spawn(n, &service[i].child);
		for (i = 0; i < NR_SERVICES; i++)
			wait_for_completion(&service[i].started);
		for (i = 0; i < NR_CHILDREN; i++)
			nursery_spawn(n, &child[i].child);
		for (i = 0; i < NR_CHILDREN; i++)
			KUNIT_EXPECT_EQ(test, nursery_child_join(&child[i].child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < NR_SERVICES; i++)
		KUNIT_EXPECT_TRUE(test, service[i].saw_cancel);
}

/* The joiner runs children itself, but not one that ends after it. */
static void joiner_runs_no_service(struct kunit *test)
{
	const struct nursery_executor *executors[] = {
		nursery_executor_unbound, nursery_executor_inline, nursery_executor_thread,
	};
	struct probe service, child;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(executors); i++) {
		service_init(&service);
		probe_init(&child, 0);
		scoped_nursery(n) {
			nursery_spawn_on(n, &service.child, executors[i]);
			nursery_spawn(n, &child.child);
		}
		KUNIT_EXPECT_EQ(test, atomic_read(&service.dones), 1);
		KUNIT_EXPECT_PTR_NE(test, service.task, current);
	}
}

/* A child beside it that joins a service. */
struct service_joiner {
	struct nursery_child child;
	struct nursery_child *service;
	struct completion begun;
	struct task_struct *task;
	int got;
};

static int join_service(struct nursery_child *c)
{
	struct service_joiner *j = container_of(c, struct service_joiner, child);

	j->task = current;
	complete(&j->begun);
	j->got = nursery_child_join(j->service);
	return 0;
}

/* Nor does who waits for just the service, though it is queued: it may wait for the join. */
static void who_joins_a_service_does_not_run_it(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	struct service_joiner j;
	struct probe service;

	service_init(&service);
	init_completion(&j.begun);
	j.service = &service.child;
	nursery_child_init(&j.child, join_service, NULL);
	scoped_nursery(beside, .executor = nursery_executor_thread) {
		scoped_nursery(n, .executor = e) {
			nursery_spawn(n, &service.child);
			nursery_spawn(beside, &j.child);
			wait_for_completion(&j.begun);
			while (!is_asleep(j.task) && !atomic_read(&service.runs))
				schedule_timeout_uninterruptible(1);
			KUNIT_EXPECT_EQ(test, atomic_read(&service.runs), 0);
			if (atomic_read(&service.runs))
				nursery_child_cancel(&service.child);
		}
	}
	/* It was stopped before it started. */
	KUNIT_EXPECT_EQ(test, j.got, -ECANCELED);
	KUNIT_EXPECT_EQ(test, atomic_read(&service.runs), 0);
	busy_worker_destroy(e);
}

/* It comes round every millisecond, and holds no thread in between. */
struct periodic {
	struct nursery_child child;
	struct completion third;
	unsigned int rounds;
	bool saw_cancel;
};

static int periodic_run(struct nursery_child *c)
{
	struct periodic *p = container_of(c, struct periodic, child);

	if (nursery_child_cancelled(c)) {
		p->saw_cancel = true;
		return -ECANCELED;
	}
	if (++p->rounds == 3)
		complete(&p->third);
	return nursery_child_park_until(c, ktime_add(ktime_get(), NSEC_PER_MSEC));
}

static void periodic_init(struct periodic *p)
{
	*p = (struct periodic) { };
	init_completion(&p->third);
	nursery_child_init(&p->child, periodic_run, NULL);
	nursery_child_set_service(&p->child);
}

static void service_may_park(struct kunit *test)
{
	struct periodic p[2];
	int err = -1;

	periodic_init(&p[0]);
	periodic_init(&p[1]);
	scoped_nursery(n, .max_active = 1, .result = &err) {
		nursery_spawn(n, &p[0].child);
		nursery_spawn_delayed(n, &p[1].child, NSEC_PER_MSEC);
		wait_for_completion(&p[0].third);
		wait_for_completion(&p[1].third);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE(test, p[0].saw_cancel);
	KUNIT_EXPECT_TRUE(test, p[1].saw_cancel);
}

/* Parked until unpark, or delayed for ever: the join does not wait for that. */
static int park_for_ever(struct nursery_child *c)
{
	return nursery_child_cancelled(c) ? -ECANCELED : NURSERY_PARK;
}

static void parked_service_is_stopped(struct kunit *test)
{
	struct nursery_child parked, delayed;
	int err = -1;

	nursery_child_init(&parked, park_for_ever, NULL);
	nursery_child_set_service(&parked);
	nursery_child_init(&delayed, park_for_ever, NULL);
	nursery_child_set_service(&delayed);
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &parked);
		nursery_spawn_delayed(n, &delayed, LONG_TIME);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&parked), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&delayed), -ECANCELED);
}

/* A service that notes what it saw of a cancel when it was run again. */
struct again {
	struct nursery_child	child;
	struct completion	ran;
	unsigned int		calls;
	bool			cancelled;	/* in its second call */
};

static int note_second_call(struct nursery_child *c)
{
	struct again *a = container_of(c, struct again, child);

	if (++a->calls == 2)
		a->cancelled = nursery_child_cancelled(c);
	complete(&a->ran);
	return nursery_child_cancelled(c) ? -ECANCELED : NURSERY_PARK;
}

/* It is its executor's when the cancel comes: to be run again, not for the first time. */
static void cancel_leaves_a_service_that_was_unparked(struct kunit *test)
{
	struct nursery_executor *e = single_worker(test);
	struct nursery_child transfer;
	struct again a = { };
	struct plug plug;
	int err = -1;

	init_completion(&a.ran);
	nursery_child_init(&a.child, note_second_call, NULL);
	nursery_child_set_service(&a.child);
	nursery_child_init(&transfer, NULL, NULL);
	scoped_nursery(n, .executor = e, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_child_begin(n, &transfer), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(n, &a.child), 0);
		wait_for_completion(&a.ran);
		/* When the only worker has this it has parked the service. */
		plug_insert(&plug, e->wq);
		nursery_child_unpark(&a.child);
		nursery_cancel(n, -EINTR);
		plug_remove(&plug);
		wait_for_completion(&a.ran);
		KUNIT_EXPECT_FALSE(test, a.cancelled);
		nursery_child_complete(&transfer, -ECANCELED);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&a.child), -ECANCELED);
	single_worker_destroy(e);
}

/* A service with a leaf below it. */
struct nesting {
	struct nursery_child child;
	struct probe leaf;
};

static int nesting_run(struct nursery_child *c)
{
	struct nesting *s = container_of(c, struct nesting, child);
	int err = -1;

	scoped_nursery(n, .parent = c, .result = &err)
		nursery_spawn(n, &s->leaf.child);
	return err;
}

static void nesting_init(struct nesting *s)
{
	probe_init(&s->leaf, 0);
	s->leaf.sleep = LONG_TIME;
	nursery_child_init(&s->child, nesting_run, NULL);
	nursery_child_set_service(&s->child);
}

/* What it opened is cancelled with it. */
static void stop_travels_down(struct kunit *test)
{
	struct nesting *nesting = kunit_kzalloc(test, sizeof(*nesting), GFP_KERNEL);
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, nesting);
	nesting_init(nesting);
	scoped_nursery(n, .result = &err) {
		nursery_spawn(n, &nesting->child);
		wait_for_completion(&nesting->leaf.started);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, nesting->leaf.slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&nesting->child), -ECANCELED);
}

/*
 * The nursery is cancelled, and a child takes its time to stop: until then services go on,
 * with what is below them, asleep or parked.
 */
static void cancel_leaves_services_to_the_join(struct kunit *test)
{
	struct probe *service = kunit_kcalloc(test, 2, sizeof(*service), GFP_KERNEL);
	struct nesting *nesting = kunit_kzalloc(test, sizeof(*nesting), GFP_KERNEL);
	struct probe *child = service + 1;
	DECLARE_COMPLETION_ONSTACK(gate);
	struct periodic periodic;
	unsigned int rounds;
	int err = -1;

	KUNIT_ASSERT_NOT_NULL(test, service);
	KUNIT_ASSERT_NOT_NULL(test, nesting);
	service_init(service);
	periodic_init(&periodic);
	nesting_init(nesting);
	probe_init(child, 0);
	child->gate = &gate;
	scoped_nursery(n, .flags = NURSERY_NO_HELP, .result = &err) {
		nursery_spawn(n, &service->child);
		nursery_spawn(n, &nesting->child);
		nursery_spawn(n, &periodic.child);
		nursery_spawn(n, &child->child);
		wait_for_completion(&service->started);
		wait_for_completion(&nesting->leaf.started);
		wait_for_completion(&child->started);
		wait_for_completion(&periodic.third);
		nursery_cancel(n, -EINTR);
		KUNIT_EXPECT_TRUE(test, nursery_child_cancelled(&child->child));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&service->child));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&nesting->child));
		KUNIT_EXPECT_FALSE(test, nursery_child_cancelled(&nesting->leaf.child));
		/* It comes round again. */
		rounds = READ_ONCE(periodic.rounds);
		while (READ_ONCE(periodic.rounds) < rounds + 2)
			schedule_timeout_uninterruptible(1);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(periodic.saw_cancel));
		/* To cancel just one is another matter. */
		nursery_child_cancel(&nesting->child);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&nesting->child), -ECANCELED);
		complete(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, -EINTR);
	KUNIT_EXPECT_TRUE(test, child->saw_cancel);
	KUNIT_EXPECT_EQ(test, service->slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, nesting->leaf.slept, -ECANCELED);
	KUNIT_EXPECT_TRUE(test, periodic.saw_cancel);
}

/* Nobody relies yet on one that is not ready, so that is cancelled at once. */
struct unready {
	struct nursery_child child, canceller;
	struct completion begun;
	struct nursery *n;
};

static int never_ready(struct nursery_child *c)
{
	complete(&container_of(c, struct unready, child)->begun);
	return nursery_sleep(c, LONG_TIME);
}

static int cancel_the_nursery(struct nursery_child *c)
{
	struct unready *u = container_of(c, struct unready, canceller);

	wait_for_completion(&u->begun);
	nursery_cancel(u->n, -EINTR);
	return 0;
}

static void service_that_is_not_ready_is_cancelled(struct kunit *test)
{
	struct unready u;
	int err = -1, started = 0;

	init_completion(&u.begun);
	nursery_child_init(&u.child, never_ready, NULL);
	nursery_child_set_service(&u.child);
	nursery_child_init(&u.canceller, cancel_the_nursery, NULL);
	scoped_nursery(n, .result = &err) {
		u.n = n;
		nursery_spawn(n, &u.canceller);
		started = nursery_start(n, &u.child);
	}
	KUNIT_EXPECT_EQ(test, started, -ECANCELED);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

static struct kunit_case service_cases[] = {
	KUNIT_CASE(i1_services_last),
	KUNIT_CASE(services_outlive_all_others),
	KUNIT_CASE(stopped_service_may_spawn),
	KUNIT_CASE(failing_service_cancels),
	KUNIT_CASE(service_may_end_early),
	KUNIT_CASE(service_that_never_started),
	KUNIT_CASE(service_takes_no_place),
	KUNIT_CASE(joiner_runs_no_service),
	KUNIT_CASE(who_joins_a_service_does_not_run_it),
	KUNIT_CASE(service_may_park),
	KUNIT_CASE(parked_service_is_stopped),
	KUNIT_CASE(stop_travels_down),
	KUNIT_CASE(cancel_leaves_services_to_the_join),
	KUNIT_CASE(cancel_leaves_a_service_that_was_unparked),
	KUNIT_CASE(service_that_is_not_ready_is_cancelled),
	{ }
};

struct kunit_suite nursery_service_suite = {
	.name = "nursery_service",
	.test_cases = service_cases,
};
