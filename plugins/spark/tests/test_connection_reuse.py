"""Kept sessions: proved, replaced, and let go. Against the stand-in; the real server has its own tests."""

from __future__ import annotations

import resource
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType, MonitorResourceError
from floe_monitor.compute.deadline import running_until
from floe_monitor.compute.toolkit.connection_cache import HOLDS
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
WAYS = ["SASL", "NOSASL", "TLS", "HTTPS"]


@pytest.fixture
def way() -> str:
    return "SASL"


@pytest.fixture
def server(way: str, serve: Callable[..., Any]) -> Any:
    return serve(way)


@pytest.fixture
def again(
    plugin: Any, way: str, server: Any, keys_of: Callable[..., dict[str, Any]], within: Any
) -> Iterator[Callable[..., ConnectionResult]]:
    """One more validation of a target that keeps its session; `settings` go beside `connection`."""

    def run(
        timeout: float = 5.0, port: int = 0, settings: dict[str, Any] | None = None, **changes: Any
    ) -> ConnectionResult:
        fields = keys_of(way, port or server.port, **changes)
        config = build_config(plugin, {**fields, "connection_reuse": True, **(settings or {})})
        with within(timeout), running_until(Deadline.after(timeout)):
            result: ConnectionResult = plugin.validate_connection(config)
        return result

    yield run
    plugin.shutdown()


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


@pytest.mark.parametrize("way", WAYS)
def test_one_session_serves_many_and_ends_with_the_plugin(again: Any, plugin: Any, server: Any) -> None:
    first = again()
    assert (first.status, first.checks[0].message) == (HEALTHY, "")
    logins = len(server.seen.logins)
    for _ in range(3):
        result = again()
        assert result.status is HEALTHY
        assert names(result) == names(first)
        assert {check.name for check in result.checks if check.message == HOLDS} == {
            *{"network", "tls", "login", "session"} & set(names(first))
        }
    assert (len(server.seen.sessions), server.sessions, len(server.seen.logins)) == (1, 1, logins)
    # Nothing piles up on the server, and each probe puts the session in order first.
    assert server.seen.operations == 0
    assert server.seen.statements[-4:] == server.seen.statements[:4]
    plugin.shutdown()
    settled(lambda: (server.sessions, server.seen.closed) == (0, 1))


def test_one_that_is_not_asked_to_keeps_nothing(again: Any, server: Any) -> None:
    again(settings={"connection_reuse": False})
    again(settings={"connection_reuse": False})
    assert (len(server.seen.sessions), server.sessions) == (2, 0)


@pytest.mark.parametrize("way", WAYS)
def test_a_forgotten_session_is_replaced_within_the_probe(again: Any, server: Any) -> None:
    """The server was restarted, or the session idled too long: its handle means nothing any more."""
    again()
    server.forget_sessions()
    result = again()
    assert (result.status, result.checks[0].message) == (HEALTHY, "")
    assert len(server.seen.sessions) == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_closed_connection_is_replaced_within_the_probe(again: Any, server: Any, way: str) -> None:
    again()
    server.disconnect()
    if way != "HTTPS":
        settled(lambda: server.sessions == 0)
    assert again().status is HEALTHY
    # Over HTTP a session is not bound to a connection: it goes on over a new one.
    assert len(server.seen.sessions) == (1 if way == "HTTPS" else 2)
    assert server.sessions == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_reset_connection_is_replaced_within_the_probe(again: Any, server: Any) -> None:
    with FaultProxy(server.port) as proxy:
        again(port=proxy.port)
        proxy.set(Fault.RESET)
        proxy.set(Fault.PASS)
        assert again(port=proxy.port).status is HEALTHY
        settled(lambda: server.sessions == 1)  # as soon as it has noticed the reset


@pytest.mark.parametrize("way", ["SASL", "HTTPS"])
def test_a_frozen_session_is_replaced_within_the_probe(again: Any, server: Any, unhurried: Any) -> None:
    with FaultProxy(server.port) as proxy:
        again(port=proxy.port)
        # What is open has had its bytes, and freezes until another connection is tried.
        proxy.set(Fault.HANG_AFTER, after=0)
        before = proxy.accepted
        with once(lambda: proxy.accepted > before, lambda: proxy.set(Fault.PASS)):
            result = again(timeout=unhurried(1.5), port=proxy.port)
        assert (result.status, result.checks[0].message) == (HEALTHY, ""), result
        proxy.set(Fault.FREEZE)
        result = again(timeout=0.6, port=proxy.port)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)


def test_a_statement_that_hangs_takes_its_session_along(again: Any, server: Any, lab: Any) -> None:
    server.answers.given["DESCRIBE"] = lab.STALL
    first, second = again(timeout=1.5), again(timeout=1.5)
    # Where the deadline falls while the server is asked how far it is, it is the server that is silent.
    assert {first.status, second.status} <= {DEGRADED, UNHEALTHY}
    assert len(server.seen.sessions) == 2
    settled(lambda: server.sessions == 0)


def test_a_verdict_short_of_healthy_is_no_reason_for_a_new_one(again: Any, server: Any, lab: Any) -> None:
    server.answers.given["EXPLAIN"] = lab.DENIED
    for _ in range(3):
        assert again().error_type is ErrorType.PERMISSION
    assert len(server.seen.sessions) == 1


@pytest.mark.parametrize("way", ["SASL", "HTTPS"])
def test_the_limit_of_bytes_counts_for_one_probe(again: Any, server: Any) -> None:
    server.answers.given["DESCRIBE"] = ("42704", "[SCHEMA_NOT_FOUND] " + "x" * 3_000_000, "a.B")
    for _ in range(4):
        assert again().status is HEALTHY
    assert len(server.seen.sessions) == 1
    server.answers.given["DESCRIBE"] = ("42704", "x" * 9_000_000, "a.B")
    assert "longer than" in again().message
    settled(lambda: server.sessions == 0)


@pytest.mark.parametrize("way", ["SASL", "HTTPS"])
def test_never_idle_past_its_limit_nor_older_than_allowed(again: Any, server: Any) -> None:
    again(settings={"connection_idle_seconds": 0.3})
    assert server.sessions == 1
    settled(lambda: server.sessions == 0)
    again(settings={"connection_max_age_seconds": 0.3})
    assert server.sessions == 1
    settled(lambda: server.sessions == 0)
    assert server.seen.closed == 2
    settled(lambda: not [thread for thread in threading.enumerate() if thread.name == "spark-idle"])


def test_used_all_the_time_it_still_grows_no_older_than_allowed(again: Any, server: Any) -> None:
    began = time.monotonic()
    while len(server.seen.sessions) < 3:
        assert again(settings={"connection_max_age_seconds": 0.3}).status is HEALTHY
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    assert time.monotonic() > began + 0.6, "two have grown as old as they may"
    settled(lambda: server.sessions == 0)


def test_a_rotated_password_is_proved_anew(plugin: Any, launch: Any, keys: Any) -> None:
    server = launch(auth="LDAP", password="first")

    def run(password: str) -> ConnectionResult:
        fields = keys(port=server.port, auth="LDAP", password=password) | {"connection_reuse": True}
        result: ConnectionResult = plugin.validate_connection(build_config(plugin, fields))
        return result

    assert (run("first").status, run("first").status) == (HEALTHY, HEALTHY)
    assert run("second").error_type is ErrorType.AUTHENTICATION
    assert len(server.seen.logins) == 2
    plugin.shutdown()


@pytest.mark.parametrize(
    "changes", [{"user": "other"}, {"schema": "elsewhere"}, {"server_side_parameters": {"spark.a": "1"}}]
)
def test_any_other_parameter_takes_another_session(again: Any, server: Any, changes: dict[str, Any]) -> None:
    again()
    assert again(**changes).checks[0].message == ""
    assert len(server.seen.sessions) == 2


@pytest.mark.parametrize("way", ["SASL", "HTTPS"])
def test_shutdown_does_not_wait_for_a_server_that_hangs(
    again: Any, plugin: Any, server: Any, within: Any
) -> None:
    with FaultProxy(server.port) as proxy:
        again(port=proxy.port)
        proxy.set(Fault.FREEZE)
        with within(1, margin=0.2):
            plugin.shutdown()


# ---------------------------------------------------------------- clusters


CLUSTERS = "/api/2.0/clusters/get"


def thrift_requests(server: Any) -> int:
    return sum(1 for method, _ in server.seen.requests if method == "POST")


@pytest.mark.parametrize("way", ["HTTPS"])
def test_the_cluster_is_asked_at_every_probe(again: Any, server: Any) -> None:
    for number in range(1, 4):
        assert again().status is HEALTHY
        assert sum(1 for method, _ in server.seen.requests if method == "GET") == number


@pytest.mark.parametrize("way", ["HTTPS"])
@pytest.mark.parametrize("state", ["TERMINATED", "TERMINATING", "PENDING", "RESTARTING"])
def test_a_cluster_that_went_to_sleep_hears_nothing(again: Any, plugin: Any, server: Any, state: str) -> None:
    first = again()
    before = thrift_requests(server)
    server.api[CLUSTERS] = (200, {"state": state})
    result = again()
    asleep = state.startswith("TERMINAT")
    assert (result.status, names(result)) == (
        HEALTHY if asleep else DEGRADED,
        [*names(first)[:3], *(["asleep"] if asleep else [])],
    )
    plugin.shutdown()
    assert thrift_requests(server) == before


@pytest.mark.parametrize("way", ["HTTPS"])
def test_neither_idling_nor_shutdown_wakes_a_cluster(again: Any, plugin: Any, server: Any) -> None:
    """It went to sleep between two probes, and nobody has noticed yet."""
    again(settings={"connection_idle_seconds": 0.3})
    before = thrift_requests(server)
    server.api[CLUSTERS] = (200, {"state": "TERMINATED"})
    asked = len(server.seen.requests)
    settled(lambda: len(server.seen.requests) > asked)
    settled(lambda: not [thread for thread in threading.enumerate() if thread.name == "spark-idle"])
    assert thrift_requests(server) == before
    server.api[CLUSTERS] = (200, {"state": "RUNNING"})
    again()
    before = thrift_requests(server)
    server.api[CLUSTERS] = (200, {"state": "TERMINATED"})
    plugin.shutdown()
    assert thrift_requests(server) == before


@pytest.mark.parametrize("way", ["HTTPS"])
def test_where_a_word_might_wake_it_nothing_is_kept(again: Any, plugin: Any, server: Any) -> None:
    server.api[CLUSTERS] = (403, {"error_code": "PERMISSION_DENIED"})
    for _ in range(2):
        assert again(wake_cluster=True).status is HEALTHY
    assert (len(server.seen.sessions), server.sessions) == (2, 0)


@pytest.mark.parametrize("way", ["HTTPS"])
def test_a_token_that_is_revoked_shows_at_once(again: Any, server: Any) -> None:
    again()
    server.api[CLUSTERS] = (401, {"error_code": "UNAUTHENTICATED"})
    result = again()
    assert (result.error_type, names(result)[-1]) == (ErrorType.AUTHENTICATION, "cluster")


@pytest.mark.parametrize("way", ["HTTPS"])
def test_a_server_that_ends_each_connection_keeps_the_session(again: Any, server: Any) -> None:
    server.close_each = True
    for _ in range(3):
        assert again().status is HEALTHY
    assert len(server.seen.sessions) == 1


@pytest.mark.parametrize("way", ["HTTPS"])
def test_the_monitors_shortage_is_no_failure_of_a_kept_session(
    again: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP a session may need a new connection to prove itself."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 0))])
    server.close_each = True
    again()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(MonitorResourceError, match="file descriptors"):
            again()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert again().status is HEALTHY
