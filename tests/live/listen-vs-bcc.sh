#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape listen --hist` against bcc's tcpsynbl (Debian's libbpf-tools), which watches the same
# seconds: how long the accept queue was at each last ACK of a handshake, the same counts in the same
# buckets. Both hang on tcp_v4_syn_recv_sock and tcp_v6_syn_recv_sock.
#
# The documented differences, and no other:
#   1. tcpsynbl has one histogram a limit, tcptape one a listener: those of equal limit add up.
#   2. IPv4 on an IPv6 listener passes both functions: tcpsynbl counts it twice.
# proves: listen_child
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcpsynbl
"$TCPTAPE_RECORD" --list | grep -Eq '^listen_child .*(attaches|partly)' ||
	skip "this kernel refuses kprobes and trampolines, which tcpsynbl needs"

make_namespaces
join_by_veth
serve full4 -m never -b 5 10.9.0.2 17371
serve full6 -m never -b 5 fd09::2 17372
serve echo -b 60 10.9.0.2 17373
serve mapped -m never -b 20 :: 17374
serve six -m never -b 21 :: 17375
serve begin -b 3 10.9.0.2 17376
serve end -b 4 10.9.0.2 17377
bcc tcpsynbl 1
record "$tmp/t.tcptape" -e listen
bcc_sees tcpsynbl 'backlog_max = 3$' in_a "$LOAD" client 10.9.0.2 17376 # it is attached

hold() { in_a "$LOAD" client -m hold "$@" >/dev/null; }
hold -n 10 -w 1500 10.9.0.2 17371 # four more than the queue holds
hold -n 10 -w 1500 fd09::2 17372
in_a "$LOAD" client -n 8 10.9.0.2 17373 >/dev/null
hold -n 5 -w 100 10.9.0.2 17374
hold -n 9 -w 100 fd09::2 17375
bcc_sees tcpsynbl 'backlog_max = 4$' in_a "$LOAD" client 10.9.0.2 17377 # and has printed the rest
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
stop "$(cat "$tmp/tcpsynbl.pid")"

"$TCPTAPE" listen --hist -f 'portrange 17371-17375' "$tmp/t.tcptape" >"$tmp/ours.hist"
show "$tmp/ours.hist"
# both print one layout: a line with the limit, then rows LOW -> HIGH : COUNT; LIMIT LOW HIGH COUNT
sums() { # FILE: all histograms of one limit
	awk '
		/(limit|backlog_max =) [0-9]+$/ { limit = $NF; twice = index($0, ":17374,") ? 2 : 1 }
		$2 == "->" { n[limit " " $1 " " $3] += $5 * twice } # rule 2
		END { for (k in n) if (n[k]) print k, n[k] }' "$1" | sort -n
}
sums "$tmp/ours.hist" >"$tmp/ours"
sums "$tmp/tcpsynbl.out" | grep -Ev '^[34] ' >"$tmp/theirs"
check "the same counts in $(count <"$tmp/theirs") buckets" diff -u "$tmp/theirs" "$tmp/ours"
show "$tmp/theirs"
total() { awk -v limit="$1" '$1 == limit { n += $4 } END { print n + 0 }' "$tmp/theirs"; }
is "handshakes that ended, by limit: of the echo server, by IPv4 on IPv6, by IPv6" \
	"$(total 60) $(total 20) $(total 21)" "8 10 9"
between "of the two whose queue is full" "$(total 5)" 12 100
is "children of the two" "$("$TCPTAPE" listen --csv "$tmp/t.tcptape" | columns lport children |
	awk '$1 == 17371 || $1 == 17372 { n += $2 } END { print n }')" 12
finish
