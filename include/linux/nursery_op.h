/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Named operations: what user space may spawn through /dev/nursery.
 *
 * A call of an operation is a child of two scopes at once: of the nursery that
 * registered the operation (so the driver cannot go away under it) and of the
 * caller's open file (so it ends when the file is closed or the owner dies).
 * The core keeps both promises; the driver writes a function.
 */
#ifndef _LINUX_NURSERY_OP_H
#define _LINUX_NURSERY_OP_H

#include <linux/list.h>
#include <linux/nursery.h>
#include <linux/nursery_resource.h>
#include <uapi/linux/nursery.h>

struct nursery_call;
struct page;

/**
 * struct nursery_op - an operation that user space may call by name
 * @name: what callers spawn it by, shorter than %NURSERY_NAME_LEN. Several
 *	providers may register one name, as several devices do; a call goes to
 *	the one with the fewest calls pending.
 * @usage: its arguments in words, for example "SRC,DST,LEN"; NULL: none
 * @nr_args: how many arguments it needs, at most %NURSERY_OP_ARGS
 * @data_size: of struct nursery_call.data, in bytes
 * @executor: where a call is run first; NULL: on that of the nursery, where it is also run
 *	after it has parked. With &nursery_executor_inline it begins in the context of the
 *	caller, whose other system calls on the same file wait meanwhile: for one that
 *	just starts hardware, and parks
 * @run: does it; an errno from it is the call's result, or %NURSERY_PARK
 *
 * The operation must live as long as the nursery that it is registered with.
 */
struct nursery_op {
	const char		*name;
	const char		*usage;
	unsigned int		nr_args;
	size_t			data_size;
	const struct nursery_executor	*executor;
	int			(*run)(struct nursery_call *call);
	/* private: */
	struct nursery		*nursery;
	struct nursery_resource	resource;
	struct list_head	node;
	atomic_t		pending;
};

/**
 * struct nursery_call - one call of an operation
 * @child: the call as a child of the nursery that registered the operation:
 *	cancelled when the caller or that nursery is. What @op->run hands to
 *	cancel-aware waits and, as .parent, to nested nurseries.
 * @op: which operation
 * @args: the caller's arguments; as many as @op->nr_args were given
 * @value: a number to hand back with the result, for @op->run to set
 * @data: memory for @op->run, of @op->data_size, zeroed at first: what it is to know when it
 *	has parked. Freed when the call has finished
 */
struct nursery_call {
	struct nursery_child	child;
	struct nursery_op	*op;
	u64			args[NURSERY_OP_ARGS];
	u64			value;
	void			*data;
	/* private: */
	struct nursery_child	user;		/* the same call in the caller's nursery */
	struct nursery_cancel_handler on_cancel;
	struct nursery_file	*file;
	struct list_head	record;		/* file->records */
	bool			refused;	/* never started: no record */
	bool			started;	/* the operation; for listings */
	int			result;
	u64			id;
	u64			cookie;
	ktime_t			finished;
	char			name[NURSERY_NAME_LEN];
};

int nursery_register_op(struct nursery *n, struct nursery_op *op);
void *nursery_call_buffer(struct nursery_call *call, u64 offset, u64 len);
struct page **nursery_call_pages(struct nursery_call *call, u64 offset, u64 len);

#endif /* _LINUX_NURSERY_OP_H */
