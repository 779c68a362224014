#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two doors by which few drivers hand packets over: napi_gro_frags (here a tap interface that has the
# payload in pages), netif_receive_skb_list (an XDP program that lets live frames pass). Each SYN is seen
# there once, with its own ends and length, ahead of the layers that follow; ftrace counts the door's
# own tracepoint in the same seconds.
# proves: rx
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${DOORS=$build/tests/doors}"
need_recorder
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"

make_namespaces
mkdir -p "$tmp/mnt"
mount -t tracefs tracefs "$tmp/mnt" || skip "there is no tracefs"
unheard=$tmp/mnt/instances/tcptape$$
mkdir "$unheard"
for event in napi_gro_frags_entry netif_receive_skb_list_entry; do
	echo 1 >"$unheard/events/net/$event/enable"
done

try() { # MODE TRACEPOINT NETNS
	echo >"$unheard/trace"
	record "$tmp/$1.tcptape" -e rx,tx
	status=0
	ip netns exec "$3" "$DOORS" "$1" 20 17441 >"$tmp/$1.sent" || status=$?
	if [ "$status" = 77 ]; then
		echo "(not tried: $(cat "$tmp/$1.sent"))"
		stop "$(cat "$tmp/record.pid")"
		return 0
	fi
	is "$1: what was sent" "$(cat "$tmp/$1.sent")" "sent 20"
	stop "$(cat "$tmp/record.pid")"
	is "$1: the recorder ends with" "$status" 0
	is "$1: packets that ftrace saw at the door" "$(grep -c "$2: dev=door0 " "$unheard/trace")" 20
	# TIME EVENT.LAYER NETNS SRC SPORT DST DPORT SEQ ACK PAYLOAD SEGS FLAGS COOKIE
	packets "$tmp/$1.tcptape" | awk '$7 == 17441 && $4 == "10.9.1.9"' >"$tmp/packets"
	cut -d' ' -f2 "$tmp/packets" | sort | uniq -c
	is "$1: at the door, each once" "$(awk '$2 == "rx.driver" { print $5, $6, $8, $10 }' "$tmp/packets" |
		sort -u | awk '$2 == "10.9.1.1" && $3 == 5000 && $4 == 10' | count) $(
			grep -c ' rx.driver ' "$tmp/packets")" "20 20"
	is "$1: the same ahead of the next layer" "$(awk '
		$2 == "rx.driver" { at[$5] = $1 }
		$2 == "rx.mac" && at[$5] && at[$5] <= $1 { n++ }
		END { print n + 0 }' "$tmp/packets")" 20
}
try frags napi_gro_frags_entry "$A"
try list netif_receive_skb_list_entry "$B"
finish
