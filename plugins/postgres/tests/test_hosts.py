"""Several hosts, and what libpq's variables want of the server behind one: by libpq's rules, as dbt goes."""

from __future__ import annotations

import select
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_postgres.hosts import read_rules
from floe_monitor_postgres.libpq import conninfo
from psycopg import pq

from floe_monitor.compute import ComputeConfigurationError, ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

PASSWORD = "correct horse' \\battery"  # as in conftest.py
HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
PRIMARY, STANDBY, CLOSED, SILENT = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(scope="module")
def copies(plain_server: Any, second_server: Callable[[Any], Any]) -> Iterator[dict[str, Any]]:
    """At the primary's port of other addresses: a standby, one that lets nobody in (as while a server starts
    up), and nothing but a listener that never answers."""
    source = ["-h", str(plain_server.directory), "-p", str(plain_server.port), "-U", "postgres"]
    found = {}
    with ExitStack() as stack:
        for address, settings in ((STANDBY, {}), (CLOSED, {"hot_standby": "off"})):
            copy = found[address] = second_server(plain_server)
            copy.settings.update(settings)
            copy.run("pg_basebackup", "-D", str(copy.data), *source, "-R", "-c", "fast", "--no-sync")
            copy.start()
            stack.callback(copy.stop)
            stack.enter_context(FaultProxy(copy.port, host=address, port=plain_server.port))
        stack.enter_context(FaultProxy(fault=Fault.HANG, host=SILENT, port=plain_server.port))
        yield found


@pytest.fixture(scope="module")
def server(plain_server: Any, copies: dict[str, Any]) -> Any:
    return plain_server


def libpqs_choice(server: Any, *hosts: str, password: str = PASSWORD) -> str | None:
    """Where libpq's own search ends, by the same variables; None where it finds no host."""
    parameters = {"host": ",".join(hosts), "user": "dbt", "dbname": "analytics", "password": password}
    # Its blocking call would hold the interpreter, and with it the proxies before the servers.
    connection = pq.PGconn.connect_start(conninfo({**parameters, "port": str(server.port)}))
    events = select.POLLOUT
    try:
        while (polled := _poll_once(connection, events)) not in {
            pq.PollingStatus.OK,
            pq.PollingStatus.FAILED,
        }:
            events = select.POLLIN if polled == pq.PollingStatus.READING else select.POLLOUT
        return connection.host.decode() if connection.status == pq.ConnStatus.OK else None
    finally:
        connection.finish()


def _poll_once(connection: Any, events: int) -> int:
    poller = select.poll()
    poller.register(connection.socket, events)
    assert poller.poll(60_000)
    return int(connection.connect_poll())


@pytest.mark.parametrize(
    ("wanted", "hosts", "ends"),
    [
        (None, (CLOSED, PRIMARY), PRIMARY),
        (None, (STANDBY, PRIMARY), STANDBY),
        (None, (CLOSED,), None),
        ("read-write", (STANDBY, PRIMARY), PRIMARY),
        ("read-write", (STANDBY,), None),
        ("read-write", (PRIMARY,), PRIMARY),
        ("primary", (STANDBY, CLOSED, PRIMARY), PRIMARY),
        ("read-only", (PRIMARY, STANDBY), STANDBY),
        ("standby", (PRIMARY, CLOSED), None),
        ("prefer-standby", (PRIMARY, STANDBY), STANDBY),
        ("prefer-standby", (PRIMARY, CLOSED), PRIMARY),
    ],
)
def test_as_libpq_itself_chooses(
    probe: Probe,
    server: Any,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str | None,
    hosts: tuple[str, ...],
    ends: str | None,
) -> None:
    if wanted is not None:
        monkeypatch.setenv("PGTARGETSESSIONATTRS", wanted)
    assert libpqs_choice(server, *hosts) == ends
    result = probe(timeout=20.0, host=",".join(hosts))
    expected = {PRIMARY: HEALTHY, STANDBY: DEGRADED, None: UNHEALTHY}[ends]
    assert result.status is expected, result
    if ends is None:
        assert result.error_type is ErrorType.CONNECTION
        assert result.checks[-1].name == ("network" if wanted or len(hosts) > 1 else "login")
    if ends == PRIMARY and hosts[0] != PRIMARY:
        assert hosts[0] in result.warnings[0]


def test_a_host_that_never_answers_the_login(probe: Probe) -> None:
    """libpq leaves it once its `connect_timeout` is over, whatever step it waits at."""
    result = probe(timeout=3.0, host=f"{SILENT},{PRIMARY}")
    assert result.status is HEALTHY, result
    assert f"{SILENT} port" in result.warnings[0]
    assert "dbt waits there for 10 s" in result.warnings[0]


@pytest.mark.parametrize(
    ("changes", "check", "kind"),
    [
        ({"password": "wrong"}, "login", ErrorType.AUTHENTICATION),
        ({"dbname": "nothing"}, "database", ErrorType.CONFIGURATION),
    ],
)
def test_a_refused_login_ends_the_search(
    probe: Probe, server: Any, changes: dict[str, Any], check: str, kind: ErrorType
) -> None:
    """As with libpq, and told by the step that it belongs to."""
    if "password" in changes:
        assert libpqs_choice(server, STANDBY, PRIMARY, **changes) is None
    result = probe(timeout=20.0, host=f"{STANDBY},{PRIMARY}", **changes)
    assert (result.status, result.error_type) == (UNHEALTHY, kind), result
    assert result.checks[-1].name == check


def test_addresses_and_tls_by_variables(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", PRIMARY)
    assert probe(host="nowhere.invalid").status is HEALTHY
    result = probe(host="nowhere.invalid,elsewhere.invalid")
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONFIGURATION)
    assert "PGHOSTADDR has 1 addresses for 2" in result.message
    monkeypatch.setenv("PGSSLMODE", "disable")
    assert "tls" not in {check.name for check in probe().checks}


def test_a_service_by_a_variable_that_is_nowhere(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "missing")
    result = probe()
    assert result.status is UNHEALTHY, result
    assert "missing" in result.message


def test_the_order_of_hosts() -> None:
    assert read_rules("a,b", {}).hosts == ("a", "b")
    found = {read_rules("a,b", {"load_balance_hosts": "random"}).hosts for _ in range(100)}
    assert found == {("a", "b"), ("b", "a")}
    rules = read_rules("a,b", {"hostaddr": "127.0.0.1,127.0.0.2", "target_session_attrs": "prefer-standby"})
    assert [rules.name_of(host) for host in rules.hosts] == ["a", "b"]
    assert rules.rounds == ("standby", "any")
    with pytest.raises(ComputeConfigurationError, match="one for each"):
        read_rules("a", {"hostaddr": "127.0.0.1,127.0.0.2"})


def test_a_kept_connection_to_a_standby_that_was_promoted(
    plugin: Any, keys: Callable[..., dict[str, Any]], copies: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of the module: there is no standby after it."""
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    fields = {**keys(host=f"{PRIMARY},{STANDBY}"), "connection_reuse": True}

    def probe() -> ConnectionResult:
        with running_until(Deadline.after(30)):
            result: ConnectionResult = plugin.validate_connection(build_config(plugin, fields))
        return result

    assert probe().status is DEGRADED
    assert "holds since" in probe().checks[0].message
    copies[STANDBY].execute("SELECT pg_promote(true, 60)")
    result = probe()
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION), result
    assert f"{STANDBY} port" in result.message
    assert "it is no standby" in result.message
