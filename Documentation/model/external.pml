/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a child, when there is somebody to tell: pins, handlers, waiters.
 *
 * What is modelled. A nursery with a function child, F, and an external one, X. F is
 * what a driver has: it begins X, registers a cancel handler for it, starts the
 * hardware, and waits for X alone, after which the memory of X is gone. Then it sleeps
 * in nursery_sleep(), with a cancel handler on its stack. X is completed by the
 * hardware's interrupt or, if it stops the hardware first, by the handler. The
 * owner spawns F, waits for F alone, after which the memory of F is gone, and joins. A
 * canceller may come at any time, or never. A worker runs F, at once or from
 * its batch. How children come to workers is in nursery.pml.
 *
 * One step here is one section under a lock, or one access without, in the code.
 *
 *   here			there
 *   n_lock, w_lock, tree_lock	nursery->lock, worker->lock, nursery_tree_lock
 *   phase, marked, waited	child->state: its phase, NURSERY_CHILD_CANCELLED, CHILD_WAITED
 *   on_cancel(), off_cancel()	nursery_on_cancel(), nursery_off_cancel()
 *   call_handler(), unpin()	the same with nursery_ in front, or not
 *   end_external(), finish()	end_external(), finish_locked()
 *   complete()			nursery_child_complete()
 *   child_join()		nursery_child_join()
 *   worker(): start, end	start(); next_child(), nursery_child_end(), end_slowly()
 *   canceller()		mark_nursery(), mark_worker(), mark_running(), carry_out()
 *
 * What has to hold: every access asserts that its object is there. A nursery is, until
 * its join has returned (use_n); a child until it is DONE (use_c), as then whoever
 * waited may free it; a handler until off_cancel() has returned, or with its
 * external child (use_h). A child is ended once. Nobody waits for ever (no deadlock).
 *
 * Older than the code: worker->lock and its batch stand for worker->range and its slots,
 * and nursery_child_hold() is the lock in child_join().
 *
 * What is abstracted away: memory order, every step is seen by all at once;
 * results; done(), which is called where DONE is set here, by the same; the helping
 * in child_join().
 *
 * With -DBUG=name the model has the bug of that name, which spin then has to find.
 */

/* The bugs. */
#define HANDLER_UNPINNED 1	/* a collected handler does not pin its child */
#define OFF_RETURNS	2	/* off_cancel() does not wait for a running handler */
#define COMPLETED_TWICE	3	/* interrupt and handler do not agree on who completes */
#define WAITED_TORN	4	/* child_join() looks at the phase, and sets WAITED after that */
#define WAITED_IN_BATCH	5	/* child_join() sets WAITED while the child is in a batch */
#define END_DEAF	6	/* the end of a function child does not look at WAITED */
#define END_PINNED	7	/* ... does not wait for a running handler */
#define UNPIN_TOUCHES	8	/* who has dropped a pin that was not the last looks at the child */
#ifndef BUG
#define BUG		0
#endif

#define F	0
#define X	1

/* struct nursery */
bool n_lock;
bool closed;
bool cancelled;
byte nr_children;
bool ready;			/* F is in it */
bool sleeps;			/* ->waiters has the joiner */
bool woken;
bool in_tree = true;
bool freed;
bool tree_lock;

/* struct nursery_worker */
bool w_lock;
bool batch;			/* F is in it */
bool w_child;			/* it is F */

/* struct nursery_child */
mtype = { IDLE, QUEUED, RUNNING, ENDING, DONE };
mtype phase[2] = IDLE;
bool marked[2];
bool waited[2];
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
bool kicked;			/* F's sleep is over */

#define use_n()		assert(!freed)
#define use_c(c)	assert(phase[c] != DONE)
#define use_h(c)	assert(c == F -> !stack_gone : phase[X] != DONE)

/* n_lock held */
inline uncount()
{
	use_n();
	nr_children--;
	if
	:: nr_children == 0 && sleeps -> sleeps = false; woken = true
	:: else
	fi
}

/* n_lock held; the last access to the child */
inline finish(c)
{
	use_c(c);
	assert(pins[c] == 0 || BUG == END_PINNED);
	phase[c] = DONE;
	if
	:: waits[c] -> waits[c] = false; told[c] = true
	:: else
	fi
}

inline end_external()
{
	atomic {
		!n_lock -> use_n();
		finish(X);
		uncount()
	}
}

inline unpin(c)
{
	atomic {
		!n_lock -> use_n(); use_c(c);
		pins[c]--;
		if
		:: pins[c] == 0 && c == X -> goto last_pin
		:: pins[c] == 0 && c == F && waits_for_pins -> waits_for_pins = false; no_pins = true
		:: else
		fi
	}
#if BUG == UNPIN_TOUCHES
	use_c(c);
#endif
	goto unpinned;
last_pin:
	end_external();
unpinned:
}

inline complete()
{
	/* cmpxchg() */
	atomic { use_c(X); assert(phase[X] == RUNNING); phase[X] = ENDING }
	unpin(X)
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

inline call_handler(c)
{
	handle(c);
	atomic {
		!n_lock -> use_n(); use_h(c);
		handler[c] = OFF;
		if
		:: c == F && off_waits -> off_waits = false; off_woken = true
		:: else
		fi
	}
#if BUG != HANDLER_UNPINNED
	unpin(c)
#endif
}

inline pin(c)
{
	pins[c] = pins[c] + (BUG != HANDLER_UNPINNED)
}

/* n_lock held */
inline collect(c)
{
	use_c(c);
	marked[c] = true;
	if
	:: handler[c] == ON ->
		use_h(c);
		handler[c] = CALLED;
		pin(c)
	:: else
	fi
}

/* c has not started or runs; not from its worker */
inline child_join(c)
{
	atomic {
		!n_lock -> use_n();
		n_lock = true
	}
#if BUG != WAITED_IN_BATCH
	/* leave_to_threads(), nursery_unqueue() */
	atomic {
		!w_lock ->
		if
		:: c == F && batch -> batch = false; ready = true
		:: else
		fi
	}
#endif
	/* atomic_fetch_or(): the end of a function child comes without n_lock */
#if BUG == WAITED_TORN
	if
	:: phase[c] == DONE -> n_lock = false; goto joined
	:: else
	fi;
	atomic { waited[c] = true; waits[c] = true; n_lock = false }
#else
	atomic {
		n_lock = false;
		if
		:: phase[c] == DONE -> goto joined
		:: else -> waited[c] = true; waits[c] = true
		fi
	}
#endif
	told[c];
joined:
}

proctype worker()
{
	bool old_waited, old_marked;

end_look:
	atomic {
		!n_lock && ready -> use_n();
		ready = false;
		if
		/* Under n_lock nobody sets a flag meanwhile. */
		:: phase[F] = RUNNING; w_child = true; goto run_f
		:: batch = true
		fi
	}
	/* start(), from the batch: a load and a store, under worker->lock alone */
	atomic {
		!w_lock ->
		if
		:: batch -> w_lock = true; old_waited = waited[F]; old_marked = marked[F]
		:: else -> goto end_look
		fi
	}
	atomic {
		phase[F] = RUNNING;
		waited[F] = old_waited;
		marked[F] = old_marked;
		old_waited = false;
		old_marked = false;
		batch = false;
		w_child = true;
		w_lock = false
	}
run_f:
	if
	:: marked[F] -> goto end_f
	:: else
	fi;
	/* nursery_child_begin() */
	atomic {
		!n_lock -> use_n();
		if
		:: cancelled -> goto sleep_f
		:: else -> nr_children++; phase[X] = RUNNING; pins[X] = 1
		fi
	}
	/* nursery_on_cancel() */
	atomic {
		!n_lock -> use_n(); use_c(X);
		if
		:: !marked[X] -> handler[X] = ON; goto start_hardware
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
	/* nursery_off_cancel() */
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
end_f:
	/* next_child() */
	atomic { !w_lock -> w_child = false }
	atomic {
		use_c(F);
		if
		:: handler[F] == OFF && !marked[F] && (!waited[F] || BUG == END_DEAF) ->
			assert(phase[F] == RUNNING);
			phase[F] = DONE;
			goto count_f
		:: else
		fi
	}
	/* end_slowly() */
	atomic {
		!n_lock -> use_n(); use_c(F);
		if
		:: pins[F] && BUG != END_PINNED -> waits_for_pins = true
		:: else -> finish(F); goto count_f
		fi
	}
	no_pins;
	atomic {
		!n_lock -> use_n();
		finish(F)
	}
count_f:
	atomic { !n_lock -> uncount() }
}

proctype interrupt()
{
end_no_interrupt:
	atomic { hardware -> hardware = false }
	complete()
}

proctype owner()
{
	/* nursery_spawn() */
	atomic {
		!n_lock -> use_n();
		if
		:: cancelled -> goto join
		:: else -> nr_children++; phase[F] = QUEUED; ready = true
		fi
	}
	if
	:: child_join(F)
	:: true
	fi;
join:
	atomic {
		!n_lock -> use_n();
		if
		:: nr_children == 0 -> closed = true; goto leave_tree
		:: else -> sleeps = true
		fi
	}
	atomic { woken -> woken = false; goto join }
leave_tree:
	atomic {
		!tree_lock ->
		in_tree = false;
		freed = true;
		assert(phase[F] == IDLE || phase[F] == DONE);
		assert(phase[X] == IDLE || phase[X] == DONE)
	}
}

proctype canceller()
{
	bool call_f = false, call_x = false, skip_f = false;

	atomic {
		!tree_lock ->
		if
		:: in_tree -> tree_lock = true
		:: goto done	/* no cancel, so that it hides no deadlock */
		fi
	}
	atomic {
		!n_lock -> use_n();
		if
		:: closed -> tree_lock = false; goto done
		:: else -> n_lock = true; cancelled = true
		fi
	}
	/* mark_worker() */
	atomic {
		!w_lock ->
		if
		:: w_child -> collect(F)
		:: else
		fi;
		skip_f = batch;
		batch = false
	}
	/* mark_other(), and what is ready */
	atomic {
		if
		:: phase[X] == RUNNING -> collect(X)
		:: else
		fi;
		skip_f = skip_f || ready;
		ready = false;
		call_f = (handler[F] == CALLED);
		call_x = (handler[X] == CALLED);
		n_lock = false;
		tree_lock = false
	}
	if
	:: call_x -> call_handler(X)
	:: else
	fi;
	if
	:: call_f -> call_handler(F)
	:: else
	fi;
	if
	:: !skip_f -> goto done
	:: else
	fi;
	/* skip() */
	atomic { use_c(F); assert(phase[F] == QUEUED); phase[F] = DONE; skip_f = waited[F] };
	if
	:: skip_f -> atomic {
		!n_lock -> use_n();
		if
		:: waits[F] -> waits[F] = false; told[F] = true
		:: else
		fi }
	:: else
	fi;
	atomic { !n_lock -> uncount() }
done:
}

init {
	atomic {
		run owner();
		run worker();
		run interrupt();
		run canceller()
	}
}
