#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A hundred thousand sockets when the recording begins: all of them are in its list, with their owners,
# the recorder needs no more than 32 MiB beside its rings at any time, and loses nothing of what happens
# meanwhile. The kernel's own count (sockstat) and the load's say how many there are.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
: "${CROWD=$build/tests/crowd}"
need ip

pairs=50000 each=8000 memory_kb=500000
if [ -n "${TCPTAPE_VM:-}" ]; then pairs=2000 each=500 memory_kb=0; fi
[ "$(awk '/^MemAvailable/ { print $2 }' /proc/meminfo)" -ge $memory_kb ] || skip "too little memory for so many sockets"
[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge $((2 * each + 16)) ] || each=$((($(ulimit -Hn) - 16) / 2))

A=tcptape$$a
ip netns add "$A" 2>"$tmp/netns.err" || skip "no network namespaces: $(cat "$tmp/netns.err")"
ip -n "$A" link set lo up
n=0
left=$pairs
while [ $left -gt 0 ]; do
	n=$((n + 1))
	[ $each -le $left ] || each=$left
	left=$((left - each))
	start crowd$n ip netns exec "$A" "$CROWD" $each $((17100 + n))
done
for i in $(seq $n); do
	wait_for 60 grep -q ready "$tmp/crowd$i.out" || skip "not so many sockets here: $(cat "$tmp/crowd$i.err")"
done
start server ip netns exec "$A" "$LOAD" server 127.0.0.1 17100
wait_line server ready
used=$(in_a cat /proc/net/sockstat | awk '$1 == "TCP:" { print $3 }')
is "sockets, as the kernel counts them (listeners too)" "$used" $((2 * pairs + n + 1))

# The largest of what is mapped beside the rings, in kB: looked at while it starts, which is when it is most.
watch_rss() { # PID
	while awk '
		/^[0-9a-f]+-[0-9a-f]+ / { ring = /bpf-map/ }
		/^Rss:/ && !ring { n += $2 }
		END { print n + 0; exit !n }' "/proc/$1/smaps" 2>/dev/null; do
		sleep 0.05
	done
}
start record "$TCPTAPE_RECORD" -o "$tmp/t.tcptape"
recorder=$pid
start watch watch_rss "$recorder"
while [ ! -s "$tmp/t.tcptape" ] && kill -0 "$recorder"; do
	in_a "$LOAD" client -n 10 -c 10 127.0.0.1 17100 >>"$tmp/client" # also while sockets are listed
done
in_a "$LOAD" client -n 500 -c 10 127.0.0.1 17100 >>"$tmp/client"
sleep 1
hwm_kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$recorder/status")
stop "$recorder"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
rings_kb=$(sed -n 's/.*(\([0-9.]*\) MB of it rings.*/\1/p' "$tmp/record.err" | awk '{ print int($1 * 1e6 / 1024) }')
between "largest RSS, without the rings, kB" $((hwm_kb - rings_kb)) 1000 32768
between "largest RSS of all looks at what is no ring, kB" "$(sort -n "$tmp/watch.out" | tail -1)" 1000 32768

"$TCPTAPE" dump --json -e snap_sock "$tmp/t.tcptape" >"$tmp/socks"
inode=$(stat -L -c %i "/run/netns/$A")
awk -v netns="$inode" "$awk_of"'
	of($0, "netns") != netns { next }
	seen[of($0, "cookie")]++ { twice++; next }
	of($0, "lport") > 17100 && of($0, "lport") <= 17200 || of($0, "rport") > 17100 && of($0, "rport") <= 17200 {
		n++
		pid[of($0, "pid")] += of($0, "n_owners")
	}
	END { print n, twice + 0; for (p in pid) print p, pid[p] }' "$tmp/socks" >"$tmp/count"
is "of the crowd in the list" "$(head -1 "$tmp/count" | cut -d' ' -f1)" "$((2 * pairs + n))"
# before Linux 5.15 iter/tcp finds its place again by counting, while sockets come and go
again=0
uname -r | awk -F'[.-]' '{ exit !($1 * 1000 + $2 < 5015) }' && again=$((pairs / 10))
between "of all, again" "$(head -1 "$tmp/count" | cut -d' ' -f2)" 0 $again
for i in $(seq $n); do # pairs, and a listener
	conns=$(grep "^$(cat "$tmp/crowd$i.pid") " "$tmp/count" | cut -d' ' -f2)
	is "sockets of process $i that have it as owner" $(((conns - 1) % 2)) 0
	total=$((${total:-0} + conns))
done
is "all of them have their owner" "$total" $((2 * pairs + n))
contains "the summary's count" "$tmp/record.err" "sockets at the start: $(count <"$tmp/socks")\$"
is "lost" "$("$TCPTAPE" info --json "$tmp/t.tcptape" | sed -n 's/.*"lost":\([0-9]*\).*/\1/p' | head -1)" 0
made=$(grep -c '^connect.* ok ' "$tmp/client")
began=$("$TCPTAPE" events -r connect --csv -f 'dst port 17100' "$tmp/t.tcptape" 2>/dev/null | columns lport | count)
between "connects recorded, all but what came before the hooks" "$began" 500 "$made"
finish
