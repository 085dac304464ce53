// SPDX-License-Identifier: GPL-2.0-only
/*
 * Quarantine: what hardware that could not be stopped may still use (I9).
 *
 * When a nursery's hardware has not stopped (quiesce.c), the joiner pops the stack of
 * resources as ever down to the first buffer. That one is withheld, with all buffers below:
 * they stay allocated and mapped, and their device stays. So is what buffers may have
 * been built on: memory of the nursery, references to devices. What is a call into code, a
 * deferred action, is not made then or ever, as the code or its data may be gone by then; but it
 * may not be made now either, as it may give away what is under a buffer. All else below, such
 * as the registration of an operation, is nothing that hardware could use and is released.
 *
 * What is withheld is kept in records: a device, and a part of the stack that has buffers
 * of this device and of no other. The records of a nursery are in the list one after another,
 * from the top of the stack on, and behind those of nurseries that were nested in it, as they
 * ended before. Only when all records in front of it that are of the same tree have gone is
 * one released: what is below may be what they are built on.
 *
 * That is leaked memory, on purpose: it is counted, shown in debugfs and said in the log.
 * Only the driver can tell that it is safe, when it has reset its device. If the module goes before
 * that, it stays for ever.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/kmemleak.h>
#include <linux/mutex.h>
#include <linux/nursery_dma.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "internal.h"
#include "trace.h"

/* One line of the listing. */
struct record {
	struct list_head node;		/* quarantine.records */
	struct device *dev;		/* a reference is held */
	struct nursery_resource *first;
	unsigned long nr_buffers;
	size_t bytes;
	time64_t since;
	u64 tree;			/* id of the nursery that is above all others */
	bool stopped;			/* the device has been, since then */
	char name[NURSERY_TRACE_NAME];	/* the nursery's, which may be gone */
};

static DEFINE_MUTEX(quarantine_lock);
static LIST_HEAD(records);		/* struct record, by node; quarantine_lock */
static struct dentry *debugfs_dir;

static struct nursery_dma *to_buffer(struct nursery_resource *r)
{
	return container_of(r, struct nursery_dma, resource);
}

static bool is_buffer(const struct nursery_resource *r)
{
	return r->type->flags & NURSERY_RESOURCE_DMA;
}

/*
 * The hardware of @n has not stopped: what about @r, which was taken from its stack?
 *
 * Context: Process context, may sleep; the joiner.
 * Return: false: it is to be released. Else the caller has no more to do with it.
 */
bool nursery_withhold(struct nursery *n, struct nursery_withheld *w, struct nursery_resource *r)
{
	if (is_buffer(r) || (w->first && r->type->flags & NURSERY_RESOURCE_BACKING)) {
		trace_nursery_withhold(n, r);
		if (r->type->withhold)
			r->type->withhold(r);
		r->next = NULL;
		*w->last = r;
		w->last = &r->next;
		return true;
	}
	if (w->first && r->type->drop) {
		trace_nursery_withhold(n, r);
		r->type->drop(r);
		w->nr_dropped++;
		return true;
	}
	return false;
}

static u64 tree_of(const struct nursery *n)
{
	const struct nursery *up;

	while ((up = nursery_up(n)))
		n = up;
	return nursery_id(n);
}

static struct record *new_record(struct nursery *n, struct nursery_resource *r)
{
	/* A few bytes, and there is nothing else that could be done with the buffers. */
	struct record *record = kzalloc(sizeof(*record), GFP_KERNEL | __GFP_NOFAIL);

	record->dev = get_device(to_buffer(r)->dev);
	record->first = r;
	record->since = ktime_get_real_seconds();
	record->tree = tree_of(n);
	strscpy(record->name, n->name, sizeof(record->name));
	return record;
}

static void report(const struct record *record, unsigned int nr_dropped)
{
	dev_err(record->dev,
		"nursery \"%s\": the hardware could not be stopped: %lu buffers, %zu bytes stay allocated until the driver has reset the device\n",
		record->name, record->nr_buffers, record->bytes);
	if (nr_dropped)
		dev_err(record->dev, "nursery \"%s\": %u deferred actions will never be run\n",
			record->name, nr_dropped);
}

/*
 * Keep what is withheld of @n.
 *
 * Context: Process context, may sleep; the joiner, before it takes @n out of the tree.
 */
void nursery_quarantine(struct nursery *n, const struct nursery_withheld *w)
{
	struct nursery_resource *r, *last = NULL;
	struct record *record = NULL;

	mutex_lock(&quarantine_lock);
	for (r = w->first; r; last = r, r = r->next) {
		if (is_buffer(r) && (!record || to_buffer(r)->dev != record->dev)) {
			if (record) {
				report(record, 0);
				last->next = NULL;
			}
			record = new_record(n, r);
			list_add_tail(&record->node, &records);
		}
		if (is_buffer(r)) {
			record->nr_buffers++;
			record->bytes += to_buffer(r)->size;
		}
	}
	report(record, w->nr_dropped);
	mutex_unlock(&quarantine_lock);
}

/* Is there a record in front of it that may be built on it? Context: quarantine_lock held. */
static bool is_under_another(const struct record *record)
{
	const struct record *other = record;

	list_for_each_entry_continue_reverse(other, &records, node)
		if (other->tree == record->tree)
			return true;
	return false;
}

static void release(struct record *record)
{
	struct nursery_resource *r;

	while ((r = record->first)) {
		record->first = r->next;
		r->type->release(r);
	}
	put_device(record->dev);
	kfree(record);
}

/**
 * nursery_dma_release_quarantine - the device has been reset: release its buffers
 * @dev: the device. It must still be there, on its bus: of one that has been removed
 *	nothing can be unmapped any more
 *
 * To be called by its driver when a reset has worked, and before it starts the hardware again.
 * What a quiesce function did not let go, when it could not stop the hardware, is released
 * now, last in first out, with the memory that the nurseries owned below.
 *
 * What is under buffers of another device, in the same nursery or in one that was nested in
 * it, waits until that has been reset as well; whoever is the last releases both.
 *
 * Context: Process context, may sleep.
 * Return: how many buffers have been released, for @dev and what had waited for it.
 */
unsigned long nursery_dma_release_quarantine(struct device *dev)
{
	struct record *record, *next;
	unsigned long nr = 0;
	LIST_HEAD(free);

	if (!device_is_registered(dev))
		return 0;

	mutex_lock(&quarantine_lock);
	list_for_each_entry_safe(record, next, &records, node) {
		if (record->dev == dev)
			record->stopped = true;
		if (record->stopped && !is_under_another(record))
			list_move_tail(&record->node, &free);
	}
	mutex_unlock(&quarantine_lock);

	list_for_each_entry_safe(record, next, &free, node) {
		nr += record->nr_buffers;
		release(record);
	}
	if (nr)
		dev_info(dev, "nursery: %lu buffers released from quarantine\n", nr);
	return nr;
}
EXPORT_SYMBOL_GPL(nursery_dma_release_quarantine);

/* A line each: device, buffers, bytes, since when in seconds of the epoch, nursery. */
static int quarantine_show(struct seq_file *m, void *unused)
{
	struct record *record;

	mutex_lock(&quarantine_lock);
	list_for_each_entry(record, &records, node) {
		seq_printf(m, "%s %lu %zu %lld ", dev_name(record->dev), record->nr_buffers,
			   record->bytes, record->since);
		seq_escape(m, record->name, "\n\\");
		seq_putc(m, '\n');
	}
	mutex_unlock(&quarantine_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(quarantine);

void nursery_quarantine_start(void)
{
	debugfs_dir = debugfs_create_dir("nursery", NULL);
	debugfs_create_file("quarantine", 0400, debugfs_dir, NULL, &quarantine_fops);
}

/* The module goes. What is in quarantine stays, and nobody knows of it any more. */
void nursery_quarantine_stop(void)
{
	unsigned long nr_buffers = 0;
	struct record *record;
	size_t bytes = 0;

	debugfs_remove(debugfs_dir);
	list_for_each_entry(record, &records, node) {
		nr_buffers += record->nr_buffers;
		bytes += record->bytes;
		/* Nor is what it refers to. */
		kmemleak_not_leak(record);
	}
	if (nr_buffers)
		pr_warn("nursery: unloaded with %lu buffers, %zu bytes in quarantine: they stay allocated until the next boot\n",
			nr_buffers, bytes);
}
