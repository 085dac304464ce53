// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver whose calls begin in the context of their caller, and hold no thread while they
 * wait for an interrupt.
 *
 * The operation "park" parks once. With an argument that is not zero it is run again because of
 * a hard interrupt, else when it is cancelled. Its value is the process that it began in.
 * Two are under way at a time.
 */
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/nursery.h>
#include <linux/nursery_op.h>
#include <linux/sched.h>

static struct nursery nursery;

struct state {
	struct nursery_call *call;
	struct irq_work wake;
	unsigned int runs;
};

static void wake_up_in_irq(struct irq_work *work)
{
	struct state *s = container_of(work, struct state, wake);

	nursery_child_unpark(&s->call->child);
}

static int park(struct nursery_call *call)
{
	struct state *s = call->data;

	if (s->runs++) {
		/* It may still be in there, with what is about to be freed. */
		irq_work_sync(&s->wake);
		if (s->call != call || s->runs != 2)
			return -EIO;
		return nursery_child_cancelled(&call->child) ? -ECANCELED : 0;
	}
	if (s->call)
		return -EIO;
	s->call = call;
	call->value = task_tgid_nr(current);
	s->wake = IRQ_WORK_INIT_HARD(wake_up_in_irq);
	if (call->args[0])
		irq_work_queue(&s->wake);
	return NURSERY_PARK;
}

static struct nursery_op op = {
	.name = "park", .nr_args = 1, .run = park, .data_size = sizeof(struct state),
};

static int __init parked_op_start(void)
{
	static const struct nursery_params params = {
		.name = "parked op", .max_active = 2,
		.flags = NURSERY_SUPERVISE | NURSERY_KEEP_PLACES,
	};
	int err;

	op.executor = nursery_executor_inline;
	nursery_init(&nursery, &params);
	err = nursery_register_op(&nursery, &op);
	if (err)
		nursery_join(&nursery);
	return err;
}

static void __exit parked_op_stop(void)
{
	nursery_cancel(&nursery, -ENODEV);
	nursery_join(&nursery);
}

module_init(parked_op_start);
module_exit(parked_op_stop);
MODULE_DESCRIPTION("Test: calls that begin in their caller, and park");
MODULE_LICENSE("GPL");
