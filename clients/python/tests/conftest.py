"""Fixtures. The world of most tests is one for all of them; whoever kills something has a world of its own."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest

from fastfeed import FluxClient
from rig import FEEDD, RedisServer, World

# Started in the background by a shell, we would hand an ignored Ctrl-C on to the programs that are to end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"feedd: {FEEDD}"


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    world = World()
    with FluxClient.from_url(world.redis.url) as client:
        client.create_flux("btcusdt,ethusdt,bnbusdt", "1s", name="seconds")
        client.create_flux("btcusdt,ethusdt,bnbusdt", "1m", name="minutes")
    yield world
    world.close()


@pytest.fixture
def client(world: World) -> Iterator[FluxClient]:
    with FluxClient.from_url(world.redis.url) as client:
        yield client


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis without a service."""
    # The path of a socket is short: not every temporary folder's is.
    server = RedisServer(tmp_path, "--appendonly", "no")
    yield server
    server.process.end()
