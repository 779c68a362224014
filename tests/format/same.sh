#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# same.sh FILE GENERATOR [ARG...]: FILE is what the generator prints.
set -eu
file=$1
shift
if ! "$@" | diff -u "$file" -; then
	echo "$file does not say what format/events.def says; to update it: $* > $file"
	exit 1
fi
