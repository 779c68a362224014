#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -f in the kernel and -f of the analyzer choose the same: one recorder without a filter, several
# with one, at the same time; of each event that has a connection or a packet, the filtered file has
# those that the analyzer finds in the whole one. IPv4, IPv6, IPv4 on an IPv6 socket; refused,
# reset, closed by either end; --netns; and by a local port that the kernel has yet to choose.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
"$TCPTAPE_RECORD" -f ip --version >/dev/null 2>"$tmp/err" || skip "$(cat "$tmp/err")"
port=$((20000 + $$ % 1000 * 10)) # another run of this test has the same addresses
q=$((port + 1)) r=$((port + 2)) s=$((port + 3)) closed=$((port + 4)) last=$((port + 9))

make_namespaces
join_by_veth
in_a sysctl -qw net.ipv4.ip_local_port_range='41000 41031'
serve v4 -f -a 3000 10.9.0.2 $port
serve mapped :: $q
serve v6 fd09::2 $r
serve reset -m reset 10.9.0.2 $s
start held ip netns exec "$A" "$LOAD" client -v -w 600000 10.9.0.2 $port # older than the recordings
held=$pid
wait_line held "^exchange"

cat >"$tmp/filters" <<EOF_FILTERS
host 10.9.0.1 and port $port
net fd09::/64 and portrange $port-$last
portrange $port-$last and not portrange $q-$r
ip and (port $q or port $closed)
src host 10.9.0.2 and src port $s or src fd09::1 and dst port $r
portrange $port-$last and portrange 41000-41015
EOF_FILTERS
groups=conn,rtt,drop,retrans,reset,rx,tx,io
recorders=''
n=0
while read -r filter; do
	n=$((n + 1))
	start "record$n" "$TCPTAPE_RECORD" -o "$tmp/$n.tcptape" -e $groups -f "$filter"
	recorders="$recorders $pid"
done <"$tmp/filters"
start recordnetns "$TCPTAPE_RECORD" -o "$tmp/netns.tcptape" -e $groups --netns "/run/netns/$A"
recorders="$recorders $pid"
# the rest of the machine is in this one
record "$tmp/all.tcptape" -e $groups --buffer 64M --no-snapshot
recorders="$pid $recorders"
for i in netns $(seq $n); do wait_recording "$tmp/$i.tcptape"; done

client() { in_a "$LOAD" client "$@" >>"$tmp/client"; }
client -n 3 -c 3 -a 3000 10.9.0.2 $port
client -n 3 -c 2 10.9.0.2 $q
client -n 2 fd09::2 $q
client -n 3 -c 2 fd09::2 $r
client -n 2 -m reset fd09::2 $r
client -n 2 -m first 10.9.0.2 $s
client -n 2 10.9.0.2 $closed
client -n 1 fd09::2 $closed
sleep 0.5
stop "$held" TERM
sleep 0.3
for recorder in $recorders; do
	stop "$recorder"
	is "a recorder ends with" "$status" 0
done
for i in '' netns $(seq $n); do
	contains "nothing was lost" "$tmp/record$i.err" ' 0 lost'
done

only() { grep "\"event\":\"$1\"" "$2" | sort; } # EVENT EVENTS

numbered=$("$TCPTAPE" info -v "$tmp/all.tcptape" | grep '^identity .*numbers given' || :)
total=0
n=0
while read -r filter; do
	n=$((n + 1))
	if [ -n "$numbered" ] && [ "${filter#*41000}" != "$filter" ]; then
		echo "(by the local port: starts of other connections may be taken for it before Linux 5.12)"
		continue
	fi
	comparable "$tmp/all.tcptape" -f "$filter" >"$tmp/whole.all"
	comparable "$tmp/$n.tcptape" | grep -v '"layer":"sent"' >"$tmp/part.all" || :
	for event in tcp_state tcp_facts tcp_destroy tcp_accept connect_error rtt drop reset rx rx_copy tx \
		tx_write io_send io_recv; do
		only $event "$tmp/whole.all" >"$tmp/whole"
		only $event "$tmp/part.all" >"$tmp/part"
		check "$filter: $event ($(wc -l <"$tmp/whole"))" cmp -s "$tmp/whole" "$tmp/part"
		cmp -s "$tmp/whole" "$tmp/part" || diff "$tmp/whole" "$tmp/part" | head -2 | cut -c1-400
		total=$((total + $(wc -l <"$tmp/whole")))
	done
done <"$tmp/filters"
between "events compared" "$total" 500 1000000

# --netns: of sockets those of one namespace, whoever else has the same ports
inode=$(stat -Lc %i "/run/netns/$A")
comparable "$tmp/all.tcptape" -f "portrange $port-$last" | grep "\"netns\":$inode" >"$tmp/whole.all"
comparable "$tmp/netns.tcptape" -f "portrange $port-$last" >"$tmp/part.all"
for event in tcp_state tcp_destroy rtt io_send rx tx; do
	only $event "$tmp/whole.all" >"$tmp/whole"
	only $event "$tmp/part.all" >"$tmp/part"
	check "--netns: $event ($(wc -l <"$tmp/whole"))" cmp -s "$tmp/whole" "$tmp/part"
	cmp -s "$tmp/whole" "$tmp/part" || diff "$tmp/whole" "$tmp/part" | head -2 | cut -c1-400
done

"$TCPTAPE" info "$tmp/1.tcptape" >"$tmp/info"
contains "info shows the filter" "$tmp/info" "^option.filter +host 10.9.0.1 and port $port\$"
"$TCPTAPE" connlat "$tmp/1.tcptape" >/dev/null 2>"$tmp/note"
contains "a note says so" "$tmp/note" "recorded with -f 'host 10.9.0.1 and port $port'"

# one that takes all, which libpcap makes a single instruction of
"$TCPTAPE_RECORD" -o "$tmp/every.tcptape" -d 0.2 -e conn -f 'port 1 or not port 1' 2>"$tmp/err"
is "-f that takes all: programs that the kernel refuses" "$(grep -c 'not load' "$tmp/err" || :)" 0

# what is refused, and by which name
for netns in /dev/null /proc/self/ns/mnt 4194304; do
	status=0
	"$TCPTAPE_RECORD" -o "$tmp/no.tcptape" --netns $netns 2>"$tmp/err" || status=$?
	is "--netns $netns exits with" "$status" 2
	contains "and says why" "$tmp/err" 'no network namespace|no such process'
done
for words in 'tcp[13]' len udp 'host localhost'; do
	status=0
	"$TCPTAPE_RECORD" -o "$tmp/no.tcptape" -f "$words" 2>"$tmp/err" || status=$?
	is "-f '$words' exits with" "$status" 2
	contains "and is named" "$tmp/err" "'$(printf %s "${words#host }" | sed 's,\[,\\[,')'"
done
finish
