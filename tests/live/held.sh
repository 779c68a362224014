#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tcptape delay: what held a segment back before TCP sent it. Each scenario has one reason, which the
# columns write_*_us must name, and no other beyond a bound; over a link of 10 ms each way, so that
# what waits for an ACK waits for 20 ms:
#   cwnd    60000 bytes at once, and an initial window of two segments: five round trips
#   rwnd    a peer with a small receive buffer that reads after 300 ms
#   nagle   a second small write, which waits for the ACK of the first; gone with TCP_NODELAY
#   cork    TCP_CORK for 100 ms
#   sndbuf  a send buffer for less than the window
#   pacing  SO_MAX_PACING_RATE: by TCP's timer, and by fq where that is
#   tsq     a tbf qdisc that holds more than net.ipv4.tcp_limit_output_bytes
# mends: wait-before-tcp-unseen
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tc

make_namespaces
join_by_link 10000
ip -n "$A" link add veth1 type veth peer name veth1 netns "$B"
ip -n "$A" addr add 10.9.1.1/24 dev veth1
ip -n "$B" addr add 10.9.1.2/24 dev veth1
ip -n "$A" link set veth1 up gso_max_segs 1
ip -n "$B" link set veth1 up
in_a sh -c 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control
	echo 0 >/proc/sys/net/ipv4/tcp_early_retrans # probes go out for other reasons'
ip -n "$A" route add 10.9.0.2/32 dev tun0 initcwnd 2

reader() { # PORT ARG...
	port=$1
	shift
	start "reader$port" ip netns exec "$B" "$WRITER" server "$@" "${address:-10.9.0.2}" "$port"
	wait_line "reader$port" ready
}
client() { # PORT ARG...
	port=$1
	shift
	in_a "$WRITER" client "$@" "${address:-10.9.0.2}" "$port"
}
for port in 17401 17403 17404 17405 17406 17407; do reader $port; done
reader 17402 -w 300 -r 4096
address=fd09::2 reader 17408
for port in 17411 17412; do address=10.9.1.2 reader $port; done
record "$tmp/t.tcptape" -e conn,rtt,tx
{
	client 17401 -N -s 60000
	ip -n "$A" route change 10.9.0.2/32 dev tun0 initcwnd 40
	client 17402 -N -s 20000
	client 17403 -n 2 -s 100 -w 50
	client 17404 -n 2 -s 100 -w 50 -N
	client 17405 -s 100 -w 100 -C
	client 17406 -N -s 60000 -b 4096
	client 17407 -N -s 60000 -p 200000
	address=fd09::2 client 17408 -n 2 -s 100 -w 50
	tc -n "$A" qdisc add dev veth1 root tbf rate 2mbit burst 2000 limit 200k
	echo 12000 | in_a tee /proc/sys/net/ipv4/tcp_limit_output_bytes >/dev/null
	address=10.9.1.2 client 17411 -N -s 60000
	tc -n "$A" qdisc del dev veth1 root
	tc -n "$A" qdisc add dev veth1 root fq 2>/dev/null && has_fq=1 || has_fq=''
	[ -z "$has_fq" ] || address=10.9.1.2 client 17412 -N -s 60000 -p 200000
} >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
"$TCPTAPE" info "$tmp/t.tcptape" | grep -q 'tcp=[a-z]*:__tcp_transmit_skb' && tells_pacing=1 || tells_pacing=''
"$TCPTAPE" delay --out --data --csv -f 'portrange 17401-17412' "$tmp/t.tcptape" >"$tmp/delay.csv"


# WHAT PORT WHY LOW HIGH: ms that WHY held the segment that waited longest. What it did not hold, nor
# the way through the code, is less than 5 % of all.
held() {
	columns dport notes write_us write_path_us "write_$3_us" <"$tmp/delay.csv" |
		awk -v port="$2" '$1 == port && $2 !~ /again/ {
			all += $3 - $4
			why += $5
			if ($5 > max) max = $5
		} END { printf "%.3f %.2f\n", max / 1000, all ? 100 * (all - why) / all : 0 }' >"$tmp/held"
	between "$1: longest time of $3, ms" "$(cut -d' ' -f1 "$tmp/held")" "$4" "$5"
	between "$1: of other reasons, %" "$(cut -d' ' -f2 "$tmp/held")" 0 5
}
[ -n "${TCPTAPE_VM:-}" ] && slack=0 || slack=400 # of a machine that does other work too
held "initial window of two segments" 17401 cwnd 80 $((100 + slack))
held "late reader" 17402 rwnd 300 $((550 + slack))
held "small writes" 17403 nagle 20 $((30 + slack))
held "small writes, IPv6" 17408 nagle 20 $((30 + slack))
held "small writes with TCP_NODELAY" 17404 nagle 0 0
held "TCP_CORK" 17405 nagle 100 $((120 + slack))
held "small send buffer" 17406 sndbuf 20 $((50 + slack))
# 60000 bytes at 250 kB/s, but for those that wait in the qdisc
held "slow qdisc" 17411 tsq 150 $((260 + slack))
# what TCP sends before it paces: ten segments, maybe of twice the size
if [ -n "$tells_pacing" ]; then
	held "paced by TCP" 17407 pacing 150 240
	[ -z "$has_fq" ] || held "paced by fq" 17412 pacing 150 240
else
	echo "paced by TCP: this kernel lets nothing look at TCP as it sends"
	is "paced by TCP: reasons that are told nonetheless" \
		"$(columns dport write_pacing_us write_tsq_us write_rwnd_us write_nagle_us <"$tmp/delay.csv" |
			awk '$1 == 17407 && $2 + $3 + $4 + $5 > 1000' | count)" 0
fi
is "segments whose parts of WRITE do not add up" "$(columns dport write_us write_cwnd_us write_rwnd_us \
	write_nagle_us write_sndbuf_us write_tsq_us write_pacing_us write_path_us write_unknown_us \
	notes <"$tmp/delay.csv" | awk '$11 !~ /again/ {
		for (i = 3; i <= 10; i++) $2 -= $i
		if ($2 > 0.005 || $2 < -0.005) print }' | count)" 0
"$TCPTAPE" delay --out --percentiles --data --dport 17403 "$tmp/t.tcptape" >"$tmp/percentiles"
contains "percentiles: a row for what there was" "$tmp/percentiles" '^WRITE:nagle +1 +[0-9]{5,}'
check "and for nothing else" [ -z "$(grep -E 'WRITE:(rwnd|sndbuf|pacing)' "$tmp/percentiles")" ]
[ -z "${KEEP:-}" ] || cp "$tmp/t.tcptape" "$KEEP"
finish
