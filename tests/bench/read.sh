#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reading: tcptape's commands, perf script and report, trace-cmd report, tshark, each on its own file
# of the same seconds of a mixed load; what they print is thrown away. Events (packets) for each second
# of CPU time, user and system, the start of the program included, since the real time of a busy machine
# says little; medians of BENCH_ROUNDS, 3 unless told. A recorder's own file has its own number of
# events, so rates are comparable, times are not.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder
tools perf trace-cmd tcpdump tshark nginx redis-server redis-benchmark wrk

kinds=tcptape
for kind in perf perf-z trace-cmd tcpdump; do
	if has "${kind%-z}"; then kinds="$kinds $kind"; fi
done

rate() { # NAME EVENTS COMMAND...: prints the figures, rate in $rate
	name=$1 events=$2
	shift 2
	: >"$tmp/rounds"
	for _ in $(seq "${BENCH_ROUNDS:-3}"); do
		timed "$name" "$@"
		echo "$cpu_s" >>"$tmp/rounds"
	done
	cpu_s=$(median <"$tmp/rounds")
	rate=$(calc "$events / $cpu_s / 1e6")
}

ours() { # NAME ARG...: a command of tcptape
	command=$1
	shift
	rate "tcptape-$command" "$n_tcptape" "$TCPTAPE" "$command" "$@" "$tmp/tcptape"
	figure "read.tcptape-$command" "$rate" Mevents/cpu-s
	figure "read.tcptape-$command.rss" "$(calc "$rss_kb / 1024")" MiB '<=' 16
}

theirs() { # NAME EVENTS UNIT COMMAND...
	what=$1 n=$2 unit=$3
	shift 3
	rate "$what" "$n" "$@"
	figure "read.$what" "$rate" "$unit"
	figure "read.$what.rss" "$(calc "$rss_kb / 1024")" MiB
}

serve_loads
for kind in $kinds; do recorder "$kind" "$kind"; done
run_load mixed
ended=''
for kind in $kinds; do
	if recorder_end "$kind"; then ended="$ended $kind"; fi
done
n_tcptape=$(n_events tcptape tcptape)
figure read.events "$n_tcptape" events
for command in info verify rtt states life delay dump; do
	case $command in
	delay) ours delay --in --percentiles ;;
	dump) ours dump --no-snapshot ;;
	*) ours $command ;;
	esac
done
ours=$rate
perf_script=''
for kind in $ended; do
	n=$(n_events "$kind" "$kind")
	case $kind in
	perf*)
		theirs "$kind-script" "$n" Mevents/cpu-s perf script -i "$tmp/$kind"
		if [ "$kind" = perf ]; then
			perf_script=$rate
			theirs perf-report-stats "$n" Mevents/cpu-s perf report --stats -i "$tmp/perf"
		fi
		;;
	trace-cmd) theirs trace-cmd-report "$n" Mevents/cpu-s trace-cmd report -i "$tmp/trace-cmd" ;;
	tcpdump)
		theirs tcpdump-r "$n" Mpackets/cpu-s tcpdump -n -r "$tmp/tcpdump"
		if has tshark; then theirs tshark "$n" Mpackets/cpu-s tshark -n -r "$tmp/tcpdump"; fi
		;;
	esac
done

# ---- in memory, without printing ----

"$CODEC" "$tmp/tcptape" "${BENCH_ROUNDS:-3}" >"$tmp/codec"
of() { awk -v name="$1" '$1 == name { print $2 }' "$tmp/codec"; }
decode=$(calc "1e3 / $(of decode_all)")
figure read.full-decode "$decode" Mevents/cpu-s
if [ -n "$perf_script" ]; then
	figure read.full-decode/perf-script "$(calc "$decode / $perf_script")" ratio '>=' 30
	figure read.tcptape-dump/perf-script "$(calc "$ours / $perf_script")" ratio
fi
figure read.three-columns "$(of three_columns)" Mevents/cpu-s
figure read.three-columns/structs \
	"$(calc "$(of three_columns) / $(of three_columns_structs)")" ratio '>=' 1
figure write.encode-level-1 "$(of encode_level_1)" ns/event
figure write.encode-level-3 "$(of encode_level_3)" ns/event
figure write.structs-zstd-1 "$(of structs_zstd_1)" ns/event
figure write.encode-level-1/structs-zstd-1 "$(of encode_level_1_to_structs_zstd_1)" ratio '<=' 0.5
figure write.encode-level-3/structs-zstd-1 "$(of encode_level_3_to_structs_zstd_1)" ratio '<=' 0.5
