#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# completion.sh SOURCE: what bash and zsh offer: bash by calling the completion function, zsh at a terminal.
set -eu
source=$1
PATH=$(dirname "$TCPTAPE"):${TCPTAPE_RECORD:+$(dirname "$TCPTAPE_RECORD")}:$PATH
failed=0
cd "$source/sample-traces"
bash_offers() { # LINE: one a line
	bash -c '. "$0/docs/completion/tcptape"
		read -ra COMP_WORDS <<<"$1"
		[[ $1 != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_tcptape; printf "%s\n" "${COMPREPLY[@]}"' "$source" "$1"
}
zsh_offers() {
	zsh -f "$source/tests/checks/offers.zsh" "$source/docs/completion" "$1"
}
offers() { # LINE WORD...: at its end, at least these; not those with a !
	line=$1
	shift
	for shell in $shells; do
		got=$(${shell}_offers "$line")
		for word in "$@"; do
			wrong=''
			case $word in
			!*) ! echo "$got" | grep -qxF -e "${word#!}" || wrong=1 ;;
			*) echo "$got" | grep -qxF -e "$word" || wrong=1 ;;
			esac
			[ -z "$wrong" ] || {
				echo "FAIL  $shell, '$line': $word; it offers: $got"
				failed=1
			}
		done
	done
}
shells=''
for shell in bash zsh; do
	if command -v $shell >/dev/null; then shells="$shells $shell"; else missing=$shell; fi
done
[ -n "$shells" ] || {
	echo "SKIP: neither bash nor zsh is installed"
	exit 77
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
	if command -v zsh >/dev/null; then
		shells=zsh
		offers 'tcptape-record -e rtt,r' retrans '!rtt'
		offers 'tcptape-record -d 3 -- ls ht' http-20ms.tcptape
		offers 'tcptape-record -- tcptape-r' tcptape-record
	fi
fi
[ $failed = 0 ] || exit 1
[ -z "${missing:-}" ] || {
	echo "SKIP: $missing is not installed; the other offers all"
	exit 77
}
echo "bash and zsh offer all"
