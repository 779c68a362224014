#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What each command's --help promises, by its own text: options that take a list or a key refuse what is
# none, and the keys that --help, the error and the command know are the same.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
trace=$(dirname "$0")/../../sample-traces/io.tcptape
says() { "$TCPTAPE" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?; }

commands=$("$TCPTAPE" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' | grep -v record)
check "there are commands" [ "$(echo "$commands" | wc -l)" -gt 10 ]
n_ports=0 n_by=0
for command in $commands; do
	case $command in
	delay) way='--in --percentiles' ;;
	compare | join) way="$trace" ;;
	connlat | turnaround) way=--percentiles ;;
	retrans | resets) way=-c ;;
	*) way='' ;;
	esac
	"$TCPTAPE" "$command" --help >"$tmp/help"
	is "$command: columns of --help beyond 100" "$(awk 'length > 100' "$tmp/help")" ''
	# shellcheck disable=SC2086 # words
	if grep -q -- '-L, --localport' "$tmp/help"; then
		n_ports=$((n_ports + 1)) status=0
		says "$command" $way -L http "$trace"
		is "$command -L http: status and what it takes" "$status $(grep -c 'take ports' "$tmp/err")" "2 1"
	fi
	# shellcheck disable=SC2086
	if grep -q -- '--by KEY' "$tmp/help"; then
		n_by=$((n_by + 1)) status=0
		says "$command" $way --by nothing "$trace"
		is "$command --by nothing: status" "$status" 2
		# "--by takes conn, pid or listener, not 'nothing'" -> words
		sed -n "s/.*--by takes \(.*\), not 'nothing'.*/\1/p" "$tmp/err" | sed 's/ or /, /; s/, /\n/g' | sort >"$tmp/keys"
		check "$command: keys in the error" [ "$(count <"$tmp/keys")" -ge 4 ]
		# those of --help: its two lines, without what explains them
		sed -n '/--by KEY/,+1p' "$tmp/help" | sed 's/.*--by KEY//; s/([^)]*)//g' | tr -cs '[:lower:]' '\n' |
			grep -Evx 'instead|with|c|add|up|by|one|for|each|or|' | sort >"$tmp/promised"
		is "$command: keys in --help" "$(tr '\n' ' ' <"$tmp/promised")" "$(tr '\n' ' ' <"$tmp/keys")"
		while read -r key; do
			status=0
			says "$command" $way --by "$key" "$trace"
			check "$command --by $key is known: status $status" [ "$status" != 2 ]
		done <"$tmp/keys"
	fi
done
check "commands with -L" [ "$n_ports" -ge 4 ]
check "commands with --by" [ "$n_by" -ge 3 ]

refused() { # TEXT COMMAND...: bad usage, and why
	text=$1 status=0
	shift
	says "$@" "$trace"
	is "$*: status" "$status" 2
	contains "$*: says why" "$tmp/err" "$text"
}
refused 'filter is given twice' rtt -f 'port 80' --filter 'host 10.9.0.1'
refused 'pid is given twice' life --pid 1 --pid 2
refused 'lport is given twice' rtt -p 80 -p 81
refused 'interval is given twice' rtt -i 1 -i 2
refused "interval takes a number, 0 or more, not '-1'" rtt -i -1
refused "pid takes a whole number .0 to 4294967295., not '4294967296'" rtt --pid 4294967296
refused 'given twice' connlat -P 80 -P 443

status=0
"$TCPTAPE" rtt --help >/dev/full 2>"$tmp/err" || status=$?
is "--help to a full disk: status" "$status" 1
contains "and why" "$tmp/err" 'No space left'
finish
