"""What the plugin says of a real server, well and ill."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import CheckResult, ConnectionResult

    Probe = Callable[..., ConnectionResult]

PASSWORD = "correct horse' \\battery"  # as in conftest.py
HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def last(result: ConnectionResult) -> CheckResult:
    return result.checks[-1]


def test_a_server_that_is_well(probe: Probe) -> None:
    result = probe()
    assert result.status is HEALTHY, result
    assert [check.name for check in result.checks] == [
        "network", "tls", "login", "database", "query", "session", "schema", "write",
    ]  # fmt: skip
    assert result.warnings == []
    assert result.error_type is None


@pytest.mark.parametrize(
    ("changes", "check", "kind", "text"),
    [
        ({"password": "wrong"}, "login", ErrorType.AUTHENTICATION, "28P01"),
        ({"password": None}, "login", ErrorType.AUTHENTICATION, "none is configured"),
        ({"user": "nobody"}, "login", ErrorType.AUTHENTICATION, "28P01"),
        ({"user": "no_login"}, "login", ErrorType.AUTHENTICATION, "28000"),
        ({"user": "unlisted"}, "login", ErrorType.AUTHENTICATION, "28000"),
        ({"dbname": "nothing"}, "database", ErrorType.CONFIGURATION, "3D000"),
        ({"dbname": "closed"}, "database", ErrorType.PERMISSION, "42501"),
        ({"dbname": "refusing"}, "database", ErrorType.CONNECTION, "55000"),
        ({"role": "missing"}, "role", ErrorType.CONFIGURATION, "22023"),
        ({"user": "reader", "role": "others"}, "role", ErrorType.PERMISSION, "42501"),
        ({"port": 1}, "network", ErrorType.CONNECTION, "refused"),
        ({"host": "nowhere.invalid"}, "network", ErrorType.CONNECTION, "cannot resolve"),
        ({"host": "/nowhere"}, "network", ErrorType.CONNECTION, "/nowhere"),
    ],
)
def test_dbt_could_not_connect(
    probe: Probe, changes: dict[str, Any], check: str, kind: ErrorType, text: str
) -> None:
    result = probe(**changes)
    assert result.status is UNHEALTHY, result
    assert (last(result).name, result.error_type) == (check, kind), result
    assert text in result.message
    assert "wrong" not in result.message


@pytest.mark.parametrize(
    ("changes", "check", "kind", "text"),
    [
        ({"user": "reader"}, "schema", ErrorType.PERMISSION, "lacks CREATE"),
        ({"user": "reader", "schema": "new"}, "schema", ErrorType.PERMISSION, "may not create schemas"),
        ({"schema": "mixed"}, "schema", ErrorType.CONFIGURATION, "'Mixed' does"),
        ({"schema": "pg_marts"}, "schema", ErrorType.CONFIGURATION, "begin with pg_"),
        ({"schema": "m" * 64}, "schema", ErrorType.CONFIGURATION, "after 63 bytes"),
        ({"schema": "é" * 32}, "schema", ErrorType.CONFIGURATION, "after 63 bytes"),
        ({"schema": "dbt's"}, "schema", ErrorType.CONFIGURATION, "between quotes"),
        ({"schema": 'the "new"'}, "schema", ErrorType.CONFIGURATION, "between quotes"),
        ({"schema": "back\\slash"}, "schema", ErrorType.CONFIGURATION, "by a pattern"),
        ({"user": "reader", "autocommit": True}, "schema", ErrorType.PERMISSION, "lacks CREATE"),
        ({"user": "read_only"}, "write", ErrorType.PERMISSION, "default_transaction_read_only"),
    ],
)
def test_dbt_could_connect_but_not_build(
    probe: Probe, changes: dict[str, Any], check: str, kind: ErrorType, text: str
) -> None:
    result = probe(**changes)
    assert result.status is DEGRADED, result
    assert (last(result).name, result.error_type) == (check, kind)
    assert text in result.message


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "reader", "role": "builders"},
        {"user": "reader", "role": '"builders"'},
        {"search_path": "marts, public"},
        {"search_path": '"Mixed",marts', "application_name": "dbt of the 'core' team"},
        {"host": "localhost"},
        {"host": "nowhere.invalid,127.0.0.1"},
        {"dbname": None, "database": "analytics"},
        {"keepalives_idle": 0},
        {"keepalives_idle": 30},
        {"schema": "Mixed"},
        {"autocommit": True},
        {"autocommit": True, "user": "reader", "role": "builders"},
    ],
)
def test_ways_to_say_the_same(probe: Probe, changes: dict[str, Any]) -> None:
    result = probe(**changes)
    assert result.status is HEALTHY, result


def test_a_missing_schema_is_dbts_to_create(probe: Probe) -> None:
    for name in ("new", "new schema", "PG_new", "n" * 63):
        result = probe(schema=name)
        assert result.status is HEALTHY
        assert "dbt will create it" in result.warnings[0]


def test_schemas_that_differ_in_case_alone(probe: Probe, server: Any) -> None:
    """dbt would end in `When searching for a relation, dbt found an approximate match`."""
    server.execute("CREATE SCHEMA mixed AUTHORIZATION dbt", "analytics")
    try:
        for name in ("mixed", "Mixed"):
            result = probe(schema=name)
            assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION), result
            assert "differ in case alone" in result.message
    finally:
        server.execute("DROP SCHEMA mixed", "analytics")


def test_relations_of_another_owner(probe: Probe, server: Any) -> None:
    """dbt would be told that it must be the owner."""
    server.execute("CREATE SCHEMA shared AUTHORIZATION dbt", "analytics")
    server.execute("CREATE TABLE shared.orders (id int); CREATE VIEW shared.latest AS SELECT 1", "analytics")
    try:
        result = probe(schema="shared")
        assert result.status is HEALTHY, result
        assert "2 relations in schema 'shared' of other owners (latest of postgres)" in result.warnings[0]
        server.execute("ALTER TABLE shared.orders OWNER TO builders", "analytics")
        server.execute("ALTER VIEW shared.latest OWNER TO dbt", "analytics")
        assert "1 relation in" in probe(schema="shared").warnings[0]
        server.execute("GRANT builders TO dbt")
        assert probe(schema="shared").warnings == []
    finally:
        server.execute("REVOKE builders FROM dbt")
        server.execute("DROP SCHEMA shared CASCADE", "analytics")


def test_over_the_socket_there_is_no_tls(probe: Probe, server: Any) -> None:
    result = probe(host=str(server.directory), password=None)
    assert result.status is HEALTHY, result
    assert "tls" not in {check.name for check in result.checks}


def test_a_role_that_may_connect_once(probe: Probe, server: Any) -> None:
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="single", dbname="analytics", password=PASSWORD
    ):
        result = probe(user="single")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert "53300" in result.message


def test_the_connection_limit(probe: Probe, server: Any) -> None:
    where = {"host": "127.0.0.1", "port": server.port, "user": "dbt", "dbname": "analytics"}
    with ExitStack() as held:
        for _ in range(20):  # max_connections less those kept for superusers
            held.enter_context(psycopg.connect(**where, password=PASSWORD))
        result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert "53300" in result.message


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_lock_on_the_catalog_leaves_no_session_behind(probe: Probe, server: Any, autocommit: bool) -> None:
    with psycopg.connect(
        host=str(server.directory), port=server.port, user="postgres", dbname="analytics"
    ) as holder:
        holder.execute("LOCK TABLE pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE")
        result = probe(timeout=0.7, autocommit=autocommit)
        assert (result.status, result.error_type) == (ConnectionStatus.DEGRADED, ErrorType.TIMEOUT), result
        holder.rollback()
