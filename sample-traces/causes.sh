# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154
# causes.sh: the scenarios of explain/: one for each cause that `tcptape explain` names and that no older sample
# trace shows, healthy loads, two causes at once. scenario.sh reads it; it sets up, records by begin, and prints
# what nstat, ss, tc and the load say.

path() { # NETNS NETEM...: what netem does to what leaves that namespace
	ns=$1
	shift
	# shellcheck disable=SC2086 # words
	tc -n "$ns" qdisc change dev veth0 root netem limit 10000 $*
}
single_segments() { # a packet is a segment: what is lost or overtaken is one
	for ns in "$A" "$B"; do ip -n "$ns" link set veth0 gso_max_segs 1; done
}
sysctl_in() { # NETNS FILE VALUE
	ip netns exec "$1" sh -c "echo '$3' >/proc/sys/net/$2"
}
refuse_8082() { # a firewall that says nothing
	in_b nft -f - <<-EOF_NFT
		add table ip t
		add chain ip t i { type filter hook input priority 0; }
		add rule ip t i tcp dport 8082 counter drop
		EOF_NFT
}
exchange_server() {
	start server ip netns exec "$B" "$EXCHANGE" server 10.9.0.2 8080
	wait_line server '^ready'
}

case ${SCENARIO#explain/} in
# ---- one cause ----
syn-lost) # nothing of three connects gets to the server; one before them is fine
	join_by_veth 5ms
	serve server 10.9.0.2 8080
	begin conn,rtt,retrans,reset,listen,counters
	client 10.9.0.2 8080
	sleep 0.1
	path "$A" delay 5ms loss 100%
	client -m hold -n 3 -w 5000 10.9.0.2 8080
	moved 'SynRetrans|Timeouts'
	;;
unreachable) # a route that forbids, no route, a router that has none behind it: two connects each; one that works
	join_by_veth 5ms
	serve server 10.9.0.2 8080
	ip -n "$A" route add unreachable 10.66.0.0/16
	ip -n "$A" route add 10.77.0.0/16 via 10.9.0.2
	ip -n "$B" route add unreachable 10.77.0.0/16
	sysctl_in "$B" ipv4/ip_forward 1
	begin conn,rtt,retrans,reset,drop,counters
	client -c 3 10.9.0.2 8080
	for address in 10.55.0.1 10.66.0.1 10.77.0.1; do client -n 2 $address 8080; done
	moved 'InDestUnreachs|OutDestUnreachs|OutNoRoutes|AttemptFails'
	;;
ports-exhausted) # ten local ports, fourteen connects at once to one server
	join_by_veth 5ms
	serve server -f 10.9.0.2 8080
	sysctl_in "$A" ipv4/ip_local_port_range '40000 40009'
	begin conn,rtt,retrans,reset,drop,counters
	client -m hold -n 14 -w 500 10.9.0.2 8080 2>"$tmp/errors"
	echo "$(grep -c 'Cannot assign requested address' "$tmp/errors") of 14 connects found no port"
	;;
loss-fast) # one upload of 400 segments, 3 % of them lost: enough come behind them to tell
	join_by_veth 5ms
	path "$A" delay 5ms loss 3%
	single_segments
	serve server -s 580000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,counters
	client -s 580000 10.9.0.2 8080
	tc -n "$A" -s qdisc show dev veth0
	moved 'RetransSegs|FastRetrans|SlowStartRetrans|Timeouts|LossProbes|TCPLostRetransmit|DSACKRecv|SackRecovery$'
	;;
loss-rto) # single segments, 4 % lost each way, without loss probes: only the timer tells
	join_by_veth 5ms
	for ns in "$A" "$B"; do
		path "$ns" delay 5ms loss 4%
		sysctl_in "$ns" ipv4/tcp_early_retrans 0
	done
	serve server -f 10.9.0.2 8080
	begin conn,rtt,retrans,reset,counters
	client -n 5 -c 30 10.9.0.2 8080
	tc -n "$A" -s qdisc show dev veth0
	tc -n "$B" -s qdisc show dev veth0
	moved 'RetransSegs|FastRetrans|SlowStartRetrans|Timeouts|LossProbes|SynRetrans'
	;;
loss-spurious) # nothing is lost: for 1.2 s of 3 answers take 600 ms longer than ever before
	join_by_veth 5ms
	serve server -f 10.9.0.2 8080
	begin conn,rtt,retrans,reset,counters
	start client ip netns exec "$A" "$LOAD" client -c 100 10.9.0.2 8080
	sleep 0.5
	path "$B" delay 600ms
	sleep 1.2
	path "$B" delay 5ms
	wait_end "$pid"
	cp "$tmp/client.out" "$tmp/client"
	moved 'RetransSegs|FastRetrans|Timeouts|LossProbes|Spurious|DSACK'
	;;
reordering) # one upload of 400 segments: one in eight is 4 ms faster than the others
	join_by_veth 5ms
	single_segments
	serve server -s 580000 10.9.0.2 8080
	path "$A" delay 4ms reorder 12%
	begin conn,rtt,retrans,reset,drop,counters
	client -s 580000 10.9.0.2 8080
	tc -n "$A" -s qdisc show dev veth0
	moved 'RetransSegs|Reorder|OFOQueue|DSACK|LossProbes|FastRetrans'
	;;
bufferbloat) # 5 ms each way, 8 Mbit/s and a buffer for 10,000 packets: 14 uploads, and another connection's pings
	join_by_veth 5ms
	path "$A" delay 5ms rate 8mbit
	serve server -s 150000 10.9.0.2 8080
	serve pings 10.9.0.2 8081
	begin conn,rtt,retrans,reset,drop,counters
	client -v -c 10 10.9.0.2 8081
	start ping ip netns exec "$A" "$LOAD" client -v -c 40 10.9.0.2 8081
	client -v -n 14 -s 150000 10.9.0.2 8080
	wait_end "$pid"
	cat "$tmp/ping.out" >>"$tmp/client"
	tc -n "$A" -s qdisc show dev veth0
	moved 'RetransSegs|Timeouts'
	;;
path-rtt) # 150 ms each way and nothing else
	join_by_veth 150ms
	serve server -s 200 -a 1000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,counters
	client -v -n 3 -c 8 -s 200 -a 1000 10.9.0.2 8080
	moved 'RetransSegs|Timeouts'
	;;
receiver-window) # a receive buffer of 64 kB, a server that reads 200 ms late, five uploads of 200 kB each
	join_by_veth 20ms
	sysctl_in "$B" ipv4/tcp_rmem '4096 32768 65536'
	serve server -s 200000 -w 200 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,io,counters
	client -v -c 5 -s 200000 10.9.0.2 8080
	moved 'ZeroWindow|RetransSegs|LossProbes'
	;;
late-accept) # eight connects at once, a server that is 150 ms late at each accept and answers at once then
	join_by_veth 5ms
	serve server -A 150 -f 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,io,counters
	client -v -f -n 8 -c 3 10.9.0.2 8080
	;;
late-answer) # 15 requests on one connection, answered after 120 ms
	join_by_veth 5ms
	exchange_server
	begin conn,rtt,retrans,reset,drop,io,counters
	in_a "$EXCHANGE" client -n 15 -s 300 -a 2000 10.9.0.2 8080 120000 >>"$tmp/client"
	cat "$tmp/server.out" >>"$tmp/client"
	;;
nagle) # requests in two small writes, without TCP_NODELAY; the server answers at once
	join_by_veth 1ms
	serve server -s 200 -a 200 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,io,rx,tx,counters
	client -v -N -p 2 -c 25 -s 200 -a 200 10.9.0.2 8080
	moved 'DelayedACK|RetransSegs'
	;;
qdisc-hold) # uploads of 20,000 bytes through a queue of 2 Mbit/s of this host
	join_by_veth
	serve server -s 20000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,tx,rx,counters
	tc -n "$A" qdisc add dev veth0 root tbf rate 2mbit burst 2000 limit 200k
	client -v -c 5 -s 20000 10.9.0.2 8080
	tc -n "$A" -s qdisc show dev veth0
	;;
softirq-delay) # a firewall of 8000 rules for each packet: those of a burst wait for the ones before them
	join_by_veth 5ms
	single_segments
	serve server -f -s 60000 10.9.0.2 8080
	{
		echo 'add table ip t'
		echo 'add chain ip t i { type filter hook input priority 0; }'
		seq 8000 | sed 's/.*/add rule ip t i tcp dport & drop/' | grep -v ' 80[78][0-9] '
	} | in_b nft -f -
	begin conn,rtt,retrans,reset,rx,counters
	client -v -c 8 -s 60000 10.9.0.2 8080
	echo "packets processed, dropped, times that the budget was spent: $(cut -d' ' -f1-3 /proc/net/softnet_stat)"
	moved 'RetransSegs|Timeouts'
	;;
resets) # a server that resets after each answer; the client wanted two more
	join_by_veth 5ms
	serve server -m reset 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,counters
	client -n 6 -c 3 10.9.0.2 8080
	moved 'OutRsts|EstabResets|AbortOn'
	;;
memory) # TCP of the whole machine may have 400 kB; 16 uploads to a server that reads late (four in the sample trace)
	join_by_veth 2ms
	serve server -f -s 200000 -w 100 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,counters
	mem=$(cat /proc/sys/net/ipv4/tcp_mem)
	echo 48 64 96 >/proc/sys/net/ipv4/tcp_mem
	in_a timeout 3 "$LOAD" client -v -f -n 16 -s 200000 10.9.0.2 8080 >"$tmp/client" || :
	echo "$mem" >/proc/sys/net/ipv4/tcp_mem
	moved 'MemoryPressures|Prune|RcvQDrop|OFODrop|AbortOnMemory|RetransSegs|BacklogDrop|RcvCollapsed|Timeouts'
	;;
mtu-black-hole) # the way to the server takes 1400 bytes, nobody says so: requests of 100 bytes pass, those of 3000 do not
	join_by_veth 5ms
	single_segments
	serve server -f -s 100 10.9.0.2 8080
	serve large -f -s 3000 10.9.0.2 8081
	ip -n "$B" route change 10.9.0.0/24 dev veth0 src 10.9.0.2 advmss 1460
	ip -n "$B" link set veth0 mtu 1400
	begin conn,rtt,retrans,counters
	client -c 5 -s 100 10.9.0.2 8080
	start client ip netns exec "$A" timeout 8 "$LOAD" client -f -n 3 -s 3000 10.9.0.2 8081
	wait_end "$pid"
	cat "$tmp/client.out" >>"$tmp/client"
	ip -n "$B" -s link show dev veth0
	moved 'RetransSegs|Timeouts|MTUP|FragFails|LossProbes'
	;;
# ---- nothing wrong ----
healthy-http) # four connections of 40 requests at once
	join_by_veth 1ms
	serve server -m http -f -a 2000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,io,counters
	client -m http -f -n 4 -c 40 10.9.0.2 8080
	;;
healthy-short) # thirty connections of one request, one after the other
	join_by_veth 1ms
	serve server -m http -a 500 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,io,counters
	client -m http -n 30 10.9.0.2 8080
	;;
healthy-pipelined) # ten requests of 50 bytes at once, sixty times
	join_by_veth 0.1ms
	serve server -f -s 50 -a 5 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,io,counters
	client -n 2 -c 30 -s 500 -a 50 10.9.0.2 8080
	;;
healthy-bulk) # 3 MB to the server
	join_by_veth 1ms
	serve server -s 3000000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,nic,counters
	client -s 3000000 10.9.0.2 8080
	;;
healthy-both-ways) # 1 MB each way at once
	join_by_veth 1ms
	serve server -s 1000000 10.9.0.2 8080
	start other ip netns exec "$A" "$LOAD" server -s 1000000 10.9.0.1 8080
	wait_line other ready
	begin conn,rtt,retrans,reset,drop,listen,nic,counters
	start back ip netns exec "$B" "$LOAD" client -s 1000000 10.9.0.1 8080
	client -s 1000000 10.9.0.2 8080
	wait_end "$pid"
	;;
healthy-20ms) # three connections of eight exchanges, 10 ms each way
	join_by_veth 10ms
	serve server -f -s 300 -a 5000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,nic,rx,io,counters # not tx: netem is a queue of this host
	client -f -n 3 -c 8 -s 300 -a 5000 10.9.0.2 8080
	;;
healthy-ipv6) # all that can be recorded, over IPv6 and without a delay
	join_by_veth
	serve server -f -s 300 -a 5000 fd09::2 8080
	begin all
	client -n 3 -c 10 -s 300 -a 5000 fd09::2 8080
	;;
healthy-idle) # twenty connections of one exchange, then nothing for two seconds
	join_by_veth 1ms
	serve server -f 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,io,counters
	client -f -n 20 -w 2000 10.9.0.2 8080
	;;
healthy-many) # 45 clients at once, three exchanges each
	join_by_veth 2ms
	serve server -f -s 100 -a 1000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,listen,io,counters
	client -f -n 45 -c 3 -s 100 -a 1000 10.9.0.2 8080
	;;
healthy-large) # six connections: a greeting of 517 bytes against 4000, then large requests and answers
	join_by_veth 2ms
	exchange_server
	begin all
	for i in 1 2 3; do
		in_a "$EXCHANGE" client -n 2 -s 517 -a 4000 10.9.0.2 8080 0 >>"$tmp/client"
		in_a "$EXCHANGE" client -n 4 -s 8000 -a 16000 10.9.0.2 8080 300 >>"$tmp/client"
	done
	;;
# ---- nothing wrong either; there are no sample traces of these (tests/vm/explain.sh) ----
well-tls) # IPv6, port 443: four connections of TLS-like sizes, a handshake and then records
	join_by_veth 4ms
	serve server -f -s 1400 -a 4200 fd09::2 443
	begin all
	client -f -n 4 -c 12 -s 1400 -a 4200 fd09::2 443
	;;
well-uploads) # IPv6: three uploads of 500 kB at once
	join_by_veth 10ms
	serve server -f -s 500000 fd09::2 8443
	begin all
	client -f -n 3 -s 500000 fd09::2 8443
	;;
well-downloads) # four downloads of 400 kB, one after the other, over 15 ms each way
	join_by_veth 15ms
	serve server -a 400000 10.9.0.2 9000
	begin all
	client -c 4 -a 400000 10.9.0.2 9000
	;;
well-idle) # ten connections that say nothing for half a minute
	join_by_veth 3ms
	serve server -f 10.9.0.2 5432
	begin all
	client -f -n 10 -c 2 -w 30000 10.9.0.2 5432
	;;
well-short) # 150 connections of one exchange, the server closes
	join_by_veth 1ms
	serve server -m first -s 80 -a 900 10.9.0.2 8000
	begin all
	client -m first -n 150 -s 80 -a 900 10.9.0.2 8000
	;;
well-wrk) # wrk: eight connections for a second; it throws away what is under way at its end
	join_by_veth 2ms
	serve server -m http -f -a 3000 10.9.0.2 8888
	begin all
	in_a wrk -t 1 -c 8 -d 1s http://10.9.0.2:8888/ >>"$tmp/client"
	;;
well-database) # one connection, 300 small questions, each answered at once, without a delay
	join_by_veth
	serve server -s 120 -a 700 10.9.0.2 3306
	begin all
	client -c 300 -s 120 -a 700 10.9.0.2 3306
	;;
well-mixed) # questions and answers beside a bulk upload, on two ports
	join_by_veth 5ms
	serve server -f -s 100 -a 100 10.9.0.2 6379
	serve bulk -s 2000000 10.9.0.2 6380
	begin all
	start bulk_client ip netns exec "$A" "$LOAD" client -s 2000000 10.9.0.2 6380
	client -f -n 4 -c 30 -s 100 -a 100 10.9.0.2 6379
	wait_end "$pid"
	;;
well-far) # 70 ms each way: three connections, requests of two segments, answers of ten
	join_by_veth 70ms
	serve server -f -s 2500 -a 14000 10.9.0.2 8080
	begin all
	client -f -n 3 -c 6 -s 2500 -a 14000 10.9.0.2 8080
	;;
well-loopback) # no network at all: uploads and answers within one namespace, both families
	join_by_veth
	start server4 ip netns exec "$B" "$LOAD" server -f -s 60000 -a 20000 127.0.0.1 8080
	wait_line server4 ready
	start server6 ip netns exec "$B" "$LOAD" server -f -s 300 -a 300 ::1 8080
	wait_line server6 ready
	begin all
	in_b "$LOAD" client -f -n 4 -c 10 -s 60000 -a 20000 127.0.0.1 8080 >>"$tmp/client"
	in_b "$LOAD" client -f -n 4 -c 20 -s 300 -a 300 ::1 8080 >>"$tmp/client"
	;;
# ---- two causes ----
both-loss-late-answer) # 3 % lost each way, and answers after 120 ms
	join_by_veth 5ms
	for ns in "$A" "$B"; do path "$ns" delay 5ms loss 3%; done
	single_segments
	exchange_server
	begin conn,rtt,retrans,reset,io,counters
	in_a "$EXCHANGE" client -n 20 -s 8000 -a 8000 10.9.0.2 8080 120000 >>"$tmp/client"
	moved 'RetransSegs|FastRetrans|Timeouts|LossProbes'
	;;
both-accept-queue-firewall) # a listener that never accepts, with room for six of ten; a firewall in front of another
	join_by_veth 5ms
	sysctl_in "$B" ipv4/tcp_syncookies 0
	serve server -m never -b 5 10.9.0.2 8080
	refuse_8082
	begin conn,rtt,retrans,reset,drop,listen,counters
	start client ip netns exec "$A" "$LOAD" client -m hold -n 10 -w 3500 10.9.0.2 8080
	in_a timeout 4 "$LOAD" client 10.9.0.2 8082 || :
	wait_end "$pid"
	cp "$tmp/client.out" "$tmp/client"
	in_b nft list chain ip t i
	moved 'SynRetrans|^Listen'
	;;
both-bufferbloat-refused) # the upload of bufferbloat, and twelve connects to a closed port meanwhile
	join_by_veth 5ms
	path "$A" delay 5ms rate 8mbit
	serve server -s 250000 10.9.0.2 8080
	begin conn,rtt,retrans,reset,drop,counters
	start client ip netns exec "$A" "$LOAD" client -v -c 3 -s 250000 10.9.0.2 8080
	client -n 12 10.9.0.2 8081
	wait_end "$pid"
	cat "$tmp/client.out" >>"$tmp/client"
	moved 'OutRsts|AttemptFails|RetransSegs'
	;;
*)
	echo "there is no scenario $SCENARIO" >&2
	exit 1
	;;
esac
