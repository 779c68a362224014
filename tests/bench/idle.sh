#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the recorder takes where nothing happens: CPU time and wake-ups in a minute, from some seconds after
# it has begun. BENCH_SECONDS: 60 unless told. What the rest of the machine does meanwhile is recorded
# too: the events that there were stand beside it.
set -eu
: "${BENCH_SECONDS=60}"
export BENCH_SECONDS
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder

now_of() { # PID: ns on a processor, and times that it slept
	read -r ran _ <"/proc/$1/schedstat"
	echo "$ran $(awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$1/status")"
}

for groups in "$defaults" all; do
	what=default
	[ $groups != all ] || what=all
	record "$tmp/$what" -e "$groups"
	sleep 5
	before=$(now_of "$pid")
	sleep "$seconds"
	after=$(now_of "$pid")
	stop "$pid"
	figure "idle.$what.cpu" "$(calc "(${after% *} - ${before% *}) / $seconds / 1e7")" '%' '<=' 0.1
	figure "idle.$what.wakeups" "$(calc "(${after#* } - ${before#* }) / $seconds")" 1/s '<=' 5.2
	figure "idle.$what.events" "$("$TCPTAPE" info --json "$tmp/$what" | sed -n 's/.*"events":\([0-9]*\).*/\1/p')" ''
	show "$tmp/record.err" | grep -E 'own cost' || :
done
figure idle.namespaces "$(find /run/netns -type f 2>/dev/null | count)" ''
figure idle.load "$(cut -d' ' -f1 /proc/loadavg)" ''
