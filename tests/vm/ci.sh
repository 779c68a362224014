#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What docs/ci.md (here /tests/ci.md) tells a CI job to do, as it stands there: five recordings of
# the known version, five of a change, compare. The change adds a tenth to a network of 10 ms, or
# nothing.
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_recorder
[ -n "${TCPTAPE_VM:-}" ] || skip "needs the VM: deterministic time and netem"

block() { # N: the N-th example of commands, for this user and in namespace A
	awk -v want="$1" '/^    / { if (!inside) n++; inside = 1; if (n == want) print; next }
		!/^$/ { inside = 0 }' "$(dirname "$0")/../ci.md" |
		sed "s/sudo tcptape-record/ip netns exec $A tcptape-record/"
}
netem() { # DELAY
	for ns in "$A" "$B"; do tc -n "$ns" qdisc change dev veth0 root netem limit 10000 delay $1; done
}
compare() { # the job's verdict, in $status
	status=0
	(eval "$(block 2)") || status=$?
}

make_namespaces
join_by_veth 10ms
serve load 10.9.0.2 8080
cd "$tmp"
printf '#!/bin/sh\nexec %s client -n 20 -c 3 10.9.0.2 8080 >/dev/null\n' "$LOAD" >load-test.sh
chmod +x load-test.sh

is "the page's commands" "$(block 1 | grep -c tcptape-record) $(block 2 | grep -c 'tcptape compare')" '1 1'
netem '10ms 1ms'
eval "$(block 1)"
is "recordings" "$(ls base?.tcptape | wc -l)" 5
for run in 'nothing 10ms 1ms 0' 'slower 11ms 1.1ms 1'; do
	# shellcheck disable=SC2086 # words
	set -- $run
	netem "$2 $3"
	eval "$(block 1 | sed 's/base/new/')"
	compare
	is "$1: the job's status" "$status" "$4"
	check "$1: JUnit says so" [ "$(grep -c '<failure' tcptape.xml)" -ge "$4" ]
	tcptape compare -f 'port 8080' base*.tcptape -- new*.tcptape || :
	rm new?.tcptape
done
finish
