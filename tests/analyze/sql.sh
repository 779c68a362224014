#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tcptape sql: what statements say of the sample traces is what the other commands say of them.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
traces=$(cd "$(dirname "$0")/../../sample-traces" && pwd)

sql() { # TRACE SQL [OPTION...]: into $tmp/out, $tmp/err, $status
	file=$traces/$1.tcptape statement=$2
	shift 2
	status=0
	"$TCPTAPE" sql --no-header "$@" -c "$statement" "$file" >"$tmp/out" 2>"$tmp/err" || status=$?
}
answers() { # WHAT EXPECTED TRACE SQL [OPTION...]
	what=$1 expected=$2
	shift 2
	sql "$@"
	is "$what" "$(tr -s ' ' <"$tmp/out" | sed 's/^ //')" "$expected"
}
rows() { # COMMAND... TRACE: how many rows of CSV
	"$TCPTAPE" "$@" --csv --no-header 2>/dev/null | wc -l
}

# ---- events ----
for trace in loss nat io late-reader drops; do
	for event in $("$TCPTAPE" dump --json "$traces/$trace.tcptape" | sed -n 's/.*"event":"\([a-z_0-9]*\)".*/\1/p' | sort -u); do
		n=$("$TCPTAPE" dump --json -e "$event" "$traces/$trace.tcptape" 2>/dev/null | grep -c '"event"')
		sql $trace "select count(*) from \"$event\""
		[ "$(tr -d ' ' <"$tmp/out")" = "$n" ] || is "$trace: $event events" "$(cat "$tmp/out")" "$n"
	done
done
answers "a named value, an address, a cookie" "SYN_SENT 10.9.0.2 8080 $("$TCPTAPE" connlat --csv "$traces/loss.tcptape" 2>/dev/null | columns conn | head -1)" \
	loss "select new_state, raddr, rport, conn from tcp_state where new_state = 'SYN_SENT' order by ts_ns limit 1"
mean=$("$TCPTAPE" rtt --percentiles --csv "$traces/http-20ms.tcptape" 2>/dev/null | columns mean)
answers "mean round-trip time" "$mean" http-20ms "select printf('%.1f', avg(srtt_us)) from rtt"
check "there is such a mean: $mean" [ "${mean%%.*}" -gt 19000 ]

# both ends of a reference that is seen from the other one: each connection's two sockets mirror each other
answers "flows seen from either end" 0 nat "select count(*) from tcp_state where laddr = raddr and lport = rport"
sent=$("$TCPTAPE" top --csv "$traces/io.tcptape" 2>/dev/null | columns tx_bytes | awk '{ s += $1 } END { print s }')
answers "bytes sent by thread" "$sent" io "select sum(bytes) from io_send"
check "that is what the scenario moved: $sent" [ "$sent" = 690000 ]

# ---- time, and whose ----
for limit in 1.2 1.9; do
	whole=$("$TCPTAPE" dump -e rtt --csv --no-header "$traces/loss.tcptape" | awk -F, -v at=$limit '$1 >= at' | wc -l)
	answers "from $limit s on" "$whole" loss "select count(*) from rtt where time_s >= $limit"
	answers "the same by nanoseconds" "$whole" loss \
		"select count(*) from rtt where ts_ns >= (select min(ts_ns) - cast(round(min(time_s) * 1e9) as integer) from rtt) + cast($limit * 1e9 as integer)"
	answers "the same by --from" "$whole" loss "select count(*) from rtt" --from +${limit}s
done
port=$("$TCPTAPE" life --csv "$traces/loss.tcptape" 2>/dev/null | columns lport | sort -n | tail -1)
n=$(rows dump -e rtt -f "port $port" "$traces/loss.tcptape")
answers "of one connection, by -f" "$n" loss "select count(*) from rtt" -f "port $port"
answers "and by where" "$n" loss "select count(*) from rtt where $port in (lport, rport)"
check "that is some of them: $n" [ "$n" -gt 5 ]

# ---- what commands make ----
answers "connections" "$(rows life "$traces/loss.tcptape")" loss 'select count(*) from connections'
answers "and how they ended" "$("$TCPTAPE" life --csv "$traces/closed-port.tcptape" 2>/dev/null | columns end | sort | uniq -c | awk '{ print $2, $1 }')" \
	closed-port 'select "end", count(*) from connections group by 1 order by 1'
both=$(($(rows delay --in "$traces/nat.tcptape") + $(rows delay --out "$traces/nat.tcptape")))
answers "segments" "$both" nat 'select count(*) from segments'
answers "their layers add up to the total" 0 nat 'select count(*) from
	(select id, total_us - (select sum(us) from layers where segment = id) as rest from segments) where abs(rest) > 0.01'
queue=$("$TCPTAPE" delay --in --data --csv "$traces/late-reader.tcptape" 2>/dev/null | columns queue_us | sort -n | tail -1)
answers "the longest wait in a socket" "$queue" late-reader "select printf('%.3f', max(us)) from layers where layer = 'queue' and direction = 'in'"
check "that is the reader's 50 ms: $queue us" [ "${queue%%.*}" -gt 50000 ]
answers "a join" "$(rows dump -e tcp_destroy "$traces/loss.tcptape")" loss \
	'select count(*) from tcp_destroy d join connections c on c.conn = d.conn and c.raddr = d.raddr'
sql loss 'select count(*) from segments'
is "no segments in that recording: status" "$status" 3
contains "and what to record" "$tmp/err" 'record'

# ---- what is refused, and how ----
for bad in 'drop table rtt' 'insert into rtt(cpu) values(1)' 'create table x(y)' "attach 'x' as y" 'pragma temp_store = 2' \
	"select load_extension('x')" 'delete from connections' 'begin' 'selekt' "update sqlite_master set sql = ''" \
	vacuum "vacuum into 'x'" reindex analyze 'pragma database_list' 'detach main' 'savepoint x' 'select randomblob(500000000)'; do
	sql loss "$bad"
	is "$bad: status" "$status" 2
done
check "no file was made" [ ! -e x ]
sql loss 'select * from absent'
is "no such table: status" "$status" 3
sql loss 'select * from trace'
is "what makes the tables is none: status" "$status" 3
sql loss "select readfile('/etc/passwd')"
is "no files are read: status" "$status" 3
timeout -s INT 1 "$TCPTAPE" sql -c 'with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n' \
	"$traces/loss.tcptape" >"$tmp/out" 2>"$tmp/err"
is "Ctrl-C ends a statement that would not end: status" $? 124
sql loss 'select absent from rtt'
is "no such column: status" "$status" 3
head -c 16000 "$traces/loss.tcptape" >"$tmp/cut"
"$TCPTAPE" sql -c 'select count(*) from rtt' "$tmp/cut" >/dev/null 2>"$tmp/err"
contains "a cut file says that it is one" "$tmp/err" 'was not closed'
{ head -c 20000 "$traces/http-20ms.tcptape" && printf xxxx && tail -c +20005 "$traces/http-20ms.tcptape"; } >"$tmp/damaged"
"$TCPTAPE" sql -c 'select sum(srtt_us) from rtt' "$tmp/damaged" >/dev/null 2>"$tmp/err"
is "a damaged file: status" $? 1
contains "and where" "$tmp/err" 'damaged'

# ---- forms ----
sql loss 'select 1 a, 2.5 b, null c, '"'x\"y'"' d' --json
is "json" "$(cat "$tmp/out")" '{"a":1,"b":2.5,"c":null,"d":"x\"y"}'
printf 'select 1;\nselect\n 2;\n.tables\n' | "$TCPTAPE" sql --no-header "$traces/loss.tcptape" >"$tmp/out"
is "statements on standard input" "$(head -2 "$tmp/out" | tr -d ' ' | tr '\n' ' ')" '1 2 '
contains "tables" "$tmp/out" '^connections$'
contains "events, and what they are" "$tmp/out" '^rtt: '
printf '.schema rtt\n' | "$TCPTAPE" sql --no-header "$traces/loss.tcptape" >"$tmp/out"
contains "columns" "$tmp/out" '^srtt_us *INTEGER'
"$TCPTAPE" sql --no-header -c 'select count(*) from tcp_destroy' - <"$traces/loss.tcptape" >"$tmp/out"
is "a file on standard input" "$(tr -d ' ' <"$tmp/out")" "$(rows dump -e tcp_destroy "$traces/loss.tcptape")"
finish
