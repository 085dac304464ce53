// SPDX-License-Identifier: GPL-2.0-only
/*
 * nursery_next(): each child that has no done() comes once, when it is over, and is its
 * owner's from then on.
 */
#include "stress.h"

static void check_came(struct stress_scope *s, struct stress_child *c)
{
	if (c->scope != s || c->flags & CHILD_HAS_DONE || c->start_failed)
		stress_child_violation(c, "next", "comes, and should not");
	if (c->came)
		stress_child_violation(c, "next", "comes twice");
	c->came = true;
	stress_check_child(c, "nursery_next()");
}

/* There are no others than services left. */
static void check_all_came(struct stress_scope *s)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++) {
		const struct stress_child *c = s->children[i];

		if (test_bit(i, s->freed) || test_bit(i, s->poisoned))
			continue;
		if (c->accepted && !c->came && !(c->flags & (CHILD_HAS_DONE | CHILD_SERVICE)))
			stress_child_violation(c, "next", "has not come");
	}
}

/* Context: The owner, which has not joined yet. */
void stress_collect(struct stress_scope *s, struct stress_random *r)
{
	struct nursery_child *child;
	struct stress_child *c;

	for (;;) {
		if (stress_one_in(r, 10))
			return;
		child = nursery_next(&s->nursery);
		if (!child)
			break;
		stress_count(COUNT_COLLECTED);
		c = container_of(child, struct stress_child, child);
		check_came(s, c);
		/* Who spawned a spare one has yet to say so in it. */
		if (test_bit(c->index, s->shared) || c->index >= s->nr - s->nr_spare ||
		    !stress_one_in(r, 2))
			continue;
		set_bit(c->index, s->poisoned);
		stress_poison(c, sizeof(*c));
	}
	check_all_came(s);
}
