#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What TCP throws away under pressure, each provoked on purpose (load/rare.c): `tcptape drops` has as
# many, by reason, as the kernel counted in the same namespace in the same seconds, and the recorded
# counters have moved by the same. Each of these segments comes alone, so counts must be equal.
#
# What kfree_skb does not show, and this test states:
#   1. SYNs that find the SYN queue full are counted, and freed as if consumed (tcp_rcv_state_process).
#   2. Without a reason of its own: an ACK that TCP_DEFER_ACCEPT ignores; on 6.1 a SYN from too far
#      away (IP_MINTTL). The place tells: tcp_v4_rcv.
#   3. OfoPruned counts how often that queue was pruned, the reason each segment.
#   4. From 6.17 on a segment that ends beyond the window is refused ahead of TCPZeroWindowDrop, and
#      counted in BeyondWindow.
#   5. Before 6.11 the namespace of most of these is not known: the packet has neither device nor route any
#      more, and the tracepoint no socket.
#   6. Before 5.17 there are no reasons, and these segments but for the backlog's are freed without a trace.
# proves: drop counter
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${SEGMENT=$build/tests/segment}" "${RARE=$build/tests/rare}"
export SEGMENT
need_recorder
need nft

make_namespaces
join_by_veth
serve full -m never -b 4 10.9.0.2 17431
in_a nft -f - <<-EOF_NFT
	add table ip t
	add chain ip t i { type filter hook input priority 0; }
	add rule ip t i tcp sport 17431 drop
	EOF_NFT
values() { in_b cat /proc/net/snmp /proc/net/netstat | counters; }
watch_unheard skb/kfree_skb
record "$tmp/t.tcptape" -e conn,drop,counters --interval 0.2
values >"$tmp/before"
while read -r mode n port; do
	is "$mode" "$(in_b timeout 20 "$RARE" "$mode" "$n" "$port" 2>&1)" "$mode $n"
done <<-EOF_MODES
	old 5 17421
	merge 5 17422
	paws 5 17423
	rcvq 5 17424
	ofo 5 17425
	prune 3 17426
	window 5 17427
	backlog 150 17428
	ttl 1 17429
	defer 4 17430
EOF_MODES
for cookies in 0 1; do # SYNs whose answers are lost
	in_b sh -c "echo $cookies >/proc/sys/net/ipv4/tcp_syncookies"
	for port in 1 2 3 4 5 6 7 8 9 10; do
		in_a "$SEGMENT" -F 2 10.9.0.1 $((18000 + 100 * cookies + port)) 10.9.0.2 17431
	done >/dev/null
done
values >"$tmp/after"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'

# rule 5
netns=$(in_b stat -L -c %i /proc/self/ns/net)
"$TCPTAPE" drops -a --csv -f 'dst portrange 17421-17431' "$tmp/t.tcptape" |
	columns netns dport reason location | awk -v ns="$netns" '$1 == ns || $1 == "-"' >"$tmp/drops"
cut -d' ' -f2- "$tmp/drops" | sort | uniq -c
rise() { # COUNTER...: all together; 0 where the kernel has none of that name
	sum=0
	for name in "$@"; do
		sum=$((sum + $(awk -v c="$name" '$1 == c { print $2; exit }' "$tmp/after" | grep . || echo 0)))
		sum=$((sum - $(awk -v c="$name" '$1 == c { print $2; exit }' "$tmp/before" | grep . || echo 0)))
	done
	echo $sum
}
n() { grep -Ec "^[^ ]* $1" "$tmp/drops" || :; } # REGEX of PORT REASON LOCATION
same() { # REASONS(A|B) COUNTER...
	reasons=$1
	shift
	missing=$(n_unheard "reason: ($reasons)\$")
	between "$reasons, as $*" "$(n "[0-9]* ($reasons) ")" $(($(rise "$@") - missing)) "$(rise "$@")"
}
at_place() { # PORT COUNTER: those that have no reason, nor state
	between "tcp_v4_rcv at $1, as $2" "$(n "$1 [^ ]* tcp_v4_rcv\\+")" \
		$(($(rise "$2") - $(n_unheard 'tcp_v4_rcv.* reason: '))) "$(rise "$2")"
}

# that each was provoked, as the sender knows
is "bytes received before" "$(rise DelayedACKLost)" 5
is "bytes out of order, twice" "$(rise TCPOFOMerge)" 5
is "old timestamps" "$(rise PAWSEstab)" 5
is "out of order, no room" "$(rise TCPOFODrop)" 5
between "in order, no room" "$(rise TCPRcvQDrop)" 1 100
between "beyond a window of 0, of two connections" "$(rise TCPZeroWindowDrop BeyondWindow TCPRcvQDrop)" 12 500
between "backlog full" "$(rise TCPBacklogDrop)" 50 151
is "from too far away" "$(rise TCPMinTTLDrop)" 1
is "ACKs before data" "$(rise TCPDeferAcceptDrop)" 4
between "SYN queue full" "$(rise TCPReqQFullDrop)" 5 6
is "the same, with cookies" "$(rise TCPReqQFullDoCookies)" 10

case $(uname -r) in
5.*) # rule 6
	is "dropped with a trace" "$(n "174(2[1-7]|31) .*(tcp_data_queue|tcp_validate|tcp_rcv)")" 0 ;;
*)
	same TCP_OLD_DATA DelayedACKLost
	same TCP_OFOMERGE TCPOFOMerge
	same TCP_RFC7323_PAWS PAWSEstab
	same PROTO_MEM TCPRcvQDrop TCPOFODrop
	same TCP_ZEROWINDOW TCPZeroWindowDrop
	same SOCKET_BACKLOG TCPBacklogDrop
	if grep -q '^BeyondWindow ' "$tmp/after"; then # rule 4
		same 'TCP_INVALID_SEQUENCE|TCP_INVALID_END_SEQUENCE' BeyondWindow
	fi
	is "pruned" "$(rise OfoPruned)" 1 # rule 3
	between "of that queue" "$(n '17426 TCP_OFO_QUEUE_PRUNE ')" 1 3 ;;
esac
at_place 17428 TCPBacklogDrop
at_place 17429 TCPMinTTLDrop # rule 2
at_place 17430 TCPDeferAcceptDrop
is "of SYNs to a full queue" "$(n 17431)" 0 # rule 1

# the counters in the trace
"$TCPTAPE" dump --json "$tmp/t.tcptape" | awk -v ns="$netns" "$awk_of"'
	/"snap_counter"/ { name[of($0, "counter")] = of($0, "name") }
	/"event":"counter"/ && of($0, "netns") == ns { sum[of($0, "counter")] += of($0, "delta") }
	END { for (k in sum) print name[k], sum[k] }' >"$tmp/counters"
for name in DelayedACKLost TCPOFOMerge PAWSEstab TCPOFODrop TCPRcvQDrop TCPBacklogDrop TCPMinTTLDrop \
	TCPDeferAcceptDrop TCPReqQFullDrop TCPReqQFullDoCookies OfoPruned PruneCalled ListenDrops; do
	is "recorded: $name" "$(awk -v c="TcpExt.$name" '$1 == c { n = $2 } END { print n + 0 }' "$tmp/counters")" \
		"$(rise $name)"
done
finish
