#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make.sh TCPTAPE: makes the pictures of this folder anew, from sample traces; needs chromium and pngquant.
set -eu
tape=$(realpath "$1")
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
shot() { # TRACE SCHEME HEIGHT
	name=$(basename "$1" .tcptape)
	"$tape" report -o "$tmp/$name.html" "../../sample-traces/$1" 2>/dev/null
	python3 ../../tests/browser/shot.py "$tmp/$name.html" "$tmp/$name.png" "$2" 1000 "$3"
	pngquant --quality 60-95 --speed 1 --force -o "$name.png" 64 "$tmp/$name.png"
}
shot explain/bufferbloat.tcptape light 1500
shot loss.tcptape dark 0
shot tbf-hold.tcptape light 0
