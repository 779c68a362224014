#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# style.sh SOURCE: clang-format leaves all C as it is; no line of code is longer than 100 columns;
# each file names its licence in one SPDX line.
set -u
cd "$1" || exit 1
command -v clang-format >/dev/null || {
	echo "SKIP: clang-format is not installed"
	exit 77
}
status=0 n=0
for file in format/*.[ch] filter/*.[ch] bpf/*.[ch] record/*.[ch] analyze/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch]; do
	[ -f "$file" ] || continue
	n=$((n + 1))
	clang-format --dry-run --Werror "$file" 2>"${TMPDIR:-/tmp}/style.$$" || {
		echo "not as clang-format has it: $file"
		grep -m3 'error:' "${TMPDIR:-/tmp}/style.$$"
		status=1
	}
	head -1 "$file" | grep -q 'SPDX-License-Identifier:' || {
		echo "no licence in the first line: $file"
		status=1
	}
done
rm -f "${TMPDIR:-/tmp}/style.$$"
echo "$n files"
exit $status
