// SPDX-License-Identifier: GPL-2.0-only
/* Buffers that are lent to children, and released before the join. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "kinds.h"

static struct nursery_dma *coherent(struct kunit *test, struct nursery *n,
				    struct kind_material *m)
{
	struct nursery_dma *buf = nursery_dma_alloc(n, m->dev, 64, GFP_KERNEL);

	KUNIT_ASSERT_FALSE(test, IS_ERR(buf));
	return buf;
}

static void begin(struct kunit *test, struct nursery *n, struct nursery_child *c)
{
	nursery_child_init(c, NULL, NULL);
	KUNIT_ASSERT_EQ(test, nursery_child_begin(n, c), 0);
}

static void lent_until_the_child_has_finished(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *buf;
	struct nursery_child c;
	struct nursery n;
	unsigned int i, base;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
	for (i = 0; i < nr_kinds; i++) {
		buf = kinds[i].make(&n, m);
		KUNIT_ASSERT_FALSE(test, IS_ERR(buf));
		begin(test, &n, &c);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &c), 0);
		KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), -EBUSY);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &c), -EBUSY);
		KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + 1);
		nursery_child_complete(&c, 0);
		KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), 0);
		KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
	}
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

/* Its done() finds the loan over, whoever ends it. */
struct borrower {
	struct nursery_child	child;
	struct nursery_dma	*buf;
	int			in_function;	/* what a release says there ... */
	int			in_done;	/* ... and here */
	unsigned int		refs;		/* to the device, after that */
};

static int borrower_run(struct nursery_child *c)
{
	struct borrower *b = container_of(c, struct borrower, child);

	b->in_function = nursery_dma_release(b->buf);
	return 0;
}

static void borrower_done(struct nursery_child *c)
{
	struct borrower *b = container_of(c, struct borrower, child);

	b->in_done = nursery_dma_release(b->buf);
}

static void borrower_init(struct borrower *b, struct nursery_dma *buf, nursery_fn_t fn)
{
	*b = (struct borrower){ .buf = buf, .in_function = 1, .in_done = 1 };
	nursery_child_init(&b->child, fn, borrower_done);
}

static void lent_before_the_spawn(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct borrower run, skipped, completed;
	struct nursery n;

	nursery_init(&n, NULL);
	borrower_init(&run, coherent(test, &n, m), borrower_run);
	borrower_init(&skipped, coherent(test, &n, m), borrower_run);
	borrower_init(&completed, coherent(test, &n, m), NULL);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(run.buf, &run.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &run.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&run.child), 0);

	KUNIT_EXPECT_EQ(test, nursery_dma_lend(completed.buf, &completed.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &completed.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(completed.buf), -EBUSY);
	nursery_child_complete(&completed.child, 0);

	/* One that is not started. */
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(skipped.buf, &skipped.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn_delayed(&n, &skipped.child, KTIME_MAX / 2), 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(skipped.buf), -EBUSY);
	nursery_cancel(&n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
	KUNIT_EXPECT_EQ(test, run.in_function, -EBUSY);
	KUNIT_EXPECT_EQ(test, run.in_done, 0);
	KUNIT_EXPECT_EQ(test, completed.in_done, 0);
	KUNIT_EXPECT_EQ(test, skipped.in_function, 1);
	KUNIT_EXPECT_EQ(test, skipped.in_done, 0);
}

static void refused_child_keeps_the_loan(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *buf;
	struct nursery_child c;
	struct nursery n, other;

	nursery_init(&n, NULL);
	nursery_init(&other, NULL);
	nursery_cancel(&other, 0);
	buf = coherent(test, &n, m);
	nursery_child_init(&c, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &c), 0);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&other, &c), -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), -EBUSY);
	/* The next try ends it as ever. */
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &c), 0);
	nursery_child_complete(&c, 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &c), 0);
	nursery_dma_return(buf, &c);
	nursery_dma_return(buf, &c);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), 0);
	nursery_join(&other);
	nursery_join(&n);
}

#define MANY	5

static void lent_to_several(struct kunit *test)
{
	struct nursery_child *c = NEW(test, struct nursery_child, MANY);
	struct nursery_loan *loans = NEW(test, struct nursery_loan, MANY);
	struct kind_material *m = test->priv;
	struct nursery_dma *buf;
	struct nursery n;
	int i;

	nursery_init(&n, NULL);
	buf = coherent(test, &n, m);
	for (i = 0; i < MANY; i++) {
		begin(test, &n, &c[i]);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend_also(buf, &c[i], &loans[i]), 0);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend_also(buf, &c[i], &loans[i]), -EBUSY);
	}
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &c[0]), 0);
	for (i = 0; i < MANY; i++) {
		KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), -EBUSY);
		nursery_child_complete(&c[i], 0);
	}
	KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), 0);
	nursery_join(&n);
}

static void child_with_several(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *bufs[MANY];
	struct nursery_child c, other;
	struct nursery n;
	int i;

	nursery_init(&n, NULL);
	begin(test, &n, &c);
	begin(test, &n, &other);
	for (i = 0; i < MANY; i++) {
		bufs[i] = coherent(test, &n, m);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend(bufs[i], i == 1 ? &other : &c), 0);
	}
	nursery_child_complete(&c, 0);
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, nursery_dma_release(bufs[i]), i == 1 ? -EBUSY : 0);
	nursery_child_complete(&other, 0);
	/* What has not been released is by the join. */
	nursery_join(&n);
}

static int park_first(struct nursery_child *c)
{
	struct probe *p = to_probe(c);

	return atomic_inc_return(&p->runs) == 1 ? NURSERY_PARK : 0;
}

static void parked_child_keeps_the_loan(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *buf;
	struct nursery n;
	struct probe p;

	nursery_init(&n, NULL);
	buf = coherent(test, &n, m);
	probe_init(&p, 0);
	nursery_child_init(&p.child, park_first, NULL);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &p.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &p.child), 0);
	while (!atomic_read(&p.runs))
		cond_resched();
	KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), -EBUSY);
	nursery_child_unpark(&p.child);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&p.child), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&p.runs), 2);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(buf), 0);
	nursery_join(&n);
}

struct hardirq_lend {
	struct nursery		*n;
	struct nursery_child	child;
	struct nursery_dma	*buf;
	int			begun, lent, again;
};

static void lend_in_hardirq(void *arg)
{
	struct hardirq_lend *h = arg;

	h->begun = nursery_child_begin(h->n, &h->child);
	h->lent = nursery_dma_lend(h->buf, &h->child);
	h->again = nursery_dma_lend(h->buf, &h->child);
}

static void complete_in_hardirq(void *arg)
{
	nursery_child_complete(&((struct hardirq_lend *)arg)->child, 0);
}

static void lent_in_hard_interrupts(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct hardirq_lend h = { };
	struct nursery n;

	nursery_init(&n, NULL);
	h.n = &n;
	h.buf = coherent(test, &n, m);
	nursery_child_init(&h.child, NULL, NULL);
	run_in_hardirq(lend_in_hardirq, &h);
	KUNIT_EXPECT_EQ(test, h.begun, 0);
	KUNIT_EXPECT_EQ(test, h.lent, 0);
	KUNIT_EXPECT_EQ(test, h.again, -EBUSY);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(h.buf), -EBUSY);
	run_in_hardirq(complete_in_hardirq, &h);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(h.buf), 0);
	nursery_join(&n);
}

/* Somebody who waits: to release a buffer, or to join the nursery that owns it. */
struct waiting {
	struct nursery_child	child;
	struct completion	started;
	struct task_struct	*task;
	struct nursery_dma	*buf;
	struct nursery		*n;
	unsigned int		refs;		/* to the device, when it has waited */
};

static int waiting_run(struct nursery_child *c)
{
	struct waiting *w = container_of(c, struct waiting, child);
	struct device *dev = w->buf->dev;

	w->task = current;
	complete(&w->started);
	if (w->n)
		nursery_join(w->n);
	else
		nursery_dma_release_wait(w->buf);
	w->refs = device_refs(dev);
	return 0;
}

static void start_waiting(struct kunit *test, struct nursery *n, struct waiting *w)
{
	init_completion(&w->started);
	nursery_child_init(&w->child, waiting_run, NULL);
	KUNIT_ASSERT_EQ(test, nursery_spawn_on(n, &w->child, nursery_executor_thread), 0);
	wait_for_completion(&w->started);
	wait_until_asleep(w->task);
}

static void release_waits_for_the_loans(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_child c[2], late;
	struct nursery_loan loan = { };
	struct waiting w = { };
	struct nursery n;
	unsigned int base;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
	w.buf = coherent(test, &n, m);
	begin(test, &n, &c[0]);
	begin(test, &n, &c[1]);
	nursery_child_init(&late, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(w.buf, &c[0]), 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend_also(w.buf, &c[1], &loan), 0);
	start_waiting(test, &n, &w);
	/* Whoever has it may try, and no more. */
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(w.buf, &late), -ESHUTDOWN);
	nursery_child_complete(&c[0], 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(w.buf, &late), -ESHUTDOWN);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + 1);
	nursery_child_complete(&c[1], 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&w.child), 0);
	KUNIT_EXPECT_EQ(test, w.refs, base);
	nursery_join(&n);
}

/* A child of a stranger: what owns the buffer has no children, and yet it waits. */
static void join_waits_for_the_loans(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery owner, stranger;
	struct waiting w = { .n = &owner };
	struct nursery_child c;
	unsigned int base;

	base = device_refs(m->dev);
	nursery_init(&owner, NULL);
	nursery_init(&stranger, NULL);
	w.buf = coherent(test, &owner, m);
	begin(test, &stranger, &c);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(w.buf, &c), 0);
	start_waiting(test, &stranger, &w);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + 1);
	nursery_child_complete(&c, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&stranger), 0);
	KUNIT_EXPECT_EQ(test, w.refs, base);
}

static int stop(struct nursery *n, void *data)
{
	return *(int *)data;
}

static void abandoned_done(struct nursery_child *c)
{
	struct borrower *b = container_of(c, struct borrower, child);
	struct device *dev = b->buf->dev;

	borrower_done(c);
	b->refs = device_refs(dev);
}

/* Its hardware may still use it, or not: the join knows, and nobody before. */
static void i9_buffer_of_an_abandoned_child_stays(struct kunit *test)
{
	struct kind_material *m = test->priv;
	int answers[] = { 0, -EIO }, i;
	struct borrower b;
	struct nursery n;
	unsigned int base;

	base = device_refs(m->dev);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		nursery_init(&n, NULL);
		nursery_set_quiesce(&n, stop, &answers[i]);
		borrower_init(&b, coherent(test, &n, m), NULL);
		nursery_child_init(&b.child, NULL, abandoned_done);
		KUNIT_EXPECT_EQ(test, nursery_child_begin(&n, &b.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend(b.buf, &b.child), 0);
		nursery_cancel(&n, 0);
		KUNIT_EXPECT_EQ(test, nursery_join(&n), -ETIMEDOUT);
		/* The loan was over, and the buffer still there. */
		KUNIT_EXPECT_EQ(test, b.in_done, 0);
		KUNIT_EXPECT_EQ(test, b.refs, base + 1);
		if (answers[i])
			KUNIT_EXPECT_GT(test, device_refs(m->dev), base);
		KUNIT_EXPECT_EQ(test, nursery_dma_release_quarantine(m->dev),
				answers[i] ? 1UL : 0);
		KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
	}
}

/* A nursery that has borrowed a buffer for a child that its hardware does not complete. */
struct stranger {
	struct nursery	nursery;
	struct borrower	b;
	int		answer;		/* has the hardware stopped? */
};

static void borrow_and_cancel(struct kunit *test, struct stranger *s, struct nursery_dma *buf)
{
	nursery_init(&s->nursery, NULL);
	s->answer = -EIO;
	nursery_set_quiesce(&s->nursery, stop, &s->answer);
	borrower_init(&s->b, buf, NULL);
	nursery_child_init(&s->b.child, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(&s->nursery, &s->b.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(buf, &s->b.child), 0);
	nursery_cancel(&s->nursery, 0);
}

/* ... of a stranger: who owns the buffer has nothing to ask, and withholds it. */
static void i9_buffer_of_a_strangers_abandoned_child_is_withheld(struct kunit *test)
{
	struct stranger *s = NEW(test, struct stranger, 1);
	struct kind_material *m = test->priv;
	unsigned int base = device_refs(m->dev);
	struct nursery owner;

	nursery_init(&owner, NULL);
	borrow_and_cancel(test, s, coherent(test, &owner, m));
	KUNIT_EXPECT_EQ(test, nursery_join(&s->nursery), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_join(&owner), 0);
	KUNIT_EXPECT_GT(test, device_refs(m->dev), base);
	KUNIT_EXPECT_EQ(test, nursery_dma_release_quarantine(m->dev), 1UL);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
}

/* The stranger would ask again before it releases anything. The owner is not to wait for that. */
static void i9_buffer_of_a_strangers_child_that_is_joined_alone(struct kunit *test)
{
	struct stranger *s = NEW(test, struct stranger, 1);
	struct kind_material *m = test->priv;
	unsigned int base = device_refs(m->dev);
	struct nursery_dma *own;
	struct nursery owner;

	nursery_init(&owner, NULL);
	borrow_and_cancel(test, s, coherent(test, &owner, m));
	own = coherent(test, &s->nursery, m);
	KUNIT_EXPECT_EQ(test, nursery_dma_lend(own, &s->b.child), 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&s->b.child), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_join(&owner), 0);
	KUNIT_EXPECT_GT(test, device_refs(m->dev), base + 1);
	/* Its own is released: it knows better now. */
	s->answer = 0;
	KUNIT_EXPECT_EQ(test, nursery_join(&s->nursery), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_dma_release_quarantine(m->dev), 1UL);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
}

/* What is above the owner may be what the buffer is made of. */
static void i9_what_is_above_a_withheld_buffer_is_withheld(struct kunit *test)
{
	struct stranger *s = NEW(test, struct stranger, 1);
	struct nursery above, owner;
	struct kind_material *m = test->priv;
	unsigned int base = device_refs(m->dev);

	nursery_init(&above, NULL);
	coherent(test, &above, m);
	nursery_init(&owner, &(struct nursery_params){ .outer = &above });
	borrow_and_cancel(test, s, coherent(test, &owner, m));
	KUNIT_EXPECT_EQ(test, nursery_join(&s->nursery), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_join(&owner), 0);
	KUNIT_EXPECT_EQ(test, nursery_join(&above), 0);
	KUNIT_EXPECT_GT(test, device_refs(m->dev), base);
	KUNIT_EXPECT_EQ(test, nursery_dma_release_quarantine(m->dev), 2UL);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
}

struct order {
	struct device	*dev;
	unsigned int	refs;
};

static void note_refs(void *data)
{
	struct order *o = data;

	o->refs = device_refs(o->dev);
}

/* From the middle, the top and the bottom of the stack: the rest keeps its order. */
static void released_out_of_its_turn(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct nursery_dma *bufs[MANY];
	struct order order[MANY];
	struct nursery n;
	unsigned int base;
	int i;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
	for (i = 0; i < MANY; i++) {
		bufs[i] = coherent(test, &n, m);
		order[i] = (struct order){ .dev = m->dev };
		KUNIT_EXPECT_EQ(test, nursery_defer(&n, note_refs, &order[i]), 0);
	}
	KUNIT_EXPECT_EQ(test, nursery_dma_release(bufs[2]), 0);
	KUNIT_EXPECT_EQ(test, nursery_dma_release(bufs[4]), 0);
	nursery_dma_release_wait(bufs[0]);
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base + 2);
	nursery_join(&n);
	KUNIT_EXPECT_EQ(test, order[4].refs, base + 2);
	KUNIT_EXPECT_EQ(test, order[3].refs, base + 2);
	KUNIT_EXPECT_EQ(test, order[2].refs, base + 1);
	KUNIT_EXPECT_EQ(test, order[1].refs, base + 1);
	KUNIT_EXPECT_EQ(test, order[0].refs, base);
}

static int touch(struct nursery_child *c)
{
	struct borrower *b = container_of(c, struct borrower, child);

	memset(b->buf->cpu, 0x33, b->buf->size);	/* KASAN: is it there? */
	return 0;
}

/* Its user ends at any moment between the spawn and long after. */
static void release_races_with_the_end(struct kunit *test)
{
	struct kind_material *m = test->priv;
	struct borrower b;
	struct nursery n;
	unsigned int base;
	int i;

	base = device_refs(m->dev);
	nursery_init(&n, NULL);
	for (i = 0; i < 300; i++) {
		b = (struct borrower){ .buf = coherent(test, &n, m) };
		nursery_child_init(&b.child, touch, NULL);
		KUNIT_EXPECT_EQ(test, nursery_dma_lend(b.buf, &b.child), 0);
		KUNIT_EXPECT_EQ(test, nursery_spawn(&n, &b.child), 0);
		if (i % 3 == 0)
			udelay(i % 7);
		nursery_dma_release_wait(b.buf);
		nursery_child_join(&b.child);
	}
	KUNIT_EXPECT_EQ(test, device_refs(m->dev), base);
	KUNIT_EXPECT_EQ(test, nursery_join(&n), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(lent_until_the_child_has_finished),
	KUNIT_CASE(lent_before_the_spawn),
	KUNIT_CASE(refused_child_keeps_the_loan),
	KUNIT_CASE(lent_to_several),
	KUNIT_CASE(child_with_several),
	KUNIT_CASE(parked_child_keeps_the_loan),
	KUNIT_CASE(lent_in_hard_interrupts),
	KUNIT_CASE(release_waits_for_the_loans),
	KUNIT_CASE(join_waits_for_the_loans),
	KUNIT_CASE(i9_buffer_of_an_abandoned_child_stays),
	KUNIT_CASE(i9_buffer_of_a_strangers_abandoned_child_is_withheld),
	KUNIT_CASE(i9_buffer_of_a_strangers_child_that_is_joined_alone),
	KUNIT_CASE(i9_what_is_above_a_withheld_buffer_is_withheld),
	KUNIT_CASE(released_out_of_its_turn),
	KUNIT_CASE(release_races_with_the_end),
	{ }
};

struct kunit_suite nursery_dma_lend_suite = {
	.name = "nursery_dma_lend", .init = kind_material_init, .exit = kind_material_exit,
	.test_cases = cases,
};
