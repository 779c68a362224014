#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# RTT on this kernel, whatever hooks it allows, over a link with a known delay: 10 ms each way, by
# a TUN device and a program (tests/load/link.c), as many kernels have no netem. The program's own
# scheduling adds a little, so medians are compared: 20 ms, and at most 2 ms above.
# The kernel's own word is the other truth: TCP_INFO, as the client read it before it closed.
# proves: rtt
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_link 10000
serve server4 10.9.0.2 17001
serve server6 fd09::2 17001
record "$tmp/t.tcptape" -e conn,rtt
for address in 10.9.0.2 fd09::2; do
	in_a "$LOAD" client -v -n 3 -c 20 $address 17001
done >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

tcptape() { # COMMAND ARG...
	"$TCPTAPE" "$@" -f 'port 17001 and (net 10.9.0.0/24 or net fd09::/64)' --csv "$tmp/t.tcptape"
}
tcptape rtt --each | columns srtt_us >"$tmp/srtt"
between "srtt values" "$(count <"$tmp/srtt")" 200 1000
between "median of srtt, us" "$(median <"$tmp/srtt")" 20000 22000
between "smallest srtt, us" "$(sort -n "$tmp/srtt" | head -1)" 20000 24000

tcptape connlat | columns lat_ms >"$tmp/lat"
is "connects" "$(count <"$tmp/lat")" 6
between "median of connect, ms" "$(median <"$tmp/lat")" 20 22

# The last srtt of each client connection, after its last ACK, against TCP_INFO before the close.
# srtt moves by an eighth of a sample's difference, so one ACK more or less is no great matter.
tcptape life | columns lport rport srtt_us | awk '$2 == 17001 { print $1, $3 }' | sort >"$tmp/life"
awk '$1 == "info" { print $2, $3 }' "$tmp/client" | sort >"$tmp/info"
join "$tmp/life" "$tmp/info" >"$tmp/both"
is "connections with TCP_INFO" "$(count <"$tmp/both")" 6
is "srtt further than 1 ms from TCP_INFO's" \
	"$(awk '{ d = $2 - $3; if (d < -1000 || d > 1000) print }' "$tmp/both" | count)" 0
finish
