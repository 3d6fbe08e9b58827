"""Kept sessions: proved, replaced, and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from conformance.snowflake_standin import PASSWORD, TOKEN, StandIn
from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.deadline import running_until
from floe_monitor.compute.toolkit.connection_cache import HOLDS
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

HEALTHY, UNHEALTHY = ConnectionStatus.HEALTHY, ConnectionStatus.UNHEALTHY


@pytest.fixture
def again(plugin: Any, keys: Callable[..., dict[str, Any]], within: Any) -> Callable[..., ConnectionResult]:
    """One more validation of a target that keeps its session."""

    def run(
        timeout: float = 5.0, *, settings: dict[str, Any] | None = None, **changes: Any
    ) -> ConnectionResult:
        fields = {**keys(**changes), "connection_reuse": True, **(settings or {})}
        plugin.prepare(build_config(plugin, fields))
        with within(timeout), running_until(Deadline.after(timeout)):
            result: ConnectionResult = plugin.validate_connection(build_config(plugin, fields))
        return result

    return run


def held(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks if check.message == HOLDS]


# ---------------------------------------------------------------- served, and ended


def test_one_session_serves_many_and_ends_with_the_plugin(again: Any, plugin: Any, standin: StandIn) -> None:
    first = again()
    assert (first.status, held(first)) == (HEALTHY, [])
    for _ in range(3):
        result = again()
        assert result.status is HEALTHY
        assert [check.name for check in result.checks] == [check.name for check in first.checks]
        assert held(result) == ["network", "login"]
    assert (len(standin.logins), list(standin.sessions)) == (1, ["session-1"])
    assert standin.woken == []
    plugin.shutdown()
    assert standin.sessions == {}


@pytest.mark.process
def test_the_checks_of_a_kept_session_behind_tls(root: Path, tls: ssl.SSLContext) -> None:
    """In a process of its own: the driver reads its roots once."""
    script = """
        import sys
        from floe_monitor_snowflake import SnowflakeComputePlugin
        from floe_monitor.registry.config_validation import build_config
        plugin = SnowflakeComputePlugin()
        connection = dict(account="acme", user="dbt", host="127.0.0.1", port=int(sys.argv[1]),
                          role="transformer", warehouse="transforming", database="analytics", schema="marts")
        target = dict(plugin="snowflake", connection=connection, credentials={"password": sys.argv[2]},
                      connection_reuse=True)
        for _ in range(2):
            result = plugin.validate_connection(build_config(plugin, target))
            print(result.status.value, *(check.name for check in result.checks), sep=",")
            print(*(check.name for check in result.checks if check.message), sep=",")
        plugin.shutdown()
    """
    with StandIn(tls=tls) as encrypted:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(encrypted.port), PASSWORD],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "SSL_CERT_FILE": str(root)},
        )  # fmt: skip
        checks = "healthy,network,tls,login,query,role,database,schema,write,warehouse"
        assert done.stdout.splitlines() == [checks, "", checks, "network,tls,login"], done
        assert (len(encrypted.logins), encrypted.sessions) == (1, {})


def test_an_idle_session_is_silent(again: Any, standin: StandIn) -> None:
    """Also where the account keeps all alive: without the driver's option four heartbeats a second come."""
    standin.account.keeps_alive, standin.account.master_seconds = True, 4
    again()
    asked = len(standin.requests)
    time.sleep(1.0)  # nothing comes that could be waited for
    assert standin.requests[asked:] == []
    assert held(again()) == ["network", "login"]


def test_never_idle_past_its_limit_nor_older_than_allowed(again: Any, standin: StandIn) -> None:
    again(settings={"connection_idle_seconds": 0.3})
    assert len(standin.sessions) == 1
    settled(lambda: standin.sessions == {})
    again(settings={"connection_max_age_seconds": 0.3})
    settled(lambda: standin.sessions == {})
    settled(lambda: not [thread for thread in threading.enumerate() if thread.name == "snowflake-idle"])


def test_the_end_is_bounded_where_the_network_is_silent(
    again: Any, plugin: Any, standin: StandIn, within: Any
) -> None:
    with FaultProxy(standin.port) as proxy:
        again(port=proxy.port)
        proxy.set(Fault.FREEZE)
        with within(1, margin=0.3):
            plugin.shutdown()


# ---------------------------------------------------------------- proved


def test_the_state_is_as_a_login_leaves_it(again: Any, standin: StandIn) -> None:
    standin.account.default_warehouse = "SLEEPING"
    standin.account.secondary = "ALL"
    for _ in range(3):
        assert again(role="reader").status is ConnectionStatus.DEGRADED
        assert again().status is HEALTHY
    assert len(standin.logins) == 2
    assert "USE SECONDARY ROLES NONE" in standin.statements
    assert 'USE WAREHOUSE "TRANSFORMING"' in standin.statements
    states = {(session.warehouse, session.secondary) for session in standin.sessions.values()}
    assert states == {("SLEEPING", "ALL")}
    assert standin.woken == []


def test_a_user_without_a_warehouse_keeps_dbts(again: Any, standin: StandIn) -> None:
    for _ in range(3):
        assert again().status is HEALTHY
    assert len(standin.logins) == 1
    assert standin.sessions["session-1"].warehouse == "TRANSFORMING"


@pytest.mark.parametrize("change", [{"role": "READER"}, {"warehouse": "OFF"}, {"secondary": "ALL"}])
def test_a_session_in_another_state_is_replaced(again: Any, standin: StandIn, change: dict[str, str]) -> None:
    again()
    for name, value in change.items():
        setattr(standin.sessions["session-1"], name, value)
    result = again()
    assert (result.status, held(result)) == (HEALTHY, [])
    settled(lambda: list(standin.sessions) == ["session-2"])


def test_a_session_whose_roles_were_not_restored_is_not_kept(again: Any, standin: StandIn) -> None:
    standin.account.secondary = "ALL"
    standin.account.stuck_with_primary = True
    result = again()
    assert "is not to be seen" in result.warnings[0]
    settled(lambda: standin.sessions == {})


# ---------------------------------------------------------------- replaced


def test_an_expired_token_is_renewed(again: Any, standin: StandIn) -> None:
    again()
    standin.sessions["session-1"].expired = "390112"
    result = again()
    assert (result.status, held(result)) == (HEALTHY, ["network", "login"])
    assert (len(standin.logins), list(standin.sessions)) == (1, ["session-1-1"])


@pytest.mark.parametrize("number", ["390112", "390114", "390111", "390195", "390104"])
def test_an_expired_session_is_replaced_within_the_probe(again: Any, standin: StandIn, number: str) -> None:
    again()
    standin.sessions["session-1"].expired = number
    standin.sessions["session-1"].lost = True
    result = again()
    assert (result.status, held(result)) == (HEALTHY, []), result
    assert len(standin.logins) == 2
    assert held(again()) == ["network", "login"]


def test_a_session_ended_by_the_account_is_replaced(again: Any, standin: StandIn) -> None:
    again()
    standin.sessions.clear()
    assert again().status is HEALTHY
    assert list(standin.sessions) == ["session-2"]


def test_a_user_disabled_since_is_told_with_the_next_login(again: Any, standin: StandIn) -> None:
    again()
    standin.account.refused["DBT"] = ("390101", "User access disabled.")
    standin.sessions.clear()
    result = again()
    assert (result.error_type, result.checks[-1].name) == (ErrorType.AUTHENTICATION, "login")


def test_a_broken_connection_costs_nothing(again: Any, standin: StandIn) -> None:
    with FaultProxy(standin.port) as proxy:
        again(port=proxy.port)
        proxy.set(Fault.RESET)
        proxy.set(Fault.PASS)
        assert again(port=proxy.port).status is HEALTHY
        proxy.set(Fault.REFUSE)
        proxy.set(Fault.RESET)
        result = again(port=proxy.port)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)


def test_a_frozen_session_is_replaced_within_the_probe(
    again: Any, plugin: Any, standin: StandIn, unhurried: Any
) -> None:
    timeout = unhurried(1.5)
    with FaultProxy(standin.port) as proxy:
        again(timeout=timeout, port=proxy.port)
        # What is open has had its bytes, and freezes until another connection is tried.
        proxy.set(Fault.HANG_AFTER, after=0)
        before = proxy.accepted
        with once(lambda: proxy.accepted > before, lambda: proxy.set(Fault.PASS)):
            result = again(timeout=timeout, port=proxy.port)
        assert (result.status, held(result)) == (HEALTHY, []), result
        proxy.set(Fault.FREEZE)
        result = again(timeout=0.6, port=proxy.port)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)
        settled(lambda: plugin.driver_threads.abandoned == 0)
        assert len(plugin.connections) <= 1


def test_a_session_that_freezes_in_use_is_not_kept(again: Any, plugin: Any, standin: StandIn) -> None:
    with FaultProxy(standin.port, Fault.HANG_AFTER, after=1500) as proxy:
        result = again(timeout=0.6, port=proxy.port)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.TIMEOUT)
        assert len(plugin.connections) == 0
        settled(lambda: plugin.driver_threads.abandoned == 0)


def test_a_session_there_is_no_thread_for_is_let_go(again: Any, plugin: Any, standin: StandIn) -> None:
    again()
    plugin.driver_threads._limit = 0
    result = again()
    assert (result.error_type, result.checks[-1].name) == (ErrorType.TIMEOUT, "login")
    settled(lambda: standin.sessions == {})


# ---------------------------------------------------------------- whose session it is


def test_a_rotated_password_is_proved_anew(again: Any, standin: StandIn) -> None:
    again()
    assert again(credentials={"password": "old"}).error_type is ErrorType.AUTHENTICATION
    standin.account.users["DBT"] = "rotated"
    assert held(again(credentials={"password": "rotated"})) == []
    assert held(again(credentials={"password": PASSWORD})) == ["network", "login"], "what it proves, holds"


def test_a_rotated_token_is_proved_anew(again: Any) -> None:
    again(credentials={"token": TOKEN}, authenticator="oauth")
    result = again(credentials={"token": "another"}, authenticator="oauth")
    assert result.error_type is ErrorType.AUTHENTICATION


def test_a_rotated_key_is_proved_anew(again: Any, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    proved = []
    for fresh in (True, False, True):
        if fresh:
            key = rsa.generate_private_key(65537, 2048)
            encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            path.write_bytes(key.private_bytes(encoding, kind, serialization.NoEncryption()))
        result = again(credentials={}, private_key_path=str(path))
        assert result.status is HEALTHY
        assert result.checks[0].name == "key"
        proved.append(held(result))
    assert proved == [[], ["network", "login"], []]


@pytest.mark.parametrize(
    ("timeout", "changes"),
    [
        (5.0, {"schema": "public"}),
        (5.0, {"warehouse": "sleeping"}),
        (5.0, {"host": "localhost"}),
        (5.0, {"user": "DBT"}),
        (9.0, {}),  # a session has its statements' limit from its login
    ],
)
def test_any_change_is_proved_anew(
    again: Any, standin: StandIn, timeout: float, changes: dict[str, str]
) -> None:
    again()
    assert held(again(timeout, **changes)) == []
    assert len(standin.logins) == 2
