"""Starting the daemon to be measured, and reading what it says and costs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

LAB = Path(__file__).parents[1] / "tests" / "lab"


class Measured:
    """A running daemon: its metrics, CPU seconds and resident megabytes."""

    def __init__(self, process: subprocess.Popen[str], url: str, first_result: float) -> None:
        self.url = url
        self.first_result = first_result
        self._process = psutil.Process(process.pid)

    def metrics(self) -> dict[str, float]:
        values: dict[str, float] = {}
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:  # noqa: S310 - loopback
            for line in answer.read().decode().splitlines():
                if line and not line.startswith("#"):
                    series, _, value = line.rpartition(" ")
                    values[series] = float(value)
        return values

    def total(self, name: str) -> float:
        return sum(value for series, value in self.metrics().items() if series.startswith(name + "{"))

    @property
    def cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def megabytes(self) -> float:
        return float(self._process.memory_info().rss) / 2**20


@contextmanager
def daemon(configuration: str, **environ: str) -> Iterator[Measured]:
    """Run it on `configuration` until the block ends. `first_result` is in seconds from the start."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "floe-monitor.yaml"
        config.write_text(configuration)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLOE_MONITOR_", "OTEL_"))}
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "floe_monitor", "run", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**clean, "PYTHONPATH": str(LAB), "FLOE_MONITOR_HTTP__PORT": "0", **environ},
        )
        try:
            url = _announced(process)
            _first_result(url)
            yield Measured(process, url, time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait(20)


def _announced(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        for word in line.split():
            if word.startswith("http://"):
                # Nobody reads on: the daemon drops log lines rather than wait, which is part of the measure.
                return "/".join(word.split("/")[:3])
    raise SystemExit("the daemon to be measured did not start")


def _first_result(url: str) -> None:
    for _ in range(1000):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:  # noqa: S310 - loopback
                page = answer.read().decode()
            if any(
                line.startswith("floe_compute_target_up{") and line.endswith((" 1", " 1.0"))
                for line in page.splitlines()
            ):
                return
        time.sleep(0.01)
    raise SystemExit("the daemon to be measured gave no result")
