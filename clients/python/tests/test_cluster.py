"""A Redis Cluster that a service fills, beside a single server that another one fills from the same exchange: redis-py has the same answers
at both, and this package's client works at both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from fastfeed import FluxClient
from rig import Cluster, RedisServer, World, eventually

CANDLES = ["candles:{btcusdt}:1s", "candles:{btcusdt}:1m"]
UPDATES = "updates:{btcusdt}:1s"


class Pair:
    """Both services, with the same flux."""

    def __init__(self, folder: Path) -> None:
        self.world = World(server=Cluster(folder))
        self.single = RedisServer(folder, "--appendonly", "no", name="single")
        self.world.start_service_at(self.single, "beside")
        # Whichever node redis-py is told of.
        self.clients: List[Any] = [self.world.redis.client(1), self.single.client()]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.world.close()
        self.single.end()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    # The path of a socket is short.
    pair = Pair(tmp_path_factory.mktemp("c"))
    for redis in pair.clients:
        # In a cluster: the request goes where the service listens, whichever slot the channel has.
        client = FluxClient.from_redis(redis)
        client.create_flux("btcusdt,ethusdt,bnbusdt", "1s", name="seconds")
        client.create_flux("btcusdt,ethusdt,bnbusdt", "1m", name="minutes")
        client.close()
    yield pair
    pair.close()


def newest(redis: Any, key: str) -> str:
    found = redis.xrevrange(key, count=1)
    return str(found[0][0]) if found else ""


def newest_live(redis: Any, key: str) -> str:
    """The newest entry, if it came live: what follows it then came live, too. Behind an entry of REST more of REST may follow."""
    found = redis.xrevrange(key, count=1)
    return str(found[0][0]) if found and found[0][1]["source"] == "live" else ""


def number(entry_id: str) -> int:
    return int(entry_id.split("-")[0])


def test_redis_py_has_the_same_answers(pair: Pair) -> None:
    # What is read from here on came live to both.
    marks = {key: max((eventually(lambda: newest_live(redis, key)) for redis in pair.clients), key=number) for key in CANDLES}
    for redis in pair.clients:
        for key in CANDLES:
            eventually(lambda: len(redis.xrange(key, f"({marks[key]}")) >= 2, 60, f"two more candles in {key}")
    answers = [redis.xread(marks, count=2) for redis in pair.clients]
    assert answers[0] == answers[1]
    assert {name: len(entries) for name, entries in as_pairs(answers[0])} == dict.fromkeys(CANDLES, 2)
    for key in CANDLES:
        last = min((newest(redis, key) for redis in pair.clients), key=number)
        backwards = [redis.xrevrange(key, last, f"({marks[key]}", count=2) for redis in pair.clients]
        assert backwards[0] == backwards[1]
        assert len(backwards[0]) == 2
    states = [json.loads(redis.hget("latest:1s", "btcusdt")) for redis in pair.clients]
    assert states[0].keys() == states[1].keys()
    assert states[0]["symbol"] == states[1]["symbol"] == "btcusdt"
    assert all(sorted(redis.hgetall("latest:1s")) == ["bnbusdt", "btcusdt", "ethusdt"] for redis in pair.clients)


def as_pairs(answer: Any) -> List[Tuple[str, Any]]:
    """Of XREAD: a list of pairs, or with RESP3 a dictionary of lists of lists."""
    if isinstance(answer, dict):
        return [(key, entries[0]) for key, entries in answer.items()]
    return [(key, entries) for key, entries in answer]


def test_redis_py_hears_the_same_messages(pair: Pair) -> None:
    listeners = [redis.pubsub(ignore_subscribe_messages=True) for redis in pair.clients]
    heard: List[Dict[int, Any]] = [{}, {}]
    for listener in listeners:
        listener.subscribe(UPDATES)

    def hear() -> bool:
        for listener, closed in zip(listeners, heard):
            while message := listener.get_message(timeout=0.01):
                for candle in json.loads(message["data"])["candles"]:
                    if candle["closed"]:
                        closed[candle["open_time"]] = candle
        return len(heard[0].keys() & heard[1].keys()) >= 3

    eventually(hear, 30, "three closed candles at both")
    assert all(heard[0][time] == heard[1][time] for time in heard[0].keys() & heard[1].keys())
    for listener in listeners:
        listener.close()


def test_the_client(pair: Pair) -> None:
    for place in range(3):
        redis = pair.world.redis.client(place)
        with FluxClient.from_redis(redis) as client:
            assert client.status()["redis_mode"] == "cluster"
            assert {flux.id for flux in client.list_fluxes()} == {"seconds", "minutes"}
            assert len(client.get_data("btcusdt", "1m", limit=3)) == 3
            assert next(client.updates("btcusdt", "1s")).symbol == "btcusdt"
            assert next(client.candles("btcusdt", "1s", after="start")).candle is not None
            assert len(client.latest("1s")) == 3
            worker = client.worker(f"where-{place}", "btcusdt", "1s")
            next(worker).ack()
            worker.close()
        redis.close()
