#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# At how many events a second the first is lost: segments of a byte at rising rates, all groups, each recorder
# with the buffers that it takes by itself, and no budget. A line a step: events a second that it saw or
# lost, and how many of them it lost; the steps end where all three have lost some, or no more can be made.
# BENCH_SECONDS: of each step, 10 unless told. BENCH_RATES: segments a second.
set -eu
: "${BENCH_SECONDS=10}"
export BENCH_SECONDS
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder
tools perf trace-cmd
: "${PACE=$build/tests/pace}" "${BENCH_RATES=1000 5000 10000 20000 40000 60000 80000 120000}"
make_namespaces
own_buffers=1

n_lost() { # NAME KIND: of what the file, or its recorder, says
	case $2 in
	tcptape) "$TCPTAPE" info --json "$tmp/$1" 2>/dev/null | sed -n 's/.*"lost":\([0-9]*\).*/\1/p' | head -1 ;;
	perf*) perf report --stats -i "$tmp/$1" 2>/dev/null | awk '/LOST(_SAMPLES)? events/ { n += $3 } END { print n + 0 }' ;;
	# each processor's: "overrun: 12", "dropped events: 3"
	trace-cmd) awk '/^ *(overrun|commit overrun|dropped events):/ { n += $NF } END { print n + 0 }' \
		"$tmp/$1.out" "$tmp/$1.err" ;;
	esac
}

# perf writes how many were lost into each record of loss; --stats counts these records only.
perf_lost() { # NAME
	perf script --show-lost-events -i "$tmp/$1" 2>/dev/null |
		awk '/PERF_RECORD_LOST/ { for (i = 1; i < NF; i++) if ($i == "lost") n += $(i + 1) } END { print n + 0 }'
}

step() { # KIND RATE: adds "RATE EVENTS/s LOST" to $tmp/steps.KIND; fails if it has no file
	recorder step "$1" all
	sleep 1 # perf makes its file before its last tracepoint
	in_b "$PACE" "$2" "$seconds" 17490 >"$tmp/paced"
	recorder_end step || return 1
	read -r _ sent took <"$tmp/paced"
	events=$(n_events step "$1")
	lost=$(n_lost step "$1")
	[ "$1" != perf ] || lost=$(perf_lost step)
	each_s=$(calc "($events + $lost) / $took")
	echo "$2 $each_s $lost" >>"$tmp/steps.$1"
	figure "loss.$1.$2" "$(calc "100 * $lost / ($events + $lost)")" \
		"% of $(calc "int($each_s)") events/s ($(calc "int($sent / $took)") segments/s)"
	rm -f "$tmp/step"
}

kinds=tcptape
for kind in perf trace-cmd; do
	if has "$kind"; then kinds="$kinds $kind"; fi
done
for rate in $BENCH_RATES; do
	for kind in $kinds; do
		[ ! -e "$tmp/lossy.$kind" ] || continue
		step $kind "$rate" || continue
		[ "$lost" = 0 ] || : >"$tmp/lossy.$kind"
	done
done
for kind in $kinds; do
	[ -s "$tmp/steps.$kind" ] || continue
	best=$(awk '$3 == 0 && $2 > best { best = $2 } END { print int(best) }' "$tmp/steps.$kind")
	target=''
	[ $kind != tcptape ] || target='>= 1000000'
	# shellcheck disable=SC2086 # words
	figure "loss.$kind.none" "$best" events/s $target
	if [ -e "$tmp/lossy.$kind" ]; then
		figure "loss.$kind.first" "$(awk '$3 > 0 { print int($2); exit }' "$tmp/steps.$kind")" events/s
	fi
done
