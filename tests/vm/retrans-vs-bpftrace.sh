#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape retrans` against bpftrace's tcpretrans.bt (Debian's, as it is), which watches the same
# seconds: the same retransmits of the same connections in the same states. It hangs on the function
# tcp_retransmit_skb.
#
# The documented differences, and no other:
#   1. Tail loss probes go by __tcp_retransmit_skb, SYN-ACKs by tcp_rtx_synack: tcpretrans.bt has
#      neither.
#   2. tcpretrans.bt prints tries that fail too. Here none does: nothing of a connection waits in this
#      host when its timer runs out, and every address is there.
# proves: retransmit
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: bpftrace at a kernel with kprobes"
case $(uname -r) in
5.10.*) skip "bpftrace needs the kernel's headers there: its modules have no type information" ;;
esac

make_namespaces
join_by_link 20000 20
link=$pid
serve bulk4 -s 200000 10.9.0.2 17381
serve bulk6 -s 200000 fd09::2 17382
serve ping4 10.9.0.2 17383
serve ping6 fd09::2 17384
bpftrace tcpretrans /host/usr/sbin/tcpretrans.bt
record "$tmp/t.tcptape" -e conn,retrans
in_a "$LOAD" client -s 200000 10.9.0.2 17381 >"$tmp/client"
in_a "$LOAD" client -s 200000 fd09::2 17382 >>"$tmp/client"
in_a "$LOAD" client -c 50 10.9.0.2 17383 >>"$tmp/client"
for row in '10.9.0.2 17383 0' 'fd09::2 17384 0.03'; do # no SYN passes; no SYN-ACK
	set -- $row
	[ "$3" != 0 ] || kill -STOP "$link"
	start client ip netns exec "$A" "$LOAD" client "$1" "$2"
	client=$pid
	sleep "$3"
	kill -STOP "$link"
	sleep 1.5
	kill -CONT "$link"
	wait_end "$client"
	cat "$tmp/client.out" >>"$tmp/client"
done
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'
sleep 1
stop "$(cat "$tmp/tcpretrans.pid")"
is "bpftrace ends with" "$status" 0

# CAUSE, LADDR LPORT RADDR RPORT STATE
"$TCPTAPE" retrans -v --csv -f 'portrange 17381-17384' "$tmp/t.tcptape" 2>"$tmp/notes" |
	columns cause laddr lport raddr rport state error >"$tmp/ours"
# TIME PID LADDR:LPORT RADDR:RPORT STATE, with spaces after the ports
awk '$1 ~ /^[0-9]+:[0-9]+:[0-9]+$/ && NF == 5 {
	l = r = $3; sub(/:[0-9]+$/, "", l); lp = substr($3, length(l) + 2)
	r = $4; sub(/:[0-9]+$/, "", r); print l, lp, r, substr($4, length(r) + 2), $5
}' "$tmp/tcpretrans.out" | grep ' 1738[1-4]' | sort >"$tmp/theirs"
is "tries that failed" "$(awk '$7 != "-"' "$tmp/ours" | count)" 0
grep -Ev '^(TLP|SYN-ACK) ' "$tmp/ours" | cut -d' ' -f2-6 | sort >"$tmp/ours0"
check "the same $(count <"$tmp/theirs") retransmits" diff -u "$tmp/theirs" "$tmp/ours0"
cut -d' ' -f1 "$tmp/ours" | sort | uniq -c
between "retransmits that both have" "$(count <"$tmp/ours0")" 20 1000
between "SYNs of these" "$(grep -c SYN_SENT "$tmp/theirs")" 1 2
for cause in TLP SYN-ACK; do
	between "$cause, which tcptape alone has" "$(grep -c "^$cause " "$tmp/ours")" 1 1000
done
finish
