# SPDX-License-Identifier: GPL-2.0-or-later
#
# A manual page for scdoc out of what a program's --help says, so that both agree:
# awk -v page=NAME -v section=N [-v summary=TEXT] -f page.awk HELP
# The help is: "usage: ..."; a line of summary; sections of rows, each "  LEFT  TEXT", gone on with
# by deeply indented lines; then text.
function plain(s) {
	gsub(/[\\*_#~[\]|`]/, "\\\\&", s)
	sub(/^-/, "\\-", s)
	return s
}
function left_side(s,   n, word, i, t) { # names in bold, their values underlined
	n = split(s, word, " ")
	for (i = 1; i <= n; i++) {
		comma = sub(/,$/, "", word[i]) ? "," : ""
		t = t (i > 1 ? " " : "") (word[i] ~ /^-|^CAP_|^[a-z]/ ? "*" plain(word[i]) "*" : "_" plain(word[i]) "_") comma
	}
	return t
}
function heading(title) {
	end_row()
	rows = rows "\n# " toupper(title) "\n\n"
	in_rows = 1
}
function end_row() {
	if (term != "") rows = rows left_side(term) "\n\t" plain(text) "\n\n"
	term = ""
}
function words_of(s) {
	sub(/^ +/, "", s)
	return s
}
NR == 1 {
	sub(/^usage: /, "")
	usage = $0
	next
}
/^[A-Z][a-z ]+:$/ || /^(options|event groups|capabilities|exit status)( \([^)]*\))?:/ {
	title = $0
	sub(/( \([^)]*\))?:.*/, "", title)
	rest = substr($0, length(title) + 1)
	sub(/:$/, "", rest)
	sub(/^: */, "", rest)
	heading(title)
	rest = words_of(rest)
	if (rest != "") rows = rows plain(rest) "\n" (rest ~ /\)$/ ? "\n" : "")
	next
}
/^  +[^ ]/ && match($0, /[^ ]  +[^ ]/) && RSTART < 40 && $0 !~ /^            / {
	left = words_of(substr($0, 1, RSTART))
	right = words_of(substr($0, RSTART + 1))
	if (!in_rows) heading("commands")
	end_row()
	term = left
	text = right
	next
}
/^            / && term != "" {
	text = text " " words_of($0)
	next
}
NF == 0 {
	end_row()
	if (in_rows && rows ~ /[^\n]$/) rows = rows "\n"
	blank = 1
	next
}
{
	line = $0
	if (NR == 2 && summary == "") {
		summary = line
		sub(/;.*/, "", summary)
		next
	}
	end_row()
	# what stands behind rows belongs to them, unless a blank line is between
	if (in_rows && blank) in_rows = 0
	if (in_rows) rows = rows plain(line) "\n"
	else if (line ~ /^ /) about = about "\n```\n" line "\n```\n"
	else about = about (blank && about != "" ? "\n" : "") plain(line) "\n"
	blank = 0
}
END {
	end_row()
	print page "(" section ")\n"
	print "# NAME\n\n" page " - " plain(summary) "\n"
	print "# SYNOPSIS\n\n*" plain(usage) "*"
	if (about != "") print "\n# DESCRIPTION\n\n" about
	print rows
}
