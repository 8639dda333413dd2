"""What calls raise. Each is a `FluxError`; nothing of redis-py gets out. Plain values, any thread."""

from __future__ import annotations


class FluxError(Exception):
    """The base of all that this package raises."""


class ServiceNotRunningError(FluxError):
    """Redis is there, but no service listens on it (with this market and key prefix). The text says what was found instead."""


class FluxTimeoutError(FluxError, TimeoutError):
    """The request was delivered and no answer came in time. What it asked for may have happened, or happen yet."""


class RefusedError(FluxError):
    """The service said no.

    Attributes:
        code: the service's word, as `unknown_flux`; a newer service may use words that are not documented here.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DisconnectedError(FluxError, ConnectionError):
    """Redis cannot be reached, was lost in the middle of a call, or refuses us. After a loss the request may have been carried out."""


class BadAnswerError(FluxError):
    """What came is not what the protocol says."""


class BadArgumentError(FluxError, ValueError):
    """Refused before anything was sent."""
