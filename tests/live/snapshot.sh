#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What was there before the recording began is in it: listeners and connections, with the processes
# that have them open. ss and the shell's own knowledge of its children are the truth.
# mends: long-lived-never-shown
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_veth
serve server 10.9.0.2 17001 # in a namespace; and another in the one that the test runs in
start here "$LOAD" server 127.0.0.1 17095
wait_line here ready
start client4 ip netns exec "$A" "$LOAD" client -c 2 -s 10 -a 10 -w 4000 10.9.0.2 17001
start client_here "$LOAD" client -w 4000 127.0.0.1 17095
wait_line client4 '^connect'
wait_line client_here '^connect'
sleep 0.2
record "$tmp/t.tcptape" -e conn
wait_end "$(cat "$tmp/client4.pid")" # both close while it records
wait_end "$(cat "$tmp/client_here.pid")"
sleep 0.3
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

inode() { stat -L -c %i "$1"; }
ours="$(inode "/run/netns/$A")|$(inode "/run/netns/$B")|$(inode /proc/self/ns/net)"
"$TCPTAPE" dump --json "$tmp/t.tcptape" | grep '"snap_sock"' | grep -E "\"netns\":($ours)," >"$tmp/snapshot"
port() { awk '$1 == "connect" { print $3 }' "$tmp/$1.out"; }
# `ip netns exec` becomes the program, so the pid is that of the start
owner() { # LPORT RPORT STATE: pid of the owner in the snapshot
	grep "\"lport\":$1," "$tmp/snapshot" | grep "\"rport\":$2," | grep "\"$3\"" |
		sed -n 's/.*"pid":\([0-9]*\).*/\1/p'
}
is "owner of the connection in a namespace" \
	"$(owner "$(port client4)" 17001 ESTABLISHED)" "$(cat "$tmp/client4.pid")"
is "owner of its other end" \
	"$(owner 17001 "$(port client4)" ESTABLISHED)" "$(cat "$tmp/server.pid")"
is "owner of the connection in this namespace" \
	"$(owner "$(port client_here)" 17095 ESTABLISHED)" "$(cat "$tmp/client_here.pid")"
is "owner of the listener in a namespace" "$(owner 17001 0 LISTEN)" "$(cat "$tmp/server.pid")"
is "owner of the listener in this namespace" "$(owner 17095 0 LISTEN)" "$(cat "$tmp/here.pid")"

"$TCPTAPE" life --csv -f 'port 17001' "$tmp/t.tcptape" | columns lport rport pid comm >"$tmp/life"
is "life knows whose it was, though it began before" \
	"$(grep "^$(port client4) 17001 " "$tmp/life")" \
	"$(port client4) 17001 $(cat "$tmp/client4.pid") load"

"$TCPTAPE_RECORD" --no-snapshot -d 1 -o "$tmp/none.tcptape" 2>/dev/null
is "sockets with --no-snapshot" "$("$TCPTAPE" dump --json "$tmp/none.tcptape" | grep -c '"snap_sock"')" 0
finish
