"""Real Prometheus and Alertmanager processes on loopback, for whoever exports something to them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from conformance.loopback_server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of `condition`; connection errors meanwhile count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@dataclass(frozen=True)
class Server:
    """A process that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}{path}?{query}", timeout=30) as answer:  # noqa: S310 - loopback
            body: bytes = answer.read()
        return json.loads(body)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant PromQL query; only for a Prometheus."""
        result: list[dict[str, Any]] = self.get("/api/v1/query", query=expression)["data"]["result"]
        return result

    def alerts(self) -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = self.get("/api/v1/alerts")["data"]["alerts"]
        return alerts


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any], float, str], Any]:
    return until


@pytest.fixture
def started(
    tmp_path: Path, starts_processes: None
) -> Iterator[Callable[[str, dict[str, Any], list[str]], Server]]:
    """Starts a program of the Prometheus family with a configuration file, and stops it."""
    servers: list[Server] = []

    def start(program: str, configuration: dict[str, Any], arguments: list[str]) -> Server:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
        port = free_port()
        home = tmp_path / f"{program}-{port}"
        home.mkdir()
        (home / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    program,
                    f"--config.file={home / 'config.yml'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    f"--{'storage.tsdb.path' if program == 'prometheus' else 'storage.path'}={home / 'data'}",
                    *arguments,
                ],
                stdout=log,
                stderr=log,
            )
        server = Server(f"http://127.0.0.1:{port}", process)
        servers.append(server)

        def ready() -> bool:
            assert process.poll() is None, (home / "log").read_text()
            with urllib.request.urlopen(f"{server.url}/-/ready", timeout=10) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)

        until(ready, 60, f"{program} is ready")
        return server

    yield start
    for server in servers:
        server.process.terminate()
    for server in servers:
        try:
            server.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


@pytest.fixture
def start_prometheus(
    started: Callable[[str, dict[str, Any], list[str]], Server],
) -> Callable[[dict[str, Any]], Server]:
    return lambda configuration: started(
        "prometheus", configuration, ["--enable-feature=exemplar-storage", "--log.level=warn"]
    )


@pytest.fixture
def start_alertmanager(
    started: Callable[[str, dict[str, Any], list[str]], Server],
) -> Callable[[dict[str, Any]], Server]:
    return lambda configuration: started(
        "prometheus-alertmanager", configuration, ["--cluster.listen-address=", "--log.level=warn"]
    )
