/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol of spawn, workers, join and cancel, for spin.
 *
 * What is modelled. Nurseries with function children, on one queue that belongs to
 * the caller and goes with the last join; servers of that queue; owners who spawn, join
 * and, if they help, run children themselves; a canceller who may come at any time,
 * or never. Child 0 may wait for child 1, and child 1 may spawn child 2 and wait for
 * it, so a child that is not started while others wait for it is a deadlock here.
 * As many may wait at once as leave somebody to run: fewer than workers and helpers.
 *
 * One step here is one section under a lock, or one access without, in the code. A
 * section in which another lock is taken, or that others can look into, is several
 * steps with the lock held in between (n_lock, q_lock). What only narrows (a batch,
 * while nursery->lock is held) may be looked at in one step.
 *
 *   here			there
 *   n_lock, q_lock, tree_lock	nursery->lock, queue->lock, nursery_tree_lock
 *   batch, w_child, at		struct nursery_worker, in nursery->workers of "at"
 *   atomic { w_lock ... }	a section under worker->lock
 *   spawn()			nursery_spawn_on(), admit(), nursery_ready_add()
 *   offer()			nursery_queue_offer()
 *   kick(), ask()		nursery_queue_kick(), ask()
 *   take()			nursery_worker_take(), steal()
 *   left()			nursery_worker_leaves_some()
 *   run_children()		nursery_worker_run(), next_child()
 *   end_child()		nursery_child_end(), end_slowly()
 *   server(): look		look_round(), take_listed()
 *   server(): work		work_for(), then take_another()
 *   count()			nursery_worker_leave(), nursery_uncount()
 *   owner(): join		wait_for_children(), nursery_tree_del()
 *   part()			part_if_empty()
 *   canceller()		nursery_cancel(), mark_nursery(), carry_out()
 *
 * What has to hold.
 *  - Every access asserts that its object is there: a nursery until its join has
 *    returned (use_n), the queue until the last join has (use_q), a child until it is
 *    DONE (use_c): it has no done(), so whoever waited may free it then.
 *  - A child is ended once, and all that were spawned are when join returns.
 *  - No child is started after a cancel has gone through its nursery.
 *  - No deadlock: spin finds states in which nobody can go on and somebody is not at
 *    his end. This is what a lost wake-up looks like.
 *
 * What is abstracted away. Memory order: every step is seen by all at once. Which
 * child fills a chunk up: a chunk is one child, or two, or three. Work items: any number
 * of them may be on the way, WORKERS run at once. A trylock that fails is tried
 * again: here that is to wait for the lock, as a model that spins would hide a
 * deadlock. Bounds (max_active), children given one by one to another executor,
 * nursery_queue_move(), and failing children are not here; a child that fails cancels
 * from its worker while it runs, which is what the canceller may do at that time.
 * External children, handlers, and the wait for one child are in external.pml.
 *
 * Sizes are macros, see below; which were explored is in the script "check". With
 * -DBUG=name the model has the bug of that name, which spin then has to find.
 */

#ifndef NURSERIES
#define NURSERIES	1	/* each with its owner; child i is of nursery i % NURSERIES */
#endif
#ifndef CHILDREN
#define CHILDREN	3
#endif
#ifndef WORKERS
#define WORKERS		2	/* that the pool of work items has threads for, at most */
#endif
#ifndef HELP
#define HELP		1	/* 0: NURSERY_NO_HELP */
#endif
#ifndef WAITS
#define WAITS		1	/* 1: child 0 waits for child 1; 2: child 1 for child 2; 3: both */
#endif
#ifndef LATER
#define LATER		1	/* child 2 is spawned by child 1; 0: by the owner */
#endif
#ifndef CANCEL
#define CANCEL		1	/* there is a canceller */
#endif

/* The bugs. */
#define DUE_LATE	1	/* due is cleared after the look, not before */
#define WAKE_TOUCHES	2	/* who wakes the joiner touches the nursery after that */
#define SLEEP_BLIND	3	/* the joiner does not look again, under the lock, before it sleeps */
#define CHILD_LEFT	4	/* worker->child still points to a child that is being ended */
#define CANCEL_SKIPS	5	/* cancel does not take the workers' batches */
#define COUNT_EARLY	6	/* a worker counts its last children before it lets go of the queue */
#define END_TWICE	7	/* cancel ends what it leaves in a batch */
#define START_LATE	8	/* a batch is taken without starting its first child */
#define NO_HAND_OVER	9	/* who takes some of what there is asks nobody to take the rest */
#define TRYLOCK_GIVES_UP 10	/* a nursery whose lock is taken counts as empty */
#define OFFER_UNLISTED	11	/* if somebody is due, a spawn does not list the nursery */
#define NO_PARTING	12	/* the joiner does not part the server that is due from the queue */
#define CANCEL_TOUCHES	13	/* a cancel that took no children touches the nursery after its walk */
#define WAKE_LOST	14	/* the last worker counts without nursery->lock, and then wakes */
#define CLOSE_BLIND	15	/* a joiner whose nursery is not listed does not look at the queue */
#ifndef BUG
#define BUG		0
#endif

#define NONE		255
#define PENDING		254
#define ALL		(WORKERS + NURSERIES)	/* workers: servers, then helping owners */
#define bit(c)		(1 << (c))
#define home(c)		((c) % NURSERIES)

/* Sets of children are masks; the oldest is the lowest. */
#define first(set)	((set) & 1 -> 0 : ((set) & 2 -> 1 : ((set) & 4 -> 2 : NONE)))
#define rest(set)	((set) & ((set) - 1))
/* The younger half of up to three; of one, that: nursery_ring_split() */
#define younger(set)	((set) & 4 -> 4 : ((set) & 2 -> 2 : (set)))

/* struct nursery */
bool n_lock[NURSERIES];
bool closed[NURSERIES];
bool cancelled[NURSERIES];
byte nr_children[NURSERIES];
byte ready[NURSERIES];
bool listed[NURSERIES];		/* written under both locks */
bool sleeps[NURSERIES];		/* nursery->waiters has the joiner */
bool woken[NURSERIES];		/* its completion */
bool in_tree[NURSERIES];
bool freed[NURSERIES];		/* join has returned */
bool tree_lock;
bool walked;			/* the cancel has gone through nursery 0 */

/* struct nursery_queue */
bool q_lock;
bool due;
byte asked = NONE;		/* NONE, PENDING, or the server that has begun */
byte nr_joined;
bool q_freed;

/* struct nursery_worker; of a server, struct nursery_server, too */
byte at[ALL] = NONE;		/* whose nursery->workers it is in */
byte batch[ALL];
byte w_child[ALL] = NONE;
bool busy[WORKERS + 1];
bool parted[WORKERS + 1];

/* struct nursery_child */
mtype = { IDLE, QUEUED, RUNNING, DONE };
mtype phase[CHILDREN] = IDLE;
bool c_cancelled[CHILDREN];
bool refused[CHILDREN];		/* its spawn was */

#define use_n(n)	assert(!freed[n])
#define use_q()		assert(!q_freed)
#define use_c(c)	assert(phase[c] != DONE)
#define over(c)		(phase[c] == DONE || refused[c])

#define has_batch(v, w, n)	(v != w && at[v] == n && batch[v])
#if ALL == 4
#define victim(w, n)	(has_batch(3, w, n) -> 3 : (has_batch(2, w, n) -> 2 : \
			(has_batch(1, w, n) -> 1 : (has_batch(0, w, n) -> 0 : NONE))))
#elif ALL == 3
#define victim(w, n)	(has_batch(2, w, n) -> 2 : \
			(has_batch(1, w, n) -> 1 : (has_batch(0, w, n) -> 0 : NONE)))
#elif ALL == 2
#define victim(w, n)	(has_batch(1, w, n) -> 1 : (has_batch(0, w, n) -> 0 : NONE))
#else
#define victim(w, n)	NONE
#endif

#if NURSERIES == 1
#define nothing_listed	(!listed[0])
#define others_listed(n) false
#else
#define nothing_listed	(!listed[0] && !listed[1])
#define others_listed(n) (listed[1 - (n)])
#endif

/* Is there something to take, for others than w? n_lock held. */
#if BUG == NO_HAND_OVER
#define left(w, n)	(batch[w])
#else
#define left(w, n)	(batch[w] || ready[n] || victim(w, n) != NONE)
#endif

/* complete(); n_lock held */
inline wake(n)
{
	if
	:: sleeps[n] -> sleeps[n] = false; woken[n] = true
	:: else
	fi
}

/* q_lock held, nobody due */
inline ask()
{
	due = true;
	asked = PENDING
}

/* q_lock held, and s_lock for the server's side */
inline part()
{
	if
	:: nothing_listed && asked != NONE && BUG != NO_PARTING ->
		if
		:: asked != PENDING -> parted[asked] = true
		:: else
		fi;
		asked = NONE;
		due = false
	:: else
	fi
}

inline kick()
{
	atomic {
		!q_lock -> use_q();
		if
		:: !due -> ask()
		:: else
		fi
	}
}

/* n_lock held; drops it */
inline offer(n)
{
	atomic {
		use_n(n);
		if
		:: sleeps[n] && HELP -> wake(n);
			if
			:: listed[n] -> n_lock[n] = false
			:: else -> goto list_it
			fi
		/* READ_ONCE(q->due) */
#if BUG == OFFER_UNLISTED
		:: !(sleeps[n] && HELP) && due -> use_q(); n_lock[n] = false
		:: !(sleeps[n] && HELP) && !due -> goto ask_one
#else
		:: !(sleeps[n] && HELP) && listed[n] && due -> use_q(); n_lock[n] = false
		:: !(sleeps[n] && HELP) && !(listed[n] && due) -> goto ask_one
#endif
		fi
	}
	goto offered;
list_it:
	atomic {
		!q_lock -> use_q();
		listed[n] = true;
		n_lock[n] = false
	}
	goto offered;
ask_one:
	atomic {
		!q_lock -> use_q();
		listed[n] = true;
		if
		:: !due -> ask()
		:: else
		fi;
		n_lock[n] = false
	}
offered:
}

inline spawn(n, c)
{
	atomic {
		!n_lock[n] -> use_n(n);
		if
		:: closed[n] || cancelled[n] -> refused[c] = true; goto spawned
		:: else ->
			n_lock[n] = true;
			nr_children[n]++;
			phase[c] = QUEUED;
			ready[n] = ready[n] | bit(c)
		fi
	}
	offer(n);
spawned:
}

/* start(): RUNNING, under the lock of the list that it was on */
inline start(w, c)
{
	w_child[w] = c;
	if
	:: w_child[w] != NONE ->
		batch[w] = batch[w] & ~bit(w_child[w]);
		assert(phase[w_child[w]] == QUEUED);
		phase[w_child[w]] = RUNNING
	:: else
	fi
}

/* n_lock held; v: whether there were any */
inline take(w, n)
{
	v = NONE;
	if
	:: ready[n] ->
		if
		:: batch[w] = bit(first(ready[n]))
		:: rest(ready[n]) -> batch[w] = bit(first(ready[n])) | bit(first(rest(ready[n])))
		:: rest(rest(ready[n])) -> batch[w] = ready[n]
		fi;
		ready[n] = ready[n] & ~batch[w];
		v = 0
	:: else ->
		v = victim(w, n);
		if
		:: v != NONE ->
			batch[w] = younger(batch[v]);
			batch[v] = batch[v] & ~batch[w];
			v = 0
		:: else
		fi
	fi;
	if
	:: v != NONE ->
		at[w] = n;
#if BUG != START_LATE
		start(w, first(batch[w]))
#endif
	:: else
	fi
}

/* cmpxchg(&c->state, RUNNING, DONE), or if there is somebody to tell, end_slowly() */
inline end_child(n, c)
{
	atomic {
		use_c(c);
		if
		:: !c_cancelled[c] -> assert(phase[c] == RUNNING); phase[c] = DONE; c = NONE
		:: else
		fi
	}
	if
	:: c == NONE
	:: else -> atomic {
		!n_lock[n] -> use_n(n); use_c(c);
		assert(phase[c] == RUNNING);
		phase[c] = DONE;
		c_cancelled[c] = false;
		c = NONE
		}
	fi
}

/* run(): skipped if cancelled, else what children do here */
inline run_child(n, c)
{
	atomic {
		use_c(c);
		if
		:: c_cancelled[c] -> goto ran
		:: else ->
			assert(!walked || n != 0);
			if
			:: (WAITS & 1) && c == 0 -> goto wait_for_1
			:: LATER && c == 1 && CHILDREN == 3 -> goto spawn_2
			:: !LATER && c == 1 && CHILDREN == 3 && (WAITS & 2) -> goto wait_for_2
			:: else -> goto ran
			fi
		fi
	}
wait_for_1:
	over(1);
	goto ran;
spawn_2:
	spawn(n, 2);
wait_for_2:
	(!(WAITS & 2) || over(2));
ran:
}

inline run_children(w, n)
{
#if BUG == START_LATE
	atomic { start(w, first(batch[w])) }
#endif
	c = w_child[w];
	do
	:: c == NONE -> break
	:: else ->
		run_child(n, c);
#if BUG == CHILD_LEFT
		end_child(n, c); c = 0;
#endif
		/* next_child(), under w_lock */
		atomic {
			next = first(batch[w]);
			start(w, next);
			if
			:: batch[w] && !due -> use_q()
			:: else -> goto no_kick
			fi
		}
		kick();
no_kick:
#if BUG != CHILD_LEFT
		end_child(n, c);
#endif
		finished++;
		c = next;
		next = NONE
	od
}

/* n_lock held, or in one step under it */
inline uncount(n)
{
	use_n(n);
	nr_children[n] = nr_children[n] - finished;
	finished = 0;
	if
	:: nr_children[n] == 0 -> wake(n)
	:: else
	fi
}

inline count(n)
{
#if BUG == WAKE_LOST
	atomic { use_n(n); nr_children[n] = nr_children[n] - finished; finished = 0; v = nr_children[n] };
	if
	:: v == 0 -> atomic { use_n(n); wake(n) }
	:: else
	fi
#else
	atomic { !n_lock[n] -> uncount(n) }
#endif
#if BUG == WAKE_TOUCHES
	use_n(n)
#endif
}

/*
 * A work item, or a thread: nursery_queue_serve(). It has two struct nursery_worker,
 * here one, as that of the nursery that it is to leave has nothing any more.
 */
proctype server(byte w)
{
	byte n = NONE;		/* works for it */
	byte m = NONE;		/* has children of it to count */
	byte c = NONE, next = NONE, finished = 0, v = 0;
	bool is_due = false, time_is_up = false, more = false;

end_idle:
	atomic {
		/* Of those that are idle the lowest: they are all alike. */
		asked == PENDING && (w == 0 || busy[w - 1]) ->
		busy[w] = true;
		asked = w;
		is_due = true
	}
look:
	/* take_first(), take_another(): queue->lock, then trylock of a listed nursery */
	if
	:: atomic { parted[w] -> parted[w] = false; goto rest_now }
	:: atomic {
		!q_lock && !parted[w] && !time_is_up && listed[0] && !n_lock[0] ->
		q_lock = true;
		n_lock[0] = true;
		n = 0;
		goto look_at
	   }
#if NURSERIES > 1
	:: atomic {
		!q_lock && !parted[w] && !time_is_up && listed[1] && !n_lock[1] ->
		q_lock = true;
		n_lock[1] = true;
		n = 1;
		goto look_at
	   }
#endif
#if BUG == TRYLOCK_GIVES_UP
	:: atomic {
		!q_lock && !parted[w] && !time_is_up && listed[0] && n_lock[0] ->
		q_lock = true;
		goto nothing
	   }
#endif
	:: atomic {
		!q_lock && !parted[w] && !time_is_up && nothing_listed ->
		q_lock = true;
		goto nothing
	   }
	:: atomic {
		!q_lock && time_is_up -> use_q();
		if
		:: !nothing_listed && !due -> ask()
		:: else
		fi;
		part();
		goto leave
	   }
	fi;
look_at:
	atomic {
		use_q(); use_n(n);
#if BUG != DUE_LATE
		if
		:: is_due -> due = false
		:: else
		fi;
#endif
		take(w, n);
		if
		:: v == NONE ->
			listed[n] = false;
			n_lock[n] = false;
			n = NONE;
			if
			:: nothing_listed -> goto nothing
			:: else ->
				/* LOOK_AGAIN */
				due = due || is_due;
				q_lock = false;
				goto look
			fi
		:: else
		fi
	}
	atomic {
		v = 0;
		more = left(w, n);
		n_lock[n] = false
	}
	atomic {
		use_q();
		if
		:: is_due && BUG == DUE_LATE -> due = false
		:: else
		fi;
		if
		:: is_due -> asked = NONE; is_due = false
		:: else
		fi;
		if
		:: !due && (more || others_listed(n)) -> ask()
		:: else
		fi;
		more = false;
		q_lock = false;
		goto leave
	}
nothing:
	atomic {
		use_q();
		if
		:: is_due -> due = false; asked = NONE; is_due = false
		:: else
		fi;
		part();
		v = 0;
		q_lock = false
	}
leave:
	if
	:: m != NONE ->
#if BUG != COUNT_EARLY
		count(m);
#endif
		atomic {
			if
			:: n == NONE -> at[w] = NONE
			:: else
			fi;
			m = NONE
		}
	:: else
	fi;
	if
	:: n == NONE -> goto rest_now
	:: else
	fi;
work:
	run_children(w, n);
	atomic {
		!n_lock[n] -> use_n(n);
		n_lock[n] = true;
		if
		:: time_is_up = true
		:: take(w, n);
			if
			:: v == NONE
			:: else -> v = 0; goto work_took
			fi
		fi;
		v = 0;
		m = n;
		n = NONE;
		if
		:: ready[m] -> goto work_offer
		:: else -> n_lock[m] = false; goto worked
		fi
	}
work_took:
	atomic {
		if
		:: left(w, n) && !due -> use_q()
		:: else -> n_lock[n] = false; goto work
		fi
	}
	kick();
	atomic { n_lock[n] = false; goto work }
work_offer:
	offer(m);
worked:
#if BUG == COUNT_EARLY
	count(m);
#endif
	goto look;
rest_now:
	atomic { is_due = false; time_is_up = false; busy[w] = false; goto end_idle }
}

/* Who opened the nursery: spawns and joins. Last in workers if it helps. */
proctype owner(byte n)
{
	byte w = WORKERS + n;
	byte c = NONE, next = NONE, finished = 0, v = 0;

	if
	:: home(0) == n -> spawn(n, 0)
	:: else
	fi;
	if
	:: CHILDREN > 1 && home(1) == n -> spawn(n, 1)
	:: else
	fi;
	if
	:: CHILDREN > 2 && home(2) == n && !LATER -> spawn(n, 2)
	:: else
	fi;

join:	/* wait_for_children() */
	atomic {
		!n_lock[n] -> use_n(n);
		v = NONE;
		if
		:: HELP && nr_children[n] != finished -> take(w, n)
		:: else
		fi;
		if
		:: v != NONE ->
			v = 0;
			n_lock[n] = true;
			goto join_took
		:: else ->
			v = 0;
			at[w] = NONE;
			uncount(n);
			if
			:: nr_children[n] == 0 -> goto close
			:: else
			fi;
#if BUG == SLEEP_BLIND
			goto blind
#else
			sleeps[n] = true
#endif
		fi
	}
asleep:
	atomic { woken[n] -> woken[n] = false; goto join }
#if BUG == SLEEP_BLIND
blind:
	atomic { !n_lock[n] -> sleeps[n] = true; goto asleep }
#endif
join_took:
	atomic {
		if
		:: left(w, n) && !due -> use_q()
		:: else -> n_lock[n] = false; goto join_run
		fi
	}
	kick();
	n_lock[n] = false;
join_run:
	run_children(w, n);
	goto join;
close:
	atomic {
		closed[n] = true;
#if BUG == CLOSE_BLIND
		if
		:: !listed[n] -> goto leave_tree
		:: else
		fi;
#endif
		n_lock[n] = true
	}
	/* Listed or not: a server may have taken it off and still be at the queue */
	atomic {
		!q_lock -> use_q();
		listed[n] = false;
		part();
		n_lock[n] = false
	}
leave_tree:
	atomic {
		!tree_lock ->
		in_tree[n] = false;
		freed[n] = true;
		nr_joined++;
		q_freed = (nr_joined == NURSERIES);
		assert(nr_children[n] == 0 && !ready[n]);
		assert(home(0) != n || over(0));
#if CHILDREN > 1
		assert(home(1) != n || over(1));
#endif
#if CHILDREN > 2
		assert(home(2) != n || over(2) || phase[2] == IDLE)
#endif
	}
}

/* Of nursery 0: from above, by a deadline, or from a child. */
proctype canceller()
{
	byte mine = 0, w = 0;
	bool some = false;

	atomic {
		!tree_lock ->
		if
		:: in_tree[0] -> tree_lock = true
		:: goto done	/* no cancel, so that it hides no deadlock */
		fi
	}
	/* mark_nursery() */
	atomic {
		!n_lock[0] -> use_n(0);
		if
		:: closed[0] -> tree_lock = false; goto done
		:: else ->
			n_lock[0] = true;
			cancelled[0] = true
		fi
	}
	do
	:: atomic {
		/* mark_worker(), under w_lock */
		do
		:: w < ALL && at[w] != 0 -> w++
		:: else -> break
		od;
		if
		:: w < ALL ->
			if
			:: w_child[w] != NONE -> use_c(w_child[w]); c_cancelled[w_child[w]] = true
			:: else
			fi;
#if BUG != CANCEL_SKIPS
			mine = mine | batch[w];
#endif
#if BUG != CANCEL_SKIPS && BUG != END_TWICE
			batch[w] = 0;
#endif
			w++
		:: else ->
			mine = mine | ready[0];
			ready[0] = 0;
			walked = true;
			n_lock[0] = false;
			tree_lock = false;
			goto carry_out
		fi
	   }
	od;
carry_out:
	/* end_unstarted(): rings of one */
	do
	:: mine == 0 -> break
	:: else ->
		atomic {
			w = first(mine);
			mine = mine & ~bit(w);
			use_c(w);
			assert(phase[w] == QUEUED);
			phase[w] = DONE;
			w = 0;
			some = true
		}
		atomic {
			!n_lock[0] -> use_n(0);
			nr_children[0]--;
			if
			:: nr_children[0] == 0 -> wake(0)
			:: else
			fi
		}
	od;
	if
	:: BUG == CANCEL_TOUCHES && !some -> use_n(0)
	:: else
	fi;
done:
	atomic { w = 0; some = false }
}

init {
	byte i;

	atomic {
		for (i : 0 .. NURSERIES - 1) {
			in_tree[i] = true;
			run owner(i)
		}
#if WORKERS
		for (i : 0 .. WORKERS - 1) {
			run server(i)
		}
#endif
#if CANCEL
		run canceller()
#endif
	}
}
