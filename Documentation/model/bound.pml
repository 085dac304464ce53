/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nursery with max_active.
 *
 * What is modelled. CHILDREN children, MAX places, servers, a joiner that helps or
 * not, a canceller of the nursery, and one who cancels just child 1. The last child is
 * spawned by an outsider. Children wait for their turn in nursery->ready, in order, under
 * nursery->lock; whoever takes one takes a place for it, and gives the place back when the
 * child is over.
 *
 * Theory. Someone is to come if there are both a child that waits and a place. Who makes
 * that so offers the nursery: a spawn, the end of a child, a cancel of one that had
 * a place. All of it is done under nursery->lock; the flags LISTED and WAITING, and
 * queue->due, are as in nursery.pml, and so is the proof that nobody is forgotten: the
 * look of has_some() is of the list and the places here.
 *
 *   here			there
 *   ready, nr_active		nursery->ready, nursery->nr_active
 *   spawn()			spawn_slowly()
 *   take()			take_in_order(), nursery_worker_take_locked(), and
 *				nursery_child_cancel() of a child that waits
 *   over()			nursery_worker_over()
 *   offer(), offer_rest()	nursery_offer(), nursery_offer_rest()
 *   has_some(), unlist_empty()	the same
 *   server(), owner()		nursery_queue_serve(), wait_for_children(), sleep(), nursery_close()
 *
 * What has to hold: no more than MAX run at once; each is started once at most; who touches
 * the nursery finds it (use_n); no deadlock, which is where a child waits, has a place, and
 * nobody comes. With WORKERS=0 servers never come.
 *
 * What is abstracted away: memory order; the order, in which children are in a list under
 * the lock; the slots of a worker, where nobody steals as there
 * is one child at most; executors that take children one by one. With -DBUG=name the model
 * has the bug of that name, which spin then has to find.
 */

#ifndef CHILDREN
#define CHILDREN	3
#endif
#ifndef MAX
#define MAX		1
#endif
#ifndef WORKERS
#define WORKERS		1
#endif
#ifndef HELP
#define HELP		1
#endif
#ifndef WAITS
#define WAITS		0	/* child 0 waits for child 1 */
#endif
#ifndef CANCEL
#define CANCEL		0
#endif

/* The bugs. */
#define OVER_SILENT	1	/* who gives back a place, and leaves, neither offers nor asks */
#define TAKE_SILENT	2	/* who takes a child while there is one more, and a place, offers nothing */
#define PLACE_EARLY	3	/* the place is given back before the child is over */
#define PLACE_UNTAKEN	4	/* the place is looked at, and taken without the lock later on */
#define LOOK_PLACELESS	5	/* unlist_empty() does not look again */
#define SLEEP_BLIND	6	/* the joiner does not look again when it has set WAITING */
#define CANCEL_PLACELESS 7	/* the cancel of a child that waits gives back a place that it had not */
#define LEAVE_EARLY	8	/* a worker leaves the nursery, and offers after that */
#ifndef BUG
#define BUG		0
#endif

/* nursery->state, struct nursery */
byte count;
bool cancelled, closed, waiting, listed, freed, left, woken;
bool n_lock;
byte nr_active;
byte ready;			/* a set of children */
byte running;			/* how many */
byte started, ended;

/* struct nursery_queue */
bool q_lock, due, asked, incoming, in_list;
byte busy;

#define bit(c)		(1 << (c))
#define first(set)	((set) & 1 -> 0 : ((set) & 2 -> 1 : ((set) & 4 -> 2 : 3)))
#define rest(set)	((set) & ((set) - 1))
#define use_n()		assert(!freed)

inline wake()
{
	atomic { use_n(); assert(!left && !woken); woken = true }
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
		woke = (waiting && HELP);
		if
		:: woke -> waiting = false
		:: else
		fi
	}
	if
	:: woke -> wake()
	:: else
	fi;
	/* enlist() */
	atomic {
		use_n();
		if
		:: listed -> goto is_listed
		:: else -> listed = true
		fi
	}
	atomic { use_n(); assert(!incoming && !in_list); incoming = true }
is_listed:
	atomic {
		if
		:: !woke && !due -> due = true; asked = true
		:: else -> woke = false
		fi
	}
}

/* n_lock held */
#define can_take	(ready && nr_active < MAX)

inline offer_rest()
{
	atomic { !n_lock -> use_n(); some = can_take }
	if
	:: some -> some = false; offer()
	:: else
	fi
}

inline spawn(c)
{
	atomic {
		if
		:: closed || cancelled -> ended = ended | bit(c); goto refused
		:: else -> use_n(); count = count + 2
		fi
	}
	atomic { !n_lock -> use_n(); ready = ready | bit(c) }
	offer_rest();
	uncount(1);
refused:
}

/* Of the child whose turn it is; n_lock held. took: the result; it is let go of. */
inline take()
{
	took = false;
	if
	:: can_take ->
		atomic {
			c = first(ready);
			ready = ready & ~bit(c);
			assert(!(started & bit(c)));
			started = started | bit(c);
			took = true
		}
#if BUG == PLACE_UNTAKEN
		n_lock = false;
		nr_active++;
		n_lock = true;
#else
		nr_active++;
#endif
		if
		:: can_take && BUG != TAKE_SILENT -> offer()
		:: else
		fi
	:: else
	fi
}

inline run_child()
{
	atomic { use_n(); running++; assert(running <= MAX && nr_active <= MAX) }
#if BUG == PLACE_EARLY
	over();
#endif
	atomic {
		!WAITS || c != 0 || (ended & 2) ->
		use_n();
		running--;
		finished++;
		ended = ended | bit(c)
	}
#if BUG != PLACE_EARLY
	over()
#endif
}

inline over()
{
	atomic { !n_lock -> use_n(); assert(nr_active); nr_active-- }
}

inline has_some()
{
	atomic { !n_lock -> use_n(); some = can_take }
}

inline unlist_empty()
{
	atomic { use_n(); assert(in_list); count++; in_list = false }
	atomic { use_n(); listed = false }
	if
	:: BUG == LOOK_PLACELESS
	:: else -> has_some()
	fi;
	if
	:: some -> atomic {
		use_n();
		some = false;
		if
		:: !listed -> listed = true; in_list = true
		:: else
		fi
		}
	:: else
	fi;
	uncount(1)
}

proctype server(byte w)
{
	byte c, finished;
	bool took, some, woke, works, time_is_up;

end_idle:
	atomic {
		asked && (busy & (bit(w) - 1)) == bit(w) - 1 -> asked = false;
		busy = busy | bit(w);
		due = false
	}
look:	/* look_round() */
	atomic {
		!q_lock -> q_lock = true;
		in_list = in_list || incoming;
		incoming = false;
		took = false;
		if
		:: !in_list -> goto found
		:: else
		fi
	}
	/* visit() */
	atomic { !n_lock -> use_n(); n_lock = true; count++ }
	take();
	n_lock = false;
	if
	:: took
	:: else -> uncount(1); unlist_empty()
	fi;
found:
	q_lock = false;
	/* The nursery that it worked for, counted for as another worker */
	if
	:: works -> works = false; uncount(finished)
	:: else
	fi;
	finished = 0;
	if
	:: took -> took = false; works = true; finished = 1
	:: else -> goto rest_now
	fi;
work:
	run_child();
	/* The turn may be over. */
	if
	:: time_is_up = true; goto worked
	:: true
	fi;
	/* nursery_worker_take() */
	atomic { !n_lock -> use_n(); n_lock = true }
	take();
	n_lock = false;
	if
	:: took -> goto work
	:: else
	fi;
worked:
#if BUG == LEAVE_EARLY
	works = false;
	uncount(finished);
	finished = 0;
#endif
	if
	:: BUG != OVER_SILENT -> offer_rest()
	:: else
	fi;
	if
	:: time_is_up -> atomic {
		use_n();
		time_is_up = false;
		if
		:: !due && (in_list || incoming) && BUG != OVER_SILENT -> due = true; asked = true
		:: else
		fi
		}
	:: else -> goto look
	fi;
	if
	:: works -> works = false; uncount(finished)
	:: else
	fi;
rest_now:
	atomic { c = 0; finished = 0; took = false; busy = busy & ~bit(w); goto end_idle }
}

proctype owner()
{
	byte c, finished, k;
	bool took, some, woke;

	do
	:: k < CHILDREN - 1 -> spawn(k); k++
	:: else -> break
	od;
join:	/* nursery_close() */
	atomic {
		use_n();
		k = 0;
		if
		:: count != finished -> goto not_yet
		:: count == finished && listed
		:: else -> closed = true; count = 0; waiting = false; goto gone
		fi
	}
	/* nursery_queue_unlist() */
	atomic { !q_lock -> q_lock = true }
	atomic {
		if
		:: listed && count == finished
		:: else -> goto unlisted
		fi;
		in_list = in_list || incoming;
		incoming = false;
		assert(in_list);
		in_list = false
	}
	atomic {
		listed = false;
		if
		:: count == finished -> goto unlisted
		:: else
		fi
	}
	atomic {
		if
		:: !listed -> listed = true; in_list = true
		:: else
		fi
	}
unlisted:
	atomic { q_lock = false; goto join }
not_yet:
#if HELP
	atomic { !n_lock -> use_n(); n_lock = true }
	take();
	n_lock = false;
	if
	:: took ->
		took = false;
		run_child();
		goto join
	:: else
	fi;
#endif
	if
	:: finished -> uncount(finished); finished = 0; goto join
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
#if HELP && BUG != SLEEP_BLIND
	has_some();
	if
	:: some -> atomic {
		some = false;
		if
		:: waiting -> waiting = false; goto join
		:: else
		fi
		}
	:: else
	fi;
#endif
	atomic { woken -> woken = false; goto join }
gone:
	atomic {
		left = true;
		freed = true;
		assert(!ready && !running && !nr_active && !incoming && !in_list)
	}
}

proctype outsider()
{
	bool some, woke;

	spawn(CHILDREN - 1)
}

/* nursery_cancel(), or nursery_child_cancel() of child 1 */
proctype canceller()
{
	byte nr;
	bool some, woke;

	if
	:: true -> goto done
	:: true ->
		atomic {
			!n_lock ->
			if
			:: closed -> goto done
			:: else -> use_n(); n_lock = true; cancelled = true
			fi
		}
		atomic {
			do
			:: ready -> ended = ended | bit(first(ready)); ready = rest(ready); nr++
			:: else -> break
			od;
			n_lock = false
		}
	/* As long as it waits it keeps the nursery. */
	:: atomic {
			(ready & 2) && !n_lock ->
			use_n();
			ready = ready & ~2;
			ended = ended | 2;
			nr = 1;
			nr_active = nr_active - (BUG == CANCEL_PLACELESS && nr_active)
		}
		offer_rest()
	:: closed -> goto done
	fi;
	/* nursery_children_skip() */
	if
	:: nr -> uncount(nr)
	:: else
	fi;
done:
}

init {
	byte i;

	atomic {
		run owner();
		run outsider();
#if WORKERS
		for (i : 0 .. WORKERS - 1) {
			run server(i)
		}
#endif
#if CANCEL
		run canceller();
#endif
		i = 0
	}
}
