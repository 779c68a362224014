#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every RST, sent and received: from closed ports (no socket), from SO_LINGER 0, from a close with
# data unread, from a listener that ends with connections in its queue. The truth is what the kernel
# counted in each of the two namespaces: OutRsts, AttemptFails, EstabResets, TCPAbortOnData,
# TCPAbortOnClose.
# proves: reset
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
snapshot_counters() { # NAME
	in_a cat /proc/net/snmp /proc/net/netstat | counters >"$tmp/$1.a"
	in_b cat /proc/net/snmp /proc/net/netstat | counters >"$tmp/$1.b"
}
serve echo4 10.9.0.2 17121
serve echo6 fd09::2 17121
serve never -m never 10.9.0.2 17122
never=$pid
serve slow -w 60000 fd09::2 17123
slow=$pid
serve linger -m reset 10.9.0.2 17124

record "$tmp/t.tcptape" -e conn,reset
snapshot_counters before
in_a "$LOAD" client -n 3 10.9.0.2 17111 >"$tmp/closed4"
in_a "$LOAD" client -n 2 fd09::2 17111 >"$tmp/closed6"
in_a "$LOAD" client -n 2 -m reset 10.9.0.2 17121 >"$tmp/linger4"
in_a "$LOAD" client -n 2 -m reset fd09::2 17121 >"$tmp/linger6"
in_a "$LOAD" client -n 2 -m first 10.9.0.2 17124 >"$tmp/linger_b" || :
# two connections that nobody accepts; then their listener ends
start hold ip netns exec "$A" "$LOAD" client -m hold -n 2 -w 1500 10.9.0.2 17122
hold=$pid
# a request that nobody reads; then its server ends
start unread ip netns exec "$A" "$LOAD" client fd09::2 17123
unread=$pid
sleep 0.7
stop "$never" KILL
stop "$slow" KILL
wait_end "$hold"
wait_end "$unread"
sleep 0.5
snapshot_counters after
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"

"$TCPTAPE" resets --csv -f 'portrange 17111-17124' "$tmp/t.tcptape" 2>"$tmp/notes" |
	columns laddr lport direction raddr rport state by reason comm flags >"$tmp/rows"
show "$tmp/rows"
show "$tmp/notes"
delta() { # NAMESPACE COUNTER
	echo $(($(awk -v c="$2" '$1 == c { print $2 }' "$tmp/after.$1") -
		$(awk -v c="$2" '$1 == c { print $2 }' "$tmp/before.$1")))
}
n() { # NAMESPACE AWK-CONDITION: rows of that end
	addresses='10.9.0.1 fd09::1'
	[ "$1" = a ] || addresses='10.9.0.2 fd09::2'
	awk -v l="$addresses" "index(\" \" l \" \", \" \" \$1 \" \") && $2 { n++ } END { print n + 0 }" \
		"$tmp/rows"
}
# Before 6.10 the tracepoint, which is the second choice there, knows only RSTs of a socket.
no_sock=5
if grep -q 'without a socket .* not in this trace' "$tmp/notes"; then no_sock=0; fi
open='($6 == "ESTABLISHED" || $6 == "CLOSE_WAIT")'
for ns in a b; do
	missed=0
	[ $ns = a ] || missed=$((5 - no_sock))
	is "$ns: OutRsts" "$(n $ns '$3 == "sent"')" $(($(delta $ns OutRsts) - missed))
	is "$ns: AttemptFails" "$(n $ns '$3 == "received" && $6 == "SYN_SENT"')" \
		"$(delta $ns AttemptFails)"
	is "$ns: EstabResets" "$(n $ns "$open"' && ($3 == "received" || $7 != "answer")')" \
		"$(delta $ns EstabResets)"
done
is "closed ports: no socket, SYN" "$(n b '$2 == 17111 && $6 == "-" && $10 == "S"')" $no_sock
is "closed ports: the client's side" "$(n a '$5 == 17111 && $6 == "SYN_SENT" && $9 == "load"')" 5
is "SO_LINGER 0: sent by the client" \
	"$(n a '$5 == 17121 && $3 == "sent" && $6 == "ESTABLISHED" && $7 == "process"')" 4
is "SO_LINGER 0: TCPAbortOnData" "$(n a '$3 == "sent" && $5 == 17121')" "$(delta a TCPAbortOnData)"
is "SO_LINGER 0: come to the server" \
	"$(n b '$2 == 17121 && $3 == "received" && $6 == "ESTABLISHED"')" 4
is "SO_LINGER 0 at the server" "$(n b '$2 == 17124 && $3 == "sent" && $7 == "process"')" 2
is "listener that ends: its queue" "$(n b '$2 == 17122 && $3 == "sent" && $6 == "ESTABLISHED"')" 2
is "close with data unread" "$(n b '$2 == 17123 && $3 == "sent" && $7 == "process"')" 1
is "close with data unread: TCPAbortOnClose" "$(n b '$2 == 17123 && $3 == "sent"')" \
	"$(delta b TCPAbortOnClose)"
if grep -q 'reasons are not known' "$tmp/notes"; then
	is "reasons, on a kernel without" "$(awk '$8 != "-"' "$tmp/rows" | count)" 0
else
	is "closed port: reason" "$(awk '$2 == 17111 { print $8 }' "$tmp/rows" | sort -u)" NO_SOCKET
	is "data unread: reason" "$(awk '$2 == 17123 && $3 == "sent" { print $8 }' "$tmp/rows")" \
		TCP_ABORT_ON_CLOSE
	is "reasons without a name" "$(awk '$3 == "sent" && $8 !~ /[A-Z]/' "$tmp/rows" | count)" 0
fi
# the counts of -c are those of the rows
kinds() { sort | uniq -c | awk '{ print $1, $2, $3, $4, $5 }' | sort; }
awk '{ print $3, $7, $6, $8 }' "$tmp/rows" | kinds >"$tmp/kinds"
"$TCPTAPE" resets -c --csv -f 'portrange 17111-17124' "$tmp/t.tcptape" 2>"$tmp/notes" |
	columns count direction by state reason | sort >"$tmp/counts"
check "resets -c: the $(count <"$tmp/counts") kinds of the rows" diff "$tmp/kinds" "$tmp/counts"
"$TCPTAPE" resets -c --by remote -i 100 --csv -f 'portrange 17111-17124' "$tmp/t.tcptape" 2>"$tmp/notes" |
	columns count >"$tmp/counts"
is "resets -c --by remote: all of them" "$(awk '{ n += $1 } END { print n }' "$tmp/counts")" \
	"$(count <"$tmp/rows")"
finish
