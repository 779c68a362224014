#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py TCPTAPE TRACE PAGE: is the page whole, closed to the network, and what the commands say?"""
import base64
import hashlib
import html.parser
import json
import math
import subprocess
import sys

tape, trace, path = sys.argv[1:]
faults = 0


def check(what, good):
    global faults
    if not good:
        faults += 1
        print("FAIL ", what)


def is_same(what, got, wanted):
    check("%s: %s, not %s" % (what, str(got)[:200], str(wanted)[:200]), got == wanted)


def rows(*words):
    r = subprocess.run([tape, *words, "--json", trace], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in r.stdout.splitlines()]
    return [o for o in lines if list(o) not in (["note"], ["error"])]


class Page(html.parser.HTMLParser):
    VOID = {"meta", "br", "link", "img", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.parts, self.policy, self.tags = [], {}, "", []

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.tags.append(tag)
        check("%s fetches %s" % (tag, a), not {"src", "srcset", "data", "action"} & set(a) and
              a.get("href", "#").startswith("#"))
        check("%s has a handler" % tag, not any(k.startswith("on") for k in a))
        if a.get("http-equiv") == "Content-Security-Policy":
            self.policy = a["content"]
        if tag not in self.VOID:
            self.open.append((tag, a.get("type") or ""))

    def handle_endtag(self, tag):
        check("</%s> ends %s" % (tag, self.open[-1:]), self.open and self.open[-1][0] == tag)
        self.open = self.open[:-1]

    def handle_data(self, data):
        if self.open and self.open[-1][0] in ("script", "style"):
            self.parts[self.open[-1]] = self.parts.get(self.open[-1], "") + data


with open(path, encoding="utf-8", newline="") as f:
    text = f.read()
check("2 MB at most", len(text) <= 2_000_000)
page = Page()
page.feed(text)
page.close()
is_same("open elements at the end", page.open, [])
is_same("scripts: the data and ours", page.tags.count("script"), 2)
check("nothing is allowed at first", page.policy.startswith("default-src 'none';"))
for kind in ("script", "style"):
    digest = base64.b64encode(hashlib.sha256(page.parts[kind, ""].encode()).digest()).decode()
    check("the policy allows this %s" % kind, "%s-src 'sha256-%s'" % (kind, digest) in page.policy)
raw = page.parts["script", "application/json"]
check("no < in the data", "<" not in raw)
d = json.loads(raw)

info = rows("info")[0]
is_same("events", d["summary"]["events"], info["events"])
is_same("lost", d["summary"]["lost"], info["lost"])
is_same("host", d["summary"]["host"], next((m["value"] for m in info["meta"] if m["key"] == "host"), None))
is_same("events by kind", {t["name"]: t["count"] for t in d["types"]},
        {t["name"]: t["count"] for t in info["types"] if t["group"] != "table"})
is_same("losses", [(o["count"], o["group"], o["reason"]) for o in d["losses"]],
        [(o["count"], o["group"], o["reason"]) for o in info["losses"]])
causes = [o for o in rows("explain") if "cause" in o]
is_same("causes", [(c["cause"], c["cost_ms"], c["evidence"], c["next"]) for c in d["causes"]],
        [(c["cause"], c["cost_ms"], c["evidence"], c["next"]) for c in causes])

life = rows("life")
is_same("connections", d["summary"]["connections"], len(life))
is_same("left out", d["connections_left_out"], len(life) - len(d["connections"]))
keys = ("comm", "laddr", "lport", "raddr", "rport", "tx_bytes", "rx_bytes", "retransmits", "srtt_us", "end", "conn")
at = (8, 9, 10, 11, 12, 2, 3, 4, 5, 13, 14)
is_same("rows", sorted(str([r[i] for i in at]) for r in d["connections"]),
        sorted(str([o[k] for k in keys]) for o in life))

lanes = {lane["name"]: lane for lane in d["lanes"]}
for name, command in (("retransmits", "retrans"), ("drops", "drops"), ("resets", "resets")):
    told = rows(command)
    is_same(name, lanes[name]["n"] if name in lanes else 0, len(told))
    if name in lanes:
        is_same(name + " on the axis", sum(lanes[name]["bins"]), len(told))
        is_same(name + " by reason", sum(n for _, n in lanes[name]["why"]) + lanes[name]["other"], len(told))
connects = rows("connlat")
if "failed" in lanes:
    is_same("failed connects", lanes["failed"]["n"],
            sum(o["outcome"] not in ("ok", "pending") for o in connects))


def figures(o, suffix=""):
    return [o["n"]] + [o[k + suffix] for k in ("p50", "p90", "p99", "max")]


def near(a, b):
    return all((x is None and y is None) or abs(x - y) <= 0.0015 + 1e-6 * abs(y) for x, y in zip(a, b))


series = {s["name"]: s for s in d["series"]}
if "rtt" in series:
    s, step = series["rtt"], d["axis"]["step_s"]
    all_rtt = rows("rtt", "--percentiles")[0]
    check("rtt: %s, not %s" % (s["figures"], all_rtt), near(s["figures"], figures(all_rtt)))
    told = {math.floor((o["time_s"] - d["axis"]["from_s"]) / step + 1e-6): figures(o)
            for o in rows("rtt", "--percentiles", "-i", repr(step))}
    is_same("rtt: steps that have any", [b[0] for b in s["bins"]], sorted(told))
    check("rtt: step by step", all(near(b[1:], told[b[0]]) for b in s["bins"] if b[0] in told))
if "connect" in series:
    check("connect: n", series["connect"]["figures"][0] == sum(o["outcome"] == "ok" for o in connects))
for s in d["series"]:
    is_same(s["name"] + ": cells", sum(c[2] for c in s["cells"]), s["figures"][0])
layers = {x["name"]: x for x in d["layers"]}
for name in ("in", "out"):
    told = [o for o in rows("delay", "--" + name, "--percentiles") if o.get("n")]
    is_same(name + " is there", name in layers, bool(told))
    by_name = {o["layer"]: figures(o, "_us") for o in told}
    for layer in layers.get(name, {"layers": []})["layers"]:
        # one that has no hook of its own may stand there with those behind it, as mac+ip
        wanted = by_name.get(layer[0]) or next((v for k, v in by_name.items() if k.split("+")[0] == layer[0]), None)
        check("%s %s: %s, not %s" % (name, layer[0], layer[1:], wanted), wanted and near(layer[1:], wanted))
    if told:
        check(name + ": the whole", near(series[name]["figures"], by_name["total"]))
print("%s: %d kB, %d series, %d lanes, %d connections" % (path.split("/")[-1], len(text) // 1000, len(series), len(lanes),
                                                        len(d["connections"])))
sys.exit(faults > 0)
