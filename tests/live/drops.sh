#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape drops` and `inerrs` against what others count in the same seconds: the counter of an nft
# rule, /proc/net/snmp and netstat, tc's counter of a full queue, and a sender of wrong segments
# that knows how many it sent. Every packet here is one segment, so counts must be equal.
#
# What kfree_skb does not show, and this test states:
#   1. A full accept queue. Linux counts ListenOverflows, but the SYN is freed as if it had been
#      consumed (tcp_rcv_state_process), on all kernels tried (6.1 to 7.2). The final ACK of a handshake
#      may have the reason TCP_LISTEN_OVERFLOW.
#   2. Before 6.11 a received packet that is dropped has no socket: STATE is "-".
#   3. Before 5.17 there are no reasons, so the place tells; before 6.0 wrong checksums are drops like
#      those at closed ports, and what is out of the window is freed without a trace (tcp_drop).
# proves: drop bad_csum
# mends: drops-without-a-socket sequence-compared-plainly ends-swapped
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${SEGMENT=$build/tests/segment}"
need_recorder
need nft tc

counter() { # NAME: TcpInErrs, TcpExtListenDrops ... in $B
	in_b cat /proc/net/snmp /proc/net/netstat | awk -v want="$1" '
		$1 != last { last = $1; n = split($0, name); next }
		{
			last = ""; kind = $1; sub(":", "", kind)
			for (i = 2; i <= n; i++) if (kind name[i] == want) { print $i; exit }
		}'
}
rises() { # FILE: counters of before, as "NAME VALUE", become their rise
	while read -r name value; do echo "$name $(($(counter "$name") - value))"; done <"$1"
}
rise() { awk -v want="$1" '$1 == want { print $2 }' "$tmp/rises"; }

make_namespaces
join_by_veth
serve echo 10.9.0.2 17201
serve bulk -s 60000 10.9.0.2 17203
serve never -m never -b 1 10.9.0.2 17204
in_b nft -f - <<-EOF_NFT
	add table ip t
	add chain ip t i { type filter hook input priority 0; }
	add rule ip t i tcp dport 17206 counter drop
	EOF_NFT
# and before IP sees the packet, while it still carries its sender's socket
has_ingress=''
in_b nft -f - 2>"$tmp/nft.err" <<-EOF_NFT && has_ingress=1
	add table netdev t
	add chain netdev t i { type filter hook ingress device veth0 priority 0; }
	add rule netdev t i tcp dport 17208 counter drop
	EOF_NFT
# a connection to which wrong segments are sent
start hold ip netns exec "$A" "$LOAD" client -w 100000 10.9.0.2 17201
wait_line hold '^connect'
port=$(awk '$1 == "connect" { print $3 }' "$tmp/hold.out")
for name in TcpInCsumErrors TcpInErrs TcpExtTCPACKSkippedSeq TcpExtListenOverflows; do
	echo "$name $(counter $name)"
done >"$tmp/before"

record "$tmp/t.tcptape" -e conn,drop
{
	in_a timeout 4 "$LOAD" client 10.9.0.2 17206 || : # dropped by the rule
	in_a timeout 2 "$LOAD" client 10.9.0.2 17208 || :
	in_a "$LOAD" client -n 4 10.9.0.2 17205 # closed port
	in_a "$LOAD" client -n 3 fd09::2 17205
	in_a "$SEGMENT" -b -n 7 10.9.0.1 17211 10.9.0.2 17201 # wrong checksum
	in_a "$SEGMENT" -b -n 3 fd09::1 17212 fd09::2 17201
	in_a "$SEGMENT" -o 4 -n 2 10.9.0.1 17213 10.9.0.2 17201 # header of 16 bytes
	# far out of the window of the connection: half the sequence space away from one another,
	# so that one of both is in front of it
	in_a "$SEGMENT" -n 5 -s 0x10000000 10.9.0.1 "$port" 10.9.0.2 17201
	in_a "$SEGMENT" -n 5 -s 0x90000000 10.9.0.1 "$port" 10.9.0.2 17201
	in_a "$LOAD" client -n 6 -m hold -w 1500 10.9.0.2 17204 # more than the backlog
} >"$tmp/client"
rules() { in_b nft list chain "$@" | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p'; }
rules=$(rules ip t i)
netns=$(in_b stat -L -c %i /proc/self/ns/net)
rises "$tmp/before" >"$tmp/rises"

# a queue of a few packets in front of a slow link
has_tbf=''
if tc -n "$A" qdisc add dev veth0 root tbf rate 2mbit burst 3k limit 6k 2>"$tmp/tc.err"; then
	has_tbf=1
	ip -n "$A" link set veth0 gso_max_segs 1
	in_a "$LOAD" client -s 60000 10.9.0.2 17203 >"$tmp/bulk"
	queue=$(tc -n "$A" -s qdisc show dev veth0 | sed -n 's/.*dropped \([0-9]*\),.*/\1/p' | head -1)
fi
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
show "$tmp/rises"

t=$tmp/t.tcptape
ours() { # < CSV: what happened in our two namespaces; others may use the same addresses
	awk -F, -v a="$(in_a stat -L -c %i /proc/self/ns/net)" -v b="$netns" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == "netns") at = i; print; next }
		$at == a || $at == b'
}
"$TCPTAPE" drops -a --csv -f 'net 10.9.0.0/24 or net fd09::/64' "$t" | ours >"$tmp/drops"
"$TCPTAPE" inerrs --csv -f 'net 10.9.0.0/24 or net fd09::/64' "$t" 2>"$tmp/inerrs.notes" |
	ours >"$tmp/inerrs"
show "$tmp/inerrs.notes"
has_reasons=1
if grep -q 'gives no reasons' "$tmp/inerrs.notes"; then has_reasons=''; fi
"$TCPTAPE" drops -c -f 'net 10.9.0.0/24 or net fd09::/64' "$t" >"$tmp/counts"
show "$tmp/counts"

# by reason and destination port; without reasons, by the place that drops for this one
n_drops() {
	case $1,$has_reasons in
	*,1 | *_OVERFLOW,) columns reason dport <"$tmp/drops" | grep -c "^$1 $2\$" || : ;;
	NETFILTER_DROP,) n_places nf_hook_slow "$2" ;;
	NO_SOCKET,) n_places 'tcp_v[46]_rcv' "$2" ;;
	QDISC_DROP,) n_places kfree_skb_list "$2" ;;
	esac
}
n_places() { columns location dport <"$tmp/drops" | grep -c "^$1+0x[0-9a-f]* $2\$" || :; }
n_wrong() { columns wrong dport <"$tmp/inerrs" | grep -c "^$1 $2\$" || :; }

between "SYNs that met the rule" "$rules" 2 4
is "drops by the rule, as nft counts them" "$(n_drops NETFILTER_DROP 17206)" "$rules"
columns dport location <"$tmp/drops" | grep '^17206 ' >"$tmp/where"
is "they happened in netfilter" "$(grep -Evc '(nf_hook_slow|nft_do_chain)\+0x' "$tmp/where")" 0
if [ -n "$has_ingress" ]; then
	is "drops by the rule at ingress" "$(n_drops NETFILTER_DROP 17208)" "$(rules netdev t i)"
	is "they happened in the namespace of the rule, and their sender is known" \
		"$(columns dport netns comm state <"$tmp/drops" | grep '^17208 ' | sort -u)" \
		"17208 $netns load SYN_SENT"
else
	echo "(no ingress hook: $(cat "$tmp/nft.err"))"
fi
is "SYNs to a closed port" "$(n_drops NO_SOCKET 17205)" 7
is "all of them SYN, without a socket" \
	"$(columns dport flags conn pid <"$tmp/drops" | grep -c '^17205 SYN - -$')" 7

check_inerrs() {
	is "wrong checksums, as sent" "$(n_wrong checksum 17201)" 10
	is "as the kernel counts them" "$(n_wrong checksum '.*')" "$(rise TcpInCsumErrors)"
	is "of IPv6" "$(columns wrong ip saddr <"$tmp/inerrs" | grep -c '^checksum 6 fd09::1')" 3
	is "bad headers, as sent" "$(n_wrong header 17201)" 2
	is "InErrs: checksums and headers" "$(($(n_wrong checksum '.*') + $(n_wrong header '.*')))" \
		"$(rise TcpInErrs)"
	is "segments out of the window, as sent" \
		"$(columns wrong sport <"$tmp/inerrs" | grep -c "^sequence $port\$")" 10
	# what else is out of a window came twice: a retransmit that was not needed, behind the slow link
	is "others of that kind that carry no data" "$(columns wrong sport payload <"$tmp/inerrs" |
		awk -v p="$port" '$1 == "sequence" && $2 != p && $3 == 0' | count)" 0
	# an ACK out of the window is answered once in 500 ms (tcp_invalid_ratelimit), then counted here
	between "those that were not answered" "$(rise TcpExtTCPACKSkippedSeq)" 8 9
	is "they belong to the connection" "$(columns sport comm state <"$tmp/inerrs" |
		grep -c "^$port ")" 10
	is "drops has them too" "$(columns sport reason <"$tmp/drops" | grep -c "^$port TCP_.*SEQUENCE")" 10
}
check_inerrs_without_reasons() {
	is "wrong checksums and bad headers are drops, as the kernel counts them" \
		"$(n_places 'tcp_v[46]_rcv' 17201)" "$(rise TcpInErrs)"
	is "which is, as sent" "$(rise TcpInErrs)" 12
	is "inerrs has none of them" "$(n_wrong '.*' '.*')" 0
	contains "and says what is missing" "$tmp/inerrs.notes" 'wrong checksums are not recorded'
	contains "and what else" "$tmp/inerrs.notes" 'sequence numbers .* not recorded'
}
if [ -n "$has_reasons" ]; then check_inerrs; else check_inerrs_without_reasons; fi

between "overflows of the accept queue" "$(rise TcpExtListenOverflows)" 1 100
between "of these with a reason" "$(n_drops TCP_LISTEN_OVERFLOW 17204)" 0 \
	"$(rise TcpExtListenOverflows)"

if [ -n "$has_tbf" ]; then
	between "packets that the queue dropped" "$queue" 1 1000
	# what is no TCP may be dropped there too: multicast reports of IPv6, sent after link-up
	between "drops by it" "$(n_drops QDISC_DROP 17203)" $((queue > 2 ? queue - 2 : 1)) "$queue"
	is "the data in it belongs to a process" "$(columns dport comm payload <"$tmp/drops" |
		awk '$1 == 17203 && $3 > 0 { print $2 }' | sort -u)" load
else
	echo "(this kernel has no tbf: full queue not tried)"
fi

# -c tells the same sums; no raw address is in the file; a filter takes either direction
is "-c adds up" "$(awk 'NR > 1 { n += $1 } END { print n }' "$tmp/counts")" \
	"$("$TCPTAPE" drops --csv -f 'net 10.9.0.0/24 or net fd09::/64' "$t" 2>"$tmp/notes" |
		columns reason | count)"
is "no place is a raw address" "$("$TCPTAPE" dump --json -e drop "$t" |
	grep -Ec '"location":[0-9]{5}' || :)" 0
between "but a small number, each" "$("$TCPTAPE" dump --json -e drop "$t" |
	grep -Ec '"location":[0-9]{1,4},')" 28 100000
is "the filter takes the packet's source" \
	"$("$TCPTAPE" drops --csv -f "src port 17211" "$t" | columns sport | sort -u)" 17211
finish
