"""FastFeed from Python: candles of Binance out of Redis, exact, live and without a hole.

```
with fastfeed.FluxClient() as client:
    print(client.get_data("btcusdt", "1m", limit=100).to_pandas("float"))
```
"""

from importlib.metadata import version as _version

from .aio import AsyncFluxClient
from .answers import Audit, CandleData, CreatedFlux, Flux, Gap, Gaps, Status, Symbols, Update
from .candle import Candle, Candles
from .client import FluxClient
from .errors import (
    BadAnswerError,
    BadArgumentError,
    DisconnectedError,
    FluxError,
    FluxTimeoutError,
    RefusedError,
    ServiceNotRunningError,
)
from .group import Message, WorkerOptions
from .interval import INTERVALS
from .order import CandleEvent

__version__ = _version("fastfeed")
__all__ = [
    "INTERVALS",
    "AsyncFluxClient",
    "Audit",
    "BadAnswerError",
    "BadArgumentError",
    "Candle",
    "CandleData",
    "CandleEvent",
    "Candles",
    "CreatedFlux",
    "DisconnectedError",
    "Flux",
    "FluxClient",
    "FluxError",
    "FluxTimeoutError",
    "Gap",
    "Gaps",
    "Message",
    "RefusedError",
    "ServiceNotRunningError",
    "Status",
    "Symbols",
    "Update",
    "WorkerOptions",
    "__version__",
]
