#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The main job, shown: a file goes through the edu devices and back; a second
# copy is cancelled in the middle. The order that nurseries promise is not
# claimed but read off the tracepoints: in every scope, all children end before
# anything is released.
#
# On success the last line for the host to print is left in /root/verdict.

trace=/sys/kernel/tracing
in=/root/input
out=/root/output

say()
{
	printf '\n== %s\n' "$*"
}

fail()
{
	echo "demo: $*" >&2
	exit 1
}

# What is alive, without what differs from time to time.
alive()
{
	nurseryctl tree | sed 's/  id [0-9]*//'
}

# check_trace: every scope in the trace in order? Prints the counts.
check_trace()
{
	awk '
	function field(name)
	{
		return match($0, name "=[^ ]*") ?
			substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) : ""
	}
	/ nursery_(spawn|child_done|join|release|cancel): / { n = field("nursery") }
	/ nursery_spawn: /      { live[n]++; children++; if (joined[n]) bad("spawn after join") }
	/ nursery_child_done: / { live[n]--; if (released[n]) bad("child ended after a release") }
	/ nursery_join: /       {
		joined[n] = 1
		scopes++
		if (live[n]) bad("join before the end")
	}
	/ nursery_release: /    {
		released[n] = 1
		if (!joined[n] || live[n]) bad("release before the join")
		if (field("type") == "coherent") buffers++
	}
	function bad(what) { print "nursery " n ": " what > "/dev/stderr"; wrong = 1 }
	END {
		for (n in live) if (live[n]) bad("children never ended")
		if (!buffers) { print "no buffers in the trace" > "/dev/stderr"; wrong = 1 }
		print scopes, children, buffers
		exit wrong
	}' "$1"
}

trace_on()
{
	echo 0 >$trace/tracing_on
	echo >$trace/trace
	echo 1 >$trace/tracing_on
}

# trace_off FILE: keep what was traced, all of it.
trace_off()
{
	echo 0 >$trace/tracing_on
	cat $trace/trace >"$1"
	! grep -h -E '^(overrun|dropped events): [1-9]' $trace/per_cpu/cpu*/stats ||
		fail "the trace is not whole"
}

say "The devices, each alone behind the IOMMU"
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor") $(cat "$device/device")" = "0x1234 0x11e8" ] || continue
	group=$(readlink "$device/iommu_group") || fail "${device##*/} is not behind an IOMMU"
	echo "edu ${device##*/}  IOMMU group ${group##*/}  $(cat "$device/iommu_group/type")"
done

say "modprobe nursery_edu"
modprobe nursery_edu || fail "the modules do not load"
nurseryctl list --ops
alive >/root/before
echo 4096 >$trace/buffer_size_kb
echo 1 >$trace/events/nursery/enable

# A real file, not too big for 10 KiB/s a device: the driver's own module.
cp "$(find /lib/modules -name nursery_edu.ko)" $in
[ "$(stat -c %s $in)" -ge $((256 * 1024)) ] || fail "the file is too small to show much"

say "nurseryctl edu-copy $in $out"
trace_on
(sleep 2; printf '\n\n-- meanwhile: nurseryctl tree\n'; nurseryctl tree; echo) &
nurseryctl edu-copy $in $out || fail "the copy failed"
wait
trace_off /root/trace1
cmp $in $out || fail "the copy differs"
sha256sum $in $out
first=$(check_trace /root/trace1) || fail "the order was wrong in the first copy"

say "The same again, interrupted after 2 seconds"
trace_on
nurseryctl edu-copy $in $out.2 &
copy=$!
sleep 2
kill -INT $copy
wait $copy
status=$?
trace_off /root/trace2
[ $status = 130 ] || fail "the interrupted copy ended with status $status, not 130"
[ ! -e $out.2 ] || fail "the interrupted copy left a file"
second=$(check_trace /root/trace2) || fail "the order was wrong in the second copy"
grep -q ' nursery_cancel: ' /root/trace2 || fail "nothing was cancelled"

say "From the trace of that: the scope of one interrupted chunk"
scope=$(sed -n 's/.* nursery_cancel: nursery=\([0-9]*\) .*name="edu chunk".*/\1/p' \
	/root/trace2 | head -n 1)
[ -n "$scope" ] || fail "no chunk was cancelled in flight"
grep "nursery=$scope " /root/trace2 | sed 's/^ *[^ ]* *\[[0-9]*\] [^ ]* *//'

say "What is left"
alive >/root/after
cmp /root/before /root/after || { cat /root/after; fail "something was left behind"; }
nurseryctl tree
rmmod nursery_edu nursery || fail "the modules do not unload"
echo "nothing but the drivers' own; both modules are unloaded"

size=$(($(stat -c %s $in) / 1024))
# shellcheck disable=SC2086 # three numbers each
{
	set -- $first $second
	echo "$size KiB went through the devices by DMA and came back the same; the second copy" \
		"was stopped in the middle: all of its $5 children were joined before any of its" \
		"$6 buffers was released, and nothing leaked."
} >/root/verdict
