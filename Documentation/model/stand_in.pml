/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A joiner without stack, and the thread that stands in for it.
 *
 * What is modelled. A nursery whose joiner has no room on its stack for children. It has a
 * thread run them, asked for with a struct nursery_stand_in on its own stack, and sleeps;
 * what is offered meanwhile wakes it, and then it takes back what it asked for, or finds that
 * a thread has taken it. An outsider spawns one child while the owner joins another; child 0
 * waits for child 1. No server of the nursery's queue ever comes: the pool is saturated.
 * THREADS threads can be had, that is all.
 *
 * Theory. What is asked for is counted in nursery->state, so the nursery stays until the
 * thread has linked itself; the thread takes the count over when it takes the request off
 * the list, under threads->lock, and who withdraws it in time has it back. The request lies
 * on the joiner's stack: nobody reads it once it is off the list. As long as it is there
 * the thread is to come, and offers what it leaves, which wakes the joiner. One that has
 * come may have offered before the joiner slept, so that looks again.
 *
 *   here			there
 *   count, waiting, closed	nursery->state
 *   ready			inbox, packs, and the slots of workers
 *   t_lock, listed, summoned	threads->lock, threads->stand_ins, summon()
 *   spawn(), offer()		spawn_first(), __nursery_offer(), nursery_wake_joiner()
 *   owner()			wait_for_children(), sleep_beside_thread(), sleep(), nursery_close(),
 *				nursery_stand_in(), nursery_stand_in_withdraw()
 *   thread()			next_errand(), stand_in()
 *
 * What has to hold: who touches the nursery (use_n), the request (use_r) or the joiner's
 * struct nursery_worker (use_w) finds it; a nursery that closes has no child left; the
 * join ends (no deadlock).
 *
 * What is abstracted away: memory order; the order in which a worker runs what it takes:
 * nursery.pml; children that were given one by one to another executor, which go to the
 * executor of threads first; that a child given to a thread alone is not counted twice:
 * external.pml. With -DBUG=name the model has the bug of that name, which spin then has to
 * find.
 */

#ifndef THREADS
#define THREADS	2
#endif

/* The bugs. */
#define ASK_UNCOUNTED	1	/* who asks for a thread does not count it */
#define STAY_ASKED	2	/* who has been woken does not withdraw what he asked for */
#define WITHDRAW_COUNTED 3	/* who withdraws in time does not count down */
#define WITHDRAW_TORN	4	/* whether it is listed is looked at without the lock */
#define HAND_OVER_EARLY	5	/* the thread counts down what was asked for before it counts itself */
#define SLEEP_DEAF	6	/* who finds nothing to ask for does not look again when WAITING is set */
#define OFFER_SILENT	7	/* an offer does not wake a joiner without stack */
#define ASKED_BLIND	8	/* who has asked for a thread does not look again when WAITING is set */
#ifndef BUG
#define BUG	0
#endif

/* nursery->state, struct nursery */
byte count;
bool waiting, closed, freed;
byte ready;			/* a set of children */
bool n_lock;
bool left;			/* the joiner's loop, and with it its struct nursery_worker */
bool woken;

/* struct threads, struct nursery_stand_in */
bool t_lock;
bool listed;
bool there;			/* the request is on the stack */
byte summoned;

bool done[2];
byte started;

#define use_n()	assert(!freed)
#define use_w()	assert(!left)
#define use_r()	assert(there)

/* complete(&n->joiner->wake) */
inline wake()
{
	atomic { use_n(); use_w(); assert(!woken); woken = true }
}

inline uncount(nr)
{
	atomic {
		use_n();
		assert(count >= nr);
		count = count - nr;
		if
		:: count == 0 && waiting -> waiting = false
		:: else -> goto uncounted
		fi
	}
	wake();
uncounted:
}

inline offer()
{
	atomic {
		use_n();
		if
		:: waiting && BUG != OFFER_SILENT -> waiting = false
		:: else -> goto offered
		fi
	}
	wake();
offered:
}

inline spawn(c)
{
	atomic {
		if
		:: closed -> done[c] = true; goto spawned
		:: else -> use_n(); count = count + 2
		fi
	}
	atomic { use_n(); ready = ready | (1 << (c)) }
	offer();
	uncount(1);
spawned:
}

proctype thread()
{
	byte c, finished;

end_idle:
	/* next_errand() */
	atomic { summoned -> summoned-- }
	atomic {
		!t_lock ->
		if
		:: listed -> use_r(); listed = false
		:: else -> goto end_idle
		fi
	}
#if BUG == HAND_OVER_EARLY
	uncount(1);
#endif
	/* nursery_worker_add() */
	atomic { !n_lock -> use_n(); count++; finished = 1 }
#if BUG != HAND_OVER_EARLY && BUG != ASK_UNCOUNTED
	uncount(1);
#endif
work:
	/* nursery_worker_take() */
	atomic {
		use_n();
		if
		:: ready & 1 -> ready = ready & ~1; c = 0
		:: !(ready & 1) && ready -> ready = 0; c = 1
		:: else -> goto leave
		fi;
		assert(!(started & (1 << c)));
		started = started | (1 << c)
	}
	/* What it leaves, it offers. */
	if
	:: ready -> offer()
	:: else
	fi;
	(c == 1 || done[1]);
	atomic { use_n(); done[c] = true; finished++; c = 0 }
	goto work;
leave:
	/* nursery_offer_rest() */
	if
	:: ready -> offer()
	:: else
	fi;
	uncount(finished);
	finished = 0;
	goto end_idle
}

proctype owner()
{
	bool withdrawn;

	spawn(0);
join:	/* nursery_close() */
	atomic {
		use_n();
		if
		:: count == 0 -> closed = true; goto gone
		:: else
		fi
	}
	/* sleep_beside_thread() */
	if
	:: ready -> goto ask
	:: else
	fi;
	/* sleep() */
	atomic {
		assert(!woken);
		if
		:: count == 0 -> goto join
		:: else -> waiting = true
		fi
	}
	/* has_some() */
	if
	:: ready && BUG != SLEEP_DEAF -> atomic {
		if
		:: waiting -> waiting = false; goto join
		:: else
		fi
		}
	:: else
	fi;
	atomic { woken -> woken = false; goto join }
ask:
	there = true;
#if BUG != ASK_UNCOUNTED
	atomic { use_n(); count++ }
#endif
	/* nursery_stand_in() */
	atomic { !t_lock -> listed = true; summoned++ }
	/* sleep() */
	atomic {
		assert(!woken);
		if
		:: count == 0 -> goto withdraw
		:: else -> waiting = true
		fi
	}
	/* What a thread has left it may have offered before that. */
	if
	:: listed || BUG == ASKED_BLIND -> goto asleep
	:: else
	fi;
	if
	:: ready -> atomic {
		if
		:: waiting -> waiting = false; goto withdraw
		:: else
		fi
		}
	:: else
	fi;
asleep:
	atomic { woken -> woken = false }
withdraw:
#if BUG == STAY_ASKED
	there = false;
	goto join;
#elif BUG == WITHDRAW_TORN
	withdrawn = listed;
	listed = false;
#else
	atomic { !t_lock -> withdrawn = listed; listed = false }
#endif
	there = false;
#if BUG != WITHDRAW_COUNTED && BUG != ASK_UNCOUNTED
	if
	:: withdrawn -> uncount(1)
	:: else
	fi;
#endif
	atomic { withdrawn = false; goto join }
gone:
	atomic { left = true; freed = true; assert(count == 0 && !ready && !listed) }
}

proctype outsider()
{
	spawn(1)
}

init {
	byte i;

	atomic {
		run owner();
		run outsider();
		for (i : 1 .. THREADS) {
			run thread()
		}
		i = 0
	}
}
