// SPDX-License-Identifier: GPL-2.0-only
/* Grace: hard handlers are for those that a cancel has not ended within it. */
#include <linux/delay.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include "util.h"

#define GRACE	(30 * NSEC_PER_MSEC)

/* A device that is asked to stop, and if it does not is reset. */
struct device_op {
	struct nursery_child		child;
	struct nursery_cancel_handler	soft, hard;
	bool				obeys;		/* it stops when it is asked */
	int				soft_calls, hard_calls;
	bool				in_hardirq;	/* the hard one was */
	ktime_t				reset_at;
	struct completion		reset;
};

static void ask(struct nursery_cancel_handler *h)
{
	struct device_op *d = container_of(h, struct device_op, soft);

	d->soft_calls++;
	if (d->obeys)
		nursery_child_complete(&d->child, -ECANCELED);
}

static void note_reset(struct device_op *d)
{
	WRITE_ONCE(d->hard_calls, d->hard_calls + 1);
	d->in_hardirq = in_hardirq();
	d->reset_at = ktime_get();
}

static void reset(struct nursery_cancel_handler *h)
{
	struct device_op *d = container_of(h, struct device_op, hard);

	note_reset(d);
	complete(&d->reset);
	nursery_child_complete(&d->child, -ECANCELED);
}

/* The device is reset, and goes on all the same. */
static void reset_in_vain(struct nursery_cancel_handler *h)
{
	struct device_op *d = container_of(h, struct device_op, hard);

	note_reset(d);
	complete(&d->reset);
}

static void op_begin(struct kunit *test, struct nursery *n, struct device_op *d)
{
	*d = (struct device_op){ };
	init_completion(&d->reset);
	nursery_child_init(&d->child, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(n, &d->child), 0);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&d->child, &d->soft, ask), 0);
	KUNIT_EXPECT_EQ(test, nursery_on_hard_cancel(&d->child, &d->hard, reset), 0);
}

static struct device_op *new_ops(struct kunit *test, unsigned int nr)
{
	return NEW(test, struct device_op, nr);
}

static void open(struct nursery *n, ktime_t grace)
{
	struct nursery_params params = { .name = "grace", .grace = grace };

	nursery_init(n, &params);
}

static void hard_handler_is_called_after_the_grace(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct nursery n;
	ktime_t start;

	open(&n, GRACE);
	/* Another event of this nursery, later. */
	nursery_set_deadline(&n, ktime_add(ktime_get(), LONG_TIME));
	op_begin(test, &n, d);
	start = ktime_get();
	nursery_cancel(&n, -EINTR);
	KUNIT_EXPECT_EQ(test, d->soft_calls, 1);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -EINTR);
	KUNIT_EXPECT_EQ(test, d->soft_calls, 1);
	KUNIT_EXPECT_EQ(test, d->hard_calls, 1);
	KUNIT_EXPECT_TRUE(test, d->in_hardirq);
	KUNIT_EXPECT_GE(test, d->reset_at, ktime_add(start, GRACE));
	KUNIT_EXPECT_LT(test, ktime_ms_delta(d->reset_at, start), PROMPT_MS);
}

static void hard_handler_of_a_child_that_stops_is_not_called(struct kunit *test)
{
	struct device_op *d = new_ops(test, 3);
	struct nursery n;

	/* When asked; later, but within the grace; and one that was not asked to. */
	open(&n, LONG_TIME);
	op_begin(test, &n, &d[0]);
	op_begin(test, &n, &d[1]);
	d[0].obeys = true;
	nursery_cancel(&n, 0);
	nursery_child_complete(&d[1].child, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, d[0].hard_calls + d[1].hard_calls, 0);

	open(&n, NSEC_PER_MSEC);
	op_begin(test, &n, &d[0]);
	op_begin(test, &n, &d[1]);
	op_begin(test, &n, &d[2]);
	d[0].obeys = true;
	nursery_child_cancel(&d[0].child);
	nursery_child_cancel(&d[1].child);
	wait_for_completion(&d[1].reset);
	nursery_child_complete(&d[2].child, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, d[0].hard_calls, 0);
	KUNIT_EXPECT_EQ(test, d[1].hard_calls, 1);
	KUNIT_EXPECT_EQ(test, d[2].hard_calls + d[2].soft_calls, 0);
}

static void without_grace_hard_handlers_are_called_at_once(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct nursery n;

	open(&n, 0);
	op_begin(test, &n, d);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, d->soft_calls, 1);
	KUNIT_EXPECT_EQ(test, d->hard_calls, 1);
	KUNIT_EXPECT_FALSE(test, d->in_hardirq);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void grace_is_each_childs_own(struct kunit *test)
{
	struct device_op *d = new_ops(test, 2);
	struct nursery n;
	ktime_t second;

	open(&n, GRACE);
	op_begin(test, &n, &d[0]);
	op_begin(test, &n, &d[1]);
	nursery_child_cancel(&d[0].child);
	usleep_range(10000, 20000);
	second = ktime_get();
	nursery_child_cancel(&d[1].child);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, d[0].hard_calls, 1);
	KUNIT_EXPECT_EQ(test, d[1].hard_calls, 1);
	KUNIT_EXPECT_GE(test, d[1].reset_at, ktime_add(second, GRACE));
}

static void grace_does_not_begin_anew(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct nursery n;
	int i;

	open(&n, 10 * NSEC_PER_MSEC);
	op_begin(test, &n, d);
	d->hard.fn = reset_in_vain;
	nursery_child_cancel(&d->child);
	for (i = 0; i < 10000 && !READ_ONCE(d->hard_calls); i++) {
		nursery_child_cancel(&d->child);
		nursery_cancel(&n, 0);
		usleep_range(500, 1000);
	}
	/* Nor is there a second one when it is over. */
	nursery_child_cancel(&d->child);
	nursery_child_complete(&d->child, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, d->hard_calls, 1);
	KUNIT_EXPECT_EQ(test, d->soft_calls, 1);
}

static void hard_handler_that_comes_after_the_grace_is_called_at_once(struct kunit *test)
{
	struct device_op *d = new_ops(test, 2);
	struct nursery n;

	open(&n, NSEC_PER_MSEC);
	op_begin(test, &n, &d[0]);
	nursery_child_init(&d[1].child, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &d[1].child), 0);
	nursery_cancel(&n, 0);
	wait_for_completion(&d[0].reset);
	init_completion(&d[1].reset);
	KUNIT_EXPECT_EQ(test, nursery_on_hard_cancel(&d[1].child, &d[1].hard, reset), -ECANCELED);
	KUNIT_EXPECT_EQ(test, d[1].hard_calls, 1);
	KUNIT_EXPECT_FALSE(test, d[1].in_hardirq);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void hard_handler_that_comes_in_the_grace_waits_for_its_end(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct nursery n;
	ktime_t start;

	open(&n, GRACE);
	nursery_child_init(&d->child, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &d->child), 0);
	start = ktime_get();
	nursery_cancel(&n, 0);
	init_completion(&d->reset);
	/* Unless this took so long that it is over. */
	if (!nursery_on_hard_cancel(&d->child, &d->hard, reset))
		wait_for_completion(&d->reset);
	KUNIT_EXPECT_EQ(test, d->hard_calls, 1);
	KUNIT_EXPECT_GE(test, d->reset_at, ktime_add(start, GRACE));
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static void deadline_has_a_grace_too(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct nursery_params params = {
		.name = "late", .timeout = NSEC_PER_MSEC, .grace = GRACE,
	};
	struct nursery n;
	ktime_t start = ktime_get();

	nursery_init(&n, &params);
	*d = (struct device_op){ };
	init_completion(&d->reset);
	nursery_child_init(&d->child, NULL, NULL);
	if (!nursery_child_begin(&n, &d->child)) {
		nursery_on_cancel(&d->child, &d->soft, ask);
		nursery_on_hard_cancel(&d->child, &d->hard, reset);
		wait_for_completion(&d->reset);
		KUNIT_EXPECT_EQ(test, d->soft_calls, 1);
		KUNIT_EXPECT_GE(test, d->reset_at, ktime_add(start, NSEC_PER_MSEC + GRACE));
	}
	KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
}

/* A nested nursery's children have the grace of that one. */
static void grace_is_each_nurserys_own(struct kunit *test)
{
	struct device_op *d = new_ops(test, 2);
	struct nursery_params params = { .name = "inner", .grace = LONG_TIME };
	struct nursery outer, inner;

	open(&outer, 0);
	params.outer = &outer;
	nursery_init(&inner, &params);
	op_begin(test, &outer, &d[0]);
	op_begin(test, &inner, &d[1]);
	nursery_cancel(&outer, 0);
	KUNIT_EXPECT_EQ(test, d[0].hard_calls, 1);
	KUNIT_EXPECT_EQ(test, d[1].soft_calls, 1);
	KUNIT_EXPECT_EQ(test, d[1].hard_calls, 0);
	nursery_child_complete(&d[1].child, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&inner), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(&outer), 0);
	KUNIT_EXPECT_EQ(test, d[1].hard_calls, 0);
}

/* A function that waits for its device, which the hard handler stops. */
struct stuck {
	struct nursery_child		child;
	struct nursery_cancel_handler	hard;
	struct rendezvous		registered;
	int				calls;
	bool				in_hardirq;	/* the call was */
	int				slept;		/* what nursery_sleep() returned */
};

static void stop(struct nursery_cancel_handler *h)
{
	struct stuck *s = container_of(h, struct stuck, hard);

	s->calls++;
	s->in_hardirq = in_hardirq();
	complete(&s->registered.go_on);
}

static int stuck_run(struct nursery_child *c)
{
	struct stuck *s = container_of(c, struct stuck, child);

	nursery_on_hard_cancel(c, &s->hard, stop);
	rendezvous_wait(&s->registered);
	nursery_off_cancel(&s->hard);
	return -ECANCELED;
}

static void stuck_init(struct stuck *s, nursery_fn_t fn)
{
	*s = (struct stuck){ };
	rendezvous_init(&s->registered);
	nursery_child_init(&s->child, fn, NULL);
}

static void hard_handler_of_a_function_child(struct kunit *test)
{
	struct stuck *s;
	int err = 0;

	s = NEW(test, struct stuck, 2);
	stuck_init(&s[0], stuck_run);
	stuck_init(&s[1], stuck_run);
	scoped_nursery(n, .name = "stuck", .grace = NSEC_PER_MSEC, .result = &err) {
		nursery_spawn(n, &s[0].child);
		nursery_spawn(n, &s[1].child);
		wait_for_completion(&s[0].registered.here);
		wait_for_completion(&s[1].registered.here);
		/* Only one, and then all that are left. */
		nursery_child_cancel(&s[0].child);
		nursery_child_join(&s[0].child);
		KUNIT_EXPECT_EQ(test, s[0].calls, 1);
		KUNIT_EXPECT_EQ(test, s[1].calls, 0);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, s[0].calls, 1);
	KUNIT_EXPECT_EQ(test, s[1].calls, 1);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* The grace of its nursery is over long before it is stopped: it has one of its own. */
static void hard_handler_of_a_service(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct stuck *s = NEW(test, struct stuck, 1);
	int err = 0;

	stuck_init(s, stuck_run);
	nursery_child_set_service(&s->child);
	scoped_nursery(n, .name = "served", .grace = NSEC_PER_MSEC, .result = &err) {
		nursery_spawn(n, &s->child);
		wait_for_completion(&s->registered.here);
		op_begin(test, n, d);
		nursery_cancel(n, -EINTR);
		wait_for_completion(&d->reset);
		KUNIT_EXPECT_EQ(test, s->calls, 0);
	}
	KUNIT_EXPECT_EQ(test, s->calls, 1);
	/* By the timer, and not by who stopped it. */
	KUNIT_EXPECT_TRUE(test, s->in_hardirq);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* It is asked, stops by itself, and takes its hard handler off in time. */
static int quick_run(struct nursery_child *c)
{
	struct stuck *s = container_of(c, struct stuck, child);

	nursery_on_hard_cancel(c, &s->hard, stop);
	complete(&s->registered.here);
	s->slept = nursery_sleep(c, LONG_TIME);
	nursery_off_cancel(&s->hard);
	return s->slept;
}

static void hard_handler_that_is_taken_off_is_not_called(struct kunit *test)
{
	struct stuck *s;
	int err = 0;

	s = NEW(test, struct stuck, 1);
	stuck_init(s, quick_run);
	scoped_nursery(n, .name = "quick", .grace = LONG_TIME, .result = &err) {
		nursery_spawn(n, &s->child);
		wait_for_completion(&s->registered.here);
		nursery_cancel(n, -EINTR);
	}
	KUNIT_EXPECT_EQ(test, s->slept, -ECANCELED);
	KUNIT_EXPECT_EQ(test, s->calls, 0);
	KUNIT_EXPECT_EQ(test, err, -EINTR);
}

/* What the end of the grace finds shielded it leaves alone, until the shield goes. */
struct shielded {
	struct nursery_child		child;
	struct nursery_cancel_handler	hard;
	struct rendezvous		in_shield;
	bool				cancelled_first;
	int				calls, calls_inside, calls_after;
};

static void count_call(struct nursery_cancel_handler *h)
{
	container_of(h, struct shielded, hard)->calls++;
}

static int shielded_run(struct nursery_child *c)
{
	struct shielded *s = container_of(c, struct shielded, child);

	nursery_on_hard_cancel(c, &s->hard, count_call);
	if (s->cancelled_first)
		nursery_child_cancel(c);
	nursery_shield(c);
	rendezvous_wait(&s->in_shield);
	s->calls_inside = s->calls;
	nursery_unshield(c);
	s->calls_after = s->calls;
	nursery_off_cancel(&s->hard);
	return -ECANCELED;
}

static void shield_holds_hard_handlers_back(struct kunit *test)
{
	struct device_op *d = new_ops(test, 1);
	struct shielded *s;
	int i, err;

	s = NEW(test, struct shielded, 1);
	for (i = 0; i < 2; i++) {
		*s = (struct shielded){ .cancelled_first = i };
		rendezvous_init(&s->in_shield);
		nursery_child_init(&s->child, shielded_run, NULL);
		scoped_nursery(n, .name = "shielded", .grace = GRACE, .result = &err) {
			nursery_spawn(n, &s->child);
			wait_for_completion(&s->in_shield.here);
			op_begin(test, n, d);
			nursery_cancel(n, -EINTR);
			wait_for_completion(&d->reset);
			complete(&s->in_shield.go_on);
		}
		KUNIT_EXPECT_EQ(test, s->calls_inside, 0);
		/* The nursery's grace is over for all of its children. */
		KUNIT_EXPECT_EQ(test, s->calls_after, 1);
		KUNIT_EXPECT_EQ(test, s->calls, 1);
		KUNIT_EXPECT_EQ(test, err, -EINTR);
	}
}

/* A child with handlers that take their time, and what was called until each of them returned. */
struct asked {
	struct nursery_child		child;
	struct nursery_cancel_handler	soft, slow, hard;
	struct nursery			clock;
	ktime_t				slow_returns_at, hard_at;
	int				soft_calls, slow_calls, hard_calls, calls_before;
	int				put_on;		/* what nursery_on_hard_cancel() returned */
	struct rendezvous		asked;		/* it goes on when it is forced */
};

static void ask_first(struct nursery_cancel_handler *h)
{
	container_of(h, struct asked, soft)->soft_calls++;
}

/* The timer, which handles one event after the other, has been there since the grace was over. */
static void ask_slowly(struct nursery_cancel_handler *h)
{
	struct asked *a = container_of(h, struct asked, slow);

	nursery_set_deadline(&a->clock, ktime_add(ktime_get(), 2 * NSEC_PER_MSEC));
	while (!nursery_cancelled(&a->clock))
		cpu_relax();
	a->slow_calls++;
	a->calls_before = READ_ONCE(a->hard_calls);
	a->slow_returns_at = ktime_get();
}

static void force(struct nursery_cancel_handler *h)
{
	struct asked *a = container_of(h, struct asked, hard);

	a->hard_at = ktime_get();
	WRITE_ONCE(a->hard_calls, a->hard_calls + 1);
	complete(&a->asked.go_on);
	if (!a->child.fn)
		nursery_child_complete(&a->child, -ECANCELED);
}

/* The hard one first. */
static void put_on_all(struct asked *a)
{
	nursery_on_hard_cancel(&a->child, &a->hard, force);
	nursery_on_cancel(&a->child, &a->soft, ask_first);
	nursery_on_cancel(&a->child, &a->slow, ask_slowly);
}

static int asked_run(struct nursery_child *c)
{
	struct asked *a = container_of(c, struct asked, child);

	put_on_all(a);
	rendezvous_wait(&a->asked);
	nursery_off_cancel(&a->slow);
	nursery_off_cancel(&a->soft);
	nursery_off_cancel(&a->hard);
	return -ECANCELED;
}

static void asked_init(struct asked *a, nursery_fn_t fn)
{
	*a = (struct asked){ };
	rendezvous_init(&a->asked);
	nursery_child_init(&a->child, fn, NULL);
}

static void ask_and_force(struct kunit *test, struct asked *a, ktime_t grace, bool external,
			  bool alone)
{
	struct nursery *n;

	n = NEW(test, struct nursery, 1);
	asked_init(a, external ? NULL : asked_run);
	nursery_init(&a->clock, NULL);
	open(n, grace);
	if (external) {
		nursery_child_begin(n, &a->child);
		put_on_all(a);
	} else {
		nursery_spawn(n, &a->child);
		wait_for_completion(&a->asked.here);
	}
	if (alone)
		nursery_child_cancel(&a->child);
	else
		nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&a->clock), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, a->soft_calls, 1);
	KUNIT_EXPECT_EQ(test, a->slow_calls, 1);
	KUNIT_EXPECT_EQ(test, a->calls_before, 0);
	KUNIT_EXPECT_EQ(test, a->hard_calls, 1);
	KUNIT_EXPECT_GE(test, a->hard_at, ktime_add(a->slow_returns_at, grace));
}

/* However long it takes to ask it, and then there is all of the grace. */
static void child_is_asked_before_it_is_forced(struct kunit *test)
{
	struct asked *a;
	int i;

	a = NEW(test, struct asked, 1);
	for (i = 0; i < 8; i++)
		ask_and_force(test, a, i & 1 ? NSEC_PER_MSEC : 0, i & 2, i & 4);
}

/* A handler that comes to know that asking is no use. */
static void ask_in_vain(struct nursery_cancel_handler *h)
{
	struct asked *a = container_of(h, struct asked, soft);

	a->soft_calls++;
	a->put_on = nursery_on_hard_cancel(&a->child, &a->hard, force);
	a->calls_before = a->hard_calls;
}

static void hard_handler_that_a_handler_puts_on_waits_for_it(struct kunit *test)
{
	struct nursery n;
	struct asked *a;

	a = NEW(test, struct asked, 1);
	asked_init(a, NULL);
	open(&n, 0);
	nursery_child_begin(&n, &a->child);
	nursery_on_cancel(&a->child, &a->soft, ask_in_vain);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, a->soft_calls, 1);
	KUNIT_EXPECT_EQ(test, a->put_on, 0);
	KUNIT_EXPECT_EQ(test, a->calls_before, 0);
	KUNIT_EXPECT_EQ(test, a->hard_calls, 1);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(hard_handler_is_called_after_the_grace),
	KUNIT_CASE(hard_handler_of_a_child_that_stops_is_not_called),
	KUNIT_CASE(without_grace_hard_handlers_are_called_at_once),
	KUNIT_CASE(grace_is_each_childs_own),
	KUNIT_CASE(grace_does_not_begin_anew),
	KUNIT_CASE(hard_handler_that_comes_after_the_grace_is_called_at_once),
	KUNIT_CASE(hard_handler_that_comes_in_the_grace_waits_for_its_end),
	KUNIT_CASE(deadline_has_a_grace_too),
	KUNIT_CASE(grace_is_each_nurserys_own),
	KUNIT_CASE(hard_handler_of_a_function_child),
	KUNIT_CASE(hard_handler_of_a_service),
	KUNIT_CASE(hard_handler_that_is_taken_off_is_not_called),
	KUNIT_CASE(shield_holds_hard_handlers_back),
	KUNIT_CASE(child_is_asked_before_it_is_forced),
	KUNIT_CASE(hard_handler_that_a_handler_puts_on_waits_for_it),
	{ }
};

struct kunit_suite nursery_grace_suite = { .name = "nursery_grace", .test_cases = cases };
