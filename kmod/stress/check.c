// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is wrong is said once and in one line, with what it takes to do it again;
 * the run then stops. And memory: canaries around what the core writes to, and
 * poison in what it has handed back, which nobody may write to any more. KASAN
 * sees the same and more; this works under every kernel.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/llist.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "stress.h"

#define CANARY		0x6e757273657279ULL
#define CANARY_END	0x79726573727566ULL
#define POISON		0x5a

static atomic_t violations;

bool stress_violated(void)
{
	return atomic_read(&violations);
}

void stress_violations_clear(void)
{
	atomic_set(&violations, 0);
}

/* Only the first is told: what comes after it may be its consequence. */
void stress_violation(const struct stress_thread *thread, const char *invariant,
		      const char *format, ...)
{
	struct va_format vaf;
	va_list args;

	if (atomic_fetch_inc(&violations))
		return;
	va_start(args, format);
	vaf.fmt = format;
	vaf.va = &args;
	pr_err("%s is violated: %pV (seed %llu, thread %u, step %llu)\n", invariant, &vaf,
	       stress_seed, thread->id, READ_ONCE(thread->step));
	va_end(args);
	stress_stop();
}

/* The errnos and causes that occur, as a bit for a set of them; 0 has one, too. */
unsigned int stress_code_bit(int code)
{
	static const int codes[] = {
		0, -ECANCELED, -ETIMEDOUT, -EINTR, -ENODEV, -EAGAIN, -EIO, -ENXIO, -EPROTO,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i] == code)
			return BIT(i);
	return 0;
}

static bool is_whole(u64 first, u64 last)
{
	return first == CANARY && last == CANARY_END;
}

bool stress_scope_is_whole(const struct stress_scope *s)
{
	return is_whole(s->canary, s->canary_end);
}

bool stress_child_is_whole(const struct stress_child *c)
{
	return is_whole(c->canary, c->canary_end);
}

void stress_canaries(u64 *first, u64 *last)
{
	*first = CANARY;
	*last = CANARY_END;
}

void stress_poison(void *memory, size_t size)
{
	memset(memory, POISON, size);
}

void stress_check_poison(const struct stress_thread *thread, const void *memory, size_t size,
			 const char *what)
{
	const u8 *wrong = memchr_inv(memory, POISON, size);

	if (wrong)
		stress_violation(thread, "I1",
				 "%s was written to after the join: 0x%02x at offset %zu of %zu",
				 what, *wrong, (size_t)(wrong - (const u8 *)memory), size);
}

static void free_kept(struct stress_thread *thread, const struct stress_kept *kept)
{
	if (!kept->memory)
		return;
	stress_check_poison(thread, kept->memory, kept->size, "memory that was given back");
	kfree(kept->memory);
}

/* Free memory now, for KASAN; or poison it, and look at it some blocks later. */
void stress_give_back(struct stress_thread *thread, void *memory, size_t size, bool at_once)
{
	struct stress_kept kept = { memory, size };

	if (!memory)
		return;
	if (at_once) {
		kfree(memory);
		return;
	}
	stress_poison(memory, size);
	spin_lock(&thread->lock);
	swap(kept, thread->kept[thread->next_kept]);
	thread->next_kept = (thread->next_kept + 1) % ARRAY_SIZE(thread->kept);
	spin_unlock(&thread->lock);
	free_kept(thread, &kept);
}

static void free_dead(struct irq_work *work);
static LLIST_HEAD(dead);
static struct irq_work dead_work = IRQ_WORK_INIT(free_dead);

static void free_dead(struct irq_work *work)
{
	struct llist_node *node, *next;

	llist_for_each_safe(node, next, llist_del_all(&dead))
		kfree(node);
}

/*
 * Free what the core has done with. A hard interrupt must not do so on PREEMPT_RT; there a
 * thread does.
 *
 * Context: Any.
 */
void stress_free(void *memory)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT) || preemptible())
		kfree(memory);
	else if (llist_add(memory, &dead))
		irq_work_queue(&dead_work);
}

/* Context: Process context; nobody calls stress_free() any more. */
void stress_free_sync(void)
{
	irq_work_sync(&dead_work);
}

/* Context: Nobody gives back any more. */
void stress_free_kept(struct stress_thread *thread)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(thread->kept); i++) {
		free_kept(thread, &thread->kept[i]);
		thread->kept[i].memory = NULL;
	}
}
