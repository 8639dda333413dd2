#!/usr/bin/env python3
"""Drives a running FastFeed service from Python, by nothing but the documented channels (docs/commands.md).

    python3 flux.py REDIS_URL SYMBOL      e.g. redis://127.0.0.1:6379 or unix:///run/redis.sock
"""

import json
import sys
import time
import uuid

import redis


def call(client, kind, **fields):
    """One request and its answer."""
    request_id = uuid.uuid4().hex
    with client.pubsub() as listener:
        listener.subscribe(f"responses:{kind}:{request_id}")
        listener.get_message(timeout=5)  # the confirmation: from now on nothing is missed
        heard = client.publish(f"commands:{kind}", json.dumps({"request_id": request_id, **fields}))
        if heard == 0:
            raise SystemExit("no service listens for commands")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            message = listener.get_message(timeout=1)
            if message and message["type"] == "message":
                return json.loads(message["data"])
    raise SystemExit(f"no answer to {kind}")


def main(url, symbol):
    client = redis.Redis.from_url(url, decode_responses=True)
    made = call(client, "flux:create", symbols=[symbol], interval="1s")
    assert made["status"] == "ok", made
    print("created", made["flux_id"])

    with client.pubsub() as listener:
        listener.subscribe(f"updates:{{{symbol}}}:1s")
        closed = 0
        deadline = time.monotonic() + 30
        while closed < 2 and time.monotonic() < deadline:
            message = listener.get_message(timeout=1)
            if message and message["type"] == "message":
                closed += sum(candle["closed"] for candle in json.loads(message["data"])["candles"])
        assert closed >= 2, "no updates"
    print("updates came")

    data = call(client, "data:get", symbol=symbol, interval="1s", limit=2)
    assert data["status"] == "ok" and data["source"] == "redis" and data["rows"], data
    stored = client.xrevrange(f"candles:{{{symbol}}}:1s", count=1)[0][1]
    print("newest stored close", stored["close"])
    assert call(client, "status:get", flux_id=made["flux_id"])["state"] in ("starting", "live")
    assert call(client, "flux:stop", flux_id=made["flux_id"])["status"] == "ok"
    assert call(client, "flux:stop", flux_id=made["flux_id"])["error"]["code"] == "unknown_flux"
    print("stopped")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "btcusdt")
