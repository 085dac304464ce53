// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a scope owns: a stack of resources, released after the join.
 *
 * Pushed under nursery->lock while the nursery is open. The joiner pops all,
 * after it has closed the nursery: every child is gone and nothing is pushed any
 * more. It takes the lock for those who count; release runs without, in process context,
 * last in first out. If the hardware has not stopped, quarantine.c says what is released.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

/**
 * nursery_own - give a resource to a nursery
 * @n: the nursery
 * @r: the resource, embedded in what it stands for
 * @type: what it is, and how it is released
 *
 * Context: Any.
 * Return: 0; -ESHUTDOWN if @n has been joined: then it is not released and
 *	   the caller still owns the resource. -EINVAL, with DEBUG_OBJECTS: the same, as
 *	   @n was never initialised.
 */
int nursery_own(struct nursery *n, struct nursery_resource *r,
		const struct nursery_resource_type *type)
{
	unsigned long flags;
	int err;

	if (!nursery_debug_known(n, "resource", _RET_IP_))
		return -EINVAL;
	err = nursery_keep(n);
	if (err)
		return err;
	r->type = type;
	raw_spin_lock_irqsave(&n->lock, flags);
	r->next = n->resources;
	n->resources = r;
	raw_spin_unlock_irqrestore(&n->lock, flags);
	nursery_uncount(n, 1);
	return 0;
}
EXPORT_SYMBOL_GPL(nursery_own);

/*
 * Release a resource out of its turn.
 *
 * Context: Process context, may sleep; nobody else releases it.
 */
void nursery_release_early(struct nursery *n, struct nursery_resource *r)
{
	struct nursery_resource **at;
	bool found;

	raw_spin_lock_irq(&n->lock);
	for (at = &n->resources; *at && *at != r; at = &(*at)->next)
		;
	found = *at;
	if (found)
		*at = r->next;
	raw_spin_unlock_irq(&n->lock);
	if (WARN_ONCE(!found, "nursery: \"%s\" releases a resource that it does not have\n",
		      n->name))
		return;
	trace_nursery_release(n, r);
	r->type->release(r);
}

/* @stopped: the hardware does not touch memory any more. Context: Process context, closed. */
void nursery_release_all(struct nursery *n, bool stopped)
{
	struct nursery_withheld withheld = { .last = &withheld.first };
	struct nursery_resource *r;

	while ((r = n->resources)) {
		raw_spin_lock_irq(&n->lock);
		n->resources = r->next;
		raw_spin_unlock_irq(&n->lock);
		if (unlikely(!nursery_dma_is_safe(r)) && stopped) {
			nursery_set_unstopped(n);
			stopped = false;
		}
		if (unlikely(!stopped) && nursery_withhold(n, &withheld, r))
			continue;
		trace_nursery_release(n, r);
		r->type->release(r);
	}
	if (unlikely(withheld.first))
		nursery_quarantine(n, &withheld);
}

struct deferred {
	struct nursery_resource resource;
	void (*fn)(void *data);
	void *data;
};

static void run_deferred(struct nursery_resource *r)
{
	struct deferred *d = container_of(r, struct deferred, resource);

	d->fn(d->data);
	kfree(d);
}

static void drop_deferred(struct nursery_resource *r)
{
	kfree(container_of(r, struct deferred, resource));
}

static const struct nursery_resource_type deferred_type = {
	.name = "deferred", .release = run_deferred, .drop = drop_deferred,
};

/**
 * nursery_defer - have a function called when the scope ends
 * @n: the nursery
 * @fn: called once, after the join, in process context; it may sleep
 * @data: its argument
 *
 * Context: Process context, may sleep.
 * Return: 0; -ESHUTDOWN if @n has been joined; -ENOMEM. After an error @fn is
 *	   not called.
 */
int nursery_defer(struct nursery *n, void (*fn)(void *), void *data)
{
	struct deferred *d = kmalloc(sizeof(*d), GFP_KERNEL);
	int err;

	if (!d)
		return -ENOMEM;
	d->fn = fn;
	d->data = data;
	err = nursery_own(n, &d->resource, &deferred_type);
	if (err)
		kfree(d);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_defer);

struct memory {
	struct nursery_resource resource;
	/* As if it came from kmalloc() itself: it may be for DMA. */
	u8 data[] __aligned(ARCH_DMA_MINALIGN);
};

static void free_memory(struct nursery_resource *r)
{
	kfree(container_of(r, struct memory, resource));
}

static const struct nursery_resource_type memory_type = {
	.name = "memory", .release = free_memory, .flags = NURSERY_RESOURCE_BACKING,
};

/**
 * nursery_kzalloc - memory that a nursery owns
 * @n: the nursery
 * @size: in bytes
 * @gfp: how to allocate
 *
 * Zeroed, and aligned as memory from kmalloc(). Freed after the join, in its place
 * among the other resources; never by the caller. A cancelled nursery does not refuse.
 *
 * Context: Any in which @gfp may be allocated.
 * Return: the memory; ZERO_SIZE_PTR if @size is 0, as from kzalloc(). NULL: there is
 *	   no memory (-ENOMEM), or @n has been joined; who may come so late asks
 *	   nursery_defer() or nursery_own(), which tell.
 */
void *nursery_kzalloc(struct nursery *n, size_t size, gfp_t gfp)
{
	struct memory *m;
	size_t all;

	if (!size)
		return ZERO_SIZE_PTR;
	if (check_add_overflow(sizeof(*m), size, &all))
		return NULL;
	m = kzalloc(all, gfp);
	if (!m)
		return NULL;
	if (nursery_own(n, &m->resource, &memory_type)) {
		kfree(m);
		return NULL;
	}
	return m->data;
}
EXPORT_SYMBOL_GPL(nursery_kzalloc);

struct device_ref {
	struct nursery_resource resource;
	struct device *dev;
};

static void put_device_ref(struct nursery_resource *r)
{
	struct device_ref *ref = container_of(r, struct device_ref, resource);

	put_device(ref->dev);
	kfree(ref);
}

static const struct nursery_resource_type device_ref_type = {
	.name = "device", .release = put_device_ref, .flags = NURSERY_RESOURCE_BACKING,
};

/**
 * nursery_get_device - a reference to a device that a nursery owns
 * @n: the nursery
 * @dev: the device; the caller has it, by whatever reference
 *
 * As get_device(). Put after the join, in its place among the other resources: what
 * was acquired before is released after it. Buffers hold their device by
 * themselves.
 *
 * Context: Process context, may sleep.
 * Return: 0; -ESHUTDOWN if @n has been joined; -ENOMEM. After an error no reference
 *	   is held.
 */
int nursery_get_device(struct nursery *n, struct device *dev)
{
	struct device_ref *ref = kmalloc(sizeof(*ref), GFP_KERNEL);
	int err;

	if (!ref)
		return -ENOMEM;
	ref->dev = get_device(dev);
	err = nursery_own(n, &ref->resource, &device_ref_type);
	if (err)
		put_device_ref(&ref->resource);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_get_device);
