from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
LAB = REPOSITORY / "tests" / "lab"


@dataclass
class Daemon:
    """A whole `floe-monitor run`, in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    config: Path

    def get(self, path: str, *, timeout: float = 30, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(self, path: str, *, timeout: float = 60) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, method="POST")  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - loopback
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def metrics(self) -> dict[str, float]:
        """Series to value: `name{labels}` as written on the page."""
        values = {}
        for line in self.get("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                values[series] = float(value)
        return values

    def metric(self, name: str, **labels: str) -> float | None:
        for series, value in self.metrics().items():
            if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                return value
        return None

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> Any:
        give_up = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if value := condition():
                    return value
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the daemon ended with {self.process.returncode}:\n{self.log.read_text()}"
                )
            if time.monotonic() > give_up:
                raise AssertionError(f"it did not happen in {seconds} s; the log:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
            raise AssertionError(
                f"still running {timeout} s after the signal:\n{self.log.read_text()}"
            ) from None


@pytest.fixture
def start_daemon(tmp_path: Path, starts_processes: None) -> Iterator[Callable[..., Daemon]]:
    """`start_daemon(yaml_text)` starts one on a free port in `tmp_path`, with the lab plugin installed."""
    started: list[Daemon] = []

    def start(text: str, **environ: str) -> Daemon:
        config = tmp_path / "floe-monitor.yaml"
        config.write_text(text)
        log = tmp_path / f"daemon-{len(started)}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "floe_monitor", "run", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=tmp_path,
                env={
                    **{k: v for k, v in os.environ.items() if not k.startswith(("FLOE_MONITOR_", "OTEL_"))},
                    "PYTHONPATH": str(LAB),
                    "FLOE_MONITOR_HTTP__PORT": "0",
                    "FLOE_MONITOR_LOG__FORMAT": "json",
                    **environ,
                },
            )
        daemon = Daemon(process, "", log, config)
        started.append(daemon)
        daemon.url = daemon.until(lambda: _address(log.read_text()))
        return daemon

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait(60)


def _address(text: str) -> str | None:
    for word in text.split():
        if word.startswith("http://"):
            return "/".join(word.split("/")[:3])
    return None
