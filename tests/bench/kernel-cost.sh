#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel-cost.sh [-n ROUNDS] [-s SECONDS] [-e GROUPS] [-l LOAD]... RECORDER [RECORDER]
#
# What each BPF program of the recorder costs in the kernel, ns an event, by the kernel's own
# statistics (their cost included), on loopback:
#   ping   exchanges of one byte, a connection on each of the first processors: rtt, nic, rx, tx, io
#   churn  connections of one exchange each: tcp_state, tcp_destroy
#   wrong  connects to a closed port, segments out of the window: drop, reset
# The floor_ programs (floor.bpf.c) run in the same seconds: what an empty program costs, one that
# reads the clock, one that fills a ring of its own. Two recorders run at the same time, so that both
# meet the same events and what else the machine does; they take turns in being the first, who finds
# caches cold. Figures are medians of the rounds, lowest and highest behind them.
# Run it on a machine that is otherwise idle; it needs root, and the programs of a build.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${SEGMENT=$build/tests/segment}" "${COST=$build/tests/bench/cost}"
need ip taskset

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
churn() { while :; do client -n 2000 127.0.0.1 17302 >"$tmp/churn"; done; }

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
		for cpu in $cpus; do
			port=$((17310 + cpu))
			start "server$cpu" ip netns exec "$A" taskset -c "$cpu" "$LOAD" server 127.0.0.1 $port
			loads_pids="$loads_pids $pid"
			wait_line "server$cpu" ready
			start "ping$cpu" ip netns exec "$A" taskset -c "$cpu" \
				"$LOAD" client -c 100000000 127.0.0.1 $port
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

record_by() { # NUMBER RECORDER; its pid is in $recorder1, $recorder2
	rm -f "$tmp/$1.tcptape"
	TCPTAPE_RECORD=$2
	# shellcheck disable=SC2086
	record "$tmp/$1.tcptape" $groups
	eval "recorder$1=$pid"
}

measure() { # lines "NUMBER PROGRAM NS_AN_EVENT RUNS", number 0: the floor
	"$COST" "$seconds" $recorder1 $recorder2 >"$tmp/cost"
	for p in $recorder1 $recorder2; do
		stop "$p"
	done
	awk '$3 >= 100 { print $1, $2, $4 / $3, $3 }' "$tmp/cost"
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

cpus=$(seq 0 "$(($(nproc) > 4 ? 3 : $(nproc) - 1))")
A=tcptape$$a
ip netns add "$A"
ip -n "$A" link set lo up
start server ip netns exec "$A" "$LOAD" server -f 127.0.0.1 17301
wait_line server ready
start server1 ip netns exec "$A" "$LOAD" server 127.0.0.1 17302 # one process: no forks
wait_line server1 ready
for load in ${loads:-ping churn wrong}; do
	start_load "$load"
	: >"$tmp/rows"
	round=0
	while [ $round -lt "$rounds" ]; do
		round=$((round + 1)) recorder1='' recorder2=''
		if [ $# = 2 ] && [ $((round % 2)) = 0 ]; then
			record_by 2 "$2"
			record_by 1 "$1"
		else
			record_by 1 "$1"
			[ $# = 1 ] || record_by 2 "$2"
		fi
		measure >>"$tmp/rows"
	done
	stop_load
	echo "$load"
	table $# <"$tmp/rows"
	echo
done
