#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What becomes of a connect: refused, timed out, unreachable by ICMP, given up by the program, and
# failed before a SYN was sent. The client's errno and time are the truth.
# proves: tcp_state connect_error
# mends: refused-is-no-connect connect-without-an-answer local-errors-hidden
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
serve server 10.9.0.2 17001
# A neighbour that nobody is: its SYNs are lost. One SYN and one more: a time-out after some 3 s.
for address in 10.9.0.9 fd09::9; do
	ip -n "$A" neigh replace $address lladdr 02:00:00:00:00:09 dev veth0 nud permanent
done
in_a sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_syn_retries'
# A router that has no way on: ICMP comes back.
in_b sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip -n "$A" route add 10.9.8.0/24 via 10.9.0.2
ip -n "$A" route add fd98::/64 via fd09::2
ip -n "$B" route add unreachable 10.9.8.0/24
ip -n "$B" route add unreachable fd98::/64

record "$tmp/t.tcptape" -e conn
client() { in_a "$LOAD" client "$@" | grep '^connect'; }
client -n 2 10.9.0.2 17001 >"$tmp/ok"
cp "$LOAD" "$tmp/load"
in_a setpriv --reuid 65534 --clear-groups "$tmp/load" client -n 3 10.9.0.2 17001 >/dev/null # somebody else's
client -n 3 10.9.0.2 17011 >"$tmp/refused4"
client -n 2 fd09::2 17011 >"$tmp/refused6"
client 10.9.0.9 17012 >"$tmp/timeout4"
client fd09::9 17012 >"$tmp/timeout6"
client -n 2 10.9.8.1 17013 >"$tmp/unreachable4"
client -n 2 fd98::1 17013 >"$tmp/unreachable6"
client -m hold -w 300 10.9.0.9 17014 >"$tmp/aborted4"
client -m hold -w 300 fd09::9 17014 >"$tmp/aborted6"
client -n 2 10.99.0.1 17015 >"$tmp/local4" # no route: no SYN, not even SYN_SENT
client fd99::1 17015 >"$tmp/local6"
start pending ip netns exec "$A" "$LOAD" client -m hold -w 60000 10.9.0.9 17016
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

tcptape() { "$TCPTAPE" "$@" -f "net 10.0.0.0/8 or net fd00::/8" --csv "$tmp/t.tcptape"; }
tcptape connlat | columns raddr rport outcome error lat_ms comm >"$tmp/lat"
show "$tmp/lat"

outcome() { # NAME ADDRESS PORT OUTCOME ERRNO CLIENT-ERRNO N
	is "$1: the client's errno" "$(awk '{ print $6 }' "$tmp/$1" | sort -u)" "$6"
	is "$1: outcomes" "$(awk -v a="$2" -v p="$3" '$1 == a && $2 == p { print $3, $4, $6 }' "$tmp/lat" |
		sort | uniq -c | awk '{ print $1, $2, $3, $4 }')" "$7 $4 $5 load"
	# the time of each, in the same order: the client's, but for its own scheduling
	awk -v a="$2" -v p="$3" '$1 == a && $2 == p { print $5 * 1000 }' "$tmp/lat" >"$tmp/ours"
	awk '{ print $7 }' "$tmp/$1" | paste -d' ' "$tmp/ours" - >"$tmp/times"
	is "$1: times off" "$(awk -v slack=50000 'NF != 2 || $1 > $2 + slack || $1 < $2 - slack' \
		"$tmp/times" | count)" 0
}
is "whose they are" "$("$TCPTAPE" connlat --csv -u 65534 "$tmp/t.tcptape" | columns raddr rport uid |
	sort | uniq -c | awk '{ print $1, $2, $3, $4 }')" "3 10.9.0.2 17001 65534"
tcptape connlat -u 0 | columns raddr rport outcome error lat_ms comm >"$tmp/lat"
outcome ok 10.9.0.2 17001 ok - ok 2
outcome refused4 10.9.0.2 17011 refused ECONNREFUSED ECONNREFUSED 3
outcome refused6 fd09::2 17011 refused ECONNREFUSED ECONNREFUSED 2
outcome timeout4 10.9.0.9 17012 timeout ETIMEDOUT ETIMEDOUT 1
outcome timeout6 fd09::9 17012 timeout ETIMEDOUT ETIMEDOUT 1
outcome unreachable4 10.9.8.1 17013 unreachable EHOSTUNREACH EHOSTUNREACH 2
outcome unreachable6 fd98::1 17013 unreachable ENETUNREACH ENETUNREACH 2
outcome aborted4 10.9.0.9 17014 aborted - pending 1
outcome aborted6 fd09::9 17014 aborted - pending 1

tcptape connlat -c | columns raddr rport connects ok refused timeout unreachable aborted pending >"$tmp/counts"
is "counts, by target" "$(grep -v ' 17015 ' "$tmp/counts" | sort)" "$(sort <<-EOF_COUNTS
	10.9.0.2 17001 5 5 0 0 0 0 0
	10.9.0.2 17011 3 0 3 0 0 0 0
	fd09::2 17011 2 0 2 0 0 0 0
	10.9.0.9 17012 1 0 0 1 0 0 0
	fd09::9 17012 1 0 0 1 0 0 0
	10.9.8.1 17013 2 0 0 0 2 0 0
	fd98::1 17013 2 0 0 0 2 0 0
	10.9.0.9 17014 1 0 0 0 0 1 0
	fd09::9 17014 1 0 0 0 0 1 0
	10.9.0.9 17016 1 0 0 0 0 0 1
	EOF_COUNTS
)"

for command in connlat life; do
	is "pending, $command: no event told the local port" \
		"$(tcptape $command | columns lport rport | grep ' 17016')" '- 17016'
done

# Failed inside this machine: there is a passive hook only where fexit or kretprobes work, and the
# recording says whether it had one.
is "local4: the client's errno" "$(awk '{ print $6 }' "$tmp/local4" | sort -u)" ENETUNREACH
"$TCPTAPE" info -v "$tmp/t.tcptape" >"$tmp/info" 2>&1
if grep '^probe.connect_error' "$tmp/info"; then
	outcome local4 10.99.0.1 17015 local-error ENETUNREACH ENETUNREACH 2
	outcome local6 fd99::1 17015 local-error ENETUNREACH ENETUNREACH 1
else
	contains "no hook for connect errors inside this machine: info says why" "$tmp/info" \
		'^absent.connect_error +.'
	is "local connect errors" "$(grep -c ' 17015 ' "$tmp/lat")" 0
fi
finish
