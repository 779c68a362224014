#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Both ends of connections through a router that delays 20 ms there and 5 ms back, and changes addresses (NAT): a
# recorder at each end. They have one clock, so the true offset and drift are 0.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
has_netem || skip "needs netem: the VM has it"
need nft

make_namespaces
join_by_router 20ms 5ms
ip netns exec "$R" nft -f - <<-EOF_NFT || skip "no NAT in this kernel"
	add table ip t
	add chain ip t post { type nat hook postrouting priority 100; }
	add rule ip t post oifname veth1 tcp dport 17001 snat to 10.9.1.254:41000-41099
	EOF_NFT
start server ip netns exec "$B" "$EXCHANGE" server 10.9.1.2 17001
wait_line server '^ready'
in_a "$LOAD" client 10.9.1.2 17009 >"$tmp/warm_up" || :

start far "$TCPTAPE_RECORD" -o "$tmp/s.tcptape" --netns "/run/netns/$B" -e conn,rtt,rx,tx,io
wait_recording "$tmp/s.tcptape"
far=$pid
record "$tmp/c.tcptape" --netns "/run/netns/$A" -e conn,rtt,rx,tx,io
for us in 1000 5000; do in_a "$EXCHANGE" client -n 5 -s 300 -a 2000 10.9.1.2 17001 $us; done >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
stop "$far"

"$TCPTAPE" join --clock --csv "$tmp/c.tcptape" "$tmp/s.tcptape" |
	columns offset_ms offset_bound_ms drift_ppm drift_bound_ppm >"$tmp/clock"
read -r offset bound drift drift_bound <"$tmp/clock"
between "offset, ms" "$offset" "-$bound" "$bound"
between "drift, ppm" "$drift" "-$drift_bound" "$drift_bound"
between "the bound: half of the round trip, and the drift's share" "$bound" 12.4 14

"$TCPTAPE" join --each --csv "$tmp/c.tcptape" "$tmp/s.tcptape" |
	columns direction network_us raddr server_raddr server_rport >"$tmp/each"
between "both ways of the network, ms" \
	"$(awk '!($1 in m) || $2 < m[$1] { m[$1] = $2 } END { print (m["out"] + m["in"]) / 1000 }' "$tmp/each")" 24.5 25.5
is "segments that arrive before they were sent" "$(awk '$2 < 0' "$tmp/each" | count)" 0
is "the server sees the router's address" "$(awk '{ print $4, ($5 >= 41000 && $5 <= 41099) }' "$tmp/each" | sort -u)" \
	"10.9.1.254 1"
"$TCPTAPE" join --json "$tmp/c.tcptape" "$tmp/s.tcptape" >"$tmp/json"
contains "both connections are joined" "$tmp/json" '"end":"client","connections":2,"joined_connections":2,'
contains "ten answers" "$tmp/json" '"part":"server_application","n":10,'
finish
