#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# completion.sh SOURCE: what bash would offer, by calling the completion function.
set -eu
source=$1
command -v bash >/dev/null || {
	echo "SKIP: bash is not installed"
	exit 77
}
PATH=$(dirname "$TCPTAPE"):${TCPTAPE_RECORD:+$(dirname "$TCPTAPE_RECORD")}:$PATH
failed=0
cd "$source/sample-traces"
offers() { # LINE WORD...: of a line with the cursor behind it, at least these
	line=$1
	shift
	got=$(bash -c '. "$0/docs/completion/tcptape"
		read -ra COMP_WORDS <<<"$1"
		[[ $1 != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_tcptape; printf "%s\n" "${COMPREPLY[@]}"' "$source" "$line")
	for word in "$@"; do
		case $word in
		!*) ! echo "$got" | grep -qxF -e "${word#!}" || wrong="$word" ;;
		*) echo "$got" | grep -qxF -e "$word" || wrong="$word" ;;
		esac
		[ -z "${wrong:-}" ] || {
			echo "FAIL  '$line': $wrong; it offers: $got"
			failed=1
		}
		wrong=''
	done
}
offers 'tcptape ' rtt connlat info help --version
offers 'tcptape r' rtt retrans resets record '!info'
offers 'tcptape help co' connlat '!rtt'
offers 'tcptape rtt --p' --percentiles --pid '!--raw'
offers 'tcptape rtt -' --interval -i --lport -p --json --help
offers 'tcptape connlat h' http-20ms.tcptape '!README.md' '!--help'
offers 'tcptape rtt --pid ' '!http-20ms.tcptape'
offers 'tcptape rtt --raw http' http-20ms.tcptape
if [ -n "${TCPTAPE_RECORD:-}" ]; then
	offers 'tcptape-record --' --output --duration --list '!--percentiles'
	offers 'tcptape-record -e r' rtt retrans reset rx '!conn'
	offers 'tcptape record --no' --note --no-snapshot
fi
[ $failed = 1 ] || echo "all offered"
exit $failed
