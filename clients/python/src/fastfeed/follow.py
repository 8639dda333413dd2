"""Follows histories and their changes, for ever, whatever Redis does. Steps without I/O; one thread at a time.

Changes count from a place that is taken before the history is read, so that none is missed; one may be told twice, which does no harm,
because the candle is read again each time.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import Any, Deque, Dict, Final, List, Literal, Mapping, Optional, Sequence, Set, Tuple, Union

from .candle import Candle, stored_row
from .contract import CHANGES_KEPT, CandleField, Field, Keys
from .endpoint import LOST, passes
from .errors import BadArgumentError
from .interval import INSTANT_MAX, Instant, next_open_time, to_ms
from .order import CandleEvent, CandleOrder, Gaps
from .record import text_of
from .steps import Backoff, Pause, Steps, call

START: Final = "0-0"
#: Members of a place.
_CANDLE: Final = "candle"
_CHANGE: Final = "change"
#: Entries of a stream, and of all streams, that one read may bring.
_PAGE: Final = 1_000
_READ_MAX: Final = 20_000
_ID: Final = re.compile(r"[0-9]{1,18}-[0-9]{1,18}")
_BLOCK_MS: Final = 1_000
#: So many changes at once may mean that older ones were trimmed before they were read.
_MANY: Final = CHANGES_KEPT // 2
#: So long without a word of a series, until somebody looks whether its stream was made anew; seconds.
_SILENCE: Final = 5.0

#: How far somebody has read: by symbol, the open time of the last candle (Unix ms) and the id of the last change. A JSON value.
Place = Dict[str, Dict[str, Any]]
#: Where to begin.
After = Union[Literal["start", "end"], Instant, Mapping[str, Mapping[str, Any]]]


class _Series:
    """One series, and how far it was read."""

    def __init__(self, keys: Keys, symbol: str, interval: str) -> None:
        self.symbol, self.interval = symbol, interval
        self.history, self.changes = keys.history(symbol, interval), keys.changes(symbol, interval)
        self.candle, self.change = START, START
        self.order = CandleOrder(symbol, interval, None, 0)
        #: As far as events were taken.
        self.told = Gaps(interval)
        self.is_in_doubt = False
        self.heard_at = time.monotonic()
        #: Behind this change some were lost, and that was told.
        self.lost_behind = START


class Follower:
    """Events of some series.

    Attributes:
        place: how far the events that were taken go: a new follower may begin there.
        interruptions: how often Redis was lost, or a stream made anew.
        malformed: entries that are not candles or changes, passed over.
    """

    def __init__(self, keys: Keys, series: Sequence[Tuple[str, str]], after: After, block_ms_most: int = _BLOCK_MS) -> None:
        begin: Any = after
        if not isinstance(begin, Mapping) and begin not in ("start", "end"):
            to_ms(begin)
        self._block_most = block_ms_most
        self._page = max(10, min(_PAGE, _READ_MAX // (2 * len(series))))
        self._series = [_Series(keys, symbol, interval) for symbol, interval in series]
        self._after = after
        self._is_started = False
        self._ready: Deque[Tuple[Optional[CandleEvent], str, str, Any]] = deque()
        self._backoff = Backoff()
        self.place: Place = {}
        self.interruptions = self.malformed = 0

    @property
    def open_gaps(self) -> Dict[str, List[Tuple[int, int]]]:
        """By symbol: holes that were told and are not filled yet; open times, Unix ms, the second one not included."""
        return {one.symbol: one.told.list() for one in self._series}

    def take(self) -> Optional[CandleEvent]:
        """An event that is ready."""
        while self._ready:
            event, symbol, word, value = self._ready.popleft()
            self.place.setdefault(symbol, {})[word] = value
            if event is not None:
                next(one for one in self._series if one.symbol == symbol).told.tell(event)
                return event
        return None

    def turn(self) -> Steps[None]:
        """Waits up to a second for more, or for Redis."""
        try:
            if not self._is_started:
                for one in self._series:
                    yield from self._start(one)
                self._is_started = True
            for one in self._series:
                if one.is_in_doubt:
                    yield from self._examine(one)
            yield from self._read()
            self._backoff.reset()
        except LOST as error:
            if not passes(error, self._is_started):
                raise
            self.interruptions += 1
            for one in self._series:
                one.is_in_doubt = self._is_started
            yield Pause(self._backoff.next())

    def _start(self, one: _Series) -> Steps[None]:
        after = self._after
        newest_change = yield from call("xrevrange", one.changes, count=1)
        one.change = text_of(newest_change[0][0]) if newest_change else START
        if after == "start":
            expected, begin = None, 0
        elif after == "end":
            newest = yield from call("xrevrange", one.history, count=1)
            one.candle = text_of(newest[0][0]) if newest else START
            last = _moment(one.candle)
            expected, begin = (next_open_time(one.interval, last), last) if last else (None, 0)
        else:
            expected, begin = self._resume(one, after)
        one.order = CandleOrder(one.symbol, one.interval, expected, begin)
        self.place[one.symbol] = {_CANDLE: _moment(one.candle), _CHANGE: one.change}

    def _resume(self, one: _Series, after: Any) -> Tuple[Optional[int], int]:
        """After an open time, or where another follower has stopped."""
        if not isinstance(after, Mapping):
            last = to_ms(after)
        else:
            place = after.get(one.symbol)
            if place is None:
                return None, 0
            last, change = place.get(_CANDLE), place.get(_CHANGE)
            if type(last) is not int or not 0 <= last <= INSTANT_MAX or not isinstance(change, str) or not _ID.fullmatch(change):
                raise BadArgumentError(f"not a place: {place!r}")
            one.change, one.is_in_doubt = change, change != START
        if not last:
            return None, 0
        one.candle = f"{last}-0"
        return next_open_time(one.interval, last), 0

    def _read(self) -> Steps[None]:
        places = {one.history: one.candle for one in self._series}
        places.update({one.changes: one.change for one in self._series})
        reply = yield from call("xread", streams=places, block=min(_BLOCK_MS, self._block_most), count=self._page)
        found = streams_of(reply)
        for one in self._series:
            if one.history in found:
                yield from self._append(one, found[one.history])
            if one.changes in found:
                yield from self._change(one, found[one.changes])
        now = time.monotonic()
        for one in self._series:
            if one.history in found or one.changes in found:
                one.heard_at = now
            elif now - one.heard_at >= _SILENCE:
                one.heard_at = now
                yield from self._examine(one)

    def _append(self, one: _Series, entries: Sequence[Tuple[Any, Any]]) -> Steps[None]:
        for entry_id, fields in entries:
            row = stored_row(one.symbol, one.interval, text_of(entry_id), fields or {})
            if row is None:
                self.malformed += 1
            else:
                candle = Candle(row)
                cause: Literal["missing", "trimmed"] = "missing"
                if not one.order.is_next(candle.open_time):
                    first = yield from call("xrange", one.history, count=1)
                    if first and text_of(first[0][0]) == text_of(entry_id):
                        cause = "trimmed"
                for event in one.order.append(candle, cause):
                    # After the gap alone the candle is still to come.
                    read = candle.open_time if event.kind == "candle" else self._read_before(one)
                    self._ready.append((event, one.symbol, _CANDLE, read))
            # Only now: should Redis be lost in between, this entry is read again.
            one.candle = text_of(entry_id)

    @staticmethod
    def _read_before(one: _Series) -> int:
        return _moment(one.candle) or 0

    def _change(self, one: _Series, entries: Sequence[Tuple[Any, Any]]) -> Steps[None]:
        if len(entries) >= min(_MANY, self._page):
            yield from self._examine_changes(one)
        told: Dict[int, Set[str]] = {}
        for _, fields in entries:
            texts = {text_of(name): text_of(value) for name, value in (fields or {}).items()}
            open_time = _moment(texts.get(CandleField.OPEN_TIME, ""))
            if open_time is None:
                self.malformed += 1
            else:
                told.setdefault(open_time, set()).add(texts.get(Field.KIND, ""))
        # First all of them: should Redis be lost in between, the order of events does not know yet, and they are read again.
        candles: Dict[int, Optional[Candle]] = {}
        for open_time in told:
            entry_id = f"{open_time}-0"
            found = yield from call("xrange", one.history, min=entry_id, max=entry_id)
            row = stored_row(one.symbol, one.interval, entry_id, found[0][1]) if found else None
            candles[open_time] = Candle(row) if row else None
        events = [event for open_time, kinds in told.items() for event in one.order.change(open_time, kinds, candles[open_time])]
        before, one.change = one.change, text_of(entries[-1][0])
        for event in events:
            self._ready.append((event, one.symbol, _CHANGE, before))
        self._ready.append((None, one.symbol, _CHANGE, one.change))

    def _examine(self, one: _Series) -> Steps[None]:
        """After a loss, or a long silence: is this still the stream that was read?"""
        newest = yield from call("xrevrange", one.history, count=1)
        if newest and (_moment(text_of(newest[0][0])) or 0) < (_moment(one.candle) or 0):
            one.candle = START
            one.order.forget()
            self.interruptions += 1
        if one.is_in_doubt:
            yield from self._examine_changes(one)
        newest = yield from call("xrevrange", one.changes, count=1)
        if _sort(text_of(newest[0][0]) if newest else START) < _sort(one.change):
            self._lose_changes(one, START)
        one.is_in_doubt = False

    def _examine_changes(self, one: _Series) -> Steps[None]:
        """The last change that was read must still be there, or some behind it may be gone."""
        if one.change in (START, one.lost_behind):
            return
        last = yield from call("xrange", one.changes, min=one.change, max=one.change)
        first = yield from call("xrange", one.changes, count=1)
        if not last and first and _sort(text_of(first[0][0])) > _sort(one.change):
            self._lose_changes(one, one.change)

    def _lose_changes(self, one: _Series, place: str) -> None:
        one.change = one.lost_behind = place
        self._ready.append((CandleEvent("changes_lost", one.symbol, one.interval, 0), one.symbol, _CHANGE, place))


def streams_of(reply: Any) -> Dict[str, List[Tuple[Any, Any]]]:
    """A reply of XREAD, whatever the protocol's version: entries by key."""
    if not reply:
        return {}
    if isinstance(reply, dict):
        # RESP3: redis-py puts the entries into one more list.
        return {
            text_of(key): entries[0] if len(entries) == 1 and isinstance(entries[0], list) else entries for key, entries in reply.items()
        }
    return {text_of(key): entries for key, entries in reply}


def _moment(entry_id: str) -> Optional[int]:
    """The milliseconds of an id, or of an open time."""
    text = entry_id.partition("-")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _sort(entry_id: str) -> Tuple[int, int]:
    moment, _, number = entry_id.partition("-")
    return int(moment), int(number or 0)
