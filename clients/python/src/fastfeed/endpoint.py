"""Where Redis is, and how connections to it are made, for both kinds of client. Any thread; nothing is sent here.

The connections of this package decode texts (a foreign byte becomes a mark, not an error), speak RESP2 (with TLS RESP3) and try nothing
again by themselves: a retry that nobody sees would lose updates in silence. What the caller names beats all of that.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, Dict, Final, Iterator, List, Optional, Tuple, Type
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from . import discovery
from .contract import Keys
from .errors import BadArgumentError, DisconnectedError, FluxError

#: redis-py tells its name on each connection, which users with few rights may not: each time a line in the log of refusals.
_NAMELESS: Final[Dict[str, Any]] = (
    {"driver_info": None} if "driver_info" in signature(redis.Redis).parameters else {"lib_name": None, "lib_version": None}
)
_SENTINEL_PORT: Final = 26_379
_SENTINEL_SCHEMES: Final = {"redis+sentinel": False, "rediss+sentinel": True}
#: What redis-py raises where Redis cannot be reached, is lost, or refuses us.
LOST: Final[Tuple[Type[BaseException], ...]] = (redis.RedisError, OSError)
#: Of these, what a new connection may mend.
CONNECTION_LOST: Final[Tuple[Type[BaseException], ...]] = (redis.ConnectionError, redis.TimeoutError, OSError)
#: Refusals that pass: a failover, a full memory, a cluster that is being put right.
_PASSING: Final = ("READONLY", "You can't write against a read only", "OOM", "command not allowed when used memory", "MASTERDOWN",
                   "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "LOADING", "BUSY")  # fmt: skip


def passes(error: BaseException, has_worked: bool) -> bool:
    """Whether to wait and try again. A password that was right before may be right again."""
    if isinstance(error, redis.AuthenticationError):
        return has_worked
    return isinstance(error, CONNECTION_LOST) or str(error).startswith(_PASSING)


@contextmanager
def telling_losses() -> Iterator[None]:
    """What redis-py raises becomes a `DisconnectedError`; our own errors, of which some are OS errors, too, stay."""
    try:
        yield
    except FluxError:
        raise
    except LOST as error:
        raise DisconnectedError(str(error) or type(error).__name__) from error


@dataclass(frozen=True)
class Endpoint:
    """A place, as redis-py takes it: options, or a URL with options."""

    options: Dict[str, Any]
    url: Optional[str] = None

    def sync(self, timeout: float) -> Any:
        """A client of redis-py. Seconds."""
        options = {**self._defaults(timeout), "retry": Retry(NoBackoff(), 0), **self.options}
        if self.url is None:
            return redis.Redis(**options)
        if (found := _sentinels(self.url, options)) is not None:
            hosts, name, of_primary, of_sentinel = found
            sentinels: Any = Sentinel
            return sentinels(hosts, sentinel_kwargs=of_sentinel, **of_primary).master_for(name)
        return redis.Redis.from_url(self.url, **options)

    def _defaults(self, timeout: float) -> Dict[str, Any]:
        # With TLS the server sends tickets after the handshake. redis-py takes them for an answer that nobody wanted, and the connection
        # for broken, unless a first exchange has read them: RESP3 begins with one (HELLO, which every user may).
        is_tls = bool(self.options.get("ssl")) or (self.url or "").startswith("rediss")
        return {
            "decode_responses": True,
            "encoding_errors": "replace",
            "protocol": 3 if is_tls else 2,
            **_NAMELESS,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
        }

    def asynchronous(self, timeout: float) -> Any:
        """A client of redis.asyncio. Seconds."""
        options = {**self._defaults(timeout), "retry": AsyncRetry(NoBackoff(), 0), **self.options}
        if self.url is None:
            return redis.asyncio.Redis(**options)
        if (found := _sentinels(self.url, options)) is not None:
            hosts, name, of_primary, of_sentinel = found
            sentinels: Any = AsyncSentinel
            return sentinels(hosts, sentinel_kwargs=of_sentinel, **of_primary).master_for(name)
        return redis.asyncio.Redis.from_url(self.url, **options)


def _sentinels(url: str, options: Dict[str, Any]) -> Optional[Tuple[List[Tuple[str, int]], str, Dict[str, Any], Dict[str, Any]]]:
    """`redis+sentinel://[user[:password]@]host[:port],host/NAME[/db]`, as feedd takes it; None for another scheme."""
    parts = urlsplit(url)
    if parts.scheme not in _SENTINEL_SCHEMES:
        return None
    credentials, _, hosts = parts.netloc.rpartition("@")
    path = parts.path.strip("/").split("/")
    if not hosts or not path[0] or len(path) > 2 or not all(number.isdigit() for number in path[1:]):
        raise BadArgumentError("Sentinels are named as redis+sentinel://host,host,host/NAME/db")
    options = dict(options)
    of_sentinel: Dict[str, Any] = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry") if name in options}
    for name in ("username", "password"):
        if (value := options.pop(f"sentinel_{name}", None)) is not None:
            of_sentinel[name] = value
    user, _, password = credentials.partition(":")
    options.update({name: unquote(value) for name, value in (("username", user), ("password", password)) if value})
    if len(path) == 2:
        options["db"] = int(path[1])
    if _SENTINEL_SCHEMES[parts.scheme]:
        options["ssl"] = True
        of_sentinel.update({name: value for name, value in options.items() if name.startswith("ssl")})
    places = []
    for host in hosts.split(","):
        name, colon, port = host.rpartition(":")
        if colon and not port.isdigit():
            raise BadArgumentError(f"'{host}' is not a host with a port")
        places.append((name, int(port)) if colon else (port, _SENTINEL_PORT))
    return places, path[0], options, of_sentinel


@dataclass(frozen=True)
class Plan:
    """What a client is told: where, which service, how long.

    Attributes:
        endpoint: None where the caller brings a client of redis-py.
        timeout: of every call, seconds.
    """

    endpoint: Optional[Endpoint]
    keys: Keys
    timeout: float

    @property
    def block_ms_most(self) -> int:
        """So long a read may wait in Redis, ms: the connection takes a longer silence than `timeout` for a loss."""
        return int(self.timeout * 500)

    @classmethod
    def make(cls, endpoint: Optional[Endpoint], key_prefix: Optional[str], market: Optional[str], timeout: float) -> Plan:
        """Checked.

        Raises:
            BadArgumentError: one of them is wrong.
        """
        if not 0.1 <= timeout <= 3_600:
            raise BadArgumentError(f"the time-out must be 0.1 to 3600 seconds, not {timeout}")
        return cls(endpoint, Keys(key_prefix or "", market or "spot"), timeout)

    @classmethod
    def of_options(
        cls, host: Optional[str], port: Optional[int], options: Dict[str, Any], key_prefix: Optional[str], market: Optional[str],
        timeout: float,
    ) -> Plan:  # fmt: skip
        """With no place named: your running `feedd demo` or `feedd run --redis embedded`, else 127.0.0.1:6379.

        Raises:
            BadArgumentError: several are running.
        """
        if host is None and port is None and "unix_socket_path" not in options:
            running = discovery.running()
            if running is not None:
                endpoint = Endpoint(options, running.redis)
                prefix = running.key_prefix if key_prefix is None else key_prefix
                return cls.make(endpoint, prefix, running.market if market is None else market, timeout)
        place = {} if "unix_socket_path" in options else {"host": host or "127.0.0.1", "port": port or 6_379}
        return cls.make(Endpoint({**options, **place}), key_prefix, market, timeout)
