"""What a connection pooler before the server changes: pgbouncer, in each of its modes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from conformance import pgbouncer
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.pgbouncer import Pooler
    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

PASSWORD = "correct horse' \\battery"  # as in conftest.py
HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


@pytest.fixture(scope="session")
def server(plain_server: Any) -> Any:
    return plain_server


@pytest.fixture(scope="module")
def start(server: Any) -> Iterator[Callable[..., Pooler]]:
    """A pooler with those settings; the same one for the same settings."""
    if pgbouncer.program() is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    databases = {"analytics": "dbname=analytics", "alias": "dbname=analytics"}
    started: dict[tuple[Any, ...], Pooler] = {}
    with ExitStack() as stack:

        def make(pool_mode: str = "transaction", pool_size: int = 1) -> Pooler:
            if (pool_mode, pool_size) not in started:
                started[pool_mode, pool_size] = stack.enter_context(
                    pgbouncer.pooler(
                        server.port,
                        dict.fromkeys(("dbt", "reader", "single"), PASSWORD),
                        databases,
                        binaries=server.bin,
                        pool_mode=pool_mode,
                        pool_size=pool_size,
                    )
                )
            return started[pool_mode, pool_size]

        yield make


def run_through(pooler: Pooler, *statements: str, user: str = "dbt") -> None:
    """As another client, which leaves what it set behind."""
    with psycopg.connect(
        host="127.0.0.1",
        port=pooler.port,
        user=user,
        password=PASSWORD,
        dbname="analytics",
        autocommit=True,
        prepare_threshold=None,
    ) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_role_that_another_client_left(probe: Probe, start: Callable[..., Pooler]) -> None:
    """With one connection to the server, the probe gets the one in which the role was set."""
    pooler = start()
    assert probe(port=pooler.port).status is HEALTHY
    run_through(pooler, "SET ROLE builders", user="reader")
    try:
        result = probe(port=pooler.port, user="reader")
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION), result
        assert "acts as 'builders', not as 'reader'" in result.message
        assert probe(port=pooler.port, user="reader", role="builders").status is HEALTHY
    finally:
        run_through(pooler, "RESET ROLE", user="reader")
    assert "acts as" not in probe(port=pooler.port, user="reader").message


def test_a_role_that_the_server_gives_each_session(probe: Probe, server: Any) -> None:
    server.execute("ALTER ROLE reader IN DATABASE analytics SET role = builders")
    try:
        assert probe(user="reader").status is HEALTHY
    finally:
        server.execute("ALTER ROLE reader IN DATABASE analytics RESET role")


def test_a_pooler_makes_do_with_fewer_connections_than_threads(
    probe: Probe, start: Callable[..., Pooler]
) -> None:
    assert probe(user="single", threads=4).status is DEGRADED
    result = probe(port=start().port, user="single", threads=4)
    assert "user 'single' has 1 at most, unless the pooler" in result.warnings[0]
    assert "threads" not in result.message


def test_a_database_that_the_pooler_calls_by_another_name(probe: Probe, start: Callable[..., Pooler]) -> None:
    """The server refuses dbt's "alias"."marts"."model" as a reference to another database."""
    result = probe(port=start().port, dbname="alias")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION), result
    assert "from database 'alias' to one that the server knows as 'analytics'" in result.message


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"password": "wrong"}, ErrorType.AUTHENTICATION, "authentication failed"),
        ({"user": "nobody"}, ErrorType.AUTHENTICATION, "authentication failed"),
        ({"dbname": "nothing"}, ErrorType.CONFIGURATION, "no such database"),
        ({"search_path": "marts"}, ErrorType.CONFIGURATION, "unsupported startup parameter: options"),
    ],
)
def test_what_a_pooler_refuses(
    probe: Probe, start: Callable[..., Pooler], changes: dict[str, Any], kind: ErrorType, text: str
) -> None:
    """Under one code for all, 08P01."""
    result = probe(port=start().port, **changes)
    assert (result.status, result.error_type) == (UNHEALTHY, kind), result
    assert result.checks[-1].name == "login"
    assert text in result.message


def test_a_transaction_where_the_pooler_lends_by_the_statement(
    probe: Probe, start: Callable[..., Pooler]
) -> None:
    """As dbt's own session without `autocommit`. The pooler says why before it closes the connection."""
    result = probe(port=start("statement").port)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION), result
    assert "transaction blocks not allowed in statement pooling mode (SQLSTATE 08P01)" in result.message


@pytest.mark.parametrize("role", [None, "builders"])
def test_autocommit_where_the_pooler_lends_by_the_statement(
    probe: Probe, start: Callable[..., Pooler], role: str | None
) -> None:
    result = probe(port=start("statement").port, user="reader", role=role, autocommit=True)
    assert result.status is (DEGRADED if role is None else HEALTHY), result  # `reader` itself may not create
    assert result.checks[-1].name == ("schema" if role is None else "write")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, HEALTHY),
        ({"role": "missing"}, UNHEALTHY),
        ({"schema": "new", "user": "reader"}, DEGRADED),
    ],
)
def test_a_probe_costs_the_pooler_no_connection(
    probe: Probe, start: Callable[..., Pooler], changes: dict[str, Any], status: ConnectionStatus
) -> None:
    """pgbouncer closes its connection to the server where a client leaves within a transaction."""
    pooler = start(pool_size=2)
    user = changes.get("user", "dbt")
    run_through(pooler, "SELECT 1", user=user)
    before = pooler.log().count("new connection to server")
    for _ in range(3):
        assert probe(port=pooler.port, **changes).status is status
    run_through(pooler, "SELECT 1", user=user)
    assert pooler.log().count("new connection to server") == before
    assert "server was not ready" not in pooler.log()
