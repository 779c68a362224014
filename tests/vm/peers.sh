#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One recording of a mixed load, and what each replaced tool says of the same seconds: keepalive and short
# HTTP, redis, a bulk transfer, a late reader, loss, a listener whose queue is full, refused connects, resets,
# packets that a rule drops, segments that TCP refuses; over IPv4 and IPv6. It ends with a table: tool, our command,
# lines that are the same, lines that only one has, and how many of these docs/replaces.md explains; the rules
# stand here as code, and leave none over. bcc's tools are those of Debian's libbpf-tools, bpftrace's are its own;
# where a tool cannot be had (LMP's), the kernel's counters, or what the load says, stand in for it.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need tcpstates tcpconnect nft
[ -x /host/usr/bin/bpftrace ] || skip "needs the VM with this machine's root: bpftrace, redis"
case $(uname -r) in 5.*) skip "tcpdrop.bt needs drop reasons: Linux 5.17" ;; esac
ports='portrange 18001-18019'

# ---- the load ----

make_namespaces
for ns in "$A" "$B"; do # no packets of their own accord, while the one has counted already and the other has not
	ip netns exec "$ns" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/router_solicitations'
done
join_by_veth
start link "$LINK" "$A" "$B" 10000 10000 15
wait_line link ready
for end in "$A 1" "$B 2"; do
	set -- $end
	ip -n "$1" addr add "10.9.2.$2/24" dev tun0
	ip -n "$1" link set tun0 up
done
serve http4 -m http -a 20000 10.9.0.2 18001
serve http6 -m http -a 20000 fd09::2 18001
serve first6 -m first -s 900 -a 3000 fd09::2 18002
serve reset4 -m reset 10.9.0.2 18004
serve full4 -m never -b 3 10.9.0.2 18005
serve poked 10.9.0.2 18010
reader() { # PORT ADDRESS ARG...
	port=$1 address=$2
	shift 2
	start "reader$port" ip netns exec "$B" "$WRITER" server "$@" "$address" "$port"
	wait_line "reader$port" ready
}
reader 18006 10.9.0.2
reader 18007 fd09::2 -w 100
reader 18008 10.9.2.2
libs=$(ls -d /host/usr/lib/x86_64-linux-gnu /host/usr/lib/llvm-*/lib | tr '\n' ':')
from_host() { # PROGRAM ARG...: in the namespace $ns
	ip netns exec "$ns" env LD_LIBRARY_PATH="${libs%:}" "$@"
}
if [ -x /host/usr/bin/redis-server ]; then
	start redis ip netns exec "$B" env LD_LIBRARY_PATH="${libs%:}" /host/usr/bin/redis-server --port 18003 \
		--bind 10.9.0.2 --save '' --protected-mode no
	wait_line redis 'Ready to accept'
fi
in_a nft -f - <<-EOF_NFT
	add table inet t
	add chain inet t o { type filter hook output priority 0; }
	add rule inet t o tcp dport 18012 counter drop
	EOF_NFT

load() {
	in_a "$LOAD" client "$@" || :
}
run_load() {
	load -m http -n 2 -c 10 10.9.0.2 18001
	load -m http -n 2 -c 10 fd09::2 18001
	load -m http -n 6 10.9.0.2 18001
	load -m first -n 4 -s 900 -a 3000 fd09::2 18002
	ns=$A
	[ ! -x /host/usr/bin/redis-benchmark ] ||
		from_host /host/usr/bin/redis-benchmark -h 10.9.0.2 -p 18003 -n 60 -c 3 -t get,set -q >&2
	load -n 2 -m first 10.9.0.2 18004
	load -n 2 10.9.0.2 18011 # refused
	load -n 1 fd09::2 18011
	load -m hold -n 4 -w 300 10.9.0.2 18005
	in_a "$WRITER" client -s 200000 10.9.0.2 18006 >>"$tmp/wrote"
	in_a "$WRITER" client -s 30000 fd09::2 18007 >>"$tmp/wrote"
	in_a "$WRITER" client -s 60000 10.9.2.2 18008 >>"$tmp/wrote"
	in_a timeout 2 "$LOAD" client 10.9.0.2 18012 || :
	in_a "$SEGMENT" -b -n 7 10.9.0.1 18013 10.9.0.2 18001 # wrong checksum
	in_a "$SEGMENT" -b -n 3 fd09::1 18014 fd09::2 18001
	in_a "$SEGMENT" -o 4 -n 2 10.9.0.1 18015 10.9.0.2 18001 # header of 16 bytes
}

# ---- all of them at once ----

counters_of() { # NETNS: "name value" lines, sorted
	kernel_counters "$1" | sort
}
kernel_counters() {
	ip netns exec "$1" cat /proc/net/snmp /proc/net/netstat | counters
	ip netns exec "$1" awk -F'[: ]+' '$2 == "veth0" {
		print "veth0.rx_bytes", $3; print "veth0.rx_packets", $4
		print "veth0.tx_bytes", $11; print "veth0.tx_packets", $12 }' /proc/net/dev
}
sed -e '/^#ifndef/,/^#endif/d' -e 's/SKB_DROP_REASON_NOT_SPECIFIED/2/' -e 's/AF_INET6/10/g; s/AF_INET/2/g' \
	/host/usr/sbin/tcpdrop.bt >"$tmp/tcpdrop.bt"
bpftrace tcpretrans /host/usr/sbin/tcpretrans.bt
bpftrace tcpdrop "$tmp/tcpdrop.bt"
start tcptop tcptop -C -S -r 10000 1
for tool in tcpconnect 'tcpconnlat -L' tcpstates tcplife tcptracer 'tcpsynbl 1' 'tcprtt -m'; do
	# shellcheck disable=SC2086 # words
	bcc $tool
done
counters_of "$A" >"$tmp/before"
counters_of "$B" >"$tmp/before_b"
record "$tmp/t.tcptape" -e +io
poke() { in_a "$LOAD" client 10.9.0.2 18010; }
bcc_sees tcpconnect ' 18010 *$' poke
bcc_sees tcpconnlat ' 18010 ' poke
bcc_sees tcpstates ' 18010 ' poke
bcc_sees tcplife ' 18010 ' poke
bcc_sees tcptracer ' 18010 *$' poke
bcc_sees tcpsynbl 'backlog_max' poke
probes=/sys/kernel/debug/kprobes/list
check "tcptop is attached" wait_for 30 grep -q tcp_cleanup_rbuf $probes
run_load >"$tmp/client"
poke >"$tmp/last"
port=$(awk '$1 == "connect" { print $3 }' "$tmp/last")
bcc_sees tcptracer "^X .* 18010 $port *\$" true # it has printed what was before
bcc_sees tcpstates " $port .*CLOSE" true
sleep 2 # tcptop's second; buffers
counters_of "$A" >"$tmp/after"
counters_of "$B" >"$tmp/after_b"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
contains "nothing was lost" "$tmp/record.err" ' 0 lost'
for tool in tcpconnect tcpconnlat tcpstates tcplife tcptracer tcpsynbl tcprtt tcptop tcpretrans tcpdrop; do
	stop "$(cat "$tmp/$tool.pid")"
done
show "$tmp/record.err"
[ ! -d /out ] || cp "$tmp"/t.tcptape "$tmp"/*.out "$tmp/client" "$tmp/wrote" "$tmp"/before* "$tmp"/after* /out/

# ---- side by side ----

tape() { # COMMAND ARG...: CSV
	"$TCPTAPE" "$@" -f "$ports and not port 18010" --csv "$tmp/t.tcptape" 2>>"$tmp/notes"
}
is_ours() { # LPORT RPORT columns: rows of the load
	awk -v l="$1" -v r="$2" '
		function is(p) { return p >= 18001 && p <= 18019 }
		(is($l) || is($r)) && $l != 18010 && $r != 18010'
}
: >"$tmp/table"
# $tmp/theirs and $tmp/ours, a line each, are the same ones. EXPLAINED: lines of both that differ as
# docs/replaces.md says, which are left out of these, or were made alike.
side() { # TOOL COMMAND EXPLAINED
	sort "$tmp/theirs" >"$tmp/theirs.sorted"
	sort "$tmp/ours" >"$tmp/ours.sorted"
	diff "$tmp/theirs.sorted" "$tmp/ours.sorted" >"$tmp/diff" || :
	only_theirs=$(grep -c '^<' "$tmp/diff") || :
	only_ours=$(grep -c '^>' "$tmp/diff") || :
	total=$(count <"$tmp/theirs")
	printf '%-14s %-14s %5s %6s %5s %9s\n' "$1" "$2" $((total - only_theirs)) "$only_theirs" "$only_ours" "$3" \
		>>"$tmp/table"
	is "$1: lines that only it, or only tcptape $2 has" "$only_theirs $only_ours" "0 0"
	between "$1: lines that are the same" $((total - only_theirs)) 1 100000
	[ "$only_theirs $only_ours" = "0 0" ] || show "$tmp/diff" | head -20
}

# tcpconnect: each connect that sent a SYN. PID DADDR DPORT
awk 'NF >= 6 && $1 ~ /^[0-9]+$/ { print $1, $(NF - 1), $NF }' "$tmp/tcpconnect.out" | is_ours 3 3 >"$tmp/theirs"
tape connlat | columns pid raddr rport >"$tmp/ours"
side tcpconnect connlat 0

# tcpconnlat: those that were answered, refused ones too, which it does not tell apart. LPORT DADDR DPORT
awk 'NF >= 8 && $1 ~ /^[0-9]+$/ { print $(NF - 3), $(NF - 2), $(NF - 1), $NF }' "$tmp/tcpconnlat.out" |
	is_ours 3 3 | sort >"$tmp/lat.theirs"
tape connlat | columns lport raddr rport lat_ms outcome >"$tmp/all"
awk '$5 == "ok" || $5 == "refused"' "$tmp/all" | sort >"$tmp/lat.ours"
cut -d' ' -f1-3 "$tmp/lat.theirs" >"$tmp/theirs"
cut -d' ' -f1-3 "$tmp/lat.ours" >"$tmp/ours"
side tcpconnlat connlat $(($(count <"$tmp/all") - $(count <"$tmp/ours")))
between "tcpconnlat: largest difference, ms" "$(paste -d' ' "$tmp/lat.theirs" "$tmp/lat.ours" |
	awk '$1 == $5 { d = $4 - $8; if (d < 0) d = -d; if (d > max) max = d } END { print max + 0 }')" 0 1

# tcpstates: LPORT is 0 at CLOSE -> SYN_SENT; at LISTEN -> SYN_RECV the remote end is missing on some kernels
awk 'NF >= 10 && $(NF - 2) == "->" {
	print $(NF - 7), $(NF - 6), $(NF - 5), $(NF - 4), $(NF - 3), $(NF - 1) }' "$tmp/tcpstates.out" |
	is_ours 2 4 >"$tmp/theirs"
bare=$(awk '$5 == "LISTEN" && $6 == "SYN_RECV" && !$4' "$tmp/theirs" | count)
tape states | columns laddr lport raddr rport old_state new_state | awk -v bare="$bare" '
	$5 == "CLOSE" && $6 == "SYN_SENT" { $2 = 0 }
	bare && $5 == "LISTEN" && $6 == "SYN_RECV" { $3 = $1 ~ /:/ ? "::" : "0.0.0.0"; $4 = 0 }
	{ print }' >"$tmp/ours"
side tcpstates states "$(awk '$5 == "CLOSE" && $6 == "SYN_SENT" || $5 == "LISTEN" && $6 == "SYN_RECV" && !$4' "$tmp/ours" | count)"

# tcplife: connections that have ended; those still open tcptape shows too
awk 'NF >= 9 { print $(NF - 6), $(NF - 5), $(NF - 4), $(NF - 3) }' "$tmp/tcplife.out" | is_ours 2 4 >"$tmp/theirs"
tape life | columns laddr lport raddr rport end >"$tmp/all"
awk '$5 != "open" { print $1, $2, $3, $4 }' "$tmp/all" >"$tmp/ours"
side tcplife life "$(grep -c ' open$' "$tmp/all" || :)"

# tcptracer: established connects only. A close that the other end's RST forestalled is the process's own there
awk 'NF == 8 { print $1 == "C" ? "connect" : $1 == "A" ? "accept" : "close", $2, $5, $7, $6, $8 }' \
	"$tmp/tcptracer.out" | is_ours 4 6 >"$tmp/theirs"
tape events | columns type pid laddr lport raddr rport outcome >"$tmp/all"
awk '$1 != "connect" || $7 == "ok"' "$tmp/all" | cut -d' ' -f1-6 >"$tmp/ours"
side tcptracer events $(($(count <"$tmp/all") - $(count <"$tmp/ours")))

# tcpretrans.bt: segments and SYNs; not SYN-ACKs, no tail loss probes. It hangs on tcp_retransmit_skb, so it has
# the SYNs that a rule of this host drops (18012), which is counted here from the load; the tracepoint has not
awk '$1 ~ /^[0-9]+:[0-9]+:[0-9]+$/ && NF == 5 {
	l = r = $3; sub(/:[0-9]+$/, "", l); lp = substr($3, length(l) + 2)
	r = $4; sub(/:[0-9]+$/, "", r); print l, lp, r, substr($4, length(r) + 2), $5
}' "$tmp/tcpretrans.out" | is_ours 2 4 >"$tmp/all"
grep -v ' 18012 SYN_SENT$' "$tmp/all" >"$tmp/theirs"
tape retrans | columns laddr lport raddr rport state cause >"$tmp/all.ours"
awk '$6 != "SYN-ACK" && $6 != "TLP"' "$tmp/all.ours" | cut -d' ' -f1-5 >"$tmp/ours"
side tcpretrans retrans $(($(cat "$tmp/all" "$tmp/all.ours" | count) - $(cat "$tmp/theirs" "$tmp/ours" | count)))

# tcpdrop.bt: packets that carry a socket, with a reason: what is sent, and what lies in a socket's queue, not what
# comes in and is refused. Of a socket that has closed it knows no port of this host any more (a FIN that was left
# in its queue)
awk '
	function end(s,   a) { a = s; sub(/:[0-9]+$/, "", a); return a " " substr(s, length(a) + 2) }
	$1 ~ /^[0-9]+:[0-9]+:[0-9]+$/ && NF >= 6 { print end($(NF - 2)), end($(NF - 1)), $NF }
' "$tmp/tcpdrop.out" | awk '$4 == 18010 { next } $5 == "CLOSE" { $1 = $2 = "-" } { print }' >"$tmp/theirs"
tape life | columns conn laddr lport >"$tmp/ends"
tape drops -a | columns saddr sport daddr dport state reason conn >"$tmp/all"
awk 'NR == FNR { end[$1] = $2 " " $3; next }
	($6 == "QUEUE_PURGE" || end[$7] == $1 " " $2) && $6 != "NOT_SPECIFIED" {
	if ($6 == "QUEUE_PURGE") print ($5 == "CLOSE" ? "- -" : $3 " " $4), $1, $2, $5
	else print $1, $2, $3, $4, $5 }' "$tmp/ends" "$tmp/all" >"$tmp/ours"
side tcpdrop drops $(($(count <"$tmp/all") - $(count <"$tmp/ours")))

# tcptop: it adds up each second, in KiB rounded down; tcptape has bytes. A row that is less than 1 KiB a second off
awk '$1 ~ /^[0-9]+$/ && NF >= 6 {
	l = $(NF - 3); r = $(NF - 2); sub(/.*:/, "", l); sub(/.*:/, "", r)
	k = $1 " " l " " r; rx[k] += $(NF - 1); tx[k] += $NF; n[k]++
} END { for (k in rx) print k, rx[k], tx[k], n[k] }' "$tmp/tcptop.out" | is_ours 2 3 >"$tmp/top"
tape top | columns pid lport rport rx_bytes tx_bytes | awk '$4 + $5 > 0' >"$tmp/top.ours"
awk 'NR == FNR { rx[$1 " " $2 " " $3] = $4; tx[$1 " " $2 " " $3] = $5; next }
	{ k = $1 " " $2 " " $3
		if (!(k in rx)) { print k, "none"; next }
		d = rx[k] / 1024 - $4; e = tx[k] / 1024 - $5
		print k, (d < 0 || d > $6 || e < 0 || e > $6) ? "differs" : "same" }' \
	"$tmp/top.ours" "$tmp/top" >"$tmp/theirs"
awk '{ print $1, $2, $3, "same" }' "$tmp/top.ours" >"$tmp/ours"
side tcptop top 0

# tcpsynbl: a histogram a limit, tcptape one a listener. LIMIT LOW HIGH COUNT
sums() {
	awk '/(limit|backlog_max =) [0-9]+$/ { limit = $NF }
		$2 == "->" { n[limit " " $1 " " $3] += $5 }
		END { for (k in n) if (n[k]) print k, n[k] }' "$1" | sort -n
}
"$TCPTAPE" listen --hist -f 'port 18005' "$tmp/t.tcptape" >"$tmp/listen"
sums "$tmp/listen" >"$tmp/ours"
sums "$tmp/tcpsynbl.out" | grep '^3 ' >"$tmp/theirs"
side tcpsynbl 'listen --hist' 0

# tcprtt: smoothed, before the ACK, for each packet that an established socket receives: more of them, one late. So
# pictures are compared, not lines: the same smallest and largest occupied bucket, in ms
"$TCPTAPE" rtt -m "$tmp/t.tcptape" >"$tmp/rtt"
occupied() { awk '$2 == "->" && $5 > 0 { if (!n++) low = $1; high = $3; sum += $5 } END { print low, high, sum }' "$1"; }
# it prints when it ends, one picture
theirs=$(occupied "$tmp/tcprtt.out") ours=$(occupied "$tmp/rtt")
printf '%-14s %-14s %s\n' tcprtt 'rtt -m' "ms from, to, samples: $theirs; ours $ours" >>"$tmp/table"
between "tcprtt: samples, not more than it has" "${ours##* }" 100 "${theirs##* }"
is "tcprtt: smallest bucket" "${theirs%% *}" "${ours%% *}"
is "tcprtt: largest bucket" "$(echo "$theirs" | cut -d' ' -f2)" "$(echo "$ours" | cut -d' ' -f2)"

# LMP's tools: the kernel's own counters of the same seconds. tcp_inerrs, tcp_connection, tcp_bytes, nic_throughput
rise() { # COUNTER OF-B: in A unless told
	join "$tmp/before$2" "$tmp/after$2" | awk -v k="$1" '$1 == k { print $3 - $2 }'
}
counter() { # TOOL COMMAND WHAT OURS THEIRS
	theirs=$5
	printf '%-14s %-14s %s\n' "$1" "$2" "$3: $theirs; ours $4" >>"$tmp/table"
	is "$1: $3, and the kernel's" "$4" "$theirs"
}
at_a="net 10.9.0.0/16 or net fd09::/64" # of $A, whose addresses end in .1 or ::1
ours() { # COMMAND COLUMN...: rows of $A
	command=$1
	shift
	"$TCPTAPE" "$command" --csv -f "$at_a" "$tmp/t.tcptape" 2>>"$tmp/notes" | columns laddr "$@" |
		grep -E '^[^ ]*[.:]1 ' | cut -d' ' -f2-
}
# what the kernel counts is each try; those that failed (a rule drops them) it counts again, apart
counter '' retrans 'RetransSegs - TCPRetransFail' \
	"$(ours retrans cause segs | awk '$1 != "SYN-ACK" { n += $2 } END { print n + 0 }')" \
	$(($(rise RetransSegs '') - $(rise TCPRetransFail '')))
"$TCPTAPE" inerrs --csv -f 'dst port 18001' "$tmp/t.tcptape" 2>>"$tmp/notes" | columns ip wrong | sort | uniq -c |
	awk '{ print $1, $2, $3 }' >"$tmp/inerrs"
is "tcp_inerrs: what was sent" "$(tr '\n' ';' <"$tmp/inerrs")" '7 4 checksum;2 4 header;3 6 checksum;'
counter tcp_inerrs inerrs InErrs "$(awk '{ n += $1 } END { print n + 0 }' "$tmp/inerrs")" "$(rise InErrs _b)"
counter tcp_connection connlat ActiveOpens "$(ours connlat outcome | count)" "$(rise ActiveOpens '')"
netns_a=$(stat -Lc %i "/run/netns/$A")
"$TCPTAPE" nic --csv "$tmp/t.tcptape" 2>>"$tmp/notes" | columns netns iface direction bytes skbs |
	sed -n "s/^$netns_a veth0 //p" >"$tmp/nic"
for way in tx rx; do
	for what in bytes packets; do
		counter nic_throughput nic veth0.${way}_$what "$(awk -v d=$way -v c=$([ $what = bytes ] && echo 2 || echo 3) \
			'$1 == d { print $c }' "$tmp/nic")" "$(rise veth0.${way}_$what '')"
	done
done
# the load's own word: wrote LPORT WRITES BYTES
grep '^wrote' "$tmp/wrote" | awk '{ print $2, $3 * $4 }' | sort >"$tmp/theirs"
"$TCPTAPE" top --csv -f 'portrange 18006-18008' "$tmp/t.tcptape" | columns lport rport tx_bytes |
	awk '$2 >= 18006 && $2 <= 18008 { print $1, $3 }' >"$tmp/ours"
side tcp_bytes top 0

echo
printf '%-14s %-14s %5s %6s %5s %9s\n' TOOL tcptape SAME THEIRS OURS EXPLAINED
cat "$tmp/table"
[ ! -d /out ] || cp "$tmp/table" /out/
finish
