"""Names are spelled in one place, and are those of the service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fastfeed
from fastfeed import BadArgumentError, FluxClient
from fastfeed.contract import CandleField, Command, Keys, series_symbol
from fastfeed.interval import INTERVALS, bar_count, next_open_time, to_datetime, to_ms
from rig import REPOSITORY, World

SOURCES = Path(fastfeed.__file__).parent


def test_the_version_is_the_projects() -> None:
    text = (REPOSITORY / "Sources/FastFeed/Base/Version.swift").read_text()
    assert f'"{fastfeed.__version__}"' in text


def test_keys_and_channels_are_spelled_in_one_place() -> None:
    names = re.compile(r"""["'](?:candles|changes|gaps|latest|updates|status|dead|commands|responses|fluxes):""")
    assert [path.name for path in SOURCES.glob("*.py") if names.search(path.read_text())] in ([], ["contract.py"])
    words = {name for name in vars(Command).values() if isinstance(name, str) and re.fullmatch(r"[a-z]+:[a-z]+", name)}
    assert len(words) == 9
    for path in SOURCES.glob("*.py"):
        if path.name != "contract.py":
            assert not [word for word in words if f'"{word}"' in path.read_text()], path


def test_commands_and_fields_are_those_of_the_documents() -> None:
    document = (REPOSITORY / "docs/commands.md").read_text()
    listed = set(re.findall(r"^\| `commands:([a-z]+:[a-z]+)`", document, re.MULTILINE))
    assert listed == {name for name in vars(Command).values() if isinstance(name, str) and name.count(":") == 1 and " " not in name}
    using = (REPOSITORY / "docs/using.md").read_text()
    fields = re.search(r"Fields of a candle, in order: `([^`]+)`", using)
    assert fields
    assert tuple(fields.group(1).split()) == CandleField.STORED


def test_a_candle_has_the_members_of_the_contract(client: FluxClient, world: World) -> None:
    assert tuple(client.get_data("btcusdt", "1m", limit=1)["rows"][0]) == CandleField.ALL


def test_keys() -> None:
    assert Keys().history("btcusdt", "1m") == "candles:{btcusdt}:1m"
    um = Keys("p:", "um")
    assert um.updates("币安人生usdt", "1M") == "p:updates:{um:币安人生usdt}:1M"
    assert (um.latest("1m"), um.service_status) == ("p:latest:um:1m", "p:status:um:service")
    assert um.response(Command.GET_DATA, "x") == "p:responses:um:data:get:x"
    assert um.dead(um.history("btcusdt", "1m"), "g") == "p:dead:candles:{um:btcusdt}:1m:g"
    for prefix in ("a b", "{", "x" * 65, "\n"):
        with pytest.raises(BadArgumentError):
            Keys(prefix)
    with pytest.raises(BadArgumentError):
        Keys("", "coin")


def test_symbols() -> None:
    assert series_symbol("BTCusdt") == "btcusdt"
    assert series_symbol("币安人生usdt") == "币安人生usdt"
    for name in ("", "BTC/USDT", "btc-usdt", "a}b", "x" * 33, "a b", "\ud800"):
        with pytest.raises(BadArgumentError):
            series_symbol(name)


def test_the_calendar() -> None:
    assert len(INTERVALS) == 16
    january = to_ms(to_datetime(1_767_225_600_000))
    assert to_datetime(january).isoformat() == "2026-01-01T00:00:00+00:00"
    assert to_datetime(next_open_time("1M", january)).isoformat() == "2026-02-01T00:00:00+00:00"
    assert bar_count("1M", january, next_open_time("1M", next_open_time("1M", january)) + 1) == 3
    assert next_open_time("1w", january) == january + 7 * 86_400_000
    assert (bar_count("1m", 0, 0), bar_count("1m", 0, 60_000), bar_count("1m", 0, 60_001)) == (0, 1, 2)
    with pytest.raises(BadArgumentError):
        to_ms(to_datetime(0).replace(tzinfo=None))
