#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --rotate, --keep: each file is complete in itself, and no event is lost between two of them: all files
# together have what one recorder beside them saw. What a full disk does to it.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

start server "$LOAD" server 127.0.0.1 17143
wait_line server ready
mkdir "$tmp/parts"

# State changes of our port as "cookie old new", sorted: two recorders give the same. (Before Linux
# 5.12, where each numbers sockets itself: without the cookie.)
changes() { # FILE...
	for file in "$@"; do
		"$TCPTAPE" dump --json --no-snapshot -e tcp_state -f 'port 17143' "$file" 2>/dev/null
	done | awk -v numbered="$(meta identity "$1" | grep -c 'numbers given')" "$awk_of"'
		/"event":/ { print numbered ? "-" : of($0, "cookie"), of($0, "old_state"), of($0, "new_state") }' |
		sort
}
meta() { # KEY FILE
	"$TCPTAPE" info -v "$2" 2>/dev/null | sed -n "s/^$1  *//p"
}

# ---- by size, beside one that does not rotate ----
start whole "$TCPTAPE_RECORD" -e conn,rtt,drop --buffer 64M -o "$tmp/whole.tcptape"
wait_for 60 test -s "$tmp/whole.tcptape" || :
start parts "$TCPTAPE_RECORD" -e conn,rtt,drop --buffer 64M --rotate 64K -o "$tmp/parts/web.tcptape"
wait_for 60 test -s "$tmp/parts/web-000001.tcptape" || :
whole=$(cat "$tmp/whole.pid") parts=$(cat "$tmp/parts.pid")
i=0
while [ $i -lt 30 ]; do
	"$LOAD" client -n 100 -c 10 127.0.0.1 17143 >>"$tmp/client"
	"$LOAD" client 127.0.0.1 17144 >>"$tmp/refused" 2>&1 || : # drops: a symbol to name
	sleep 0.15
	i=$((i + 1))
done
kill -USR2 "$parts"
sleep 1
stop "$parts"
is "the recorder ends with" "$status" 0
stop "$whole"
show "$tmp/parts.err"

set -- "$tmp"/parts/web-*.tcptape
between "files" $# 3 60
check "they are numbered without a gap" test -e "$tmp/parts/$(printf 'web-%06d.tcptape' $#)"
bad=0
for file in "$@"; do
	"$TCPTAPE" verify "$file" >"$tmp/verify" 2>&1 || {
		bad=$((bad + 1))
		show "$tmp/verify"
	}
done
is "files that verify finds bad" $bad 0
changes "$tmp/whole.tcptape" >"$tmp/all"
changes "$@" >"$tmp/together"
between "state changes of our port in one file" "$(count <"$tmp/all")" 25000 40000
check "all parts together have the same" cmp "$tmp/all" "$tmp/together"
is "mode of a part" "$(stat -c %a "$1")" 600

# each says which it is
"$TCPTAPE" info "$@" >"$tmp/info"
is "info: each follows the one before it" "$(grep -c 'follows the file before' "$tmp/info")" $(($# - 1))
is "info: the last one says so" "$(grep -c 'the last one' "$tmp/info")" 1
first=$1
shift 2
"$TCPTAPE" info "$first" "$@" >"$tmp/info"
contains "info: part 2 is missed, with its events" "$tmp/info" 'part 2 is missing; [1-9][0-9]* events between'
is "recording id: one" "$(for f in "$first" "$@"; do meta recording.id "$f"; done | sort -u | count)" 1
is "a part that is not the last ends with" "$(meta end.reason "$first")" rotate

# complete in itself: names, sockets, schema of the last file that has a drop
last=
for file in "$@"; do
	[ -z "$("$TCPTAPE" drops --csv --no-header -f 'port 17143' "$file" 2>/dev/null)" ] || last=$file
done
if [ -n "$last" ]; then
	"$TCPTAPE" drops --csv -f 'port 17143' "$last" 2>/dev/null | columns location | sort -u >"$tmp/where"
	show "$tmp/where"
	contains "a drop in a later file has the name of its place" "$tmp/where" '^[a-z_0-9]+\+0x'
else
	echo "(no drop of our port in a later file)"
fi
for file in "$first" "$@"; do
	"$TCPTAPE" dump --json -e snap_sock -f 'port 17143' "$file" 2>/dev/null | grep -q LISTEN ||
		echo "$file"
done >"$tmp/without"
is "files that do not list the listener" "$(cat "$tmp/without")" ""

# ---- by age; --keep, also of recordings before ----
start parts "$TCPTAPE_RECORD" -e conn --rotate 1 --keep 3 -d 5.5 -o "$tmp/parts/web.tcptape"
wait_end "$(cat "$tmp/parts.pid")"
is "by age it ends with" "$status" 0
is "of all files of the name stay" "$(find "$tmp/parts" -type f | count)" 3
set -- "$tmp"/parts/*
between "how long one lasts, s" "$("$TCPTAPE" info --json "$1" | sed -n 's/.*"duration_s":\([0-9.]*\).*/\1/p' |
	head -1)" 0.9 2

# ---- a full disk, and room again ----
mkdir "$tmp/mnt"
if mount -t tmpfs -o size=3M tmpfs "$tmp/mnt" 2>/dev/null; then
	start parts "$TCPTAPE_RECORD" -e conn --rotate 1 --min-free 0 -o "$tmp/mnt/full"
	parts=$(cat "$tmp/parts.pid")
	wait_for 60 test -s "$tmp/mnt/full-000001" || :
	"$LOAD" client -n 100 127.0.0.1 17143 >>"$tmp/client"
	wait_for 30 test -s "$tmp/mnt/full-000002" || : # it runs
	dd if=/dev/zero of="$tmp/mnt/fill" bs=1k 2>/dev/null || : # no room at all
	i=0
	while [ $i -lt 6 ]; do
		"$LOAD" client -n 200 127.0.0.1 17143 >>"$tmp/client"
		sleep 0.5
		i=$((i + 1))
	done
	check "a full disk does not end it" kill -0 "$parts"
	rm "$tmp/mnt/fill"
	sleep 2.5
	"$LOAD" client -n 100 127.0.0.1 17143 >"$tmp/after"
	sleep 1
	stop "$parts"
	is "and it ends with" "$status" 0
	show "$tmp/parts.err"
	contains "the summary says so" "$tmp/parts.err" 'gaps'
	mkdir "$tmp/saved"
	cp "$tmp"/mnt/full-* "$tmp/saved"
	umount "$tmp/mnt"
	set -- "$tmp"/saved/*
	bad=0 lost=0
	for file in "$@"; do
		"$TCPTAPE" verify "$file" >"$tmp/verify" 2>&1 || bad=$((bad + 1))
		lost=$((lost + $("$TCPTAPE" info --json "$file" | sed -n 's/.*"lost":\([0-9]*\).*/\1/p' | head -1)))
	done
	is "files that verify finds bad" $bad 0
	# 14 events a connection, as the first part of this test found: 1200 connections met a full disk, beside those of others
	between "events lost, as the files tell" $lost 10000 30000
	"$TCPTAPE" info -v "$@" >"$tmp/info"
	contains "the file after the gap says why" "$tmp/info" '^output.trouble .*No space left'
	for file in "$@"; do
		"$TCPTAPE" events -r connect --csv -f 'dst port 17143' "$file" 2>/dev/null | columns lport
	done >"$tmp/got"
	awk '$1 == "connect" { print $3 }' "$tmp/after" >"$tmp/must"
	is "connects after the gap" "$(count <"$tmp/must")" 100
	is "of them in no file" "$(grep -vxFf "$tmp/got" "$tmp/must" | count)" 0
else
	echo "(no tmpfs can be mounted here: full disk not tried)"
fi

# ---- the floor of free disk: a gap ahead of a full disk ----
if mount -t tmpfs -o size=8M tmpfs "$tmp/mnt" 2>/dev/null; then
	start parts "$TCPTAPE_RECORD" -e conn --rotate 1 --min-free 4M -o "$tmp/mnt/low"
	parts=$(cat "$tmp/parts.pid")
	wait_for 60 test -s "$tmp/mnt/low-000001" || :
	dd if=/dev/zero of="$tmp/mnt/fill" bs=1k count=5000 2>/dev/null
	sleep 3
	find "$tmp/mnt" -name 'low-*' >"$tmp/files"
	sleep 2
	is "below --min-free no file is begun" "$(find "$tmp/mnt" -name 'low-*' | count)" "$(count <"$tmp/files")"
	between "and MB stay free" $(($(df -Pk "$tmp/mnt" | awk 'END { print $4 }') / 1024)) 1 4
	rm "$tmp/mnt/fill"
	sleep 2.5
	"$LOAD" client -n 50 127.0.0.1 17143 >"$tmp/after"
	sleep 1
	stop "$parts"
	is "with room again it goes on, and ends with" "$status" 0
	"$TCPTAPE" info -v "$tmp"/mnt/low-* >"$tmp/info"
	contains "the file after the gap says why" "$tmp/info" '^output.trouble .*min-free'
	for file in "$tmp"/mnt/low-*; do
		"$TCPTAPE" events -r connect --csv -f 'dst port 17143' "$file" 2>/dev/null | columns lport
	done >"$tmp/got"
	awk '$1 == "connect" { print $3 }' "$tmp/after" >"$tmp/must"
	is "connects after the gap in no file" "$(grep -vxFf "$tmp/got" "$tmp/must" | count)" 0
	umount "$tmp/mnt"
fi

# ---- usage ----
refused() { # WHAT REGEX ARG...
	what=$1 regex=$2 status=0
	shift 2
	"$TCPTAPE_RECORD" "$@" >"$tmp/out" 2>&1 </dev/null || status=$?
	is "$what: exit status" "$status" 2
	contains "$what: says why" "$tmp/out" "$regex"
}
refused "into standard output" 'not into standard output' --rotate 10M -o -
refused "--keep alone" 'of which files' --keep 3
refused "a size without a unit that is no second" 'expected' --rotate 10X
status=0
"$TCPTAPE_RECORD" --rotate 10M -o "$tmp/none/web.tcptape" >"$tmp/out" 2>&1 || status=$?
is "no such folder: exit status" "$status" 1
contains "no such folder: says so" "$tmp/out" 'No such file'
finish
