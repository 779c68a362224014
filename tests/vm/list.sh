#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What `tcptape-record --list` says on this kernel; for probes.sh.
echo "kernel $(uname -r)"
"$TCPTAPE_RECORD" --list
