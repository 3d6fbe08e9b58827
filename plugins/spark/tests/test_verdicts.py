"""What each state of a server is called, told by the stand-in."""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_spark.connect import system_user
from floe_monitor_spark.errors import summary

from floe_monitor.compute import ConnectionStatus, EngineState, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def test_all_well(probe: Probe, standin: Any) -> None:
    result = probe(server_side_parameters={"spark.sql.shuffle.partitions": "8"})
    assert (result.status, result.warnings) == (HEALTHY, [])
    assert names(result) == ["network", "login", "session", "query", "schema", "create"]
    assert standin.seen.statements == [
        "USE `default`",
        "select 1 as id",
        "DESCRIBE SCHEMA marts",
        "EXPLAIN CREATE OR REPLACE VIEW marts.floe_monitor_probe AS SELECT 1 AS id",
    ]
    # As dbt-spark opens its sessions.
    parameters = {"spark.sql.shuffle.partitions": "8", "spark.sql.ansi.enabled": "false"}
    assert standin.seen.sessions == [("dbt", parameters)]
    assert standin.seen.logins == ["dbt"]


def test_without_a_login(probe: Probe, launch: Callable[..., Any]) -> None:
    result = probe(port=launch(auth="NOSASL").port, auth="NOSASL")
    assert result.status is HEALTHY
    assert names(result) == ["network", "session", "query", "schema", "create"]


def test_tls_is_a_check_of_its_own(probe: Probe, launch: Callable[..., Any], tls: Any) -> None:
    result = probe(port=launch(tls=tls).port, use_ssl=True)
    assert result.status is HEALTHY, result
    assert names(result)[:3] == ["network", "tls", "login"]


def test_no_tls_where_some_is_expected(probe: Probe) -> None:
    result = probe(use_ssl=True)
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONNECTION, "tls")


def test_a_wrong_password(probe: Probe, launch: Callable[..., Any]) -> None:
    server = launch(auth="LDAP", password="correct horse")
    assert probe(password="correct horse", port=server.port, auth="LDAP").status is HEALTHY
    result = probe(password="wrong battery", port=server.port, auth="LDAP")
    assert (result.error_type, names(result)[-1]) == (ErrorType.AUTHENTICATION, "login")
    assert result.message == "the server refused the login: Error validating the login"


def test_a_login_the_server_does_not_expect(probe: Probe, launch: Callable[..., Any]) -> None:
    result = probe(timeout=0.5, port=launch(auth="NOSASL").port)
    # Spark waits for the rest of what it takes for a message; the stand-in hangs up.
    assert result.error_type in {ErrorType.TIMEOUT, ErrorType.CONNECTION}
    assert names(result)[-1] == "login"
    assert "NOSASL" in result.message


def test_no_login_where_one_is_expected(probe: Probe) -> None:
    result = probe(auth="NOSASL")
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONNECTION, "session")
    assert "wants a login" in result.message


def test_a_missing_schema_can_be_made(probe: Probe, standin: Any, lab: Any) -> None:
    standin.answers.given["DESCRIBE"] = lab.MISSING
    result = probe(schema="gone")
    assert result.status is HEALTHY
    assert result.warnings == ["schema 'gone' does not exist yet; dbt will create it"]
    assert standin.seen.statements[-1] == "EXPLAIN CREATE SCHEMA IF NOT EXISTS gone"


@pytest.mark.parametrize("there", [True, False])
def test_no_right_to_create(probe: Probe, standin: Any, lab: Any, there: bool) -> None:
    standin.answers.given["EXPLAIN"] = lab.DENIED
    if not there:
        standin.answers.given["DESCRIBE"] = lab.MISSING
    result = probe()
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION)
    assert result.message == lab.DENIED[1]


@pytest.mark.parametrize(
    ("words", "sqlstate", "kind", "check", "status"),
    [
        ("USE", "42501", ErrorType.PERMISSION, "session", UNHEALTHY),
        ("select", "42501", ErrorType.PERMISSION, "query", UNHEALTHY),
        ("select", "HYT00", ErrorType.TIMEOUT, "query", UNHEALTHY),
        ("select", "XX000", ErrorType.QUERY, "query", UNHEALTHY),
        ("select", None, ErrorType.QUERY, "query", UNHEALTHY),
        ("select", "08001", ErrorType.CONNECTION, "query", UNHEALTHY),
        ("DESCRIBE", "42602", ErrorType.CONFIGURATION, "schema", DEGRADED),
        ("DESCRIBE", "28000", ErrorType.AUTHENTICATION, "schema", DEGRADED),
    ],
)
def test_errors_by_their_sqlstate(
    probe: Probe, standin: Any, words: str, sqlstate: str | None, kind: ErrorType, check: str, status: Any
) -> None:
    standin.answers.given[words] = (sqlstate, "[SOME_CONDITION.OF_IT] Why it is so.", "a.b.SomeException")
    result = probe()
    assert (result.status, result.error_type, names(result)[-1]) == (status, kind, check)
    assert result.message.startswith("[SOME_CONDITION.OF_IT] Why it is so.")
    assert "scala" not in result.message


@pytest.mark.parametrize(
    ("state", "kind"), [(3, ErrorType.QUERY), (4, ErrorType.QUERY), (8, ErrorType.TIMEOUT)]
)
def test_a_statement_that_ends_otherwise(probe: Probe, standin: Any, state: int, kind: ErrorType) -> None:
    standin.answers.given["select"] = state
    result = probe()
    assert (result.error_type, names(result)[-1]) == (kind, "query")


def test_a_wrong_answer_is_no_health(probe: Probe, standin: Any) -> None:
    standin.answers.given["select"] = [[2]]
    assert probe().status is UNHEALTHY


def test_no_session(probe: Probe, standin: Any) -> None:
    standin.answers.refuse_sessions = ("08004", "too many sessions", "a.b.C")
    result = probe()
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONNECTION, "session")


def test_a_process_without_a_user(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a pod under a user id that /etc/passwd does not know: dbt's driver fails there too."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_000)
    system_user.cache_clear()
    result = probe(user=None)
    assert (result.error_type, names(result)) == (ErrorType.CONFIGURATION, ["network"])
    assert "USER" in result.message
    monkeypatch.setenv("USER", "somebody")
    assert probe(user=None).status is HEALTHY
    system_user.cache_clear()


def test_another_version_of_the_protocol(probe: Probe, standin: Any) -> None:
    standin.answers.protocol = 3
    result = probe()
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONFIGURATION, "session")


# ------------------------------------------------------------ over HTTPS


def test_a_cluster(validate: Probe, databricks: Any, http_keys: Any) -> None:
    server = databricks()
    result = validate(http_keys(server.port))
    assert (result.status, result.warnings) == (HEALTHY, []), result
    assert names(result) == ["network", "tls", "cluster", "session", "query", "schema", "create"]
    paths = [path for _, path in server.seen.requests]
    assert paths[0] == "/api/2.0/clusters/get?cluster_id=0123-456789-abcdefgh"
    assert set(paths[1:]) == {"/sql/protocolv1/o/0/0123-456789-abcdefgh"}


def test_a_server_that_closes_each_connection(validate: Probe, databricks: Any, http_keys: Any) -> None:
    assert validate(http_keys(databricks(close_each=True).port)).status is HEALTHY


@pytest.mark.parametrize(
    ("state", "status", "kind"),
    [
        ("TERMINATED", HEALTHY, None),
        ("TERMINATING", HEALTHY, None),
        ("PENDING", DEGRADED, None),
        ("RESTARTING", DEGRADED, None),
        ("ERROR", UNHEALTHY, ErrorType.CONNECTION),
    ],
)
def test_a_cluster_is_not_woken(
    validate: Probe, databricks: Any, http_keys: Any, state: str, status: Any, kind: Any
) -> None:
    server = databricks(state)
    result = validate(http_keys(server.port))
    last = "asleep" if status is HEALTHY else "cluster"
    assert (result.status, result.error_type, names(result)[-1]) == (status, kind, last)
    assert state in result.message
    assert ("waits for it, minutes as a rule" in result.message) is (status is HEALTHY)
    assert len(server.seen.requests) == 1
    assert server.seen.sessions == []
    states = {HEALTHY: [EngineState.SUSPENDED], DEGRADED: [EngineState.STARTING], UNHEALTHY: []}
    assert [each.state for each in result.engine_states] == states[status]


def test_a_cluster_may_be_woken(validate: Probe, databricks: Any, http_keys: Any) -> None:
    result = validate(http_keys(databricks("TERMINATED").port, wake_cluster=True))
    assert result.status is HEALTHY
    states = [each.state for each in result.engine_states]
    assert states == [EngineState.SUSPENDED, EngineState.STARTING, EngineState.RUNNING]


@pytest.mark.parametrize(
    ("status", "body", "expected", "kind"),
    [
        (403, {"error_code": "PERMISSION_DENIED"}, DEGRADED, ErrorType.PERMISSION),
        (400, {"error_code": "INVALID_PARAMETER_VALUE"}, UNHEALTHY, ErrorType.CONFIGURATION),
        (401, b"", UNHEALTHY, ErrorType.AUTHENTICATION),
        (403, b"", UNHEALTHY, ErrorType.PERMISSION),
        (407, b"", UNHEALTHY, ErrorType.CONFIGURATION),
        (429, b"", UNHEALTHY, ErrorType.CONNECTION),
        (503, b"<html>", UNHEALTHY, ErrorType.CONNECTION),
        (404, b"no such thing", HEALTHY, None),
        (200, b"not JSON", HEALTHY, None),
        (200, [], HEALTHY, None),
        (200, {"state": ["RUNNING"]}, HEALTHY, None),
    ],
)
def test_answers_about_a_cluster(
    validate: Probe, databricks: Any, http_keys: Any, status: int, body: Any, expected: Any, kind: Any
) -> None:
    server = databricks(api={"/api/2.0/clusters/get": (status, body)})
    result = validate(http_keys(server.port))
    assert (result.status, result.error_type) == (expected, kind), result


@pytest.mark.parametrize(
    ("status", "kind"),
    [(301, ErrorType.CONFIGURATION), (404, ErrorType.CONFIGURATION), (503, ErrorType.CONNECTION)],
)
def test_http_answers_to_a_session(
    validate: Probe, databricks: Any, http_keys: Any, status: int, kind: ErrorType
) -> None:
    result = validate(http_keys(databricks(api={"/sql/": (status, b"")}).port))
    assert (result.error_type, names(result)[-1]) == (kind, "session")
    assert str(status) in result.message


def test_a_wrong_token(validate: Probe, databricks: Any, http_keys: Any) -> None:
    result = validate(http_keys(databricks().port, "dapi-wrong-0123456789"))
    assert (result.error_type, names(result)[-1]) == (ErrorType.AUTHENTICATION, "session")


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"\x80\x01\x00\x02\x7f\xff\xff\xff", b"\x00" * 50]
)
def test_an_answer_that_is_no_thrift(validate: Probe, databricks: Any, http_keys: Any, body: bytes) -> None:
    result = validate(http_keys(databricks(api={"/sql/": (200, body)}).port))
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONFIGURATION, "session"), result


def test_a_certificate_that_does_not_hold(
    validate: Probe, databricks: Any, http_keys: Any, monkeypatch: Any
) -> None:
    server = databricks()
    result = validate(http_keys(server.port, host="127.0.0.1"))
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONNECTION, "tls")
    monkeypatch.delenv("SSL_CERT_FILE")
    result = validate(http_keys(server.port))
    assert "certificate" in result.message


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 200 Connected\r\n\r\n", None),
        (b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", ErrorType.CONFIGURATION),
        (b"HTTP/1.1 502 Not there\r\n\r\n", ErrorType.CONNECTION),
        (b"hello\r\n\r\n", ErrorType.CONFIGURATION),
        (b"", ErrorType.CONNECTION),
    ],
)
def test_through_a_proxy(
    validate: Probe, databricks: Any, http_keys: Any, monkeypatch: Any, answer: bytes, kind: Any
) -> None:
    server, asked = databricks(), []
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")

    def serve() -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", server.port)) as behind:
            asked.append(client.recv(4096))
            client.sendall(answer)
            if b" 200 " not in answer:
                return
            while ready := select.select([client, behind], [], [], 5)[0]:
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (behind if end is client else client).sendall(data)

    thread = threading.Thread(target=serve, name="proxy")
    thread.start()
    result = validate(http_keys(server.port))
    thread.join(5)
    listener.close()
    assert result.error_type is kind, result
    assert result.status is (HEALTHY if kind is None else UNHEALTHY)
    assert asked[0].startswith(f"CONNECT localhost:{server.port} HTTP/1.1\r\n".encode())
    assert b"Basic bWU6cEBzcw==\r\n" in asked[0]
    assert "p@ss" not in str(result)
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert validate(http_keys(server.port)).status is HEALTHY


# ------------------------------------------------------------ parts


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", ("no message", None)),
        ("Error running query: plain\n\tat a.b(C.java)", ("plain", None)),
        ("java.lang.RuntimeException: [A] x.Y.ZException: [A] it is. More.\nHint", ("[A] it is. More.", "A")),
        ("org.a.BError: it happened", ("it happened", None)),
    ],
)
def test_messages_lose_their_wrappings(message: str, expected: tuple[str, str | None]) -> None:
    assert summary(message) == expected
