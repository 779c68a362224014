#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A processor is taken offline while it records, and comes back. What happens on either is recorded
# throughout, and counters of each processor are those of the kernel at the end.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -n "${TCPTAPE_VM:-}" ] || skip "it takes a processor offline: in the VM only"
cpu1=/sys/devices/system/cpu/cpu1/online
[ -e $cpu1 ] || skip "there is one processor only"
need taskset

start server "$LOAD" server 127.0.0.1 17042
wait_line server ready
n_made=0
connects() { # MASK: ten there, of five exchanges
	taskset "$1" "$LOAD" client -n 10 -c 5 127.0.0.1 17042 >>"$tmp/client"
	n_made=$((n_made + 10))
}
# Packets that each processor has processed: "CPU N"; the thirteenth number is the processor.
processed() { awk '{ printf "%d %d\n", "0x" (NF > 12 ? $13 : NR - 1), "0x" $1 }' /proc/net/softnet_stat; }

record "$tmp/t.tcptape" -e all
processed >"$tmp/before"
connects 1
connects 2
sleep 1.2
echo 0 >$cpu1
connects 1
sleep 2.2 # samples without it
echo 1 >$cpu1
connects 2
connects 1
sleep 1.2
processed >"$tmp/after"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
contains "nothing is lost" "$tmp/record.err" ', 0 lost'
check "the file is good" "$TCPTAPE" verify "$tmp/t.tcptape"
is "connects" "$("$TCPTAPE" connlat --csv -f 'dst port 17042' "$tmp/t.tcptape" 2>/dev/null |
	columns outcome | grep -c ok)" $n_made
"$TCPTAPE" dump --json "$tmp/t.tcptape" >"$tmp/dump"
for cpu in 0 1; do
	between "events of processor $cpu" "$(grep -c "\"cpu\":$cpu,.*17042" "$tmp/dump")" 100 1000000
	kernel=$(awk -v cpu=$cpu '$1 == cpu { v[FILENAME] = $2 }
		END { print v[ARGV[2]] - v[ARGV[1]] }' "$tmp/before" "$tmp/after")
	awk -v cpu=$cpu "$awk_of"'
		of($0, "event") == "snap_counter" && of($0, "name") == "softnet.processed" { id = of($0, "counter") }
		of($0, "event") == "counter" && of($0, "counter") == id && of($0, "cpu_index") == cpu {
			delta = of($0, "delta") + 0
			n += delta
			if (delta < 0 || delta > 1e9) print "a delta of " delta
		}
		END { print n + 0 }' "$tmp/dump" >"$tmp/ours"
	between "packets of processor $cpu, of $kernel" "$(cat "$tmp/ours")" "$((kernel * 9 / 10))" "$((kernel * 11 / 10 + 50))"
done
finish
