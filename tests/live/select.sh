#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# -p, --comm and --cgroup choose connections by their owner: of several processes of one program, on
# the same ports, each recording has those of its own, as the processes themselves say, and of these
# all that a recording of everything has. After exec, in children, in a process that inherits what
# was accepted; older than the recording; IPv4 and IPv6; a server's; refused ones.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
port=17831 closed=17832

make_namespaces
join_by_veth
serve server4 -f 10.9.0.2 $port # a process for each connection
server=$(cat "$tmp/server4.pid")
serve server6 -f fd09::2 $port
cp "$LOAD" "$tmp/picked"
mounted=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
cgroup=$mounted/tcptape$$
if [ -n "$mounted" ] && mkdir "$cgroup" 2>/dev/null; then
	trap 'cleanup; sleep 0.2; rmdir "$cgroup/below" "$cgroup"' EXIT
	mkdir "$cgroup/below"
else
	echo "(--cgroup: no cgroup of version 2 can be made here)"
	cgroup=''
fi

# A shell in namespace A that waits for the word, and then runs the script.
waiting() { # NAME SCRIPT
	mkfifo "$tmp/$1.go"
	start "$1" ip netns exec "$A" env LOAD="$LOAD" PICKED="$tmp/picked" GO="$tmp/$1.go" PORT=$port \
		CLOSED=$closed sh -c "read -r go <\"\$GO\"; $2"
}
# shellcheck disable=SC2016
{
	waiting exec '$LOAD client -n 1 -c 2 10.9.0.2 $PORT; exec $LOAD client -n 2 fd09::2 $PORT'
	waiting fork '$LOAD client -n 2 -c 3 10.9.0.2 $PORT; ( $LOAD client fd09::2 $PORT; $LOAD client 10.9.0.2 $CLOSED )'
	waiting comm '$PICKED client -n 2 -c 3 10.9.0.2 $PORT; $PICKED client -n 2 -m reset fd09::2 $PORT; $PICKED client fd09::2 $CLOSED'
	waiting other '$LOAD client -n 2 -c 3 10.9.0.2 $PORT; $LOAD client -n 2 fd09::2 $PORT; $LOAD client -n 2 10.9.0.2 $CLOSED'
	waiting cgroup '$LOAD client -n 2 -c 3 10.9.0.2 $PORT; $LOAD client -n 2 fd09::2 $PORT'
}
[ -z "$cgroup" ] || cat "$tmp/cgroup.pid" >"$cgroup/below/cgroup.procs"
pid_of() { cat "$tmp/$1.pid"; }
start held ip netns exec "$A" "$LOAD" client -v -c 2 -w 600000 fd09::2 $port
start held_other ip netns exec "$A" "$LOAD" client -v -c 2 -w 600000 10.9.0.2 $port
wait_line held '^exchange'
wait_line held_other '^exchange'

all=conn,rtt,drop,reset,listen,rx,tx,io few=conn,rtt,drop,reset,io # to load: in a VM it takes its time
recorders='' buffer=2M
record_by() { # NAME ARG...
	by=$1
	shift
	start "by_$by" "$TCPTAPE_RECORD" -o "$tmp/$by.tcptape" --buffer $buffer "$@"
	wait_recording "$tmp/$by.tcptape"
	recorders="$recorders $pid"
}
record_by exec -p "$(pid_of exec)" -e $few
record_by fork -p "$(pid_of fork)" -p "$(pid_of held)" -e $all
record_by comm --comm picked -e $few
[ -z "$cgroup" ] || record_by cgroup --cgroup "$cgroup" -e $few
record_by server -p "$server" -e $all
if [ -n "${TCPTAPE_VM:-}" ]; then both=''; else both='mixed bulk'; fi # a VM has little memory
[ -z "$both" ] || record_by mixed -p "$(pid_of exec)" --comm picked -f ip6 -e conn
[ -z "$both" ] || record_by bulk -p "$(pid_of fork)" -e rtt # without the group that the selection goes by
buffer=16M
record_by all -e $all

for name in other exec fork comm cgroup; do
	[ -p "$tmp/$name.go" ] || continue
	echo go >"$tmp/$name.go"
	wait_end "$(pid_of $name)"
	rm "$tmp/$name.go"
done
stop "$(pid_of held)" TERM
stop "$(pid_of held_other)" TERM
sleep 0.5
for recorder in $recorders; do
	stop "$recorder"
	is "a recorder ends with" "$status" 0
done
for name in exec fork comm ${cgroup:+cgroup} server $both; do
	contains "nothing was lost" "$tmp/by_$name.err" ' 0 lost'
done

# ---- whose connections: local ports of the clients, by their own logs ----
ports() { # NAME...: of connects that came about
	for name; do awk '$1 == "connect" && $6 == "ok" { print $3 }' "$tmp/$name.out"; done | sort -u
}
seen() { # FILE ARG...: of dump; the clients' ports, in sockets' and packets' events
	file=$1
	shift
	"$TCPTAPE" dump --json --no-snapshot "$@" -f "port $port" "$file" | awk -v port=$port "$awk_of"'
		of($0, "rport") == port { print of($0, "lport") }
		of($0, "lport") == port { print of($0, "rport") }' | grep -vx 0 | sort -u
}
same() { # WHAT FILE WANTED ARG...
	what=$1 file=$2
	shift 2
	is "$what" "$(seen "$tmp/$file.tcptape" "$@" | tr '\n' ' ')" "$(cat "$tmp/wanted" | tr '\n' ' ')"
}
a_netns=$(stat -Lc %i "/run/netns/$A") b_netns=$(stat -Lc %i "/run/netns/$B")
owned() { # RECORDING: whose connections it is to have; one of them waits since before the recording
	[ "$1" != fork ] || echo held
	echo "$1"
}
has_event() { "$TCPTAPE" dump --json --no-snapshot -e "$1" "$2" | grep -q "\"$1\""; } # EVENT TRACE
for name in exec fork comm ${cgroup:+cgroup}; do
	# shellcheck disable=SC2046
	ports $(owned $name) >"$tmp/wanted"
	check "$name has connections" [ -s "$tmp/wanted" ]
	same "$name: connections of event tcp_state" "$name" -e tcp_state
	ports $name >"$tmp/wanted" # the one at rest may have an ACK of its FIN, no more
	ports held >"$tmp/at_rest"
	for event in rtt io_recv; do
		has_event $event "$tmp/all.tcptape" || continue
		is "$name: connections of event $event" "$(seen "$tmp/$name.tcptape" -e $event | grep -vxFf "$tmp/at_rest" | tr '\n' ' ')" \
			"$(tr '\n' ' ' <"$tmp/wanted")"
	done
done
# what the server had accepted before is its children's, who were there before
ports_to() { # ADDRESS NAME...
	to=$1
	shift
	for name; do
		awk -v to="$to" '$1 == "connect" && $6 == "ok" && $4 == to { print $3 }' "$tmp/$name.out"
	done | sort -u
}
ports_to 10.9.0.2 exec fork comm other cgroup >"$tmp/served"
cp "$tmp/served" "$tmp/wanted"
same "server: all by IPv4, none by IPv6" server -e tcp_state
if [ -n "$both" ]; then
	ports_to fd09::2 exec comm >"$tmp/wanted"
	same "mixed: either owner, and IPv6" mixed -e tcp_state
	ports fork >"$tmp/wanted"
	same "bulk: by group rtt alone" bulk
	is "bulk: groups" "$("$TCPTAPE" dump --json --no-snapshot "$tmp/bulk.tcptape" |
		sed -n 's/.*"event":"\([a-z_]*\)".*/\1/p' | sort -u)" rtt
	"$TCPTAPE" life "$tmp/mixed.tcptape" >/dev/null 2>"$tmp/note"
	contains "a note says so" "$tmp/note" "recorded with .*-p $(pid_of exec) --comm picked"
fi

# ---- all that there is of these connections ----
# Before Linux 5.12 the recorder numbers sockets: two recorders may give starts and ends without a port to others.
half='^$'
"$TCPTAPE" info -v "$tmp/all.tcptape" | grep -q '^identity .*numbers given' && half='"sock":\{[^}]*"[lr]port":0'
only() { grep "\"event\":\"$1\"" "$2" | grep -vE "$half" | sort; } # EVENT EVENTS
total=0
equal() { # NAME EVENT: whole.all and part.all have the same
	only "$2" "$tmp/whole.all" >"$tmp/whole" || :
	only "$2" "$tmp/part.all" >"$tmp/part" || :
	check "$1: $2 ($(count <"$tmp/whole"))" cmp -s "$tmp/whole" "$tmp/part"
	cmp -s "$tmp/whole" "$tmp/part" || diff "$tmp/whole" "$tmp/part" | head -4 | cut -c1-600
	total=$((total + $(count <"$tmp/whole")))
}
# layers that know the packet's socket, which is not one of these in the other namespace
others_socket="\"netns\":$b_netns.*(\"layer\":\"(backlog|established|queue|done)\"|\"direction\":\"received\")"
others_socket="$others_socket|\"event\":\"tx\".*\"netns\":$b_netns.*\"layer\":\"(tcp|ip)\""
for name in exec fork comm ${cgroup:+cgroup}; do
	# shellcheck disable=SC2046
	filter=$(ports $(owned $name) | sed 's/^/or port /' | tr '\n' ' ')
	for file in all $name; do
		comparable "$tmp/$file.tcptape" --no-snapshot -f "${filter#or }" | grep -v '"layer":"sent"' |
			grep -vE "$others_socket" >"$tmp/$([ $file = all ] && echo whole || echo part).all"
	done
	packets='drop reset' sockets='tcp_state tcp_facts tcp_destroy rtt io_send io_recv'
	[ $name != fork ] || packets="$packets rx tx" sockets="$sockets rx_copy tx_write"
	for event in $packets; do equal $name $event; done # wherever they are
	for file in whole part; do # sockets: the owner's end
		grep "\"netns\":$a_netns" "$tmp/$file.all" >"$tmp/$file.end" || :
		mv "$tmp/$file.end" "$tmp/$file.all"
	done
	for event in $sockets; do equal $name $event; done
done
filter=$(sed 's/^/or port /' "$tmp/served" | tr '\n' ' ')
comparable "$tmp/all.tcptape" --no-snapshot -f "${filter#or }" | grep "\"netns\":$b_netns" >"$tmp/whole.all"
comparable "$tmp/server.tcptape" --no-snapshot -f "${filter#or }" | grep "\"netns\":$b_netns" >"$tmp/part.all"
for event in tcp_state tcp_facts tcp_accept tcp_destroy rtt rx_copy tx_write io_send io_recv; do
	equal server $event
done
between "events compared" "$total" 400 1000000

# ---- what has no socket, or none yet ----
refused() { # NAME: RSTs sent by the closed port
	"$TCPTAPE" dump --json --no-snapshot -e reset "$tmp/$1.tcptape" | grep '"netns":'"$b_netns" | grep -c "\"lport\":$closed"
}
if "$TCPTAPE" info "$tmp/all.tcptape" | grep -Eq '^probe.reset .*(tcp_send_reset|tcp_v4_send_reset)' && [ "$(refused all)" -gt 0 ]; then
	is "all: refusals" "$(refused all)" 4
	is "fork: refusals" "$(refused fork)" 1
	is "comm: refusals" "$(refused comm)" 1
	is "exec: refusals" "$(refused exec || :)" 0
	is "server: refusals" "$(refused server || :)" 0
fi
syns=$("$TCPTAPE" dump --json --no-snapshot -e rx "$tmp/server.tcptape" | grep "\"netns\":$b_netns" |
	grep -E '"layer":"(mac|2)"' | grep -cE '"tcp_flags":("SYN"|2[,}])') || :
is "server: SYNs that came in" "$syns" "$(count <"$tmp/served")"
listeners() {
	"$TCPTAPE" dump --json --no-snapshot -e listen_queue "$tmp/$1.tcptape" |
		sed -n 's/.*"laddr":"\([^"]*\)","lport":'$port'[,}].*/\1/p; s/.*"laddr":"\([^"]*\)".*"lport":'$port'[,}].*/\1/p' | sort -u
}
is "server: its listener" "$(listeners server)" 10.9.0.2
is "fork: no listener" "$(listeners fork)" ''

# ---- the list of sockets, and what the file says ----
is "fork: sockets in the list" "$("$TCPTAPE" dump --json "$tmp/fork.tcptape" | grep '"snap_sock"' |
	sed -n 's/.*"lport":\([0-9]*\).*/\1/p')" "$(ports held)"
"$TCPTAPE" info "$tmp/fork.tcptape" >"$tmp/info"
contains "info shows the choice" "$tmp/info" "^option.pid +$(pid_of held)\$"

# ---- what is refused ----
refuse() { # WORDS ARG...
	words=$1 status=0
	shift
	"$TCPTAPE_RECORD" -o "$tmp/no.tcptape" "$@" 2>"$tmp/err" || status=$?
	is "$* exits with" "$status" 2
	contains "and says why" "$tmp/err" "$words"
}
refuse 'no such process' -p 4194304
refuse 'number of a process' -p self
refuse '1 to 15 bytes' --comm a-name-that-is-too-long
refuse 'no such cgroup' --cgroup /no/such/cgroup
finish
