"""Connections that listen for answers, kept for the next call. Any thread, each listener with one call at a time."""

from __future__ import annotations

import os
import threading
from typing import Any, List

from .contract import Keys
from .endpoint import LOST, Plan, telling_losses
from .errors import DisconnectedError, FluxError, ServiceNotRunningError
from .reception import Conversation
from .request import Answer, Request
from .search import publish_options, seems_to_run, why_nobody_listens
from .steps import run

_IDLE_MAX = 16


class Listeners:
    """Asks and waits for answers."""

    def __init__(self, redis: Any, plan: Plan, closed: threading.Event) -> None:
        self._redis, self._keys, self._timeout, self._closed = redis, plan.keys, plan.timeout, closed
        self._idle: List[Any] = []
        self._lock = threading.Condition()
        self._under_way = 0
        self._pid = os.getpid()

    @property
    def keys(self) -> Keys:
        """Of the service that is asked."""
        return self._keys

    def ask(self, request: Request[Answer]) -> Answer:
        """One request and its answer.

        Raises:
            FluxError: any but BadArgumentError.
        """
        with self._lock:
            if self._closed.is_set():
                raise DisconnectedError("the client is closed")
            self._under_way += 1
        try:
            return self._ask(request)
        finally:
            with self._lock:
                self._under_way -= 1
                self._lock.notify_all()

    def _ask(self, request: Request[Answer]) -> Answer:
        conversation = Conversation(self._keys, request, self._timeout)
        with telling_losses():
            try:
                listener = self._take()
                return request.answer(self._converse(conversation, listener))
            except FluxError:
                raise
            except LOST as lost:
                if self._closed.is_set():
                    raise DisconnectedError("the client is closed") from lost
                if not conversation.may_begin_again(lost):
                    raise
                self._drop()
            return request.answer(self._converse(conversation, self._redis.pubsub()))

    def _converse(self, conversation: Conversation[Answer], listener: Any) -> str:
        try:
            listener.subscribe(conversation.channel)
            while True:
                patience = conversation.patience(self._closed.is_set())
                ask, answer = conversation.take(listener.get_message(timeout=patience))
                if answer is not None:
                    break
                if ask:
                    self._publish(conversation)
        except BaseException:
            _close(listener)
            raise
        self._put_back(listener, conversation.channel)
        return answer

    def _publish(self, conversation: Conversation[Answer]) -> None:
        options = publish_options(self._redis, self._keys)
        heard = self._redis.publish(conversation.command_channel, conversation.request.text, **options)
        conversation.is_published = True
        if heard == 0 and not (bool(options) and run(self._redis, seems_to_run(self._keys), self._closed)):
            raise ServiceNotRunningError(run(self._redis, why_nobody_listens(self._keys), self._closed))

    def _take(self) -> Any:
        with self._lock:
            if self._pid != os.getpid():
                # After a fork they are the parent's.
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return self._redis.pubsub()

    def _put_back(self, listener: Any, channel: str) -> None:
        try:
            listener.unsubscribe(channel)
        except LOST:
            _close(listener)
            return
        with self._lock:
            if len(self._idle) < _IDLE_MAX and not self._closed.is_set():
                self._idle.append(listener)
                return
        _close(listener)

    def end(self) -> None:
        """Waits until the calls that are under way have seen that the client is closed: connections are not closed under them."""
        with self._lock:
            self._lock.wait_for(lambda: self._under_way == 0, self._timeout)
        self._drop()

    def _drop(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for listener in idle:
            _close(listener)


def _close(listener: Any) -> None:
    try:
        listener.close()
    except LOST:
        return
