#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What goes wrong says so once, clearly, with the right exit status, and loses no more than it must.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need setpriv
t=$tmp/t.tcptape

run() { # COMMAND...: status in $status, one line of error expected in $tmp/err
	status=0
	timeout 60 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
}
fails() { # WHAT STATUS REGEX COMMAND...: fails with one line on standard error
	what=$1 want=$2 regex=$3
	shift 3
	run "$@"
	is "$what: exit status" "$status" "$want"
	contains "$what: says why" "$tmp/err" "$regex"
	is "$what: lines of error" "$(count <"$tmp/err")" 1
}

fails "no such trace" 2 'nofile.*No such file' "$TCPTAPE" info "$tmp/nofile"
fails "no name" 2 "'': .*No such file" "$TCPTAPE" info ""
fails "no such directory" 1 'nodir.*No such file' "$TCPTAPE_RECORD" -d 1 -o "$tmp/nodir/t"

echo precious >"$t"
fails "existing file" 1 't\.tcptape.*(exists|--force)' "$TCPTAPE_RECORD" -d 1 -o "$t"
is "it is as it was" "$(cat "$t")" precious
run "$TCPTAPE_RECORD" -d 1 --force -o "$t"
is "with --force it ends with" "$status" 0
check "and the file is a trace" "$TCPTAPE" info "$t"

echo precious >"$tmp/target"
ln -s "$tmp/target" "$tmp/symlink"
fails "symbolic link" 1 'symlink' "$TCPTAPE_RECORD" -d 1 -o "$tmp/symlink"
ln -s "$tmp/nothing" "$tmp/dangling"
fails "symbolic link to nothing" 1 'dangling' "$TCPTAPE_RECORD" -d 1 -o "$tmp/dangling"
run "$TCPTAPE_RECORD" -d 1 --force -o "$tmp/symlink"
is "links were not followed" "$(cat "$tmp/target"; ls "$tmp/nothing" 2>/dev/null)" precious

echo precious >"$tmp/linked"
ln "$tmp/linked" "$tmp/link"
fails "hard link, even with --force" 1 'hard link' "$TCPTAPE_RECORD" -d 1 --force -o "$tmp/link"
is "the file is as it was" "$(cat "$tmp/linked")" precious

# out of something: named as what it is, not as a kernel that lacks hooks
for n in 12 40 60; do
	run sh -c "ulimit -n $n"' && exec "$0" -d 1 -o "$1"' "$TCPTAPE_RECORD" "$tmp/few"
	is "$n descriptors: exit status" "$status" 1
	contains "it names them" "$tmp/err" 'Too many open files'
	is "no file was left" "$(ls "$tmp/few" 2>/dev/null)" ''
done
for what in --help --version --list; do
	run sh -c '"$0" "$1" >/dev/full' "$TCPTAPE_RECORD" $what
	is "$what to a full disk: exit status" "$status" 1
done

# usage
for bad in '--nonsense' '-e nonsense' '-d x' '-d -1' '--level 99' '--buffer x' 'stray'; do
	# shellcheck disable=SC2086 # arguments are words
	run "$TCPTAPE_RECORD" -o "$tmp/usage" $bad
	is "tcptape-record $bad: exit status" "$status" 2
	check "and a line that says why" test -s "$tmp/err"
done
is "no file was left" "$(ls "$tmp/usage" 2>/dev/null)" ''

# without root
cp "$TCPTAPE_RECORD" "$tmp/tcptape-record"
chmod 755 "$tmp/tcptape-record"
as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
mkdir -m 777 "$tmp/nobody"
# shellcheck disable=SC2086 # words
fails "no root" 1 'root|CAP_|permission|privilege' \
	$as_nobody "$tmp/tcptape-record" -d 1 -o "$tmp/nobody/t"
# shellcheck disable=SC2086
run $as_nobody "$tmp/tcptape-record" --list
is "--list without root: exit status" "$status" 0
contains "it lists the probes" "$tmp/out" 'inet_sock_set_state'
run "$TCPTAPE_RECORD" --list
is "--list as root: exit status" "$status" 0
contains "it lists the probes" "$tmp/out" 'inet_sock_set_state'

# a full disk: one error; what was recorded can be read
mkdir "$tmp/mnt"
if mount -t tmpfs -o size=128k tmpfs "$tmp/mnt" 2>/dev/null; then
	start server "$LOAD" server 127.0.0.1 17094
	wait_line server ready
	start record "$TCPTAPE_RECORD" --min-free 0 -e conn -d 20 -o "$tmp/mnt/t"
	wait_recording "$tmp/mnt/t"
	i=0
	while kill -0 "$(cat "$tmp/record.pid")" 2>/dev/null && [ $i -lt 60 ]; do
		"$LOAD" client -n 200 127.0.0.1 17094 >>"$tmp/client"
		sleep 0.2 # several chunks
		i=$((i + 1))
	done
	wait_end "$(cat "$tmp/record.pid")"
	is "full disk: exit status" "$status" 1
	is "full disk: errors" "$(grep -c 'No space left' "$tmp/record.err")" 1
	run "$TCPTAPE" info "$tmp/mnt/t"
	show "$tmp/out"
	contains "full disk: the file is closed" "$tmp/out" '^closed +yes'
	contains "full disk: it tells the loss" "$tmp/out" '^lost +[1-9]'
	run "$TCPTAPE" events -r connect --csv -f 'dst port 17094' "$tmp/mnt/t"
	between "full disk: connects that can be read" "$(columns lport <"$tmp/out" | count)" \
		20 "$(grep -c '^connect' "$tmp/client")"
	rm "$tmp/mnt/t"
	dd if=/dev/zero of="$tmp/mnt/fill" bs=1k count=100 2>/dev/null
	run "$TCPTAPE_RECORD" --min-free 0 -e conn -o "$tmp/mnt/t" -- sh -c \
		'for i in 1 2 3 4 5 6 7 8 9 10; do "$0" client -n 200 127.0.0.1 17094 >/dev/null; done; sleep 1; exit 130' "$LOAD"
	is "full disk, the command ended with 130: ours" "$status" 125
	umount "$tmp/mnt"
else
	echo "(no tmpfs can be mounted here: full disk not tried)"
fi
# a kernel without type information: its folder is hidden, in a mount namespace of our own
need unshare
status=0
unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$0" -d 1 -o "$1"' \
	"$TCPTAPE_RECORD" "$tmp/no-btf.tcptape" >"$tmp/no-btf" 2>&1 || status=$?
is "without BTF it ends with" "$status" 1
contains "and says what is missing" "$tmp/no-btf" 'CONFIG_DEBUG_INFO_BTF'
is "in one line" "$(count <"$tmp/no-btf")" 1
check "no file is left" test ! -e "$tmp/no-btf.tcptape"
finish
