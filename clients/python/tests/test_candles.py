"""Candles in order, each once, whatever happens; holes and what is put right as events."""

from __future__ import annotations

import itertools
import json
import random
import threading
from typing import Any, Dict, List, Optional, Tuple

import pytest

from fastfeed import BadArgumentError, Candle, CandleEvent, FluxClient
from fastfeed.contract import Keys
from fastfeed.follow import Follower, streams_of
from fastfeed.order import CandleOrder
from fastfeed.steps import run
from feed import BEGIN, MINUTE, change, insert, row, store
from rig import Losing, RedisServer, World, eventually

Told = Tuple[str, int]


def at(event: CandleEvent) -> Told:
    return event.kind, (event.open_time - BEGIN) // MINUTE


def take(stream: Any, count: int) -> List[CandleEvent]:
    return list(itertools.islice(stream, count))


def test_history_then_what_comes(server: RedisServer) -> None:
    raw = server.client()
    for number in (0, 1, 4):
        store(raw, number)
    with FluxClient.from_url(server.url) as client:
        stream = client.candles("btcusdt", "1m", after="start")
        events = take(stream, 4)
        assert [at(event) for event in events] == [("candle", 0), ("candle", 1), ("gap", 2), ("candle", 4)]
        gap = events[2]
        assert (gap.until, gap.cause, gap.candle) == (BEGIN + 4 * MINUTE, "missing", None)
        assert stream.open_gaps == {"btcusdt": [(BEGIN + 2 * MINUTE, BEGIN + 4 * MINUTE)]}
        store(raw, 5)
        assert at(next(stream)) == ("candle", 5)
        # One of the two comes late; the first of it is told when it is there.
        insert(raw, 3, source="backfill", close="9")
        change(raw, 3, "inserted")
        late = next(stream)
        assert at(late) == ("late", 3)
        assert late.candle is not None
        assert str(late.candle.close) == "9"
        assert stream.open_gaps == {"btcusdt": [(BEGIN + 2 * MINUTE, BEGIN + 3 * MINUTE)]}
        insert(raw, 1, revision=1, close="7")
        change(raw, 1, "corrected")
        corrected = next(stream)
        assert at(corrected) == ("corrected", 1)
        raw.xdel("candles:{btcusdt}:1m", f"{BEGIN}-0")
        change(raw, 0, "removed")
        assert at(next(stream)) == ("removed", 0)
        insert(raw, -3)
        change(raw, -3, "inserted")
        assert at(next(stream)) == ("late", -3)
        assert stream.malformed == stream.interruptions == 0


def test_where_to_begin(server: RedisServer) -> None:
    raw = server.client()
    for number in range(5, 10):
        store(raw, number)
    with FluxClient.from_url(server.url) as client:
        resumed = client.candles("btcusdt", "1m", after=BEGIN + 7 * MINUTE)
        assert [at(event) for event in take(resumed, 2)] == [("candle", 8), ("candle", 9)]
        trimmed = take(client.candles("btcusdt", "1m", after=BEGIN), 2)
        assert [at(event) for event in trimmed] == [("gap", 1), ("candle", 5)]
        assert trimmed[0].cause == "trimmed"
        end = client.candles("btcusdt", "1m")
        moment = Later(end)
        eventually(lambda: raw.info("clients")["blocked_clients"])
        change(raw, 5, "corrected")
        store(raw, 10)
        assert at(moment.event()) == ("candle", 10)
        place: Any
        for place in ("begin", -1, 1.5, None):
            with pytest.raises(BadArgumentError):
                client.candles("btcusdt", "1m", after=place)
        with pytest.raises(BadArgumentError):
            client.candles([], "1m")
        for place in (
            {"btcusdt": {}},
            {"btcusdt": {"candle": -5, "change": "0-0"}},
            {"btcusdt": {"candle": 1, "change": "5-x"}},
            {"btcusdt": {"candle": "x", "change": "0-0"}},
            {"btcusdt": {"candle": 1, "change": "x"}},
        ):
            with pytest.raises(BadArgumentError):
                next(client.candles("btcusdt", "1m", after=place))


class Later:
    """The next event, waited for in a thread."""

    def __init__(self, stream: Any) -> None:
        self.found: List[CandleEvent] = []
        threading.Thread(target=lambda: self.found.append(next(stream)), daemon=True).start()

    def event(self) -> CandleEvent:
        return eventually(lambda: self.found)[0]


def test_a_place_goes_on_without_repeating_or_missing(server: RedisServer) -> None:
    raw = server.client()
    for number in range(30):
        store(raw, number)
    place: Any = "start"
    told: List[Told] = []
    with FluxClient.from_url(server.url) as client:
        for turn in range(10):
            stream = client.candles("btcusdt", "1m", after=place)
            told += [at(event) for event in take(stream, 3)]
            place = json.loads(json.dumps(stream.place))
            stream.close()
            assert place["btcusdt"]["candle"] == BEGIN + (turn * 3 + 2) * MINUTE
        assert told == [("candle", number) for number in range(30)]
        # What was changed while nobody followed is told to whoever goes on.
        change(raw, 4, "corrected")
        store(raw, 30)
        events = {at(event) for event in take(client.candles("btcusdt", "1m", after=place), 2)}
        assert events == {("corrected", 4), ("candle", 30)}


def test_changes_that_were_trimmed_are_told(server: RedisServer) -> None:
    raw = server.client()
    for number in range(3):
        store(raw, number)
    change(raw, 0, "corrected")
    with FluxClient.from_url(server.url) as client:
        stream = client.candles("btcusdt", "1m", after="start")
        assert len(take(stream, 3)) == 3
        place = stream.place
        stream.close()
        with raw.pipeline(transaction=False) as pipeline:
            for _ in range(1_100):
                change(pipeline, 1, "corrected")
            pipeline.execute()
        resumed = client.candles("btcusdt", "1m", after=place)
        assert next(resumed).kind == "changes_lost"
        assert at(next(resumed)) == ("corrected", 1)


def test_a_stream_that_is_made_anew_is_read_from_its_beginning(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastfeed.follow._BLOCK_MS", 50)
    monkeypatch.setattr("fastfeed.follow._SILENCE", 0.25)
    raw = server.client()
    for number in range(100, 103):
        store(raw, number)
    change(raw, 101, "corrected")
    with FluxClient.from_url(server.url) as client:
        stream = client.candles("btcusdt", "1m", after="start")
        assert len(take(stream, 3)) == 3
        raw.flushall()
        store(raw, 3)
        events = take(stream, 2)
        assert {event.kind for event in events} == {"candle", "changes_lost"}
        assert stream.interruptions == 1


def test_redis_is_lost_while_changes_are_looked_at(server: RedisServer) -> None:
    raw = server.client()
    for number in (0, 3):
        store(raw, number)
    follower = Follower(Keys(), [("btcusdt", "1m")], "start")
    run(raw, follower.turn(), threading.Event())
    while follower.take():
        pass
    for number in (1, 2):
        insert(raw, number)
        change(raw, number, "inserted")
    # The first candle was looked at, the second not.
    losing = Losing(raw, "xrange", 2)
    told: List[Told] = []
    while len(told) < 2:
        run(losing, follower.turn(), threading.Event())
        while event := follower.take():
            told.append(at(event))
    assert told == [("late", 1), ("late", 2)]
    assert follower.open_gaps == {"btcusdt": []}
    assert (losing.left < 0, follower.interruptions) == (True, 1)


def test_a_short_timeout_is_no_loss(server: RedisServer) -> None:
    store(server.client(), 0)
    with FluxClient.from_url(server.url, timeout=1) as client:
        stream = client.candles("btcusdt", "1m")
        moment = Later(stream)

        def reads() -> int:
            return int(server.client().info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"])

        eventually(lambda: reads() >= 3)
        store(server.client(), 1)
        assert at(moment.event()) == ("candle", 1)
        assert stream.interruptions == 0


def test_several_series_and_close(client: FluxClient) -> None:
    seen: Dict[str, List[int]] = {"btcusdt": [], "ethusdt": []}
    with client.candles("btcusdt,ethusdt", "1s", after="start") as stream:
        for event in stream:
            assert event.kind == "candle"
            seen[event.symbol].append(event.open_time)
            if min(len(one) for one in seen.values()) > 200:
                break
    for moments in seen.values():
        assert moments == list(range(moments[0], moments[-1] + 1, 1_000))
    assert list(stream) == []


def test_redis_is_killed_and_nothing_is_missing_or_twice() -> None:
    world = World("--appendonly", "yes", "--appendfsync", "always", speed=24, run=("--backfill", "0"))
    try:
        with FluxClient.from_url(world.redis.url) as client:
            client.create_flux("btcusdt", "1s")
            stream = client.candles("btcusdt", "1s", after="start")
            told: Dict[int, Optional[Candle]] = {}
            until = [30, 60, 90]

            def follow(count: int) -> None:
                while len([one for one in told.values() if one]) < count:
                    event = next(stream)
                    if event.kind in ("candle", "late"):
                        assert told.get(event.open_time) is None, "twice"
                        told[event.open_time] = event.candle
                    elif event.kind == "gap":
                        told.update(dict.fromkeys(range(event.open_time, event.until or 0, 1_000)))

            begin = eventually(lambda: client.history("btcusdt", "1s").candles())
            for turn, count in enumerate(until, 1):
                follow(len(begin) + count)
                if count != until[-1]:
                    world.redis.kill()
                    world.redis.start()
                    assert stream.interruptions <= turn
            stored = {candle.open_time: candle for candle in client.history("btcusdt", "1s")}
            first, last = min(told), max(told)
            assert sorted(told) == list(range(first, last + 1, 1_000))
            for moment, candle in told.items():
                if candle is not None:
                    assert stored[moment]["close"] == candle["close"]
    finally:
        world.close()


def test_a_flux_whose_exchange_loses_candles_is_followed_to_the_end() -> None:
    # Later candles do not wait for what is missing: it is put behind them.
    world = World(speed=20, simulate=("--fault", "drop,after=4000,count=3"), run=("--heal-hold", "0", "--backfill", "20"))
    try:
        with FluxClient.from_url(world.redis.url) as client:
            client.create_flux("btcusdt,ethusdt", "1s")
            stream = client.candles("btcusdt", "1s", after="start")
            told: Dict[int, Candle] = {}
            while len(told) < 120 or stream.open_gaps["btcusdt"]:
                event = next(stream)
                if event.candle is not None:
                    assert event.kind != "candle" or event.open_time not in told
                    told[event.open_time] = event.candle
            moments = sorted(told)
            assert moments == list(range(moments[0], moments[-1] + 1, 1_000))
    finally:
        world.close()


def test_any_order_of_events_leads_to_the_same_series() -> None:
    """A world of 60 minutes, of which some come late, are corrected or removed: what was told equals what is stored."""
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    for _ in range(200):
        order = CandleOrder("btcusdt", "1m", None, 0)
        stored: Dict[int, Candle] = {}
        told: Dict[int, Candle] = {}
        late = [number for number in range(1, 60) if chance.random() < 0.3]
        work: List[Tuple[str, int]] = [("append", number) for number in range(60) if number not in late]
        for number in late:
            work.append(("inserted", number))
        for kind, number in work:
            moment = BEGIN + number * MINUTE
            candle = Candle(row(moment))
            if kind == "append" or moment > max(stored):
                stored[moment] = candle
                events = order.append(candle, "missing")
            else:
                stored[moment] = candle
                events = order.change(moment, {"inserted"}, candle)
            for event in events:
                if event.candle is not None:
                    assert event.open_time not in told, f"seed {seed}"
                    told[event.open_time] = event.candle
            if chance.random() < 0.1:
                which = chance.choice(sorted(stored))
                corrected = Candle(row(which, revision=1, close="8"))
                stored[which] = corrected
                for event in order.change(which, {"corrected"}, corrected):
                    assert event.kind == "corrected", f"seed {seed}"
                    assert event.candle is not None
                    told[which] = event.candle
        assert told == stored, f"seed {seed}"
        assert order.open_gaps == [], f"seed {seed}"


def test_replies_of_both_protocols() -> None:
    entries = [("1-0", {"a": "b"})]
    assert streams_of([["k", entries]]) == streams_of({"k": [entries]}) == streams_of({b"k": entries}) == {"k": entries}
    assert streams_of(None) == streams_of([]) == {}
