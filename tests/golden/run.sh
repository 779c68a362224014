#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh [--update] [TRACE]: run the commands of `commands` on sample traces, compare what they print
# with tests/golden/TRACE.NAME. Standard error and an exit status that is not 0 stand at the end.
# --update writes what is printed now: read the difference before you commit it.
# TCPTAPE is the analyzer, default build/analyze/tcptape. Exit: 0 the same, 1 different, 77 no trace.
set -u

here=$(cd "$(dirname "$0")" && pwd)
traces=$here/../../sample-traces
TCPTAPE=${TCPTAPE:-$here/../../build/analyze/tcptape}
export TZ=UTC LC_ALL=C
unset NO_COLOR COLUMNS

update=''
[ "${1:-}" != --update ] || { update=1 && shift; }
[ -x "$TCPTAPE" ] || {
	echo "there is no analyzer at $TCPTAPE" >&2
	exit 1
}
TCPTAPE=$(realpath "$TCPTAPE") # it is called from another folder
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tcptape-golden.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

print() { # TRACE COMMAND...: as a user sees it who stands in sample-traces/
	trace=$1
	shift
	(cd "$traces" && "$TCPTAPE" "$@" "$trace.tcptape" >"$tmp/out" 2>"$tmp/err" </dev/null)
	status=$?
	cat "$tmp/out"
	[ ! -s "$tmp/err" ] || sed 's/^/stderr: /' "$tmp/err"
	[ $status = 0 ] || echo "exit status: $status"
}

n=0 n_different=0
for file in "$traces"/${1:-*}.tcptape "$traces"/explain/${1:-*}.tcptape; do
	[ -f "$file" ] || continue
	trace=${file#"$traces"/} trace=${trace%.tcptape}
	# a line of `commands`: NAME COMMAND [ARG...]; or, for one trace only, TRACE/NAME COMMAND [ARG...];
	# traces of explain/ have these only
	while read -r name command; do
		case $name in
		'#'* | '') continue ;;
		"$trace"/*) name=${name#"$trace"/} ;;
		*/*) continue ;;
		*) [ "$trace" = "${trace##*/}" ] || continue ;;
		esac
		want=$here/$trace.$name
		# shellcheck disable=SC2086 # arguments are words
		print "$trace" $command >"$tmp/got"
		n=$((n + 1))
		if [ -n "$update" ]; then
			cmp -s "$tmp/got" "$want" || { cp "$tmp/got" "$want" && echo "wrote ${want##*/}"; }
		elif ! diff -u --label "$trace.$name" --label now "$want" "$tmp/got"; then
			n_different=$((n_different + 1))
		fi
	done <"$here/commands"
done
if [ $n = 0 ]; then
	echo "SKIP: there is no sample trace${1:+ $1}"
	exit 77
fi
echo "$n outputs, $n_different different"
[ $n_different = 0 ]
