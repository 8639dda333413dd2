"""The README's examples as they stand, against a running demo; and the chart."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from fastfeed import discovery
from rig import FEEDD, Process, eventually

HERE = Path(__file__).resolve().parents[1]
EXAMPLES: List[str] = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def demo() -> Iterator[Dict[str, str]]:
    """A demo that only these tests find, and the environment in which they do."""
    with tempfile.TemporaryDirectory(prefix="fastfeed-") as folder:
        os.chmod(folder, 0o700)
        environment = {"XDG_RUNTIME_DIR": folder}
        process = Process(Path(folder), "demo", FEEDD, "demo", "--plain", "--symbols", "3", **environment)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", folder)
            eventually(lambda: process.child.poll() is None and discovery.services())
        yield environment
        process.end(signal.SIGINT)


#: What shows that an example works, and how often.
SHOWS = [("█", 3), ("no", 1), ("btcusdt", 1), ("candle", 50), ("btcusdt", 20)]


def test_there_are_five_examples() -> None:
    assert len(EXAMPLES) == len(SHOWS)


@pytest.mark.parametrize("number", range(len(SHOWS)))
def test_an_example_runs_as_it_stands(demo: Dict[str, str], tmp_path: Path, number: int) -> None:
    text, (word, times) = EXAMPLES[number], SHOWS[number]
    assert len(text.splitlines()) <= 25
    if "to_pandas" in text:
        pytest.importorskip("pandas")
    (tmp_path / "example.py").write_text(text)
    environment = {**os.environ, **demo, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    with open(tmp_path / "said", "wb") as said:
        child = subprocess.Popen([sys.executable, "example.py"], cwd=tmp_path, env=environment, stdout=said, stderr=subprocess.STDOUT)
        try:
            # Those without an end are ended when they have shown what they do.
            eventually(lambda: child.poll() is not None or (tmp_path / "said").read_text(errors="replace").count(word) >= times + 200)
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            child.wait(15)
    output = (tmp_path / "said").read_text(errors="replace")
    assert output.count(word) >= times, output
    assert child.returncode == 0 or "KeyboardInterrupt" in output, output
    assert not re.search(r"^\w*(Error|Exception)\b", output, re.MULTILINE), output


def test_the_chart_is_drawn(demo: Dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    environment = {**os.environ, **demo, "MPLBACKEND": "Agg"}
    command = [sys.executable, str(HERE / "examples/chart.py"), "btcusdt", "1m", "--save", "chart.png"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
