#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh: from a fresh clone to an answer, on Debian 12 or later, as root: installs the packages
# that are missing, builds into build/, records this machine's TCP for a few seconds (with some HTTP
# over loopback, so that there is something to see), and asks the file. Where the kernel cannot be
# recorded, it says why and asks a sample trace instead. Leaves build/demo.tcptape behind,
# and build/demo.html, a page of it.
set -eu

cd "$(dirname "$0")"
seconds=5 port=8321
record=build/record/tcptape-record tape=build/analyze/tcptape trace=build/demo.tcptape

if [ "$(id -u)" != 0 ]; then
	echo "Recording needs root, and so does installing packages: sudo ./demo.sh" >&2
	exit 1
fi

heading() { printf '\n=== %s\n' "$*"; }
typed() { # COMMAND...: show it as it could be typed, and run it
	printf '\n$ %s\n' "$*"
	"$@"
}
shorten() { # LINES
	awk -v n="$1" 'NR <= n { print } END { if (NR > n) print "... " NR - n " lines more" }'
}

heading "Build"
sh tests/install.sh gcc libc6-dev clang llvm bpftool libbpf-dev meson ninja-build pkg-config \
	libzstd-dev libxxhash-dev libpcap-dev libssl-dev libsqlite3-dev
log=$(mktemp)
quietly() { "$@" >"$log" 2>&1 || { cat "$log" && exit 1; }; }
sh tests/assets.sh build/charts || echo "so there is no tcptape report"
[ -f build/build.ninja ] || quietly meson setup build
quietly ninja -C build analyze/tcptape record/tcptape-record tests/load
rm -f "$log"
echo "$tape, $record"

server='' client=''
stop_load() { [ -z "$server" ] || kill "$client" "$server" 2>/dev/null || :; server=''; }
trap stop_load EXIT

why=''
[ -r /sys/kernel/btf/vmlinux ] || why="it has no BTF (/sys/kernel/btf/vmlinux)"
if [ -z "$why" ]; then
	heading "Record $seconds seconds of this machine's TCP, with HTTP over loopback"
	build/tests/load server -m http -f -a 4000 127.0.0.1 $port >/dev/null &
	server=$!
	while :; do # until the recorder ends, however long its start takes
		build/tests/load client -m http -n 5 -c 20 127.0.0.1 $port
		build/tests/load client 127.0.0.1 $((port + 1)) # nobody listens: refused
		sleep 0.2
	done >/dev/null 2>&1 &
	client=$!
	typed $record -e +rx,+tx -d $seconds --force -o $trace || why="tcptape-record ended with status $?, above"
	# shellcheck disable=SC2012
	printf '\n$ ls -lh %s\n' $trace && ls -lh $trace
	stop_load
fi
if [ -n "$why" ]; then
	heading "This kernel, $(uname -r), cannot be recorded: $why"
	trace=sample-traces/http-20ms.tcptape
	echo "So the questions below are asked of a sample trace, $trace."
fi

heading "What is in the file, and how was it recorded?"
typed $tape info $trace

heading "How long are the round trips?"
typed $tape rtt $trace 2>&1

heading "How long do connects take, and what becomes of them?"
typed $tape connlat $trace 2>&1 | shorten 15

heading "Which states do the connections pass?"
typed $tape states $trace 2>&1 | shorten 15

heading "The life of each connection, in one line"
typed $tape life $trace 2>&1 | shorten 15

layers=$trace
[ -z "$why" ] || layers=sample-traces/tbf-hold.tcptape
heading "Where in this machine does a segment that is sent spend its time?"
typed $tape delay --out --data --percentiles $layers 2>&1

if [ -d build/charts ] && $tape report --help >/dev/null 2>&1; then # else the build has told
	heading "All of it as one page, for a browser"
	typed $tape report --force -o build/demo.html $trace
	# shellcheck disable=SC2012
	ls -lh build/demo.html
fi

heading "More"
echo "$tape --help          the commands; each has --help, --json, --csv, -f 'tcpdump expression'"
echo "$record --help   what can be recorded; --list: what this kernel allows"
