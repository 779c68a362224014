#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every retransmit is there, with its cause. Over a link that drops each 40th segment with payload,
# and that stands still for a while: bulk transfers (fast retransmits), single exchanges (tail loss
# probes), a link that stands still under data, under a SYN and under a SYN-ACK (timeouts), an
# address that goes away for a while (what follows a timeout). The truth is what the kernel counted in
# each of the two namespaces in the same seconds: each of its counters belongs to one cause. What that
# kernel does not tell BPF (watch_unheard) may be missing.
# proves: retransmit synack_retransmit loss_probe
# mends: retransmits-without-a-cause
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_link 20000 40
link=$pid
# Each server reads whole requests. One that answers each byte of a bulk transfer, to a client that
# reads one answer, comes to a stop for good when both buffers are full.
serve bulk4 -s 400000 10.9.0.2 17101
serve bulk6 -s 400000 fd09::2 17102
serve ping4 10.9.0.2 17103
serve ping6 fd09::2 17104
serve short4 -s 4000 10.9.0.2 17105
snapshot_counters() { # NAME
	in_a cat /proc/net/snmp /proc/net/netstat | counters >"$tmp/$1.a"
	in_b cat /proc/net/snmp /proc/net/netstat | counters >"$tmp/$1.b"
}
freeze() { # SECONDS
	kill -STOP "$link"
	sleep "$1"
	kill -CONT "$link"
}

watch_unheard tcp/tcp_retransmit_skb tcp/tcp_retransmit_synack
record "$tmp/t.tcptape" -e conn,retrans
snapshot_counters before
in_a "$LOAD" client -n 2 -c 2 -s 400000 10.9.0.2 17101 >"$tmp/bulk4"
in_a "$LOAD" client -c 1 -s 400000 fd09::2 17102 >"$tmp/bulk6"
in_a "$LOAD" client -c 90 10.9.0.2 17103 >"$tmp/pings"
# nothing passes: a probe, then timeouts
start stalled ip netns exec "$A" "$LOAD" client -c 60 -s 4000 10.9.0.2 17105
sleep 0.5
freeze 1.5
wait_end "$pid"
# a window of segments arrives nowhere: what the ACKs let out after the timeout
start lost ip netns exec "$A" "$LOAD" client -s 400000 10.9.0.2 17101
sleep 0.2
ip -n "$B" addr del 10.9.0.2/24 dev tun0
sleep 1.2
ip -n "$B" addr add 10.9.0.2/24 dev tun0
wait_end "$pid"
# the SYN does not pass, and it is sent again after 1 s
kill -STOP "$link"
start syn ip netns exec "$A" "$LOAD" client 10.9.0.2 17103
sleep 1.5
kill -CONT "$link"
wait_end "$pid"
# the SYN passes (20 ms), its answer does not
start synack ip netns exec "$A" "$LOAD" client fd09::2 17104
sleep 0.03
freeze 1.6
wait_end "$pid"
sleep 0.5
snapshot_counters after
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'
show "$tmp/record.err"

our_conns "$tmp/t.tcptape" >"$tmp/conns"
"$TCPTAPE" retrans -l --csv -f 'portrange 17101-17105' "$tmp/t.tcptape" 2>"$tmp/notes" |
	columns conn laddr type state cause segs | of_conns "$tmp/conns" >"$tmp/rows"
show "$tmp/notes"
segs() { # LADDRS CAUSES: segments of these causes, and rows
	awk -v laddr="$1" -v cause="$2" '
		index(" " laddr " ", " " $1 " ") && index(" " cause " ", " " $4 " ") { n += $5 }
		END { print n + 0 }' "$tmp/rows"
}
rows() {
	awk -v laddr="$1" -v cause="$2" '
		index(" " laddr " ", " " $1 " ") && index(" " cause " ", " " $4 " ") { n++ }
		END { print n + 0 }' "$tmp/rows"
}
delta() { # NAMESPACE COUNTER
	echo $(($(awk -v c="$2" '$1 == c { print $2 }' "$tmp/after.$1") -
		$(awk -v c="$2" '$1 == c { print $2 }' "$tmp/before.$1")))
}
# The recorder's part of what the kernel counted: all of it, but for $missing segments at most.
told() { # WHAT GOT COUNTED
	if [ "$missing" = 0 ]; then is "$@"; else between "$1" "$2" $(($3 - missing)) "$3"; fi
}
compare() { # NAMESPACE LADDRS
	missing=$(n_unheard " saddrv6=(::ffff:${2% *}|${2#* }) ")
	echo "      | $1: not told to BPF: $missing events"
	missing=$((missing * $(awk '$5 > n { n = $5 } END { print n + 0 }' "$tmp/rows")))
	told "$1: RetransSegs, all causes" "$(segs "$2" 'fast RTO RTO-recovery TLP loss SYN-ACK unknown')" \
		$(($(delta "$1" RetransSegs) - $(delta "$1" TCPRetransFail)))
	told "$1: TCPFastRetrans, fast" "$(segs "$2" fast)" "$(delta "$1" TCPFastRetrans)"
	told "$1: TCPSlowStartRetrans, after a timeout" "$(segs "$2" 'RTO-recovery loss')" \
		"$(delta "$1" TCPSlowStartRetrans)"
	# a request's timer counts as a timeout; so does its last, without a SYN-ACK
	between "$1: TCPTimeouts, RTO" "$(rows "$2" RTO)" \
		$(($(delta "$1" TCPTimeouts) - $(rows "$2" SYN-ACK) - missing)) \
		"$(delta "$1" TCPTimeouts)"
	told "$1: TCPSynRetrans, SYN and SYN-ACK" \
		$(($(rows "$2" SYN-ACK) + $(awk -v laddr="$2" '
			index(" " laddr " ", " " $1 " ") && $3 == "SYN_SENT" { n++ }
			END { print n + 0 }' "$tmp/rows"))) "$(delta "$1" TCPSynRetrans)"
	if grep -q 'not in this trace' "$tmp/notes"; then
		between "$1: TCPLossProbes, TLP" "$(rows "$2" TLP)" 0 "$(delta "$1" TCPLossProbes)"
	else
		# one that is due with new data is not sent, nor counted, where that data cannot
		# leave: a full device queue (the link stands still), no route (the address is gone)
		between "$1: TCPLossProbes" "$(delta "$1" TCPLossProbes)" "$(rows "$2" TLP)" \
			"$(rows "$2" 'TLP TLP-new')"
	fi
	is "$1: cause not known" "$(rows "$2" unknown)" 0
}
a='10.9.0.1 fd09::1' b='10.9.0.2 fd09::2'
compare a "$a"
compare b "$b"
cut -d' ' -f1,2,4 "$tmp/rows" | sort | uniq -c
for cause in fast RTO TLP; do # RTO-recovery is up to the timing
	between "rows of cause $cause" "$(rows "$a" $cause)" 1 100000
done
between "SYNs sent again" "$(grep -c 'SYN_SENT RTO' "$tmp/rows")" 1 3
between "SYN-ACKs sent again" "$(rows "$b" SYN-ACK)" 1 4
is "SYN-ACKs have state" "$(awk '$2 == "S" { print $3 }' "$tmp/rows" | sort -u)" NEW_SYN_RECV

# the counts are the same, by connection
"$TCPTAPE" retrans -c --csv -f 'portrange 17101-17105' "$tmp/t.tcptape" 2>/dev/null |
	columns conn laddr segs fast tlp synack | of_conns "$tmp/conns" >"$tmp/counts"
is "-c: segments in all" "$(awk '{ n += $2 } END { print n }' "$tmp/counts")" \
	"$(segs "$a $b" 'fast RTO RTO-recovery TLP loss SYN-ACK unknown')"
is "-c: fast" "$(awk '{ n += $3 } END { print n }' "$tmp/counts")" "$(segs "$a $b" fast)"
finish
