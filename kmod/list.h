/* SPDX-License-Identifier: GPL-2.0-only */
/* Listings for user space: see list.c. */
#ifndef _NURSERY_LIST_H
#define _NURSERY_LIST_H

#include <uapi/linux/nursery.h>

struct nursery;

int nursery_list_tree(struct nursery *root, struct nursery_list *list);
int nursery_list_ops(struct nursery_list *list);
int nursery_put_entry(const struct nursery_list *list, u32 nr, const void *entry, size_t size);

#endif /* _NURSERY_LIST_H */
