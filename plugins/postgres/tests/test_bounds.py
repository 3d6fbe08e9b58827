"""Failures that the conformance kit does not try: in the middle of a query, of one address, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from tests.harness.polling import once, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]

TIMEOUT = 0.6


@pytest.fixture(scope="session")
def server(plain_server: Any) -> Any:
    return plain_server


@pytest.fixture
def proxy(server: Any) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


def test_frozen_in_the_middle_of_a_query(
    probe: Probe, proxy: FaultProxy, server: Any, unhurried: Any
) -> None:
    """The lock holds the query up until the network is frozen: no answer can come any more."""
    import psycopg

    def waits_for_the_lock() -> bool:
        ours = "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'floe-monitor'"
        return ("Lock",) in server.execute(ours)

    with psycopg.connect(
        host=str(server.directory), port=server.port, user="postgres", dbname="analytics"
    ) as holder:
        holder.execute("LOCK TABLE pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE")
        with once(waits_for_the_lock, lambda: proxy.set(Fault.FREEZE)):
            result = probe(timeout=unhurried(TIMEOUT), port=proxy.port)
        assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.TIMEOUT), result
        assert result.checks[-1].name in {"session", "query"}
        # statement_timeout ends what the server still waits for, though nobody tells it.
        settled(lambda: "active" not in server.states())


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    probe: Probe, server: Any, unhurried: Any
) -> None:
    with FaultProxy(fault=Fault.BLACKHOLE, host="127.0.0.9", port=server.port):
        result = probe(timeout=unhurried(2 * TIMEOUT), host="127.0.0.9,127.0.0.1")
    assert result.status is ConnectionStatus.HEALTHY
    assert "127.0.0.9" in result.warnings[0]
    assert "dbt waits there for 10 s at every connection" in result.warnings[0]


def test_an_address_that_refuses_costs_nothing(probe: Probe) -> None:
    result = probe(host="127.0.0.9,127.0.0.1")
    assert result.status is ConnectionStatus.HEALTHY
    assert "127.0.0.9" in result.warnings[0]
