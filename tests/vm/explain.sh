#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM: scenarios are recorded as they are for the sample traces, on this kernel, and explained. Those of
# sample-traces/explain/causes with a cause: it must come first. With HEALTHY=1 its healthy loads, and ten more that have
# no sample trace: no cause. SCENARIOS names some of them. VM_KEEP=1 leaves the traces in /out.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft chrt wrk
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

rows() { # TRACE CAUSE...
	if [ -n "${HEALTHY:-}" ]; then
		grep ' -$' $causes
		sed -n 's,^\(well-[a-z]*\)).*,explain/\1 -,p' /sample-traces/causes.sh
	else
		grep -v '^#\| -$' $causes
	fi
}

# Connections that lost their process go on alone for minutes, and are the trouble of the one before: the next
# recording would see them as well.
settle() {
	for _ in $(seq 300); do
		awk '/^TCP:/ { exit $5 != 0 }' /proc/net/sockstat && return
		sleep 1
	done
	echo "      still $(sed -n 's/^TCP: //p' /proc/net/sockstat)"
}

rows >"$tmp/rows"
while read -r trace want; do
	case " ${SCENARIOS:-$trace} " in *" $trace "*) ;; *) continue ;; esac
	if why=$(cannot "$trace"); then
		echo "      $trace: not on $version: $why"
		continue
	fi
	settle
	SCENARIO=$trace sh /sample-traces/scenario.sh >"$tmp/log" 2>&1 || show "$tmp/log"
	said "/out/$trace.tcptape" >"$tmp/said" || show "$tmp/err"
	explained "$trace" "$want" "$tmp/said"
	first=$(head -1 "$tmp/said")
	[ "${first:--}" = "${want%% *}" ] ||
		"$TCPTAPE" explain "/out/$trace.tcptape" 2>&1 | sed 's/^/      | /'
done <"$tmp/rows"
[ -n "${VM_KEEP:-}" ] || rm -rf /out/*
finish
