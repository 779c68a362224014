#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""compare.py TCPTAPE REAL GENERATED

Events by type (a share of all) and bytes an event of a real recording beside those of a generated
trace. Exit status 1 if they are further apart than they should be: types that make up 1 % of the
events within 10 % of the real share and, where they make up 1 % of the bytes, within 15 % of the real
bytes an event; all together within 15 %.
"""
import json
import subprocess
import sys


def read(tcptape, trace):
    out = subprocess.run([tcptape, "info", "--json", trace], stdout=subprocess.PIPE, check=True)
    info = json.loads(out.stdout.decode().splitlines()[0])
    rows = {r["name"]: (r["count"], r["bytes"]) for r in info["types"] if r["group"] != "snapshot"}
    n = sum(r["count"] for r in info["types"] if r["group"] not in ("snapshot", "table"))
    return n, info["chunk_bytes"], rows


def main():
    (n, size, real), (n2, size2, made) = (read(sys.argv[1], f) for f in sys.argv[2:4])
    bad = 0
    print(f"{'':18}{'share':>8}{'made':>8}{'':>6}  {'B/each':>8}{'made':>8}{'':>6}  {'B/event':>8}")
    for name in sorted(real, key=lambda k: -real[k][1]):
        count, b = real[name]
        count2, b2 = made.get(name, (0, 0))
        if b / size < 0.002 or not count:
            continue
        share, each = count2 / n2 / (count / n) - 1, (b2 / count2) / (b / count) - 1 if count2 else -1
        flags = (count / n > 0.01 and abs(share) > 0.1) + (b / size > 0.01 and abs(each) > 0.15)
        bad += flags
        print(f"{name:18}{count / n:8.4f}{count2 / n2:8.4f}{share * 100:+6.0f}  {b / count:8.2f}"
              f"{b2 / max(1, count2):8.2f}{each * 100:+6.0f}  {b / n:8.3f}{'  <' * flags}")
    total = (size2 / n2) / (size / n) - 1
    print(f"{'all':50}{size / n:8.2f}{size2 / n2:8.2f}{total * 100:+6.0f}")
    return bad + (abs(total) > 0.15)


sys.exit(1 if main() else 0)
