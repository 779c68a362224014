#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# analyzer-only.sh SOURCE: -Drecorder=disabled builds and asks for neither clang, bpftool nor libbpf;
# without what is optional the commands that need it say so.
set -eu
tmp=$(mktemp -d "${TMPDIR:-/tmp}/tcptape-build.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
for tool in clang bpftool llvm-strip; do
	printf '#!/bin/sh\necho "%s $*" >>%s\nexit 1\n' $tool "$tmp/called" >"$tmp/bin/$tool"
	chmod +x "$tmp/bin/$tool"
done
PATH=$tmp/bin:$PATH CC=gcc meson setup "$tmp/build" "$1" --optimization 0 -Drecorder=disabled -Dreport=disabled -Dsqlite=disabled \
	-Dcrypto=disabled >"$tmp/log" 2>&1 &&
	PATH=$tmp/bin:$PATH ninja -C "$tmp/build" >>"$tmp/log" 2>&1 || {
	tail -30 "$tmp/log"
	exit 1
}
status=0
if [ -e "$tmp/called" ]; then
	echo "called:"
	cat "$tmp/called"
	status=1
fi
if grep -l 'libbpf\|-lbpf' "$tmp/build/build.ninja"; then
	echo "libbpf is linked"
	status=1
fi
tape=$tmp/build/analyze/tcptape
"$tape" --version
for command in report:uPlot sql:SQLite anonymize:libcrypto; do
	said=$("$tape" ${command%:*} x 2>&1) && rc=0 || rc=$?
	case $rc:$said in
	2:*"built without '${command%:*}'"*${command#*:}*) ;;
	*)
		echo "tcptape ${command%:*}: $rc: $said"
		status=1
		;;
	esac
done
exit $status
