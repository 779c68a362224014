#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What meson's test logs say, for ./test.sh.

summary.py LABEL=TESTLOG.json...
    Prints the end of each failed test's output, each skipped test with its reason (the last line it
    printed), the slowest ones, and last `N passed, N failed, N skipped`. Exit status 1 if one
    failed. A log that is not there counts as one failed test, named after its label: the build
    failed. Tests of TESTLOG-again.json, where there is one, were run a second time: one that then
    passed counts as passed, and is shown with its first output.
summary.py --failed SUITE... TESTLOG.json
    Prints the names of the failed tests of these suites.
"""
import json
import os
import sys

PASSED = {"OK", "EXPECTEDFAIL"}


def load(path):
    with open(path, encoding="utf-8") as log:
        tests = [json.loads(line) for line in log]
    for test in tests:
        suites, _, test["name"] = test["name"].rpartition(" / ")
        test["suites"] = set(suites.rpartition(":")[2].split("+"))
    return tests


def is_failed(test):
    return test["result"] not in PASSED | {"SKIP"}


def read(argument):
    label, _, path = argument.partition("=")
    again = path.replace(".json", "-again.json")
    try:
        tests = load(path)
    except OSError:
        tests = [{"name": "build", "result": "FAIL", "duration": 0, "stdout": ""}]
    second = {test["name"]: test for test in load(again)} if os.path.exists(again) else {}
    for test in tests:
        if is_failed(test) and test["name"] in second:
            test["first"] = test.copy()
            test.update(second[test["name"]])
        test["name"] = f"{label}: {test['name']}"
    return tests


def last_line(test):
    lines = (test.get("stdout") or "").strip().splitlines()
    return lines[-1] if lines else "no reason given"


def show(test, what):
    print(f"\n--- {what}")
    for stream in "stdout", "stderr":
        lines = (test.get(stream) or "").splitlines()
        for line in [x for x in lines[:-40] if "FAIL" in x] + lines[-40:]:
            print(f"    {line}")


def summarize(arguments):
    tests = [test for argument in arguments for test in read(argument)]
    skipped = [t for t in tests if t["result"] == "SKIP"]
    failed = [t for t in tests if is_failed(t)]
    for test in tests:
        if not is_failed(test) and "first" in test:
            show(test["first"], f"{test['name']}: failed, then passed when run again:")
    for test in failed:
        show(test, f"{test['name']}: {test['result']}")
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


def main():
    if sys.argv[1:2] != ["--failed"]:
        return summarize(sys.argv[1:])
    for test in load(sys.argv[-1]):
        if is_failed(test) and test["suites"] & set(sys.argv[2:-1]):
            print(test["name"])
    return 0


sys.exit(main())
