"""Real daemons, killed and started again at the same address, and the DuckDB files that they watch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from conformance.loopback_server import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Database:
    """A DuckDB file that is there, is gone, or is junk."""

    def __init__(self, path: Path) -> None:
        import duckdb  # noqa: PLC0415 - only where it is used

        self.path = path
        duckdb.connect(str(path)).close()
        self._content = path.read_bytes()

    @property
    def target(self) -> dict[str, Any]:
        connection = {"path": str(self.path), "must_exist": True}
        return {"plugin": "duckdb", "connection": connection, "labels": {"team": "core"}}

    def remove(self) -> None:
        self.path.unlink()

    def spoil(self) -> None:
        self._write(b"no database " * 1000)

    def restore(self) -> None:
        self._write(self._content)

    def _write(self, content: bytes) -> None:
        new = self.path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(self.path)


class Monitor:
    """One daemon; its configuration, address and directory survive its process."""

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, Any],
        probe: Mapping[str, Any],
        environment: Mapping[str, str],
        shard: Mapping[str, Any] | None = None,
    ) -> None:
        folder.mkdir()
        self._shard = {"shard": {"index": {"env": "POD_NAME"}, **shard}} if shard else {}
        self._folder, self._probe, self._environment = folder, dict(probe), dict(environment)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(targets)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    def configure(self, targets: Mapping[str, Any], maintenance: Sequence[Mapping[str, Any]] = ()) -> None:
        """A daemon that runs takes it over by itself."""
        settings = {
            **self._shard,
            "probe": self._probe,
            "http": {"host": LOOPBACK, "port": self._port},
            "log": {"format": "json"},
            "reload": {"poll_interval": "1s"},
            "maintenance": list(maintenance),
            "targets": dict(targets),
        }
        new = self._folder / "new.json"
        new.write_text(json.dumps(settings))
        new.replace(self._folder / "floe-monitor.yaml")

    def start(self) -> None:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("FLOE_MONITOR_", "OTEL_"))
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "floe_monitor", "run", "--config", "floe-monitor.yaml"],
                cwd=self._folder, env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def await_round(self, seconds: float) -> None:
        """Until every target has a result."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://{self.address}/readyz", timeout=10):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"a monitor is not ready:\n{(self._folder / 'log').read_text()[-4000:]}")

    def last_words(self) -> str:
        """Whether it runs, and the end of its log: for a scenario that did not go as it should."""
        status = None if self._process is None else self._process.poll()
        log = self._folder / "log"
        text = log.read_text(errors="replace")[-3000:] if log.exists() else ""
        return f"{self.address}, {'running' if status is None else f'ended with {status}'}:\n{text}"

    def last_probe(self, target: str) -> str:
        """The correlation id of its last result; empty while there is none, or nobody answers."""
        try:
            with urllib.request.urlopen(
                f"http://{self.address}/api/v1/targets/{target}", timeout=10
            ) as answer:
                last: dict[str, Any] = json.load(answer)["last"] or {}
        except OSError:
            return ""
        return str(last.get("correlation_id", ""))
