#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# anonymize: of every sample trace, no name and no public address is left: not in what --check lists,
# not in the bytes of the output; what it is about is still there.
set -u
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
"$TCPTAPE" anonymize --help >"$tmp/help" 2>&1 || skip "built without libcrypto"
traces=$(dirname "$0")/../../sample-traces

cat >"$tmp/check.py" <<'END'
import csv, hashlib, io, ipaddress, os, subprocess, sys

tool, scratch, traces = sys.argv[1:4]
key, other = scratch + "/key", scratch + "/other"
open(key, "wb").write(hashlib.sha256(b"key").digest())
open(other, "wb").write(hashlib.sha256(b"other").digest())
# Kinds of text that tell of a kernel, and stay.
KERNEL = ("snap_symbol.", "snap_stack.", "snap_counter.", "name.", "META.probe.", "META.absent.",
          "META.parts.", "META.groups", "META.machine", "META.snapshot", "META.end.", "META.loss.",
          "META.identity", "META.sysctl.", "META.buffer.", "META.cpus", "recorder", "rate.",
          "META.option.", "META.derived.", "META.budget", "META.left_out")
KNOWN = {"cubic", "reno", "lo", "noqueue", "fq_codel", "mq", "pfifo_fast", "tbf", "netem", "/", "fq", "bbr"}
faults = 0


def run(*args):
    p = subprocess.run([tool, *args], capture_output=True)
    if p.returncode:
        sys.exit(f"{args}: {p.stderr.decode()}")
    return p.stdout


def listed(path):
    rows = csv.DictReader(io.StringIO(run("anonymize", "--check", "--csv", path).decode("utf-8", "replace")))
    return [(r["kind"], r["value"]) for r in rows]


def fault(*what):
    global faults
    faults += 1
    print("FAIL:", *what)


names, addresses, seen = 0, 0, {}
for name in sorted(os.listdir(traces)):
    if not name.endswith(".tcptape"):
        continue
    path, out = traces + "/" + name, scratch + "/out"
    run("anonymize", "--strict", "--key", key, "-o", out, "--force", path)
    run("verify", out)
    before, after = listed(path), listed(out)
    left, stored = {v for _, v in after}, open(out, "rb").read()
    for kind, value in before:
        if kind.startswith(KERNEL) or value in KNOWN:
            continue
        if kind == "address":
            addresses += 1
            if ipaddress.ip_address(value).is_unspecified:
                continue
            packed = ipaddress.ip_address(value).packed
            if value in left:
                fault(name, "address left:", value)
        else:
            names += 1
            packed = value.encode()
            if value in left:
                fault(name, kind, "left:", value)
        if len(packed) > 4 and packed in stored:
            fault(name, kind, "in the bytes:", value)
    # as many different ones as before, and as many events
    for kind in {k for k, _ in before}:
        if kind in ("address", "task.comm", "snap_netns.name", "snap_link.name", "snap_cgroup.path"):
            n, k = (sum(1 for x in t if x[0] == kind) for t in (before, after))
            if n != k:
                fault(name, f"{k} {kind}, of {n}")
    shape = lambda p: [l.count(b":") for l in run("dump", "--json", "--no-snapshot", p).splitlines()
                       if l.startswith(b'{"time')]
    if len(shape(path)) != len(shape(out)):
        fault(name, "other events")
    # the same key, the same names: in any trace
    pairs = dict(zip([b for b in before if b[0] == "task.comm"], [a for a in after if a[0] == "task.comm"]))
    for old, new in pairs.items():
        if seen.setdefault(old, new) != new:
            fault(name, old, "has two names")
    run("anonymize", "--key", other, "-o", out, "--force", path)
    if {v for k, v in listed(out) if k == "task.comm"} & {v for _, v in pairs.values()} - {""}:
        fault(name, "two keys, the same names")
    kept = {v for k, v in listed(out) if k == "address"}
    for kind, value in before:
        if kind == "address" and ipaddress.ip_address(value).is_private and value not in kept:
            fault(name, "a private address was replaced:", value)
print(f"{names} names, {addresses} addresses: {faults} faults")
sys.exit(faults > 0 or not names or not addresses)
END
python3 "$tmp/check.py" "$TCPTAPE" "$tmp" "$traces" || exit 1
