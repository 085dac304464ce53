// SPDX-License-Identifier: GPL-2.0-only
/* An executor that runs children in an order drawn from a seed: see sim.h. */
#include "sim.h"

static struct nursery_executor_sim *to_sim(const struct nursery_executor *e)
{
	return container_of((struct nursery_executor *)e, struct nursery_executor_sim, executor);
}

static struct nursery *nursery_of(const struct llist_node *node)
{
	return container_of(node, struct nursery_child, runner.node)->nursery;
}

u32 nursery_sim_draw(struct nursery_executor_sim *sim, u32 ceil)
{
	return prandom_u32_state(&sim->random) % ceil;
}

void nursery_sim_note(struct nursery_executor_sim *sim, u32 id)
{
	sim->order = sim->order * 6364136223846793005ULL + id + 1;
	sim->nr_runs++;
}

/*
 * Draw one of the runners that are ready, of nursery @n if that is given.
 *
 * Context: sim->lock held.
 */
static struct llist_node **draw(struct nursery_executor_sim *sim, const struct nursery *n)
{
	struct llist_node **at;
	u32 nr = 0, which;

	for (at = &sim->ready; *at; at = &(*at)->next)
		nr += !n || nursery_of(*at) == n;
	if (!nr)
		return NULL;
	which = nursery_sim_draw(sim, nr);
	for (at = &sim->ready; *at; at = &(*at)->next)
		if ((!n || nursery_of(*at) == n) && !which--)
			break;
	return at;
}

static void sim_submit(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct nursery_executor_sim *sim = to_sim(e);

	raw_spin_lock(&sim->lock);
	r->node.next = sim->ready;
	sim->ready = &r->node;
	raw_spin_unlock(&sim->lock);
}

/*
 * A join asks for each of its children in turn whether it may run that one: say yes
 * to the one that the seed chooses. A cancel asks, too, but takes all that it can get:
 * what it does not get is skipped when its turn comes.
 */
static bool sim_retract(const struct nursery_executor *e, struct nursery_runner *r)
{
	struct nursery_executor_sim *sim = to_sim(e);
	struct llist_node **at;
	bool chosen;

	raw_spin_lock(&sim->lock);
	if (!sim->choice) {
		at = draw(sim, nursery_of(&r->node));
		sim->choice = at ? container_of(*at, struct nursery_runner, node) : NULL;
	}
	chosen = sim->choice == r ||
		 (sim->choice && nursery_of(&sim->choice->node) != nursery_of(&r->node));
	if (chosen) {
		for (at = &sim->ready; *at != &r->node; )
			at = &(*at)->next;
		*at = r->node.next;
		sim->choice = NULL;
	}
	raw_spin_unlock(&sim->lock);
	return chosen;
}

static const struct nursery_executor_ops sim_ops = {
	.name		= "sim",
	.submit		= sim_submit,
	.retract	= sim_retract,
};

void nursery_sim_init(struct nursery_executor_sim *sim, u32 seed)
{
	*sim = (struct nursery_executor_sim) { .executor.ops = &sim_ops };
	raw_spin_lock_init(&sim->lock);
	prandom_seed_state(&sim->random, seed);
}

/* Run until nothing is ready. Context: Process context, one at a time. */
void nursery_sim_run(struct nursery_executor_sim *sim)
{
	struct nursery_runner *r;
	struct llist_node **at;

	for (;;) {
		raw_spin_lock_irq(&sim->lock);
		at = draw(sim, NULL);
		if (!at) {
			raw_spin_unlock_irq(&sim->lock);
			return;
		}
		r = container_of(*at, struct nursery_runner, node);
		*at = r->node.next;
		if (sim->choice == r)
			sim->choice = NULL;
		raw_spin_unlock_irq(&sim->lock);
		nursery_runner_run(r);
	}
}
