#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# newer.sh MAKE-NEWER: of a sample trace as a later minor version might write it, every command says
# what it says of the sample itself.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
make=$1
traces=$(dirname "$0")/../../sample-traces

both() { # TRACE COMMAND...
	trace=$1
	shift
	old=0 new=0
	"$TCPTAPE" "$@" "$traces/$trace.tcptape" >"$tmp/old" 2>"$tmp/old.err" || old=$?
	"$TCPTAPE" "$@" "$tmp/$trace.tcptape" >"$tmp/new" 2>"$tmp/new.err" || new=$?
	is "$trace: $*: exit status" "$new" "$old"
	check "$trace: $*: the same $(count <"$tmp/old") lines" cmp "$tmp/old" "$tmp/new"
	sed "s,$traces/,," "$tmp/old.err" >"$tmp/want"
	sed "s,$tmp/,," "$tmp/new.err" | diff "$tmp/want" - >"$tmp/notes" || :
	is "$trace: $*: other notes" "$(grep -vc 'newer' "$tmp/notes" || :)" 0
}

for trace in server-closes-first loss drops listen-overflow io nat; do
	"$make" "$traces/$trace.tcptape" >"$tmp/$trace.tcptape"
	for command in 'connlat -t -L' states events life 'rtt --raw' 'info --counters'; do
		# shellcheck disable=SC2086 # words
		both $trace $command
	done
done
both loss retrans
both drops drops
both drops inerrs
both drops resets
both listen-overflow listen
both listen-overflow nic
both io top
both nat delay --in
both nat delay --out
finish
