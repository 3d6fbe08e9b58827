"""A real query, in the emulator behind the stand-in; crucible lives in an environment of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from conformance import environments
from conformance.bigquery_standin import StandIn
from conformance.loopback_server import LOOPBACK, free_port
from floe_monitor.compute import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def emulator(starts_processes: None) -> Iterator[int]:
    """Its port."""
    if reason := environments.unwanted("crucible.txt"):
        pytest.skip(reason)
    try:
        program = environments.built("crucible.txt") / "bin" / "crucible"
    except subprocess.CalledProcessError:
        pytest.skip("pip finds no package index for requirements/crucible.txt")
    port = free_port()
    command = [str(program), "serve", "--dialect", "bigquery", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await(port)
            yield port
        finally:
            process.kill()


@pytest.fixture
def standin(emulator: int) -> Iterator[StandIn]:
    with StandIn(emulator) as standin:
        yield standin


@pytest.mark.parametrize("location", ["EU", None])
def test_a_real_query(probe: Callable[..., ConnectionResult], standin: StandIn, location: str | None) -> None:
    result = probe(timeout=10, query="run", location=location)
    assert result.status is ConnectionStatus.HEALTHY, result
    assert result.checks[-1].name == "run"
    ran = [body for _, path, _, body in standin.state.requests if path.endswith("/queries")]
    assert [body["query"] for body in ran] == ["SELECT 1 AS id"]
    assert int(ran[0]["maximumBytesBilled"]) == 10 << 20


def _await(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return
