#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --pcap: what tcpdump captures on one end's device while both are recorded is, segment by segment, what
# the trace has there: each packet once, at tcpdump's own time, between the layers where the kernel has
# its taps; behind a NAT too. What a capture lacks is told, and why.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcpdump

make_namespaces
join_by_veth
nat=''
ip -n "$A" addr add 10.9.0.101/24 dev veth0
ip -n "$B" neigh replace 10.9.0.101 lladdr 02:00:00:00:00:0a dev veth0 nud permanent
! in_a nft -f - 2>"$tmp/nft.err" <<-EOF_NFT || nat=1
	add table ip t
	add chain ip t post { type nat hook postrouting priority 100; }
	add rule ip t post tcp dport 17702 snat to 10.9.0.101:41000-41099
	EOF_NFT
for port in 17701 17702; do serve v4-$port -s 3000 -a 20000 10.9.0.2 $port; done
serve v6 -s 3000 -a 20000 fd09::2 17701

start tcpdump ip netns exec "$A" tcpdump -Z root -i veth0 -n -U --immediate-mode -s 96 --time-stamp-precision=nano \
	-w "$tmp/nano.pcap" tcp
wait_line tcpdump 'listening on'
start any ip netns exec "$A" tcpdump -Z root -i any -n -U --immediate-mode -s 96 -w "$tmp/any.pcap" tcp
wait_line any 'listening on'
record "$tmp/t.tcptape" -e conn,rx,tx -f 'portrange 17701-17702'
for port in 17701 17702; do in_a "$LOAD" client -n 2 -c 5 -s 3000 -a 20000 10.9.0.2 $port; done >"$tmp/client"
in_a "$LOAD" client -n 2 -c 5 -s 3000 -a 20000 fd09::2 17701 >>"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
for name in tcpdump any; do stop "$(cat "$tmp/$name.pid")"; done
show "$tmp/record.err"
contains "nothing is lost" "$tmp/record.err" ', 0 lost'

t=$tmp/t.tcptape
A_ns=$(stat -L -c %i "/run/netns/$A")
delay() { # FILE WAY [OPTION...]: of the segments of $A: CSV
	capture=$1 way=$2
	shift 2
	"$TCPTAPE" delay "--$way" --pcap "$capture" --csv "$@" "$t" >"$tmp/csv" 2>"$tmp/note" || return
	sed 's/"[^"]*"/notes/g' "$tmp/csv" # which may have commas in them
}
of_a() { awk -v ns="$A_ns" '$1 == ns' | cut -d' ' -f2-; }
n() { awk "$1" "$2" | count; }

# each packet is one segment's, or part of one: as many as tcpdump counts, in each direction
for way in out in; do
	end=src layer=qdisc_us
	[ $way = out ] || end=dst layer=mac_us
	delay "$tmp/nano.pcap" $way |
		columns netns payload wire_packets wire_after wire_lacks $layer total_us wire_us >"$tmp/$way"
	of_a <"$tmp/$way" >"$tmp/$way.a"
	show "$tmp/note"
	tcpdump -Z root -n -r "$tmp/nano.pcap" "$end 10.9.0.1 or $end 10.9.0.101 or $end fd09::1" >"$tmp/theirs" 2>"$tmp/err"
	between "$way: packets of tcpdump" "$(count <"$tmp/theirs")" 50 10000
	is "$way: they are in the trace" "$(awk '{ n += $2 } END { print n }' "$tmp/$way.a")" "$(count <"$tmp/theirs")"
	is "$way: segments that it lacks" "$(n '$4 != "-"' "$tmp/$way.a")" 0
	is "$way: their payload" "$(awk '{ n += $1 } END { print n }' "$tmp/$way.a")" \
		"$(sed -n 's/.* length \([0-9]*\).*/\1/p' "$tmp/theirs" | awk '{ n += $1 } END { print n }')"
done
# where the kernel has its taps, dev_queue_xmit_nit and __netif_receive_skb_core (or, where somebody asks for
# receive timestamps, before the processor's backlog)
is "out: behind the qdisc, before the driver" "$(n '$3 != "qdisc"' "$tmp/out.a")" 0
is "in: at the device's input" "$(n '$3 != "mac" && $3 != "driver"' "$tmp/in.a")" 0

# the layers add up to what they are without a capture
"$TCPTAPE" delay --out --csv "$t" | columns netns total_us qdisc_us | of_a >"$tmp/without"
awk '{ print $6, $5 + $7 }' "$tmp/out.a" >"$tmp/with"
is "the qdisc's time, divided: differences" "$(paste -d' ' "$tmp/without" "$tmp/with" |
	awk '{ d = $2 - $4 } $1 != $3 || d > 0.0015 || d < -0.0015' | count)" 0
[ -z "$nat" ] || is "translated segments that were captured" \
	"$(delay "$tmp/nano.pcap" out | columns netns saddr wire_after notes | of_a |
		awk '$1 == "10.9.0.101" && $2 == "qdisc"' | count)" \
	"$(tcpdump -Z root -n -r "$tmp/nano.pcap" src 10.9.0.101 2>/dev/null | count)"

# microseconds, every device (Linux cooked headers), less than the TCP header in one of them
delay "$tmp/any.pcap" out | columns netns wire_after wire_lacks | of_a >"$tmp/any"
is "-i any, microseconds: segments that it lacks" "$(n '$2 != "-"' "$tmp/any")" 0
is "-i any: behind the qdisc, before the driver" "$(n '$1 != "qdisc"' "$tmp/any")" 0

# a connection's story has its packets at tcpdump's times
conn=$("$TCPTAPE" life --csv -f 'src port 17702 or dst port 17702' "$t" | columns conn laddr | awk '$2 != "10.9.0.2"' | head -1 | cut -d' ' -f1)
"$TCPTAPE" timeline "$conn" --pcap "$tmp/nano.pcap" --json "$t" >"$tmp/story" 2>"$tmp/note"
show "$tmp/note"
sed -n 's/.*"time_s":\([0-9.]*\),.*"event":"wire".*seq \([0-9]*\), ack \([0-9]*\).*/\1 \2/p' "$tmp/story" >"$tmp/wire"
lport=$("$TCPTAPE" life --csv --conn "$conn" "$t" | columns lport)
[ -z "$nat" ] || lport=$(delay "$tmp/nano.pcap" out --conn "$conn" | columns sport | head -1)
tcpdump -Z root -n -S -tt --time-stamp-precision=nano -r "$tmp/nano.pcap" "port $lport" 2>/dev/null >"$tmp/theirs"
is "packets in the story" "$(count <"$tmp/wire")" "$(count <"$tmp/theirs")"
awk 'NR > 1 { printf "%.0f\n", ($1 - last) * 1e9 } { last = $1 }' "$tmp/wire" >"$tmp/gaps"
awk '{ split($1, t, "."); if (NR > 1) printf "%.0f\n", (t[1] - s) * 1e9 + t[2] - ns; s = t[1]; ns = t[2] }' \
	"$tmp/theirs" >"$tmp/their_gaps"
# the trace's readings of both clocks are some 100 ns apart
is "time between them: differences above 1 us" "$(paste -d' ' "$tmp/gaps" "$tmp/their_gaps" |
	awk '{ d = $1 - $2 } d > 1000 || d < -1000' | count)" 0

# what it lacks, and why: a filter, a capture that ends early, one that is damaged
tcpdump -Z root -n -r "$tmp/nano.pcap" -w "$tmp/part.pcap" ip 2>/dev/null
delay "$tmp/part.pcap" out | columns netns wire_lacks saddr | of_a >"$tmp/part"
is "no IPv6 captured" "$(awk '{ print ($2 ~ /:/), $1 }' "$tmp/part" | sort -u | paste -sd,)" "0 -,1 unknown"
tcpdump -Z root -n -r "$tmp/nano.pcap" -w "$tmp/early.pcap" -c 20 2>/dev/null
delay "$tmp/early.pcap" out | columns netns wire_lacks | of_a >"$tmp/early"
is "one that ended early" "$(cut -d' ' -f1 "$tmp/early" | sort -u | paste -sd,)" "-,outside,unknown"
head -c -7 "$tmp/nano.pcap" >"$tmp/cut.pcap"
status=0
delay "$tmp/cut.pcap" out >"$tmp/out" || status=$?
is "a damaged one: exit status" $status 1
contains "a damaged one" "$tmp/note" 'cut.pcap: the capture cannot be read behind packet [0-9]+: truncated'
finish
