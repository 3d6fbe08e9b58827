"""Failures that the conformance kit does not try: between steps, within a statement, of one address."""

from __future__ import annotations

import re
import resource
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_spark.errors import ServerError

from floe_monitor.compute import ConnectionStatus, ErrorType, MonitorResourceError
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

pytestmark = pytest.mark.slow  # each waits for a deadline

TIMEOUT = 0.4
LONG = 1.0
"""Where something has to happen before, and something after."""
UNREACHED = 40.0
"""Where nothing is to wait for it."""
WAYS = ["SASL", "NOSASL", "TLS", "HTTPS"]


@pytest.mark.parametrize(
    ("way", "after", "check"),
    [
        ("TLS", "tls", "login"),
        ("TLS", "login", "session"),
        ("SASL", "login", "session"),
        ("NOSASL", "login", "session"),
        ("HTTPS", "tls", "cluster"),
        ("HTTPS", "login", "session"),
    ],
)
def test_a_server_that_falls_silent_between_two_steps(
    way: str, after: str, check: str, validate: Probe, serve: Callable[..., Any], keys_of: Callable[..., Any]
) -> None:
    result = validate(keys_of(way, serve(way, silent_after=after).port), LONG)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.TIMEOUT)
    assert result.checks[-1].name == check
    said = {"login": "the login", "cluster": "the cluster's state", "session": "the session to open"}
    # Over HTTP the session's first statement may be what is waited for.
    assert said[check] in result.message or (check, way) == ("session", "HTTPS")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("statement", "check"), [("select", "query"), ("DESCRIBE", "schema")])
@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.FREEZE, ErrorType.TIMEOUT), (Fault.RESET, ErrorType.CONNECTION)]
)
def test_in_the_middle_of_a_statement(
    way: str,
    statement: str,
    check: str,
    fault: Fault,
    kind: ErrorType,
    validate: Probe,
    serve: Callable[..., Any],
    keys_of: Callable[..., Any],
    lab: Any,
) -> None:
    server = serve(way)
    server.answers.given[statement] = lab.STALL
    timeout = UNREACHED if fault is Fault.RESET else LONG

    def is_asked() -> bool:
        return any(asked.startswith(statement) for asked in server.seen.statements)

    with FaultProxy(server.port) as proxy, once(is_asked, lambda: proxy.set(fault)):
        result = validate(keys_of(way, proxy.port), timeout)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, kind), result
    assert result.checks[-1].name == check


def test_a_look_at_the_schema_that_never_ends_is_a_limitation(
    probe: Probe, standin: Any, lab: Any, unhurried: Callable[[float], float]
) -> None:
    standin.answers.given["DESCRIBE"] = lab.STALL
    result = probe(timeout=unhurried(TIMEOUT))
    assert (result.status, result.error_type) == (ConnectionStatus.DEGRADED, ErrorType.TIMEOUT), result


def test_a_query_that_never_ends(probe: Probe, standin: Any, lab: Any) -> None:
    """The server answers every question about it: still running."""
    standin.answers.given["select"] = lab.STALL
    result = probe(timeout=TIMEOUT)
    assert (result.error_type, result.checks[-1].name) == (ErrorType.TIMEOUT, "query")
    assert re.search(r"waiting for (the statement to end|the answer to a statement)", result.message)


def test_a_flood_ends_at_its_limit(probe: Probe, standin: Any) -> None:
    standin.answers.given["DESCRIBE"] = ("42704", "x" * 9_000_000, "a.B")
    standin.answers.given["select"] = [[1]]
    result = probe()
    assert result.status is ConnectionStatus.DEGRADED
    assert "longer than" in result.message
    assert len(result.message) < 500


@pytest.mark.parametrize("way", [pytest.param("SASL", marks=pytest.mark.gate), "HTTPS"])
def test_an_answer_that_takes_long_to_read(
    way: str, validate: Probe, serve: Callable[..., Any], keys_of: Callable[..., Any]
) -> None:
    """Megabytes in small pieces: here at once, and then work for seconds."""
    bytes_30 = b"\x0f\x00\x63\x03" + struct.pack(">I", 30) + b"x" * 30
    answer = struct.pack(">II", 0x80010002, 11) + b"OpenSession" + bytes(4) + b"\x0c\0\0" + bytes_30 * 200_000
    result = validate(keys_of(way, serve(way, raw=answer).port), TIMEOUT)
    assert (result.error_type, result.checks[-1].name) == (ErrorType.TIMEOUT, "session")


def test_a_message_without_end_is_not_searched_through() -> None:
    started = time.process_time()
    for text in ("a." * 4_000_000, "a.BError: " * 800_000, "[A" * 4_000_000):
        ServerError(text, None)
    assert time.process_time() - started < 1


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> str:
    """The first of the two that every name has; the second is where the stand-in listens."""
    addresses = ["127.0.0.9", "127.0.0.1"]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (a, 0)) for a in addresses])
    return addresses[0]


@pytest.mark.parametrize("way", ["SASL", "TLS", "HTTPS"])
def test_a_silent_first_address_keeps_dbt_out(
    way: str, validate: Probe, serve: Callable[..., Any], keys_of: Callable[..., Any], two_addresses: str
) -> None:
    """dbt's driver waits there as long as the system does, minutes."""
    port = serve(way).port
    with FaultProxy(fault=Fault.BLACKHOLE, host=two_addresses, port=port):
        result = validate(keys_of(way, port, host="localhost"), 2 * TIMEOUT)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.TIMEOUT)
    assert result.checks[-1].name == "network"
    assert f"{two_addresses} port {port}" in result.message
    assert f"although 127.0.0.1 port {port} answers" in result.message


@pytest.mark.parametrize("way", ["SASL", "TLS", "HTTPS"])
def test_a_first_address_that_refuses_costs_nothing(
    way: str, validate: Probe, serve: Callable[..., Any], keys_of: Callable[..., Any], two_addresses: str
) -> None:
    result = validate(keys_of(way, serve(way).port, host="localhost"))
    assert result.status is ConnectionStatus.HEALTHY
    assert two_addresses in result.warnings[0]


def test_a_silent_first_address_of_the_proxy_keeps_dbt_out(
    validate: Probe, standin: Any, http_keys: Any, two_addresses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example:{standin.port}")
    with FaultProxy(fault=Fault.BLACKHOLE, host=two_addresses, port=standin.port):
        result = validate(http_keys(443, host="elsewhere.example"), 2 * TIMEOUT)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.TIMEOUT)
    assert result.checks[-1].name == "network"
    assert f"although 127.0.0.1 port {standin.port} answers" in result.message


@pytest.mark.parametrize("way", ["SASL", "HTTPS"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_monitors_shortage_is_no_failure_of_the_target(
    way: str, host: str, plugin: Any, serve: Callable[..., Any], keys_of: Callable[..., Any]
) -> None:
    fields = keys_of(way, serve(way).port, host=host)
    fields["connection"].pop("user", None)
    config = build_config(plugin, fields)
    plugin.prepare(config)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(MonitorResourceError, match="file descriptors"):
            plugin.validate_connection(config)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert plugin.validate_connection(config).checks[0].status is ConnectionStatus.HEALTHY


def test_a_session_is_closed_on_the_server(probe: Probe, standin: Any) -> None:
    assert probe().status is ConnectionStatus.HEALTHY
    assert standin.seen.closed == 1
