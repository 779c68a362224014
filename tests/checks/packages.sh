#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# packages.sh SOURCE: builds the Debian packages of what is committed; lintian finds no error in them, each
# asks for what it needs and no more, and both install, run and go away again without a trace. They
# are installed by dpkg into a copy of this machine's root (overlayfs, in a mount namespace).
set -eu
source=$1
skip() {
	echo "SKIP: $*"
	exit 77
}
for tool in dpkg-buildpackage dh lintian git meson scdoc; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
[ "$(id -u)" = 0 ] || skip "installing packages needs root"
[ -e "$source/.git" ] || skip "the packages are made of a git repository"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tcptape-packages.XXXXXX") failed=0
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAIL  $*"
	failed=1
}
sh "$source/docs/packaging/build.sh" "$tmp" >"$tmp/log" 2>&1 || {
	tail -30 "$tmp/log"
	exit 1
}
cd "$tmp"
# shellcheck disable=SC2012 # names of ours
names=$(ls ./*.deb | sed 's,^\./,,; s/_.*//' | grep -v dbgsym | tr '\n' ' ')
[ "$names" = "tcptape-record tcptape " ] || fail "packages made: $names"
lintian --fail-on error ./*.deb >lintian 2>&1 || fail "lintian: $(cat lintian)"

needs() { # PACKAGE LIBRARY...: it depends on these, and not on those with a !
	package=$1
	dpkg -f "$package"_*.deb Depends >depends
	shift
	for library in "$@"; do
		case $library in
		!*) ! grep -qE "(^| )${library#!}" depends || fail "$package depends on ${library#!}" ;;
		*) grep -qE "(^| )$library" depends || fail "$package does not depend on $library" ;;
		esac
	done
}
needs tcptape-record libc6 libbpf1 libzstd1 libpcap0.8 '!libssl' '!tcptape'
needs tcptape libc6 libzstd1 libxxhash0 libpcap0.8 libssl libsqlite3-0 '!libbpf' '!tcptape-record'

cat >inside <<'EOF_INSIDE'
set -eu
# $1: this machine's root, in a copy
version=$2
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" || exit 77
for at in proc sys; do mount --rbind /$at "$1/root/$at"; done
mkdir "$1/root/debs"
cp tcptape_*.deb tcptape-record_*.deb "$1/root/debs"
cp -r "$3/sample-traces" "$1/root/debs"
cat >"$1/root/debs/try" <<'EOF_TRY'
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /debs
dpkg -i tcptape_*.deb >log 2>&1
tcptape help record >out 2>&1 && echo "tcptape alone knows of a recorder" || :
tcptape --help >out
tcptape info sample-traces/ipv6.tcptape >out
grep -q '^recorder ' out || { echo "tcptape info says:" && cat out; }
dpkg -P tcptape >>log 2>&1
# each without the other
dpkg -i tcptape-record_*.deb >>log 2>&1
[ "$(tcptape-record --version)" = "tcptape-record $1" ] || echo "version: $(tcptape-record --version)"
tcptape-record --list >out
grep -Eq '^tcp_state +conn +.* attaches' out || { echo "tcptape-record --list says:" && cat out; }
bash -c '. /usr/share/bash-completion/completions/tcptape-record && complete -p tcptape-record' >out
dpkg -i tcptape_*.deb >>log 2>&1
tcptape record --version >out
dpkg -P tcptape tcptape-record >>log 2>&1
EOF_TRY
chroot "$1/root" /bin/sh /debs/try "$version" || { echo "it ended early:" && cat "$1/root/debs/log"; }
find "$1/upper" ! -path '*/debs*' -name '*tcptape*' | sed 's/^/left behind: /'
EOF_INSIDE
mkdir root
version=$(sed -n "s/^ *version: '\([^']*\)'.*/\1/p" "$source/meson.build" | head -1)
status=0
unshare -m sh inside "$tmp/root" "$version" "$source" >installed 2>&1 || status=$?
[ $status != 77 ] || skip "no overlayfs: $(cat installed)"
[ $status = 0 ] && [ ! -s installed ] || fail "installed (status $status): $(cat installed)"
[ $failed = 0 ] || exit 1
echo "built, checked, installed, run and removed: $names"
