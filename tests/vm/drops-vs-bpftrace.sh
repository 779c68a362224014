#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape drops` against bpftrace's tcpdrop.bt (Debian's), which watches the same seconds: the same
# drops of the same sockets in the same states, at the same places. Both hang on the tracepoint
# kfree_skb. tcpdrop.bt names three constants of the kernel's headers; here their values stand for them.
#
# The documented differences, and no other:
#   1. tcpdrop.bt has packets that carry a socket (skb->sk): what is sent, and what lies in a socket's
#      queue. Not what tcp_v4_rcv drops, with a socket (6.11) or without (closed ports).
#   2. It leaves out what has no reason.
#   3. It has the ends of the socket, not of the packet, and local port 0 after the port was given back.
#   4. Its place is a line of its stack, below those of kfree_skb itself.
# proves: drop
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: bpftrace at a kernel with kprobes"
case $(uname -r) in 5.*) skip "tcpdrop.bt needs drop reasons: Linux 5.17" ;; esac

make_namespaces
join_by_veth
serve echo4 10.9.0.2 17391
serve echo6 fd09::2 17391
serve unread4 -m never 10.9.0.2 17392
serve bulk -s 60000 10.9.0.2 17393
in_a nft -f - <<-EOF_NFT
	add table inet t
	add chain inet t o { type filter hook output priority 0; }
	add rule inet t o tcp dport 17394 counter drop
	EOF_NFT
in_b nft -f - <<-EOF_NFT
	add table inet t
	add chain inet t i { type filter hook input priority 0; }
	add rule inet t i tcp dport 17395 drop
	EOF_NFT
# reason SKB_DROP_REASON_NOT_SPECIFIED: 2 since Linux 6.0, whose number 1 (SKB_CONSUMED) is no drop
sed -e '/^#ifndef/,/^#endif/d' -e 's/SKB_DROP_REASON_NOT_SPECIFIED/2/' \
	-e 's/AF_INET6/10/g; s/AF_INET/2/g' /host/usr/sbin/tcpdrop.bt >"$tmp/tcpdrop.bt"
bpftrace tcpdrop "$tmp/tcpdrop.bt"
record "$tmp/t.tcptape" -e conn,drop
client() { in_a timeout 3 "$LOAD" client "$@" || :; }
{
	client -n 3 -c 3 10.9.0.2 17391
	client -n 3 fd09::2 17391
	client 10.9.0.2 17394 # SYNs that do not leave
	client fd09::2 17394
	client 10.9.0.2 17395 # and such that do not get in
	client -n 2 10.9.0.2 17396 # closed port
	client -s 3000 -c 1 10.9.0.2 17392 # its data is never read
} >"$tmp/client"
stop "$(cat "$tmp/unread4.pid")" TERM # its queue goes with it
ip -n "$A" link set veth0 gso_max_segs 1
tc -n "$A" qdisc add dev veth0 root tbf rate 2mbit burst 3k limit 6k
client -s 60000 10.9.0.2 17393 >>"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'
sleep 1
stop "$(cat "$tmp/tcpdrop.pid")"
is "bpftrace ends with" "$status" 0
# LADDR LPORT RADDR RPORT STATE PLACE, sorted; rules 1 and 3
"$TCPTAPE" drops -a --csv -f 'net 10.9.0.0/24 or net fd09::/64' "$tmp/t.tcptape" |
	columns saddr sport daddr dport state reason location | tr -d '"' >"$tmp/drops"
awk '$5 != "-" && $6 != "NOT_SPECIFIED" {
	if ($6 == "QUEUE_PURGE") print $3, $4, $1, $2, $5, $7
	else print $1, $2, $3, $4, $5, $7
}' "$tmp/drops" | while read -r laddr lport raddr rport state place; do
	[ "$state" != CLOSE ] || lport=0
	echo "$laddr $lport $raddr $rport $state ${place%+*}+$((${place#*+}))"
done | sort >"$tmp/ours"
# of the stack the line that ours says, among the first four
awk '
	function end(s,   a) { a = s; sub(/:[0-9]+$/, "", a); return a " " substr(s, length(a) + 2) }
	NR == FNR { is_place[$6] = 1; next }
	$1 ~ /^[0-9]+:[0-9]+:[0-9]+$/ && NF >= 6 {
		k = end($(NF - 2)) " " end($(NF - 1)) " " $NF; n = 0
		next
	}
	k && NF == 1 && (++n == 4 || $1 in is_place) { print k, $1; k = "" }
' "$tmp/ours" "$tmp/tcpdrop.out" | grep -E '^(10\.9\.0\.|fd09::)' |
	awk '$5 == "CLOSE" { $2 = 0 } { print }' | sort >"$tmp/theirs"
check "the same $(count <"$tmp/theirs") drops" diff -u "$tmp/theirs" "$tmp/ours"
show "$tmp/theirs"
n() { grep -c " $1 " "$tmp/theirs" || :; } # PORT
is "SYNs that did not leave" "$(($(n 17394)))" "$(in_a nft list chain inet t o |
	sed -n 's/.*counter packets \([0-9]*\) .*/\1/p')"
between "dropped by the full queue" "$(n 17393)" 1 1000
# rule 1
is "which tcptape alone has: SYNs to a closed port" "$(grep -c ' 17396 - ' "$tmp/drops")" 2
between "and SYNs that a rule did not let in" "$(grep -c ' 17395 - ' "$tmp/drops")" 1 4
finish
