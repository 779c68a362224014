#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# spec.sh DUMP FORMAT.MD: the C library and reader.py, which follows docs/format.md, read the same out
# of a trace, whole and cut; and out of the example of that page what example.txt says, whose bytes the
# page shows.
set -eu
here=$(dirname "$0")
for tool in python3 zstd; do
	if ! command -v $tool >/dev/null; then
		echo "skipped: no $tool here"
		exit 77
	fi
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$1" --make "$dir/whole"
size=$(wc -c <"$dir/whole")
head -c $((size * 2 / 3)) "$dir/whole" >"$dir/cut"
cp "$here/example.tcptape" "$dir/example"
for trace in whole cut example; do
	"$1" "$dir/$trace" >"$dir/c"
	python3 "$here/reader.py" "$dir/$trace" >"$dir/python"
	cmp "$dir/c" "$dir/python"
	echo "$trace: $(wc -l <"$dir/c") lines"
done
diff "$here/example.txt" "$dir/c"
python3 "$here/example.py" "$2" "$here/example.tcptape"
