#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# shutdown.sh kexec ROUNDS: go from one kernel to the next, so many times, with edu
# devices busy: one with a transfer in flight and calls that wait for it, one with a
# transfer in flight, the others idle. Each new kernel copies through all devices
# before it goes on. The host finds what nursery_watch said on the way in the log.
#
# shutdown.sh off: make them as busy, and return; the machine is powered off then.
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

# wait_for NUMBER DEVICE: until it has so many calls.
wait_for()
{
	local try

	for ((try = 0; try < 500; try++)); do
		[ "$(pending "$2")" != "$1" ] || return 0
		sleep 0.01
	done
	fail "$2 has $(pending "$2") calls, not $1"
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

# The devices come after the watcher, and so are shut down before it says "after".
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
	head -c 16000 /dev/urandom >$in
	nurseryctl edu-copy --quiet $in $in.out2 2>/dev/null &
	wait_for 2 "${devices[0]}"
	echo "${devices[1]}" >$pci/bind
	head -c 1000 /dev/urandom >$in.1
	nurseryctl edu-copy --quiet $in.1 $in.out1 2>/dev/null &
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
	make_busy
	echo >&"${COPROC[1]}"
	wait
	fail "kexec does not leave this kernel"
}

round=0
devices_work
case $1 in
off) make_busy ;;
kexec)
	[[ $(</proc/cmdline) =~ nursery_round=([0-9]+) ]] && round=${BASH_REMATCH[1]}
	[ "$round" = "$2" ] || go_on
	echo "$round kernels were left with kexec"
	;;
*) fail "kexec ROUNDS, or off" ;;
esac
