#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# join.sh MAKE-SHIFTED: join on the pair of sample traces, whose truth is known: one clock, 20 ms to the server and
# 5 ms back (sample-traces/README.md); then on 100 pairs of which one clock is wrong on purpose.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

make_shifted=$1
traces=$(dirname "$0")/../../sample-traces
c=$traces/join-client.tcptape s=$traces/join-server.tcptape
export TZ=UTC
clock() { # CLIENT SERVER: offset bound, at the end bound, drift bound, from, to
	"$TCPTAPE" join --clock --csv "$1" "$2" | columns offset_ms offset_bound_ms end_offset_ms end_offset_bound_ms \
		drift_ppm drift_bound_ppm from_ns to_ns
}
fails() { # WHAT STATUS REGEX ARG...
	what=$1 want=$2 regex=$3
	shift 3
	status=0
	"$TCPTAPE" join "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	is "$what: exit status" $status "$want"
	contains "$what: says why" "$tmp/err" "$regex"
}

# ---- the truth of the scenario ----
clock "$c" "$s" >"$tmp/clock"
read -r offset bound end end_bound drift drift_bound from to <"$tmp/clock"
between "offset, ms, within its bound" "$offset" "-$bound" "$bound"
between "at the end" "$end" "-$end_bound" "$end_bound"
between "drift, ppm" "$drift" "-$drift_bound" "$drift_bound"
between "the bound is half of the round trip of 25 ms, and what half a second of unknown drift adds" "$bound" 12.4 13.1

"$TCPTAPE" join --each --csv "$c" "$s" | columns direction network_us total_us client_us server_us >"$tmp/each"
sum=$(awk '!($1 in min) || $2 < min[$1] { min[$1] = $2 } END { print (min["out"] + min["in"]) / 1000 }' "$tmp/each")
between "smallest network times of both ways, ms" "$sum" 24.5 25.3
is "segments that arrive before they were sent" "$(awk '$2 < 0' "$tmp/each" | count)" 0
is "rows whose parts are not the whole" \
	"$(awk '{ d = $3 - $2 - $4 - $5 } d > 0.0005 || d < -0.0005' "$tmp/each" | count)" 0
"$TCPTAPE" join --json "$c" "$s" 2>"$tmp/err" >"$tmp/json"
contains "all connections are joined" "$tmp/json" '"end":"client","connections":3,"joined_connections":3,'
is "the application's times are those of turnaround at the server" \
	"$("$TCPTAPE" join --csv "$c" "$s" 2>"$tmp/err" | columns part n min_us p50_us |
		sed -n 's/^server_application //p')" \
	"$("$TCPTAPE" turnaround --server --percentiles --csv "$s" 2>"$tmp/err" | columns n min p50 |
		awk '{ print $1, $2, $3 }')"

# --by: the groups together are the whole; each connection has its own exchanges: five, five, two
by() { # KEY -> of each part, its name and how many, all groups together
	"$TCPTAPE" join --by "$1" --csv "$c" "$s" 2>"$tmp/err" | columns part n |
		awk '{ n[$1] += $2 } END { for (p in n) print p, n[p] }' | sort
}
"$TCPTAPE" join --csv "$c" "$s" 2>"$tmp/err" | columns part n | sort >"$tmp/whole"
for key in conn pid remote listener; do
	by $key >"$tmp/sum"
	check "--by $key: the groups are the whole" cmp "$tmp/whole" "$tmp/sum"
done
is "--by conn: exchanges" "$("$TCPTAPE" join --by conn --csv "$c" "$s" 2>"$tmp/err" | columns lport part n |
	sed -n 's/server_application //p' | sort | cut -d' ' -f2 | paste -sd' ')" "5 5 2"
is "--by listener: of the server" "$("$TCPTAPE" join --by listener --csv "$c" "$s" 2>"$tmp/err" | columns laddr lport raddr |
	sort -u)" "10.9.1.2 8080 -"
is "--by remote: as the client sees it" "$("$TCPTAPE" join --by remote --csv "$c" "$s" 2>"$tmp/err" |
	columns raddr laddr | sort -u)" "10.9.1.2 -"

# the other way round it is the other sign
clock "$s" "$c" >"$tmp/turned"
read -r turned rest <"$tmp/turned"
between "offset with client and server exchanged, ms" "$turned" "-${rest%% *}" "${rest%% *}"

# ---- 100 pairs, of which one clock is wrong ----
awk 'BEGIN {
	srand(8)
	for (i = 0; i < 100; i++)
		printf "%d %.0f %.4f\n", i % 2, (rand() < 0.5 ? rand() : rand() * 1e6) * 1e9, rand() * 600 - 300
}' >"$tmp/pairs"
while read -r client ns ppm; do
	if [ "$client" = 1 ]; then
		"$make_shifted" "$c" "$tmp/c" "$from" "$ns" "$ppm" && clock "$tmp/c" "$s"
	else
		"$make_shifted" "$s" "$tmp/s" "$from" "$ns" "$ppm" && clock "$c" "$tmp/s"
	fi | sed "s/\$/ $client $ns $ppm/"
done <"$tmp/pairs" >"$tmp/found"
is "pairs that were joined" "$(count <"$tmp/found")" 100
# Truth: at the first segment the offset, at the last one with the drift since; of the client's clock it is less.
awk -v span=$((to - from)) '
	function off(got, truth) { return got > truth ? got - truth : truth - got }
	{
		sign = $9 ? -1 : 1
		start = sign * $10 / 1e6
		end = start + sign * $11 / 1e6 * span / 1e6
		drift = $9 ? -$11 / (1 + $11 / 1e6) : $11
		# 1 ns: the last digit that is printed
		if (off($1, start) <= $2 + 1e-6) n_start++
		if (off($3, end) <= $4 + 1e-6) n_end++
		if (off($5, drift) <= $6 + 1e-3) n_drift++
		if ($2 <= 13.1 && $4 <= 13.1) n_narrow++
	}
	END { print n_start + 0, n_end + 0, n_drift + 0, n_narrow + 0 }' "$tmp/found" >"$tmp/right"
is "of 100: offset, offset at the end, drift within their bounds; bounds as narrow as before" \
	"$(cat "$tmp/right")" "100 100 100 100"

# ---- what cannot be joined ----
fails "other connections" 3 'no connection in common' "$c" "$traces/late-reader.tcptape"
fails "no packets" 3 'rx' "$c" "$traces/http-20ms.tcptape"
fails "one trace" 2 'two traces' "$c"
"$make_shifted" "$s" "$tmp/s" "$from" 0 100000
fails "a clock that no line fits" 3 'no offset and drift' "$c" "$tmp/s"
finish
