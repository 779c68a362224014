#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --ring: what is kept, and written at a signal, at the end, at a trigger; --ring-file after SIGKILL.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

start server "$LOAD" server 127.0.0.1 17141
wait_line server ready
ring=$tmp/ring
mkdir "$ring"

meta() { # KEY FILE
	"$TCPTAPE" info -v "$2" 2>/dev/null | sed -n "s/^$1  *//p"
}
is_good() { # FILE...
	for file in "$@"; do
		check "$(basename "$file") is good" "$TCPTAPE" verify "$file"
	done >"$tmp/good"
	grep FAIL "$tmp/good" && n_failed=$((n_failed + 1)) || :
}
connects() { # FILE: local ports of those to us
	"$TCPTAPE" events -r connect --csv -f 'dst port 17141' "$1" 2>/dev/null | columns lport | sort
}
begin() { # ARG...
	start ring "$TCPTAPE_RECORD" -o "$ring/web.tcptape" "$@"
	rec=$(cat "$tmp/ring.pid")
	wait_line ring 'into a ring'
}
load() { # N: connections; their local ports
	"$LOAD" client -n "$1" 127.0.0.1 17141 | awk '$1 == "connect" { print $3 }' | sort
}

# ---- a signal, and the end: each file has all that the ring holds ----
begin --ring 4M
is "nothing is written before" "$(find "$ring" -type f | count)" 0
load 50 >"$tmp/ports1"
kill -USR2 "$rec"
wait_for 10 grep -q 'was written' "$tmp/ring.err" || :
load 50 >"$tmp/ports2"
stop "$rec"
is "the recorder ends with" "$status" 0
show "$tmp/ring.err"
is "files" "$(find "$ring" -type f | count)" 2
is_good "$ring"/*
connects "$ring/web-000001.tcptape" >"$tmp/got1"
connects "$ring/web-000002.tcptape" >"$tmp/got2"
check "the first has the connects up to the signal" cmp "$tmp/ports1" "$tmp/got1"
sort "$tmp/ports1" "$tmp/ports2" >"$tmp/both"
check "the second has all" cmp "$tmp/both" "$tmp/got2"
is "reason of the first" "$(meta dump.reason "$ring/web-000001.tcptape")" signal
is "reason of the second" "$(meta dump.reason "$ring/web-000002.tcptape")" exit
"$TCPTAPE" info "$ring"/* >"$tmp/info"
contains "info: what both have" "$tmp/info" '[1-9][0-9]* events are in the file before, too'
rm "$ring"/*

# ---- seconds: what is older goes; sockets are listed as they are then ----
begin --ring 10
load 30 >"$tmp/old"
sleep 14
load 30 >"$tmp/new"
kill -USR2 "$rec"
wait_for 10 grep -q 'was written' "$tmp/ring.err" || :
file=$ring/web-000001.tcptape
connects "$file" >"$tmp/got"
check "connects of the last seconds are there" test "$(grep -cxFf "$tmp/got" "$tmp/new")" = 30
is "those from before are not" "$(grep -cxFf "$tmp/old" "$tmp/got" || :)" 0
check "events before it are counted" test "$(meta recording.events_before "$file")" -gt 0
between "its length, s" "$("$TCPTAPE" info --json "$file" | sed -n 's/.*"duration_s":\([0-9.]*\).*/\1/p' |
	head -1)" 0.01 15
is "the listener is listed" "$("$TCPTAPE" dump --json -e snap_sock -f 'port 17141' "$file" | grep -c LISTEN)" 1
stop "$rec"
is_good "$ring"/*
rm "$ring"/*

# ---- triggers ----
# a connect that nobody answers: the other end of the cable has no address
make_namespaces
ip -n "$A" link add veth0 type veth peer name veth0 netns "$B"
ip -n "$B" link set veth0 address 02:00:00:00:00:0b up
set_address "$A" veth0 1
ip -n "$A" neigh replace 10.9.0.2 lladdr 02:00:00:00:00:0b dev veth0 nud permanent

begin --ring 4M --trigger 'connect>2s' --after 1
load 20 >"$tmp/ports1"
is "nothing is written before a rule fires" "$(find "$ring" -type f | count)" 0
start open ip netns exec "$A" "$LOAD" client 10.9.0.2 80
open=$(cat "$tmp/open.pid")
sleep 2.5
check "(the connect is still open)" kill -0 "$open"
load 20 >"$tmp/ports2" # within --after
wait_for 10 grep -q 'was written' "$tmp/ring.err" || :
start open2 ip netns exec "$A" "$LOAD" client 10.9.0.2 81
sleep 2.7
is "one file; in the rest behind it none" "$(find "$ring" -type f | count)" 1
file=$ring/web-000001.tcptape
is "its reason" "$(meta dump.reason "$file")" trigger
"$TCPTAPE" info "$file" >"$tmp/info"
contains "info says which rule, whose, and when" "$tmp/info" \
	'^trigger.fired +connect>2s: 2[0-9.]* ms and still open, 10.9.0.1:[0-9]* - 10.9.0.2:80 at 20[0-9-]*T'
connects "$file" >"$tmp/got"
is "it lacks of what was before" "$(grep -vcxFf "$tmp/got" "$tmp/ports1" || :)" 0
is "and of what came within --after" "$(grep -vcxFf "$tmp/got" "$tmp/ports2" || :)" 0
stop "$open" TERM
stop "$(cat "$tmp/open2.pid")" TERM
stop "$rec"
is_good "$ring"/*
between "the next file counts what fired in the rest" \
	"$(meta trigger.quiet "$ring/web-000002.tcptape")" 1 1000
rm "$ring"/*

begin --ring 4M --trigger reset
"$LOAD" client 127.0.0.1 17142 >"$tmp/refused" 2>&1 || : # nobody listens there
wait_for 10 grep -q 'was written' "$tmp/ring.err" || :
"$TCPTAPE" info "$ring/web-000001.tcptape" >"$tmp/info"
contains "a reset fires" "$tmp/info" '^trigger.fired +reset: 1, .*:[0-9]* - '
stop "$rec"
rm "$ring"/*

# ---- in a file: SIGKILL ----
begin --ring 4M --ring-file "$ring/ring" -e conn,rtt
load 100 >"$tmp/ports1"
sleep 1.5
stop "$rec" KILL
is "SIGKILL: what is left" "$(ls "$ring")" ring
status=0
"$TCPTAPE" info "$ring/ring" >"$tmp/out" 2>&1 || status=$?
is "info of it ends with" "$status" 1
contains "and names repair" "$tmp/out" "tcptape repair"
"$TCPTAPE" repair -o "$ring/saved" "$ring/ring" >"$tmp/out" 2>&1
show "$tmp/out"
is_good "$ring/saved"
connects "$ring/saved" >"$tmp/got"
check "SIGKILL: all connects are saved" cmp "$tmp/ports1" "$tmp/got"
rm "$ring/saved"
"$TCPTAPE" repair -o - - <"$ring/ring" >"$tmp/piped" 2>/dev/null
connects "$tmp/piped" >"$tmp/got"
check "and out of standard input" cmp "$tmp/ports1" "$tmp/got"

# the next recorder keeps it, and takes its own away
begin --ring 4M --ring-file "$ring/ring" -e conn
stop "$rec"
is "after a proper end" "$(ls "$ring" | tr '\n' ' ')" "ring.old web-000001.tcptape "
finish
