"""Verdicts about an endpoint that is reached by a password."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.redshift_standin import LIMIT_REACHED, PASSWORD
from floe_monitor.compute import ConnectionStatus, ErrorType, ExpiryKind

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from conformance.redshift_standin import StandIn
    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


@pytest.mark.parametrize("login", ["digest", "md5", "clear"])
def test_all_well(probe: Probe, standin: StandIn, login: str) -> None:
    standin.state.login = login
    result = probe()
    assert (result.status, result.warnings) == (HEALTHY, [])
    assert names(result) == ["network", "login", "database", "query", "session", "schema"]
    assert "Redshift 1.0.119453" in next(check.message for check in result.checks if check.name == "query")
    assert standin.state.startups[-1] == {
        "user": "dbt", "database": "analytics", "application_name": "floe-monitor",
    }  # fmt: skip
    assert all(sql.startswith("select ") for sql in standin.state.statements)


@pytest.mark.parametrize("login", ["digest", "md5", "clear"])
@pytest.mark.parametrize("changes", [{"credentials": {"password": "wrong battery"}}, {"user": "nobody"}])
def test_a_login_that_is_refused(probe: Probe, standin: StandIn, login: str, changes: dict[str, Any]) -> None:
    standin.state.login = login
    result = probe(**changes)
    assert (result.status, result.error_type, names(result)[-1]) == (
        UNHEALTHY, ErrorType.AUTHENTICATION, "login",
    )  # fmt: skip
    assert "password authentication failed" in result.message
    assert "wrong battery" not in result.message


@pytest.mark.parametrize(
    ("state", "kind", "check", "says"),
    [
        (
            {"databases": frozenset()},
            ErrorType.CONFIGURATION,
            "database",
            'database "analytics" does not exist',
        ),
        ({"unready": LIMIT_REACHED}, ErrorType.CONNECTION, "login", "connection limit"),
        ({"unready": ("57P03", "the cluster is starting")}, ErrorType.CONNECTION, "login", "is starting"),
        ({"unready": ("XX000", "connection limit reached")}, ErrorType.CONNECTION, "login", "limit"),
        ({"demands_tls": True}, ErrorType.CONFIGURATION, "login", "nobody in without TLS"),
        ({"login": "10"}, ErrorType.AUTHENTICATION, "login", "kind 10"),
        (
            {"greeting": b"HTTP/1.1 400 Bad Request\r\n\r\n"},
            ErrorType.CONFIGURATION,
            "login",
            "not in the protocol",
        ),
        ({"greeting": b"R\0\0\0\x06\0\0"}, ErrorType.CONFIGURATION, "login", "shorter than it says"),
        ({"greeting": b"Z\0\0\0\x05I"}, ErrorType.CONFIGURATION, "login", "something else"),
        ({"greeting": b""}, ErrorType.CONNECTION, "login", "closed the connection"),
        ({"refused": {"select 1": ("57014", "Query cancelled")}}, ErrorType.TIMEOUT, "query", "cancelled"),
        ({"refused": {"select 1": ("XX000", "permission denied")}}, ErrorType.PERMISSION, "query", "denied"),
    ],
)
def test_failures(
    probe: Probe,
    launch: Callable[..., StandIn],
    state: dict[str, Any],
    kind: ErrorType,
    check: str,
    says: str,
) -> None:
    result = probe(port=launch(**state).port)
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, kind, check), result.message
    assert says in result.message


@pytest.mark.parametrize(
    ("state", "changes", "kind", "says"),
    [
        ({"schemas": frozenset()}, {}, ErrorType.PERMISSION, "may not create schemas"),
        ({"rights": frozenset({"USAGE", "TEMP"})}, {}, ErrorType.PERMISSION, "lacks CREATE on schema"),
        ({"rights": frozenset()}, {}, ErrorType.PERMISSION, "lacks USAGE and CREATE"),
        (
            {"external_schemas": frozenset({"lake"})}, {"schema": "lake"}, ErrorType.CONFIGURATION,
            "external one",
        ),
        ({}, {"schema": "pg_marts"}, ErrorType.CONFIGURATION, "begin with pg_"),
        ({}, {"schema": "m" * 128}, ErrorType.CONFIGURATION, "127 bytes"),
        ({}, {"schema": "dbt's"}, ErrorType.CONFIGURATION, "between quotes"),
        ({"statement_timeout": "5"}, {}, ErrorType.TIMEOUT, "statement_timeout is 5"),
        (
            {"refused": {"SHOW SCHEMAS": ("42501", "permission denied for database analytics")}},
            {"datasharing": True}, ErrorType.PERMISSION, "permission denied",
        ),
        ({"refused": {"pg_namespace": ("XX000", "out of disk")}}, {}, ErrorType.QUERY, "out of disk"),
    ],
)  # fmt: skip
def test_limitations(
    probe: Probe,
    launch: Callable[..., StandIn],
    state: dict[str, Any],
    changes: dict[str, Any],
    kind: ErrorType,
    says: str,
) -> None:
    result = probe(port=launch(**state).port, **changes)
    assert (result.status, result.error_type) == (DEGRADED, kind), result.message
    assert says in result.message


@pytest.mark.parametrize(
    ("state", "changes", "says"),
    [
        (
            {"rights": frozenset({"DATABASE CREATE", "TEMP"}), "schemas": frozenset()},
            {},
            "dbt will create it",
        ),
        ({"rights": frozenset({"USAGE", "CREATE"})}, {}, "temporary tables"),
        ({"statement_timeout": "30000"}, {}, "models that take longer are broken off"),
        ({}, {"connect_timeout": 10}, "longer than 10 s fail"),
        ({"version": "PostgreSQL 18.6"}, {}, "no Redshift"),
    ],
)
def test_warnings(
    probe: Probe, launch: Callable[..., StandIn], state: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    result = probe(port=launch(**state).port, **changes)
    assert (result.status, len(result.warnings)) == (HEALTHY, 1), result
    assert says in result.warnings[0]


def test_when_a_password_ends_is_noted(probe: Probe, standin: StandIn) -> None:
    assert probe().expiries == ()
    for text in ("2031-02-03 04:05:06+00", "2031-02-03 04:05:06"):
        standin.state.password_ends = text
        [found] = probe().expiries
        assert (found.what, found.at) == (ExpiryKind.PASSWORD, 1927857906.0)
    for refused in ({"valuntil": ("42501", "permission denied for relation pg_user")}, {}):
        standin.state.refused, standin.state.password_ends = refused, "some day"
        result = probe()
        assert (result.status, result.expiries) == (HEALTHY, ())
    assert probe().server_address == "127.0.0.1"


def test_a_schema_is_found_whatever_its_case(probe: Probe) -> None:
    """Redshift folds names, quoted ones too."""
    assert probe(schema="Marts").status is HEALTHY


def test_role_and_query_group_are_set_as_dbt_sets_them(probe: Probe, standin: StandIn) -> None:
    result = probe(role="builder", query_group="dbt's")
    assert names(result)[3:5] == ["role", "query_group"]
    assert standin.state.statements[:2] == ["set role builder", "SET query_group TO 'dbt''s'"]
    standin.state.refused = {"set role": ("22023", 'role "builder" does not exist')}
    result = probe(role="builder")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)


def test_a_session_ends_in_good_order(probe: Probe, standin: StandIn) -> None:
    probe()
    ends = time.monotonic() + 30
    while standin.state.partings != ["dbt"]:
        assert time.monotonic() < ends, "the session did not end in good order"
        time.sleep(0.01)


# ---------------------------------------------------------------- TLS


def test_tls(probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path) -> None:
    port = launch(tls=tls, demands_tls=True).port
    for mode in (None, "prefer", "require", "verify-ca"):
        assert probe(port=port, sslmode=mode).status is HEALTHY, mode
    assert names(probe(port=port, sslmode=None))[:3] == ["network", "tls", "login"]
    assert probe(port=port, sslmode="verify-full", host="localhost").status is HEALTHY


def test_the_name_counts_with_verify_full_alone(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, root: Path
) -> None:
    result = probe(port=launch(tls=tls).port, sslmode="verify-full")
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, ErrorType.CONNECTION, "tls")
    assert "mismatch" in result.message


def test_roots_that_are_not_trusted(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext
) -> None:
    result = probe(port=launch(tls=tls).port, sslmode="prefer")
    assert (result.status, names(result)[-1]) == (UNHEALTHY, "tls")
    assert "certificate is refused" in result.message


def test_tls_that_the_server_refuses(probe: Probe) -> None:
    result = probe(sslmode="prefer")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert "refuses TLS" in result.message


def test_a_refusal_in_place_of_tls(probe: Probe, launch: Callable[..., StandIn]) -> None:
    said = b"SFATAL\0C53300\0Mtoo many connections\0\0"
    greeting = b"E" + (len(said) + 4).to_bytes(4, "big") + said
    result = probe(port=launch(greeting=greeting).port, sslmode="prefer")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert "too many connections" in result.message


# ---------------------------------------------------------------- the network


def test_dbts_driver_takes_the_first_address_of_version_4(probe: Probe) -> None:
    result = probe(host="::1")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert "version 4" in result.message
    assert probe(host="localhost").status is HEALTHY


def test_a_paused_cluster_is_not_told_from_an_unreachable_one_without_keys(probe: Probe) -> None:
    host = "marts.abc123.eu-west-1.redshift.amazonaws.com.invalid"
    result = probe(host=host)
    assert result.status is UNHEALTHY
    assert "whether the cluster is paused cannot be known" in result.message


def test_a_secret_is_in_no_message(probe: Probe, standin: StandIn) -> None:
    standin.state.unready = ("28000", f"what is {PASSWORD}?")
    assert PASSWORD not in probe().message
