#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does explain find the cause of each scenario? What it must say stands in sample-traces/explain/causes, and
# comes from what the scenario did.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
traces=$(dirname "$0")/../../sample-traces
"$TCPTAPE" explain --help >"$tmp/help" 2>&1 || skip "this tcptape has no command explain"

n=0
while read -r trace want; do
	case $trace in '#'*) continue ;; esac
	said "$traces/$trace.tcptape" >"$tmp/said" || show "$tmp/err"
	explained "$trace" "$want" "$tmp/said"
	n=$((n + 1))
done <"$traces/explain/causes"
for trace in "$traces"/explain/*.tcptape; do # each has a line
	name=explain/${trace##*/} name=${name%.tcptape}
	check "$name is in sample-traces/explain/causes" grep -q "^$name " "$traces/explain/causes"
done
between "scenarios" $n 40 1000
finish
