#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# compare GENERATE: verdicts, exit status and forms of `tcptape compare`, on generated traces: the
# same model with other seeds is the same load, another scenario is not.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
generate=$1

make_traces() { # SCENARIO SEED...: $tmp/SCENARIO.SEED
	scenario=$1
	shift
	for seed in "$@"; do
		"$generate" --scenario "$scenario" --seed "$seed" --events 40000 \
			--groups conn,rtt,retrans,reset,drop -o "$tmp/$scenario.$seed" 2>/dev/null
	done
}
compare() { # OPTION... FILE...
	status=0
	(cd "$tmp" && "$TCPTAPE" compare "$@") >"$tmp/out" 2>"$tmp/err" || status=$?
}
verdicts() { # METRIC in $tmp/out, as JSON
	grep "\"metric\":\"$1\"" "$tmp/out" | sed 's/.*"quantile":\([^,]*\).*"verdict":"\([^"]*\)".*/\1 \2/' |
		tr -d '"' | tr '\n' ' '
}

make_traces short 1 2 3 4 5 6 7 8 9 10
make_traces lossy 1 2 3

# alike
compare --json short.1 short.2 short.3 short.4 short.5 -- short.6 short.7 short.8 short.9 short.10
is "the same load: status" "$status" 0
is "connects" "$(verdicts connect)" "p50 same p90 same p99 same "
is "round trips" "$(verdicts rtt.smoothed)" "p50 same p90 same p99 same "
is "nothing became worse or better" "$(grep -c '"verdict":"\(worse\|better\)"' "$tmp/out")" 0
is "rows without all recordings" "$(grep '"metric"' "$tmp/out" | grep -v '"base_recordings":5,"new_recordings":5')" ''
# the number of connects that are compared is what connlat shows
n=$(cd "$tmp" && for i in 1 2 3 4 5; do "$TCPTAPE" connlat --no-header short.$i 2>/dev/null; done | grep -c 'ok$')
is "connects in BASE" "$(sed -n 's/.*"metric":"connect","quantile":"p50".*"base_n":\([0-9]*\).*/\1/p' "$tmp/out")" "$n"
# and the median is what rtt says, but for the rounding of histograms
one=$(cd "$tmp" && "$TCPTAPE" rtt --percentiles --json short.1 2>/dev/null | sed -n 's/.*"p50":\([0-9]*\).*/\1/p')
compare --json short.1 short.2
base=$(sed -n 's/.*"metric":"rtt.smoothed","quantile":"p50".*"base":\([0-9]*\).*/\1/p' "$tmp/out")
is "median of rtt" "$base" "$one"
contains "one recording a side is provisional" "$tmp/err" 'provisional'
is "rows that do not say so" "$(grep '"metric"' "$tmp/out" | grep -v '"provisional":true')" ''
cp "$tmp/out" "$tmp/first"
compare --json short.1 short.2
check "the same again, byte by byte" cmp "$tmp/first" "$tmp/out"

# with calls there are requests and answers, as turnaround has them
for seed in 1 2; do
	"$generate" --scenario keepalive --seed $seed --events 40000 --groups conn,rtt,io -o "$tmp/calls.$seed" 2>/dev/null
done
compare --json calls.1 calls.2
for role in server client; do
	row() { # FIELD N-FIELD in the JSON lines of standard input
		sed -n "s/.*\"$1\":\([0-9.]*\).*\"$2\":\([0-9]*\).*/\1 \2/p"
	}
	grep "\"metric\":\"turnaround.$role\",\"quantile\":\"p50\"" "$tmp/out" | row base base_n >"$tmp/own"
	(cd "$tmp" && "$TCPTAPE" turnaround --$role --percentiles --csv calls.1 2>/dev/null) | columns p50 n >"$tmp/other"
	check "turnaround.$role as turnaround has it" awk 'NR == FNR { v = $1; n = $2; next }
		!(n == $2 && n > 1000 && v > $1 * 0.99 && v < $1 * 1.01) { exit 1 }
		{ seen++ } END { exit seen != 1 }' "$tmp/own" "$tmp/other"
done

# slower: a link of 10 ms
compare --json short.1 short.2 short.3 -- lossy.1 lossy.2 lossy.3
is "another load: status" "$status" 1
contains "connects are worse" "$tmp/out" '"metric":"connect","quantile":"p50".*"verdict":"worse"'
compare --json lossy.1 lossy.2 lossy.3 -- short.1 short.2 short.3
contains "connects are better" "$tmp/out" '"metric":"connect","quantile":"p50".*"verdict":"better"'

# a tolerance makes it the same
change=$(sed -n 's/.*"metric":"connect","quantile":"p50".*"change_high_percent":\(-*[0-9.]*\).*/\1/p' "$tmp/out")
check "it was faster: $change %" [ "${change%%.*}" -lt 0 ]
compare --json --tolerance connect=900000%,rtt.smoothed=900000,rtt.min.p50=900000% short.1 short.2 short.3 -- lossy.1 lossy.2 lossy.3
is "with a wide tolerance: connects" "$(verdicts connect | cut -d" " -f1,2)" "p50 same"
for bad in connect nonsense=3% connect=x connect=3%x connect.p42=3 =3; do
	compare --tolerance "$bad" short.1 short.2
	is "--tolerance $bad: status" "$status" 2
done

# forms
compare short.1 short.2 short.3 -- lossy.1 lossy.2 lossy.3
contains "a line that sums up" "$tmp/out" '^[0-9]* worse, [0-9]* better, [0-9]* same, [0-9]* not enough data$'
compare --markdown short.1 short.2 short.3 -- lossy.1 lossy.2 lossy.3
contains "markdown: a row" "$tmp/out" '^| connect.p50 | [0-9.]* us | [0-9.]* us | +[0-9.]* % (+[0-9.]* to +[0-9.]*) | \*\*worse\*\* |$'
compare --junit short.1 short.2 short.3 -- lossy.1 lossy.2 lossy.3
python3 - "$tmp/out" <<'PY' >"$tmp/cases"
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
cases = suite.findall("testcase")
print(int(suite.get("tests")) == len(cases), int(suite.get("failures")) == len(suite.findall("*/failure")) > 0)
PY
is "junit: well-formed, counts are right" "$(cat "$tmp/cases")" "True True"
compare --by comm --markdown short.1 lossy.1
is "--by comm: status" "$status" 1
contains "a group's row" "$tmp/out" '^| connect.p50, .*wrk'

# what cannot be compared
"$generate" --scenario short --events 15000 --groups conn,rtt -o "$tmp/fewer" 2>/dev/null
compare short.1 fewer
is "other groups: status" "$status" 3
contains "why" "$tmp/err" "only short.1 has 'groups="
compare --force short.1 fewer
check "--force: status $status" [ "$status" -le 1 ]

# usage
for bad in 'short.1' 'short.1 short.2 short.3' '-- short.1' 'short.1 --' 'short.1 -' '--markdown --junit short.1 short.2' \
	'--by pid short.1 short.2'; do
	# shellcheck disable=SC2086 # words
	compare $bad
	is "compare $bad: status" "$status" 2
done
compare short.1 nothing
is "no such file: status" "$status" 2
head -c 3000 "$tmp/short.1" >"$tmp/cut"
compare --force cut short.2
check "a file that was cut: status $status" [ "$status" -le 3 ]
finish
