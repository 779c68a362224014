#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# assets.sh DIRECTORY: the charts library of tcptape report, uPlot (MIT), into DIRECTORY, from the npm
# registry; checked against what it was when it was chosen. Does nothing where it is there already.
set -eu
dir=$1
version=1.6.32
url=https://registry.npmjs.org/uplot/-/uplot-$version.tgz
sums='19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f  uPlot.iife.min.js
df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04  uPlot.min.css
8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd  LICENSE'

mkdir -p "$dir"
cd "$dir"
echo "$sums" | sha256sum -c --status 2>/dev/null && exit 0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -c 'import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=30) as r, open(sys.argv[2], "wb") as f:
    f.write(r.read())' $url "$tmp/uplot.tgz" 2>"$tmp/log" || {
	echo "assets.sh: cannot fetch $url: $(tail -1 "$tmp/log")" >&2
	exit 1
}
tar -xzf "$tmp/uplot.tgz" -C "$tmp"
cp "$tmp/package/dist/uPlot.iife.min.js" "$tmp/package/dist/uPlot.min.css" "$tmp/package/LICENSE" .
echo "$sums" | sha256sum -c --status || {
	echo "assets.sh: $url is not what it was: see $dir" >&2
	exit 1
}
