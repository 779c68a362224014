#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# NAT (nf_nat) on the way out: layer ip has the packet as its socket sends it, layer output as it
# leaves, and what comes back is translated between layers ip and tcp (in PREROUTING, or in INPUT where
# the destination was changed). All four ends are those that conntrack lists, for each connection.
# mends: nat-breaks-the-key
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft conntrack

make_namespaces
join_by_veth
# $A has a second address, to which its connections are translated
ip -n "$A" addr add 10.9.0.101/24 dev veth0
ip -n "$A" addr add fd09::101/64 dev veth0 nodad preferred_lft 0 # not by choice
ip -n "$B" neigh replace 10.9.0.101 lladdr 02:00:00:00:00:0a dev veth0 nud permanent
ip -n "$B" neigh replace fd09::101 lladdr 02:00:00:00:00:0a dev veth0 nud permanent
in_a nft -f - 2>"$tmp/nft.err" <<-EOF_NFT || skip "no NAT here: $(head -1 "$tmp/nft.err")"
	add table ip t
	add chain ip t out { type nat hook output priority -100; }
	add chain ip t post { type nat hook postrouting priority 100; }
	add rule ip t out ip daddr 10.9.0.77 tcp dport 17620 dnat to 10.9.0.2:17611
	add rule ip t post tcp dport 17612 snat to 10.9.0.101:41000-41099
	add rule ip t post tcp dport 17613 masquerade to :42000-42099
	add table ip6 t
	add chain ip6 t post { type nat hook postrouting priority 100; }
	add rule ip6 t post tcp dport 17612 snat to fd09::101
	EOF_NFT
for port in 17611 17612 17613; do
	serve v4-$port -s 500 -a 4000 10.9.0.2 $port
done
serve v6 -s 500 -a 4000 fd09::2 17612

record "$tmp/t.tcptape" -e rx,tx
in_a "$LOAD" client -n 3 -c 5 -s 500 -a 4000 10.9.0.77 17620 >"$tmp/client" # DNAT
in_a "$LOAD" client -n 3 -c 5 -s 500 -a 4000 10.9.0.2 17612 >>"$tmp/client" # SNAT
in_a "$LOAD" client -n 3 -c 5 -s 500 -a 4000 10.9.0.2 17613 >>"$tmp/client" # masquerade
in_a "$LOAD" client -n 3 -c 5 -s 500 -a 4000 fd09::2 17612 >>"$tmp/client"
in_a "$LOAD" client -n 1 -c 5 -s 500 -a 4000 10.9.0.2 17611 >>"$tmp/client" # none
for family in ipv4 ipv6; do
	in_a conntrack -L -f $family -p tcp 2>>"$tmp/conntrack.err"
done >"$tmp/conntrack"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
contains "nothing is lost" "$tmp/record.err" ', 0 lost'
is "answers arrived in full" "$(awk '$1 == "info" { print $7 }' "$tmp/client" | sort | uniq -c |
	awk '{ print $1, $2 }')" "13 20000"

t=$tmp/t.tcptape
A_ns=$(stat -L -c %i "/run/netns/$A") B_ns=$(stat -L -c %i "/run/netns/$B")
"$TCPTAPE" info "$t" >"$tmp/info"
grep -E '^ *probe\.(rx|tx)( |$)' "$tmp/info" | cut -c1-300
contains "layer ip is recorded" "$tmp/info" ' ip/v4=[a-z_]*:'
packets "$t" >"$tmp/packets"

# conntrack's tuples, which it prints whole for IPv6; SRC SPORT DST DPORT, then of the answer
conntrack_tuples() {
	sed 's/[a-z]*=/ &/g' "$tmp/conntrack" | awk '{
		n = 0
		for (i = 1; i <= NF; i++) {
			if ($i ~ /^(src|dst|sport|dport)=/) {
				sub(".*=", "", $i)
				v[++n] = $i
			}
		}
		print v[1], v[3], v[2], v[4], v[5], v[7], v[6], v[8]
	}' | grep -E ' 176[0-9]* ' | sort
}
conntrack_tuples >"$tmp/tuples"
is "connections that conntrack lists" "$(count <"$tmp/tuples")" 13

# ours: of a SYN the ends at ip, and at output the other way round, as the answer has them
awk -v ns="$A_ns" '
	$3 == ns && $12 == 2 && $2 == "tx.ip" { before[$8] = $4 " " $5 " " $6 " " $7 }
	$3 == ns && $12 == 2 && $2 == "tx.output" { print before[$8], $6, $7, $4, $5 }' \
	"$tmp/packets" | sort >"$tmp/ours"
is "the ends before and after, as conntrack has them: differences" \
	"$(diff "$tmp/tuples" "$tmp/ours" >"$tmp/diff" || :; count <"$tmp/diff")" 0
show "$tmp/diff"
# what comes back: at ip as it came, at tcp as the socket knows it
awk -v ns="$A_ns" '
	$3 == ns && $12 == 18 && $2 == "rx.ip" { before[$8] = $4 " " $5 " " $6 " " $7 }
	$3 == ns && $12 == 18 && $2 == "rx.tcp" { print $6, $7, $4, $5, before[$8] }' \
	"$tmp/packets" | sort >"$tmp/back"
is "of the answers: differences" \
	"$(diff "$tmp/tuples" "$tmp/back" >"$tmp/diff" || :; count <"$tmp/diff")" 0
show "$tmp/diff"
tuples() { awk "$1" "$tmp/ours" | count; }
is "translated to the second address" "$(tuples '$7 == "10.9.0.101" && $8 >= 41000 && $8 < 41100')" 3
is "masqueraded" "$(tuples '$7 == "10.9.0.1" && $8 >= 42000 && $8 < 42100 && $2 != $8')" 3
is "to another destination" "$(tuples '$3 == "10.9.0.77" && $4 == 17620 && $5 == "10.9.0.2" && $6 == 17611')" 3
is "by IPv6" "$(tuples '$1 == "fd09::1" && $7 == "fd09::101"')" 3
is "not translated" "$(tuples '$1 == $7 && $2 == $8 && $3 == $5 && $4 == $6')" 1

# every packet that leaves is one that the other side receives; all its layers see the same ends
flows() { awk -v l="$1" -v ns="$2" '$2 == l && $3 == ns {
	print $4, $5, $6, $7, $8, $9, $10, $11, $12 }' "$tmp/packets" | sort; }
flows tx.output "$A_ns" >"$tmp/left"
flows rx.ip "$B_ns" >"$tmp/came"
between "packets that leave" "$(count <"$tmp/left")" 130 10000
check "are those that come to the other side" cmp "$tmp/left" "$tmp/came"
flows tx.qdisc "$A_ns" >"$tmp/qdisc"
check "and those at qdisc" cmp "$tmp/left" "$tmp/qdisc"
# with functions, layer ip has what a socket sends: not the ACK that one in TIME_WAIT repeats
sent() { awk -v l="$1" -v ns="$A_ns" '$2 == l && $3 == ns && $13 != "-"' "$tmp/packets" | count; }
is "as many of sockets as at ip" "$(sent tx.ip)" "$(sent tx.output)"
is "bytes of payload too" "$(flows tx.ip "$A_ns" | awk '{ n += $7 } END { print n }')" \
	"$(awk '{ n += $7 } END { print n }' "$tmp/left")"
is "the socket is known at both layers, the same" "$(awk -v ns="$A_ns" '
	$3 == ns && $2 == "tx.ip" { sock[$8, $9, $10, $12] = $13 }
	$3 == ns && $2 == "tx.output" && $13 != "-" && sock[$8, $9, $10, $12] != $13 { n++ }
	END { print n + 0 }' "$tmp/packets")" 0
finish
