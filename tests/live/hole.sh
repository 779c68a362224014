#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tcptape delay --in: a segment that waits for bytes before it (HOLE) and one that waits for its reader
# (QUEUE) are told apart. A link of 10 ms each way loses each 15th packet: what stands behind such a hole
# waits for a round trip, 20 ms, or for the retransmission timer, and a reader who is there at once keeps
# none waiting. A late reader over a link without loss: the other way round. Both at once: both.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_link 10000 15
ip -n "$A" link add veth1 type veth peer name veth1 netns "$B"
ip -n "$A" addr add 10.9.1.1/24 dev veth1
ip -n "$B" addr add 10.9.1.2/24 dev veth1
ip -n "$A" link set veth1 up
ip -n "$B" link set veth1 up
reader() { # PORT ADDRESS ARG...
	port=$1 address=$2
	shift 2
	start "reader$port" ip netns exec "$B" "$WRITER" server "$@" "$address" "$port"
	wait_line "reader$port" ready
}
reader 17421 10.9.0.2
reader 17422 10.9.1.2 -w 300
reader 17423 10.9.0.2 -w 300
reader 17424 fd09::2
record "$tmp/t.tcptape" -e conn,retrans,rx
{
	in_a "$WRITER" client -N -s 100000 10.9.0.2 17421
	in_a "$WRITER" client -N -s 20000 10.9.1.2 17422
	in_a "$WRITER" client -N -s 60000 10.9.0.2 17423
	in_a "$WRITER" client -N -s 100000 fd09::2 17424
} >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
"$TCPTAPE" delay --in --data --csv -f 'portrange 17421-17424' "$tmp/t.tcptape" >"$tmp/delay.csv"
"$TCPTAPE" retrans --csv -f 'portrange 17421-17424' "$tmp/t.tcptape" 2>"$tmp/notes" | columns rport cause >"$tmp/retrans"

# Of segments to a port that were not received before: how many waited behind a hole, the shortest such
# time, the longest; the longest in the queue; ms
seen() { # PORT
	columns dport notes hole_us queue_us <"$tmp/delay.csv" | awk -v port="$1" '
		$1 == port && $2 !~ /old/ {
			if ($3 != "-") {
				n++
				if (min == "" || $3 < min) min = $3
				if ($3 > max) max = $3
			}
			if ($4 > queue) queue = $4
			if ($2 ~ /waited/ && $3 == "-") odd++
		} END { printf "%d %.3f %.3f %.3f %d\n", n, min / 1000, max / 1000, queue / 1000, odd }' >"$tmp/seen"
	read -r n_holes shortest longest queue odd <"$tmp/seen"
}
[ -n "${TCPTAPE_VM:-}" ] && slack=2 || slack=400 # of a machine that does other work too
for port in 17421 17424; do
	seen $port
	between "loss, $port: segments sent again" "$(grep -c "^$port" "$tmp/retrans")" 1 40
	between "loss, $port: segments behind a hole" "$n_holes" 1 69
	# one is filled by what was sent right behind the ACK that told of it; later ones fill earlier
	between "loss, $port: longest time in HOLE, ms" "$longest" 20 500
	between "loss, $port: longest time in QUEUE, ms" "$queue" 0 $slack
	is "loss, $port: segments that waited for no time" "$odd" 0
done
seen 17422
is "late reader: segments behind a hole" "$n_holes" 0
between "late reader: longest time in QUEUE, ms" "$queue" 290 $((320 + slack))
seen 17423
between "both: segments behind a hole" "$n_holes" 1 69
between "both: longest time in HOLE, ms" "$longest" 20 500
between "both: longest time in QUEUE, ms" "$queue" 150 $((320 + slack))
finish
