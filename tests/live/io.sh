#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Group io and `tcptape top`: by connection, direction and thread, the bytes that the calls of `move`
# returned, whatever kind of call; EAGAIN and errors; and the time that a thread slept in one.
# What a kernel has no hook for must show as such: splice and mapped receives without fexit, MPTCP
# before 6.3, sleeps.
# proves: io_send io_recv io_wait
# mends: bytes-asked-for threads-mixed
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${MOVE=$build/tests/move}"
need_recorder

make_namespaces # for their loopback, where nobody else is
"$TCPTAPE_RECORD" --list >"$tmp/list"
has() { awk -v e="$1" -v hook="$2" '$1 == e && index($0, hook) { f = 1 } END { exit !f }' "$tmp/list"; }
record "$tmp/t.tcptape" -e io,conn
move() { # ADDR MODE...
	addr=$1
	shift
	for mode; do
		status=0
		in_a "$MOVE" -s 300007 "$mode" "$addr" >"$tmp/move" || status=$?
		case $status in
		0) sed "s/^/$mode $addr /" "$tmp/move" >>"$tmp/moved" ;;
		77) echo "      $mode $addr: $(cat "$tmp/move")" ;;
		*) is "$mode $addr ends with" $status 0 ;;
		esac
	done
}
move 127.0.0.1 plain vec sendfile splice peek trunc waitall zerocopy mapped again oob mptcp uring slow full \
	broken reset
move ::1 plain sendfile splice mapped again mptcp slow reset
sleep 0.3
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0

top() { "$TCPTAPE" top --csv "$@" "$tmp/t.tcptape" 2>"$tmp/top.err"; }
top >"$tmp/conns"
top --by tid >"$tmp/tids"
columns pid lport rport laddr rx_bytes tx_bytes again errors rx_wait_ms tx_wait_ms <"$tmp/conns" \
	>"$tmp/rows"
row() { # PID LPORT RPORT: what top has: rx_bytes tx_bytes again errors rx_wait_ms tx_wait_ms
	awk -v p="$1" -v l="$2" -v r="$3" \
		'$1 == p && $2 == l && $3 == r { print $5, $6, $7, $8, $9, $10; f = 1 }
		END { if (!f) print "none" }' "$tmp/rows"
}
past() { # LPORT: bytes received and sent that the note of this connection's end tells
	top -f "port $1" >"$tmp/past"
	sed -n 's/.*note: \([0-9]*\) bytes received and \([0-9]*\) sent.*/\1 \2/p' "$tmp/top.err"
}

while read -r mode addr side pid tid lport rport bytes again errors slow all; do
	got=$(row "$pid" "$lport" "$rport")
	what="$mode $addr $side"
	# shellcheck disable=SC2086 # fields
	set -- $got
	case $mode-$side in
	broken-rx)
		is "$what: it called nothing" "$got" none
		continue
		;;
	splice-rx)
		if ! has io_recv fexit:tcp_splice_read; then
			is "$what without a hook" "$got" none
			continue
		fi
		;;
	mapped-rx)
		if ! has io_recv fexit:tcp_zerocopy_receive; then
			# shellcheck disable=SC2046 # fields
			is "$what: bytes, with those of the note" \
				$(($1 + $(past "$lport" | cut -d' ' -f1))) "$bytes"
			continue
		fi
		;;
	uring-*) # it looks first without sleeping, which is a call too
		again=$3
		;;
	mptcp-*)
		if ! has io_send tp_btf:sock_send_length; then
			[ "$got" = none ] || got="$1 $2" # its sleeps are seen
			check "$what without a hook: bytes: $got" [ "$got" = none -o "$got" = "0 0" ]
			continue
		fi
		;;
	esac
	if [ "$side" = tx ]; then
		is "$what: received, sent, EAGAIN, errors" "$1 $2 $3 $4" "0 $bytes $again $errors"
	else
		is "$what: received, sent, EAGAIN, errors" "$1 $2 $3 $4" "$bytes 0 $again $errors"
	fi
	is "$what: thread's name and bytes" \
		"$(columns tid comm rx_bytes tx_bytes <"$tmp/tids" | awk -v t="$tid" \
			'$1 == t { print $2, $3 + $4 }')" "mv-$side $bytes"
	has io_wait fentry: || continue
	case $mode-$side in
	slow-rx | full-tx) # most of the time of calls that took more than 100 ms, not more than of all
		[ "$side" = rx ] && ms=$5 || ms=$6
		between "$what: ms asleep, of $slow to $all in calls" "$ms" $((slow - 50)) $((all + 1))
		between "$what: ms in slow calls, by its own clock" "$slow" 250 5000
		;;
	again-*)
		between "$what: ms asleep though it must not" \
			"$(echo "$5 $6" | awk '{ print $1 + $2 }')" 0 5
		;;
	esac
done <"$tmp/moved"
# nothing but what has no hook moved past the events
expected=0
has io_recv fexit:tcp_zerocopy_receive || expected=2
top >"$tmp/all"
n=$(sed -n 's/.*note: .* sent on \([0-9]*\) connections.*/\1/p' "$tmp/top.err" | grep . || echo 0)
is "connections with bytes in no call" "$n" $expected
[ "$n" = $expected ] || while read -r mode addr side pid tid lport rest; do
	echo "      $mode $addr $side: $(past "$lport")"
done <"$tmp/moved"

# intervals: the same in sum, a sleep divided
top -i 0.1 | columns rx_bytes tx_bytes |
	awk '{ r += $1; t += $2 } END { printf "%.0f %.0f\n", r, t }' >"$tmp/sum"
is "bytes of all intervals" "$(cat "$tmp/sum")" \
	"$(awk '{ r += $5; t += $6 } END { printf "%.0f %.0f\n", r, t }' "$tmp/rows")"
if has io_wait fentry:; then
	pid=$(awk '$1 == "slow" && $2 == "::1" && $3 == "rx" { print $4 }' "$tmp/moved")
	top -i 0.1 -p "$pid" | columns rx_wait_ms | sort -n | tail -3 >"$tmp/parts"
	between "a sleep of 400 ms in intervals of 100: the third most" \
		"$(head -1 "$tmp/parts")" 99 100.01
	between "the most" "$(tail -1 "$tmp/parts")" 99 100.01
else
	contains "no sleeps, and why" "$tmp/top.err" 'slept in calls is not in this trace: .+'
fi

# the rest of the interface
is "from a pipe the same" "$("$TCPTAPE" top --csv - <"$tmp/t.tcptape" 2>/dev/null | cksum)" \
	"$(cksum <"$tmp/conns")"
is "-r 3 -s sent, text" "$("$TCPTAPE" top -r 3 -s sent --no-header "$tmp/t.tcptape" 2>/dev/null | count)" 3
for key in conn pid comm cgroup netns remote local listener; do
	is "bytes --by $key" "$(top --by $key | columns rx_bytes tx_bytes |
		awk '{ r += $1; t += $2 } END { printf "%.0f %.0f\n", r, t }')" "$(cat "$tmp/sum")"
done
status=0
"$TCPTAPE_RECORD" -e conn -d 0.1 -o "$tmp/no.tcptape" 2>/dev/null
"$TCPTAPE" top "$tmp/no.tcptape" >"$tmp/out" 2>"$tmp/err" || status=$?
is "a trace without group io: exit status" "$status" 3
contains "and what would have recorded it" "$tmp/err" 'tcptape-record -e \+io'
finish
