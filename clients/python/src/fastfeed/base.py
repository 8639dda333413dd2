"""What both clients are made of: how they are opened, and the parts without I/O of what they give. Any thread."""

from __future__ import annotations

from typing import Any, Final, List, Optional, Sequence, Tuple, Type, TypeVar, Union

from .contract import Keys, series_symbol
from .endpoint import Plan
from .errors import BadArgumentError
from .follow import After, Follower
from .group import GroupWorker, WorkerOptions, series_keys
from .history import Pages
from .interval import Instant, checked_interval
from .reception import Reception
from .worker import made_up_name

TIMEOUT_DEFAULT: Final = 5.0
Client = TypeVar("Client", bound="ClientBase")


class ClientBase:
    """Opens a client and checks what its calls are given; a subclass connects (`_open`)."""

    _plan: Plan
    _keys: Keys

    def __init__(
        self,
        redis_host: Optional[str] = None,
        redis_port: Optional[int] = None,
        *,
        market: Optional[str] = None,
        key_prefix: Optional[str] = None,
        timeout: float = TIMEOUT_DEFAULT,
        **redis_options: Any,
    ) -> None:
        self._open(Plan.of_options(redis_host, redis_port, redis_options, key_prefix, market, timeout), None)

    @classmethod
    def _made(cls: Type[Client], plan: Plan, redis: Any) -> Client:
        client = cls.__new__(cls)
        client._open(plan, redis)
        return client

    def _open(self, plan: Plan, redis: Any) -> None:
        raise NotImplementedError

    def _pages(self, symbol: str, interval: str, start: Optional[Instant], end: Optional[Instant]) -> Pages:
        return Pages(self._keys, series_symbol(symbol), checked_interval(interval), start, end)

    def _reception(self, symbols: Union[str, Sequence[str]], interval: str) -> Reception:
        return Reception(self._keys, of_series(symbols, interval))

    def _follower(self, symbols: Union[str, Sequence[str]], interval: str, after: After) -> Follower:
        return Follower(self._keys, of_series(symbols, interval), after, self._plan.block_ms_most)

    def _group_worker(
        self, group: str, symbols: Union[str, Sequence[str]], interval: str, name: Optional[str], options: Optional[WorkerOptions]
    ) -> GroupWorker:
        keys = series_keys(self._keys, of_series(symbols, interval))
        return GroupWorker(self._keys, group, name or made_up_name(), keys, options or WorkerOptions(), self._plan.block_ms_most)


def of_series(symbols: Union[str, Sequence[str]], interval: str) -> List[Tuple[str, str]]:
    """Series of one symbol, of a text with commas, or of several symbols.

    Raises:
        BadArgumentError: one is not a symbol, there is none, or it is not an interval.
    """
    names = symbols.split(",") if isinstance(symbols, str) else symbols
    interval = checked_interval(interval)
    if not names:
        raise BadArgumentError("no symbol is named")
    return list(dict.fromkeys((series_symbol(name), interval) for name in names))
