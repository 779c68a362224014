#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Network namespaces come and go while files begin, each with a list of all sockets: nothing keeps one
# that was deleted alive, the recording goes on, and what it says of them is what was there.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
C=''
trap '[ -z "$C" ] || ip netns del "$C" 2>/dev/null; cleanup' EXIT
first_file() { [ -s "$tmp/t-000001.tcptape" ]; }
files() { find "$tmp" -name 't-*.tcptape' | count; }
more_files() { [ "$(files)" -gt "$1" ]; }
# no netfilter hooks: these look for namespaces themselves
start record "$TCPTAPE_RECORD" --interval 0.2 --rotate 4s -o "$tmp/t.tcptape"
wait_for 60 first_file || {
	show "$tmp/record.err"
	exit 1
}
i=0
: >"$tmp/inodes"
no_link() { ! ip -n "$A" link show "$1" >/dev/null 2>&1; }
while [ $i -lt 6 ]; do
	C=tcptape$$c$i # another name, and as a rule the number of the one before
	ip netns add "$C"
	ip -n "$C" link set lo up
	ip -n "$A" link add "v$i" type veth peer name "v$i" netns "$C"
	stat -L -c %i "/run/netns/$C" >>"$tmp/inodes"
	start "server$i" ip netns exec "$C" "$LOAD" server 127.0.0.1 17305
	wait_line "server$i" ready
	ip netns exec "$C" "$LOAD" client -n 10 -c 3 127.0.0.1 17305 >>"$tmp/client"
	sleep 1.2 # some samples
	# the last lives to see a file that begins after its listener, and has its list
	[ $i -lt 5 ] || { wait_for 60 more_files "$(files)" && sleep 1; }
	ip netns del "$C"
	stop "$(cat "$tmp/server$i.pid")" KILL
	check "it ends, though it was recorded" wait_for 10 no_link "v$i"
	C=''
	i=$((i + 1))
done
check "the recorder goes on" kill -0 "$(cat "$tmp/record.pid")"
stop "$(cat "$tmp/record.pid")"
is "it ends with" "$status" 0
show "$tmp/record.err"
: >"$tmp/dump"
: >"$tmp/events"
for file in "$tmp"/t-*.tcptape; do
	"$TCPTAPE" verify "$file" >"$tmp/verify" 2>&1 || {
		check "$file is good" false
		show "$tmp/verify"
	}
	"$TCPTAPE" info "$file" | grep trouble >>"$tmp/trouble" || :
	"$TCPTAPE" dump --json "$file" >>"$tmp/dump"
done
between "files" "$(files)" 2 1000
is "trouble with what was gone" "$(cat "$tmp/trouble")" ''
n_ok=$(grep -c '^connect.* ok ' "$tmp/client")
awk "$awk_of"'NR == FNR { ours[$1] = 1; next }
	of($0, "event") == "tcp_state" && of($0, "new_state") == "SYN_SENT" && of($0, "netns") in ours && of($0, "rport") == 17305' \
	"$tmp/inodes" "$tmp/dump" >"$tmp/starts"
is "connects in these namespaces" "$(count <"$tmp/starts")" "$n_ok"
last=$(tail -1 "$tmp/inodes")
awk "$awk_of"'NR == FNR { ours[$1] = 1; next }
	of($0, "event") == "snap_netns" && of($0, "netns") in ours { print of($0, "netns"), of($0, "name") }' \
	"$tmp/inodes" "$tmp/dump" >"$tmp/names"
is "their names" "$(grep -o "tcptape$$.*" "$tmp/names" | sort -u | tr '\n' ' ')" \
	"$(for i in 0 1 2 3 4 5; do printf '%s ' "tcptape$$""c$i"; done)"
is "who has the last one's number at the end" "$(grep "^$last " "$tmp/names" | tail -1)" "$last tcptape$$""c5"
between "lists with its listener" "$(awk -v netns="$last" "$awk_of"'
	of($0, "event") == "snap_sock" && of($0, "netns") == netns && of($0, "lport") == 17305 && of($0, "state") == "LISTEN"' \
	"$tmp/dump" | count)" 1 100
finish
