"""The exchange's sixteen intervals and their calendar, UTC. Pure, any thread."""

from __future__ import annotations

import calendar
import operator
from datetime import datetime, timedelta, timezone
from typing import Final, Optional, Union

from .errors import BadArgumentError

_MINUTE: Final = 60_000
_DAY: Final = 86_400_000
#: Lengths in ms. A month has none: its length varies.
_LENGTHS: Final = {
    "1s": 1_000, "1m": _MINUTE, "3m": 3 * _MINUTE, "5m": 5 * _MINUTE, "15m": 15 * _MINUTE, "30m": 30 * _MINUTE,
    "1h": 60 * _MINUTE, "2h": 120 * _MINUTE, "4h": 240 * _MINUTE, "6h": 360 * _MINUTE, "8h": 480 * _MINUTE, "12h": 720 * _MINUTE,
    "1d": _DAY, "3d": 3 * _DAY, "1w": 7 * _DAY,
}  # fmt: skip
_MONTH: Final = "1M"
INTERVALS: Final = (*_LENGTHS, _MONTH)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Year 9999: what a datetime can carry, Unix ms.
INSTANT_MAX: Final = 253_402_300_799_999

#: An instant: Unix milliseconds, or a datetime with a time zone.
Instant = Union[int, datetime]


def checked_interval(interval: str) -> str:
    """The interval itself.

    Raises:
        BadArgumentError: it is not one of `INTERVALS`.
    """
    if interval not in INTERVALS:
        raise BadArgumentError(f"'{interval}' is not an interval: one of {' '.join(INTERVALS)}")
    return interval


def next_open_time(interval: str, open_time: int) -> int:
    """Open time (Unix ms) of the bar that follows the one opening at `open_time`."""
    length = _LENGTHS.get(interval)
    if length is not None:
        return open_time + length
    opened = to_datetime(open_time)
    days = calendar.monthrange(opened.year, opened.month)[1]
    first = opened.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return to_ms(first + timedelta(days=days))


def bar_count(interval: str, start: int, until: int) -> int:
    """How many bars open in `[start, until)`, where `start` is the open time of one. Unix ms."""
    if until <= start:
        return 0
    length = _LENGTHS.get(interval)
    if length is not None:
        return (until - start + length - 1) // length
    first, last = to_datetime(start), to_datetime(until - 1)
    return (last.year - first.year) * 12 + last.month - first.month + 1


def is_instant(value: int) -> bool:
    """Whether a number of foreign origin is an instant that the calendar can carry."""
    return 0 <= value <= INSTANT_MAX


def to_datetime(instant: int) -> datetime:
    """Unix ms as a datetime in UTC, exact."""
    return _EPOCH + timedelta(milliseconds=instant)


def to_ms(instant: Instant) -> int:
    """An instant as Unix ms.

    Raises:
        BadArgumentError: a datetime without time zone, an instant before 1970, or what is neither datetime nor whole number.
    """
    if isinstance(instant, datetime):
        if instant.tzinfo is None:
            raise BadArgumentError("a time without time zone: name one, as in datetime.now(timezone.utc)")
        instant = (instant - _EPOCH) // timedelta(milliseconds=1)
    try:
        # Whole numbers of numpy, too.
        moment = operator.index(instant)
    except TypeError:
        moment = -1
    if not is_instant(moment):
        raise BadArgumentError(f"{instant!r} is not an instant in Unix milliseconds")
    return moment


def optional_ms(instant: Optional[Instant]) -> Optional[int]:
    """The same, where none is needed."""
    return None if instant is None else to_ms(instant)
