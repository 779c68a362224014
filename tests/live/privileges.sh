#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the recorder may still do while it records, by /proc/PID/status and strace; that it misses
# nothing by it; and what it says when capabilities are missing.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need setpriv ip

# numbers of linux/capability.h
CHOWN=0 DAC_OVERRIDE=1 FOWNER=3 KILL=5 SYS_PTRACE=19 SYS_ADMIN=21 BPF=39
bits() { # NUMBER...: as in /proc/PID/status
	sum=0
	for n in "$@"; do sum=$((sum | 1 << n)); done
	printf '%016x\n' $sum
}
before_5_19() {
	uname -r | awk -F'[.-]' '{ exit !($1 * 1000 + $2 < 5019) }'
}
from_5_11_to_6_1() {
	uname -r | awk -F'[.-]' '{ v = $1 * 1000 + $2; exit !(v >= 5011 && v <= 6001) }'
}
bpf='' # before Linux 5.19 each call of bpf() takes it, unless the sysctl says otherwise
if before_5_19 && [ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" != 0 ]; then bpf=$BPF; fi

status_of() { # PID FIELD: of /proc/PID/status, with spaces
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' ' | sed 's/ *$//'
}
confined() { [ "$(status_of "$1" Seccomp)" = 2 ]; }
start_confined() { # ARG...: a recorder that has given up what it gives up
	rm -f "$tmp/t"
	record "$tmp/t" "$@"
	recorder=$pid
	wait_for 30 confined "$recorder" || :
}
holds() { # WHAT UID CAPABILITY...
	what=$1 uid=$2
	shift 2
	is "$what: user" "$(status_of "$recorder" Uid)" "$uid $uid $uid $uid"
	is "$what: group" "$(status_of "$recorder" Gid)" "$uid $uid $uid $uid"
	is "$what: other groups" "$(status_of "$recorder" Groups)" ''
	is "$what: CapEff" "$(status_of "$recorder" CapEff)" "$(bits "$@")"
	is "$what: CapPrm" "$(status_of "$recorder" CapPrm)" "$(bits "$@")"
	for set in CapInh CapBnd CapAmb; do
		is "$what: $set" "$(status_of "$recorder" $set)" "$(bits)"
	done
	is "$what: NoNewPrivs" "$(status_of "$recorder" NoNewPrivs)" 1
	is "$what: Seccomp" "$(status_of "$recorder" Seccomp)" 2
}

# ---- root, in place of a user who called sudo ----
export SUDO_UID=1234 SUDO_GID=1234
start_confined
# shellcheck disable=SC2086 # maybe none
holds "sudo" 1234 $SYS_PTRACE $SYS_ADMIN $bpf

# namespaces, a cgroup and a process that come after that; the counter is the kernel's own
make_namespaces
cgroup2=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts) cgroup=''
if [ -n "$cgroup2" ] && mkdir "$cgroup2/tcptape$$" 2>/dev/null; then cgroup=$cgroup2/tcptape$$; fi
# shellcheck disable=SC2016 # for the inner shell
sh -c '[ -z "$0" ] || echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup" \
	ip netns exec "$A" "$LOAD" client -n 7 127.0.0.1 17071 >"$tmp/client"
sleep 3 # samples; the first one finds the namespace
inode=$(stat -L -c %i "/run/netns/$A")
fails=$(in_a cat /proc/net/snmp | counters | awk '$1 == "AttemptFails" { print $2 }')
stop "$recorder"
is "it ends with" "$status" 0
is "refused connects, by the kernel" "$fails" 7
"$TCPTAPE" dump --json "$tmp/t" >"$tmp/dump"
is "the new namespace's counter in the file" "$(awk -v netns="$inode" "$awk_of"'
	of($0, "event") == "snap_counter" { name[of($0, "counter")] = of($0, "name") }
	of($0, "event") == "counter" && of($0, "netns") == netns {
		delta[name[of($0, "counter")]] += of($0, "delta")
	}
	END { print delta["Tcp.AttemptFails"] }' "$tmp/dump")" "$fails"
is "its name" "$(awk -v netns="$inode" "$awk_of"'
	of($0, "event") == "snap_netns" && of($0, "netns") == netns { print of($0, "name"); exit }' \
	"$tmp/dump")" "$A"
is "its interface" "$(awk -v netns="$inode" "$awk_of"'
	of($0, "event") == "snap_link" && of($0, "netns") == netns { print of($0, "name"); exit }' \
	"$tmp/dump")" lo
if [ -n "$cgroup" ]; then
	is "the path of the cgroup" "$("$TCPTAPE" dump --json "$tmp/t" | awk "$awk_of"'
		of($0, "event") == "snap_cgroup" { print of($0, "path") }' | grep -c "^/tcptape$$\$")" 1
	rmdir "$cgroup"
else
	echo "(no cgroup can be made here: its path is not tried)"
fi
"$TCPTAPE" drops -f 'port 17071' "$tmp/t" >"$tmp/drops" 2>"$tmp/err"
contains "places in the kernel have their names" "$tmp/drops" 'tcp_v4_rcv\+0x'
contains "the summary names what was kept" "$tmp/record.err" \
	'user 1234, (CAP_BPF )?CAP_SYS_ADMIN CAP_SYS_PTRACE, seccomp$'
is "the file is the user's" "$(stat -c %u:%g:%a "$tmp/t")" 1234:1234:600

# without samples, into one file: none. Owners and cgroups of strangers are found all the same
start held ip netns exec "$A" "$LOAD" server 127.0.0.1 17070
wait_line held ready
start_confined -e conn,rtt,drop,retrans,reset
# shellcheck disable=SC2086
holds "without samples" 1234 $bpf
[ -z "$cgroup" ] || mkdir "$cgroup"
sh -c '[ -z "$0" ] || echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup" \
	ip netns exec "$A" "$LOAD" client -n 7 127.0.0.1 17070 >"$tmp/client"
sleep 1.5
stop "$recorder"
is "it ends with" "$status" 0
[ -n "$bpf" ] || contains "the summary says so" "$tmp/record.err" 'user 1234, no capabilities, seccomp$'
"$TCPTAPE" dump --json "$tmp/t" >"$tmp/dump"
is "owner of a listener that was there" "$(awk "$awk_of"'
	of($0, "event") == "snap_sock" && of($0, "lport") == 17070 { print of($0, "pid"), of($0, "comm") }' "$tmp/dump")" \
	"$(cat "$tmp/held.pid") load"
if [ -n "$cgroup" ]; then
	is "the path of a cgroup that came later" "$(awk "$awk_of"'
		of($0, "event") == "snap_cgroup" { print of($0, "path") }' "$tmp/dump" | grep -c "^/tcptape$$\$")" 1
	rmdir "$cgroup"
fi

# files that begin while it records, in a folder of root's, and in his own
second_file() { [ -s "$1-000002.tcptape" ]; }
rotate() { # WHAT FOLDER OWNER CAPABILITY...
	what=$1 folder=$2 owner=$3
	shift 3
	start record "$TCPTAPE_RECORD" -e conn -o "$folder/t.tcptape" --rotate 1s
	recorder=$pid
	wait_for 60 second_file "$folder/t" || :
	# shellcheck disable=SC2086
	holds "$what" "${SUDO_UID:-65534}" $SYS_PTRACE $SYS_ADMIN "$@" $bpf
	stop "$recorder"
	is "$what: owner and mode of the second file" "$(stat -c %u:%a "$folder/t-000002.tcptape")" "$owner:600"
	rm "$folder"/t-*
}
mkdir "$tmp/his"
chown 1234:1234 "$tmp/his"
rotate "files in his folder" "$tmp/his" 1234
rotate "his files in a folder of root" "$tmp" 1234 $DAC_OVERRIDE

# ---- root itself; COMMAND is as it would be without us ----
unset SUDO_UID SUDO_GID
rotate "files of root" "$tmp" 0 $DAC_OVERRIDE $CHOWN $FOWNER
grep -E '^(Uid|Cap|NoNewPrivs|Seccomp):' /proc/self/status >"$tmp/own"
rm -f "$tmp/t"
record "$tmp/t" -- sh -c "grep -E '^(Uid|Cap|NoNewPrivs|Seccomp):' /proc/self/status; sleep 600"
recorder=$pid
wait_for 30 confined "$recorder" || :
# shellcheck disable=SC2086
holds "root" 65534 $SYS_PTRACE $SYS_ADMIN $KILL $bpf
wait_line record Seccomp
check "COMMAND has its user and capabilities, and no filter" cmp "$tmp/own" "$tmp/record.out"
stop "$recorder" TERM
is "a signal reaches root's COMMAND" "$status" 143

# ---- not root: only these capabilities ----
cp "$TCPTAPE_RECORD" "$tmp/tcptape-record" # where that user can reach it
mkdir -m 777 "$tmp/nobody"
as_nobody() { # CAPABILITIES COMMAND...
	caps="-all$1"
	shift
	status=0
	timeout 60 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps="$caps" \
		--ambient-caps="$caps" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}
missing() { # CAPABILITIES REGEX
	as_nobody "$1" "$tmp/tcptape-record" -d 1 -o "$tmp/nobody/none"
	is "with '$1' only: exit status" "$status" 1
	contains "it names what is missing" "$tmp/err" "$2"
	is "in one line" "$(count <"$tmp/err")" 1
	is "no file is left" "$(ls "$tmp/nobody")" ''
}
missing '' 'CAP_BPF and CAP_PERFMON are missing'
missing ',+bpf' 'record: CAP_PERFMON is missing'
missing ',+perfmon' 'record: CAP_BPF is missing'
status=0
setpriv --bounding-set -setuid "$TCPTAPE_RECORD" -d 1 -o "$tmp/none" 2>"$tmp/err" || status=$?
is "root without CAP_SETUID: exit status" "$status" 1
contains "it names it" "$tmp/err" 'CAP_SETUID is missing'

start server "$LOAD" server 127.0.0.1 17072
wait_line server ready
if [ "$(ulimit -l)" != unlimited ] && uname -r | grep -q '^5\.10'; then
	as_nobody ',+bpf,+perfmon' "$tmp/tcptape-record" -d 1 -o "$tmp/nobody/none"
	is "before Linux 5.11, locked memory: exit status" "$status" 1
	contains "it names CAP_SYS_RESOURCE" "$tmp/err" 'CAP_SYS_RESOURCE'
	ulimit -l unlimited
fi
mkdir "$tmp/nobody/sub"
chmod 777 "$tmp/nobody/sub"
enough=,+bpf,+perfmon
as_nobody $enough "$tmp/tcptape-record" -d 1 --force -o "$tmp/nobody/sub/t"
if [ $status != 0 ]; then # libbpf 1.1
	contains "Linux 5.11 to 6.1 takes CAP_SYS_ADMIN" "$tmp/err" 'record: CAP_SYS_ADMIN is missing'
	check "(this is one of them)" from_5_11_to_6_1
	enough=$enough,+sys_admin
fi
as_nobody $enough "$tmp/tcptape-record" --force -o "$tmp/nobody/sub/t" -- \
	"$LOAD" client -n 5 127.0.0.1 17072
is "with $enough it records, and ends with" "$status" 0
show "$tmp/err"
case $enough in
*sys_admin) ;;
*) contains "it says what it lacks without CAP_SYS_ADMIN" "$tmp/err" 'without CAP_SYS_ADMIN not recorded: ' ;;
esac
contains "it says what it lacks without CAP_SYS_PTRACE" "$tmp/err" 'without CAP_SYS_PTRACE not recorded: '
is "connects in the file" "$("$TCPTAPE" connlat --csv -f 'dst port 17072' "$tmp/nobody/sub/t" |
	columns outcome | sort | uniq -c | tr -s ' ')" ' 5 ok'
is "listeners in the file" "$("$TCPTAPE" dump --json -e listen_queue "$tmp/nobody/sub/t" |
	awk "$awk_of"'of($0, "lport") == 17072 { print 1; exit }')" 1

# ---- nothing that it does is refused by its own filter ----
if command -v strace >/dev/null; then
	strace -o "$tmp/strace" "$TCPTAPE_RECORD" -e all --stacks --force -o "$tmp/t" -- \
		sh -c "$LOAD client -n 50 127.0.0.1 17072; ip netns exec $B $LOAD client 127.0.0.1 17073
			sleep 2" >"$tmp/out" 2>"$tmp/err"
	strace -o "$tmp/strace2" "$TCPTAPE_RECORD" -e conn -d 4 --rotate 1s --keep 2 -o "$tmp/s.tcptape" >"$tmp/out" 2>"$tmp/err"
	sed '1,/seccomp(SECCOMP_SET_MODE_FILTER/d' "$tmp/strace" >"$tmp/calls"
	sed '1,/seccomp(SECCOMP_SET_MODE_FILTER/d' "$tmp/strace2" >>"$tmp/calls"
	between "system calls under the filter" "$(count <"$tmp/calls")" 100 1000000
	is "refused" "$(grep -E ' = -1 (EPERM|ENOSYS)' "$tmp/calls" | sort -u)" ''
	contains "to its end" "$tmp/calls" 'exited with 0'
else
	echo "(without strace the calls under the filter are not looked at)"
fi
finish
