#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# scenario.sh: the guest's part of make.sh: record $SCENARIO into /out; of several names one after the other.
set -eu
case $SCENARIO in
*' '*)
	for name in $SCENARIO; do
		echo "== $name"
		SCENARIO=$name sh "$0"
	done
	exit
	;;
esac
# shellcheck source=tests/lib.sh
. /tests/lib.sh
trace=/out/$SCENARIO.tcptape
mkdir -p "${trace%/*}"

client() { in_a "$LOAD" client "$@" >>"$tmp/client"; }
begin() { # [GROUPS]
	# the first SYN of a kernel takes some milliseconds more, once
	for address in 10.9.0.2 fd09::2; do in_a "$LOAD" client $address 8079 >"$tmp/warm_up"; done
	record "$trace" -e "${1:-conn,rtt}" --note "sample: $SCENARIO"
	sleep 0.5 # what the recorder does behind its first line takes the one processor for milliseconds, too
}

moved() { # REGEX: counters of both ends that are not 0, for README.md
	for ns in "$A" "$B"; do
		ip netns exec "$ns" cat /proc/net/snmp /proc/net/netstat | counters |
			awk -v want="$1" -v end="${ns##*[0-9]}" '$1 ~ want && $2 { print end, $1, $2 }'
	done
}

make_namespaces
case $SCENARIO in
listener-never-accepts) # backlog 5, ten clients at once, who give up after 4 s
	join_by_veth 5ms
	serve server -m never -b 5 10.9.0.2 8080
	begin
	start client ip netns exec "$A" "$LOAD" client -m hold -n 10 -w 4000 10.9.0.2 8080
	sleep 3
	in_b ss -Htln # Recv-Q: connections that wait for accept
	in_b awk '/^TcpExt:/ { if (!n++) split($0, name); else for (i = 2; i <= NF; i++)
		if (name[i] ~ /^Listen|^Syncookies/ && $i) print name[i], $i }' /proc/net/netstat
	wait_end "$pid"
	cp "$tmp/client.out" "$tmp/client"
	;;
listen-overflow) # the same without cookies, shorter, with what is sampled
	join_by_veth 5ms
	in_b sh -c 'echo 0 >/proc/sys/net/ipv4/tcp_syncookies'
	serve server -m never -b 5 10.9.0.2 8080
	begin conn,counters,listen,nic
	start client ip netns exec "$A" "$LOAD" client -m hold -n 10 -w 1500 10.9.0.2 8080
	sleep 1
	in_b ss -Htln
	wait_end "$pid"
	in_b awk '/^TcpExt:/ { if (!n++) split($0, name); else for (i = 2; i <= NF; i++)
		if (name[i] ~ /^Listen|ReqQFull/ && $i) print name[i], $i }' /proc/net/netstat
	in_b sed -n 's/^ *veth0:/veth0/p' /proc/net/dev
	cp "$tmp/client.out" "$tmp/client"
	;;
client-closes-first) # five connections of four exchanges
	join_by_veth 5ms
	serve server -s 200 -a 1000 10.9.0.2 8080
	begin
	client -n 5 -c 4 -s 200 -a 1000 10.9.0.2 8080
	;;
server-closes-first) # five connections of one exchange; and one to a port where nobody listens
	join_by_veth 5ms
	serve server -m first -s 200 -a 1000 10.9.0.2 8080
	begin
	client -n 5 -m first -s 200 -a 1000 10.9.0.2 8080
	client 10.9.0.2 8081
	;;
http-20ms) # wrk: 4 connections for 3 s, answers of 2000 bytes, over 10 ms each way
	join_by_veth 10ms
	serve server -m http -f -a 2000 10.9.0.2 8080
	begin
	in_a wrk -t 1 -c 4 -d 3s http://10.9.0.2:8080/ >"$tmp/client"
	;;
ipv6) # three connections, each end closing; one refused
	join_by_veth 5ms
	serve server fd09::2 8080
	serve first -m first fd09::2 8081
	begin
	client -n 2 -c 5 fd09::2 8080
	client -m first fd09::2 8081
	client fd09::2 8082
	;;
drops) # a firewall, a closed port, a queue that is full; segments that no TCP would send
	join_by_veth
	serve server 10.9.0.2 8080
	serve bulk -s 60000 10.9.0.2 8083
	in_b nft -f - <<-EOF_NFT
		add table ip t
		add chain ip t i { type filter hook input priority 0; }
		add rule ip t i tcp dport 8082 counter drop
		EOF_NFT
	start hold ip netns exec "$A" "$LOAD" client -w 30000 10.9.0.2 8080
	wait_line hold '^connect'
	port=$(awk '$1 == "connect" { print $3 }' "$tmp/hold.out")
	begin conn,drop
	in_a timeout 8 "$LOAD" client 10.9.0.2 8082 || : # the rule: SYN, and again after 1, 2, 4 s
	client -n 3 10.9.0.2 8081
	client -n 2 fd09::2 8081
	in_a "$SEGMENT" -b -n 4 10.9.0.1 9001 10.9.0.2 8080
	in_a "$SEGMENT" -b -n 2 fd09::1 9001 fd09::2 8080
	in_a "$SEGMENT" -o 4 -n 2 10.9.0.1 9002 10.9.0.2 8080
	for seq in 0x10000000 0x90000000; do # one behind the window, one in front of it
		in_a "$SEGMENT" -n 3 -s $seq 10.9.0.1 "$port" 10.9.0.2 8080
	done
	tc -n "$A" qdisc add dev veth0 root tbf rate 2mbit burst 3k limit 6k
	ip -n "$A" link set veth0 gso_max_segs 1
	client -s 60000 10.9.0.2 8083
	tc -n "$A" -s qdisc show dev veth0
	in_b nft list chain ip t i
	in_b awk '/^Tcp:/ { if (!n++) split($0, name); else for (i = 2; i <= NF; i++)
		if (name[i] ~ /^In.*Err/) print name[i], $i }' /proc/net/snmp
	;;
io) # five connections on loopback, each moved by other calls; two sleep 400 ms in one
	join_by_veth
	begin conn,io
	in_a "$MOVE" -s 100000 plain 127.0.0.1 >>"$tmp/client"
	in_a "$MOVE" -s 200000 slow ::1 >>"$tmp/client"
	in_a "$MOVE" -s 300000 full 127.0.0.1 >>"$tmp/client"
	in_a "$MOVE" -s 50000 peek ::1 >>"$tmp/client"
	in_a "$MOVE" -s 40000 splice ::1 >>"$tmp/client"
	;;
loss) # 2 % of all packets in either direction, 5 ms each way; requests of 14 segments, and single ones
	join_by_veth 5ms
	for ns in "$A" "$B"; do
		tc -n "$ns" qdisc change dev veth0 root netem delay 5ms loss 2% limit 10000
		ip -n "$ns" link set veth0 gso_max_segs 1 # so that a loss is one segment
	done
	serve server -s 20000 10.9.0.2 8080
	serve pings -f 10.9.0.2 8081
	begin conn,rtt,retrans,counters
	in_a "$LOAD" client -c 20 -s 20000 10.9.0.2 8080 >"$tmp/client"
	in_a "$LOAD" client -n 3 -c 20 10.9.0.2 8081 >>"$tmp/client"
	tc -n "$A" -s qdisc show dev veth0
	tc -n "$B" -s qdisc show dev veth0
	moved 'RetransSegs|FastRetrans|SlowStartRetrans|Timeouts|LossProbes|SynRetrans|TCPSpuriousRTOs|LostRetransmit'
	;;
synack-loss) # nothing comes from the server for the first 1.5 s of a connect
	join_by_veth 5ms
	serve server 10.9.0.2 8080
	begin conn,rtt,retrans,counters
	tc -n "$B" qdisc change dev veth0 root netem delay 5ms loss 100%
	start client ip netns exec "$A" "$LOAD" client 10.9.0.2 8080
	sleep 1.5
	tc -n "$B" qdisc change dev veth0 root netem delay 5ms loss 0%
	wait_end "$pid"
	cp "$tmp/client.out" "$tmp/client"
	moved 'SynRetrans|RetransSegs|Timeouts'
	;;
closed-port) # RST: from ports where nobody listens, and from one who stopped listening
	join_by_veth 5ms
	serve server 10.9.0.2 8080
	begin conn,reset,drop,counters
	client -n 2 10.9.0.2 8080
	client -n 3 10.9.0.2 8081
	client -n 2 fd09::2 8081
	moved 'OutRsts|AttemptFails|EstabResets'
	;;
bad-checksum) # a network that flips a bit in 4 % of the packets on their way to the server
	join_by_veth 5ms
	tc -n "$A" qdisc change dev veth0 root netem delay 5ms corrupt 4% limit 10000
	ip -n "$A" link set veth0 gso_max_segs 1
	serve server -s 20000 10.9.0.2 8080
	begin conn,retrans,drop,counters
	client -c 15 -s 20000 10.9.0.2 8080
	moved 'InErrs|InCsumErrors|RetransSegs|InHdrErrors|InAddrErrors|InDiscards'
	;;
invalid-seq) # three segments behind the window of a connection, and four in front of it
	join_by_veth 5ms
	serve server 10.9.0.2 8080
	begin conn,drop,counters
	start hold ip netns exec "$A" "$LOAD" client -w 2000 10.9.0.2 8080
	wait_line hold '^connect'
	port=$(awk '$1 == "connect" { print $3 }' "$tmp/hold.out")
	in_a "$SEGMENT" -n 3 -s 0x10000000 10.9.0.1 "$port" 10.9.0.2 8080
	in_a "$SEGMENT" -n 4 -s 0x90000000 10.9.0.1 "$port" 10.9.0.2 8080
	wait_end "$pid"
	cp "$tmp/hold.out" "$tmp/client"
	moved 'InErrs|SkippedSeq|ChallengeACK|OutOfWindow'
	;;
firewall-drop) # a rule drops all that comes for port 8082; another connection works
	join_by_veth 5ms
	serve server 10.9.0.2 8080
	in_b nft -f - <<-EOF_NFT
		add table ip t
		add chain ip t i { type filter hook input priority 0; }
		add rule ip t i tcp dport 8082 counter drop
		EOF_NFT
	begin conn,retrans,drop,counters
	client -c 3 10.9.0.2 8080
	in_a timeout 4 "$LOAD" client 10.9.0.2 8082 || : # SYN, and again after 1 and 3 s
	in_b nft list chain ip t i
	moved 'SynRetrans|RetransSegs|Timeouts'
	;;
tbf-hold) # a queue of 1 Mbit/s in front of five uploads of 5000 bytes; no pacing, no loss probes
	join_by_veth
	serve server -s 5000 10.9.0.2 8080
	in_a sh -c 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control
		echo 0 >/proc/sys/net/ipv4/tcp_early_retrans'
	begin conn,rx,tx
	tc -n "$A" qdisc add dev veth0 root tbf rate 1mbit burst 2000 limit 100k
	client -n 5 -s 5000 10.9.0.2 8080
	tc -n "$A" -s qdisc show dev veth0
	;;
held) # what TCP waits for before it sends, each at a port of its own, over a link of 10 ms each way
	join_by_veth 10ms
	in_a sh -c 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control
		echo 0 >/proc/sys/net/ipv4/tcp_early_retrans'
	for port in 8081 8083 8084 8085 8086; do
		start "reader$port" ip netns exec "$B" "$WRITER" server 10.9.0.2 $port
	done
	start reader8082 ip netns exec "$B" "$WRITER" server -w 300 -r 4096 10.9.0.2 8082
	for port in 8081 8082 8083 8084 8085 8086; do wait_line reader$port ready; done
	begin conn,rtt,tx
	writes() { in_a "$WRITER" client "$@" >>"$tmp/client"; }
	ip -n "$A" route add 10.9.0.2/32 dev veth0 initcwnd 2
	writes -N -s 20000 10.9.0.2 8081 # cwnd
	ip -n "$A" route del 10.9.0.2/32
	writes -N -s 10000 10.9.0.2 8082 # rwnd
	writes -n 2 -s 100 -w 50 10.9.0.2 8083 # nagle
	writes -n 2 -s 100 -w 50 -N 10.9.0.2 8084
	writes -C -s 100 -w 100 10.9.0.2 8085 # cork
	writes -N -s 30000 -p 200000 10.9.0.2 8086 # pacing
	;;
hole) # segments that wait for bytes before them: each 15th packet is lost
	join_by_link 10000 15
	start reader ip netns exec "$B" "$WRITER" server 10.9.0.2 8081
	wait_line reader ready
	begin conn,retrans,rx
	in_a "$WRITER" client -N -s 60000 10.9.0.2 8081 >>"$tmp/client"
	;;
late-reader) # a server that waits 50 ms before each read, over IPv6
	join_by_veth
	serve server -s 3000 -a 4000 -w 50 fd09::2 8080
	begin conn,rx,tx
	client -c 5 -s 3000 -a 4000 fd09::2 8080
	;;
nat) # two connections get another source address and port on their way out, one another destination
	join_by_veth
	ip -n "$A" addr add 10.9.0.101/24 dev veth0
	ip -n "$B" neigh replace 10.9.0.101 lladdr 02:00:00:00:00:0a dev veth0 nud permanent
	serve server -s 300 -a 2000 10.9.0.2 8080
	serve other -s 300 -a 2000 10.9.0.2 8081
	in_a nft -f - <<-EOF_NFT
		add table ip t
		add chain ip t out { type nat hook output priority -100; }
		add chain ip t post { type nat hook postrouting priority 100; }
		add rule ip t out ip daddr 10.9.0.77 tcp dport 80 dnat to 10.9.0.2:8081
		add rule ip t post ip daddr 10.9.0.2 tcp dport 8080 snat to 10.9.0.101:41000-41099
		EOF_NFT
	begin conn,rx,tx
	client -n 2 -c 3 -s 300 -a 2000 10.9.0.2 8080
	client -n 1 -c 3 -s 300 -a 2000 10.9.0.77 80
	in_a conntrack -L -p tcp
	;;
wire) # beside a capture on the client's device: one path loses packets in front of it, one is behind a NAT, one is not captured
	join_by_veth 5ms
	tc -n "$A" qdisc replace dev veth0 root netem delay 5ms loss 14% limit 10000
	ip -n "$A" addr add 10.9.0.101/24 dev veth0
	ip -n "$B" neigh replace 10.9.0.101 lladdr 02:00:00:00:00:0a dev veth0 nud permanent
	in_a nft -f - <<-EOF_NFT
		add table ip t
		add chain ip t post { type nat hook postrouting priority 100; }
		add rule ip t post tcp dport 8081 snat to 10.9.0.101:41000-41099
		EOF_NFT
	for port in 8080 8081 8082; do serve server-$port -s 2000 -a 500 10.9.0.2 $port; done
	start tcpdump ip netns exec "$A" tcpdump -i veth0 -n -U --immediate-mode -s 68 --time-stamp-precision=nano \
		-Z root -w "$tmp/wire.pcap" 'tcp and not port 8082'
	wait_line tcpdump 'listening on'
	capture=$pid
	begin conn,retrans,rx,tx
	for port in 8080 8081 8082; do client -n 1 -c 6 -s 2000 -a 500 10.9.0.2 $port; done
	sleep 1
	stop "$capture"
	cp "$tmp/wire.pcap" /out/wire.pcap
	in_a tcpdump -Z root -n -r /out/wire.pcap src 10.9.0.1 or src 10.9.0.101 | awk '{ n[$3]++ } END { for (s in n) print n[s], s }'
	tc -n "$A" -s qdisc show dev veth0 | grep dropped
	moved '^(RetransSegs|TCPTimeouts|TCPLossProbes|TCPFastRetrans)$'
	;;
turnaround) # 2 ms each way; answers after 1, 5, 20 ms, whole and in halves; a client that does not wait; one way only
	join_by_veth 2ms
	start server ip netns exec "$B" "$EXCHANGE" server 10.9.0.2 8080
	wait_line server '^ready'
	begin conn,rtt,io
	for mode in ping halves; do
		in_a "$EXCHANGE" client -m $mode -n 5 -a 20000 10.9.0.2 8080 1000 5000 20000 >>"$tmp/client"
	done
	in_a "$EXCHANGE" client -m early -n 5 10.9.0.2 8080 5000 >>"$tmp/client"
	in_a "$EXCHANGE" client -m one-way -n 5 10.9.0.2 8080 0 >>"$tmp/client"
	cat "$tmp/server.out" >>"$tmp/client"
	;;
join-client) # 20 ms there, 5 ms back, in a router; a recorder at each end, so this makes join-server too
	join_by_router 20ms 5ms
	start server ip netns exec "$B" "$EXCHANGE" server 10.9.1.2 8080
	wait_line server '^ready'
	in_a "$LOAD" client 10.9.1.2 8079 >"$tmp/warm_up"
	start other "$TCPTAPE_RECORD" -o /out/join-server.tcptape --netns "/run/netns/$B" -e conn,rx,tx,io \
		--note "sample: join-server"
	wait_recording /out/join-server.tcptape
	record "$trace" --netns "/run/netns/$A" -e conn,rx,tx,io --note "sample: $SCENARIO"
	sleep 0.5
	for us in 1000 5000; do
		in_a "$EXCHANGE" client -n 5 -s 300 -a 2000 10.9.1.2 8080 $us >>"$tmp/client"
	done
	in_a "$EXCHANGE" client -n 2 -s 3000 -a 50000 10.9.1.2 8080 1000 >>"$tmp/client"
	cat "$tmp/server.out" >>"$tmp/client"
	sleep 1
	stop "$(cat "$tmp/other.pid")"
	;;
join-server) # by join-client
	[ -s "$trace" ]
	exit
	;;
*)
	# shellcheck source=sample-traces/causes.sh
	. "${0%/*}/causes.sh"
	;;
esac
sleep 1
stop "$(cat "$tmp/record.pid")"
cat "$tmp/client" "$tmp/record.err"
[ "$status" = 0 ]
