#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A scoped NVMe reader, nursery_nvme: what it reads is what is on the disk, and whatever
# ends the reading (a signal, a deadline, an unbind, rmmod) ends it soon, and nothing else.
#
# There are two controllers with the same image, see tools/vm/vm --disk. The second one
# has a disk so slow that reads are under way for seconds; only a reset ends them earlier.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

fast=0000:00:10.0
slow=0000:00:11.0
driver=/sys/bus/pci/drivers/nursery_nvme
devices=/sys/bus/pci/devices
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# take DEVICE: have nursery_nvme drive it, whatever did before.
take()
{
	[ -e "$devices/$1" ] || skip "there is no NVMe controller at $1"
	echo nursery_nvme >"$devices/$1/driver_override"
	[ ! -e "$driver/$1" ] || return 0
	[ ! -e "$devices/$1/driver" ] || echo "$1" >"$devices/$1/driver/unbind"
	echo "$1" >"$driver/bind" || fail "$1: cannot be bound"
}

start()
{
	modprobe nursery_nvme 2>/dev/null || skip "there is no nursery_nvme"
	take "$fast"
	take "$slow"
	read -r sum size </run/vm/disks
	echo "nursery-vm: nvme ${FUNCNAME[1]}" >/dev/kmsg
}

# logged TEXT: the kernel has said so since the case began.
logged()
{
	dmesg | sed "1,/nursery-vm: nvme ${FUNCNAME[1]}\$/d" | grep -q "$1"
}

# same: standard input is the disk's content.
same()
{
	local got

	got=$(sha256sum | cut -c 1-64)
	[ "$got" = "$sum" ] || fail "sha256 $got, not $sum"
}

# pending DEVICE NR: so many reads of it have not finished.
pending()
{
	local line

	while read -r -a line; do
		[ "${line[0]}" != "nvme-read-${1//:/-}" ] || [ "${line[2]}" -lt "$2" ] || return 0
	done < <(nurseryctl list --ops --quiet)
	return 1
}

idle()
{
	! pending "$1" 1
}

# read_on DEVICE: in the background, again and again until it is gone; sets pid.
read_on()
{
	local length=$size

	[ "$1" != "$slow" ] || length=2M
	while nurseryctl nvme-read --quiet --length "$length" "$1"; do :; done 2>error >/dev/null &
	pid=$!
	eventually 10 pending "$1" 1 || fail "it did not start: $(<error)"
}

# opened PID [NR]: it has a nursery of its own, with so many children.
opened()
{
	nurseryctl list --quiet | awk -v pid="$1" -v nr="${2:-0}" \
		'$7 == pid && $4 >= nr { found = 1 } END { exit !found }'
}

# read_slowly: in the background, what takes eight seconds; sets pid.
read_slowly()
{
	nurseryctl nvme-read --quiet --length 2M "$slow" 2>error >/dev/null &
	pid=$!
	eventually 10 pending "$slow" 2 || fail "it did not start: $(<error)"
}

# soon COMMAND...: it takes no longer than a reset does, even on a slow machine.
soon()
{
	local start=$SECONDS

	"$@"
	status=$?
	[ $((SECONDS - start)) -lt 15 ] || fail "'$*' took $((SECONDS - start)) s"
}

# The controller still does its work.
works()
{
	nurseryctl nvme-read --quiet --length 4K "$1" >part || fail "$1 is not read any more"
	[ "$(stat -c %s part)" = 4096 ] || fail "$1: not all was read"
}

whole_disk()
{
	start
	nurseryctl nvme-read --quiet "$fast" | same
	nurseryctl nvme-read --json "$fast" 2>error >/dev/null || fail "it failed: $(<error)"
	grep -q "\"bytes\": $size" error || fail "it does not say how much: $(<error)"
}

parts()
{
	local part

	start
	nurseryctl nvme-read --quiet "$fast" >disk || fail "it cannot be read"
	same <disk
	for part in "0 1" "1 4096" "511 1026" "1048575 2" "3000000 7000001" \
		"$((size - 1)) 1" "$((size - 2000000)) 2000000"; do
		# shellcheck disable=SC2086 # offset and length
		set -- $part
		nurseryctl nvme-read --quiet --offset "$1" --length "$2" "$fast" >part ||
			fail "$2 bytes at $1"
		tail -c +$(($1 + 1)) disk | head -c "$2" | cmp - part ||
			fail "$2 bytes at $1 are other ones"
	done
}

several_readers()
{
	local i

	start
	for i in 1 2 3; do
		(nurseryctl nvme-read --quiet "$fast" | same) &
		pids[i]=$!
	done
	for i in 1 2 3; do
		wait "${pids[i]}" || fail "reader $i failed"
	done
}

# operation ERROR ARGUMENTS: a call that is refused, and why.
operation()
{
	! nurseryctl run --buffer 64K "nvme-read-${fast//:/-}:$2" >out 2>error ||
		fail "$2 is taken"
	grep -q "$1" error || fail "$2: not $1 but $(<error)"
}

bad_arguments()
{
	start
	operation EINVAL 1,0,4096	# not a page of the buffer
	operation EINVAL 0,1,4096	# not a block of the disk
	operation EINVAL 0,0,100
	operation EINVAL 0,0,0
	operation ERANGE "0,$size,4096"
	operation ERANGE 0,0x7ffffffffffff000,4096
	operation EFAULT 0,0,128K
	operation EFAULT 0xfffffffffffff000,0,4096
	! nurseryctl nvme-read 0000:00:1f.7 >out 2>error || fail "there is no such device"
	grep -q 'no such NVMe controller' error || fail "it says $(<error)"
	! nurseryctl nvme-read >out 2>error || fail "there are two"
	grep -q 'name one' error || fail "it says $(<error)"
	! nurseryctl nvme-read --offset 1G "$fast" >out 2>error || fail "it is not so large"
	grep -q 'the disk has' error || fail "it says $(<error)"
	[ ! -s out ] || fail "it writes something"
	works "$fast"
}

output_ends_early()
{
	start
	nurseryctl nvme-read "$fast" 2>error | head -c 100 >out
	[ "${PIPESTATUS[0]}" = 1 ] || fail "it did not fail"
	grep -q 'standard output: Broken pipe' error || fail "it says $(<error)"
	works "$fast"
}

# Nobody reads: the program sleeps in the output, and hears the signal.
output_is_stuck()
{
	start
	mkfifo pipe
	exec 7<>pipe
	nurseryctl nvme-read --quiet "$fast" >pipe 2>error &
	pid=$!
	eventually 10 opened "$pid" || fail "it did not start: $(<error)"
	eventually 10 idle "$fast" || fail "it reads on"
	kill -INT "$pid"
	soon wait "$pid"
	[ "$status" = 130 ] || fail "status $status: $(<error)"
	exec 7>&-
}

# Nothing in the controller is aborted by QEMU, which counts as a controller that hangs.
signal_resets_the_controller()
{
	start
	read_slowly
	kill -INT "$pid"
	soon wait "$pid"
	[ "$status" = 130 ] || fail "status $status: $(<error)"
	logged "$slow: reset" || fail "there was no reset"
	works "$slow"
}

killed_reader_leaves_nothing()
{
	start
	read_slowly
	kill -KILL "$pid"
	wait "$pid"
	eventually 15 idle "$slow" || fail "its reads are still there"
	works "$slow"
}

deadline()
{
	start
	soon nurseryctl run --deadline 100ms --buffer 2M "nvme-read-${slow//:/-}:0,0,2M" 2>error
	[ "$status" = 1 ] || fail "status $status"
	grep -q deadline error || fail "it says $(<error)"
	works "$slow"
}

# A reset on behalf of one reader is not noticed by another.
others_survive_a_reset()
{
	local other want

	start
	want=$(nurseryctl nvme-read --quiet --length 2M "$fast" | sha256sum)
	(nurseryctl nvme-read --quiet --length 2M "$slow" | sha256sum >sum) &
	other=$!
	eventually 10 pending "$slow" 2 || fail "the other one did not start"
	nurseryctl nvme-read --quiet --length 1M "$slow" 2>error >/dev/null &
	pid=$!
	eventually 10 opened "$pid" 1 || fail "it did not start: $(<error)"
	kill -INT "$pid"
	soon wait "$pid"
	[ "$status" = 130 ] || fail "status $status: $(<error)"
	logged "$slow: reset" || fail "there was no reset"
	wait "$other" || fail "the other one failed"
	[ "$(<sum)" = "$want" ] || fail "the other one has read something else"
}

unbind_while_reading()
{
	local device

	start
	for device in "$slow" "$fast"; do
		read_on "$device"
		soon eval "echo $device >$driver/unbind"
		wait "$pid"
		grep -qE 'went away|no such NVMe' error || fail "it says $(<error)"
		[ ! -e "$driver/$device" ] || fail "it is still bound"
		take "$device"
		works "$device"
	done
}

rmmod_while_reading()
{
	local i device

	start
	for ((i = 0; i < 10; i++)); do
		device=$fast
		[ $((i % 5)) != 0 ] || device=$slow
		read_on "$device"
		soon rmmod nursery_nvme
		[ "$status" = 0 ] || fail "$i: rmmod failed"
		wait "$pid"
		modprobe nursery_nvme || fail "$i: modprobe"
		# they have it in driver_override
		[ -e "$driver/$fast" ] || fail "$i: $fast is not bound again"
		[ -e "$driver/$slow" ] || fail "$i: $slow is not bound again"
	done
	nurseryctl nvme-read --quiet "$fast" | same
}

quarantined()
{
	grep -q "^$1 " /sys/kernel/debug/nursery/quarantine
}

# It neither answers nor can be reset: what it may yet write to is kept until it can.
controller_that_does_not_stop()
{
	# DMA_API_DEBUG looks when a driver leaves its device
	local complaints="DMA-API: (.*pending DMA|Mapped at)|WARNING: .*dma_debug_device"

	start
	! quarantined "$slow" || fail "there is something in quarantine before"
	read_slowly
	# no access to its registers any more; it goes on
	printf '\x04\x04' | dd of="$devices/$slow/config" bs=1 seek=4 conv=notrunc 2>/dev/null
	kill -KILL "$pid"
	wait "$pid"
	eventually 15 quarantined "$slow" || fail "nothing is in quarantine"
	logged "$slow: the controller does not stop" || fail "nobody says so"
	echo "nursery-vm: expect $complaints" >/dev/kmsg
	soon eval "echo $slow >$driver/unbind"
	echo "nursery-vm: expected" >/dev/kmsg
	quarantined "$slow" || fail "it is not kept"
	take "$slow"
	! quarantined "$slow" || fail "it is still kept, after a reset"
	works "$slow"
}

# The kernel's own driver gets it back, as it was.
given_back()
{
	start
	[ -d /sys/bus/pci/drivers/nvme ] || skip "this kernel has no driver of its own"
	echo "$fast" >"$driver/unbind"
	echo >"$devices/$fast/driver_override"
	echo "$fast" >/sys/bus/pci/drivers/nvme/bind || fail "nvme does not bind"
	eventually 10 test -b /dev/nvme0n1 || fail "there is no disk"
	same </dev/nvme0n1
	take "$fast"
	works "$fast"
}

case_limit=200
run_cases whole_disk parts several_readers bad_arguments output_ends_early output_is_stuck \
	signal_resets_the_controller killed_reader_leaves_nothing deadline \
	others_survive_a_reset unbind_while_reading rmmod_while_reading \
	controller_that_does_not_stop given_back
