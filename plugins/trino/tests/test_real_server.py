"""Against a real Trino: what the stand-in is held to, and what only a coordinator can tell."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance import trino_server
from conformance.trino_server import PASSWORD, TrinoServer
from conformance.trino_standin import StandIn
from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType, ExpiryKind
from floe_monitor.compute.deadline import running_until
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor.credentials.resolver import Resolved
from floe_monitor.probing.invocation import validate_with
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor_trino import TrinoComputePlugin

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.gate, pytest.mark.timeout(600)]
HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


@pytest.fixture
def real(plugin: TrinoComputePlugin, keys: Callable[..., dict[str, Any]], trino: TrinoServer) -> Probe:
    def run(timeout: float = 60.0, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**{"port": trino.port, **changes}))
        with running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run


def queries(trino: TrinoServer, column: str, condition: str) -> list[Any]:
    """Of the coordinator's own record of queries."""
    rows = trino.execute(f"select {column} from system.runtime.queries where {condition}")
    return [row[0] for row in rows]


def test_all_well(real: Probe) -> None:
    result = real()
    assert (result.status, result.warnings) == (HEALTHY, []), result


def test_a_probe_writes_nothing(real: Probe, trino: TrinoServer) -> None:
    """`EXPLAIN CREATE TABLE` would: planning it makes the table in the catalog memory."""
    for schema in ("marts", "never_there"):
        assert real(schema=schema).status is HEALTHY
    assert trino.execute("show tables from memory.marts") == []
    schemas = {row[0] for row in trino.execute("show schemas from memory")}
    assert "never_there" not in schemas
    assert trino.execute("select * from system.runtime.transactions where read_only") == []


def test_a_web_token_of_ten_minutes_and_a_certificate(
    plugin: TrinoComputePlugin, keys: Callable[..., dict[str, Any]], trino: TrinoServer
) -> None:
    """As the monitor validates: of the token in the configuration the plugin need not know the end."""
    before, token, issued = time.time(), trino.token("dbt", 600), time.time()
    place = {"host": "localhost", "port": trino.tls_port, "cert": str(trino.authority)}
    config = build_config(plugin, keys(credentials={"jwt_token": token}, method="jwt", user=None, **place))
    with running_until(Deadline.after(60)):
        result = validate_with(plugin, Resolved(config, Redactor([token])), None)
    assert result.status is HEALTHY, result
    ends = {each.what: each for each in result.expiries}
    assert ends.keys() == {ExpiryKind.SERVER_CERTIFICATE, ExpiryKind.TOKEN}
    assert ends[ExpiryKind.TOKEN].of == "the token in credentials.jwt_token"
    assert before + 599 <= ends[ExpiryKind.TOKEN].at <= issued + 600, "in whole seconds"
    context = tls_context(trino.authority)
    raw = socket.create_connection(("localhost", trino.tls_port), timeout=60)
    with context.wrap_socket(raw, server_hostname="localhost") as connection:
        shown = connection.getpeercert()
    assert shown is not None
    assert ends[ExpiryKind.SERVER_CERTIFICATE].at == ssl.cert_time_to_seconds(str(shown["notAfter"]))


def test_a_right_that_explain_does_not_show(real: Probe) -> None:
    """The user may make tables anywhere, and no schema."""
    result = real(user="tables_only", schema="never_there")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION)
    assert "Cannot create schema" in result.message
    assert real(user="tables_only", schema="marts").status is HEALTHY


@pytest.mark.parametrize(
    ("changes", "status", "error_type"),
    [
        ({"user": "reader"}, DEGRADED, ErrorType.PERMISSION),
        ({"user": "stranger"}, DEGRADED, ErrorType.CONFIGURATION),
        ({"user": "no_metadata"}, DEGRADED, ErrorType.PERMISSION),
        ({"user": "no_query"}, UNHEALTHY, ErrorType.PERMISSION),
        ({"database": "nowhere"}, DEGRADED, ErrorType.CONFIGURATION),
        ({"database": "tpch", "schema": "tiny"}, DEGRADED, ErrorType.CONFIGURATION),
        ({"user": "full"}, DEGRADED, ErrorType.QUERY),
        ({"session_properties": {"no_such": 1}}, UNHEALTHY, ErrorType.CONFIGURATION),
        ({"session_properties": {"required_workers_count": 2}}, DEGRADED, ErrorType.QUERY),
        ({"roles": {"system": "builder"}}, UNHEALTHY, ErrorType.PERMISSION),
        ({"roles": {"nowhere": "builder"}}, UNHEALTHY, ErrorType.CONFIGURATION),
        ({"timezone": "Nowhere/Here"}, UNHEALTHY, ErrorType.CONFIGURATION),
    ],
)
def test_targets(
    real: Probe, changes: dict[str, Any], status: ConnectionStatus, error_type: ErrorType
) -> None:
    result = real(**changes)
    assert (result.status, result.error_type) == (status, error_type), result


def test_a_statement_that_is_given_up_is_cancelled(real: Probe, trino: TrinoServer) -> None:
    result = real(timeout=5, user="stuck")
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.TIMEOUT), result
    assert "still queued" in result.message
    until = time.monotonic() + 60
    while found := queries(trino, "query", "\"user\" = 'stuck' and state not in ('FAILED', 'FINISHED')"):
        assert time.monotonic() < until, found
        time.sleep(0.2)
    assert set(queries(trino, "error_code", "\"user\" = 'stuck'")) == {"USER_CANCELED"}


def test_every_statement_is_read_to_its_end(real: Probe, trino: TrinoServer) -> None:
    assert real(user="attentive").status is HEALTHY
    states = queries(trino, "state", "\"user\" = 'attentive'")
    assert len(states) == 6
    assert set(states) == {"FINISHED"}
    sources = set(queries(trino, "source", "\"user\" = 'attentive'"))
    assert len(sources) == 1
    assert next(iter(sources)).startswith("dbt-trino-floe-monitor-")


def test_logins(real: Probe, trino: TrinoServer) -> None:
    place = {"host": "localhost", "port": trino.tls_port, "cert": str(trino.authority)}
    certificate = {
        "method": "certificate",
        "client_certificate": str(trino.client_certificate),
        "client_private_key": str(trino.client_key),
    }
    assert real(credentials={"password": PASSWORD}, method="ldap", **place).status is HEALTHY
    assert (
        real(credentials={"jwt_token": trino.token("dbt")}, method="jwt", user=None, **place).status
        is HEALTHY
    )
    assert real(**certificate, user=None, **place).status is HEALTHY
    service = {"method": "ldap", "user": "service", "impersonation_user": "dbt"}
    assert real(credentials={"password": PASSWORD}, **service, **place).status is HEALTHY
    for refused in (
        real(credentials={"password": "wrong"}, method="ldap", **place),
        real(credentials={"jwt_token": trino.token("dbt", -60)}, method="jwt", user=None, **place),
    ):
        assert (refused.status, refused.error_type) == (UNHEALTHY, ErrorType.AUTHENTICATION)


def test_a_kept_connection(real: Probe, plugin: TrinoComputePlugin, trino: TrinoServer) -> None:
    for _ in range(3):
        assert real(connection_reuse=True).status is HEALTHY
    assert len(plugin.connections) == 1


def test_the_stand_in_answers_as_the_server_does(real: Probe, standin: StandIn) -> None:
    """Verdict, checks and their words, of the same targets."""
    for changes in (
        {},
        {"schema": "gone"},
        {"database": "nowhere"},
        {"database": "tpch", "schema": "tiny"},
        {"session_properties": {"required_workers_count": 2}},
    ):
        standin.state.required_workers = 2 if "session_properties" in changes else 1
        theirs, ours = real(**changes), real(**{"port": standin.port, **changes})
        assert (ours.status, ours.error_type, ours.message) == (
            theirs.status,
            theirs.error_type,
            theirs.message,
        )
        assert [check.name for check in ours.checks] == [check.name for check in theirs.checks]
        assert ours.warnings == theirs.warnings


def test_a_coordinator_that_starts(
    plugin: TrinoComputePlugin,
    keys: Callable[..., dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    starts_processes: None,
    trino: TrinoServer,
) -> None:
    """First nobody listens, then it says that it starts, then it serves: in that order and no other."""
    server = trino_server.TrinoServer(tmp_path_factory.mktemp("starting"))
    config = build_config(plugin, keys(port=server.port, schema="default"))
    seen: list[tuple[ConnectionStatus, str]] = []
    server.launch()
    try:
        until = time.monotonic() + 240
        while not seen or seen[-1][0] is not HEALTHY:
            assert time.monotonic() < until, seen
            with running_until(Deadline.after(60)):
                result = plugin.validate_connection(config)
            if not seen or seen[-1][0] is not result.status:
                seen.append((result.status, result.message))
            time.sleep(0.05)
    finally:
        server.stop()
    assert [status for status, _ in seen] == [UNHEALTHY, DEGRADED, HEALTHY], seen
    assert seen[1][1] == "the coordinator is starting"
