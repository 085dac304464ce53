#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A CPU goes offline and online under nurseries on several executors, some bound
# to that CPU. All joins return, no child is lost or run twice, and children run
# on while the CPU is away and after it has come back. (nursery_busy counts.)

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_busy
report=/sys/module/$module/parameters/report
online=/sys/devices/system/cpu/cpu1/online
turns=6
case_limit=200

# moved BEFORE...: each executor has made three rounds since that report, so it
# began one.
moved()
{
	local now before rounds

	mapfile -t now <"$report"
	for before; do
		read -r _ before _ <<<"$before"
		read -r _ rounds _ <<<"${now[0]}"
		[ "$rounds" -ge $((before + 3)) ] || return 1
		now=("${now[@]:1}")
	done
}

goes_on()
{
	local before

	mapfile -t before <"$report"
	eventually 30 moved "${before[@]}" || fail "a nursery stands still $1: $(cat "$report")"
}

no_errors()
{
	! cut -d ' ' -f 3 "$report" | grep -qvx 0 || fail "errors: $(cat "$report")"
}

start()
{
	[ -w "$online" ] || skip "CPU 1 cannot go offline"
	modprobe "$module" 2>/dev/null || skip "there is no module $module"
	trap 'kill $(jobs -p) 2>/dev/null; echo 1 >"$online"; stop' EXIT
}

# Joins all that is there.
stop()
{
	[ ! -d "/sys/module/$module" ] || rmmod "$module" || fail "rmmod $module"
}

nurseries_of_drivers()
{
	local i

	start
	for ((i = 1; i <= turns; i++)); do
		echo 0 >"$online" || fail "turn $i: CPU 1 does not go offline"
		[ "$i" -gt 1 ] || goes_on "without CPU 1"
		echo 1 >"$online" || fail "turn $i: CPU 1 does not come online"
		[ "$i" -gt 1 ] || goes_on "with CPU 1 back"
	done
	goes_on "after $turns turns"
	no_errors
	stop
}

calls_of_user_space()
{
	local i sleeper

	start
	nurseryctl run --quiet sleep:1000s &
	sleeper=$!
	for ((i = 1; i <= turns; i++)); do
		echo $((i % 2)) >"$online" || fail "turn $i: CPU 1 does not move"
		nurseryctl run --quiet sleep:10ms sleep:0 ||
			fail "turn $i: nurseryctl run"
	done
	echo 1 >"$online"
	kill -0 "$sleeper" || fail "the long sleeper has ended"
	kill "$sleeper"
	wait "$sleeper"
	goes_on "after $turns turns"
	no_errors
	stop
}

run_cases nurseries_of_drivers calls_of_user_space
