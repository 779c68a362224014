#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The facts of sample-traces/README.md, which come from the scenarios, not from tcptape's output.
# mends: syns-sent-again-unseen
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
traces=$(dirname "$0")/../../sample-traces
[ -f "$traces/ipv6.tcptape" ] || skip "there is no sample trace"

tcptape() { # TRACE COMMAND...
	trace=$traces/$1.tcptape
	shift
	"$TCPTAPE" "$@" --csv "$trace"
}
outside() { # LOW HIGH < numbers: how many
	awk -v l="$1" -v h="$2" '$1 < l || $1 > h' | count
}
connects() { # TRACE: how many of each outcome
	tcptape "$1" connlat | columns outcome | sort | uniq -c | awk '{ printf "%s%s %s", s, $1, $2; s = ", " }'
}
ends() { # TRACE PORT: how the connections of the clients of that port ended
	tcptape "$1" life | columns rport end | awk -v p="$2" '$1 == p { print $2 }' | sort | uniq -c |
		awk '{ printf "%s%s %s", s, $1, $2; s = ", " }'
}
# N exchanges give 2N + 4 samples: on either side the handshake, N, and the FIN
samples() { # TRACE: raw ones
	tcptape "$1" rtt --raw --each | columns rtt_us
}

t=listener-never-accepts
is "$t: connects" "$(connects $t)" "10 ok"
is "$t: connects not of 10 ms" \
	"$(tcptape $t connlat | columns lat_ms | outside 10 10.2)" 0
is "$t: connections that the listener had room for, backlog 5 and one more" \
	"$(tcptape $t states | columns lport new_state | grep -c '^8080 ESTABLISHED')" 6
is "$t: clients' connections" "$(tcptape $t life | columns rport | grep -c 8080)" 10

t=listen-overflow
is "$t: longest accept queue, limit, children, overflows, drops" \
	"$(tcptape $t listen | columns lport max_accept_queue limit children overflows drops |
		sed -n 's/^8080 //p')" "6 5 6 4 8"
is "$t: the kernel's overflows, and those recorded" \
	"$(tcptape $t info --counters | columns counter kernel recorded |
		sed -n 's/^TcpExt.ListenOverflows //p')" "4 4"
is "$t: the kernel's drops" "$(tcptape $t info --counters | columns counter kernel |
	sed -n 's/^TcpExt.ListenDrops //p')" 8

t=client-closes-first
is "$t: connects" "$(connects $t)" "5 ok"
is "$t: how they ended, for the clients" "$(ends $t 8080)" "5 local-close"
is "$t: bytes of the clients" \
	"$(tcptape $t life | columns rport tx_bytes rx_bytes | grep '^8080' | sort -u)" "8080 800 4000"
is "$t: samples" "$(samples $t | count)" $((5 * (2 * 4 + 4)))
is "$t: samples not of 10 ms" "$(samples $t | outside 10000 10200)" 0

t=server-closes-first
is "$t: connects" "$(connects $t)" "5 ok, 1 refused"
is "$t: how they ended, for the clients" "$(ends $t 8080)" "5 remote-close"
is "$t: bytes of the clients" \
	"$(tcptape $t life | columns rport tx_bytes rx_bytes | grep '^8080' | sort -u)" "8080 200 1000"
is "$t: samples" "$(samples $t | count)" $((5 * (2 * 1 + 4)))
is "$t: samples not of 10 ms" "$(samples $t | outside 10000 10200)" 0

t=http-20ms
is "$t: connects: wrk's 4, and one by which it looks whether there is a server" \
	"$(connects $t)" "5 ok"
is "$t: connects not of 20 ms" "$(tcptape $t connlat | columns lat_ms | outside 20 20.2)" 0
between "$t: median of samples, us" "$(samples $t | median)" 20000 20200

t=ipv6
is "$t: connects" "$(connects $t)" "3 ok, 1 refused"
is "$t: how they ended, for clients of 8080" "$(ends $t 8080)" "2 local-close"
is "$t: and of 8081" "$(ends $t 8081)" "1 remote-close"
is "$t: samples" "$(samples $t | count)" $((2 * (2 * 5 + 4) + 2 * 1 + 4))
is "$t: samples not of 10 ms" "$(samples $t | outside 10000 10200)" 0
is "$t: addresses" "$(tcptape $t states | columns laddr | sort -u | tr '\n' ' ')" "fd09::1 fd09::2 "
t=drops
by() { tcptape drops "$1" | columns "$2" | sort | uniq -c | awk '{ printf "%s%s %s", s, $1, $2; s = ", " }'; }
is "$t: reasons" "$(by $t reason)" \
	"7 NETFILTER_DROP, 5 NO_SOCKET, 2 PKT_TOO_SMALL, 6 QDISC_DROP, 6 TCP_CSUM, 3 TCP_INVALID_SEQUENCE, 3 TCP_OLD_SEQUENCE"
is "$t: segments refused" "$(tcptape $t inerrs | columns wrong | sort | uniq -c |
	awk '{ printf "%s%s %s", s, $1, $2; s = ", " }')" "6 checksum, 2 header, 6 sequence"
is "$t: owners" "$(tcptape $t drops | columns comm | grep -c load)" 12

of() { # TRACE COMMAND COLUMN...: how many of each
	t=$1 command=$2
	shift 2
	tcptape "$t" $command 2>"$tmp/notes" | columns "$@" | sort | uniq -c |
		awk '{ $1 = $1; printf "%s%s", s, $0; s = ", " }'
}
is "loss: segments sent again" "$(of loss retrans laddr cause)" \
	"1 10.9.0.1 RTO, 4 10.9.0.1 TLP, 1 10.9.0.1 fast, 2 10.9.0.2 SYN-ACK, 4 10.9.0.2 TLP"
is "synack-loss: SYNs and SYN-ACKs sent again" "$(of synack-loss retrans laddr type state)" \
	"2 10.9.0.1 R SYN_SENT, 3 10.9.0.2 S NEW_SYN_RECV"
between "synack-loss: the connect, ms" "$(tcptape synack-loss connlat | columns lat_ms)" 2063.6 2063.8
is "synack-loss: SYNs sent again before it" "$(tcptape synack-loss connlat | columns syn_retransmits)" 2
is "closed-port: connects" "$(connects closed-port)" "2 ok, 5 refused"
is "closed-port: resets" "$(of closed-port resets direction state)" \
	"5 received SYN_SENT, 5 sent -"
is "closed-port: drops" "$(of closed-port drops reason ip)" "3 NO_SOCKET 4, 2 NO_SOCKET 6"
is "bad-checksum: refused" "$(of bad-checksum inerrs wrong)" "7 checksum"
is "bad-checksum: sent again" "$(of bad-checksum retrans laddr)" "7 10.9.0.1"
is "invalid-seq: refused" "$(of invalid-seq inerrs wrong)" "7 sequence"
is "firewall-drop: dropped" "$(of firewall-drop drops reason dport)" "4 NETFILTER_DROP 8082"
is "firewall-drop: sent again" "$(of firewall-drop retrans state cause)" "3 SYN_SENT RTO"
t=io
end() { # COMM: what that thread of each connection moved, and how long it slept
	tcptape $t top | columns comm rx_bytes tx_bytes rx_wait_ms tx_wait_ms | sed -n "s/^$1 //p" | sort -n
}
is "$t: bytes of the senders, as they said" "$(end mv-tx | awk '{ print $1, $2 }' | sort -k2n | tr '\n' ' ')" \
	"0 40000 0 50000 0 100000 0 200000 0 300000 "
is "$t: bytes of the receivers" "$(end mv-rx | awk '{ print $1, $2 }' | tr '\n' ' ')" \
	"40000 0 50000 0 100000 0 200000 0 300000 0 "
between "$t: ms asleep of the receiver whose sender pauses 400 ms, by its own clock 400" \
	"$(end mv-rx | awk '$1 == 200000 { print $3 }')" 399 401
between "$t: and of the sender whose receiver does, by its own clock 400" \
	"$(end mv-tx | awk '$2 == 300000 { print $4 }')" 359 401
is "$t: addresses" "$(tcptape $t top --by remote | columns raddr rx_bytes | sort | tr '\n' ' ')" \
	"127.0.0.1 400000 ::1 290000 "

held() { # TRACE in|out PORT LAYER: the time there of segments with payload to that port, and in all others
	tcptape "$1" delay "--$2" --data --dport "$3" | columns "$4" total_us | awk '{ print $1, $2 - $1 }'
}
t=tbf-hold
is "$t: uploads" "$(held $t out 8080 qdisc_us | count)" 5
is "$t: those that the qdisc did not hold for 26 to 44 ms" \
	"$(held $t out 8080 qdisc_us | outside 26000 44000)" 0
is "$t: those that others held too" "$(held $t out 8080 qdisc_us | cut -d' ' -f2 | outside 0 100)" 0
is "$t: received in four parts each, none held" "$(held $t in 8080 driver_us | count) $(
	tcptape $t delay --in --data --dport 8080 | columns total_us | outside 0 100)" "20 0"

t=late-reader
is "$t: requests" "$(held $t in 8080 queue_us | count)" 5
is "$t: those not read after 50 ms" "$(held $t in 8080 queue_us | outside 49500 50500)" 0
is "$t: those that others held too" "$(held $t in 8080 queue_us | cut -d' ' -f2 | outside 0 100)" 0
is "$t: answers" "$(tcptape $t delay --in --data --sport 8080 | columns total_us | outside 0 100)" 0

t=held # by port; ms that a reason held the segment that waited longest, and what others did, us
why() { # PORT WHY
	tcptape $t delay --out --data --dport "$1" | columns write_us write_path_us "write_$2_us" | awk '
		{ if ($3 > max) max = $3; rest += $1 - $2 - $3 }
		END { printf "%d %d\n", max / 1000, rest }'
}
is "$t: initial window 2 of 14 segments: the third and last round trip" "$(why 8081 cwnd)" "40 0"
is "$t: the reader comes after 300 ms, 20 ms less under way, and reads twice" "$(why 8082 rwnd)" "340 0"
is "$t: a small write behind another" "$(why 8083 nagle)" "20 0"
is "$t: with TCP_NODELAY" "$(why 8084 nagle)" "0 0"
is "$t: TCP_CORK for 100 ms" "$(why 8085 nagle)" "100 0"
# 200 kB/s for what is behind the first ten segments: 15520 bytes, the last of which is 1040
between "$t: paced, ms" "$(why 8086 pacing | cut -d' ' -f1)" 71 87

t=hole
holes() { tcptape $t delay --in --data | columns notes hole_us queue_us; }
is "$t: bytes behind a hole wait for the round trip of 20 ms that fills it" \
	"$(holes | awk '$1 == "waited" { print $2 }' | outside 20000 21000)" 0
is "$t: holes, as many as segments were sent again" "$(holes | awk '
	{ n += $1 == "waited" && last != "waited"; last = $1 } END { print n }') $(
	tcptape $t retrans | columns cause | grep -c fast)" "2 2"
is "$t: none waits long for its reader" "$(holes | awk '{ print $3 }' | outside 0 300)" 0

t=nat # before and after, as conntrack -L had them while it was made
both_ends() { tcptape $t delay "--$1" --data | columns notes socket_saddr socket_sport socket_daddr socket_dport \
	saddr sport daddr dport | sed -n 's/^nat //p' | sort | uniq -c | sed 's/^ *//'; }
is "$t: requests, the ends of the socket and on the wire" "$(both_ends out)" \
	"3 10.9.0.1 56994 10.9.0.77 80 10.9.0.1 56994 10.9.0.2 8081
3 10.9.0.1 59156 10.9.0.2 8080 10.9.0.101 41099 10.9.0.2 8080
3 10.9.0.1 59160 10.9.0.2 8080 10.9.0.101 41063 10.9.0.2 8080"
is "$t: answers, likewise" "$(tcptape $t delay --in --data | columns notes socket_saddr socket_sport socket_dport sport dport |
	sed -n 's/^nat //p' | sort | uniq -c | sed 's/^ *//')" "3 10.9.0.2 8080 59156 8080 41099
3 10.9.0.2 8080 59160 8080 41063
3 10.9.0.77 80 56994 8081 56994"

t=wire # what tcpdump itself read of its capture
captured() { tcptape $t delay "--$1" -a --pcap "$traces/wire.pcap" 2>"$tmp/note" |
	sed 's/"[^"]*"//g' | columns saddr sport notes wire_lacks qdisc_us; }
captured out >"$tmp/wire"
captured_of() { awk -v a="$1" -v p="$2" '$1 == a && $2 == p && $4 == "-"' "$tmp/wire" | count; }
is "$t: packets of the clients" "$(captured_of 10.9.0.1 40018) $(captured_of 10.9.0.101 41039)" "10 12"
is "$t: of the servers" "$(captured_of 10.9.0.2 8080) $(captured_of 10.9.0.2 8081)" "15 16"
is "$t: of the connection that was left out" "$(captured_of 10.9.0.1 58938) $(captured_of 10.9.0.2 8082)" "0 0"
is "$t: the clients' that were not held for 5 ms before they were captured" \
	"$(awk '$4 == "-" && $1 != "10.9.0.2" { print $5 }' "$tmp/wire" | outside 5000 5010)" 0
# a packet that the other namespace's hooks saw has one way from there to the capture, or back: within its device
is "$t: packets of the story of the translated one" "$(tcptape $t timeline 0x6 --pcap "$traces/wire.pcap" 2>"$tmp/note" |
	columns event | grep -c '^wire$')" 28

t=turnaround
turns() { tcptape $t turnaround "$@" | columns turn_ms; }
is "$t: exchanges of the server, of the client" "$(turns --server | count) $(turns --client | count)" "31 31"
for ms in 1 5 20; do # 10 each, and one of the client that does not wait; its others overlap
	is "$t: answers after $ms ms, at the server" \
		"$(turns --server | awk -v m=$ms '$1 >= m && $1 < m + 0.2' | count)" $((10 + (ms == 5)))
	is "$t: the same 4 to 5 ms later, at the client" \
		"$(turns --client | awk -v m=$ms '$1 >= m + 4 && $1 < m + 5' | count)" $((10 + (ms == 5)))
done
"$TCPTAPE" turnaround "$traces/$t.tcptape" 2>"$tmp/notes" >"$tmp/rows"
contains "$t: the requests that did not wait, at both ends" "$tmp/notes" '8 exchanges are left out.*overlap'
contains "$t: one way" "$tmp/notes" '2 connections moved bytes one way only'

finish
