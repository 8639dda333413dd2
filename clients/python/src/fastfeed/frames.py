"""Candles as a pandas frame. Pure, any thread. pandas is imported when the first frame is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Literal

from .candle import CONVERSIONS
from .contract import CandleField, Field
from .errors import BadArgumentError
from .record import Members

if TYPE_CHECKING:
    import pandas

#: What decimals become: `decimal` and `text` are exact.
Numbers = Literal["decimal", "text", "float"]


def frame(rows: List[Members], numbers: Numbers, index: str) -> pandas.DataFrame:
    """A row for each candle. Times are UTC, counts and ids `int64`, `closed` is `bool`; see `Candles.to_pandas`."""
    try:
        import pandas as pd
    except ImportError:
        raise ImportError("frames need pandas: pip install 'fastfeed[pandas]'") from None
    if numbers not in CONVERSIONS:
        raise BadArgumentError(f"numbers is one of {' '.join(CONVERSIONS)}, not '{numbers}'")
    convert = CONVERSIONS[numbers]
    columns: Dict[str, Any] = {}
    for name in CandleField.ALL:
        values = [row[name] for row in rows]
        if name in CandleField.TIMES:
            columns[name] = pd.to_datetime(pd.Series(values, dtype="int64"), unit="ms", utc=True)
        elif name in CandleField.DECIMALS:
            kind = "float64" if numbers == "float" else "object"
            columns[name] = pd.Series([convert(value, name) for value in values], dtype=kind)
        elif name in CandleField.INTEGERS:
            columns[name] = pd.Series(values, dtype="int64")
        else:
            columns[name] = pd.Series(values, dtype="bool" if name == CandleField.CLOSED else "category")
    if index == CandleField.OPEN_TIME and len({(row[Field.SYMBOL], row[Field.INTERVAL]) for row in rows}) <= 1:
        # One series: its name goes with the frame, not with each row.
        of_series = {name: columns.pop(name) for name in (Field.SYMBOL, Field.INTERVAL)}
        attributes = {name: values.iloc[0] for name, values in of_series.items() if len(values)}
    else:
        attributes = {}
    made: pandas.DataFrame = pd.DataFrame(columns).set_index(index)
    made.attrs.update(attributes)
    return made
