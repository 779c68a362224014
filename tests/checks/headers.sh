#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# headers.sh SOURCE CC...: each header compiles alone, so it includes what it needs. Those of bpf/
# that are for the kernel side only (*.h beside kernel.h) need its compiler and are left out.
set -u
source=$1
shift
status=0 n=0
for header in "$source"/format/*.h "$source"/filter/*.h "$source"/record/*.h "$source"/analyze/*.h; do
	[ -f "$header" ] || continue
	if grep -q 'skel\.h"' "$header"; then continue; fi # generated in the build directory
	printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		"$@" -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -fsyntax-only -I"$source/format" -I"$source/filter" -I"$source/bpf" -I"$source/record" \
			-I"$source/analyze" -x c - || {
		echo "$header does not compile alone, or not twice"
		status=1
	}
	n=$((n + 1))
done
echo "$n headers"
exit $status
