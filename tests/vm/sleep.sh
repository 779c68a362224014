#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The machine is suspended to RAM while it records, and woken by its clock: processors go and come, and
# CLOCK_MONOTONIC, the clock of all events, stands still meanwhile. The recording goes on, says how
# long that was, and wall time finds what happened before and right after it.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -n "${TCPTAPE_VM:-}" ] || skip "it suspends the machine: in the VM only"
alarm=/sys/class/rtc/rtc0/wakealarm
[ -e $alarm ] && grep -q mem /sys/power/state || skip "this kernel cannot suspend, or not wake up"

start server "$LOAD" server 127.0.0.1 17041
wait_line server ready
wall() { date -u +%Y-%m-%dT%H:%M:%S.%NZ; }
connect() { # NUMBER: a line "NUMBER LPORT WALL_BEFORE WALL_AFTER"
	before=$(wall)
	lport=$("$LOAD" client -c 5 127.0.0.1 17041 | awk '$1 == "connect" { print $3 }')
	echo "$1 $lport $before $(wall)" >>"$tmp/connects"
}

record "$tmp/t.tcptape" -e conn,rtt,counters,nic,listen
sleep 1.5
connect 1
asleep=$(date +%s.%N)
echo +6 >$alarm
echo mem >/sys/power/state
awake=$(date +%s.%N)
connect 2
sleep 2
connect 3
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
contains "nothing is lost" "$tmp/record.err" ', 0 lost'
check "the file is good" "$TCPTAPE" verify "$tmp/t.tcptape"
"$TCPTAPE" info "$tmp/t.tcptape" >"$tmp/info"
show "$tmp/info"
slept=$(sed -n 's/^clock.set .*the machine slept for \([0-9.]*\) s$/\1/p' "$tmp/info")
gone=$(echo "$awake $asleep" | awk '{ print $1 - $2 }')
between "seconds of sleep, as the trace tells, of $gone that suspending took" "$slept" 1 "$gone"
"$TCPTAPE" dump --json -e tcp_state "$tmp/t.tcptape" | awk "$awk_of"'
	of($0, "new_state") == "SYN_SENT" && of($0, "rport") == 17041 { print of($0, "ts_ns") }' >"$tmp/starts"
is "connects" "$(count <"$tmp/starts")" 3
between "seconds between the first and the second, on the events' clock" \
	"$(awk 'NR == 1 { a = $1 } NR == 2 { print ($1 - a) / 1e9 }' "$tmp/starts")" 0 \
	"$(echo "$gone $slept" | awk '{ print $1 - $2 + 1 }')"
while read -r number lport before after; do
	"$TCPTAPE" connlat --csv --from "$before" --to "$after" "$tmp/t.tcptape" 2>"$tmp/note" | columns lport >"$tmp/found"
	is "from $before to $after: connect $number" "$(tr '\n' ' ' <"$tmp/found")" "$lport "
done <"$tmp/connects"
finish
