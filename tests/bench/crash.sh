#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGKILL in the middle of a load, and what can be read then: events, and the time between the last of
# them and the kill, the longest of BENCH_ROUNDS (3 unless told). A second tcptape-record lives on, and
# says how many events there were to the kill.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder
need python3
tools perf trace-cmd tcpdump nginx redis-server redis-benchmark wrk
unmeasured=1 # no process between us and the one to kill

kill_now() { # PID: CLOCK_MONOTONIC of it in ns and CLOCK_REALTIME in s
	python3 -c 'import os, sys, time
print(time.monotonic_ns(), time.time())
os.kill(int(sys.argv[1]), 9)' "$1"
}

event_times() { # TRACE: of its events, ns
	"$TCPTAPE" dump --json --no-snapshot "$1" 2>/dev/null | awk "$awk_of"'{ print of($0, "ts_ns") }'
}

# Reads "$tmp/$1", killed at $mono_ns, $real_s: lines "EVENTS SECONDS_LOST", "-" without an event.
left_by() { # KIND
	case $1 in
	tcptape) event_times "$tmp/tcptape" | awk -v t="$mono_ns" \
		'{ if ($1 > last) last = $1 } END { print NR, NR ? (t - last) / 1e9 : "-" }' ;;
	perf*) perf script -i "$tmp/$1" 2>/dev/null | awk 'END { print NR, "-" }' ;;
	trace-cmd) trace-cmd report -i "$tmp/$1" 2>/dev/null | grep ': ' | awk 'END { print NR, "-" }' ;;
	tcpdump) tcpdump -n -tt -r "$tmp/$1" 2>/dev/null | awk -v t="$real_s" \
		'{ last = $1 } END { print NR, NR ? t - last : "-" }' ;;
	esac
}

crash() { # KIND SECONDS_BEFORE
	groups=all
	[ "$1" != tcptape ] || groups=conn,rtt # few events: chunks are closed by the clock
	recorder "$1" "$1" $groups
	victim=$pid recording=''
	children=$(ps -o pid= --ppid "$victim" || :) # of trace-cmd, which outlive it
	start load run_load keep-alive
	load=$pid
	sleep "$2"
	killed=$(kill_now "$victim")
	mono_ns=${killed% *} real_s=${killed#* }
	wait_end "$victim" 2>"$tmp/killed" # the shell's own words on it
	for p in $children; do
		kill "$p" 2>/dev/null || :
	done
	wait_end "$load"
	left_by "$1" >>"$tmp/left"
}

serve_loads
kinds=tcptape
for kind in perf perf-z trace-cmd tcpdump; do
	if has "${kind%-z}"; then kinds="$kinds $kind"; fi
done
for kind in $kinds; do
	: >"$tmp/left"
	for round in $(seq "${BENCH_ROUNDS:-3}"); do
		if [ "$kind" = tcptape ]; then
			recorder witness tcptape conn,rtt
			witness=$pid
		fi
		crash "$kind" "$(calc "$seconds / 2 + 0.23 * $round")"
		if [ "$kind" = tcptape ]; then
			stop "$witness"
			first=$(event_times "$tmp/tcptape" | head -1)
			event_times "$tmp/witness" | awk -v from="$first" -v to="$mono_ns" \
				'$1 >= from && $1 <= to' | count >>"$tmp/made"
		fi
		[ "$kind" != trace-cmd ] || rmdir "/sys/kernel/tracing/instances/tcptape$$"
	done
	figure "crash.$kind.readable" "$(awk '{ n += $1 } END { print n }' "$tmp/left")" events
	lost=$(awk '$2 != "-" && $2 > most { most = $2 } END { print most }' "$tmp/left")
	[ -z "$lost" ] || case $kind in
	tcptape)
		figure crash.tcptape.made "$(awk '{ n += $1 } END { print n }' "$tmp/made")" events
		figure crash.tcptape.lost "$lost" s '<=' 1
		;;
	*) figure "crash.$kind.lost" "$lost" s ;;
	esac
done
