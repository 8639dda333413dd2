"""`python -m fastfeed`: answers, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Tuple

import pytest

from fastfeed.__main__ import main
from rig import World, eventually

Run = Callable[..., Tuple[int, str, str]]


@pytest.fixture
def fastfeed(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command: exit code, what it printed, what it complained of."""

    def run(*arguments: str, **environment: str) -> Tuple[int, str, str]:
        for name, value in {"FEEDD_REDIS": world.redis.url, **environment}.items():
            monkeypatch.setenv(name, value)
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        return (code, *capsys.readouterr())

    return run


def test_commands_in_their_order(fastfeed: Run) -> None:
    assert fastfeed("create", "btcusdt,ethusdt", "15m", "--name", "cli", "--history", "5")[:2] == (0, "created cli\n")
    assert fastfeed("create", "btcusdt,ethusdt", "15m", "--name", "cli", "--history", "5")[:2] == (0, "cli was there already\n")
    code, out, _ = fastfeed("list")
    assert code == 0
    assert "cli" in out
    assert "btcusdt, ethusdt" in out
    assert "cli" in [flux["flux_id"] for flux in json.loads(fastfeed("list", "--json")[1])["fluxes"]]
    code, out, _ = fastfeed("status")
    assert (code, "messages_total" in out) == (0, True)
    assert json.loads(fastfeed("status", "cli", "--json")[1])["flux_id"] == "cli"
    assert fastfeed("stop", "cli")[:2] == (0, "stopped cli\n")
    code, out, error = fastfeed("stop", "cli")
    assert (code, out, error) == (1, "", "fastfeed: no flux 'cli'\n")
    code, out, _ = fastfeed("data", "btcusdt", "1m", "3")
    assert (code, len(out.splitlines())) == (0, 5)
    assert len(json.loads(fastfeed("data", "btcusdt", "1m", "3", "--json")[1])["rows"]) == 3
    code, out, _ = fastfeed("watch", "btcusdt", "1s", "--count", "2", "--json")
    assert (code, [json.loads(line)["symbol"] for line in out.splitlines()]) == (0, ["btcusdt"] * 2)
    code, out, _ = fastfeed("watch", "btcusdt", "1s", "--count", "1")
    assert "btcusdt 1s" in out
    code, out, _ = fastfeed("monitor", "--count", "2", "--every", "0.1")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "live" in out


@pytest.mark.parametrize(
    ("code", "arguments", "environment"),
    [
        (2, ["nothing"], {}),
        (2, ["data", "btcusdt", "7m"], {}),
        (2, ["list", "--timeout", "x"], {}),
        (2, ["list"], {"FEEDD_REDIS": "http://x"}),
        (2, ["list", "--redis-password-file", "/nowhere"], {}),
        (1, ["create", "nosuchusdt", "1m"], {}),
        (3, ["list"], {"FEEDD_REDIS": "redis://127.0.0.1:1"}),
        (3, ["list", "--key-prefix", "other:"], {}),
    ],
)
def test_exit_codes(fastfeed: Run, code: int, arguments: Any, environment: Any) -> None:
    found, out, error = fastfeed(*arguments, **environment)
    assert (found, out) == (code, "")
    assert error
    assert "Traceback" not in error


def test_a_user_from_a_file(fastfeed: Run, world: World, tmp_path: Path) -> None:
    world.redis.client().acl_setuser("cli", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"], channels=["*"])
    file = tmp_path / "password"
    file.write_text("secret\n")
    assert fastfeed("list", "--redis-user", "cli", "--redis-password-file", str(file))[0] == 0
    file.write_text("wrong\n")
    assert fastfeed("list", "--redis-user", "cli", "--redis-password-file", str(file))[0] == 3


def test_ctrl_c_and_a_closed_pipe(world: World) -> None:
    environment = {**os.environ, "FEEDD_REDIS": world.redis.url}
    command = [sys.executable, "-m", "fastfeed", "watch", "btcusdt", "1s"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert "btcusdt" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        eventually(lambda: child.poll() is not None)
        assert (child.returncode, child.stderr.read()) == (0, "")
