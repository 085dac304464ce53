#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hammer.sh PAIR nursery ROUNDS	bind the nursery half to its device and unbind it, or
#				load it and unload it, so many times
# hammer.sh PAIR raw ROUNDS	do that with the raw half until the kernel complains as
#				it is to, and no longer
#
# In a guest. The exit status is not 0 if that could not be done; of the raw half, if the
# complaint did not come. What else there is in the kernel's log is for the caller to judge.
# A raw half may hang, and then so does what unbinds it.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pair=$1 half=$2 rounds=$3
module=nursery_bug_${pair}_$half
patience=100	# seconds, for a complaint
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die()
{
	echo "hammer: $pair $half: $*"
	exit 1
}

# field NAME [DEFAULT]: what the file of pairs says of this one.
field()
{
	local value

	value=$(sed -n "/^$pair\$/,/^\$/s/^\t$1: //p" "$here/pairs")
	echo "${value:-$2}"
}

hammer_bind()
{
	local driver=/sys/bus/nursery-bugs/drivers/$module

	# a driver that comes is bound at once
	if [ ! -d "$driver" ]; then
		modprobe "$module" || return
	else
		echo "$module" >"$driver/bind" || return
	fi
	echo "$module" >"$driver/unbind"
}

hammer_load()
{
	modprobe "$module" && rmmod "$module"
}

# All devices at once, for a transfer takes a while.
hammer_pci()
{
	local pci=/sys/bus/pci path devices=() name

	modprobe "$module" || return
	for path in "$pci"/devices/*; do
		[ "$(<"$path/vendor") $(<"$path/device")" = "0x1234 0x11e8" ] || continue
		name=${path##*/}
		devices+=("$name")
		[ ! -e "$path/driver" ] || echo "$name" >"$path/driver/unbind"
		echo "$module" >"$path/driver_override"
		echo "$name" >"$pci/drivers/$module/bind" || return
	done
	[ ${#devices[@]} -gt 0 ] || die "there is no edu device"
	for name in "${devices[@]}"; do
		echo "$name" >"$pci/drivers/$module/unbind" || return
		echo >"$pci/devices/$name/driver_override"
	done
	step=${#devices[@]}
}

# To whoever had them.
give_back()
{
	local path

	for path in /sys/bus/pci/devices/*; do
		[ -e "$path/driver" ] || echo "${path##*/}" >/sys/bus/pci/drivers_probe
	done
} 2>/dev/null

# So many rounds, or until there is a file "stop".
hammer()
{
	local round step=1

	for ((round = 1; round <= rounds; round += step)); do
		[ ! -e "$work/stop" ] || break
		echo "$round" >"$work/round"
		"hammer_$how" || {
			echo "round $round failed" >"$work/failed"
			break
		}
	done
	[ ! -d "/sys/module/$module" ] || rmmod "$module"
	[ "$how" != pci ] || give_back
}

hammer_nursery()
{
	local start=$EPOCHREALTIME

	hammer
	[ ! -e "$work/failed" ] || die "$(<"$work/failed")"
	awk "BEGIN { printf \"hammer: $pair nursery: $rounds rounds in %.1f s\n\",
		$EPOCHREALTIME - $start }"
}

# Wait for the complaint: for its line, and the one that tells whose it is.
watch()
{
	local log whose

	log=$(field log)
	whose=$(field whose "\[$module\]")
	sed -u -n -E -e "0,/nursery-vm: hammer $module\$/d" -e "/$log/,/$whose/{/$whose/q}" \
		<"$work/kmsg"
	: >"$work/caught"
}

hammer_raw()
{
	local end=$((SECONDS + patience)) hammer nothing

	exec {nothing}<> <(:)
	hammer &
	hammer=$!
	while [ ! -e "$work/caught" ]; do
		# there is a delay from the deed to the complaint; if there is one
		[ ! -e "$work/stop" ] && ! kill -0 "$hammer" 2>/dev/null && end=$((SECONDS + 5))
		[ "$SECONDS" -le "$end" ] || die "no complaint in $(<"$work/round") rounds"
		kill -0 "$hammer" 2>/dev/null || : >"$work/stop"
		read -rt 0.1 -u "$nothing"	# a nap that costs no process
	done
	: >"$work/stop"
	echo "hammer: $pair raw: caught by $(field detector) in round $(<"$work/round")"
	# let others go as they came
	[ "$(field shared)" != yes ] || wait "$hammer"
}

how=$(field hammer)
[ -n "$how" ] || die "there is no such pair in $here/pairs"
modinfo "$module" >/dev/null 2>&1 || die "there is no module $module"
if [ "$half" = raw ]; then
	# of what is to hang we do not want to hear in minutes only
	[ "$(field detector)" != "hung task" ] || echo 5 >/proc/sys/kernel/hung_task_timeout_secs
	mkfifo "$work/kmsg"
	cat /dev/kmsg >"$work/kmsg" 2>/dev/null &
	watch &
fi
echo "nursery-vm: hammer $module" >/dev/kmsg
"hammer_$half"
