#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape life` against bcc's tcplife (Debian's libbpf-tools), which watches the same seconds: line
# by line the same connections, bytes, times. Both end a line at the change to CLOSE.
#
# The documented differences, and no other:
#   1. MS: tcplife begins anew at each state before FIN_WAIT1, so it measures from ESTABLISHED (from
#      SYN_SENT where that is never reached), tcptape from the first SYN. The difference must
#      be the time from SYN_SENT or SYN_RECV to ESTABLISHED, as `tcptape states` has it, up to 1 ms.
#   2. TX_KB of tcplife is bytes_acked, which counts a SYN and a FIN too, RX_KB bytes_received, with
#      the other end's FIN; tcptape has the payload alone: 0 to 2 bytes less. tcplife prints
#      hundredths of a kB.
#   3. SO_LINGER 0: the kernel wipes the counters of a socket that is disconnected. tcplife reads
#      them before; tcptape, which reads them where the socket is destroyed, says "-".
#   4. PID and COMM: tcplife has who opened it (clients) or closed it last, else who was
#      interrupted by the last segment. So they are compared for clients, and for servers that closed last.
#   5. What tcplife did not see from its beginning to its end it does not print (bcc#3292): tcptape
#      tells what is open at the end.
# proves: tcp_destroy
# mends: handshake-left-out
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcplife

make_namespaces
join_by_veth
serve echo4 -s 3000 -a 70000 10.9.0.2 17351
serve echo6 -s 3000 -a 70000 fd09::2 17351
serve first4 -m first -s 900 -a 20000 10.9.0.2 17352
serve first6 -m first -s 900 -a 20000 fd09::2 17352
serve reset4 -m reset 10.9.0.2 17353
serve open4 10.9.0.2 17354
bcc tcplife
record "$tmp/t.tcptape" -e conn
bcc_sees tcplife ' 17356 ' in_a "$LOAD" client 10.9.0.2 17356 # refused: it is attached

client() { in_a "$LOAD" client "$@"; }
{
	client -n 4 -c 2 -s 3000 -a 70000 10.9.0.2 17351
	client -n 4 -c 2 -s 3000 -a 70000 fd09::2 17351
	client -n 3 -m first -s 900 -a 20000 10.9.0.2 17352
	client -n 3 -m first -s 900 -a 20000 fd09::2 17352
	client -n 2 -m first 10.9.0.2 17353 # the server resets
	client -n 2 -m reset -s 3000 -a 70000 10.9.0.2 17351
	client -n 2 10.9.0.2 17355 # refused
	client -n 2 fd09::2 17355
} >"$tmp/client"
start open ip netns exec "$A" "$LOAD" client -w 60000 10.9.0.2 17354
wait_line open '^connect'
bcc_sees tcplife ' 17357 ' in_a "$LOAD" client 10.9.0.2 17357 # and has printed what was before
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
stop "$(cat "$tmp/tcplife.pid")"

# LADDR LPORT RADDR RPORT TX RX MS PID END; "-" for END of theirs. From the end of a line of
# tcplife, since COMM may hold spaces.
ours_only='$1 ~ /^(10\.9\.0\.|fd09::)/ && ($2 ~ /^1735[1-5]$/ || $4 ~ /^1735[1-5]$/)'
"$TCPTAPE" life --csv "$tmp/t.tcptape" |
	columns laddr lport raddr rport tx_bytes rx_bytes ms pid end | awk "$ours_only" |
	sort >"$tmp/ours"
awk 'NF >= 9 { print $(NF - 6), $(NF - 5), $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF, $1 }' \
	"$tmp/tcplife.out" | awk "$ours_only" | sort >"$tmp/theirs"
"$TCPTAPE" states --csv "$tmp/t.tcptape" |
	columns laddr lport raddr rport old_state new_state ms >"$tmp/states"

# rule 5
is "open at the end, known to tcptape only" \
	"$(awk '$9 == "open" { print $2 == 17354 ? "server" : $4 == 17354 ? "client" : "?" }' \
		"$tmp/ours" | sort | tr '\n' ' ')" "client server "
awk '$9 != "open"' "$tmp/ours" >"$tmp/over"
key() { awk '{ print $1, $2, $3, $4 }' "$1"; }
key "$tmp/over" >"$tmp/ours.key"
key "$tmp/theirs" >"$tmp/theirs.key"
check "the same $(count <"$tmp/theirs.key") connections" diff -u "$tmp/theirs.key" "$tmp/ours.key"
# 18 with two ends, 4 refused
is "connections" "$(count <"$tmp/ours.key")" $((2 * 18 + 4))

# LADDR LPORT RADDR RPORT, then 5 to 9 of ours, then TX RX MS PID of theirs
paste -d' ' "$tmp/over" "$tmp/theirs" | cut -d' ' -f1-9,14-17 >"$tmp/both"
# rule 2
far() { # OURS THEIRS: columns of bytes and of kB that are not as the rule says
	awk -v o="$1" -v t="$2" '$o != "-" {
		d = $t * 1024 - $o
		if (d < -5.12 || d > 2 + 5.12) print
	}' "$tmp/both"
}
far 5 10 >"$tmp/far"
far 6 11 >>"$tmp/far"
show "$tmp/far"
is "connections with other bytes" "$(count <"$tmp/far")" 0
# rule 3; a connect that is refused has no bytes either
is "ends whose bytes are not known" \
	"$(awk '$5 == "-" { print $9 }' "$tmp/both" | sort | uniq -c | awk '{ printf "%s%s %s", s, $1, $2; s = ", " }')" \
	"4 refused, 4 reset-by-local"
is "connections of known bytes" "$(awk '$5 != "-"' "$tmp/both" | count)" 32
# rule 1
awk '
	NR == FNR {
		if (($5 == "SYN_SENT" || $5 == "SYN_RECV") && $6 == "ESTABLISHED")
			before[$1 " " $2 " " $3 " " $4] = $7
		next
	}
	{
		d = $7 - before[$1 " " $2 " " $3 " " $4] - $12
		if (d < 0) d = -d
		if (d > worst) worst = d
		if (d > 1) n_far++
	}
	END { printf "%.3f %d\n", worst, n_far }' "$tmp/states" "$tmp/both" >"$tmp/worst"
echo "      | largest difference of MS: $(cut -d' ' -f1 "$tmp/worst")"
# Two programs read the clock one after the other; the host may take the processor away between them.
most=4
[ -z "${TCPTAPE_VM:-}" ] || most=0
between "connections whose MS differ by more than 1" "$(cut -d" " -f2 "$tmp/worst")" 0 $most
# rule 4
awk '$4 ~ /^1735/ || $9 == "remote-close"' "$tmp/both" >"$tmp/owned"
# all clients, and the servers of port 17351 whose client closed
is "connections with an owner" "$(count <"$tmp/owned")" $((18 + 4 + 8))
is "owners that differ" "$(awk '$8 != $13' "$tmp/owned" | count)" 0
finish
