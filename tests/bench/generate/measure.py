#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""measure.py TCPTAPE NAME=TRACE... >gaps.h

Measures real recordings for the trace generator: for each pair of hooks that follow each other on
one processor, how long the second one comes after the first, as 17 quantiles (0, 1/16 ... 1) in
ticks of the recording machine's clock. Gaps above 100 us are no work of TCP's: how long they are
(us) stands in the stalls, and how long the busiest processor runs between two of them. Above the 98th
(95th) percentile it is beginning and end of the load, and left out.

Recordings: tcptape-record -e +rx,+tx,+io while the load of generate.c's scenario of that name runs.
"""
import re
import subprocess
import sys

TICK_PS = 10015  # of the recording machine's clock, as gaps between its events show
IDLE_NS = 100000
MIN_SHARE = 0.0002
POINTS = 16
KINDS = """tx_write io_send io_recv rx_copy tx.ip tx.output tx.qdisc tx.driver tx.sent tx.complete
rx.driver rx.mac rx.ip rx.deliver rx.tcp rx.established rx.queue rtt tcp_state tcp_facts tcp_destroy
drop retransmit synack_retransmit reset""".split()
LAYER = re.compile(r" layer=([a-z]+)")


def events(tcptape, trace):
    dump = subprocess.Popen([tcptape, "dump", "--no-header", "--no-snapshot", trace],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in dump.stdout:
        word = line.split(None, 3)
        kind = word[2]
        if kind in ("rx", "tx"):
            kind += "." + LAYER.search(line).group(1)
        seconds, fraction = word[0].split(".")
        yield int(seconds) * 10**9 + int(fraction), int(word[1]), kind


def measure(tcptape, trace):
    """The gaps of each pair; of the busiest processor how long it stood still, and ran between."""
    last, gaps, waits, n = {}, {}, {}, 0
    for ns, cpu, kind in events(tcptape, trace):
        n += 1
        if kind not in KINDS:
            last.pop(cpu, None)
            continue
        if cpu in last:
            gap = ns - last[cpu][0]
            wait = waits.setdefault(cpu, [0, []])
            if 0 <= gap < IDLE_NS:
                gaps.setdefault((last[cpu][1], kind), []).append(gap)
                wait[0] += gap
            elif gap > 0:
                wait[1].append(gap)
        last[cpu] = ns, kind
    busy, stalls = max(waits.values(), key=lambda w: w[0])
    gaps = {pair: sorted(v) for pair, v in gaps.items() if len(v) > max(20, n * MIN_SHARE)}
    return gaps, sorted(stalls), busy // len(stalls)


def quantiles(v, per_ns=1000 / TICK_PS, top=0.98):
    top = int((len(v) - 1) * top)
    return [round(v[top * i // POINTS] * per_ns) for i in range(POINTS + 1)]


def macro(kind):
    return "K_" + kind.replace(".", "_").upper()


def main():
    print("/* SPDX-License-Identifier: GPL-2.0-or-later */")
    print("/* Made by measure.py, which says what it is. */")
    print("/* clang-format off */")
    for arg in sys.argv[2:]:
        name, trace = arg.split("=")
        gaps, stalls, every_ns = measure(sys.argv[1], trace)
        print(f"static const struct gap gaps_{name}[] = {{")
        for (a, b), v in sorted(gaps.items()):
            q = ", ".join(map(str, quantiles(v)))
            print(f"\t{{{macro(a)}, {macro(b)}, {{{q}}}}},")
        print("};")
        q = ", ".join(map(str, quantiles(stalls, 0.001, 0.95)))
        print(f"static const struct stalls stalls_{name} = {{{every_ns // 1000}, {{{q}}}}};")
    print("/* clang-format on */")


main()
