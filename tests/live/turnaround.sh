#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Requests and answers over a link of 5 ms each way: the server's own clock says how long it took to
# answer, the client's how long it waited. Once by the calls (io), once by what they copied (rx, tx).
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder

make_namespaces
join_by_link 5000
start server ip netns exec "$B" "$EXCHANGE" server 10.9.0.2 17001
wait_line server '^ready'
exchanges() { in_a "$EXCHANGE" client "$@"; } # [OPTION...] ADDR PORT US...
turns() { # TRACE [OPTION...]
	file=$1
	shift
	"$TCPTAPE" turnaround -f 'port 17001' "$@" --csv "$file" 2>"$tmp/notes"
}
log() { # WHAT: of server and clients: port, bytes, bytes, us, one after the other
	cat "$tmp/server.out" "$tmp/client" | awk -v w="$1" '$1 == w { print $2, $3, $4, $5 }' | sort -s -n -k 1,1
}
against() { # WHAT NAME: the log's times against ours, in the same order; differences in us
	is "$2: requests and answers" "$(awk '{ print $1, $2, $3 }' "$tmp/ours" | cksum)" \
		"$(log "$1" | awk '{ print $1, $2, $3 }' | cksum)"
	log "$1" | awk '{ print $4 }' | paste -d' ' "$tmp/ours" - |
		awk '{ print $4 * 1000 - $5 }' >"$tmp/off"
	between "$2: median difference from its own clock, us" "$(median <"$tmp/off")" -300 300
}

record "$tmp/io.tcptape" -e conn,rtt,io
exchanges -n 6 10.9.0.2 17001 1000 5000 20000 >"$tmp/client"
exchanges -m halves -n 4 -s 3000 -a 50000 10.9.0.2 17001 2000 >>"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
turns "$tmp/io.tcptape" --server | columns rport request_bytes answer_bytes turn_ms |
	sort -s -n -k 1,1 >"$tmp/ours"
against answered "server"
# ours enclose the server's: it looks at its clock behind the read, and before the write
is "server: shorter than by its own clock" "$(awk '$1 < -2' "$tmp/off" | count)" 0
turns "$tmp/io.tcptape" --client | columns lport request_bytes answer_bytes turn_ms |
	sort -s -n -k 1,1 >"$tmp/ours"
against asked "client"
is "client: shorter than the link and the sleep" \
	"$(awk '$4 < 11' "$tmp/ours" | count)" 0
is "notes" "$(count <"$tmp/notes")" 0
"$TCPTAPE" turnaround --slowest 3 --client --csv "$tmp/io.tcptape" | columns turn_ms >"$tmp/slowest"
is "the three slowest" "$(cat "$tmp/slowest")" "$(awk '{ print $4 }' "$tmp/ours" | sort -nr | head -3)"
p50=$("$TCPTAPE" turnaround --percentiles --server --csv "$tmp/io.tcptape" | columns p50)
exact=$(turns "$tmp/io.tcptape" --server | columns turn_ms | sort -n | awk '{ v[NR] = $1 } END { print v[11] * 1000 }')
between "the median of 22, off by 1 % at most" "$p50" "$(echo "$exact" | awk '{ print $1 * 0.99 }')" \
	"$(echo "$exact" | awk '{ print $1 * 1.01 }')"

# what is no request and answer
record "$tmp/not.tcptape" -e conn,rtt,io
exchanges -m early -n 5 10.9.0.2 17001 2000 >"$tmp/client"
exchanges -m one-way -n 5 10.9.0.2 17001 0 >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
is "a client that does not wait: what can be told" "$(turns "$tmp/not.tcptape" | columns role | sort | uniq -c |
	awk '{ print $1, $2 }')" "1 client
1 server"
contains "its other requests" "$tmp/notes" '8 exchanges are left out: .*overlap'
contains "one way only, at both ends" "$tmp/notes" '2 connections moved bytes one way only'

# the same without calls
cp "$tmp/server.out" "$tmp/before"
record "$tmp/packets.tcptape" -e conn,rtt,rx,tx
exchanges -n 6 10.9.0.2 17001 1000 5000 20000 >"$tmp/client"
sleep 0.5
stop "$(cat "$tmp/record.pid")"
if "$TCPTAPE" info "$tmp/packets.tcptape" | grep -q 'tx_write .*absent'; then
	echo "no hook for tx_write on this kernel"
else
	tail -n +"$(($(count <"$tmp/before") + 1))" "$tmp/server.out" >"$tmp/rest"
	mv "$tmp/rest" "$tmp/server.out"
	turns "$tmp/packets.tcptape" --server | columns rport request_bytes answer_bytes turn_ms |
		sort -s -n -k 1,1 >"$tmp/ours"
	against answered "server, without io"
fi

# live: an interval is told as soon as it is over, while the recorder still runs
mkfifo "$tmp/pipe"
start live "$TCPTAPE" turnaround -i 0.5 --percentiles --server -f "port 17001" --csv "$tmp/pipe"
start recorder "$TCPTAPE_RECORD" -o "$tmp/pipe" -e conn,rtt,io
wait_line live '^time'
exchanges -n 20 10.9.0.2 17001 5000 >"$tmp/client"
wait_for 15 grep -q '^2' "$tmp/live.out" || :
check "the recorder still runs" kill -0 "$(cat "$tmp/recorder.pid")"
between "exchanges in the intervals so far" \
	"$(columns n <"$tmp/live.out" | awk '{ n += $1 } END { print n + 0 }')" 1 20
stop "$(cat "$tmp/recorder.pid")"
wait_end "$(cat "$tmp/live.pid")"
is "exchanges in all intervals" "$(columns n <"$tmp/live.out" | awk '{ n += $1 } END { print n + 0 }')" 20
finish
