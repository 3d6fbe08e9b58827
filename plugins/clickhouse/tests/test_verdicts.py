"""What a probe makes of a server's answers, in both protocols: the stand-in's, in the real engine's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_clickhouse.errors import ServerError, classify, coded_error

from conformance.clickhouse_answers import DENIED, NO_CLUSTER, PASSWORD, SYNTAX
from conformance.clickhouse_standin import StandIn
from floe_monitor.compute import ConnectionStatus, ErrorType

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
ALL = ["network", "login", "session", "database", "write"]
BOTH = pytest.mark.parametrize("driver", ["http", "native"])
READS = re.compile(r"SELECT |EXISTS |CHECK GRANT ")
SETTINGS = {
    "mutations_sync": "3", "lightweight_deletes_sync": "3", "alter_sync": "3", "insert_distributed_sync": "1",
}  # fmt: skip
NAMES = [*SETTINGS, "max_threads", "readonly", "allow_ddl"]


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def messages(result: ConnectionResult) -> str:
    return " ".join([result.message, *result.warnings])


@BOTH
def test_all_well(probe: Probe, standin: StandIn, driver: str) -> None:
    result = probe(driver=driver, custom_settings={"max_threads": 2})
    assert (result.status, result.warnings, names(result)) == (HEALTHY, [], ALL)
    asked = [sql for sql in standin.state.statements if not sql.startswith("SELECT version()")]
    assert asked == [
        f"SELECT name, value, readonly FROM system.settings WHERE name IN ({', '.join(map(repr, NAMES))})",
        "SELECT 1",
        "EXISTS DATABASE `marts`",
        "SELECT engine FROM system.databases WHERE name = 'marts'",
        "CHECK GRANT CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, INSERT, SELECT ON `marts`.*",
    ]
    used = dict(zip(standin.state.statements, standin.state.settings, strict=True))
    assert used["SELECT 1"] == {**SETTINGS, "max_threads": "2"}
    assert standin.state.connections == 1


@BOTH
@pytest.mark.parametrize(
    ("state", "target"),
    [
        ({}, {}),
        ({}, {"schema": "fresh", "database_engine": "Atomic"}),
        ({}, {"cluster": "main"}),
        ({}, {"cluster": "main", "schema": "fresh", "cluster_mode": True}),
        ({"readonly": "2"}, {}),
        ({"denied": frozenset({"INSERT", "CREATE DATABASE"})}, {}),
        ({"denied": frozenset({"INSERT", "CREATE DATABASE"})}, {"schema": "fresh"}),
    ],
)
def test_nothing_is_written_whatever_is_found(
    probe: Probe, launch: Callable[..., StandIn], driver: str, state: dict[str, Any], target: dict[str, Any]
) -> None:
    standin = launch(**state)
    port = standin.native_port if driver == "native" else standin.port
    probe(driver=driver, port=port, **target)
    assert len(standin.state.statements) >= 3
    assert [sql for sql in standin.state.statements if not READS.match(sql)] == []


@BOTH
@pytest.mark.parametrize(
    ("state", "target", "status", "error_type", "last", "says"),
    [
        ({"readonly": "1"}, {}, UNHEALTHY, ErrorType.PERMISSION, "session", "readonly"),
        ({"readonly": "2"}, {}, DEGRADED, ErrorType.PERMISSION, "write", "readonly = 2"),
        ({"readonly": "2"}, {"schema": "fresh"}, UNHEALTHY, ErrorType.PERMISSION, "database", "readonly = 2"),
        ({"allow_ddl": "0"}, {}, DEGRADED, ErrorType.PERMISSION, "write", "allow_ddl"),
        ({"constant": {"mutations_sync": "1"}}, {}, UNHEALTHY, ErrorType.PERMISSION, "session", "mutations_"),
        ({}, {"schema": "fresh"}, HEALTHY, None, "write", "dbt creates it"),
        (
            {"denied": frozenset({"CREATE DATABASE"})}, {"schema": "fresh"}, UNHEALTHY, ErrorType.PERMISSION,
            "database", "CREATE DATABASE",
        ),
        (
            {}, {"schema": "fresh", "database_engine": "Odd('x')"}, UNHEALTHY, ErrorType.CONFIGURATION,
            "database", "no engine Odd",
        ),
        (
            {"denied": frozenset({"DROP VIEW", "INSERT"})}, {}, DEGRADED, ErrorType.PERMISSION, "write",
            "DROP VIEW, INSERT",
        ),
        ({"databases": {"marts": "Ordinary"}}, {}, HEALTHY, None, "write", "Ordinary"),
        ({"databases": {"marts": "MySQL"}}, {}, DEGRADED, ErrorType.CONFIGURATION, "write", "MySQL"),
        ({}, {"cluster": "gone"}, DEGRADED, ErrorType.CONFIGURATION, "cluster", "gone"),
        (
            {}, {"cluster": "gone", "schema": "fresh"}, UNHEALTHY, ErrorType.CONFIGURATION, "cluster", "gone",
        ),
        (
            {"denied": frozenset({"CLUSTER"})}, {"cluster": "main"}, DEGRADED, ErrorType.PERMISSION,
            "cluster", "CLUSTER",
        ),
        ({"refused": {"CHECK": SYNTAX}}, {}, HEALTHY, None, "write", "not shown"),
        ({"refused": {"CHECK": SYNTAX}}, {"schema": "fresh"}, HEALTHY, None, "write", "not shown"),
        ({"refused": {"EXISTS": SYNTAX}}, {}, UNHEALTHY, ErrorType.CONFIGURATION, "database", "older"),
        ({"refused": {"EXISTS": DENIED}}, {}, UNHEALTHY, ErrorType.PERMISSION, "database", "privileges"),
        (
            {"refused": {"clusterAll": NO_CLUSTER}}, {"cluster": "main"}, DEGRADED, ErrorType.CONFIGURATION,
            "write", "not found",
        ),
        (
            {"refused": {"clusterAll": (519, "All attempts failed. (NO_REMOTE_SHARD_AVAILABLE)")}},
            {"cluster": "main"}, DEGRADED, ErrorType.CONNECTION, "cluster", "All attempts",
        ),
        (
            {"refused": {"zookeeper": (60, "Unknown table. (UNKNOWN_TABLE)")}}, {"cluster": "main"}, DEGRADED,
            ErrorType.CONFIGURATION, "cluster", "no Keeper",
        ),
        (
            {"refused": {"zookeeper": (999, "Session expired. (KEEPER_EXCEPTION)")}}, {"cluster": "main"},
            DEGRADED, ErrorType.CONNECTION, "cluster", "expired",
        ),
        ({"refused": {"zookeeper": DENIED}}, {"cluster": "main"}, HEALTHY, None, "write", "not shown"),
        (
            {"refused": {"zookeeper": (999, "x")}}, {"cluster": "main", "database_engine": "Replicated"},
            HEALTHY, None, "write", "",
        ),
        ({"refused": {"SELECT 1": (202, "Too many")}}, {}, DEGRADED, ErrorType.QUERY, "session", "at once"),
        ({"refused": {"SELECT 1": (241, "limit")}}, {}, DEGRADED, ErrorType.QUERY, "session", "no memory"),
        ({"refused": {"SELECT 1": (201, "Quota")}}, {}, UNHEALTHY, ErrorType.PERMISSION, "session", "Quota"),
        ({"refused": {"SELECT 1": (159, "Late")}}, {}, UNHEALTHY, ErrorType.TIMEOUT, "session", "Late"),
        ({"refused": {"SELECT 1": (9999, "New")}}, {}, UNHEALTHY, ErrorType.QUERY, "session", "code 9999"),
        ({"users": {"dbt": "else"}}, {}, UNHEALTHY, ErrorType.AUTHENTICATION, "login", "Authentication"),
    ],
)  # fmt: skip
def test_what_the_server_says(
    probe: Probe,
    launch: Callable[..., StandIn],
    driver: str,
    state: dict[str, Any],
    target: dict[str, Any],
    status: ConnectionStatus,
    error_type: ErrorType | None,
    last: str,
    says: str,
) -> None:
    standin = launch(**state)
    port = standin.native_port if driver == "native" else standin.port
    result = probe(driver=driver, port=port, **target)
    found = [check.name for check in result.checks if check.status is not HEALTHY] or names(result)
    wanted = "cluster" if last == "write" and "clusterAll" in str(state) else last
    assert (result.status, result.error_type, found[-1]) == (status, error_type, wanted), result
    assert says in messages(result)
    assert PASSWORD not in messages(result)


def test_an_unknown_setting_is_refused_over_http_and_passed_over_in_the_native_protocol(
    probe: Probe,
) -> None:
    """As by real servers, where a driver does not call its settings important."""
    target = {"custom_settings": {"odd": 1, "max_threads": 2}}
    result = probe(driver="http", **target)
    assert (result.status, result.error_type, names(result)[-1]) == (
        UNHEALTHY,
        ErrorType.CONFIGURATION,
        "session",
    )
    assert "odd" in result.message
    result = probe(driver="native", **target)
    assert (result.status, names(result)) == (HEALTHY, ALL)
    assert result.warnings == ["the server passes over settings that it does not know: odd"]


@pytest.mark.parametrize(
    ("status", "page", "verdict", "error_type"),
    [
        (503, b"", DEGRADED, ErrorType.CONNECTION),
        (429, b"slow down", DEGRADED, ErrorType.CONNECTION),
        (502, b"<html>bad gateway</html>", UNHEALTHY, ErrorType.CONNECTION),
        (504, b"", UNHEALTHY, ErrorType.TIMEOUT),
        (403, b"forbidden", UNHEALTHY, ErrorType.PERMISSION),
        (404, b"", UNHEALTHY, ErrorType.CONFIGURATION),
        (200, b"<html>welcome</html>", UNHEALTHY, ErrorType.CONFIGURATION),
        (200, b'{"data": 1}', UNHEALTHY, ErrorType.CONFIGURATION),
        (500, b"Code: 241. DB::Exception: full", DEGRADED, ErrorType.QUERY),
        (500, b"Code: 999, e.displayText() = Coordination::Exception: x", UNHEALTHY, ErrorType.CONNECTION),
    ],
)
def test_what_stands_before_the_server(
    probe: Probe,
    launch: Callable[..., StandIn],
    status: int,
    page: bytes,
    verdict: ConnectionStatus,
    error_type: ErrorType,
) -> None:
    result = probe(port=launch(status=status, page=page).port)
    assert (result.status, result.error_type, names(result)) == (verdict, error_type, ["network", "login"])
    assert "html" not in result.message


@pytest.mark.parametrize(
    ("text", "code", "number", "message"),
    [
        ("Code: 516. DB::Exception: dbt: no.", "516", 516, "dbt: no. (code 516)"),
        ("Code: 516. DB::Exception: dbt: no.", None, 516, "dbt: no. (code 516)"),
        (
            "Code: 193, e.displayText() = DB::Exception: Wrong password, e.what() = DB::Exception", None, 193,
            "Wrong password (code 193)",
        ),
        ("Code: 1. DB::Exception: x. Stack trace:\n0. main", None, 1, "x. (code 1)"),
        ("another page", "60", 60, "another page (code 60)"),
    ],
)  # fmt: skip
def test_errors_in_http(text: str, code: str | None, number: int, message: str) -> None:
    found = coded_error(text, code)
    assert found is not None
    assert (found.code, str(found)) == (number, message)


def test_what_is_no_error_of_clickhouse() -> None:
    assert coded_error("Bad Gateway", None) is None
    assert coded_error("Bad Gateway", "not a number") is None


def test_an_unknown_error_says_its_class() -> None:
    assert classify(ZeroDivisionError("x")).message == "ZeroDivisionError: x"
    assert classify(ServerError(1, "x" * 5000)).message.endswith("x (code 1)")
    assert len(classify(ServerError(1, "x" * 5000)).message) < 600


@BOTH
def test_a_port_of_the_other_protocol(probe: Probe, standin: StandIn, driver: str) -> None:
    """An HTTP port says nothing to a Hello, and a native one ends a conversation in HTTP."""
    if driver == "native":
        for timeout in (0.5, 2.0, 8.0):  # one that a busy machine needs to get there at all
            result = probe(timeout=timeout, driver="native", port=standin.port)
            if names(result)[-1] == "login":
                break
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)
        assert "which an HTTP port never sends" in result.message
    else:
        assert probe(port=standin.native_port).status is UNHEALTHY


def test_a_name_in_letters_of_its_own(
    probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header has it as name services do."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{standin.port}")
    assert probe(host="lager.münchen.example").status is HEALTHY
    assert {each["host"] for each in standin.state.headers} == {
        f"lager.xn--mnchen-3ya.example:{standin.port}"
    }


@pytest.mark.parametrize("ends", [False, True])
def test_a_connection_that_ends_with_each_answer_is_made_anew(
    probe: Probe, launch: Callable[..., StandIn], ends: bool
) -> None:
    standin = launch(closes=ends)
    assert probe(port=standin.port).status is HEALTHY
    assert standin.state.connections == (len(standin.state.statements) if ends else 1)


@BOTH
@pytest.mark.parametrize(
    ("changes", "status", "last"),
    [
        ({}, HEALTHY, "write"),
        ({"host": "127.0.0.1", "server_host_name": "localhost"}, HEALTHY, "write"),
        ({"server_host_name": "other.example"}, UNHEALTHY, "tls"),
        ({"server_host_name": "other.example", "verify": False}, HEALTHY, "write"),
    ],
)
@pytest.mark.usefixtures("trusted")
def test_tls(
    probe: Probe,
    launch: Callable[..., StandIn],
    tls: ssl.SSLContext,
    driver: str,
    changes: dict[str, Any],
    status: ConnectionStatus,
    last: str,
) -> None:
    standin = launch(tls=tls)
    port = standin.native_port if driver == "native" else standin.port
    result = probe(**{"driver": driver, "port": port, "host": "localhost", "secure": True, **changes})
    assert (result.status, names(result)[-1]) == (status, last), result
    assert bool(result.warnings) is (changes.get("verify") is False)
    if driver == "http" and status is HEALTHY:
        wanted = changes.get("server_host_name", f"localhost:{port}")
        assert {each["host"] for each in standin.state.headers} == {wanted}


@BOTH
def test_roots_of_others_are_not_trusted(
    probe: Probe, launch: Callable[..., StandIn], tls: ssl.SSLContext, driver: str
) -> None:
    standin = launch(tls=tls)
    port = standin.native_port if driver == "native" else standin.port
    result = probe(driver=driver, port=port, host="localhost", secure=True)
    assert (result.status, result.error_type, names(result)[-1]) == (UNHEALTHY, ErrorType.CONNECTION, "tls")
    assert "certificate" in result.message


@pytest.mark.usefixtures("trusted")
def test_a_clients_certificate_stands_for_the_password(
    probe: Probe,
    launch: Callable[..., StandIn],
    tls: ssl.SSLContext,
    authority: Any,
    client_files: Callable[..., tuple[str, str]],
    tmp_path: Path,
) -> None:
    """Over HTTP, as dbt's driver does it; the server has to ask for one."""
    authority.configure_trust(tls)
    tls.verify_mode = 2  # type: ignore[assignment]  # ssl.CERT_REQUIRED, which is not imported here
    certificate, key = client_files()
    standin = launch(tls=tls)
    files = {"client_cert": certificate, "client_cert_key": key}
    target = {"port": standin.port, "host": "localhost", "secure": True}
    result = probe(credentials={}, **target, **files)
    assert result.status is HEALTHY, result
    assert {each["x-clickhouse-user"] for each in standin.state.headers} == {"dbt"}
    assert not any("authorization" in each for each in standin.state.headers)
    assert probe(credentials={}, **target).status is UNHEALTHY
    missing = probe(credentials={}, **target, client_cert=str(tmp_path / "gone.pem"))
    assert (missing.error_type, names(missing)) == (ErrorType.CONFIGURATION, ["network"])
    swapped = probe(credentials={}, **target, client_cert=certificate, client_cert_key=certificate)
    assert "no PEM of both" in swapped.message
