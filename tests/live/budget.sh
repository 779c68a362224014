#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A storm of SYNs to a closed port, in namespaces of our own, against a small budget: the file keeps
# to it, what is left out is told as loss, and another connection's events are all there. And the
# floor of free disk: recording stops ahead of it, with a file that is whole.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

budget=4000 syns=20000 rounds=4
[ -z "${TCPTAPE_VM:-}" ] || syns=8000

make_namespaces
join_by_veth
serve server 10.9.0.2 17111
record "$tmp/storm" -e conn,drop,reset,rtt --max-rate $budget
start storm ip netns exec "$A" sh -c '
	i=0
	while [ $i -lt '$rounds' ]; do
		"$0" -i -n '$syns' -F 2 10.9.0.1 20000 10.9.0.2 17112 || exit
		i=$((i + 1))
		sleep 0.7
	done' "$SEGMENT"
sleep 0.2
in_a "$LOAD" client -n 20 -c 3 10.9.0.2 17111 >"$tmp/client" # in the middle of it
wait_end "$(cat "$tmp/storm.pid")"
is "the storm was sent" "$(grep -c "^sent $syns" "$tmp/storm.out")" $rounds
sleep 1
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
contains "its summary tells what was left out" "$tmp/record.err" "left out, by connection:.*--max-rate $budget"

"$TCPTAPE" info --json "$tmp/storm" >"$tmp/info" 2>/dev/null
"$TCPTAPE" dump --json --no-snapshot "$tmp/storm" 2>/dev/null | awk "$awk_of"'
	of($0, "event") !~ /^(rate|counter|nic_)/ { n[int(of($0, "ts_ns") / 1e9)]++; sum++ }
	END { for (s in n) print n[s] }' | sort -rn >"$tmp/rates"
most=$(sed -n 1p "$tmp/rates")
third=$(sed -n 3p "$tmp/rates")
# For the share of a processor.
seconds=$(sed -n 's/.*"duration_s":\([0-9]*\).*/\1/p' "$tmp/info")
# A window may take the budget at once before it decides; by then the rings may be full too (4 MB). That
# is in one second, or on both sides of its end; the storm goes on for some more.
between "events in any second, of a budget of $budget" "$most" 1 $((3 * budget + 28000))
between "events in the third of the fullest seconds" "$third" 1 $((budget * 5 / 4))
left=$("$TCPTAPE" info --csv -v "$tmp/storm" 2>/dev/null | grep -c 'left out for the budget')
between "records of loss for the budget" "$left" 1 100000
"$TCPTAPE" info "$tmp/storm" >"$tmp/text" 2>/dev/null
contains "a change of rate is told" "$tmp/text" 'drop one connection in [0-9]+ \(budget: [0-9]+ events/s, budget of all groups 4000\)'
# Each SYN is answered by an RST from a port without a socket: an event each, recorded or left out.
resets=$("$TCPTAPE" dump --json --no-snapshot -e reset "$tmp/storm" 2>/dev/null | grep -c '"rport":\|"event":"reset"')
lost=$(sed 's/{/\n/g' "$tmp/info" | sed -n 's/.*"count":\([0-9]*\),"group":"reset".*/\1/p' | awk '{ s += $1 } END { print s + 0 }')
between "resets recorded ($resets) and left out ($lost), of $((rounds * syns)), %" \
	$(((resets + lost) * 100 / (rounds * syns))) 98 110
is "connects of the other connections, in the middle of the storm" \
	"$("$TCPTAPE" events -r connect --csv -f 'dst port 17111' "$tmp/storm" 2>/dev/null | columns lport | count)" 20
is "and their ends" \
	"$("$TCPTAPE" life --csv -f 'dst port 17111' "$tmp/storm" 2>/dev/null | columns lport | count)" 40
cpu=$("$TCPTAPE" info -v "$tmp/storm" 2>/dev/null | sed -n 's/^end.cpu_us *//p')
between "the recorder's CPU time, % of one" $((cpu / (seconds + 1) / 10000)) 0 40

# ---- the floor of free disk ----
mkdir "$tmp/mnt"
if mount -t tmpfs -o size=16m tmpfs "$tmp/mnt" 2>/dev/null; then
	status=0
	"$TCPTAPE_RECORD" --min-free 20M -d 1 -o "$tmp/mnt/t" 2>"$tmp/err" || status=$?
	is "too little room at the start: exit status" "$status" 1
	contains "and a message" "$tmp/err" 'only [0-9]+ MB are free'
	check "and no file" [ ! -e "$tmp/mnt/t" ]
	start record "$TCPTAPE_RECORD" -e conn --min-free 6M -d 60 -o "$tmp/mnt/t"
	wait_recording "$tmp/mnt/t"
	in_a "$LOAD" client -n 20 10.9.0.2 17111 >"$tmp/client"
	sleep 0.5
	dd if=/dev/zero of="$tmp/mnt/other" bs=1M count=12 2>/dev/null
	wait_end "$(cat "$tmp/record.pid")"
	is "the disk fills: exit status" "$status" 1
	contains "and a message" "$tmp/record.err" 'recording stopped: less than 6 MB are free'
	check "the file is whole" "$TCPTAPE" verify "$tmp/mnt/t"
	is "what was recorded is there" \
		"$("$TCPTAPE" events -r connect --csv -f 'dst port 17111' "$tmp/mnt/t" 2>/dev/null | columns lport | count)" 20
	umount "$tmp/mnt"
else
	echo "(no tmpfs can be mounted here: free disk not tried)"
fi
finish
