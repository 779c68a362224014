#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Memory and length of a trace: the largest RSS of what writes and reads generated traces of 1 M and
# 10 M events, and of a server with 100,000 connections that come and go (10 M events; 100 M of both too
# with BENCH_LARGE=1, in some minutes), and of the recorder under a load, without its rings. And what 1 % of
# the time in the middle of a trace takes, in % of the CPU time of all of it, beyond 20 ms.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
: "${BENCH_LARGE=}"
export TCPTAPE_WORKERS=1 # ceilings are those of one

mib() { calc "$rss_kb / 1024"; }

# The writer's is that of the generator, whose model of a machine is in it too.
by_length() { # EVENTS
	timed write "$GENERATE" --events "$1" -o "$tmp/$1"
	figure "memory.write.$1" "$(mib)" MiB '<=' 16
	figure "time.write.$1" "$cpu_s" s
	for command in info verify rtt states life top connlat delay; do
		direction=''
		[ $command != delay ] || direction=--in
		# shellcheck disable=SC2086 # nothing or a word
		timed $command "$TCPTAPE" $command $direction "$tmp/$1"
		figure "memory.$command.$1" "$(mib)" MiB '<=' 16
		figure "time.$command.$1" "$cpu_s" s
	done
}

# What commands may take that keep something of each connection: 100,000 are alive.
alive=$(calc "64 + 256 * 1e5 / 1048576")
by_connections() { # EVENTS
	timed write "$GENERATE" --scenario churn --events "$1" -o "$tmp/churn"
	for command in states life top connlat turnaround 'delay --in --percentiles' 'delay --out --percentiles'; do
		# shellcheck disable=SC2086 # words
		timed churn "$TCPTAPE" $command "$tmp/churn"
		name=$(echo "${command% --percentiles}" | tr -d ' ')
		figure "memory.$name.churn.$1" "$(mib)" MiB '<=' "$alive"
	done
	rm -f "$tmp/churn"
}

window() { # EVENTS COMMAND [ARG...]: 1 % in the middle
	of=$1 command=$2
	shift 2
	timed all "$TCPTAPE" "$command" "$@" "$tmp/$of"
	all_s=$cpu_s
	whole=$("$TCPTAPE" info --json "$tmp/$of" | sed -n 's/.*"duration_s":\([0-9.]*\).*/\1/p')
	timed window "$TCPTAPE" "$command" "$@" --from "+$(calc "$whole * 0.5")s" \
		--to "+$(calc "$whole * 0.51")s" "$tmp/$of"
	figure "window.$command.$of" "$(calc "100 * ($cpu_s > 0.02 ? $cpu_s - 0.02 : 0) / $all_s")" \
		'%' '<=' 3
}

# What is mapped, without the rings, the largest of some looks.
recorder_rss() { # PID
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		awk '
			/^[0-9a-f]+-[0-9a-f]+ / { ring = /bpf-map/ }
			/^Rss:/ && !ring { n += $2 }
			END { print n }' "/proc/$1/smaps"
		sleep "$(calc "$seconds / 10")"
	done | sort -n | tail -1
}

if [ -x "$GENERATE" ]; then
	lengths='1M 10M'
	[ -z "$BENCH_LARGE" ] || lengths="$lengths 100M"
	for length in $lengths; do
		by_length "$length"
		if [ "$length" != 1M ]; then
			for command in states top turnaround; do window "$length" $command; done
			window "$length" delay --in --percentiles
		fi
		rm -f "$tmp/$length"
	done
	by_connections "${lengths##* }"
else
	skipped memory "there is no generator"
fi

need_recorder
tools nginx redis-server redis-benchmark wrk
serve_loads
for groups in "$defaults" all; do
	unmeasured=1
	recorder memory tcptape "$groups"
	recording=$pid
	start load run_load mixed
	load=$pid
	rss_kb=$(recorder_rss "$recording")
	wait_end "$load"
	stop "$recording"
	recording=''
	if [ "$groups" != all ]; then groups=default; fi
	figure "memory.record.$groups" "$(mib)" MiB '<=' 32
done
