#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Handing over: 10 M generated events (BENCH_EVENTS) cut, merged, anonymized, exported for ClickHouse,
# asked by SQL. Events (rows) for each second of real time, which the targets are of, and of CPU time;
# medians of BENCH_ROUNDS, 3 unless told. Each writes into the directory of temporary files: /dev/shm
# in TMPDIR keeps the disk out of it. merge.hosts are two that recorded the same minutes, merge.parts
# two halves of one recording.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
events=${BENCH_EVENTS:-10000000}
[ -x "$GENERATE" ] || skip "there is no generator"

of() { # NAME TARGET UNIT EVENTS COMMAND...: millions a second
	name=$1 target=$2 unit=$3 n=$4
	shift 4
	: >"$tmp/real" && : >"$tmp/cpu"
	for _ in $(seq "${BENCH_ROUNDS:-3}"); do
		timed "$name" "$@"
		echo "$real_s" >>"$tmp/real"
		echo "$cpu_s" >>"$tmp/cpu"
	done
	figure "out.$name" "$(calc "$n / 1e6 / $(median <"$tmp/real")")" "M$unit/s" '>=' "$target"
	figure "out.$name.cpu" "$(calc "$n / 1e6 / $(median <"$tmp/cpu")")" "M$unit/cpu-s"
	figure "out.$name.rss" "$(calc "$rss_kb / 1024")" MiB
}

generate() { # FILE SEED EVENTS
	"$GENERATE" --events "$3" --seed "$2" -o "$tmp/$1" 2>/dev/null
}

count() { # FILE
	"$TCPTAPE" info --json "$tmp/$1" 2>/dev/null | sed -n 's/.*"events":\([0-9]*\).*/\1/p'
}

generate all 1 "$events"
n=$(count all)
of cut.time 10 events "$n" "$TCPTAPE" cut --from +0.001s -o "$tmp/out" --force "$tmp/all"
of cut.filter 10 events "$n" "$TCPTAPE" cut -f 'port 80 or portrange 32768-46000' -o "$tmp/out" --force "$tmp/all"
if "$TCPTAPE" anonymize --help >"$tmp/help" 2>&1; then
	of anonymize 10 events "$n" "$TCPTAPE" anonymize -o "$tmp/out" --force "$tmp/all"
else
	skipped anonymize "built without libcrypto"
fi
if "$TCPTAPE" sql --help >"$tmp/help" 2>&1; then
	tx=$("$TCPTAPE" sql --no-header -c 'SELECT count(*) FROM tx' "$tmp/all" 2>/dev/null)
	of sql.aggregate 20 rows "$tx" "$TCPTAPE" sql -c 'SELECT avg(bytes) FROM tx' "$tmp/all"
else
	skipped sql "built without SQLite"
fi
of clickhouse 3 rows "$n" "$TCPTAPE" export --to clickhouse -o "$tmp/native" --force "$tmp/all"
rm -rf "$tmp/native"
half=$("$TCPTAPE" info --json "$tmp/all" 2>/dev/null | sed -n 's/.*"duration_s":\([0-9.]*\).*/\1/p')
half=$(calc "$half / 2")
"$TCPTAPE" cut --to "+${half}s" -o "$tmp/first" "$tmp/all" 2>/dev/null
"$TCPTAPE" cut --from "+${half}s" -o "$tmp/second" "$tmp/all" 2>/dev/null
rm "$tmp/all"
of merge.parts 10 events "$n" "$TCPTAPE" merge -o "$tmp/out" --force "$tmp/first" "$tmp/second"
rm "$tmp/first" "$tmp/second"
generate one 1 $((events / 2))
generate other 2 $((events / 2))
n=$(($(count one) + $(count other)))
of merge.hosts 10 events "$n" "$TCPTAPE" merge -o "$tmp/out" --force "$tmp/one" "$tmp/other"
