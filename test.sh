#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test.sh [--all]: all tests, on Debian 12 or later. Run it as root: it installs the packages that
# are missing, records real TCP, and boots kernels in QEMU. Without root the tests that need it are
# skipped. --all adds the rest of the kernel matrix, and what else is long.
#
# Builds lie in build-test/: with gcc, warnings being errors, for every suite; and with clang and
# its address and undefined-behaviour sanitizers for the suites that need no root.
# A live or VM test that fails is run once more; the summary says so and shows the first output.
# Ends with `N passed, N failed, N skipped`; exit status 1 if a test failed.
set -u

cd "$(dirname "$0")" || exit 1
suites='unit golden bad fuzz checks live vm'
case "${1:-}" in
'') ;;
--all) suites="$suites vm-all all" ;;
*)
	echo "usage: $0 [--all]" >&2
	exit 2
	;;
esac
export DEBIAN_FRONTEND=noninteractive

sh tests/install.sh gcc libc6-dev clang llvm clang-format bpftool libbpf-dev meson ninja-build \
	pkg-config libzstd-dev libxxhash-dev libpcap-dev libssl-dev libsqlite3-dev check python3 binutils \
	iproute2 strace scdoc systemd nftables conntrack tcpdump util-linux libbpf-tools wrk qemu-system-x86 busybox-static cpio xz-utils zstd \
	bpftrace bash zsh man-db debhelper dpkg-dev lintian git ||
	exit 1
sh tests/install.sh chromium || : # looks at pages of tcptape report; not every machine has one

# What programs of others make of an export: tested where they are there. Their packages start services
# on a machine with systemd, so only the long run asks for them; not every Debian has ClickHouse.
case $suites in
*vm-all*) sh tests/install.sh tshark sqlite3 && sh tests/install.sh prometheus clickhouse-server clickhouse-client || : ;;
esac

run() { # LABEL SUITES SETUP-OPTION...: build in build-test/LABEL and test
	label=$1 only=$2
	dir=build-test/$label
	shift 2
	rm -f "$dir/meson-logs/testlog.json" "$dir/meson-logs/testlog-again.json"
	echo "== $label: build"
	if [ -f "$dir/build.ninja" ]; then
		meson configure "$dir" "$@" >/dev/null
	else
		meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
			cat "$dir.log"
			return
		}
	fi
	ninja -C "$dir" --quiet || return
	echo "== $label: test"
	# shellcheck disable=SC2046,SC2086 # options
	meson test -C "$dir" --no-rebuild $(printf -- '--suite %s ' $only) ||
		: # failures are summed up at the end
	# Those that meet a real kernel, clock and scheduler get a second chance, which the summary shows.
	# shellcheck disable=SC2046 # names
	set -- $(python3 tests/summary.py --failed live vm vm-all "$dir/meson-logs/testlog.json")
	[ $# = 0 ] || meson test -C "$dir" --no-rebuild --logbase testlog-again "$@" || :
}

mkdir -p build-test
sh tests/assets.sh build-test/charts || : # without them there is no tcptape report
charts=-Dcharts=$PWD/build-test/charts
CC=gcc run gcc "$suites" -Dwerror=true "$charts"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:abort_on_error=1
CC=clang run sanitizers 'unit golden bad fuzz' -Dwerror=true "$charts" -Db_sanitize=address,undefined \
	-Db_lundef=false

# What this run leaves out, by name.
case $suites in
*vm-all*) ;;
*)
	echo
	echo "left to ./test.sh --all:"
	meson test -C build-test/gcc --suite vm-all --suite all --list 2>/dev/null | sed -n 's/.* \/ //p' | sort |
		tr '\n' ' ' | fold -s -w 98 | sed 's/^/  /'
	echo
	;;
esac

exec python3 tests/summary.py gcc=build-test/gcc/meson-logs/testlog.json \
	sanitizers=build-test/sanitizers/meson-logs/testlog.json
