#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Always on, under load: the recorder with --rotate and --keep; memory, CPU and disk once a minute, and how
# much the last third has of the first. BENCH_MINUTES: 5 unless told; BENCH_STEP: seconds between two
# lines, 60 unless told; BENCH_LOAD: of lib.sh, "mixed" unless told.
set -eu
: "${BENCH_STEP=60}" "${BENCH_MINUTES=5}" "${BENCH_LOAD=mixed}"
BENCH_SECONDS=$BENCH_STEP
export BENCH_SECONDS
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder
tools nginx redis-server redis-benchmark wrk
serve_loads
mkdir "$tmp/files"
size=4M keep=5

start record "$TCPTAPE_RECORD" -o "$tmp/files/t.tcptape" --rotate $size --keep $keep
recording=$pid
wait_for 30 [ -s "$tmp/files/t-000001.tcptape" ] || exit 1
n_steps=$((BENCH_MINUTES * 60 / BENCH_STEP))
[ $n_steps -gt 0 ] || n_steps=1
tick=$(getconf CLK_TCK)
rings_kb() { awk '/^[0-9a-f]+-[0-9a-f]+ / { ring = /bpf-map/ } /^Rss:/ && ring { n += $2 } END { print n }' "/proc/$1/smaps"; }
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
echo "minute RSS_MiB of_it_rings CPU_% disk_MiB files fds"
at=0
for step in $(seq $n_steps); do
	before=$(cpu_ticks "$recording")
	run_load "$BENCH_LOAD"
	[ -d "/proc/$recording" ] || break
	at=$((at + BENCH_STEP))
	echo "$(calc "$at / 60") $(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$recording/status")" \
		"$(calc "$(rings_kb "$recording") / 1024")" \
		"$(calc "($(cpu_ticks "$recording") - $before) / $tick / $BENCH_STEP * 100")" \
		"$(calc "$(du -sk "$tmp/files" | cut -f1) / 1024")" \
		"$(find "$tmp/files" -type f | count)" "$(find "/proc/$recording/fd" -type l | count)" |
		tee -a "$tmp/steps"
done
stop "$recording"
recording=''
show "$tmp/record.err" | head -4
figure always.exit "$status" ''
growth() { # COLUMN: median of the last third, of the first
	awk -v c="$1" '{ v[NR] = $c } END {
		third = int((NR + 2) / 3)
		for (i = 1; i <= third; i++) { print v[i] >first; print v[NR - third + i] >last }
	}' first="$tmp/first" last="$tmp/last" "$tmp/steps"
	calc "$(median <"$tmp/last") / $(median <"$tmp/first")"
}
figure always.rss "$(awk '{ v = $2 - $3; if (v > max) max = v } END { print max }' "$tmp/steps")" MiB-beside-rings '<=' 32
figure always.rss.growth "$(growth 2)" ratio '<=' 1.1
figure always.disk "$(awk '$5 > max { max = $5 } END { print max }' "$tmp/steps")" MiB '<=' 24
figure always.fds.growth "$(growth 7)" ratio '<=' 1.1
figure always.cpu "$(awk '{ print $4 }' "$tmp/steps" | median)" '%'
bad=0
for file in "$tmp"/files/t-*; do
	"$TCPTAPE" verify "$file" >/dev/null 2>&1 || bad=$((bad + 1))
done
figure always.files.damaged "$bad" '' '<=' 0
