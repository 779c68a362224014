#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -p and --comm together, when there is no room for all that they choose: of the sockets that a process
# and others of a name open, as many are followed as there is room for, the first ones, from their
# begin to their end; the others are not recorded at all, and told as loss; room that was left is
# taken again. Each crowd says how many it opened: a listener, and both ends of each connection.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
: "${CROWD=$build/tests/crowd}"
need ip

A=tcptape$$a
ip netns add "$A" 2>"$tmp/netns.err" || skip "no network namespaces: $(cat "$tmp/netns.err")"
ip -n "$A" link set lo up
cp "$CROWD" "$tmp/picked"
crowd() { # NAME PROGRAM PAIRS PORT: until it has them
	start "$1" ip netns exec "$A" "$2" "$3" "$4"
	wait_line "$1" ready
}
mkfifo "$tmp/go"
# shellcheck disable=SC2016
start by_pid ip netns exec "$A" env CROWD="$CROWD" GO="$tmp/go" sh -c 'read -r go <"$GO"; exec "$CROWD" 3 17851'
by_pid=$pid
crowd other "$CROWD" 2 17852 # nobody's; there before

export TCPTAPE_SELECT_MAX=10
record "$tmp/t.tcptape" -p "$by_pid" --comm picked -e conn
unset TCPTAPE_SELECT_MAX
echo go >"$tmp/go"
wait_line by_pid ready                   # 7 sockets
crowd by_comm "$tmp/picked" 3 17853      # 3 of 7
crowd other_too "$CROWD" 2 17854         # nobody's
stop "$by_pid" TERM
stop "$(cat "$tmp/by_comm.pid")" TERM
sleep 0.5 # their sockets have ended
crowd again "$tmp/picked" 2 17855        # 5, for which there is room again
stop "$(cat "$tmp/again.pid")" TERM
stop "$(cat "$tmp/other_too.pid")" TERM
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"

"$TCPTAPE" dump --json --no-snapshot "$tmp/t.tcptape" 2>"$tmp/dump.err" | grep -E '"event":"tcp_(state|destroy)"' >"$tmp/events"
socks() { # PORT [EVENT]: of its listener and connections
	grep "\"event\":\"${2:-}" "$tmp/events" | grep -E "\"[lr]port\":$1[,}]" | awk "$awk_of"'{ print of($0, "cookie") }' | sort -u | count
}
is "sockets of the process" "$(socks 17851)" 7
is "of the name, as long as there was room" "$(socks 17853)" 3
is "of the name, when there was room again" "$(socks 17855)" 5
is "of others" "$(($(socks 17852) + $(socks 17854)))" 0
for port in 17851 17853 17855; do
	is "port $port: ends of sockets that were followed" "$(socks $port tcp_destroy)" "$(socks $port tcp_state)"
done
"$TCPTAPE" info "$tmp/t.tcptape" >"$tmp/info"
show "$tmp/info"
contains "the file says that some were not followed" "$tmp/info" 'connections not followed, as the selection was full'
between "how many: 4, some of them again when they are accepted" \
	"$("$TCPTAPE" info --json "$tmp/t.tcptape" 2>"$tmp/info.err" | sed -n 's/.*"lost":\([0-9]*\).*/\1/p' | head -1)" 4 12
"$TCPTAPE" states "$tmp/t.tcptape" >/dev/null 2>"$tmp/note"
show "$tmp/note"
contains "commands say so" "$tmp/note" 'lost|not followed'
finish
