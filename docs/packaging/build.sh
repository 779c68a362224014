#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh DIRECTORY: the Debian packages tcptape-record and tcptape, of what is committed, into DIRECTORY.
# Needs dpkg-dev, debhelper, git, and what debian/control names; the network for tcptape report, which is
# left out without.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n "s/^ *version: '\([^']*\)'.*/\1/p" "$top/meson.build" | head -1)
mkdir "$work/tcptape"
git -c safe.directory="$top" -C "$top" archive HEAD | tar -x -C "$work/tcptape"
cd "$work/tcptape"
sh tests/assets.sh charts || echo "so the package has no tcptape report" >&2
cp -r docs/packaging/debian debian
cat >debian/changelog <<EOF_CHANGES
tcptape ($version) unstable; urgency=medium

  * Built from commit $(git -C "$top" rev-parse --short HEAD).

 -- tcptape maintainers <tcptape@example.org>  $(git -C "$top" log -1 --format=%cD)
EOF_CHANGES
dpkg-buildpackage -b -us -uc "${TCPTAPE_JOBS:--j2}"
mv "$work"/*.deb "$out"
