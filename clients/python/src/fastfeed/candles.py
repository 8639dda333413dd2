"""Iterators over what a follower finds: candles in order, holes, and what is put right behind. For each kind of client."""

from __future__ import annotations

import asyncio
import copy
import threading
from typing import Any, AsyncIterator, Dict, Iterator, List, Tuple

from .endpoint import telling_losses
from .follow import Follower, Place
from .order import CandleEvent
from .steps import run, run_async


class _Following:
    """What both kinds show of their follower."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    @property
    def place(self) -> Place:
        """How far the events that were taken go, a JSON value: `candles(…, after=place)` goes on there, after a restart, too."""
        return copy.deepcopy(self._follower.place)

    @property
    def open_gaps(self) -> Dict[str, List[Tuple[int, int]]]:
        """By symbol: holes that were told and are not filled yet; open times, Unix ms, the second one not included."""
        return self._follower.open_gaps

    @property
    def interruptions(self) -> int:
        """How often Redis was lost, or a stream made anew. Nothing is missed by that: it is read afterwards."""
        return self._follower.interruptions

    @property
    def malformed(self) -> int:
        """Entries that are not candles or changes, passed over."""
        return self._follower.malformed


class CandleStream(_Following, Iterator[CandleEvent]):
    """Events of `FluxClient.candles`, until `close`. One thread at a time; `close` from any."""

    def __init__(self, redis: Any, follower: Follower, closed: threading.Event) -> None:
        super().__init__(follower)
        self._redis, self._client_closed, self._closed = redis, closed, threading.Event()
        #: Held by whoever reads.
        self._turn = threading.RLock()

    def __next__(self) -> CandleEvent:
        with self._turn:
            while not self._closed.is_set() and not self._client_closed.is_set():
                event = self._follower.take()
                if event is not None:
                    return event
                with telling_losses():
                    run(self._redis, self._follower.turn(), self._closed)
        raise StopIteration

    def close(self) -> None:
        """Ends the iteration, within a second where it waits."""
        self._closed.set()
        with self._turn:
            # Nobody reads any more: the connections may go.
            return

    def __enter__(self) -> CandleStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncCandleStream(_Following, AsyncIterator[CandleEvent]):
    """Events of `AsyncFluxClient.candles`, until `close`. One task at a time."""

    def __init__(self, redis: Any, follower: Follower, closed: asyncio.Event) -> None:
        super().__init__(follower)
        self._redis, self._client_closed, self._closed = redis, closed, asyncio.Event()
        self._turn = asyncio.Lock()

    async def __anext__(self) -> CandleEvent:
        async with self._turn:
            while not self._closed.is_set() and not self._client_closed.is_set():
                event = self._follower.take()
                if event is not None:
                    return event
                with telling_losses():
                    await run_async(self._redis, self._follower.turn(), self._closed)
        raise StopAsyncIteration

    async def close(self) -> None:
        """Ends the iteration, within a second where it waits."""
        self._closed.set()
        async with self._turn:
            # Nobody reads any more: the connections may go.
            return

    async def __aenter__(self) -> AsyncCandleStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
