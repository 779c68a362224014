#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# install.sh SOURCE BUILD: what `meson install` puts where: just the files that it should, programs that run,
# pages that man shows, a unit that systemd takes; and what debian/ takes of them.
set -eu
LC_ALL=C
export LC_ALL
source=$1 build=$2
tmp=$(mktemp -d) failed=0 lacks=''
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAIL  $*"
	failed=1
}
have() { command -v "$1" >/dev/null || { lacks="$lacks $1" && false; }; }
meson install -C "$build" --no-rebuild --destdir "$tmp/root" >"$tmp/log" 2>&1 || {
	cat "$tmp/log"
	exit 1
}
prefix=$(sed -n 's/.*Installing .*tcptape-record to \(.*\)\/bin$/\1/p' "$tmp/log")
top=$prefix
prefix=${prefix#"$tmp/root"}
PATH=$top/bin:$PATH

# ---- the files: two programs, a page for each command that --help names ----
{
	printf '%s\n' bin/tcptape bin/tcptape-record lib/systemd/system/tcptape-record.service
	for name in tcptape tcptape-record; do
		echo share/bash-completion/completions/$name
		echo share/zsh/site-functions/_$name
	done
	printf '%s\n' share/man/man1/tcptape.1 share/man/man5/tcptape.5 share/man/man8/tcptape-record.8
	"$TCPTAPE" --help | sed -n 's/^  \([a-z]*\)  *[a-zA-Z].*/\1/p' | grep -vx record |
		sed 's,.*,share/man/man1/tcptape-&.1,'
} | sort >"$tmp/wanted"
(cd "$top" && find . ! -type d) | sed 's,^\./,,' | sort >"$tmp/there"
diff "$tmp/wanted" "$tmp/there" >"$tmp/diff" || fail "files (< wanted, > installed): $(cat "$tmp/diff")"
[ -z "$(find "$tmp/root" ! -type d ! -path "$top/*")" ] || fail "files outside of $prefix"

# ---- they work from there ----
[ "$(command -v tcptape)" = "$top/bin/tcptape" ] || fail "another tcptape is found: $(command -v tcptape)"
version=$(sed -n "s/^ *version: '\([^']*\)'.*/\1/p" "$source/meson.build" | head -1)
[ "$(tcptape --version)" = "tcptape $version" ] || fail "tcptape --version: $(tcptape --version)"
[ "$(tcptape record --version)" = "tcptape-record $version" ] || fail "tcptape record --version"
tcptape info "$source/sample-traces/ipv6.tcptape" >"$tmp/out" || fail "tcptape info"
if have man; then
	for page in "$top"/share/man/man*/*; do
		name=${page##*/}
		MANWIDTH=100 man --warnings -l "$page" >"$tmp/out" 2>"$tmp/err" || fail "man -l $page"
		[ ! -s "$tmp/err" ] || fail "man -l $page warns: $(cat "$tmp/err")"
		head -1 "$tmp/out" | grep -q "^${name%.*}(${name##*.})" || fail "$name: $(head -1 "$tmp/out")"
	done
	# of an installed program, away from the place where it was built
	shown=$(man -l "$top/share/man/man1/tcptape-rtt.1" | col -b | grep -c -- --percentiles) || :
	[ "$shown" -ge 1 ] || fail "the page of rtt does not tell of --percentiles"
fi
for name in tcptape tcptape-record; do
	# shellcheck disable=SC2016
	bash -c '. "$0" && complete -p "$1"' "$top/share/bash-completion/completions/$name" $name \
		>"$tmp/out" || fail "bash completion of $name"
	if have zsh; then
		(cd "$source/sample-traces" && zsh -f "$source/tests/checks/offers.zsh" \
			"$top/share/zsh/site-functions" "$name --vers") >"$tmp/out"
		grep -qx -- --version "$tmp/out" || fail "zsh completion of $name: $(cat "$tmp/out")"
	fi
done

# ---- the unit starts what was installed ----
unit=$top/lib/systemd/system/tcptape-record.service
grep -q "^ExecStart=$prefix/bin/tcptape-record " "$unit" || fail "$(grep ^ExecStart "$unit")"
if have systemd-analyze; then
	sed "s,^ExecStart=,&$tmp/root," "$unit" >"$tmp/tcptape-record.service"
	(cd "$tmp" && systemd-analyze verify --man=no ./tcptape-record.service >verify 2>&1) || :
	! grep tcptape-record "$tmp/verify" || fail "systemd-analyze verify, above"
fi

# ---- debian/: every file into one package; `packages` builds them ----
sed 's/ .*//; s,^usr/,,' "$source"/docs/packaging/debian/*.install >"$tmp/packed"
while read -r path; do
	[ -e "$top/$path" ] || fail "debian/*.install: there is no $path"
done <"$tmp/packed"
while read -r path; do
	n=$(while read -r in; do case $path in "$in" | "$in"/*) echo x ;; esac; done <"$tmp/packed" | wc -l)
	[ "$n" = 1 ] || fail "debian/*.install: $path is in $n packages"
done <"$tmp/there"
[ $failed = 0 ] || exit 1
[ -z "$lacks" ] || {
	echo "SKIP: not installed:$lacks; the rest is right"
	exit 77
}
echo "$(wc -l <"$tmp/there") files"
