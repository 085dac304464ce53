// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core's own operations: enough to try a nursery without any device, and
 * examples of how to write one.
 */
#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/nursery_op.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "internal.h"

static struct nursery core_ops;

static int op_sleep(struct nursery_call *call)
{
	return nursery_sleep(&call->child, min_t(u64, call->args[0], KTIME_MAX));
}

static int op_fail(struct nursery_call *call)
{
	u64 error = call->args[0];

	return error >= 1 && error <= MAX_ERRNO ? -(int)error : -EINVAL;
}

/* How much to do between two looks at the flag. */
#define STEP	SZ_64K

static int op_checksum(struct nursery_call *call)
{
	u64 len = call->args[1], step;
	u8 *data = nursery_call_buffer(call, call->args[0], len);
	u32 crc = ~0;

	if (IS_ERR(data))
		return PTR_ERR(data);
	for (; len; data += step, len -= step) {
		if (nursery_child_cancelled(&call->child))
			return -ECANCELED;
		step = min_t(u64, len, STEP);
		crc = crc32_le(crc, data, step);
		cond_resched();
	}
	call->value = ~crc;
	return 0;
}

static int op_copy(struct nursery_call *call)
{
	u64 len = call->args[2], step;
	u8 *src = nursery_call_buffer(call, call->args[0], len);
	u8 *dst = nursery_call_buffer(call, call->args[1], len);

	if (IS_ERR(src))
		return PTR_ERR(src);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (src < dst + len && dst < src + len)
		return -EINVAL;
	for (; len; src += step, dst += step, len -= step) {
		if (nursery_child_cancelled(&call->child))
			return -ECANCELED;
		step = min_t(u64, len, STEP);
		memcpy(dst, src, step);
		cond_resched();
	}
	return 0;
}

static struct nursery_op ops[] = {
	{ .name = "sleep", .usage = "DURATION", .nr_args = 1, .run = op_sleep },
	{ .name = "fail", .usage = "ERRNO", .nr_args = 1, .run = op_fail },
	{ .name = "checksum", .usage = "OFFSET,LEN", .nr_args = 2, .run = op_checksum },
	{ .name = "copy", .usage = "SRC,DST,LEN (not overlapping)", .nr_args = 3, .run = op_copy },
};

int nursery_core_ops_start(void)
{
	/* Calls are other people's children: one failing is nothing to the next. */
	static const struct nursery_params params = {
		.name = "core", .flags = NURSERY_SUPERVISE,
	};
	unsigned int i;
	int err;

	nursery_init(&core_ops, &params);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		err = nursery_register_op(&core_ops, &ops[i]);
		if (err) {
			nursery_core_ops_stop();
			return err;
		}
	}
	return 0;
}

void nursery_core_ops_stop(void)
{
	nursery_cancel(&core_ops, -ENODEV);
	nursery_join(&core_ops);
}
