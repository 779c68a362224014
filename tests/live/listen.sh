#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A listener with a backlog of 5 that never accepts, and ten clients: the queue takes 6
# (sk_acceptq_is_full: more than the backlog), what overflows is what the kernel counts.
# proves: listen_queue listen_child
# mends: overflow-is-no-event
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
counter() { # NAME: of TcpExt in B
	ip netns exec "$B" awk -v want="$1" '
		$1 == "TcpExt:" && !n { n = split($0, name); next }
		$1 == "TcpExt:" { for (i = 2; i <= n; i++) if (name[i] == want) print $i }' \
		/proc/net/netstat
}
serve never -m never -b 5 10.9.0.2 17311
serve echo 10.9.0.2 17312
record "$tmp/t.tcptape" --interval 0.1
serve late -m never -b 5 fd09::2 17313 # begins to listen while it records
in_a "$LOAD" client -n 10 -m hold -w 1500 10.9.0.2 17311 >/dev/null &
hold=$!
sleep 1
# Recv-Q of a listener: its accept queue
queue=$(ip netns exec "$B" ss -Hlnt 'sport = 17311' | awk '{ print $2 }')
in_a "$LOAD" client -n 10 -m hold -w 1000 fd09::2 17313 >/dev/null
in_a "$LOAD" client -n 8 10.9.0.2 17312 >/dev/null
wait $hold
sleep 0.3
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
overflows=$(counter ListenOverflows) drops=$(counter ListenDrops)

"$TCPTAPE" listen --csv "$tmp/t.tcptape" |
	columns netns lport max_accept_queue limit max_syn_queue children overflows drops |
	awk -v ns="$(stat -L -c %i "/run/netns/$B")" '$1 == ns' | sort >"$tmp/listen"
show "$tmp/listen"
is "listeners in the namespace" "$(awk '{ print $2 }' "$tmp/listen" | tr '\n' ' ')" \
	"17311 17312 17313 "
value() { awk -v port="$1" -v n="$2" '$2 == port { print $n }' "$tmp/listen"; }
is "ss: accept queue" "$queue" 6
for port in 17311 17313; do
	is "longest accept queue of $port, and its limit" "$(value $port 3) $(value $port 4)" "6 5"
done
is "longest accept queue of one that accepts" "$(($(value 17312 3) <= 1))" 1
between "the kernel's overflows" "$overflows" 1 1000
is "drops of all listeners, as sk_drops: the kernel's ListenDrops" \
	"$(awk '{ n += $8 } END { print n }' "$tmp/listen")" "$drops"
is "the kernel's overflows in the trace" \
	"$("$TCPTAPE" info --counters --csv "$tmp/t.tcptape" | columns counter kernel |
		awk '$1 == "TcpExt.ListenOverflows" { print $2 }')" "$overflows"
between "samples of the full queue" \
	"$("$TCPTAPE" listen --each --csv "$tmp/t.tcptape" | columns lport accept_queue |
		grep -c '^17311 6$')" 3 40

if "$TCPTAPE_RECORD" --list | grep -q '^listen_child .* attaches$'; then
	is "overflows of all listeners" "$(awk '{ n += $7 } END { print n }' "$tmp/listen")" \
		"$overflows"
	is "children made" "$(value 17311 6) $(value 17312 6) $(value 17313 6)" "6 8 6"
	"$TCPTAPE" listen --hist "$tmp/t.tcptape" >"$tmp/hist"
	contains "a histogram of the listener" "$tmp/hist" '^10.9.0.2:17312, namespace'
	is "what it counts" "$("$TCPTAPE" listen --hist --json -f 'port 17312' "$tmp/t.tcptape" |
		sed -n 's/.*"count":\([0-9]*\).*/\1/p')" 8
else
	is "overflows and children without a hook" \
		"$(awk '{ print $6 $7 }' "$tmp/listen" | sort -u)" "--"
	status=0
	"$TCPTAPE" listen --hist "$tmp/t.tcptape" 2>"$tmp/err" || status=$?
	is "--hist without a hook ends with" "$status" 3
	contains "and says why" "$tmp/err" 'listen_child'
fi
finish
