"""The client with asyncio. One event loop; calls of many tasks at once. What each call does is said at `FluxClient`."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Callable, List, Optional, Sequence, Union

from . import request
from .aio_listeners import AsyncListeners, AsyncSubscription, AsyncUpdates
from .answers import Audit, CandleData, CreatedFlux, Flux, Gaps, Status, Symbols, Update
from .base import TIMEOUT_DEFAULT, ClientBase
from .candle import Candles, latest_rows
from .candles import AsyncCandleStream
from .endpoint import Endpoint, Plan, telling_losses
from .errors import BadArgumentError
from .follow import After
from .group import WorkerOptions
from .history import AsyncHistory
from .interval import Instant, checked_interval
from .worker import AsyncWorker


class AsyncFluxClient(ClientBase):
    """A client of the service, with asyncio.

        async with AsyncFluxClient() as client:
            async for update in await client.updates("btcusdt", "1m"):
                print(update.candles[-1].close)

    Arguments and errors are those of `FluxClient`. Cancelling a task ends its call at once; what it asked for may happen.
    Make it in the event loop that is to use it.
    """

    @classmethod
    def from_url(
        cls, url: str, *, market: Optional[str] = None, key_prefix: Optional[str] = None, timeout: float = TIMEOUT_DEFAULT,
        **redis_options: Any,
    ) -> AsyncFluxClient:  # fmt: skip
        """At a URL, as `FluxClient.from_url`."""
        return cls._made(Plan.make(Endpoint(redis_options, url), key_prefix, market, timeout), None)

    @classmethod
    def from_redis(
        cls, redis: Any, *, market: Optional[str] = None, key_prefix: Optional[str] = None, timeout: float = TIMEOUT_DEFAULT
    ) -> AsyncFluxClient:
        """On a client of redis.asyncio that you have: a `Redis`, or what a `Sentinel` made. `close` leaves it open.

        Raises:
            BadArgumentError: it cannot listen, as asyncio's `RedisCluster` in most versions of redis-py.
        """
        if not hasattr(redis, "pubsub"):
            raise BadArgumentError(f"a {type(redis).__name__} of this redis-py cannot listen: name the server, with from_url")
        return cls._made(Plan.make(None, key_prefix, market, timeout), redis)

    def _open(self, plan: Plan, redis: Any) -> None:
        self._plan, self._keys = plan, plan.keys
        self._redis = plan.endpoint.asynchronous(plan.timeout) if plan.endpoint is not None else redis
        self._closed = asyncio.Event()
        self._listeners = AsyncListeners(self._redis, plan, self._closed)
        self._open_ones: weakref.WeakSet[Any] = weakref.WeakSet()

    async def close(self) -> None:
        """Ends calls, updates, streams and workers, within a second, and closes the connections."""
        self._closed.set()
        for one in list(self._open_ones):
            await one.close()
        await self._listeners.end()
        if self._plan.endpoint is not None:
            await self._redis.aclose()

    async def __aenter__(self) -> AsyncFluxClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Commands.

    async def create_flux(
        self, symbols: Union[str, Sequence[str]], interval: str, name: Optional[str] = None, history: Optional[int] = None
    ) -> CreatedFlux:
        """As `FluxClient.create_flux`."""
        return await self._listeners.ask(request.create_flux(symbols, interval, name, history))

    async def stop_flux(self, flux_id: str) -> None:
        """As `FluxClient.stop_flux`."""
        await self._listeners.ask(request.stop_flux(flux_id))

    async def list_fluxes(self) -> List[Flux]:
        """As `FluxClient.list_fluxes`."""
        return await self._listeners.ask(request.list_fluxes())

    async def status(self, flux_id: Optional[str] = None) -> Status:
        """As `FluxClient.status`."""
        return await self._listeners.ask(request.status(flux_id))

    async def get_data(
        self, symbol: str, interval: str, limit: Optional[int] = None, start: Optional[Instant] = None, end: Optional[Instant] = None
    ) -> CandleData:
        """As `FluxClient.get_data`."""
        return await self._listeners.ask(request.get_data(symbol, interval, limit, start, end))

    async def gaps(self, symbol: Optional[str] = None, interval: Optional[str] = None, flux_id: Optional[str] = None) -> Gaps:
        """As `FluxClient.gaps`."""
        return await self._listeners.ask(request.gaps(symbol, interval, flux_id))

    async def backfill(self, symbol: str, interval: str, count: int) -> None:
        """As `FluxClient.backfill`."""
        await self._listeners.ask(request.backfill(symbol, interval, count))

    async def audit(self, symbol: str, interval: str, limit: Optional[int] = None, repair: bool = False) -> Audit:
        """As `FluxClient.audit`."""
        return await self._listeners.ask(request.audit(symbol, interval, limit, repair))

    async def symbols(
        self, search: Optional[str] = None, quote: Optional[str] = None, status: Optional[str] = None, limit: Optional[int] = None
    ) -> Symbols:
        """As `FluxClient.symbols`."""
        return await self._listeners.ask(request.symbols(search, quote, status, limit))

    # Straight from Redis: no service is asked.

    async def latest(self, interval: str) -> Candles:
        """As `FluxClient.latest`."""
        key = self._keys.latest(checked_interval(interval))
        with telling_losses():
            return Candles(latest_rows(await self._redis.hgetall(key)))

    def history(self, symbol: str, interval: str, start: Optional[Instant] = None, end: Optional[Instant] = None) -> AsyncHistory:
        """As `FluxClient.history`: `async for`, or `await` its `candles()`, `to_pandas()`, `to_ohlcv()`."""
        return AsyncHistory(self._redis, self._pages(symbol, interval, start, end), self._closed)

    async def updates(self, symbols: Union[str, Sequence[str]], interval: str) -> AsyncUpdates:
        """As `FluxClient.updates`."""
        updates = AsyncUpdates(self._redis, self._reception(symbols, interval), self._plan.timeout)
        await updates.confirm()
        self._open_ones.add(updates)
        return updates

    async def subscribe_to_updates(
        self, symbols: Union[str, Sequence[str]], interval: str, callback: Callable[[Update], object]
    ) -> AsyncSubscription:
        """As `FluxClient.subscribe_to_updates`, in a task; the callback may be a coroutine function."""
        subscription = AsyncSubscription(await self.updates(symbols, interval), callback)
        self._open_ones.add(subscription)
        return subscription

    def candles(self, symbols: Union[str, Sequence[str]], interval: str, after: After = "end") -> AsyncCandleStream:
        """As `FluxClient.candles`."""
        stream = AsyncCandleStream(self._redis, self._follower(symbols, interval, after), self._closed)
        self._open_ones.add(stream)
        return stream

    def worker(
        self, group: str, symbols: Union[str, Sequence[str]], interval: str, name: Optional[str] = None,
        options: Optional[WorkerOptions] = None,
    ) -> AsyncWorker:  # fmt: skip
        """As `FluxClient.worker`."""
        machine = self._group_worker(group, symbols, interval, name, options)
        worker = AsyncWorker(self._redis, machine, name is not None, self._closed)
        self._open_ones.add(worker)
        return worker
