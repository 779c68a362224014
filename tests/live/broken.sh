#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Recordings that broke: killed, cut, damaged, on a full disk. What verify says, and what repair saves:
# every event that can be read, and a count of the others wherever the file tells it.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

start server "$LOAD" server 127.0.0.1 17095
wait_line server ready

events() { # FILE: all of them, as text
	"$TCPTAPE" dump --json "$1" 2>/dev/null | grep '"event":' || :
}
number() { # KEY FILE: of repair's JSON
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$2" | tail -1
}
lost() { # FILE
	"$TCPTAPE" info --json "$1" | sed -n 's/.*"lost":\([0-9]*\).*/\1/p' | head -1
}
save() { # NAME STATUS: verify ends with that; repair to $tmp/NAME.saved, which verify then finds good
	status=0
	"$TCPTAPE" verify "$tmp/$1.tcptape" >"$tmp/verify" 2>&1 || status=$?
	echo "-- $1: verify"
	show "$tmp/verify"
	is "$1: verify ends with" "$status" "$2"
	"$TCPTAPE" repair --json -o "$tmp/$1.saved" "$tmp/$1.tcptape" >"$tmp/$1.json" 2>&1 || :
	"$TCPTAPE" repair --force -o "$tmp/$1.saved" "$tmp/$1.tcptape" >"$tmp/repair" 2>&1 || :
	echo "-- $1: repair"
	show "$tmp/repair"
	check "$1: what was saved is good" "$TCPTAPE" verify "$tmp/$1.saved"
	is "$1: mode" "$(stat -c %a "$tmp/$1.saved")" 600
	"$TCPTAPE" info "$tmp/$1.saved" >"$tmp/info"
	contains "$1: info says that it was repaired" "$tmp/info" "^repair.of +$1.tcptape"
}
some_connects() { # SECONDS: a few each half second, so that there are several chunks
	i=0
	while [ $i -lt $((2 * $1)) ]; do
		"$LOAD" client -n 5 -c 5 127.0.0.1 17095 >>"$tmp/client"
		sleep 0.5
		i=$((i + 1))
	done
}

# killed in the middle
record "$tmp/killed.tcptape" -e conn,rtt
some_connects 4
stop "$(cat "$tmp/record.pid")" KILL
save killed 0
contains "killed: verify says that it was not closed" "$tmp/verify" 'not closed'
is "killed: events saved" "$(events "$tmp/killed.saved" | count)" \
	"$(events "$tmp/killed.tcptape" | count)"
between "killed: connects saved" "$("$TCPTAPE" events -r connect --csv -f 'dst port 17095' \
	"$tmp/killed.saved" 2>/dev/null | columns lport | count)" 20 40

# closed: nothing is lost
record "$tmp/whole.tcptape" -e conn,rtt
some_connects 4
stop "$(cat "$tmp/record.pid")"
save whole 0
events "$tmp/whole.tcptape" >"$tmp/all"
events "$tmp/whole.saved" >"$tmp/saved"
check "closed: the same events" cmp "$tmp/all" "$tmp/saved"
is "closed: lost" "$(number missing_events "$tmp/whole.json")" 0

# eight bytes in the middle overwritten: saved and missing are what was recorded
size=$(stat -c %s "$tmp/whole.tcptape")
total=$(number events "$tmp/whole.json")
was_lost=$(lost "$tmp/whole.tcptape")
cp "$tmp/whole.tcptape" "$tmp/hit.tcptape"
printf 'overwrit' | dd of="$tmp/hit.tcptape" bs=1 seek=$((size * 8 / 10)) conv=notrunc 2>/dev/null
save hit 1
missing=$(number missing_events "$tmp/hit.json")
between "hit: events missing" "$missing" 1 "$total"
is "hit: saved and missing" $(($(number events "$tmp/hit.json") + missing)) "$total"
is "hit: the file tells the loss" "$(lost "$tmp/hit.saved")" $((missing + was_lost))
events "$tmp/hit.saved" | grep -vxFf "$tmp/all" >"$tmp/invented" || :
is "hit: events that were not there" "$(count <"$tmp/invented")" 0

# cut
head -c $((size * 9 / 10)) "$tmp/whole.tcptape" >"$tmp/cut.tcptape"
save cut 1
between "cut: events saved" "$(number events "$tmp/cut.json")" 1 $((total - 1))
is "cut: as many as can be read" "$(events "$tmp/cut.saved" | count)" \
	"$(events "$tmp/cut.tcptape" | count)"

# a full disk: of the recorder, of a copy, of repair itself
mkdir "$tmp/mnt"
if mount -t tmpfs -o size=128k tmpfs "$tmp/mnt" 2>/dev/null; then
	start record "$TCPTAPE_RECORD" --min-free 0 -e conn -d 30 -o "$tmp/mnt/t"
	wait_recording "$tmp/mnt/t"
	i=0
	while kill -0 "$(cat "$tmp/record.pid")" 2>/dev/null && [ $i -lt 60 ]; do
		"$LOAD" client -n 200 127.0.0.1 17095 >>"$tmp/client"
		sleep 0.2 # several chunks
		i=$((i + 1))
	done
	wait_end "$(cat "$tmp/record.pid")"
	cp "$tmp/mnt/t" "$tmp/full.tcptape"
	save full 0
	is "full disk: events missing" "$(number missing_events "$tmp/full.json")" 0
	rm "$tmp/mnt/t"
	dd if=/dev/zero of="$tmp/mnt/fill" bs=1k \
		count=$((128 - $(stat -c %s "$tmp/full.tcptape") * 6 / 10240)) 2>/dev/null
	cp "$tmp/full.tcptape" "$tmp/mnt/t" 2>/dev/null || :
	cp "$tmp/mnt/t" "$tmp/copy.tcptape"
	save copy 1
	between "copy to a full disk: events saved" "$(number events "$tmp/copy.json")" 1 1000000
	rm "$tmp/mnt/t"
	status=0
	"$TCPTAPE" repair -o "$tmp/mnt/t" "$tmp/full.tcptape" >"$tmp/out" 2>&1 || status=$?
	is "repair onto a full disk ends with" "$status" 1
	contains "and says why" "$tmp/out" 'No space left'
	check "and leaves no file" test ! -e "$tmp/mnt/t"
	umount "$tmp/mnt"
else
	echo "(no tmpfs can be mounted here: full disk not tried)"
fi

# it is as careful with its output as the recorder
fails() { # WHAT STATUS REGEX COMMAND...
	what=$1 want=$2 regex=$3 status=0
	shift 3
	"$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	is "$what: exit status" "$status" "$want"
	contains "$what: says why" "$tmp/out" "$regex"
}
t=$tmp/whole.tcptape
fails "no -o" 2 'where to' "$TCPTAPE" repair "$t"
fails "existing file" 1 'exists' "$TCPTAPE" repair -o "$tmp/cut.saved" "$t"
fails "the trace itself" 2 'the trace itself' "$TCPTAPE" repair --force -o "$t" "$t"
ln -s "$tmp/nothing" "$tmp/link"
fails "symbolic link" 1 'symbolic link' "$TCPTAPE" repair --force -o "$tmp/link" "$t"
fails "no trace" 1 'not a tcptape trace' "$TCPTAPE" repair -o "$tmp/none" "$0"
check "no file is left" test ! -e "$tmp/none"
fails "no such trace" 2 'No such file' "$TCPTAPE" repair -o "$tmp/none" "$tmp/nofile"
"$TCPTAPE" repair -o - - <"$t" 2>/dev/null | "$TCPTAPE" dump --json - 2>/dev/null |
	grep '"event":' >"$tmp/piped"
check "through pipes: the same events" cmp "$tmp/all" "$tmp/piped"
# shellcheck disable=SC2002 # a pipe, not a file
cat "$tmp/cut.tcptape" | "$TCPTAPE" repair -o "$tmp/piped.saved" - >"$tmp/out" 2>&1
is "out of a pipe: as many" "$(events "$tmp/piped.saved" | count)" "$(events "$tmp/cut.saved" | count)"
finish
