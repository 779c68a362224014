#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The faults of the tools that tcptape replaces, each by the name that it has in tests/README.md: that they are
# not here, as far as sample traces can show it. Other tests say `# mends: FAULT`; the table names
# just what they and this one say.
# MAKE_ODD makes a trace of what the samples do not show.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
tests=$(cd "$(dirname "$0")/.." && pwd)
traces=$tests/../sample-traces
[ -f "$traces/ipv6.tcptape" ] || skip "there is no sample trace"

fault() { # NAME
	echo "# $1"
	echo "$1 golden/faults.sh" >>"$tmp/mended"
}
tcptape() { # TRACE COMMAND...
	trace=$traces/$1.tcptape
	shift
	"$TCPTAPE" "$@" --csv "$trace" 2>"$tmp/notes"
}
each_trace() { for file in "$traces"/*.tcptape; do basename "$file" .tcptape; done; }

# tcpstates, tcpretrans, tcpdrop: whoever has the processor. The hosts of the samples ran these programs.
fault pid-of-whoever-runs
for t in $(each_trace); do
	for command in states life connlat drops retrans; do
		tcptape "$t" $command | columns comm 2>/dev/null || :
	done
done | sort | uniq -c | sort -rn >"$tmp/owners"
is "owners that the kernel runs on its own account" \
	"$(grep -E ' (swapper|ksoftirqd|kworker|migration|rcu|irq)' "$tmp/owners")" ""
check "owners are named at all" [ "$(awk '$2 != "-" { n += $1 } END { print n + 0 }' "$tmp/owners")" -gt 500 ]

# tcpstates: the first change has no local port, so -L misses it
fault first-change-has-no-port
port=$(tcptape http-20ms life | columns lport rport | awk '$2 == 8080 { print $1; exit }')
is "the first change of local port $port" \
	"$(tcptape http-20ms states -L "$port" | columns lport old_state new_state | head -1)" "$port CLOSE SYN_SENT"

# tcpconnlat: an RST answers like a SYN-ACK; who never answers is never told; give ups neither
fault refused-is-no-connect
is "a closed port" "$(tcptape server-closes-first connlat | columns outcome | sort | uniq -c | xargs)" \
	"5 ok 1 refused"
is "of which latencies count" "$(tcptape server-closes-first connlat --percentiles | columns n)" 5
fault connect-without-an-answer
is "a firewall that drops SYNs" "$(tcptape firewall-drop connlat | columns rport outcome | grep -v ok)" \
	"8082 aborted"
is "and its latency" "$(tcptape firewall-drop connlat | columns rport lat_ms | sed -n 's/^8082 \(....\)\..*/\1/p')" 4000

# tcplife: nothing of a connection that began before, or ends behind it
fault long-lived-never-shown
is "connections that never end, at both ends" \
	"$(tcptape listen-overflow life | columns rport end | grep -c ' open')" \
	"$("$TCPTAPE" life --json "$traces/listen-overflow.tcptape" 2>/dev/null | grep -c '"end":"open"')"
between "of which there are" "$(tcptape listen-overflow life | columns end | grep -c open)" 1 100
"$MAKE_ODD" "$tmp/odd.tcptape" 1
is "one that was there before, and does nothing" \
	"$("$TCPTAPE" life --csv "$tmp/odd.tcptape" 2>/dev/null | columns lport rport ms_is_least end)" \
	"9000 443 true open"

# delay_analysis, tcpconnlat, nettrace: differences of unsigned times that wrap, parts above the whole
fault wrapped-latencies
for t in $(each_trace); do
	for way in in out; do
		tcptape "$t" delay --$way | awk -F, '
			NR == 1 {
				for (i = 1; i <= NF; i++) {
					if ($i == "total_us") total = i
					else if ($i == "pid") last = i - 1
				}
				next
			}
			{
				sum = 0
				for (i = total + 1; i <= last; i++) {
					if ($i + 0 < 0 || $i > 60e6) print "out of bounds: " $0
					sum += $i
				}
				d = sum - $total
				if (d > 0.002 || d < -0.002) print "the parts are " sum ": " $0
				n++
			}
			END { if (n) print n " segments" >"/dev/stderr" }' 2>>"$tmp/segments"
	done
done >"$tmp/wrong"
is "segments whose times do not add up" "$(cat "$tmp/wrong")" ""
between "segments" "$(awk '{ n += $1 } END { print n }' "$tmp/segments")" 200 1000000
is "negative or absurd times of connects and states" \
	"$(for t in $(each_trace); do
		tcptape "$t" connlat | columns lat_ms
		tcptape "$t" states | columns ms
	done | awk '$1 != "-" && ($1 < 0 || $1 > 60000)')" ""

# tcprtt -b -B: all IPv6 addresses fold into one
fault ipv6-addresses-fold
is "remote addresses" "$(tcptape ipv6 rtt --by remote --percentiles | columns raddr | sort | xargs)" "fd09::1 fd09::2"

# tcpdrop: packets without a socket are left out; reasons by a table that fits one kernel
fault drops-without-a-socket
is "segments to a closed port, and those that a firewall drops" \
	"$(tcptape drops drops | columns reason | grep -cE '^(NO_SOCKET|NETFILTER_DROP)$')" 12
fault reasons-by-number
"$TCPTAPE" dump --json -e drop "$traces/drops.tcptape" >"$tmp/dump"
is "reasons in numbers" "$(grep -c '"reason":[0-9]' "$tmp/dump")" 0
is "reasons" "$(grep -c '"reason":"[A-Z_]*"' "$tmp/dump")" "$(wc -l <"$tmp/dump" | tr -d ' ')"

# tcpretrans: no cause; SYN-ACKs are not seen
fault retransmits-without-a-cause
is "causes" "$(tcptape loss retrans | columns cause | grep -cx -- -)" 0
is "SYN-ACKs sent again (TCPSynRetrans)" "$(tcptape synack-loss retrans | columns cause | grep -c SYN-ACK)" 3

# tcpsynbl: listeners whose limits are equal are one
fault listeners-of-equal-limit-merge
is "histograms of two listeners with a limit of 128" \
	"$("$TCPTAPE" listen --hist --json "$tmp/odd.tcptape" 2>/dev/null |
		sed -n 's/.*"lport":\([0-9]*\).*"limit":\([0-9]*\),.*"count":\([0-9]*\)}.*/\1 \2 \3/p' | sort | xargs)" \
	"8001 128 2 8002 128 1"

# ---- the table ----
for test in "$tests"/*/*.sh "$tests"/*/*.c; do
	sed -n 's,^\(#\|//\) mends: *,,p' "$test" | tr ' ' '\n' | sed "/./!d; s|\$| ${test#"$tests/"}|"
done >>"$tmp/mended"
sort -u "$tmp/mended" >"$tmp/said"
sed -n '/^## Faults/,$s/^| `\([a-z0-9-]*\)` | .* | \([^|]*\) |$/\1 \2/p' "$tests/README.md" | while read -r name in; do
	for test in $in; do echo "$name $test"; done
done | tr -d '`,' | sort >"$tmp/table"
check "tests/README.md has what the tests say" diff "$tmp/said" "$tmp/table"
finish
