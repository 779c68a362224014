#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One socket that connects twice, to two remotes; a process whose name needs escapes; MPTCP, where
# an accepted socket has its listener's cookie. What python3 prints is the truth.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
need python3
t=$tmp/t.tcptape

cat >"$tmp/again.py" <<'PY'
import socket, sys, time
def listener(address, proto=0):
    l = socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(address)
    l.listen(5)
    return l
def again():
    l, s = listener(('127.0.0.2', 17601)), socket.socket()
    try:
        s.connect(('127.0.0.1', 17600))
    except ConnectionRefusedError:
        print('refused', s.getsockname()[1])
    s.connect(('127.0.0.2', 17601))
    print('ok', s.getsockname()[1])
    c = l.accept()[0]
    s.close()
    c.close()
    l.close()
def mptcp():
    l = listener(('127.0.0.1', 17610), 262)
    for i in range(2):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        s.connect(('127.0.0.1', 17610))
        c = l.accept()[0]
        s.close()
        time.sleep(.05)
        c.close()
        time.sleep(.05)
    l.close()
open('/proc/self/comm', 'w').write('a\033\033\033\033\033b')
{'again': again, 'mptcp': mptcp}[sys.argv[1]]()
PY
record "$t" -e conn
python3 "$tmp/again.py" again >"$tmp/truth"
has_mptcp=$(cat /proc/sys/net/mptcp/enabled 2>/dev/null || echo 0)
[ "$has_mptcp" != 1 ] || python3 "$tmp/again.py" mptcp
sleep 0.5
stop "$(cat "$tmp/record.pid")"
refused=$(awk '/refused/ { print $2 }' "$tmp/truth") ok=$(awk '/ok/ { print $2 }' "$tmp/truth")
both="127.0.0.1 $refused 127.0.0.1 17600 refused,127.0.0.1 $ok 127.0.0.2 17601"
join() { paste -sd, -; }

tcptape() { "$TCPTAPE" "$@" --csv -f 'portrange 17600-17601' "$t" 2>/dev/null; }
is "life" "$(tcptape life | columns laddr lport raddr rport end | grep -v '^127.0.0.2' | join)" "$both local-close"
is "life, only the refused" "$("$TCPTAPE" life --csv -f 'port 17600' "$t" |
	columns laddr lport raddr rport end)" "${both%%,*}"
is "connlat" "$(tcptape connlat | columns laddr lport raddr rport outcome | join)" "$both ok"
is "events" "$(tcptape events -r connect | columns laddr lport raddr rport outcome | join)" "$both ok"
is "states: ports of the starts" "$(tcptape states |
	columns new_state lport rport | grep SYN_SENT | join)" "SYN_SENT $refused 17600,SYN_SENT $ok 17601"

# columns behind an escaped name stay where they are; its whole is in CSV
"$TCPTAPE" connlat -f 'portrange 17600-17601' "$t" >"$tmp/text" 2>/dev/null
is "text: width of a cut name" "$(awk 'NR > 1 { print substr($0, 1, 23) }' "$tmp/text" |
	sed 's/^[0-9]* *//' | sort -u)" 'a\x1b\x1b\x1b\+'
is "text: the columns behind it" "$(awk 'NR > 1 { print index($0, " 4 ") }' "$tmp/text" | sort -u)" \
	"$(awk 'NR == 1 { print index($0, " IP ") }' "$tmp/text")"
tcptape connlat | columns comm >"$tmp/name"
contains "CSV has all of it" "$tmp/name" '^a.x1b.x1b.x1b.x1b.x1bb$'

if [ "$has_mptcp" = 1 ]; then
	tcptape() { "$TCPTAPE" "$@" --csv -f 'port 17610' "$t" 2>"$tmp/err"; }
	is "MPTCP: connects" "$(tcptape connlat | columns rport outcome | join)" '17610 ok,17610 ok'
	contains "it says so" "$tmp/err" 'note: MPTCP'
	is "MPTCP: closes" "$(tcptape events -r close | columns rport | count)" 4
	is "MPTCP: lives" "$(tcptape life | columns end | sort | uniq -c | awk '{ print $1, $2 }' | join)" \
		'2 local-close,2 remote-close'
	is "MPTCP: no work queue owns one" "$(tcptape life | columns comm | grep -c kworker)" 0
	is "MPTCP: listeners have their own time" "$(tcptape states | columns old_state new_state ms |
		awk '/LISTEN CLOSE/ { print ($3 > 150 && $3 < 5000) }' | join)" 1,1
else
	echo "(this kernel has no MPTCP: not tried)"
fi
finish
