"""Requests and updates with asyncio: as `listeners` and `updates` have them. One event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from typing import Any, AsyncIterator, Callable, List, Optional

from .answers import Update
from .endpoint import LOST, Plan, telling_losses
from .errors import DisconnectedError, FluxError, ServiceNotRunningError
from .reception import SLICE, Conversation, Counted, Reception, Silence
from .request import Answer, Request
from .search import publish_options, seems_to_run, why_nobody_listens
from .steps import Backoff, heeding, run_async, wait_closed

log = logging.getLogger("fastfeed")

_IDLE_MAX = 16


class AsyncListeners:
    """Asks and waits for answers; connections that listen are kept for the next call."""

    def __init__(self, redis: Any, plan: Plan, closed: asyncio.Event) -> None:
        self._redis, self._keys, self._timeout, self._closed = redis, plan.keys, plan.timeout, closed
        self._idle: List[Any] = []
        self._under_way = 0
        self._is_idle = asyncio.Event()

    async def ask(self, request: Request[Answer]) -> Answer:
        """One request and its answer.

        Raises:
            FluxError: any but BadArgumentError.
        """
        if self._closed.is_set():
            raise DisconnectedError("the client is closed")
        self._under_way += 1
        try:
            return await self._ask(request)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._is_idle.set()

    async def _ask(self, request: Request[Answer]) -> Answer:
        conversation = Conversation(self._keys, request, self._timeout)
        with telling_losses():
            try:
                listener = self._idle.pop() if self._idle else self._redis.pubsub()
                return request.answer(await self._converse(conversation, listener))
            except FluxError:
                raise
            except LOST as lost:
                if self._closed.is_set():
                    raise DisconnectedError("the client is closed") from lost
                if not conversation.may_begin_again(lost):
                    raise
                await self._drop()
            return request.answer(await self._converse(conversation, self._redis.pubsub()))

    async def _converse(self, conversation: Conversation[Answer], listener: Any) -> str:
        try:
            await heeding(listener.subscribe, conversation.channel)
            while True:
                patience = conversation.patience(self._closed.is_set())
                ask, answer = conversation.take(await listener.get_message(timeout=patience))
                if answer is not None:
                    break
                if ask:
                    await self._publish(conversation)
        except BaseException:
            await close_quietly(listener)
            raise
        await self._put_back(listener, conversation.channel)
        return answer

    async def _publish(self, conversation: Conversation[Answer]) -> None:
        options = publish_options(self._redis, self._keys)
        heard = await heeding(self._redis.publish, conversation.command_channel, conversation.request.text, **options)
        conversation.is_published = True
        if heard == 0 and not (bool(options) and await run_async(self._redis, seems_to_run(self._keys), self._closed)):
            raise ServiceNotRunningError(await run_async(self._redis, why_nobody_listens(self._keys), self._closed))

    async def _put_back(self, listener: Any, channel: str) -> None:
        try:
            await heeding(listener.unsubscribe, channel)
        except LOST:
            await close_quietly(listener)
            return
        except BaseException:
            await close_quietly(listener)
            raise
        if len(self._idle) < _IDLE_MAX and not self._closed.is_set():
            self._idle.append(listener)
        else:
            await close_quietly(listener)

    async def end(self) -> None:
        """Waits until the calls that are under way have seen that the client is closed: connections are not closed under them."""
        self._is_idle.clear()
        if self._under_way:
            await wait_closed(self._is_idle, self._timeout)
        await self._drop()

    async def _drop(self) -> None:
        idle, self._idle = self._idle, []
        for listener in idle:
            await close_quietly(listener)


class AsyncUpdates(Counted, AsyncIterator[Update]):
    """Updates as they come, until `close`. One task at a time. Counts as `Updates` does.

    Cancelling a task that waits for the next one, as `asyncio.wait_for` does, costs the connection: it counts as an interruption.
    """

    def __init__(self, redis: Any, reception: Reception, timeout: float) -> None:
        self._redis, self._reception, self._timeout = redis, reception, timeout
        self._closed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._listener: Any = None
        self._silence = Silence(timeout)
        self._backoff = Backoff()

    async def confirm(self) -> None:
        """Waits until Redis has confirmed.

        Raises:
            DisconnectedError: it has not.
        """
        deadline = time.monotonic() + self._timeout
        with telling_losses():
            try:
                await self._listen()
                while not self._reception.is_confirmed:
                    if time.monotonic() >= deadline:
                        raise DisconnectedError(f"Redis did not confirm within {self._timeout:g} s")
                    reply = await self._listener.parse_response(block=False, timeout=SLICE)
                    if reply:
                        self._reception.take(reply)
            except BaseException:
                await self.close()
                raise

    async def __anext__(self) -> Update:
        async with self._turn:
            while not self._closed.is_set():
                update = await self._next()
                if update is not None:
                    return update
            await self._let_go()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Ends the iteration, within a quarter of a second where it waits."""
        self._closed.set()
        async with self._turn:
            await self._let_go()

    async def __aenter__(self) -> AsyncUpdates:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _next(self) -> Optional[Update]:
        try:
            # A cancellation that was asked for while this task computed comes here.
            await asyncio.sleep(0)
            if self._listener is None:
                await self._listen()
            reply = await self._listener.parse_response(block=False, timeout=SLICE)
            if reply:
                self._silence.reset()
                self._backoff.reset()
                return self._reception.take(reply)
            if self._silence.asks():
                await heeding(self._listener.ping)
        except LOST as error:
            await self._lose(error)
        except asyncio.CancelledError:
            # A reply may be half read: the connection is of no use any more.
            self._reception.lose()
            await self._let_go()
            raise
        return None

    async def _listen(self) -> None:
        self._listener = self._redis.pubsub()
        await heeding(self._listener.subscribe, *self._reception.series)
        self._silence.reset()

    async def _lose(self, error: BaseException) -> None:
        if self._listener is not None:
            log.info("updates are interrupted: %s", error)
            if self._reception.is_confirmed:
                self._reception.lose()
        await self._let_go()
        await wait_closed(self._closed, self._backoff.next())

    async def _let_go(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await close_quietly(listener)


class AsyncSubscription:
    """A task that calls back for each update, until `close`; a callback may be a coroutine function.

    Attributes:
        updates: what it listens to, with its counts.
        failures: how often the callback has raised; the log has the reasons, and updates go on.
    """

    def __init__(self, updates: AsyncUpdates, callback: Callable[[Update], object]) -> None:
        self.updates, self._callback = updates, callback
        self.failures = 0
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """When this returns, the callback is called no more."""
        await self.updates.close()
        if asyncio.current_task() is not self._task:
            await self._task

    async def _run(self) -> None:
        async for update in self.updates:
            try:
                result = self._callback(update)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                self.failures += 1
                log.exception("the callback for %s %s has raised", update.symbol, update.interval)


async def close_quietly(listener: Any) -> None:
    """Closes a connection that listens, or is lost already."""
    try:
        # redis-py 5.0.1 and newer name it so.
        await listener.aclose()
    except LOST:
        return
