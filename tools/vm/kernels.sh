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
#   uml      user-mode Linux, built from a newer release's linux-source with
#            uml.config on top of allnoconfig
#
# Each is built beside its place and renamed into it, so what is there is
# whole. For a kernel named K, after prepare_kernel K:
#
#   kernel_image K, kernel_release K, kernel_kdir K, kernel_modules K
#
# say where its parts are, and kernel_arch K what make wants to hear.
#
# Sourced, never run; needs lib.sh.

# fetch DIR PACKAGE...: download packages with apt and unpack them into DIR.
fetch()
{
	local dir=$1
	shift
	rm -rf "$dir" "$dir.deb"
	mkdir -p "$dir" "$dir.deb"
	(cd "$dir.deb" && apt get download "$@")
	for deb in "$dir.deb"/*.deb; do
		dpkg -x "$deb" "$dir"
	done
	rm -rf "$dir.deb"
}

# apt get|cache ARGUMENT...: apt-get or apt-cache, of the suite that use_suite
# has named, or as the host has it.
apt()
{
	local command=apt-$1 options=()
	shift
	# root's cache may be closed to apt's own user
	[ "$(id -u)" != 0 ] || options=(-o APT::Sandbox::User=root)
	"$command" "${options[@]}" ${suite_options[@]+"${suite_options[@]}"} "$@"
}

# use_suite SUITE: from now on, apt knows this suite of Debian and nothing else.
# It comes from the mirror that the host uses; the host's own lists and
# configuration stay as they are.
use_suite()
{
	local dir=$cache/apt-$1 mirror

	# shellcheck disable=SC2016 # apt's variable
	mirror=$(apt-get indextargets --format '$(REPO_URI)' \
		'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1)
	[ -n "$mirror" ] || die "apt knows no Debian mirror"
	mkdir -p "$dir"/{lists,archives}/partial
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"$mirror $1 main" >"$dir/sources.list"
	suite_options=(
		-o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir"
	)
	apt get update
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
	logged "unpacking the kernel source" "$cache/log/source.log" \
		unpack_source 6.1 "$cache/source"
}

# unpack_source VERSION DIR: the source package of that release, unpacked.
unpack_source()
{
	local package=linux-source-$1 dir=$2 tmp=$2.tmp

	fetch "$tmp.pkg" "$package"
	rm -rf "$tmp"
	mkdir -p "$tmp"
	tar -C "$tmp" --strip-components=1 -xf "$tmp.pkg/usr/src/$package.tar.xz"
	rm -rf "$tmp.pkg"
	mv "$tmp" "$dir"
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
		"$cache/log/debug.log" \
		compile_kernel debug "$cache/source" "$dir" bzImage modules
}

# compile_kernel NAME SOURCE DIR MAKE ARGUMENTS...: the kernel that NAME.config
# describes, built from SOURCE into DIR.
compile_kernel()
{
	local name=$1 source=$2 dir=$3 tmp=$cache/$1.tmp config=$vm_dir/$1.config arch option
	shift 3

	mapfile -t arch < <(kernel_arch "$name")
	rm -rf "$tmp"
	mkdir -p "$tmp"
	make -C "$source" O="$tmp" ${arch[@]+"${arch[@]}"} KCONFIG_ALLCONFIG="$config" allnoconfig
	# an option that Kconfig dropped is silently off, a checker perhaps
	while read -r option; do
		grep -qxF "$option" "$tmp/.config" || {
			echo "$name.config: $option did not take effect"
			return 1
		}
	done < <(grep '^CONFIG_' "$config")
	make -C "$tmp" ${arch[@]+"${arch[@]}"} -j"$(nproc)" "$@"
	# what external modules do not need
	find "$tmp" -name '*.o' -not -path '*/scripts/*' -not -path '*/tools/*' -delete
	find "$tmp" -name '*.a' -delete
	cp "$tmp/include/config/kernel.release" "$tmp/release"
	# newer kernels' builds know their own place
	sed -i "s|$tmp|$dir|" "$tmp/Makefile"
	mv "$tmp" "$dir"
}

# User-mode Linux: a newer release, for the one in Debian 12 has one processor.
uml_version=7.3
uml_suite=trixie-backports

uml_source_dir()
{
	echo "$cache/source-$uml_version"
}

uml_dir()
{
	echo "$cache/uml-$(hash "$vm_dir/uml.config")"
}

prepare_uml()
{
	[ -d "$(uml_dir)" ] || with_lock uml build_uml
}

build_uml()
{
	local dir source

	dir=$(uml_dir)
	source=$(uml_source_dir)
	[ ! -d "$dir" ] || return 0
	[ -d "$source" ] ||
		logged "unpacking the source of Linux $uml_version" \
			"$cache/log/source-$uml_version.log" unpack_uml_source "$source"
	logged "building the uml kernel (about 4 min on two processors)" \
		"$cache/log/uml.log" compile_kernel uml "$source" "$dir" linux modules
}

unpack_uml_source()
{
	local package=linux-source-$uml_version

	use_suite "$uml_suite"
	[ -n "$(apt cache madison "$package")" ] ||
		die "Debian's $uml_suite has no $package (any more)"
	unpack_source "$uml_version" "$1"
}

# What make has to be told to build for a kernel that is not the host's kind.
kernel_arch()
{
	case $1 in
	uml) printf '%s\n' ARCH=um SUBARCH=x86_64 ;;
	esac
}

prepare_kernel()
{
	case $1 in
	stock) prepare_stock ;;
	debug) prepare_debug ;;
	uml) prepare_uml ;;
	*) die "no kernel named '$1': it is stock, debug or uml" ;;
	esac
}

kernel_dir()
{
	case $1 in
	stock) echo "$cache/stock" ;;
	debug) debug_dir ;;
	uml) uml_dir ;;
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
	uml) uml_dir ;;
	esac
}

kernel_image()
{
	case $1 in
	stock) echo "$cache/stock/boot/vmlinuz-$(kernel_release stock)" ;;
	debug) echo "$(debug_dir)/arch/x86/boot/bzImage" ;;
	uml) echo "$(uml_dir)/linux" ;;
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
