#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tcptape report: the page is one whole file, and says what the commands say (report.py); texts of a
# trace stay texts; what is refused.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
traces=$here/../../sample-traces

"$MAKE_SCRIPT" "$tmp/script.tcptape" || exit 1
for trace in "$traces"/loss.tcptape "$traces"/drops.tcptape "$traces"/tbf-hold.tcptape "$traces"/http-20ms.tcptape \
	"$traces"/late-reader.tcptape "$traces"/ipv6.tcptape "$traces"/closed-port.tcptape "$tmp/script.tcptape"; do
	page=$tmp/$(basename "$trace" .tcptape).html
	"$TCPTAPE" report -o "$page" "$trace" 2>"$tmp/err" || is "report of $trace" "$(cat "$tmp/err")" ""
	check "$(basename "$trace")" python3 "$here/report.py" "$TCPTAPE" "$trace" "$page"
done

is "markup of a trace is none" "$(grep -c '<img\|<b>\|<i>' "$tmp/script.html")" 0
check "but it is there as text" grep -q 'u003cscript>"' "$tmp/script.html"
check "its loss is there" grep -q '"losses":\[{' "$tmp/script.html"

"$TCPTAPE" report -o - "$tmp/script.tcptape" >"$tmp/out" 2>"$tmp/err"
check "to standard output, the same" cmp -s "$tmp/out" "$tmp/script.html"
"$TCPTAPE" report -o "$tmp/script.html" "$tmp/script.tcptape" >"$tmp/out" 2>"$tmp/err"
is "what exists is kept" "$?" 1
"$TCPTAPE" report --force -o "$tmp/script.html" "$tmp/script.tcptape" 2>"$tmp/err"
is "but for --force" "$?" 0
"$TCPTAPE" report "$tmp/script.tcptape" 2>"$tmp/err"
is "without -o" "$?" 2
cat "$tmp/script.tcptape" | "$TCPTAPE" report -o - - >"$tmp/out" 2>"$tmp/err"
is "of a pipe" "$?" 2
contains "it says why" "$tmp/err" "not a pipe"
finish
