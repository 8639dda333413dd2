"""Work on Redis without its I/O: a generator yields what it wants (`Call`, `Pause`) and gets what came of it. Pure, any thread.

So each algorithm is written once, for both kinds of client, and a test can answer in Redis's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from dataclasses import dataclass, field
from typing import Any, Awaitable, Callable, Dict, Final, Generator, Tuple, TypeVar, Union

Result = TypeVar("Result")


@dataclass(frozen=True)
class Call:
    """A method of redis-py's client."""

    name: str
    arguments: Tuple[Any, ...] = ()
    options: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pause:
    """Wait for so long, or until the client is closed. Seconds."""

    seconds: float


Step = Union[Call, Pause]
Steps = Generator[Step, Any, Result]


def call(name: str, *arguments: Any, **options: Any) -> Steps[Any]:
    """One call and its reply."""
    return (yield Call(name, arguments, options))


def run(client: Any, steps: Steps[Result], closed: threading.Event) -> Result:
    """Carries the steps out on redis-py's client."""
    reply: Any = None
    failure: Union[Exception, None] = None
    # Interrupted in a call, the steps end at once, and not when somebody forgets the traceback.
    with contextlib.closing(steps):
        while True:
            try:
                step = steps.throw(failure) if failure is not None else steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply, failure = None, None
            try:
                if isinstance(step, Pause):
                    closed.wait(step.seconds)
                else:
                    reply = getattr(client, step.name)(*step.arguments, **step.options)
            except Exception as error:
                failure = error


async def run_async(client: Any, steps: Steps[Result], closed: asyncio.Event) -> Result:
    """The same on redis.asyncio's client."""
    reply: Any = None
    failure: Union[Exception, None] = None
    with contextlib.closing(steps):
        while True:
            try:
                step = steps.throw(failure) if failure is not None else steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply, failure = None, None
            try:
                if isinstance(step, Pause):
                    await wait_closed(closed, step.seconds)
                else:
                    reply = await heeding(getattr(client, step.name), *step.arguments, **step.options)
            except Exception as error:
                failure = error


async def heeding(work: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
    """What it returns; a cancellation that comes meanwhile, or was asked for while this task computed, is not lost in it.

    Before Python 3.12 `asyncio.wait_for`, with which redis-py sends, forgets one that comes when it is as good as done. Python 3.11 tells
    that there was one; before that the chance is only made small.
    """
    before = _cancellations()
    await asyncio.sleep(0)
    try:
        return await work(*arguments, **options)
    finally:
        if _cancellations() > before:
            raise asyncio.CancelledError


def _cancellations() -> int:
    """How often this task was cancelled so far, as far as this Python tells."""
    count: Any = getattr(asyncio.current_task(), "cancelling", None)
    return 0 if count is None else int(count())


async def wait_closed(closed: asyncio.Event, seconds: float) -> None:
    """Waits for so long, or until the event."""
    try:
        await heeding(_wait_for, closed, seconds)
    except asyncio.TimeoutError:
        return


async def _wait_for(closed: asyncio.Event, seconds: float) -> None:
    await asyncio.wait_for(closed.wait(), seconds)


class Backoff:
    """How long to wait after one loss, and the next: 0.1 s doubling to 5 s, spread so that many clients do not come at once."""

    FIRST: Final = 0.1
    LONGEST: Final = 5.0

    def __init__(self) -> None:
        self._next = Backoff.FIRST

    def reset(self) -> None:
        """All is well."""
        self._next = Backoff.FIRST

    def next(self) -> float:
        """Seconds."""
        seconds = self._next
        self._next = min(seconds * 2, Backoff.LONGEST)
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311
