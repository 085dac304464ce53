// SPDX-License-Identifier: GPL-2.0-only
/*
 * Named operations and their calls.
 *
 * A call is two children. @user is an external child in the nursery of the
 * caller's file; @child runs the operation in the nursery of its provider. The
 * end of @child completes @user, and a cancel of @user cancels @child. So each
 * nursery's join waits for the call: the file's buffer is there while an
 * operation uses it, and the driver is there while its code runs.
 *
 * What keeps the cancel handler safe: it pins @user, so the call stays; and
 * nursery_child_cancel() may be called on a child that has finished.
 *
 * An operation is a resource of its provider's nursery. It leaves the registry
 * after that nursery was joined; a spawn in between is refused by the gate.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "file.h"
#include "list.h"

static DEFINE_MUTEX(ops_lock);
static LIST_HEAD(ops);		/* struct nursery_op, by node; ops_lock */

static void unregister_op(struct nursery_resource *r)
{
	struct nursery_op *op = container_of(r, struct nursery_op, resource);

	mutex_lock(&ops_lock);
	list_del(&op->node);
	mutex_unlock(&ops_lock);
}

static const struct nursery_resource_type op_type = {
	.name = "operation", .release = unregister_op,
};

/**
 * nursery_register_op - let user space spawn an operation by name
 * @n: the nursery that its calls run in, and that owns the registration: the
 *	operation is taken back when @n is joined
 * @op: the operation; it must live as long as @n
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINVAL no name, too long a name or usage, too many arguments or no
 *	   function; -ESHUTDOWN @n has been joined.
 */
int nursery_register_op(struct nursery *n, struct nursery_op *op)
{
	int err;

	if (!op->name || !*op->name || strlen(op->name) >= NURSERY_NAME_LEN ||
	    (op->usage && strlen(op->usage) >= NURSERY_USAGE_LEN) ||
	    op->nr_args > NURSERY_OP_ARGS || !op->run)
		return -EINVAL;

	op->nursery = n;
	atomic_set(&op->pending, 0);

	mutex_lock(&ops_lock);
	err = nursery_own(n, &op->resource, &op_type);
	if (!err)
		list_add_tail(&op->node, &ops);
	mutex_unlock(&ops_lock);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_register_op);

/**
 * nursery_call_buffer - part of the caller's scoped buffer
 * @call: the call
 * @offset: into the buffer, in bytes
 * @len: in bytes
 *
 * User space may have it mapped and write to it meanwhile.
 *
 * Context: Any, until the call has finished.
 * Return: its address, or ERR_PTR(-EFAULT) if that part is not in the buffer, or
 *	   there is none.
 */
void *nursery_call_buffer(struct nursery_call *call, u64 offset, u64 len)
{
	struct nursery_file *file = call->file;
	void *buffer = smp_load_acquire(&file->buffer);	/* pairs with make_buffer() */

	if (!buffer || offset > file->buffer_size || len > file->buffer_size - offset)
		return ERR_PTR(-EFAULT);
	return buffer + offset;
}
EXPORT_SYMBOL_GPL(nursery_call_buffer);

/**
 * nursery_call_pages - the same, as pages, to be mapped for DMA
 * @call: the call
 * @offset: into the buffer, in bytes, at the beginning of a page
 * @len: in bytes
 *
 * Many of them follow one another in memory. They are there until the call has finished; who
 * needs them for longer holds each by get_page(). nursery_dma_map_pages() does so if
 * it has to.
 *
 * Context: Any, until the call has finished.
 * Return: an array of them, or ERR_PTR: -EINVAL @offset is in a page; else as
 *	   nursery_call_buffer().
 */
struct page **nursery_call_pages(struct nursery_call *call, u64 offset, u64 len)
{
	void *part = nursery_call_buffer(call, offset, len);

	if (IS_ERR(part))
		return ERR_CAST(part);
	if (offset_in_page(offset))
		return ERR_PTR(-EINVAL);
	return call->file->buffer_pages + offset / PAGE_SIZE;
}
EXPORT_SYMBOL_GPL(nursery_call_pages);

static int call_run(struct nursery_child *c)
{
	struct nursery_call *call = container_of(c, struct nursery_call, child);

	WRITE_ONCE(call->started, true);
	return call->op->run(call);
}

/* The operation's end is the call's. */
static void call_done(struct nursery_child *c)
{
	struct nursery_call *call = container_of(c, struct nursery_call, child);
	int result = c->result;

	atomic_dec(&call->op->pending);
	/* The provider was cancelled and not the caller: its driver goes away. */
	if (result == -ECANCELED && nursery_child_cancelled(c) &&
	    !nursery_child_cancelled(&call->user))
		result = -ENODEV;
	call->result = result;
	nursery_child_complete(&call->user, result);
}

/* The call is over: it becomes its own record. */
static void user_done(struct nursery_child *c)
{
	struct nursery_call *call = container_of(c, struct nursery_call, user);
	struct nursery_file *file = call->file;
	unsigned long flags;

	if (call->refused) {
		kfree(call);
		return;
	}
	call->finished = ktime_get();
	raw_spin_lock_irqsave(&file->records_lock, flags);
	list_add_tail(&call->record, &file->records);
	raw_spin_unlock_irqrestore(&file->records_lock, flags);
	/* A reader may have freed the call; the file waits for us to return. */
	nursery_file_wake(file);
}

static void cancel_call(struct nursery_cancel_handler *h)
{
	/* Pairs with nursery_call_spawn(): we see its child, or it sees our mark. */
	smp_mb();
	nursery_child_cancel(&container_of(h, struct nursery_call, on_cancel)->child);
}

/*
 * The provider with the fewest calls pending. Its nursery is kept: the call is spawned
 * without the lock, as it may run in the spawn, and the driver is to stay meanwhile.
 *
 * Return: the operation, or ERR_PTR as nursery_call_spawn().
 */
static struct nursery_op *get_provider(const char *name, unsigned int nr_args)
{
	struct nursery_op *op, *best;
	int err;

	mutex_lock(&ops_lock);
	do {
		best = NULL;
		err = -ENOENT;
		list_for_each_entry(op, &ops, node) {
			if (strcmp(op->name, name))
				continue;
			if (op->nr_args != nr_args) {
				if (err == -ENOENT)
					err = -EINVAL;
				continue;
			}
			err = -ENODEV;
			if (!nursery_is_open(op->nursery))
				continue;
			if (!best || atomic_read(&op->pending) < atomic_read(&best->pending))
				best = op;
		}
	} while (best && nursery_keep(best->nursery));	/* closed since we looked */
	if (best)
		atomic_inc(&best->pending);
	mutex_unlock(&ops_lock);
	return best ?: ERR_PTR(err);
}

static struct nursery_call *new_call(struct nursery_file *file, struct nursery_op *op,
				     const char *name, const u64 *args, u64 cookie)
{
	struct nursery_call *call;

	call = kzalloc(size_add(sizeof(*call), op->data_size), GFP_KERNEL_ACCOUNT);
	if (!call)
		return NULL;
	call->op = op;
	call->data = call + 1;
	call->file = file;
	call->cookie = cookie;
	call->id = nursery_new_id();
	strscpy(call->name, name, sizeof(call->name));
	memcpy(call->args, args, op->nr_args * sizeof(*args));
	nursery_child_init(&call->child, call_run, call_done);
	nursery_child_init(&call->user, NULL, user_done);
	return call;
}

/* Return: 0; -EAGAIN the provider has gone, there may be another one; else an errno. */
static int spawn_call(struct nursery_file *file, struct nursery_op *op, const char *name,
		      const u64 *args, u64 cookie, u64 *id)
{
	struct nursery_call *call;
	int err;

	call = new_call(file, op, name, args, cookie);
	if (!call)
		return -ENOMEM;
	err = nursery_child_begin(&file->nursery, &call->user);
	if (err) {
		kfree(call);
		return err;
	}
	*id = call->id;
	nursery_on_cancel(&call->user, &call->on_cancel, cancel_call);

	err = nursery_spawn_on(op->nursery, &call->child, op->executor);
	if (err) {
		call->refused = true;
		/*
		 * A handler that still runs would end, and free, the call in its own
		 * context: a hard interrupt perhaps, where PREEMPT_RT has no kfree().
		 */
		nursery_off_cancel(&call->on_cancel);
		nursery_child_complete(&call->user, 0);
		return -EAGAIN;
	}
	WRITE_ONCE(file->outstanding, file->outstanding + 1);
	/*
	 * A cancel between on_cancel and the spawn found nothing to cancel. Full
	 * barriers here and in cancel_call(), as each side writes, then reads what
	 * the other wrote.
	 */
	smp_mb();
	if (nursery_child_cancelled(&call->user))
		nursery_child_cancel(&call->child);
	return 0;
}

/*
 * Spawn a call of @name as a child of the file.
 *
 * Context: Process context, file->lock held: no reader frees the call meanwhile, not even
 *	    one that runs here.
 * Return: 0; -ENOENT no such operation, -EINVAL other arguments, -ENODEV its
 *	   providers go away, -ECANCELED the file's nursery is cancelled, -ENOMEM.
 */
int nursery_call_spawn(struct nursery_file *file, const char *name, const u64 *args,
		       unsigned int nr_args, u64 cookie, u64 *id)
{
	struct nursery *provider;
	struct nursery_op *op;
	int err;

	do {
		op = get_provider(name, nr_args);
		if (IS_ERR(op))
			return PTR_ERR(op);
		provider = op->nursery;
		err = spawn_call(file, op, name, args, cookie, id);
		if (err)
			atomic_dec(&op->pending);
		nursery_uncount(provider, 1);
	} while (err == -EAGAIN);
	return err;
}

/* The call that a child is one half of, or NULL. Context: c->nursery->lock held. */
const struct nursery_call *nursery_call_of(const struct nursery_child *c)
{
	if (c->fn == call_run)
		return container_of(c, struct nursery_call, child);
	if (c->done == user_done)
		return container_of(c, struct nursery_call, user);
	return NULL;
}

/**
 * nursery_list_ops - NURSERY_IOC_OPS
 * @list: the caller's array; its nr is set to how many there are
 *
 * Copied out after ops_lock is dropped: the caller's memory may be slow, and
 * drivers wait for the lock.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINVAL too large an array; -ENOMEM; -EFAULT.
 */
int nursery_list_ops(struct nursery_list *list)
{
	struct nursery_op_entry *entries = NULL, *entry;
	u32 room = list->nr, nr = 0, i;
	struct nursery_op *op;
	int err = 0;

	if (room > NURSERY_LIST_MAX)
		return -EINVAL;
	if (room) {
		entries = kvcalloc(room, sizeof(*entries), GFP_KERNEL_ACCOUNT);
		if (!entries)
			return -ENOMEM;
	}

	mutex_lock(&ops_lock);
	list_for_each_entry(op, &ops, node) {
		if (nr++ >= room)
			continue;
		entry = &entries[nr - 1];
		entry->nr_args = op->nr_args;
		entry->pending = atomic_read(&op->pending);
		strscpy(entry->name, op->name, sizeof(entry->name));
		strscpy(entry->provider, op->nursery->name, sizeof(entry->provider));
		if (op->usage)
			strscpy(entry->usage, op->usage, sizeof(entry->usage));
	}
	mutex_unlock(&ops_lock);

	for (i = 0; i < min(nr, room) && !err; i++)
		err = nursery_put_entry(list, i, &entries[i], sizeof(entries[i]));
	kvfree(entries);
	list->nr = nr;
	return err;
}
