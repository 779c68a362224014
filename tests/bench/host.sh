#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What recording costs the host: requests a second of wrk and of redis-benchmark on loopback, which
# need both of two processors, without and with each recorder, as percent that are missing; and the CPU
# time of the recorder's process, ns for each event of its file (packet). All take turns; each is held
# against the run without a recorder of the same round; medians of BENCH_ROUNDS, 3 unless told.
#   tcptape      default groups          perf   the same tracepoints, as far as there are any
#   tcptape-16   all groups, of one connection in 16
#   tcptape-all  all groups              perf-all, perf-z-all, trace-cmd-all
#   tcpdump      96 bytes of each packet
# The CPU time is from when the recorder is ready to its end, user and system. What runs in the
# kernel at each event is no time of that process; requests a second have it.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder
tools perf trace-cmd tcpdump nginx redis-server redis-benchmark wrk

ways='none tcptape tcptape-16 tcptape-all'
if has perf; then ways="$ways perf perf-all perf-z-all"; fi
if has trace-cmd; then ways="$ways trace-cmd-all"; fi
if has tcpdump; then ways="$ways tcpdump"; fi

requests() { # lines "wrk RATE", "redis RATE"
	run_load keep-alive
	awk '/^Requests\/sec/ { print "wrk", $2 }' "$tmp/load.keep-alive"
	client redis-benchmark --csv -t get -c 32 -n $((20000 * seconds)) -p $redis |
		awk -F'"' '$2 == "GET" { print "redis", $4 }'
}

cpu_now() { # PID: user and system seconds of its child so far
	child=$(ps -o pid= --ppid "$1" | tr -d ' ')
	awk -v tick="$(getconf CLK_TCK)" '{ print $14 / tick, $15 / tick }' "/proc/$child/stat"
}

run() { # WAY: lines "WAY WHAT FIGURE" into $tmp/rows
	kind=${1%-all} kind=${kind%-16} groups=$defaults sample=''
	[ "$kind" = "$1" ] || groups=all
	[ "$1" = "$kind" ] || [ "$1" != "$kind-16" ] || sample=16
	if [ "$1" = none ]; then
		requests >"$tmp/requests"
	else
		recorder "$1" "$kind" "$groups"
		before=$(cpu_now "$pid")
		requests >"$tmp/requests"
		recorder_end "$1" || return 0
		read_usage "$tmp/$1.usage"
		n=$(n_events "$1" "$kind")
		{
			echo user "$(calc "($user_s - ${before% *}) / $n * 1e9")"
			echo cpu "$(calc "($cpu_s - ${before% *} - ${before#* }) / $n * 1e9")"
			echo events "$n"
		} >>"$tmp/requests"
	fi
	sed "s/^/$1 /" "$tmp/requests" >>"$tmp/rows"
	rm -f "$tmp/$1"
}

# Of each round the requests that are missing, against "none" of that round.
missing() { # WAY LOAD
	awk -v way="$1" -v load="$2" '
		$2 != load { next }
		$1 == "none" { none[++i] = $3 }
		$1 == way { with[++k] = $3 }
		END { for (i = 1; i <= k; i++) print 100 * (1 - with[i] / none[i]) }' "$tmp/rows" | median
}

value() { # WAY WHAT: median
	awk -v way="$1" -v what="$2" '$1 == way && $2 == what { print $3 }' "$tmp/rows" | median
}

serve_loads
: >"$tmp/rows"
for round in $(seq "${BENCH_ROUNDS:-3}"); do
	order=$ways
	[ $((round % 2)) = 1 ] || order=$(echo "$ways" | tr ' ' '\n' | tac)
	for way in $order; do run "$way"; done
done
lost() { # WAY LOAD: percent, for a ratio at least what can be told from noise
	missing "$1" "$2" | awk '{ print $1 < 0.1 ? 0.1 : $1 }'
}
for load in wrk redis; do
	figure "host.$load" "$(value none $load)" requests/s
	for way in ${ways#none }; do
		case $way in
		tcptape) target='<= 5' ;;
		tcptape-16) target='<= 8' ;;
		*) target='' ;;
		esac
		# shellcheck disable=SC2086 # words
		figure "host.$load.$way" "$(missing "$way" $load)" %-fewer $target
	done
	has perf || continue
	figure "host.$load.tcptape/perf" "$(calc "$(lost tcptape $load) / $(lost perf $load)")" ratio '<=' 0.5
	figure "host.$load.tcptape-16/perf-all" "$(calc "$(lost tcptape-16 $load) / $(lost perf-all $load)")" ratio '<=' 0.5
	figure "host.$load.tcptape-all/perf-all" "$(calc "$(lost tcptape-all $load) / $(lost perf-all $load)")" ratio '<=' 0.6
done
for way in ${ways#none }; do
	unit=event
	[ "$way" != tcpdump ] || unit=packet
	figure "host.cpu.$way" "$(value "$way" cpu)" "ns/$unit"
	figure "host.cpu.$way.user" "$(value "$way" user)" "ns/$unit"
done
figure host.cpu.tcptape-all "$(value tcptape-all cpu)" ns/event '<=' 150
if has perf; then
	figure host.cpu.tcptape-all/perf-z-all \
		"$(calc "$(value tcptape-all cpu) / $(value perf-z-all cpu)")" ratio '<=' 1
fi
