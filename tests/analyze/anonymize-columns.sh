#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# anonymize-columns.sh GENERATE: of a large chunk only columns of addresses and names are written anew, of a
# small one every event: the same events in large and in small chunks become the same.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
"$TCPTAPE" anonymize --help >"$tmp/help" 2>&1 || skip "built without libcrypto"
head -c 32 /dev/zero >"$tmp/key"
n=40000
for scenario in short nat; do
	for chunk in 4096 16384; do
		"$1" --scenario $scenario --events $n --chunk $chunk -o "$tmp/$chunk.tcptape" 2>"$tmp/err"
	done
	for option in --force '--strict --ports'; do
		for chunk in 4096 16384; do
			rm -f "$tmp/out.$chunk"
			# shellcheck disable=SC2086 # options are words
			"$TCPTAPE" anonymize $option --key "$tmp/key" -o "$tmp/out.$chunk" "$tmp/$chunk.tcptape"
			check "$scenario, $option, $chunk: whole" "$TCPTAPE" verify "$tmp/out.$chunk"
			"$TCPTAPE" dump --json "$tmp/out.$chunk" | grep '^{"time' | sort >"$tmp/dump.$chunk"
			"$TCPTAPE" anonymize --check --csv "$tmp/out.$chunk" | grep -v '^META' | sort >"$tmp/texts.$chunk"
		done
		check "$scenario, $option: the same events" cmp "$tmp/dump.4096" "$tmp/dump.16384"
		check "$scenario, $option: the same texts and addresses" cmp "$tmp/texts.4096" "$tmp/texts.16384"
		between "$scenario, $option: events" "$(wc -l <"$tmp/dump.4096")" $n $((2 * n))
	done
	"$TCPTAPE" anonymize --check --csv "$tmp/16384.tcptape" | grep '^address' | cut -d, -f3 | sort >"$tmp/before"
	grep '^address' "$tmp/texts.16384" | cut -d, -f3 | sort >"$tmp/after"
	is "$scenario: addresses that are left" "$(comm -12 "$tmp/before" "$tmp/after" | grep -vx '::\|0.0.0.0' || :)" ""
	is "$scenario: addresses" "$(count <"$tmp/after")" "$(count <"$tmp/before")"
done
finish
