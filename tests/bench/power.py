#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How often `tcptape compare` cries wolf, and how often it finds a change.

power.py TCPTAPE [--pairs N] [--side N] [--metric NAME.QUANTILE] [--seed N] A... [-- B...]

Each pair of sides is a random choice of recordings, disjoint. Without B both sides come from A: any
metric that is "worse" is a false alarm. With B the one side comes from A, the other from B: found if
the metric is "worse". Prints one line for each metric with a verdict, and the share of pairs.
"""
import collections
import json
import random
import subprocess
import sys


def compare(tcptape, base, new):
    run = subprocess.run([tcptape, "compare", "--json"] + base + ["--"] + new, capture_output=True, text=True)
    if run.returncode > 1:
        sys.exit(run.stderr)
    return [row for row in map(json.loads, run.stdout.splitlines()) if "metric" in row]


def name_of(row):
    return row["metric"] + ("." + row["quantile"] if row["quantile"] else "")


def main():
    args, sides, options = sys.argv[1:], [[], []], {"pairs": 100, "side": 5, "seed": 1, "metric": None}
    tcptape = args.pop(0)
    into = sides[0]
    while args:
        arg = args.pop(0)
        if arg == "--":
            into = sides[1]
        elif arg.startswith("--"):
            value = args.pop(0)
            options[arg[2:]] = value if arg == "--metric" else int(value)
        else:
            into.append(arg)
    rng, n = random.Random(options["seed"]), options["side"]
    verdicts, any_worse, widths = collections.defaultdict(collections.Counter), 0, collections.defaultdict(list)
    for _ in range(options["pairs"]):
        if sides[1]:
            base, new = rng.sample(sides[0], n), rng.sample(sides[1], n)
        else:
            both = rng.sample(sides[0], 2 * n)
            base, new = both[:n], both[n:]
        rows = compare(tcptape, base, new)
        any_worse += any(row["verdict"] == "worse" for row in rows)
        for row in rows:
            verdicts[name_of(row)][row["verdict"]] += 1
            if row["change_low_percent"] is not None:
                widths[name_of(row)].append(row["change_high_percent"] - row["change_low_percent"])
    print(f"{options['pairs']} pairs, {n} recordings a side, of {len(sides[0])}"
          + (f" and {len(sides[1])}" if sides[1] else ""))
    for name, counts in verdicts.items():
        width = sorted(widths[name])
        print(f"  {name:20}", " ".join(f"{v} {k}" for k, v in counts.most_common()),
              f"(median width of the interval {width[len(width) // 2]:.1f} %)" if width else "")
    print(f"pairs with any metric worse: {any_worse}")


main()
