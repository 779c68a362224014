#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bytes an event, by load: of tcptape with all groups, and of perf record -z and trace-cmd with zstd
# on the same tracepoints, tcpdump (96 bytes a packet) and zstd, JSON lines and zstd, structs and
# zstd. All record the same seconds, with all that else runs on the machine; tcpdump the load alone.
#
# What a file costs before its first event is measured on its own, and taken off from all. Not all
# hooks of tcptape are tracepoints, so its file has events that the others lack, and each of its events
# has more fields. So figures are bytes an event (tcpdump: a packet) of that file.
set -eu
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
need_recorder
tools perf trace-cmd tcpdump zstd nginx redis-server redis-benchmark wrk
need zstd

others=''
for kind in perf-z trace-cmd tcpdump; do
	if has "${kind%-z}"; then others="$others $kind"; fi
done

# ---- a file without events ----

blocks() { # TRACE: "TYPE BYTES" of each block, as docs/format.md has them
	at=0 size=$(bytes "$1")
	while [ $at -lt "$size" ]; do
		# shellcheck disable=SC2046 # numbers
		set -- "$1" $(od -An -v -tu1 -j $at -N 12 "$1")
		len=$((40 + $8 + 256 * $9 + ${10} + 256 * ${11} + 65536 * ${12} + 16777216 * ${13}))
		len=$(((len + 7) / 8 * 8))
		echo "$6 $len"
		at=$((at + len))
		set -- "$1"
	done
}

# Its chunks, losses and snapshot are not what is asked; everything else is.
fixed_of_tcptape() { # ARG...
	"$TCPTAPE_RECORD" -o "$tmp/empty" --force --no-snapshot -d 0.1 "$@" 2>"$tmp/empty.err"
	blocks "$tmp/empty" | awk '$1 < 5 || $1 > 7 { n += $2 } END { print n }'
}

fixed_of() { # KIND: a filter that nothing passes
	recorder empty "$1" all 'common_pid == 999999999'
	if recorder_end empty >&2; then bytes "$tmp/empty"; else echo 0; fi
}

fixed_tcptape=$(fixed_of_tcptape)
figure fixed.tcptape "$fixed_tcptape" bytes '<=' 8192
fixed_tcptape_pointers=$(fixed_of_tcptape --pointers)
for kind in $others; do
	case $kind in
	tcpdump) fixed=24 ;;
	*)
		fixed=$(fixed_of "$kind")
		figure "fixed.$kind" "$fixed" bytes
		;;
	esac
	eval "fixed_$(echo "$kind" | tr - _)=$fixed"
done

# ---- by load ----

an_event() { # NAME KIND: bytes, without the fixed cost
	eval "fixed=\$fixed_$(echo "$2" | tr - _)"
	size=$(bytes "$tmp/$1")
	if [ "$2" = tcpdump ]; then size=$(zstd -3 -qc "$tmp/$1" | count_bytes); fi
	calc "($size - $fixed) / $(n_events "$1" "$2")"
}

count_bytes() { wc -c | tr -d ' '; }

measure() { # NAME LOAD GROUPS
	for kind in tcptape $others; do recorder "$kind" "$kind" "$3"; done
	[ "$2" != mixed ] || recorder tcptape-pointers tcptape-pointers "$3"
	run_load "$2"
	ended=''
	for kind in $others; do
		if recorder_end "$kind"; then ended="$ended $kind"; fi
	done
	recorder_end tcptape
	[ "$2" != mixed ] || recorder_end tcptape-pointers
	if ! "$TCPTAPE" verify "$tmp/tcptape" >"$tmp/verify" 2>&1; then
		echo "FAIL  size.$1: the file is not good:" # no size of a file that lost something
		show "$tmp/verify"
		exit 1
	fi
	events=$(n_events tcptape tcptape)
	ours=$(an_event tcptape tcptape)
	figure "size.$1.events" "$events" events
	figure "size.$1.tcptape" "$ours" bytes/event
	[ "$2" != mixed ] || figure "size.$1.tcptape-pointers" \
		"$(an_event tcptape-pointers tcptape-pointers)" bytes/event '<=' 3.5
	for kind in $ended; do
		theirs=$(an_event "$kind" "$kind")
		case $kind in
		tcpdump) figure "size.$1.tcpdump-zstd-3" "$theirs" bytes/packet ;;
		*) figure "size.$1.$kind" "$theirs" bytes/event ;;
		esac
		[ "$kind" != perf-z ] ||
			figure "size.$1.tcptape/perf-z" "$(calc "$ours / $theirs")" ratio '<=' 0.42
	done
	json=$("$TCPTAPE" dump --json --no-snapshot "$tmp/tcptape" 2>/dev/null | zstd -3 -qc | count_bytes)
	figure "size.$1.json-zstd-3" "$(calc "$json / $events")" bytes/event
	"$CODEC" "$tmp/tcptape" 0 >"$tmp/codec"
	structs=$(awk '$1 == "structs_zstd_3_size" { print $2 }' "$tmp/codec")
	figure "size.$1.structs-zstd-3" "$structs" bytes/event
	figure "size.$1.tcptape/structs-zstd-3" "$(calc "$ours / $structs")" ratio '<=' 0.25
	if [ "$1" = mixed ]; then
		awk '/^row\./ { print "size.mixed." $1, $2, "bytes/row" }' "$tmp/codec"
	fi
}

serve_loads
for load in keep-alive redis short bulk mixed; do
	measure $load $load all
done
measure rtt-alone keep-alive rtt
on=veth
measure veth mixed all
