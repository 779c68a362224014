#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# probes.sh [BUILD-DIR [LISTS]]: make docs/probes.md: which probe uses which hook on which kernel, and the
# test that proves it. Runs `tcptape-record --list` here and on each kernel of the matrix (a minute
# or two), or takes it from the files of the folder LISTS, which it fills if they are not there.
#
# A test says what it proves in a line of its own: "# proves: EVENT...".
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tests=${here%/vm} top=${here%/tests/vm}
build=$(cd "${1:-$top/build}" && pwd)
lists=${2:-}
if [ -z "$lists" ]; then
	lists=$(mktemp -d)
	trap 'rm -rf "$lists"' EXIT
fi
mkdir -p "$lists"
TCPTAPE=$build/analyze/tcptape TCPTAPE_RECORD=$build/record/tcptape-record
LOAD=$build/tests/load LINK=$build/tests/link SEGMENT=$build/tests/segment
export TCPTAPE TCPTAPE_RECORD LOAD LINK SEGMENT

suites='bullseye bookworm trixie trixie-backports-6.18 sid'
for suite in $suites; do
	[ -s "$lists/$suite" ] || "$here/test.sh" "$suite" vm/list.sh -d -t 120 >"$lists/$suite"
done
[ -s "$lists/host" ] || sh "$here/list.sh" >"$lists/host"

# EVENT:TEST lines
proofs() {
	for test in "$tests"/live/*.sh "$tests"/vm/*.sh; do
		name=${test##*/}
		sed -n 's/^# proves: *//p' "$test" | tr ' ' '\n' | sed "/./!d; s|\$|:${name%.sh}|"
	done
}
refused() { # TEST METHODS KERNEL HOOK lines, out of vm_refused
	sed -n "s/^  \['\([a-z]*\/[^']*\)', '\([^']*\)', '\([^']*\)', '[^']*'\], # \(.*\)/\1|\2|\3|\4/p" \
		"$tests/meson.build"
}

{
	cat <<-'EOF_HEAD'
		# Probes

		Which hook serves which event on which kernel, as `tcptape-record --list` says it there, and the test that proves the
		event's content against something else than tcptape. Made by `tests/vm/probes.sh`; do not edit. A hook of a list is used if
		those before it cannot be had; `./test.sh --all` runs each of the tests on each kernel.

	EOF_HEAD
	proofs >"$lists/.proofs"
	(cd "$lists" && awk -v suites="$suites host" -f "$here/probes.awk" .proofs $suites host)
	echo
	echo "## Second choices"
	echo
	echo "Hooks that no kernel of the matrix would take, or not that one, with the better ones refused (\`TCPTAPE_REFUSE\`):"
	echo
	echo "| hook | refused | kernel | test |"
	echo "|---|---|---|---|"
	refused | while IFS='|' read -r test methods kernel hook; do
		version=$(sed -n 's/^kernel \([0-9]*\.[0-9]*\).*/\1/p' "$lists/$kernel")
		echo "| $hook | $methods | $version | \`$test.sh\` |"
	done
} >"$lists/.table"
mv "$lists/.table" "$top/docs/probes.md"
rm -f "$lists/.proofs"
