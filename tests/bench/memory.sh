#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Memory and length of a trace: the largest RSS of what writes and reads generated traces of 1 M and
# 10 M events (100 M too with BENCH_LARGE=1, in some minutes), and of the recorder under a load, without
# its rings. And what 1 % of the time in the middle of a trace takes, in % of the CPU time of all of it.
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

window() { # EVENTS COMMAND [ARG...]: 1 % in the middle
	of=$1 command=$2
	shift 2
	timed all "$TCPTAPE" "$command" "$@" "$tmp/$of"
	all_s=$cpu_s
	whole=$("$TCPTAPE" info --json "$tmp/$of" | sed -n 's/.*"duration_s":\([0-9.]*\).*/\1/p')
	timed window "$TCPTAPE" "$command" "$@" --from "+$(calc "$whole * 0.5")s" \
		--to "+$(calc "$whole * 0.51")s" "$tmp/$of"
	figure "window.$command.$of" "$(calc "100 * $cpu_s / $all_s")" '%'
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
		case $length in
		1M) window 1M dump --no-snapshot ;;
		*)
			window "$length" states
			window "$length" delay --in
			;;
		esac
		rm -f "$tmp/$length"
	done
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
