"""The client of a running service: commands, candles, live updates. Any number of threads."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, List, Optional, Sequence, TypeVar, Union

from . import request
from .answers import Audit, CandleData, CreatedFlux, Flux, Gaps, Status, Symbols, Update
from .base import TIMEOUT_DEFAULT, ClientBase
from .candle import Candles, latest_rows
from .candles import CandleStream
from .endpoint import Endpoint, Plan, telling_losses
from .follow import After
from .group import WorkerOptions
from .history import History
from .interval import Instant, checked_interval
from .listeners import Listeners
from .updates import Subscription, Updates
from .worker import Worker

Closable = TypeVar("Closable")


class FluxClient(ClientBase):
    """A client of the service.

        with FluxClient() as client:
            flux = client.create_flux(["btcusdt", "ethusdt"], "1m")
            print(client.get_data("btcusdt", "1m", limit=10)[-1].close)

    Each call ends within `timeout` and raises a `FluxError`: `ServiceNotRunningError`, `FluxTimeoutError`, `RefusedError`,
    `DisconnectedError`, `BadAnswerError`, `BadArgumentError`. Nothing is connected before the first call; after a loss of Redis the
    next call connects again.

    Args:
        redis_host: with neither host, port nor `unix_socket_path`: your running `feedd demo` or `feedd run --redis embedded`, else
            127.0.0.1.
        redis_port: 6379 by default.
        market: `spot` (the default) or `um`, the service's `--market`.
        key_prefix: the service's `--key-prefix`.
        timeout: of every call, 0.1 to 3600 seconds.
        redis_options: as `redis.Redis` takes them: `db`, `username`, `password`, `ssl`, `unix_socket_path` …
    """

    @classmethod
    def from_url(
        cls, url: str, *, market: Optional[str] = None, key_prefix: Optional[str] = None, timeout: float = TIMEOUT_DEFAULT,
        **redis_options: Any,
    ) -> FluxClient:  # fmt: skip
        """At a URL: `redis://user@host:port/db`, `rediss://…` (TLS), `unix:///path`, `redis+sentinel://host,host,host/NAME/db`.

        `redis_options` are those of `redis.Redis`; with Sentinels also `sentinel_username`, `sentinel_password`.
        """
        return cls._made(Plan.make(Endpoint(redis_options, url), key_prefix, market, timeout), None)

    @classmethod
    def from_redis(
        cls, redis: Any, *, market: Optional[str] = None, key_prefix: Optional[str] = None, timeout: float = TIMEOUT_DEFAULT
    ) -> FluxClient:
        """On a client of redis-py that you have: a `Redis`, what a `Sentinel` made, a `RedisCluster`. `close` leaves it open."""
        return cls._made(Plan.make(None, key_prefix, market, timeout), redis)

    def _open(self, plan: Plan, redis: Any) -> None:
        self._plan, self._keys = plan, plan.keys
        self._redis = plan.endpoint.sync(plan.timeout) if plan.endpoint is not None else redis
        self._closed = threading.Event()
        self._listeners = Listeners(self._redis, plan, self._closed)
        self._open_ones: weakref.WeakSet[Any] = weakref.WeakSet()

    def close(self) -> None:
        """Ends calls, updates, streams and workers, within a second, and closes the connections."""
        self._closed.set()
        for one in list(self._open_ones):
            one.close()
        self._listeners.end()
        if self._plan.endpoint is not None:
            self._redis.close()

    def __enter__(self) -> FluxClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Commands.

    def create_flux(
        self, symbols: Union[str, Sequence[str]], interval: str, name: Optional[str] = None, history: Optional[int] = None
    ) -> CreatedFlux:
        """Creates a flux (symbols at one interval), or finds it there already.

        Args:
            symbols: the exchange's names, upper or lower case; a text may have several, separated by commas.
            interval: `1m` is a minute, `1M` a month.
            name: the flux's id, `[A-Za-z0-9_.-]{1,64}`; made from interval and symbols without one.
            history: candles of the past to have from the start, 0 to 1500.

        Raises:
            RefusedError: `unknown_symbol`, `bad_interval`, `bad_request`, `too_large`, `busy`.
        """
        return self._listeners.ask(request.create_flux(symbols, interval, name, history))

    def stop_flux(self, flux_id: str) -> None:
        """Stops a flux; its candles stay in Redis.

        Raises:
            RefusedError: `unknown_flux`.
        """
        self._listeners.ask(request.stop_flux(flux_id))

    def list_fluxes(self) -> List[Flux]:
        """All fluxes."""
        return self._listeners.ask(request.list_fluxes())

    def status(self, flux_id: Optional[str] = None) -> Status:
        """How the service stands, or one flux.

        Raises:
            RefusedError: `unknown_flux`.
        """
        return self._listeners.ask(request.status(flux_id))

    def get_data(
        self, symbol: str, interval: str, limit: Optional[int] = None, start: Optional[Instant] = None, end: Optional[Instant] = None
    ) -> CandleData:
        """Candles of one series, oldest first, the forming one last. What Redis does not have comes from the exchange.

        Args:
            symbol: the exchange's name.
            interval: `1m` is a minute, `1M` a month.
            limit: at most so many, 1 to 1500; 100 by default.
            start: open times from here on: Unix ms, or a datetime with a time zone.
            end: open times up to here, inclusive.

        Raises:
            RefusedError: `unknown_symbol`, `bad_interval`, `bad_request`, `busy`, `internal`.
        """
        return self._listeners.ask(request.get_data(symbol, interval, limit, start, end))

    def gaps(self, symbol: Optional[str] = None, interval: Optional[str] = None, flux_id: Optional[str] = None) -> Gaps:
        """What is missing in the histories, all or those of a series or flux; `gaps().is_complete` when nothing may still come.

        Raises:
            RefusedError: `unknown_flux`.
        """
        return self._listeners.ask(request.gaps(symbol, interval, flux_id))

    def backfill(self, symbol: str, interval: str, count: int) -> None:
        """Asks for the last `count` candles (1 to the service's `--history`), as far as Redis lacks them. They come afterwards.

        Raises:
            RefusedError: `unknown_flux`: no flux has the series; `internal`: the service does not ask the exchange.
        """
        self._listeners.ask(request.backfill(symbol, interval, count))

    def audit(self, symbol: str, interval: str, limit: Optional[int] = None, repair: bool = False) -> Audit:
        """Compares the last candles in Redis with the exchange's own history; `repair` puts right what differs.

        Args:
            symbol: of a series that a flux has.
            interval: of the same.
            limit: so many candles, 1 to 1500; 1000 by default.
            repair: missing ones are brought, different ones corrected, foreign ones removed.

        Raises:
            RefusedError: `unknown_flux`, `busy`, `internal`.
        """
        return self._listeners.ask(request.audit(symbol, interval, limit, repair))

    def symbols(
        self, search: Optional[str] = None, quote: Optional[str] = None, status: Optional[str] = None, limit: Optional[int] = None
    ) -> Symbols:
        """What the exchange lists, by falling 24 h volume in the quote asset.

        Args:
            search: only names that have this in them.
            quote: only this quote asset, `USDT`.
            status: the exchange's word, or `any`; `TRADING` by default.
            limit: at most so many, 1 to 1500; 100 by default.

        Raises:
            RefusedError: `busy`: the exchange's list has not come yet; `internal`: the service does not ask the exchange.
        """
        return self._listeners.ask(request.symbols(search, quote, status, limit))

    # Straight from Redis: no service is asked.

    def latest(self, interval: str) -> Candles:
        """The newest state of every symbol's newest candle, by symbol: the whole market. `.to_pandas(index="symbol")` is a frame.

        Raises:
            DisconnectedError: Redis cannot be asked.
        """
        key = self._keys.latest(checked_interval(interval))
        with telling_losses():
            return Candles(latest_rows(self._redis.hgetall(key)))

    def history(self, symbol: str, interval: str, start: Optional[Instant] = None, end: Optional[Instant] = None) -> History:
        """Closed candles from the stream, in pages of 1,000, oldest first: all that Redis keeps, or those of some time.

        Args:
            symbol: the exchange's name.
            interval: `1m` is a minute, `1M` a month.
            start: open times from here on: Unix ms, or a datetime with a time zone.
            end: open times up to here, inclusive.

        Raises:
            BadArgumentError: at once. `DisconnectedError`: while it is read.
        """
        return History(self._redis, self._pages(symbol, interval, start, end), self._closed)

    def updates(self, symbols: Union[str, Sequence[str]], interval: str) -> Updates:
        """Live updates of one symbol or several. When this returns, Redis has confirmed: everything published from now on comes.

        It only listens: without a flux that has the series, nothing comes.

        Raises:
            DisconnectedError: Redis cannot be reached, or refuses. Later losses are counted, and updates go on.
        """
        return self._remember(Updates(self._redis, self._reception(symbols, interval), self._plan.timeout))

    def subscribe_to_updates(self, symbols: Union[str, Sequence[str]], interval: str, callback: Callable[[Update], object]) -> Subscription:
        """Calls back for each live update, in a thread of its own, until the handle's or the client's `close`.

        Raises:
            DisconnectedError: Redis cannot be reached, or refuses.
        """
        return self._remember(Subscription(self.updates(symbols, interval), callback))

    def candles(self, symbols: Union[str, Sequence[str]], interval: str, after: After = "end") -> CandleStream:
        """Closed candles in order, each once, for ever; what is missing and what is put right later come as events (`CandleEvent`).

        Args:
            symbols: one symbol or several.
            interval: `1m` is a minute, `1M` a month.
            after: `end`: what comes from now on. `start`: all that Redis keeps, first. An open time (Unix ms or datetime): what
                follows it. The `place` of another stream: where that one was.

        Raises:
            BadArgumentError: at once; a place that is none: at the first event.
        """
        return self._remember(CandleStream(self._redis, self._follower(symbols, interval, after), self._closed))

    def worker(
        self, group: str, symbols: Union[str, Sequence[str]], interval: str, name: Optional[str] = None,
        options: Optional[WorkerOptions] = None,
    ) -> Worker:  # fmt: skip
        """A worker of a consumer group on closed candles: each candle goes to one worker, which acknowledges it.

        Args:
            group: made when it is not there.
            symbols: one symbol or several.
            interval: `1m` is a minute, `1M` a month.
            name: of this worker; with the same name after a crash it gets what it held. Made up without one.
            options: how many in hand, when others' are taken over, how often one may fail.
        """
        machine = self._group_worker(group, symbols, interval, name, options)
        return self._remember(Worker(self._redis, machine, name is not None, self._closed))

    def _remember(self, one: Closable) -> Closable:
        self._open_ones.add(one)
        return one
