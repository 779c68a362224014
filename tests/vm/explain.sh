#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: each scenario of SCENARIOS (names of sample-traces/explain/causes; else all of it that is no healthy
# load) is recorded as it is for the sample traces, on this kernel, and explained: its cause must come first.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft chrt
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: deterministic time, netem, sysctls of the whole machine"
causes=/sample-traces/explain/causes
version=$(uname -r) version=${version%%.*}.$(echo "$version" | cut -d. -f2)

# What a kernel cannot show, and why.
cannot() { # TRACE
	case $version:$1 in
	5.10:bad-checksum | 5.10:invalid-seq) echo "no tracepoint tcp_bad_csum, no drop reasons" ;;
	*) return 1 ;;
	esac
}

while read -r trace want; do
	case $trace:$want in '#'* | *:-) continue ;; esac
	case " ${SCENARIOS:-$trace} " in *" $trace "*) ;; *) continue ;; esac
	if why=$(cannot "$trace"); then
		echo "      $trace: not on $version: $why"
		continue
	fi
	SCENARIO=$trace sh /sample-traces/scenario.sh >"$tmp/log" 2>&1 || show "$tmp/log"
	said "/out/$trace.tcptape" >"$tmp/said" || show "$tmp/err"
	explained "$trace" "$want" "$tmp/said"
	[ "$(head -1 "$tmp/said")" = "${want%% *}" ] || "$TCPTAPE" explain "/out/$trace.tcptape" 2>&1 | sed 's/^/      | /'
done <$causes
[ -n "${VM_KEEP:-}" ] || rm -rf /out/*
finish
