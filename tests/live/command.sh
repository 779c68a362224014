#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How a recording ends, whose it is, and what becomes of `-- COMMAND`.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
t=$tmp/t.tcptape

recorder() { # ARG...: runs to its end; status in $status
	status=0
	"$TCPTAPE_RECORD" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}
closed() { "$TCPTAPE" info "$t" | grep -Eq '^closed +yes'; }

before=$(date +%s%N)
recorder -d 1 -o "$t"
after=$(date +%s%N)
is "-d 1 ends with" "$status" 0
between "it took, ms" $(((after - before) / 1000000)) 1000 15000
check "the file is closed" closed
is "mode of the file" "$(stat -c %a "$t")" 600
is "its owner" "$(stat -c %u:%g "$t")" 0:0

rm "$t"
recorder -o "$t" -- sh -c 'exit 7'
is "the command's exit status is ours" "$status" 7
check "the file is closed" closed
recorder --force -o "$t" -- sh -c 'kill -TERM $$'
is "a command killed by a signal: 128 + its number" "$status" 143
recorder --force -o "$t" -- /nonexistent/command
is "no such command: 127, as a shell has it" "$status" 127
contains "and it says so" "$tmp/err" 'nonexistent'
check "the file that was there is as it was" closed
recorder -o "$tmp/none" -- /nonexistent/command
is "without one before, none is left" "$(ls "$tmp/none" 2>/dev/null)" ''
echo precious >"$tmp/old"
chmod 644 "$tmp/old"
chown "$(id -u nobody)" "$tmp/old"
recorder --force -o "$tmp/old" -- "$tmp"
is "what cannot be executed: 126, as a shell has it" "$status" 126
is "and the old file is as it was" "$(cat "$tmp/old")" precious
recorder --force -o "$tmp/old" -- true
is "over an old file it ends with" "$status" 0
is "owner and mode are those of a new file" "$(stat -c %u:%a "$tmp/old")" 0:600
check "and it is a trace" "$TCPTAPE" info "$tmp/old"
# shellcheck disable=SC2016 # for the inner shell
recorder --force -d 1 -o "$t" -- sh -c '"$0" client 127.0.0.1 17092; sleep 3; "$0" client 127.0.0.1 17093
	exit 5' "$LOAD"
is "-d shorter than the command: it may end, and its status is ours" "$status" 5
is "but only what comes before is recorded" \
	"$("$TCPTAPE" connlat --csv -f 'portrange 17092-17093' "$t" | columns rport | tr '\n' ' ')" '17092 '

# After -d, COMMAND is waited for: the first signal is passed on, the second one ends the wait.
for signal in INT TERM; do
	rm "$t"
	start waiting "$TCPTAPE_RECORD" -d 1 -o "$t" -- \
		env --default-signal sh -c "trap 'exit 9' $signal; sleep 1; sleep 1; sleep 1; sleep 1; sleep 6"
	wait_recording "$t"
	sleep 1.5
	before=$(date +%s%N)
	stop "$(cat "$tmp/waiting.pid")" $signal
	is "SIG$signal after -d is passed on, and ends the command" "$status" 9
	between "before it would have ended, ms" $((($(date +%s%N) - before) / 1000000)) 0 7000
done
rm "$t"
start waiting "$TCPTAPE_RECORD" -d 1 -o "$t" -- sh -c "trap : TERM INT; sleep 4; sleep 4; sleep 4"
wait_recording "$t"
sleep 4 # detaching takes its time where the kernel is emulated
kill -TERM "$(cat "$tmp/waiting.pid")"
sleep 0.3
before=$(date +%s%N)
stop "$(cat "$tmp/waiting.pid")" TERM
is "a second signal ends the wait with" "$status" 125
between "before the command ends, ms" $((($(date +%s%N) - before) / 1000000)) 0 6000
contains "which says so" "$tmp/waiting.err" 'still runs'
check "the file is closed all the same" closed

# As a user who called sudo: the command and the file are his.
nobody=$(id -u nobody)
chmod 777 "$tmp"
rm -f "$t"
status=0
SUDO_UID=$nobody SUDO_GID=$(id -g nobody) "$TCPTAPE_RECORD" -o "$t" -- \
	sh -c 'id -u; id -g' >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
is "as a sudo user it ends with" "$status" 0
is "user and group of the command" "$(tr '\n' ' ' <"$tmp/out")" "$nobody $(id -g nobody) "
is "owner of the file" "$(stat -c %u:%g "$t")" "$nobody:$(id -g nobody)"
is "mode of the file" "$(stat -c %a "$t")" 600
chmod 755 "$tmp"

# What the command does is in the recording.
rm "$t"
recorder -o "$t" -- "$LOAD" client -n 3 127.0.0.1 17091
is "connects of the command" \
	"$("$TCPTAPE" connlat --csv -f 'port 17091' "$t" | columns comm outcome | sort | uniq -c |
		awk '{ print $1, $2, $3 }')" "3 load refused"
finish
