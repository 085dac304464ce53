#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Negative control: a module that joins a nursery under a lock that its children
# take is reported by lockdep on its first run, and the report names the nursery;
# it need not hang for that. The last of the tests, as lockdep is off afterwards.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_bad_lock
report="possible circular locking dependency detected"

lockdep_is_on()
{
	grep -q '^ *debug_locks: *1$' /proc/lockdep_stats
}

log_since()
{
	dmesg | sed "1,/nursery-vm: expect $report/d"
}

reported()
{
	log_since | grep -q "$report"
}

join_under_a_childs_lock_is_reported()
{
	local log

	[ -e /proc/lockdep_stats ] || skip "this kernel has no lockdep"
	lockdep_is_on || fail "lockdep is off already: something was reported before"

	echo "nursery-vm: expect $report" >/dev/kmsg
	modprobe "$module"
	status=$?
	eventually 5 reported
	log=$(log_since)
	echo "nursery-vm: expected" >/dev/kmsg

	[ "$status" = 0 ] || fail "modprobe $module: status $status"
	rmmod "$module" || fail "rmmod $module"
	grep -q "$report" <<<"$log" || fail "lockdep did not report it"
	grep -q 'bad_nursery' <<<"$log" || fail "the report does not name the nursery"
	grep -q 'bad_lock' <<<"$log" || fail "the report does not name the lock"
	! lockdep_is_on || fail "lockdep is still on: what was that report?"
}

run_cases join_under_a_childs_lock_is_reported
