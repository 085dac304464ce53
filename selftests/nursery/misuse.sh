#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Negative controls: a module that uses nurseries in wrong ways. Each is reported, in words
# that name the nursery, the child's function and the place that spawned it; the calls
# return what they should; and no memory is corrupted: KASAN has nothing to say.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_wrong_use
complaints="ODEBUG|WARNING: .*(nursery|debugobjects)|BUG: sleeping function called"
ours="\[$module\]"
here="spawn_here\+0x[0-9a-f/x]+ $ours"
opened="open_here\+0x[0-9a-f/x]+ $ours"
nursery='"wrong nursery"'
child="wrong_child $ours"

log_since()
{
	dmesg | sed "1,/nursery-vm: misuse $1/d"
}

# misuse NAME REGEX...: do it, and see that each is in the log.
misuse()
{
	local name=$1 log status regex
	shift

	modinfo "$module" >/dev/null 2>&1 || skip "there is no module $module"
	echo "nursery-vm: expect $complaints" >/dev/kmsg
	echo "nursery-vm: misuse $name" >/dev/kmsg
	modprobe "$module" misuse="$name"
	status=$?
	log=$(log_since "$name")
	echo "nursery-vm: expected" >/dev/kmsg

	[ "$status" = 0 ] || fail "modprobe $module misuse=$name: status $status"
	rmmod "$module" || fail "rmmod $module"
	! grep -m 1 "KASAN:" <<<"$log" || fail "memory was corrupted"
	for regex; do
		grep -qE "$regex" <<<"$log" || fail "not in the log: $regex"
	done
}

# has_objects: by what the kernel has for it in debugfs.
has_objects()
{
	[ -e /sys/kernel/debug/debug_objects/stats ]
}

# The same, if the kernel tracks objects.
misuse_of_object()
{
	has_objects || skip "this kernel has no DEBUG_OBJECTS"
	misuse "$@"
}

# misuse_and_site NAME SITE REGEX...: reported by every kernel, and where it is tracked the
# place as well.
misuse_and_site()
{
	local name=$1 site=$2
	shift 2

	! has_objects || set -- "$@" "$site"
	misuse "$name" "$@"
}

nursery_of_zeroes_is_refused()
{
	misuse_of_object use_zeroed_nursery \
		"child $child is spawned at $here in a nursery that was never initialised" \
		"child wrong_done $ours is spawned at $here in a nursery" \
		"join at use_uninitialised.* $ours of a nursery that was never initialised" \
		"cancel at use_uninitialised" "deadline at use_uninitialised"
}

nursery_of_poison_is_refused()
{
	misuse_of_object use_poisoned_nursery \
		"child $child is spawned at $here in a nursery that was never initialised"
}

uninitialised_child_is_refused()
{
	misuse_of_object spawn_uninitialised_child \
		"spawn at $here in $nursery of a child that was never initialised"
}

second_init_of_a_nursery_is_ignored()
{
	misuse_of_object init_nursery_twice \
		"$nursery, opened at $opened, is initialised again at $opened" \
		"child $child of $nursery, spawned at $here, has not finished"
}

second_init_of_a_child_is_ignored()
{
	misuse_of_object init_child_twice \
		"child $child of $nursery, spawned at $here, is initialised again at init_child"
}

frame_with_a_nursery_is_used_again()
{
	misuse_of_object init_on_stack_twice \
		"$nursery, opened at $opened, is initialised again at $opened" \
		"child $child of $nursery, spawned at $here, is initialised again at init_on_stack"
}

free_of_a_running_child_waits()
{
	misuse_of_object free_child \
		"child $child of $nursery, spawned at $here, is freed and has not finished"
}

free_of_an_unstarted_child_ends_it()
{
	misuse_of_object free_unstarted_child \
		"child $child of $nursery, spawned at $here, is freed and has not finished"
}

free_of_an_external_child_waits()
{
	misuse_of_object free_external_child \
		"child wrong_done $ours of $nursery, spawned at $here, is freed"
}

free_of_an_open_nursery_joins()
{
	misuse_of_object free_nursery \
		"$nursery, opened at $opened, is freed and has not been joined" \
		"child $child of $nursery, spawned at $here, has not finished"
}

overwritten_child_is_left_alone()
{
	misuse_of_object overwrite_child "a child of $nursery has been freed or overwritten"
}

overwritten_child_is_not_spawned()
{
	misuse_of_object copy_over_child \
		"a child is spawned at $here where one was spawned that has not finished" \
		"a child of $nursery has been freed or overwritten"
}

overwritten_nursery_is_told_by_its_child()
{
	misuse_of_object overwrite_nursery \
		"the nursery of child overwrites_nursery $ours, spawned at $here, has been"
}

join_in_atomic_context()
{
	misuse_of_object join_in_atomic_context \
		"$nursery, opened at $opened, is joined at join_in_atomic.* in atomic context"
}

outer_nursery_is_joined_first()
{
	misuse_and_site join_outer_first "\"inner nursery\" was opened at $opened" \
		"$nursery was joined with \"inner nursery\" below it still open"
}

child_returns_with_a_nursery_open()
{
	local inner='"inner nursery"'

	misuse_and_site return_with_nursery_open "child leaves_open $ours was spawned at $here" \
		"child leaves_open $ours of $nursery returned with $inner still open"
}

second_completion_is_ignored()
{
	misuse_and_site complete_twice "child wrong_done $ours was spawned at $here" \
		"child wrong_done $ours is completed at complete_twice.* $ours"
}

# The same, if the kernel looks after DMA memory.
misuse_of_dma()
{
	[ -d /sys/kernel/debug/dma-api ] || skip "this kernel has no DMA_API_DEBUG"
	misuse "$@"
}

sync_in_the_wrong_direction()
{
	misuse_of_dma sync_for_cpu_to_device \
		"wrong_use: sync for the CPU of a buffer that the device only reads \(single\)"
}

sync_of_a_dma_buf_of_others()
{
	misuse_of_dma sync_imported \
		"wrong_use: sync of an imported dma-buf: use dma_buf_begin_cpu_access\(\)"
}

run_cases nursery_of_zeroes_is_refused nursery_of_poison_is_refused \
	uninitialised_child_is_refused second_init_of_a_nursery_is_ignored \
	second_init_of_a_child_is_ignored frame_with_a_nursery_is_used_again \
	free_of_a_running_child_waits free_of_an_unstarted_child_ends_it \
	free_of_an_external_child_waits free_of_an_open_nursery_joins \
	overwritten_child_is_left_alone overwritten_child_is_not_spawned \
	overwritten_nursery_is_told_by_its_child join_in_atomic_context \
	outer_nursery_is_joined_first child_returns_with_a_nursery_open \
	second_completion_is_ignored sync_in_the_wrong_direction sync_of_a_dma_buf_of_others
