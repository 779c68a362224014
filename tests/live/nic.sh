#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bytes and buffers of each queue of a veth pair and of loopback add up to what the interfaces
# themselves counted. These count a buffer as one packet, as drivers of virtual devices do.
# proves: nic_queue nic_stat
# mends: queue-counters-are-no-wire-counts
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
for ns in "$A" "$B"; do # else it sends when it likes
	ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/veth0/disable_ipv6'
done
# an interface with three queues, one of them limited
ip -n "$A" link add many0 numtxqueues 3 numrxqueues 2 type veth peer name many0 netns "$B"
for ns in "$A" "$B"; do
	ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/many0/disable_ipv6'
	ip -n "$ns" link set many0 mtu 1300 up
done
if tc -n "$A" qdisc add dev many0 root handle 5: mq 2>/dev/null; then
	tc -n "$A" qdisc replace dev many0 parent 5:2 tbf rate 1mbit burst 10k latency 10ms
	queues=$(tc -n "$A" qdisc show dev many0 | sed -n 's/^qdisc \([a-z_]*\) .* parent 5:\([0-9]*\) .*/\2 \1/p' |
		sort -n | awk '{ printf "%s%s", (NR > 1 ? " " : ""), $2 }')
else
	queues=''
fi
# of its offloads one is switched off in A, another one in B, and one on
in_a "$OFFLOAD" many0 tso off >"$tmp/off.a"
in_b "$OFFLOAD" many0 gro on >/dev/null
in_b "$OFFLOAD" many0 rx off >"$tmp/off.b"
serve server -s 1000 -a 100000 10.9.0.2 17321
serve here 127.0.0.1 17322
dev() { # NETNS DEVICE: rx_bytes rx_packets tx_bytes tx_packets
	ip netns exec "$1" sed -n "s/^ *$2: *//p" /proc/net/dev | awk '{ print $1, $2, $9, $10 }'
}
sleep 0.2
a=$(dev "$A" veth0) b=$(dev "$B" veth0) lo=$(dev "$B" lo)
record "$tmp/t.tcptape" -e nic --interval 0.2
in_a "$LOAD" client -n 4 -c 20 -s 1000 -a 100000 10.9.0.2 17321 >/dev/null
in_b "$LOAD" client -n 5 -c 10 127.0.0.1 17322 >/dev/null
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

moved() { # BEFORE NETNS DEVICE
	echo "$1 $(dev "$2" "$3")" | awk '{ print $5 - $1, $6 - $2, $7 - $3, $8 - $4 }'
}
"$TCPTAPE" nic --csv "$tmp/t.tcptape" >"$tmp/nic"
show "$tmp/nic"
nic() { # NETNS DEVICE: the same, of all queues
	columns netns iface direction bytes skbs <"$tmp/nic" |
		awk -v ns="$(stat -L -c %i "/run/netns/$1")" -v dev="$2" '
			$1 == ns && $2 == dev { bytes[$3] += $4; skbs[$3] += $5 }
			END { print bytes["rx"], skbs["rx"], bytes["tx"], skbs["tx"] }'
}
is "veth in A: bytes and buffers received and sent" "$(nic "$A" veth0)" "$(moved "$a" "$A" veth0)"
is "veth in B" "$(nic "$B" veth0)" "$(moved "$b" "$B" veth0)"
# loopback_xmit counts after eth_type_trans: without the link-layer header of 14 bytes
is "loopback, header included" "$(nic "$B" lo)" \
	"$(moved "$lo" "$B" lo | awk '{ print $1 + 14 * $2, $2, $3 + 14 * $4, $4 }')"
sent=$(columns netns iface direction bytes packets <"$tmp/nic" |
	awk -v ns="$(stat -L -c %i "/run/netns/$B")" '
		$1 == ns && $2 == "veth0" && $3 == "tx" { n += $4; p += $5 } END { print n, p }')
between "bytes sent, against the load's 4 x 20 x 100000" "${sent% *}" 8000000 8800000
between "packets, by MSS at least" "${sent#* }" $((8000000 / 1460)) 20000

is "what the interface counted, as the trace has it" \
	"$("$TCPTAPE" nic --stats --csv -n veth0 "$tmp/t.tcptape" | columns netns counter moved |
		awk -v ns="$(stat -L -c %i "/run/netns/$A")" \
			'$1 == ns && $2 ~ /^dev\.[rt]x_(bytes|packets)$/ { print $3 }' | tr '\n' ' ')" \
	"$(moved "$a" "$A" veth0) "
is "bytes of the intervals add up" \
	"$("$TCPTAPE" nic --csv -i 0.2 "$tmp/t.tcptape" | columns bytes |
		awk '{ n += $1 } END { print n }')" \
	"$(columns bytes <"$tmp/nic" | awk '{ n += $1 } END { print n }')"
"$TCPTAPE" dump "$tmp/t.tcptape" >"$tmp/dump"
contains "facts of an interface with queues" "$tmp/dump" \
	"snap_link .*name=\"many0\" .*mtu=1300 .*tx_queues=3 rx_queues=2 queue_qdiscs=\"$queues\""
offloads() { # NAMESPACE: as the kernel's own list has them, from our bits
	grep 'snap_link .*name="many0"' "$tmp/dump" | grep "netns=$(stat -L -c %i "/run/netns/$1") " |
		sed 's/.* offloads=\([0-9]*\).*/\1/' | awk '{
		n = split("rx tx sg tso gso gro", name, " ")
		for (i = 1; i <= n; i++) {
			printf "%s%s=%d", (i > 1 ? " " : ""), name[i], $1 % 2
			$1 = int($1 / 2)
		}
		print ""
	}'
}
is "offloads, without TSO" "$(offloads "$A")" "$(cat "$tmp/off.a")"
is "offloads, with GRO, without receive checksums" "$(offloads "$B")" "$(cat "$tmp/off.b")"
contains "TSO really is off" "$tmp/off.a" ' tso=0 '
contains "so is the receive checksum, and GRO on" "$tmp/off.b" '^rx=0 .* gro=1'
contains "facts of the interface" "$tmp/dump" \
	'snap_link .*name="veth0" .*mtu=1500'
finish
