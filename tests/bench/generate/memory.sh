#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# memory.sh: ten times the events take no more memory; prints the speed too.
. "$(dirname "$0")/../../lib.sh"

: "${GENERATE=$(dirname "$0")/../../../build/tests/bench/generate/generate}"

for events in 1M 10M; do
	"$GENERATE" --events $events -o - 2>"$tmp/$events" >/dev/null
	show "$tmp/$events"
done

rss() { awk '{ for (i = 1; i < NF; i++) if ($i == "RSS") print $(i + 1) }' "$tmp/$1"; }

small=$(rss 1M)
between "MB for 10 M events, $small for 1 M" "$(rss 10M)" 1 "$(echo "$small" | awk '{ print $1 * 1.25 + 2 }')"
finish
