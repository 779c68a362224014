#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The facts of connections, at both ends: congestion control, MSS, path MTU, options, ECN, window
# scales, buffers. ss is the truth, asked while they live. One is older than the recording; of one
# the path MTU changes on the way.
# proves: tcp_facts
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need ss

make_namespaces
join_by_veth
sysctl_in() { # NAMESPACE NAME VALUE
	ip netns exec "$1" sh -c "echo '$3' >/proc/sys/net/ipv4/$2"
}
sysctl_in "$B" tcp_ecn 1
route() { # OPTION...: to B's IPv4 address
	ip -n "$A" route replace 10.9.0.2/32 dev veth0 "$@"
}
serve early4 10.9.0.2 17401
serve plain4 10.9.0.2 17402
serve poor6 fd09::2 17403
serve slow4 -w 300 10.9.0.2 17404
hold() { # NAME ADDR PORT ARG...: a connection of which all data has passed, and that stays
	name=$1 to=$2 port=$3
	shift 3
	start "$name" ip netns exec "$A" "$LOAD" client -v "$@" "$to" "$port"
	wait_line "$name" '^exchange'
}

sysctl_in "$A" tcp_ecn 1
hold early 10.9.0.2 17401 -w 60000
early=$pid
record "$tmp/t.tcptape" -e conn
route congctl reno advmss 1000 mtu 1300
hold plain 10.9.0.2 17402 -w 60000
plain=$pid
sysctl_in "$A" tcp_ecn 0
for name in tcp_timestamps tcp_sack tcp_window_scaling; do sysctl_in "$A" $name 0; done
hold poor fd09::2 17403 -w 60000
poor=$pid
for name in tcp_timestamps tcp_sack tcp_window_scaling; do sysctl_in "$A" $name 1; done
route mtu 1400
hold changed 10.9.0.2 17404 -c 100000
changed=$pid
before=$(ip netns exec "$A" ss -tinH 'dport = 17404' | grep -o 'pmtu:[0-9]*')
route mtu 1200
has_pmtu() { ip netns exec "$A" ss -tinH 'dport = 17404' | grep -q 'pmtu:1200 '; }
check "the kernel takes the new MTU" wait_for 10 has_pmtu

# One line a socket: "LPORT cc mss pmtu advmss rcvmss snd,rcv options rcvbuf sndbuf"
in_ss() { # NAMESPACE
	ip netns exec "$1" ss -tinmoOH state established | awk '{
		n = split($3, local, ":")
		options = ""; cc = "-"; wscale = "0,0"
		for (i = 5; i <= NF; i++) {
			if ($i ~ /^(ts|sack|ecn)$/) options = options $i ","
			if ($i ~ /^skmem:/) {
				split($i, m, /[(),]/)
				for (k in m) {
					if (m[k] ~ /^rb/) rb = substr(m[k], 3)
					if (m[k] ~ /^tb/) tb = substr(m[k], 3)
				}
				cc_at = i + 1
			}
			split($i, v, ":")
			if (v[1] == "mss" || v[1] == "pmtu" || v[1] == "advmss" || v[1] == "rcvmss")
				f[v[1]] = v[2]
			if (v[1] == "wscale") wscale = v[2]
		}
		for (i = cc_at; i <= NF; i++) if ($i !~ /^(ts|sack|ecn|ecnseen|fastopen)$/) { cc = $i; break }
		print local[n], cc, f["mss"], f["pmtu"], f["advmss"], f["rcvmss"], wscale, options, rb, tb
	}' | sort
}
in_ss "$A" >"$tmp/ss.a"
in_ss "$B" >"$tmp/ss.b"
show "$tmp/ss.a"
for p in $early $plain $poor $changed; do stop "$p" TERM; done
is_gone() { [ -z "$(ip netns exec "$1" ss -tnaH exclude listening exclude time-wait)" ]; }
check "all are closed" wait_for 10 is_gone "$A"
check "all are closed" wait_for 10 is_gone "$B"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
"$TCPTAPE" dump --json "$tmp/t.tcptape" >"$tmp/dump"

# The same line, from the record that holds the facts.
port() { awk '$1 == "connect" { print $3 }' "$tmp/$1.out"; }
facts() { # RECORD LPORT RPORT
	grep "\"$1\"" "$tmp/dump" | grep "\"lport\":$2," | grep "\"rport\":$3[,}]" |
		sed 's/[{}"]//g' | awk -v port="$2" '{
		n = split($0, part, ",")
		for (i = 1; i <= n; i++) { k = split(part[i], v, ":"); f[v[k - 1]] = v[k] }
		o = f["options"]
		options = (o % 2 ? "ts," : "") (int(o / 2) % 2 ? "sack," : "") (f["ecn"] % 2 ? "ecn," : "")
		wscale = int(o / 4) % 2 ? f["snd_wscale"] "," f["rcv_wscale"] : "0,0"
		print port, f["cc"], f["mss"], f["pmtu"], f["advmss"], f["rcv_mss"], wscale, options,
			f["rcvbuf"], f["sndbuf"]
	}'
}
ss_line() { # END LPORT
	[ "$1" = a ] && awk -v p="$2" '$1 == p' "$tmp/ss.a" || awk -v p="$2" '$1 == p' "$tmp/ss.b"
}
for name in early plain poor; do
	case $name in early) server=17401 record=snap_sock ;; plain) server=17402 record=tcp_facts ;;
	poor) server=17403 record=tcp_facts ;; esac
	client=$(port $name)
	for end in "a $client $server" "b $server $client"; do
		# shellcheck disable=SC2086 # three words
		set -- $end
		fields=1-8
		[ $record = tcp_facts ] || fields=1-10
		truth=$(ss_line "$1" "$2")
		got=$(facts $record "$2" "$3")
		# the estimate of the peer's segments and the buffers move on after the handshake
		[ $record = snap_sock ] || {
			truth=$(echo "$truth" | cut -d' ' -f1-5,7-8)
			got=$(echo "$got" | cut -d' ' -f1-5,7-8)
		}
		is "$name, $record at $1" "$(echo "$got" | cut -d' ' -f$fields)" \
			"$(echo "$truth" | cut -d' ' -f$fields)"
		is "$name, at the end at $1: cc mss pmtu rcvmss buffers" \
			"$(facts tcp_destroy "$2" "$3" | cut -d' ' -f2-4,6,9-10)" \
			"$(ss_line "$1" "$2" | cut -d' ' -f2-4,6,9-10)"
	done
done
contains "the route's congestion control was used" "$tmp/ss.a" ' reno 1248 1300 '
contains "a connection without options" "$tmp/ss.a" ' 0,0  '

"$TCPTAPE" life --csv -f 'port 17404 and src host 10.9.0.1' "$tmp/t.tcptape" >"$tmp/life"
is "path MTU before it changed" \
	"pmtu:$(columns lport pmtu_start <"$tmp/life" | awk '$1 != 17404 { print $2 }')" "$before"
is "path MTU and MSS at the end" \
	"$(columns lport pmtu mss <"$tmp/life" | awk '$1 != 17404 { print $2, $3 }')" "1200 1148"
"$TCPTAPE" life -F -f 'port 17404' "$tmp/t.tcptape" >"$tmp/text"
contains "the text says both" "$tmp/text" '1348>1148 +1400>1200 +ts sack wscale'
finish
