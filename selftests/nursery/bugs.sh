#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The pairs of drivers of selftests/bugs, as far as they can be in one boot: each driver
# on a nursery is bound and unbound, and the kernel has nothing to say; of those with the
# bug the ones that the kernel survives are, and are caught. "make bugs" has all of them.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

here=${BASH_SOURCE[0]%/*}
rounds=10
warned="WARNING: .*(debugobjects|check_flush_dependency)"

on_a_nursery()
{
	modinfo "nursery_bug_$1_nursery" >/dev/null 2>&1 || skip "there are no such modules"
	"$here/hammer.sh" "$1" nursery "$rounds" || fail "see above"
}

# field PAIR NAME: of the file of pairs.
field()
{
	sed -n "/^$1\$/,/^\$/s/^\t$2: //p" "$here/pairs"
}

# raw_is_caught PAIR: with what belongs to that in the log forgiven.
raw_is_caught()
{
	local in status

	modinfo "nursery_bug_$1_raw" >/dev/null 2>&1 || skip "there are no such modules"
	in=$(field "$1" in)
	echo "nursery-vm: expect $(field "$1" log)|$warned${in:+|$in}" >/dev/kmsg
	"$here/hammer.sh" "$1" raw 1000
	status=$?
	echo "nursery-vm: expected" >/dev/kmsg
	[ "$status" = 0 ] || fail "it was not"
}

r1_raw_is_caught()
{
	[ -e /sys/kernel/debug/debug_objects/stats ] || skip "this kernel has no DEBUG_OBJECTS"
	raw_is_caught r1
}

r5_raw_is_caught()
{
	ls /sys/class/iommu/* >/dev/null 2>&1 || skip "there is no IOMMU"
	raw_is_caught r5
}

r9_raw_is_caught()
{
	raw_is_caught r9
}

cases=()
while read -r pair; do
	eval "${pair}_on_a_nursery() { on_a_nursery $pair; }"
	cases+=("${pair}_on_a_nursery")
done < <(grep -E '^r[0-9]+$' "$here/pairs")
run_cases "${cases[@]}" r1_raw_is_caught r5_raw_is_caught r9_raw_is_caught
