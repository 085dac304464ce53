/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scope owns: one singly linked stack for resources of every kind, so
 * that the release order is last in, first out across kinds.
 */
#ifndef _LINUX_NURSERY_RESOURCE_H
#define _LINUX_NURSERY_RESOURCE_H

struct nursery;

/**
 * struct nursery_resource - one thing that a nursery owns
 *
 * Embed it first in what it stands for; all fields are private.
 */
struct nursery_resource {
	/* private: */
	struct nursery_resource	*next;
	void			(*release)(struct nursery_resource *r);
};

int nursery_own(struct nursery *n, struct nursery_resource *r,
		void (*release)(struct nursery_resource *r));

#endif /* _LINUX_NURSERY_RESOURCE_H */
