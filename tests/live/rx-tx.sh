#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each segment at each layer: seen once in each that has a hook, in the order of the layers, as many
# as the kernel counts (/proc/net/snmp of our namespaces: OutSegs, RetransSegs, InSegs), with the
# bytes that the load moved. What holds a packet shows in one place: netem between qdisc and driver.
# GSO, VLAN tags, retransmissions and clones are told.
#
# Layers whose hook is a function need fentry or kprobes; without them (host) they are left out.
# proves: rx rx_copy tx tx_write
# mends: headers-at-a-fixed-offset
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

counts() { # NETNS: OutSegs, InSegs, RetransSegs, TCPSynRetrans
	ip netns exec "$1" cat /proc/net/snmp /proc/net/netstat | awk '
		$1 != last { last = $1; n = split($0, name); next }
		{ last = ""; for (i = 2; i <= n; i++) v[$1 name[i]] = $i }
		END {
			print v["Tcp:OutSegs"], v["Tcp:InSegs"], v["Tcp:RetransSegs"],
				v["TcpExt:TCPSynRetrans"]
		}'
}
moved() { # BEFORE NETNS
	echo "$1 $(counts "$2")" | awk '{ print $5 - $1, $6 - $2, $7 - $3, $8 - $4 }'
}
quiet() { # no connection is left that may send
	! { in_a ss -Htan; in_b ss -Htan; } | grep -Evq 'LISTEN|TIME-WAIT'
}
settle() { wait_for 20 quiet || echo "(connections that do not end)"; }

make_namespaces
join_by_veth
serve ping -s 100 -a 300 10.9.0.2 17501
serve ping6 -s 100 -a 300 fd09::2 17502
serve bulk -s 100 -a 150000 10.9.0.2 17503
serve small -s 100 -a 150000 10.9.0.2 17504
serve hold -s 100 -a 300 10.9.0.2 17506
serve lossy -s 100 -a 60000 10.9.0.2 17507
a=$(counts "$A") b=$(counts "$B")

record "$tmp/t.tcptape" -e conn,rx,tx
in_a "$LOAD" client -n 3 -c 5 -s 100 -a 300 10.9.0.2 17501 >/dev/null
in_a "$LOAD" client -n 3 -c 5 -s 100 -a 300 fd09::2 17502 >/dev/null
in_a "$LOAD" client -c 2 -s 100 -a 150000 10.9.0.2 17503 >/dev/null
settle
ip -n "$B" link set veth0 gso_max_segs 1
in_a "$LOAD" client -c 2 -s 100 -a 150000 10.9.0.2 17504 >/dev/null
settle
ip -n "$B" link set veth0 gso_max_segs 65535

has_vlan=1
for ns in "$A" "$B"; do
	ip -n "$ns" link add link veth0 name veth0.7 type vlan id 7 2>"$tmp/vlan.err" || has_vlan=''
done
if [ -n "$has_vlan" ]; then
	ip -n "$A" addr add 10.9.7.1/24 dev veth0.7
	ip -n "$B" addr add 10.9.7.2/24 dev veth0.7
	for ns in "$A" "$B"; do ip -n "$ns" link set veth0.7 up; done
	ip -n "$A" neigh replace 10.9.7.2 lladdr 02:00:00:00:00:0b dev veth0.7 nud permanent
	ip -n "$B" neigh replace 10.9.7.1 lladdr 02:00:00:00:00:0a dev veth0.7 nud permanent
	serve tagged -s 100 -a 300 10.9.7.2 17508
	in_a "$LOAD" client -c 5 -s 100 -a 300 10.9.7.2 17508 >/dev/null
	settle
fi
if has_netem; then
	tc -n "$A" qdisc add dev veth0 root netem delay 20ms limit 1000
	in_a "$LOAD" client -c 5 -s 100 -a 300 10.9.0.2 17506 >/dev/null
	settle
	tc -n "$A" qdisc del dev veth0 root
	tc -n "$B" qdisc add dev veth0 root netem loss 20% limit 1000
	ip -n "$B" link set veth0 gso_max_segs 1
	in_a "$LOAD" client -c 3 -s 100 -a 60000 10.9.0.2 17507 >/dev/null
	settle
fi
a=$(moved "$a" "$A") b=$(moved "$b" "$B")
# OutSegs leaves out what is sent again, but for SYN-ACKs: those are in both
a_out=$(echo "$a" | awk '{ print $1 + $3 }') b_out=$(echo "$b" | awk '{ print $1 + $3 - $4 }')
a_in=$(echo "$a" | cut -d' ' -f2) b_in=$(echo "$b" | cut -d' ' -f2)
a_again=$(echo "$a" | cut -d' ' -f3) b_again=$(echo "$b" | awk '{ print $3 - $4 }')
echo "(OutSegs InSegs RetransSegs TCPSynRetrans: A $a, B $b)"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
contains "nothing is lost" "$tmp/record.err" ', 0 lost'

# one line an event: TIME EVENT LAYER NETNS IFINDEX SRC SPORT DST DPORT SEQ ACK PAYLOAD SEGS FLAGS
# VLAN HEADERS DEPARTURE CLONED AGAIN SOCK; the ends as on the wire
t=$tmp/t.tcptape
"$TCPTAPE" info "$t" >"$tmp/info"
"$TCPTAPE" dump --json --no-snapshot -e rx,tx "$t" | awk -v a="$(stat -L -c %i "/run/netns/$A")" \
	-v b="$(stat -L -c %i "/run/netns/$B")" "$awk_of"'
	{
		ev = of($0, "event")
		netns = of(substr($0, index($0, "\"packet\"")), "netns")
		if (netns != a && netns != b) next
		at = index($0, "\"packet\":{")
		p = at ? substr($0, at) : ""
		rest = substr($0, index($0, at ? p : "\"packet\":null"))
		l = of(p, "laddr") " " of(p, "lport")
		r = of(p, "raddr") " " of(p, "rport")
		print of($0, "ts_ns"), ev, of(rest, "layer"), netns == a ? "A" : "B", of(rest, "ifindex"),
			ev == "rx" ? r " " l : l " " r, of(p, "seq"), of(p, "ack_seq"),
			of(p, "payload"), of(p, "segs"), of(p, "tcp_flags"), of(p, "vlan"),
			of(p, "headers"), of(rest, "departure_ns"), of(rest, "cloned"), of(rest, "again"),
			index($0, "\"sock\":null") ? 0 : 1
	}' >"$tmp/events"
between "events" "$(count <"$tmp/events")" 500 100000
count_of() { # AWK-CONDITION
	awk "$1 { n++ } END { print n + 0 }" "$tmp/events"
}
sum_of() { # AWK-EXPRESSION AWK-CONDITION
	awk "$2 { n += $1 } END { print n + 0 }" "$tmp/events"
}

functions=''
if grep -Eq '^probe.tx.* tcp=(fentry|kprobe):|^probe.tx +tcp=(fentry|kprobe):' "$tmp/info"; then
	functions=1
fi

# ---- counts ----
untagged='$15 == 65535'
is "segments that A sends, at qdisc" "$(sum_of '$13' "\$2 == \"tx\" && \$3 == \"qdisc\" && \$4 == \"A\" && $untagged")" "$a_out"
is "segments that B sends" "$(sum_of '$13' "\$2 == \"tx\" && \$3 == \"qdisc\" && \$4 == \"B\" && $untagged")" "$b_out"
is "packets that A receives, at mac" "$(count_of '$2 == "rx" && $3 == "mac" && $4 == "A"')" "$a_in"
is "packets that B receives" "$(count_of '$2 == "rx" && $3 == "mac" && $4 == "B"')" "$b_in"
is "at driver" "$(count_of '$2 == "rx" && $3 == "driver" && $4 == "B"')" "$b_in"
if [ -n "$functions" ]; then
	for layer in ip deliver tcp; do
		is "at $layer" "$(count_of "\$2 == \"rx\" && \$3 == \"$layer\" && \$4 == \"B\"")" "$b_in"
	done
	# what a full socket sends: all but SYN-ACKs, in this test
	is "segments that A's sockets send, at tcp" \
		"$(sum_of '$13' '$2 == "tx" && $3 == "tcp" && $4 == "A"')" "$a_out"
	is "at ip" "$(sum_of '$13' '$2 == "tx" && $3 == "ip" && $4 == "A"')" "$a_out"
	is "at output" "$(sum_of '$13' '$2 == "tx" && $3 == "output" && $4 == "A"')" "$a_out"
	is "tcp_rcv_established ends as often as it begins" "$(count_of '$3 == "done"')" \
		"$(count_of '$3 == "established"')"
fi

# ---- each segment once in each layer, in their order ----
awk -v functions="$functions" '
	BEGIN {
		n_ranks = split("tx.tcp tx.ip tx.output tx.qdisc tx.driver rx.driver rx.mac rx.ip rx.deliver rx.tcp", rank)
		for (i = 1; i <= n_ranks; i++) {
			at[rank[i]] = i
			must[i] = functions || rank[i] ~ /qdisc|driver|mac/
		}
	}
	$9 == 17507 || $7 == 17507 || $9 == 17508 || $7 == 17508 { next } # loss, VLAN: passes twice
	($2 "." $3) in at {
		r = at[$2 "." $3]
		if (!must[r]) next
		# TCP sets PSH (8) on packets of several segments only after layer tcp
		flags = $14 - 8 * (int($14 / 8) % 2)
		key = $6 " " $7 " " $8 " " $9 " " $10 " " $11 " " $12 " " flags
		from[key] = $14 == 18 && functions ? 3 : 1 # a request has no full socket
		n[key, r]++
		for (p = r - 1; p >= from[key]; p--) {
			if (!must[p]) continue
			if (n[key, p] < n[key, r]) { early++; print "early: " $0 >"/dev/stderr" }
			break
		}
	}
	END {
		for (key in from) {
			keys++
			for (r = from[key]; r <= n_ranks; r++)
				if (must[r] && n[key, r] != n[key, 5]) {
					missing++
					print "missing: " key, rank[r], n[key, r] + 0 >"/dev/stderr"
				}
		}
		print keys + 0, early + 0, missing + 0
	}' "$tmp/events" >"$tmp/order" 2>"$tmp/order.err"
between "different segments" "$(cut -d' ' -f1 <"$tmp/order")" 100 10000
is "events ahead of the layer above, segments missing at a layer" \
	"$(cut -d' ' -f2- <"$tmp/order")" "0 0"
show "$tmp/order.err" | head -20

# ---- bytes ----
bytes_copied() { # PORT END: read by that end
	"$TCPTAPE" dump --json -e rx_copy "$t" | grep "\"$2\":$1[,}]" |
		sed 's/.*"bytes":\([0-9]*\).*/\1/' | awk '{ n += $1 } END { print n + 0 }'
}
is "bytes copied to the server" "$(bytes_copied 17501 lport)" $((3 * 5 * 100))
is "to the client" "$(bytes_copied 17501 rport)" $((3 * 5 * 300))
is "by IPv6" "$(bytes_copied 17502 rport)" $((3 * 5 * 300))
is "in bulk" "$(bytes_copied 17503 rport)" 300000
between "payload at the driver, in bulk; some may be sent again" \
	"$(sum_of '$12' '$2 == "tx" && $3 == "driver" && $7 == 17503')" \
	300000 $((300000 + b_again * 1448))
wrote() { # PORT: calls and bytes of the server
	"$TCPTAPE" dump --json -e tx_write "$t" | grep "\"lport\":$1[,}]" |
		sed 's/.*"size":\([0-9]*\).*/\1/' | awk '{ n++; s += $1 } END { print n + 0, s + 0 }'
}
is "writes of the server, bytes" "$(wrote 17501)" "$((3 * 5)) $((3 * 5 * 300))"

# ---- GSO ----
most() { awk "\$2 == \"$1\" && \$3 == \"$2\" && \$7 == $3 && \$13 > n { n = \$13 } END { print n + 0 }" "$tmp/events"; }
between "most segments in a packet, at qdisc" "$(most tx qdisc 17503)" 2 100
between "where it is received" "$(most rx mac 17503)" 2 100
is "without GSO" "$(most tx qdisc 17504) $(most rx mac 17504)" "1 1"
between "payload then" "$(sum_of '$12' '$2 == "tx" && $3 == "qdisc" && $7 == 17504')" \
	300000 $((300000 + b_again * 1448))
is "packets with payload: one a segment" \
	"$(count_of '$2 == "tx" && $3 == "qdisc" && $7 == 17504 && $12 > 0')" \
	"$(sum_of '$13' '$2 == "tx" && $3 == "qdisc" && $7 == 17504 && $12 > 0')"

# ---- clones: what TCP keeps to send it again ----
is "packets with payload are clones" "$(count_of '$2 == "tx" && $3 == "qdisc" && $12 > 0 && !$18')" 0
is "ACKs are none" "$(count_of '$2 == "tx" && $3 == "qdisc" && $12 == 0 && $14 == 16 && $18')" 0

# ---- VLAN ----
if [ -n "$has_vlan" ]; then
	is "VLANs of a packet at qdisc, on both interfaces" "$(awk '
		$2 == "tx" && $3 == "qdisc" && ($7 == 17508 || $9 == 17508) { n[$15]++ }
		END { print (n[7] > 10), (n[7] == n[65535]) }' "$tmp/events")" "1 1"
	is "with the tag where it is received" "$(awk '
		$2 == "rx" && $3 == "mac" && ($7 == 17508 || $9 == 17508) { print $15 }' "$tmp/events" |
		sort -u)" 7
	[ -z "$functions" ] || is "and without it at ip, on another interface" "$(awk '
		$2 == "rx" && ($7 == 17508 || $9 == 17508) && $4 == "A" {
			if ($3 == "mac") dev = $5
			if ($3 == "ip") print $15, $5 == dev
		}' "$tmp/events" | sort -u)" "65535 0"
else
	echo "(no VLAN: $(cat "$tmp/vlan.err"))"
fi

# ---- netem holds packets between qdisc and driver, and nowhere else ----
if has_netem; then
	awk '
		$9 == 17506 && $2 == "tx" || $9 == 17506 && $2 == "rx" {
			key = $10 " " $11 " " $12 " " $14
			if ($2 "." $3 == "tx.driver" && (key, "tx.qdisc") in t)
				print "held", ($1 - t[key, "tx.qdisc"]) / 1e6
			else if (key in last)
				print "passed", ($1 - last[key]) / 1e6
			t[key, $2 "." $3] = last[key] = $1
		}' "$tmp/events" >"$tmp/held"
	between "packets held" "$(grep -c held "$tmp/held")" 8 20
	between "the shortest time, ms" "$(sed -n 's/held //p' "$tmp/held" | sort -n | head -1)" 20 20.5
	between "the longest" "$(sed -n 's/held //p' "$tmp/held" | sort -n | tail -1)" 20 25
	between "the longest between other layers" \
		"$(sed -n 's/passed //p' "$tmp/held" | sort -n | tail -1)" 0 5
fi

# ---- what is sent again ----
if has_netem && [ -n "$functions" ]; then
	between "segments sent again, as the kernel counts" "$b_again" 3 1000
	is "marked so at layer tcp, in B" \
		"$(sum_of '$13' '$2 == "tx" && $3 == "tcp" && $4 == "B" && $19')" "$b_again"
	is "none elsewhere, but for A's own" \
		"$(sum_of '$13' '$2 == "tx" && $19 && $4 == "A"')" "$a_again"
	is "each leaves at another time than before, the same at each layer" "$(awk '
		$2 == "tx" && $4 == "B" && $7 == 17507 && $12 > 0 && $17 {
			key = $10 " " $12 " " $17
			n[key, $3]++
			keys[key]
		}
		END {
			for (key in keys) bad += n[key, "tcp"] != 1 || n[key, "qdisc"] != 1
			print bad + 0
		}' "$tmp/events")" 0
fi
finish
