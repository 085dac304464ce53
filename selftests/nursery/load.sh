#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Loading and unloading, over and over, with copies in flight: rmmod of a driver
# joins what runs in its code, and nothing is left that could call into it. What
# is in use stays.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

dev=/dev/nursery
cycles=20	# of both kinds
case_limit=200
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

loaded()
{
	[ -d "/sys/module/$1" ]
}

unload()
{
	for module in nursery_wrong_edu nursery_kunit nursery_edu nursery; do
		! loaded "$module" || rmmod "$module" || return 1
	done
}

devices()
{
	find /sys/bus/pci/drivers/nursery_edu/ -name '0000:*' | wc -l
}

# Are there calls of edu-copy that have not finished?
in_flight()
{
	local line

	while read -r -a line; do
		[ "${line[0]}" != edu-copy ] || [ "${line[2]}" = 0 ] || return 0
	done < <(nurseryctl list --ops --quiet)
	return 1
}

start()
{
	command -v nurseryctl >/dev/null || skip "nurseryctl is not installed"
	unload || fail "cannot start without the modules"
	head -c 1048576 /dev/urandom >"$work/in"
}

# One life of both modules; with "copy", the driver goes in the middle of one.
cycle()
{
	local pid

	modprobe nursery_edu || fail "cycle $1: modprobe nursery_edu"
	[ -c "$dev" ] || fail "cycle $1: there is no $dev"
	if [ "$2" = copy ]; then
		nurseryctl edu-copy --quiet "$work/in" "$work/out" 2>"$work/error" &
		pid=$!
		eventually 10 in_flight || fail "cycle $1: the copy did not start"
	else
		nurseryctl run --quiet sleep:1ms || fail "cycle $1: nurseryctl run"
	fi
	rmmod nursery_edu || fail "cycle $1: rmmod nursery_edu"
	if [ "$2" = copy ]; then
		# an error, not a signal and not a success
		wait "$pid"
		[ $? = 1 ] || fail "cycle $1: nurseryctl ended otherwise: $(cat "$work/error")"
		[ ! -e "$work/out" ] || fail "cycle $1: there is a file of a broken copy"
	fi
	rmmod nursery || fail "cycle $1: rmmod nursery"
	[ ! -e "$dev" ] || fail "cycle $1: $dev is still there"
}

idle_cycles()
{
	local i

	start
	for ((i = 1; i <= cycles / 2; i++)); do
		cycle "$i" idle
	done
}

cycles_with_a_copy_in_flight()
{
	local i

	start
	modprobe nursery_edu
	[ "$(devices)" -gt 0 ] || skip "there is no edu device"
	unload
	for ((i = 1; i <= cycles / 2; i++)); do
		cycle "$i" copy
	done
}

rmmod_with_children_is_refused()
{
	start
	modprobe nursery
	exec 7<>"$dev" || fail "cannot open $dev"
	! rmmod nursery 2>"$work/error" || fail "rmmod nursery went through"
	exec 7>&-
	eventually 10 rmmod nursery 2>/dev/null || fail "rmmod after the close: refused too"
}

rmmod_with_a_user_is_refused()
{
	start
	modprobe nursery_edu
	! rmmod nursery 2>"$work/error" || fail "rmmod nursery went through under nursery_edu"
	rmmod nursery_edu || fail "rmmod nursery_edu"
	rmmod nursery || fail "rmmod nursery"
}

sleeping()
{
	nurseryctl tree | grep -q sleep
}

# A nursery that is opened before the driver comes, and used until after it went.
a_file_outlives_the_driver()
{
	local calls

	start
	modprobe nursery_edu
	[ "$(devices)" -gt 0 ] || skip "there is no edu device"
	rmmod nursery_edu
	nurseryctl run --quiet sleep:20s &
	calls=$!
	eventually 10 sleeping || fail "nurseryctl run did not start"
	modprobe nursery_edu
	head -c 8192 "$work/in" >"$work/small"
	nurseryctl edu-copy --quiet "$work/small" "$work/out" || fail "the copy failed"
	cmp -s "$work/small" "$work/out" || fail "the copy differs"
	rmmod nursery_edu || fail "rmmod nursery_edu"
	kill "$calls"
	wait "$calls"
	eventually 10 rmmod nursery 2>/dev/null || fail "rmmod nursery"
}

run_cases idle_cycles cycles_with_a_copy_in_flight rmmod_with_children_is_refused \
	rmmod_with_a_user_is_refused a_file_outlives_the_driver
