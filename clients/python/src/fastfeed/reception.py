"""What comes on subscribed channels, told apart and counted, without I/O: for updates, and for the answer to a request.

redis-py connects and subscribes anew by itself where it may. A channel that is confirmed a second time tells so: what was published
in between is gone, and is counted here. One thread at a time.
"""

from __future__ import annotations

import time
from typing import Any, Dict, Generic, List, Optional, Sequence, Set, Tuple

from .answers import Update
from .contract import CandleField, Field, Keys
from .endpoint import CONNECTION_LOST
from .errors import BadAnswerError, DisconnectedError, FluxTimeoutError
from .interval import bar_count, next_open_time
from .record import text_of
from .request import Answer, Request

#: A look at whether somebody has closed us, seconds.
SLICE = 0.25
#: After so long without a word Redis is asked for one; seconds.
SILENCE = 15.0


class Reception:
    """Updates of some series: messages in, updates out, losses counted.

    Attributes:
        interruptions: how often Redis was lost.
        missed: candles that closed while it was, and were not published again afterwards; `history` has them.
        malformed: messages that are not updates.
    """

    def __init__(self, keys: Keys, series: Sequence[Tuple[str, str]]) -> None:
        self.series = {keys.updates(symbol, interval): (symbol, interval) for symbol, interval in series}
        self.interruptions = self.missed = self.malformed = 0
        self._confirmed: Set[str] = set()
        #: The open time of the candle that closes next, by channel.
        self._next: Dict[str, int] = {}
        self._interrupted: Set[str] = set()

    @property
    def is_confirmed(self) -> bool:
        """Redis has confirmed all channels: what is published from now on comes."""
        return len(self._confirmed) == len(self.series)

    def lose(self) -> None:
        """The connection is lost."""
        self.interruptions += 1
        self._confirmed.clear()
        self._interrupted = set(self._next)

    def take(self, reply: List[Any]) -> Optional[Update]:
        """What Redis said, as redis-py parses it."""
        kind, channel, text = reply if len(reply) == 3 else (reply[0], "", "")
        if kind in ("message", b"message"):
            return self._update(text_of(channel), text_of(text))
        if kind in ("subscribe", b"subscribe"):
            channel = text_of(channel)
            if channel in self._confirmed:
                self.lose()
            self._confirmed.add(channel)
        return None

    def _update(self, channel: str, text: str) -> Optional[Update]:
        try:
            members = Update.checked(text)
            if (members[Field.SYMBOL], members[Field.INTERVAL]) != self.series.get(channel):
                raise BadAnswerError("an update of another series")
        except BadAnswerError:
            self.malformed += 1
            return None
        # Most candles are forming, and nobody was away: there is nothing to count.
        is_watched = channel in self._interrupted or channel not in self._next
        for row in members[Field.CANDLES]:
            if is_watched or row[CandleField.CLOSED]:
                self._count(channel, row[CandleField.OPEN_TIME], row[CandleField.CLOSED])
        return Update(members)

    def _count(self, channel: str, open_time: int, is_closed: bool) -> None:
        expected = self._next.setdefault(channel, open_time)
        interval = self.series[channel][1]
        # What is older than that was late anyway, and tells nothing of the time since.
        if channel in self._interrupted and open_time >= expected:
            self._interrupted.discard(channel)
            self.missed += bar_count(interval, expected, open_time)
            self._next[channel] = open_time
        if is_closed and open_time >= self._next[channel]:
            self._next[channel] = next_open_time(interval, open_time)


class Counted:
    """Has the counts of a reception."""

    _reception: Reception

    @property
    def interruptions(self) -> int:
        """How often Redis was lost."""
        return self._reception.interruptions

    @property
    def missed(self) -> int:
        """Candles that closed while Redis was lost and were not published again: `history` has them."""
        return self._reception.missed

    @property
    def malformed(self) -> int:
        """Messages that were not updates, passed over."""
        return self._reception.malformed


class Silence:
    """How long a connection has said nothing: one that is dead at the other end says nothing, for ever."""

    def __init__(self, timeout: float) -> None:
        self._timeout, self._seconds = timeout, 0.0

    def reset(self) -> None:
        """Something has come."""
        self._seconds = 0.0

    def asks(self) -> bool:
        """One more `SLICE` without a word: whether Redis is to be asked for one now.

        Raises:
            OSError: it was asked, and has not answered.
        """
        before, self._seconds = self._seconds, self._seconds + SLICE
        if self._seconds > SILENCE + self._timeout:
            raise OSError("Redis is silent")
        return before < SILENCE <= self._seconds


class Conversation(Generic[Answer]):
    """One request: each confirmation of the answer's channel is followed by the request, so that an answer cannot be missed.

    Asking again with the same id has no second effect.
    """

    def __init__(self, keys: Keys, request: Request[Answer], timeout: float) -> None:
        self._timeout, self._deadline = timeout, time.monotonic() + timeout
        self.channel = keys.response(request.kind, request.id)
        self.command_channel = keys.command(request.kind)
        self.request = request
        self.is_published = False

    def take(self, message: Optional[Dict[str, Any]]) -> Tuple[bool, Optional[str]]:
        """From a message of redis-py: whether the request is to be published now; the answer."""
        if message is None or text_of(message["channel"] or "") != self.channel:
            return False, None
        kind = text_of(message["type"])
        if kind == "subscribe":
            return True, None
        return False, text_of(message["data"]) if kind == "message" else None

    def patience(self, is_closed: bool) -> float:
        """How long to wait for the next message, seconds; in between somebody looks whether the client is closed.

        Raises:
            DisconnectedError: it is closed, or Redis has not answered in time. FluxTimeoutError: the service has not.
        """
        if is_closed:
            raise DisconnectedError("the client is closed")
        left = self._deadline - time.monotonic()
        if left > 0:
            return min(left, SLICE)
        if self.is_published:
            raise FluxTimeoutError(f"the service did not answer within {self._timeout:g} s")
        raise DisconnectedError(f"Redis did not answer within {self._timeout:g} s")

    def may_begin_again(self, lost: BaseException) -> bool:
        """A connection from before a restart of Redis is lost: nothing has been sent yet, so a new one may try."""
        return not self.is_published and isinstance(lost, CONNECTION_LOST)
