#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Somebody sets the clock while it records: forward by an hour, then back by two. Times of events do
# not mind, and wall time finds each event where this script's own clock had it, also right before and
# right after a step. It sets the machine's clock, so it runs in the VM only.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -n "${TCPTAPE_VM:-}" ] || skip "it sets the clock: in the VM only"

start server "$LOAD" server 127.0.0.1 17040
wait_line server ready

wall() { date -u +%Y-%m-%dT%H:%M:%S.%NZ; }
uptime_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }
# A line "NUMBER LPORT WALL_BEFORE WALL_AFTER UPTIME_MS"
connect() { # NUMBER
	set -- "$1" "$(wall)" "$(uptime_ms)"
	lport=$("$LOAD" client 127.0.0.1 17040 | awk '$1 == "connect" { print $3 }')
	echo "$1 $lport $2 $(wall) $3" >>"$tmp/connects"
}
step() { # SECONDS, from now
	now=$(date +%s.%N)
	date -u -s "@$(echo "$now $1" | awk '{ printf "%.6f", $1 + $2 }')" >/dev/null
}

record "$tmp/t.tcptape" -e conn
sleep 2.4
connect 1
step 3600
connect 2
sleep 2.4
connect 3
step -7200
connect 4
sleep 2.4
connect 5
step 3600
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/connects"
check "the file is good" "$TCPTAPE" verify "$tmp/t.tcptape"
"$TCPTAPE" info "$tmp/t.tcptape" >"$tmp/info"
contains "info tells the steps" "$tmp/info" '^clock.set +wall time jumped 3 times; the machine slept for -?0\.000 s'

"$TCPTAPE" dump --json -e tcp_state "$tmp/t.tcptape" | awk "$awk_of"'
	/"new_state":"SYN_SENT"|"state":"SYN_SENT"/ && of($0, "rport") == 17040 { print of($0, "ts_ns") }' |
	sort -un >"$tmp/starts"
is "connects" "$(count <"$tmp/starts")" 5
awk 'NR == FNR { ns[FNR] = $1; next } FNR > 1 {
	d = ($5 - first) - (ns[FNR] - ns[1]) / 1e6
	print d < 0 ? -d : d
} FNR == 1 { first = $5 }' "$tmp/starts" "$tmp/connects" | sort -n | tail -1 >"$tmp/apart"
between "ms by which distances differ from those of /proc/uptime, at most" "$(cat "$tmp/apart")" 0 60

while read -r number lport before after _; do
	"$TCPTAPE" connlat --csv --from "$before" --to "$after" "$tmp/t.tcptape" 2>"$tmp/note" | columns lport >"$tmp/found"
	is "from $before to $after: connect $number" "$(tr '\n' ' ' <"$tmp/found")" "$lport "
done <"$tmp/connects"
finish
