# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034
#
# What the shell tests share: checks, processes that end with the test, network namespaces, and
# reading of the analyzer's output by column name. POSIX sh, since it also runs in the VM's dash.
#
# The programs under test come from the environment, as meson sets it: TCPTAPE TCPTAPE_RECORD LOAD
# LINK, by default those in build/. A test exits 0 passed, 1 failed, 77 skipped with the reason on its last line.
#
# Variables it sets: $tmp an empty directory, $pid of the last start, $A and $B the namespaces.

PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL PATH

build=$(dirname "$0")/../../build
: "${TCPTAPE=$build/analyze/tcptape}" "${TCPTAPE_RECORD=$build/record/tcptape-record}"
: "${LOAD=$build/tests/load}" "${LINK=$build/tests/link}" "${OFFLOAD=$build/tests/offload}"
: "${WRITER=$build/tests/writer}"

n_checks=0 n_failed=0 pids='' pid='' A='' B='' R='' unheard=''
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tcptape-test.XXXXXX")
chmod 755 "$tmp"

cleanup() {
	for p in $pids; do kill "$p" 2>/dev/null || :; done
	for p in $pids; do wait "$p" 2>/dev/null || :; done
	for ns in $A $B $R; do ip netns del "$ns" 2>/dev/null || :; done
	[ -z "$unheard" ] || rmdir "$unheard" 2>/dev/null || :
	# what is still mounted is not ours to remove
	[ ! -d "$tmp/mnt" ] || umount "$tmp/mnt" 2>/dev/null || :
	[ ! -d "$tmp/mnt" ] || rmdir "$tmp/mnt" 2>/dev/null || return 0
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# ---- checks ----

skip() {
	echo "SKIP: $*"
	exit 77
}

check() { # WHAT COMMAND...: the command must succeed
	what=$1
	shift
	n_checks=$((n_checks + 1))
	if "$@"; then
		echo "ok    $what"
	else
		echo "FAIL  $what:  $*"
		n_failed=$((n_failed + 1))
	fi
}

is() { # WHAT GOT WANTED
	n_checks=$((n_checks + 1))
	if [ "$2" = "$3" ]; then
		echo "ok    $1: $2"
	else
		echo "FAIL  $1: got '$2', wanted '$3'"
		n_failed=$((n_failed + 1))
	fi
}

between() { # WHAT GOT LOW HIGH: numbers, maybe with a fraction
	n_checks=$((n_checks + 1))
	if [ -n "$2" ] && awk -v x="$2" -v l="$3" -v h="$4" 'BEGIN { exit !(x >= l && x <= h) }'; then
		echo "ok    $1: $2 in [$3, $4]"
	else
		echo "FAIL  $1: got '$2', wanted $3 to $4"
		n_failed=$((n_failed + 1))
	fi
}

contains() { # WHAT FILE REGEX
	n_checks=$((n_checks + 1))
	if grep -Eq -- "$3" "$2"; then
		echo "ok    $1"
	else
		echo "FAIL  $1: no '$3' in:"
		sed 's/^/      | /' "$2" | head -20
		n_failed=$((n_failed + 1))
	fi
}

show() { # FILE: into the log
	sed 's/^/      | /' "$1"
}

finish() {
	echo "$((n_checks - n_failed)) of $n_checks checks passed"
	[ "$n_checks" -gt 0 ] && [ "$n_failed" = 0 ]
	exit
}

# ---- needs ----

need() { # PROGRAM...
	for program in "$@"; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
}

need_recorder() {
	[ -x "$TCPTAPE_RECORD" ] || skip "built without the recorder"
	[ "$(id -u)" = 0 ] || skip "recording needs root"
	[ -r /sys/kernel/btf/vmlinux ] || skip "this kernel has no BTF"
}

has_netem() { [ -n "${TCPTAPE_VM:-}" ]; } # the VM brings the module; hosts may not

# ---- processes ----

start() { # NAME COMMAND...: in the background, output into $tmp/NAME.out and .err, pid in .pid
	name=$1
	shift
	"$@" >"$tmp/$name.out" 2>"$tmp/$name.err" </dev/null &
	pid=$!
	pids="$pids $pid"
	echo "$pid" >"$tmp/$name.pid"
}

wait_for() { # SECONDS COMMAND...: until the command succeeds
	tries=$(($1 * 20))
	shift
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

wait_line() { # NAME REGEX: until that process has printed it
	wait_for 30 grep -Eq "$2" "$tmp/$1.out" "$tmp/$1.err" || {
		echo "FAIL  $1 never printed '$2':"
		show "$tmp/$1.out"
		show "$tmp/$1.err"
		exit 1
	}
}

stop() { # PID [SIGNAL]: end it and wait; its exit status in $status
	status=0
	kill -"${2:-INT}" "$1" 2>/dev/null || :
	wait "$1" || status=$?
	forget "$1"
}

wait_end() { # PID: its exit status in $status
	status=0
	wait "$1" || status=$?
	forget "$1"
}

forget() { # PID
	rest=''
	for p in $pids; do [ "$p" = "$1" ] || rest="$rest $p"; done
	pids=$rest
}

# The recorder writes its list of probes after it has attached them: a file with bytes in it is a
# recording under way.
record() { # FILE ARG...: start the recorder, name "record"
	file=$1
	shift
	start record "$TCPTAPE_RECORD" -o "$file" "$@"
	wait_recording "$file"
}

wait_recording() { # FILE
	wait_for 60 recording_or_gone "$1" || {
		echo "FAIL  the recorder does not start"
		show "$tmp/$name.err"
		exit 1
	}
	if [ ! -s "$1" ]; then
		echo "FAIL  the recorder ended at once:"
		show "$tmp/$name.err"
		exit 1
	fi
}

recording_or_gone() { [ -s "$1" ] || ! kill -0 "$pid"; }

# ---- bcc's tools beside ours ----

# They look for tracepoints in tracefs, which not every machine has mounted, and buffer what they
# print into a file, unless told otherwise.
bcc() { # TOOL ARG...: start it under its own name, so that it prints line by line
	need "$1" stdbuf
	if [ -d /sys/kernel/tracing/events ]; then
		start "$1" stdbuf -oL "$@"
	else
		start "$1" stdbuf -oL unshare -m sh -c \
			'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"' sh "$@"
	fi
}

bcc_sees() { # TOOL REGEX COMMAND...: run the command until the tool has printed it
	wait_for 20 bcc_saw "$@" || {
		echo "FAIL  $1 never printed '$2':"
		show "$tmp/$1.out"
		show "$tmp/$1.err"
		exit 1
	}
}

bcc_saw() {
	saw_in=$tmp/$1.out saw=$2
	shift 2
	"$@" >"$tmp/saw" 2>&1 || :
	sleep 0.1
	grep -Eq -- "$saw" "$saw_in"
}

# bpftrace's libraries (200 MB) and the headers that it reads stay on the host: vm/run.sh -r. It is
# attached when it has printed its script's heading.
bpftrace() { # NAME SCRIPT
	[ -x /host/usr/bin/bpftrace ] || skip "there is no bpftrace at /host"
	[ -e /usr/include ] || ln -s /host/usr/include /usr/include
	libs=$(ls -d /host/usr/lib/x86_64-linux-gnu /host/usr/lib/llvm-*/lib | tr '\n' ':')
	start "$1" env LD_LIBRARY_PATH="${libs%:}" /host/usr/bin/bpftrace -B none "$2"
	wait_line "$1" '^Tracing'
}

# ---- what BPF is not told ----

# A kernel may refuse to run BPF programs while a thread of process 1 has the processor: then a softirq
# that interrupts one runs none either, and nothing counts it (seen on the machine that refuses kprobes,
# 6.18: 32 of 32 missing events). ftrace is told, so it says how many events can be missing.
watch_unheard() { # GROUP/EVENT...
	[ -z "${TCPTAPE_VM:-}" ] || return 0
	mkdir -p "$tmp/mnt"
	mount -t tracefs tracefs "$tmp/mnt" 2>/dev/null || return 0
	mkdir "$tmp/mnt/instances/tcptape$$" 2>/dev/null || return 0
	unheard=$tmp/mnt/instances/tcptape$$
	for event in "$@"; do echo 1 >"$unheard/events/$event/enable"; done
	ls /proc/1/task >"$tmp/init_threads"
}

n_unheard() { # REGEX: of events that match, as ftrace prints them
	[ -n "$unheard" ] || {
		echo 0
		return
	}
	ls /proc/1/task >>"$tmp/init_threads"
	grep -E -- "$1" "$unheard/trace" | sed -n 's/^ *.*-\([0-9]*\) *\[[0-9]*\] .*/\1/p' |
		grep -cxFf "$tmp/init_threads" || :
}

# ---- network: two namespaces of our own, $A 10.9.0.1 fd09::1, $B 10.9.0.2 fd09::2 ----

make_namespaces() {
	need ip
	A=tcptape$$a B=tcptape$$b
	ip netns add "$A" 2>"$tmp/netns.err" || skip "no network namespaces: $(cat "$tmp/netns.err")"
	ip netns add "$B"
	ip -n "$A" link set lo up
	ip -n "$B" link set lo up
}

set_address() { # NETNS DEVICE ID
	ip -n "$1" addr add "10.9.0.$3/24" dev "$2"
	ip -n "$1" addr add "fd09::$3/64" dev "$2" nodad
	ip -n "$1" link set "$2" up
}

# A delay each way by netem, or none. Neighbours are permanent: else the first SYN would wait for
# ARP through the delay.
join_by_veth() { # [DELAY]
	mac_a=02:00:00:00:00:0a mac_b=02:00:00:00:00:0b
	ip -n "$A" link add veth0 address $mac_a type veth peer name veth0 address $mac_b netns "$B"
	set_address "$A" veth0 1
	set_address "$B" veth0 2
	for peer in 10.9.0.2 fd09::2; do
		ip -n "$A" neigh replace $peer lladdr $mac_b dev veth0 nud permanent
	done
	for peer in 10.9.0.1 fd09::1; do
		ip -n "$B" neigh replace $peer lladdr $mac_a dev veth0 nud permanent
	done
	[ $# = 0 ] || for ns in "$A" "$B"; do
		tc -n "$ns" qdisc add dev veth0 root netem delay "$1" limit 10000
	done
}

# The same delay in user space, for kernels without netem.
join_by_link() { # DELAY_US [DROP_NTH]
	[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
	start link "$LINK" "$A" "$B" "$1" "$1" ${2:+"$2"}
	wait_line link ready
	set_address "$A" tun0 1
	set_address "$B" tun0 2
}

# A router $R between 10.9.0.1 and 10.9.1.2: netem there is the network's, as neither end's queue sees it.
join_by_router() { # DELAY-TO-B DELAY-TO-A
	R=tcptape$$r
	ip netns add "$R"
	ip -n "$A" link add veth0 type veth peer name veth0 netns "$R"
	ip -n "$B" link add veth0 type veth peer name veth1 netns "$R"
	ip -n "$A" addr add 10.9.0.1/24 dev veth0
	ip -n "$B" addr add 10.9.1.2/24 dev veth0
	ip -n "$R" addr add 10.9.0.254/24 dev veth0
	ip -n "$R" addr add 10.9.1.254/24 dev veth1
	for ns in "$A" "$B" "$R"; do ip -n "$ns" link set veth0 up; done
	ip -n "$R" link set veth1 up
	ip -n "$A" route add default via 10.9.0.254
	ip -n "$B" route add default via 10.9.1.254
	ip netns exec "$R" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	tc -n "$R" qdisc add dev veth1 root netem delay "$1" limit 10000
	tc -n "$R" qdisc add dev veth0 root netem delay "$2" limit 10000
}

in_a() { ip netns exec "$A" "$@"; }
in_b() { ip netns exec "$B" "$@"; }

serve() { # NAME ARG...: a server in $B, which listens when this returns
	name=$1
	shift
	start "$name" ip netns exec "$B" "$LOAD" server "$@"
	wait_line "$name" ready
}

# ---- reading ----

# Rows of CSV with a header on standard input: the named columns, in the order asked for, with
# spaces between; an empty one is "-". No column may hold a comma in quotes.
columns() { # NAME...
	awk -F, -v want="$*" '
		NR == 1 {
			for (i = 1; i <= NF; i++) at[$i] = i
			n = split(want, name, " ")
			for (i = 1; i <= n; i++) if (!(name[i] in at)) {
				print "no column " name[i] " in: " $0 >"/dev/stderr"
				exit 1
			}
			next
		}
		{
			line = ""
			for (i = 1; i <= n; i++) {
				v = $at[name[i]]
				line = line (i > 1 ? " " : "") (v == "" ? "-" : v)
			}
			print line
		}'
}

# /proc/net/snmp, netstat: "Group: names" over "Group: values" -> "name value" lines
counters() {
	awk '
		$1 != group { group = $1; n = split($0, name, " "); next }
		{ for (i = 2; i <= n; i++) print name[i], $i; group = "" }'
}

# For awk programs that read `dump --json`: of(s, key) is the first value of that key in s, "-" without
# one. No patterns: these are slow to compile in the VM.
# shellcheck disable=SC2016
awk_of='
	function of(s, key,   i, j) {
		i = index(s, "\"" key "\":")
		if (!i) return "-"
		s = substr(s, i + length(key) + 3, 60)
		if (substr(s, 1, 1) == "\"") return substr(s, 2, index(substr(s, 2), "\"") - 1)
		i = index(s, ",")
		j = index(s, "}")
		return substr(s, 1, (i && i < j || !j ? i : j) - 1)
	}
'

# Events rx and tx that have a packet, a line each: TIME EVENT.LAYER NETNS SRC SPORT DST DPORT SEQ ACK
# PAYLOAD SEGS FLAGS COOKIE; the ends as on the wire.
packets() { # TRACE
	"$TCPTAPE" dump --json --no-snapshot -e rx,tx "$1" | awk "$awk_of"'
		(at = index($0, "\"packet\":{")) {
			p = substr($0, at)
			l = of(p, "laddr") " " of(p, "lport")
			r = of(p, "raddr") " " of(p, "rport")
			ev = of($0, "event")
			print of($0, "ts_ns"), ev "." of(p, "layer"), of(p, "netns"),
				ev == "rx" ? r " " l : l " " r, of(p, "seq"), of(p, "ack_seq"),
				of(p, "payload"), of(p, "segs"), of(p, "tcp_flags"), of($0, "cookie")
		}'
}

# The cookies of sockets in our two namespaces: others on this machine may use the same addresses.
our_conns() { # TRACE
	"$TCPTAPE" dump --json --no-snapshot -e tcp_state,retransmit,synack_retransmit "$1" |
		awk -v a="$(stat -L -c %i "/run/netns/$A")" -v b="$(stat -L -c %i "/run/netns/$B")" \
			"$awk_of"'of($0, "netns") == a || of($0, "netns") == b { print of($0, "cookie") }' |
		sort -u
}

# Rows that begin with a cookie, without those of others, and without it.
of_conns() { # FILE
	awk 'NR == FNR { is_ours[$1] = 1; next } $1 in is_ours { sub(/^[^ ]* /, ""); print }' "$1" -
}

# Events without what two recorders cannot have in common: the time at which each looked; before Linux
# 5.12 numbers of sockets, which each gives itself.
comparable() { # FILE ARG...: of dump
	compared=$1
	shift
	"$TCPTAPE" dump --json "$@" "$compared" 2>"$tmp/dump.err" | grep '"event"' |
		sed 's/"time_s":[0-9.]*,//; s/"ts_ns":[0-9]*,//; s/"location":[^,}]*,*//; s/"cpu":[0-9]*,*//; s/"cookie":"[^"]*",//'
}

median() { # of the numbers on standard input
	sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}

count() { wc -l | tr -d ' '; }

# ---- explain ----

said() { # TRACE: the causes that explain names, the worst first, one a line
	"$TCPTAPE" explain --json "$1" >"$tmp/json" 2>"$tmp/err" || return
	sed -n 's/.*"cause":"\([a-z-]*\)".*/\1/p' "$tmp/json"
}

explained() { # TRACE "CAUSE..." FILE: the first of FILE is the cause; its first two are both; - none
	case $2 in
	-) is "$1: causes" "$(tr '\n' ' ' <"$3")" "" ;;
	*' '*) is "$1: first two causes" "$(head -2 "$3" | sort | tr '\n' ' ')" \
		"$(echo "$2" | tr ' ' '\n' | sort | tr '\n' ' ')" ;;
	*) is "$1: first cause" "$(head -1 "$3")" "$2" ;;
	esac
}
