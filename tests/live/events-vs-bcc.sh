#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape events` against bcc's tcptracer (Debian's libbpf-tools), which watches the same seconds: line
# by line the same connects, accepts and closes, by the same processes, in the same order at each end.
# tcptracer hangs on other functions: tcp_set_state, inet_csk_accept's return, tcp_close.
#
# The documented differences, and no other:
#   1. tcptracer has connects that were established; tcptape tells what became of the others too.
#   2. A connection that the other end reset: tcptracer's close is the process's own close(), tcptape's
#      the RST. Both name the process, tcptape as the owner.
#   3. What sat in the accept queue and was never accepted has no process: no accept in either, no
#      close in tcptracer; in tcptape neither, as long as the listener holds it.
#   4. On Linux 5.10 a kretprobe follows as many sleeping calls as there are processors (maxactive), and
#      each server that waits in accept() is one: tcptracer misses those of the others there.
# Neither has the one accept() of each server that was waiting when they began.
# proves: tcp_accept
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcptracer
[ -n "${TCPTAPE_VM:-}" ] || "$TCPTAPE_RECORD" --list | grep -q '^tcp_accept .* attaches$' ||
	skip "this kernel refuses kprobes, which tcptracer needs"

make_namespaces
join_by_veth
serve echo4 10.9.0.2 17361
serve echo6 fd09::2 17361
serve first4 -m first 10.9.0.2 17362
serve first6 -m first fd09::2 17362
serve reset4 -m reset 10.9.0.2 17363
serve never6 -m never -b 2 fd09::2 17364
serve poked 10.9.0.2 17366
bcc tcptracer
record "$tmp/t.tcptape" -e conn
bcc_sees tcptracer ' 17366 *$' in_a "$LOAD" client 10.9.0.2 17366 # it is attached

client() { in_a "$LOAD" client "$@"; }
{
	client -n 5 -c 3 10.9.0.2 17361
	client -n 5 -c 3 fd09::2 17361
	client -n 3 -m first 10.9.0.2 17362
	client -n 3 -m first fd09::2 17362
	client -n 2 -m first 10.9.0.2 17363 # the server resets
	client -n 2 -m reset 10.9.0.2 17361 # the client resets
	client -n 2 10.9.0.2 17365          # refused
	client -n 2 fd09::2 17365
	client -n 4 -m hold -w 300 fd09::2 17364 # never accepted, one more than the queue holds
} >"$tmp/client"
client 10.9.0.2 17366 >"$tmp/last"
port=$(awk '$1 == "connect" { print $3 }' "$tmp/last")
bcc_sees tcptracer "^X .* 17366 $port *\$" true # and has printed what was before
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
stop "$(cat "$tmp/tcptracer.pid")"

# TYPE PID COMM IP LADDR LPORT RADDR RPORT, and of ours OUTCOME
ours_only='$5 ~ /^(10\.9\.0\.|fd09::)/ && ($6 ~ /^1736[1-5]$/ || $8 ~ /^1736[1-5]$/)'
"$TCPTAPE" events --csv "$tmp/t.tcptape" |
	columns type pid comm ip laddr lport raddr rport outcome | awk "$ours_only" >"$tmp/ours"
awk 'NF == 8 {
	type = $1 == "C" ? "connect" : $1 == "A" ? "accept" : $1 == "X" ? "close" : "?"
	print type, $2, $3, $4, $5, $7, $6, $8
}' "$tmp/tcptracer.out" | awk "$ours_only" >"$tmp/theirs"

# rule 1
awk '$1 == "connect" && $9 != "ok" { print $9, $8 }' "$tmp/ours" | sort | uniq -c |
	awk '{ print $1, $2, $3 }' >"$tmp/failed"
is "connects that tcptape alone has" "$(paste -sd, "$tmp/failed")" "1 aborted 17364,4 refused 17365"
awk '$1 != "connect" || $9 == "ok"' "$tmp/ours" >"$tmp/ours0"
# rule 3
is "closes at the listener that never accepts" "$(awk '$1 == "close" && $6 == 17364' "$tmp/ours0" | count)" 0
# rule 2
is "who closed: outcomes, and processes in number" \
	"$(awk '$1 == "close" { n[$9]++; if (!(($9 " " $2) in seen)) { seen[$9 " " $2]; pids[$9]++ } }
		END { for (o in n) print o, n[o], pids[o] }' "$tmp/ours0" | sort | paste -sd,)" \
	"local-close 19 5,remote-close 16 4,reset-by-local 4 2,reset-by-remote 4 2"

# rule 4
case $(uname -r) in
5.*)
	grep '^accept ' "$tmp/theirs" | cut -d' ' -f1-8 | sort >"$tmp/theirs.accepts"
	grep '^accept ' "$tmp/ours" | cut -d' ' -f1-8 | sort >"$tmp/ours.accepts"
	is "accepts that tcptracer alone has" "$(grep -vxFf "$tmp/ours.accepts" "$tmp/theirs.accepts")" ''
	for side in ours0 theirs; do
		grep -v '^accept ' "$tmp/$side" >"$tmp/others"
		cp "$tmp/others" "$tmp/$side"
	done ;;
esac

sequence() { # at each end of a connection, in its order
	awk '{ k = $4 " " $5 " " $6 " " $7 " " $8; print k, ++n[k], $1, $2, $3 }' "$1" | sort
}
sequence "$tmp/ours0" >"$tmp/ours.seq"
sequence "$tmp/theirs" >"$tmp/theirs.seq"
check "the same $(count <"$tmp/theirs.seq") lines" diff -u "$tmp/theirs.seq" "$tmp/ours.seq"
n() { awk -v t="$1" '$1 == t && ($1 != "connect" || $9 == "ok")' "$tmp/ours" | count; }
is "established, as the clients say" "$(n connect)" "$(grep -c ' ok ' "$tmp/client")"
# 20 served, less the one that each of five servers was waiting for
is "accepts" "$(n accept)" $((20 - 5))
is "closes: each end of those served, and clients of the other" "$(n close)" $((2 * 20 + 3))
finish
