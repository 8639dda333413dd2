#!/usr/bin/env python3
"""Draws the latency percentiles of a recorded run as SVG.

    perf/chart.py perf/results/RUN.json.gz > perf/latency.svg

A line for each rate over ws and a Unix socket, from the instant a frame was due to its subscriber; both axes are logarithmic, the
horizontal one in the share of frames that took longer. Needs Python 3 and nothing else.
"""

import math
import sys

import svg

STEPS = [("p50", 0.5), ("p90", 0.1), ("p99", 0.01), ("p99.9", 0.001), ("p99.99", 0.0001)]
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]  # told apart also by the colour-blind
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 76, 150, 52, 64


def curves(document):
    """(rate, [(step, microseconds)]) of each open loop over plain sockets, by rate."""
    found = []
    for result in document["results"]:
        parts = result["name"].split("/")
        if parts[0] == "latency" and parts[2:] == ["ws+unix", "due-to-subscriber"]:
            found.append((int(parts[1]), [(share, result["values"][name]) for name, share in STEPS if name in result["values"]]))
    return sorted(found)


def main():
    document = svg.document(__doc__)
    lines = curves(document)
    if not lines:
        sys.exit(f"no latencies in {sys.argv[1]}")
    values = [value for _, points in lines for _, value in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(share):
        return LEFT + (math.log10(STEPS[0][1]) - math.log10(share)) / math.log10(STEPS[0][1] / STEPS[-1][1]) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - (math.log10(value) - low) / max(1, high - low) * (HEIGHT - TOP - BOTTOM)

    out = []
    for power in range(low, high + 1):
        label = f"{10 ** (power - 3):g} ms" if power >= 3 else f"{10 ** power:g} µs"
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(10 ** power):.1f}" y2="{y(10 ** power):.1f}" stroke="#ddd"/>')
        out.append(svg.text(LEFT - 8, y(10**power) + 4, label, "end", 13))
    for name, share in STEPS:
        out.append(f'<line x1="{x(share):.1f}" x2="{x(share):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>')
        out.append(svg.text(x(share), HEIGHT - BOTTOM + 20, name, "middle", 13))
    lowest = TOP
    # From the top down, so that labels which make room for each other keep their order.
    for (rate, points), colour in sorted(zip(lines, COLOURS), key=lambda line: -line[0][1][-1][1]):
        out += svg.line([(x(share), y(value)) for share, value in points], colour, 2.5, 3.5)
        place = max(y(points[-1][1]) + 4, lowest)
        lowest = place + 16
        out.append(svg.text(WIDTH - RIGHT + 10, place, f"{rate:,} frames/s", size=13, colour=colour))
    title = "Latency percentiles from the instant a frame was due to its subscriber"
    heading = "From due to a subscriber behind Redis, open loop, 300 series"
    print(svg.picture(document, WIDTH, HEIGHT, LEFT, title, heading, out))


if __name__ == "__main__":
    main()
