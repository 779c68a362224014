#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# N connections, IPv4 and IPv6, between two namespaces: each is there once, with the client's ports,
# program, duration and bytes, and with the kernel's own counters agreeing.
# proves: tcp_state tcp_destroy tcp_accept
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
n4=25 n6=15 exchanges=3 request=1000 answer=3000

make_namespaces
join_by_veth
serve server4 -s $request -a $answer 10.9.0.2 17001
server4=$pid
serve server6 -s $request -a $answer fd09::2 17001
server6=$pid
opens() { # active and passive opens, as /proc/net/snmp of the namespaces has them
	for ns in "$A" "$B"; do
		ip netns exec "$ns" awk '/^Tcp:/ && $6 ~ /^[0-9]+$/ { print $6, $7 }' /proc/net/snmp
	done | awk '{ a += $1; p += $2 } END { print a, p }'
}
is "opens before" "$(opens)" "0 0"
record "$tmp/t.tcptape"
client() { in_a "$LOAD" client -c $exchanges -s $request -a $answer "$@"; }
client -n $n4 10.9.0.2 17001 >"$tmp/client"
client -n $n6 fd09::2 17001 >>"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

n=$((n4 + n6))
is "opens after: active, passive" "$(opens)" "$n $n"
is "the client's connects" "$(grep -c '^connect.* ok ' "$tmp/client")" $n
ours='port 17001 and (net 10.9.0.0/24 or net fd09::/64)'
tcptape() { "$TCPTAPE" "$@" -f "$ours" --csv "$tmp/t.tcptape"; }

is "connects" "$(tcptape events -r connect | columns lport | count)" $n
is "their local ports, against the client's" \
	"$(tcptape events -r connect | columns lport | sort | cksum)" \
	"$(awk '$1 == "connect" { print $3 }' "$tmp/client" | sort | cksum)"
is "passive opens: SYN_RECV -> ESTABLISHED" \
	"$(tcptape states | columns old_state new_state | grep -c '^SYN_RECV ESTABLISHED$')" $n
is "closes" "$(tcptape events -r close | columns lport | count)" $((2 * n))

# A connect as the client timed it begins before SYN_SENT and ends after ESTABLISHED.
# Clients of both families may be given the same port, so the key is "port/peer".
tcptape connlat | columns lport raddr outcome lat_ms comm pid_from | sed 's/ /\//' | sort >"$tmp/lat"
awk '$1 == "connect" { print $3 "/" $4, $7 }' "$tmp/client" | sort >"$tmp/times"
join "$tmp/lat" "$tmp/times" >"$tmp/both"
is "connects of connlat that the client knows" "$(count <"$tmp/both")" $n
is "not ok, not by load, or not in the thread's own context" \
	"$(awk '$2 != "ok" || $4 != "load" || $5 != "event"' "$tmp/both" | count)" 0
is "longer than the client measured" "$(awk '$3 * 1000 > $6 + 1' "$tmp/both" | count)" 0
is "of no duration" "$(awk '$3 <= 0' "$tmp/both" | count)" 0

# bytes_acked of a client counts its SYN, bytes_received not (tcp_ack, net/ipv4/tcp_input.c);
# `life` shows what the application sent.
tcptape life | columns lport rport tx_bytes rx_bytes end | sort >"$tmp/life"
is "lines of life" "$(count <"$tmp/life")" $((2 * n))
is "clients with their bytes" \
	"$(grep -c "^[0-9]* 17001 $((exchanges * request)) $((exchanges * answer)) " "$tmp/life")" $n
is "servers with theirs" \
	"$(grep -c "^17001 [0-9]* $((exchanges * answer)) $((exchanges * request)) " "$tmp/life")" $n

"$TCPTAPE" info "$tmp/t.tcptape" >"$tmp/info" 2>&1
contains "nothing was lost" "$tmp/info" '^lost +(0|none|nothing)'

# Each server was waiting in accept() when the hook came: its first one is not seen.
if grep -q '^probe.tcp_accept ' "$tmp/info"; then
	"$TCPTAPE" dump --csv -e tcp_accept -f "$ours" "$tmp/t.tcptape" | columns rport raddr pid |
		sed 's/ /\//' | sort >"$tmp/accepts"
	is "accepts: the clients' ports" "$(cut -d' ' -f1 "$tmp/accepts" | cksum)" \
		"$(awk '$1 == "connect" && seen[$2]++ { print $3 "/" $2 }' "$tmp/client" | sort | cksum)"
	is "accepts: the servers' processes" "$(cut -d' ' -f2 "$tmp/accepts" | sort | uniq -c | xargs)" \
		"$(printf '%s %s\n%s %s\n' $((n4 - 1)) "$server4" $((n6 - 1)) "$server6" | sort -k2 | xargs)"
else
	echo "(accept() is not recorded on this kernel)"
fi
finish
