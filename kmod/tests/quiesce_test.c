// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware that does not answer: quiesce functions, children that are abandoned, and
 * buffers in quarantine (I9). The hardware here is a child that nobody completes, unless
 * the test says so, and a buffer is a resource of the test that says when it is released.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/nursery_dma.h>
#include <linux/slab.h>

#include "util.h"

enum event {
	NOTHING,
	ASKED,		/* a cancel handler */
	FORCED,		/* a hard one */
	QUIESCED,
	DONE,
	RELEASED,	/* ... and the number of what was: a buffer, or */
	ACTION = 10,
	PLAIN = 20,
};

struct bench;

struct action {
	struct bench *bench;
	int number;
};

struct buffer {
	struct nursery_dma dma;
	struct bench *bench;
	int number;
};

struct transfer {
	struct nursery_child child;
	struct nursery_cancel_handler ask, force;
	struct bench *bench;
	atomic_t dones;
	bool ends_when_forced;
};

/* All that a case needs, on the heap. */
struct bench {
	struct device *dev[2];
	struct nursery nursery, nested;
	struct transfer transfer[3];
	struct buffer buffer[4];
	struct action action[4];
	struct nursery_resource plain;
	int events[32];
	atomic_t nr;
	int stop_result;			/* what the quiesce function is to return */
	struct nursery_child *completes;	/* and what it is to complete before, or NULL */
	atomic_t stops;
	int stops_seen;
	int err;
	int others_dones;
	bool coming;
	int delay;
	struct completion joined;
	struct nursery_child waits;		/* a function that has to do with a transfer */
	struct completion gate;
};

static struct bench *bench_of(struct kunit *test)
{
	return test->priv;
}

static void happened(struct bench *b, int event)
{
	int nr = atomic_inc_return(&b->nr) - 1;

	if (nr < ARRAY_SIZE(b->events))
		b->events[nr] = event;
}

static void expect_events(struct kunit *test, const int *events, int nr)
{
	struct bench *b = bench_of(test);
	int i;

	KUNIT_EXPECT_EQ(test, atomic_read(&b->nr), nr);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, b->events[i], events[i], "event %d", i);
}

#define EXPECT_EVENTS(test, ...)						\
	expect_events(test, (const int []){ __VA_ARGS__ },			\
		      sizeof((const int []){ __VA_ARGS__ }) / sizeof(int))

static void release_buffer(struct nursery_resource *r)
{
	struct buffer *buf = container_of(r, struct buffer, dma.resource);

	put_device(buf->dma.dev);
	happened(buf->bench, RELEASED + buf->number);
}

static const struct nursery_resource_type buffer_type = {
	.name = "buffer", .release = release_buffer, .flags = NURSERY_RESOURCE_DMA,
};

static void own_buffer(struct kunit *test, struct nursery *n, int number, int dev)
{
	struct bench *b = bench_of(test);
	struct buffer *buf = &b->buffer[number];

	*buf = (struct buffer){ .bench = b, .number = number };
	buf->dma.dev = get_device(b->dev[dev]);
	buf->dma.size = 1000 + number;
	KUNIT_EXPECT_EQ(test, nursery_own(n, &buf->dma.resource, &buffer_type), 0);
}

static void ask(struct nursery_cancel_handler *h)
{
	happened(container_of(h, struct transfer, ask)->bench, ASKED);
}

static void force(struct nursery_cancel_handler *h)
{
	struct transfer *t = container_of(h, struct transfer, force);

	happened(t->bench, FORCED);
	if (t->ends_when_forced)
		nursery_child_complete(&t->child, -ECANCELED);
}

static void transfer_done(struct nursery_child *c)
{
	struct transfer *t = container_of(c, struct transfer, child);

	atomic_inc(&t->dones);
	happened(t->bench, DONE);
}

static void begin(struct kunit *test, struct nursery *n, int nr)
{
	struct bench *b = bench_of(test);
	struct transfer *t = &b->transfer[nr];

	t->bench = b;
	atomic_set(&t->dones, 0);
	nursery_child_init(&t->child, NULL, transfer_done);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(n, &t->child), 0);
}

static int stop(struct nursery *n, void *data)
{
	struct bench *b = data;

	happened(b, QUIESCED);
	atomic_inc(&b->stops);
	if (b->completes)
		nursery_child_complete(b->completes, -EREMOTEIO);
	b->completes = NULL;
	return b->stop_result;
}

static struct nursery *open(struct kunit *test, const struct nursery_params *params)
{
	struct bench *b = bench_of(test);

	nursery_init(&b->nursery, params);
	nursery_set_quiesce(&b->nursery, stop, b);
	return &b->nursery;
}

static const struct nursery_params short_grace = { .name = "quiesce", .grace = NSEC_PER_MSEC };

static void i9_stuck_child_is_abandoned(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, &short_grace);
	struct transfer *t = &b->transfer[0];

	own_buffer(test, n, 0, 0);
	begin(test, n, 0);
	KUNIT_EXPECT_EQ(test, nursery_on_hard_cancel(&t->child, &t->force, force), 0);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&t->child, &t->ask, ask), 0);
	nursery_cancel(n, -ENODEV);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	EXPECT_EVENTS(test, ASKED, FORCED, QUIESCED, DONE, RELEASED);
	/* The late interrupt. */
	nursery_child_complete(&t->child, 0);
	EXPECT_EVENTS(test, ASKED, FORCED, QUIESCED, DONE, RELEASED);
}

/* Longer than the grace. */
static void ask_slowly(struct nursery_cancel_handler *h)
{
	mdelay(10);
	ask(h);
}

static void joined(struct nursery *n, int err)
{
	struct bench *b = container_of(n, struct bench, nursery);

	b->err = err;
	complete(&b->joined);
}

static void i9_handlers_come_before_it_is_abandoned(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, &short_grace);
	struct transfer *t = &b->transfer[0];

	begin(test, n, 0);
	KUNIT_EXPECT_EQ(test, nursery_on_hard_cancel(&t->child, &t->force, force), 0);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&t->child, &t->ask, ask_slowly), 0);
	nursery_join_async(n, joined);
	nursery_cancel(n, -ENODEV);
	wait_for_completion(&b->joined);
	KUNIT_EXPECT_EQ(test, b->err, -ETIMEDOUT);
	EXPECT_EVENTS(test, ASKED, FORCED, QUIESCED, DONE);
}

/* The same without a hard one: nobody counts down when the handler returns. */
static void i9_slow_handler_is_waited_for(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);
	struct transfer *t = &b->transfer[0];

	begin(test, n, 0);
	KUNIT_EXPECT_EQ(test, nursery_on_cancel(&t->child, &t->ask, ask_slowly), 0);
	nursery_join_async(n, joined);
	nursery_cancel(n, -ENODEV);
	wait_for_completion(&b->joined);
	KUNIT_EXPECT_EQ(test, b->err, -ETIMEDOUT);
	EXPECT_EVENTS(test, ASKED, QUIESCED, DONE);
}

static void i9_deadline_without_a_grace(struct kunit *test)
{
	struct nursery *n = open(test, NULL);

	own_buffer(test, n, 0, 0);
	begin(test, n, 0);
	begin(test, n, 1);
	nursery_set_deadline(n, ktime_get());
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	EXPECT_EVENTS(test, QUIESCED, DONE, DONE, RELEASED);
}

static void i9_quiesce_set_after_the_cancel(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = &b->nursery;

	nursery_init(n, NULL);
	begin(test, n, 0);
	nursery_cancel(n, -ENODEV);
	nursery_set_quiesce(n, stop, b);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	EXPECT_EVENTS(test, QUIESCED, DONE);
}

static int stop_instead(struct nursery *n, void *data)
{
	happened(data, FORCED);
	return 0;
}

static void quiesce_can_be_replaced(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);

	nursery_set_quiesce(n, stop_instead, b);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	EXPECT_EVENTS(test, FORCED);
	nursery_set_quiesce(n, stop, b);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	EXPECT_EVENTS(test, FORCED);
}

static void i9_asked_if_something_went_wrong(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);

	/* Nothing did. */
	begin(test, n, 0);
	nursery_child_complete(&b->transfer[0].child, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	EXPECT_EVENTS(test, DONE);

	/* A child failed; with supervision that cancels nothing. */
	n = open(test, &(struct nursery_params){ .flags = NURSERY_SUPERVISE });
	begin(test, n, 0);
	nursery_child_complete(&b->transfer[0].child, -EIO);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -EIO);
	EXPECT_EVENTS(test, DONE, DONE, QUIESCED);

	/* Only one child was cancelled. */
	n = open(test, NULL);
	begin(test, n, 0);
	nursery_child_cancel(&b->transfer[0].child);
	nursery_child_complete(&b->transfer[0].child, -ECANCELED);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	EXPECT_EVENTS(test, DONE, DONE, QUIESCED, DONE, QUIESCED);

	/* It was cancelled when there were no children. */
	n = open(test, NULL);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	EXPECT_EVENTS(test, DONE, DONE, QUIESCED, DONE, QUIESCED, QUIESCED);
}

static int complete_later(struct nursery_child *c)
{
	struct bench *b = container_of(c, struct bench, waits);

	msleep(20);
	nursery_child_complete(&b->transfer[0].child, 0);
	return 0;
}

static void without_quiesce_hardware_is_waited_for(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = &b->nursery;
	struct nursery other;

	nursery_init(n, NULL);
	begin(test, n, 0);
	nursery_cancel(n, -ENODEV);
	nursery_init(&other, NULL);
	nursery_child_init(&b->waits, complete_later, NULL);
	nursery_spawn(&other, &b->waits);
	/* Were it abandoned, the completion would be ignored, and the join return -ETIMEDOUT. */
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ENODEV);
	nursery_join(&other);
	EXPECT_EVENTS(test, DONE);
}

static void i9_hard_handler_may_complete_it(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, &short_grace);

	begin(test, n, 0);
	b->transfer[0].ends_when_forced = true;
	nursery_on_hard_cancel(&b->transfer[0].child, &b->transfer[0].force, force);
	nursery_cancel(n, -ENODEV);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ENODEV);
	/* Asked before the release, but not in order to abandon it. */
	EXPECT_EVENTS(test, FORCED, DONE, QUIESCED);
}

static void i9_quiesce_may_complete_children(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);

	begin(test, n, 0);
	begin(test, n, 1);
	b->completes = &b->transfer[0].child;
	nursery_cancel(n, 0);
	/* Its error is the first. */
	KUNIT_EXPECT_EQ(test, nursery_join(n), -EREMOTEIO);
	EXPECT_EVENTS(test, QUIESCED, DONE, DONE);
	KUNIT_EXPECT_EQ(test, atomic_read(&b->transfer[0].dones), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&b->transfer[1].dones), 1);
}

/* It takes its time to see the cancel. */
static int slow_run(struct nursery_child *c)
{
	struct bench *b = container_of(c, struct bench, waits);

	while (!nursery_child_cancelled(c))
		usleep_range(50, 100);
	msleep(20);
	b->stops_seen = atomic_read(&b->stops);
	return -ECANCELED;
}

static void i9_functions_end_before_hardware_is_abandoned(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);

	begin(test, n, 0);
	nursery_child_init(&b->waits, slow_run, NULL);
	nursery_spawn(n, &b->waits);
	nursery_cancel(n, -ENODEV);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, b->stops_seen, 0);
	EXPECT_EVENTS(test, QUIESCED, DONE);
}

/* What drivers do: begin, start, and wait for just this one. */
static int transfer_and_wait(struct nursery_child *c)
{
	struct bench *b = container_of(c, struct bench, waits);

	complete(&b->gate);
	b->err = nursery_child_join(&b->transfer[0].child);
	b->stops_seen = atomic_read(&b->stops);
	/* The other one is there as long as somebody else may need it. */
	b->others_dones = atomic_read(&b->transfer[1].dones);
	return b->err;
}

static void i9_who_waits_for_one_child_abandons_it(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, &short_grace);

	begin(test, n, 0);
	begin(test, n, 1);
	nursery_child_init(&b->waits, transfer_and_wait, NULL);
	nursery_spawn(n, &b->waits);
	wait_for_completion(&b->gate);
	nursery_cancel(n, -ENODEV);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, b->err, -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, b->stops_seen, 1);
	KUNIT_EXPECT_EQ(test, b->others_dones, 0);
	EXPECT_EVENTS(test, QUIESCED, DONE, QUIESCED, DONE);
}

static void i9_child_join_after_the_grace(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);

	begin(test, n, 0);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&b->transfer[0].child), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	/* Before the release it is asked again. */
	EXPECT_EVENTS(test, QUIESCED, DONE, QUIESCED);
}

static void i9_join_without_a_thread_abandons(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, &short_grace);

	own_buffer(test, n, 0, 0);
	begin(test, n, 0);
	begin(test, n, 1);
	nursery_child_init(&b->waits, slow_run, NULL);
	nursery_spawn(n, &b->waits);
	nursery_join_async(n, joined);
	nursery_cancel(n, -ENODEV);
	wait_for_completion(&b->joined);
	KUNIT_EXPECT_EQ(test, b->err, -ETIMEDOUT);
	EXPECT_EVENTS(test, QUIESCED, DONE, DONE, RELEASED);
}

/* Parked until its transfer is over. */
static int park_run(struct nursery_child *c)
{
	struct bench *b = container_of(c, struct bench, waits);

	return atomic_read(&b->transfer[0].dones) ? nursery_child_join(&b->transfer[0].child) :
						    NURSERY_PARK;
}

static void unpark_waiter(struct nursery_child *c)
{
	struct transfer *t = container_of(c, struct transfer, child);

	transfer_done(c);
	nursery_child_unpark(&t->bench->waits);
}

static void i9_parked_child_is_woken_by_the_end(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, NULL);
	struct transfer *t = &b->transfer[0];

	t->bench = b;
	nursery_child_init(&t->child, NULL, unpark_waiter);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(n, &t->child), 0);
	nursery_child_init(&b->waits, park_run, NULL);
	nursery_spawn(n, &b->waits);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	EXPECT_EVENTS(test, QUIESCED, DONE);
}

static void i9_abandoned_child_is_collected(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open(test, &(struct nursery_params){ .flags = NURSERY_COLLECT });
	struct nursery_child *c = &b->waits;

	nursery_child_init(c, NULL, NULL);
	KUNIT_EXPECT_EQ(test, nursery_child_begin(n, c), 0);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_PTR_EQ(test, nursery_next(n), c);
	KUNIT_EXPECT_EQ(test, nursery_child_join(c), -ETIMEDOUT);
	KUNIT_EXPECT_NULL(test, nursery_next(n));
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
}

static int complete_now(struct nursery_child *c)
{
	struct bench *b = container_of(c, struct bench, waits);
	int i;

	wait_for_completion(&b->gate);
	WRITE_ONCE(b->coming, true);
	for (i = 0; i < b->delay; i++)
		cpu_relax();
	nursery_child_complete(&b->transfer[0].child, 0);
	return 0;
}

static int stop_and_open_gate(struct nursery *n, void *data)
{
	struct bench *b = data;

	if (b->coming)		/* this is before the release */
		return 0;
	complete(&b->gate);
	while (!READ_ONCE(b->coming))
		cond_resched();
	return 0;
}

/* The interrupt comes while the joiner abandons: one of the two is heard. */
static void i9_completion_and_abandoning_race(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = &b->nursery;
	int i, late = 0;

	for (i = 0; i < 200; i++) {
		struct nursery other;
		int err;

		nursery_init(n, NULL);
		nursery_set_quiesce(n, stop_and_open_gate, b);
		begin(test, n, 0);
		nursery_init(&other, &(struct nursery_params){ .flags = NURSERY_NO_HELP });
		reinit_completion(&b->gate);
		b->coming = false;
		b->delay = i * i;
		nursery_child_init(&b->waits, complete_now, NULL);
		nursery_spawn(&other, &b->waits);
		nursery_cancel(n, 0);
		err = nursery_join(n);
		KUNIT_EXPECT_TRUE(test, err == 0 || err == -ETIMEDOUT);
		late += err == -ETIMEDOUT;
		KUNIT_EXPECT_EQ(test, nursery_join(&other), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&b->transfer[0].dones), 1);
	}
	kunit_info(test, "abandoned %d of %d", late, i);
}

/* quarantine */

static void run_action(void *data)
{
	struct action *a = data;

	happened(a->bench, RELEASED + a->number);
}

static void defer(struct kunit *test, struct nursery *n, int nr)
{
	struct bench *b = bench_of(test);

	b->action[nr] = (struct action){ .bench = b, .number = ACTION + nr };
	KUNIT_EXPECT_EQ(test, nursery_defer(n, run_action, &b->action[nr]), 0);
}

static void release_plain(struct nursery_resource *r)
{
	happened(container_of(r, struct bench, plain), RELEASED + PLAIN);
}

static const struct nursery_resource_type plain_type = {
	.name = "plain", .release = release_plain,
};

/* A nursery whose hardware will not stop. */
static struct nursery *open_unstoppable(struct kunit *test)
{
	struct bench *b = bench_of(test);

	b->stop_result = -EIO;
	return open(test, NULL);
}

static unsigned int nr_refs(struct kunit *test, int dev)
{
	return kref_read(&bench_of(test)->dev[dev]->kobj.kref);
}

static unsigned long release_quarantine(struct kunit *test, int dev)
{
	return nursery_dma_release_quarantine(bench_of(test)->dev[dev]);
}

static void i9_quarantine_keeps_what_hardware_may_use(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open_unstoppable(test);
	unsigned int refs = nr_refs(test, 0);
	char *memory;

	defer(test, n, 0);
	KUNIT_EXPECT_EQ(test, nursery_own(n, &b->plain, &plain_type), 0);
	memory = nursery_kzalloc(n, 100, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, memory);
	own_buffer(test, n, 0, 0);
	KUNIT_EXPECT_EQ(test, nursery_get_device(n, b->dev[0]), 0);
	defer(test, n, 1);
	own_buffer(test, n, 1, 0);
	defer(test, n, 2);
	begin(test, n, 0);
	nursery_cancel(n, -ENODEV);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	/* What is above the buffers, and what is nothing to hardware, as ever. */
	EXPECT_EVENTS(test, QUIESCED, DONE, RELEASED + ACTION + 2, RELEASED + PLAIN);
	if (memory)
		memset(memory, 0x55, 100);	/* KASAN: it is still there */
	KUNIT_EXPECT_GE(test, nr_refs(test, 0), refs + 3);

	KUNIT_EXPECT_EQ(test, release_quarantine(test, 1), 0ul);
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 0), 2ul);
	/* The first and the second action never run. */
	EXPECT_EVENTS(test, QUIESCED, DONE, RELEASED + ACTION + 2, RELEASED + PLAIN,
		      RELEASED + 1, RELEASED + 0);
	KUNIT_EXPECT_EQ(test, nr_refs(test, 0), refs);
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 0), 0ul);
}

static void i9_no_quarantine_without_buffers(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open_unstoppable(test);

	defer(test, n, 0);
	KUNIT_EXPECT_EQ(test, nursery_own(n, &b->plain, &plain_type), 0);
	KUNIT_EXPECT_NOT_NULL(test, nursery_kzalloc(n, 100, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, nursery_get_device(n, b->dev[0]), 0);
	nursery_cancel(n, -ENODEV);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ENODEV);
	EXPECT_EVENTS(test, QUIESCED, RELEASED + PLAIN, RELEASED + ACTION);
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 0), 0ul);
}

static void i9_quarantine_of_two_devices(struct kunit *test)
{
	struct nursery *n = open_unstoppable(test);

	own_buffer(test, n, 0, 0);
	own_buffer(test, n, 1, 1);
	own_buffer(test, n, 2, 1);
	own_buffer(test, n, 3, 0);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_join(n), 0);
	EXPECT_EVENTS(test, QUIESCED);
	/* The first buffer is under those of the other device. */
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 0), 1ul);
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 0), 0ul);
	EXPECT_EVENTS(test, QUIESCED, RELEASED + 3);
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 1), 3ul);
	EXPECT_EVENTS(test, QUIESCED, RELEASED + 3, RELEASED + 2, RELEASED + 1, RELEASED + 0);
}

/* A nursery has no hardware of its own, but may have lent its buffers to what is below. */
static void i9_quarantine_goes_up(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n;

	nursery_init(&b->nested, NULL);
	own_buffer(test, &b->nested, 0, 0);
	b->stop_result = -EIO;
	n = &b->nursery;
	nursery_init(n, &(struct nursery_params){ .outer = &b->nested });
	nursery_set_quiesce(n, stop, b);
	own_buffer(test, n, 1, 0);
	begin(test, n, 0);
	nursery_cancel(n, -EPIPE);
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, nursery_join(&b->nested), 0);
	EXPECT_EVENTS(test, QUIESCED, DONE);
	KUNIT_EXPECT_EQ(test, release_quarantine(test, 0), 2ul);
	EXPECT_EVENTS(test, QUIESCED, DONE, RELEASED + 1, RELEASED + 0);
}

static void i9_the_last_answer_counts(struct kunit *test)
{
	struct bench *b = bench_of(test);
	struct nursery *n = open_unstoppable(test);

	own_buffer(test, n, 0, 0);
	begin(test, n, 0);
	nursery_cancel(n, 0);
	KUNIT_EXPECT_EQ(test, nursery_child_join(&b->transfer[0].child), -ETIMEDOUT);
	EXPECT_EVENTS(test, QUIESCED, DONE);
	/* It was not asked for the last time: other children may have run. */
	b->stop_result = 0;
	KUNIT_EXPECT_EQ(test, nursery_join(n), -ETIMEDOUT);
	EXPECT_EVENTS(test, QUIESCED, DONE, QUIESCED, RELEASED);
}

static int quiesce_test_init(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	int i;

	if (!b)
		return -ENOMEM;
	init_completion(&b->joined);
	init_completion(&b->gate);
	for (i = 0; i < ARRAY_SIZE(b->dev); i++) {
		/* No owner: as in devm_test.c. */
		b->dev[i] = __root_device_register(i ? "nursery_kunit_1" : "nursery_kunit_0", NULL);
		if (IS_ERR(b->dev[i])) {
			while (i)
				root_device_unregister(b->dev[--i]);
			return -ENODEV;
		}
	}
	test->priv = b;
	return 0;
}

static void quiesce_test_exit(struct kunit *test)
{
	struct bench *b = test->priv;
	int i;

	for (i = 0; b && i < ARRAY_SIZE(b->dev); i++)
		root_device_unregister(b->dev[i]);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(i9_stuck_child_is_abandoned),
	KUNIT_CASE(i9_handlers_come_before_it_is_abandoned),
	KUNIT_CASE(i9_slow_handler_is_waited_for),
	KUNIT_CASE(i9_deadline_without_a_grace),
	KUNIT_CASE(i9_quiesce_set_after_the_cancel),
	KUNIT_CASE(quiesce_can_be_replaced),
	KUNIT_CASE(i9_asked_if_something_went_wrong),
	KUNIT_CASE(without_quiesce_hardware_is_waited_for),
	KUNIT_CASE(i9_hard_handler_may_complete_it),
	KUNIT_CASE(i9_quiesce_may_complete_children),
	KUNIT_CASE(i9_functions_end_before_hardware_is_abandoned),
	KUNIT_CASE(i9_who_waits_for_one_child_abandons_it),
	KUNIT_CASE(i9_child_join_after_the_grace),
	KUNIT_CASE(i9_join_without_a_thread_abandons),
	KUNIT_CASE(i9_parked_child_is_woken_by_the_end),
	KUNIT_CASE(i9_abandoned_child_is_collected),
	KUNIT_CASE(i9_completion_and_abandoning_race),
	KUNIT_CASE(i9_quarantine_keeps_what_hardware_may_use),
	KUNIT_CASE(i9_no_quarantine_without_buffers),
	KUNIT_CASE(i9_quarantine_of_two_devices),
	KUNIT_CASE(i9_quarantine_goes_up),
	KUNIT_CASE(i9_the_last_answer_counts),
	{ }
};

struct kunit_suite nursery_quiesce_suite = {
	.name = "nursery_quiesce", .init = quiesce_test_init, .exit = quiesce_test_exit,
	.test_cases = cases,
};
