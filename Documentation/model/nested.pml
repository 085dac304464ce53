/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The nurseries that a child opens, and who finds them.
 *
 * What is modelled. A child that runs opens nurseries and joins them, ROUNDS times: one, or
 * two that are open at once, joined in any order. Each has a sleeper that only a cancel wakes,
 * or has none. A canceller cancels the child, or the nursery around it. WALKERS walk the tree
 * for something else: listings, cancels of others. In the end the child returns and is freed.
 *
 * Theory. The first nursery that is open is in child->opened, any other in a list, under
 * nursery_tree_lock. Who walks has the lock, and puts what is in the word in the list. See
 * tree.c for the transitions of the word; all but the last are cmpxchg.
 *
 *   here			there
 *   opened, flag		child->opened, NURSERY_CHILD_CANCELLED
 *   held			RANGE_HELD of the worker that runs the child, under nursery->lock
 *   in_list, cancelled		of each nursery: in nursery->nested, NURSERY_CANCELLED
 *   there			its memory has not been freed
 *   open()			nursery_tree_add(), open_alone(), open_cancelled()
 *   leave()			nursery_tree_del(), leave_above()
 *   look()			nursery_child_runs_here(), of a child below
 *   list_opened()		nursery_tree_list_opened(), list_opened()
 *   canceller(), walker()	mark_nursery(), mark_flag(), nursery_tree_next()
 *
 * What has to hold: who walks finds each nursery that he comes to (use_n) and the child
 * (use_c); who looks below finds what is open; no sleeper sleeps on after the cancel (no
 * deadlock).
 *
 * What is abstracted away: memory order; shields and services, which a walk passes by;
 * children that park or return with a nursery open, and put it in the list themselves. With
 * -DBUG=name the model has the bug of that name, which spin then has to find.
 */

#ifndef WALKERS
#define WALKERS	1
#endif
#ifndef ROUNDS
#define ROUNDS	2
#endif

/* The bugs. */
#define FLAG_FIRST	1	/* who opens looks at the flag before */
#define LIST_FIRST	2	/* who cancels looks at the word before he marks */
#define LEAVE_BLIND	3	/* who leaves writes the word, whatever is in it */
#define LIST_TORN	4	/* who lists reads the word, and writes it later */
#define WALK_UNHELD	5	/* who walks does not hold the child */
#define EMPTY_EARLY	6	/* who lists empties the word, then puts in the list */
#define LEAVE_UNLOCKED	7	/* who is in the list leaves it without the lock */
#define OPEN_DEAF	8	/* who opens a second one does not look at the flag */
#ifndef BUG
#define BUG	0
#endif

#define NOBODY	0
#define LISTS	3		/* 1, 2: a nursery */

/* struct nursery_child */
byte opened;
bool flag, held, running = true, freed;

/* struct nursery; 0 is not used */
bool in_list[3], cancelled[3], there[3], sleeps[3];

bool tree_lock;

#define use_c()		assert(!freed)
#define use_n(i)	assert(there[i])

inline lock()
{
	atomic { !tree_lock -> tree_lock = true }
}

#define unlock()	tree_lock = false

inline open(i)
{
	atomic { there[i] = true; cancelled[i] = false; in_list[i] = false }
	seen = flag;
	atomic {
		if
		:: opened == NOBODY -> opened = i; alone = true
		:: else -> alone = false
		fi
	}
	if
	:: alone ->
		if
		:: (BUG == FLAG_FIRST && seen) || (BUG != FLAG_FIRST && flag) ->
			lock();
			cancelled[i] = true;
			unlock()
		:: else
		fi
	:: else ->
		lock();
		in_list[i] = true;
		if
		:: flag && BUG != OPEN_DEAF -> cancelled[i] = true
		:: else
		fi;
		unlock()
	fi;
	if
	:: sleeps[i] = true
	:: sleeps[i] = false
	fi
}

/* From below @i: first the one, then the other. */
inline look(i)
{
	word = opened;
	assert(word != NOBODY || in_list[1] || in_list[2])
}

inline leave(i)
{
	!sleeps[i] || cancelled[i];
	atomic {
		if
		:: opened == i || BUG == LEAVE_BLIND -> opened = NOBODY; alone = true
		:: else -> alone = false
		fi
	}
	if
	:: alone
	:: else ->
		if
		:: BUG != LEAVE_UNLOCKED -> lock()
		:: else
		fi;
		assert(in_list[i]);
		in_list[i] = false;
		if
		:: BUG != LEAVE_UNLOCKED -> unlock()
		:: else
		fi
	fi;
	there[i] = false
}

proctype child()
{
	byte round, word;
	bool alone, seen;

	do
	:: round < ROUNDS ->
		round++;
		open(1);
		look(1);
		if
		:: leave(1)
		:: open(2); look(2); leave(1); leave(2)
		:: open(2); leave(2); leave(1)
		fi
	:: else -> break
	od;
	assert(opened == NOBODY);
	/* step(): who holds the child has it wait. */
	atomic { !held -> running = false };
	freed = true
}

/* Context: tree_lock held. */
inline list_opened()
{
	atomic {
		if
		:: running && BUG != WALK_UNHELD -> held = true; found = true
		:: BUG == WALK_UNHELD -> found = running
		:: else -> found = false
		fi
	}
	if
	:: !found
	:: else ->
		use_c();
		if
		:: BUG == LIST_TORN -> what = opened
		:: else ->
			atomic {
				what = opened;
				if
				:: what != NOBODY -> opened = (BUG == EMPTY_EARLY -> NOBODY : LISTS)
				:: else
				fi
			}
		fi;
		if
		:: what == NOBODY
		:: else ->
			use_n(what);
			in_list[what] = true;
			use_c();
			if
			:: BUG != EMPTY_EARLY -> opened = NOBODY
			:: else
			fi
		fi;
		held = false
	fi;
	what = NOBODY
}

/* Those in the list, one after the other. Context: tree_lock held. */
inline walk(cancels)
{
	for (what : 1 .. 2) {
		if
		:: in_list[what] ->
			use_n(what);
			if
			:: cancels -> cancelled[what] = true
			:: else
			fi
		:: else
		fi
	}
	what = NOBODY
}

inline mark()
{
	atomic {
		if
		:: running -> use_c(); flag = true
		:: else
		fi
	}
}

proctype canceller()
{
	byte what;
	bool found;

	lock();
	if
	:: BUG == LIST_FIRST -> list_opened(); mark()
	:: else -> mark(); list_opened()
	fi;
	walk(true);
	unlock()
}

proctype walker()
{
	byte what;
	bool found;

	lock();
	list_opened();
	walk(false);
	unlock()
}

init {
	byte i;

	atomic {
		run child();
		run canceller();
		for (i : 1 .. WALKERS) {
			run walker()
		}
	}
}
