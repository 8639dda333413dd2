"""Live updates: an iterator on a connection of its own, in the thread of whoever iterates; and a thread that calls back for each.

An iterator that is slow makes Redis keep what it has not read, up to the server's limit; then Redis ends the connection, which is an
interruption like others. Nothing is kept here without a bound.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Callable, Iterator, Optional

from .answers import Update
from .endpoint import LOST, telling_losses
from .errors import DisconnectedError
from .reception import SLICE, Counted, Reception, Silence
from .steps import Backoff

log = logging.getLogger("fastfeed")


class Updates(Counted, Iterator[Update]):
    """Updates as they come, until `close`. One thread at a time; `close` from any.

    Redis delivers updates at most once. After a loss of Redis they go on by themselves, and `interruptions` and `missed` have grown.
    """

    def __init__(self, redis: Any, reception: Reception, timeout: float) -> None:
        self._redis, self._reception, self._timeout = redis, reception, timeout
        self._closed = threading.Event()
        #: Held by whoever reads: a connection is not closed under a reader. (A signal's handler may close in the middle of a read.)
        self._turn = threading.RLock()
        self._listener: Any = None
        self._silence = Silence(timeout)
        self._backoff = Backoff()
        with telling_losses():
            self._confirm(time.monotonic() + timeout)

    def __iter__(self) -> Updates:
        return self

    def __next__(self) -> Update:
        with self._turn:
            while not self._closed.is_set():
                update = self._next()
                if update is not None:
                    return update
            self._let_go()
        raise StopIteration

    def close(self) -> None:
        """Ends the iteration and the connection, within a quarter of a second where another thread waits for an update."""
        self._closed.set()
        with self._turn:
            self._let_go()

    def __enter__(self) -> Updates:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> Optional[Update]:
        try:
            if self._listener is None:
                self._listen()
            # Not get_message: it keeps books on channels that come and go, which costs as much as the JSON.
            reply = self._listener.parse_response(block=False, timeout=SLICE)
            if reply:
                self._silence.reset()
                self._backoff.reset()
                return self._reception.take(reply)
            if self._silence.asks():
                self._listener.ping()
        except LOST as error:
            self._lose(error)
        return None

    def _listen(self) -> None:
        self._listener = self._redis.pubsub()
        self._listener.subscribe(*self._reception.series)
        self._silence.reset()

    def _confirm(self, deadline: float) -> None:
        try:
            self._listen()
            while not self._reception.is_confirmed:
                if time.monotonic() >= deadline:
                    raise DisconnectedError(f"Redis did not confirm within {self._timeout:g} s")
                reply = self._listener.parse_response(block=False, timeout=SLICE)
                if reply:
                    # An update that comes between two confirmations is of no channel that was promised yet.
                    self._reception.take(reply)
        except BaseException:
            self.close()
            raise

    def _lose(self, error: BaseException) -> None:
        if self._listener is not None:
            log.info("updates are interrupted: %s", error)
            if self._reception.is_confirmed:
                self._reception.lose()
        self._let_go()
        self._closed.wait(self._backoff.next())

    def _let_go(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            try:
                listener.close()
            except LOST:
                return


class Subscription(Counted):
    """A thread that calls back for each update, until `close`.

    Attributes:
        failures: how often the callback has raised; the log has the reasons, and updates go on.
    """

    def __init__(self, updates: Updates, callback: Callable[[Update], object]) -> None:
        self._updates, self._reception, self._callback = updates, updates._reception, callback
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name="fastfeed-updates", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """False after `close`."""
        return self._thread.is_alive()

    def close(self) -> None:
        """When this returns, the callback is called no more (unless it is the callback that says so: then after this time)."""
        self._updates.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        for update in self._updates:
            try:
                self._callback(update)
            except Exception:
                self.failures += 1
                log.exception("the callback for %s %s has raised", update.symbol, update.interval)
