"""What stands in Redis and on its channels: keys, channels, commands and the names of their members, spelled here and nowhere else.

`docs/commands.md` and `docs/using.md` of the project say what they mean. Pure, any thread.
"""

from __future__ import annotations

from typing import Final

from .errors import BadArgumentError

MARKETS: Final = ("spot", "um")
#: Rows that one answer may hold.
ROWS_MAX: Final = 1_500
#: What `changes` keeps of a series, about.
CHANGES_KEPT: Final = 1_000


class Command:
    """What can be asked: the part of the channel behind `commands:`."""

    CREATE_FLUX: Final = "flux:create"
    STOP_FLUX: Final = "flux:stop"
    LIST_FLUXES: Final = "flux:list"
    GET_DATA: Final = "data:get"
    GET_STATUS: Final = "status:get"
    LIST_GAPS: Final = "gaps:list"
    BACKFILL: Final = "data:backfill"
    AUDIT: Final = "data:audit"
    LIST_SYMBOLS: Final = "symbols:list"


class Field:
    """Members of requests, answers, updates, statuses and holes."""

    REQUEST_ID: Final = "request_id"
    STATUS: Final = "status"
    ERROR: Final = "error"
    CODE: Final = "code"
    MESSAGE: Final = "message"
    FLUX_ID: Final = "flux_id"
    NAME: Final = "name"
    SYMBOLS: Final = "symbols"
    SYMBOL: Final = "symbol"
    INTERVAL: Final = "interval"
    HISTORY: Final = "history"
    FLUXES: Final = "fluxes"
    CREATED: Final = "created"
    CREATED_AT: Final = "created_at"
    LAST_UPDATE_AT: Final = "last_update_at"
    SERIES_LIVE: Final = "series_live"
    REFUSED_SYMBOLS: Final = "refused_symbols"
    LIMIT: Final = "limit"
    START: Final = "start"
    END: Final = "end"
    ROWS: Final = "rows"
    INCOMPLETE: Final = "incomplete"
    SOURCE: Final = "source"
    TOOK_US: Final = "took_us"
    UPDATES: Final = "updates"
    CANDLES: Final = "candles"
    GAPS: Final = "gaps"
    MORE: Final = "more"
    FROM: Final = "from"
    UNTIL: Final = "until"
    CAUSE: Final = "cause"
    STATE: Final = "state"
    TRIES: Final = "tries"
    COUNT: Final = "count"
    REPAIR: Final = "repair"
    CHECKED: Final = "checked"
    FINDINGS: Final = "findings"
    ID: Final = "id"
    FINDING: Final = "finding"
    REPAIRED: Final = "repaired"
    QUOTE: Final = "quote"
    SEARCH: Final = "search"
    TOTAL: Final = "total"
    UPDATED_AT: Final = "updated_at"
    KIND: Final = "kind"
    REVISION: Final = "revision"
    PID: Final = "pid"
    HOST: Final = "host"
    HEARTBEAT_AT: Final = "heartbeat_at"
    CONNECTIONS: Final = "connections"
    CONNECTIONS_LIVE: Final = "connections_live"
    GAPS_OPEN: Final = "gaps_open"
    MESSAGES_TOTAL: Final = "messages_total"
    SERIES: Final = "series"


class CandleField:
    """A candle's members: as a JSON object it has all of these, in this order; as an entry of a history those of `STORED`."""

    OPEN: Final = "open"
    HIGH: Final = "high"
    LOW: Final = "low"
    CLOSE: Final = "close"
    VOLUME: Final = "volume"
    CLOSE_TIME: Final = "close_time"
    QUOTE_VOLUME: Final = "quote_volume"
    TAKER_BUY_VOLUME: Final = "taker_buy_volume"
    TAKER_BUY_QUOTE_VOLUME: Final = "taker_buy_quote_volume"
    FIRST_TRADE_ID: Final = "first_trade_id"
    LAST_TRADE_ID: Final = "last_trade_id"
    OPEN_TIME: Final = "open_time"
    CLOSED: Final = "closed"
    EVENT_TIME: Final = "event_time"
    OHLCV: Final = (OPEN, HIGH, LOW, CLOSE, VOLUME)
    DECIMALS: Final = (*OHLCV, QUOTE_VOLUME, TAKER_BUY_VOLUME, TAKER_BUY_QUOTE_VOLUME)
    INTEGERS: Final = (CLOSE_TIME, Field.COUNT, FIRST_TRADE_ID, LAST_TRADE_ID, Field.REVISION)
    #: Instants, Unix ms.
    TIMES: Final = (OPEN_TIME, CLOSE_TIME, EVENT_TIME)
    STORED: Final = (
        *OHLCV, CLOSE_TIME, QUOTE_VOLUME, Field.COUNT, TAKER_BUY_VOLUME, TAKER_BUY_QUOTE_VOLUME,
        FIRST_TRADE_ID, LAST_TRADE_ID, Field.SOURCE, Field.REVISION,
    )  # fmt: skip
    ALL: Final = (Field.SYMBOL, Field.INTERVAL, OPEN_TIME, *STORED, CLOSED, EVENT_TIME)


class State:
    """How a service or a flux stands; a newer service may use other words, too."""

    LIVE: Final = "live"
    STARTING: Final = "starting"
    STALE: Final = "stale"
    DEGRADED: Final = "degraded"
    STOPPED: Final = "stopped"
    OK: Final = "ok"
    REFUSED: Final = "error"
    #: Of a hole: the exchange itself has no such candles.
    ABSENT: Final = "absent"


class Change:
    """What happened to a stored candle: words of `changes`."""

    INSERTED: Final = "inserted"
    CORRECTED: Final = "corrected"
    REMOVED: Final = "removed"


class DeadField:
    """What a dead letter says besides the message's own fields."""

    STREAM: Final = "dead_stream"
    GROUP: Final = "dead_group"
    ENTRY: Final = "dead_id"
    DELIVERIES: Final = "dead_deliveries"
    REASON: Final = "dead_reason"


class Keys:
    """Names of keys and channels of one market and key prefix."""

    def __init__(self, prefix: str = "", market: str = "spot") -> None:
        if market not in MARKETS:
            raise BadArgumentError(f"'{market}' is not a market: one of {' '.join(MARKETS)}")
        if len(prefix) > 64 or not all(0x20 < ord(letter) < 0x7F and letter not in "{}" for letter in prefix):
            raise BadArgumentError("the key prefix must be at most 64 printable characters without braces or spaces")
        self.prefix, self.market = prefix, market
        #: Markets other than spot carry their name.
        self._mark = "" if market == "spot" else f"{market}:"

    def _of_series(self, word: str, symbol: str, interval: str) -> str:
        return f"{self.prefix}{word}:{{{self._mark}{symbol}}}:{interval}"

    def history(self, symbol: str, interval: str) -> str:
        """The stream of closed candles."""
        return self._of_series("candles", symbol, interval)

    def changes(self, symbol: str, interval: str) -> str:
        """The stream of what was inserted behind the newest candle, corrected or removed."""
        return self._of_series("changes", symbol, interval)

    def updates(self, symbol: str, interval: str) -> str:
        """The channel of live updates."""
        return self._of_series("updates", symbol, interval)

    def latest(self, interval: str) -> str:
        """The hash of newest states, a field for each symbol."""
        return f"{self.prefix}latest:{self._mark}{interval}"

    def dead(self, key: str, group: str) -> str:
        """The stream of what a group could not handle; `key` has a hash tag, so both are in one slot."""
        return f"{self.prefix}dead:{key[len(self.prefix) :]}:{group}"

    @property
    def service_status(self) -> str:
        """The hash that a service renews every 2 s, gone 10 s after it."""
        return f"{self.prefix}status:{self._mark}service"

    def command(self, kind: str) -> str:
        """The channel where requests come."""
        return f"{self.prefix}commands:{self._mark}{kind}"

    def response(self, kind: str, request_id: str) -> str:
        """The channel of one answer."""
        return f"{self.prefix}responses:{self._mark}{kind}:{request_id}"

    @staticmethod
    def listeners_pattern() -> str:
        """All channels, of any prefix and market, on which a service hears that fluxes are to be listed."""
        return f"*commands:*{Command.LIST_FLUXES}"


def series_symbol(symbol: str) -> str:
    """A symbol as keys have it: in lower case.

    Raises:
        BadArgumentError: it is not the name of a symbol (`BTC/USDT`).
    """
    folded = "".join(letter.lower() if letter.isascii() else letter for letter in symbol)
    if not 0 < len(folded.encode(errors="replace")) <= 32 or not all(letter.isalnum() or letter == "_" for letter in folded):
        raise BadArgumentError(f"'{symbol}' is not a symbol: letters and digits, as in btcusdt")
    return folded
