"""What tests run against: a redis-server, a local exchange and feedd, each a process that is ended by its id. All on this machine."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, List, Optional, TypeVar

import redis

from fastfeed import FluxError

Found = TypeVar("Found")
REPOSITORY = Path(__file__).resolve().parents[3]
FEEDD = os.environ.get("FEEDD", str(REPOSITORY / ".build/release/feedd"))


def eventually(look: Callable[[], Optional[Found]], seconds: float = 20.0, what: str = "") -> Found:
    """What a look has found, once it has found something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what or look}")
        time.sleep(0.02)


def patiently(look: Callable[[], Optional[Found]], seconds: float = 20.0) -> Found:
    """The same, where calls may fail until a service is back."""

    def try_it() -> Optional[Found]:
        try:
            return look()
        except FluxError:
            return None

    return eventually(try_it, seconds)


def free_port() -> int:
    """Free, as is the one 10,000 above, the bus of a cluster's node. No outgoing connection takes it: those have ports from 32,768 on."""
    for port in random.sample(range(10_000, 20_000), 10_000):
        try:
            for taken in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", taken))
        except OSError:
            continue
        return port
    raise AssertionError("no free port")


class Process:
    """A process of ours, with what it says."""

    def __init__(self, folder: Path, name: str, *command: str, **environment: str) -> None:
        self.log = folder / f"{name}.log"
        self.started_at = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **environment})

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        def look() -> Optional[str]:
            assert self.child.poll() is None, self.log.read_text()
            found = [line for line in self.log.read_bytes()[self.started_at :].decode(errors="replace").splitlines() if text in line]
            return found[0] if found else None

        return eventually(look, seconds, f"{text!r} in {self.log}")

    def send(self, number: int) -> None:
        self.child.send_signal(number)
        if number == signal.SIGSTOP:
            facts = Path(f"/proc/{self.child.pid}/stat")
            eventually(lambda: facts.read_text().rpartition(")")[2].split()[0] == "T")

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(number)
            self.child.wait(20)


class RedisServer:
    """A redis-server with a socket and a port, that can be killed and started anew with what it has stored."""

    def __init__(self, folder: Path, *options: str, name: str = "redis", port: Optional[int] = None) -> None:
        self.folder, self.options, self.name = folder, options, name
        self.socket = str(folder / f"{name}.sock")
        self.port = free_port() if port is None else port
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        command = ("redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket, "--save", "",
                   "--dir", str(self.folder), *self.options)  # fmt: skip
        self.process = Process(self.folder, self.name, *command)
        # Other servers say other things: whether it answers is what counts.
        eventually(self.answers, what=f"{self.name} answers")

    def answers(self) -> bool:
        assert self.process.child.poll() is None, self.process.log.read_text()
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self.socket)
                probe.sendall(b"PING\r\n")
                return not probe.recv(64).startswith(b"-LOADING")
        except OSError:
            return False

    def kill(self) -> None:
        self.process.end(signal.SIGKILL)

    def end(self) -> None:
        self.process.end()

    def client(self, **options: Any) -> Any:
        return redis.Redis(unix_socket_path=self.socket, decode_responses=True, **options)


class Cluster:
    """A Redis Cluster of three primaries, each with a third of the slots."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [RedisServer(folder, "--cluster-enabled", "yes", "--cluster-config-file", f"{name}.conf", name=name) for name in "abc"]
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        clients = [node.client() for node in self.nodes]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
            client.execute_command("CLUSTER ADDSLOTS", *range(number * 16_384 // 3, (number + 1) * 16_384 // 3))
        eventually(lambda: all(self._stands(client) for client in clients), what="a cluster")
        for client in clients:
            client.close()

    @staticmethod
    def _stands(client: Any) -> bool:
        facts = client.execute_command("CLUSTER INFO")
        if not isinstance(facts, dict):
            facts = dict(line.split(":", 1) for line in str(facts).split("\r\n") if ":" in line)
        return facts["cluster_state"] == "ok" and int(facts["cluster_known_nodes"]) == 3

    def end(self) -> None:
        for node in self.nodes:
            node.end()

    def client(self, place: int = 0) -> Any:
        """Of redis-py, told of one node."""
        return redis.RedisCluster(host="127.0.0.1", port=self.nodes[place].port, decode_responses=True)


class Losing:
    """Redis is lost at the n-th call of a command."""

    def __init__(self, redis: Any, command: str, number: int) -> None:
        self.redis, self.command, self.left = redis, command, number

    def __getattr__(self, name: str) -> Any:
        if name == self.command:
            self.left -= 1
            if self.left == 0:
                raise OSError("lost")
        return getattr(self.redis, name)


class World:
    """An exchange, a Redis and a service. The exchange's time runs faster than ours."""

    def __init__(
        self, *redis_options: str, speed: float = 12, symbols: int = 6, simulate: Any = (), run: Any = (), server: Any = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fastfeed-"))
        self.processes: List[Process] = []
        self.redis: Any = server or RedisServer(self.folder, *redis_options)
        self.run_options = run
        try:
            self.exchange = self._start(
                "exchange", "simulate", "--port", "0", "--symbols", str(symbols), "--illiquid-every", "0", "--status-seconds", "0",
                "--speed", str(speed), *simulate,
            )  # fmt: skip
            self.exchange.wait_for("ws://")
            said = self.exchange.log.read_text()
            self.websocket, self.rest = (next(word for word in said.split() if word.startswith(kind)) for kind in ("ws://", "http://"))
            self.start_service()
        except BaseException:
            self.close()
            raise

    def start_service(self) -> None:
        self.service = self.start_service_at(self.redis, "feedd")

    def start_service_at(self, server: Any, name: str) -> Process:
        service = self._start(
            name, "run", "--venue-ws", self.websocket, "--venue-rest", self.rest, "--redis", server.url, "--ops", "off", "--threading",
            "shared", *self.run_options,
        )  # fmt: skip
        probe = server.client()
        eventually(lambda: probe.keys("*status:*service"), what="a service")
        probe.close()
        return service

    def _start(self, name: str, *arguments: str) -> Process:
        process = Process(self.folder, name, FEEDD, *arguments)
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in [*reversed(self.processes), self.redis]:
            process.end()
        shutil.rmtree(self.folder, ignore_errors=True)
