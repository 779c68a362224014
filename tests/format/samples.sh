#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# samples.sh DUMP [--add NAME...]: the sample traces are files of the past, which every later version
# must read as the first one did. sample-traces/frozen has a line for each, that is never changed:
#   NAME EVENTS BYTES SHA256-OF-FILE SHA256-OF-CONTENT
# where the content is what tests/format/dump.c prints: every value of every column, meta, clocks,
# losses. The second reader (reader.py) must read the same. --add appends lines for new samples.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
traces=$here/../../sample-traces
dump=$1
shift
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tcptape-samples.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

sum() { sha256sum "$1" | cut -d' ' -f1; }
line() { # NAME, its content in $tmp/c
	echo "$1 $(grep -c '^{"ts_ns"' "$tmp/c") $(wc -c <"$traces/$1.tcptape") $(sum "$traces/$1.tcptape") $(sum "$tmp/c")"
}

if [ "${1:-}" = --add ]; then
	shift
	for name in "$@"; do
		! grep -q "^$name " "$traces/frozen" || {
			echo "$name is frozen" >&2
			exit 1
		}
		"$dump" "$traces/$name.tcptape" >"$tmp/c"
		line "$name" >>"$traces/frozen"
	done
	exit
fi

python=1
for tool in python3 zstd; do command -v $tool >/dev/null || python=''; done
[ "$python" ] || echo "without the second reader: python3 or zstd is missing"
n=0 bad=0
while read -r name events bytes file content; do
	case $name in '#'*) continue ;; esac
	n=$((n + 1))
	if ! "$dump" "$traces/$name.tcptape" >"$tmp/c"; then
		echo "FAIL  $name: it cannot be read"
		bad=$((bad + 1))
		continue
	fi
	now=$(line "$name")
	if [ "$now" != "$name $events $bytes $file $content" ]; then
		echo "FAIL  $name: frozen as '$events $bytes $file $content', now '${now#* }'"
		bad=$((bad + 1))
	fi
	[ "$python" ] || continue
	python3 "$here/reader.py" "$traces/$name.tcptape" >"$tmp/python"
	cmp "$tmp/c" "$tmp/python" || bad=$((bad + 1))
done <"$traces/frozen"
for trace in "$traces"/*.tcptape "$traces"/explain/*.tcptape; do
	name=${trace#"$traces"/} name=${name%.tcptape}
	grep -q "^$name " "$traces/frozen" || {
		echo "FAIL  $name is not in sample-traces/frozen: $0 DUMP --add $name"
		bad=$((bad + 1))
	}
done
echo "$n samples, $bad faults"
[ $n -gt 0 ] && [ $bad = 0 ]
