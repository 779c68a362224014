#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A second reader of traces, which uses nothing but what docs/format.md says: a test of that page.

Prints what tests/format/dump.c prints. Standard library only; zstd frames go through the zstd
program, and the XXH3 checksums are left out (Python has none). Reads closed or cut files from
front to back; it does not search for blocks behind damage.
"""

import struct
import subprocess
import sys

FILE, SCHEMA, META, CLOCK, CHUNK, LOSS, SNAPSHOT, MARK, INDEX, END = range(1, 11)
WIDTH = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4, "i64": 8, "addr": 16, "comm": 16}


def unzstd(frame):
    return subprocess.run(["zstd", "-dcq"], input=frame, stdout=subprocess.PIPE, check=True).stdout


class Bytes:
    """A position in bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("past the end")
        self.at += n
        return self.data[self.at - n : self.at]

    def uint(self, n):
        return int.from_bytes(self.take(n), "little")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.uint(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value


class Field:
    def __init__(self, words, tables):
        self.type, self.name = words[1], words[2]
        self.table = self.directed = None
        if self.type.startswith(("ref:", "dref:")):
            kind, name = self.type.split(":")
            self.table, self.directed = tables[name], kind == "dref"
        self.width = 4 if self.table else WIDTH.get(self.type)


class Record:
    def __init__(self, words):
        self.id, self.name, self.is_table = int(words[1]), words[2], words[3] == "-"
        self.fields = []


def parse_schema(text):
    records, tables = {}, {}
    for line in text.decode("utf-8", "surrogateescape").split("\n")[1:]:
        words = line.split("\t")
        if words[0] == "record":
            record = records[int(words[1])] = Record(words)
            tables.setdefault(record.name, record)
        elif words[0] == "field":
            record.fields.append(Field(words, tables))
    return records


def decode(body, layout, n, width):
    """What one body holds: integers, or bytes for a width of 16."""
    b = Bytes(body)
    if layout == 0:  # CONST
        values = [b.uint(width)] * n
    elif layout == 1:  # PLANES
        k = b.uint(1)
        planes = [b.take(n) for _ in range(k)]
        values = [sum(planes[p][i] << 8 * p for p in range(k)) for i in range(n)]
        gaps = [b.varint() for _ in range(b.varint())]
        at = -1
        for gap in gaps:
            at += 1 + gap
            values[at] |= b.varint() << 8 * k
    elif layout == 2:  # VARINT
        values = [b.varint() for _ in range(n)]
    elif layout == 3:  # FIXED
        first, mask = b.take(16), b.uint(2)
        planes = {i: b.take(n) for i in range(16) if mask >> i & 1}
        return [bytes(planes[i][k] if i in planes else first[i] for i in range(16))
                for k in range(n)]
    elif layout == 4:  # STRINGS
        lengths = [b.varint() for _ in range(n)]
        return [b.take(length) for length in lengths]
    else:
        return None
    if b.at != len(body):
        raise ValueError("a column body is too long")
    return values


def unzigzag(z):
    return z >> 1 ^ -(z & 1)


def undelta(values, keys, mask):
    """DELTA and KEYED: differences to the value before, of the same key."""
    last = {}
    for i, z in enumerate(values):
        values[i] = last[keys[i]] = last.get(keys[i], 0) + unzigzag(z) & mask
    return values


def opposite(key):
    return (key - 1 ^ 1) + 1 if key else 0


def signed(v):
    return (v & 0xFFFFFFFF ^ 1 << 31) - (1 << 31)


def smoothed(base, sample, mean, deviation):
    off = signed(sample - mean)
    if not deviation:
        return base + (signed(sample - base) >> 3)
    d = signed(abs(off) - base)
    if off < 0 and d > 0:
        d >>= 3
    return base + (d >> 2)


class Chunk:
    def __init__(self, records, head, payload):
        h = Bytes(head)
        (self.ts_min, self.ts_max, self.ts_floor, self.first_event, self.lost, self.n_events,
         self.n_stragglers, n_records, n_columns, flags) = struct.unpack("<QQQQQIIHHI", h.take(56))
        self.records, self.rows, self.columns = records, {0: self.n_events}, {}
        for _ in range(n_records):
            record = h.varint()
            self.rows[record] = h.varint()
        entries = []
        for _ in range(n_columns):
            e = Bytes(h.take(h.uint(1)))
            entry = [e.varint(), e.varint(), e.uint(1), e.uint(1), e.uint(1), e.varint(), e.varint()]
            entries.append(entry + [[e.varint() for _ in range(4)] if entry[2] in (3, 4, 5, 7, 8) else None])
        single = flags & 1
        bodies = Bytes(unzstd(payload) if single else payload)
        self.found = {}  # not decoded yet
        for record, field, transform, layout, flags, raw_len, stored_len, guess in entries:
            body = bodies.take(raw_len if single else stored_len)
            if not single and flags & 1:
                body = unzstd(body)
            self.found.setdefault((record, field), (body, transform, layout, guess))
        for record, field in self.found:
            self.column(record, field)

    def column(self, record, field):
        """The values of a column, None if it is not there or unknown."""
        if (record, field) not in self.columns:
            self.columns[record, field] = self.decode(record, field)
        return self.columns[record, field]

    def decode(self, record, field):
        rec = self.records.get(record)
        if (record, field) not in self.found or not rec:
            return None
        body, transform, layout, guess = self.found[record, field]
        if field == 128:  # origins
            return decode(body, layout, 2 * self.rows[record], 4)
        if field >= len(rec.fields):
            return None
        f = rec.fields[field]
        if not f.width and f.type != "str":
            return None
        values = decode(body, layout, self.rows[record], f.width or 0)
        mask = (1 << 8 * (f.width or 0)) - 1
        if transform == 1:  # DELTA
            undelta(values, [0] * len(values), mask)
        elif transform == 2:  # KEYED
            first = next(i for i, f in enumerate(rec.fields) if f.table)
            undelta(values, self.column(record, first), mask)
        elif transform == 6:  # NEXT
            expected = 1
            for i, z in enumerate(values):
                values[i] = expected - unzigzag(z - 1) if z else 0
                expected = max(expected, values[i] + 1)
        elif transform:
            return self.unpredict(rec, values, transform, mask, *guess)
        return values

    def keys(self, rec, key):
        """The keys of a prediction; of streams also the table of their ends."""
        field = rec.fields[key - 1 >> 1]
        refs = self.column(rec.id, key - 1 >> 1)
        if key & 1:
            return refs, None
        if field.directed:
            return refs, field.table
        first = next(i for i, f in enumerate(field.table.fields) if f.table)
        ends = self.column(field.table.id, first)
        return [ends[v - 1] if v else 0 for v in refs], field.table.fields[first].table

    def unpredict(self, rec, values, transform, mask, of, plus, key, turn):
        n, now = len(values), plus and not plus & 1
        c = self.column(rec.id, of - 1) if of else None
        p = self.column(rec.id, plus - 1 >> 1) if plus else [0] * n
        if transform == 3:  # ROW
            return [c[i] + p[i] + unzigzag(z) & mask for i, z in enumerate(values)]
        keys, ends = self.keys(rec, key)
        last, times = {}, None
        if transform == 7:  # SAME
            for i, z in enumerate(values):
                if z > 1:
                    last[keys[i]] = z - 1
                values[i] = last.get(keys[i], 0) if z else 0
            return values
        if transform == 8:  # SMOOTH
            for i, z in enumerate(values):
                base, mean = last.get(keys[i], (0, 0))
                values[i] = smoothed(base, c[i], mean, plus) + unzigzag(z) & mask
                last[keys[i]] = values[i], p[i]
            return values
        if not ends:
            types = self.column(0, 1)
            times = [t for t, kind in zip(self.column(0, 0), types) if kind == rec.id]
        for i, z in enumerate(values):
            if ends and (i == 0 or i == turn):
                origins = self.column(ends.id, 128) or []
                far = i >= turn
                last = {k + 1: origins[k ^ far] for k in range(len(origins))}
            k = keys[i]
            if transform == 5:  # CROSS
                values[i] = last[opposite(k)] = last.get(opposite(k), 0) + unzigzag(z) & mask
                last[k] = c[i] + p[i] & mask
                continue
            base = last.get(k, 0)
            if times and not base and k:
                base = times[i]
            elif now:
                base += p[i]
            values[i] = base + unzigzag(z) & mask
            last[k] = (c[i] if c else values[i]) + (0 if now else p[i]) & mask
        return values


def hexed(data):
    return '"' + data.hex() + '"'


class Dump:
    def __init__(self, out):
        self.out, self.tail = out, []
        self.records = None
        self.meta, self.clocks, self.losses, self.lost = [], [], [], 0

    def value(self, chunk, record, i, row):
        field = record.fields[i]
        column = chunk.columns.get((record.id, i))
        if column is None:
            return '"?"'
        v = column[row]
        if field.table:
            if not v:
                return "null"
            row, swapped = (v - 1 >> 1, v - 1 & 1) if field.directed else (v - 1, 0)
            return "{" + self.row(chunk, field.table, row, swapped) + "}"
        if isinstance(v, bytes):
            return hexed(v)
        if field.type[0] == "i" and v >> 8 * field.width - 1:
            v -= 1 << 8 * field.width
        return str(v)

    def row(self, chunk, record, row, swapped=0):
        names = [f.name for f in record.fields]
        parts = []
        for i, name in enumerate(names):
            other = {"l": "r", "r": "l"}.get(name[0], name[0]) + name[1:]
            k = names.index(other) if swapped and other in names else i
            parts.append('"%s":%s' % (name, self.value(chunk, record, k, row)))
        return ",".join(parts)

    def chunk(self, kind, offset, head, payload):
        c = Chunk(self.records, head, payload)
        self.out.write(
            '{"chunk":"%s","offset":%d,"n_events":%d,"ts_min":%d,"ts_max":%d,"ts_floor":%d,'
            '"first_event":%d,"lost":%d,"n_stragglers":%d}\n'
            % (kind, offset, c.n_events, c.ts_min, c.ts_max, c.ts_floor, c.first_event, c.lost,
               c.n_stragglers))
        self.lost = max(self.lost, c.lost)
        seen = {}
        for i in range(c.n_events):
            line = self.row(c, self.records[0], i)
            record = self.records.get(c.columns[0, 1][i])
            if record:
                k = seen[record.id] = seen.get(record.id, -1) + 1
                line += ',"%s":{%s}' % (record.name, self.row(c, record, k))
            self.out.write("{" + line + "}\n")

    def metadata(self, text):
        for line in text.split(b"\n"):
            key, tab, value = line.partition(b"\t")
            if tab:
                out, i = b"", 0
                while i < len(value):
                    c = value[i : i + 1]
                    if c == b"\\" and i + 1 < len(value):
                        i += 1
                        c = {b"t": b"\t", b"n": b"\n"}.get(value[i : i + 1], value[i : i + 1])
                    out, i = out + c, i + 1
                self.meta.append('{"meta":%s,"value":%s}' % (hexed(key), hexed(out)))

    def loss(self, payload):
        for at in range(0, len(payload) - 39, 40):
            from_ns, to_ns, count, cpu, reason, group = struct.unpack(
                "<QQQIB3x8s", payload[at : at + 40])
            self.losses.append(
                '{"from_ns":%d,"to_ns":%d,"count":%d,"cpu":%d,"reason":%d,"group":%s}'
                % (from_ns, to_ns, count, cpu, reason, hexed(group.rstrip(b"\0"))))
            self.lost += count

    def rest(self, closed, truncated):
        word = {True: "true", False: "false"}
        for line in self.meta + self.clocks + self.losses:
            self.out.write(line + "\n")
        self.out.write('{"closed":%s,"truncated":%s,"lost":%d}\n'
                       % (word[closed], word[truncated], self.lost))


def read(data, dump):
    at = closed = 0
    while at + 40 <= len(data) and not closed:
        magic, kind, flags, hdr_len, payload_len, _seq, _file_id, _, _ = struct.unpack(
            "<4sBBHIIQQQ", data[at : at + 40])
        end = at + 40 + hdr_len + payload_len
        if magic != b"TTB1":
            raise ValueError("no block at byte %d" % at)
        if end > len(data):
            break
        head, payload = data[at + 40 : at + 40 + hdr_len], data[at + 40 + hdr_len : end]
        text = unzstd(payload) if flags & 2 else payload
        if kind == FILE and struct.unpack("<H", head[:2])[0] != 1:
            raise ValueError("another version")
        elif kind == SCHEMA and not dump.records:
            dump.records = parse_schema(text)
        elif kind == META:
            dump.metadata(text)
        elif kind == CLOCK:
            dump.clocks.append('{"mono_ns":%d,"real_ns":%d,"boot_ns":%d,"uncertainty_ns":%d}'
                               % struct.unpack("<QQQQ", head[:32]))
        elif kind in (CHUNK, SNAPSHOT):
            dump.chunk("CHUNK" if kind == CHUNK else "SNAPSHOT", at, head, payload)
        elif kind == LOSS:
            dump.loss(payload)
        elif kind == END:
            closed = 1
            dump.lost = struct.unpack("<Q", head[16:24])[0]
        elif kind not in (FILE, SCHEMA, INDEX) and not flags & 1:
            raise ValueError("block type %d must be known" % kind)
        at = end + 7 & ~7
    dump.rest(bool(closed), not closed and at != len(data))


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as f:
        read(f.read(), Dump(sys.stdout))
