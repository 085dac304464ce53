# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The guests' kernels and the kernel source, in the cache.
#
#   source   the Debian linux-source package, unpacked: the debug kernel, the
#            selftest headers, checkpatch and kernel-doc come from it
#   stock    the image and headers of Debian's cloud kernel, unpacked and
#            unmodified; nothing is installed on the host
#   debug    built from source with debug.config on top of allnoconfig
#
# Each is built beside its place and renamed into it, so what is there is
# whole. For a kernel named K, after prepare_kernel K:
#
#   kernel_image K, kernel_release K, kernel_kdir K, kernel_modules K
#
# say where its parts are. Sourced, never run; needs lib.sh.

# fetch DIR PACKAGE...: download packages with apt and unpack them into DIR.
fetch()
{
	local dir=$1 options=()
	shift
	# root's cache may be closed to apt's own user
	[ "$(id -u)" != 0 ] || options=(-o APT::Sandbox::User=root)
	rm -rf "$dir" "$dir.deb"
	mkdir -p "$dir" "$dir.deb"
	(cd "$dir.deb" && apt-get "${options[@]}" download "$@")
	for deb in "$dir.deb"/*.deb; do
		dpkg -x "$deb" "$dir"
	done
	rm -rf "$dir.deb"
}

# depends PACKAGE: its dependencies, one a line.
depends()
{
	apt-cache depends --important "$1" | sed -n 's/^ *Depends: //p'
}

source_dir()
{
	echo "$cache/source"
}

prepare_source()
{
	[ -d "$cache/source" ] || with_lock source build_source
}

build_source()
{
	[ ! -d "$cache/source" ] || return 0
	have_package_lists
	logged "unpacking the kernel source" "$cache/log/source.log" unpack_source
}

unpack_source()
{
	local tmp=$cache/source.tmp

	fetch "$tmp.pkg" linux-source-6.1
	rm -rf "$tmp"
	mkdir -p "$tmp"
	tar -C "$tmp" --strip-components=1 -xf "$tmp.pkg"/usr/src/linux-source-6.1.tar.xz
	rm -rf "$tmp.pkg"
	mv "$tmp" "$cache/source"
}

prepare_stock()
{
	[ -d "$cache/stock" ] || with_lock stock build_stock
}

build_stock()
{
	[ ! -d "$cache/stock" ] || return 0
	have_package_lists
	logged "unpacking the stock kernel" "$cache/log/stock.log" unpack_stock
}

unpack_stock()
{
	local tmp=$cache/stock.tmp image release packages

	image=$(depends linux-image-cloud-amd64 | grep '^linux-image-' | head -n 1)
	release=${image#linux-image-}
	mapfile -t packages < <(depends "linux-headers-$release" |
		grep -E '^linux-(headers|kbuild)-')
	fetch "$tmp" "$image" "linux-headers-$release" "${packages[@]}"
	# the one absolute path in the headers
	sed -i "s|/usr/src/|$cache/stock/usr/src/|" "$tmp/usr/src/linux-headers-$release/Makefile"
	echo "$release" >"$tmp/release"
	mv "$tmp" "$cache/stock"
}

# The debug kernel's folder names its configuration, so that a change of
# debug.config builds a new one.
debug_dir()
{
	echo "$cache/debug-$(hash "$vm_dir/debug.config")"
}

prepare_debug()
{
	[ -d "$(debug_dir)" ] || {
		prepare_source
		with_lock debug build_debug
	}
}

build_debug()
{
	local dir

	dir=$(debug_dir)
	[ ! -d "$dir" ] || return 0
	logged "building the debug kernel (about 5 min on two processors)" \
		"$cache/log/debug.log" compile_debug "$dir"
}

compile_debug()
{
	local dir=$1 tmp=$cache/debug.tmp option

	rm -rf "$tmp"
	mkdir -p "$tmp"
	make -C "$cache/source" O="$tmp" KCONFIG_ALLCONFIG="$vm_dir/debug.config" allnoconfig
	# an option that Kconfig dropped is a checker that is silently off
	while read -r option; do
		grep -qxF "$option" "$tmp/.config" || {
			echo "debug.config: $option did not take effect"
			return 1
		}
	done < <(grep '^CONFIG_' "$vm_dir/debug.config")
	make -C "$tmp" -j"$(nproc)" bzImage modules
	# what external modules do not need
	find "$tmp" -name '*.o' -not -path '*/scripts/*' -not -path '*/tools/*' -delete
	find "$tmp" -name '*.a' -delete
	cp "$tmp/include/config/kernel.release" "$tmp/release"
	mv "$tmp" "$dir"
}

prepare_kernel()
{
	case $1 in
	stock) prepare_stock ;;
	debug) prepare_debug ;;
	*) die "no kernel named '$1': it is stock or debug" ;;
	esac
}

kernel_dir()
{
	case $1 in
	stock) echo "$cache/stock" ;;
	debug) debug_dir ;;
	esac
}

kernel_release()
{
	cat "$(kernel_dir "$1")/release"
}

kernel_kdir()
{
	case $1 in
	stock) echo "$cache/stock/usr/src/linux-headers-$(kernel_release stock)" ;;
	debug) debug_dir ;;
	esac
}

kernel_image()
{
	case $1 in
	stock) echo "$cache/stock/boot/vmlinuz-$(kernel_release stock)" ;;
	debug) echo "$(debug_dir)/arch/x86/boot/bzImage" ;;
	esac
}

# The kernel's own modules that the guest needs before it can talk to its host.
kernel_modules()
{
	case $1 in
	stock)
		find "$cache/stock/lib/modules" \
			-name 'virtio.ko' -o -name 'virtio_ring.ko' -o \
			-name 'virtio_pci*.ko' -o -name 'virtio_console.ko'
		;;
	esac
}
