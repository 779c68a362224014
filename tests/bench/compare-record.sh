#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM (tests/vm/test.sh SUITE bench/compare-record.sh -d -t SECONDS, with VM_OUT=DIR): N
# recordings of each of four loads (LOADS: of some), for power.py. Two namespaces with netem between:
#   base    100 connections, one after the other, of 3 exchanges; 10 ms +- 2 ms each way
#   slow    the same with 11 ms +- 2.2 ms: connect, RTT and answers take 10 % longer
#   loss01  64 MB of answers in 8 connections through 50 Mbit/s: 10 s; 1 ms each way, 0.1 % of what
#           the server sends is lost
#   loss10  the same with 1 %; a packet is a segment there (no TSO, GSO)
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: deterministic time and netem"
n=${N:-20} loads=${LOADS:-base slow loss01 loss10}

make_namespaces
join_by_veth 10ms
serve short 10.9.0.2 17001
serve bulk -a 1000000 10.9.0.2 17002
for ns in "$A" "$B"; do
	for what in tso gso; do ip netns exec "$ns" "$OFFLOAD" veth0 $what off >/dev/null; done
done
netem() { # OF-CLIENT OF-SERVER
	# shellcheck disable=SC2086 # words
	tc -n "$A" qdisc change dev veth0 root netem limit 10000 $1
	# shellcheck disable=SC2086
	tc -n "$B" qdisc change dev veth0 root netem limit 10000 $2
}
record() { # NAME NUMBER LOAD-ARG...
	file=/out/$1-$2.tcptape
	shift 2
	in_a "$TCPTAPE_RECORD" -e conn,rtt,retrans,reset,drop,io --level 9 -o "$file" -- "$LOAD" client "$@" >/dev/null 2>"$tmp/err" ||
		cat "$tmp/err"
}
i=0
while [ $i -lt "$n" ]; do
	i=$((i + 1))
	for load in $loads; do
		case $load in
		base) netem 'delay 10ms 2ms' 'delay 10ms 2ms' ;;
		slow) netem 'delay 11ms 2.2ms' 'delay 11ms 2.2ms' ;;
		loss01) netem 'delay 1ms' 'delay 1ms loss 0.1% rate 50mbit' ;;
		loss10) netem 'delay 1ms' 'delay 1ms loss 1% rate 50mbit' ;;
		esac
		case $load in
		loss*) record "$load" $i -n 8 -c 8 -a 1000000 10.9.0.2 17002 ;;
		*) record "$load" $i -n 100 -c 3 10.9.0.2 17001 ;;
		esac
	done
	echo "$i of $n"
done
