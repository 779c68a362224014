#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# static.sh SOURCE BUILD [SUITE]: the recorder that -Dstatic=true builds (in BUILD/static) needs no
# library, and says what it lacks. With SUITE, the same program records in a machine with that suite's
# kernel and busybox alone, and tcptape reads the file here.
set -eu
source=$1 build=$2 suite=${3:-}
. "$(dirname "$0")/../lib.sh"
kernel=''
if [ -n "$suite" ]; then
	[ "$(uname -m)" = x86_64 ] || skip "the VM tests are for x86_64 so far"
	status=0
	kernel=$("$source/tests/vm/kernel.sh" "$suite") || status=$?
	[ $status = 0 ] || { echo "$kernel" && exit $status; }
fi
for library in libbpf libelf libz libzstd libxxhash; do
	[ -e "$(cc -print-file-name=$library.a)" ] || skip "there is no $library.a to link"
done
mkdir -p "$build/static"
(
	flock 9
	[ -f "$build/static/build.ninja" ] || meson setup "$build/static" "$source" -Dstatic=true
	ninja -C "$build/static"
) 9>"$build/static/.lock" >"$tmp/log" 2>&1 || {
	tail -30 "$tmp/log"
	exit 1
}
record=$build/static/record/tcptape-record
readelf -lW "$record" >"$tmp/segments"
contains "it is a program" "$tmp/segments" '^  LOAD '
is "segments for a dynamic linker" "$(grep -c -e INTERP -e DYNAMIC "$tmp/segments")" 0
version=$(sed -n "s/^ *version: '\([^']*\)'.*/\1/p" "$source/meson.build" | head -1)
is "it runs" "$("$record" --version)" "tcptape-record $version"
status=0
"$record" -f 'port 80' -o "$tmp/x" 2>"$tmp/err" || status=$?
is "-f is a usage error" $status 2
contains "it says why" "$tmp/err" 'built without libpcap'
"$record" --help >"$tmp/help"
contains "so does --help" "$tmp/help" '^  -f, --filter EXPR +not in this build'
[ -n "$kernel" ] || finish

status=0
"$source/tests/vm/run.sh" -b -k "$kernel" -d -t 120 -f "$record:/usr/bin/tcptape-record" \
	-f "$source/tests/vm/static-guest.sh:/guest" -o "$tmp/out" -- sh /guest >"$tmp/guest" 2>&1 || status=$?
if [ $status != 0 ]; then
	show "$tmp/guest"
	[ $status = 77 ] && skip "$(tail -1 "$tmp/guest")"
	exit 1
fi
cd "$tmp/out"
is "libraries in the guest" "$(cat libraries)" ""
is "pages that wget got" "$(grep -cx 'this is it' pages)" 5
contains "probes attach" list '^tcp_state +conn .* attaches'
contains "it recorded" summary '^/out/guest.tcptape: .* 0 lost'
check "the file is whole" "$TCPTAPE" verify guest.tcptape
connects() { "$TCPTAPE" connlat --csv guest.tcptape 2>/dev/null | columns comm rport outcome | sort | uniq -c; }
is "connects" "$(connects | awk '{ print $1, $2, $3, $4 }' | tr '\n' ' ')" "1 nc 8081 refused 5 wget 8080 ok "
lives=$("$TCPTAPE" life --csv guest.tcptape 2>/dev/null | columns rport | grep -cx 8080)
is "connections of wget" "$lives" 5
finish
