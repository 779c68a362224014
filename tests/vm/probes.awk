# SPDX-License-Identifier: GPL-2.0-or-later
# The tables of docs/probes.md, out of .proofs (EVENT:TEST lines) and one --list a kernel.
FILENAME == ".proofs" {
	split($0, p, ":")
	tests[p[1]] = tests[p[1]] (tests[p[1]] ? ", " : "") "`" p[2] "`"
	next
}
$1 == "kernel" { version[FILENAME] = $2; next }
$1 == "EVENT" || $1 ~ /^CAP/ || NF < 4 { next }
{
	event = $1
	if (!(event in group)) {
		order[++n_events] = event
		group[event] = $2
	}
	# METHOD:TARGET, or PART=METHOD:TARGET
	for (i = 3; i <= NF && $i ~ /^(([^ =:]+=)?[a-z_]+:[^ ]+|-)$/; i++) {
		if ($i == "-") continue
		sub(/^[^ =:]+=/, "", $i)
		key = event SUBSEP $i
		if (!(key in seen)) {
			seen[key] = 1
			hooks[event] = hooks[event] " " $i
		}
		used[key, FILENAME] = 1
	}
	rest = ""
	for (; i <= NF; i++) rest = rest (rest ? " " : "") $i
	if (rest ~ /^(absent|partly):/ || rest ~ /does not see/) {
		sub(/^attaches; /, "", rest)
		key = event SUBSEP rest
		if (!(key in said)) notes[++n_notes] = key
		said[key] = said[key] (said[key] ? ", " : "") FILENAME
	}
}
function short(name) {
	if (name == "host") return "host"
	match(version[name], /^[0-9]+\.[0-9]+/)
	return substr(version[name], RSTART, RLENGTH)
}
END {
	n = split(suites, suite, " ")
	line = "| event | group | hook |"
	rule = "|---|---|---|"
	for (k = 1; k <= n; k++) {
		line = line " " short(suite[k]) " |"
		rule = rule ":-:|"
	}
	print line " test |"
	print rule "---|"
	for (e = 1; e <= n_events; e++) {
		event = order[e]
		m = split(hooks[event], hook, " ")
		for (h = 1; h <= m; h++) {
			line = "| " (h == 1 ? "`" event "`" : "") " | " (h == 1 ? group[event] : "")
			line = line " | `" hook[h] "` |"
			for (k = 1; k <= n; k++)
				line = line (used[event, hook[h], suite[k]] ? " x |" : " |")
			print line " " (h == 1 ? (event in tests ? tests[event] : "**none**") : "") " |"
		}
	}
	print ""
	print "## What is missing where"
	print ""
	print "| event | kernels | |"
	print "|---|---|---|"
	for (i = 1; i <= n_notes; i++) {
		split(notes[i], p, SUBSEP)
		where = said[notes[i]]
		m = split(where, w, ", ")
		where = ""
		for (k = 1; k <= m; k++) where = where (where ? ", " : "") short(w[k])
		print "| `" p[1] "` | " where " | " p[2] " |"
	}
	print ""
	print "## Kernels"
	print ""
	for (k = 1; k <= n; k++)
		print "- " short(suite[k]) ": " version[suite[k]] (suite[k] == "host" ? \
			", a machine without kprobes and trampolines" : ", Debian " suite[k])
}
