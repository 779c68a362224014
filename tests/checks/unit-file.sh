#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# unit-file.sh UNIT: systemd takes it, rates its exposure below 2.5, and the recorder takes its options.
set -eu
LC_ALL=C
export LC_ALL
unit=$1
command -v systemd-analyze >/dev/null || {
	echo "SKIP: systemd-analyze is not installed"
	exit 77
}
tmp=$(mktemp -d) failed=0
trap 'rm -rf "$tmp"' EXIT
sed "s,^ExecStart=[^ ]*,ExecStart=$TCPTAPE_RECORD," "$unit" >"$tmp/tcptape-record.service"
cd "$tmp"
systemd-analyze verify --man=no ./tcptape-record.service >verify 2>&1 || :
if grep tcptape-record verify; then failed=1; fi
systemd-analyze security --offline=true ./tcptape-record.service >rating 2>&1
tail -1 rating
score=$(sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p' rating)
awk -v s="$score" 'BEGIN { exit !(s != "" && s < 2.5) }' || {
	echo "FAIL  exposure: '$score', wanted below 2.5"
	cat rating
	failed=1
}
options=$(sed -n 's/^Environment="TCPTAPE_OPTIONS=\(.*\)"/\1/p' "$unit")
# shellcheck disable=SC2086 # words
"$TCPTAPE_RECORD" $options -o x.tcptape --help >help 2>&1 || {
	echo "FAIL  $options: $(cat help)"
	failed=1
}
# the calls that the filter must let through, beside those for services
if command -v strace >/dev/null && [ "$(id -u)" = 0 ] && [ -r /sys/kernel/btf/vmlinux ]; then
	systemd-analyze syscall-filter >sets
	allowed() { # SET: with the sets that it names
		awk -v set="$1" '$0 == set { on = 1; next } /^[^ ]/ { on = 0 } on && NF && $1 !~ /^#/ { print $1 }' sets |
			while read -r name; do
				case $name in @*) allowed "$name" ;; *) echo "$name" ;; esac
			done
	}
	allowed @system-service | sort -u >service
	for set in @resources @privileged @mount @debug; do allowed $set; done | sort -u >denied
	{
		comm -23 service denied
		allowed @default
		sed -n 's/^SystemCallFilter=\([^@~].*\)/\1/p' "$unit" | tr ' ' '\n'
	} | sort -u >filter
	strace -f -o trace "$TCPTAPE_RECORD" --rotate 1s -d 3 -o t.tcptape >out 2>&1 || cat out
	sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' trace | sort -u >calls
	# leaving root, which the unit does itself
	printf '%s\n' setresuid setresgid setgroups >root
	sort -o calls calls
	comm -23 calls filter | grep -vxFf root >refused || :
	[ ! -s refused ] || {
		echo "FAIL  calls that the unit's filter refuses: $(tr '\n' ' ' <refused)"
		failed=1
	}
	echo "$(wc -l <calls) different calls, $(wc -l <filter) allowed"
fi
exit $failed
