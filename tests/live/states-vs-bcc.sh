#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape states` against bcc's tcpstates (Debian's libbpf-tools), which watches the same seconds:
# line by line the same connections, states and times. Both hang on tracepoint inet_sock_set_state.
#
# The documented differences, and no other:
#   1. CLOSE -> SYN_SENT: the kernel binds the local port after this change, so tcpstates prints
#      LPORT 0. tcptape fills it in from the connection's next event: it must be a port that the
#      client reports.
#   2. The same at LISTEN -> SYN_RECV on kernels where the new socket has no remote end yet (6.1 and
#      6.12; 6.18 sets it before): tcpstates prints 0.0.0.0 and 0.
#   3. The first change of a socket of a listener (LISTEN -> SYN_RECV): its time in LISTEN is not
#      known. tcpstates prints 0.000, tcptape "-".
#   4. MS is measured by two programs at one tracepoint: at most 1 ms apart.
# Order is compared per connection only: tcpstates reads one buffer a CPU.
# proves: tcp_state
# mends: first-change-has-no-port
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcpstates

make_namespaces
join_by_veth
serve echo4 10.9.0.2 17001
serve echo6 fd09::2 17001
serve first4 -m first 10.9.0.2 17002
serve first6 -m first fd09::2 17002
serve reset4 -m reset 10.9.0.2 17003
serve never6 -m never -b 2 fd09::2 17004
bcc tcpstates
record "$tmp/t.tcptape" -e conn
bcc_sees tcpstates ' 17006 ' in_a "$LOAD" client 10.9.0.2 17006 # refused: it is attached

client() { in_a "$LOAD" client "$@"; }
{
	client -n 5 -c 3 10.9.0.2 17001
	client -n 5 -c 3 fd09::2 17001
	client -n 3 -m first 10.9.0.2 17002
	client -n 3 -m first fd09::2 17002
	client -n 2 -m first 10.9.0.2 17003   # the server resets
	client -n 2 -m reset 10.9.0.2 17001   # the client resets
	client -n 2 10.9.0.2 17005            # refused
	client -n 2 fd09::2 17005
	client -n 4 -m hold -w 300 fd09::2 17004 # never accepted, more than the backlog
} >"$tmp/client"
bcc_sees tcpstates ' 17007 ' in_a "$LOAD" client 10.9.0.2 17007 # and has printed what was before
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
stop "$(cat "$tmp/tcpstates.pid")"

ours_only='$1 ~ /^(10\.9\.0\.|fd09::)/ && ($2 ~ /^1700[1-5]$/ || $4 ~ /^1700[1-5]$/)'
"$TCPTAPE" states --csv "$tmp/t.tcptape" |
	columns laddr lport raddr rport old_state new_state ms >"$tmp/states"
awk "$ours_only" "$tmp/states" >"$tmp/ours"
# from the end, since COMM may hold spaces: LADDR LPORT RADDR RPORT OLD -> NEW MS
awk 'NF >= 10 && $(NF - 2) == "->" {
	print $(NF - 7), $(NF - 6), $(NF - 5), $(NF - 4), $(NF - 3), $(NF - 1), $NF
}' "$tmp/tcpstates.out" | awk "$ours_only" >"$tmp/theirs"

# rules 1 and 2
awk '$5 == "CLOSE" && $6 == "SYN_SENT" { print $2 }' "$tmp/ours" | sort >"$tmp/syn_ports"
awk '$1 == "connect" { print $3 }' "$tmp/client" | sort >"$tmp/client_ports"
check "local ports of CLOSE -> SYN_SENT are the client's" \
	diff "$tmp/client_ports" "$tmp/syn_ports"
awk '$5 == "LISTEN" && $6 == "SYN_RECV" { print $4 }' "$tmp/ours" | sort >"$tmp/recv_ports"
is "remote ports of LISTEN -> SYN_RECV that are not the client's" \
	"$(grep -vxFf "$tmp/client_ports" "$tmp/recv_ports" | count)" 0
bare=$(awk '$5 == "LISTEN" && $6 == "SYN_RECV" && !$4' "$tmp/theirs" | count)
[ "$bare" != 0 ] || bare=''
awk '$5 == "CLOSE" && $6 == "SYN_SENT" { $2 = 0 }
	bare && $5 == "LISTEN" && $6 == "SYN_RECV" { $3 = $1 ~ /:/ ? "::" : "0.0.0.0"; $4 = 0 }
	{ print }' bare="$bare" "$tmp/ours" >"$tmp/ours0"

# rule 3
is "times that tcptape does not know and tcpstates prints other than as 0 of LISTEN" \
	"$(awk '$7 == "-" && $5 != "LISTEN"' "$tmp/ours0" | count)" 0

key() { awk '{ print $1, $2, $3, $4, $5, $6 }' "$1" | sort; }
key "$tmp/ours0" >"$tmp/ours.key"
key "$tmp/theirs" >"$tmp/theirs.key"
check "the same changes, $(count <"$tmp/theirs.key") lines of tcpstates, $(count <"$tmp/ours.key") of tcptape" \
	diff -u "$tmp/theirs.key" "$tmp/ours.key"
between "lines" "$(count <"$tmp/ours.key")" 100 400

# rule 4, and the order within each connection
sequence() { # by connection, in its order
	awk '$5 != "CLOSE" && $2 && $4 { k = $1 " " $2 " " $3 " " $4; print k, ++n[k], $5, $6, $7 }' "$1" |
		sort
}
sequence "$tmp/ours0" >"$tmp/ours.seq"
sequence "$tmp/theirs" >"$tmp/theirs.seq"
paste -d' ' "$tmp/ours.seq" "$tmp/theirs.seq" >"$tmp/both"
is "changes in another order" \
	"$(awk '$1 " " $2 " " $3 " " $4 " " $5 " " $6 " " $7 != $9 " " $10 " " $11 " " $12 " " $13 " " $14 " " $15' \
		"$tmp/both" | count)" 0
worst=$(awk '{ d = $8 - $16; if (d < 0) d = -d; if (d > max) max = d } END { printf "%.3f", max }' \
	"$tmp/both")
between "largest difference of MS" "$worst" 0 1
finish
