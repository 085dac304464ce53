// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children that are to be started and that nobody has taken.
 *
 * Spawners push them on nursery->inbox, a list without a lock. Whoever runs children
 * takes the whole list at once, keeps a chunk, and puts the rest back as a pack on
 * nursery->packs, a list without a lock of lists. So handing out children touches
 * the nursery's cache line once for a chunk, not for a child; fetching that line from
 * another CPU costs more than many a child.
 *
 * Between taking and putting back nobody else sees what is in the list. So who puts
 * something back offers it anew (queue.c), as if it had just been spawned: whoever
 * looked in vain meanwhile is asked again.
 *
 * Older packs go first, and within one the younger children: they are still in the
 * cache of who spawned them. No order is promised, unless max_active is 1. With
 * max_active, children wait in nursery->ready instead, in order, under nursery->lock.
 */
#include "internal.h"

/* Push a child that may be the first; an offer is to follow. Context: Any. Fully ordered. */
void nursery_ready_push(struct nursery *n, struct nursery_child *c)
{
	llist_add(&c->link, &n->inbox);
}

/* Put a list of the caller's back; to be followed by an offer. Context: Any. */
void nursery_ready_put(struct nursery *n, struct llist_node *list)
{
	llist_add(&nursery_linked(list)->pack, &n->packs);
}

/* All packs, as far as they are there, but the first: back. */
static void put_others_back(struct nursery *n, struct llist_node *packs)
{
	struct llist_node *last = packs;

	while (last->next)
		last = last->next;
	llist_add_batch(packs, last, &n->packs);
}

/* Take a list of children; the caller starts them, or puts them back. Context: Any. */
struct llist_node *nursery_ready_grab(struct nursery *n)
{
	struct llist_node *packs;

	if (!llist_empty(&n->packs)) {
		packs = llist_del_all(&n->packs);
		if (packs) {
			struct nursery_child *c = llist_entry(packs, struct nursery_child, pack);

			if (packs->next)
				put_others_back(n, packs->next);
			return &c->link;
		}
	}
	return llist_empty(&n->inbox) ? NULL : llist_del_all(&n->inbox);
}

/* Take all there are, in the order of spawning as far as possible. Context: Any. */
struct llist_node *nursery_ready_grab_all(struct nursery *n)
{
	struct llist_node *list, *all = NULL, **last = &all;
	struct llist_node *pack, *next;

	for (pack = llist_del_all(&n->packs); pack; pack = next) {
		next = pack->next;
		*last = &llist_entry(pack, struct nursery_child, pack)->link;
		while (*last)
			last = &(*last)->next;
	}
	list = llist_del_all(&n->inbox);
	if (list)
		*last = llist_reverse_order(list);
	return all;
}

/*
 * Take @c out, if it is there. Others that start children do not see theirs
 * meanwhile; an offer is to follow. If children are joined one by one in the order of
 * spawning, each but the first is found in front.
 *
 * Context: nursery->lock held.
 */
bool nursery_ready_remove(struct nursery *n, struct nursery_child *c)
{
	struct llist_node *list, **at;
	bool found = false;

	list = nursery_ready_grab(n);
	if (list != &c->link) {
		if (list)
			nursery_ready_put(n, list);
		list = nursery_ready_grab_all(n);
	}
	for (at = &list; *at; at = &(*at)->next) {
		if (*at == &c->link) {
			*at = c->link.next;
			found = true;
			break;
		}
	}
	if (list)
		nursery_ready_put(n, list);
	return found;
}
