# SPDX-License-Identifier: GPL-2.0-or-later
# zsh -f offers.zsh DIRECTORY LINE: what zsh offers, one a line, with the completion functions of
# DIRECTORY, for TAB at the end of LINE. zsh completes at a terminal only, so it is given one.
setopt err_exit
zmodload zsh/zpty
out=$(mktemp)
trap 'rm -f $out; zpty -d inner' EXIT
cat >$out.rc <<'EOF_RC'
autoload -Uz compinit && compinit -u -D
compadd() { # what is added to the list, and not to an array of the caller's
	local -a hits
	if [[ " ${@[1,(i)(-|--)]} " != *" -"(O|A|D)" "* ]]; then
		builtin compadd -O hits "$@"
		print -rl -- $hits >>$OUT
	fi
	builtin compadd "$@"
}
comppostfuncs=(completed)
completed() { print -r "=== completed" >>$OUT }
bindkey '^I' complete-word
print -r "=== ready" >>$OUT
EOF_RC
until_says() { # TEXT
	for i in {1..300}; do
		! grep -qx "=== $1" $out || return 0
		sleep 0.1
	done
	print -u2 "zsh never was $1"
	exit 1
}
zpty inner "TERM=dumb OUT=$out zsh -f -i"
zpty -w inner "PS1=; cd ${(q)PWD}; fpath=(${(q)1} \$fpath); . $out.rc"
until_says ready
rm -f $out.rc
zpty -w -n inner "$2"$'\t'
until_says completed
grep -v '^===' $out || true
