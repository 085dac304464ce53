/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a child, when there is somebody to tell: holds, pins, handlers, waiters.
 *
 * What is modelled. A nursery with a function child, F, and an external one, X. F is
 * what a driver has: it begins X, registers a cancel handler for it, starts the
 * hardware, and waits for X alone, after which the memory of X is gone. Then it sleeps
 * in nursery_sleep(), with a cancel handler on its stack. X is completed by the
 * hardware's interrupt or, if it stops the hardware first, by the handler. The
 * owner spawns F, may wait for F alone, after which the memory of F is gone, and joins. A
 * canceller may come at any time, or never, and cancels the nursery, or just F, or just
 * X. Some time after he has cancelled the nursery its grace is over. From then on the
 * interrupt may not come any more; then F has the hardware stopped, by the nursery's quiesce
 * function, and abandons X. A server runs F, or the joiner; or who waits for it takes it, and as he has no room on
 * his stack a thread runs it, to which it is given. How children come to workers is in
 * nursery.pml, how a thread is asked for in stand_in.pml.
 *
 * One step is one atomic of the code, one access, or what is done under a lock and
 * seen by nobody without it.
 *
 *   here			there
 *   n_lock, tree_lock		nursery->lock, nursery_tree_lock
 *   phase, marked, waited, held	child->state: its phase, NURSERY_CHILD_CANCELLED,
 *				CHILD_WAITED, CHILD_HELD
 *   slot, running, r_held	worker->range: F is to be started, or runs, RANGE_HELD
 *   hold(), child_join(), take()	nursery_child_hold(), nursery_child_join(),
 *				nursery_child_take()
 *   on_cancel(), off_cancel()	nursery_on_cancel(), nursery_off_cancel()
 *   call_handler()		the same, nursery_child_unpin()
 *   finish(), end_external()	nursery_child_finish(), nursery_child_end_external()
 *   complete()			nursery_child_complete(), nursery_child_unpin()
 *   worker()			nursery_worker_take(), nursery_worker_give(),
 *				nursery_worker_run(), nursery_child_end(), end_quickly(),
 *				end_slowly()
 *   owner(): join		wait_for_children(), nursery_close()
 *   joiner_held		nursery->state: NURSERY_HELD
 *   canceller()		nursery_cancel(), mark_worker(), mark_running(), carry_out(),
 *				nursery_child_cancel(), mark_child(), mark_other()
 *   grace(), look_again()	nursery_stuck_expire(), nursery_look_again()
 *   abandon()			nursery_child_is_stuck(), nursery_child_abandon(), and the
 *				driver's quiesce function
 *
 * Theory. Who holds a child keeps it from becoming DONE, and so keeps its memory and its
 * nursery. A hold is short: to tell the end that somebody waits, or to collect the
 * handlers, each of which then pins the child by itself. RANGE_HELD does the same for who
 * comes from the nursery and not from the child: the worker stays in its step. A function
 * child ends without the lock once it has no pin, so who drops that has it as the last
 * access to the child, and has to keep the nursery until he drops the lock: whoever ran the
 * child takes it before he leaves. The joiner does, as who collected the handler has set
 * NURSERY_HELD.
 *
 * What has to hold: every access asserts that its object is there. A nursery is, until
 * its join has returned (use_n); a child until it is DONE (use_c), as then whoever
 * waited may free it; a handler until off_cancel() has returned, or with its
 * external child (use_h). A child is ended once. Nobody waits for ever (no deadlock).
 * Once a cancel has gone through the nursery no function is begun, and no hardware is
 * started that nobody stops.
 *
 * What is abstracted away: memory order, every step is seen by all at once;
 * results; done(), which is called where DONE is set here, by the same; the joiner's
 * sleep; the look whether the child runs here; that who has room runs it himself, which is
 * in nursery.pml. With -DBUG=name the model has the bug of that name, which spin then has
 * to find.
 */

/* The bugs. */
#define HANDLER_UNPINNED 1	/* a collected handler does not pin its child */
#define OFF_RETURNS	2	/* off_cancel() does not wait for a running handler */
#define COMPLETED_TWICE	3	/* interrupt and handler do not agree on who completes */
#define WAITED_TORN	4	/* child_join() looks at the phase, and sets WAITED after that */
#define RELEASE_EARLY	5	/* child_join() lets go of the child before it has said that it waits */
#define END_DEAF	6	/* the end of a function child does not look at WAITED */
#define END_PINNED	7	/* ... does not wait for a running handler */
#define UNPIN_TOUCHES	8	/* who has dropped a pin that was not the last looks at the child */
#define END_UNHELD	9	/* the end of a function child does not look at HELD */
#define EXTERNAL_UNHELD	10	/* that of an external one does not */
#define RANGE_UNHELD	11	/* who marks what a worker runs does not set HELD in its range */
#define GIVEN_DEAF	12	/* who runs what was given to him does not look for the cancel */
#define BEGIN_DEAF	13	/* begin() does not look for a cancel that came meanwhile */
#define SKIP_DEAF	14	/* the end of a child that was not started does not look at WAITED */
#define LAST_PIN_TOUCHES 16	/* who has dropped the last pin of a function child looks at it */
#define QUIESCE_UNSYNCED 17	/* the quiesce function does not wait for an interrupt that runs */
#define QUIESCE_KEEPS	18	/* ... and leaves X where the next one finds it */
#define ABANDON_BLIND	19	/* who abandons does not look whether somebody has completed it */
#define GRACE_SILENT	20	/* who waits for X is not told that the grace is over */
#define LOOK_SILENT	21	/* ... nor that a handler of it has returned since */
#ifndef BUG
#define BUG		0
#endif

#define F	0
#define X	1

#define SERVER	0
#define THREAD	1
#define JOINER	2

/* struct nursery */
bool n_lock;
bool closed;
bool cancelled;
byte count;
byte joiner_ended;		/* of which the joiner ended */
bool ready;			/* F is in inbox or packs */
bool others;			/* has X */
bool in_tree = true;
bool freed;
bool tree_lock;
bool walked;			/* the cancel has gone through */

/* struct nursery_worker */
bool linked[3];
bool slot[3];			/* F is in it */
bool running[3];		/* it is F */
bool r_held[3];

bool stand_in;			/* F waits for the thread */
bool joiner_runs;		/* it runs F */
bool joiner_held;		/* NURSERY_HELD */

/* struct nursery_child */
mtype = { IDLE, LIVE, EXTERNAL, ENDING, DONE };
mtype phase[2] = IDLE;
bool marked[2];
bool waited[2];
bool held[2];
byte pins[2];
bool waits[2];			/* nursery->waiters has who is in child_join() */
bool told[2];
bool waits_for_pins;		/* ... has the worker of F */
bool no_pins;

/* struct nursery_cancel_handler */
mtype = { OFF, ON, CALLED };
mtype handler[2] = OFF;
bool off_waits;			/* nursery->waiters has F in off_cancel() */
bool off_woken;
bool stack_gone;		/* that of nursery_sleep() */

bool hardware;			/* runs; the pointer that who completes has to take */
bool in_irq;			/* the interrupt has taken it */
bool stuck;			/* the grace is over */
bool look;			/* who waits for X is to look */
bool kicked;			/* F's sleep is over */

#define use_n()		assert(!freed)
#define use_c(c)	assert(phase[c] != DONE)
#define use_h(c)	assert(c == F -> !stack_gone : phase[X] != DONE)

inline uncount(nr)
{
	atomic { use_n(); assert(count >= nr); count = count - nr }
}

/* Of c's state, with nobody holding it; n_lock held. The last access to the child */
inline finish(c)
{
	use_c(c);
	assert(pins[c] == 0 || BUG == END_PINNED);
	phase[c] = DONE;
	if
	:: waited[c] && waits[c] -> waits[c] = false; told[c] = true
	:: else
	fi
}

inline end_external()
{
	atomic { !n_lock -> use_n(); use_c(X); others = false }
	/* While X is held the lock is dropped and taken again. */
	atomic { !n_lock && (!held[X] || BUG == EXTERNAL_UNHELD) -> use_n(); finish(X) }
	uncount(1)
}

inline complete_unpin()
{
	atomic {
		!n_lock -> use_n(); use_c(X);
		pins[X]--;
		if
		:: pins[X] == 0 -> goto last_pin
		:: else
		fi
	}
#if BUG == UNPIN_TOUCHES
	use_c(X);
#endif
	goto unpinned;
last_pin:
	end_external();
unpinned:
}

inline complete()
{
	/* cmpxchg() */
	atomic {
		use_c(X);
		if
		:: phase[X] == EXTERNAL || BUG == COMPLETED_TWICE ->
			assert(phase[X] == EXTERNAL);
			phase[X] = ENDING
		:: else -> assert(stuck); goto not_heard
		fi
	}
	complete_unpin();
not_heard:
}

/* n_lock held */
inline look_again()
{
	if
	:: stuck && waits[X] -> waits[X] = false; look = true
	:: else
	fi
}

/* What the driver's handler does for X, and nursery_sleep()'s for F */
inline handle(c)
{
	if
	:: c == F -> use_h(F); kicked = true
	:: c == X ->
		/* xchg() of the pointer to X: stop the hardware, or leave it to the interrupt */
		atomic {
			use_h(X);
			if
			:: !hardware -> goto left_alone
			:: else -> hardware = (BUG == COMPLETED_TWICE)
			fi
		}
		complete();
left_alone:
	fi
}

/* Without its pin F may end, though the lock is held yet. */
inline call_handler(c)
{
	handle(c);
	atomic { !n_lock -> use_n(); use_h(c); n_lock = true }
	atomic {
		use_n(); use_h(c);
		handler[c] = OFF;
		if
		:: c == F && off_waits -> off_waits = false; off_woken = true
		:: else
		fi
	}
	/* nursery_child_unpin() */
	last = false;
	atomic {
#if BUG != HANDLER_UNPINNED
		use_n(); use_c(c);
		pins[c]--;
#endif
		last = (pins[c] == 0 && c == X && BUG != HANDLER_UNPINNED);
		if
		:: c == X && !last && BUG != LOOK_SILENT -> look_again()
		:: else
		fi
	}
#if BUG == LAST_PIN_TOUCHES
	use_c(c);
#endif
	atomic {
		if
		:: c == F && pins[F] == 0 && waits_for_pins -> waits_for_pins = false; no_pins = true
		:: else
		fi
	}
	atomic { use_n(); n_lock = false }
	if
	:: last -> last = false; end_external()
	:: else
	fi
}

inline pin(c)
{
	pins[c] = pins[c] + (BUG != HANDLER_UNPINNED)
}

/* mark_running(); n_lock held */
inline collect(c)
{
	use_c(c);
	marked[c] = true;
	if
	:: handler[c] == ON ->
		use_h(c);
		handler[c] = CALLED;
		pin(c);
		if
		:: c == F -> call_f = true
		:: else -> call_x = true
		fi
	:: else
	fi
}

/* Goes on at "gone" if there is nothing to hold. */
inline hold(c)
{
	atomic {
		if
		:: phase[c] == DONE || phase[c] == IDLE -> goto gone
		:: phase[c] != DONE && phase[c] != IDLE && !held[c] -> held[c] = true
		fi
	}
}

/* Of F; n_lock held, F held. taken: the result */
inline take()
{
	/* nursery_ready_remove() */
	atomic {
		use_n();
		if
		:: ready -> ready = false; taken = true; goto took
		:: else
		fi
	}
	/* take_from_workers() */
	atomic {
		if
		:: linked[SERVER] && slot[SERVER] ->
			slot[SERVER] = false;
			r_held[SERVER] = true;
			taken = true
		:: else -> goto look_at_joiner
		fi
	}
	atomic { assert(linked[SERVER]); r_held[SERVER] = false; goto took }
look_at_joiner:
	atomic {
		if
		:: linked[JOINER] && !closed -> joiner_held = true
		:: else -> goto took
		fi
	}
	atomic {
		if
		:: slot[JOINER] -> slot[JOINER] = false; r_held[JOINER] = true; taken = true
		:: else -> goto took
		fi
	}
	atomic { assert(linked[JOINER]); r_held[JOINER] = false }
took:
}

/* X has not completed, though it was asked to; n_lock held, and X. Goes on at "again". */
inline abandon()
{
	atomic { count++; held[X] = false; n_lock = false }
	/* The quiesce function: the next interrupt finds nothing, and this one is over. */
	if
	:: BUG != QUIESCE_KEEPS -> hardware = false
	:: else
	fi;
	if
	:: !in_irq
	:: BUG == QUIESCE_UNSYNCED
	fi;
	atomic {
		!n_lock -> use_n();
		if
		:: phase[X] == EXTERNAL || BUG == ABANDON_BLIND -> phase[X] = ENDING
		:: else -> goto abandoned
		fi
	}
	complete_unpin();
abandoned:
	uncount(1)
}

/* c has not started or runs; not from its worker */
inline child_join(c)
{
	skip;
again:
#if BUG == WAITED_TORN
	if
	:: phase[c] == DONE -> goto gone
	:: else
	fi;
	atomic { !n_lock -> waited[c] = true; waits[c] = true }
#else
	hold(c);
	atomic { !n_lock -> use_n(); use_c(c); n_lock = true }
	if
	:: c == F -> take()
	:: else
	fi;
#if BUG == RELEASE_EARLY
	held[c] = false;
#endif
	if
	:: c == X && stuck && phase[X] == EXTERNAL && handler[X] != ON && pins[X] == 1 ->
		abandon();
		goto again
	:: else
	fi;
	atomic { use_c(c); waited[c] = true; waits[c] = true; n_lock = false }
	if
	:: taken -> atomic { taken = false; stand_in = true }
	:: else
	fi;
#if BUG != RELEASE_EARLY
	atomic { use_c(c); held[c] = false };
#endif
#endif
	if
	:: told[c]
	:: atomic { c == X && look -> look = false; goto again }
	fi;
gone:
}

/* F was not started, and never will. */
inline skip_f()
{
	atomic {
		use_c(F);
		assert(phase[F] == LIVE);
		if
		:: !marked[F] && !held[F] && (!waited[F] || BUG == SKIP_DEAF) ->
			phase[F] = DONE;
			goto skipped
		:: else -> marked[F] = true
		fi
	}
	atomic { !n_lock && !held[F] -> use_n(); finish(F) }
skipped:
}

proctype worker(byte w)
{
	bool taken, last;

	if
	:: w == THREAD -> goto end_idle_thread
	:: w == JOINER -> goto end_idle_joiner
	:: else
	fi;
end_idle:
	/* nursery_worker_add() */
	atomic { !n_lock && ready -> use_n(); linked[SERVER] = true; count++ }
	/* take_ready(): the list is taken, then shown. */
	atomic {
		if
		:: ready -> ready = false
		:: else -> goto leave
		fi
	}
	slot[SERVER] = true;
	/* nursery_worker_run() */
	atomic {
		use_n();
		if
		:: !cancelled -> goto step
		:: else
		fi
	}
	/* disown(), of itself */
	atomic {
		if
		:: slot[SERVER] -> slot[SERVER] = false
		:: else -> goto step
		fi
	}
	skip_f();
	uncount(1);
step:	/* RANGE_HELD: until it is let go of */
	atomic {
		!r_held[SERVER] ->
		if
		:: slot[SERVER] -> slot[SERVER] = false; running[SERVER] = true; goto run_f
		:: else -> goto leave
		fi
	}
end_idle_joiner:	/* The same, on the stack of the joiner, who is linked while he joins */
	atomic { joiner_runs -> slot[JOINER] = true }
	atomic {
		use_n();
		if
		:: !cancelled -> goto step_joiner
		:: else
		fi
	}
	atomic {
		if
		:: slot[JOINER] -> slot[JOINER] = false
		:: else -> goto step_joiner
		fi
	}
	skip_f();
	atomic { joiner_ended = 1; goto step_joiner }
step_joiner:
	atomic {
		!r_held[JOINER] ->
		if
		:: slot[JOINER] -> slot[JOINER] = false; running[JOINER] = true; goto run_f
		:: else -> joiner_runs = false; goto end_over
		fi
	}
end_idle_thread:
	atomic { stand_in && !n_lock -> use_n(); stand_in = false; linked[THREAD] = true; count++ }
	/* nursery_worker_give() */
	atomic { use_c(F); assert(phase[F] == LIVE); running[THREAD] = true }
	if
	:: BUG == GIVEN_DEAF -> goto run_f
	:: else
	fi;
	atomic {
		use_n();
		if
		:: cancelled
		:: else -> goto run_f
		fi
	}
	atomic { use_c(F); marked[F] = true }
run_f:
	atomic {
		use_c(F);
		if
		:: marked[F] -> goto end_f
		:: else -> assert(!walked)
		fi
	}
	/* nursery_child_begin() */
	atomic {
		use_n();
		if
		:: cancelled -> goto sleep_f
		:: else -> count++; phase[X] = EXTERNAL
		fi
	}
	atomic {
		!n_lock -> use_n(); use_c(X);
		pins[X] = 1;
		others = true;
		marked[X] = marked[X] || (cancelled && BUG != BEGIN_DEAF)
	}
	/* nursery_on_cancel() */
	atomic {
		!n_lock -> use_n(); use_c(X);
		if
		:: !marked[X] -> assert(!walked); handler[X] = ON; goto start_hardware
		:: else -> handler[X] = CALLED; pin(X)
		fi
	}
	call_handler(X);
	complete();
	goto sleep_f;
start_hardware:
	hardware = true;
	child_join(X);
sleep_f:
	atomic {
		!n_lock -> use_n(); use_c(F);
		if
		:: !marked[F] -> handler[F] = ON; goto asleep
		:: else -> handler[F] = CALLED; pin(F)
		fi
	}
	call_handler(F);
asleep:
	/* Until woken, or for a time */
	if
	:: kicked
	:: true
	fi;
	/* nursery_off_cancel(): first a look without the lock */
	if
	:: handler[F] == OFF -> goto is_off
	:: else
	fi;
	atomic {
		!n_lock -> use_n(); use_h(F);
		if
		:: handler[F] == CALLED && BUG != OFF_RETURNS -> off_waits = true
		:: else -> handler[F] = OFF; goto is_off
		fi
	}
	off_woken;
is_off:
	stack_gone = true;
end_f:	/* step(): it is taken out, then ended. */
	atomic { !r_held[w] -> running[w] = false }
	/* end_quickly(): it says that it was cancelled, or succeeded. */
	if
	:: atomic { marked[F] -> use_c(F); assert(handler[F] != ON) }
		atomic {
			use_c(F);
			if
			:: pins[F] && BUG != END_PINNED -> goto end_slowly_f
			:: else
			fi
		}
		atomic {
			use_c(F);
			if
			:: (!held[F] || BUG == END_UNHELD) && (!waited[F] || BUG == END_DEAF) ->
				assert(phase[F] == LIVE);
				phase[F] = DONE;
				goto count_f
			:: else -> goto end_slowly_f
			fi
		}
	:: true
	fi;
	atomic {
		use_c(F);
		if
		:: handler[F] == OFF && !marked[F] && (!held[F] || BUG == END_UNHELD) &&
		   (!waited[F] || BUG == END_DEAF) ->
			assert(phase[F] == LIVE);
			phase[F] = DONE;
			goto count_f
		:: else
		fi
	}
end_slowly_f:
	atomic {
		!n_lock -> use_n(); use_c(F);
		if
		:: pins[F] && BUG != END_PINNED -> waits_for_pins = true
		:: (!pins[F] || BUG == END_PINNED) && held[F] && BUG != END_UNHELD -> goto held_f
		:: else -> finish(F); goto count_f
		fi
	}
	no_pins;
	atomic { no_pins = false; goto end_slowly_f }
held_f:
	atomic { !held[F] -> goto end_slowly_f }
count_f:
	if
	:: w == JOINER -> atomic { joiner_ended = 1; joiner_runs = false; goto end_over }
	:: else
	fi;
	uncount(1);
leave:	/* nursery_worker_leave() */
	atomic { !n_lock -> use_n(); linked[w] = false }
	uncount(1);
	if
	:: w == SERVER -> goto end_idle
	:: else
	fi;
end_over:
}

proctype interrupt()
{
end_no_interrupt:
	atomic {
		if
		:: hardware -> hardware = false; in_irq = true
		:: hardware && stuck && BUG != QUIESCE_KEEPS -> goto lost_interrupt
		fi
	}
	complete();
	in_irq = false;
lost_interrupt:
}

proctype grace()
{
end_no_cancel:
	/* The timer keeps the nursery, or finds it closed. */
	atomic {
		walked && (!n_lock || closed) ->
		if
		:: closed || freed -> goto over
		:: else -> stuck = true
		fi;
		if
		:: BUG != GRACE_SILENT -> look_again()
		:: else
		fi
	}
over:
}

proctype owner()
{
	bool taken;

	/* nursery_spawn() */
	atomic {
		use_n();
		if
		:: cancelled -> goto join
		:: else -> count++; phase[F] = LIVE
		fi
	}
	ready = true;
	if
	:: child_join(F)
	:: true
	fi;
join:
	linked[JOINER] = true;
help_or_close:
	atomic {
		!joiner_runs ->
		if
		:: count == joiner_ended && joiner_held -> goto take_lock
		:: count == joiner_ended && !joiner_held -> count = 0; closed = true; goto leave_tree
		:: ready -> use_n(); ready = false; joiner_runs = true; goto help_or_close
		/* Counted down, before it sleeps */
		:: joiner_ended && count > joiner_ended -> count = count - joiner_ended; joiner_ended = 0; goto help_or_close
		fi
	}
take_lock:
	atomic { !n_lock -> joiner_held = false; goto help_or_close }
leave_tree:
	linked[JOINER] = false;
	atomic {
		!tree_lock ->
		in_tree = false;
		freed = true;
		assert(phase[F] == IDLE || phase[F] == DONE);
		assert(phase[X] == IDLE || phase[X] == DONE)
	}
}

/* From above, by a deadline, from a child, or by who knows just this child. */
proctype canceller()
{
	bool call_f, call_x, taken, last;
	byte v;

	if
	:: true -> goto cancel_nursery
	:: true -> goto cancel_f
	:: true -> goto cancel_x
	:: true -> goto done	/* no cancel, so that it hides no deadlock */
	fi;
cancel_nursery:
	atomic {
		!tree_lock ->
		if
		:: in_tree -> tree_lock = true
		:: else -> goto done
		fi
	}
	atomic {
		!n_lock -> use_n();
		if
		:: closed -> tree_lock = false; goto done
		:: else -> n_lock = true; cancelled = true
		fi
	}
	do
	:: v == 3 -> break
	:: else ->
		/* nursery_look_at_joiner() */
		if
		:: v == JOINER -> atomic { joiner_held = joiner_held || linked[v] && !closed }
		:: else
		fi;
		/* mark_worker() */
		atomic {
			if
			:: v == JOINER && closed -> goto marked_worker
			:: else
			fi;
			if
			:: linked[v] && slot[v] -> slot[v] = false; r_held[v] = true; taken = true
			:: linked[v] && !slot[v] -> goto look_at_running
			:: else -> goto marked_worker
			fi
		}
		atomic { assert(linked[v]); r_held[v] = false }
look_at_running:
		atomic {
			if
			:: running[v] -> r_held[v] = (BUG != RANGE_UNHELD)
			:: else -> goto marked_worker
			fi
		}
		collect(F);
		atomic { assert(linked[v]); r_held[v] = false }
marked_worker:
		v++
	od;
	atomic {
		if
		:: others && phase[X] == EXTERNAL -> collect(X)
		:: else
		fi
	}
	atomic {
		taken = taken || ready;
		ready = false;
		n_lock = false;
		tree_lock = false;
		walked = true
	}
	goto carry_out;
cancel_f:
	hold(F);
	atomic { !tree_lock -> tree_lock = true }
	atomic { !n_lock -> use_n(); n_lock = true }
	take();
	if
	:: taken -> goto let_go_of_f
	:: else
	fi;
	atomic { use_c(F); marked[F] = true }
	do
	:: v == 3 -> break
	:: else ->
		if
		:: v == JOINER -> atomic { joiner_held = joiner_held || linked[v] && !closed }
		:: else
		fi;
		atomic {
			if
			:: linked[v] && running[v] -> r_held[v] = true
			:: else -> goto not_it
			fi
		}
		collect(F);
		atomic { assert(linked[v]); r_held[v] = false }
not_it:
		v++
	od;
let_go_of_f:
	atomic { n_lock = false; tree_lock = false }
	atomic { use_c(F); held[F] = false; goto carry_out }
cancel_x:
	hold(X);
	atomic { !tree_lock -> tree_lock = true }
	atomic {
		!n_lock -> use_n();
		if
		:: phase[X] == EXTERNAL -> collect(X)
		:: else
		fi;
		tree_lock = false
	}
	atomic { use_c(X); held[X] = false }
carry_out:
	if
	:: call_x -> call_handler(X)
	:: else
	fi;
	if
	:: call_f -> call_handler(F)
	:: else
	fi;
	if
	:: taken ->
		skip_f();
		uncount(1)
	:: else
	fi;
gone:
done:
}

init {
	atomic {
		run owner();
		run worker(SERVER);
		run worker(THREAD);
		run worker(JOINER);
		run interrupt();
		run grace();
		run canceller()
	}
}
