// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that is wrong on purpose, in the way that the parameter "misuse" says: each is
 * a misuse of nurseries that is reported. What can be put right afterwards is, so that
 * nothing stays behind when the module goes, and nothing touches memory that is gone.
 *
 * Loading it does it, and fails with -EPROTO if a call did not return what it should.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_dma.h>
#include <linux/platform_device.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../../../kmod/compat.h"

NURSERY_IMPORT_NS(DMA_BUF);

static char *misuse = "";
module_param(misuse, charp, 0444);
MODULE_PARM_DESC(misuse, "what to do wrong");

static const struct nursery_params wrong_params = { .name = "wrong nursery" };
static struct nursery nursery;

struct job {
	struct nursery_child		child;
	struct completion		started;
	struct completion		gate;
	struct nursery_cancel_handler	handler;
	struct nursery_child		*hardware;
	bool				sleeps;		/* until it is cancelled */
};

static int wrong_child(struct nursery_child *c)
{
	struct job *job = container_of(c, struct job, child);
	int err;

	complete(&job->started);
	if (!job->sleeps) {
		wait_for_completion(&job->gate);
		return 0;
	}
	err = nursery_sleep(c, KTIME_MAX);
	/* Who does not wait for it will have freed it by now. */
	msleep(200);
	complete(&job->gate);
	return err;
}

static void job_init(struct job *job, nursery_fn_t fn, void (*done)(struct nursery_child *c))
{
	memset(job, 0, sizeof(*job));
	init_completion(&job->started);
	init_completion(&job->gate);
	nursery_child_init(&job->child, fn, done);
}

static void wrong_done(struct nursery_child *c)
{
}

/* The places that reports are to name: by a call, not by a jump at the end. */
static noinline int spawn_here(struct nursery *n, struct nursery_child *c)
{
	int err = c->fn ? nursery_spawn(n, c) : nursery_child_begin(n, c);

	barrier();
	return err;
}

static noinline void open_here(struct nursery *n, const struct nursery_params *params)
{
	nursery_init(n, params);
	barrier();
}

static int expect(int got, int due)
{
	return got == due ? 0 : -EPROTO;
}

static void do_nothing(void *data)
{
}

/* Nothing in it changes, and the child can still be spawned elsewhere. */
static int use_uninitialised(int pattern)
{
	struct nursery *n = kmalloc(sizeof(*n), GFP_KERNEL);
	static struct job job, hardware;
	int err;

	if (!n)
		return -ENOMEM;
	memset(n, pattern, sizeof(*n));
	job_init(&job, wrong_child, NULL);
	job_init(&hardware, NULL, wrong_done);
	err = expect(spawn_here(n, &job.child), -EINVAL) ?:
	      expect(spawn_here(n, &hardware.child), -EINVAL) ?:
	      expect(nursery_start(n, &job.child), -EINVAL) ?:
	      expect(nursery_spawn_delayed(n, &job.child, 1), -EINVAL) ?:
	      expect(nursery_defer(n, do_nothing, NULL), -EINVAL) ?:
	      expect(nursery_join(n), -EINVAL);
	nursery_cancel(n, -EIO);
	nursery_set_deadline(n, 0);
	if (memchr_inv(n, pattern, sizeof(*n)))
		err = -EPROTO;
	kfree(n);

	open_here(&nursery, &wrong_params);
	complete(&job.gate);
	err = expect(spawn_here(&nursery, &job.child), 0) ?: err;
	return expect(nursery_join(&nursery), 0) ?: err;
}

static int use_zeroed_nursery(void)
{
	return use_uninitialised(0);
}

static int use_poisoned_nursery(void)
{
	return use_uninitialised(0x6b);
}

static int spawn_uninitialised_child(void)
{
	static struct job job;
	int err;

	open_here(&nursery, &wrong_params);
	memset(&job, 0x6b, sizeof(job));
	err = expect(spawn_here(&nursery, &job.child), -EINVAL);
	return expect(nursery_join(&nursery), 0) ?: err;
}

static int init_nursery_twice(void)
{
	static const struct nursery_params again = { .name = "another nursery" };
	static struct job job;

	job_init(&job, wrong_child, NULL);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	open_here(&nursery, &again);
	complete(&job.gate);
	/* It is the first one still. */
	return expect(nursery_join(&nursery), 0) ?: expect(nursery_child_join(&job.child), 0);
}

static int init_child_twice(void)
{
	static struct job job;

	job_init(&job, wrong_child, NULL);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	nursery_child_init(&job.child, NULL, NULL);
	complete(&job.gate);
	return expect(nursery_child_join(&job.child), 0) ?: expect(nursery_join(&nursery), 0);
}

/*
 * To who looks at addresses, a loop is a function that is called again and has its
 * frame where it was; only that nothing else lies there meanwhile.
 */
static int init_on_stack_twice(void)
{
	struct nursery n;
	struct job job;
	int i, err = 0;

	job_init(&job, wrong_child, NULL);
	for (i = 0; i < 2; i++) {
		open_here(&n, &wrong_params);
		nursery_child_init(&job.child, wrong_child, NULL);
		err = err ?: expect(spawn_here(&n, &job.child), i ? -EBUSY : 0);
	}
	complete(&job.gate);
	return expect(nursery_join(&n), 0) ?: err;
}

/* It sleeps, is cancelled, and has returned before its memory goes. */
static int free_child(void)
{
	struct job *job = kmalloc(sizeof(*job), GFP_KERNEL);

	if (!job)
		return -ENOMEM;
	job_init(job, wrong_child, NULL);
	job->sleeps = true;
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job->child);
	wait_for_completion(&job->started);
	kfree(job);
	return expect(nursery_join(&nursery), 0);
}

static void free_job(struct nursery_child *c)
{
	kfree(container_of(c, struct job, child));
}

/* done() would free it once more. In atomic context: it has not started, so it ends at once. */
static int free_unstarted_child(void)
{
	struct job *job = kmalloc(sizeof(*job), GFP_KERNEL);
	struct nursery_params params = wrong_params;
	static struct job first;

	if (!job)
		return -ENOMEM;
	params.max_active = 1;
	job_init(&first, wrong_child, NULL);
	job_init(job, wrong_child, free_job);
	open_here(&nursery, &params);
	nursery_spawn(&nursery, &first.child);
	spawn_here(&nursery, &job->child);
	preempt_disable();
	kfree(job);
	preempt_enable();
	complete(&first.gate);
	return expect(nursery_join(&nursery), 0);
}

/* Hardware that is asked to stop, and does so some time later. */
static void ask_to_stop(struct nursery_cancel_handler *h)
{
	complete(&container_of(h, struct job, handler)->gate);
}

static int stop(struct nursery_child *c)
{
	struct job *job = container_of(c, struct job, child);

	wait_for_completion(&job->gate);
	nursery_child_complete(job->hardware, -ECANCELED);
	return 0;
}

static int free_external_child(void)
{
	struct job *job = kmalloc(sizeof(*job), GFP_KERNEL);
	static struct job stopper;

	if (!job)
		return -ENOMEM;
	job_init(job, NULL, wrong_done);
	job_init(&stopper, stop, NULL);
	stopper.hardware = &job->child;
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job->child);
	nursery_on_cancel(&job->child, &stopper.handler, ask_to_stop);
	nursery_spawn(&nursery, &stopper.child);
	kfree(job);
	return expect(nursery_join(&nursery), 0);
}

static int free_nursery(void)
{
	struct nursery *n = kmalloc(sizeof(*n), GFP_KERNEL);
	static struct job job;

	if (!n)
		return -ENOMEM;
	job_init(&job, wrong_child, NULL);
	job.sleeps = true;
	open_here(n, &wrong_params);
	spawn_here(n, &job.child);
	wait_for_completion(&job.started);
	kfree(n);
	/* It has been joined. */
	return expect(nursery_child_join(&job.child), -ECANCELED);
}

static int overwrite_itself(struct nursery_child *c)
{
	memset(c, 0x5a, sizeof(*c));
	return 0;
}

static int overwrite_child(void)
{
	static struct job job;

	job_init(&job, overwrite_itself, NULL);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	return expect(nursery_join(&nursery), 0);
}

/* A copy of a child that was never spawned, over one that runs. */
static int copy_over_child(void)
{
	static struct job job, fresh;
	int err;

	job_init(&job, wrong_child, NULL);
	job_init(&fresh, wrong_child, NULL);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	wait_for_completion(&job.started);
	job.child = fresh.child;
	err = expect(spawn_here(&nursery, &job.child), -EBUSY);
	complete(&job.gate);
	return expect(nursery_join(&nursery), 0) ?: err;
}

/* No more of it than is looked at, as the nursery is still to be joined. */
static void set_nursery_self(void *self)
{
#ifdef CONFIG_DEBUG_OBJECTS
	nursery.self = self;
#endif
}

static int overwrites_nursery(struct nursery_child *c)
{
	set_nursery_self(NULL);
	return 0;
}

static int overwrite_nursery(void)
{
	static struct job job;

	int err;

	job_init(&job, overwrites_nursery, NULL);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	/* A join of what is not a nursery any more is refused. */
	err = expect(nursery_child_join(&job.child), 0);
	set_nursery_self(&nursery);
	return expect(nursery_join(&nursery), 0) ?: err;
}

static int join_in_atomic_context(void)
{
	int err;

	open_here(&nursery, &wrong_params);
	preempt_disable();
	err = nursery_join(&nursery);
	preempt_enable();
	return expect(err, 0);
}

static int join_outer_first(void)
{
	struct nursery_params params = { .name = "inner nursery", .outer = &nursery };
	static struct nursery inner;
	int err;

	open_here(&nursery, &wrong_params);
	open_here(&inner, &params);
	err = expect(nursery_join(&nursery), 0);
	return expect(nursery_join(&inner), 0) ?: err;
}

static struct nursery left_open;

static int leaves_open(struct nursery_child *c)
{
	struct nursery_params params = { .name = "inner nursery", .parent = c };

	open_here(&left_open, &params);
	return 0;
}

/* Still below the nursery of the child, it is cancelled with that. */
static int return_with_nursery_open(void)
{
	static struct job job;
	int err;

	job_init(&job, leaves_open, NULL);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	err = expect(nursery_child_join(&job.child), 0);
	memset(&job, 0x5a, sizeof(job));
	nursery_cancel(&nursery, -EINTR);
	err = expect(nursery_join(&left_open), -ECANCELED) ?: err;
	return expect(nursery_join(&nursery), -EINTR) ?: err;
}

static int complete_twice(void)
{
	static struct job job;
	int err;

	job_init(&job, NULL, wrong_done);
	open_here(&nursery, &wrong_params);
	spawn_here(&nursery, &job.child);
	nursery_child_complete(&job.child, 0);
	nursery_child_complete(&job.child, -EIO);
	err = expect(nursery_child_join(&job.child), 0);
	return expect(nursery_join(&nursery), 0) ?: err;
}

/* Call @fn with the nursery open, for a device. */
static int with_device(int (*fn)(struct device *dev))
{
	struct platform_device *pdev;
	int err;

	pdev = platform_device_register_simple("wrong_use", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	nursery_init(&nursery, &wrong_params);
	err = fn(&pdev->dev);
	err = expect(nursery_join(&nursery), 0) ?: err;
	platform_device_unregister(pdev);
	return err;
}

/* The device only reads: what should it have written? */
static int sync_to_device_for_cpu(struct device *dev)
{
	void *data = nursery_kzalloc(&nursery, 100, GFP_KERNEL);
	struct nursery_dma *buf;

	if (!data)
		return -ENOMEM;
	buf = nursery_dma_map_single(&nursery, dev, data, 100, DMA_TO_DEVICE);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	nursery_dma_sync_for_device(buf);
	nursery_dma_sync_for_cpu(buf);
	return 0;
}

static int sync_for_cpu_to_device(void)
{
	return with_device(sync_to_device_for_cpu);
}

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
/* The dma-buf's exporter would have to be asked, and may say no. */
static int sync_imported_for_cpu(struct device *dev)
{
	struct nursery_dma *buf;
	struct dma_buf *dmabuf;

	buf = nursery_dma_alloc_shareable(&nursery, dev, PAGE_SIZE, DMA_BIDIRECTIONAL, GFP_KERNEL);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	dmabuf = nursery_dma_export(buf, O_RDWR);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	buf = nursery_dma_import(&nursery, dev, dmabuf, DMA_BIDIRECTIONAL);
	if (!IS_ERR(buf))
		nursery_dma_sync_for_cpu(buf);
	dma_buf_put(dmabuf);
	return PTR_ERR_OR_ZERO(buf);
}
#else
static int sync_imported_for_cpu(struct device *dev)
{
	return -EOPNOTSUPP;
}
#endif

static int sync_imported(void)
{
	return with_device(sync_imported_for_cpu);
}

#define MISUSE(fn)	{ #fn, fn }

static const struct {
	const char *name;
	int (*fn)(void);
} misuses[] = {
	MISUSE(use_zeroed_nursery),
	MISUSE(use_poisoned_nursery),
	MISUSE(spawn_uninitialised_child),
	MISUSE(init_nursery_twice),
	MISUSE(init_child_twice),
	MISUSE(init_on_stack_twice),
	MISUSE(free_child),
	MISUSE(free_unstarted_child),
	MISUSE(free_external_child),
	MISUSE(free_nursery),
	MISUSE(overwrite_child),
	MISUSE(copy_over_child),
	MISUSE(overwrite_nursery),
	MISUSE(join_in_atomic_context),
	MISUSE(join_outer_first),
	MISUSE(return_with_nursery_open),
	MISUSE(complete_twice),
	MISUSE(sync_for_cpu_to_device),
	MISUSE(sync_imported),
};

static int __init wrong_use_start(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(misuses); i++)
		if (!strcmp(misuses[i].name, misuse))
			return misuses[i].fn();
	return -EINVAL;
}

static void __exit wrong_use_stop(void)
{
}

module_init(wrong_use_start);
module_exit(wrong_use_stop);
MODULE_DESCRIPTION("Negative control: uses nurseries in wrong ways");
MODULE_LICENSE("GPL");
