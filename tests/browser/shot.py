#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""shot.py PAGE PICTURE [light|dark] [WIDTH] [HEIGHT]: a picture (PNG) of a page of tcptape report; of its
whole height unless told; as it is printed, where PICTURE ends in .pdf."""
import base64
import sys

from browser import Browser, Page

page_path, picture, scheme, width, height = (sys.argv[1:] + ["light", "1100", "0"][len(sys.argv) - 3:])[:5]
browser = Browser()
try:
    page = Page(browser)
    page.look(int(width), 900, scheme)
    page.open(page_path)
    if picture.endswith(".pdf"):
        data = page.call("Page.printToPDF", printBackground=False)["data"]
    else:
        page.look(int(width), int(height) or page.js("document.documentElement.scrollHeight"), scheme)
        data = page.call("Page.captureScreenshot", format="png")["data"]
    for line in page.said():
        print("console:", line)
finally:
    browser.close()
with open(picture, "wb") as f:
    f.write(base64.b64decode(data))
