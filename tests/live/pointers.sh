#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --pointers: the kernel's addresses of sockets and packets. Of one packet they are the same from layer
# to layer, through a veth too, which hands its buffer on as it is; a packet that is read, or dropped, is the one that
# came in; all events of a socket have one address. Where the kernel shows the addresses of sockets
# (/proc/net/tcp, kptr_restrict 1), they are these. Without the option none is in the file, nor after anonymize.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
port=17841 bulk=17842 closed=17843

make_namespaces
join_by_veth
serve ping -s 100 -a 300 10.9.0.2 $port
serve bulk -s 100 -a 150000 fd09::2 $bulk
[ -z "${TCPTAPE_VM:-}" ] || echo 1 >/proc/sys/kernel/kptr_restrict # as a VM is ours
traffic() {
	in_a "$LOAD" client -n 3 -c 5 -s 100 -a 300 10.9.0.2 $port >/dev/null
	in_a "$LOAD" client -c 2 -s 100 -a 150000 fd09::2 $bulk >/dev/null
	in_a "$LOAD" client -n 2 10.9.0.2 $closed >/dev/null || :
}
record_traffic() { # NAME ARG...
	how=$1
	shift
	record "$tmp/$how.tcptape" -e +rx,+tx -f 'portrange 17841-17843' "$@"
	traffic
	stop "$(cat "$tmp/record.pid")"
	is "$how: the recorder ends with" "$status" 0
	contains "nothing is lost" "$tmp/record.err" ', 0 lost'
	"$TCPTAPE" dump --json "$tmp/$how.tcptape" | grep '"event"' >"$tmp/$how"
}
record_traffic with --pointers
record_traffic without

# ---- without the option ----
check "events without it" [ "$(grep -c '"event":"rx"' "$tmp/without")" -gt 50 ]
is "addresses without it" "$(grep -cE '"(skb|skaddr)"|0xff[0-9a-f]{14}' "$tmp/without" || :)" 0
"$TCPTAPE" info -v "$tmp/without.tcptape" >"$tmp/info"
is "and nothing says so" "$(grep -c '^pointers' "$tmp/info" || :)" 0

# ---- with it ----
"$TCPTAPE" info "$tmp/with.tcptape" >"$tmp/info"
contains "info says that there are addresses" "$tmp/info" '^pointers +kernel addresses'
is "what is no address" "$(sed -n 's/.*"skb":"\([^"]*\)".*/\1/p; s/.*"skaddr":"\([^"]*\)".*/\1/p' "$tmp/with" |
	grep -vxcE '0x0|0xff[0-9a-f]{14}' || :)" 0
for event in rx tx rx_copy tx_write drop; do
	all=$(grep -c "\"event\":\"$event\"" "$tmp/with")
	is "events $event with the field, of $all" "$(grep "\"event\":\"$event\"" "$tmp/with" | grep -c '"skb":"0x')" "$all"
done
is "packets without an address" "$(grep -E '"event":"(rx|tx|rx_copy|drop)"' "$tmp/with" |
	grep -vE '"layer":"(done|queue)"' | grep -c '"skb":"0x0"' || :)" 0

# one line a packet at a layer: EVENT.LAYER NETNS SRC SPORT DST DPORT SEQ PAYLOAD FLAGS SKB
a=$(stat -Lc %i "/run/netns/$A") b=$(stat -Lc %i "/run/netns/$B")
awk -v a="$a" -v b="$b" "$awk_of"'
	(at = index($0, "\"packet\":{")) {
		p = substr($0, at)
		netns = of(p, "netns")
		rest = substr(p, index(p, "}"))
		netns = of(rest, "netns")
		if (netns != a && netns != b) next
		l = of(p, "laddr") " " of(p, "lport")
		r = of(p, "raddr") " " of(p, "rport")
		ev = of($0, "event")
		print ev "." of(rest, "layer"), netns == a ? "A" : "B", ev == "rx" ? r " " l : l " " r,
			of(p, "seq"), of(p, "payload"), of(p, "tcp_flags"), of(rest, "skb")
	}' "$tmp/with" >"$tmp/packets"
same() { # FROM TO: packets that both layers have (the first time); of these with another address there
	awk -v from="$1" -v to="$2" '
		{ key = $3 " " $4 " " $5 " " $6 " " $7 " " $8 " " $9 }
		$1 == from && !(key in skb) { skb[key] = $10 }
		$1 == to && (key in skb) && !(key in seen) { seen[key] = 1; n++; other += $10 != skb[key] }
		END { print (n > 20 ? "some" : n + 0), other + 0 }' "$tmp/packets"
}
is "qdisc to driver" "$(same tx.qdisc tx.driver)" "some 0"
is "through the veth" "$(same tx.driver rx.driver)" "some 0"
is "driver to mac" "$(same rx.driver rx.mac)" "some 0"
if grep -q '^tx.output' "$tmp/packets"; then is "output to qdisc" "$(same tx.output tx.qdisc)" "some 0"; fi
if grep -q '^rx.ip' "$tmp/packets"; then is "mac to ip" "$(same rx.mac rx.ip)" "some 0"; fi
if grep -q '^rx.tcp' "$tmp/packets"; then is "mac to tcp" "$(same rx.mac rx.tcp)" "some 0"; fi
between "different packets that have one address at a time" \
	"$(awk '$1 == "tx.qdisc" { print $10 }' "$tmp/packets" | sort -u | count)" 2 100000

# of an exchange one packet is in the queue at a time: what is copied is what came
awk -v port=$port "$awk_of"'
	{ p = index($0, "\"packet\":{") ? substr($0, index($0, "\"packet\":{")) : "" }
	of($0, "event") == "rx" && of(p, "payload") > 0 && of(substr(p, index(p, "}")), "layer") == "mac" {
		skb[of(p, "rport") " " of(p, "lport") " " of(p, "seq")] = of($0, "skb")
	}
	of($0, "event") == "rx_copy" && (of($0, "lport") == port || of($0, "rport") == port) {
		key = of($0, "rport") " " of($0, "lport") " " of($0, "seq")
		n++
		other += of($0, "skb") != skb[key]
	}
	END { print n + 0, other + 0 }' "$tmp/with" >"$tmp/copied"
is "packets read; other ones than came" "$(cat "$tmp/copied")" "30 0"

# what is dropped, too
awk -v closed=$closed "$awk_of"'
	{ p = index($0, "\"packet\":{") ? substr($0, index($0, "\"packet\":{")) : "" }
	of($0, "event") == "rx" && of(p, "lport") == closed { skb[of(p, "rport")] = of($0, "skb") }
	of($0, "event") == "drop" && of($0, "rport") == closed {
		n++
		other += of($0, "skb") != skb[of($0, "lport")]
	}
	END { print n + 0, other + 0 }' "$tmp/with" >"$tmp/dropped"
is "SYNs to a closed port, dropped; other packets than came" "$(cat "$tmp/dropped")" "2 0"

# ---- sockets ----
awk "$awk_of"'
	(c = of($0, "cookie")) != "-" && c != 0 { print c, of($0, "skaddr") }' "$tmp/with" |
	grep -v ' -$' | sort -u >"$tmp/socks"
between "sockets" "$(cut -d' ' -f1 "$tmp/socks" | sort -u | count)" 8 10000
is "sockets with several addresses" "$(cut -d' ' -f1 "$tmp/socks" | uniq -d | count)" 0
if [ "$(cat /proc/sys/kernel/kptr_restrict)" = 1 ]; then # the sockets that listen
	for file in tcp tcp6; do
		in_b cat /proc/net/$file
	done | awk '$4 == "0A" { for (i = 5; i <= NF; i++) if ($i ~ /^ff[0-9a-f]*$/) print "0x" $i }' |
		sort >"$tmp/shown"
	grep '"snap_sock"' "$tmp/with" | grep '"LISTEN"' | awk -v b="$b" "$awk_of"'
		of($0, "netns") == b { print of($0, "skaddr") }' | sort >"$tmp/listed"
	[ ! -s "$tmp/shown" ] || check "listeners: $(count <"$tmp/shown") addresses as the kernel shows them" \
		cmp -s "$tmp/shown" "$tmp/listed"
fi

# ---- giving it away ----
"$TCPTAPE" anonymize --check "$tmp/with.tcptape" >"$tmp/check"
for field in sock.skaddr rx.skb tx.skb rx_copy.skb drop.skb; do
	contains "--check lists $field" "$tmp/check" "^$field +[0-9]+ \(a kernel address\)"
done
"$TCPTAPE" anonymize -o "$tmp/anon.tcptape" "$tmp/with.tcptape"
"$TCPTAPE" dump --json "$tmp/anon.tcptape" >"$tmp/anon"
check "anonymized: the events are there" [ "$(grep -c '"event":"rx"' "$tmp/anon")" -gt 50 ]
is "but no address" "$(grep -cE '"(skb|skaddr)"|0xff[0-9a-f]{14}' "$tmp/anon" || :)" 0
"$TCPTAPE" anonymize --check "$tmp/anon.tcptape" >"$tmp/check"
is "nor says --check that there is" "$(grep -c 'kernel address' "$tmp/check" || :)" 0
"$TCPTAPE" cut -o "$tmp/cut.tcptape" -f "port $port" "$tmp/with.tcptape"
check "a part of it keeps them" [ "$("$TCPTAPE" dump --json -e rx "$tmp/cut.tcptape" | grep -c '"skb":"0xff')" -gt 20 ]
"$TCPTAPE" merge -o "$tmp/merged.tcptape" "$tmp/with.tcptape" "$tmp/without.tcptape"
"$TCPTAPE" dump --json "$tmp/merged.tcptape" >"$tmp/merged"
is "merged: the events are there" "$(grep -c '"event":"rx"' "$tmp/merged")" "$(cat "$tmp/with" "$tmp/without" | grep -c '"event":"rx"')"
is "but no address" "$(grep -cE '"(skb|skaddr)"|0xff[0-9a-f]{14}' "$tmp/merged" || :)" 0
finish
