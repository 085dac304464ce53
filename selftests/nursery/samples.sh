#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The samples: each does its thing while it is loaded, says what came of it in one
# line of the log, and is not loaded if that is wrong.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

# There is such a module, for this kernel?
need()
{
	modprobe -D "$1" >/dev/null 2>/dev/null || skip "there is no module $1"
	! [ -d "/sys/module/$1" ] || rmmod "$1" || fail "rmmod $1"
}

# sample MODULE LINE: load and unload it; the log has the line, and only that.
sample()
{
	local said

	need "$1"
	echo "nursery-vm: sample $1" >/dev/kmsg
	modprobe "$1" || fail "modprobe $1"
	rmmod "$1" || fail "rmmod $1"
	said=$(dmesg | sed -n "1,/nursery-vm: sample $1\$/d; s/^.*\] $1: //p")
	[ "$said" = "$2" ] || fail "it says \"$said\" and not \"$2\""
}

fanout()
{
	sample nursery_fanout "8 channels read, 4 at a time, sum 140"
}

fanout_with_a_bad_channel_is_not_loaded()
{
	need nursery_fanout
	! modprobe nursery_fanout bad_channel=3 2>/dev/null || fail "it was loaded"
	! [ -d /sys/module/nursery_fanout ] || fail "it is there"
}

deadline()
{
	sample nursery_deadline "one transfer done, one aborted, one ended by a reset: -110"
}

pipeline()
{
	sample nursery_pipeline "1000 frames, sum 999000; stopped by a bad one: -84"
}

race()
{
	sample nursery_race "mailbox answered first, then polling, then none: -5"
}

service()
{
	sample nursery_service "4 transfers while the device was kicked; so it was when one failed"
}

parallel()
{
	sample nursery_parallel "4096 squares, 2048 even, sum 11444858880; too large: -75"
}

run_cases fanout fanout_with_a_bad_channel_is_not_loaded deadline pipeline \
	race service parallel
