/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol of spawn, workers, join and cancel, for spin.
 *
 * What is modelled. A nursery with function children, on a queue of the module; servers
 * of that queue; the owner, who spawns, joins and, if it helps, runs children itself; an
 * outsider, such as an interrupt, that spawns a child when it likes; a canceller who
 * may come at any time, or never. Child 0 may wait for child 1, and child 1 may spawn
 * child 2 and wait for it, so a child that is not started while others wait for it is a
 * deadlock here. As many may wait at once as leave somebody to run: fewer than workers
 * and helpers. With WORKERS=0 the pool is saturated: who was asked never comes. With BLOCK
 * no child ever returns, as if all waited for what comes later: then each is to be
 * started, if need be by a server more than there are. With JOIN_ONE the owner joins one
 * child alone, before it joins the nursery.
 *
 * One step here is one atomic of the code, or one plain access, or what is done under a
 * lock and seen by nobody without it. Two of these are one step where the first alone
 * changes nothing for others: a look that is followed by an xchg() of what it looked
 * at, a cmpxchg that fails and is tried again.
 *
 *   here			there
 *   count, cancelled, closed,	nursery->state
 *   waiting, listed, held, spread
 *   n_lock, q_lock, tree_lock	nursery->lock, lane->lock, nursery_tree_lock
 *   next, end, running, r_held	worker->range
 *   slots, linked		worker->slots, worker->node in nursery->workers
 *   incoming, in_list, nr	lane->incoming, lane->nurseries, lane->nr
 *   spawn()			nursery_spawn_on(), child_count_in(),
 *				nursery_ready_push_behind(),
 *				spawn_first()
 *   offer(), kick()		nursery_offer(), enlist(), nursery_queue_kick()
 *   uncount()			nursery_uncount()
 *   take_ready(), steal(), take()	the same, nursery_ready_grab(), nursery_worker_take()
 *   has_some(), unlist_empty()	the same, nursery_ready_any(), nursery_workers_have_some()
 *   step(), run_children()	step(), nursery_worker_run(), give_back()
 *   end_child()		nursery_child_end(), skip(), end_slowly(),
 *				nursery_child_finish()
 *   child_join()		nursery_child_join(), nursery_child_hold(),
 *				nursery_child_take(), nursery_child_run_here(),
 *				nursery_worker_give()
 *   server()			nursery_queue_serve(), take_first(), look_round(), visit()
 *   owner(): join		wait_for_children(), nursery_close(), nursery_queue_unlist(), sleep()
 *   canceller()		mark_nursery(), mark_worker(), carry_out()
 *
 * What has to hold.
 *  - Every access asserts that its object is there: a nursery until its join has
 *    returned (use_n), the joiner's stack until it has left its loop (use_w), a child until
 *    it is DONE (use_c): it has no done(), so whoever waited may free it then.
 *  - A child is started once at most and ended once, and all that were spawned are
 *    when the nursery closes.
 *  - Who joins a child alone goes on when it is DONE, and not before.
 *  - No function is begun after a cancel has gone through its nursery.
 *  - No deadlock: spin finds states in which nobody can go on and somebody is not at
 *    his end. This is what a lost wake-up looks like. With BLOCK: where nobody can go on,
 *    no child is left to be started, or somebody is asked and finds the nursery listed.
 *
 * What is abstracted away. Memory order: every step is seen by all at once. Packs: they
 * are one set, and what of it somebody puts back is put back at once. Work items: of
 * those that were asked for one is on the way and WORKERS run at once; where they come
 * from, is not here; how they are parted from a queue that goes, is in part.pml. A server
 * has two struct nursery_worker, here one: that of the nursery that it is to leave has
 * nothing any more. Servers are alike, so of those that are idle the lowest comes.
 * Children given one by one to another executor, and failing children are not
 * here; a child that fails cancels from its worker while it runs, which is what the
 * canceller may do at that time. Bounds (max_active) are in bound.pml, joiners without
 * stack in stand_in.pml, external children, handlers, and the end of a child that
 * somebody is interested in in external.pml.
 *
 * Sizes are macros, see below; which were explored is in the script "check". With
 * -DBUG=name the model has the bug of that name, which spin then has to find.
 */

#ifndef CHILDREN
#define CHILDREN	2
#endif
#ifndef CHUNK
#define CHUNK		2	/* NURSERY_CHUNK */
#endif
#ifndef WORKERS
#define WORKERS		1	/* that the pool of work items has threads for, at most */
#endif
#ifndef HELP
#define HELP		1	/* 0: NURSERY_NO_HELP */
#endif
#ifndef WAITS
#define WAITS		1	/* 1: child 0 waits for child 1; 2: child 1 for child 2; 3: both */
#endif
#ifndef LAST
#define LAST		0	/* the last child is spawned by: 0 the owner, 1 child 1, 2 the outsider */
#endif
#ifndef CANCEL
#define CANCEL		1	/* there is a canceller */
#endif
#ifndef TURN
#define TURN		0	/* a server's turn may be over */
#endif
#ifndef JOIN_ONE
#define JOIN_ONE	0	/* the owner joins child 0 (1) or child 1 (2) alone, before it joins */
#endif
#ifndef BLOCK
#define BLOCK		0	/* no child returns, so each has to be started by a server of its own */
#endif

/* The bugs. */
#define WORKER_UNCOUNTED 1	/* a worker does not count itself */
#define UNLIST_BLIND	2	/* nursery_queue_unlist() does not look at LISTED again */
#define SPAWN_UNCOUNTED	3	/* a spawn does not count itself */
#define DUE_LATE	4	/* due is cleared after the look, not before */
#define WAKE_LATE	5	/* who counts to zero does not take WAITING in the same step */
#define HELD_IGNORED	6	/* a worker goes on although HELD is set in its range */
#define LOOK_EARLY	7	/* a worker looks for CANCELLED before it shows what it took */
#define UNLIST_EMPTY_BLIND 8	/* unlist_empty() does not look again */
#define UNLIST_UNCOUNTED 9	/* unlist_empty() does not count meanwhile */
#define CANCEL_SKIPS	10	/* cancel does not take what is in slots */
#define JOINER_LEAVES	11	/* the joiner does not look whether its stack is HELD */
#define SLEEP_BLIND	12	/* the joiner does not look again when it has set WAITING */
#define TAKE_SILENT	13	/* who takes several children offers nothing */
#define SLOTS_UNHELD	14	/* who takes out of the slots of others lets the range go first */
#define JOINER_UNLISTS	15	/* nursery_queue_unlist() does not look for children again */
#define END_EARLY	16	/* a child is ended before it is taken out of the range */
#define GATE_OPEN	18	/* count_in() does not refuse on CLOSED */
#define UNLIST_SPAWNED	19	/* nursery_queue_unlist() does not look whether a spawner is counted */
#define SINGLE_KEEPS_QUIET 20	/* who takes one child does not look whether others have some left */
#define GIVE_STEALABLE	21	/* nursery_worker_give() shows the child as not started */
#define SPREAD_LATE	22	/* a thief looks at the slots, and clears SPREAD after that */
#define RETAKE_SILENT	23	/* who takes one child out and puts others back offers nothing */
#define END_UNHELD	24	/* the end of a child does not look at CHILD_HELD */
#define NR_LATE		25	/* take_in() empties the one list before it counts in the other */
#define NR_EARLY	26	/* nursery_queue_unlist() counts out before it looks for children again */
#ifndef BUG
#define BUG		0
#endif

#define NONE		7
#define JOINER		WORKERS		/* its struct nursery_worker */
#define HERE		(WORKERS + 1)	/* that of who joins one child and runs it */
#if JOIN_ONE
#define ALL		(WORKERS + 2)
#else
#define ALL		(WORKERS + 1)
#endif
#define bit(c)		(1 << (c))
#define first(set)	((set) & 1 -> 0 : ((set) & 2 -> 1 : ((set) & 4 -> 2 : 3)))
#define rest(set)	((set) & ((set) - 1))
#define slot(w, i)	slots[(w) * CHUNK + (i)]

/* nursery->state */
byte count;
bool cancelled, closed, waiting, listed, held, spread;

/* struct nursery */
bool n_lock;
byte inbox, packs;		/* sets of children */
bool joiner;
bool woken;			/* the completion that it sleeps on */
bool tree_lock;
bool in_tree = true;
bool freed;			/* join has returned */
bool left;			/* the joiner's loop */
bool walked;			/* the cancel has gone through */

/* Servers that are not idle. They are alike, so the lowest idle one comes. */
byte busy;

/* struct nursery_queue */
bool q_lock;
bool incoming, in_list;
byte nr;
bool due;
bool asked;			/* somebody is on the way */

/* struct nursery_worker */
byte next[ALL];
byte end[ALL];
byte slots[ALL * CHUNK];
bool running[ALL];
bool r_held[ALL];
bool linked[ALL];

/* struct nursery_child */
mtype = { IDLE, LIVE, DONE };
mtype phase[CHILDREN] = IDLE;
bool c_cancelled[CHILDREN];
#if JOIN_ONE
bool c_held, waited;		/* of the child that is joined alone */
bool told;			/* the completion that who joins it sleeps on */
#endif
bool refused[CHILDREN];		/* its spawn was */
byte started;

#define use_n()		assert(!freed)
#define use_w(w)	assert(w == JOINER -> !left : linked[w])
#define use_c(c)	assert(phase[c] != DONE)
#define over(c)		(phase[c] == DONE || refused[c])
#if JOIN_ONE
#define held_by_joiner(c)	(c == JOIN_ONE - 1 && c_held)
#define told_of(c)		(c == JOIN_ONE - 1 && (c_held || waited))
#else
#define held_by_joiner(c)	false
#define told_of(c)		false
#endif

/* nursery_queue_kick() */
inline kick()
{
	atomic {
		if
		:: !due -> due = true; asked = true
		:: else
		fi
	}
}

/* complete(&n->joiner->wake) */
inline complete()
{
	atomic { use_n(); use_w(JOINER); assert(!woken); woken = true }
}

inline uncount(nr)
{
	atomic {
		use_n();
		assert(count >= nr);
		count = count - nr;
		if
#if BUG == WAKE_LATE
		:: count == 0
#else
		:: count == 0 && waiting -> waiting = false
#endif
		:: else -> goto uncounted
		fi
	}
#if BUG == WAKE_LATE
	atomic {
		use_n();
		if
		:: waiting -> waiting = false
		:: else -> goto uncounted
		fi
	}
#endif
	complete();
uncounted:
}

inline offer()
{
	atomic {
		use_n();
		saw_listed = listed;
		woke = false;
		if
		:: waiting && HELP
		:: else -> goto no_wake
		fi
	}
	/* nursery_wake_joiner() */
	atomic {
		use_n();
		if
		:: waiting -> waiting = false; woke = true
		:: else -> goto no_wake
		fi
	}
	complete();
no_wake:
	if
	:: !saw_listed ->
		/* enlist() */
		atomic {
			use_n();
			if
			:: listed -> goto is_listed
			:: else -> listed = true
			fi
		}
		atomic { use_n(); assert(!incoming && !in_list); incoming = true }
	:: else
	fi;
is_listed:
	atomic {
		saw_listed = false;
		if
		:: woke -> woke = false; goto offered
		:: else
		fi
	}
	kick();
offered:
}

inline spawn(c)
{
	/* count_in() */
	atomic {
		/* The outsider may find it closed, and then the memory is there yet. */
		if
		:: (closed && BUG != GATE_OPEN) || cancelled -> refused[c] = true; goto spawned
		:: else -> use_n(); count++; phase[c] = LIVE
		fi
	}
	/* nursery_ready_push_behind(), or spawn_first(), which counts itself */
	atomic {
		use_n();
		if
		:: inbox -> inbox = inbox | bit(c); goto spawned
		:: else -> count = count + (BUG != SPAWN_UNCOUNTED)
		fi
	}
	atomic { use_n(); inbox = inbox | bit(c) }
	offer();
#if BUG != SPAWN_UNCOUNTED
	uncount(1);
#endif
spawned:
}

/* What is in the slots of w, from next to end */
inline collect_slots(w, from, to)
{
	i = from;
	do
	:: i < to -> mine = mine | bit(slot(w, i)); i++
	:: else -> break
	od;
	i = 0
}

/* From nursery_ready_grab() */
inline fill(w, set)
{
	mine = set;
	set = 0;
	i = 0;
	do
	:: mine && i < CHUNK -> slot(w, i) = first(mine); mine = rest(mine); i++
	:: else -> break
	od;
	took = true
}

/* spread(): it is set, or is set now. */
inline set_spread()
{
	atomic { use_n(); spread = true }
}

inline take_ready(w)
{
	atomic {
		use_n();
		if
		:: packs -> fill(w, packs); goto grabbed
		:: else
		fi
	}
	atomic {
		use_n();
		if
		:: inbox -> fill(w, inbox)
		:: else -> goto taken
		fi
	}
grabbed:
#if BUG == LOOK_EARLY
	atomic { use_n(); looked = cancelled };
#endif
	if
	:: mine -> atomic { use_n(); packs = packs | mine; mine = 0 }
	:: else
	fi;
	/* show() */
	atomic {
		next[w] = 0;
		end[w] = i;
		running[w] = false;
		r_held[w] = false;
		i = 0;
		if
		:: BUG == TAKE_SILENT -> goto taken
		:: end[w] > 1
		:: else -> goto single
		fi
	}
	set_spread();
	goto several;
single:	/* nursery_ready_any() */
	atomic {
		use_n();
		if
		:: inbox -> goto several
		:: else
		fi
	}
	atomic {
		use_n();
		if
		:: packs -> goto several
		:: !packs && BUG == SINGLE_KEEPS_QUIET -> goto taken
		:: else
		fi
	}
	atomic {
		use_n();
		if
		:: !spread -> goto taken
		:: else
		fi
	}
several:
	offer();
taken:
}

/* n_lock held */
inline steal(w)
{
	atomic {
		use_n();
		if
		:: spread -> spread = (BUG == SPREAD_LATE); v = ALL
		:: else -> goto stolen
		fi
	}
	do
	:: v == 0 -> break
	:: else -> atomic {
		v--;
		if
		:: v == w -> goto no_victim
		:: v != JOINER && v != w -> if :: linked[v] :: else -> goto no_victim fi
		/* nursery_look_at_joiner() */
		:: v == JOINER && v != w ->
			use_n();
			if
			:: joiner && !closed -> held = true
			:: else -> goto no_victim
			fi
		fi;
		use_w(v);
		if
		:: end[v] - next[v] > 0 ->
			i = (end[v] - next[v] + 1) / 2;
			end[v] = end[v] - i;
			from = end[v];
			r_held[v] = (BUG != SLOTS_UNHELD)
		:: else -> goto no_victim
		fi
		}
		/* memcpy() */
		atomic {
			next[w] = 0;
			do
			:: next[w] < i -> slot(w, next[w]) = slot(v, from + next[w]); next[w]++
			:: else -> break
			od;
			next[w] = 0;
			from = 0
		}
#if BUG != SLOTS_UNHELD
		atomic { use_w(v); r_held[v] = false };
#endif
		/* show() */
		atomic {
			next[w] = 0;
			end[w] = i;
			running[w] = false;
			r_held[w] = false;
			i = 0;
			v = 0;
			took = true
		}
		set_spread();
		offer();
		break;
no_victim:
		skip
	od;
#if BUG == SPREAD_LATE
	if
	:: !took -> atomic { use_n(); spread = false }
	:: else
	fi;
#endif
stolen:
}

/* nursery_worker_take(); locked: from visit(), nursery_worker_take_locked() */
inline take(w)
{
	took = false;
	if
	:: !locked ->
		take_ready(w);
		if
		:: took -> goto take_end
		:: else
		fi;
		atomic {
			use_n();
			if
			:: !spread -> goto take_end
			:: else
			fi
		}
		atomic { !n_lock -> n_lock = true }
	:: else
	fi;
	take_ready(w);
	if
	:: !took -> steal(w)
	:: else
	fi;
	if
	:: !locked -> n_lock = false
	:: else
	fi;
take_end:
}

/* nursery_ready_any(). some: the result */
inline ready_any()
{
	atomic {
		use_n();
		some = false;
		if
		:: inbox -> some = true; goto any_known
		:: else
		fi
	}
	atomic { use_n(); some = (packs != 0) }
any_known:
}

/* Is there something to take? That of queue.c first looks at SPREAD without the lock. */
inline has_some(in_queue)
{
	ready_any();
	if
	:: some -> goto looked_at
	:: else
	fi;
	if
	:: in_queue -> atomic {
		use_n();
		if
		:: !spread -> goto looked_at
		:: else
		fi
		}
	:: else
	fi;
	/* nursery_workers_have_some() */
	atomic {
		!n_lock -> use_n();
		if
		:: !spread -> goto looked_at
		:: else -> n_lock = true; v = ALL
		fi
	}
	do
	:: v == 0 -> break
	:: else -> atomic {
		v--;
		if
		:: v == JOINER -> use_n(); if :: joiner && !closed -> held = true :: else -> goto not_there fi
		:: v != JOINER && linked[v]
		:: v != JOINER && !linked[v] -> goto not_there
		fi;
		use_w(v);
		if
		:: next[v] != end[v] -> some = true; v = 0
		:: else
		fi;
not_there:
		skip
	   }
	od;
	n_lock = false;
looked_at:
}

/* q_lock held */
inline take_in()
{
	if
	:: incoming ->
#if BUG != NR_LATE
		nr++;
#endif
		incoming = false;
#if BUG == NR_LATE
		nr++;
#endif
		in_list = true
	:: else
	fi
}

/* q_lock held */
inline unlist_empty()
{
#if BUG == UNLIST_UNCOUNTED
	atomic { use_n(); assert(in_list); in_list = false }
#else
	atomic { use_n(); assert(in_list); count++; in_list = false }
#endif
	atomic { use_n(); listed = false }
#if BUG != UNLIST_EMPTY_BLIND
	has_some(true);
	if
	:: some -> atomic {
		use_n();
		some = false;
		if
		:: !listed -> listed = true; in_list = true; goto relisted
		:: else
		fi
		}
	:: else
	fi;
#endif
	nr--;
relisted:
#if BUG != UNLIST_UNCOUNTED
	uncount(1)
#else
	skip
#endif
}

/* nursery_child_end() or skip(), then end_slowly() or the rest of skip() */
inline end_child(c)
{
	atomic {
		use_c(c);
		assert(phase[c] == LIVE);
		if
		:: !c_cancelled[c] && !told_of(c) -> phase[c] = DONE; goto ended
		:: else
		fi
	}
	/* nursery_child_finish(); while the child is held the lock is dropped and taken again. */
	atomic {
		!n_lock && (!held_by_joiner(c) || BUG == END_UNHELD) -> use_n();
		use_c(c);
		phase[c] = DONE
#if JOIN_ONE
		;
		if
		:: c == JOIN_ONE - 1 && waited -> waited = false; assert(!told); told = true
		:: else
		fi
#endif
	}
ended:
}

inline step(w, c)
{
	atomic {
		/* wait_for_holder(): who sets HELD clears it before he drops nursery->lock. */
		!r_held[w] || BUG == HELD_IGNORED ->
		r_held[w] = false;
		if
		:: next[w] == end[w] ->
			running[w] = false;
			next[w] = 0;
			end[w] = 0;
			c = NONE;
			goto stepped
		:: else ->
			c = slot(w, next[w]);
			next[w]++;
			running[w] = true;
			assert(phase[c] == LIVE && !(started & bit(c)));
			started = started | bit(c)
		fi
	}
stepped:
}

/* run(): skipped if cancelled, else what children do here */
inline run_child(c)
{
	atomic {
		use_c(c);
		if
		:: c_cancelled[c] -> goto ran
		:: else ->
			assert(!walked);
			if
			:: BLOCK -> goto end_blocked
			:: !BLOCK && (WAITS & 1) && c == 0 -> goto wait_for_1
			:: !BLOCK && LAST == 1 && c == 1 -> goto spawn_last
			:: !BLOCK && LAST != 1 && c == 1 && (WAITS & 2) -> goto wait_for_last
			:: else -> goto ran
			fi
		fi
	}
end_blocked:
	(!BLOCK);
wait_for_1:
	over(1);
	goto ran;
spawn_last:
#if LAST == 1
	spawn(CHILDREN - 1);
#endif
wait_for_last:
	(!(WAITS & 2) || over(CHILDREN - 1));
ran:
}

inline run_children(w)
{
#if BUG == LOOK_EARLY
	if
	:: !looked -> goto start
	:: else -> looked = false
	fi;
#else
	atomic {
		use_n();
		if
		:: !cancelled -> goto start
		:: else
		fi
	}
#endif
	/* nursery_worker_disown(), of itself; nursery_children_skip() */
	atomic { collect_slots(w, next[w], end[w]); end[w] = next[w] }
	do
	:: mine ->
		atomic { c = first(mine); mine = rest(mine) }
		end_child(c);
		finished++
	:: else -> break
	od;
	if
	:: one != NONE -> atomic { use_c(one); c_cancelled[one] = true }
	:: else
	fi;
start:
	if
	:: one != NONE -> c = one; one = NONE
	:: else -> step(w, c)
	fi;
	do
	:: c == NONE -> break
	:: else ->
		run_child(c);
#if TURN
		if
		:: skip
		:: w != JOINER ->
			/* give_back() */
			time_is_up = true;
			atomic { collect_slots(w, next[w], end[w]); end[w] = next[w] }
			if
			:: mine ->
				atomic { use_n(); packs = packs | mine; mine = 0 }
				offer()
			:: else
			fi
		fi;
#endif
#if BUG == END_EARLY
		end_child(c);
		step(w, c2);
#else
		step(w, c2);
		end_child(c);
#endif
		atomic { finished++; c = c2; c2 = 0 }
	od;
	c = 0
}

/*
 * A work item, or a thread
 */
proctype server(byte w)
{
	byte c, c2, i, v, from, mine, finished, before;
	bool took, some, saw_listed, woke, locked, works, time_is_up;
	byte one = NONE;
#if BUG == LOOK_EARLY
	bool looked;
#endif

end_idle:
	/* take_first() */
	atomic {
		asked && (busy & (bit(w) - 1)) == bit(w) - 1 -> asked = false;
		busy = busy | bit(w);
#if BUG != DUE_LATE
		due = false
#endif
	}
look:	/* look_round(), lane_is_empty() */
	atomic {
		took = false;
		if
		:: incoming -> goto look_at_lane
		:: else
		fi
	}
	atomic {
		if
		:: !nr -> goto looked_at_all
		:: else
		fi
	}
look_at_lane:
	atomic { !q_lock -> q_lock = true }
	take_in();
	if
	:: !in_list -> goto found
	:: else
	fi;
	/* visit(): the same look as in has_some() */
	ready_any();
	if
	:: !some -> atomic {
		use_n();
		if
		:: !spread -> goto nothing
		:: else
		fi
		}
	:: else -> some = false
	fi;
	atomic {
		!n_lock -> use_n();
		n_lock = true;
		locked = true;
		linked[w] = true
#if BUG != WORKER_UNCOUNTED
		;
		count++
#endif
	}
	take(w);
	locked = false;
	if
	:: took -> n_lock = false
	:: else ->
		/* If it still works for the nursery, its other worker is linked. */
		atomic { linked[w] = works; n_lock = false };
#if BUG != WORKER_UNCOUNTED
		uncount(1);
#endif
nothing:
		unlist_empty()
	fi;
found:
	q_lock = false;
looked_at_all:
	atomic {
#if BUG == DUE_LATE
		if
		:: !works -> due = false
		:: else
		fi;
#endif
		if
		:: works -> goto leave
		:: !works && took -> goto work
		:: else -> goto rest_now
		fi
	}
leave:
	/* nursery_worker_leave() */
	atomic {
		!n_lock -> use_n();
		linked[w] = took;
		works = false;
		before = finished;
		finished = 0
	}
	if
	:: before -> uncount(before); before = 0
	:: else
	fi;
	if
	:: !took -> goto rest_now
	:: else
	fi;
work:
	atomic {
		finished = (BUG != WORKER_UNCOUNTED);
		works = true;
		took = false
	}
work_on:
	run_children(w);
#if TURN
	if
	:: time_is_up -> goto worked
	:: else
	fi;
#endif
	take(w);
	if
	:: took -> took = false; goto work_on
	:: else
	fi;
worked:
	/* nursery_offer_rest() */
	atomic {
		use_n();
		if
		:: inbox -> goto some_left
		:: else
		fi
	}
	atomic {
		use_n();
		if
		:: !packs -> goto none_left
		:: else
		fi
	}
some_left:
	offer();
none_left:
#if TURN
	if
	:: time_is_up ->
		if
		:: nr || incoming -> kick()
		:: else
		fi;
		took = false;
		goto leave
	:: else
	fi;
#endif
	goto look;
rest_now:
	atomic {
		works = false;
		took = false;
		some = false;
		time_is_up = false;
		busy = busy & ~bit(w);
		goto end_idle
	}
}

#if JOIN_ONE
/* nursery_ready_remove() or take_from_workers(): is c in mine? */
inline found_in_mine(c)
{
	if
	:: mine & bit(c) -> mine = mine & ~bit(c); took = true
	:: else
	fi
}

inline offer_rest()
{
	ready_any();
	if
	:: some && BUG != RETAKE_SILENT -> some = false; offer()
	:: else
	fi
}

/* nursery_child_join(), of a child that does not run here */
inline child_join(c)
{
	/* nursery_child_hold() */
	atomic {
		took = false;
		if
		:: phase[c] == DONE || refused[c] -> goto joined
		:: else -> c_held = true
		fi
	}
	atomic { !n_lock -> use_n(); n_lock = true }
	/* nursery_child_take(): nursery_ready_remove() */
	atomic { use_n(); mine = packs; packs = 0 }
	atomic { use_n(); mine = mine | inbox; inbox = 0; found_in_mine(c) }
	if
	:: mine -> atomic { use_n(); packs = packs | mine; mine = 0 }
	:: else
	fi;
	if
	:: !took -> v = WORKERS
	:: else
	fi;
	/* take_from_workers(). Who joins one child is the joiner later on: that is not there. */
	do
	:: v == 0 -> break
	:: else ->
		atomic {
			v--;
			if
			:: linked[v] && next[v] != end[v] ->
				from = next[v];
				i = end[v];
				end[v] = next[v];
				r_held[v] = true
			:: else -> goto not_in_it
			fi
		}
		atomic { to = i; collect_slots(v, from, to); from = 0; to = 0 }
		atomic { use_w(v); r_held[v] = false; found_in_mine(c) }
		if
		:: mine -> atomic { use_n(); packs = packs | mine; mine = 0 }
		:: else
		fi;
		if
		:: took -> v = 0
		:: else
		fi;
not_in_it:
		skip
	od;
	if
	:: took -> n_lock = false; goto take_it
	:: else
	fi;
	atomic { use_c(c); waited = true }
	n_lock = false;
	offer_rest();
	atomic { use_c(c); c_held = false }
#if BLOCK
end_joining:
#endif
	atomic { told -> told = false; goto joined }
take_it:
	took = false;
	offer_rest();
	atomic { use_c(c); c_held = false }
	/* nursery_child_run_here(): nursery_worker_add(), nursery_worker_give() */
	atomic {
		!n_lock -> use_n();
		n_lock = true;
		count++;
		finished = 1;
		linked[HERE] = true
	}
	atomic {
		use_c(c);
		assert(phase[c] == LIVE);
		slot(HERE, 0) = c;
		end[HERE] = 1;
#if BUG != GIVE_STEALABLE
		next[HERE] = 1;
		running[HERE] = true;
		assert(!(started & bit(c)));
		started = started | bit(c);
		one = c;
#endif
		n_lock = false
	}
	run_children(HERE);
	offer_rest();
	/* nursery_worker_leave() */
	atomic { !n_lock -> use_n(); linked[HERE] = false }
	uncount(finished);
	finished = 0;
joined:
	assert(phase[c] == DONE || refused[c])
}
#endif

/* Who opened the nursery: spawns and joins. */
proctype owner()
{
	byte c, c2, i, v, from, to, mine, finished;
	bool took, some, saw_listed, woke, locked, time_is_up;
	byte one = NONE;		/* what nursery_worker_give() gave */
#if BUG == LOOK_EARLY
	bool looked;
#endif

	spawn(0);
#if CHILDREN > 2 || (CHILDREN == 2 && LAST == 0)
	spawn(1);
#endif
#if CHILDREN > 3 || (CHILDREN == 3 && LAST == 0)
	spawn(2);
#endif
#if CHILDREN > 3 && LAST == 0
	spawn(3);
#endif
#if JOIN_ONE
	child_join(JOIN_ONE - 1);
#endif
#if BLOCK && !HELP
	/* It would sleep for good. */
	goto done;
#endif
	joiner = true;

join:	/* nursery_close() */
	atomic {
		use_n();
		took = false;
		some = false;
		if
		:: count != finished -> goto not_yet
		:: count == finished && listed -> goto unlist
		:: count == finished && !listed && held && BUG != JOINER_LEAVES -> goto stack_held
		:: else -> count = 0; closed = true; waiting = false; held = false; goto gone
		fi
	}
stack_held:
	atomic { !n_lock -> held = false; goto join }
unlist:	/* nursery_queue_unlist() */
	atomic { !q_lock -> q_lock = true }
	/* First the look, then take_in(): who set LISTED and is not counted has pushed. */
	if
#if BUG == UNLIST_BLIND
	:: skip
#elif BUG == UNLIST_SPAWNED
	:: listed
#else
	:: listed && count == finished
#endif
	:: else -> goto unlisted
	fi;
	take_in();
	atomic { assert(in_list); in_list = false }
#if BUG == NR_EARLY
	nr--;
#endif
	/* The count at the moment at which LISTED is cleared */
	atomic {
		listed = false;
		if
		:: count == finished || BUG == JOINER_UNLISTS -> goto count_out
		:: else
		fi
	}
	atomic {
		if
		:: !listed -> listed = true; in_list = true; goto unlisted
		:: else
		fi
	}
count_out:
#if BUG != NR_EARLY
	nr--;
#endif
unlisted:
	atomic { q_lock = false; goto join }
not_yet:
#if HELP
	take(JOINER);
	if
	:: took ->
		took = false;
		run_children(JOINER);
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
	has_some(false);
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
#if BLOCK
end_asleep:
#endif
	atomic { woken -> woken = false; goto join }
gone:
	atomic { joiner = false; left = true }
	/* nursery_tree_del() */
	atomic {
		!tree_lock ->
		in_tree = false;
		freed = true;
		assert(count == 0 && !inbox && !packs && !incoming && !in_list);
		assert(phase[0] != LIVE);
		assert(phase[CHILDREN - 1] != LIVE);
		assert(phase[CHILDREN / 2] != LIVE)
	}
done:
}

proctype outsider()
{
	bool saw_listed, woke;

	spawn(CHILDREN - 1)
}

/* From above, by a deadline, or from a child. */
proctype canceller()
{
	byte mine, v, i, from, to, finished;
	byte c;

	atomic {
		!tree_lock ->
		if
		:: in_tree -> tree_lock = true
		:: goto done	/* no cancel, so that it hides no deadlock */
		fi
	}
	/* mark_nursery() */
	atomic { !n_lock -> use_n(); n_lock = true }
	atomic {
		if
		:: closed -> n_lock = false; tree_lock = false; goto done
		:: else -> cancelled = true; v = ALL
		fi
	}
	do
	:: v == 0 -> break
	:: else ->
		atomic {
			v--;
			if
			:: v == JOINER && joiner && !closed -> held = true
			:: v != JOINER && linked[v]
			:: else -> goto marked
			fi
		}
		/* mark_worker(): nursery_worker_disown() */
#if BUG != CANCEL_SKIPS
		atomic {
			use_w(v);
			if
			:: next[v] != end[v] ->
				from = next[v];
				to = end[v];
				end[v] = next[v];
				r_held[v] = (BUG != SLOTS_UNHELD)
			:: else -> goto disowned
			fi
		}
		atomic { collect_slots(v, from, to); from = 0; to = 0 }
		atomic { use_w(v); r_held[v] = false };
disowned:
#endif
		/* nursery_worker_hold() */
		atomic {
			use_w(v);
			if
			:: running[v] -> r_held[v] = true; c = slot(v, next[v] - 1)
			:: else -> goto marked
			fi
		}
		/* mark_running() */
		atomic { use_c(c); c_cancelled[c] = true; c = 0 }
		atomic { use_w(v); r_held[v] = false };
marked:
		skip
	od;
	do
	:: atomic { packs -> use_n(); mine = mine | packs; packs = 0 }
	:: atomic { !packs && inbox -> use_n(); mine = mine | inbox; inbox = 0 }
	:: atomic { !packs && !inbox -> break }
	od;
	atomic { n_lock = false; tree_lock = false; walked = true }
	/* carry_out(): nursery_children_skip() */
	do
	:: mine ->
		atomic { c = first(mine); mine = rest(mine) }
		end_child(c);
		atomic { c = 0; finished++ }
	:: else -> break
	od;
	if
	:: finished -> uncount(finished); finished = 0
	:: else
	fi;
done:
}

#if BLOCK
/* Nobody can go on, for children that do not return: then all have been started. */
proctype watch()
{
end_watch:
	timeout ->
	assert(started == bit(CHILDREN) - 1 || asked && (incoming || in_list))
}
#endif

init {
	byte i;

	atomic {
		run owner();
#if WORKERS
		for (i : 0 .. WORKERS - 1) {
			run server(i)
		}
#endif
#if LAST == 2
		run outsider();
#endif
#if CANCEL
		run canceller();
#endif
#if BLOCK
		run watch();
#endif
		i = 0
	}
}
