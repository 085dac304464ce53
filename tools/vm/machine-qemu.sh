# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The machine of the stock and debug kernels: QEMU's q35, two emulated
# processors, an IOMMU, edu devices in hot-plug slots, and a line to QEMU's
# monitor. What it writes, in $run: console is the kernel's log, output what the
# command prints; status and files come from init (guest/init).
#
# Sourced by vm, never run.

# shellcheck disable=SC2034,SC2154 # the variables are vm's

# What ends it, and what its user can do when nothing else helps.
machine_signal=TERM
machine_escape=", Ctrl-A X kills it"

# Are processors in threads of their own safe while the memory map changes? Before 8.2 a
# processor that changes it changes that of the others under their feet: what they write to
# a device at that moment goes to another one, or nowhere. If it was the end of an
# interrupt, that processor has no timer for the rest of its life.
threads_may_remap()
{
	local version

	version=$(qemu-system-x86_64 --version | sed -n 's/.* version \([0-9.]*\).*/\1/p')
	printf '%s\n' 8.2 "$version" | sort -CV
}

# Fills machine_command[].
describe_machine()
{
	local threads=multi append=() processors=() chardev="file,path=$run/output" i

	[ -z "$interactive" ] || chardev="stdio,mux=on,signal=off"
	append=(
		"console=ttyS0,115200" "${kernel_words[@]}"
		# what is not mapped is a fault, at once and not some time later
		intel_iommu=on iommu.passthrough=0 iommu.strict=1
		# a kernel without memory-mapped configuration does not ask the firmware for slots
		pcie_ports=native
		# the timer works: who counts its ticks sees too few where the host is busy
		no_timer_check
		# what can be made to fail, where there is fault injection: not the
		# allocations of checkers, which would turn themselves off
		"slub_debug=A,kmalloc-*,iommu_iova,filp,dentry,inode_cache,vmap_area"
	)
	# KVM is not everywhere; emulation is, and is fast enough
	[ -z "$remaps" ] || threads_may_remap || threads=single
	processors=(-accel "tcg,thread=$threads" -cpu "max,la57=off" -smp 2)
	if [ -n "$instructions" ]; then
		# Instructions make the time, of the date too, and nobody draws lots:
		# a run is like the one before.
		processors=(
			-accel "tcg,thread=single" -icount "shift=0,sleep=off" -smp 1
			-cpu "max,la57=off,rdrand=off,rdseed=off"
			-rtc "base=2020-01-01,clock=vm"
		)
		append+=(nokaslr norandmaps)
	fi
	machine_command=(
		qemu-system-x86_64 -nodefaults -no-user-config -no-reboot
		-display none -monitor none
		"${processors[@]}" -m "$memory"
		# saves the second that a PC's firmware takes
		-bios qboot.rom
		-M "q35,kernel-irqchip=split"
		# slots are hot-plugged by their own registers (see pcie_ports=), not by ACPI
		-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off
		-device "intel-iommu,intremap=off"
		-kernel "$(kernel_image "$kernel")"
		-initrd "$run/initramfs"
		-append "${append[*]}"
		-chardev "file,id=console,path=$run/console" -serial "chardev:console"
		-device "virtio-serial-pci,id=ports"
		-chardev "$chardev,id=terminal"
		-chardev "file,id=files,path=$run/files"
		-device "virtserialport,bus=ports.0,nr=2,chardev=files,name=files"
		-chardev "file,id=status,path=$run/status"
		-device "virtserialport,bus=ports.0,nr=3,chardev=status,name=status"
		# the guest's port "qmp" is QEMU's own monitor: two pipes, back to back
		-chardev "pipe,id=monitor,path=$run/monitor" -mon "chardev=monitor,mode=control"
		-chardev "pipe,id=qmp,path=$run/qmp"
		-device "virtserialport,bus=ports.0,nr=4,chardev=qmp,name=qmp"
	)
	mkfifo "$run/monitor.in" "$run/monitor.out"
	ln -s monitor.out "$run/qmp.in"
	ln -s monitor.in "$run/qmp.out"
	if [ -n "$terminal" ]; then
		machine_command+=(-device "virtconsole,bus=ports.0,nr=0,chardev=terminal")
	else
		machine_command+=(-device
			"virtserialport,bus=ports.0,nr=1,chardev=terminal,name=output")
	fi
	# Each in a slot of its own, from which it can be taken (QMP: device_del), and
	# into which another can be put (device_add). A conventional PCI device may sit
	# there, and is alone on its bus: so it can be reset with it.
	for ((i = 0; i < edu; i++)); do
		machine_command+=(
			-device "pcie-root-port,id=port$i,chassis=$((i + 1)),slot=$((i + 1))"
			-device "edu,id=edu$i,bus=port$i"
		)
	done
	for ((i = 0; i < ${#disks[@]}; i++)); do
		add_disk "$i" "${disks[i]}"
	done
}

# add_disk NUMBER FILE[,bps=N]: at an address of its own, so that it does not depend on
# what else there is.
add_disk()
{
	local drive="if=none,id=disk$1,format=raw,readonly=on,file=${2%%,*}"

	[[ $2 != *,bps=* ]] || drive+=",throttling.bps-total=${2##*,bps=}"
	machine_command+=(-drive "$drive"
		-device "nvme,drive=disk$1,serial=disk$1,addr=$(printf '0x%x' $((16 + $1)))")
}

# QEMU is one process, and gone when it has ended.
sweep_machine()
{
	:
}

# QEMU ends well, whatever becomes of the kernel in it.
machine_failed()
{
	cat "$run/errors" >&2
	show_tail
	die "QEMU ended with status $1"
}
