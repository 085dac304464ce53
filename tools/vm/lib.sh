# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every script of the VM runner shares: where the cache is, how progress
# and errors are said, how an artifact is built once and never seen half built,
# and which Debian packages the host needs.
#
# Sourced, never run.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$vm_dir/../.." && pwd)
cache=${NURSERY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nursery}
mkdir -p "$cache/lock" "$cache/log"
cache=$(cd "$cache" && pwd)

# One line of progress, on stderr so that stdout stays the guest's. Setting
# $quiet hides it.
say()
{
	[ -n "${quiet:-}" ] || printf 'vm: %s\n' "$*" >&2
}

die()
{
	printf 'vm: error: %s\n' "$*" >&2
	exit 1
}

# with_lock NAME COMMAND...: run COMMAND in a subshell, alone on this machine
# among the holders of NAME. Parallel runs wait here for one another's builds.
with_lock()
{
	local name=$1
	shift
	(
		flock 9
		"$@"
	) 9>"$cache/lock/$name"
}

# logged "MESSAGE" LOGFILE COMMAND...: say what is going on and where it logs,
# run it silently, and show the end of the log if it fails.
logged()
{
	local message=$1 log=$2 start=$SECONDS
	shift 2
	say "$message ... (log: $log)"
	# in the background, for errexit is off inside a condition
	("$@") >"$log" 2>&1 </dev/null &
	wait $! || {
		tail -n 30 "$log" >&2
		die "$message failed, the whole log is $log"
	}
	say "$message: done in $((SECONDS - start)) s"
}

# Eight digits that change when stdin does.
hash()
{
	sha256sum | cut -c 1-8
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# need_packages PACKAGE...: install what is missing on the host, saying so.
# Never a kernel: those are only unpacked into the cache.
need_packages()
{
	local installed missing

	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^installed //p' || true)
	mapfile -t missing < <(printf '%s\n' "$@" | grep -vxF "$installed" || true)
	[ ${#missing[@]} -gt 0 ] || return 0
	with_lock apt install_packages "${missing[@]}"
}

install_packages()
{
	have_package_lists
	logged "installing Debian packages: $*" "$cache/log/apt.log" \
		as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends "$@"
}

# A fresh machine may never have fetched the package lists.
have_package_lists()
{
	if [ -z "$(apt-cache madison linux-source-6.1 2>/dev/null)" ]; then
		logged "fetching the package lists" "$cache/log/apt-update.log" \
			as_root apt-get update
	fi
}

# What it takes to build the modules, the tools and a guest, to run it, and to check
# the models.
need_host_tools()
{
	[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
		die "the guests are built from Debian 12 packages on amd64"
	need_packages bash bc bison busybox-static cpio flex gcc gcc-12 kmod \
		libc6-dev libelf-dev libjson-c-dev make perl python3 \
		qemu-system-x86 rsync spin util-linux xz-utils
}
