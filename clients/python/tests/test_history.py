"""What is stored, as people use it: pages, frames, OHLCV."""

from __future__ import annotations

from datetime import timezone
from decimal import Decimal
from typing import Any

import pytest

from fastfeed import BadAnswerError, FluxClient
from fastfeed.candle import Candles
from fastfeed.interval import to_datetime
from feed import BEGIN, MINUTE, fields, row, store
from rig import RedisServer, eventually


@pytest.fixture
def filled(server: RedisServer) -> RedisServer:
    with server.client().pipeline(transaction=False) as pipeline:
        for number in range(2_500):
            store(pipeline, number, count=number)
        pipeline.execute()
    return server


def test_a_history_comes_in_pages(filled: RedisServer) -> None:
    with FluxClient.from_url(filled.url) as client:
        candles = list(client.history("BTCUSDT", "1m"))
        assert [candle.open_time for candle in candles] == [BEGIN + number * MINUTE for number in range(2_500)]
        assert candles[7].count == 7
        assert candles[7].closed
        assert candles[7].event_time == candles[7].close_time
        first, last = to_datetime(BEGIN + 10 * MINUTE), BEGIN + 19 * MINUTE
        some = client.history("btcusdt", "1m", start=first, end=last)
        assert next(some).open_time == BEGIN + 10 * MINUTE
        assert len(some.candles()) == 9
        assert client.history("btcusdt", "5m").to_ohlcv() == []


def test_what_the_service_has_not_written_is_passed_over(filled: RedisServer) -> None:
    raw = filled.client(encoding="latin-1")
    end = BEGIN + 3_000 * MINUTE
    raw.xadd("candles:{btcusdt}:1m", {"x": "1"}, id=f"{end}-0")
    raw.xadd("candles:{btcusdt}:1m", fields(end), id=f"{end}-1")
    raw.xadd("candles:{btcusdt}:1m", fields(end, count="many"), id=f"{end + 1}-0")
    raw.xadd("candles:{btcusdt}:1m", {"\xff": "\xfe"}, id=f"{end + 2}-0")
    raw.xadd("candles:{btcusdt}:1m", fields(end), id=f"{10**17}-0")
    with FluxClient.from_url(filled.url) as client:
        history = client.history("btcusdt", "1m")
        assert len(history.candles()) == 2_500
        assert history.malformed == 5


def test_a_price_that_is_none_is_told_when_it_is_asked_for(server: RedisServer) -> None:
    for number, price in enumerate(("NaN", "Infinity", "1e400", "", "1" * 100, "0x1", "１")):
        store(server.client(), number, close=price)
    with FluxClient.from_url(server.url) as client:
        candles = client.history("btcusdt", "1m").candles()
        assert len(candles) == 7
        for candle in candles:
            assert candle.open == Decimal("1.5")
            with pytest.raises(BadAnswerError, match="close"):
                _ = candle.close
            for numbers in ("float", "decimal"):
                with pytest.raises(BadAnswerError):
                    candle.to_ohlcv(numbers)
        assert candles.to_ohlcv("text")[0][4] == "NaN"


def test_frames_have_the_right_types() -> None:
    pandas = pytest.importorskip("pandas")
    candles = Candles([row(BEGIN, close="0.10000000"), row(BEGIN + MINUTE, closed=False)])
    exact: Any = candles.to_pandas()
    assert exact.index.name == "open_time"
    assert str(exact.index.tz) == "UTC"
    assert exact.index[0] == pandas.Timestamp(BEGIN, unit="ms", tz="UTC")
    assert exact["close"].iloc[0] == Decimal("0.10000000")
    assert str(exact["close"].iloc[0]) == "0.10000000"
    assert exact.attrs == {"symbol": "btcusdt", "interval": "1m"}
    rounded = candles.to_pandas("float")
    kinds = {name: str(kind) for name, kind in rounded.dtypes.items()}
    assert {kinds[name] for name in ("open", "high", "low", "close", "volume", "taker_buy_quote_volume")} == {"float64"}
    assert {kinds[name] for name in ("count", "revision", "first_trade_id")} == {"int64"}
    assert kinds["closed"] == "bool"
    assert "UTC" in kinds["close_time"]
    assert kinds["source"] == "category"
    assert rounded["close"].iloc[0] == 0.1
    assert candles.to_pandas("text")["close"].iloc[0] == "0.10000000"
    empty = Candles([]).to_pandas("float")
    assert len(empty) == 0
    assert str(empty["close"].dtype) == "float64"
    market = Candles([row(BEGIN), row(BEGIN, symbol="ethusdt")]).to_pandas("float", index="symbol")
    assert list(market.index) == ["btcusdt", "ethusdt"]
    assert "open_time" in market
    with pytest.raises(ValueError, match="numbers"):
        candles.to_pandas("double")  # type: ignore[arg-type]


def test_ohlcv_is_as_ccxt_has_it() -> None:
    candles = Candles([row(BEGIN)])
    assert candles.to_ohlcv() == [[BEGIN, 1.5, 3.0, 1.0, 2.5, 0.1]]
    assert candles.to_ohlcv("text") == [[BEGIN, "1.5", "3", "1", "2.5", "0.10"]]
    assert candles[0].to_ohlcv("decimal")[4] == Decimal("2.5")


def test_the_whole_market_now(client: FluxClient, server: RedisServer) -> None:
    latest = eventually(lambda: client.latest("1m") if len(client.latest("1m")) == 3 else None)
    assert [candle.symbol for candle in latest] == ["bnbusdt", "btcusdt", "ethusdt"]
    assert latest[0].opened.tzinfo is timezone.utc
    pytest.importorskip("pandas")
    frame: Any = latest.to_pandas("float", index="symbol")
    assert (frame["high"] >= frame["low"]).all()
    assert frame.loc["btcusdt", "close"] > 0
    server.client().hset("latest:1m", mapping={"a": "{", "b": "{}", "c": "\ufffd"})
    with FluxClient.from_url(server.url) as other:
        assert len(other.latest("1m")) == 0


def test_the_history_of_a_service(client: FluxClient) -> None:
    history = client.history("btcusdt", "1m").candles()
    data = client.get_data("btcusdt", "1m", limit=20)
    stored = {candle.open_time: candle for candle in history}
    for candle in data[:-2]:
        assert dict(stored[candle.open_time]) == {**candle, "event_time": candle.close_time}
