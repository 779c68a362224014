#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A reader that is slower than the recording: a FIFO that nobody reads for some seconds while packets
# flood the rings. What the rings cannot take is counted, memory does not grow, the rare events are all
# there, and what arrives at last is a good trace. One that never reads again keeps no recording alive.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
serve server 10.9.0.2 17001
mkfifo "$tmp/fifo"

# shellcheck disable=SC2317
read_late() { # HOLD_S FILE: some of the FIFO at once, the rest after that time
	exec 3<"$tmp/fifo"
	head -c 4096 <&3 >"$2"
	sleep "$1"
	cat <&3 >>"$2"
}
status_kb() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"; }

start reader read_late 4 "$tmp/t.tcptape"
start record "$TCPTAPE_RECORD" -e conn,rtt,rx,tx,retrans --buffer 1M -o "$tmp/fifo"
recorder=$pid
wait_for 30 test -s "$tmp/t.tcptape"
i=0
: >"$tmp/client"
while [ $i -lt 8 ]; do # within the four seconds
	in_a "$LOAD" client -n 3 -c 5 10.9.0.2 17001 >>"$tmp/client"
	timeout 0.4 ip netns exec "$A" "$LOAD" client -c 100000000 10.9.0.2 17001 >/dev/null || :
	i=$((i + 1))
done
hwm_kb=$(status_kb "$recorder" VmHWM)
sleep 1.5
in_a "$LOAD" client -n 3 -c 5 10.9.0.2 17001 >>"$tmp/client"
stop "$recorder"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
wait_end "$(cat "$tmp/reader.pid")"
rings_kb=$(sed -n 's/.*(\([0-9.]*\) [kM]B of it rings.*/\1/p' "$tmp/record.err" | awk '{ print int($1 * 1e6 / 1024) }')
between "largest RSS, without the rings, kB" $((hwm_kb - rings_kb)) 1000 32768
check "what came is a good trace" "$TCPTAPE" verify "$tmp/t.tcptape"
"$TCPTAPE" info "$tmp/t.tcptape" >"$tmp/info"
contains "it is closed" "$tmp/info" '^closed +yes'
"$TCPTAPE" info --json "$tmp/t.tcptape" >"$tmp/info.json"
lost=$(sed -n 's/.*"lost":\([0-9]*\).*/\1/p' "$tmp/info.json" | head -1)
between "lost, as the file says" "$lost" 1000 100000000
contains "as the summary says" "$tmp/record.err" " $lost lost"
"$TCPTAPE" info "$tmp/t.tcptape" | grep -A8 '^lost' >"$tmp/lost"
show "$tmp/lost"
is "lost of group conn" "$(grep -c ' of conn ' "$tmp/lost")" 0
is "connects that are in the trace, of those that were made" \
	"$("$TCPTAPE" connlat --csv -f 'dst port 17001' "$tmp/t.tcptape" 2>/dev/null | columns outcome | count)" \
	"$(($(grep -c '^connect.* ok ' "$tmp/client") + 8))"

# never again: a signal ends it, some seconds later, and it says why the trace is cut
sleep 600 <"$tmp/fifo" &
idle=$!
pids="$pids $idle"
start record "$TCPTAPE_RECORD" -e conn,rtt,rx,tx --buffer 1M -o "$tmp/fifo"
recorder=$pid
sleep 1
timeout 3 ip netns exec "$A" "$LOAD" client -c 100000000 10.9.0.2 17001 >/dev/null || :
before=$(date +%s)
stop "$recorder" TERM
is "nobody reads: it ends with" "$status" 1
between "seconds after the signal" $(($(date +%s) - before)) 4 12
contains "and says why" "$tmp/record.err" 'fifo: a signal asked.*does not read'

# the reader goes away in the middle of a flood
kill "$idle"
timeout 3 head -c 100000 <"$tmp/fifo" >"$tmp/cut.tcptape" &
start record "$TCPTAPE_RECORD" -e conn,rtt,rx,tx -o "$tmp/fifo"
recorder=$pid
timeout 5 ip netns exec "$A" "$LOAD" client -c 100000000 10.9.0.2 17001 >/dev/null || :
wait_end "$recorder"
is "without its reader the recorder ends with" "$status" 0
is "and has nothing to complain about" "$(cat "$tmp/record.err")" ""
is "bytes that were read" "$(wc -c <"$tmp/cut.tcptape" | tr -d ' ')" 100000
"$TCPTAPE" info "$tmp/cut.tcptape" >"$tmp/info" 2>&1 || :
contains "what was read can be used, and says that it is cut" "$tmp/info" '^closed +no'
finish
