#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What accept() returned, and connect() that failed inside this host, where fexit is not to be had:
# by kretprobe, or by the system calls' own tracepoints (--syscalls). The truth is what the load's
# own calls returned. Answers of the network (refused, ICMP) and EINPROGRESS are no local errors.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
case $(uname -r) in
[1-4].* | 5.[0-9].* | 5.1[0-4].*) skip "the arguments of a system call are to be had since Linux 5.15 (bpf_task_pt_regs)" ;;
esac

make_namespaces
join_by_veth
# 203.0.113.0/24 answers by ICMP from B; 192.0.2.0/24 and fd77::/64 have no route
ip -n "$A" route add 203.0.113.0/24 via 10.9.0.2
ip -n "$B" route add unreachable 203.0.113.0/24
ip netns exec "$B" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
narrow=tcptape$$n # a namespace with a single port, which is taken
ip netns add $narrow
trap 'ip netns del $narrow; cleanup' EXIT
ip -n $narrow link set lo up
ip netns exec $narrow sh -c 'echo 17439 17439 >/proc/sys/net/ipv4/ip_local_port_range'
serve echo4 -v 10.9.0.2 17431
server=$(cat "$tmp/echo4.pid")
start target ip netns exec $narrow "$LOAD" server 127.0.0.1 17433
wait_line target ready
start taker ip netns exec $narrow "$LOAD" client -w 100000 127.0.0.1 17433
wait_line taker '^connect .* ok'

scenario() { # into $tmp/load: "connect LADDR LPORT RADDR RPORT RESULT US" of each connect()
	: >"$tmp/load"
	in_a "$LOAD" client -n 3 10.9.0.2 17431 >>"$tmp/load"
	in_a "$LOAD" client -m hold -n 2 -w 50 10.9.0.2 17431 >>"$tmp/load" # EINPROGRESS
	for to in '192.0.2.1 17432' 'fd77::1 17432' '203.0.113.1 17432' '10.9.0.2 17434'; do
		# shellcheck disable=SC2086 # two words
		in_a "$LOAD" client $to >>"$tmp/load" || :
	done
	ip netns exec $narrow "$LOAD" client 127.0.0.1 17433 >>"$tmp/load" || :
}

n_accepts() { grep -c '^accept' "$tmp/echo4.out" || :; }

try() { # METHOD REFUSED [OPTION]: the same must be seen by it
	method=$1
	export TCPTAPE_REFUSE="$2"
	shift 2
	record "$tmp/$method.tcptape" -e conn "$@"
	# kretprobe does not see the return of the accept() in which the server waits already
	warm=$(in_a "$LOAD" client 10.9.0.2 17431 | awk '$1 == "connect" { print $3 }')
	from=$(n_accepts)
	scenario
	accepted() { [ "$(n_accepts)" = $((from + 5)) ]; }
	check "$method: the server has accepted all" wait_for 10 accepted
	stop "$(cat "$tmp/record.pid")"
	unset TCPTAPE_REFUSE
	t=$tmp/$method.tcptape
	"$TCPTAPE" info "$t" >"$tmp/info"
	contains "$method: it is the hook of accept" "$tmp/info" "tcp_accept +.*$method:"
	contains "$method: it is the hook of connect" "$tmp/info" "connect_error +.*$method:"
	grep '^accept' "$tmp/echo4.out" | tail -n 5 | awk '{ print $2, $3 }' | sort >"$tmp/truth"
	"$TCPTAPE" events -r accept --csv -f 'port 17431' "$t" | columns laddr lport raddr rport pid |
		sort >"$tmp/accepts"

	is "$method: accepted, by whom" "$(awk -v pid="$server" '$5 == pid { print $3, $4 }' "$tmp/accepts" |
		grep -v " $warm\$" | sort)" "$(cat "$tmp/truth")"
	"$TCPTAPE" dump --json "$t" | grep '"connect_error"' >"$tmp/errors" || :

	is "$method: no route, IPv4" "$(grep -c '"daddr":"192.0.2.1".*"dport":17432' "$tmp/errors")" 1
	is "$method: no route, IPv6" "$(grep -c '"daddr":"fd77::1".*"dport":17432' "$tmp/errors")" 1
	is "$method: no port" "$(grep -c '"daddr":"127.0.0.1".*"dport":17433' "$tmp/errors")" 1
	is "$method: nothing for EINPROGRESS, refused, ICMP" \
		"$(grep -cE '"daddr":"(10.9.0.2|203.0.113.1)"' "$tmp/errors" || :)" 0
	# outcomes as the load has them, each connect once
	awk '$1 == "connect" && $6 != "ok" { print $4, $5, $6 }' "$tmp/load" | sort >"$tmp/truth"
	"$TCPTAPE" connlat --csv -f 'portrange 17431-17434' "$t" | columns raddr rport error |
		grep -v -- '-$' | sort >"$tmp/failed"
	is "$method: failed connects, each once, with the load's errno" "$(cat "$tmp/failed")" \
		"$(cat "$tmp/truth")"
}

without=fexit,kretprobe
# fexit is what outcomes.sh and connections.sh have; each start takes seconds in a VM
if [ -n "${TCPTAPE_VM:-}" ]; then
	try kretprobe fexit
else
	TCPTAPE_REFUSE=$without "$TCPTAPE_RECORD" --list >"$tmp/list"
	contains "without the option, --list says that it would help" "$tmp/list" \
		'^tcp_accept .*absent.*--syscalls.* ns a system call'
	TCPTAPE_REFUSE=$without "$TCPTAPE_RECORD" -e conn -o "$tmp/none.tcptape" \
		-- "$LOAD" client 127.0.0.1 17434 >/dev/null 2>&1 || :
	"$TCPTAPE" info "$tmp/none.tcptape" >"$tmp/info"
	contains "so does the file" "$tmp/info" 'tcp_accept.*--syscalls'
fi
try tracepoint $without --syscalls
finish
