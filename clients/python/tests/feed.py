"""What a service would write, by hand: for tests without one."""

from __future__ import annotations

import json
from typing import Any, Dict

from fastfeed.contract import CandleField

MINUTE = 60_000
BEGIN = 1_790_000_040_000


def fields(open_time: int, close: str = "2.5", **others: Any) -> Dict[str, Any]:
    """Of an entry of a 1m history."""
    made = dict.fromkeys(CandleField.STORED, "0")
    made.update(open="1.5", high="3", low="1", close=close, volume="0.10", close_time=str(open_time + MINUTE - 1), source="live")
    made.update({name: str(value) for name, value in others.items()})
    return made


def row(open_time: int, symbol: str = "btcusdt", closed: bool = True, **others: Any) -> Dict[str, Any]:
    """As a JSON object."""
    texts = fields(open_time, **others)
    made: Dict[str, Any] = {"symbol": symbol, "interval": "1m", "open_time": open_time}
    made.update({name: int(text) if name in CandleField.INTEGERS else text for name, text in texts.items()})
    return {**made, "closed": closed, "event_time": open_time + MINUTE - 1}


def update(*rows: Dict[str, Any], symbol: str = "btcusdt") -> str:
    return json.dumps({"symbol": symbol, "interval": "1m", "rows": len(rows), "updates": len(rows), "candles": list(rows)})


def store(redis: Any, number: int, **others: Any) -> None:
    open_time = BEGIN + number * MINUTE
    redis.xadd("candles:{btcusdt}:1m", fields(open_time, **others), id=f"{open_time}-0")


def insert(redis: Any, number: int, **others: Any) -> None:
    """Behind the newest: the stream is written anew, as the service does it, in one step."""
    key = "candles:{btcusdt}:1m"
    entries = dict(redis.xrange(key))
    open_time = BEGIN + number * MINUTE
    entries[f"{open_time}-0"] = fields(open_time, **others)
    with redis.pipeline() as transaction:
        transaction.delete(key)
        for entry_id in sorted(entries, key=lambda name: int(name.split("-")[0])):
            transaction.xadd(key, entries[entry_id], id=entry_id)
        transaction.execute()


def change(redis: Any, number: int, kind: str) -> None:
    told = {"open_time": BEGIN + number * MINUTE, "kind": kind, "revision": 0, "source": "backfill"}
    redis.xadd("changes:{btcusdt}:1m", told, maxlen=1_000, approximate=False)
