#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Children without end keep whoever runs them busy for seconds, but other tasks of that
# CPU run meanwhile: there is no soft lockup. Only a kernel that does not preempt
# itself, such as Debian's, is put to the test.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_endless
parameters=/sys/module/$module/parameters
least=10	# of about 100

# lets_others_run WHO: runs the children.
lets_others_run()
{
	local turns

	modprobe "$module" 2>/dev/null || skip "there is no module $module"
	echo "$1" >"$parameters/run" || fail "run"
	turns=$(<"$parameters/turns")
	[ "$turns" -ge "$least" ] || fail "another task ran $turns times, not $least"
	rmmod "$module" || fail "rmmod $module"
}

joiner_lets_others_run()
{
	lets_others_run joiner
}

thread_lets_others_run()
{
	lets_others_run threads
}

joiner_waits_for_a_late_executor()
{
	lets_others_run executor
}

run_cases joiner_lets_others_run thread_lets_others_run joiner_waits_for_a_late_executor
