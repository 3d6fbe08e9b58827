"""A whole `floe-monitor run` in a process of its own, seen from outside."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.goldens.transcripts import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 45.0
"""Seconds until the daemon must have answered; on an idle machine it takes one."""


@dataclass(frozen=True)
class Daemon:
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """The exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def said(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        return str(self.until(lambda: re.search(r"http://127\.0\.0\.1:\d+", self.said()))[0])

    def until(self, condition: Callable[[], Any]) -> Any:
        """The first true value of `condition`; a connection that fails meanwhile counts as not yet."""
        give_up = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                if value := condition():
                    return value
            assert self.process.poll() is None, f"the daemon ended:\n{self.said()}"
            assert time.monotonic() < give_up, f"it did not happen in {PATIENCE:g} s:\n{self.said()}"
            time.sleep(0.02)

    def settle(self, targets: int) -> None:
        """Until every target has been probed once, every profile looked at, and all of it counted."""
        url = self.url
        self.until(lambda: _get(f"{url}/readyz"))
        counted = re.compile(r"^floe_compute_validation_duration_seconds_count\{.*\} (\d+)", re.MULTILINE)

        def done(page: str) -> bool:
            busy = re.search(r"^floe_monitor_workers_busy\{.*\} [^0]", page, re.MULTILINE)
            return not busy and sum(map(float, counted.findall(page))) == targets

        self.until(lambda: done(_get(f"{url}/metrics")))


@contextlib.contextmanager
def running(path: Path, config: str, **environ: str) -> Iterator[Daemon]:
    """The daemon on a configuration in `path`, ended with the block."""
    log = path / "daemon.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "floe_monitor", "run", "--config", config],
            cwd=path,
            env={**environment(path), **environ},
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    try:
        yield Daemon(process, log)
    finally:
        process.kill()
        process.wait(PATIENCE)


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
    return body.decode()
