/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a joiner notices that nothing is left but hardware which does not answer.
 *
 * What is modelled. A nursery with a quiesce function, an external child X, and a function
 * child F. With -DFOREIGN=0 F begins X, registers a cancel handler for it and ends; with 1
 * somebody else begins it, whom nobody counts, and F just ends. The joiner has nothing to
 * run: it looks, and sleeps. A canceller comes at any time, and calls the handler. The timer
 * finds the grace over at any time after that. An interrupt completes X at any time, or never.
 *
 * One step is one atomic of the code, or what is done under the lock and seen by nobody
 * without it.
 *
 *   here			there
 *   lock			nursery->lock
 *   count, waiting, stuck, look_bit, cancelled	nursery->state: LOOK is the fourth
 *   joiner()			sleep(), wait_for_children(), nursery_is_stuck(),
 *				nursery_abandon(), nursery_close()
 *   uncount(), look_again()	nursery_uncount(), nursery_look_again()
 *   begin()			nursery_child_begin(), nursery_on_cancel()
 *   canceller(), returned()	mark_nursery(), call_handler()
 *   timer()			events(), nursery_stuck_expire()
 *   complete()			nursery_child_complete(), abandon()
 *
 * Theory. The joiner looks with a value of the state, and goes to sleep with a cmpxchg from
 * it. What it takes to be stuck is either in that value, and then who changes it counts
 * down after STUCK was set, and wakes; or it is under the lock, and then who changes it
 * sets LOOK under it, and counts up and down to wake. To count is not enough: up and down again
 * before the cmpxchg is the same value. Only the joiner takes LOOK back, before it looks.
 *
 * What has to hold: the joiner's join ends, whether or not the interrupt comes (no invalid
 * end state). Nobody touches the nursery after that, nor X after its end. X is not abandoned
 * before F has ended, nor while a handler of it is to run, or runs.
 *
 * What is abstracted away: memory order; what the joiner runs itself; which children are
 * parked; who waits for X alone, which is all under the lock; that the quiesce function keeps
 * out who is not counted. With -DBUG=name the model has the bug of that name.
 */

/* The bugs. */
#define UNCOUNT_DEAF	1	/* who counts down wakes for zero only */
#define LOOK_STALE	2	/* the joiner goes to sleep from another value than it looked with */
#define HANDLER_SILENT	3	/* who returns from a handler does not have the joiner look */
#define BEGIN_SILENT	4	/* nor does who begins, when that is over */
#define BEGIN_UNARMED	5	/* ... and the timer is not set for it */
#define LOOK_AT_COUNT	6	/* the joiner takes all that is counted for hardware */
#define PINS_IGNORED	7	/* it does not look whether a handler runs */
#define LOOK_UNSAID	8	/* who has the joiner look only counts up and down */
#define LOOK_TAKEN_LATE	9	/* the joiner takes LOOK back after it has looked */
#define ZERO_FIRST	10	/* ... and sleeps, though nothing is left then */
#ifndef BUG
#define BUG		0
#endif
#ifndef FOREIGN
#define FOREIGN		0
#endif

mtype = { IDLE, EXTERNAL, ENDING, DONE };

bool lock;
byte count = 1;			/* F */
bool waiting, stuck, look_bit, cancelled, closed, freed;
bool woken;
bool f_ended;
bool armed;			/* the timer */

mtype phase = IDLE;		/* of X */
bool others;			/* has X */
bool handler;			/* X has it on */
bool handling;			/* it runs, or is to */
byte pins;

#define use_n()	assert(!freed)
#define use_x()	assert(phase == EXTERNAL || phase == ENDING)

inline uncount()
{
	atomic {
		use_n();
		assert(count);
		count--;
		if
		:: waiting && (!count || (stuck && BUG != UNCOUNT_DEAF)) ->
			waiting = false;
			woken = true
		:: else
		fi
	}
}

/* Under the lock. look: the caller is to count down without it */
inline look_again()
{
	use_n();
	if
	:: stuck -> count++; look = true; look_bit = (look_bit || BUG != LOOK_UNSAID)
	:: else
	fi
}

/* Under the lock: drop a pin. last: the caller is to end X without it */
inline unpin()
{
	use_n(); use_x();
	pins--;
	last = !pins
}

inline end_external()
{
	atomic { !lock -> use_n(); use_x(); others = false; phase = DONE }
	uncount()
}

/* Goes on at "heard" if somebody else has completed it. */
inline complete()
{
	atomic {
		if
		:: phase == EXTERNAL -> phase = ENDING
		:: else -> goto heard
		fi
	}
	atomic { !lock -> unpin() }
	if
	:: last -> last = false; end_external()
	:: else
	fi
}

/* A handler of X has returned. */
inline returned()
{
	atomic {
		!lock -> handling = false;
		unpin();
		if
		:: !last && BUG != HANDLER_SILENT -> look_again()
		:: else
		fi
	}
	if
	:: last -> last = false; end_external()
	:: else
	fi;
	if
	:: look -> look = false; uncount()
	:: else
	fi
}

inline begin()
{
	/* The gate */
	atomic {
		if
		:: cancelled || closed -> goto begun
		:: else -> use_n(); count++
		fi
	}
	phase = EXTERNAL;
	atomic {
		!lock -> use_n(); use_x();
		pins = 1;
		others = true;
		if
		:: cancelled ->
			armed = armed || BUG != BEGIN_UNARMED;
			if
			:: BUG != BEGIN_SILENT -> look_again()
			:: else
			fi
		:: else
		fi
	}
	if
	:: look -> look = false; uncount()
	:: else
	fi;
	/* Who is not counted registers nothing: he is kept out otherwise. */
	if
	:: FOREIGN -> goto begun
	:: else
	fi;
	atomic {
		if
		:: phase != EXTERNAL -> goto begun	/* the interrupt was quick */
		:: !lock && phase == EXTERNAL && cancelled -> pins++; handling = true
		:: !lock && phase == EXTERNAL && !cancelled -> handler = true; goto begun
		fi
	}
	returned();
begun:
}

proctype f()
{
	bool look, last;

	if
	:: !FOREIGN -> begin()
	:: else
	fi;
	f_ended = true;
	uncount()
}

proctype foreign()
{
	bool look, last;

	if
	:: FOREIGN -> begin()
	:: else
	fi
}

proctype interrupt()
{
	bool last;

	if
	:: true -> goto heard		/* it is lost */
	:: true
	fi;
end_idle:
	atomic { phase == EXTERNAL && others -> skip }
	complete();
heard:
}

proctype canceller()
{
	bool look, last, took;

	atomic {
		!lock ->
		if
		:: closed -> goto done
		:: else -> use_n(); cancelled = true
		fi;
		if
		:: handler && phase == EXTERNAL ->
			handler = false;
			pins++;
			handling = true;
			took = true
		:: else
		fi;
		/* There may have been other hardware. */
		armed = armed || others || FOREIGN
	}
	if
	:: took -> returned()
	:: else
	fi;
done:
}

proctype timer()
{
end_unarmed:
	atomic {
		armed ->
		if
		:: closed -> goto done		/* the joiner takes the timer back */
		:: else -> count++
		fi
	}
	atomic { use_n(); stuck = true }
	uncount();
done:
}

proctype joiner()
{
	bool last, saw_stuck, saw_cancel;
	byte saw;

again:
	atomic { saw = count; saw_stuck = stuck; saw_cancel = cancelled }
	if
	:: !saw ->
		atomic {
			if
			:: !count -> closed = true; goto closing
			:: else -> goto again
			fi
		}
	:: else
	fi;
	if
	:: saw_stuck ->
		/* fetch_andnot() */
		atomic {
			look_bit = (look_bit && BUG == LOOK_TAKEN_LATE);
			saw = count;
			saw_cancel = cancelled;
			if
			:: !saw && BUG != ZERO_FIRST -> goto again
			:: else
			fi
		}
		atomic {
			!lock ->
			if
			:: others && phase == EXTERNAL && !handler &&
			   (pins == 1 || BUG == PINS_IGNORED) &&
			   (saw == 1 || BUG == LOOK_AT_COUNT) -> goto abandon
			:: else
			fi
		}
	:: else
	fi;
#if BUG == LOOK_TAKEN_LATE
	look_bit = false;
#endif
	/* cmpxchg() */
	atomic {
		if
		:: BUG != LOOK_STALE && (count != saw || stuck != saw_stuck ||
		   cancelled != saw_cancel || look_bit) -> goto again
		:: BUG == LOOK_STALE && !count -> goto again
		:: else -> waiting = true
		fi
	}
	atomic { woken -> woken = false; goto again }
abandon:
	/* The quiesce function */
	assert(FOREIGN || f_ended);
	assert(!handling || phase != EXTERNAL);
	complete();
heard:
	goto again;
closing:
	atomic {
		assert(phase == IDLE || phase == DONE);
		assert(f_ended);
		freed = true
	}
}

init {
	atomic {
		run f();
		run foreign();
		run interrupt();
		run canceller();
		run timer();
		run joiner()
	}
}
