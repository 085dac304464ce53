#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# nurseryctl: what it prints, how it exits, and that a file which it copies
# appears whole or not at all. A mistake, or something that is missing, gives one
# line on stderr and an exit code of its own.

# shellcheck source=selftests/nursery/ktap.sh
. "${BASH_SOURCE[0]%/*}/ktap.sh"

work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
shopt -s dotglob nullglob

# Every case starts with the modules loaded and an empty folder.
start()
{
	command -v nurseryctl >/dev/null || skip "nurseryctl is not installed"
	modprobe nursery_edu || fail "the modules cannot be loaded"
	rm -rf "${work:?}"/*
}

edu_devices()
{
	find /sys/bus/pci/devices/ -name '0000:*' -exec grep -lx 0x11e8 {}/device \; 2>/dev/null |
		sed 's|.*/\(0000:[^/]*\)/device|\1|'
}

bound_devices()
{
	find /sys/bus/pci/drivers/nursery_edu/ -name '0000:*' | wc -l
}

need_devices()
{
	[ "$(bound_devices)" -ge "$1" ] || skip "it takes $1 edu devices"
}

# Few processes: starting one takes a while where the kernel checks all it does.

# expect CODE COMMAND...: it exits so; its output is in stdout and stderr.
expect()
{
	local want=$1 got
	shift
	"$@" >stdout 2>stderr
	got=$?
	[ "$got" = "$want" ] || fail "'$*' exits with $got, not $want: $(<stderr)"
}

# one_line TEXT: stderr is one line of nurseryctl, with TEXT in it.
one_line()
{
	local lines

	mapfile -t lines <stderr
	[ ${#lines[@]} = 1 ] || fail "it does not say one line but ${#lines[@]}: $(<stderr)"
	[[ ${lines[0]} == "nurseryctl: "* ]] || fail "it does not say who speaks: $(<stderr)"
	[[ ${lines[0]} =~ $1 ]] || fail "it does not say '$1': $(<stderr)"
}

# expect_error CODE TEXT COMMAND...: one line, with TEXT in it.
expect_error()
{
	local want=$1 text=$2
	shift 2
	expect "$want" "$@"
	one_line "$text"
}

# Is standard input one JSON value? Reduce it to one letter. (Not a full parser:
# strings may hold anything that has no bare quote.)
is_json()
{
	awk '
		{ text = text $0 }
		END {
			gsub(/"([^"\\]|\\.)*"/, "S", text)
			gsub(/-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null/, "V", text)
			gsub(/[ \t\r]/, "", text)
			do {
				n = gsub(/\[\]|\{\}/, "V", text)
				n += gsub(/\[[SV](,[SV])*\]/, "V", text)
				n += gsub(/\{S:[SV](,S:[SV])*\}/, "V", text)
			} while (n)
			exit text != "V"
		}'
}

expect_json()
{
	local text=$1
	shift
	expect 0 "$@"
	is_json <stdout || fail "'$*' is no JSON: $(<stdout)"
	[[ $(<stdout) == *"$text"* ]] || fail "'$*' has no '$text': $(<stdout)"
	[ ! -s stderr ] || fail "'$*' also says: $(<stderr)"
}

# expect_files NAME...: these are there, and no other, hidden ones included.
expect_files()
{
	local there=()

	for file in *; do
		[ "$file" = stdout ] || [ "$file" = stderr ] || there+=("$file")
	done
	[ "${there[*]}" = "$*" ] || fail "there are files: ${there[*]}"
}

# nursery_of PID: sets id to that of its nursery; false if there is none.
nursery_of()
{
	local line

	while read -r -a line; do
		id=${line[0]}
		[ "${line[6]}" != "$1" ] || return 0
	done < <(nurseryctl list --quiet)
	id=
	return 1
}

# has_children PID NR: it has spawned them all. Sets id as well.
has_children()
{
	local line

	while read -r -a line; do
		id=${line[0]}
		[ "${line[6]}" != "$1" ] || [ "${line[3]}" != "$2" ] || return 0
	done < <(nurseryctl list --quiet)
	id=
	return 1
}

no_nursery()
{
	! nursery_of "$1"
}

copy_pending()
{
	local line

	while read -r -a line; do
		[ "${line[0]}" != edu-copy ] || [ "${line[2]}" = 0 ] || return 0
	done < <(nurseryctl list --ops --quiet)
	return 1
}

copy_done()
{
	! copy_pending
}

is_json_can_tell()
{
	local text

	for text in '{}' '[1, -2.5e3, "a\"b", null]' '{"a": [{"b": true}]}'; do
		is_json <<<"$text" || fail "it refuses $text"
	done
	for text in '' '{' '[1,]' '{"a"}' '{1: 2}' '[1 2]' '"a' '{} x' '{}{}'; do
		! is_json <<<"$text" || fail "it accepts $text"
	done
}

help()
{
	local command

	start
	for command in '' run edu-copy nvme-read tree list cancel quarantine; do
		# shellcheck disable=SC2086 # none is no argument
		expect 0 nurseryctl $command --help
		[[ $(<stdout) == "Usage: nurseryctl"* ]] || fail "$command --help: no usage"
		[ ! -s stderr ] || fail "$command --help: $(<stderr)"
	done
	expect 0 nurseryctl --version
}

bad_arguments()
{
	start
	expect_error 2 'no command' nurseryctl
	expect_error 2 'nonsense' nurseryctl nonsense
	expect_error 2 '--nonsense' nurseryctl --nonsense
	expect_error 2 '--nonsense' nurseryctl run --nonsense sleep:1s
	expect_error 2 'no operation' nurseryctl run
	expect_error 2 '--deadline' nurseryctl run --deadline never sleep:1s
	expect_error 2 'value' nurseryctl run sleep:1s --deadline
	expect_error 2 '--buffer' nurseryctl run --buffer much sleep:1s
	expect_error 2 '--buffer' nurseryctl run --buffer 1s sleep:1s
	expect_error 2 '--buffer' nurseryctl run --buffer EIO sleep:1s
	expect_error 2 'two files' nurseryctl edu-copy
	expect_error 2 'two files' nurseryctl edu-copy a
	expect_error 2 'two files' nurseryctl edu-copy a b c
	expect_error 2 'extra' nurseryctl list extra
	expect_error 2 'extra' nurseryctl tree extra
	expect_error 2 'extra' nurseryctl quarantine extra
	expect_error 2 'no id' nurseryctl cancel
	expect_error 2 'not an id' nurseryctl cancel first
	expect_error 2 'not an id' nurseryctl cancel 0
	expect_error 2 'not an id' nurseryctl cancel 1 EIO
	expect_error 2 'not an id' nurseryctl cancel 1 2K
	expect_error 2 'not an id' nurseryctl cancel -- -1
	expect_error 2 '--cause' nurseryctl cancel --cause EWHAT 1
	expect_error 2 '--cause' nurseryctl cancel --cause 1K 1
	expect_error 2 '--offset' nurseryctl nvme-read --offset 1ms
	expect_error 2 '--length' nurseryctl nvme-read --length EIO
}

bad_operations()
{
	start
	# all is checked before anything is started
	expect_error 2 'nosuch.*no such operation.*sleep' nurseryctl run sleep:10s nosuch
	expect_error 2 'number of arguments' nurseryctl run sleep
	expect_error 2 'number of arguments' nurseryctl run sleep:1,2
	expect_error 2 'tomorrow' nurseryctl run sleep:tomorrow
	expect_error 2 'arguments' nurseryctl run copy:1,2,3,4,5
	expect_error 2 '' nurseryctl run :1s
	expect_error 2 '' nurseryctl run aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
	expect_error 2 '64 bits' nurseryctl run sleep:99999999999999999999
}

no_module()
{
	start
	! [ -d /sys/module/nursery_wrong_edu ] || rmmod nursery_wrong_edu
	rmmod nursery_edu || fail "nursery_edu cannot be unloaded"
	rmmod nursery || fail "nursery cannot be unloaded"
	echo data >in
	expect_error 2 'modprobe nursery' nurseryctl run sleep:1s
	expect_error 2 'modprobe nursery' nurseryctl edu-copy in out
	expect_error 2 'modprobe nursery' nurseryctl tree
	expect_error 2 'modprobe nursery' nurseryctl list
	expect_error 2 'modprobe nursery' nurseryctl list --ops
	expect_error 2 'modprobe nursery' nurseryctl cancel 1
	expect_error 2 'modprobe nursery' nurseryctl quarantine
	expect_files in
}

no_permission()
{
	start
	echo data >in
	expect_error 2 'root' su -s /bin/sh nobody -c 'nurseryctl run sleep:1s'
	expect_error 2 'root' su -s /bin/sh nobody -c 'nurseryctl tree'
	expect_error 2 'root' su -s /bin/sh nobody -c 'nurseryctl list'
	expect_error 2 'root' su -s /bin/sh nobody -c 'nurseryctl cancel 1'
	expect_error 2 'root' su -s /bin/sh nobody -c 'nurseryctl quarantine'
	expect_error 2 'root' su -s /bin/sh nobody -c 'nurseryctl edu-copy in /tmp/out'
}

no_device()
{
	local addr addrs status=0

	start
	addrs=$(edu_devices)
	echo data >in
	for addr in $addrs; do
		echo "$addr" >/sys/bus/pci/drivers/nursery_edu/unbind
	done
	(expect_error 2 'no edu device' nurseryctl edu-copy in out) || status=1
	for addr in $addrs; do
		echo "$addr" >/sys/bus/pci/drivers/nursery_edu/bind
	done
	[ "$status" = 0 ] || exit 1
	expect_files in
}

bad_files()
{
	start
	need_devices 1	# that is looked at first
	echo data >in
	mkdir folder
	expect_error 2 'nothing-here' nurseryctl edu-copy nothing-here out
	expect_error 2 'folder.*directory' nurseryctl edu-copy folder out
	expect_error 2 'same file' nurseryctl edu-copy in "$PWD/in"
	expect_error 2 'same file' nurseryctl edu-copy in ./folder/../in
	ln in hard
	expect_error 2 'same file' nurseryctl edu-copy in hard
	rm hard
	expect_error 2 'folder' nurseryctl edu-copy in folder
	expect_error 2 'no-folder' nurseryctl edu-copy in no-folder/out
	expect_error 2 'nothing-here' nurseryctl run --input nothing-here checksum:0,1
	[ "$(<in)" = data ] || fail "the input has changed"
	expect_files folder in
}

run_works()
{
	start
	expect 0 nurseryctl run sleep:10ms sleep:20ms
	[ "$(grep -c ' ok ' stdout)" = 2 ] || fail "not two lines: $(<stdout)"
	expect 0 nurseryctl run --quiet sleep:1ms
	[ ! -s stdout ] || fail "--quiet is not: $(<stdout)"
	printf 123456789 >in
	expect 0 nurseryctl run --input in checksum:0,9
	grep -qi 'cbf43926' stdout || fail "that is not the CRC: $(<stdout)"
	expect_error 1 'EFAULT' nurseryctl run --input in checksum:0,1M
}

run_fails_fast()
{
	local start=$SECONDS

	start
	expect_error 1 'EIO' nurseryctl run sleep:50ms fail:EIO sleep:60s
	[ $((SECONDS - start)) -lt 20 ] || fail "it waited for the sleeper"
	expect_error 1 'deadline' nurseryctl run --deadline 100ms sleep:60s
	[ $((SECONDS - start)) -lt 40 ] || fail "it waited for the sleeper"
}

# end_by SIGNAL CODE: a run that is told to stop does, and says how.
end_by()
{
	local pid

	nurseryctl run sleep:60s >stdout 2>stderr &
	pid=$!
	eventually 10 has_children "$pid" 1 || fail "it did not start"
	kill -s "$1" "$pid"
	wait "$pid"
	[ $? = "$2" ] || fail "SIG$1 does not give $2"
	one_line ''
	eventually 10 no_nursery "$pid" || fail "its nursery is still there"
}

run_ends_with_a_signal()
{
	start
	end_by TERM 143
	end_by INT 130
}

json()
{
	local pid

	start
	nurseryctl run --quiet sleep:60s &
	pid=$!
	eventually 10 has_children "$pid" 1 || fail "it did not start"
	(
		expect_json '"sleep:1ms"' nurseryctl run --json sleep:1ms sleep:2ms &&
		expect_json '"name": "nurseryctl"' nurseryctl tree --json &&
		expect_json '"name": "nurseryctl"' nurseryctl list --json &&
		expect_json '"checksum"' nurseryctl list --ops --json &&
		expect_json '"quarantine": [' nurseryctl quarantine --json &&
		expect_json '"cancelled": [' nurseryctl cancel --json "$id"
	) || { kill "$pid" 2>/dev/null; exit 1; }
	wait "$pid"

	# also when it fails
	expect 1 nurseryctl run --json sleep:60s fail:EIO
	is_json <stdout || fail "run --json that fails is no JSON: $(<stdout)"
	grep -q '"EIO"' stdout || fail "run --json does not say why it failed"

	need_devices 1
	head -c 10000 /dev/urandom >in
	expect_json '"bytes": 10000' nurseryctl edu-copy --json in out
}

tree_and_list_show_a_nursery()
{
	local pid id

	start
	nurseryctl run --quiet sleep:60s sleep:61s &
	pid=$!
	eventually 10 has_children "$pid" 2 || fail "it did not start"
	expect 0 nurseryctl tree
	cp stdout tree
	expect 0 nurseryctl list
	kill "$pid"
	wait "$pid" 2>/dev/null
	grep -q "nurseryctl.* $id .*2 children.*$pid" tree || fail "not in the tree: $(<tree)"
	[ "$(sed "1,/^nurseryctl/d" tree | grep -c sleep)" = 2 ] ||
		fail "not two children: $(<tree)"
	awk -v id="$id" '$1 == id && $4 == 2' stdout | grep -q nurseryctl ||
		fail "not in the list: $(<stdout)"
}

cancel_from_another_process()
{
	local pid id

	start
	nurseryctl run sleep:60s >run.out 2>run.err &
	pid=$!
	eventually 10 has_children "$pid" 1 || fail "it did not start"
	expect_error 1 'nothing' nurseryctl cancel 18446744073709551615
	expect 0 nurseryctl cancel "$id"
	wait "$pid"
	[ $? = 1 ] || fail "the cancelled one does not exit with 1"
	mv run.err stderr
	one_line 'from outside'
	expect_error 1 'nothing' nurseryctl cancel "$id"
}

copies_are_equal()
{
	local size

	start
	need_devices 1
	for size in 0 1 4096 4097 30000; do
		head -c "$size" /dev/urandom >in
		expect 0 nurseryctl edu-copy in out
		cmp in out || fail "a copy of $size bytes differs"
	done
	chmod 640 out
	expect 0 nurseryctl edu-copy in out
	[ "$(stat -c %a out)" = 640 ] || fail "the mode of OUT has changed"
	# in pieces, from a pipe
	(head -c 5000 in; sleep 1; tail -c +5001 in) | nurseryctl edu-copy --quiet - out ||
		fail "it cannot read a pipe"
	cmp in out || fail "a copy from a pipe differs"
	expect_files in out
}

# break_copy SIGNAL CODE: nothing is left of it, and what was there still is.
break_copy()
{
	local pid status

	nurseryctl edu-copy in "$3" >stdout 2>stderr &
	pid=$!
	eventually 10 copy_pending || fail "the copy did not start"
	kill -s "$1" "$pid"
	wait "$pid" 2>/dev/null
	status=$?
	[ "$status" = "$2" ] || fail "SIG$1 gives $status, not $2"
	[ "$1" = KILL ] || one_line cancelled
	eventually 10 copy_done || fail "SIG$1: calls are left"
	expect_files in old
	[ "$(<old)" = precious ] || fail "SIG$1: OUT has changed"
}

a_broken_copy_leaves_nothing()
{
	start
	need_devices 1
	head -c 1048576 /dev/urandom >in
	echo precious >old
	break_copy INT 130 new
	break_copy INT 130 old
	break_copy TERM 143 old
	break_copy KILL 137 new
	break_copy KILL 137 old
}

a_copy_without_its_devices_fails()
{
	local addr addrs pid status

	start
	need_devices 1
	addrs=$(edu_devices)
	head -c 1048576 /dev/urandom >in
	echo precious >old
	nurseryctl edu-copy in old >stdout 2>stderr &
	pid=$!
	eventually 10 copy_pending || fail "the copy did not start"
	for addr in $addrs; do
		echo "$addr" >/sys/bus/pci/drivers/nursery_edu/unbind
	done
	wait "$pid"
	status=$?
	for addr in $addrs; do
		echo "$addr" >/sys/bus/pci/drivers/nursery_edu/bind
	done
	[ "$status" = 1 ] || fail "it exits with $status"
	one_line 'went away'
	expect_files in old
	[ "$(<old)" = precious ] || fail "OUT has changed"
}

output_that_cannot_be_written()
{
	start
	[ -c /dev/full ] || skip "there is no /dev/full"
	! nurseryctl list --ops >/dev/full 2>stderr || fail "it does not notice"
	one_line ''
	need_devices 1
	head -c 30000 /dev/urandom >in
	# no file may be larger than 8 KiB
	(ulimit -f 8; nurseryctl edu-copy --quiet in out 2>&1) >message
	[ $? = 1 ] || fail "a full disk: $(<message)"
	[ ! -e out ] || fail "there is a part of the copy"
}

run_cases is_json_can_tell help bad_arguments bad_operations no_module no_permission no_device \
	bad_files run_works run_fails_fast run_ends_with_a_signal json \
	tree_and_list_show_a_nursery cancel_from_another_process copies_are_equal \
	a_broken_copy_leaves_nothing a_copy_without_its_devices_fails output_that_cannot_be_written
