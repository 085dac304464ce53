// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/nursery: one open file is one nursery.
 *
 * The last close cancels it and leaves the join to a work item, the reaper, so
 * that a process which dies is not stuck behind hardware. close() waits a while
 * for the reaper, so that normally everything is over when it returns.
 *
 * <uapi/linux/nursery.h> describes the interface.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "file.h"
#include "list.h"

/* How long close() waits for the join: long for hardware, short for a person. */
#define CLOSE_WAIT	HZ

#define BUFFER_MAX	SZ_64M

/*
 * Not the executor's queue: a reaper is what makes progress when that one is
 * saturated. Reclaim-safe, as a process may be killed to free memory.
 */
static struct workqueue_struct *reapers;

static void file_release(struct kref *ref)
{
	struct nursery_file *file = container_of(ref, struct nursery_file, ref);

	put_pid(file->opener);
	mutex_destroy(&file->lock);
	kfree(file);
}

static void wake_waiters(struct irq_work *work)
{
	wake_up(&container_of(work, struct nursery_file, wake)->wait);
}

/*
 * Wake who waits for records.
 *
 * A wait queue has a spinlock_t, which may not be taken in a hard interrupt or
 * under a raw lock where PREEMPT_RT makes it a lock that sleeps; a call may end
 * there (I8). Who cannot be preempted leaves it to an irq_work: on PREEMPT_RT a
 * thread runs that. A kernel that does not count who can be preempted is not
 * PREEMPT_RT, and may wake from everywhere.
 *
 * Context: Any, while the file has a call: after the join, the reaper waits for
 *	    the irq_work.
 */
void nursery_file_wake(struct nursery_file *file)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_COUNT) || preemptible())
		wake_up(&file->wait);
	else
		irq_work_queue(&file->wake);
}

static void reap(struct work_struct *work)
{
	struct nursery_file *file = container_of(work, struct nursery_file, reap);
	struct nursery_call *call, *next;

	nursery_join(&file->nursery);
	/* No call is left to queue it again. */
	irq_work_sync(&file->wake);
	list_for_each_entry_safe(call, next, &file->records, record)
		kfree(call);
	complete_all(&file->reaped);
	kref_put(&file->ref, file_release);
}

static int nursery_open(struct inode *inode, struct file *filp)
{
	struct nursery_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);

	if (!file)
		return -ENOMEM;
	get_task_comm(file->name, current);
	file->opener = get_pid(task_tgid(current));
	mutex_init(&file->lock);
	raw_spin_lock_init(&file->records_lock);
	INIT_LIST_HEAD(&file->records);
	init_waitqueue_head(&file->wait);
	init_irq_work(&file->wake, wake_waiters);
	INIT_WORK(&file->reap, reap);
	init_completion(&file->reaped);
	kref_init(&file->ref);
	nursery_init(&file->nursery, (&(struct nursery_params){ .name = file->name }));
	WRITE_ONCE(file->nursery.flags, file->nursery.flags | NURSERY_OF_FILE);
	filp->private_data = file;
	return stream_open(inode, filp);
}

static int nursery_release(struct inode *inode, struct file *filp)
{
	struct nursery_file *file = filp->private_data;

	nursery_cancel(&file->nursery, -ECANCELED);
	kref_get(&file->ref);
	queue_work(reapers, &file->reap);
	wait_for_completion_timeout(&file->reaped, CLOSE_WAIT);
	kref_put(&file->ref, file_release);
	return 0;
}

struct nursery_file *nursery_file_of(struct nursery *n)
{
	if (!(READ_ONCE(n->flags) & NURSERY_OF_FILE))
		return NULL;
	return container_of(n, struct nursery_file, nursery);
}

static bool has_records(struct nursery_file *file)
{
	/* A peek: who takes one does so under records_lock. */
	return !list_empty_careful(&file->records);
}

static struct nursery_call *take_record(struct nursery_file *file)
{
	struct nursery_call *call;

	raw_spin_lock_irq(&file->records_lock);
	call = list_first_entry_or_null(&file->records, struct nursery_call, record);
	if (call)
		list_del(&call->record);
	raw_spin_unlock_irq(&file->records_lock);
	return call;
}

static void untake_record(struct nursery_file *file, struct nursery_call *call)
{
	raw_spin_lock_irq(&file->records_lock);
	list_add(&call->record, &file->records);
	raw_spin_unlock_irq(&file->records_lock);
}

/* Copy out what records there are and fit. Context: file->lock held. */
static ssize_t copy_records(struct nursery_file *file, char __user *buf, size_t count)
{
	struct nursery_call *call;
	size_t done = 0;

	while (count - done >= sizeof(struct nursery_record) && (call = take_record(file))) {
		struct nursery_record record = {
			.id = call->id,
			.cookie = call->cookie,
			.value = call->value,
			.when = ktime_to_ns(call->finished),
			.result = call->result,
		};

		if (copy_to_user(buf + done, &record, sizeof(record))) {
			untake_record(file, call);
			return done ?: -EFAULT;
		}
		done += sizeof(record);
		kfree(call);
		WRITE_ONCE(file->outstanding, file->outstanding - 1);
		if (!file->outstanding)
			wake_up(&file->wait);
	}
	return done;
}

static ssize_t nursery_read(struct file *filp, char __user *buf, size_t count, loff_t *pos)
{
	struct nursery_file *file = filp->private_data;
	ssize_t ret;

	if (count < sizeof(struct nursery_record))
		return -EINVAL;

	for (;;) {
		if (mutex_lock_interruptible(&file->lock))
			return -ERESTARTSYS;
		ret = copy_records(file, buf, count);
		if (!ret && file->outstanding)
			ret = -EAGAIN;
		mutex_unlock(&file->lock);

		if (ret != -EAGAIN || filp->f_flags & O_NONBLOCK)
			return ret;
		if (wait_event_interruptible(file->wait, has_records(file) ||
					     !READ_ONCE(file->outstanding)))
			return -ERESTARTSYS;
	}
}

static __poll_t nursery_poll(struct file *filp, poll_table *pt)
{
	struct nursery_file *file = filp->private_data;

	poll_wait(filp, &file->wait, pt);
	return has_records(file) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int nursery_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct nursery_file *file = filp->private_data;
	void *buffer = smp_load_acquire(&file->buffer);	/* pairs with make_buffer() */

	if (!buffer)
		return -ENXIO;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* The mapping holds the pages, and the file: it is not released before. */
	return remap_vmalloc_range(vma, buffer, vma->vm_pgoff);
}

static void free_buffer(void *buffer)
{
	vfree(buffer);
}

/* Context: file->lock held. */
static int make_buffer(struct nursery_file *file, struct nursery_buffer *args)
{
	struct page **pages;
	void *buffer;
	int err;

	if (args->flags || args->reserved || !args->size)
		return -EINVAL;
	if (args->size > BUFFER_MAX)
		return -EFBIG;
	if (file->buffer)
		return -EBUSY;
	if (nursery_cancelled(&file->nursery))
		return -ECANCELED;

	args->size = PAGE_ALIGN(args->size);
	args->offset = 0;
	buffer = nursery_buffer_alloc(args->size, &pages);
	if (!buffer)
		return -ENOMEM;
	err = nursery_defer(&file->nursery, free_buffer, buffer);
	if (err) {
		vfree(buffer);
		return err;
	}
	file->buffer_size = args->size;
	file->buffer_pages = pages;
	/* Pairs with the acquires in mmap, nursery_call_buffer() and nursery_call_pages(). */
	smp_store_release(&file->buffer, buffer);
	return 0;
}

static long ioc_info(struct nursery_file *file, void *argp)
{
	struct nursery_info *info = argp;

	*info = (struct nursery_info) {
		.abi = NURSERY_ABI_VERSION,
		.id = nursery_id(&file->nursery),
		.outstanding = file->outstanding,
		.buffer_size = file->buffer ? file->buffer_size : 0,
		.buffer_max = BUFFER_MAX,
	};
	return 0;
}

static long ioc_spawn(struct nursery_file *file, void *argp)
{
	struct nursery_spawn *args = argp;

	if (args->flags || args->nr_args > NURSERY_OP_ARGS ||
	    memchr_inv(args->args + args->nr_args, 0,
		       (NURSERY_OP_ARGS - args->nr_args) * sizeof(args->args[0])) ||
	    strnlen(args->op, sizeof(args->op)) == sizeof(args->op))
		return -EINVAL;
	return nursery_call_spawn(file, args->op, args->args, args->nr_args, args->cookie,
				  &args->id);
}

static long ioc_cancel(struct nursery_file *file, void *argp)
{
	struct nursery_cancel *args = argp;
	int err;

	if (args->flags || args->cause > 0 || args->cause < -MAX_ERRNO)
		return -EINVAL;
	if (!args->id) {
		nursery_cancel(&file->nursery, args->cause);
		return 0;
	}
	err = nursery_cancel_id(&file->nursery, args->id, args->cause);
	if (err != -ENOENT)
		return err;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return nursery_cancel_id(NULL, args->id, args->cause);
}

static long ioc_deadline(struct nursery_file *file, void *argp)
{
	struct nursery_deadline *args = argp;

	if (args->flags || args->reserved)
		return -EINVAL;
	nursery_set_deadline(&file->nursery,
			     args->when ? ns_to_ktime(min_t(u64, args->when, KTIME_MAX)) :
					  KTIME_MAX);
	return 0;
}

static long ioc_buffer(struct nursery_file *file, void *argp)
{
	return make_buffer(file, argp);
}

static long ioc_list(struct nursery_file *file, void *argp)
{
	struct nursery_list *args = argp;

	if (args->flags & ~NURSERY_LIST_ALL || args->reserved || !args->entry_size)
		return -EINVAL;
	if (args->flags & NURSERY_LIST_ALL && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return nursery_list_tree(args->flags & NURSERY_LIST_ALL ? NULL : &file->nursery, args);
}

static long ioc_ops(struct nursery_file *file, void *argp)
{
	struct nursery_list *args = argp;

	if (args->flags || args->reserved || !args->entry_size)
		return -EINVAL;
	return nursery_list_ops(args);
}

/* By number, from NURSERY_IOC_INFO on. @locked: one at a time for each file. */
static const struct nursery_ioctl {
	unsigned int cmd;
	bool locked;
	long (*fn)(struct nursery_file *file, void *argp);
} ioctls[] = {
	{ NURSERY_IOC_INFO,	true,	ioc_info },
	{ NURSERY_IOC_SPAWN,	true,	ioc_spawn },
	{ NURSERY_IOC_CANCEL,	false,	ioc_cancel },
	{ NURSERY_IOC_DEADLINE,	false,	ioc_deadline },
	{ NURSERY_IOC_BUFFER,	true,	ioc_buffer },
	{ NURSERY_IOC_LIST,	false,	ioc_list },
	{ NURSERY_IOC_OPS,	false,	ioc_ops },
};

/* Copy the result out in the caller's size. */
static int put_args(void __user *uarg, size_t usize, const void *args, size_t ksize)
{
	if (copy_to_user(uarg, args, min(usize, ksize)))
		return -EFAULT;
	return usize > ksize && clear_user(uarg + ksize, usize - ksize) ? -EFAULT : 0;
}

static long nursery_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct nursery_file *file = filp->private_data;
	unsigned int nr = _IOC_NR(cmd) - _IOC_NR(NURSERY_IOC_INFO);
	union {
		struct nursery_info info;
		struct nursery_spawn spawn;
		struct nursery_cancel cancel;
		struct nursery_deadline deadline;
		struct nursery_buffer buffer;
		struct nursery_list list;
	} args = { };
	void __user *uarg = (void __user *)arg;
	size_t usize = _IOC_SIZE(cmd), ksize;
	const struct nursery_ioctl *ioc;
	long ret;

	if (nr >= ARRAY_SIZE(ioctls))
		return -ENOTTY;
	ioc = &ioctls[nr];
	/* The size may differ: structures grow at their end. */
	if ((cmd ^ ioc->cmd) & ~(_IOC_SIZEMASK << _IOC_SIZESHIFT) || !usize)
		return -ENOTTY;
	ksize = _IOC_SIZE(ioc->cmd);

	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		ret = copy_struct_from_user(&args, ksize, uarg, usize);
		if (ret)
			return ret;
	}
	if (ioc->locked && mutex_lock_interruptible(&file->lock))
		return -ERESTARTSYS;
	ret = ioc->fn(file, &args);
	if (ioc->locked)
		mutex_unlock(&file->lock);
	if (!ret && _IOC_DIR(cmd) & _IOC_READ)
		ret = put_args(uarg, usize, &args, ksize);
	return ret;
}

static const struct file_operations nursery_fops = {
	.owner		= THIS_MODULE,
	.open		= nursery_open,
	.release	= nursery_release,
	.read		= nursery_read,
	.poll		= nursery_poll,
	.mmap		= nursery_mmap,
	.unlocked_ioctl	= nursery_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice nursery_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "nursery",
	.fops	= &nursery_fops,
	.mode	= 0600,
};

int nursery_dev_start(void)
{
	int err;

	reapers = alloc_workqueue("nursery_reap", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!reapers)
		return -ENOMEM;
	err = misc_register(&nursery_misc);
	if (err)
		destroy_workqueue(reapers);
	return err;
}

/* No file is open, but the last reapers may still be on their way. */
void nursery_dev_stop(void)
{
	misc_deregister(&nursery_misc);
	destroy_workqueue(reapers);
}
