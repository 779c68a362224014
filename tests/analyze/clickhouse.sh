#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clickhouse.sh GENERATE: docs/clickhouse.md with a real server: its commands bring two traces into
# it, its queries say what tcptape says of them.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
generate=$1 page=$(cd "$(dirname "$0")/../../docs" && pwd)/clickhouse.md
PATH=$PATH:/usr/sbin
need clickhouse-server clickhouse-client python3
port=17990
export LC_ALL=C

mkdir "$tmp/data" "$tmp/bin"
cat >"$tmp/users.xml" <<END
<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>
END
cat >"$tmp/config.xml" <<END
<yandex><logger><level>error</level><log>$tmp/log</log><errorlog>$tmp/errors</errorlog></logger>
<tcp_port>$port</tcp_port><listen_host>127.0.0.1</listen_host><path>$tmp/data/</path><tmp_path>$tmp/data/tmp/</tmp_path>
<users_config>$tmp/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>100000000</mark_cache_size></yandex>
END
start server clickhouse-server --config-file="$tmp/config.xml"
# the page's own words, with another port and this tcptape
printf '#!/bin/sh\nexec %s --port %s "$@"\n' "$(command -v clickhouse-client)" $port >"$tmp/bin/clickhouse-client"
printf '#!/bin/sh\nexec %s "$@"\n' "$TCPTAPE" >"$tmp/bin/tcptape"
chmod +x "$tmp/bin/clickhouse-client" "$tmp/bin/tcptape"
PATH=$tmp/bin:$PATH
ask() { clickhouse-client --query "$1"; }
wait_for 20 ask 'SELECT 1' >/dev/null || skip "clickhouse-server does not start: $(head -1 "$tmp/errors" 2>/dev/null)"

block() { # N: the N-th example of the page
	awk -v want="$1" '/^    / { if (!inside) n++; inside = 1; if (n == want) print; next }
		!/^$/ { inside = 0 }' "$page"
}
mkdir "$tmp/traces"
"$generate" --scenario mixed --events 200000 -o "$tmp/traces/mixed.tcptape" 2>/dev/null
(cd "$tmp/traces" && eval "$(block 1)") || check "the page's commands" false
for event in $(tcptape dump --json "$tmp/traces/mixed.tcptape" | sed -n 's/.*"event":"\([a-z_0-9]*\)".*/\1/p' | sort | uniq -c | awk '{ print $2 ":" $1 }'); do
	n=$(ask "SELECT count() FROM \`${event%:*}\`")
	[ "$n" = "${event#*:}" ] || is "rows of ${event%:*}" "$n" "${event#*:}"
done
cell() { # COLUMN... of CSV on standard input, tabs between
	columns "$@" | tr ' ' '\t'
}
trace=$tmp/traces/mixed.tcptape
ask "$(block 2)" >"$tmp/own"
tcptape rtt --percentiles --by remote --csv "$trace" 2>/dev/null | cell raddr n p50 p99 max >"$tmp/want"
check "round-trip times by remote, quantiles within 1 %" python3 - "$tmp/own" "$tmp/want" <<'PY'
import sys
own, want = (sorted(line.split() for line in open(f)) for f in sys.argv[1:])
assert own and len(own) == len(want), (own, want)
for a, b in zip(own, want):
    assert a[:2] == b[:2] and a[4] == b[4], (a, b)
    assert all(abs(float(x) - float(y)) <= 0.01 * float(y) + 1 for x, y in zip(a[2:4], b[2:4])), (a, b)
PY
ask "$(block 3)" | sort >"$tmp/own"
tcptape top --by comm --csv "$trace" 2>/dev/null | cell comm tx_bytes rx_bytes | sort >"$tmp/want"
check "bytes by process" cmp "$tmp/own" "$tmp/want"
ask "$(block 4)" | sort >"$tmp/own"
tcptape drops -a -c --csv "$trace" 2>/dev/null | cell reason count | awk '{ n[$1] += $2 } END { for (r in n) print r "\t" n[r] }' | sort >"$tmp/want"
check "drops by reason" cmp "$tmp/own" "$tmp/want"
check "there are such rows" [ "$(wc -l <"$tmp/own")" -ge 1 ]
is "connections that ended" "$(ask "$(block 5)" | cut -f2)" "$(tcptape dump -e tcp_destroy --json "$trace" | grep -c '"event"')"

# a second trace of another host goes into the same tables
cp "$(dirname "$page")/../sample-traces/loss.tcptape" "$tmp/traces"
rm "$trace"
(cd "$tmp/traces" && eval "$(block 1)") || check "the page's commands, again" false
is "hosts" "$(ask 'SELECT uniq(recording), uniq(host) FROM rtt' | tr '\t' ' ')" '2 2'
is "a value that has a name" "$(ask "SELECT count() FROM tcp_state WHERE new_state = 'SYN_SENT' AND raddr = '10.9.0.2'")" \
	"$(tcptape states --csv "$tmp/traces/loss.tcptape" 2>/dev/null | columns new_state raddr | grep -c 'SYN_SENT 10.9.0.2')"
is "the wall clock" "$(ask "SELECT toString(min(time), 'UTC') FROM rtt WHERE recording = (SELECT any(recording) FROM tcp_state WHERE raddr = '10.9.0.2')" | tr ' ' T)" \
	"$(tcptape sql --no-header -c "SELECT substr(min(time), 1, 19) FROM rtt" "$tmp/traces/loss.tcptape" 2>/dev/null)"
finish
