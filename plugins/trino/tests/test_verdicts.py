"""What a probe makes of a coordinator's answers: the stand-in's, which are in a real one's words."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_trino.errors import QueryError, classify

from conformance.trino_standin import DENIED, PASSWORD, QUEUE_FULL, TOKEN, StandIn, basic
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
NO_NODES = ("NO_NODES_AVAILABLE", "INSUFFICIENT_RESOURCES", "No nodes available to run query")
SHUTTING_DOWN = ("SERVER_SHUTTING_DOWN", "INTERNAL_ERROR", "Server is shutting down")
FORBIDDEN = ("PERMISSION_DENIED", "USER_ERROR", "Access Denied: Cannot execute query")
ALL = ["network", "server", "query", "workers", "catalog", "schema", "write"]


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def test_all_well(probe: Probe, standin: StandIn) -> None:
    result = probe()
    assert (result.status, result.warnings, names(result)) == (HEALTHY, [], ALL)
    assert standin.state.statements == [
        "select 1 as id",
        "show session like 'required_workers_count'",
        "select * from system.metadata.catalogs where catalog_name = 'memory'",
        "select schema_name from \"memory\".information_schema.schemata where schema_name = 'marts'",
        'explain (type validate) create table "memory"."marts".floe_monitor_probe as select 1 as id',
        'explain (type validate) create view "memory"."marts".floe_monitor_probe as select 1 as id',
    ]
    assert standin.state.cancelled == []
    # Every answer was read to its end: a statement that is left half read stays with the coordinator.
    assert sum(path.startswith("GET /v1/statement") for path in standin.state.paths) == 2 * 6


def test_the_session_is_dbts(probe: Probe, standin: StandIn) -> None:
    probe(
        roles={"memory": "builder", "system": "ALL"},
        session_properties={"query_max_run_time": "1h 5m", "memory.x": True},
        client_tags=["dbt", "nightly"],
        timezone="Europe/Berlin",
        http_headers={"X-Team": "marts"},
    )
    for headers in standin.state.headers:
        found = {name.removeprefix("x-trino-"): value for name, value in headers.items()}
        assert found["user"] == "dbt"
        assert (found["catalog"], found["schema"]) == ("memory", "marts")
        assert found["role"] == "memory=ROLE%7Bbuilder%7D,system=ALL"
        assert found["session"] == "query_max_run_time=1h%205m,memory.x=True"
        assert (found["client-tags"], found["time-zone"]) == ("dbt,nightly", "Europe/Berlin")
        assert found["source"].startswith("dbt-trino-")
        assert found["client-info"] == "floe-monitor"
        assert found["x-team"] == "marts"
        assert "authorization" not in found


@pytest.mark.parametrize(
    ("changes", "status", "error_type", "last"),
    [
        ({"database": "nowhere"}, DEGRADED, ErrorType.CONFIGURATION, "catalog"),
        ({"database": "tpch", "schema": "tiny"}, DEGRADED, ErrorType.CONFIGURATION, "catalog"),
        ({"database": "MEMORY", "schema": "Marts"}, HEALTHY, None, "write"),
        ({"port": 1}, UNHEALTHY, ErrorType.CONNECTION, "network"),
        ({"host": "nowhere.invalid"}, UNHEALTHY, ErrorType.CONNECTION, "network"),
        ({"host": "::1"}, UNHEALTHY, ErrorType.CONFIGURATION, "network"),
        ({"http_scheme": "https"}, UNHEALTHY, ErrorType.CONNECTION, "tls"),
        ({"http_headers": {"X-Team": "a\nb"}}, UNHEALTHY, ErrorType.CONFIGURATION, "server"),
    ],
)
def test_targets(
    probe: Probe, changes: dict[str, Any], status: ConnectionStatus, error_type: ErrorType | None, last: str
) -> None:
    result = probe(**changes)
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, last), result


@pytest.mark.parametrize(
    ("part", "error", "status", "error_type", "last"),
    [
        ("select 1", QUEUE_FULL, DEGRADED, ErrorType.QUERY, "query"),
        (
            "select 1",
            ("NO_NODES_AVAILABLE", "INSUFFICIENT_RESOURCES", "No nodes"),
            DEGRADED,
            ErrorType.QUERY,
            "query",
        ),
        (
            "select 1",
            ("SERVER_SHUTTING_DOWN", "INTERNAL_ERROR", "x"),
            DEGRADED,
            ErrorType.CONNECTION,
            "query",
        ),
        ("select 1", FORBIDDEN, UNHEALTHY, ErrorType.PERMISSION, "query"),
        ("select 1", ("CATALOG_NOT_FOUND", "USER_ERROR", "x"), UNHEALTHY, ErrorType.CONFIGURATION, "query"),
        ("select 1", ("GENERIC_INTERNAL_ERROR", "INTERNAL_ERROR", "x"), UNHEALTHY, ErrorType.QUERY, "query"),
        (
            "system.metadata",
            FORBIDDEN,
            DEGRADED,
            ErrorType.PERMISSION,
            "catalog",
        ),
        ("schemata", ("HIVE_METASTORE_ERROR", "EXTERNAL", "x"), DEGRADED, ErrorType.CATALOG, "schema"),
        ("schemata", QUEUE_FULL, DEGRADED, ErrorType.QUERY, "schema"),
        ("create table", DENIED, DEGRADED, ErrorType.PERMISSION, "write"),
        ("create view", DENIED, DEGRADED, ErrorType.PERMISSION, "write"),
    ],
)
def test_refusals(
    probe: Probe,
    standin: StandIn,
    part: str,
    error: tuple[str, str, str],
    status: ConnectionStatus,
    error_type: ErrorType,
    last: str,
) -> None:
    standin.state.refused[part] = error
    result = probe()
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, last), result
    assert error[2] in result.message


def test_a_coordinator_that_starts(probe: Probe, standin: StandIn) -> None:
    standin.state.starting = True
    result = probe()
    assert (result.status, result.error_type, names(result)[-1]) == (DEGRADED, ErrorType.CONNECTION, "server")
    assert "starting" in result.message
    assert standin.state.statements == []


def test_a_worker_is_no_coordinator(probe: Probe, standin: StandIn) -> None:
    standin.state.coordinator = False
    result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)


@pytest.mark.parametrize(
    ("answer", "status", "error_type"),
    [
        (503, DEGRADED, ErrorType.CONNECTION),
        (429, DEGRADED, ErrorType.CONNECTION),
        (502, UNHEALTHY, ErrorType.CONNECTION),
        (500, UNHEALTHY, ErrorType.CONNECTION),
        (403, UNHEALTHY, ErrorType.PERMISSION),
        (404, UNHEALTHY, ErrorType.CONFIGURATION),
        (302, UNHEALTHY, ErrorType.CONFIGURATION),
        (200, UNHEALTHY, ErrorType.CONFIGURATION),
    ],
)
def test_answers_that_are_not_the_coordinators(
    probe: Probe, standin: StandIn, answer: int, status: ConnectionStatus, error_type: ErrorType
) -> None:
    standin.state.status = answer
    result = probe()
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, "query"), result


@pytest.mark.parametrize(("nodes", "status"), [(2, DEGRADED), (3, HEALTHY), (4, HEALTHY)])
def test_fewer_workers_than_wanted(
    probe: Probe, standin: StandIn, nodes: int, status: ConnectionStatus
) -> None:
    standin.state.required_workers, standin.state.nodes = 3, nodes
    result = probe()
    assert (result.status, names(result)[-1]) == (status, "workers" if status is DEGRADED else "write")
    if status is DEGRADED:
        assert "wants 3 workers" in result.message
        assert "no more than 2 are active" in result.message


def test_nodes_that_may_not_be_seen(probe: Probe, standin: StandIn) -> None:
    standin.state.required_workers = 3
    standin.state.refused["system.runtime"] = FORBIDDEN
    result = probe()
    assert (result.status, len(result.warnings)) == (HEALTHY, 1)
    assert "the 3 workers" in result.warnings[0]


# ---------------------------------------------------------------- a schema that is not there


def test_a_missing_schema_that_dbt_may_create(probe: Probe, standin: StandIn) -> None:
    result = probe(schema="gone")
    assert (result.status, result.warnings) == (HEALTHY, ["schema 'gone' is not there; dbt creates it"])
    assert standin.state.statements[-4:] == [
        "select 1",
        "START TRANSACTION READ ONLY",
        'create schema if not exists "memory"."gone"',
        "rollback",
    ]
    created = standin.state.headers[-2]["x-trino-transaction-id"]
    assert created.endswith("-0000-0000-0000-000000000000"), "never outside of the read-only transaction"
    assert created == standin.state.headers[-1]["x-trino-transaction-id"]
    assert standin.transactions == set()


def test_a_missing_schema_that_dbt_may_not_create(probe: Probe, standin: StandIn) -> None:
    standin.state.refused["create schema"] = ("PERMISSION_DENIED", "USER_ERROR", "Cannot create schema gone")
    result = probe(schema="gone")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION)
    assert "Cannot create schema gone" in result.message
    assert result.warnings == []
    assert standin.transactions == set()


def test_nothing_is_tried_where_transactions_are_not_kept_to(probe: Probe, standin: StandIn) -> None:
    standin.state.drops_transactions = True
    result = probe(schema="gone")
    assert result.status is HEALTHY
    assert "not shown" in result.warnings[0]
    assert not any("create schema" in statement for statement in standin.state.statements)


# ---------------------------------------------------------------- logins


def test_logins(probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path) -> None:
    logins = frozenset({basic("dbt"), f"Bearer {TOKEN}"})
    place = {"host": "localhost", "port": launch(tls=tls, logins=logins).port, "cert": str(root)}
    assert probe(credentials={"password": PASSWORD}, method="ldap", **place).status is HEALTHY
    assert probe(credentials={"jwt_token": TOKEN}, method="jwt", user=None, **place).status is HEALTHY
    for secrets, method in (({"password": "wrong"}, "ldap"), ({"jwt_token": "wrong"}, "jwt")):
        result = probe(credentials=secrets, method=method, **place)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)
        assert "401: Access Denied: Invalid credentials" in result.message


def test_whose_session_it_is(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path
) -> None:
    standin = launch(tls=tls)
    place = {"host": "localhost", "port": standin.port, "cert": str(root)}
    probe(
        credentials={"password": PASSWORD}, method="ldap", user="service", impersonation_user="dbt", **place
    )
    assert standin.state.headers[-1]["x-trino-user"] == "dbt"
    assert standin.state.headers[-1]["authorization"] == basic("service")
    probe(credentials={"jwt_token": TOKEN}, method="jwt", user=None, **place)
    assert "x-trino-user" not in standin.state.headers[-1]


def logins_seen(standin: StandIn) -> set[str]:
    return {headers["authorization"] for headers in standin.state.headers}


def test_a_netrc_login_is_sent_as_requests_sends_it(probe: Probe, standin: StandIn, tmp_path: Path) -> None:
    for password in ("canary", "another-canary"):
        (tmp_path / "netrc").write_text(f"default login somebody password {password}\n")
        standin.state.headers.clear()
        probe(http_headers={"Authorization": "Bearer own"}, connection_reuse=True)
        assert logins_seen(standin) == {basic("somebody", password)}


def test_a_netrc_login_does_not_take_the_place_of_a_targets(
    probe: Probe, tmp_path: Path, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password canary\n")
    standin = launch(tls=tls)
    place = {"host": "localhost", "port": standin.port, "cert": str(root)}
    probe(credentials={"password": PASSWORD}, method="ldap", **place)
    assert logins_seen(standin) == {basic("dbt")}


def test_a_password_that_http_cannot_carry(probe: Probe) -> None:
    result = probe(credentials={"password": "пароль"}, method="ldap", http_scheme=None)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert "Latin-1" in result.message


def test_secrets_of_headers_are_hidden(probe: Probe, standin: StandIn) -> None:
    standin.state.refused["select 1"] = ("GENERIC_USER_ERROR", "USER_ERROR", "odd: canary-0123, marts")
    result = probe(http_headers={"X-Trino-Gateway-Token": "canary-0123", "X-Team": "marts"})
    assert "canary-0123" not in result.message
    assert "marts" in result.message


def test_a_galaxy_cluster_is_not_woken(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = socket.getaddrinfo

    def here(_: Any, *rest: Any, **options: Any) -> Any:
        return system("127.0.0.1", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    host = "acme-lake.trino.galaxy.starburst.io"
    result = probe(host=host, user="dbt")
    assert (result.status, names(result)[-1]) == (DEGRADED, "asleep")
    assert standin.state.statements == []
    assert set(standin.state.paths) == {"GET /v1/info"}
    assert probe(host=host, user="dbt", wake_cluster=True).status is HEALTHY


def test_errors_of_versions_to_come() -> None:
    assert classify(QueryError(json.loads("{}"))).error_type is ErrorType.QUERY
    assert classify(ValueError("odd")).message == "ValueError: odd"
