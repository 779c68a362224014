#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""example.py FORMAT.MD EXAMPLE: the lines of bytes in "A file, byte by byte" are those of the file.

Each line has an offset, bytes until two spaces follow or the line ends, then words. Three dots stand
for bytes that are left out. Offsets fall where the content of the chunk's frame begins, and rise beyond
its length where the file goes on.
"""

import re
import struct
import subprocess
import sys

CHUNK = 5
LINE = re.compile(r"    ([0-9a-f]{4})  ((?:(?:[0-9a-f]{2}|\.\.\.)  ?)*(?:[0-9a-f]{2}|\.\.\.))(?=  |$)")


def frame(data):
    """The content of the payload of the one chunk, which is one zstd frame."""
    at = 0
    while data[at + 4] != CHUNK:
        hdr_len, payload_len = struct.unpack("<HI", data[at + 6 : at + 12])
        at += 40 + hdr_len + payload_len + 7 & ~7
    hdr_len, payload_len = struct.unpack("<HI", data[at + 6 : at + 12])
    payload = data[at + 40 + hdr_len :][:payload_len]
    return subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, check=True).stdout


def main(page, path):
    with open(path, "rb") as f:
        data = f.read()
    with open(page, encoding="utf-8") as f:
        text = f.read().split("byte by byte\n", 1)[1].split("\n## ")[0]
    inside = frame(data)
    now, last, n, bad = data, 0, 0, 0
    for line in text.split("\n"):
        m = LINE.match(line)
        if not m:
            continue
        at = int(m[1], 16)
        if at < last:
            now = inside
        elif at >= len(inside):
            now = data
        last = at
        pos = at
        for i, part in enumerate(re.split(r" *\.\.\. *", m[2])):
            want = bytes.fromhex(part)
            found = now.find(want, pos) if i else pos
            n += len(want)
            if now[found : found + len(want)] != want:
                bad += 1
                print("%s: the file has %s" % (line.strip(), now[at : at + 16].hex(" ")))
                break
            pos = found + len(want)
    print("%d bytes are shown, %d lines are wrong" % (n, bad))
    return n < 100 or bad > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
