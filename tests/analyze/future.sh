#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# future.sh MAKE-FUTURE: what the commands say of a trace of a newer minor version, which they read,
# and of a newer major one, which they refuse.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
make=$1
f=$tmp/f.tcptape

"$make" 1 99 >"$f"
status=0
"$TCPTAPE" info "$f" >"$tmp/out" 2>"$tmp/err" || status=$?
is "info of 1.99 ends with" "$status" 0
contains "it counts the event that is new" "$tmp/out" 'quic_rtt +1'
contains "it says that the format is newer" "$tmp/err" 'format 1\.99 is newer'
contains "fields that it does not know" "$tmp/err" '1 fields are of a type'
contains "events that nobody describes" "$tmp/err" '1 events are of types'
contains "a reason of loss that has no name" "$tmp/out" '5 of q .*other'
contains "no damage" "$tmp/out" '^damage +none'

status=0
"$TCPTAPE" dump --json "$f" >"$tmp/out" 2>"$tmp/err" || status=$?
is "dump ends with" "$status" 0
is "it shows the events that are described" "$(grep -c '"event":' "$tmp/out")" 3
contains "and tells of the other one" "$tmp/err" '1 events are of types'
contains "a state that has no name" "$tmp/out" '"old_state":"?99'
contains "the new event" "$tmp/out" '"rtt_us":99'

status=0
"$TCPTAPE" verify "$f" >"$tmp/out" 2>"$tmp/err" || status=$?
is "verify ends with" "$status" 0
contains "it says what it could not look at" "$tmp/err" '3 columns are written in a newer way'

# repair keeps what it does not know
"$TCPTAPE" repair -o "$tmp/r.tcptape" "$f" >"$tmp/out"
contains "repair loses nothing" "$tmp/out" '4 events .* nothing was damaged'
"$TCPTAPE" dump --json "$f" 2>/dev/null >"$tmp/a"
"$TCPTAPE" dump --json "$tmp/r.tcptape" 2>/dev/null >"$tmp/b"
check "the same events" sh -c "grep event '$tmp/a' >'$tmp/c'; grep event '$tmp/b' | cmp - '$tmp/c'"
contains "the new block is there" "$tmp/r.tcptape" 'a new block'

"$make" 9 0 >"$tmp/9.tcptape"
printf 'TTB9 is the magic of blocks that nobody knows today, nor what they hold' >"$tmp/other.tcptape"
for command in info dump verify "repair -o $tmp/none"; do
	for f in "$tmp/9.tcptape" "$tmp/other.tcptape"; do
		status=0
		# shellcheck disable=SC2086 # words
		"$TCPTAPE" $command "$f" >"$tmp/out" 2>"$tmp/err" || status=$?
		is "$command of 9.0 ends with" "$status" 1
		is "and says so in lines:" "$(cat "$tmp/out" "$tmp/err" | count)" 1
		contains "which version, and what to do" "$tmp/err" 'version 9, .* reads version 1: use a tcptape'
	done
done
check "no file is left" test ! -e "$tmp/none"
finish
