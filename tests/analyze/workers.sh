#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# workers.sh GENERATE: what commands print is the same, byte by byte, whether chunks are decoded, calls
# added up, and rows made on one thread or on several. Traces and outputs are long enough for that.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
generate=$1
n=0 bad=0 long=0

"$generate" --scenario mixed --events 75000 --chunk 4096 -o "$tmp/mixed" 2>/dev/null
"$generate" --scenario churn --events 40000 --chunk 4096 -o "$tmp/churn" 2>/dev/null
while read -r command; do
	for trace in mixed churn; do
		# shellcheck disable=SC2086 # words
		TCPTAPE_WORKERS=1 "$TCPTAPE" $command "$tmp/$trace" >"$tmp/one" 2>"$tmp/one.err"
		one=$?
		[ "$(wc -c <"$tmp/one")" -lt 200000 ] || long=$((long + 1))
		for workers in 2 5; do
			status=0 n=$((n + 1))
			# shellcheck disable=SC2086
			TCPTAPE_WORKERS=$workers "$TCPTAPE" $command "$tmp/$trace" >"$tmp/many" 2>"$tmp/many.err" || status=$?
			[ $status = $one ] && cmp -s "$tmp/one" "$tmp/many" && cmp -s "$tmp/one.err" "$tmp/many.err" && continue
			bad=$((bad + 1))
			echo "$command $trace: $workers threads print something else (status $one, $status)"
			diff "$tmp/one" "$tmp/many" | head -4
		done
	done
done <<-END
	dump --json
	dump --csv
	rtt --raw --each
	rtt --percentiles --by remote
	connlat -t -L
	states
	states --json
	events -v
	life -w -F
	life --json
	top -C
	top --csv -i 1
	drops -a
	drops -a --json
	retrans
	resets --csv
	listen
	nic
	delay --in
	delay --out --json
	delay --in --percentiles
	delay --out --slowest 50 --csv
	turnaround --json
	turnaround --percentiles --by listener
	explain
	export --to jsonl -o -
	sql -c SELECT/**/*/**/FROM/**/rtt
	info
END
is "outputs of $n that differ" "$bad" 0
check "long ones among them: $long" [ "$long" -ge 15 ]
# a reader that leaves early, and a full disk, with rows made on another thread
TCPTAPE_WORKERS=2 "$TCPTAPE" delay --in "$tmp/mixed" 2>"$tmp/err" | head -2 >"$tmp/out"
is "a pipe that is closed: lines" "$(wc -l <"$tmp/out")" 2
status=0
TCPTAPE_WORKERS=2 "$TCPTAPE" delay --in "$tmp/mixed" >/dev/full 2>"$tmp/err" || status=$?
is "a full disk: status" $status 1
contains "and why" "$tmp/err" 'No space left'
finish
