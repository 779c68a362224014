#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One connection in four: both ends choose the same ones, in all groups; what the analyzer makes of
# them lies within three of its standard errors of the truth, which is the load's own count (bytes),
# and that of a second recording, of everything (round-trip times, segments). Other groups are
# complete. 450 connections of three sizes.
# mends: sampling-differs-by-layer
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

few=300 some=100 many=50 # connections, with 2, 10 and 30 exchanges
[ -z "${TCPTAPE_VM:-}" ] || few=120 some=40 many=20

make_namespaces
join_by_veth
serve few -f -s 100 -a 900 10.9.0.2 17101
serve some -f -s 500 -a 100 fd09::2 17102
serve many -f -s 300 -a 1300 10.9.0.2 17103
start all "$TCPTAPE_RECORD" -o "$tmp/all" -e conn,rtt,rx,io,tx --max-rate off --buffer 64M
wait_recording "$tmp/all"
record "$tmp/some" -e conn,rtt,rx,io,tx -s 4 --max-rate off --buffer 64M
{
	in_a "$LOAD" client -n $few -c 2 -s 100 -a 900 10.9.0.2 17101
	in_a "$LOAD" client -n $some -c 10 -s 500 -a 100 fd09::2 17102
	in_a "$LOAD" client -n $many -c 30 -s 300 -a 1300 10.9.0.2 17103
} >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "its summary tells what was left out" "$tmp/record.err" 'left out, by connection:.*rtt [0-9]+.*--sample 4'
stop "$(cat "$tmp/all.pid")"
n=$((few + some + many))
is "connections, by the load" "$(grep -c '^connect .* ok ' "$tmp/client")" "$n"

ours='portrange 17101-17103'
ask() { # COMMAND ARG...: of our connections
	"$TCPTAPE" "$@" -f "$ours"
}
value() { # JSON KEY FILE: the first
	sed -n 's/.*"'"$1"'":\(-*[0-9.]*\).*/\1/p' "$2" | head -1
}
within() { # WHAT ESTIMATE ERROR TRUTH
	between "$1: estimate $2 +- $3, truth $4; in standard errors" \
		"$(awk -v e="$2" -v s="$3" -v t="$4" 'BEGIN { print (s > 0 ? (e - t) / s : 99) }')" -3 3
	between "$1: one standard error is so much of the truth, %" \
		"$(awk -v s="$3" -v t="$4" 'BEGIN { print 100 * s / t }')" 1 40
}

# ---- which connections ----
ports_of() { # TRACE EVENT: of the client, at the one and the other end
	"$TCPTAPE" dump --json --no-snapshot -e "$2" -f "$ours" "$1" | awk "$awk_of"'
		{
			l = of($0, "lport")
			r = of($0, "rport")
			if (l == 0 || r == 0) next # a listener
			if (l ~ /^1710[123]$/) print "server", r
			else if (r ~ /^1710[123]$/) print "client", l
		}' | sort -u
}
has_event() { "$TCPTAPE" info --csv "$1" | grep -q ",count.$2,"; }

grep '^connect' "$tmp/client" | awk '{ print $3 }' | sort -u >"$tmp/made"
for event in io_recv io_send rtt rx tx; do
	has_event "$tmp/all" $event || continue
	ports_of "$tmp/some" $event >"$tmp/$event"
	grep server "$tmp/$event" | cut -d' ' -f2 >"$tmp/$event.server"
	grep client "$tmp/$event" | cut -d' ' -f2 >"$tmp/$event.client"
	is "$event: both ends chose the same" \
		"$(cmp "$tmp/$event.server" "$tmp/$event.client" 2>&1 && echo yes)" yes
	cp "$tmp/$event.client" "$tmp/chosen"
done
for event in io_recv io_send rtt rx tx; do
	[ ! -e "$tmp/$event.client" ] ||
		is "$event: the same connections as the other groups" \
			"$(cmp "$tmp/$event.client" "$tmp/chosen" 2>&1 && echo yes)" yes
done
between "connections chosen, of $n (a quarter, more than 3 sigma to both sides)" \
	"$(count <"$tmp/chosen")" $((n / 8)) $((n * 3 / 8))
is "group conn has all" "$(ask events -r connect --csv "$tmp/some" 2>/dev/null | columns lport | count)" "$n"

# ---- how many, how much ----
ask rtt --json --percentiles "$tmp/some" >"$tmp/rtt" 2>"$tmp/note"
truth=$(ask rtt --json --percentiles "$tmp/all" 2>/dev/null | sed -n 's/.*"n":\([0-9]*\).*/\1/p' | head -1)
within "round-trip times" "$(value n "$tmp/rtt")" "$(value n_error "$tmp/rtt")" "$truth"
contains "rtt says that it is a sample" "$tmp/note" 'sampled: group rtt has one connection in 4'
contains "and in JSON" "$tmp/rtt" '"note":"sampled'
is "all connections: no error, and no such note" "$(ask rtt --json --percentiles "$tmp/all" 2>/dev/null |
	grep -c '"n_error":0[,.].*' || :) $(ask rtt "$tmp/all" 2>&1 | grep -c sampled || :)" "1 0"

if has_event "$tmp/all" io_recv && has_event "$tmp/all" io_send; then
	sent=$((few * 2 * 100 + some * 10 * 500 + many * 30 * 300))
	answered=$((few * 2 * 900 + some * 10 * 100 + many * 30 * 1300))
	# both namespaces are this machine: what one end sends, the other receives
	for ns in "$A" "$B"; do
		ask top --by netns --json "$tmp/some" 2>"$tmp/note" |
			grep "\"netns\":$(stat -L -c %i "/run/netns/$ns")," >"$tmp/top"
		[ "$ns" = "$A" ] && tx=$sent rx=$answered || tx=$answered rx=$sent
		within "bytes sent" "$(value tx_bytes "$tmp/top")" "$(value tx_bytes_error "$tmp/top")" $tx
		within "bytes received" "$(value rx_bytes "$tmp/top")" "$(value rx_bytes_error "$tmp/top")" $rx
	done
	ask top --by conn --csv "$tmp/some" 2>"$tmp/note" | columns rx_bytes tx_bytes lport >"$tmp/rows"
	ask top --by conn --csv "$tmp/all" 2>/dev/null | columns rx_bytes tx_bytes lport | sort >"$tmp/all.rows"
	is "rows of one connection are exact: those that differ from the whole recording's" \
		"$(grep -vcxFf "$tmp/all.rows" "$tmp/rows" || :)" 0
	all_sent=$((sent + answered))
	set -- $(sed -n 's/.*bytes received, +-\([0-9]*\), and \([0-9]*\) sent, +-\([0-9]*\).*/\2 \3/p' "$tmp/note")
	within "all together, in the note" "${1:-0}" "${2:-0}" $all_sent
fi
truth=$(ask delay --in --data --percentiles --json "$tmp/all" 2>/dev/null | grep '"layer":"total"' |
	sed -n 's/.*"n":\([0-9]*\).*/\1/p' | head -1)
ask delay --in --data --percentiles --json "$tmp/some" 2>/dev/null | grep '"layer":"total"' >"$tmp/delay"
within "segments received" "$(value n "$tmp/delay")" "$(value n_error "$tmp/delay")" "$truth"
"$TCPTAPE" info "$tmp/some" >"$tmp/info"
for group in rtt rx tx io; do
	contains "info: $group" "$tmp/info" "\\+0\\.0[0-9]* s: $group one connection in 4 \\(sample\\)|-0\\.[0-9]* s: $group one connection in 4"
done
finish
