// SPDX-License-Identifier: GPL-2.0-only
/* nursery_try_spawn(): as many as max_active says, no more, and no fewer. */
#include <linux/slab.h>

#include "util.h"

#define BOUND	4
#define NR	(4 * BOUND)

static struct probe *new_probes(struct kunit *test, struct completion *gate)
{
	struct probe *p = kunit_kcalloc(test, NR, sizeof(*p), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < NR; i++) {
		probe_init(&p[i], 0);
		p[i].gate = gate;
	}
	return p;
}

/* Try to spawn those from @from on, until one is refused: how many were not. */
static int fill(struct kunit *test, struct nursery *n, struct probe *p, int from)
{
	int i, err = 0;

	for (i = from; i < NR && !err; i++)
		err = nursery_try_spawn(n, &p[i].child);
	KUNIT_EXPECT_EQ(test, err, -EAGAIN);
	return i - from - !!err;
}

/* Started or not yet: at the bound the next one is refused; when one has ended it is not. */
static void try_spawn_admits_exactly_the_bound(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	DECLARE_COMPLETION_ONSTACK(first);
	struct probe *p = new_probes(test, &gate);
	int i, err = -1;

	p[0].gate = &first;
	scoped_nursery(n, .name = "bound", .max_active = BOUND, .result = &err,
		       .executor = nursery_executor_thread) {
		KUNIT_EXPECT_EQ(test, fill(test, n, p, 0), BOUND);
		for (i = 0; i < BOUND; i++)
			wait_for_completion(&p[i].started);
		KUNIT_EXPECT_EQ(test, fill(test, n, p, BOUND), 0);
		complete(&first);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[0].child), 0);
		KUNIT_EXPECT_EQ(test, fill(test, n, p, BOUND), 1);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < NR; i++) {
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].runs), i <= BOUND);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), i <= BOUND);
	}
}

/* The refused child is the caller's, as it was. */
static void try_spawn_refused_changes_nothing(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate), ended;
	int err = -1;

	probe_init(&ended, -EIO);
	scoped_nursery(other, .name = "other")
		nursery_spawn(other, &ended.child);
	scoped_nursery(n, .name = "bound", .max_active = 1, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[0].child), 0);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[1].child), -EAGAIN);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[1].child), -EINVAL);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &ended.child), -EAGAIN);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&ended.child), -EIO);
		p[1].gate = NULL;
		scoped_nursery(other, .name = "other")
			KUNIT_EXPECT_EQ(test, nursery_spawn(other, &p[1].child), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&p[1].dones), 1);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void try_spawn_refusals(struct kunit *test)
{
	struct nursery_params params = { .name = "bound", .max_active = 1 };
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate);
	struct nursery_child external;
	struct nursery n;

	nursery_child_init(&external, NULL, NULL);
	nursery_init(&n, &params);
	KUNIT_EXPECT_EQ(test, nursery_try_spawn(&n, &external), -EINVAL);
	KUNIT_EXPECT_EQ(test, nursery_try_spawn(&n, &p[0].child), 0);
	/* At the bound as well each other reason comes first. */
	KUNIT_EXPECT_EQ(test, nursery_try_spawn(&n, &external), -EINVAL);
	KUNIT_EXPECT_EQ(test, nursery_try_spawn(&n, &p[0].child), -EBUSY);
	wait_for_completion(&p[0].started);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, nursery_try_spawn(&n, &p[1].child), -ECANCELED);
	complete_all(&gate);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, nursery_try_spawn(&n, &p[1].child), -ESHUTDOWN);
}

static void try_spawn_without_a_bound_is_a_spawn(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate);
	int i, err = -1;

	scoped_nursery(n, .name = "no bound", .result = &err,
		       .executor = nursery_executor_thread) {
		for (i = 0; i < NR; i++)
			KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[i].child), 0);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&p[i].dones), 1);
}

/* Children that have been queued by nursery_spawn() come first; a cancelled one does not. */
static void try_spawn_counts_those_that_wait(struct kunit *test)
{
	struct nursery_executor *e = busy_worker(test);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate);
	int i, err = -1;

	scoped_nursery(n, .name = "queue", .executor = e, .max_active = BOUND, .result = &err) {
		/* None of them starts, but for the join. */
		for (i = 0; i < BOUND + 1; i++)
			KUNIT_EXPECT_EQ(test, nursery_spawn(n, &p[i].child), 0);
		KUNIT_EXPECT_EQ(test, fill(test, n, p, BOUND + 1), 0);
		nursery_child_cancel(&p[1].child);
		KUNIT_EXPECT_EQ(test, fill(test, n, p, BOUND + 1), 0);
		nursery_child_cancel(&p[2].child);
		KUNIT_EXPECT_EQ(test, fill(test, n, p, BOUND + 1), 1);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	busy_worker_destroy(e);
}

/* From its done() on a child has no place any more: it may hand it on. */
struct relay {
	struct nursery_child child;
	struct nursery *n;
	struct relay *next;
	int err;
};

static int relay_run(struct nursery_child *c)
{
	return 0;
}

static void relay_done(struct nursery_child *c)
{
	struct relay *r = container_of(c, struct relay, child);

	if (r->next)
		r->err = nursery_try_spawn(r->n, &r->next->child);
}

static void try_spawn_from_done(struct kunit *test)
{
	struct relay *r = kunit_kcalloc(test, NR, sizeof(*r), GFP_KERNEL);
	int i, err = -1;

	KUNIT_ASSERT_NOT_NULL(test, r);
	scoped_nursery(n, .name = "relay", .max_active = 1, .result = &err) {
		for (i = 0; i < NR; i++) {
			r[i] = (struct relay){ .n = n, .next = i + 1 < NR ? &r[i + 1] : NULL };
			nursery_child_init(&r[i].child, relay_run, relay_done);
		}
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &r[0].child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ(test, r[i].err, 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&r[NR - 1].child), 0);
}

/* Parks once, and ends when it is run again. */
struct parker {
	struct nursery_child child;
	struct completion parks;
	bool again;
};

static int parker_run(struct nursery_child *c)
{
	struct parker *p = container_of(c, struct parker, child);

	if (p->again)
		return 0;
	p->again = true;
	complete(&p->parks);
	return NURSERY_PARK;
}

static void try_spawn_does_not_count_parked_children(struct kunit *test)
{
	struct parker *parker = kunit_kzalloc(test, sizeof(*parker), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate), delayed;
	int err = -1, got;

	KUNIT_ASSERT_NOT_NULL(test, parker);
	init_completion(&parker->parks);
	nursery_child_init(&parker->child, parker_run, NULL);
	probe_init(&delayed, 0);
	scoped_nursery(n, .name = "parked", .max_active = 1, .result = &err,
		       .executor = nursery_executor_thread) {
		KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(n, &delayed.child, LONG_TIME), 0);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &parker->child), 0);
		wait_for_completion(&parker->parks);
		/* It is about to park. */
		while ((got = nursery_try_spawn(n, &p[0].child)) == -EAGAIN)
			cond_resched();
		KUNIT_EXPECT_EQ(test, got, 0);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[1].child), -EAGAIN);
		/* They queue behind it, and count. */
		nursery_child_unpark(&delayed.child);
		nursery_child_unpark(&parker->child);
		complete_all(&gate);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&parker->child), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&delayed.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_child_join(&p[0].child), 0);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[1].child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void irq_try_spawn(void *data)
{
	struct probe *p = data;

	p[2].ret = nursery_try_spawn(p[1].child.nursery, &p[0].child);
}

static void i8_try_spawn_in_hard_interrupt(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate);
	int err = -1;

	scoped_nursery(n, .name = "irq", .max_active = 2, .result = &err) {
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[1].child), 0);
		run_in_hardirq(irq_try_spawn, p);
		KUNIT_EXPECT_EQ(test, p[2].ret, 0);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &p[3].child), -EAGAIN);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p[0].dones), 1);
}

/* It runs in the caller, and has its place meanwhile. */
struct inline_child {
	struct nursery_child child;
	struct nursery *n;
	struct probe p;
	int err;
};

static int inline_run(struct nursery_child *c)
{
	struct inline_child *i = container_of(c, struct inline_child, child);

	i->err = nursery_try_spawn(i->n, &i->p.child);
	return 0;
}

static void try_spawn_inline(struct kunit *test)
{
	struct inline_child c = { };
	int err = -1;

	nursery_child_init(&c.child, inline_run, NULL);
	probe_init(&c.p, 0);
	scoped_nursery(n, .name = "inline", .max_active = 1, .result = &err,
		       .executor = nursery_executor_inline) {
		c.n = n;
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &c.child), 0);
		KUNIT_EXPECT_EQ(test, c.err, -EAGAIN);
		KUNIT_EXPECT_EQ(test, nursery_try_spawn(n, &c.p.child), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c.p.dones), 1);
}

/* Several try at the same time, and children come and go, are cancelled, park. */
struct rush {
	struct nursery *n;
	atomic_t	running, most;
	struct runner	*children;
	unsigned int	nr;
};

struct runner {
	struct nursery_child child;
	struct rush *rush;
	bool parked;
};

static int runner_run(struct nursery_child *c)
{
	struct runner *r = container_of(c, struct runner, child);
	int now = atomic_inc_return(&r->rush->running), most = atomic_read(&r->rush->most);

	while (now > most && !atomic_try_cmpxchg(&r->rush->most, &most, now))
		;
	cond_resched();
	atomic_dec(&r->rush->running);
	if (!r->parked && !nursery_child_cancelled(c)) {
		r->parked = true;
		return nursery_child_park_until(c, ktime_get() + 10 * NSEC_PER_USEC);
	}
	return nursery_child_cancelled(c) ? -ECANCELED : 0;
}

static int rush_run(struct nursery_child *c, void *arg)
{
	struct rush *rush = arg;
	unsigned int i;
	int err;

	for (i = 0; i < 50 * rush->nr; i++) {
		struct runner *r = &rush->children[i % rush->nr];

		err = nursery_try_spawn(rush->n, &r->child);
		if (err && err != -EAGAIN && err != -EBUSY)
			return err;
		if (!(i % 7))
			nursery_child_cancel(&rush->children[(i + 1) % rush->nr].child);
		if (err == -EAGAIN)
			cond_resched();
	}
	return 0;
}

static void try_spawn_loses_no_place(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct probe *p = new_probes(test, &gate);
	struct runner *r = kunit_kcalloc(test, 3 * NR, sizeof(*r), GFP_KERNEL);
	struct rush rush[3] = { };
	int i, err = -1, all = -1;

	KUNIT_ASSERT_NOT_NULL(test, r);
	scoped_nursery(n, .name = "rush", .max_active = BOUND, .result = &err) {
		for (i = 0; i < 3 * NR; i++) {
			r[i].rush = &rush[0];
			nursery_child_init(&r[i].child, runner_run, NULL);
		}
		scoped_nursery(spawners, .name = "spawners", .result = &all,
			       .executor = nursery_executor_thread) {
			for (i = 0; i < 3; i++) {
				rush[i].n = n;
				rush[i].children = &r[i * NR];
				rush[i].nr = NR;
				nursery_go(spawners, rush_run, &rush[i], GFP_KERNEL);
			}
		}
		for (i = 0; i < 3 * NR; i++)
			nursery_child_join(&r[i].child);
		KUNIT_EXPECT_EQ(test, fill(test, n, p, 0), BOUND);
		complete_all(&gate);
	}
	KUNIT_EXPECT_EQ(test, all, 0);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_GT(test, atomic_read(&rush[0].most), 0);
	KUNIT_EXPECT_LE(test, atomic_read(&rush[0].most), BOUND);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(try_spawn_admits_exactly_the_bound),
	KUNIT_CASE(try_spawn_refused_changes_nothing),
	KUNIT_CASE(try_spawn_refusals),
	KUNIT_CASE(try_spawn_without_a_bound_is_a_spawn),
	KUNIT_CASE(try_spawn_counts_those_that_wait),
	KUNIT_CASE(try_spawn_from_done),
	KUNIT_CASE(try_spawn_does_not_count_parked_children),
	KUNIT_CASE(i8_try_spawn_in_hard_interrupt),
	KUNIT_CASE(try_spawn_inline),
	KUNIT_CASE(try_spawn_loses_no_place),
	{ }
};

struct kunit_suite nursery_try_suite = { .name = "nursery_try", .test_cases = cases };
