#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Negative control: a module whose children race for a variable is reported by
# KCSAN, and the report names the function.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_bad_race
report="BUG: KCSAN: data-race in count_along"

log_since()
{
	dmesg | sed "1,/nursery-vm: expect $report/d"
}

reported()
{
	log_since | grep -q "$report"
}

race_of_children_is_reported()
{
	[ -e /sys/kernel/debug/kcsan ] || skip "this kernel has no KCSAN"

	echo "nursery-vm: expect $report" >/dev/kmsg
	modprobe "$module"
	status=$?
	eventually 5 reported
	status=$((status + $?))
	echo "nursery-vm: expected" >/dev/kmsg
	rmmod "$module" || fail "rmmod $module"
	[ "$status" = 0 ] || fail "KCSAN did not report it"
}

run_cases race_of_children_is_reported
