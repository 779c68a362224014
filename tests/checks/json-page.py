#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""json-page.py SOURCE TCPTAPE MAKE-ODD: docs/json.md against what --json prints.

Each call that the page names runs on all sample traces, a trace of odd things (make-odd), a damaged one
and a repaired one, with each --by, and with -i. Every object must have the fields that the page lists
for that call, no others, and of these types; every field of the page must have been seen, with a value
or null. So must those of the golden outputs. Every command of --help has a section.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

SOURCE, TAPE, MAKE_ODD = sys.argv[1:4]
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
         "object": dict, "null": type(None)}
KEYS = "conn pid tid comm cgroup netns remote local listener interface".split()
WRITERS = {"cut", "merge", "pack"}
faults = set()


def fault(text):
    if text not in faults:
        print("FAIL ", text)
    faults.add(text)


# ---- the page ----

class Page:
    def __init__(self, path):
        self.macros, self.types, self.calls, self.sections = {}, {}, [], set()
        section = ""
        with open(path, encoding="utf-8") as page:
            text = page.read()
        for name, fields in re.findall(r"\*(\w+)\* stands for ((?:`[^`]+`\s*)+)", text):
            self.macros[name] = re.findall(r"`([^`]+)`", fields)
        for line in text.splitlines():
            if line.startswith("### "):
                section = line[4:]
                self.sections.update(section.split(", "))
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 3 and cells[0].startswith("`"):
                for name in re.findall(r"`([^`]+)`", cells[0]):
                    self.types[section, name] = cells[1].split(" or ")
            elif len(cells) == 2 and cells[0].startswith("`"):
                self.calls.append((cells[0].strip("`").split(), *self.fields(cells[1])))

    def fields(self, cell):
        required, optional = [], []
        is_open = cell.startswith("the ") or " and the " in cell
        for macro, maybe, name in re.findall(r"\*(\w+)(\??)\*|`([^`]+)`", cell):
            for field in self.macros[macro] if macro else [name]:
                (optional if maybe or field.endswith("?") else required).append(field.rstrip("?"))
        return required, optional, is_open

    def type_of(self, command, field):
        return self.types.get((command, field)) or self.types.get(("", field))


def flatten(prefix, value, into):
    """Paths of fields, as `meta[].key`: [values]."""
    into.setdefault(prefix, []).append(value)
    if isinstance(value, dict):
        for key, v in value.items():
            flatten(f"{prefix}.{key}", v, into)
    if isinstance(value, list):
        for v in value:
            flatten(prefix + "[]", v, into)


def is_of(value, types):
    if isinstance(value, bool):
        return "boolean" in types
    return any(isinstance(value, TYPES[t]) for t in types)


class Checker:
    def __init__(self, page):
        self.page, self.seen = page, set()

    def calls_of(self, words):
        """Rows of the page for a call: those with most of its options."""
        rows = [c for c in self.page.calls if c[0][0] == words[0] and set(c[0]) <= set(words)]
        most = max((len(c[0]) for c in rows), default=0)
        return [c for c in rows if len(c[0]) == most]

    def check_line(self, words, line):
        where = " ".join(words)
        o = json.loads(line)
        if list(o) in (["note"], ["error"]):
            return
        rows = self.calls_of(words)
        # of several kinds of objects, the one that has these fields
        rows = [r for r in rows if set(r[0]) <= set(words) and (r[3] or set(r[1]) & set(o))]
        fits = [r for r in rows if r[3] or set(f.split("[")[0] for f in r[1]) <= set(o)]
        if not fits:
            fault(f"{where}: no object of the page has just these fields: {' '.join(o)}")
            return
        _, required, optional, is_open = fits[0]
        flat = {}
        for key, value in o.items():
            if is_open and key not in required:
                continue
            flatten(key, value, flat)
        for field, values in flat.items():
            if isinstance(values[0], dict) and field.endswith("[]"):
                continue
            if field not in required + optional:
                fault(f"{where}: the page does not name {field}")
                continue
            types = self.page.type_of(words[0], field)
            if not types:
                fault(f"{words[0]}: the page gives {field} no type")
                continue
            for v in values:
                if not is_of(v, types):
                    fault(f"{where}: {field} is {json.dumps(v)[:60]}, not {' or '.join(types)}")
            self.seen.add((words[0], field))
        for field in required:  # of arrays, only if there is an element
            if "[" not in field and field not in flat:
                fault(f"{where}: {field} is missing")

    def check_seen(self):
        for words, required, optional, _ in self.page.calls:
            for field in required + optional:
                if (words[0], field) not in self.seen:
                    fault(f"{words[0]}: no trace of this test shows {field}")
        for section, field in self.page.types:
            users = {c for c, f in self.seen if f == field}
            if not (section in users if section else users):
                fault(f"the page tells of {field} in {section or 'Fields'}, and nothing has it")


# ---- events of dump: docs/events.md ----

def fields_of_events():
    events, name = {}, None
    with open(os.path.join(SOURCE, "docs/events.md"), encoding="utf-8") as page:
        for line in page:
            if line.startswith("### "):
                name = line[4:].strip()
                events[name] = set()
            field = re.match(r"\| `(\w+)` \|", line)
            if field and name:
                events[name].add(field[1])
    return events


def check_dump(events, line):
    o = json.loads(line)
    if "event" not in o:
        return
    known = events.get(o["event"], set()) | {"time_s", "ts_ns", "cpu", "event"}
    if "flow" in known:
        known |= events["flow"]
    for field in set(o) - known:
        fault(f"dump: docs/events.md has no field {field} of {o['event']}")


# ---- runs ----

CAPTURE = os.path.join(SOURCE, "sample-traces/wire.pcap")


def run(words, *files):
    words = [w for word in words for w in ([word, CAPTURE] if word == "--pcap" else [word])]
    done = subprocess.run([TAPE, words[0], "--json", *words[1:], *files], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout.splitlines()


def make_traces(tmp):
    traces = sorted(glob.glob(os.path.join(SOURCE, "sample-traces/*.tcptape")))
    odd, damaged, cut, repaired = (os.path.join(tmp, n + ".tcptape")
                                   for n in ("odd", "damaged", "cut", "repaired"))
    subprocess.run([MAKE_ODD, odd, "2"], check=True)
    subprocess.run([MAKE_ODD, odd + ".next", "4"], check=True)
    with open(os.path.join(SOURCE, "sample-traces/http-20ms.tcptape"), "rb") as f:
        data = bytearray(f.read())
    with open(cut, "wb") as f:
        f.write(data[:-100])
    data[data.rindex(b"TTB1\5") + 60] ^= 0x55  # the header of a chunk
    with open(damaged, "wb") as f:
        f.write(data)
    run(["repair", "-o", repaired], damaged)
    return traces + [odd, cut, damaged, repaired]


# Those that have what groups and intervals are made of.
TELLING = ("odd", "io", "loss", "late-reader", "tbf-hold", "turnaround", "listen-overflow")


def is_telling(trace):
    return os.path.basename(trace).removesuffix(".tcptape") in TELLING


def variants(words):
    """The call itself, with -i, and with every --by."""
    help_text = subprocess.run([TAPE, words[0], "--help"], capture_output=True, text=True,
                               check=True).stdout
    yield words
    if " --interval" in help_text:
        yield words + ["-i", "0.5"]
    if " --by" in help_text:
        for key in KEYS:
            yield words + ["--by", key]


def arguments(words, trace, tmp):
    """What the call needs besides a trace: [arguments, files]."""
    other = os.path.join(SOURCE, "sample-traces/loss.tcptape")
    command = words[0]
    if command == "delay" and "--out" not in words and "--in" not in words:
        return ["--in"], [trace]
    if command == "info" and len(words) == 1 and trace.endswith("odd.tcptape"):
        return [], [trace, trace + ".next"]
    if command == "compare":
        return ["--all", "--force"], [trace, other]
    if command == "join":  # the two ends of one recording
        server = os.path.join(SOURCE, "sample-traces/join-server.tcptape")
        return [] if trace.endswith("/join-client.tcptape") else None, [trace, server]
    if command == "timeline":
        lives = [json.loads(line) for line in run(["life"], trace)[1]]
        conn = next((o["conn"] for o in lives if o.get("conn")), None)
        return [conn] if conn else None, [trace]
    if command == "sql":
        return ["-c", "SELECT 1 AS one, 2.5, 'text', NULL"], [trace]
    if command in WRITERS | {"repair"}:
        return ["--force", "-o", os.path.join(tmp, "out")], [trace]
    return [], [trace]


def main():
    page = Page(os.path.join(SOURCE, "docs/json.md"))
    checker, events, n = Checker(page), fields_of_events(), 0
    help_text = subprocess.run([TAPE, "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  ([a-z]+) ", help_text, re.M)) - {"record"}
    for command in commands ^ (page.sections & commands):
        fault(f"the page has no section {command}")
    for command in page.sections - commands - {"sql", "anonymize", "report"}:
        fault(f"the page has a section {command}, which is no command")
    with tempfile.TemporaryDirectory() as tmp:
        traces = make_traces(tmp)
        calls = [c[0] for c in page.calls if c[0][0] in commands]
        calls += [[c] for c in commands if c in WRITERS]
        for words in (v for call in {tuple(c): c for c in calls}.values() for v in variants(call)):
            for trace in traces[:1] if words[0] == "sql" else traces:
                more, files = arguments(words, trace, tmp)
                if more is None or (words not in calls and not is_telling(trace)):
                    continue
                status, lines = run(words + more, *files)
                if status == 2:
                    break  # this command has not that --by
                for line in lines:
                    n += 1
                    checker.check_line(words, line)
                    if words[0] == "dump":
                        check_dump(events, line)
    golden = os.path.join(SOURCE, "tests/golden")
    with open(os.path.join(golden, "commands"), encoding="utf-8") as rows:
        named = dict(r.split(None, 1) for r in rows if r.strip() and r[0] != "#")
    for path in glob.glob(os.path.join(golden, "*.json")):
        trace, name = os.path.basename(path).split(".", 1)
        words = (named.get(f"{trace}/{name}") or named[name]).split()
        words.remove("--json")
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("{"):
                    n += 1
                    checker.check_line(words, line)
    checker.check_seen()
    print(f"{n} objects, {len(page.calls)} kinds of them, {len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
