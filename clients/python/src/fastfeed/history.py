"""Closed candles straight from the stream, page by page. Steps without I/O, and an iterator for each kind of client."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, AsyncIterator, Final, Iterator, List, Optional

from .candle import Candle, Candles, stored_row
from .contract import Keys
from .endpoint import telling_losses
from .errors import BadArgumentError
from .interval import Instant, optional_ms
from .record import Members, text_of
from .steps import Steps, call, run, run_async

PAGE: Final = 1_000


class Pages:
    """Reads a history from the oldest entry on. One reader at a time.

    Attributes:
        malformed: entries that the service has not written, passed over.
    """

    def __init__(self, keys: Keys, symbol: str, interval: str, start: Optional[Instant], end: Optional[Instant]) -> None:
        first, last = optional_ms(start), optional_ms(end)
        if first is not None and last is not None and first > last:
            raise BadArgumentError("the end lies before the start")
        self._key, self._symbol, self._interval = keys.history(symbol, interval), symbol, interval
        self._from = "-" if first is None else str(first)
        self._through = "+" if last is None else str(last)
        self.is_done = False
        self.malformed = 0

    def next_page(self) -> Steps[List[Members]]:
        """The next rows; none is the end only when `is_done`."""
        entries = yield from call("xrange", self._key, min=self._from, max=self._through, count=PAGE)
        if len(entries) < PAGE:
            self.is_done = True
        if entries:
            self._from = "(" + text_of(entries[-1][0])
        rows = [stored_row(self._symbol, self._interval, text_of(entry_id), fields or {}) for entry_id, fields in entries]
        good = [row for row in rows if row is not None]
        self.malformed += len(rows) - len(good)
        return good


class History(Iterator[Candle]):
    """Closed candles, oldest first: iterate, or take the rest as a whole with `candles`, `to_pandas`, `to_ohlcv`."""

    def __init__(self, redis: Any, pages: Pages, closed: threading.Event) -> None:
        self._redis, self._pages, self._closed = redis, pages, closed
        self._ready: Iterator[Candle] = iter(())

    @property
    def malformed(self) -> int:
        """Entries that the service has not written, passed over so far."""
        return self._pages.malformed

    def __next__(self) -> Candle:
        while True:
            candle = next(self._ready, None)
            if candle is not None:
                return candle
            if self._pages.is_done:
                raise StopIteration
            self._ready = map(Candle, self._page())

    def candles(self) -> Candles:
        """All that are left."""
        rows = [candle._members for candle in self._ready]
        while not self._pages.is_done:
            rows += self._page()
        return Candles(rows)

    def to_pandas(self, numbers: Any = "decimal") -> Any:
        """All that are left, as `Candles.to_pandas` has it."""
        return self.candles().to_pandas(numbers)

    def to_ohlcv(self, numbers: Any = "float") -> List[List[Any]]:
        """All that are left, as `Candles.to_ohlcv` has it."""
        return self.candles().to_ohlcv(numbers)

    def _page(self) -> List[Members]:
        with telling_losses():
            return run(self._redis, self._pages.next_page(), self._closed)


class AsyncHistory(AsyncIterator[Candle]):
    """The same with asyncio."""

    def __init__(self, redis: Any, pages: Pages, closed: asyncio.Event) -> None:
        self._redis, self._pages, self._closed = redis, pages, closed
        self._ready: Iterator[Candle] = iter(())

    @property
    def malformed(self) -> int:
        """Entries that the service has not written, passed over so far."""
        return self._pages.malformed

    async def __anext__(self) -> Candle:
        while True:
            candle = next(self._ready, None)
            if candle is not None:
                return candle
            if self._pages.is_done:
                raise StopAsyncIteration
            self._ready = map(Candle, await self._page())

    async def candles(self) -> Candles:
        """All that are left."""
        rows = [candle._members for candle in self._ready]
        while not self._pages.is_done:
            rows += await self._page()
        return Candles(rows)

    async def to_pandas(self, numbers: Any = "decimal") -> Any:
        """All that are left, as `Candles.to_pandas` has it."""
        return (await self.candles()).to_pandas(numbers)

    async def to_ohlcv(self, numbers: Any = "float") -> List[List[Any]]:
        """All that are left, as `Candles.to_ohlcv` has it."""
        return (await self.candles()).to_ohlcv(numbers)

    async def _page(self) -> List[Members]:
        with telling_losses():
            return await run_async(self._redis, self._pages.next_page(), self._closed)
