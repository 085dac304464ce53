/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scope owns: one singly linked stack for resources of every kind, so
 * that the release order is last in, first out across kinds.
 */
#ifndef _LINUX_NURSERY_RESOURCE_H
#define _LINUX_NURSERY_RESOURCE_H

#include <linux/bits.h>

struct nursery;
struct nursery_resource;

/**
 * DOC: flags of a type of resource
 *
 * %NURSERY_RESOURCE_DMA
 *	The hardware may use it: it is withheld while that cannot be proved stopped
 *	(I9). Each resource of the type is that of a struct nursery_dma, which says what
 *	device may use how many bytes.
 *
 * %NURSERY_RESOURCE_BACKING
 *	Buffers that were acquired later may be built on it, such as memory that has been
 *	mapped since: it is withheld with them.
 *
 * What is withheld is released when the device has been reset, or never. Until then
 * it needs its own memory and its type, and nothing else of whoever acquired it.
 */
#define NURSERY_RESOURCE_DMA		BIT(0)
#define NURSERY_RESOURCE_BACKING	BIT(1)

/**
 * struct nursery_resource_type - what resources of one kind have in common
 * @name: for traces and listings
 * @release: called once for each, after the join and before nursery_join() returns,
 *	in process context; it may sleep, and may free the resource
 * @withhold: or NULL; called before nursery_join() returns if the resource is withheld, in
 *	process context: to keep what it needs until @release, which may be long after
 * @drop: or NULL; called in place of @release if buffers that were acquired later are
 *	withheld: to give up the resource itself, and what it stands for not even later
 * @flags: %NURSERY_RESOURCE_DMA, %NURSERY_RESOURCE_BACKING; 0: released in any case
 *
 * It must outlive the resources of the type.
 */
struct nursery_resource_type {
	const char	*name;
	void		(*release)(struct nursery_resource *r);
	void		(*withhold)(struct nursery_resource *r);
	void		(*drop)(struct nursery_resource *r);
	unsigned int	flags;
};

/**
 * struct nursery_resource - one thing that a nursery owns
 *
 * Embed it first in what it stands for; all fields are private.
 */
struct nursery_resource {
	/* private: */
	struct nursery_resource			*next;
	const struct nursery_resource_type	*type;
};

int nursery_own(struct nursery *n, struct nursery_resource *r,
		const struct nursery_resource_type *type);

#endif /* _LINUX_NURSERY_RESOURCE_H */
