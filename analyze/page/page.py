#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""page.py HTML CSS JS UPLOT-CSS UPLOT-JS OUTPUT: the page of tcptape report as two C arrays, what
stands before its data and behind it. The policy in it allows just these two scripts of ours and this style."""
import base64
import hashlib
import os
import sys

html, css, js, charts_css, charts_js, out = sys.argv[1:]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def digest(text):
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def array(name, text):
    data = text.encode()
    lines = (",".join(map(str, data[i:i + 24])) for i in range(0, len(data), 24))
    return "const unsigned char %s[] = {\n%s};\nconst size_t %s_len = %d;\n" % (name, ",\n".join(lines), name, len(data))


licence = os.path.join(os.path.dirname(charts_js), "LICENSE")
notice = read(licence).strip() if os.path.exists(licence) else "uPlot: Copyright (c) Leon Sorokin, MIT licence"
style = read(charts_css) + "\n" + read(css)
script = "/*! " + notice.replace("*/", "* /") + " */\n" + read(charts_js) + "\n" + read(js)
for text, end in ((style, "</style"), (script, "</script")):
    if end in text.lower():
        sys.exit("page.py: %s would end the element early" % end)
page = read(html).replace("@script-hash@", digest(script)).replace("@style-hash@", digest(style))
page = page.replace("@style@", style)
head, tail = page.split("@data@")
tail = tail.replace("@script@", script)
with open(out, "w", encoding="ascii") as f:
    f.write('#include "report.h"\n' + array("report_page_head", head) + array("report_page_tail", tail))
