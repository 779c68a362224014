#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --stacks: the kernel's call stack of each drop and each RST. What a stack must hold follows from
# what was done: a firewall's drop is behind nf_hook_slow, an answer to a closed port behind
# tcp_v4_rcv, one of close() behind its system call. Addresses never reach the file.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need nft

make_namespaces
join_by_veth
in_b nft -f - 2>"$tmp/nft" <<-EOF || skip "nft: $(cat "$tmp/nft")"
	table inet t {
		chain c {
			type filter hook input priority 0;
			tcp dport 17421 drop;
		}
	}
EOF
serve echo4 10.9.0.2 17422
if ! "$TCPTAPE_RECORD" --list | grep -q '^--stacks: absent'; then can=1; else can=''; fi
record "$tmp/t.tcptape" -e drop,reset --stacks
start dropped ip netns exec "$A" "$LOAD" client -m hold -w 200 10.9.0.2 17421
wait_end "$pid"
in_a "$LOAD" client -n 2 10.9.0.2 17423 >/dev/null
in_a "$LOAD" client fd09::2 17423 >/dev/null
in_a "$LOAD" client -m reset 10.9.0.2 17422 >/dev/null
stop "$(cat "$tmp/record.pid")"
is "the recorder ends with" "$status" 0
show "$tmp/record.err"
ours='portrange 17421-17423'
"$TCPTAPE" drops --json -f "$ours" "$tmp/t.tcptape" >"$tmp/drops"
"$TCPTAPE" resets --json -f "$ours" "$tmp/t.tcptape" >"$tmp/resets"
if [ -z "$can" ]; then
	contains "it says why there are none" "$tmp/record.err" 'call stacks'
	is "stacks" "$(cat "$tmp/drops" "$tmp/resets" | grep -c '"stack":\[' || :)" 0
	finish
fi
show "$tmp/drops"

rows() { # FILE REGEX...: rows with all of these
	file=$1
	shift
	cp "$file" "$tmp/rows"
	for regex in "$@"; do
		grep -E "$regex" "$tmp/rows" >"$tmp/rows.next" || :
		mv "$tmp/rows.next" "$tmp/rows"
	done
	count <"$tmp/rows"
}
between "drops by the firewall" "$(rows "$tmp/drops" '"dport":17421')" 1 10
is "all of them from nf_hook_slow, below the kernel's receiver" \
	"$(rows "$tmp/drops" '"dport":17421' \
		'"(nf_hook_slow|nf_hook_slow_list)\+' '"__netif_receive_skb')" \
	"$(rows "$tmp/drops" '"dport":17421')"
is "RSTs of the closed port, sent" "$(rows "$tmp/resets" '"lport":17423,"direction":"sent"')" 3
is "IPv4: the hook's function first, then tcp_v4_rcv" "$(rows "$tmp/resets" \
	'"lport":17423,"direction":"sent"' '"stack":\["tcp_v4_send_reset\+[^"]*","tcp_v4_rcv\+')" 2
is "IPv6" "$(rows "$tmp/resets" \
	'"lport":17423,"direction":"sent"' '"stack":\["tcp_v6_send_reset\+[^"]*","tcp_v6_rcv\+')" 1
is "received, in SYN_SENT" "$(rows "$tmp/resets" \
	'"rport":17423' '"received"' '"stack":\["tcp_reset\+[^"]*","tcp_rcv_state_process\+')" 3
is "SO_LINGER 0: sent by close()" \
	"$(rows "$tmp/resets" '"rport":17422' '"sent"' '"(__)?tcp_close\+' '"sock_close\+')" 1
is "stacks that name the tracer" \
	"$(cat "$tmp/drops" "$tmp/resets" | grep -cE '"(bpf_|__bpf_|__traceiter_)' || :)" 0
is "addresses in the file" "$("$TCPTAPE" dump "$tmp/t.tcptape" | grep -c 'ffffffff[89a-f]' || :)" 0

# the text: a line a place; -S none; -c one row a stack
"$TCPTAPE" resets -f 'port 17423' -s -4 "$tmp/t.tcptape" >"$tmp/text"
is "text: stacks under their rows" "$(grep -c '^        tcp_v4_rcv+' "$tmp/text")" 2
"$TCPTAPE" resets -S -f 'port 17423' -s -4 "$tmp/t.tcptape" >"$tmp/text"
is "text: lines with -S" "$(grep -vc PID "$tmp/text")" 2
"$TCPTAPE" drops -c -f 'port 17421' "$tmp/t.tcptape" >"$tmp/text"
show "$tmp/text"
is "counts: the stack under its row" \
	"$(awk '/^ *[0-9]+ / { n++ } /nf_hook_slow/ { m++ } END { print (n > 0 && n == m) }' "$tmp/text")" 1
is "counts add up" "$("$TCPTAPE" drops -c --csv -f 'port 17421' "$tmp/t.tcptape" |
	columns count | awk '{ n += $1 } END { print n }')" \
	"$(rows "$tmp/drops" '"dport":17421')"

"$TCPTAPE_RECORD" -e drop,reset -d 0.5 -o "$tmp/none.tcptape" -- \
	ip netns exec "$A" "$LOAD" client 10.9.0.2 17423 >/dev/null 2>&1 || :
is "without --stacks there are none" \
	"$("$TCPTAPE" dump "$tmp/none.tcptape" | grep -c snap_stack || :)" 0
contains "but the RST is there" "$tmp/none.tcptape" .
finish
