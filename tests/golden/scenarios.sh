#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The facts of sample-traces/explain, as its README has them: from the scenarios, nstat, tc, nft and the load's
# own log, not from tcptape.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
traces=$(dirname "$0")/../../sample-traces/explain

of() { # TRACE COMMAND COLUMN...: how many of each
	t=$1 command=$2
	shift 2
	# shellcheck disable=SC2086 # words
	"$TCPTAPE" $command --csv "$traces/$t.tcptape" 2>"$tmp/notes" | columns "$@" | sort | uniq -c |
		awk '{ $1 = $1; printf "%s%s", s, $0; s = ", " }'
}
counted() { # TRACE COUNTER: by the kernel, all namespaces
	"$TCPTAPE" info --counters --csv "$traces/$1.tcptape" 2>"$tmp/notes" | columns counter kernel |
		sed -n "s/^$2 //p"
}
turns() { # TRACE LOW HIGH: server's answers, those outside
	"$TCPTAPE" turnaround --server --csv "$traces/$1.tcptape" 2>"$tmp/notes" | columns turn_ms >"$tmp/turns"
	echo "$(count <"$tmp/turns") $(awk -v l="$2" -v h="$3" '$1 < l || $1 > h' "$tmp/turns" | count)"
}

is "syn-lost: connects; one was before" "$(of syn-lost connlat outcome)" "3 aborted, 1 ok"
is "syn-lost: SYNs sent again" "$(of syn-lost retrans laddr state)" "12 10.9.0.1 SYN_SENT"
is "unreachable: connects" "$(of unreachable connlat outcome error)" \
	"2 local-error EHOSTUNREACH, 2 local-error ENETUNREACH, 1 ok -, 2 unreachable EHOSTUNREACH"
is "ports-exhausted: connects" "$(of ports-exhausted connlat outcome error)" "4 local-error EADDRNOTAVAIL, 10 ok -"
is "loss-fast: sent again" "$(of loss-fast retrans laddr cause)" "1 10.9.0.1 TLP, 19 10.9.0.1 fast, 1 10.9.0.2 TLP"
is "loss-rto: sent again" "$(of loss-rto retrans laddr cause)" "7 10.9.0.1 RTO, 5 10.9.0.2 RTO"
is "loss-spurious: sent again" "$(of loss-spurious retrans laddr cause)" "1 10.9.0.1 RTO, 2 10.9.0.1 TLP"
"$TCPTAPE" correlate --csv "$traces/bufferbloat.tcptape" 2>"$tmp/notes" | columns related lag_ms first then >"$tmp/related"
contains "bufferbloat: round-trip times follow what is in flight" "$tmp/related" '^true [2468]0.000 in_flight rtt'
is "path-rtt: connects not of 300 ms" "$("$TCPTAPE" connlat --csv "$traces/path-rtt.tcptape" |
	columns lat_ms | awk '$1 < 300 || $1 > 300.2' | count)" 0
is "receiver-window: windows that closed" "$(counted receiver-window TcpExt.TCPToZeroWindowAdv)" 4
is "late-accept: accepted" "$(of late-accept 'events -r accept' lport)" "7 8080"
is "late-answer: answers, and those not after 120 ms" "$(turns late-answer 120 120.2)" "15 0"
is "nagle: delayed ACKs" "$(counted nagle TcpExt.DelayedACKs)" 24
is "nagle: round trips of 40 ms and more" "$("$TCPTAPE" rtt --raw --each --csv "$traces/nagle.tcptape" |
	columns rtt_us | awk '$1 >= 40000' | count)" 24
is "softirq-delay: times that the budget was spent" "$(counted softirq-delay softnet.time_squeeze)" 11
is "resets: who, in which state" "$(of resets resets laddr direction state)" \
	"6 10.9.0.1 received ESTABLISHED, 6 10.9.0.2 sent ESTABLISHED"
is "memory: pruned, pressure" "$(counted memory TcpExt.PruneCalled) $(counted memory TcpExt.TCPMemoryPressures)" "232 1"
is "mtu-black-hole: sent again" "$(of mtu-black-hole retrans rport cause)" "15 8081 RTO, 3 8081 fast"
is "both-loss-late-answer: sent again" "$(of both-loss-late-answer retrans laddr cause)" \
	"1 10.9.0.1 TLP, 3 10.9.0.1 fast, 1 10.9.0.2 RTO, 2 10.9.0.2 TLP, 3 10.9.0.2 fast"
is "both-loss-late-answer: answers, and those not after 120 ms" "$(turns both-loss-late-answer 120 120.2)" "20 0"
is "both-accept-queue-firewall: dropped" "$(of both-accept-queue-firewall drops reason dport)" "4 NETFILTER_DROP 8082"
is "both-accept-queue-firewall: overflows" "$(counted both-accept-queue-firewall TcpExt.ListenOverflows)" 12
is "both-bufferbloat-refused: connects" "$(of both-bufferbloat-refused connlat outcome)" "1 ok, 12 refused"
for t in http short pipelined bulk both-ways 20ms ipv6 idle many large; do
	is "healthy-$t: sent again" "$(of healthy-$t retrans laddr)" ""
done
finish
