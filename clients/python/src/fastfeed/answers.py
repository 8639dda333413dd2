"""Answers and updates as values. A message that is not what the protocol says raises `BadAnswerError`. Pure, any thread.

Members that are not known are kept and passed over; states and sources are the service's words, of which a newer one may use more.
"""

from __future__ import annotations

from typing import Any, Final, Iterator, List, Optional, Union, overload

from .candle import Candle, Candles, checked_row
from .contract import Field, State
from .errors import BadAnswerError
from .record import Members, Record, checked, checked_list, parse_object


class CreatedFlux(Record):
    """The answer to `create_flux`."""

    __slots__ = ()
    _SHAPE: Final = {Field.FLUX_ID: str, Field.CREATED: bool, Field.REFUSED_SYMBOLS: list}

    @classmethod
    def read(cls, members: Members) -> CreatedFlux:
        """From an answer's members."""
        checked_list(checked(members, cls._SHAPE), Field.REFUSED_SYMBOLS, str)
        return cls(members)

    @property
    def id(self) -> str:
        """The flux's id."""
        return str(self._members[Field.FLUX_ID])

    @property
    def created(self) -> bool:
        """False when the same flux was there already."""
        return bool(self._members[Field.CREATED])

    @property
    def refused_symbols(self) -> List[str]:
        """Symbols of which nothing comes now, each with the reason: `lunausdt:BREAK`."""
        return list(self._members[Field.REFUSED_SYMBOLS])


class Flux(Record):
    """One flux, as `list_fluxes` tells it."""

    __slots__ = ()
    _SHAPE: Final = {
        Field.FLUX_ID: str, Field.SYMBOLS: list, Field.INTERVAL: str, Field.STATE: str, Field.CREATED_AT: int, Field.SERIES_LIVE: int,
    }  # fmt: skip

    @classmethod
    def read_list(cls, members: Members) -> List[Flux]:
        """From an answer's members."""
        fluxes = [cls(checked(flux, cls._SHAPE)) for flux in checked(members, {Field.FLUXES: list})[Field.FLUXES]]
        for flux in fluxes:
            checked_list(flux._members, Field.SYMBOLS, str)
        return fluxes

    @property
    def id(self) -> str:
        """The flux's id."""
        return str(self._members[Field.FLUX_ID])

    @property
    def symbols(self) -> List[str]:
        """In lower case, sorted."""
        return list(self._members[Field.SYMBOLS])

    @property
    def interval(self) -> str:
        """`1m` is a minute, `1M` a month."""
        return str(self._members[Field.INTERVAL])

    @property
    def state(self) -> str:
        """`starting`, `live`, `healing`, `halted`, `delisted`, `stale`, `stopped`."""
        return str(self._members[Field.STATE])

    @property
    def created_at(self) -> int:
        """Unix ms."""
        return int(self._members[Field.CREATED_AT])

    @property
    def last_update_at(self) -> Optional[int]:
        """Unix ms; None before the first update."""
        return self._members.get(Field.LAST_UPDATE_AT) or None

    @property
    def series_live(self) -> int:
        """Series of which something has come lately."""
        return int(self._members[Field.SERIES_LIVE])


class Status(Record):
    """How the service or a flux stands: all members by name, `status["messages_total"]`."""

    __slots__ = ()

    @classmethod
    def read(cls, members: Members) -> Status:
        """From an answer's members."""
        return cls(checked(members, {Field.STATE: str}))

    @property
    def state(self) -> str:
        """Of a service `starting`, `live`, `degraded`, `stopped`; of a flux as in `Flux.state`."""
        return str(self._members[Field.STATE])

    @property
    def is_healthy(self) -> bool:
        """Neither degraded nor stale nor stopped."""
        return self.state not in (State.DEGRADED, State.STALE, State.STOPPED)


class CandleData(Candles):
    """The answer to `get_data`: candles, oldest first, the forming one last. `data["rows"]` is a member as it came."""

    _SHAPE: Final = {Field.SYMBOL: str, Field.INTERVAL: str, Field.SOURCE: str, Field.TOOK_US: int, Field.ROWS: list}

    def __init__(self, members: Members) -> None:
        super().__init__(members[Field.ROWS])
        self._members = members

    @classmethod
    def read(cls, members: Members) -> CandleData:
        """From an answer's members."""
        checked(members, cls._SHAPE)
        if not isinstance(members.get(Field.INCOMPLETE, ""), str):
            raise BadAnswerError(f"{Field.INCOMPLETE} is not a text")
        for row in members[Field.ROWS]:
            checked_row(row)
        return cls(members)

    @overload
    def __getitem__(self, place: int) -> Candle: ...
    @overload
    def __getitem__(self, place: slice) -> Candles: ...
    @overload
    def __getitem__(self, place: str) -> Any: ...
    def __getitem__(self, place: Union[int, slice, str]) -> Any:
        return self._members[place] if isinstance(place, str) else super().__getitem__(place)

    @property
    def symbol(self) -> str:
        """In lower case."""
        return str(self._members[Field.SYMBOL])

    @property
    def interval(self) -> str:
        """`1m` is a minute, `1M` a month."""
        return str(self._members[Field.INTERVAL])

    @property
    def source(self) -> str:
        """`redis`, `replica`, `cache`, `exchange` or `completed`."""
        return str(self._members[Field.SOURCE])

    @property
    def took_us(self) -> int:
        """How long the service took, µs."""
        return int(self._members[Field.TOOK_US])

    @property
    def incomplete(self) -> Optional[str]:
        """Why the exchange may have more candles of the question, a sentence; None when these are all."""
        return self._members.get(Field.INCOMPLETE)


class Gap(Record):
    """A hole in a history."""

    __slots__ = ()
    _SHAPE: Final = {
        Field.SYMBOL: str, Field.INTERVAL: str, Field.FROM: int, Field.UNTIL: int, Field.CANDLES: int, Field.CAUSE: str,
        Field.STATE: str, Field.TRIES: int,
    }  # fmt: skip

    @property
    def symbol(self) -> str:
        """In lower case."""
        return str(self._members[Field.SYMBOL])

    @property
    def interval(self) -> str:
        """`1m` is a minute, `1M` a month."""
        return str(self._members[Field.INTERVAL])

    @property
    def start(self) -> int:
        """Open time of the first candle that is missing, Unix ms."""
        return int(self._members[Field.FROM])

    @property
    def until(self) -> int:
        """Open time of the first one that is there again, Unix ms."""
        return int(self._members[Field.UNTIL])

    @property
    def candles(self) -> int:
        """How many are missing."""
        return int(self._members[Field.CANDLES])

    @property
    def cause(self) -> str:
        """`missed`, `late`, `unstored`, `overflow`, `refused`, `backfill`."""
        return str(self._members[Field.CAUSE])

    @property
    def state(self) -> str:
        """`open`, `healing`, or `absent`: the exchange itself has no such candles."""
        return str(self._members[Field.STATE])

    @property
    def tries(self) -> int:
        """How often the exchange was asked."""
        return int(self._members[Field.TRIES])


class Gaps(List[Gap]):
    """The answer to `gaps`: what may still be filled first.

    Attributes:
        more: further holes, for which the answer had no room.
    """

    more: int = 0

    @classmethod
    def read(cls, members: Members) -> Gaps:
        """From an answer's members."""
        checked(members, {Field.GAPS: list, Field.MORE: int})
        gaps = cls(Gap(checked(gap, Gap._SHAPE)) for gap in members[Field.GAPS])
        gaps.more = int(members[Field.MORE])
        return gaps

    @property
    def is_complete(self) -> bool:
        """Nothing that is missing may still be filled."""
        return all(gap.state == State.ABSENT for gap in self)


class Audit(Record):
    """The answer to `audit`: `checked`, `findings` (`id`, `finding`), `more`, `repaired`."""

    __slots__ = ()

    @classmethod
    def read(cls, members: Members) -> Audit:
        """From an answer's members."""
        checked(members, {Field.CHECKED: int, Field.FINDINGS: list, Field.MORE: int, Field.REPAIRED: bool})
        for finding in members[Field.FINDINGS]:
            checked(finding, {Field.ID: str, Field.FINDING: str})
        return cls(members)


class Symbols(List[Record]):
    """The answer to `symbols`, by falling volume of the last 24 hours.

    Attributes:
        total: how many match.
        updated_at: when the exchange said the figures, Unix ms; 0 before the first.
    """

    total: int = 0
    updated_at: int = 0

    @classmethod
    def read(cls, members: Members) -> Symbols:
        """From an answer's members."""
        checked(members, {Field.SYMBOLS: list, Field.TOTAL: int, Field.UPDATED_AT: int})
        symbols = cls(Record(checked(symbol, {Field.SYMBOL: str})) for symbol in members[Field.SYMBOLS])
        symbols.total, symbols.updated_at = int(members[Field.TOTAL]), int(members[Field.UPDATED_AT])
        return symbols


class Update(Record):
    """What one flush of the service wrote for one series: `update["rows"]` candles, `update.candles`."""

    __slots__ = ()
    _SHAPE: Final = {Field.SYMBOL: str, Field.INTERVAL: str, Field.ROWS: int, Field.UPDATES: int, Field.CANDLES: list}

    # What the service writes, compared as a whole.
    _NAMES: Final = list(_SHAPE)
    _KINDS: Final = list(_SHAPE.values())

    @classmethod
    def checked(cls, text: str) -> Members:
        """Members of a message."""
        members = parse_object(text)
        if list(members) != cls._NAMES or list(map(type, members.values())) != cls._KINDS:
            checked(members, cls._SHAPE)
        for row in members[Field.CANDLES]:
            checked_row(row)
        return members

    @property
    def symbol(self) -> str:
        """In lower case."""
        return str(self._members[Field.SYMBOL])

    @property
    def interval(self) -> str:
        """`1m` is a minute, `1M` a month."""
        return str(self._members[Field.INTERVAL])

    @property
    def rows(self) -> int:
        """Candles written."""
        return int(self._members[Field.ROWS])

    @property
    def updates(self) -> int:
        """Events of the exchange that they stand for."""
        return int(self._members[Field.UPDATES])

    @property
    def candles(self) -> Candles:
        """Closed ones first."""
        return Candles(self._members[Field.CANDLES])

    def closed(self) -> Iterator[Candle]:
        """The closed ones."""
        return (candle for candle in self.candles if candle.closed)
