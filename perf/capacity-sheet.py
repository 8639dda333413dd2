#!/usr/bin/env python3
"""Writes a recorded capacity run as a table of Markdown, to the standard output. Needs Python 3 and nothing else.

    perf/capacity-sheet.py perf/results/capacity-DATE.json.gz
"""

import collections

import svg

COLUMNS = ["series", "times", "frames/s", "feedd ms/s", "series a core", "feedd MB", "Redis ms/s", "Redis MB", "candles stored"] + [
    "p50 ms", "p99 ms", "p99.9 ms", "exchange late, p99 ms"]


def shown(value):
    """Three significant digits, thousands apart."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def row(series, times, value):
    """One row; a star where the exchange, and not what is measured, was the limit."""
    late, slow = value["frames"] < 0.98 * series * times, value["lateness-p99"] > value["p99"] / 2
    latencies = [value[name] / 1000 for name in ("p50", "p99", "p99.9", "lateness-p99")]
    cells = [series, times, value["frames"], value["cpu-share"] * 10, series * 100 / value["cpu-share"], value["rss"]]
    cells += [value["redis-cpu-share"] * 10, value["redis-rss"], value["stored"], *latencies]
    texts = [f"{cell:,}" if isinstance(cell, int) else shown(cell) for cell in cells]
    for index, is_marked in ((2, late), (len(texts) - 1, slow)):
        texts[index] += " *" * is_marked
    return texts


def line(cells):
    return f"| {' | '.join(cells)} |"


def main():
    run = svg.document(__doc__)
    rows = collections.defaultdict(dict)
    for result in run["results"]:
        parts = result["name"].split("/")
        if len(parts) == 6 and parts[4].startswith("times-"):
            rows[int(parts[2]), int(parts[4].removeprefix("times-"))][parts[5]] = result["values"]["median"]
    if not rows:
        raise SystemExit("no rows of the capacity sheet in it")
    machine, software, conditions = run["machine"], run["software"], run["conditions"]
    print(f"\n{machine['cores']} cores, {machine['cpu']}; Linux {machine['kernel']}; redis-server {software['redis']};")
    print(f"commit {software['commit'][:12]}{' with changes' * software['isDirty']}; {conditions['date']}.\n")
    print(line(COLUMNS))
    print(line(["---:"] * len(COLUMNS)))
    for (series, times), value in sorted(rows.items()):
        print(line(row(series, times, value)))
    print()


if __name__ == "__main__":
    main()
