# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What runs inside the guest: our modules, tools and tests, built against the
# guest's kernel and packed with busybox into an initramfs.
#
# Everything is built in a copy of the source tree in the cache; only files
# whose content changed are copied, so that make does only what is needed, and
# nothing is written in the source tree. Sourced, never run; needs lib.sh and
# kernels.sh.

# build_dir KERNEL: where the copy of the tree and the guest are.
build_dir()
{
	echo "$cache/build/$(basename "$(kernel_dir "$1")")"
}

guest_initramfs()
{
	echo "$(build_dir "$1")/initramfs"
}

# The files that belong to the project, whether git knows them yet or not.
list_sources()
{
	if [ -e "$top/.git" ]; then
		git -c safe.directory="$top" -C "$top" ls-files -co --exclude-standard
	else
		(cd "$top" && find . -type f -printf '%P\n')
	fi | while IFS= read -r file; do
		[ ! -e "$top/$file" ] || printf '%s\n' "$file"
	done | LC_ALL=C sort -u
}

# sync_sources DIR: make DIR/src hold what list_sources names, and print what
# was changed. A changed file gets the time of the copy: make must not take it
# for older than what was built while it was being edited.
sync_sources()
{
	local dir=$1

	mkdir -p "$dir/src"
	touch "$dir/manifest"
	list_sources >"$dir/manifest.new"
	LC_ALL=C comm -23 "$dir/manifest" "$dir/manifest.new" |
		while IFS= read -r file; do
			rm -f "$dir/src/$file"
			echo "$file"
		done
	rsync -rlpc --files-from="$dir/manifest.new" --out-format=%n "$top/" "$dir/src/" |
		grep -v '/$' || true
	mv "$dir/manifest.new" "$dir/manifest"
}

# prepare_guest KERNEL: bring KERNEL's initramfs up to date with the tree.
prepare_guest()
{
	prepare_kernel "$1"
	[ ! -f "$top/selftests/nursery/Makefile" ] || prepare_source
	with_lock "guest-$1" build_guest "$1"
}

build_guest()
{
	local kernel=$1 dir changed

	dir=$(build_dir "$kernel")
	mkdir -p "$dir"
	changed=$(sync_sources "$dir")
	[ -z "$changed" ] || rm -f "$dir/complete"
	[ ! -e "$dir/complete" ] || return 0
	say "building for the $kernel guest"
	# make's own words are for the log, the compilers' for the user
	build_modules "$kernel" "$dir/src" >"$cache/log/build-$kernel.log"
	build_tools "$dir/src" >>"$cache/log/build-$kernel.log"
	pack_guest "$kernel" "$dir"
	touch "$dir/complete"
}

# build_modules KERNEL SRC [MAKE ARGUMENTS...]: as strict as the kernel's own
# builders: W=1, and a warning is an error. With the modules of the selftests,
# which nobody installs.
build_modules()
{
	local kernel=$1 src=$2 words
	shift 2
	[ -f "$src/Kbuild" ] || return 0
	mapfile -t words < <(kernel_arch "$kernel")
	case $kernel in
	# no PCI, and so none of what drives a PCI device
	uml) words+=(CONFIG_SAMPLE_NURSERY_EDU= CONFIG_SAMPLE_NURSERY_NVME=) ;;
	*) words+=(NURSERY_SELFTESTS=y) ;;
	esac
	make -C "$(kernel_kdir "$kernel")" M="$src" -j"$(nproc)" \
		W=1 KCFLAGS=-Werror CONFIG_DEBUG_INFO_BTF_MODULES= "${words[@]}" "$@" modules
}

# build_tools SRC: nurseryctl, and the selftests as lib.mk builds them. In a
# kernel tree lib.mk and its headers are in the folder above the tests; here
# they are linked there.
build_tools()
{
	local src=$1 selftests=$cache/source/tools/testing/selftests file

	[ ! -f "$src/tools/nurseryctl/Makefile" ] ||
		make -C "$src/tools/nurseryctl" CFLAGS="-O2 -g -Wall -Wextra -Werror"
	[ -f "$src/selftests/nursery/Makefile" ] || return 0
	for file in lib.mk kselftest.h kselftest_harness.h kselftest; do
		ln -sfn "$selftests/$file" "$src/selftests/$file"
	done
	rm -rf "$src/selftests/install"
	make -C "$src/selftests/nursery" OUTPUT="$src/selftests/nursery" \
		KHDR_INCLUDES="-isystem $src/include/uapi" \
		INSTALL_PATH="$src/selftests/install" install
	make -s --no-print-directory -C "$src/selftests/nursery" \
		OUTPUT="$src/selftests/nursery" COLLECTION=nursery emit_tests \
		>"$src/selftests/install/kselftest-list.txt"
}

# add_program ROOT FILE [PATH]: put a program into the guest, and the shared
# libraries it wants.
add_program()
{
	local root=$1 file=$2 path=${3:-$2} lib

	mkdir -p "$root${path%/*}"
	cp -L "$file" "$root$path"
	while read -r lib; do
		[ -e "$root$lib" ] || {
			mkdir -p "$root${lib%/*}"
			cp -L "$lib" "$root$lib"
		}
	done < <(ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' || true)
}

# pack_guest KERNEL DIR: DIR/initramfs, from what was built in DIR/src.
pack_guest()
{
	local kernel=$1 dir=$2 root=$2/root release modules file

	release=$(kernel_release "$kernel")
	modules=$root/lib/modules/$release
	rm -rf "$root"
	mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/local/bin} \
		"$root"/{etc,dev,proc,sys,run/vm,tmp,root} "$modules"/{kernel,extra}

	cp /bin/busybox "$root/bin/busybox"
	while read -r file; do
		ln -s /bin/busybox "$root/$file"
	done < <(/bin/busybox --list-full | grep -vx 'bin/busybox')
	add_program "$root" /bin/bash
	# unbuffered output: busybox has none
	add_program "$root" /bin/sed /usr/local/bin/sed
	add_program "$root" /usr/bin/stdbuf
	add_program "$root" /usr/libexec/coreutils/libstdbuf.so
	cp "$dir/src/tools/vm/guest/init" "$root/init"
	chmod 755 "$root/init"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"

	kernel_modules "$kernel" | xargs -r cp -t "$modules/kernel"
	find "$dir/src" -name '*.ko' -exec cp -t "$modules/extra" {} +
	touch "$modules"/modules.{order,builtin,builtin.modinfo}
	depmod -b "$root" "$release"

	file=$dir/src/tools/nurseryctl/nurseryctl
	[ ! -x "$file" ] || add_program "$root" "$file" /usr/local/bin/nurseryctl
	if [ -d "$dir/src/selftests/install" ]; then
		mkdir -p "$root/opt/selftests"
		cp -a "$dir/src/selftests/install/." "$root/opt/selftests"
		for file in "$root"/opt/selftests/*; do
			add_program "$root" "$file" "${file#"$root"}.tmp"
			rm "$file"
			mv "$file.tmp" "$file"
		done
	fi
	for file in "$dir"/src/tools/vm/guest/*; do
		[ "${file##*/}" = init ] ||
			install -D -m 755 "$file" "$root/opt/vm/${file##*/}"
	done

	(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0) >"$dir/initramfs.tmp"
	mv "$dir/initramfs.tmp" "$dir/initramfs"
}
