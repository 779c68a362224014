#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# man.sh SOURCE BUILD: every command and the recorder has a page that has each option of its --help, and
# no other; each example of the pages works on the sample traces.
set -eu
source=$1 build=$2
tape=${TCPTAPE:-$build/analyze/tcptape} recorder=${TCPTAPE_RECORD:-}
[ -e "$build/docs/man/tcptape.1" ] || {
	echo "SKIP: no manual pages were built (scdoc)"
	exit 77
}
PATH=$(dirname "$tape"):${recorder:+$(dirname "$recorder")}:$PATH
tmp=$(mktemp -d) failed=0
trap 'rm -rf "$tmp"' EXIT
fail() {
	echo "FAIL  $*"
	failed=1
}

# long options, at the begin of rows
of_help() { sed -n 's/^ \{2,6\}\(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p' | sort; }
of_page() { # terms, in bold
	sed 's/\\-/-/g' "$1" | sed -n 's/^\\fB\(-.\\fR, \\fB\)\{0,1\}\(--[a-z0-9-]*\)\\fR.*/\2/p' | sort
}
same_options() { # PAGE COMMAND...
	page=$build/docs/man/$1
	shift
	[ -e "$page" ] || {
		fail "$* has no page $page"
		return 0
	}
	"$@" --help | of_help >"$tmp/help"
	of_page "$page" >"$tmp/page"
	[ -s "$tmp/help" ] || fail "$* --help has no options"
	cmp -s "$tmp/help" "$tmp/page" || {
		fail "$page and $* --help differ:"
		diff "$tmp/help" "$tmp/page" || :
	}
}
n=0
for command in $("$tape" --help | sed -n 's/^  \([a-z]*\)  *[a-zA-Z].*/\1/p'); do
	[ "$command" != record ] || continue
	same_options "tcptape-$command.1" "$tape" "$command"
	n=$((n + 1))
done
[ $n -ge 17 ] || fail "only $n commands found"
[ -z "$recorder" ] || same_options tcptape-record.8 "$recorder"

is_built() { # EXAMPLE
	case $1 in # not in every build
	tcptape\ report*) "$tape" --help | grep -q '^  report ' ;;
	esac
}

# examples: "$ COMMAND" in the pages' sources; the recorder's only to its options
cp -R "$source"/sample-traces/*.tcptape "$source"/sample-traces/*.pcap "$source/sample-traces/explain" "$tmp"
sed -n 's/^\$ //p' "$source"/docs/man/*.scd >"$tmp/examples"
[ "$(wc -l <"$tmp/examples")" -ge 20 ] || fail "only $(wc -l <"$tmp/examples") examples found"
while read -r example; do
	case $example in
	tcptape\ *) ;;
	*)
		[ -n "$recorder" ] || continue
		example="tcptape-record ${example#*tcptape-record } --help"
		example=$(echo "$example" | sed 's/ -- .* --help/ --help/')
		;;
	esac
	is_built "$example" || continue
	status=0
	(cd "$tmp" && eval "$example") >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	# 1: a difference was found (compare)
	case $status:$example in
	0:* | 1:tcptape\ compare*) ;;
	*) fail "$example: exit status $status: $(cat "$tmp/err")" ;;
	esac
	[ -s "$tmp/out" ] || fail "$example: prints nothing: $(cat "$tmp/err")"
done <"$tmp/examples"
# those of README name files that are not here: their options must be right
sed -n 's/^    \$ \(tcptape [a-z]* .*\)/\1/p' "$source/README.md" >"$tmp/readme"
while read -r example; do
	is_built "$example" || continue
	eval "set -- $example"
	"$@" --help >"$tmp/out" 2>"$tmp/err" || fail "README: $example: $(cat "$tmp/err")"
done <"$tmp/readme"
[ -s "$tmp/readme" ] || fail "no examples found in README.md"

# tcptape help, away from a terminal
"$tape" help rtt >"$tmp/a" && "$tape" rtt --help >"$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || fail "tcptape help rtt and tcptape rtt --help differ"
! "$tape" help nosuch >"$tmp/out" 2>"$tmp/err" || fail "tcptape help nosuch ends with 0"
echo "$n commands, $(wc -l <"$tmp/examples") examples"
exit $failed
