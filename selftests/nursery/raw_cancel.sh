#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A driver cancels its nursery under a raw lock, or in a hard interrupt: the
# calls of its operation end, and their caller is woken. Debug kernels check
# that nothing on the way takes a lock that sleeps on PREEMPT_RT.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_raw_cancel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pending()
{
	local line

	while read -r -a line; do
		[ "${line[0]}" != raw-wait ] || [ "${line[2]}" != "$1" ] || return 0
	done < <(nurseryctl list --ops --quiet)
	return 1
}

# cancel HOW: while one call runs and two wait for their turn.
cancel()
{
	local pid status

	modprobe "$module" 2>/dev/null || skip "there is no module $module"
	nurseryctl run raw-wait raw-wait raw-wait >"$work/out" 2>&1 &
	pid=$!
	eventually 10 pending 3 || fail "the calls did not start: $(cat "$work/out")"
	echo "$1" >"/sys/module/$module/parameters/cancel" || fail "cannot cancel"
	eventually 10 eval "! kill -0 $pid 2>/dev/null" || fail "the caller was not woken"
	wait "$pid"
	status=$?
	[ "$status" = 1 ] || fail "nurseryctl ended with $status: $(cat "$work/out")"
	grep -q 'No such device' "$work/out" || fail "not ENODEV: $(cat "$work/out")"
	rmmod "$module" || fail "rmmod $module"
}

cancel_under_a_raw_lock()
{
	cancel lock
}

cancel_in_a_hard_interrupt()
{
	cancel irq
}

run_cases cancel_under_a_raw_lock cancel_in_a_hard_interrupt
