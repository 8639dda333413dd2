#!/usr/bin/env python3
"""Reads a series from Redis and keeps it right: history, changes and holes (docs/continuity.md).

    python3 continuity.py REDIS_URL SYMBOL INTERVAL SECONDS      e.g. redis://127.0.0.1:6379 btcusdt 1m 300
"""

import json
import sys
import time

import redis


class History:
    """The closed candles of a series, by open time."""

    def __init__(self, client, symbol, interval):
        self.client = client
        self.candles_key, self.changes_key, self.gaps_key = (
            f"{word}:{{{symbol}}}:{interval}" for word in ("candles", "changes", "gaps"))
        self.load()

    def load(self):
        # What changes from here on is told behind this place.
        last = self.client.xrevrange(self.changes_key, count=1)
        self.changed = last[0][0] if last else "0-0"
        self.newest, self.candles = "0-0", {}
        for entry in self.client.xrange(self.candles_key):
            self.take(*entry)

    def take(self, entry_id, fields):
        self.newest = entry_id
        self.candles[int(entry_id.split("-")[0])] = fields

    def follow(self, milliseconds):
        """What has happened since the last call: (kind, open time)."""
        places = {self.candles_key: self.newest, self.changes_key: self.changed}
        streams = dict(self.client.xread(places, block=milliseconds) or [])
        events = []
        for entry in streams.get(self.candles_key, []):
            self.take(*entry)
            events.append(("appended", int(entry[0].split("-")[0])))
        changes = streams.get(self.changes_key, [])
        if len(changes) >= 1000:  # no more are kept: some may be lost
            self.load()
            return [("read anew", None)]
        for change_id, change in changes:
            self.changed = change_id
            open_time = int(change["open_time"])
            found = self.client.xrange(self.candles_key, f"{open_time}-0", f"{open_time}-0")
            if found:
                self.candles[open_time] = found[0][1]
            else:
                self.candles.pop(open_time, None)
            events.append((change["kind"], open_time))
        return events

    def holes(self):
        """(first open time, open time behind it, state) of each hole."""
        found = ((int(start), json.loads(hole)) for start, hole in self.client.hgetall(self.gaps_key).items())
        return sorted((start, hole["until"], hole["state"]) for start, hole in found)

    def unexplained(self):
        """Bars between the first and the newest candle that are neither there nor listed as missing."""
        holes, expected, unexplained = self.holes(), None, []
        for open_time in sorted(self.candles):
            if expected is not None and open_time > expected:
                covered = expected
                for start, until, _ in holes:
                    if start <= covered < until:
                        covered = until
                if covered < open_time:
                    unexplained.append(covered)
            expected = int(self.candles[open_time]["close_time"]) + 1
        return unexplained


def main(url, symbol, interval, seconds):
    client = redis.Redis.from_url(url, decode_responses=True)
    history = History(client, symbol, interval)
    print(len(history.candles), "candles", flush=True)
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        for kind, open_time in history.follow(1000):
            print(kind, open_time, flush=True)
    for start, until, state in history.holes():
        print("hole", start, until, state)
    # A bar without trades is a candle like any other.
    print("without trades:", sum(candle["count"] == "0" for candle in history.candles.values()))
    # A hole is listed a moment after it is seen, and leaves the list when its candles are there.
    if history.unexplained():
        history.follow(2000)
    assert not history.unexplained(), history.unexplained()
    print("whole")


if __name__ == "__main__":
    main(*sys.argv[1:])
