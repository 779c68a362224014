#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real driver (virtio_net, run.sh -n): packets come by GRO's door, and each one that was handed to
# the driver is given back after that, once, however often others free packets.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -d /sys/class/net/eth0 ] || skip "there is no eth0"

ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
"$LOAD" client 10.0.2.100 80 >"$tmp/warm" # ARP, and the first use of everything
segs() { awk '$1 == "Tcp:" && $2 != "RtoAlgorithm" { print $11, $12 + $13 }' /proc/net/snmp; }
no_more() { ! ss -Htan | grep -Evq 'LISTEN|TIME-WAIT'; }
wait_for 30 no_more || :
before=$(segs)
record "$tmp/t.tcptape" -e rx,tx
"$LOAD" client -c 20 -s 1000 -a 1000 10.0.2.100 80 >"$tmp/load"
show "$tmp/load"
wait_for 30 no_more || :
moved=$(echo "$before $(segs)" | awk '{ print $3 - $1, $4 - $2 }')
# the driver gives the last buffer back when the next one is sent, or at its interrupt
"$LOAD" client 10.0.2.100 80 >"$tmp/last"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"

t=$tmp/t.tcptape port=$(awk '$1 == "connect" { print $3 }' "$tmp/load")
"$TCPTAPE" dump --json --no-snapshot -e rx,tx "$t" | grep "\"lport\":$port," | awk "$awk_of"'
	{
		p = substr($0, index($0, "\"packet\""))
		print of($0, "ts_ns"), of($0, "event") "." of(p, "layer"), of(p, "seq"),
			of(p, "ack_seq"), of(p, "payload"), of(p, "segs"), of(p, "tcp_flags")
	}' >"$tmp/events"
n() { awk -v l="$1" '$2 == l { n++ } END { print n + 0 }' "$tmp/events"; }
segs_of() { awk -v l="$1" '$2 == l { n += $6 } END { print n + 0 }' "$tmp/events"; }
is "packets handed up, as the kernel counts them" "$(n rx.mac)" "${moved% *}"
case $(uname -r) in
5.10.*) # its virtio_net leaves the headers of all but small packets in a page, where we cannot read them yet
	is "packets at the driver: the small ones" "$(n rx.driver)" \
		"$(awk '$2 == "rx.mac" && $5 == 0 { n++ } END { print n + 0 }' "$tmp/events")" ;;
*)
	between "packets at the driver: before GRO" "$(n rx.driver)" "$(n rx.mac)" "$(segs_of rx.mac)" ;;
esac
is "segments sent, as the kernel counts them" "$(segs_of tx.qdisc)" "${moved#* }"
is "packets given back by the driver" "$(n tx.complete)" "$(n tx.driver)"
is "each after it was handed to it" "$(awk '
	{ key = $3 " " $4 " " $5 " " $7 }
	$2 == "tx.driver" { n[key]++ }
	$2 == "tx.complete" && --n[key] < 0 { early++ }
	END { print early + 0 }' "$tmp/events")" 0
is "bytes copied to the client" "$("$TCPTAPE" dump --json -e rx_copy "$t" |
	grep "\"lport\":$port," | sed 's/.*"bytes":\([0-9]*\).*/\1/' |
	awk '{ n += $1 } END { print n + 0 }')" 20000
finish
