"""Commands to a real service: what they answer, and how they fail."""

from __future__ import annotations

import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any, Dict, List

import pytest
import redis

import fastfeed
from fastfeed import (
    BadArgumentError,
    DisconnectedError,
    FluxClient,
    FluxTimeoutError,
    RefusedError,
    ServiceNotRunningError,
)
from rig import RedisServer, World, eventually, patiently

#: As the first users of this interface had it.
SNIPPET = """
from flux_client import FluxClient

# Créer un client
client = FluxClient(redis_host="localhost", redis_port=6379)

# Créer un flux
response = client.create_flux(symbols=["btcusdt", "ethusdt"], interval="1m")
flux_id = response["flux_id"]

# Récupérer des données
data = client.get_data("btcusdt", "1m", limit=100)

# S'abonner aux mises à jour
def on_update(data):
    print(f"Mise à jour pour {data['symbol']}: {data['rows']} bougies")

pubsub = client.subscribe_to_updates("btcusdt", "1m", on_update)

# Fermer le client
client.close()
"""


def test_the_snippet_runs_as_it_stands(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    # Time to see an update before the client is closed; the port of this test's Redis.
    text = SNIPPET.replace("flux_client", "fastfeed").replace("6379", str(world.redis.port))
    text = text.replace("# Fermer le client", "seen.wait(20)").replace("    print(", "    seen.set(); print(")
    scope: Dict[str, Any] = {"seen": threading.Event()}
    exec(text, scope)
    assert scope["flux_id"] == "1m_btcusdt-ethusdt"
    assert 0 < len(scope["data"]) <= 100
    assert re.search(r"Mise à jour pour btcusdt: \d+ bougies", capsys.readouterr().out)


def test_a_flux_from_its_creation_to_its_end(client: FluxClient) -> None:
    made = client.create_flux(["ETHUSDT"], "5m", name="py-5m", history=10)
    assert (made.id, made.created, made.refused_symbols, made["flux_id"]) == ("py-5m", True, [], "py-5m")
    assert not client.create_flux("ethusdt", "5m", name="py-5m").created
    flux = next(flux for flux in client.list_fluxes() if flux.id == "py-5m")
    assert (flux.symbols, flux.interval) == (["ethusdt"], "5m")
    assert flux.created_at > 1_600_000_000_000
    eventually(lambda: client.status("py-5m").state == "live")
    assert client.status("py-5m")["flux_id"] == "py-5m"
    client.stop_flux("py-5m")
    with pytest.raises(RefusedError) as refused:
        client.status("py-5m")
    assert refused.value.code == "unknown_flux"


def test_the_service_status(client: FluxClient) -> None:
    status = client.status()
    assert status.is_healthy
    assert status["messages_total"] > 0
    assert status["version"] == fastfeed.__version__
    assert "state" in status
    assert len(status) > 20


def test_data(client: FluxClient) -> None:
    data = eventually(lambda: client.get_data("btcusdt", "1m", limit=50))
    assert len(data) == 50
    assert [row.open_time for row in data] == sorted(row.open_time for row in data)
    newest = data[-1]
    assert (data.symbol, data.interval, newest.symbol, newest.interval) == ("btcusdt", "1m", "btcusdt", "1m")
    assert isinstance(newest.close, Decimal)
    assert str(newest.close) == newest["close"]
    assert newest.opened.tzinfo is timezone.utc
    assert newest.low <= min(newest.open, newest.close) <= max(newest.open, newest.close) <= newest.high
    assert newest.close_time - newest.open_time == 59_999
    assert newest.taker_buy_volume <= newest.volume
    assert newest.taker_buy_quote_volume <= newest.quote_volume
    assert newest.last_trade_id - newest.first_trade_id + 1 == newest.count or newest.first_trade_id == -1
    assert data.source in ("redis", "completed")
    assert data.took_us >= 0
    assert data[:3][2].open_time == data[2].open_time
    some = client.get_data("btcusdt", "1m", start=data[10].opened, end=data[12].opened + timedelta(seconds=1))
    assert [row.open_time for row in some] == [row.open_time for row in data[10:13]]
    # A series that no flux covers comes from the exchange.
    elsewhere = client.get_data("solusdt", "15m", limit=2)
    assert elsewhere.source in ("exchange", "cache")
    assert elsewhere.incomplete is None


def test_holes_backfill_audit_and_symbols(client: FluxClient) -> None:
    eventually(lambda: client.gaps("btcusdt", "1m").is_complete)
    client.backfill("btcusdt", "1m", 50)
    assert client.gaps(flux_id="minutes").more == 0
    eventually(lambda: client.audit("btcusdt", "1m", limit=20)["findings"] == [])
    audit = eventually(lambda: client.audit("btcusdt", "1m", limit=20) if client.audit("btcusdt", "1m")["checked"] else None)
    assert audit["checked"] <= 20
    assert (audit["more"], audit["repaired"]) == (0, False)
    listed = eventually(lambda: client.symbols(quote="USDT", limit=2))
    assert len(listed) == 2
    assert listed.total >= 2
    assert listed[0]["symbol"]


@pytest.mark.parametrize(
    ("code", "ask"),
    [
        ("unknown_symbol", lambda client: client.create_flux("nosuchusdt", "1m")),
        ("unknown_symbol", lambda client: client.get_data("BTC/USDT", "1m")),
        ("bad_interval", lambda client: client.create_flux("btcusdt", "7m")),
        ("bad_request", lambda client: client.create_flux("btcusdt", "1m", name="ä")),
        ("bad_request", lambda client: client.get_data("btcusdt", "1m", limit=0)),
        ("bad_request", lambda client: client.get_data("btcusdt", "1m", limit="many")),
        ("unknown_flux", lambda client: client.stop_flux("nobody")),
        ("unknown_flux", lambda client: client.gaps(flux_id="nobody")),
        ("unknown_flux", lambda client: client.audit("solusdt", "1h")),
    ],
)
def test_refusals_have_the_services_code(client: FluxClient, code: str, ask: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        ask(client)
    assert refused.value.code == code
    assert str(refused.value)


def test_wrong_arguments_are_refused_at_once() -> None:
    client = FluxClient("127.0.0.1", 1)
    for wrong in (
        lambda: client.updates("BTC/USDT", "1m"),
        lambda: client.updates("btcusdt", "7m"),
        lambda: client.latest("7m"),
        lambda: client.history("btcusdt", "1m", start=10, end=5),
        lambda: client.history("btcusdt", "1m", start=-1),
        lambda: FluxClient("127.0.0.1", timeout=0),
        lambda: FluxClient("127.0.0.1", market="coin"),
        lambda: FluxClient("127.0.0.1", key_prefix="{"),
        lambda: FluxClient.from_url("redis+sentinel://host").list_fluxes(),
    ):
        with pytest.raises(BadArgumentError):
            wrong()
    with pytest.raises(ValueError, match="interval"):
        client.candles("btcusdt", "7m")


def test_calls_from_many_threads(client: FluxClient) -> None:
    def work(number: int) -> int:
        assert client.get_data(("btcusdt", "ethusdt", "bnbusdt")[number % 3], "1s", limit=5).symbol
        return len(client.list_fluxes())

    with ThreadPoolExecutor(12) as pool:
        assert min(pool.map(work, range(120))) >= 2


def test_nobody_listens(server: RedisServer) -> None:
    with FluxClient.from_url(server.url) as client:
        with pytest.raises(ServiceNotRunningError, match="none has left a status here"):
            client.list_fluxes()
        server.client().hset("status:service", mapping={"state": "live", "pid": 7, "host": "there", "heartbeat_at": 1})
        with pytest.raises(ServiceNotRunningError, match="pid 7 on there"):
            client.list_fluxes()
        server.client().hset("status:service", "state", "stopped")
        with pytest.raises(ServiceNotRunningError, match="has stopped"):
            client.list_fluxes()


def test_the_wrong_prefix_and_market_are_told(world: World) -> None:
    with FluxClient.from_url(world.redis.url, key_prefix="x:") as client, pytest.raises(ServiceNotRunningError, match="key prefix: ''"):
        client.status()
    with FluxClient.from_url(world.redis.url, market="um") as client, pytest.raises(ServiceNotRunningError, match="a spot service runs"):
        client.status()


def test_redis_is_not_there() -> None:
    with FluxClient("127.0.0.1", 1) as client:
        for ask in (client.list_fluxes, lambda: client.latest("1m"), lambda: client.history("a", "1m").candles(),
                    lambda: client.updates("btcusdt", "1m")):  # fmt: skip
            with pytest.raises(DisconnectedError):
                ask()


def test_a_service_that_hangs_and_a_redis_that_restarts() -> None:
    world = World()
    try:
        with FluxClient.from_url(world.redis.url, timeout=1) as client:
            assert client.list_fluxes() == []
            world.service.send(signal.SIGSTOP)
            with pytest.raises(FluxTimeoutError):
                client.list_fluxes()
            world.service.send(signal.SIGCONT)
            patiently(lambda: client.list_fluxes() == [])
            # Connections from before the restart are of no use; the next call has new ones.
            world.redis.kill()
            with pytest.raises(DisconnectedError):
                client.list_fluxes()
            world.redis.start()
            patiently(lambda: client.list_fluxes() == [])
            world.redis.kill()
            world.redis.start()
            patiently(lambda: client.list_fluxes() == [])
    finally:
        world.close()


def test_closing_ends_what_is_under_way(server: RedisServer) -> None:
    # Somebody hears the request, and never answers.
    deaf = server.client().pubsub()
    deaf.subscribe("commands:flux:list")
    deaf.get_message(timeout=5)
    client = FluxClient.from_url(server.url, timeout=30)
    errors: List[BaseException] = []

    def ask() -> None:
        try:
            client.list_fluxes()
        except DisconnectedError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: deaf.get_message(timeout=0.1))
    before = time.monotonic()
    client.close()
    thread.join(5)
    assert [str(error) for error in errors] == ["the client is closed"]
    assert time.monotonic() - before < 5
    assert server.client().pubsub_channels("responses:*") == [] or eventually(lambda: not server.client().pubsub_channels("responses:*"))


def test_a_connection_that_was_lost_meanwhile_costs_no_call(world: World) -> None:
    raw = world.redis.client()
    with FluxClient.from_url(world.redis.url, client_name="unlucky") as client:
        for _ in range(5):
            assert client.list_fluxes()
            for one in raw.client_list():
                if one["name"] == "unlucky":
                    raw.client_kill_filter(_id=one["id"])


def test_connections_are_kept_and_given_back(world: World) -> None:
    raw = world.redis.client(client_name="counting")
    client = FluxClient.from_url(world.redis.url, client_name="counted")
    for _ in range(20):
        client.list_fluxes()
    assert len([one for one in raw.client_list() if one["name"] == "counted"]) == 2
    client.close()
    eventually(lambda: not [one for one in raw.client_list() if one["name"] == "counted"])
    assert isinstance(raw, redis.Redis)
