/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a caller's executor, which may go, is parted from the servers that it asked for.
 *
 * What is modelled. Two nurseries and the queue of one executor, of the kind that
 * nursery_executor_init_wq() makes. The first RUNNERS of the nurseries have another
 * executor and give this one a child; the rest use it, and the first may have two. Each
 * has an owner, who spawns, joins and, with HELP, runs or takes back what is left. When
 * both have been joined the caller frees the executor. Servers are items of a pool, which
 * stay: each is asked, comes at some time, looks, works, looks again, and goes back.
 *
 * Theory. Who has been asked refers to the executor, and who asks keeps a nursery open
 * that uses it. So when a nursery closes, its owner parts from the server that is due:
 * from then on that one finds nothing to refer to. If it looks already it is waited for. If
 * others have something in the queue they lost their server by that, so another one is
 * asked, in their name; and as they may have closed meanwhile, without having seen that
 * one, who asked looks again. Children that come one by one keep a nursery that uses
 * another executor, whose close does not part from this one: so does who runs the last
 * of them, or takes one back.
 *
 * One step is one atomic of the code, or one access, as in nursery.pml.
 *
 *   here			there
 *   exec[], asked, nr_looking	server->executor, queue->asked, queue->nr_looking
 *   first, r_lock		queue->first, queue->runners_lock
 *   left			what is in inbox and packs of a nursery
 *   kick()			nursery_queue_kick(), ask_workqueue(), starve(), send()
 *   part(), is_empty()		the same, nursery_executor_sate()
 *   starving			queue->lent, in pool.starving
 *   look_round()		the same, take_runner(), visit(), unlist_empty()
 *   server()			serve(), nursery_queue_serve(), take_first()
 *   owner()			nursery_spawn_on(), nursery_close(), nursery_queue_unlist(),
 *				nursery_queue_leave()
 *   submit(), retract()	nursery_queue_submit(), nursery_queue_retract()
 *
 * What has to hold: who touches the queue finds it (use_e); who touches a nursery finds
 * it (use_n); no child is forgotten, though with HELP=0 nobody but servers starts them
 * (no deadlock).
 *
 * What is abstracted away: memory order; what children do; workers and their slots, a
 * server has one child at a time. There are two items, so the pool may be empty: then the
 * queue gets the next one that comes back. With -DBUG=name the model has the bug of that
 * name, which spin then has to find.
 */

#ifndef RUNNERS
#define RUNNERS	0	/* nurseries whose executor is another */
#endif
#ifndef KIDS
#define KIDS	1	/* of the first nursery, if it uses the queue */
#endif
#ifndef HELP
#define HELP	3	/* a set: these have no NURSERY_NO_HELP */
#endif
#ifndef ITEMS
#define ITEMS	2
#endif
#ifndef CANCEL
#define CANCEL	0	/* who joins a nursery with another executor cancels it first */
#endif

/* The bugs. */
#define LEAVE_UNPARTED	1	/* who closes a nursery does not part */
#define PART_BLIND	2	/* who parts does not wait for those that look */
#define LOOK_LATE	3	/* a server counts itself in nr_looking when it is not asked any more */
#define PART_ONCE	4	/* who parts and asks anew does not look again */
#define PART_FORGETS	5	/* who parts does not ask anew */
#define EXECUTOR_FIRST	6	/* who asks tells the server of the queue before the queue of the server */
#define RUNNER_STAYS	7	/* a server of a child that came alone does not part */
#define RETRACT_UNPARTED 8	/* who takes a child back does not part */
#define RETRACT_LATE	9	/* ... parts while the child is in the list, and takes it out after that */
#define RETRACT_FORGETS	10	/* who has to put a child back asks nobody */
#define PART_HUNGRY	12	/* who parts does not look whether the queue waits for an item */
#define LOOK_UNLOCKED	11	/* who parts looks what is left without queue->lock */
#ifndef BUG
#define BUG	0
#endif

#define NONE	7
#define bit(n)	(1 << (n))
#define chained(n)	((n) >= RUNNERS)

/* struct nursery */
byte count[2];
byte left[2];
bool n_lock[2];
bool listed[2];
bool joined[2];
byte nr_open = 2;

/* struct nursery_queue */
bool gone;
bool q_lock, r_lock;
bool due;
byte asked = NONE;
byte nr_looking;
byte incoming, in_list;		/* sets of nurseries */
byte first;			/* a set of nurseries that each have a child there */

/* struct nursery_server */
mtype = { PARTED, ASKED, LOOKS };
mtype exec[ITEMS] = PARTED;
bool on_way[ITEMS];
bool used[ITEMS];
bool p_lock;			/* of the pool */
bool starving;			/* the queue is to get the next item that comes back */

#define use_e()		assert(!gone)
#define use_n(n)	assert(!joined[n])

inline kick()
{
	atomic {
		use_e();
		if
		:: due -> goto kicked
		:: else -> due = true
		fi
	}
	/* server_get(), or starve() */
	atomic {
		!p_lock ->
		if
		:: !used[0] -> k = 0
		:: used[0] && !used[1] -> k = 1
#if ITEMS > 2
		:: used[0] && used[1] && !used[2] -> k = 2
#endif
		:: else -> use_e(); assert(!starving); starving = true; k = 0; goto kicked
		fi;
		used[k] = true
	}
#if BUG == EXECUTOR_FIRST
	exec[k] = ASKED;
	atomic { use_e(); asked = k }
#else
	atomic { use_e(); asked = k }
	exec[k] = ASKED;
#endif
	/* queue_work() */
	atomic { use_e(); on_way[k] = true; k = 0 }
kicked:
}

/* is_empty(); none: the result */
inline is_empty()
{
	atomic { use_e(); none = !incoming }
	if
	:: none -> atomic { use_e(); none = !in_list }
	:: else
	fi;
	if
	:: none -> atomic { use_e(); none = !first }
	:: else
	fi
}

/* The same with the lock: nobody has a nursery in the hand. n_lock is held if not wait. */
inline is_empty_locked(wait)
{
#if BUG == LOOK_UNLOCKED
	is_empty();
#else
	atomic {
		if
		:: !q_lock -> use_e(); none = !incoming && !in_list && !first
		:: q_lock && !wait -> goto part_end
		fi
	}
#endif
}

/* parted: the result, if it does not wait. Where it spins it sleeps here. */
inline part(wait)
{
	parted = false;
part_again:
	/* nursery_executor_sate(), first without the lock */
	atomic { use_e(); waited = starving && BUG != PART_HUNGRY }
	if
	:: waited -> atomic { !p_lock -> use_e(); waited = starving; starving = false }
	:: else
	fi;
	if
	:: waited -> waited = false; goto nobody_due
	:: else
	fi;
	atomic { use_e(); s = asked }
	if
	:: s == NONE -> atomic {
		if
		:: nr_looking == 0 || BUG == PART_BLIND -> use_e(); parted = true; goto part_end
		:: nr_looking != 0 && BUG != PART_BLIND && !wait -> use_e(); goto part_end
		:: (asked != NONE || starving) && wait -> use_e(); goto part_again
		fi
		}
	:: else
	fi;
	/* cmpxchg() */
	atomic {
		if
		:: exec[s] == ASKED -> exec[s] = PARTED
		:: exec[s] != ASKED && !wait -> goto part_end
		:: exec[s] != ASKED && (asked != s || starving) && wait -> goto part_again
		fi
	}
nobody_due:
	atomic { use_e(); asked = NONE }
	atomic { use_e(); due = false }
	if
	:: BUG == PART_FORGETS -> parted = true; goto part_end
	:: else
	fi;
	is_empty_locked(wait);
	if
	:: none -> none = false; goto part_again
	:: else
	fi;
	kick();
	if
	:: BUG == PART_ONCE -> parted = true; goto part_end
	:: else
	fi;
	is_empty_locked(wait);
	if
	:: none -> none = false; goto part_again
	:: else -> parted = true
	fi;
part_end:
	atomic { none = false; s = 0 }
}

inline offer(m)
{
	atomic {
		use_n(m);
		if
		:: listed[m] -> goto is_listed
		:: else -> listed[m] = true
		fi
	}
	atomic { use_n(m); use_e(); incoming = incoming | bit(m) }
is_listed:
	kick()
}

inline uncount(m, nr)
{
	atomic { use_n(m); assert(count[m] >= nr); count[m] = count[m] - nr }
}

/* n: what was found */
inline look_round(n)
{
	/* take_runner() */
	atomic {
		use_e();
		n = NONE;
		if
		:: !first -> goto no_runner
		:: else
		fi
	}
	atomic {
		!r_lock -> use_e();
		if
		:: first & 1 -> n = 0
		:: !(first & 1) && first -> n = 1
		:: else -> goto no_runner
		fi;
		first = first & ~bit(n)
	}
	atomic { !n_lock[n] -> use_n(n); count[n]++ }
no_runner:
	/* take_in() */
	atomic {
		!q_lock -> use_e();
		q_lock = true;
		m = 0;
		in_list = in_list | incoming;
		incoming = 0
	}
	do
	:: n != NONE || m == 2 -> break
	:: else ->
		/* visit() */
		atomic {
			use_e();
			if
			:: in_list & bit(m) -> use_n(m)
			:: else -> goto next_one
			fi;
			if
			:: left[m] -> left[m]--; count[m]++; n = m
			:: else -> goto empty_one
			fi
		}
		if
		:: left[m] -> offer(m)
		:: else
		fi;
		goto next_one;
empty_one:	/* unlist_empty() */
		atomic { use_n(m); count[m]++; in_list = in_list & ~bit(m) }
		atomic { use_n(m); listed[m] = false }
		atomic {
			use_n(m);
			if
			:: left[m] && !listed[m] -> listed[m] = true; in_list = in_list | bit(m)
			:: else
			fi
		}
		uncount(m, 1);
next_one:
		m++
	od;
	atomic {
		use_e();
		q_lock = false;
		m = 0;
		if
		:: n != NONE && (first || (in_list & ~bit(n))) -> goto more
		:: else -> goto looked
		fi
	}
more:
	kick();
looked:
}

proctype server(byte i)
{
	byte n, next, k, m, s;
	bool none, parted, waited;

end_idle:
	atomic { on_way[i] -> on_way[i] = false }
	/* take_first() */
	atomic {
		if
		:: exec[i] == ASKED -> exec[i] = LOOKS
		:: else -> goto put
		fi
	}
#if BUG != LOOK_LATE
	atomic { use_e(); nr_looking++ }
#endif
	atomic {
		use_e();
		if
		:: asked == i -> asked = NONE
		:: else
		fi
	}
#if BUG == LOOK_LATE
	atomic { use_e(); nr_looking++ }
#endif
	atomic { use_e(); due = false }
	look_round(n);
	atomic { use_e(); nr_looking-- }
	if
	:: n == NONE -> goto put
	:: else
	fi;
work:
	/* The child ends; it is counted when the server leaves. */
	atomic {
		use_n(n);
		if
		:: left[n] -> left[n]--; count[n]--
		:: else -> goto worked
		fi
	}
	if
	:: left[n] -> offer(n)
	:: else
	fi;
	goto work;
worked:
	if
	:: look_round(next)
	/* The turn is over. */
	:: next = NONE; is_empty();
		if
		:: none -> none = false
		:: else -> kick()
		fi
	fi;
	if
	:: next == NONE && BUG != RUNNER_STAYS ->
		is_empty();
		if
		:: none -> part(true)
		:: else
		fi;
		none = false;
		parted = false
	:: else
	fi;
	/* The last child, and the server itself */
	uncount(n, 2);
	atomic {
		n = next;
		next = 0;
		if
		:: n != NONE -> goto work
		:: else
		fi
	}
put:
	/* server_put() */
	atomic {
		!p_lock ->
		n = 0;
		if
		:: starving -> use_e(); p_lock = true
		:: else -> used[i] = false; goto end_idle
		fi
	}
	/* send() */
	atomic { use_e(); asked = i }
	exec[i] = ASKED;
	atomic { use_e(); on_way[i] = true }
	atomic { use_e(); starving = false; p_lock = false; goto end_idle }
}

/* n_lock held */
inline submit(n)
{
	atomic { !r_lock -> use_e(); first = first | bit(n) }
	kick()
}

/* n_lock held; taken: the result */
inline retract(n)
{
	atomic {
		!r_lock -> use_e();
		taken = false;
		if
		:: first & bit(n) -> r_lock = true
		:: else -> goto retracted
		fi
	}
	/* A look: who looks takes it. */
	atomic {
		use_e();
		if
		:: nr_looking -> goto let_go
		:: else
		fi
	}
#if BUG == RETRACT_LATE
	part(false);
	atomic { use_e(); first = first & ~(parted -> bit(n) : 0) }
#elif BUG == RETRACT_UNPARTED
	atomic { use_e(); first = first & ~bit(n); parted = true }
#else
	atomic { use_e(); first = first & ~bit(n) }
	part(false);
#endif
	if
	:: parted -> parted = false; taken = true
	:: else ->
		atomic { use_e(); first = first | bit(n) }
		if
		:: BUG != RETRACT_FORGETS -> kick()
		:: else
		fi
	fi;
let_go:
	r_lock = false;
retracted:
}

proctype owner(byte n)
{
	byte k, s;
	bool none, parted, taken, waited;

	/* spawn_slowly(), or spawn_first() */
	if
	:: !chained(n) ->
		atomic { !n_lock[n] -> n_lock[n] = true; count[n] = 2 }
		submit(n);
		n_lock[n] = false;
		uncount(n, 1)
	:: else ->
		atomic { count[n] = 2; left[n] = 1 }
		offer(n);
		uncount(n, 1);
		if
		:: KIDS == 2 && n == 0 ->
			atomic { count[n] = count[n] + 2; left[n]++ }
			offer(n);
			uncount(n, 1)
		:: else
		fi
	fi;
	if
	:: CANCEL && !chained(n) ->
		/* mark_other() */
		atomic { !n_lock[n] -> n_lock[n] = true }
		retract(n);
		atomic { n_lock[n] = false; count[n] = count[n] - taken; taken = false }
	:: else
	fi;
join:
	atomic {
		if
		:: count[n] == 0 && listed[n] -> goto unlist
		:: count[n] == 0 && !listed[n] -> goto leave
		:: (HELP & bit(n)) && left[n] -> left[n]--; count[n]--; goto join
		:: (HELP & bit(n)) && (first & bit(n)) && !n_lock[n] -> n_lock[n] = true
		fi
	}
	retract(n);
	atomic { n_lock[n] = false; count[n] = count[n] - taken; taken = false; goto join }
unlist:	/* nursery_queue_unlist() */
	atomic { !q_lock -> use_e(); q_lock = true }
	atomic {
		if
		:: listed[n] && count[n] == 0
		:: else -> goto unlisted
		fi;
		in_list = in_list | incoming;
		incoming = 0;
		assert(in_list & bit(n));
		in_list = in_list & ~bit(n)
	}
	listed[n] = false;
unlisted:
	atomic { q_lock = false; goto join }
leave:	/* nursery_queue_leave() */
#if BUG != LEAVE_UNPARTED
	if
	:: chained(n) -> part(true)
	:: else
	fi;
#endif
	atomic {
		joined[n] = true;
		assert(count[n] == 0 && !left[n] && !(in_list & bit(n)) && !(first & bit(n)));
		nr_open--;
		gone = (nr_open == 0)
	}
}

init {
	byte i;

	atomic {
		run owner(0);
		run owner(1);
		for (i : 0 .. ITEMS - 1) {
			run server(i)
		}
		i = 0
	}
}
