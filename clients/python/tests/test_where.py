"""Redis where it may be: TCP with a user, TLS, a client of redis-py, RESP3, bytes, Sentinel, Cluster; markets and key prefixes."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import redis
import redis.asyncio
from redis.sentinel import Sentinel

from fastfeed import AsyncFluxClient, DisconnectedError, FluxClient
from rig import Process, RedisServer, World, eventually, free_port


def works(client: FluxClient) -> None:
    with client:
        assert client.status().is_healthy
        assert len(client.get_data("btcusdt", "1m", limit=3)) == 3
        assert next(client.updates("btcusdt", "1s")).symbol == "btcusdt"
        assert next(client.candles("btcusdt", "1s", after="start")).candle is not None
        eventually(lambda: len(client.history("btcusdt", "1s").candles()) > 10)
        eventually(lambda: len(client.latest("1s")) == 3)
        worker = client.worker("where", "btcusdt", "1s")
        next(worker).ack()
        worker.close()


async def works_async(make: Callable[[], AsyncFluxClient]) -> None:
    # A client belongs to the loop in which it is made.
    async with make() as client:
        assert (await client.status()).is_healthy
        assert len(await client.get_data("btcusdt", "1m", limit=3)) == 3
        assert (await (await client.updates("btcusdt", "1s")).__anext__()).symbol == "btcusdt"
        assert (await client.candles("btcusdt", "1s", after="start").__anext__()).candle is not None
        worker = client.worker("where", "btcusdt", "1s")
        (await worker.__anext__()).ack()
        await worker.close()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decodes", [False, True])
def test_a_client_of_redis_py(world: World, protocol: int, decodes: bool) -> None:
    options: Any = {"unix_socket_path": world.redis.socket, "protocol": protocol, "decode_responses": decodes}
    own = redis.Redis(**options)
    works(FluxClient.from_redis(own))
    # It stays open.
    assert own.ping()

    async def work() -> None:
        own = redis.asyncio.Redis(**options)
        await works_async(lambda: AsyncFluxClient.from_redis(own))
        await own.aclose()

    asyncio.run(work())


def test_a_user_over_tcp(world: World) -> None:
    world.redis.client().acl_setuser("someone", enabled=True, passwords=["+se:cr@t"], categories=["+@all"], keys=["*"], channels=["*"])
    works(FluxClient.from_url(f"redis://someone:se%3Acr%40t@127.0.0.1:{world.redis.port}/0"))
    works(FluxClient("127.0.0.1", world.redis.port, username="someone", password="se:cr@t"))
    works(FluxClient(unix_socket_path=world.redis.socket))
    with (
        FluxClient("127.0.0.1", world.redis.port, username="someone", password="wrong") as client,
        pytest.raises(DisconnectedError, match="invalid username-password"),
    ):
        client.status()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
               "-keyout", str(tmp_path / "server.key"), "-out", str(file)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return file


def test_tls(certificate: Path) -> None:
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(certificate.with_suffix(".key")),
               "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no")  # fmt: skip
    try:
        server = RedisServer(certificate.parent, *options)
    except AssertionError as error:
        if not any(word in str(error) for word in ("FATAL CONFIG", "TLS support")):
            raise
        pytest.skip("this redis-server was built without TLS")
    world = World(server=server)
    try:
        with FluxClient.from_url(world.redis.url) as client:
            client.create_flux("btcusdt,ethusdt,bnbusdt", "1s")
        works(FluxClient.from_url(f"rediss://127.0.0.1:{port}", ssl_ca_certs=str(certificate)))
        asyncio.run(works_async(lambda: AsyncFluxClient.from_url(f"rediss://localhost:{port}", ssl_ca_certs=str(certificate))))
        with FluxClient.from_url(f"rediss://127.0.0.1:{port}") as client, pytest.raises(DisconnectedError, match="certificate"):
            client.status()
    finally:
        world.close()


@pytest.fixture
def sentinel(world: World, tmp_path: Path) -> Iterator[int]:
    port = free_port()
    file = tmp_path / "sentinel.conf"
    file.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor feed 127.0.0.1 {world.redis.port} 1\n")
    process = Process(tmp_path, "sentinel", "redis-server", str(file), "--sentinel")
    look: Any = redis.Redis(port=port, decode_responses=True)

    def knows() -> Any:
        try:
            return look.sentinel_master("feed")["flags"] == "master"
        except (redis.ConnectionError, redis.ResponseError):
            return False

    eventually(knows)
    yield port
    process.end()


def test_sentinel(world: World, sentinel: int) -> None:
    nobody = free_port()
    works(FluxClient.from_url(f"redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{sentinel}/feed/0"))
    asyncio.run(works_async(lambda: AsyncFluxClient.from_url(f"redis+sentinel://127.0.0.1:{sentinel}/feed")))
    works(FluxClient.from_redis(Sentinel([("127.0.0.1", sentinel)]).master_for("feed")))  # type: ignore[no-untyped-call]
    with FluxClient.from_url(f"redis+sentinel://127.0.0.1:{sentinel}/other") as client, pytest.raises(DisconnectedError):
        client.status()


def test_a_cluster_of_one(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--cluster-enabled", "yes")
    raw = server.client()
    raw.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
    eventually(lambda: "cluster_state:ok" in str(raw.execute_command("CLUSTER INFO")) or raw.cluster("INFO")["cluster_state"] == "ok")
    world = World(server=server)
    try:
        with FluxClient.from_url(server.url) as client:
            client.create_flux("btcusdt,ethusdt,bnbusdt", "1s")
        cluster = redis.RedisCluster(host="127.0.0.1", port=server.port, decode_responses=True)
        works(FluxClient.from_redis(cluster))
        cluster.close()
    finally:
        world.close()


def test_futures_and_a_key_prefix() -> None:
    world = World(simulate=("--market", "um"), run=("--market", "um", "--key-prefix", "t:"))
    try:
        with FluxClient.from_url(world.redis.url, market="um", key_prefix="t:") as client:
            client.create_flux("btcusdt", "1m", name="p")
            update = next(client.updates("btcusdt", "1m"))
            assert (update.symbol, client.status()["market"]) == ("btcusdt", "um")
            eventually(lambda: len(client.history("btcusdt", "1m").candles()) > 10)
            assert next(client.candles("btcusdt", "1m", after="start")).symbol == "btcusdt"
            eventually(lambda: len(client.latest("1m")) == 1)
            keys = world.redis.client().keys("*")
            assert "t:candles:{um:btcusdt}:1m" in keys
    finally:
        world.close()
