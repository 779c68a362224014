#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What could not be recorded is counted: the recorder sleeps (SIGSTOP) while a flood of exchanges
# runs, so its small buffer overflows. Recorded and lost together are what the load made, and the
# low-volume events, in a ring of their own, are all there.
# mends: loss-without-notice
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

flood=20000
[ -z "${TCPTAPE_VM:-}" ] || flood=2000 # each takes a millisecond or more there

make_namespaces
join_by_veth
serve server 10.9.0.2 17001
record "$tmp/t.tcptape" -e conn,rtt --buffer 128K
in_a "$LOAD" client -n 5 -c 10 10.9.0.2 17001 >"$tmp/client"
kill -STOP "$(cat "$tmp/record.pid")"
in_a "$LOAD" client -n 2 -c $flood 10.9.0.2 17001 >>"$tmp/client"
kill -CONT "$(cat "$tmp/record.pid")"
sleep 0.3
in_a "$LOAD" client -n 5 -c 10 10.9.0.2 17001 >>"$tmp/client"
sleep 0.3
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "its summary tells the loss" "$tmp/record.err" '[Ll]ost'
show "$tmp/record.err"

"$TCPTAPE" info --json "$tmp/t.tcptape" >"$tmp/info"
"$TCPTAPE" rtt --each --csv -f 'port 17001' "$tmp/t.tcptape" 2>"$tmp/note" | columns lport >"$tmp/rtt"
contains "rtt says that its result lacks something" "$tmp/note" 'lost'
lost=$("$TCPTAPE" info "$tmp/t.tcptape" | sed -n 's/^lost  *\([0-9]*\).*/\1/p')
recorded=$(count <"$tmp/rtt")
# Each exchange gives each side one segment with an ACK.
made=$((2 * (2 * flood + 10 * 10)))
echo "made $made, recorded $recorded, lost $lost"
between "lost" "$lost" $((made / 10)) $((made * 3 / 2))
between "recorded + lost, of what was made, %" $(((recorded + lost) * 100 / made)) 99 115
is "connects, none of which may be lost" \
	"$("$TCPTAPE" events -r connect --csv -f 'dst port 17001' "$tmp/t.tcptape" 2>/dev/null |
		columns lport | count)" 12
finish
