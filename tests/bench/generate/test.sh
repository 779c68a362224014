#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test.sh SCENARIO: a generated trace shows what the model says it must (generate --truth), in every
# command that tells of it; the same seed gives the same bytes, another one others.
# GENERATE and TCPTAPE are the programs.
. "$(dirname "$0")/../../lib.sh"

: "${GENERATE=$(dirname "$0")/../../../build/tests/bench/generate/generate}"
scenario=$1 events=200K
trace=$tmp/trace.tcptape

generate() { # SEED FILE [ARG...]
	seed=$1 file=$2
	shift 2
	"$GENERATE" --scenario "$scenario" --seed "$seed" --events $events "$@" -o "$file"
}

truth() { # NAME
	awk -v n="$1" '$1 == n { print $2; found = 1 } END { if (!found) print 0 }' "$tmp/truth"
}

rows() { awk 'END { print NR ? NR - 1 : 0 }'; } # of CSV with a header

# Sums of the named columns
sums() {
	columns "$@" | awk -v n=$# '{ for (i = 1; i <= n; i++) s[i] += $i }
		END { for (i = 1; i <= n; i++) printf "%.0f%s", s[i], (i < n ? " " : "\n") }'
}

tape() { "$TCPTAPE" "$@" "$trace" 2>>"$tmp/notes"; }

near() { # WHAT GOT WANTED: within 1 %, which is the resolution of percentiles, or a clock's tick
	between "$1" "$2" "$(awk -v v="$3" 'BEGIN { print v * 0.99 - 0.011 }')" \
		"$(awk -v v="$3" 'BEGIN { print v * 1.01 + 0.011 }')"
}

# ---- the file ----
check "a trace is made" generate 7 "$trace" --truth "$tmp/truth"
[ -s "$tmp/truth" ] || finish
check "it is whole" "$TCPTAPE" verify "$trace"
generate 7 - 2>/dev/null | cmp -s - "$trace"
is "the same seed gives the same bytes, through a pipe too" $? 0
generate 8 - 2>/dev/null | cmp -s - "$trace"
is "another seed gives others" $? 1

# ---- what every group tells ----
is "events" "$(tape info | awk '$1 == "events" { print $2 + 0 }')" "$(truth events)"
tape rtt --percentiles --csv | columns n min p50 p90 p99 max >"$tmp/rtt"
if [ "$(truth rtt_us.n)" = 0 ]; then
	skip "this scenario has no round trips"
fi
read -r n min p50 p90 p99 max <"$tmp/rtt"
is "round-trip times" "$n $min $max" "$(truth rtt_us.n) $(truth rtt_us.min) $(truth rtt_us.max)"
near "their median" "$p50" "$(truth rtt_us.p50)"
near "their 90th percentile" "$p90" "$(truth rtt_us.p90)"
near "their 99th percentile" "$p99" "$(truth rtt_us.p99)"
[ "$scenario" = rtt ] && finish

is "state changes" "$(tape states --csv | rows)" "$(truth states)"
is "connects" "$(tape connlat --csv | columns outcome | sort | uniq -c | awk '
	{ n[$2] = $1 } END { print n["ok"] + 0, n["pending"] + 0 }')" \
	"$(truth connects.ok) $(($(truth connects) - $(truth connects.ok)))"
tape life --csv | awk -F, 'NR == 1 || $(NF - 1) != "open"' >"$tmp/life"
is "connections that ended" "$(rows <"$tmp/life")" "$(truth destroyed)"
is "their bytes" "$(sums tx_bytes rx_bytes <"$tmp/life")" \
	"$(truth bytes.sent) $(truth bytes.received)"
is "bytes of calls" "$(tape top --csv | sums tx_bytes rx_bytes)" \
	"$(truth io.sent) $(truth io.received)"
is "segments sent again" "$(tape retrans -c --csv | sums fast rto rto_recovery tlp other synack)" \
	"$(echo "$(truth retrans.fast) $(truth retrans.rto) $(truth retrans.rto_recovery)" \
		"$(truth retrans.tlp) 0 $(truth retrans.synack)")"
is "nothing is sent again but that" "$(tape retrans --csv | columns segs | awk '{ n += $1 }
	END { print n + 0 }')" "$(($(truth retrans.fast) + $(truth retrans.rto) + \
	$(truth retrans.rto_recovery) + $(truth retrans.tlp) + $(truth retrans.synack)))"
for reason in QDISC_DROP QUEUE_PURGE; do
	is "drops $reason" "$(tape drops -a -c --csv | columns count reason | awk -v r=$reason '
		$2 == r { n += $1 } END { print n + 0 }')" "$(truth drops.$reason)"
done
for direction in sent received; do
	is "resets $direction" "$(tape resets --csv | columns direction | grep -c $direction)" \
		"$(truth resets.$direction)"
done
is "the counters agree with the events" "$(tape info --counters --csv | columns counter difference |
	awk '$2 != "-" && $2 != 0 { printf "%s %s ", $1, $2 }')" ""

# ---- layers: N packets, and how long they were there ----
for layer in out.ip out.output out.driver in.driver in.mac in.ip in.deliver; do
	tape delay "--${layer%.*}" --percentiles --csv | columns layer n min_us p50_us p90_us max_us |
		awk -v l="${layer#*.}" '$1 == l { print $2, $3, $4, $5, $6 }' >"$tmp/layer"
	read -r n min p50 p90 max <"$tmp/layer"
	is "$layer: packets" "$n" "$(truth $layer.n)"
	for point in min p50 p90 max; do
		eval "got=\$$point"
		near "$layer: $point" "$got" "$(truth $layer.$point | awk '{ print $1 / 1000 }')"
	done
done
finish
