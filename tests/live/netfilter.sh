#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The IP and TCP layers of rx and tx on a kernel whose functions cannot be traced (the host; others
# are told to refuse): netfilter links in each network namespace, and cgroup_skb. Counts per layer
# are those of /proc/net/snmp, of ss and of an nft rule; times stand in the order of the layers; a
# namespace that appears is covered, and ends as it would without the recorder.
# proves: rx tx
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft unshare
export TCPTAPE_REFUSE=fentry,fexit,kprobe
case $(uname -r) in [1-5].* | 6.[0-3].*) skip "netfilter takes BPF programs since Linux 6.4" ;; esac

C=tcptape$$c
cleanup_c() {
	ip netns del "$C" 2>/dev/null || :
	cleanup
}
trap cleanup_c EXIT
counts() { # NETNS: OutSegs InSegs RetransSegs
	ip netns exec "$1" cat /proc/net/snmp | awk '
		$1 == "Tcp:" && !n { n = split($0, name); next }
		$1 == "Tcp:" { for (i = 2; i <= n; i++) v[name[i]] = $i }
		END { print v["OutSegs"], v["InSegs"], v["RetransSegs"] }'
}
quiet() { # no connection is left that may send
	! { in_a ss -Htan; in_b ss -Htan; } | grep -Evq 'LISTEN|TIME-WAIT'
}
no_link() { ! ip -n "$1" link show "$2" >"$tmp/link.out" 2>&1; }
in_c() { ip netns exec "$C" "$@"; }
# a namespace's end shows in $A, where the other end of its veth is
join_c() { ip -n "$A" link add "$1" type veth peer name peer netns "$2"; }

make_namespaces
join_by_veth
serve echo -s 200 -a 30000 10.9.0.2 17601
serve echo6 -s 200 -a 30000 fd09::2 17601
in_b nft -f - <<-EOF_NFT
	add table inet t
	add chain inet t i { type filter hook input priority 0; }
	add rule inet t i tcp dport 17603 counter drop
	EOF_NFT
start first "$TCPTAPE_RECORD" -o "$tmp/first.tcptape" -e rx,tx # two may record at a time
wait_recording "$tmp/first.tcptape"
a=$(counts "$A") b=$(counts "$B")
record "$tmp/t.tcptape" -e rx,tx

# ---- in namespaces that were there ----
in_a "$LOAD" client -n 2 -c 10 -s 200 -a 30000 10.9.0.2 17601 >"$tmp/client"
in_a "$LOAD" client -n 2 -c 10 -s 200 -a 30000 fd09::2 17601 >"$tmp/client6"
in_a timeout 1 "$LOAD" client 10.9.0.2 17603 >/dev/null || : # dropped by the rule
start held ip netns exec "$A" "$LOAD" client -c 20 -s 200 -a 30000 -w 60000 10.9.0.2 17601
wait_line held '^connect .* ok'
exchanged() { in_a ss -Htin "dport = 17601" | grep -q 'bytes_received:600000 .*segs_in'; }
wait_for 20 exchanged || echo "(the exchange does not end)"
held=$(awk '$1 == "connect" { print $3 }' "$tmp/held.out")
in_a ss -Htin "sport = $held" >"$tmp/ss"
kill "$(cat "$tmp/held.pid")"
wait_for 20 quiet || echo "(connections that do not end)"
sum() { awk -v before="$1" 'BEGIN { split(before, w) } { print $1 - w[1] + $3 - w[3], $2 - w[2] }'; }
a=$(counts "$A" | sum "$a") b=$(counts "$B" | sum "$b")

# ---- in one that appears, and ends ----
ip netns add "$C"
ip -n "$C" link set lo up
c=$(stat -L -c %i "/run/netns/$C")
start in_c ip netns exec "$C" "$LOAD" server 127.0.0.1 17605
wait_line in_c ready
i=0
while [ $i -lt 20 ]; do
	in_c "$LOAD" client 127.0.0.1 17605 >/dev/null
	i=$((i + 1))
	sleep 0.1
done
stop "$(cat "$tmp/in_c.pid")" TERM
join_c nfc "$C"
ip netns del "$C"
check "a namespace ends, though two record in it" wait_for 10 no_link "$A" nfc
# without a name: it is found by its process, once it has sent something
start unnamed unshare -n sh -c "ip link set lo up; exec '$LOAD' server 127.0.0.1 17606"
wait_line unnamed ready
unnamed=$(cat "$tmp/unnamed.pid")
u=$(stat -L -c %i "/proc/$unnamed/ns/net")
i=0
while [ $i -lt 20 ]; do
	nsenter -t "$unnamed" -n "$LOAD" client 127.0.0.1 17606 >/dev/null
	i=$((i + 1))
	sleep 0.1
done
join_c nfu "$unnamed"
stop "$unnamed" TERM
check "one without a name ends with its process" wait_for 10 no_link "$A" nfu

# ---- SIGKILL leaves no hook behind: what it leaves would keep the namespace ----
first=$(sed 's/ .*//' "$tmp/first.pid")
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
contains "nothing is lost" "$tmp/record.err" ', 0 lost'
ip netns add "$C"
join_c nfk "$C"
links() { ls -l "/proc/$first/fd" | grep -c 'bpf[_-]link'; }
n_links=$(links)
between "links of a recorder" "$n_links" 24 100000
stop "$first" KILL
ip netns del "$C"
check "after SIGKILL a namespace ends" wait_for 10 no_link "$A" nfk

# ---- what was recorded ----
t=$tmp/t.tcptape
"$TCPTAPE" info "$t" >"$tmp/info"
for hook in ip/v4=netfilter:ipv4/pre_routing ip/v6=netfilter:ipv6/pre_routing \
	deliver/v4=netfilter:ipv4/local_in deliver/v6=netfilter:ipv6/local_in tcp=cgroup_skb:ingress \
	ip/v4=netfilter:ipv4/local_out ip/v6=netfilter:ipv6/local_out \
	output/v4=netfilter:ipv4/post_routing output/v6=netfilter:ipv6/post_routing; do
	contains "the trace says $hook" "$tmp/info" " $hook( |\$)"
done
packets "$t" >"$tmp/packets"
A_ns=$(stat -L -c %i "/run/netns/$A") B_ns=$(stat -L -c %i "/run/netns/$B")
n() { # EVENT.LAYER NETNS: packets; segments of what is sent
	awk -v l="$1" -v ns="$2" '$2 == l && $3 == ns { n += l ~ /^tx/ ? $11 : 1 } END { print n + 0 }' \
		"$tmp/packets"
}
for layer in ip output qdisc; do
	is "segments that A sends, at $layer" "$(n tx.$layer "$A_ns")" "${a% *}"
	is "that B sends" "$(n tx.$layer "$B_ns")" "${b% *}"
done
for layer in mac ip deliver; do
	is "packets that A receives, at $layer" "$(n rx.$layer "$A_ns")" "${a#* }"
done
rule=$(in_b nft list chain inet t i | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p')
between "packets that met the rule" "$rule" 1 3
is "those at deliver, and none at tcp" "$(awk -v ns="$B_ns" '
	$3 == ns && $7 == 17603 { n[$2]++ } END { print n["rx.deliver"], n["rx.tcp"] + 0 }' \
	"$tmp/packets")" "$rule 0"
is "packets that B receives, at deliver, are those and what TCP counts" \
	"$(n rx.deliver "$B_ns")" $((${b#* } + rule))
is "bytes arrived" "$(cat "$tmp/client" "$tmp/client6" | awk '$1 == "info" { print $7 }' | sort -u)" \
	300000

# ss of the connection that is held: its socket's own counts
of_ss() { sed -n "s/.* $1:\([0-9]*\).*/\1/p" "$tmp/ss"; }
of_held() { # LAYER PORT-COLUMN SUM-COLUMN: until one end closes, which comes after ss
	awk -v l="$1" -v at="$2" -v p="$held" -v ns="$A_ns" -v sum="$3" '
		$3 == ns && ($5 == p || $7 == p) && ($12 % 2 || $12 % 8 > 3) { exit }
		$2 == l && $3 == ns && $at == p { n += $sum }
		END { print n + 0 }' "$tmp/packets"
}
between "segments of the held connection" "$(of_ss segs_in)" 20 10000
is "at output, as its socket counts them" "$(of_held tx.output 5 11)" "$(of_ss segs_out)"
between "bytes received at tcp; some may come twice" "$(of_held rx.tcp 7 10)" \
	"$(of_ss bytes_received)" $(($(of_ss bytes_received) + 20000))
is "segments" "$(of_held rx.tcp 7 11)" "$(of_ss segs_in)"

# each packet at each layer, in their order
awk -v a="$A_ns" -v b="$B_ns" '
	BEGIN {
		n_ranks = split("tx.ip tx.output tx.qdisc tx.driver rx.driver rx.mac rx.ip rx.deliver", rank)
		for (i = 1; i <= n_ranks; i++) at[rank[i]] = i
	}
	($3 == a || $3 == b) && ($2 in at) {
		key = $4 " " $5 " " $6 " " $7 " " $8 " " $9 " " $10 " " $12
		keys += !(key in seen)
		seen[key] = 1
		if (at[$2] > 1 && ++n[key, at[$2]] > n[key, at[$2] - 1]) early++
		if (at[$2] == 1) n[key, 1]++
		total[at[$2]]++
	}
	END {
		for (i = 2; i <= n_ranks; i++) missing += total[i] != total[1]
		print (keys >= 100), early + 0, missing + 0
	}' "$tmp/packets" >"$tmp/order"
is "100 packets and more; ahead of the layer above; layers with more or fewer" \
	"$(cat "$tmp/order")" "1 0 0"

# the TCP layer knows the socket and its place in the stream, as tcp_probe has it next
is "sockets at layer tcp and established differ" "$(awk '
	{ key = $3 " " $4 " " $5 " " $6 " " $7 " " $8 " " $9 " " $10 }
	$2 == "rx.tcp" { sock[key] = $13 }
	$2 == "rx.established" && key in sock { n++; differ += sock[key] != $13 }
	END { print differ + 0, (n > 50) }' "$tmp/packets")" "0 1"

since() { # NETNS PORT: ms from its first packet to its first one at rx.ip; numbers are given again
	awk -v ns="$1" -v port="$2" '
		$3 != ns || $7 != port { next }
		$2 == "rx.mac" && !first { first = $1 }
		$2 == "rx.ip" { print ($1 - first) / 1e6; exit }' "$tmp/packets"
}
between "the namespace with a name is covered after ms" "$(since "$c" 17605)" 0 1500
between "the one without" "$(since "$u" 17606)" 0 1500
finish
