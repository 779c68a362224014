#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Is a round trip measured right? In the VM with deterministic time, netem delays each direction by
# 25 ms, so every round trip takes 50 ms and nothing else. Ping-pong of single bytes leaves no room
# for delayed ACKs: each answer, and each next request, carries the ACK of the one before.
#
# Facts, from the scenario:
#   - each raw sample lies in [50.0, 50.2] ms, and each connect too, as the client measured it
#   - a connection of N exchanges gives 2N + 4 samples: on either side the handshake, N, and the FIN
# bcc's tcprtt (smoothed, one ACK late) and tcpconnlat of the same seconds are printed beside.
# proves: rtt
# mends: smoothed-before-the-ack
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcprtt tcpconnlat chrt
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: deterministic time and netem"

exchanges=20 connections=2 # of each family
low=50.0 high=50.2

make_namespaces
join_by_veth 25ms
serve server4 10.9.0.2 17001
serve server6 fd09::2 17001
# The first connection of a kernel takes some milliseconds more, once, and the client sees it too:
# so it is not part of the test.
for address in 10.9.0.2 fd09::2; do in_a "$LOAD" client $address 17001; done >"$tmp/warm_up"
# One CPU: what watches must not keep the load from running, or the round trip does take longer (the
# client's clock says so too). SCHED_IDLE gives way at once; nice values do not, with EEVDF.
start tcprtt chrt -i 0 tcprtt -P 17001 -e
start tcpconnlat chrt -i 0 tcpconnlat -L
start record chrt -i 0 "$TCPTAPE_RECORD" -o "$tmp/t.tcptape" -e conn,rtt
wait_recording "$tmp/t.tcptape"
sleep 3 # until bcc's tools are attached

for address in 10.9.0.2 fd09::2; do
	in_a "$LOAD" client -v -n $connections -c $exchanges $address 17001
done >"$tmp/client"
sleep 1
for name in record tcprtt tcpconnlat; do
	pid=$(cat "$tmp/$name.pid")
	stop "$pid"
	is "$name ends with" "$status" 0
done
cp "$tmp"/t.tcptape "$tmp"/client "$tmp"/*.out /out/ 2>/dev/null || :

n_connects=$((2 * connections))
n_samples=$((2 * connections * (2 * exchanges + 4)))

"$TCPTAPE" rtt --raw --each --csv -f 'port 17001' "$tmp/t.tcptape" | columns rtt_us >"$tmp/raw"
is "raw RTT samples" "$(count <"$tmp/raw")" $n_samples
is "samples outside [$low, $high] ms" \
	"$(awk -v l=$low -v h=$high '$1 / 1000 < l || $1 / 1000 > h' "$tmp/raw" | count)" 0

"$TCPTAPE" connlat --csv -f 'port 17001' "$tmp/t.tcptape" | columns lat_ms outcome >"$tmp/lat"
is "connects" "$(count <"$tmp/lat")" $n_connects
is "connects outside [$low, $high] ms or not ok" \
	"$(awk -v l=$low -v h=$high '$1 < l || $1 > h || $2 != "ok"' "$tmp/lat" | count)" 0
is "connects outside by the client's own clock" \
	"$(awk -v l=$low -v h=$high '$1 == "connect" && ($7 / 1000 < l || $7 / 1000 > h)' \
		"$tmp/client" | count)" 0

range() { sort -n | awk '{ v[NR] = $1 } END { print v[1], v[int((NR + 1) / 2)], v[NR], NR }'; }
echo
echo "                                   min    median       max     n"
line() { # TITLE < numbers
	# shellcheck disable=SC2046,SC2183 # four words
	printf '%-28s %9s %9s %9s %5s\n' "$1" $(range)
}
line "tcptape rtt --raw, us" <"$tmp/raw"
awk '/AVG/ { print $NF + 0 }' "$tmp/tcprtt.out" | line "bcc tcprtt -e, avg us"
awk '{ print $1 }' "$tmp/lat" | line "tcptape connlat, ms"
awk '$NF ~ /^[0-9.]+$/ && / 17001 / { print $NF }' "$tmp/tcpconnlat.out" | line "bcc tcpconnlat, ms"
awk '$1 == "connect" { print $7 }' "$tmp/client" | line "client's own connect, us"
awk '$1 == "exchange" { print $3 }' "$tmp/client" | line "client's own exchange, us"
finish
