#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shutdown.sh kexec ROUNDS: go from one kernel to the next, so many times, with edu
# devices busy: one with a transfer in flight and calls that wait for it, one with a
# transfer in flight, the others idle. Each new kernel copies through all devices
# before it goes on. The host finds what nursery_watch said on the way in the log.
#
# shutdown.sh off: make them as busy, and return; the machine is powered off then. The one with
# a transfer in flight may have calls that wait, too.
#
# For kexec the host leaves the kernel and the initramfs in /boot. The next kernel's
# initramfs is that of the host with all that has to be in it for one more round.

set -u
boot=/boot
in=/tmp/in
pci=/sys/bus/pci/drivers/nursery_edu

fail()
{
	echo "shutdown: round $round: $*" >&2
	exit 1
}

# pending DEVICE: how many calls it has that are not over.
pending()
{
	nurseryctl list --ops --quiet | sed -n "s/^edu-copy *edu_$1 *\([0-9]*\) .*/\1/p"
}

# wait_for NUMBER DEVICE: until it has at least so many calls.
wait_for()
{
	local end=$((SECONDS + 30)) calls=

	while [ "$SECONDS" -lt "$end" ]; do
		calls=$(pending "$2")
		[ "${calls:-0}" -lt "$1" ] || return 0
		sleep 0.01
	done
	fail "$2 has ${calls:-no} calls, not $1"
}

# start_calls NUMBER: all of them go to the device that has the fewest.
start_calls()
{
	local calls=() i

	for ((i = 0; i < $1; i++)); do
		calls+=("edu-copy:0,4K,4K")
	done
	nurseryctl run --quiet --buffer 8K "${calls[@]}" 2>/dev/null &
}

new_initramfs()
{
	local files=(boot/kernel boot/initramfs run/vm/command run/vm/settings)

	cat "$boot/initramfs"
	# in multiples of four bytes, as the kernel wants each archive to begin
	(cd / && printf '%s\n' boot run run/vm "${files[@]}" | cpio -o -H newc 2>/dev/null)
}

devices_work()
{
	modprobe nursery_edu || fail "nursery_edu does not load"
	[ "$(find $pci/ -name '0000:*' | wc -l)" -ge 3 ] || fail "too few devices"
	head -c 16000 /dev/urandom >$in
	nurseryctl edu-copy --quiet $in $in.out || fail "the copy fails"
	cmp $in $in.out || fail "the copy differs"
}

# make_busy NUMBER: NUMBER is how many calls the device has that is to have no queue: as many
# as last until the others are bound, each a fifth of a second. The devices come
# after the watcher, and so are shut down before it says "after".
make_busy()
{
	local device devices

	modprobe nursery_watch || fail "nursery_watch does not load"
	mapfile -t devices < <(cd $pci && echo 0000:* | tr ' ' '\n')
	for device in "${devices[@]}"; do
		echo 1 >"$pci/$device/remove"
	done
	echo 1 >/sys/bus/pci/rescan
	for device in "${devices[@]}"; do
		echo "$device" >$pci/unbind
	done
	echo "${devices[0]}" >$pci/bind
	start_calls 100
	wait_for 2 "${devices[0]}"
	echo "${devices[1]}" >$pci/bind
	start_calls "$1"
	wait_for 1 "${devices[1]}"
	for device in "${devices[@]:2}"; do
		echo "$device" >$pci/bind
	done
}

go_on()
{
	local line

	read -r line </proc/cmdline
	line="${line% nursery_round=*} nursery_round=$((round + 1))"
	new_initramfs >/tmp/initramfs
	# it is loaded, which takes a while, before there is something in flight
	coproc /opt/selftests/kexec $boot/kernel /tmp/initramfs "$line"
	read -r line <&"${COPROC[0]}" || fail "the next kernel cannot be loaded"
	rm /tmp/initramfs
	make_busy 1
	echo >&"${COPROC[1]}"
	wait
	fail "kexec does not leave this kernel"
}

round=0
devices_work
case $1 in
off) make_busy 20 ;;	# this kernel is a slow one
kexec)
	[[ $(</proc/cmdline) =~ nursery_round=([0-9]+) ]] && round=${BASH_REMATCH[1]}
	[ "$round" = "$2" ] || go_on
	echo "$round kernels were left with kexec"
	;;
*) fail "kexec ROUNDS, or off" ;;
esac
