#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reading, events (packets) for each second of CPU time, user and system, the start of the program
# included, since the real time of a busy machine says little; what they print is thrown away. tcptape's
# commands on generated traces of BENCH_EVENTS events, 10M unless told (starting the program is
# 2 ms); perf script and report, trace-cmd report, tcpdump, tshark each on its own file of the same seconds
# of a mixed load, and tcptape on its own too, where the start counts. What two processors are worth is real
# time against real time, in turns. Medians of BENCH_ROUNDS, 3 unless told.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
: "${BENCH_EVENTS=10M}" "${BENCH_ROUNDS=3}"
export TCPTAPE_WORKERS=1 # CPU time is the same, or less, and the ceiling of memory is one worker's

rate() { # NAME EVENTS COMMAND...: $rate in millions for each second, $cpu_s, $rss_kb
	name=$1 events=$2
	shift 2
	: >"$tmp/rounds"
	for _ in $(seq "$BENCH_ROUNDS"); do
		timed "$name" "$@"
		echo "$cpu_s" >>"$tmp/rounds"
	done
	cpu_s=$(median <"$tmp/rounds")
	rate=$(calc "$events / $cpu_s / 1e6")
}

# ---- tcptape, on generated traces ----

two_cores() { # NAME COMMAND...: real time with one worker against that with two
	name=$1
	shift
	: >"$tmp/rounds"
	for _ in $(seq "$BENCH_ROUNDS"); do
		timed "$name" env TCPTAPE_WORKERS=1 "$@"
		one_s=$real_s
		timed "$name" env TCPTAPE_WORKERS=2 "$@"
		calc "$one_s / $real_s" >>"$tmp/rounds"
		echo >>"$tmp/rounds"
	done
	figure "read.two-cores.$name" "$(median <"$tmp/rounds")" ratio '>=' 1.8
}

generated() { # TRACE TARGET COMMAND [ARG...]
	trace=$1 target=$2 name=$1.$3
	shift 2
	[ "$1" != delay ] || name=$name$2
	rate "$name" "$(n_events "$trace" tcptape)" "$TCPTAPE" "$@" "$tmp/$trace"
	figure "read.$name" "$rate" Mevents/cpu-s '>=' "$target"
	echo "$name $rate $target" >>"$tmp/generated"
	if [ "$(nproc)" -ge 2 ] && [ "$target" -lt 100 ]; then
		two_cores "$name" "$TCPTAPE" "$@" "$tmp/$trace"
	fi
}

few=100 all=20 # Mevents/s that are asked of commands that need few columns, and of those that rebuild
: >"$tmp/generated"
if [ -x "$GENERATE" ]; then
	timed mixed "$GENERATE" --events "$BENCH_EVENTS" -o "$tmp/mixed"
	timed io "$GENERATE" --events "$BENCH_EVENTS" --groups conn,rtt,retrans,io -o "$tmp/io"
	for command in rtt states top retrans; do generated mixed $few $command; done
	generated mixed $all life
	generated mixed $all delay --in --percentiles
	generated mixed $all delay --out --percentiles
	generated mixed $all turnaround --percentiles
	conn=$("$TCPTAPE" life --csv "$tmp/mixed" 2>/dev/null | awk -F, '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == "conn") at = i }
		NR == 2 { print $at; exit }')
	generated mixed $all timeline "$conn"
	generated io $few top
	generated io $all turnaround --percentiles
	rm -f "$tmp/mixed" "$tmp/io"
else
	skipped read.generated "there is no generator"
fi

# ---- beside others ----

need_recorder
tools perf trace-cmd tcpdump tshark nginx redis-server redis-benchmark wrk
kinds=tcptape
for kind in perf perf-z trace-cmd tcpdump; do
	if has "${kind%-z}"; then kinds="$kinds $kind"; fi
done

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

ratios() { # PEER RATE: of our rates on generated traces to that
	while read -r name ours target; do
		times=30
		[ "$target" -lt 100 ] || times=100
		figure "read.$name/$1" "$(calc "$ours / $2")" ratio '>=' $times
	done <"$tmp/generated"
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
			ratios perf-script "$rate"
			theirs perf-report-stats "$n" Mevents/cpu-s perf report --stats -i "$tmp/perf"
		fi
		;;
	trace-cmd)
		theirs trace-cmd-report "$n" Mevents/cpu-s trace-cmd report -i "$tmp/trace-cmd"
		ratios trace-cmd-report "$rate"
		;;
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
