#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tcptape export: what it writes of the sample traces is what dump says of them.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
traces=$(cd "$(dirname "$0")/../../sample-traces" && pwd)

for trace in loss nat drops io; do
	file=$traces/$trace.tcptape
	"$TCPTAPE" dump --json "$file" >"$tmp/dump.json" 2>/dev/null
	"$TCPTAPE" export --to jsonl -o "$tmp/$trace.jsonl" "$file" 2>/dev/null
	"$TCPTAPE" export --to csv -o "$tmp/$trace" "$file" >/dev/null 2>&1
	check "$trace: each event, each value" python3 - "$tmp/dump.json" "$tmp/$trace.jsonl" "$tmp/$trace" <<'PY'
import csv, json, os, sys

def leaves(value):
    """All values of an object that dump nests, but kernel addresses and empty references."""
    for key, v in value.items():
        if isinstance(v, dict):
            yield from leaves(v)
        elif v is not None and key != "skaddr" and not (key == "cookie" and v == "0x0"):
            yield v

dump = [json.loads(line) for line in open(sys.argv[1])]
dump = [e for e in dump if "event" in e]
flat = [json.loads(line) for line in open(sys.argv[2])]
assert len(dump) == len(flat) > 10, (len(dump), len(flat))
tables = {name[:-4]: list(csv.DictReader(open(os.path.join(sys.argv[3], name)))) for name in os.listdir(sys.argv[3])}
at = dict.fromkeys(tables, 0)
for d, f in zip(dump, flat):
    assert (d["event"], d["ts_ns"]) == (f["event"], f["ts_ns"]), (d, f)
    row = tables[f["event"]][at[f["event"]]]
    at[f["event"]] += 1
    got = sorted(map(str, (v for k, v in f.items() if v is not None and k != "time")))
    want = sorted(map(str, leaves(d)))
    assert got == want, (got, want)
    for key, v in f.items():
        if key != "event":
            assert row[key] == ("" if v is None else "%.9f" % v if key == "time_s" else str(v)), (key, v, row)
assert all(at[name] == len(rows) for name, rows in tables.items())
PY
done

"$TCPTAPE" export --to csv --csv --no-header -o "$tmp/list" "$traces/loss.tcptape" >"$tmp/out" 2>/dev/null
is "the list of files tells their rows" "$(tr , ' ' <"$tmp/out" | while read -r n file; do echo $(($(wc -l <"$file") - 1 - n)); done | sort -u)" 0

# the trace itself is never overwritten
cp "$traces/loss.tcptape" "$tmp/same"
for to in jsonl openmetrics sqlite; do
	"$TCPTAPE" export --to $to -o "$tmp/same" --force "$tmp/same" 2>/dev/null
	is "--to $to over the trace itself: status" $? 2
done
check "it is as it was" cmp "$traces/loss.tcptape" "$tmp/same"

# SQLite's own program reads the database; tcptape sql says the same of the trace
if command -v sqlite3 >/dev/null; then
	"$TCPTAPE" export --to sqlite -o "$tmp/nat.db" "$traces/nat.tcptape" 2>/dev/null
	for sql in 'SELECT count(*), sum(ts_ns), min(conn) FROM tcp_state' 'SELECT count(*), round(sum(us), 3) FROM layers' \
		'SELECT sum(tx_bytes), sum(rx_bytes), count(*) FROM connections' 'SELECT direction, count(*), round(max(total_us), 3) FROM segments GROUP BY 1'; do
		"$TCPTAPE" sql --csv --no-header -c "$sql" "$traces/nat.tcptape" >"$tmp/want" 2>/dev/null
		is "$sql" "$(sqlite3 -csv "$tmp/nat.db" "$sql" | tr -d '\r')" "$(cat "$tmp/want")"
	done
	contains "what the trace says of itself" "$tmp/nat.db" 'kernel.release'
	is "it is sound" "$(sqlite3 "$tmp/nat.db" 'PRAGMA integrity_check')" ok
	for name in file:x :memory: 'x?mode=memory' "it's"; do # which are names of files like others
		(cd "$tmp" && "$TCPTAPE" export --to sqlite -o "$name" "$traces/loss.tcptape") 2>"$tmp/err"
		is "a file called $name" "$(sqlite3 "$tmp/./$name" 'SELECT count(*) > 0 FROM rtt')" 1
	done
fi

# packets, as tshark reads them: the segments that delay shows, each once
if command -v tshark >/dev/null; then
	for trace in late-reader nat; do
		file=$traces/$trace.tcptape
		"$TCPTAPE" export --to pcapng -Q out -o "$tmp/out.pcapng" --force "$file" 2>/dev/null
		tshark -r "$tmp/out.pcapng" -T fields -e ip.src -e ipv6.src -e tcp.srcport -e tcp.dstport -e tcp.seq_raw -e tcp.ack_raw -e tcp.len \
			2>"$tmp/err" | tr -s '\t' ' ' | sed 's/^ //' | sort >"$tmp/own"
		"$TCPTAPE" delay --out --csv "$file" 2>/dev/null | columns saddr sport dport seq ack payload | sort >"$tmp/want"
		check "$trace: the segments that were sent" cmp "$tmp/own" "$tmp/want"
		check "that is some: $(wc -l <"$tmp/own")" [ "$(wc -l <"$tmp/own")" -gt 10 ]
		"$TCPTAPE" export --to pcapng -o "$tmp/both.pcapng" --force "$file" 2>/dev/null
		is "$trace: with what was received each is still one packet" "$(tshark -r "$tmp/both.pcapng" 2>/dev/null | wc -l)" "$(wc -l <"$tmp/own")"
		is "$trace: tshark finds no fault" "$(tshark -r "$tmp/both.pcapng" -q -z expert,warn 2>/dev/null | grep -c .)" 0
		tshark -r "$tmp/both.pcapng" -T fields -e frame.time_relative 2>/dev/null >"$tmp/times"
		check "$trace: in the order of time" sort -c -n "$tmp/times"
	done
	tshark -r "$tmp/both.pcapng" -V 2>/dev/null >"$tmp/text"
	contains "a comment has layers, both ends, the process" "$tmp/text" 'load.[0-9]+., .* us: .*qdisc [0-9.]+ .*; received: .*driver [0-9.]+ mac'
	is "IP checksums are right" "$(tshark -o ip.check_checksum:TRUE -r "$tmp/both.pcapng" -T fields -e ip.checksum.status 2>/dev/null | sort -u)" 1
	"$TCPTAPE" export --to pcapng -o "$tmp/none.pcapng" "$traces/loss.tcptape" 2>"$tmp/err"
	is "a recording without packets: status" $? 3
fi

# metrics: the last sample of each is what the commands count
"$TCPTAPE" export --to openmetrics -i 0.5 -o "$tmp/metrics" "$traces/loss.tcptape" 2>/dev/null
sample() { # METRIC{LABEL of the last sample: its value
	grep -F "$1" "$tmp/metrics" | tail -1 | awk '{ print $2 }'
}
is "connects" "$(sample 'tcptape_connects_total' | tail -1)" "$("$TCPTAPE" connlat --csv "$traces/loss.tcptape" 2>/dev/null | columns outcome | grep -c '^ok$')"
is "round trips" "$(sample tcptape_rtt_seconds_count)" "$("$TCPTAPE" rtt --percentiles --csv "$traces/loss.tcptape" 2>/dev/null | columns n)"
is "samples of a counter" "$(grep -c tcptape_accepts_total "$tmp/metrics")" "$(grep -c tcptape_rtt_seconds_sum "$tmp/metrics")"
is "the last line" "$(tail -1 "$tmp/metrics")" '# EOF'
promtool=$(command -v promtool || :)
if [ -n "$promtool" ]; then
	"$promtool" tsdb create-blocks-from openmetrics "$tmp/metrics" "$tmp/blocks" >"$tmp/out" 2>&1
	is "promtool takes them: status" $? 0
	is "all of them" "$(awk 'NR == 2 { print $5 }' "$tmp/out")" "$(grep -vc '^#' "$tmp/metrics")"
fi

# which events
"$TCPTAPE" export --to jsonl -e rtt,tcp_state -f 'port 8081' --from +0.5s -o - "$traces/loss.tcptape" >"$tmp/some" 2>/dev/null
n=$("$TCPTAPE" dump -e rtt,tcp_state -f 'port 8081' --from +0.5s --csv --no-header "$traces/loss.tcptape" 2>/dev/null | wc -l)
is "chosen events" "$(wc -l <"$tmp/some")" "$n"
check "some, not all: $n" [ "$n" -gt 10 ]
is "of these kinds" "$(sed 's/{"event":"\([a-z_]*\)".*/\1/' "$tmp/some" | sort -u | tr '\n' ' ')" 'rtt tcp_state '

# what is refused
refused() { # STATUS ARG...
	wanted=$1
	shift
	"$TCPTAPE" export "$@" >"$tmp/out" 2>"$tmp/err"
	is "export $*: status" $? "$wanted"
}
refused 2 --to csv "$traces/loss.tcptape"
refused 2 --to nonsense -o "$tmp/x" "$traces/loss.tcptape"
refused 2 --to csv -o - "$traces/loss.tcptape"
refused 0 --to csv -o - -e rtt "$traces/loss.tcptape"
is "one table on standard output" "$(wc -l <"$tmp/out")" "$(wc -l <"$tmp/loss/rtt.csv")"
refused 3 --to jsonl -e nothing -o "$tmp/x" "$traces/loss.tcptape"
check "nothing was made" [ ! -e "$tmp/x" ]
refused 1 --to jsonl -o "$tmp/loss.jsonl" "$traces/loss.tcptape"
contains "it says how to" "$tmp/err" '--force'
refused 0 --to jsonl --force -o "$tmp/loss.jsonl" "$traces/loss.tcptape"
refused 1 --to csv -o "$tmp/loss" "$traces/loss.tcptape"
refused 0 --to csv --force -o "$tmp/loss" "$traces/loss.tcptape"
refused 1 --to csv -o "$tmp/loss.jsonl" "$traces/loss.tcptape"
refused 1 --to jsonl -o /dev/full "$traces/loss.tcptape"
ln -s "$tmp/elsewhere" "$tmp/link"
refused 1 --to jsonl -o "$tmp/link" "$traces/loss.tcptape"
check "a symbolic link was not followed" [ ! -e "$tmp/elsewhere" ]
finish
