#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -i: a row's time_s is the begin of its interval, in every command alike: what its rows tell of each
# interval is what the same command, or another, lists one by one with a time in it.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
traces=$(dirname "$0")/../../sample-traces
[ -f "$traces/loss.tcptape" ] || skip "there are no sample traces"

# WHAT STEP LATER EACH SUM TRACE LIST... -- SUMS...: of the first command's rows, each at time_s and LATER ms
# (a column) after that, counts EACH (or 1); of the second one's column SUM.
same_counts() {
	what=$1 step=$2 later=$3 each=$4 sum_column=$5 trace=$traces/$6.tcptape
	shift 6
	list=''
	while [ "$1" != -- ]; do
		list="$list $1"
		shift
	done
	shift
	# shellcheck disable=SC2086 # arguments are words
	"$TCPTAPE" $list --csv "$trace" 2>/dev/null | columns time_s "${later:-time_s}" "${each:-time_s}" |
		awk -v step="$step" -v later="$later" -v each="$each" '
			{ n[int(($1 + (later ? $2 / 1000 : 0)) / step + 1e-9)] += each ? $3 : 1 }
			END { for (i in n) if (n[i]) print i, n[i] }' | sort -n >"$tmp/want"
	"$TCPTAPE" "$@" -i "$step" --csv "$trace" 2>/dev/null | columns time_s "$sum_column" >"$tmp/rows"
	is "$what: intervals that do not begin at a multiple of $step s" \
		"$(awk -v step="$step" '{ off = $1 / step - int($1 / step + 0.5)
			n += off > 1e-6 || off < -1e-6 } END { print n + 0 }' "$tmp/rows")" 0
	awk -v step="$step" '{ n[int($1 / step + 0.5)] += $2 }
		END { for (i in n) if (n[i]) print i, n[i] }' "$tmp/rows" | sort -n >"$tmp/got"
	between "$what: intervals" "$(count <"$tmp/want")" 2 100000
	is "$what: what each has" "$(paste -sd, "$tmp/got")" "$(paste -sd, "$tmp/want")"
}

same_counts rtt 0.1 '' '' n loss rtt --raw --each -- rtt --raw --percentiles
same_counts 'rtt, buckets' 0.1 '' '' count loss rtt --each -- rtt
same_counts connlat 0.1 '' '' n loss connlat -- connlat --percentiles
same_counts retrans 0.1 '' segs segs loss retrans -- retrans -c
same_counts drops 1 '' '' count drops drops -- drops -c
same_counts resets 0.002 '' '' count closed-port resets -- resets -c
finish
