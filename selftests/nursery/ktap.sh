# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# KTAP for tests in bash: each case is a function, run in a subshell of its own.
# In it "fail" and "skip" end the case; whatever else it says becomes a comment.
# Sourced, never run.

fail()
{
	echo "$*"
	exit 1
}

skip()
{
	echo "$*"
	exit 4
}

# eventually SECONDS COMMAND...: repeat it until it succeeds.
eventually()
{
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep 0.1
	done
}

# run_case FUNCTION FILE: its output goes to FILE. 137 if it is not over in time.
run_case()
{
	local end=$((SECONDS + ${case_limit:-90})) pid nothing

	exec {nothing}<> <(:)
	# what it leaves behind ends with it
	(trap 'kill $(jobs -p) 2>/dev/null' EXIT; "$1") >"$2" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if [ "$SECONDS" -gt "$end" ]; then
			echo "it was not over after ${case_limit:-90} s" >>"$2"
			kill -KILL "$pid"
			break
		fi
		read -rt 0.1 -u "$nothing"	# a nap that costs no process
	done
	exec {nothing}>&-
	wait "$pid" 2>/dev/null
}

# run_cases FUNCTION...: print KTAP; the status is the script's. Its last command.
run_cases()
{
	local number=0 failed=0 case status line output

	output=$(mktemp)
	echo "TAP version 13"
	echo "1..$#"
	for case; do
		number=$((number + 1))
		run_case "$case" "$output"
		status=$?
		while read -r line; do
			echo "# $line"
		done <"$output"
		case $status in
		0) echo "ok $number $case" ;;
		4) echo "ok $number $case # SKIP $(tail -n 1 "$output")" ;;
		*)
			echo "not ok $number $case"
			failed=$((failed + 1))
			;;
		esac
	done
	rm -f "$output"
	[ "$failed" = 0 ]
}
