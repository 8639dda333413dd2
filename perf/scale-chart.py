#!/usr/bin/env python3
"""Draws a recorded scale run as SVG: memory and CPU of feedd over the number of series.

    perf/scale-chart.py perf/results/scale-DATE.json.gz > scale.svg

Three panels: memory of the paced runs (resident and anonymous), CPU of the paced runs (a frame a second for each series) and CPU
for a frame when saturated. The number of series is logarithmic; a line for each number of readers. Needs Python 3 and nothing else.
"""

import math
import sys

import svg

VARIANTS = [  # told apart also by the colour-blind
    ("readers-1", "1 reader", "#0072b2"),
    ("readers-2", "2 readers, one thread", "#d55e00"),
    ("readers-2-dedicated", "2 readers, own threads", "#009e73"),
]
PANELS = [
    ("Memory, MB (dashed: anonymous)", "paced", [("rss", ""), ("anonymous", "5 4")]),
    ("CPU, % of a core, a frame a second each", "paced", [("cpu-share", "")]),
    ("CPU for a frame, µs, saturated", "saturated", [("cpu", "")]),
]
WIDTH, HEIGHT, PANEL, LEFT, TOP, BOTTOM, GAP = 1020, 400, 268, 56, 78, 84, 62


def points(document, load, variant, figure):
    """(series, median) of one line, by the number of series."""
    found = []
    for result in document["results"]:
        parts = result["name"].split("/")
        if len(parts) == 5 and parts[0] == "scale" and (parts[1], parts[3], parts[4]) == (load, variant, figure) and parts[2].isdigit():
            found.append((int(parts[2]), result["values"]["median"]))
    return sorted(found)


def ceiling(value):
    """The next round number: of 1, 2, 4, 5, 6, 8 and powers of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 6, 8, 10) if step * power >= value)


def panel(document, left, title, load, figures):
    lines = [
        (colour, dash, points(document, load, variant, figure)) for variant, _, colour in VARIANTS for figure, dash in figures
    ]
    lines = [line for line in lines if line[2]]
    out = [svg.text(left, TOP - 16, title, size=13)]
    if not lines:
        return out + [svg.text(left, TOP + 20, "not measured", colour=svg.GREY)]
    top = ceiling(max(value for _, _, line in lines for _, value in line))
    sizes = sorted({size for _, _, line in lines for size, _ in line})
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size):
        return left + (math.log10(size) - low) / max(high - low, 1e-9) * PANEL

    def y(value):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    for step in range(5):
        value = top * step / 4
        out.append(f'<line x1="{left}" x2="{left + PANEL}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>')
        out.append(svg.text(left - 6, y(value) + 4, f"{value:g}", "end"))
    for size in sizes:
        if math.log10(size).is_integer():
            out.append(f'<line x1="{x(size):.1f}" x2="{x(size):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>')
            out.append(svg.text(x(size), HEIGHT - BOTTOM + 18, f"{size:,}", "middle"))
    for colour, dash, line in lines:
        out += svg.line([(x(size), y(value)) for size, value in line], colour, 2, 3, dash)
    return out


def main():
    document = svg.document(__doc__)
    if not any(result["name"].startswith("scale/") for result in document["results"]):
        sys.exit(f"no scale run in {sys.argv[1]}")
    out = []
    for index, (title, load, figures) in enumerate(PANELS):
        out += panel(document, LEFT + index * (PANEL + GAP), title, load, figures)
    place = LEFT
    for _, label, colour in VARIANTS:
        out.append(f'<line x1="{place}" x2="{place + 24}" y1="{HEIGHT - 40}" y2="{HEIGHT - 40}" stroke="{colour}" stroke-width="2.5"/>')
        out.append(svg.text(place + 30, HEIGHT - 36, label, colour=colour))
        place += 190
    title = "Memory and CPU of feedd over the number of series"
    print(svg.picture(document, WIDTH, HEIGHT, LEFT, title, "feedd over the number of series", out))


if __name__ == "__main__":
    main()
