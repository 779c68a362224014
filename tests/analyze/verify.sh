#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# verify against damage of all kinds: whatever byte of a trace changes, or wherever it is cut, verify
# says so, at or before that place, or nothing that a reader shows has changed (padding).
set -eu
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
good=$(dirname "$0")/../../sample-traces/client-closes-first.tcptape

is "what it says of a good trace" "$("$TCPTAPE" verify "$good")" \
	"$good: $("$TCPTAPE" dump --json "$good" | grep -vc '"event":"snap_') events in 1 chunks, 1 snapshots: good"

cat >"$tmp/damage.py" <<'EOF'
import random, subprocess, sys

tool, path, scratch = sys.argv[1:]
good = open(path, "rb").read()
dump = lambda p: subprocess.run([tool, "dump", "--json", p], capture_output=True).stdout
was, rng, n_told, n_same = dump(path), random.Random(7), 0, 0


def attempt(data, at, what):
    """verify must tell, or nothing may have changed."""
    global n_told, n_same
    open(scratch, "wb").write(data)
    run = subprocess.run([tool, "verify", "--csv", "--no-header", scratch], capture_output=True, text=True)
    if run.returncode == 0 and (dump(scratch) == was or "not closed" in run.stderr):
        n_same += 1
        return
    first = min((int(line.split(",")[0]) for line in run.stdout.splitlines()), default=0)
    if run.returncode != 1 or first > at:
        sys.exit(f"{what} at byte {at}: status {run.returncode}, {run.stdout!r} {run.stderr!r}")
    n_told += 1


for at in sorted(rng.sample(range(len(good)), 150)):
    data = bytearray(good)
    data[at] ^= 1 << rng.randrange(8)
    attempt(bytes(data), at, "a bit flipped")
for at in sorted(rng.sample(range(1, len(good)), 60)):
    attempt(good[:at], at, "cut")
for _ in range(20):
    at, n = rng.randrange(len(good) // 8) * 8, 8 * rng.randrange(1, 40)
    attempt(good[:at] + good[at + n:], at, "bytes taken out")
    attempt(good[:at] + rng.randbytes(n) + good[at:], at, "bytes put in")
attempt(good + b"more", len(good), "bytes at the end")
print(n_told, n_same)
EOF
counts=$(python3 "$tmp/damage.py" "$TCPTAPE" "$good" "$tmp/bad.tcptape") || counts="0 0 $counts"
echo "told, nothing changed: $counts"
between "kinds of damage told" "${counts%% *}" 200 251
finish
