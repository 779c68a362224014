#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where a recording can go: standard output and a pipe, read as it comes; a FIFO.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

start server "$LOAD" server -n 40 127.0.0.1 17092
wait_line server ready

# -o - into an analyzer that prints while the recorder still runs
mkfifo "$tmp/go"
(
	"$TCPTAPE_RECORD" -e conn -d 8 -o - 2>"$tmp/record.err" |
		"$TCPTAPE" events --csv -f 'port 17092' - >"$tmp/events" 2>"$tmp/events.err"
) &
pipe=$!
pids="$pids $pipe"
sleep 2
"$LOAD" client -n 10 127.0.0.1 17092 >"$tmp/client"
seen() { [ "$(grep -c connect "$tmp/events")" -ge 10 ]; }
check "the analyzer prints while the recorder runs" wait_for 4 seen
check "(the recorder still runs)" kill -0 "$pipe"
wait_end "$pipe"
is "the pipe ends with" "$status" 0
is "connects read from the pipe" "$(grep -c '[,^]connect' "$tmp/events")" 10

status=0
"$TCPTAPE_RECORD" -e conn -d 1 -o - 2>/dev/null | "$TCPTAPE" info - >"$tmp/info" || status=$?
is "info of a pipe ends with" "$status" 0
contains "it is closed" "$tmp/info" '^closed +yes'

# a FIFO
mkfifo "$tmp/fifo"
start record "$TCPTAPE_RECORD" -e conn -d 3 -o "$tmp/fifo"
start dump "$TCPTAPE" dump --json -f 'port 17092' "$tmp/fifo"
sleep 1.5
"$LOAD" client -n 5 127.0.0.1 17092 >"$tmp/client"
wait_end "$(cat "$tmp/record.pid")"
is "recording into a FIFO ends with" "$status" 0
wait_end "$(cat "$tmp/dump.pid")"
is "dump of it ends with" "$status" 0
between "events read from the FIFO" "$(count <"$tmp/dump.out")" 30 200

# a reader that goes away, while nothing happens that would be written
before=$(date +%s)
{
	status=0
	"$TCPTAPE_RECORD" -e conn -d 20 -o - 2>"$tmp/record.err" || status=$?
	echo $status >"$tmp/status"
} | sleep 2
is "without its reader the recorder ends with" "$(cat "$tmp/status")" 0
between "before its time, s" $(($(date +%s) - before)) 0 6
is "and has nothing to complain about" "$(cat "$tmp/record.err")" ""
{
	status=0
	"$TCPTAPE_RECORD" -o - -- touch "$tmp/ran" 2>"$tmp/record.err" || status=$?
	echo $status >"$tmp/status"
} | :
is "no reader, so the command does not run" "$(cat "$tmp/status") $(ls "$tmp/ran" 2>/dev/null)" "125 "
contains "and a line says so" "$tmp/record.err" 'nobody reads.*did not run'
finish
