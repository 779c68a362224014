#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A hook that cannot be had stops nothing else, and what is lost by it is said: with methods refused
# (TCPTAPE_REFUSE), down to none at all.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
t=$tmp/t.tcptape

recorder() { # METHODS ARG...: status in $status
	methods=$1
	shift
	status=0
	TCPTAPE_REFUSE=$methods "$TCPTAPE_RECORD" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}

recorder all --list
is "everything refused: --list ends with" "$status" 0
sed '/^$/,$d' "$tmp/out" >"$tmp/events" # below them stand capabilities
n=$(($(grep -vc '^--' "$tmp/events") - 1)) # a kernel may lack --stacks, too
between "events that it names" "$n" 16 100
is "those without a hook, and why" "$(grep -Ec ' - +absent: .*; not recorded: .' "$tmp/events")" "$n"
is "those refused for the reason given" "$(grep -Ec 'refused by TCPTAPE_REFUSE' "$tmp/events")" "$n"
recorder all -d 1 -o "$t"
is "everything refused: it ends with" "$status" 1
contains "and says so" "$tmp/err" 'no event .* has a hook .*--list'
is "in one line" "$(count <"$tmp/err")" 1
check "no file is left" test ! -e "$t"
recorder tp_btf,nonsense --list
is "a method that is none: it ends with" "$status" 1
contains "and names it" "$tmp/err" 'nonsense'

# One group has no hook, another has: that one is recorded, and status 3 says that it was not all.
"$LOAD" client 127.0.0.1 9 >/dev/null || : # refused: now some counter is not 0
recorder tp_btf,fexit,fentry,kprobe -d 0.5 -e rtt,counters -o "$t"
is "a named group without a hook: it ends with" "$status" 3
contains "and names it" "$tmp/err" 'group rtt has no hook'
contains "what is lost by it" "$tmp/err" 'not recorded: round-trip times'
"$TCPTAPE" info "$t" >"$tmp/info"
contains "the other one is recorded" "$tmp/info" '^probe.counter +sample:'
contains "counters are there" "$tmp/info" '^counter +[1-9]'
contains "the file says why there is no rtt" "$tmp/info" '^absent.rtt +.*refused'
recorder tp_btf,fexit,fentry,kprobe --force -d 0.5 -e counters -o "$t"
is "nothing that was named is missing: it ends with" "$status" 0

# Without the better hooks rtt comes by tcp_probe, everywhere, which says what it does not see.
recorder fexit,fentry,kprobe --list
contains "rtt by its last choice" "$tmp/out" '^rtt +rtt +tp_btf:tcp_probe +attaches; .*not see: raw samples'
make_namespaces
join_by_veth
serve echo 10.9.0.2 17501
export TCPTAPE_REFUSE=fexit,fentry,kprobe
record "$tmp/r.tcptape" -e conn,rtt
unset TCPTAPE_REFUSE
in_a "$LOAD" client -n 3 -c 40 10.9.0.2 17501 >"$tmp/client"
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
"$TCPTAPE" info "$tmp/r.tcptape" >"$tmp/info"
contains "it was used" "$tmp/info" '^probe.rtt +tp_btf:tcp_probe'
"$TCPTAPE" rtt --each --csv -f 'port 17501 and net 10.9.0.0/24' "$tmp/r.tcptape" 2>"$tmp/notes" |
	columns lport >"$tmp/rtt"
# each of 40 exchanges brings each end one ACK that advances; handshake and closing states are not seen
between "its samples" "$(count <"$tmp/rtt")" $((3 * 2 * 38)) $((3 * 2 * 42))
# no snapshot without iterators
recorder iter --force -d 0.5 -e conn -o "$t"
is "without iterators it ends with" "$status" 0
contains "which costs the list of sockets" "$tmp/err" 'no list of sockets: iter refused by TCPTAPE_REFUSE'
finish
