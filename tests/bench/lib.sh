# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034
#
# What the benchmarks share, beside tests/lib.sh: figures, loads, and the recorders that tcptape is
# measured beside. A benchmark prints a line a figure, "NAME VALUE UNIT", with "(target <= X: met)" or
# "missed" where there is a target, and "skipped NAME: REASON" for what cannot be measured here. It
# exits 0 whatever the figures are: a machine that is busy misses targets that are met.
#
# BENCH_SECONDS: how long each load runs, 2 unless told.

# perf and trace-cmd look for tracepoints in tracefs, which not every machine has mounted.
if [ "$(id -u)" = 0 ] && [ ! -d /sys/kernel/tracing/events ] && [ -z "${BENCH_UNSHARED:-}" ]; then
	# shellcheck disable=SC2016 # for the inner shell
	BENCH_UNSHARED=1 exec unshare -m sh -c \
		'mount -t tracefs tracefs /sys/kernel/tracing; exec sh "$@"' sh "$0" "$@"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
: "${BENCH=$build/tests/bench}"
: "${CODEC=$BENCH/codec}" "${GENERATE=$BENCH/generate/generate}" "${USAGE=$BENCH/usage}"
seconds=${BENCH_SECONDS:-2}
http=17480 redis=17481

# ---- figures ----

figure() { # NAME VALUE UNIT [<=|>= TARGET]
	awk -v name="$1" -v v="$2" -v unit="$3" -v op="${4:-}" -v target="${5:-}" 'BEGIN {
		if (v == "") v = "-"
		shown = v == "-" ? v : sprintf(v < 100 && v != int(v) ? "%.3g" : "%.0f", v)
		printf "%s %s %s", name, shown, unit
		if (op != "" && v != "-")
			printf " (target %s %s: %s)", op, target,
				(op == "<=" ? v + 0 <= target : v + 0 >= target) ? "met" : "missed"
		print ""
	}'
}

calc() { # EXPRESSION: its value, "-" if it has none
	awk "BEGIN { printf \"%.9g\", $1 }" 2>/dev/null || printf -- -
}

skipped() { # NAME REASON
	echo "skipped $1: $2"
}

# ---- tools ----

has() { command -v "$1" >/dev/null; }

package_of() { # PROGRAM
	case $1 in
	perf) echo linux-perf ;;
	nginx) echo nginx-light ;;
	redis-benchmark) echo redis-tools ;;
	*) echo "$1" ;;
	esac
}

tools() { # PROGRAM...: install what is missing, if possible; has() tells
	packages=''
	for program in "$@"; do
		has "$program" || packages="$packages $(package_of "$program")"
	done
	# shellcheck disable=SC2086 # a list
	[ -z "$packages" ] || sh "$(dirname "$0")/../install.sh" $packages >"$tmp/install" 2>&1 || :
	for program in "$@"; do
		has "$program" || skipped "$program" "it is not installed"
	done
}

timed() { # NAME COMMAND...: what it took into $real_s $cpu_s $rss_kb; output thrown away
	timed=$tmp/$1.usage
	shift
	"$USAGE" "$timed" "$@" >/dev/null 2>"$timed.err" || {
		echo "FAIL  $*:"
		show "$timed.err"
		exit 1
	}
	read_usage "$timed"
}

read_usage() { # FILE
	read -r real_s user_s system_s rss_kb <"$1"
	cpu_s=$(calc "$user_s + $system_s")
}

# ---- loads: servers in $B; clients there too (on=lo) or in $A (on=veth) ----

serve_loads() {
	need nginx redis-server redis-benchmark wrk
	make_namespaces
	join_by_veth
	mkdir "$tmp/www"
	head -c 1000000 /dev/urandom >"$tmp/www/big"
	cat >"$tmp/nginx.conf" <<-EOF
		daemon off;
		user root;
		worker_processes 1;
		pid $tmp/nginx.pid;
		error_log stderr error;
		events { worker_connections 4096; }
		http {
			access_log off;
			keepalive_requests 1000000000;
			server {
				listen $http backlog=4096;
				location / { return 200 "an answer\n"; }
				location = /big { root $tmp/www; }
			}
		}
	EOF
	start nginx ip netns exec "$B" nginx -p "$tmp" -c "$tmp/nginx.conf"
	start redis ip netns exec "$B" redis-server --port $redis --bind 0.0.0.0 --protected-mode no \
		--save '' --appendonly no --dir "$tmp"
	for port in $http $redis; do
		wait_for 10 sh -c "ip netns exec $B ss -Hltn sport = :$port | grep -q ." || {
			echo "FAIL  nothing listens on port $port"
			show "$tmp/nginx.err"
			show "$tmp/redis.out"
			exit 1
		}
	done
	on=lo
}

client() { # COMMAND...
	if [ "$on" = lo ]; then in_b "$@"; else in_a "$@"; fi
}

run_load() { # NAME; its output in $tmp/load.NAME
	if [ "$on" = lo ]; then addr=127.0.0.1; else addr=10.9.0.2; fi
	case $1 in
	keep-alive) client wrk -t1 -c32 "-d$seconds" "http://$addr:$http/" ;;
	short) client wrk -t1 -c16 "-d$seconds" -H 'Connection: close' "http://$addr:$http/" ;;
	bulk) client wrk -t1 -c4 "-d$seconds" "http://$addr:$http/big" ;;
	redis) # until it is ended
		client timeout -s KILL "$seconds" redis-benchmark -q -l -t get,set -c 32 -h "$addr" \
			-p $redis || :
		;;
	mixed)
		mixed=''
		for part in keep-alive redis short bulk; do
			run_load $part &
			mixed="$mixed $!"
		done
		# shellcheck disable=SC2086 # a list
		wait $mixed
		;;
	esac >"$tmp/load.$1" 2>&1
}

# ---- recorders ----

# trace-cmd knows SIGINT alone, and what it leaves in the kernel, if it is killed, goes with its instance.
bench_cleanup() {
	[ -z "$recording" ] || stop "$recording"
	if [ -d "/sys/kernel/tracing/instances/tcptape$$" ]; then
		rmdir "/sys/kernel/tracing/instances/tcptape$$" || :
	fi
	cleanup
}
recording='' unmeasured=''
trap bench_cleanup EXIT

# The tracepoints of the kernel at which tcptape records these groups, as --list names them. Its counters
# of interfaces need one too, but emit nothing for a packet.
tracepoints() { # GROUPS
	"$TCPTAPE_RECORD" --list | awk -v groups="$1" '
		NR == FNR { split($0, part, ":"); full[part[2]] = $0; next }
		FNR == 1 { n = split(groups, name, ","); for (i = 1; i <= n; i++) want[name[i]] = 1; next }
		$2 != "nic" && (groups == "all" || $2 in want) {
			for (i = 3; i <= NF; i++)
				if (match($i, /(tp_btf|tracepoint):[a-z_0-9:]+$/)) {
					point = $i
					sub(/.*:/, "", point)
					if (point in full && !seen[point]++) print full[point]
				}
		}' /sys/kernel/tracing/available_events -
}

defaults=conn,rtt,drop,retrans,reset,counters,listen,nic

# Into $tmp/NAME, what passes the filter of the kernel's tracepoints (perf and trace-cmd only). KIND:
# tcptape tcptape-pointers perf perf-z trace-cmd tcpdump. trace-cmd has a buffer instance of its own, so that
# somebody else's recording stays as it is. $sample: one connection in so many (tcptape only).
# $own_buffers: each has what it takes by itself, else all have 64 MiB for two processors.
sample='' own_buffers=''
recorder() { # NAME KIND [GROUPS [FILTER]]
	out=$tmp/$1 name=$1 kind=$2 groups=${3:-all} filter=${4:-}
	rm -f "$out" "$out.usage"
	big=big
	[ -z "$own_buffers" ] || big=''
	case $kind in
	tcptape*)
		set -- "$TCPTAPE_RECORD" -o "$out" -e "$groups"
		[ "$kind" = tcptape ] || set -- "$@" --pointers
		[ "$groups" != all ] || [ -n "$own_buffers" ] || set -- "$@" --buffer 64M
		[ -z "$sample" ] || set -- "$@" -s "$sample"
		# a bound that is not reached: what is measured has its cost, and thins nothing out
		! "$TCPTAPE_RECORD" --help | grep -q max-rate || set -- "$@" --max-rate 1000000000
		;;
	perf) set -- perf record -a --no-bpf-event ${big:+-m 32M} -o "$out" ;;
	perf-z) set -- perf record -a -z --no-bpf-event ${big:+-m 32M} -o "$out" ;;
	trace-cmd)
		cat /proc/kallsyms >"$tmp/kallsyms"
		set -- env "LD_PRELOAD=$BENCH/libshim.so" "SHIM_KALLSYMS=$tmp/kallsyms" \
			trace-cmd record -B "tcptape$$" --compression zstd ${big:+-b 32768} -o "$out"
		;;
	tcpdump) set -- ip netns exec "$B" tcpdump -i any -s 96 -B 65536 -w "$out" tcp ;;
	esac
	case $kind in
	perf* | trace-cmd)
		option=--filter
		[ "$kind" != trace-cmd ] || option=-f
		for point in $(tracepoints "$groups"); do
			set -- "$@" -e "$point" ${filter:+$option "$filter"}
		done
		;;
	esac
	[ -n "$unmeasured" ] || set -- "$USAGE" "$out.usage" "$@"
	start "$name" "$@"
	case $kind in
	tcptape*) wait_recording "$out" ;;
	tcpdump) wait_line "$name" 'listening on' ;;
	trace-cmd)
		recording=$pid
		begun "$out.tcptape$$.cpu0" # after the tracepoints
		;;
	*) begun "$out" ;;
	esac
}

begun() { # FILE: that the recorder makes just before it begins
	wait_for 30 [ -e "$1" ] || : # recorder_end tells
	sleep 0.3
}

recorder_end() { # NAME: fails, and says so, if it left no file
	stop "$(cat "$tmp/$1.pid")"
	[ "$recording" != "$(cat "$tmp/$1.pid")" ] || recording=''
	if [ ! -s "$tmp/$1" ] || [ ! -s "$tmp/$1.usage" ]; then
		skipped "$1" "it left no file: $(tail -1 "$tmp/$1.err")"
		return 1
	fi
}

n_events() { # NAME KIND
	case $2 in
	tcptape*) "$TCPTAPE" info --json "$tmp/$1" 2>/dev/null | sed -n 's/.*"events":\([0-9]*\).*/\1/p' ;;
	perf*) perf report --stats -i "$tmp/$1" 2>/dev/null | awk '/SAMPLE events/ { print $3; exit }' ;;
	trace-cmd) trace-cmd report -i "$tmp/$1" 2>/dev/null | grep -c ': ' ;;
	tcpdump) sed -n 's/ packets\{0,1\} captured//p' "$tmp/$1.err" ;;
	esac
}

bytes() { wc -c <"$1" | tr -d ' '; }
