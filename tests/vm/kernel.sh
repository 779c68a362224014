#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kernel.sh SUITE[-SERIES]: download and unpack the current cloud kernel of a Debian suite, once, and
# print the directory. The machine's own apt lists, cache and packages are left alone.
#
#   SUITE              bullseye bookworm trixie forky sid experimental, or NAME-backports
#   SERIES             the newest that the suite has of it, as trixie-backports-6.18
#   TCPTAPE_KERNELS    the cache, default /var/tmp/tcptape-kernels; a kernel lies in SUITE[-SERIES]
#
# A suite names its kernel by a metapackage, so nothing here depends on an exact version. If that
# one cannot be had, the suite's other cloud kernels are tried, newest first. A kernel in the cache
# is used as it is: remove its directory to get a newer one.
# Exit status: 0; 77 no kernel to be had (offline), the reason on standard output.
set -eu

name=${1:?usage: kernel.sh SUITE[-SERIES]}
cache=${TCPTAPE_KERNELS:-/var/tmp/tcptape-kernels}
dest=$cache/$name
series=$(echo "$name" | sed -n 's/.*-\([0-9.]*\)$/\1/p')
suite=${name%"-$series"}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

skip() {
	echo "SKIP: no $name kernel: $*"
	exit 77
}

have_kernel() { # DIR: is there a kernel with its modules?
	[ -n "$(find "$1" -name 'vmlinuz*' -print -quit 2>/dev/null)" ] &&
		[ -n "$(find "$1" -path '*lib/modules/*/kernel' -print -quit)" ]
}

# An apt of its own, in $state, for this suite only, from the mirrors that the machine uses.
run_apt() { # TOOL ARG...
	tool=$1
	shift
	# shellcheck disable=SC2086 # an option, or nothing
	"$tool" -q -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State="$state" -o Dir::State::status="$state/status" \
		-o Dir::Cache="$state/cache" -o APT::Sandbox::User=root \
		-o APT::Architecture=amd64 -o APT::Architectures=amd64 \
		-o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20 \
		-o APT::Update::Error-Mode=any $release "$@"
}

write_sources() {
	base=${suite%-backports}
	# shellcheck disable=SC2016 # apt's own variable
	uris=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		sed 's#/$##' | sort -u)
	main=$(echo "$uris" | grep -m1 '/debian$') || main=http://deb.debian.org/debian
	security=$(echo "$uris" | grep -m1 'debian-security$') ||
		security=http://deb.debian.org/debian-security
	echo "deb [signed-by=$keyring] $main $suite main"
	[ "$suite" = "$base" ] || echo "deb [signed-by=$keyring] $main $base main"
	case $base in
	bullseye | bookworm | trixie)
		echo "deb [signed-by=$keyring] $security $base-security main" ;;
	esac
}

depends() { # PACKAGE
	run_apt apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: //p'
}

candidates() { # the metapackage's kernel first, then all cloud kernels, newest first
	[ -n "$series" ] || depends linux-image-cloud-amd64 | grep '^linux-image-[0-9]' || :
	run_apt apt-cache pkgnames "linux-image-$series" |
		grep -E '^linux-image-[0-9].*-cloud-amd64$' | sort -rV || :
}

fetch() { # PACKAGE DIR: with the packages that hold its parts since 6.19
	need=$( (echo "$1"; depends "$1" | grep -E '^linux-(base|binary|modules)-[0-9]') | sort -u)
	mkdir -p "$2"
	for p in $need; do
		(cd "$2" && run_apt apt-get download "$p" >/dev/null 2>&1) || return 1
	done
	for deb in "$2"/*.deb; do
		dpkg-deb -x "$deb" "$2" || return 1
		rm "$deb"
	done
	have_kernel "$2"
}

if have_kernel "$dest"; then
	echo "$dest"
	exit 0
fi
[ -r "$keyring" ] || skip "$keyring is missing"
command -v dpkg-deb >/dev/null || skip "dpkg is missing"

mkdir -p "$cache"
exec 9>"$cache/.$name.lock" # two tests may want it at once
flock 9
if have_kernel "$dest"; then
	echo "$dest"
	exit 0
fi
state=$cache/.apt/$suite release=''
case $suite in
*-backports) release="-o APT::Default-Release=$suite" ;; # else its base suite is preferred
esac
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"
write_sources >"$state/sources.list"
run_apt apt-get update >"$state/update.log" 2>&1 ||
	skip "apt-get update failed: $(grep -m1 '^[EW]:' "$state/update.log")"

n=0
for package in $(candidates); do
	rm -rf "$dest.new"
	if fetch "$package" "$dest.new"; then
		rm -rf "$dest"
		mv "$dest.new" "$dest"
		echo "$package" >"$dest/package"
		echo "$dest"
		exit 0
	fi
	n=$((n + 1))
	[ $n -lt 4 ] || break
done
rm -rf "$dest.new"
skip "none of the suite's cloud kernels can be downloaded"
