#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# install.sh PACKAGE...: install those Debian packages that are missing, and nothing beside them.
set -eu

missing=''
for package in "$@"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "missing packages:$missing"
	echo "install them with: sudo apt-get install --no-install-recommends$missing"
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
try() { # ARG...
	apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null
}
# shellcheck disable=SC2086 # a list
try install -y --no-install-recommends $missing ||
	{ try update && try install -y --no-install-recommends $missing; } || {
	tail -20 "$log"
	exit 1
}
