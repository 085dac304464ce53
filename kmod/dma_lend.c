// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loans: which children have which buffers, so that one can be released before the join.
 *
 * A loan is a record of a buffer and a child. It is counted in the buffer, and found from
 * the child by a hash of its address: a struct nursery_child has no room for a list, and
 * most children have no use for one. All that those pay is a flag that the others have
 * in their state, CHILD_BORROWS: it takes the end of a child off the fast path, and there
 * loans are looked for.
 *
 * They end before the child has visibly finished: who has joined it, or is in its
 * done(), finds the buffer free to be released. The child need not be one of the nursery
 * that owns the buffer: if the loan lasts longer than that, the joiner waits for it when it
 * comes to the buffer. A child that was abandoned leaves its mark on the buffers that it
 * had: they are not released early any more, as only the join knows more of the hardware.
 *
 * Locks, all raw, and taken last: the end of a child comes with nursery->lock held.
 * buf->lock, the count of loans and who waits for it to be zero; inside it that of a bucket
 * of the hash, what is in there. Who has been woken takes buf->lock once more, so that who
 * woke him has dropped it before the buffer is freed.
 */
#include <linux/completion.h>
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/list.h>

#include "dma.h"
#include "internal.h"

#define BUCKET_BITS	7

struct bucket {
	raw_spinlock_t		lock;
	struct hlist_head	loans;		/* by child */
};

static struct bucket buckets[1 << BUCKET_BITS] = {
	[0 ... (1 << BUCKET_BITS) - 1] = { __RAW_SPIN_LOCK_UNLOCKED(buckets.lock) },
};

static struct bucket *bucket_of(const struct nursery_child *c)
{
	return &buckets[hash_ptr(c, BUCKET_BITS)];
}

/* Take what @c has out of its bucket: of @buf, or of all if that is NULL. Context: Any. */
static void take(const struct nursery_child *c, const struct nursery_dma *buf,
		 struct hlist_head *taken)
{
	struct bucket *bucket = bucket_of(c);
	struct nursery_loan *loan;
	struct hlist_node *next;
	unsigned long flags;

	raw_spin_lock_irqsave(&bucket->lock, flags);
	hlist_for_each_entry_safe(loan, next, &bucket->loans, node) {
		if (loan->child != c || (buf && loan->buf != buf))
			continue;
		hlist_del(&loan->node);
		hlist_add_head(&loan->node, taken);
	}
	raw_spin_unlock_irqrestore(&bucket->lock, flags);
}

/* What is known of the hardware that a child stands for, when the child ends. */
enum verdict {
	COMPLETED,		/* it is done with the child's buffers */
	ABANDONED,		/* the join will tell */
	UNSTOPPED,		/* it may still use them */
};

/*
 * They are over, of a child of @n. The buffers may be gone afterwards, and the records.
 *
 * The join of @n asks once more, or has the last answer: it knows what is to be done with
 * buffers of its own. Who has lent others cannot ask, and may be joined before that.
 *
 * Context: Any.
 */
static void drop(struct hlist_head *taken, const struct nursery *n, enum verdict verdict)
{
	struct nursery_loan *loan;
	struct hlist_node *next;
	unsigned long flags;

	hlist_for_each_entry_safe(loan, next, taken, node) {
		struct nursery_dma *buf = loan->buf;

		raw_spin_lock_irqsave(&buf->lock, flags);
		loan->buf = NULL;
		buf->stays |= verdict != COMPLETED;
		buf->unsafe |= verdict == UNSTOPPED && buf->nursery != n;
		if (!--buf->nr_loans && buf->returned)
			complete(buf->returned);
		raw_spin_unlock_irqrestore(&buf->lock, flags);
	}
}

/*
 * A child ends that may have loans.
 *
 * Context: Any. The child has not become DONE.
 */
void nursery_loans_end(const struct nursery *n, struct nursery_child *c)
{
	int state = atomic_read(&c->state);
	enum verdict verdict = COMPLETED;
	HLIST_HEAD(taken);

	if (unlikely(state & CHILD_ABANDONED))
		verdict = state & CHILD_UNSTOPPED ? UNSTOPPED : ABANDONED;
	take(c, NULL, &taken);
	drop(&taken, n, verdict);
}

/**
 * nursery_dma_lend_also - lend a buffer that may be lent already
 * @buf: the buffer
 * @child: to whom, as for nursery_dma_lend()
 * @loan: the record of it, zeroed or over. It must stay until the loan ends: mostly it is
 *	embedded beside the child
 *
 * As nursery_dma_lend(), for buffers that several children have at the same time.
 *
 * Context: Any, as for nursery_dma_lend().
 * Return: 0; -EBUSY: @loan is that of another one; -ESHUTDOWN: somebody waits to release
 *	   the buffer.
 */
int nursery_dma_lend_also(struct nursery_dma *buf, struct nursery_child *child,
			  struct nursery_loan *loan)
{
	struct bucket *bucket = bucket_of(child);
	unsigned long flags;
	int err = 0;

	raw_spin_lock_irqsave(&buf->lock, flags);
	if (buf->leaves) {
		err = -ESHUTDOWN;
	} else if (loan->buf) {
		err = -EBUSY;
	} else {
		loan->buf = buf;
		loan->child = child;
		buf->nr_loans++;
		raw_spin_lock(&bucket->lock);
		hlist_add_head(&loan->node, &bucket->loans);
		raw_spin_unlock(&bucket->lock);
		/* Looked at by the end of the child, which cannot be under way. */
		atomic_or(CHILD_BORROWS, &child->state);
	}
	raw_spin_unlock_irqrestore(&buf->lock, flags);
	return err;
}
EXPORT_SYMBOL_GPL(nursery_dma_lend_also);

/**
 * nursery_dma_lend - a child is given a buffer
 * @buf: the buffer
 * @child: who uses it until it has finished: initialised and about to be spawned or begun;
 *	or in its function; or begun, and its hardware not yet started
 *
 * For buffers that are released before the join: nursery_dma_release() refuses to while
 * one is lent. The loan ends with the child, before its done() is called, in whatever way it
 * ends; or by nursery_dma_return(). If the child is refused when it is spawned or begun, the
 * loan stays: it is for the child's next try, or to be returned.
 *
 * A buffer mostly has one user at a time, a transfer. So it brings a record of
 * its own for one loan: nothing is allocated, so that starting a transfer cannot fail for
 * want of memory, in any context; and the driver has nothing to embed, or to hold on
 * to. Where several children share a buffer, it is nursery_dma_lend_also() for the second
 * and further ones, with records of the driver's. Buffers that stay until the join, as most
 * do, are not lent at all: the join waits for all children anyway.
 *
 * The child may be one of another nursery: then the join of the buffer's waits for it, too,
 * when it comes to the buffer, and it must not in turn wait for that. If the child is abandoned
 * there, and its hardware could not be stopped, the buffer goes to quarantine.
 *
 * Context: Any, hard interrupts included, while the child cannot finish.
 * Return: 0; -EBUSY: it is lent already; -ESHUTDOWN: somebody waits to release it.
 */
int nursery_dma_lend(struct nursery_dma *buf, struct nursery_child *child)
{
	return nursery_dma_lend_also(buf, child, &buf->loan);
}
EXPORT_SYMBOL_GPL(nursery_dma_lend);

/**
 * nursery_dma_return - a child gives a buffer back before it ends
 * @buf: the buffer, lent to it or not
 * @child: the child
 *
 * All loans of the buffer to the child end. For one whose spawn was refused, or whose
 * function goes on with something else.
 *
 * Context: Any.
 */
void nursery_dma_return(struct nursery_dma *buf, struct nursery_child *child)
{
	HLIST_HEAD(taken);

	take(child, buf, &taken);
	drop(&taken, NULL, COMPLETED);
}
EXPORT_SYMBOL_GPL(nursery_dma_return);

/*
 * Nobody has the buffer any more: release it, unless it was one of a child that
 * was abandoned, or of one whose nursery could not stop its hardware. Then it stays in the
 * stack, where the join finds it: that knows more, or withholds it (I9).
 *
 * Context: Process context, may sleep; it leaves, so the flag does not change.
 */
static void release(struct nursery_dma *buf)
{
	struct nursery *n = buf->nursery;

	if (likely(!buf->stays) && !(atomic64_read(&n->state) & NURSERY_UNSTOPPED))
		nursery_release_early(n, &buf->resource);
}

/**
 * nursery_dma_release - release a buffer before the join
 * @buf: the buffer, of any kind; gone when this returns 0
 *
 * Out of its turn among what the nursery owns: nothing that came later may rely on it, and
 * no child be using it to which it was not lent. If a child that had it was abandoned
 * (nursery_set_quiesce()), the buffer is the caller's no more, but is kept until the join,
 * which tells whether the hardware has stopped.
 *
 * Context: Process context, may sleep. The nursery has not been joined, or this is called
 *	    by an action that was deferred after the buffer was made.
 * Return: 0; -EBUSY: it is lent, nothing has changed.
 */
int nursery_dma_release(struct nursery_dma *buf)
{
	bool lent;

	might_sleep();
	raw_spin_lock_irq(&buf->lock);
	lent = buf->nr_loans;
	buf->leaves |= !lent;
	raw_spin_unlock_irq(&buf->lock);
	if (lent)
		return -EBUSY;
	release(buf);
	return 0;
}
EXPORT_SYMBOL_GPL(nursery_dma_release);

/*
 * Wait for all loans; there are no new ones from now on.
 *
 * Context: Process context, may sleep. One at a time.
 */
static void wait_for_loans(struct nursery_dma *buf)
{
	DECLARE_COMPLETION_ONSTACK(returned);
	bool lent;

	raw_spin_lock_irq(&buf->lock);
	buf->leaves = true;
	lent = buf->nr_loans;
	if (lent)
		buf->returned = &returned;
	raw_spin_unlock_irq(&buf->lock);
	if (!lent)
		return;
	wait_for_completion(&returned);
	raw_spin_lock_irq(&buf->lock);
	buf->returned = NULL;
	raw_spin_unlock_irq(&buf->lock);
}

/**
 * nursery_dma_release_wait - release a buffer when it is no longer lent
 * @buf: the buffer; gone when this returns
 *
 * As nursery_dma_release(), but it waits for the loans, and no more are made: who tries
 * gets -ESHUTDOWN. It does not cancel the children that have them.
 *
 * Context: Process context, may sleep, not interruptible; not from a child that has the
 *	    buffer. As nursery_dma_release().
 */
void nursery_dma_release_wait(struct nursery_dma *buf)
{
	might_sleep();
	wait_for_loans(buf);
	release(buf);
}
EXPORT_SYMBOL_GPL(nursery_dma_release_wait);

/*
 * The joiner has come to @r. If it is a buffer of ours, wait for children of other nurseries
 * that have it.
 *
 * Return: false: the hardware of one of them could not be stopped.
 */
bool nursery_dma_is_safe(struct nursery_resource *r)
{
	struct nursery_dma *buf = container_of(r, struct nursery_dma, resource);

	if (r->type->release != nursery_dma_released)
		return true;
	wait_for_loans(buf);
	return !buf->unsafe;
}
