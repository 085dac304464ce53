# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The machine of the uml kernel: a process, or rather a group of them, one for
# each address space in the guest. It has two processors and no devices. What
# it writes, in $run: console is the kernel's log, output what the command
# prints; status and files come from init (guest/init), which mounts $run. Its
# memory is a file on a tmpfs, /dev/shm unless TMPDIR says otherwise.
#
# Sourced by vm, never run.

# shellcheck disable=SC2034,SC2154 # the variables are vm's

# What ends it. A polite signal it takes for the guest's own, and panics.
machine_signal=KILL
machine_escape=

# Fills machine_command[].
describe_machine()
{
	machine_command=(
		bash -c "$(declare -f become_machine); become_machine \"\$@\"" become_machine
		"$run" "$interactive"
		"$(kernel_image "$kernel")"
		ncpus=2 "mem=$memory" "initrd=$run/initramfs"
		# user space in processes that a filter stops, not a debugger: faster
		seccomp=on
		# end with a panic, do not start again
		noreboot
		"hostfs=$run" "uml_dir=$run/"
		console=tty0 con=null con0=null,fd:2 con1=fd:3,fd:4
		"${kernel_words[@]}"
	)
}

# become_machine RUN INTERACTIVE COMMAND...: set up the files that COMMAND finds
# open, and be it. A terminal it gets through pipes: it would leave the user's
# in a state that shells do not expect.
become_machine()
{
	local run=$1 interactive=$2
	shift 2

	ulimit -c 0
	mkfifo "$run/input"
	if [ -n "$interactive" ]; then
		stty raw -echo
		setpriv --pdeathsig KILL cat <&0 >"$run/input" &
	fi
	exec 3<>"$run/input"
	echo $$ >"$run/pid"
	exec 4>"$run/output" </dev/null >>"$run/console" 2>&1
	exec "$@"
}

# User-mode Linux puts its processes into a group named after the first, and
# may leave some behind when it is killed.
sweep_machine()
{
	local group try

	[ -s "$run/pid" ] || return 0
	group=$(cat "$run/pid")
	for ((try = 0; try < 100; try++)); do
		kill -KILL -- "-$group" 2>/dev/null || return 0
		sleep 0.02
	done
}

# It ends with an error when its kernel dies. Then nothing that it said last
# counts, and the verdict finds out why.
machine_failed()
{
	rm -f "$run/status"
}
