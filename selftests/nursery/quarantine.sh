#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hardware that does not answer: the sample driver loses interrupts, or cannot stop the
# device's engine. A transfer ends in any case; its buffer is released if the engine has
# stopped, and else is kept, shown, and released when it has. That no buffer is released
# under a transfer is for the IOMMU to say, whose faults are in the kernel's log.
#
# A call goes to the device with the fewest of them: always to the first, here.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

params=/sys/module/nursery_edu/parameters

# set_params NAME=VALUE...: the others have what is harmless.
set_params()
{
	local setting

	for setting in timeout_ms=10000 grace_ms=2000 lose_irqs=0 stop_fails=0 "$@"; do
		echo "${setting#*=}" >"$params/${setting%%=*}"
	done
}

start()
{
	command -v nurseryctl >/dev/null || skip "nurseryctl is not installed"
	modprobe nursery_edu || fail "the modules cannot be loaded"
	compgen -G '/sys/bus/pci/drivers/nursery_edu/0000:*' >/dev/null || skip "no edu device"
	set_params
	trap set_params EXIT
	copy || fail "it does not work to begin with: $said"
	[ -z "$(quarantine)" ] || fail "there is something in quarantine: $(quarantine)"
}

# copy: 4096 bytes through a device; sets said.
copy()
{
	said=$(nurseryctl run --buffer 8K edu-copy:0,4096,4096 2>&1)
}

# copy_fails ERRNO
copy_fails()
{
	! copy || fail "the copy did not fail"
	[[ $said == *"$1"* ]] || fail "it does not say $1: $said"
}

quarantine()
{
	nurseryctl quarantine --quiet
}

# one_buffer: of a device, with a chunk.
one_buffer()
{
	local -a line

	mapfile -t lines < <(quarantine)
	[ ${#lines[@]} = 1 ] || fail "there are ${#lines[@]} lines: ${lines[*]}"
	read -r -a line <<<"${lines[0]}"
	[ -e "/sys/bus/pci/drivers/nursery_edu/${line[0]}" ] || fail "no device ${line[0]}"
	[ "${line[*]:1:2}" = "1 4096" ] || fail "not one buffer of 4096: ${lines[0]}"
	[ "${line[*]:4}" = "edu chunk" ] || fail "not the nursery's name: ${lines[0]}"
	nurseryctl quarantine --json | grep -q "\"device\": \"${line[0]}\"" || fail "not in JSON"
}

# log_has TEXT: since the last mark.
mark_log()
{
	mark="nursery-vm: quarantine $RANDOM$RANDOM"
	echo "$mark" >/dev/kmsg
}

log_has()
{
	dmesg | sed "1,/$mark/d" | grep -qF "$1" || fail "not in the log: $1"
}

works_again()
{
	set_params
	copy || fail "it does not work again: $said"
	[ -z "$(quarantine)" ] || fail "still in quarantine: $(quarantine)"
}

lost_interrupt()
{
	start
	set_params timeout_ms=300 grace_ms=100 lose_irqs=1
	copy_fails ETIMEDOUT
	[ "$(<"$params/lose_irqs")" = 0 ] || fail "no interrupt was lost"
	[ -z "$(quarantine)" ] || fail "the engine had stopped, but: $(quarantine)"
	works_again
}

# In the middle of a transfer.
engine_is_stopped()
{
	start
	set_params timeout_ms=20 grace_ms=10
	copy_fails ETIMEDOUT
	[ -z "$(quarantine)" ] || fail "the engine had stopped, but: $(quarantine)"
	works_again
}

failed_stop()
{
	start
	mark_log
	set_params timeout_ms=300 grace_ms=100 lose_irqs=1 stop_fails=1
	copy_fails ETIMEDOUT
	one_buffer
	log_has "\"edu chunk\": the hardware could not be stopped: 1 buffers, 4096 bytes"
	# as long as it is not known that the engine has stopped it is not used
	set_params stop_fails=1
	copy_fails EIO
	one_buffer
	works_again
	log_has "1 buffers released from quarantine"
}

came_late()
{
	[ "$(<"$params/late_irqs")" != "$1" ]
}

# The engine goes on, into a buffer that is in quarantine. If it were not, there were a fault.
late_interrupt()
{
	local late

	start
	late=$(<"$params/late_irqs")
	set_params timeout_ms=20 grace_ms=10 stop_fails=1
	copy_fails ETIMEDOUT
	one_buffer
	eventually 10 came_late "$late" || fail "the interrupt did not come"
	one_buffer
	works_again
}

# When the driver goes, DMA_API_DEBUG rightly says that mappings are left behind.
expect_pending()
{
	local what="DMA-API: (.*driver has pending DMA|Mapped at)|WARNING: .*dma/debug"

	echo "nursery-vm: expect $what" >/dev/kmsg
}

# Who is bound to the device next resets it.
bound_anew()
{
	local -a line

	start
	set_params timeout_ms=300 grace_ms=100 lose_irqs=1 stop_fails=1
	copy_fails ETIMEDOUT
	one_buffer
	read -r -a line < <(quarantine)
	set_params
	expect_pending
	echo "${line[0]}" >/sys/bus/pci/drivers/nursery_edu/unbind
	echo "nursery-vm: expected" >/dev/kmsg
	[ -n "$(quarantine)" ] || fail "it was released without a reset"
	echo "${line[0]}" >/sys/bus/pci/drivers/nursery_edu/bind
	works_again
}

# The last: what is in quarantine then stays for ever.
unloaded_with_a_quarantine()
{
	local user

	start
	set_params timeout_ms=300 grace_ms=100 lose_irqs=1 stop_fails=1
	copy_fails ETIMEDOUT
	one_buffer
	mark_log
	expect_pending
	rmmod nursery_edu
	echo "nursery-vm: expected" >/dev/kmsg
	trap - EXIT
	# what other tests have left, if they failed
	for user in /sys/module/nursery/holders/*; do
		[ ! -e "$user" ] || rmmod "${user##*/}"
	done
	rmmod nursery || fail "nursery cannot be unloaded"
	log_has "nursery: unloaded with 1 buffers, 4096 bytes in quarantine"
	modprobe nursery_edu || fail "the modules cannot be loaded again"
	works_again
}

run_cases lost_interrupt engine_is_stopped failed_stop late_interrupt bound_anew \
	unloaded_with_a_quarantine
