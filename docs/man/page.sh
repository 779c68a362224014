#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# page.sh SECTION NAME SUMMARY TAIL PROGRAM [COMMAND]: a manual page on standard output; SUMMARY '': as
# the help has it; TAIL: a file of further sections for scdoc, '' none.
set -eu
section=$1 name=$2 summary=$3 tail=$4
shift 4
help=$("$@" --help)
{
	echo "$help" | awk -v page="$name" -v section="$section" -v summary="$summary" \
		-f "$(dirname "$0")/page.awk"
	[ -z "$tail" ] || cat "$tail"
} | SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0} scdoc
