"""The plugin's statements before fakesnow, a real SQL engine under Snowflake's dialect.

It knows no accounts, roles, grants or warehouses: those stay the stand-in's, which hands everything else on.
"""

from __future__ import annotations

import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance import environments
from conformance.loopback_server import LOOPBACK, free_port
from conformance.snowflake_standin import PASSWORD, StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def fakesnow(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[int]:
    """Its port."""
    if reason := environments.unwanted("fakesnow.txt"):
        pytest.skip(reason)
    folder: Path = tmp_path_factory.mktemp("fakesnow")
    try:
        environment = environments.built("fakesnow.txt")
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot build the environment of requirements/fakesnow.txt")
    port = free_port()
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [environment / "bin" / "fakesnow", "-s", "-p", str(port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    try:
        until = time.monotonic() + 50
        while True:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            with socket.socket() as attempt:
                if attempt.connect_ex((LOOPBACK, port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def engine(fakesnow: int) -> Iterator[StandIn]:
    import snowflake.connector

    with StandIn(upstream_port=fakesnow) as standin:
        with snowflake.connector.connect(
            account="acme", user="dbt", password=PASSWORD, role="transformer",
            host=LOOPBACK, port=standin.port, protocol="http", login_timeout=10,
            enable_server_session_keep_alive_auto_detection=False,
        ) as connection:  # fmt: skip
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE IF NOT EXISTS analytics")
            cursor.execute("CREATE SCHEMA IF NOT EXISTS analytics.marts")
            assert cursor.execute("SELECT 40 + 2").fetchall() == [(42,)]
        standin.statements.clear()
        yield standin


def test_verdicts(probe: Callable[..., Any], engine: StandIn) -> None:
    result = probe(port=engine.port)
    assert (result.status, result.warnings) == (ConnectionStatus.HEALTHY, [])
    assert len(engine.statements) == 7
    missing = probe(port=engine.port, schema="nothing")
    assert missing.status is ConnectionStatus.HEALTHY
    assert "dbt will create it" in missing.warnings[0]
    unknown = probe(port=engine.port, database="nothing")
    assert (unknown.status, unknown.error_type) == (ConnectionStatus.DEGRADED, ErrorType.PERMISSION)
    assert unknown.checks[-2].name == "database"


def test_a_kept_session(plugin: Any, keys: Callable[..., Any], engine: StandIn) -> None:
    config = build_config(plugin, {**keys(port=engine.port), "connection_reuse": True})
    logins = len(engine.logins)
    for _ in range(3):
        assert plugin.validate_connection(config).status is ConnectionStatus.HEALTHY
    assert len(engine.logins) == logins + 1
    plugin.shutdown()
    assert engine.sessions == {}
