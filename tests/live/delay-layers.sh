#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tcptape delay: where the time of a segment goes. A tbf qdisc holds packets of 5000 bytes for at
# least 26 ms (26 kbit beyond its burst, at 1 Mbit/s); a server reads 50 ms late; netem, where it
# is, delays by 20 ms. Each shows in one layer only: all the others together take less than 5 ms,
# in the median, since any segment may meet a busy machine. The kernel's own counts of segments,
# /proc/net/snmp of namespaces that nobody else uses, are those of the trace.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tc

tbf=17021 late=17022 netem=17023
make_namespaces
join_by_veth
netns_a=$(stat -Lc %i "/run/netns/$A") netns_b=$(stat -Lc %i "/run/netns/$B")
# without pacing, which would hold packets in TCP, and without loss probes, which a held packet provokes
in_a sh -c 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control
	echo 0 >/proc/sys/net/ipv4/tcp_early_retrans'
serve tbf -s 5000 10.9.0.2 $tbf
serve late -s 3000 -a 4000 -w 50 fd09::2 $late
serve netem -s 100 10.9.0.2 $netem

segments() { # NETNS OutSegs|InSegs
	ip netns exec "$1" cat /proc/net/snmp | counters | awk -v n="$2" '$1 == n { print $2 }'
}
out_before=$(segments "$A" OutSegs) in_before=$(segments "$B" InSegs)
record "$tmp/t.tcptape" -e conn,rx,tx
tc -n "$A" qdisc add dev veth0 root tbf rate 1mbit burst 2000 limit 100k
in_a "$LOAD" client -n 5 -s 5000 10.9.0.2 $tbf >"$tmp/client"
tc -n "$A" qdisc del dev veth0 root
in_a "$LOAD" client -n 2 -c 5 -s 3000 -a 4000 fd09::2 $late >>"$tmp/client"
if has_netem; then
	tc -n "$A" qdisc add dev veth0 root netem delay 20ms
	in_a "$LOAD" client -n 2 -c 5 -s 100 10.9.0.2 $netem >>"$tmp/client"
fi
# the last ACKs; TIME_WAIT stays
all_closed() {
	[ -z "$(in_a ss -Htn state connected exclude time-wait)$(in_b ss -Htn state connected exclude time-wait)" ]
}
check "all connections end" wait_for 10 all_closed
out_after=$(segments "$A" OutSegs) in_after=$(segments "$B" InSegs)
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"

# Other tests have the same addresses, in other namespaces
delay() { # ARG...
	"$TCPTAPE" delay "$@" -f "port $tbf or port $late or port $netem" --csv "$tmp/t.tcptape" 2>"$tmp/note"
}
ours() {
	awk -F, -v a="$netns_a" -v b="$netns_b" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == "netns") at = i }
		NR == 1 || $at == a || $at == b'
}
# Of a table: how many segments there are, and those whose parts do not add up, or are negative
sums() {
	columns notes total_us "$@" | awk '{
		sum = 0
		for (i = 3; i <= NF; i++) if ($i != "-") { sum += $i; if ($i < 0) bad++ }
		if (sum - $2 > 0.0005 || $2 - sum > 0.0005) bad++
	} END { print NR, bad + 0 }'
}
in_layers='driver_us mac_us ip_us deliver_us tcp_us backlog_us established_us hole_us queue_us'
out_layers='write_us tcp_us ip_us output_us qdisc_us driver_us sent_us'
for way in in out; do
	delay --$way | ours >"$tmp/$way.csv"
	eval "layers=\$${way}_layers"
	# shellcheck disable=SC2086 # names are words
	sums $layers <"$tmp/$way.csv" >"$tmp/sums"
	between "segments $way" "$(cut -d' ' -f1 "$tmp/sums")" 80 1000
	is "segments $way whose parts do not add up" "$(cut -d' ' -f2 "$tmp/sums")" 0
	is "segments $way that met something odd" "$(columns notes <"$tmp/$way.csv" |
		grep -Ec 'part|busy|cut|passed|again|old|unread')" 0
done

total_segs() { columns netns segs | awk -v n="$1" '$1 == n { sum += $2 } END { print sum + 0 }'; }
is "segments sent, and the kernel's count" "$(total_segs "$netns_a" <"$tmp/out.csv")" \
	$((out_after - out_before))
# InSegs counts buffers, however many segments GRO or a sender's GSO left in them
is "buffers received, and the kernel's count" \
	"$(columns netns <"$tmp/in.csv" | grep -c "^$netns_b$")" $((in_after - in_before))

# The time in one layer of segments with payload to a port, and that in all others
held() { # in|out PORT LAYER
	columns dport payload "$3" total_us <"$tmp/$1.csv" |
		awk -v p="$2" '$1 == p && $2 > 0 { print $3, $4 - $3 }'
}
hold_of() { # WHAT in|out PORT LAYER N MIN_US MAX_US: N segments; the median time there, and elsewhere
	held "$2" "$3" "$4" >"$tmp/held"
	is "$1: segments with payload" "$(count <"$tmp/held")" "$5"
	between "$1: median time in $4" "$(cut -d' ' -f1 "$tmp/held" | median)" "$6" "$7"
	between "$1: median of all other layers" "$(cut -d' ' -f2 "$tmp/held" | median)" 0 5000
}
hold_of "tbf, sender" out $tbf qdisc_us 5 26000 500000
between "tbf, sender: shortest time in qdisc_us" \
	"$(held out $tbf qdisc_us | cut -d' ' -f1 | sort -n | head -1)" 26000 500000
is "tbf, sender: each was split into four" \
	"$(columns dport payload driver_packets notes <"$tmp/out.csv" | grep -c "^$tbf 5000 4 split:4")" 5
hold_of "tbf, receiver" in $tbf queue_us 20 0 500000
# the request may come while the server waits already
hold_of "late reader, receiver" in $late queue_us 10 25000 500000
hold_of "late reader, sender" out $late qdisc_us 10 0 5000
if has_netem; then
	hold_of "netem, sender" out $netem qdisc_us 10 20000 20100
	hold_of "netem, receiver" in $netem queue_us 10 0 5000
fi

# The slowest are those of the whole table; all that were read tell by whom
delay --in --slowest 1000 | ours | columns total_us >"$tmp/slowest"
columns total_us <"$tmp/in.csv" | sort -rn >"$tmp/sorted"
check "the slowest first" cmp "$tmp/slowest" "$tmp/sorted"
is "segments that somebody else read" \
	"$(columns payload comm last_layer <"$tmp/in.csv" | grep copy | grep -vc ' load copy')" 0
delay --out --percentiles --by listener >"$tmp/percentiles"
is "percentiles: segments of the late server" \
	"$(columns lport layer n <"$tmp/percentiles" | sed -n "s/^$late total //p")" \
	"$(columns sport <"$tmp/out.csv" | grep -c "^$late$")"
# a window: as many as began in it
middle=$(columns time_s <"$tmp/out.csv" | sort -n | awk '{ v[NR] = $1 } END { print v[int(NR / 2)] }')
is "those from the middle on" "$(delay --out --from "+${middle}s" | ours | columns seq | count)" \
	"$(columns time_s <"$tmp/out.csv" | awk -v m="$middle" '$1 >= m' | count)"
finish
