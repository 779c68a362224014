#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# symbols.sh LIBRARY: format/'s library defines only names that begin with tape_, has no writable
# global, and calls nothing that prints or exits.
# shellcheck disable=SC2086 # lists of names are printed as words
set -u
status=0
defined=$(nm --defined-only --extern-only "$1" | awk 'NF == 3 { print $3 }')
[ -n "$defined" ] || {
	echo "no symbols in $1"
	exit 1
}
# __asan_*, __odr_asan*: of a sanitizer's build
other=$(echo "$defined" | grep -Ev '^(tape_|__asan_|__odr_asan)')
[ -z "$other" ] || {
	echo "not tape_*:" $other
	status=1
}
# .data.rel.ro is constant but for relocation
state=$(objdump -t "$1" | awk 'NF > 3 && $(NF - 2) ~ /^\.(data|bss|data\.rel|data\.rel\.local)$|^\*COM\*$/ &&
	$NF !~ /^[._]|asan|ubsan/ { print $NF }')
[ -z "$state" ] || {
	echo "writable globals:" $state
	status=1
}
calls=$(nm --undefined-only "$1" | awk '{ print $2 }' | sort -u |
	grep -Ex 'stdout|stderr|printf|vprintf|puts|putchar|perror|exit|_exit|abort|__printf_chk')
[ -z "$calls" ] || {
	echo "prints or ends the program:" $calls
	status=1
}
echo "$(echo "$defined" | wc -l) symbols"
exit $status
