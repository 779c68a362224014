#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# SIGINT and SIGTERM close the file. After SIGKILL in the middle of a recording everything but the
# last second can be read, and the analyzer says that the file was not closed.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

start server "$LOAD" server 127.0.0.1 17093
wait_line server ready

connects() { # FILE
	"$TCPTAPE" events -r connect --csv -f 'dst port 17093' "$1" 2>"$tmp/note" | columns lport
}

for signal in INT TERM; do
	t=$tmp/$signal.tcptape
	record "$t" -e conn,rtt
	"$LOAD" client -n 5 127.0.0.1 17093 >"$tmp/client"
	stop "$(cat "$tmp/record.pid")" $signal
	is "SIG$signal ends it with" "$status" 0
	"$TCPTAPE" info "$t" >"$tmp/info"
	contains "SIG$signal: the file is closed" "$tmp/info" '^closed +yes'
	is "SIG$signal: connects" "$(connects "$t" | count)" 5
	is "SIG$signal: open file descriptors, processes left behind" \
		"$(pgrep -P "$(cat "$tmp/record.pid")" 2>/dev/null | count)" 0
done

# SIGKILL: connects at known times, the recorder killed while they go on
t=$tmp/KILL.tcptape
record "$t" -e conn,rtt
i=0
while [ $i -lt 30 ]; do
	printf '%s ' "$(date +%s.%N)"
	"$LOAD" client 127.0.0.1 17093 | awk '$1 == "connect" { print $3 }'
	sleep 0.1
	i=$((i + 1))
done >"$tmp/times"
killed=$(date +%s.%N)
stop "$(cat "$tmp/record.pid")" KILL
is "SIGKILL ends it with" "$status" 137

"$TCPTAPE" info "$t" >"$tmp/info" 2>"$tmp/info.err" || :
contains "info says that it was not closed" "$tmp/info" '^closed +no'
connects "$t" | sort >"$tmp/read"
contains "events says so too" "$tmp/note" 'not closed|incomplete|ends'
awk -v k="$killed" '$1 < k - 1.1 { print $2 }' "$tmp/times" | sort >"$tmp/must"
between "connects older than a second" "$(count <"$tmp/must")" 10 30
is "of them not readable" "$(grep -vxFf "$tmp/read" "$tmp/must" | count)" 0
echo "readable: $(count <"$tmp/read") of $(count <"$tmp/times") connects"
finish
