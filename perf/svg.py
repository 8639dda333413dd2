"""What the charts of perf/ have in common: reading a run of `Benchmarks`, and SVG around their lines."""

import gzip
import html
import json
import sys

GREY = "#666"


def document(usage):
    """The run whose file is the only argument."""
    if len(sys.argv) != 2:
        sys.exit(usage)
    opened = gzip.open if sys.argv[1].endswith(".gz") else open
    with opened(sys.argv[1], "rt", encoding="utf-8") as file:
        return json.load(file)


def text(x, y, words, anchor="start", size=12, colour="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{words}</text>'


def line(points, colour, width, radius, dash=""):
    """A line through points of the picture, and a dot at each."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'] + [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>' for x, y in points
    ]


def picture(run, width, height, left, title, heading, content):
    """The whole file: a heading, the content, and what was measured at the foot."""
    commit, cpu = str(run.get("software", {}).get("commit", "?"))[:12], run.get("machine", {}).get("cpu", "")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(left, 26, heading, size=16),
        *content,
        text(left, height - 14, html.escape(f"commit {commit}, {cpu}".rstrip(", ")), size=11, colour=GREY),
        "</svg>",
    ]
    return "\n".join(parts)
