"""Which events a series' candles come to: in order, each once, with holes, and what is put right behind. Pure; one thread at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Final, List, Literal, Optional, Set, Tuple

from .candle import Candle
from .contract import Change
from .interval import next_open_time

_GAPS_MAX: Final = 10_000

#: `candle`: the next closed candle. `gap`: what is missing before the next. `late`: one that was missing, or is older than the first.
#: `corrected`: one that came before has other values now. `removed`: one that came before was not the exchange's.
#: `changes_lost`: more was changed than is kept, so what was read before may be outdated: read it again with `history`.
Kind = Literal["candle", "gap", "late", "corrected", "removed", "changes_lost"]


@dataclass(frozen=True)
class CandleEvent:
    """One thing that happened to a series.

    Attributes:
        open_time: of the candle, or of the first one that is missing; Unix ms. 0 for `changes_lost`.
        candle: of `candle`, `late` and `corrected`.
        until: of a gap: open time of the first candle that is there again, Unix ms.
        cause: of a gap: `missing`, or `trimmed`: it was older than what is kept.
    """

    kind: Kind
    symbol: str
    interval: str
    open_time: int
    candle: Optional[Candle] = None
    until: Optional[int] = None
    cause: Optional[Literal["missing", "trimmed"]] = None


class Gaps:
    """Holes of one series: of each the open time of its first candle, and of the first one that is there again. Bounded: the oldest go."""

    def __init__(self, interval: str) -> None:
        self._interval = interval
        #: A dict keeps them by age.
        self._holes: Dict[int, int] = {}

    def list(self) -> List[Tuple[int, int]]:
        """By open time."""
        return sorted(self._holes.items())

    def open(self, start: int, until: int) -> None:
        """A hole is there."""
        self._holes[start] = until
        while len(self._holes) > _GAPS_MAX:
            del self._holes[next(iter(self._holes))]

    def fill(self, open_time: int) -> bool:
        """A candle is there; whether it lay in a hole."""
        hole = self.hole(open_time)
        if hole is None:
            return False
        until = self._holes.pop(hole)
        if hole < open_time:
            self._holes[hole] = open_time
        behind = next_open_time(self._interval, open_time)
        if behind < until:
            self._holes[behind] = until
        return True

    def hole(self, open_time: int) -> Optional[int]:
        """The hole in which a candle would lie."""
        return next((start for start, until in self._holes.items() if start <= open_time < until), None)

    def tell(self, event: CandleEvent) -> None:
        """What an event says of holes."""
        if event.kind == "gap" and event.cause == "missing" and event.until is not None:
            self.open(event.open_time, event.until)
        elif event.kind == "removed":
            self.open(event.open_time, next_open_time(self._interval, event.open_time))
        elif event.kind == "late":
            self.fill(event.open_time)


class CandleOrder:
    """The order of one series.

    Attributes:
        expected: open time of the candle that comes next, Unix ms; None before the first.
        begin: changes of older candles are not told; Unix ms.
    """

    def __init__(self, symbol: str, interval: str, expected: Optional[int], begin: int) -> None:
        self.symbol, self.interval, self.expected, self.begin = symbol, interval, expected, begin
        self._first = expected
        self._gaps = Gaps(interval)

    @property
    def open_gaps(self) -> List[Tuple[int, int]]:
        """Holes that are not filled yet: open times, Unix ms, the second one not included."""
        return self._gaps.list()

    def is_next(self, open_time: int) -> bool:
        """Nothing is missing before it."""
        return self.expected is None or open_time <= self.expected

    def append(self, candle: Candle, cause: Literal["missing", "trimmed"]) -> List[CandleEvent]:
        """A candle at the stream's end; the cause is that of the gap before it, where there is one."""
        events = []
        open_time = candle.open_time
        if not self.is_next(open_time):
            assert self.expected is not None  # noqa: S101
            events.append(self._event("gap", self.expected, until=open_time, cause=cause))
            if cause == "missing":
                self._gaps.open(self.expected, open_time)
        if self._first is None:
            self._first = open_time
        self.expected = next_open_time(self.interval, open_time)
        return [*events, self._event("candle", open_time, candle)]

    def change(self, open_time: int, kinds: Set[str], candle: Optional[Candle]) -> List[CandleEvent]:
        """What `changes` told of a candle, and how it is now; None: it is not there."""
        if open_time < self.begin or self.expected is None or open_time >= self.expected:
            # Not read yet: it will be read as it is then.
            return []
        if candle is None:
            if Change.REMOVED not in kinds or self._gaps.hole(open_time) is not None:
                return []
            self._gaps.open(open_time, next_open_time(self.interval, open_time))
            return [self._event("removed", open_time)]
        if self._gaps.fill(open_time):
            return [self._event("late", open_time, candle)]
        if self._first is not None and open_time < self._first and kinds == {Change.INSERTED}:
            return [self._event("late", open_time, candle)]
        if candle.revision > 0 or kinds != {Change.INSERTED}:
            return [self._event("corrected", open_time, candle)]
        return []

    def forget(self) -> None:
        """The stream was made anew: it is read from its beginning."""
        self.expected = self._first = None
        self._gaps = Gaps(self.interval)

    def _event(
        self, kind: Kind, open_time: int, candle: Optional[Candle] = None, until: Optional[int] = None,
        cause: Optional[Literal["missing", "trimmed"]] = None,
    ) -> CandleEvent:  # fmt: skip
        return CandleEvent(kind, self.symbol, self.interval, open_time, candle, until, cause)
