#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Retransmits that do not leave the machine: a firewall drops what the client sends (EPERM), after its
# data is out and while nothing comes back. The truth is the kernel's TCPRetransFail of that
# namespace. Linux 6.18 tells them, with the error; before, only those that leave are told.
# proves: retransmit
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft

make_namespaces
join_by_veth
serve echo4 10.9.0.2 17401
serve echo6 fd09::2 17402
in_a nft -f - <<-EOF_NFT
	add table inet t
	add chain inet t i { type filter hook input priority 0; }
	add chain inet t o { type filter hook output priority 0; }
	EOF_NFT
value() { in_a cat /proc/net/snmp /proc/net/netstat | counters | awk -v c="$1" '$1 == c { print $2 }'; }
more() { [ "$(value "$1")" -ge "$2" ]; } # COUNTER N

watch_unheard tcp/tcp_retransmit_skb
record "$tmp/t.tcptape" -e conn,retrans
for port in 17401 17402; do
	resent=$(value RetransSegs) failed=$(value TCPRetransFail)
	# the connection is made, its data goes out, no answer comes in
	in_a nft add rule inet t i tcp sport $port tcp flags \& syn == 0 drop
	address=10.9.0.2
	[ $port = 17401 ] || address=fd09::2
	start client$port ip netns exec "$A" "$LOAD" client $address $port
	client=$pid
	check "$port: the segment is sent again" wait_for 20 more RetransSegs $((resent + 1))
	in_a nft add rule inet t o tcp dport $port drop
	check "$port: and again, which fails" wait_for 20 more TCPRetransFail $((failed + 2))
	in_a nft flush chain inet t o
	in_a nft flush chain inet t i
	wait_end "$client"
	is "$port: the client ends with" "$status" 0
done
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'

rows() { # OPTION...: one a retransmit of the clients
	"$TCPTAPE" retrans --csv -f 'portrange 17401-17402' "$@" "$tmp/t.tcptape" 2>"$tmp/notes" |
		columns conn laddr state segs error | of_conns "$tmp/conns" | grep -E '^(10.9.0.1|fd09::1) '
}
our_conns "$tmp/t.tcptape" >"$tmp/conns"
rows >"$tmp/sent"
rows -v >"$tmp/all"
show "$tmp/all"
show "$tmp/notes"
failed=$(value TCPRetransFail)
missing=$(n_unheard '(sport|dport)=1740[12] .* err=0')
between "those that left, as RetransSegs less TCPRetransFail" \
	"$(awk '{ n += $3 } END { print n }' "$tmp/sent")" \
	$(($(value RetransSegs) - failed - missing)) $(($(value RetransSegs) - failed))
is "all that are shown without -v left" "$(awk '$4 != "-"' "$tmp/sent" | count)" 0
case $(uname -r) in
[1-5].* | 6.[0-9].* | 6.1[0-7].*)
	is "those that failed are not told" "$(awk '$4 != "-"' "$tmp/all" | count)" 0 ;;
*)
	missing=$(n_unheard '(sport|dport)=1740[12] .* err=-')
	between "those that failed, as TCPRetransFail has them" \
		"$(awk '$4 != "-" { n += $3 } END { print n }' "$tmp/all")" $((failed - missing)) "$failed"
	is "their error" "$(awk '$4 != "-" { print $4 }' "$tmp/all" | sort -u)" EPERM
	is "their state" "$(awk '$4 != "-" { print $2 }' "$tmp/all" | sort -u)" ESTABLISHED ;;
esac
finish
