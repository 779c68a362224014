#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""summary.py LABEL=TESTLOG.json...: what meson's test logs say, for ./test.sh.

Prints the end of each failed test's output, each skipped test with its reason (the last line it
printed), the slowest ones, and last `N passed, N failed, N skipped`. Exit status 1 if one failed.
A log that is not there counts as one failed test, named after its label: the build failed.
"""
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}


def read(argument):
    label, _, path = argument.partition("=")
    try:
        with open(path, encoding="utf-8") as log:
            tests = [json.loads(line) for line in log]
    except OSError:
        tests = [{"name": "build", "result": "FAIL", "duration": 0, "stdout": ""}]
    for test in tests:
        test["name"] = f"{label}: {test['name'].rpartition(' / ')[2]}"
    return tests


def last_line(test):
    lines = (test.get("stdout") or "").strip().splitlines()
    return lines[-1] if lines else "no reason given"


def main():
    tests = [test for argument in sys.argv[1:] for test in read(argument)]
    skipped = [t for t in tests if t["result"] == "SKIP"]
    failed = [t for t in tests if t["result"] not in PASSED | {"SKIP"}]
    for test in failed:
        print(f"\n--- {test['name']}: {test['result']}")
        for stream in "stdout", "stderr":
            for line in (test.get(stream) or "").splitlines()[-40:]:
                print(f"    {line}")
    if skipped:
        print("\nskipped:")
    for test in skipped:
        print(f"  {test['name']}: {last_line(test).removeprefix('SKIP: ')}")
    print("\nslowest:")
    for test in sorted(tests, key=lambda t: -t["duration"])[:5]:
        print(f"  {test['duration']:6.1f} s  {test['name']}")
    print(f"\n{len(tests) - len(failed) - len(skipped)} passed, "
          f"{len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not tests else 0


sys.exit(main())
