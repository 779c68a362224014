#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make.sh [BUILD [NAME...]]: record the sample traces that are not there yet (or those), with the recorder in
# BUILD (default build/), one after the other in namespaces of their own, in a VM with Debian's 6.12 kernel: that
# has all hooks, a neutral host name, nobody else's connections, and netem. README.md says what each holds.
# A trace that `frozen` has stays as it is: OUT=DIRECTORY makes another recording of its scenario there.
# Afterwards: tests/format/samples.sh BUILD/tests/format/dump-trace --add NAME, tests/golden/run.sh --update NAME.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../build}" && pwd)
tests=$here/../tests
TCPTAPE=$build/analyze/tcptape TCPTAPE_RECORD=$build/record/tcptape-record
LOAD=$build/tests/load LINK=$build/tests/link SEGMENT=$build/tests/segment MOVE=$build/tests/move
EXCHANGE=$build/tests/exchange WRITER=$build/tests/writer
export TCPTAPE TCPTAPE_RECORD LOAD LINK SEGMENT MOVE EXCHANGE WRITER
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- listener-never-accepts listen-overflow client-closes-first server-closes-first http-20ms ipv6 \
	drops io loss synack-loss closed-port bad-checksum invalid-seq firewall-drop tbf-hold late-reader nat turnaround held hole \
	join-client join-server wire

to=${OUT:-$here}
names=$*
set --
for scenario in $names; do
	if [ "$to" = "$here" ] && grep -q "^$scenario " "$here/frozen"; then
		echo "$scenario is frozen"
	else
		set -- "$@" "$scenario"
	fi
done
[ $# -gt 0 ] || exit 0

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
VM_OUT=$out "$tests/vm/test.sh" trixie ../sample-traces/scenario.sh -d -t 600 -e SCENARIO="$*" \
	-f "$here/causes.sh:/tests/../sample-traces/causes.sh" -m nft_chain_nat -m nft_nat -m nf_conntrack_netlink
for scenario in "$@"; do
	install -D -m 644 "$out/$scenario.tcptape" "$to/$scenario.tcptape"
	[ ! -f "$out/$scenario.pcap" ] || install -m 644 "$out/$scenario.pcap" "$to"
	ls -l "$to/$scenario".*
done
