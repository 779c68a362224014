#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# cut and merge. Every command shows of a cut trace what it shows of the whole with the same --from
# and --to; two halves, merged, are the whole again; what is cut, merged or packed is a good trace.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

traces=$(dirname "$0")/../../sample-traces
export TZ=UTC
n=0 bad=0

fault() {
	echo "$*" >&2
	bad=$((bad + 1))
}

shown() { # OUTPUT FILE COMMAND...
	to=$1 file=$2
	shift 2
	"$TCPTAPE" "$@" "$file" >"$to" 2>&1
	echo "exit status $?" >>"$to"
	sed "s#$file#FILE#g" "$to" >"$to.named" && mv "$to.named" "$to"
}

make() { # FILE COMMAND...: it must be a good trace
	out=$1
	shift
	"$TCPTAPE" "$@" -o "$out" --force || fault "failed: $*"
	"$TCPTAPE" verify "$out" >"$tmp/verify" 2>&1 || {
		cat "$tmp/verify" >&2
		fault "no good trace: $*"
	}
}

same() { # WHAT
	n=$((n + 1))
	cmp -s "$tmp/want" "$tmp/got" && return
	diff -u "$tmp/want" "$tmp/got" | head -8 >&2
	fault "different: $*"
}

window() { # TRACE FROM TO
	make "$tmp/cut" cut --from "$2" --to "$3" "$1"
	while read -r command; do
		# shellcheck disable=SC2086 # arguments are words
		shown "$tmp/want" "$1" $command --from "$2" --to "$3"
		# shellcheck disable=SC2086
		shown "$tmp/got" "$tmp/cut" $command
		same "$command --from $2 --to $3 $1"
	done <<-END
		dump --json
		states
		connlat -t -L
		events -v
		life -w -t
		rtt --raw --each
		drops
		retrans -c -l
		resets
		listen
		nic --stats
		top -i 1 -v
		top --by comm
		delay --in
		delay --out --slowest 5
	END
}

halves() { # TRACE AT AFTER
	make "$tmp/1" cut --to "$2" "$1"
	make "$tmp/2" cut --from "$3" "$1"
	make "$tmp/merged" merge "$tmp/2" "$tmp/1"
	shown "$tmp/want" "$1" dump --json --no-snapshot
	shown "$tmp/got" "$tmp/merged" dump --json --no-snapshot
	same "two halves of $1"
	"$TCPTAPE" dump --json "$1" | sort >"$tmp/want"
	"$TCPTAPE" dump --json "$tmp/merged" | sort >"$tmp/got"
	same "two halves of $1, and what existed"
}

count() { # FILE [OPTION...]: events
	"$TCPTAPE" dump --no-snapshot --no-header "$@" | wc -l
}

for trace in "$traces"/http-20ms.tcptape "$traces"/nat.tcptape "$traces"/drops.tcptape; do
	[ -f "$trace" ] || skip "no sample trace $trace"
	window "$trace" +0.5s +1.758s
	window "$trace" +1.752s +1.757s
	window "$trace" -0.3s +100s
	halves "$trace" +1.755s +1.755000001s
	make "$tmp/packed" pack "$trace"
	shown "$tmp/want" "$trace" dump --json
	shown "$tmp/got" "$tmp/packed" dump --json
	same "packed: $trace"
done

# Connections and groups: what is chosen is there, nothing else.
trace=$traces/http-20ms.tcptape
make "$tmp/conn" cut -f 'port 58126' "$trace"
shown "$tmp/want" "$trace" dump --json --no-snapshot -f 'port 58126'
shown "$tmp/got" "$tmp/conn" dump --json --no-snapshot
same "-f port 58126"
grep -q ts_ns "$tmp/got" || fault "nothing of port 58126"
make "$tmp/conn" cut --conn 0x3b "$trace"
shown "$tmp/want" "$trace" dump --json --no-snapshot --conn 0x3b
shown "$tmp/got" "$tmp/conn" dump --json --no-snapshot
same "--conn 0x3b"
grep -q ts_ns "$tmp/got" || fault "nothing of 0x3b"
make "$tmp/group" cut -e conn "$trace"
[ "$(count "$tmp/group")" -lt "$(count "$trace")" ] || fault "-e conn: all is there"
"$TCPTAPE" rtt "$tmp/group" >"$tmp/got" 2>&1
[ $? = 3 ] || fault "rtt of a trace from which its group was cut"

# Two hosts (boots of a machine), of one of which there are two recordings: each event is there, with
# its own numbers, in the order of time.
make "$tmp/hosts" merge "$traces"/http-20ms.tcptape "$traces"/nat.tcptape "$traces"/late-reader.tcptape
sum=0
for trace in http-20ms nat late-reader; do
	sum=$((sum + $(count "$traces/$trace.tcptape")))
done
[ "$(count "$tmp/hosts")" = "$sum" ] || fault "$(count "$tmp/hosts") events of $sum"
"$TCPTAPE" dump --json --no-snapshot "$tmp/hosts" |
	sed -n 's/.*"ts_ns":\([0-9]*\).*/\1/p' >"$tmp/times"
sort -cn "$tmp/times" || fault "not in the order of time"
for trace in http-20ms nat late-reader; do # each says the same in the words that no number is in
	"$TCPTAPE" dump --json --no-snapshot "$traces/$trace.tcptape"
done | grep -o '"\(reason\|new_state\|old_state\|laddr\|rport\)":[^,}]*' | sort >"$tmp/want"
"$TCPTAPE" dump --json --no-snapshot "$tmp/hosts" |
	grep -o '"\(reason\|new_state\|old_state\|laddr\|rport\)":[^,}]*' | sort >"$tmp/got"
same "fields of both hosts"
"$TCPTAPE" dump --json "$tmp/hosts" | grep -q '"cookie":"1:0x' || fault "no cookie of host 1"
cookie=$("$TCPTAPE" dump --json --no-snapshot "$tmp/hosts" |
	sed -n 's/.*"cookie":"\(1:0x[0-9a-f]*\)".*/\1/p' | head -1)
[ "$(count --conn "$cookie" "$tmp/hosts")" -gt 0 ] || fault "--conn $cookie: nothing"

# The output is none of the inputs, and not overwritten unasked.
"$TCPTAPE" cut -o "$tmp/hosts" "$trace" 2>/dev/null && fault "it was overwritten"
"$TCPTAPE" cut -o "$tmp/hosts" --force "$tmp/hosts" 2>/dev/null && fault "it is its own input"
"$TCPTAPE" merge -o "$tmp/1" --force "$tmp/2" "$tmp/1" 2>/dev/null && fault "it is its own input"
cp "$tmp/1" "$tmp/copy"
"$TCPTAPE" merge -o "$tmp/twice" "$tmp/1" "$tmp/2" "$tmp/copy" 2>/dev/null && fault "a trace that is given twice"

# Nothing is left of it, and what is nothing can be handed on.
trace=$traces/nat.tcptape
make "$tmp/none" cut --from +1000s "$trace"
[ "$(count "$tmp/none")" = 0 ] || fault "--from +1000s: $(count "$tmp/none") events"
make "$tmp/some" merge "$tmp/none" "$traces/drops.tcptape"
[ "$(count "$tmp/some")" = "$(count "$traces/drops.tcptape")" ] || fault "merged with nothing"
make "$tmp/packed" pack "$tmp/none"

# Groups that were cut out and the others, merged: the whole; their chunks have the same times.
make "$tmp/1" cut -e conn,rx "$trace"
make "$tmp/2" cut -e rtt,retrans,reset,drop,tx "$trace"
make "$tmp/3" cut -e conn,rx,rtt,retrans,reset,drop,tx "$trace"
for workers in 1 2; do
	TCPTAPE_WORKERS=$workers make "$tmp/merged" merge "$tmp/1" "$tmp/2"
	shown "$tmp/want" "$tmp/3" dump --json --no-snapshot
	shown "$tmp/got" "$tmp/merged" dump --json --no-snapshot
	same "two sets of groups, $workers workers"
done
for part in 1 2; do
	[ "$(count "$tmp/$part")" -gt 100 ] || fault "groups, $part: $(count "$tmp/$part") events"
done

# A full disk, a reader that goes away: an error, and no file that is none.
if [ "$(id -u)" = 0 ] && mkdir "$tmp/full" && mount -t tmpfs -o size=8k none "$tmp/full" 2>/dev/null; then
	for command in "cut --to +1000s" 'cut -e rx,tx' pack "merge $traces/loss.tcptape $traces/tbf-hold.tcptape"; do
		# shellcheck disable=SC2086
		"$TCPTAPE" $command -o "$tmp/full/o" "$traces/late-reader.tcptape" 2>"$tmp/err"
		[ $? = 1 ] || fault "$command to a full disk: no error"
		grep -q 'No space left' "$tmp/err" || fault "$command to a full disk: $(cat "$tmp/err")"
		[ ! -e "$tmp/full/o" ] || fault "$command: it left what is no trace"
		rm -f "$tmp/full/o"
	done
	umount "$tmp/full"
fi
(
	trap '' PIPE
	"$TCPTAPE" pack -o - "$traces/late-reader.tcptape" 2>"$tmp/err"
	echo $? >"$tmp/status"
) | head -c 10 >"$tmp/got"
[ "$(cat "$tmp/status")" = 1 ] || fault "a reader that went away: status $(cat "$tmp/status")"

echo "$n outputs compared, $bad faults"
[ $bad = 0 ]
