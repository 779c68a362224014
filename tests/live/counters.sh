#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the counters of two namespaces moved while it recorded is what /proc/net says, to the last
# unit; `info --counters` shows it beside the events; a namespace made meanwhile is sampled too, and
# a deleted one really goes.
# proves: counter
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
serve server 10.9.0.2 17301
serve reset -m reset 10.9.0.2 17302

# "Tcp.ActiveOpens 5" of all counters that tcptape-record reads, as they stand in a namespace
counters() { # NETNS
	ip netns exec "$1" cat /proc/net/snmp /proc/net/netstat | awk '
		$1 !~ /^(Tcp|Ip|TcpExt|IpExt):$/ { next }
		$1 != last { last = $1; n = split($0, name); next }
		{ last = ""; g = $1; sub(":", "", g)
		  for (i = 2; i <= n; i++) print g "." name[i], $i }'
	ip netns exec "$1" awk '/^Ip6/ { print "Ip6." substr($1, 4), $2 }' /proc/net/snmp6
}
moved() { # BEFORE AFTER: what is not the same
	awk 'NR == FNR { was[$1] = $2; next } $2 != was[$1] { print $1, $2 - was[$1] }' "$1" "$2" |
		sort
}

# Into $tmp/sums, from the file as it stands: "NETNS NAME MOVED"
sum_up() {
	"$TCPTAPE" dump --json "$tmp/t.tcptape" >"$tmp/dump" 2>/dev/null || :
	awk "$awk_of"'
		/"snap_counter"/ { name[of($0, "counter")] = of($0, "name") }
		/"event":"counter"/ { sum[of($0, "netns") " " of($0, "counter")] += of($0, "delta") }
		END { for (k in sum) if (sum[k]) { split(k, p, " "); print p[1], name[p[2]], sum[k] } }' \
		"$tmp/dump" >"$tmp/sums"
}
of() { # INODE: without gauges and IPv6, which has traffic of its own
	awk -v ns="$1" '$1 == ns && $2 !~ /^(sockstat|softnet|Ip6)/ { print $2, $3 }' "$tmp/sums" |
		sort
}
late_opens() { of "$late_inode" | awk '$1 == "Tcp.ActiveOpens" { print $2 }'; }

record "$tmp/t.tcptape" --interval 0.2
# Namespaces are idle until here, but for what IPv6 does by itself: the recorder's first sample, and
# this, are equal in all that the load moves.
for ns in "$A" "$B"; do counters "$ns" >"$tmp/$ns.before"; done
in_a "$LOAD" client -n 20 -c 5 10.9.0.2 17301 >/dev/null
in_a "$LOAD" client -n 7 -m first 10.9.0.2 17302 >/dev/null
in_a "$LOAD" client -n 3 10.9.0.2 17303 >/dev/null || :
ip netns add tcptape$$c
ip -n tcptape$$c link set lo up
ip -n "$B" link add late type veth peer name late netns tcptape$$c
ip netns exec tcptape$$c "$LOAD" server -n 4 127.0.0.1 17304 >"$tmp/late.out" &
late=$!
wait_for 10 grep -q ready "$tmp/late.out"
ip netns exec tcptape$$c "$LOAD" client -n 4 127.0.0.1 17304 >/dev/null
late_inode=$(stat -L -c %i /run/netns/tcptape$$c)
wait $late
all_sampled() { sleep 0.5 && sum_up && [ "$(late_opens)" = 4 ]; }
check "the recorder samples the namespace that was made meanwhile" wait_for 5 all_sampled
ip netns del tcptape$$c
gone() { ! ip -n "$B" link show late >/dev/null 2>&1; }
check "the deleted namespace goes, and its interface's peer with it" wait_for 10 gone
for ns in "$A" "$B"; do counters "$ns" >"$tmp/$ns.after"; done
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

sum_up
for ns in "$A" "$B"; do
	moved "$tmp/$ns.before" "$tmp/$ns.after" | grep -v '^Ip6' >"$tmp/truth"
	of "$(stat -L -c %i "/run/netns/$ns")" >"$tmp/ours"
	check "all $(count <"$tmp/truth") counters that moved in $ns" diff "$tmp/truth" "$tmp/ours"
done
between "counters that moved" "$(count <"$tmp/truth")" 15 200
is "active opens of the namespace that was made meanwhile" "$(late_opens)" 4

"$TCPTAPE" info --counters --csv "$tmp/t.tcptape" | columns counter kernel recorded difference >"$tmp/check"
show "$tmp/check"
if ! grep -q ' 0 lost' "$tmp/record.err"; then
	echo "(events were lost, to what else runs here: they are not compared with the counters)"
	finish
fi
# All namespaces together. Ours are quiet when samples are taken, so they make no difference; what
# others do at that moment may, but no more than they do at all.
matches() { # COUNTER OURS: what the load has moved
	awk -v name="$1" -v ours="$2" '
		$1 == name {
			more = $2 > $3 ? $2 : $3
			print ($2 >= ours && $3 >= ours && $4 <= more - ours && -$4 <= more - ours)
		}' "$tmp/check"
}
established=$(awk '$2 == "Tcp.EstabResets" { n += $3 } END { print n + 0 }' "$tmp/sums")
between "resets of established connections" "$established" 14 100000
for counter in ActiveOpens=34 PassiveOpens=31 AttemptFails=3 OutRsts=10; do
	is "as many events as the kernel counted, ${counter%=*}" \
		"$(matches "Tcp.${counter%=*}" "${counter#*=}")" 1
done
is "as many events as the kernel counted, EstabResets" "$(matches Tcp.EstabResets 14)" 1
finish
