// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipeline: stages that run at the same time, with short queues between them.
 *
 * A source makes frames, a decoder checks and changes each, a sink adds them up; all
 * is simulated. What there is to learn:
 *
 * - Each stage is a child, and a plain loop. A queue that is full or empty makes it
 *   wait, in nursery_wait_event(). So a slow sink slows the source down, and memory
 *   is what the queues take.
 * - Each wait ends with a cancel, too. When the decoder finds a bad frame it returns an
 *   error and is done: the source, which waits for room, and the sink, which waits for
 *   frames, are woken and return. No stage knows of the others, no queue has to be
 *   "closed", nobody waits for one who is gone.
 * - The scope's result is the bad frame's error, not what came of it in other stages.
 *
 * A queue has one writer and one reader, so a kfifo needs no lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kfifo.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/wait.h>

#define FRAMES		1000
#define END		U32_MAX		/* behind the last frame */

struct queue {
	DECLARE_KFIFO(fifo, u32, 4);
	wait_queue_head_t wait;
};

/* Return: 0, or -ECANCELED, as for all waits below. */
static int put(struct nursery_child *c, struct queue *q, u32 frame)
{
	int err = nursery_wait_event(c, q->wait, kfifo_put(&q->fifo, frame));

	if (!err)
		wake_up(&q->wait);
	return err;
}

static int get(struct nursery_child *c, struct queue *q, u32 *frame)
{
	int err = nursery_wait_event(c, q->wait, kfifo_get(&q->fifo, frame));

	if (!err)
		wake_up(&q->wait);
	return err;
}

struct pipeline {
	struct nursery_child	source, decoder, sink;
	struct queue		raw, decoded;
	u32			bad;		/* this frame is broken */
	u64			sum;
};

static int source_run(struct nursery_child *c)
{
	struct pipeline *p = container_of(c, struct pipeline, source);
	u32 i;
	int err = 0;

	for (i = 0; i < FRAMES && !err; i++)
		err = put(c, &p->raw, i);
	return err ?: put(c, &p->raw, END);
}

static int decoder_run(struct nursery_child *c)
{
	struct pipeline *p = container_of(c, struct pipeline, decoder);
	u32 frame;
	int err;

	do {
		err = get(c, &p->raw, &frame);
		if (err)
			return err;
		if (frame == p->bad)
			return -EILSEQ;
		err = put(c, &p->decoded, frame == END ? END : 2 * frame);
	} while (!err && frame != END);
	return err;
}

static int sink_run(struct nursery_child *c)
{
	struct pipeline *p = container_of(c, struct pipeline, sink);
	u32 frame;
	int err;

	while (!(err = get(c, &p->decoded, &frame)) && frame != END)
		p->sum += frame;
	return err;
}

static void queue_init(struct queue *q)
{
	INIT_KFIFO(q->fifo);
	init_waitqueue_head(&q->wait);
}

static int run(struct pipeline *p, u32 bad)
{
	int err;

	p->bad = bad;
	p->sum = 0;
	queue_init(&p->raw);
	queue_init(&p->decoded);
	nursery_child_init(&p->source, source_run, NULL);
	nursery_child_init(&p->decoder, decoder_run, NULL);
	nursery_child_init(&p->sink, sink_run, NULL);
	scoped_nursery(n, .name = "pipeline", .result = &err) {
		nursery_spawn(n, &p->source);
		nursery_spawn(n, &p->decoder);
		nursery_spawn(n, &p->sink);
	}
	return err;
}

static int __init pipeline_init(void)
{
	static struct pipeline p;
	int err = run(&p, END - 1);
	u64 sum = p.sum;

	if (err)
		return err;
	err = run(&p, FRAMES / 2);
	if (sum != (u64)FRAMES * (FRAMES - 1) || err != -EILSEQ)
		return -EBADMSG;
	pr_info("%d frames, sum %llu; stopped by a bad one: %d\n", FRAMES, sum, err);
	return 0;
}
module_init(pipeline_init);

static void __exit pipeline_exit(void)
{
}
module_exit(pipeline_exit);

MODULE_DESCRIPTION("Sample: stages with queues between them, in a nursery");
MODULE_LICENSE("GPL");
