"""What the client costs: `get_data` of 1,500 rows and the updates iterator, against the same by hand with redis-py and json.

    python benchmarks/by_hand.py [--feedd PROGRAM] [--rounds N] [--most RATIO]

Both sides take turns in one process, on one Redis, one service and the same messages; the best round of each counts. Ends with 1 when a
ratio is above the most that is allowed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List

import redis

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import rig
from fastfeed import FluxClient

ROWS = 1_500
MESSAGES = 20_000


def data_by_hand(raw: Any, listener: Any) -> List[Dict[str, Any]]:
    """As docs/commands.md says it, on a connection that is kept."""
    request_id = uuid.uuid4().hex
    channel = f"responses:data:get:{request_id}"
    listener.subscribe(channel)
    while True:
        message = listener.get_message(timeout=5)
        if message["type"] == "subscribe":
            request = {"request_id": request_id, "symbol": "btcusdt", "interval": "1m", "limit": ROWS}
            raw.publish("commands:data:get", json.dumps(request))
        elif message["type"] == "message":
            answer = json.loads(message["data"])
            listener.unsubscribe(channel)
            return list(answer["rows"])


def best(rounds: int, *sides: Callable[[], float]) -> List[float]:
    """Seconds of each side, the sides in turn."""
    times: List[List[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for place, side in enumerate(sides):
            times[place].append(side())
    return [min(one) for one in times]


def compare_data(client: FluxClient, raw: Any, rounds: int) -> List[float]:
    rig.eventually(lambda: client.get_data("btcusdt", "1m", limit=ROWS).source == "redis")
    print(f"the service takes {client.get_data('btcusdt', '1m', limit=ROWS).took_us} µs for these rows")
    rig.eventually(lambda: len(client.history("btcusdt", "1m").candles()) >= ROWS - 1 and client.gaps("btcusdt", "1m").is_complete)
    listener = raw.pubsub()

    def by_hand() -> float:
        before = time.perf_counter()
        rows = data_by_hand(raw, listener)
        assert len(rows) == ROWS
        _ = rows[-1]["close"]
        return time.perf_counter() - before

    def ours() -> float:
        before = time.perf_counter()
        data = client.get_data("btcusdt", "1m", limit=ROWS)
        assert len(data) == ROWS
        _ = data[-1].close
        return time.perf_counter() - before

    return best(rounds * 10, by_hand, ours)


def compare_updates(client: FluxClient, raw: Any, rounds: int) -> List[float]:
    """Messages that lie ready in the connection: what an iterator can do at most."""
    one = dict(next(client.updates("btcusdt", "1s")))
    # A channel that no service writes to.
    text = json.dumps({**one, "symbol": "quiet", "candles": [{**row, "symbol": "quiet"} for row in one["candles"]]})
    channel = "updates:{quiet}:1s"

    def publish() -> None:
        with raw.pipeline(transaction=False) as pipeline:
            for _ in range(MESSAGES):
                pipeline.publish(channel, text)
            pipeline.execute()

    def by_hand() -> float:
        listener = raw.pubsub(ignore_subscribe_messages=True)
        listener.subscribe(channel)
        listener.get_message(timeout=5)
        publish()
        before, seen = time.perf_counter(), 0
        for message in listener.listen():
            update = json.loads(message["data"])
            seen += len(update["candles"])
            if seen == MESSAGES:
                break
        seconds = time.perf_counter() - before
        listener.close()
        return seconds

    def ours() -> float:
        with client.updates("quiet", "1s") as updates:
            publish()
            before, seen = time.perf_counter(), 0
            for update in updates:
                seen += len(update.candles)
                if seen == MESSAGES:
                    break
            return time.perf_counter() - before

    return best(rounds, by_hand, ours)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--feedd", default=rig.FEEDD)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=float, default=1.3)
    options = parser.parse_args()
    rig.FEEDD = options.feedd
    print(f"Python {platform.python_version()}, redis-py {redis.__version__}, {platform.machine()}, {platform.node()}")
    world = rig.World(
        "--client-output-buffer-limit", "pubsub", "0", "0", "0", speed=1, simulate=("--history-minutes", "1600"),
        run=("--history", "2000", "--backfill", "1500"),
    )  # fmt: skip
    # redis-py as it comes, but for texts instead of bytes and one protocol for both sides.
    raw = world.redis.client(protocol=2)
    try:
        with FluxClient.from_url(world.redis.url) as client:
            client.create_flux("btcusdt", "1m", history=ROWS)
            client.create_flux("btcusdt", "1s")
            print(f"hiredis: {type(client.updates('btcusdt', '1s')._listener.connection._parser).__name__}")
            ratios = []
            for name, count, times in (
                (f"get_data of {ROWS} rows", 1, compare_data(client, raw, options.rounds)),
                ("an update of the iterator", MESSAGES, compare_updates(client, raw, options.rounds)),
            ):
                by_hand, ours = (seconds / count * 1e6 for seconds in times)
                ratios.append(ours / by_hand)
                print(f"{name:28} by hand {by_hand:9.1f} µs   fastfeed {ours:9.1f} µs   ratio {ratios[-1]:.2f}")
    finally:
        world.close()
    return 0 if max(ratios) <= options.most else 1


if __name__ == "__main__":
    sys.exit(main())
