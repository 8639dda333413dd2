"""A worker of a consumer group, without I/O: what it holds, what it acknowledges, takes over and gives up. Steps.

At least once: a message is this worker's from delivery to acknowledgement, and whoever handles one must bear it twice. Two threads: one
runs `turn`, one runs `renew`, and any may say what became of a message; what they share are dicts and lists, whose single operations are
atomic.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Deque, Dict, Final, List, Optional, Sequence, Tuple

from redis.exceptions import ResponseError

from .candle import Candle, stored_row
from .contract import DeadField, Keys
from .endpoint import LOST, passes
from .errors import BadAnswerError
from .follow import START, streams_of
from .record import text_of
from .scripts import BURY, FORGET, MARK, RENEW
from .steps import Backoff, Call, Pause, Steps, call

_ACKS_MAX: Final = 100
_BLOCK_MS: Final = 1_000
_RECLAIM_LONGEST: Final = 5.0
_DEAD_MAX: Final = 10_000
Held = Tuple[str, str]  # stream, id


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        prefetch: messages it may have in hand.
        claim_after: a message that somebody has held for so long without a sign of life is taken over, seconds.
        deliveries_max: a message that failed so often goes to the dead letters.
        start: where a group that is not there yet begins: `0` the oldest entry, `$` what comes.
    """

    prefetch: int = 100
    claim_after: float = 60.0
    deliveries_max: int = 5
    start: str = "0"


class Message:
    """A stored candle that was delivered to this worker. Say `ack`, `retry` or `reject`; until then it stays in hand.

    What is said first counts, until it is handed out again.

    Attributes:
        deliveries: how often it was handed out, this time included.
    """

    def __init__(self, group: GroupWorker, key: str, entry_id: str, fields: Dict[str, str], deliveries: int) -> None:
        self._group, self.key, self.id, self.fields, self.deliveries = group, key, entry_id, fields, deliveries
        self._is_answered = False

    def _answer(self, is_answered: bool = True) -> bool:
        """Whether it was answered before."""
        before, self._is_answered = self._is_answered, is_answered
        return before

    @property
    def candle(self) -> Candle:
        """The candle.

        Raises:
            BadAnswerError: the entry is not one.
        """
        symbol, interval = self._group.series[self.key]
        row = stored_row(symbol, interval, self.id, self.fields)
        if row is None:
            raise BadAnswerError(f"{self.id} of {self.key} is not a candle")
        return Candle(row)

    def ack(self) -> None:
        """It is done. Redis is told with the next message, or within a few seconds."""
        self._group.finish(self)

    def retry(self, after: float = 1.0) -> None:
        """It could not be done: this worker gets it again, after so many seconds. After the last delivery it goes to the dead letters."""
        self._group.fail(self, after)

    def reject(self, reason: str) -> None:
        """It can never be done: it goes to the dead letters."""
        self._group.reject(self, reason)


class GroupWorker:
    """Machine of one worker.

    Attributes:
        counters: `received`, `acked`, `retried`, `buried`, `claimed`, `vanished` (trimmed before they were handled), `taken_over`
            (by another worker, meanwhile), `groups_made`, `interruptions`, `kept` (dead, but the letters may not be written).
    """

    def __init__(
        self, keys: Keys, group: str, name: str, series: Dict[str, Tuple[str, str]], options: WorkerOptions,
        block_ms_most: int = _BLOCK_MS,
    ) -> None:  # fmt: skip
        self.group, self.name, self.series, self.options = group, name, series, options
        self._dead = {key: keys.dead(key, group) for key in series}
        self._ready: Deque[Message] = deque()
        self._held: Dict[Held, Message] = {}
        #: Done, and in here until Redis has answered.
        self._acks: Dict[Held, None] = {}
        self._is_flushing = threading.Lock()
        self._retries: List[Tuple[float, Message]] = []
        self._rejected: Deque[Tuple[Message, str]] = deque()
        self._kept: Dict[Held, None] = {}
        #: The last id that was seen, and the cursor of claims, by stream.
        self._seen: Dict[str, str] = {}
        self._cursors: Dict[str, str] = {}
        self._claim_due = 0.0
        self._is_started = False
        self._looks_for_own = self._is_new = True
        self._block_most = block_ms_most
        self._backoff = Backoff()
        self.counters = dict.fromkeys(
            ("received", "acked", "retried", "buried", "claimed", "vanished", "taken_over", "groups_made", "interruptions", "kept"), 0
        )

    # What a message says.

    def finish(self, message: Message) -> None:
        """Done."""
        held = (message.key, message.id)
        if held in self._held and not message._answer():
            self._acks[held] = None
            self._held.pop(held, None)

    def fail(self, message: Message, after: float) -> None:
        """Again later."""
        if (message.key, message.id) not in self._held or message._answer():
            return
        if message.deliveries >= self.options.deliveries_max:
            self._rejected.append((message, f"failed {message.deliveries} times"))
        else:
            self._retries.append((time.monotonic() + after, message))

    def reject(self, message: Message, reason: str) -> None:
        """Never."""
        if (message.key, message.id) in self._held and not message._answer():
            self._rejected.append((message, reason))

    # What the worker does.

    def take(self) -> Optional[Message]:
        """One that is ready; None when there is something else to do first."""
        if self._rejected or len(self._acks) >= _ACKS_MAX or (self._acks and not self._ready) or self._is_due():
            return None
        return self._ready.popleft() if self._ready else None

    def turn(self) -> Steps[None]:
        """What is due: acknowledgements, retries, claims; then a wait of up to a second for more."""
        try:
            if not self._is_started:
                for key in self.series:
                    yield from self._make(key)
                self._is_started = True
            yield from self.flush()
            yield from self._bury_rejected()
            yield from self._retry()
            if self._looks_for_own:
                for key in self.series:
                    yield from self._find_own(key)
                self._looks_for_own = self._is_new = False
            yield from self._claim()
            yield from self._read()
            self._backoff.reset()
        except LOST as error:
            if "NOGROUP" in str(error):
                # Flushed, deleted, lost by a failover. What is in hand is handled; its acknowledgement finds nothing.
                self._is_started = False
            elif passes(error, self._is_started):
                self.counters["interruptions"] += 1
                self._looks_for_own = True
                yield Pause(self._backoff.next())
            else:
                raise
        except GeneratorExit:
            # Cancelled: what Redis may have assigned meanwhile has not arrived.
            self._looks_for_own = True
            raise

    def flush(self) -> Steps[None]:
        """Acknowledges what is done; what Redis has not answered is kept."""
        if not self._is_flushing.acquire(blocking=False):
            # The other thread, or task, does it.
            return
        try:
            while self._acks:
                taken = list(self._acks)[:1_000]
                for key in {key for key, _ in taken}:
                    ids = [entry_id for other, entry_id in taken if other == key]
                    acked = int((yield Call("xack", (key, self.group, *ids))))
                    self.counters["acked"] += acked
                    self.counters["taken_over"] += len(ids) - acked
                    for entry_id in ids:
                        self._acks.pop((key, entry_id), None)
        finally:
            self._is_flushing.release()

    def renew(self) -> Steps[None]:
        """Says that all in hand is still being worked on, as far as it is still ours."""
        yield from self.flush()
        for key in self.series:
            ids = [entry_id for other, entry_id in list(self._held) if other == key]
            for start in range(0, len(ids), 100):
                yield Call("eval", (RENEW, 1, key, self.group, self.name, *ids[start : start + 100]))

    def stop(self, is_named: bool) -> Steps[None]:
        """Gives back what nobody has begun with: another worker gets it at once. Forgets a name that was made up."""
        yield from self.flush()
        yield from self._bury_rejected()
        # A delivery that has failed stays counted; one that nobody has seen does not count.
        given = [(message, message.deliveries - 1) for message in self._ready]
        given += [(message, message.deliveries) for _, message in self._retries]
        self._ready.clear()
        self._retries.clear()
        idle = int(self.options.claim_after * 1_000) + 1
        for message, deliveries in given:
            self._held.pop((message.key, message.id), None)
            yield from self._mark(message.key, message.id, deliveries, idle)
        if not is_named:
            for key in self.series:
                yield Call("eval", (FORGET, 1, key, self.group, self.name))

    def _is_due(self) -> bool:
        now = time.monotonic()
        return now >= self._claim_due or any(due <= now for due, _ in list(self._retries))

    def _make(self, key: str) -> Steps[None]:
        """The group, where it is not there: where this worker was, or at the start."""
        place = self._seen.get(key, self.options.start)
        if key in self._seen:
            newest = yield from call("xrevrange", key, count=1)
            if not newest or _sort(text_of(newest[0][0])) < _sort(place):
                place = "0"
        try:
            yield Call("xgroup_create", (key, self.group), {"id": place, "mkstream": True})
            self.counters["groups_made"] += 1
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _read(self) -> Steps[None]:
        free = self.options.prefetch - len(self._held)
        # It counts for each stream.
        room = max(1, free // len(self.series))
        if self._ready:
            return
        if free < 1:
            yield Pause(0.05)
            return
        waits = [due - time.monotonic() for due, _ in list(self._retries)] + [self._claim_due - time.monotonic()]
        block = max(1, min(_BLOCK_MS, self._block_most, int(min(waits) * 1_000)))
        options = {"streams": dict.fromkeys(self.series, ">"), "count": room, "block": block}
        reply = yield Call("xreadgroup", (self.group, self.name), options)
        for key, entries in streams_of(reply).items():
            for entry_id, fields in entries:
                self._hand(key, text_of(entry_id), fields, 1)
                self._seen[key] = text_of(entry_id)

    def _hand(self, key: str, entry_id: str, fields: Dict[Any, Any], deliveries: int) -> None:
        message = Message(self, key, entry_id, {text_of(name): text_of(value) for name, value in fields.items()}, deliveries)
        self._held[key, entry_id] = message
        if deliveries > self.options.deliveries_max:
            self._rejected.append((message, f"delivered {deliveries} times"))
        else:
            self.counters["received"] += 1
            self._ready.append(message)

    def _find_own(self, key: str) -> Steps[None]:
        """What was assigned to this name and never arrived, or belongs to an earlier process of this name."""
        start = "-"
        while len(self._held) < self.options.prefetch:
            options = {"min": start, "max": "+", "count": 100, "consumername": self.name}
            rows = yield Call("xpending_range", (key, self.group), options)
            for row in rows:
                yield from self._fetch(key, text_of(row["message_id"]), int(row["times_delivered"]))
            if len(rows) < 100:
                return
            start = "(" + text_of(rows[-1]["message_id"])

    def _fetch(self, key: str, entry_id: str, deliveries: int) -> Steps[None]:
        if self._is_known(key, entry_id):
            return
        found = yield from call("xrange", key, min=entry_id, max=entry_id)
        if found:
            if self._is_new:
                # An earlier process of this name had it in hand: that was a delivery, too.
                deliveries += 1
                yield from self._mark(key, entry_id, deliveries, 0)
            self._hand(key, entry_id, found[0][1], max(deliveries, 1))
        else:
            # Trimmed: nobody can handle it any more.
            self.counters["vanished"] += 1
            self._acks[key, entry_id] = None

    def _claim(self) -> Steps[None]:
        """Takes over what others hold for too long. On Redis 6.2 an entry that was trimmed comes without fields."""
        if time.monotonic() < self._claim_due:
            return
        self._claim_due = time.monotonic() + min(self.options.claim_after / 4, _RECLAIM_LONGEST)
        for key in self.series:
            room = min(self.options.prefetch - len(self._held), 100)
            if room < 1:
                return
            words = (key, self.group, self.name, int(self.options.claim_after * 1_000), self._cursors.get(key, START))
            reply = yield Call("xautoclaim", words, {"count": room})
            self._cursors[key] = text_of(reply[0])
            # From Redis 7 on, what was trimmed is named, and no longer pending.
            gone = [text_of(entry_id) for entry_id in (reply[2] if len(reply) > 2 else [])]
            self.counters["vanished"] += sum(not self._is_known(key, entry_id) for entry_id in gone)
            for entry_id, fields in reply[1]:
                if fields:
                    yield from self._take_over(key, text_of(entry_id), fields)

    def _take_over(self, key: str, entry_id: str, fields: Dict[Any, Any]) -> Steps[None]:
        if self._is_known(key, entry_id):
            return
        rows = yield Call("xpending_range", (key, self.group), {"min": entry_id, "max": entry_id, "count": 1})
        self._hand(key, entry_id, fields, int(rows[0]["times_delivered"]) if rows else 1)
        self.counters["claimed"] += 1

    def _is_known(self, key: str, entry_id: str) -> bool:
        return (key, entry_id) in self._held or (key, entry_id) in self._kept or (key, entry_id) in self._acks

    def _retry(self) -> Steps[None]:
        now = time.monotonic()
        for one in [one for one in list(self._retries) if one[0] <= now]:
            message = one[1]
            # So that no crash forgets the attempt. Should Redis be lost here, it is still to be retried.
            is_ours = yield from self._mark(message.key, message.id, message.deliveries + 1, 0)
            self._retries.remove(one)
            if not is_ours:
                self._held.pop((message.key, message.id), None)
                self.counters["taken_over"] += 1
                continue
            message.deliveries += 1
            message._answer(False)
            self.counters["retried"] += 1
            self._ready.append(message)

    def _mark(self, key: str, entry_id: str, deliveries: int, idle: int) -> Steps[bool]:
        """Writes down how often it was delivered, and how many ms ago. False: somebody else has it."""
        return bool((yield Call("eval", (MARK, 1, key, self.group, self.name, entry_id, idle, deliveries))))

    def _bury_rejected(self) -> Steps[None]:
        while self._rejected:
            message, reason = self._rejected[0]
            key, entry_id = message.key, message.id
            words = (DeadField.STREAM, key, DeadField.GROUP, self.group, DeadField.ENTRY, entry_id,
                     DeadField.DELIVERIES, message.deliveries, DeadField.REASON, reason[:256])  # fmt: skip
            try:
                buried = yield Call("eval", (BURY, 2, key, self._dead[key], self.group, self.name, entry_id, _DEAD_MAX, *words))
                self.counters["buried"] += int(buried)
            except ResponseError as error:
                if "NOGROUP" in str(error) or passes(error, has_worked=True):
                    raise
                # The letters may not be written: servers have several words for that. It stays pending, and is not handed out here.
                self._kept[key, entry_id] = None
                self.counters["kept"] += 1
            self._rejected.popleft()
            self._held.pop((key, entry_id), None)


def series_keys(keys: Keys, series: Sequence[Tuple[str, str]]) -> Dict[str, Tuple[str, str]]:
    """Series by the key of their history."""
    return {keys.history(symbol, interval): (symbol, interval) for symbol, interval in series}


def _sort(entry_id: str) -> Tuple[int, int]:
    moment, _, number = entry_id.partition("-")
    return int(moment), int(number or 0)
