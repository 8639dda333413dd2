"""A candle, and lists of candles: exact, with what people make of them (frames, OHLCV lists). Pure, any thread."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Callable, Dict, Final, Iterator, List, Mapping, Optional, Sequence, Union, overload

from .contract import CandleField, Field
from .errors import BadAnswerError
from .interval import INSTANT_MAX, is_instant, to_datetime
from .record import Members, Record, checked, parse_object, text_of

if TYPE_CHECKING:
    import pandas

    from .frames import Numbers

_DECIMAL: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


def _kind(name: str) -> type:
    if name == CandleField.CLOSED:
        return bool
    return int if name in CandleField.INTEGERS or name in CandleField.TIMES else str


_SHAPE: Final = {name: _kind(name) for name in CandleField.ALL}
# What the service writes, compared as a whole: a list of 1,500 rows is checked in about 2 ms.
_NAMES: Final = list(_SHAPE)
_KINDS: Final = list(_SHAPE.values())


def checked_row(row: object) -> Members:
    """A row of foreign origin.

    Raises:
        BadAnswerError: it is not a candle.
    """
    if type(row) is not dict or list(row) != _NAMES or list(map(type, row.values())) != _KINDS:
        row = checked(row, _SHAPE)
    if not 0 <= row[CandleField.OPEN_TIME] <= INSTANT_MAX:
        raise BadAnswerError(f"{CandleField.OPEN_TIME} is not an instant")
    return row


def exact(text: str, name: str) -> Decimal:
    """A decimal of foreign origin, every digit of it.

    Raises:
        BadAnswerError: it is not a decimal number.
    """
    if not _DECIMAL.fullmatch(text):
        raise BadAnswerError(f"{name} is not a decimal number: {text[:40]!r}")
    return Decimal(text)


class Candle(Record):
    """A candle. Properties are `Decimal`, `int`, `bool`, `str`; `candle["close"]` is the exchange's exact text.

    A price that is not a number raises `BadAnswerError` when it is asked for.
    """

    __slots__ = ()

    @property
    def symbol(self) -> str:
        """The exchange's name in lower case, `btcusdt`."""
        return str(self._members[Field.SYMBOL])

    @property
    def interval(self) -> str:
        """`1m` is a minute, `1M` a month."""
        return str(self._members[Field.INTERVAL])

    @property
    def open_time(self) -> int:
        """Unix ms."""
        return int(self._members[CandleField.OPEN_TIME])

    @property
    def opened(self) -> datetime:
        """The open time in UTC."""
        return to_datetime(self.open_time)

    @property
    def close_time(self) -> int:
        """The last millisecond of the bar, Unix ms."""
        return int(self._members[CandleField.CLOSE_TIME])

    @property
    def open(self) -> Decimal:
        """Price of the first trade."""
        return self._decimal(CandleField.OPEN)

    @property
    def high(self) -> Decimal:
        """Highest price."""
        return self._decimal(CandleField.HIGH)

    @property
    def low(self) -> Decimal:
        """Lowest price."""
        return self._decimal(CandleField.LOW)

    @property
    def close(self) -> Decimal:
        """Price of the last trade so far."""
        return self._decimal(CandleField.CLOSE)

    @property
    def volume(self) -> Decimal:
        """In the base asset."""
        return self._decimal(CandleField.VOLUME)

    @property
    def quote_volume(self) -> Decimal:
        """In the quote asset."""
        return self._decimal(CandleField.QUOTE_VOLUME)

    @property
    def taker_buy_volume(self) -> Decimal:
        """Bought by takers, in the base asset."""
        return self._decimal(CandleField.TAKER_BUY_VOLUME)

    @property
    def taker_buy_quote_volume(self) -> Decimal:
        """Bought by takers, in the quote asset."""
        return self._decimal(CandleField.TAKER_BUY_QUOTE_VOLUME)

    @property
    def count(self) -> int:
        """Trades. 0: the exchange closed the bar, and nobody traded."""
        return int(self._members[Field.COUNT])

    @property
    def first_trade_id(self) -> int:
        """-1 for a candle that came over REST."""
        return int(self._members[CandleField.FIRST_TRADE_ID])

    @property
    def last_trade_id(self) -> int:
        """-1 for a candle that came over REST."""
        return int(self._members[CandleField.LAST_TRADE_ID])

    @property
    def source(self) -> str:
        """`live`, or `backfill` for a candle that came over REST."""
        return str(self._members[Field.SOURCE])

    @property
    def revision(self) -> int:
        """0, and one more for each time a stored candle was corrected."""
        return int(self._members[Field.REVISION])

    @property
    def closed(self) -> bool:
        """False: it still forms."""
        return bool(self._members[CandleField.CLOSED])

    @property
    def event_time(self) -> int:
        """When the exchange said so, Unix ms; of a stored candle its close time."""
        return int(self._members[CandleField.EVENT_TIME])

    def to_ohlcv(self, numbers: Numbers = "float") -> List[Any]:
        """As ccxt lays it out: open time (Unix ms), open, high, low, close, volume."""
        return Candles([self._members]).to_ohlcv(numbers)[0]

    def _decimal(self, name: str) -> Decimal:
        return exact(self._members[name], name)


class Candles(Sequence[Candle]):
    """Candles, oldest first unless it says otherwise."""

    def __init__(self, rows: List[Members]) -> None:
        self._rows = rows

    @overload
    def __getitem__(self, place: int) -> Candle: ...
    @overload
    def __getitem__(self, place: slice) -> Candles: ...
    def __getitem__(self, place: Union[int, slice]) -> Union[Candle, Candles]:
        if isinstance(place, slice):
            return Candles(self._rows[place])
        return Candle(self._rows[place])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Candle]:
        return map(Candle, self._rows)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"

    def to_pandas(self, numbers: Numbers = "decimal", index: str = CandleField.OPEN_TIME) -> pandas.DataFrame:
        """A frame with a row for each candle, by open time in UTC.

        Args:
            numbers: what prices and volumes become: `decimal` (exact), `text` (exact), or `float` (`float64`).
            index: the column that becomes the index.

        Raises:
            ImportError: pandas is not installed (`pip install 'fastfeed[pandas]'`).
            BadAnswerError: a price is not a number.
        """
        from .frames import frame

        return frame(self._rows, numbers, index)

    def to_ohlcv(self, numbers: Numbers = "float") -> List[List[Any]]:
        """As ccxt lays it out: lists of open time (Unix ms), open, high, low, close, volume.

        Args:
            numbers: `float` as ccxt has it, or `decimal` or `text`, which are exact.
        """
        convert = CONVERSIONS[numbers]
        return [[row[CandleField.OPEN_TIME], *(convert(row[name], name) for name in CandleField.OHLCV)] for row in self._rows]


def _to_float(text: str, name: str) -> float:
    return float(exact(text, name))


def _to_text(text: str, _: str) -> str:
    return text


#: What numbers can become.
CONVERSIONS: Final[Dict[str, Callable[[str, str], Any]]] = {"decimal": exact, "text": _to_text, "float": _to_float}


def stored_row(symbol: str, interval: str, entry_id: str, fields: Mapping[Any, Any]) -> Optional[Members]:
    """A row of an entry of a history; None for an entry that the service has not written."""
    moment, _, rest = entry_id.partition("-")
    texts = {text_of(name): text_of(value) for name, value in fields.items()}
    if rest != "0" or not _INTEGER.fullmatch(moment) or not all(name in texts for name in CandleField.STORED):
        return None
    row: Members = {Field.SYMBOL: symbol, Field.INTERVAL: interval, CandleField.OPEN_TIME: int(moment)}
    for name in CandleField.STORED:
        text = texts[name]
        if name not in CandleField.INTEGERS:
            row[name] = text
        elif _INTEGER.fullmatch(text):
            row[name] = int(text)
        else:
            return None
    row[CandleField.CLOSED] = True
    row[CandleField.EVENT_TIME] = row[CandleField.CLOSE_TIME]
    return row if is_instant(row[CandleField.OPEN_TIME]) else None


def latest_rows(fields: Mapping[Any, Any]) -> List[Members]:
    """Rows of the hash of newest states, by symbol. What is not a candle is left out: the next state takes its place."""
    rows = []
    for value in fields.values():
        try:
            rows.append(checked_row(parse_object(text_of(value))))
        except BadAnswerError:
            continue
    return sorted(rows, key=lambda row: str(row[Field.SYMBOL]))
