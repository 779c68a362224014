#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""report.py TCPTAPE MAKE-SCRIPT SAMPLE-TRACES: pages of tcptape report in a real browser, headless. Does anything
leave the page, does its console complain, do charts show what the data has and gaps where there is none, do
texts of a trace stay texts; can it be read by keyboard, by a screen reader, on a phone, on paper, in the dark?"""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile

import browser as b

tape, make_script, samples = sys.argv[1:]
faults = 0


def check(what, good, said=""):
    global faults
    faults += not good
    print("ok   " if good else "FAIL ", what, "" if good else str(said)[:600], flush=True)


def is_same(what, got, wanted):
    check(what, got == wanted, "%s, not %s" % (got, wanted))


def same_steps(what, got, wanted):
    check(what, got == wanted, "drawn without values: %s; values not drawn: %s" % (sorted(got - wanted), sorted(wanted - got)))


def rows(command, trace):
    r = subprocess.run([tape, command, "--json", trace], capture_output=True, text=True, check=False)
    return [o for o in map(json.loads, r.stdout.splitlines()) if "note" not in o or len(o) > 1]


# ---- what is drawn ----

# Of each chart, for each step of its axis: the colours in the middle of that column. "mark" is opaque colour,
# "band" is translucent (lost events); the grid is grey.
COLUMNS = """(() => [...document.querySelectorAll(".chart")].map((box) => {
	const canvas = box.querySelector("canvas"), over = box.querySelector(".u-over");
	const c = canvas.getBoundingClientRect(), o = over.getBoundingClientRect(), scale = canvas.width / c.width;
	const w = Math.floor(o.width * scale), h = Math.floor(o.height * scale);
	const px = canvas.getContext("2d").getImageData((o.left - c.left) * scale, (o.top - c.top) * scale, w, h).data;
	const n = JSON.parse(document.getElementById("data").textContent).axis.n, steps = [];
	for (let i = 0; i < n; i++) {
		let mark = 0, band = 0;
		for (let y = 0; y < h; y++) {
			const at = (y * w + Math.floor((i + 0.5) / n * w)) * 4, [r, g, b, a] = px.slice(at, at + 4);
			const coloured = Math.max(r, g, b) - Math.min(r, g, b) > 24;
			mark += coloured && a > 200;
			band += coloured && a > 10 && a < 120;
		}
		steps.push([mark, band]);
	}
	let any = 0;
	for (let at = 0; at < px.length; at += 4)
		any += px[at + 3] > 200 && Math.max(px[at], px[at + 1], px[at + 2]) - Math.min(px[at], px[at + 1], px[at + 2]) > 24;
	return {label: box.getAttribute("aria-label"), steps, any};
}))()"""


def has_marks(chart):
    return {i for i, (mark, _) in enumerate(chart["steps"]) if mark}


def charts_show(name, page):
    d = page.js("JSON.parse(document.getElementById('data').textContent)")
    charts = page.js(COLUMNS)
    is_same(name + ": charts", len(charts), 2 * len(d["series"]) + any(lane["n"] for lane in d["lanes"]) + len(d["layers"]))
    for chart in charts:
        s = next((s for s in d["series"] if chart["label"].startswith(s["title"] + ": heat map")), None)
        if s:
            same_steps("%s: %s: drawn where there are values, empty where not" % (name, s["name"]), has_marks(chart),
                       {step[0] for step in s["bins"]})
        elif chart["label"].startswith("Events over time"):
            same_steps(name + ": events are drawn where they are", has_marks(chart),
                       {i for lane in d["lanes"] for i, n in enumerate(lane["bins"]) if n})
        else:
            check("%s: %s is not empty" % (name, chart["label"].split(":")[0]), chart["any"])
    return charts


def is_quiet(name, page, path):
    is_same(name + ": the console", page.said(), [])
    is_same(name + ": asked for", page.requests(), ["file://" + os.path.abspath(path)])


# ---- keyboard and screen reader ----

FOCUSABLE = """[...document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]')]
	.filter((e) => e.checkVisibility() && !e.disabled)"""


def by_keyboard(page):
    page.js("window.order = %s; document.activeElement.blur()" % FOCUSABLE)
    wanted = page.js("order.length")
    met, shown = [], []
    for _ in range(wanted + 1):
        page.key("Tab")
        met.append(page.js("order.indexOf(document.activeElement)"))
        shown.append(page.js("getComputedStyle(document.activeElement).outlineStyle"))
    is_same("Tab reaches everything, in order", met[:wanted], list(range(wanted)))
    check("focus is to be seen", all(s != "none" for s in shown[:wanted]), shown)
    check("and leaves the page at the end", met[wanted] == -1 or met[wanted] == 0, met[-3:])
    page.js("order[0].focus()")
    page.key("Enter", text="\r")
    page.settle()
    is_same("the first one skips to the content", page.js("document.activeElement.id"), "main")


SHOWN = """[...document.querySelectorAll("#connections tbody tr")].map((tr) => tr.lastChild.textContent)"""


def connections(page, life):
    sent = {str(o["conn"]): o["tx_bytes"] for o in life}
    is_same("all connections", sorted(page.js(SHOWN)), sorted(sent))
    for way, wanted in (("descending", sorted(sent.values(), reverse=True)), ("ascending", sorted(sent.values()))):
        page.js("[...document.querySelectorAll('#connections th button')].find((e) => e.textContent === 'sent').focus()")
        page.key("Enter", text="\r")
        is_same("sorted by what was sent, " + way, [sent[c] for c in page.js(SHOWN)], wanted)
        is_same("which is told", page.js("[...document.querySelectorAll('[aria-sort]')].map((e) => [e.textContent, e.ariaSort])"),
                [["sent", way]])
    page.js("document.getElementById('filter').focus()")
    page.call("Input.insertText", text="remote-close 8081")
    wanted = sorted(str(o["conn"]) for o in life if o["end"] == "remote-close" and 8081 in (o["lport"], o["rport"]))
    check("the filter has something to do", 0 < len(wanted) < len(life), wanted)
    is_same("only those with these words", sorted(page.js(SHOWN)), wanted)
    contains = page.js("document.querySelector('#connections [role=status]').textContent")
    check("and how many these are", contains.startswith("%d of %d " % (len(wanted), len(wanted))), contains)


def for_screen_readers(name, page):
    nodes = [n for n in page.call("Accessibility.getFullAXTree")["nodes"] if not n["ignored"]]
    by_role = {}
    for n in nodes:
        by_role.setdefault(n["role"]["value"], []).append(n)
    for role in ("RootWebArea", "image", "table", "columnheader", "button", "link", "searchbox", "region", "navigation", "heading"):
        unnamed = [n for n in by_role.get(role, []) if not n.get("name", {}).get("value")]
        check("%s: each %s has a name" % (name, role), role in by_role and not unnamed, unnamed)
    for role in ("banner", "navigation", "main", "contentinfo"):
        is_same("%s: %s" % (name, role), len(by_role.get(role, [])), 1)
    names = [n["name"]["value"] for n in by_role["region"]]
    check(name + ": no two regions of the same name", len(names) == len(set(names)), names)
    levels = [p["value"]["value"] for n in by_role["heading"] for p in n["properties"] if p["name"] == "level"]
    check(name + ": headings leave no level out", levels[0] == 1 and
          all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels)
    is_same(name + ": columns without a header", page.js("""[...document.querySelectorAll("section table:not(.u-legend)")].filter((t) =>
        ![...t.tHead.rows[0].cells].every((c) => c.matches("th[scope=col]") && c.textContent) ||
        [...t.tBodies[0].rows].some((r) => r.cells.length !== t.tHead.rows[0].cells.length)).length"""), 0)
    is_same(name + ": language", page.js("document.documentElement.lang"), "en")


# ---- colours and sizes ----

# Contrast of each text with what lies behind it (WCAG 2.2, 1.4.3), the least of all.
CONTRAST = """(() => {
	const rgba = (s) => s.match(/[\\d.]+/g).map(Number);
	const light = (c) => c.slice(0, 3).map((v) => v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] === 1)
				return c;
		}
		return [255, 255, 255];
	};
	let least = [99];
	for (const e of document.querySelectorAll("body *")) {
		if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
			continue;
		const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < least[0])
			least = [(a + 0.05) / (b + 0.05), e.textContent.slice(0, 60)];
	}
	return least;
})()"""
WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"
PICTURES = "[...document.querySelectorAll('canvas')].map((c) => c.toDataURL())"


def colours_and_sizes(page):
    page.look(1100, 900, "light")
    light = page.js(PICTURES)
    check("contrast of 4.5, light", page.js(CONTRAST)[0] >= 4.5, page.js(CONTRAST))
    page.look(1100, 900, "dark")
    check("contrast of 4.5, dark", page.js(CONTRAST)[0] >= 4.5, page.js(CONTRAST))
    check("every chart has colours for the dark", all(x != y for x, y in zip(light, page.js(PICTURES))))
    for width in (1100, 700, 375):
        page.look(width, 800)
        wide, room = page.js(WIDTHS)
        check("fits in %d pixels" % width, wide <= room, (wide, room))
        least = page.js("Math.min(...[...document.querySelectorAll('.u-over')].map((e) => e.clientWidth))")
        check("and charts keep room to draw", least > width / 2, least)
    page.look(718, 1000, "dark", "print")  # of A4, without its margins
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.settle()
    wide, room = page.js(WIDTHS)
    check("fits on paper", wide <= room, (wide, room))
    is_same("as dark as paper", page.js("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
    check("contrast of 4.5, on paper", page.js(CONTRAST)[0] >= 4.5, page.js(CONTRAST))
    page.js("dispatchEvent(new Event('afterprint'))")
    page.look(1100, 900)
    pdf = base64.b64decode(page.call("Page.printToPDF")["data"])
    check("prints", pdf.startswith(b"%PDF") and 1 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 20, len(pdf))
    page.look(1100, 900)
    is_same("and is as before", page.js(PICTURES), light)


# ---- pages ----

def make(tmp, trace):
    path = os.path.join(tmp, os.path.basename(trace)[:-len(".tcptape")] + ".html")
    subprocess.run([tape, "report", "-o", path, trace], check=True, stderr=subprocess.DEVNULL)
    return path


def samples_are_shown(page, tmp):
    for name in ("http-20ms", "drops", "tbf-hold", "loss"):
        path = make(tmp, os.path.join(samples, name + ".tcptape"))
        page.open(path)
        charts_show(name, page)
        is_quiet(name, page, path)
    for_screen_readers(name, page)
    by_keyboard(page)
    connections(page, rows("life", os.path.join(samples, name + ".tcptape")))
    page.open(path)
    colours_and_sizes(page)
    is_quiet(name + ", at the end", page, path)


def text_stays_text(page, tmp):
    trace = os.path.join(tmp, "script.tcptape")
    subprocess.run([make_script, trace], check=True)
    path = make(tmp, trace)
    page.open(path)
    is_quiet("markup in a trace", page, path)
    check("the process <script> is a text", "<script>" in
          page.js("[...document.querySelectorAll('#connections td')].map((e) => e.textContent)"))
    is_same("there are our two scripts and no element of the trace's",
            page.js("[document.scripts.length, document.querySelectorAll('img, i, b, iframe').length, document.title]"),
            [2, 0, "tcptape report: " + trace])
    # it lost three events in its first of two seconds
    charts = [c["steps"] for c in charts_show("script", page)]
    d = page.js("JSON.parse(document.getElementById('data').textContent)")
    lost = [i for i in range(d["axis"]["n"])
            if d["axis"]["from_s"] + (i + 1) * d["axis"]["step_s"] <= 1]
    check("loss is a band in every chart", charts and lost and all(
        all(bool(s[i][1]) == (i in lost) for i in range(len(s)) if i not in (lost[-1] + 1,)) for s in charts))


def a_bad_page_is_found(page, tmp, proxy):
    """What would be seen if a page asked for something."""
    with open(os.path.join(tmp, "loss.html"), encoding="utf-8") as f:
        text = f.read()
    bad = text.replace("<body>", '<body><img src="http://left.example/x.png" alt="">')
    path = os.path.join(tmp, "bad.html")
    for what, page_text, is_asked in (("its own policy stops a page that asks", bad, False),
                                      ("one without the policy is seen", re.sub("<meta http-equiv[^>]*>", "", bad), True)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(page_text)
        page.open(path)
        check(what + ", and complains", page.said(), page.said())
        is_same(what, any("left.example" in line for line in proxy.asked), is_asked)


if not b.program():
    print("SKIP: chromium is not installed")
    sys.exit(77)
chromium = b.Browser()
try:
    with tempfile.TemporaryDirectory() as tmp_dir:
        tab = b.Page(chromium)
        tab.look(1100, 900)
        samples_are_shown(tab, tmp_dir)
        text_stays_text(tab, tmp_dir)
        # Chromium itself asks for updates, the time and accounts
        is_same("the proxy was asked for", [line for line in chromium.proxy.asked
                                            if not re.search(r"\.(google|googleapis|gstatic|gvt1)\.com[:/]", line)], [])
        a_bad_page_is_found(tab, tmp_dir, chromium.proxy)
finally:
    chromium.close()
sys.exit(faults > 0)
