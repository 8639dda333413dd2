"""Answers, files and streams that are not what they should be: a clear error, never a crash, and the next call works."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from fastfeed import BadAnswerError, BadArgumentError, DisconnectedError, FluxClient, FluxError, FluxTimeoutError, RefusedError, discovery
from fastfeed.contract import Command, Keys
from feed import BEGIN, row, update
from rig import RedisServer, World, eventually

Reply = Callable[[dict], Any]  # type: ignore[type-arg]


class Impostor:
    """Hears all commands and says what it likes."""

    def __init__(self, server: RedisServer) -> None:
        self.redis = server.client()
        self.replies: List[Any] = []
        self.listener = self.redis.pubsub()
        kinds = [name for name in vars(Command).values() if isinstance(name, str) and ":" in name and " " not in name]
        self.listener.subscribe(*(Keys().command(kind) for kind in kinds))
        self.ended = threading.Event()
        self.reply: Reply = lambda request: ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        eventually(lambda: self.redis.pubsub_numsub(Keys().command(kinds[-1]))[0][1])

    def _run(self) -> None:
        while not self.ended.is_set():
            message = self.listener.get_message(timeout=0.1)
            if message is not None and message["type"] == "message":
                request = json.loads(message["data"])
                kind = message["channel"].partition(":")[2]
                reply = self.reply(request)
                text = reply if isinstance(reply, (str, bytes)) else json.dumps(reply)
                self.redis.publish(Keys().response(kind, request["request_id"]), text)

    def close(self) -> None:
        self.ended.set()
        self.thread.join()


@pytest.fixture
def impostor(server: RedisServer) -> Iterator[Impostor]:
    impostor = Impostor(server)
    yield impostor
    impostor.close()


def ok(**members: Any) -> Reply:
    return lambda request: {"request_id": request["request_id"], "status": "ok", **members}


@pytest.mark.parametrize(
    "reply",
    [
        lambda _: "", lambda _: "{", lambda _: "[]", lambda _: b"\xff\xfe\x00", lambda _: "[" * 200_000, lambda _: '{"a":' * 200_000,
        lambda _: "1" * 100_000, lambda _: {"status": "ok"}, lambda _: {"request_id": "other", "status": "ok", "fluxes": []},
        ok(), ok(fluxes=None), ok(fluxes={}), ok(fluxes=[1]), ok(fluxes=[{}]), ok(status="fine", fluxes=[]), ok(status=1),
        ok(fluxes=[{"flux_id": "a", "symbols": [1], "interval": "1m", "state": "live", "created_at": 1, "series_live": 1}]),
        ok(fluxes=[{"flux_id": "a", "symbols": [], "interval": "1m", "state": "live", "created_at": 1.5, "series_live": 1}]),
        ok(fluxes=[{"flux_id": "a", "symbols": [], "interval": "1m", "state": "live", "created_at": True, "series_live": 1}]),
        ok(status="error"), ok(status="error", error="no"), ok(status="error", error={"code": 1, "message": "m"}),
    ],
)  # fmt: skip
def test_an_answer_that_is_none(server: RedisServer, impostor: Impostor, reply: Reply) -> None:
    with FluxClient.from_url(server.url) as client:
        impostor.reply = reply
        with pytest.raises(BadAnswerError):
            client.list_fluxes()
        impostor.reply = ok(fluxes=[], new="member")
        assert client.list_fluxes() == []


@pytest.mark.parametrize(
    "members",
    [
        {}, {"rows": 1}, {"rows": [1]}, {"rows": [{}]}, {"rows": [row(BEGIN), {**row(BEGIN), "open": 1}]},
        {"rows": [{**row(BEGIN), "count": "1"}]}, {"rows": [{**row(BEGIN), "closed": None}]}, {"rows": [{**row(BEGIN), "open_time": -1}]},
        {"rows": [{**row(BEGIN), "open_time": 10**40}]}, {"rows": [], "incomplete": 1}, {"rows": [], "took_us": "1"},
    ],
)  # fmt: skip
def test_rows_that_are_none(server: RedisServer, impostor: Impostor, members: Any) -> None:
    good = {"symbol": "btcusdt", "interval": "1m", "source": "redis", "took_us": 1}
    with FluxClient.from_url(server.url) as client:
        impostor.reply = ok(**{**good, **members})
        with pytest.raises(BadAnswerError):
            client.get_data("btcusdt", "1m")
        impostor.reply = ok(**good, rows=[row(BEGIN), dict(reversed({**row(BEGIN), "later": {}}.items()))])
        assert len(client.get_data("btcusdt", "1m").to_ohlcv()) == 2


def test_other_answers_that_are_none(server: RedisServer, impostor: Impostor) -> None:
    with FluxClient.from_url(server.url) as client:
        impostor.reply = ok(gaps=[{"symbol": "a"}], more=0, findings=[{"id": 1}], checked=1, repaired=False, symbols=[{}], total=0,
                            updated_at=0, flux_id=1, state=1)  # fmt: skip
        for ask in (
            client.gaps, client.symbols, client.status, lambda: client.audit("btcusdt", "1m"), lambda: client.create_flux("btcusdt", "1m"),
        ):  # fmt: skip
            with pytest.raises(BadAnswerError):
                ask()
        impostor.reply = ok(status="error", error={"code": "of tomorrow", "message": "m"})
        with pytest.raises(RefusedError) as refused:
            client.status()
        assert refused.value.code == "of tomorrow"
        # A state of tomorrow is a text like others.
        impostor.reply = ok(state="resting")
        assert client.status().is_healthy


def test_an_answer_twice_and_one_that_never_comes(server: RedisServer, impostor: Impostor) -> None:
    def twice(request: Any) -> Any:
        text = json.dumps(ok(fluxes=[])(request))
        impostor.redis.publish(Keys().response(Command.LIST_FLUXES, request["request_id"]), text)
        return text

    with FluxClient.from_url(server.url, timeout=2) as client:
        impostor.reply = twice
        for _ in range(50):
            assert client.list_fluxes() == []
        impostor.listener.unsubscribe(Keys().command(Command.LIST_FLUXES))
        deaf = server.client().pubsub()
        deaf.subscribe(Keys().command(Command.LIST_FLUXES))
        eventually(lambda: server.client().pubsub_numsub(Keys().command(Command.LIST_FLUXES))[0][1] == 1)
        with pytest.raises(FluxTimeoutError):
            client.list_fluxes()


def test_keys_of_another_type(server: RedisServer) -> None:
    raw = server.client()
    for key in (Keys().history("btcusdt", "1m"), Keys().latest("1m"), Keys().service_status):
        raw.set(key, "x")
    with FluxClient.from_url(server.url) as client:
        for ask in (
            lambda: client.history("btcusdt", "1m").candles(), lambda: client.latest("1m"), client.status,
            lambda: next(client.candles("btcusdt", "1m")), lambda: next(client.worker("g", "btcusdt", "1m")),
        ):  # fmt: skip
            with pytest.raises(FluxError, match=r"WRONGTYPE|no service"):
                ask()


def test_random_bytes_as_answers_and_updates(server: RedisServer, impostor: Impostor) -> None:
    import random

    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    good_answer = json.dumps(ok(symbol="btcusdt", interval="1m", source="redis", took_us=1, rows=[row(BEGIN)])({"request_id": "ID"}))
    good_update = update(row(BEGIN), row(BEGIN + 60_000, closed=False))

    def spoil(text: str) -> bytes:
        octets = bytearray(text.encode())
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(octets))
            octets[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        return bytes(octets)

    with FluxClient.from_url(server.url) as client, client.updates("btcusdt", "1m") as updates:
        for _ in range(150):
            impostor.reply = lambda request: spoil(good_answer.replace('"ID"', json.dumps(request["request_id"])))
            try:
                for candle in client.get_data("btcusdt", "1m"):
                    _ = candle.close
            except (BadAnswerError, RefusedError):
                pass
            except BaseException as error:
                raise AssertionError(f"seed {seed}") from error
        for _ in range(500):
            impostor.redis.publish(Keys().updates("btcusdt", "1m"), spoil(good_update))
        impostor.redis.publish(
            Keys().updates("btcusdt", "1m"), update(row(BEGIN), symbol="btcusdt").replace('"updates": 1', '"updates": 77')
        )
        count = 0
        for one in updates:
            count += 1
            if one.updates == 77:
                break
        assert count + updates.malformed == 501, f"seed {seed}"
        assert updates.interruptions == 0, f"seed {seed}"


def write(folder: Path, name: str, text: str, mode: int = 0o600) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / name
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_running_demo_is_found_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder, pid = tmp_path / "feedd", os.getpid()
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    good = f"{pid}\n{start}\n{world.redis.url}\n\nspot\n"
    assert discovery.services() == []
    write(folder, str(pid), good)
    assert [service.redis for service in discovery.services()] == [world.redis.url]
    with FluxClient() as client:
        assert client.status().is_healthy
    # With a place named nobody is searched for.
    with FluxClient("127.0.0.1", 1) as client, pytest.raises(DisconnectedError):
        client.status()
    for wrong in (
        "",
        "\n" * 6,
        good + "more\n", good.replace("spot", "coin"), good.replace(start, str(int(start) + 1)), good.replace(str(pid), "1", 1),
        "x" * 10_000,
    ):  # fmt: skip
        write(folder, str(pid), wrong)
        assert discovery.services() == [], wrong[:100]
    write(folder, str(pid), good, 0o644)
    assert discovery.services() == []
    write(folder, "99999999", good.replace(str(pid), "99999999"))
    write(folder, "name", good)
    assert discovery.services() == []
    link = folder / str(pid)
    link.unlink()
    link.symlink_to(write(tmp_path / "else", "file", good))
    assert discovery.services() == []
    link.unlink()
    write(folder, str(pid), good)
    folder.chmod(0o755)
    assert discovery.services() == []
    folder.chmod(0o700)
    # Two of them: both are named, and neither is taken.
    parent = os.getppid()
    parents = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    write(folder, str(parent), f"{parent}\n{parents}\nredis://127.0.0.1:1\np:\num\n")
    with pytest.raises(BadArgumentError, match=f"pid {parent}"):
        FluxClient()
