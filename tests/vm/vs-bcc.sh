#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `tcptape events` against bcc's tcptracer, and `tcptape listen --hist` against tcpsynbl (Debian's
# libbpf-tools), of the same seconds; in the VM, since both need kprobes. Line by line, bin by bin.
#
# The documented differences, and no other:
#   1. tcptracer tells successful connects only; tcptape those that failed too, with the outcome.
#   2. tcptracer tells close() (X), tcptape the end of the connection, once: the same connections.
#   3. tcptracer names the thread that is on the CPU, which for X is who called close(), for C who called
#      connect(); tcptape says the same process, and for a close in softirq "-".
#   4. tcpsynbl puts all listeners of one limit into one histogram, tcptape one for each listener.
# What is refused because the accept queue is full is in neither histogram: both look when a child
# is made... and tcptape's `listen` tells it as OVERFLOWS.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcptracer tcpsynbl
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: kprobes"

make_namespaces
join_by_veth
serve echo4 10.9.0.2 17401
serve echo6 fd09::2 17401
serve first4 -m first 10.9.0.2 17402
serve reset4 -m reset 10.9.0.2 17403
serve never4 -m never -b 4 10.9.0.2 17404
serve never6 -m never -b 4 fd09::2 17405
serve never7 -m never -b 7 fd09::2 17406
bcc tcptracer
bcc tcpsynbl 1000
record "$tmp/t.tcptape" -e conn,listen
attached() { [ "$(find "/proc/$(cat "$tmp/tcpsynbl.pid")/fd" -lname '*bpf*link*' -o \
	-lname '*perf_event*' | count)" -ge 2 ]; }
check "tcpsynbl attaches" wait_for 20 attached
# each server's accept() that was waiting before is over
for port in 17401 17402 17403; do
	bcc_sees tcptracer "^X.* $port " in_a "$LOAD" client 10.9.0.2 $port
	bcc_sees tcptracer "^A.* $port .*" in_a "$LOAD" client 10.9.0.2 $port
done
bcc_sees tcptracer '^A.*fd09::2 .* 17401 ' in_a "$LOAD" client fd09::2 17401
cp "$tmp/tcptracer.out" "$tmp/warm.out"
client() { in_a "$LOAD" client "$@"; }
{
	client -n 5 -c 3 10.9.0.2 17401
	client -n 5 -c 3 fd09::2 17401
	client -n 3 -m first 10.9.0.2 17402
	client -n 3 -m first 10.9.0.2 17403   # the server resets
	client -n 2 -m reset fd09::2 17401    # the client resets
	client -n 2 10.9.0.2 17408            # refused
	client -n 9 -m hold -w 300 10.9.0.2 17404
	client -n 3 -m hold -w 300 fd09::2 17405
	client -n 5 -m hold -w 300 fd09::2 17406
} >"$tmp/client"
sleep 1
bcc_sees tcptracer '^X.* 17401 ' in_a "$LOAD" client 10.9.0.2 17401
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
stop "$(cat "$tmp/tcpsynbl.pid")"
stop "$(cat "$tmp/tcptracer.pid")"
cat "$tmp/tcptracer.out"
cat "$tmp/tcpsynbl.out"
"$TCPTAPE" events "$tmp/t.tcptape"
"$TCPTAPE" listen --hist "$tmp/t.tcptape"
"$TCPTAPE" listen --hist --json "$tmp/t.tcptape"
