#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One socket, one number, for its whole life and for no other, although the kernel uses the memory of
# a socket again at once. Since Linux 5.12 it is the kernel's cookie, as ss shows it; before, the
# recorder numbers sockets, and the cookies that ss makes up while it records must not disturb that.
# A connection request has the number of the connection that it becomes.
# proves: tcp_state tcp_destroy synack_retransmit
# mends: pointer-reuse
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft ss
n=60
port=$((20000 + $$ % 10000)) # another run of this test has the same addresses

make_namespaces
join_by_veth
in_b sysctl -qw net.ipv4.tcp_syncookies=0 2>/dev/null || :
serve echo -f 10.9.0.2 $port
echo=$pid
# one that is older than the recording and outlives most of it
start held ip netns exec "$A" "$LOAD" client -w 600000 10.9.0.2 $port
held=$pid
wait_line held '^connect'
held_port=$(awk '$1 == "connect" { print $3 }' "$tmp/held.out")
record "$tmp/t.tcptape" -e conn,retrans,listen

in_a "$LOAD" client -n $n 10.9.0.2 $port >"$tmp/client"
cookies() { in_b ss -tlneH "sport = $port" 2>/dev/null; }
cookies >"$tmp/ss"
in_a ss -tne >"$tmp/ss.all" 2>&1 # gives a cookie to everything that has none
in_b ss -tne >>"$tmp/ss.all" 2>&1
# SYN-ACKs do not arrive until two have been sent
in_a nft -f - <<-EOF_NFT
	add table ip t
	add chain ip t i { type filter hook input priority 0; }
	add rule ip t i tcp sport $port tcp flags & (syn | ack) == (syn | ack) counter drop
	EOF_NFT
start late ip netns exec "$A" "$LOAD" client 10.9.0.2 $port
late=$pid
two_dropped() { in_a nft list chain ip t i | grep -Eq 'packets ([2-9]|[1-9][0-9]) '; }
check "two SYN-ACKs are dropped" wait_for 20 two_dropped
in_a nft flush chain ip t i
wait_end "$late"
late_port=$(awk '$1 == "connect" { print $3 }' "$tmp/late.out")
stop "$held" TERM
stop "$echo" TERM
gone() { [ -z "$(in_a ss -tnH state established)$(in_b ss -tnH state established)" ]; }
wait_for 10 gone
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'

filter="port $port and net 10.9.0.0/24"
dump() { # EVENT COLUMN...
	event=$1
	shift
	"$TCPTAPE" dump --csv -e "$event" -f "$filter" "$tmp/t.tcptape" | columns "$@"
}
all=$((n + 2))
dump tcp_destroy conn lport rport >"$tmp/ends"
dump tcp_state conn lport rport >"$tmp/states"
# the listener and the echo's children end too
is "connections that end, both sides" "$(grep -Evc ' 0$' "$tmp/ends")" $((2 * all))
is "numbers of sockets that end" "$(awk '{ print $1 }' "$tmp/ends" | sort -u | count)" \
	"$(count <"$tmp/ends")"
is "numbers with more than one pair of ports" "$(awk '$2 && $3 { print $1, $2, $3 }' "$tmp/states" |
	sort -u | awk '{ print $1 }' | sort | uniq -d | count)" 0
is "pairs of ports with more than one number" "$(awk '$2 && $3 { print $1, $2, $3 }' "$tmp/states" |
	sort -u | awk '{ print $2, $3 }' | sort | uniq -d | count)" 0
is "sockets without a number" "$(grep -c '^- ' "$tmp/states" || :)" 0
held_id=$(dump snap_sock conn lport | awk -v p="$held_port" '$2 == p { print $1 }')
is "the held connection's number, at its end" \
	"$(awk -v p="$held_port" '$2 == p { print $1 }' "$tmp/ends")" "$held_id"
listener=$(dump snap_sock conn rport | awk '$2 == 0 { print $1 }')
dump synack_retransmit conn rport fields | sed 's/ [^ ]*listener=\([^ ]*\).*/ \1/' | sort -u >"$tmp/synacks"
show "$tmp/synacks"
is "SYN-ACKs sent again: the connection's number, and the listener's" "$(cat "$tmp/synacks")" \
	"$(awk -v p="$late_port" '$3 == p { print $1, $3 }' "$tmp/ends") $listener"

cookie=$(sed -n 's/.* sk:\([0-9a-f]*\) .*/\1/p' "$tmp/ss")
case $(uname -r) in
[1-4].* | 5.[0-9].* | 5.1[01].*)
	is "numbers that could be a cookie of the kernel" \
		"$(awk '$1 !~ /^0x10000000[0-9a-f]*$/ || length($1) != 16' "$tmp/ends" | count)" 0 ;;
*) is "the listener's cookie, as ss has it" "$listener" "0x$cookie" ;;
esac

# The recorder raises the limit of locked memory where the kernel needs that; COMMAND keeps its own.
is "locked memory that COMMAND may have" "$(ulimit -l 64 &&
	"$TCPTAPE_RECORD" -o "$tmp/u.tcptape" -e conn -- sh -c 'ulimit -l' 2>"$tmp/err")" 64
finish
