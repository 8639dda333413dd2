"""Workers of a consumer group: an iterator over messages, or a handler that is called for each. For each kind of client."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import secrets
import socket
import threading
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterator, Optional, Union

from .endpoint import LOST, telling_losses
from .group import GroupWorker, Message
from .steps import run, run_async, wait_closed

log = logging.getLogger("fastfeed")

_RETRY_LONGEST = 30.0


def made_up_name() -> str:
    """Host, process id and four digits that tell workers of one process apart."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def retry_delay(deliveries: int) -> float:
    """Seconds until a message whose handler has raised comes again: 1 s doubling to 30 s."""
    return float(min(2.0 ** (deliveries - 1), _RETRY_LONGEST))


class _Working:
    """What both kinds show of their machine."""

    def __init__(self, machine: GroupWorker, is_named: bool) -> None:
        self._machine, self._is_named = machine, is_named

    @property
    def name(self) -> str:
        """Of this consumer in its group."""
        return self._machine.name

    @property
    def counters(self) -> Dict[str, int]:
        """What has happened so far, by name: see `GroupWorker`."""
        return dict(self._machine.counters)


class Worker(_Working, Iterator[Message]):
    """Messages of `FluxClient.worker`, until `close`. One thread iterates; a second one tells Redis that all in hand is worked on."""

    def __init__(self, redis: Any, machine: GroupWorker, is_named: bool, closed: threading.Event) -> None:
        super().__init__(machine, is_named)
        self._redis, self._client_closed, self._closed = redis, closed, threading.Event()
        #: Held by whoever lets the machine work: what is left at the end is given back once.
        self._turn = threading.RLock()
        self._lease = threading.Thread(target=self._renew, name="fastfeed-lease", daemon=True)
        self._lease.start()

    def __next__(self) -> Message:
        with self._turn:
            while not self._closed.is_set() and not self._client_closed.is_set():
                message = self._machine.take()
                if message is not None:
                    return message
                with telling_losses():
                    run(self._redis, self._machine.turn(), self._closed)
            self._end()
        raise StopIteration

    def run(self, handle: Callable[[Message], object]) -> None:
        """Calls for each message until `close`. What returns is acknowledged; what raises comes again, after 1 s doubling to 30 s."""
        for message in self:
            try:
                handle(message)
            except Exception:
                log.exception("%s of %s: delivery %d has failed", message.id, message.key, message.deliveries)
                message.retry(retry_delay(message.deliveries))
            else:
                message.ack()

    def close(self) -> None:
        """Ends the iteration, within a second where it waits. What nobody has begun with goes to other workers at once."""
        self._closed.set()
        with self._turn:
            self._end()
        if threading.current_thread() is not self._lease:
            self._lease.join()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        """Once more for what was in somebody's hands when the worker was closed."""
        self._closed.set()
        with contextlib.suppress(*LOST):
            run(self._redis, self._machine.stop(self._is_named), self._closed)

    def _renew(self) -> None:
        while not self._closed.wait(self._machine.options.claim_after / 3) and not self._client_closed.is_set():
            with contextlib.suppress(*LOST):
                run(self._redis, self._machine.renew(), self._closed)


class AsyncWorker(_Working, AsyncIterator[Message]):
    """Messages of `AsyncFluxClient.worker`, until `close`. One task iterates."""

    def __init__(self, redis: Any, machine: GroupWorker, is_named: bool, closed: asyncio.Event) -> None:
        super().__init__(machine, is_named)
        self._redis, self._client_closed, self._closed = redis, closed, asyncio.Event()
        self._turn = asyncio.Lock()
        self._lease: Optional[asyncio.Task[None]] = None

    async def __anext__(self) -> Message:
        if self._lease is None:
            self._lease = asyncio.ensure_future(self._renew())
        async with self._turn:
            while not self._closed.is_set() and not self._client_closed.is_set():
                message = self._machine.take()
                if message is not None:
                    return message
                with telling_losses():
                    await run_async(self._redis, self._machine.turn(), self._closed)
            await self._end()
        raise StopAsyncIteration

    async def run(self, handle: Callable[[Message], Union[object, Awaitable[object]]]) -> None:
        """Calls for each message until `close`. What returns is acknowledged; what raises comes again, after 1 s doubling to 30 s."""
        async for message in self:
            try:
                result = handle(message)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("%s of %s: delivery %d has failed", message.id, message.key, message.deliveries)
                message.retry(retry_delay(message.deliveries))
            else:
                message.ack()

    async def close(self) -> None:
        """Ends the iteration, within a second where it waits. What nobody has begun with goes to other workers at once."""
        self._closed.set()
        async with self._turn:
            await self._end()

    async def __aenter__(self) -> AsyncWorker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _end(self) -> None:
        """Once more for what was in somebody's hands when the worker was closed."""
        self._closed.set()
        if self._lease is not None:
            # Not cancelled: a connection that is being made would be left half made.
            await asyncio.wait([self._lease])
        with contextlib.suppress(*LOST):
            await run_async(self._redis, self._machine.stop(self._is_named), self._closed)

    async def _renew(self) -> None:
        while True:
            await wait_closed(self._closed, self._machine.options.claim_after / 3)
            if self._closed.is_set() or self._client_closed.is_set():
                return
            with contextlib.suppress(*LOST):
                await run_async(self._redis, self._machine.renew(), self._closed)
