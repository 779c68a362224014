#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape top` against bcc's tcptop (Debian's libbpf-tools), which watches the same seconds: the
# same processes, ends and bytes. tcptop prints each second, in whole KiB, rounded down.
#
# The documented differences, and no other:
#   1. tcptop counts what a send was asked for, also if it moved less (EAGAIN).
#   2. It counts what MSG_PEEK saw, and again when it is read.
#   3. It counts what MSG_WAITALL has so far each time that it goes to sleep.
#   4. It does not see sendfile and splice to a socket before Linux 6.5.
# mends: bytes-asked-for
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${MOVE=$build/tests/move}"
need_recorder
need tcptop

make_namespaces
join_by_veth
serve four -s 10240 -a 30720 10.9.0.2 17341
serve six -s 10240 -a 30720 fd09::2 17341
record "$tmp/t.tcptape" -e io,conn
start tcptop tcptop -C -S -r 10000 1
# its output is buffered until it ends, so its probes must tell that it is there
probes=/sys/kernel/debug/kprobes/list
started() { grep -q tcp_cleanup_rbuf $probes || ! kill -0 "$(cat "$tmp/tcptop.pid")"; }
wait_for 30 started || skip "$probes does not show tcptop's probes"
kill -0 "$(cat "$tmp/tcptop.pid")" 2>/dev/null || skip "tcptop does not run here: $(tail -1 "$tmp/tcptop.err")"
in_a "$LOAD" client -n 3 -c 10 -s 10240 -a 30720 10.9.0.2 17341 >"$tmp/client"
in_a "$LOAD" client -n 3 -c 10 -s 10240 -a 30720 fd09::2 17341 >>"$tmp/client"
for mode in peek waitall again; do
	in_a "$MOVE" -s 1000003 $mode 127.0.0.1 | sed "s/^/$mode /"
done >"$tmp/moved"
sleep 2 # tcptop's second, and the next
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
stop "$(cat "$tmp/tcptop.pid")"

# PID LPORT RPORT RX_KB TX_KB, all intervals together, and how many rows
awk '$1 ~ /^[0-9]+$/ && NF >= 6 {
	l = $(NF - 3); r = $(NF - 2); sub(/.*:/, "", l); sub(/.*:/, "", r)
	k = $1 " " l " " r; rx[k] += $(NF - 1); tx[k] += $NF; n[k]++
} END { for (k in rx) print k, rx[k], tx[k], n[k] }' "$tmp/tcptop.out" | sort >"$tmp/theirs"
"$TCPTAPE" top --csv "$tmp/t.tcptape" | columns pid lport rport rx_bytes tx_bytes | sort >"$tmp/ours"
show "$tmp/theirs"

client_ports=$(awk '$1 == "connect" { printf "%s ", $3 }' "$tmp/client")
# of the clients and their servers: as often as tcptop cut a row off, up to 1 KiB less
awk -v ports="$client_ports" '
	BEGIN { n = split(ports, p, " "); for (i = 1; i <= n; i++) is[p[i]] = 1 }
	!is[$2] && !is[$3] { next }
	NR == FNR { rx[$1 " " $2 " " $3] = $4; tx[$1 " " $2 " " $3] = $5; next }
	{
		k = $1 " " $2 " " $3; seen++
		if (!(k in rx)) print "only tcptop has", $0
		d = rx[k] / 1024 - $4; e = tx[k] / 1024 - $5
		if (d < 0 || d > $6 || e < 0 || e > $6) print "differs:", $0, "ours", rx[k], tx[k]
		delete rx[k]
	}
	END { for (k in rx) print "only tcptape has", k; print "rows", seen + 0 }' \
	"$tmp/ours" "$tmp/theirs" >"$tmp/differences"
is "rows, and those that differ" "$(cat "$tmp/differences")" "rows 12"
is "bytes of each end, by the load's request and answer" \
	"$(awk -v ports="$client_ports" 'index(ports, $2 " ") || index(ports, $3 " ") {
		print $4 + $5 }' "$tmp/ours" | sort -u)" 409600

while read -r mode side pid tid lport rport bytes rest; do
	ours=$(awk -v k="$pid $lport $rport" '$1 " " $2 " " $3 == k { print $4 + $5 }' "$tmp/ours")
	theirs=$(awk -v k="$pid $lport $rport" '$1 " " $2 " " $3 == k { print $4 + $5 }' "$tmp/theirs")
	is "$mode $side: bytes" "$ours" "$bytes"
	case $mode-$side in
	peek-rx | waitall-rx | again-tx)
		between "$mode $side: what tcptop has, KiB of $((bytes / 1024))" "$theirs" \
			$((bytes / 1024 + 100)) 1000000
		;;
	esac
done <"$tmp/moved"
finish
