#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel-cost.sh [-n ROUNDS] [-s SECONDS] [-e GROUPS] [-l LOAD]... RECORDER [RECORDER]
#
# What each BPF program of the recorder costs in the kernel, ns an event, by the kernel's own
# statistics (their cost included), on loopback:
#   ping   exchanges of one byte on two connections: rtt, nic, rx, tx, io
#   churn  connections of one exchange each: tcp_state, tcp_destroy
#   wrong  connects to a closed port, segments out of the window: drop, reset
# The floor_ programs (floor.bpf.c) run in the same seconds: what an empty program costs, one that
# reads the clock, one that fills a ring of its own. Two recorders take turns, so that both meet
# what else the machine does; figures are medians of the rounds, lowest and highest behind them.
# Run it on a machine that is otherwise idle; it needs root, and the programs of a build.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${SEGMENT=$build/tests/segment}" "${COST=$build/tests/bench/cost}"
need ip

rounds=5 seconds=2 groups='' loads=''
while getopts n:s:e:l: opt; do
	case $opt in
	n) rounds=$OPTARG ;;
	s) seconds=$OPTARG ;;
	e) groups="-e $OPTARG" ;;
	l) loads="$loads $OPTARG" ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] && [ $# -le 2 ] || {
	echo "kernel-cost.sh: one recorder or two were expected" >&2
	exit 2
}
need_recorder

client() { ip netns exec "$A" "$LOAD" client "$@"; }

# shellcheck disable=SC2317
churn() { while :; do client -n 2000 127.0.0.1 17301 >"$tmp/churn"; done; }

# shellcheck disable=SC2317
wrong() { # PORT: of a connection that stays open
	while :; do
		client -n 500 127.0.0.1 17309 >"$tmp/wrong"
		ip netns exec "$A" "$SEGMENT" -n 500 -s 0x10000000 127.0.0.1 "$1" 127.0.0.1 17301
		ip netns exec "$A" "$SEGMENT" -n 500 -s 0x90000000 127.0.0.1 "$1" 127.0.0.1 17301
	done >"$tmp/wrong2"
}

start_load() { # NAME
	loads_pids=''
	case $1 in
	ping)
		for i in 1 2; do
			start "ping$i" ip netns exec "$A" "$LOAD" client -c 100000000 127.0.0.1 17301
			loads_pids="$loads_pids $pid"
		done
		;;
	churn) start churn churn ;;
	wrong)
		start hold ip netns exec "$A" "$LOAD" client -w 100000000 127.0.0.1 17301
		loads_pids=$pid
		wait_line hold '^connect'
		start wrong wrong "$(awk '$1 == "connect" { print $3 }' "$tmp/hold.out")"
		;;
	*)
		echo "kernel-cost.sh: no load $1" >&2
		exit 2
		;;
	esac
	loads_pids="$loads_pids $pid"
}

stop_load() {
	for p in $loads_pids; do
		kill "$p" 2>/dev/null || :
		wait "$p" 2>/dev/null || :
		forget "$p"
	done
}

measure() { # NUMBER RECORDER: lines "NUMBER PROGRAM NS_AN_EVENT RUNS"
	rm -f "$tmp/t.tcptape"
	TCPTAPE_RECORD=$2
	# shellcheck disable=SC2086
	record "$tmp/t.tcptape" $groups
	"$COST" "$seconds" "$pid" >"$tmp/cost"
	stop "$pid"
	awk -v n="$1" '$2 >= 100 { print n, $1, $3 / $2, $2 }' "$tmp/cost"
}

table() { # < lines of measure
	sort -k2,2 -k1,1n -k3,3n | awk -v n="$1" -v seconds="$seconds" '
		function flush() {
			if (!name) return
			out[name] = out[name] sprintf("  %7.0f %15s", v[int((i + 1) / 2)],
				sprintf("(%.0f to %.0f)", v[1], v[i]))
			rate[name] = runs / i / seconds
			who[name] = 1
		}
		$2 != name || $1 != number { flush(); i = 0; runs = 0; name = $2; number = $1 }
		{ v[++i] = $3; runs += $4 }
		END {
			flush()
			printf "%-18s %9s", "PROGRAM", "RUNS/s"
			for (k = 1; k <= n; k++) printf "  %23s", "NS/EVENT " (n > 1 ? k : "")
			print ""
			for (name in who) printf "%-18s %9.0f%s\n", name, rate[name], out[name] | "sort"
		}'
}

A=tcptape$$a
ip netns add "$A"
ip -n "$A" link set lo up
start server ip netns exec "$A" "$LOAD" server -f 127.0.0.1 17301
wait_line server ready
for load in ${loads:-ping churn wrong}; do
	start_load "$load"
	: >"$tmp/rows"
	round=0
	while [ $round -lt "$rounds" ]; do
		round=$((round + 1))
		if [ $# = 2 ] && [ $((round % 2)) = 0 ]; then
			measure 2 "$2" >>"$tmp/rows"
			measure 1 "$1" >>"$tmp/rows"
		else
			measure 1 "$1" >>"$tmp/rows"
			[ $# = 1 ] || measure 2 "$2" >>"$tmp/rows"
		fi
	done
	stop_load
	echo "$load"
	table $# <"$tmp/rows"
	echo
done
