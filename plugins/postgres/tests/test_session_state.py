"""What dbt's sessions are given by the server: enough of it, or too little."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_postgres.connect import Connector
from floe_monitor_postgres.errors import ServerError
from floe_monitor_postgres.libpq import role_in_options
from floe_monitor_postgres.transaction import ReadOnlyTransaction

from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


@contextmanager
def altered(server: Any, what: str, setting: str, value: str) -> Iterator[None]:
    server.execute(f"ALTER {what} SET {setting} = '{value}'")
    try:
        yield
    finally:
        server.execute(f"ALTER {what} RESET {setting}")


@pytest.mark.parametrize(
    ("options", "role"),
    [
        ("", None),
        ("-c role=builders", "builders"),
        ("-crole=builders", "builders"),
        ("--role=builders", "builders"),
        ("-c ROLE=two\\ words -c search_path=a,role=b", "two words"),
        ("-c search_path=marts", None),
        ("-c role=one --role=two", "two"),
        ("-c", None),
        ("role=builders", None),
    ],
)
def test_the_role_that_options_name(options: str, role: str | None) -> None:
    assert role_in_options(options) == role


def test_a_role_that_the_environment_asks_for(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """libpq passes it on for dbt as for the probe."""
    assert probe(user="reader").status is DEGRADED, "without it there is no right to create"
    monkeypatch.setenv("PGOPTIONS", "-c role=builders")
    assert probe(user="reader").status is HEALTHY
    # A configured search_path becomes the options of the connection, and libpq then leaves out the variable.
    assert probe(user="reader", search_path="marts").status is DEGRADED


@pytest.mark.parametrize("what", ["ROLE dbt", "DATABASE analytics", "ROLE dbt IN DATABASE analytics"])
def test_a_statement_timeout_too_short_for_dbt(probe: Probe, server: Any, what: str) -> None:
    with altered(server, what, "statement_timeout", "700ms"):
        result = probe()
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
    assert "statement_timeout is 700ms for 'dbt'" in result.message


def test_sessions_that_end_between_two_statements(probe: Probe, server: Any) -> None:
    """The probe itself sets a limit of its own, so that it is not the one to be broken off."""
    with altered(server, "ROLE dbt", "idle_in_transaction_session_timeout", "50ms"):
        result = probe()
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
    assert "idle_in_transaction_session_timeout is 50ms" in result.message


def test_a_timeout_that_long_models_reach(probe: Probe, server: Any) -> None:
    with altered(server, "ROLE dbt", "statement_timeout", "30s"):
        result = probe()
    assert result.status is HEALTHY, result
    assert "statement_timeout is 30s" in result.warnings[0]
    with altered(server, "ROLE dbt", "statement_timeout", "1h"):
        assert probe().warnings == []


def test_timeouts_of_newer_versions(probe: Probe, server: Any) -> None:
    found = server.execute(
        "SELECT name FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')"
    )
    assert found
    for (setting,) in found:
        with altered(server, "ROLE dbt", setting, "900ms"):
            result = probe()
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
        assert f"{setting} is 900ms" in result.message


@pytest.mark.parametrize("what", ["ROLE dbt", "DATABASE analytics"])
def test_fewer_connections_than_threads(probe: Probe, server: Any, what: str) -> None:
    server.execute(f"ALTER {what} CONNECTION LIMIT 3")
    try:
        result = probe(threads=4)
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION), result
        assert "of 4 threads some get no connection" in result.message
        assert "has 3 at most" in result.message
        assert probe(threads=3).status is HEALTHY
    finally:
        server.execute(f"ALTER {what} CONNECTION LIMIT -1")


def test_more_threads_than_the_server_has_connections(probe: Probe) -> None:
    result = probe(threads=21)  # max_connections less those kept for superusers: 20
    assert result.status is DEGRADED, result
    assert "the server has 20 at most" in result.message
    assert probe(threads=20).status is HEALTHY


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_transaction_that_writes_nothing_and_leaves_nothing(
    plugin: Any, keys: Callable[..., dict[str, Any]], autocommit: bool
) -> None:
    config = build_config(plugin, keys(user="reader"))
    with running_until(Deadline.after(20)):
        connector = Connector(config, plugin.blocking_calls)
        connector.prepare()
        session = connector.connect()
        with ReadOnlyTransaction(session, "builders", autocommit=autocommit) as transaction:
            transaction.begin([])
            assert transaction.run("SELECT current_user, current_setting('statement_timeout') <> '0'") == [
                ("builders", "t")
            ]
            with pytest.raises(ServerError, match="25006"):
                transaction.run("CREATE TABLE marts.written (id int)")
        assert session.usable
        assert session.run("SELECT current_user, current_setting('statement_timeout')") == [("reader", "0")]
        session.close()
