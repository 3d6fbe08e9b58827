"""Kept connections: proved, replaced, and let go."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

HEALTHY = ConnectionStatus.HEALTHY


@pytest.fixture(scope="session")
def server(plain_server: Any) -> Any:
    return plain_server


@pytest.fixture
def again(plugin: Any, keys: Callable[..., dict[str, Any]], within: Any) -> Callable[..., ConnectionResult]:
    """One more validation of a target that keeps its connection."""

    def run(
        timeout: float = 5.0, *, settings: dict[str, Any] | None = None, **changes: Any
    ) -> ConnectionResult:
        fields = {**keys(**changes), "connection_reuse": True, **(settings or {})}
        with within(timeout), running_until(Deadline.after(timeout)):
            result: ConnectionResult = plugin.validate_connection(build_config(plugin, fields))
        return result

    return run


def backends(server: Any) -> list[int]:
    found = server.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'floe-monitor' ORDER BY 1"
    )
    return [pid for (pid,) in found]


def test_one_connection_serves_many_and_ends_with_the_plugin(again: Any, plugin: Any, server: Any) -> None:
    assert again().checks[0].message == ""
    (first,) = backends(server)
    for _ in range(3):
        result = again()
        assert result.status is HEALTHY
        assert "holds since" in result.checks[0].message
        assert backends(server) == [first]
    state = server.execute(f"SELECT state FROM pg_stat_activity WHERE pid = {first}")
    assert state == [("idle",)]
    plugin.shutdown()
    settled(lambda: backends(server) == [])


def test_a_role_leaves_no_trace(again: Any) -> None:
    assert again(user="reader", role="builders").status is HEALTHY
    assert again(user="reader", role="builders").status is HEALTHY
    assert again(user="reader").status is ConnectionStatus.DEGRADED


def test_a_terminated_backend_is_replaced_within_the_probe(again: Any, server: Any) -> None:
    again()
    (first,) = backends(server)
    server.execute(f"SELECT pg_terminate_backend({first}, 5000)")
    assert again().status is HEALTHY
    assert backends(server) != [first]


def test_a_frozen_connection_is_replaced_within_the_probe(again: Any, server: Any, unhurried: Any) -> None:
    with FaultProxy(server.port) as proxy:
        again(port=proxy.port)
        # What is open has had its bytes, and freezes until another connection is tried.
        proxy.set(Fault.HANG_AFTER, after=0)
        before = proxy.accepted
        with once(lambda: proxy.accepted > before, lambda: proxy.set(Fault.PASS)):
            result = again(timeout=unhurried(1.5), port=proxy.port)
        assert result.status is HEALTHY, result
        proxy.set(Fault.FREEZE)
        assert again(timeout=0.6, port=proxy.port).error_type is ErrorType.TIMEOUT


def test_never_idle_past_its_limit_nor_older_than_allowed(again: Any, plugin: Any, server: Any) -> None:
    again(settings={"connection_idle_seconds": 0.3})
    assert len(backends(server)) == 1
    settled(lambda: backends(server) == [])
    again(settings={"connection_max_age_seconds": 0.3})
    settled(lambda: backends(server) == [])
    settled(lambda: not [thread for thread in threading.enumerate() if thread.name == "postgres-idle"])


def test_a_rotated_password_is_proved_anew(again: Any) -> None:
    assert again().status is HEALTHY
    assert again(password="old").error_type is ErrorType.AUTHENTICATION
