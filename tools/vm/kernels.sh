# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The guests' kernels and the kernel source, in the cache.
#
#   source   the Debian linux-source package, unpacked: the debug kernel, the
#            selftest headers, checkpatch and kernel-doc come from it
#   source-7.3
#            the same of a newer release: the uml and rtdebug kernels
#   stock    the image and headers of Debian's cloud kernel, unpacked and
#            unmodified; nothing is installed on the host
#   rt       the same of Debian's PREEMPT_RT kernel
#   debug    built from source with debug.config on top of allnoconfig
#   kcsan    the same with debug.config changed by kcsan.config
#   rtdebug  built from the newer source, for in 6.1 PREEMPT_RT is a patch that
#            is in no package: debug.config, changed by rtdebug.config
#   uml      user-mode Linux, built from the newer source with uml.config; the
#            one in 6.1 has one processor
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

# Debian's own kernels: stock and rt.
prepare_debian()
{
	[ -d "$cache/$1" ] || with_lock "$1" build_debian "$1"
}

build_debian()
{
	[ ! -d "$cache/$1" ] || return 0
	have_package_lists
	logged "unpacking the $1 kernel" "$cache/log/$1.log" unpack_debian "$1"
}

unpack_debian()
{
	local tmp=$cache/$1.tmp flavour image release packages

	case $1 in
	stock) flavour=cloud-amd64 ;;
	rt) flavour=rt-amd64 ;;
	esac
	image=$(depends "linux-image-$flavour" | grep '^linux-image-' | head -n 1)
	release=${image#linux-image-}
	mapfile -t packages < <(depends "linux-headers-$release" |
		grep -E '^linux-(headers|kbuild)-')
	fetch "$tmp" "$image" "linux-headers-$release" "${packages[@]}"
	# the one absolute path in the headers
	sed -i "s|/usr/src/|$cache/$1/usr/src/|" "$tmp/usr/src/linux-headers-$release/Makefile"
	echo "$release" >"$tmp/release"
	mv "$tmp" "$cache/$1"
}

# What compile_kernel makes of KERNEL: its folder names its configuration, so
# that a change of that builds a new one.
compiled_dir()
{
	echo "$cache/$1-$(kernel_config "$1" | hash)"
}

# kernel_config KERNEL: the configuration, on top of allnoconfig. Of what is
# said twice the last word counts.
kernel_config()
{
	case $1 in
	kcsan | rtdebug)
		cat "$vm_dir/debug.config" "$vm_dir/$1.config" | tac |
			awk 'match($0, /CONFIG_[A-Z0-9_]+/) &&
				!seen[substr($0, RSTART, RLENGTH)]++' | tac
		;;
	*) cat "$vm_dir/$1.config" ;;
	esac
}

prepare_compiled()
{
	[ -d "$(compiled_dir "$1")" ] || {
		case $1 in
		debug | kcsan) prepare_source ;;
		*) prepare_newer_source ;;
		esac
		with_lock "$1" build_compiled "$1"
	}
}

build_compiled()
{
	local dir source=$cache/source image=bzImage

	dir=$(compiled_dir "$1")
	[ ! -d "$dir" ] || return 0
	case $1 in
	rtdebug) source=$(newer_source_dir) ;;
	uml) source=$(newer_source_dir) image=linux ;;
	esac
	logged "building the $1 kernel (about 5 min on two processors)" "$cache/log/$1.log" \
		compile_kernel "$1" "$source" "$dir" "$image" modules
}

# compile_kernel KERNEL SOURCE DIR MAKE ARGUMENTS...: built from SOURCE into DIR.
compile_kernel()
{
	local name=$1 source=$2 dir=$3 tmp=$cache/$1.tmp arch option
	local config=$tmp/nursery.config
	shift 3

	mapfile -t arch < <(kernel_arch "$name")
	rm -rf "$tmp"
	mkdir -p "$tmp"
	kernel_config "$name" >"$config"
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

newer_version=7.3
newer_suite=trixie-backports

newer_source_dir()
{
	echo "$cache/source-$newer_version"
}

prepare_newer_source()
{
	[ -d "$(newer_source_dir)" ] || with_lock source-newer build_newer_source
}

build_newer_source()
{
	local dir

	dir=$(newer_source_dir)
	[ ! -d "$dir" ] || return 0
	logged "unpacking the source of Linux $newer_version" \
		"$cache/log/source-$newer_version.log" unpack_newer_source "$dir"
}

unpack_newer_source()
{
	local package=linux-source-$newer_version

	use_suite "$newer_suite"
	[ -n "$(apt cache madison "$package")" ] ||
		die "Debian's $newer_suite has no $package (any more)"
	unpack_source "$newer_version" "$1"
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
	stock | rt) prepare_debian "$1" ;;
	debug | kcsan | rtdebug | uml) prepare_compiled "$1" ;;
	*) die "no kernel named '$1': it is stock, rt, debug, kcsan, rtdebug or uml" ;;
	esac
}

kernel_dir()
{
	case $1 in
	stock | rt) echo "$cache/$1" ;;
	*) compiled_dir "$1" ;;
	esac
}

kernel_release()
{
	cat "$(kernel_dir "$1")/release"
}

kernel_kdir()
{
	case $1 in
	stock | rt) echo "$cache/$1/usr/src/linux-headers-$(kernel_release "$1")" ;;
	*) compiled_dir "$1" ;;
	esac
}

kernel_image()
{
	case $1 in
	stock | rt) echo "$cache/$1/boot/vmlinuz-$(kernel_release "$1")" ;;
	uml) echo "$(compiled_dir uml)/linux" ;;
	*) echo "$(compiled_dir "$1")/arch/x86/boot/bzImage" ;;
	esac
}

# The kernel's own modules that the guest needs before it can talk to its host.
kernel_modules()
{
	case $1 in
	stock | rt)
		find "$cache/$1/lib/modules" \
			-name 'virtio.ko' -o -name 'virtio_ring.ko' -o \
			-name 'virtio_pci*.ko' -o -name 'virtio_console.ko'
		;;
	esac
}
