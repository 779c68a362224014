#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# arrows.sh SOURCE: may this file include that one? Only downwards: in format/ by the order below,
# bpf -> format/events.*, format/filter -> nothing, record -> format, its filter and bpf's groups and skeletons, analyze -> format, filter.
cd "$1" && grep -Ho '^#include "[^"]*"' format/*.[ch] format/filter/*.[ch] bpf/*.[ch] record/*.[ch] \
	analyze/*.[ch] 2>/dev/null | sed 's|^format/filter/|filter/|; s/:#include "\(.*\)"/ \1/' | awk '
	function base(p) { sub(".*/", "", p); return p }
	function folder(name, i) {
		for (i = 1; i <= 5; i++) if (("" top[i] "/" name) in file) return top[i]
		return name ~ /\.skel\.h$/ ? "bpf" : ""
	}
	BEGIN {
		split("format filter bpf record analyze", top, " ")
		while (("ls format/*.[ch] format/filter/*.[ch] bpf/* record/* analyze/* | sed s:^format/filter:filter:" | getline f) > 0) file[f]
		n = split("arena buffer error layout events|schema schema_text|cursor|codec frame|predict|" \
			"block source chunk chunk_head chunk_parts undo patch rows rows_parts build build_parts intern move encode index thread|" \
			"blocks writer|reader reader_parts facts walk pass", layer, "|")
		for (i = 1; i <= n; i++) {
			k = split(layer[i], names, " ")
			for (j = 1; j <= k; j++) rank[names[j]] = i
		}
	}
	{
		from = $1; sub("/.*", "", from)
		to = (from "/" base($2)) in file ? from : folder(base($2))
		mine = base($1); sub(/\..*/, "", mine)
		its = base($2); sub(/\..*/, "", its)
		ok = to == from || to == "format" && from != "bpf" && from != "filter" || to == "bpf" && from == "record" ||
			to == "filter" && (from == "record" || from == "analyze") ||
			to == "format" && its == "events"
		if (from == "format") {
			if (!(mine in rank) || !(its in rank)) ok = 0
			else ok = rank[its] <= rank[mine]
		}
		n_all++
		if (!ok) { print $1 " must not include " $2; bad++ }
	}
	END { print n_all " includes, " bad + 0 " against the arrows"; exit bad > 0 || !n_all }'
