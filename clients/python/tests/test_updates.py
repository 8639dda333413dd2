"""Live updates: all of them while Redis stays; those that a loss has cost are counted; bad ones are passed over."""

from __future__ import annotations

import threading
from typing import Any, Dict, List

import pytest

from fastfeed import DisconnectedError, FluxClient, Update
from fastfeed.contract import Keys
from fastfeed.reception import Reception
from feed import BEGIN, MINUTE, row, update
from rig import RedisServer, World, eventually, patiently

SERIES = ("btcusdt", "ethusdt", "bnbusdt")


def test_ten_thousand_updates_and_not_one_lost() -> None:
    world = World(symbols=60, speed=30)
    try:
        with FluxClient.from_url(world.redis.url) as client:
            names = [symbol["symbol"] for symbol in client.symbols(limit=60)]
            client.create_flux(names, "1s")
            # By hand, beside it, from before until after.
            raw = world.redis.client().pubsub()
            raw.psubscribe("updates:*")
            eventually(lambda: raw.get_message(timeout=0.1))
            published: List[str] = []
            ended = threading.Event()

            def listen() -> None:
                while not ended.is_set():
                    message = raw.get_message(timeout=0.1)
                    if message is not None and message["type"] == "pmessage":
                        published.append(message["data"])

            thread = threading.Thread(target=listen)
            thread.start()
            with client.updates(names, "1s") as updates:
                ours = [next(updates) for _ in range(10_000)]
                assert (updates.interruptions, updates.missed, updates.malformed) == (0, 0, 0)
            first = eventually(lambda: [place for place, text in enumerate(published) if text == _text(ours[0])][:1])[0]
            eventually(lambda: len(published) >= first + 10_000)
            ended.set()
            thread.join()
        assert published[first : first + 10_000] == [_text(one) for one in ours]
    finally:
        world.close()


def _text(one: Update) -> str:
    import json

    return json.dumps(dict(one), separators=(",", ":"), ensure_ascii=False)


def test_updates_of_several_series(client: FluxClient) -> None:
    seen: Dict[str, int] = {}
    with client.updates(SERIES, "1s") as updates:
        for one in updates:
            assert one.rows == len(one.candles) == one["rows"] <= one.updates
            assert all(candle.symbol == one.symbol and candle.interval == one.interval == "1s" for candle in one.candles)
            assert all(candle.closed for candle in one.closed())
            seen[one.symbol] = seen.get(one.symbol, 0) + 1
            if min(seen.get(name, 0) for name in SERIES) >= 3:
                break
    assert set(seen) == set(SERIES)


def test_a_callback_that_raises_is_called_again(client: FluxClient) -> None:
    calls: List[Update] = []

    def on_update(one: Update) -> None:
        calls.append(one)
        if len(calls) == 1:
            raise RuntimeError("mine")

    subscription = client.subscribe_to_updates("btcusdt", "1s", on_update)
    eventually(lambda: len(calls) >= 3)
    assert subscription.failures == 1
    subscription.close()
    eventually(lambda: not subscription.is_alive)
    count = len(calls)
    with client.updates("btcusdt", "1s") as updates:
        next(updates)
    assert len(calls) == count


def test_a_callback_may_close_its_subscription(client: FluxClient) -> None:
    closed = threading.Event()
    ready = threading.Event()

    def on_update(_: Update) -> None:
        assert ready.wait(10)
        subscription.close()
        closed.set()

    subscription = client.subscribe_to_updates("btcusdt", "1s", on_update)
    ready.set()
    assert closed.wait(20)
    eventually(lambda: not subscription.is_alive)


def test_updates_go_on_after_a_loss_and_count_it() -> None:
    # What is missing afterwards must be in the history, which is on the disk.
    world = World("--appendonly", "yes", "--appendfsync", "always", speed=6)
    try:
        with FluxClient.from_url(world.redis.url) as client:
            client.create_flux("btcusdt", "1s")
            closed: List[int] = []
            subscription = client.subscribe_to_updates(
                "btcusdt", "1s", lambda one: closed.extend(candle.open_time for candle in one.closed())
            )
            eventually(lambda: len(closed) >= 5)
            first = closed[0]
            for turn in (1, 2):
                world.redis.kill()
                eventually(lambda: subscription.interruptions == turn)
                world.redis.start()
                count = len(closed)
                eventually(lambda: len(closed) >= count + 5)
            subscription.close()
            seen = {moment for moment in closed if moment >= first}
            last = max(seen)
            patiently(lambda: client.gaps("btcusdt", "1s").is_complete)
            stored = client.history("btcusdt", "1s", start=first, end=last).candles()
            assert [candle.open_time for candle in stored] == list(range(first, last + 1, 1_000))
            assert subscription.interruptions == 2
            # Late ones may come behind; what is counted can only be more than what has not come.
            assert len(stored) - len(seen) <= subscription.missed <= len(stored) - len(seen) + 40
            assert len(stored) - len(seen) == subscription.missed or any(b < a for a, b in zip(closed, closed[1:]))
    finally:
        world.close()


def test_missed_candles_are_counted_by_the_calendar() -> None:
    reception = Reception(Keys(), [("btcusdt", "1m")])
    channel = "updates:{btcusdt}:1m"

    def say(*rows: Dict[str, Any]) -> None:
        assert reception.take(["message", channel, update(*rows)]) is not None

    reception.take(["subscribe", channel, 1])
    assert reception.is_confirmed
    say(row(BEGIN, closed=False))
    say(row(BEGIN))
    # Nobody was away: what is late is not missed.
    say(row(BEGIN + 3 * MINUTE, closed=False))
    assert reception.missed == 0
    # redis-py has connected anew by itself: the confirmation tells it.
    reception.take([b"subscribe", channel.encode(), 1])
    assert reception.interruptions == 1
    say(row(BEGIN + 5 * MINUTE, closed=False))
    assert reception.missed == 4
    reception.lose()
    say(row(BEGIN + 5 * MINUTE), row(BEGIN + 6 * MINUTE, closed=False))
    assert (reception.missed, reception.interruptions) == (4, 2)


def test_what_is_not_an_update_is_passed_over(server: RedisServer) -> None:
    raw = server.client()
    channel = "updates:{btcusdt}:1m"
    wrong = [
        "", "{", "[]", "null", "1", "{}", '"x"', "\ud800".encode("utf-8", "surrogatepass"), b"\xff\xfe", "[" * 100_000, "9" * 10_000,
        update(row(BEGIN, symbol="ethusdt"), symbol="ethusdt"), update({}), update({**row(BEGIN), "closed": 1}),
        update({**row(BEGIN), "open_time": True}), update({**row(BEGIN), "open_time": 10**30}), update({**row(BEGIN), "close": 2.5}),
        update(row(BEGIN)).replace('"rows": 1', '"rows": NaN'), update(row(BEGIN)).replace('"rows": 1', '"rows": "1"'),
    ]  # fmt: skip
    with FluxClient.from_url(server.url) as client, client.updates("btcusdt", "1m") as updates:
        for text in wrong:
            raw.publish(channel, text)
        # Members that a newer service adds, in another order, are no fault.
        raw.publish(channel, update(dict(sorted({**row(BEGIN), "new": [1]}.items()))))
        assert next(updates).candles[0].open_time == BEGIN
        assert updates.malformed == len(wrong)


def test_a_silent_connection_is_asked_and_left(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    monkeypatch.setattr("fastfeed.reception.SILENCE", 0.5)
    with FluxClient.from_url(server.url, timeout=1) as client:
        got: List[Update] = []
        subscription = client.subscribe_to_updates("btcusdt", "1m", got.append)
        raw = server.client()
        eventually(lambda: raw.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] > 3)
        assert subscription.interruptions == 0
        server.process.send(signal.SIGSTOP)
        eventually(lambda: subscription.interruptions == 1)
        server.process.send(signal.SIGCONT)
        eventually(lambda: raw.publish("updates:{btcusdt}:1m", update(row(BEGIN))) and got)


def test_a_refused_subscription_is_told(server: RedisServer) -> None:
    server.client().acl_setuser("blind", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"], reset_channels=True)
    with (
        FluxClient.from_url(server.url, username="blind", password="secret") as client,
        pytest.raises(DisconnectedError),
    ):
        client.updates("btcusdt", "1m")
