# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Completion of nurseryctl for bash: commands, options, files, and the names of
# operations, which are the kernel's to know.

_nurseryctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words='run edu-copy nvme-read tree list cancel quarantine --help --version'
	else
		words='--json --quiet --help --version'
		case ${COMP_WORDS[1]}:$prev in
		run:-i | run:--input)
			words=
			compopt -o default
			;;
		nvme-read:--offset | nvme-read:--length)
			return
			;;
		run:-[db] | run:--deadline | run:--buffer | cancel:-c | cancel:--cause)
			return
			;;
		run:*)
			words+=' --deadline --input --buffer'
			words+=" $(nurseryctl list --ops --quiet 2>/dev/null | awk '{ print $1 }')"
			;;
		edu-copy:*)
			compopt -o default
			;;
		nvme-read:*)
			words+=' --offset --length'
			# with dashes: to readline a colon ends a word
			words+=" $(nurseryctl list --ops --quiet 2>/dev/null |
				sed -n 's/^nvme-read-\([^ ]*\).*/\1/p')"
			;;
		tree:*)
			words+=' --all'
			;;
		list:*)
			words+=' --ops'
			;;
		cancel:*)
			words+=' --cause'
			words+=" $(nurseryctl list --quiet 2>/dev/null | awk '{ print $1 }')"
			;;
		esac
		case $cur in
		-*) ;;
		*) words=$(printf '%s\n' "$words" | tr ' ' '\n' | grep -v '^-') ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _nurseryctl nurseryctl
