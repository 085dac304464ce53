#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Random trees of nurseries, for a short while: nursery_stress.ko. The seed is
# always the same, so that what is found in one run can be looked for in another;
# "make stress" takes longer, and other seeds.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

module=nursery_stress
run=/sys/kernel/debug/$module/run
seconds=10
seed=1
case_limit=150		# a tree that does not end is told after a minute

log_since_the_start()
{
	dmesg | sed "1,/nursery-vm: $module seed $seed/d" | sed -n "s/^.*$module: //p"
}

random_trees_keep_the_invariants()
{
	local failed=

	[ -n "$(find "/lib/modules/$(uname -r)" -name "$module.ko*")" ] ||
		skip "$module is not built"
	modprobe "$module" seconds="$seconds" seed="$seed" || fail "modprobe $module"
	[ -e "$run" ] || skip "there is no debugfs"
	echo "nursery-vm: $module seed $seed" >/dev/kmsg
	echo 1 >"$run" || failed=1
	log_since_the_start
	[ -z "$failed" ] || fail "the run failed"
	log_since_the_start | grep -q "^seed $seed: [1-9]" || fail "nothing was done"
	rmmod "$module" || fail "rmmod $module"
}

run_cases random_trees_keep_the_invariants
