"""Servers that are up but not as dbt needs them; each has a cluster of its own."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]


@pytest.fixture(scope="session")
def server(plain_server: Any) -> Any:
    return plain_server


@pytest.fixture
def standby(plain_server: Any, second_server: Callable[[Any], Any]) -> Iterator[Any]:
    """A hot standby of the server under test."""
    standby = second_server(plain_server)
    source = ["-h", str(plain_server.directory), "-p", str(plain_server.port), "-U", "postgres"]
    standby.run("pg_basebackup", "-D", str(standby.data), *source, "-R", "-c", "fast", "--no-sync")
    standby.start()
    yield standby
    standby.stop()


def test_a_standby_can_be_read(probe: Probe, standby: Any) -> None:
    result = probe(port=standby.port)
    assert (result.status, result.error_type) == (ConnectionStatus.DEGRADED, ErrorType.PERMISSION), result
    assert "standby" in result.message
    assert result.checks[-1].name == "write"


def test_a_server_that_is_shutting_down(probe: Probe, standby: Any) -> None:
    """A smart shutdown waits for its sessions and lets nobody else in."""
    with psycopg.connect(host=str(standby.directory), port=standby.port, user="postgres"):
        stopping = threading.Thread(
            target=standby.run,
            args=("pg_ctl", "-D", str(standby.data), "-m", "smart", "-W", "stop"),
        )
        stopping.start()
        stopping.join()
        until = time.monotonic() + 60
        while (result := probe(port=standby.port)).status is not ConnectionStatus.UNHEALTHY:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert result.error_type is ErrorType.CONNECTION
    assert "57P03" in result.message
    with contextlib.suppress(subprocess.SubprocessError):
        standby.stop()


def test_messages_in_another_language_change_nothing(probe: Probe, server: Any) -> None:
    """The evidence is the SQLSTATE: here the text is without meaning."""
    from floe_monitor_postgres.session import _SQLSTATE

    text = 'connection to server at "x", port 1 failed: FATAL:  28P01: Anmeldung fehlgeschlagen\nORT:  y'
    assert _SQLSTATE.findall(text) == [("28P01", "Anmeldung fehlgeschlagen")]
    assert _SQLSTATE.findall("SCHWERWIEGEND:  3D000: Datenbank »a: b« existiert nicht\n")[0][0] == "3D000"


def test_without_its_code_a_refusal_is_still_reported(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libpq's verbosity cannot be set, all that is lost is the precise error type."""
    from floe_monitor_postgres import session

    monkeypatch.setattr(session, "verbosity_setter", lambda: None)
    result = probe(password="wrong")
    assert (result.status, result.checks[-1].name) == (ConnectionStatus.UNHEALTHY, "login")
    assert "password authentication failed" in result.message
