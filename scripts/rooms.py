#!/usr/bin/env python3
"""Draws docs/rooms.svg: the rooms of Sources/FastFeed with what each may know (scripts/rooms.txt), and the threads with what stands
between them. What is drawn must be true: a room needs its words here, a thread's name must stand in the sources, and none may be missing.

    scripts/rooms.py             writes docs/rooms.svg
    scripts/rooms.py --check     fails when docs/rooms.svg is not what would be written
"""

import itertools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "Sources/FastFeed"
DRAWING = ROOT / "docs/rooms.svg"

# What lives in a room, in two lines.
WORDS = {
    "Base": ("limits, errors, digits, JSON,", "deterministic random"),
    "Platform": ("the kernel: sockets,", "poller, clocks, memory"),
    "Meters": ("counters, the books,", "histograms, journal"),
    "Threads": ("agent and its runner,", "ring, mailbox"),
    "Market": ("symbol, interval,", "candle, gap"),
    "Contract": ("what the outside sees:", "keys, commands, fields"),
    "Wire": ("dial, proxy, TLS,", "WebSocket frames"),
    "Redis": ("RESP, link, connections,", "Sentinels, Cluster"),
    "Venue": ("subscriptions, limits,", "REST; Binance's words"),
    "Readers": ("from sockets", "to records"),
    "Candles": ("newest states, closed", "queue, gaps"),
    "Store": ("from records", "to Redis"),
    "Heal": ("from holes", "to candles"),
    "Control": ("commands, fluxes,", "lease, status"),
    "Client": ("the client of", "a service"),
    "Streams": ("Redis Streams for", "other programs"),
    "Engine": ("configuration", "and wiring"),
}
# A thread's name, the room where its loop is, its colour (with white on it, on both papers).
THREADS = {
    "reader": ("Readers", "#0969da"),
    "sink": ("Store", "#bc4c00"),
    "heal": ("Heal", "#1a7f37"),
    "rest": ("Venue", "#0f766e"),
    "control": ("Control", "#8250df"),
    "redis-watch": ("Redis", "#4557b5"),
    "flux-client": ("Client", "#bf3989"),
    "streams": ("Streams", "#946200"),
}
# They end with their one question, or exist in one mode: said in words.
OTHER_THREADS = {"resolver", "sentinels", "feed", "cluster-watch"}

WIDTH = 1000
BOX_WIDTH, BOX_HEIGHT, LAYER_PITCH = 172, 68, 122
LIGHT = dict(paper="#ffffff", ink="#1f2328", quiet="#59636e", line="#7d8590", box="#f6f8fa", rim="#c4ccd4", frame="#d1d9e0")
DARK = dict(paper="#0d1117", ink="#e6edf3", quiet="#9da5ae", line="#7d8590", box="#171d26", rim="#474f58", frame="#30363d")


def rooms():
    """Each room and what it may know, as scripts/rooms.txt has it; `*` is all."""
    lines = [line.split() for line in (ROOT / "scripts/rooms.txt").read_text().splitlines() if line and line[0] != "#"]
    known = {room: set(others) for room, *others in lines}
    for room, others in known.items():
        if others == {"*"}:
            known[room] = set(known) - {room, "Base"}
    return known


def limit(name):
    """A number of Base/Limits.swift, as it is said."""
    found = re.search(rf"static let {name} = ([\d_]+)\n", (SOURCES / "Base/Limits.swift").read_text())
    if not found:
        sys.exit(f"rooms.py: Limits has no {name}")
    return f"{int(found[1]):,}"


def check_truth(known):
    """The tables above against rooms.txt and the sources."""
    if set(WORDS) != set(known):
        sys.exit(f"rooms.py: say what lives in, or take out: {', '.join(sorted(set(WORDS) ^ set(known)))}")
    made = re.compile(r'(?:PinnedThread\.start\(|ThreadMeter\()name: "([a-z-]+)"|roleName: String \{ "([a-z-]+?)(?:-\\\(index\))?"|'
                      r'start\(readers \+ \[sink\], name: "([a-z]+)"')
    names = set()
    for path in SOURCES.rglob("*.swift"):
        if "+Bench" not in path.name:
            names |= {name for groups in made.findall(path.read_text()) for name in groups if name}
    wanted = set(THREADS) | OTHER_THREADS
    if names != wanted:
        sys.exit(f"rooms.py: threads that are drawn or there, but not both: {', '.join(sorted(names ^ wanted))}")


# MARK: The plan of the rooms: layers, an order with few crossings, places


def reduced(known):
    """What a room knows, without what it knows through another room."""
    return {a: {b for b in others if not any(b in known[c] for c in others)} for a, others in known.items()}


def plan(known):
    """Layers of rooms and of the bends of edges that pass a layer; the edges as chains through them; their places, as {node: x}."""
    depth = {}

    def layer(room):
        if room not in depth:
            depth[room] = 1 + max((layer(other) for other in known[room]), default=-1)
        return depth[room]

    layers = [[] for _ in range(1 + max(layer(room) for room in known))]
    for room in known:
        layers[depth[room]].append(room)
    chains = []
    for room, others in reduced(known).items():
        for other in sorted(others):
            bends = [(room, other, level) for level in range(depth[room] - 1, depth[other], -1)]
            for bend in bends:
                layers[bend[2]].append(bend)
            chains.append([room, *bends, other])
    below = {node: [] for nodes in layers for node in nodes}
    above = {node: [] for node in below}
    for upper, lower in (pair for chain in chains for pair in itertools.pairwise(chain)):
        below[upper].append(lower)
        above[lower].append(upper)
    layers = ordered(layers, above, below)
    return layers, chains, placed(layers, above, below)


def crossings(layers, below):
    count = 0
    for upper, lower in zip(layers[1:], layers):
        rank = {node: place for place, node in enumerate(lower)}
        ends = [rank[other] for node in upper for other in sorted(below[node], key=rank.get)]
        count += sum(b < a for a, b in itertools.combinations(ends, 2))
    return count


def ordered(layers, above, below):
    """Sweeps by the mean of the neighbours, then swaps, from several beginnings; the best of all."""
    best = None
    for start in range(60):
        state = start * 2_654_435_761 % 2**32
        nodes = []
        for layer in layers:
            keyed = []
            for node in layer:
                state = (state * 1_664_525 + 1_013_904_223) % 2**32
                keyed.append((state >> 8, str(node), node))
            nodes.append([node for _, _, node in sorted(keyed)])
        for sweep in range(12):
            down = sweep % 2 == 0
            pairs = zip(nodes, nodes[1:]) if down else zip(nodes[:0:-1], nodes[-2::-1])
            for fixed, moved in pairs:
                rank = {node: place for place, node in enumerate(fixed)}
                near = below if down else above
                mean = {node: sum(rank[other] for other in near[node]) / max(1, len(near[node])) for node in moved}
                moved.sort(key=lambda node: (mean[node], str(node)))
        count, better = crossings(nodes, below), True
        while better:
            better = False
            for layer in nodes:
                for place in range(len(layer) - 1):
                    layer[place:place + 2] = layer[place + 1], layer[place]
                    if (other := crossings(nodes, below)) < count:
                        count, better = other, True
                    else:
                        layer[place:place + 2] = layer[place + 1], layer[place]
        if best is None or count < best[0]:
            best = count, [list(layer) for layer in nodes]
    return best[1]


def half(node):
    return BOX_WIDTH / 2 + 12 if isinstance(node, str) else 14


def placed(layers, above, below):
    """Each node near the mean of its neighbours, in the order of its layer, none too near to another."""
    x = {node: WIDTH * (place + 1) / (len(layer) + 1) for layer in layers for place, node in enumerate(layer)}
    for sweep in range(80):
        for layer in layers if sweep % 2 else layers[::-1]:
            wish = []
            for node in layer:
                near = above[node] + below[node]
                # A bend wants its edge straight.
                weights = [1 if isinstance(node, str) else 3 for _ in near]
                wish.append(sum(x[other] * weight for other, weight in zip(near, weights)) / sum(weights) if near else x[node])
            offsets, offset = [], 0.0
            for before, node in zip([None, *layer], layer):
                offset += half(before) + half(node) if before is not None else 0
                offsets.append(offset)
            # Neighbours that wish to be nearer than they may move as one block.
            blocks = []
            for value in (w - o for w, o in zip(wish, offsets)):
                blocks.append([value, 1])
                while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
                    (a, m), (b, n) = blocks[-2:]
                    blocks[-2:] = [[(a * m + b * n) / (m + n), m + n]]
            moved = [value for value, count in blocks for _ in range(count)]
            low, high = 20 + half(layer[0]), WIDTH - 20 - half(layer[-1])
            for node, value, offset in zip(layer, moved, offsets):
                x[node] = min(max(value, low), high - offsets[-1]) + offset
    return {node: round(value, 1) for node, value in x.items()}


# MARK: SVG


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def pill(right, y, name):
    """A thread's name on its colour, ending at x."""
    width = 7.1 * len(name) + 14
    return [f'<rect x="{right - width:g}" y="{y:g}" width="{width:g}" height="18" rx="9" fill="{THREADS[name][1]}"/>',
            text(right - width / 2, y + 13, name, "pill", "middle")]


def box(x, y, width, height, kind="box"):
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" class="{kind}"/>'


def arrow(path, both=False, kind="edge"):
    return f'<path d="{path}" class="{kind}" marker-end="url(#{kind})"' + (f' marker-start="url(#{kind})"' if both else "") + "/>"


def edge(path, x, y, room):
    """Into a box from above, in the colour of the thread that is at home where it begins."""
    colour = next((colour for home, colour in THREADS.values() if home == room), None)
    line = f'style="stroke:{colour}"' if colour else ""
    head = f'style="fill:{colour}"' if colour else ""
    return [f'<path d="{path}" class="edge" {line}/>', f'<path d="M{x - 4:g} {y - 8:g}h8l-4 8z" class="head" {head}/>']


def draw_rooms(known, top):
    """The upper half: what knows what."""
    layers, chains, x = plan({room: others for room, others in known.items() if room != "Base"})
    level = {node: top + LAYER_PITCH * (len(layers) - 1 - number) for number, layer in enumerate(layers) for node in layer}
    # Where edges leave and enter a box: side by side, in the order of where they lead.
    leaves, enters = {}, {}
    for chain in chains:
        leaves.setdefault(chain[0], []).append((x[chain[1]], chain))
        enters.setdefault(chain[-1], []).append((x[chain[-2]], chain))

    def port(edges, chain):
        places = sorted(edges, key=lambda edge: (edge[0], str(edge[1])))
        index = [other for _, other in places].index(chain)
        return (index - (len(places) - 1) / 2) * min(34, (BOX_WIDTH - 40) / max(1, len(places) - 1))

    out = []
    for chain in chains:
        at_x = x[chain[0]] + port(leaves[chain[0]], chain)
        at_y = level[chain[0]] + BOX_HEIGHT
        path = f"M{at_x:g} {at_y:g}"
        for node in chain[1:]:
            is_end = isinstance(node, str)
            to_x = x[node] + (port(enters[node], chain) if is_end else 0)
            to_y = level[node] - (7 if is_end else 0)
            middle = (at_y + to_y) / 2
            path += f"C{at_x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y:g}"
            at_x, at_y = to_x, to_y
            if not is_end:
                at_y += BOX_HEIGHT
                path += f"V{at_y:g}"
        out += edge(path, at_x, level[chain[-1]], chain[0])
    for room in (node for layer in layers for node in layer if isinstance(node, str)):
        left, y = x[room] - BOX_WIDTH / 2, level[room]
        out += [box(left, y, BOX_WIDTH, BOX_HEIGHT), text(left + 11, y + 21, room, "name")]
        out += [text(left + 11, y + 40 + 16 * number, line, "words") for number, line in enumerate(WORDS[room])]
        for name, (home, _) in THREADS.items():
            if home == room:
                out += pill(left + BOX_WIDTH - 8, y + 8, name)
    bottom = top + LAYER_PITCH * len(layers) - (LAYER_PITCH - BOX_HEIGHT) + 26
    out += [box(20, bottom, WIDTH - 40, 38), text(31, bottom + 24, "Base", "name"),
            text(84, bottom + 24, " ".join(WORDS["Base"]) + ": every room knows it", "words")]
    return out, bottom + 38


def ring(x, y, is_upright=False):
    """Slots around a middle, some of them full."""
    out, count = [], 6 if is_upright else 10
    for slot in range(count):
        shift = 13 * (slot - count / 2)
        place = f'x="{x - 8:g}" y="{y + shift:g}" width="16"' if is_upright else f'x="{x + shift:g}" y="{y - 8:g}" width="13"'
        out.append(f'<rect {place} height="{13 if is_upright else 16}" class="{"full" if 2 <= slot < count - 2 else "slot"}"/>')
    return out


def mailbox(x, y):
    return [f'<rect x="{x - 12:g}" y="{y - 8:g}" width="24" height="16" rx="2" class="slot"/>',
            f'<path d="M{x - 12:g} {y - 7:g}l12 9l12 -9" class="edge"/>']


def thread(name, x, y, width, height, title, *lines, stack=False):
    """A thread as a band under its colour."""
    out = []
    if stack:
        out += [box(x + 8, y - 8, width, height), box(x + 4, y - 4, width, height)]
    out += [box(x, y, width, height), f'<rect x="{x:g}" y="{y + 10:g}" width="5" height="{height - 20:g}" fill="{THREADS[name][1]}"/>']
    out += pill(x + 24 + 7.1 * len(name), y + 9, name)
    out.append(text(x + 34 + 7.1 * len(name), y + 23, title, "words"))
    return out + [text(x + 14, y + 46 + 17 * number, line, "small") for number, line in enumerate(lines)]


def draw_threads(top):
    """The lower half: who runs, and what stands between them."""
    row1, row2, row3, row4 = top + 40, top + 168, top + 288, top + 400
    end = row4 + 118
    program = end + 24
    bottom = program + 182
    out = [
        box(128, top, 752, end - top, "frame"), text(142, top + 21, "a service: one process", "quiet"),
        box(128, program, 752, bottom - program, "frame"), text(142, program + 21, "a program that imports the library", "quiet"),
        box(20, row1 - 14, 84, row3 + 94 - row1, "outside"), box(904, row1 - 14, 76, bottom - row1 + 14, "outside"),
        text(62, row1 + 24, "Binance", "name", "middle"), text(942, row1 + 24, "Redis", "name", "middle"),
        text(62, row1 + 44, "streams", "small", "middle"), text(62, row3 + 44, "REST", "small", "middle"),
    ]
    # The way of the data.
    out += [arrow(f"M104 {row1 + 40}H144", kind="data"), arrow(f"M392 {row1 + 40}H411", kind="data"),
            arrow(f"M549 {row1 + 40}H604", kind="data"), arrow(f"M850 {row1 + 40}H896", kind="data")]
    out += ring(484, row1 + 40)
    out += [text(484, row1 + 20, "ring", "small", "middle"), text(484, row1 + 66, f"{limit('ringRecordCount')} records", "small", "middle")]
    out += thread("reader", 152, row1, 232, 80, "1 to 64", "Wire → Venue → Readers:", "bytes, frames, records", stack=True)
    out += thread("sink", 612, row1, 238, 80, "one", "Candles → Store → Redis:", "states, batches, replies")
    # Who asks, and what is healed; the healer's ring crosses the line of control.
    out += [arrow(f"M112 {row3 + 40}H144", both=True), arrow(f"M858 {row3 + 40}H896", both=True),
            arrow(f"M748 {row2 + 62}H896", both=True), f'<path d="M800 {row3}V{row1 + 96}" class="halo"/>',
            arrow(f"M800 {row3}V{row1 + 88}", kind="data")]
    out += ring(800, row1 + 138, is_upright=True)
    out += [text(816, row1 + 128, "ring"), text(816, row1 + 145, limit("healRingRecordCount"))]
    out += thread("control", 152, row2, 588, 72, "where commands are taken", "Control: commands, fluxes, status, the lease;",
                  "Redis: two connections of its own")
    out += thread("rest", 152, row3, 232, 80, "libcurl", "Venue: within the limits", "of the exchange")
    out += thread("heal", 612, row3, 238, 80, "where REST is asked", "Heal: what is missing, is", "fetched and handed over")
    for x, y in [(268, row1 + 80), (680, row1 + 80), (268, row2 + 72), (680, row2 + 72)]:
        out += [arrow(f"M{x} {y + 8}V{y + row2 - row1 - 88}", both=True)] + mailbox(x, y + (row2 - row1 - 80) / 2)
    out += [arrow(f"M392 {row3 + 40}H604", both=True)] + mailbox(498, row3 + 40)
    out.append(text(498, row3 + 66, "mailbox", "small", "middle"))
    out += thread("redis-watch", 152, row4, 698, 60, "with Sentinels or replicas",
                  "Redis: asks once a second who the primary is; tells sink and control")
    out += [text(152, row4 + 84, "resolver, sentinels: one question, then they end. feed: readers and sink as one, on few cores.", "quiet"),
            text(152, row4 + 101, "cluster-watch: who owns which slots of a cluster. feedd adds ops and ops-redis: metrics, health, page.",
                 "quiet")]
    out += thread("flux-client", 152, program + 34, 698, 60, "for each FluxClient", "Client: commands and updates on two connections")
    out += thread("streams", 152, program + 104, 698, 60, "for each RedisStreams",
                  "Streams: commands pipelined on one connection, and one more for each read that waits")
    out += [arrow(f"M858 {y + 30}H896", both=True) for y in (row4, program + 34, program + 104)]
    return out, bottom


def style(colours):
    c = colours
    return (f".paper{{fill:{c['paper']}}}text{{fill:{c['ink']};font:12.5px sans-serif}}text.name{{font-weight:bold;font-size:15px}}"
            f"text.title{{font-weight:bold;font-size:17px}}text.words,text.quiet,text.small{{fill:{c['quiet']};font-size:12px}}"
            f"text.small{{fill:{c['ink']}}}text.pill{{fill:#fff;font-size:12px}}"
            f".box{{fill:{c['box']};stroke:{c['rim']}}}.outside{{fill:{c['paper']};stroke:{c['line']};stroke-dasharray:5 4}}"
            f".frame{{fill:none;stroke:{c['rim']};stroke-width:1.5}}"
            f".edge{{fill:none;stroke:{c['line']};stroke-width:1.4}}.data{{fill:none;stroke:{c['ink']};stroke-width:2.4}}"
            f".halo{{fill:none;stroke:{c['paper']};stroke-width:12}}.slot{{fill:{c['paper']};stroke:{c['line']}}}"
            f".full{{fill:{c['line']};stroke:{c['line']}}}.head{{fill:{c['line']}}}.data-head{{fill:{c['ink']}}}")


def drawing():
    known = rooms()
    check_truth(known)
    upper, middle = draw_rooms(known, 100)
    lower, bottom = draw_threads(middle + 88)
    styles = f"{style(LIGHT)}@media(prefers-color-scheme:dark){{{style(DARK)}}}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 20:g}" role="img">',
        "<title>The rooms of FastFeed and its threads</title>", f"<style>{styles}</style>",
        *(f'<marker id="{kind}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="{size}" markerHeight="{size}" '
          f'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" class="{head}"/></marker>'
          for kind, size, head in (("edge", 8, "head"), ("data", 10, "data-head"))),
        f'<rect width="{WIDTH}" height="{bottom + 20:g}" class="paper"/>',
        text(20, 36, "Rooms", "title"),
        text(20, 58, "An arrow: may know. What other arrows lead to already has none of its own: all stands in scripts/rooms.txt.",
             "quiet"),
        text(20, 76, "A colour: the thread whose loop is in the room.", "quiet"),
        *upper,
        text(20, middle + 48, "Threads", "title"),
        text(20, middle + 70, "Between them rings (one thread at each end) and mailboxes (bounded, the receiver is woken).", "quiet"),
        *lower, "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            DRAWING.write_text(drawing(), encoding="utf-8")
        case ["--check"]:
            if not DRAWING.exists() or DRAWING.read_text(encoding="utf-8") != drawing():
                sys.exit("docs/rooms.svg is not what scripts/rooms.py draws of today's rooms and threads: run it")
            print("drawing: as rooms and threads are")
        case _:
            sys.exit(__doc__)
