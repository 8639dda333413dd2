"""Where a running `feedd demo` or `feedd run --redis embedded` of the same user has its Redis. Reads small files; any thread.

Each process tells it in a file of its own, named by its id, five lines: process id, that process's start, Redis URL, key prefix,
market. What is somebody else's or open to others, and the file of a process that is gone, is as good as none.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from typing import Final, List, Optional

from .contract import MARKETS
from .errors import BadArgumentError

_BYTES_MAX: Final = 4_096


@dataclass(frozen=True)
class Service:
    """A process that has told where its Redis is."""

    pid: int
    redis: str
    key_prefix: str
    market: str


def running() -> Optional[Service]:
    """The one that runs; None without one.

    Raises:
        BadArgumentError: there are several; the text names them.
    """
    found = services()
    if len(found) > 1:
        places = "; ".join(f"{service.redis} (pid {service.pid})" for service in found)
        raise BadArgumentError(f"several services run here: {places}. Name one: FluxClient.from_url(…), --redis URL")
    return found[0] if found else None


def services() -> List[Service]:
    """All that still run, by process id."""
    # Elsewhere there is neither /proc nor a feedd.
    if not sys.platform.startswith("linux"):
        return []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = f"{runtime}/feedd" if runtime.startswith("/") else f"/tmp/feedd-{os.geteuid()}"  # noqa: S108
    try:
        if not _is_ours(os.lstat(folder), stat.S_ISDIR):
            return []
        pids = sorted(int(name) for name in os.listdir(folder) if name.isascii() and name.isdigit())
    except OSError:
        return []
    return [service for pid in pids if (service := _service(pid, f"{folder}/{pid}"))]


def _service(pid: int, path: str) -> Optional[Service]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not _is_ours(os.fstat(file.fileno()), stat.S_ISREG):
                return None
            lines = file.read(_BYTES_MAX).decode().split("\n")
        if len(lines) != 6 or lines[0] != str(pid) or lines[1] != _start(pid) or lines[4] not in MARKETS:
            return None
    except (OSError, ValueError):
        return None
    return Service(pid, lines[2], lines[3], lines[4])


def _is_ours(facts: os.stat_result, is_kind: object) -> bool:
    assert callable(is_kind)  # noqa: S101
    return bool(is_kind(facts.st_mode)) and facts.st_uid == os.geteuid() and facts.st_mode & 0o077 == 0


def _start(pid: int) -> str:
    """Clock ticks since boot when a process began: tells it from a later one with the same number."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        # The second field is the program's name, which may contain anything.
        fields = file.read().rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] == "Z":
        raise ValueError("it has ended")
    return fields[19]
