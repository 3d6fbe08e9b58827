"""Debian's ClickHouse, which is real but of 2018, in both protocols; and today's engine behind its front.

The first proves the protocols, the second what is made of today's answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance import clickhouse_servers, environments
from conformance.clickhouse_servers import PASSWORD, Front, Profile
from conformance.clickhouse_standin import StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.clickhouse_servers import OldServer
    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.process]
HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
BOTH = pytest.mark.parametrize("driver", ["http", "native"])
GOOD = {"password": PASSWORD}


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def at(server: OldServer, driver: str, **more: Any) -> dict[str, Any]:
    port = server.native_port if driver == "native" else server.port
    return {"driver": driver, "port": port, "schema": "default", **more}


@BOTH
@pytest.mark.parametrize(
    ("changes", "password", "error_type", "last", "says"),
    [
        ({}, PASSWORD, ErrorType.CONFIGURATION, "session", "older than dbt-clickhouse"),
        ({}, "wrong", ErrorType.AUTHENTICATION, "login", "code 193"),
        ({"user": "nobody"}, PASSWORD, ErrorType.AUTHENTICATION, "login", "code 192"),
        ({"user": "reader"}, PASSWORD, ErrorType.CONFIGURATION, "session", "older than dbt-clickhouse"),
    ],
)
def test_what_a_real_server_says(
    probe: Probe,
    old: OldServer,
    driver: str,
    changes: dict[str, Any],
    password: str,
    error_type: ErrorType,
    last: str,
    says: str,
) -> None:
    result = probe(credentials={"password": password}, **at(old, driver, **changes))
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, error_type, last), result
    assert says in result.message
    assert "18.16" in str(result) or driver == "native" or last == "login"


@BOTH
def test_a_real_quota(probe: Probe, old: OldServer, driver: str) -> None:
    target = at(old, driver, user="spent")
    probe(credentials=GOOD, **target)
    result = probe(credentials=GOOD, **target)
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.PERMISSION)
    assert "code 201" in result.message


def test_a_real_servers_other_port(probe: Probe, old: OldServer) -> None:
    result = probe(credentials=GOOD, **at(old, "http", port=old.native_port))
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert f"You must use port {old.port} for HTTP" in result.message


def test_nothing_is_left_in_a_real_server(probe: Probe, old: OldServer) -> None:
    before = old.execute("SELECT groupArray(database || name) FROM system.tables WHERE database != 'system'")
    for driver in ("http", "native"):
        probe(credentials=GOOD, **at(old, driver))
        probe(credentials=GOOD, **at(old, driver, schema="fresh"))
    after = old.execute("SELECT groupArray(database || name) FROM system.tables WHERE database != 'system'")
    assert before == after
    assert old.execute("SELECT count() FROM system.databases WHERE name = 'fresh'") == "0\n"


@pytest.mark.parametrize("driver", ["http", "native"])
def test_real_tls(
    probe: Probe, old: OldServer, driver: str, monkeypatch: pytest.MonkeyPatch, unhurried: Any
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(old.authority))
    monkeypatch.setattr("certifi.where", lambda: str(old.authority))
    port = old.native_tls_port if driver == "native" else old.tls_port
    target = {"driver": driver, "port": port, "secure": True, "schema": "default", "host": "localhost"}
    result = probe(credentials=GOOD, timeout=unhurried(10.0), **target)
    assert names(result)[-1] == "session", result
    assert "tls" in names(result)


# ---------------------------------------------------------------- today's engine

CHDB = pytest.mark.gate


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[Front]:
    if reason := environments.unwanted(clickhouse_servers.CHDB):
        pytest.skip(reason)
    profile = Profile(statements=("CREATE DATABASE marts ENGINE = Atomic",))
    with Front(tmp_path_factory.mktemp("chdb"), profile) as front:
        yield front


@CHDB
@pytest.mark.parametrize(
    ("changes", "status", "error_type", "last"),
    [
        ({}, HEALTHY, None, "write"),
        ({"schema": "fresh"}, HEALTHY, None, "write"),
        ({"custom_settings": {"max_threads": 2}}, HEALTHY, None, "write"),
        ({"custom_settings": {"no_such": 2}}, UNHEALTHY, ErrorType.CONFIGURATION, "session"),
        ({"schema": "x", "database_engine": "Odd"}, UNHEALTHY, ErrorType.CONFIGURATION, "database"),
        ({"cluster": "nowhere"}, DEGRADED, ErrorType.CONFIGURATION, "cluster"),
        ({"cluster": "lame"}, DEGRADED, ErrorType.CONNECTION, "cluster"),
    ],
)
def test_todays_engine(
    probe: Probe,
    front: Front,
    unhurried: Any,
    changes: dict[str, Any],
    status: ConnectionStatus,
    error_type: ErrorType | None,
    last: str,
) -> None:
    result = probe(timeout=unhurried(30.0), credentials=GOOD, port=front.port, **changes)
    assert (result.status, result.error_type, names(result)[-1]) == (status, error_type, last), result


@CHDB
def test_the_stand_in_answers_as_the_engine_does(
    probe: Probe, front: Front, standin: StandIn, unhurried: Any
) -> None:
    """Of the same targets both make the same checks, with the same verdict."""
    for changes in ({}, {"schema": "fresh"}, {"custom_settings": {"no_such": 2}}, {"cluster": "nowhere"}):
        found = [
            probe(timeout=unhurried(30.0), credentials=GOOD, port=port, **changes)
            for port in (front.port, standin.port)
        ]
        first, second = ([(check.name, check.status) for check in result.checks] for result in found)
        assert first == second
        assert found[0].error_type is found[1].error_type
