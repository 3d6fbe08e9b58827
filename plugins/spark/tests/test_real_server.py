"""Against a real Spark Thrift server: what the stand-in is held to, and what only Spark can tell."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, Deadline, ErrorType
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import ConnectionResult

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.gate, pytest.mark.timeout(700)]
HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


@pytest.fixture
def spark(
    spark_port: int, validate: Callable[..., ConnectionResult], keys: Callable[..., dict[str, Any]]
) -> Callable[..., ConnectionResult]:
    def run(timeout: float = 30.0, **changes: Any) -> ConnectionResult:
        return validate(keys(**{"port": spark_port, "schema": "default", **changes}), timeout)

    return run


def names(result: ConnectionResult) -> list[str]:
    return [check.name for check in result.checks]


def test_all_well(spark: Callable[..., ConnectionResult]) -> None:
    result = spark(server_side_parameters={"spark.sql.shuffle.partitions": "4"})
    assert (result.status, result.warnings) == (HEALTHY, []), result
    assert names(result) == ["network", "login", "session", "query", "schema", "create"]


def test_a_login_with_any_password(spark: Callable[..., ConnectionResult]) -> None:
    assert spark(password="anything", auth="LDAP").status is HEALTHY


def test_a_missing_schema(spark: Callable[..., ConnectionResult]) -> None:
    result = spark(schema="gone")
    assert (result.status, len(result.warnings)) == (HEALTHY, 1), result
    # Planning it made nothing.
    assert spark(schema="gone").warnings == result.warnings


@pytest.mark.parametrize("schema", ["my-schema", "a b", "a.b.c"])
def test_a_schema_dbt_could_not_write_down(spark: Callable[..., ConnectionResult], schema: str) -> None:
    result = spark(schema=schema)
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONFIGURATION), result
    assert names(result)[-1] == "schema"
    assert len(result.message) < 300
    assert "SQLSTATE" in result.message


def test_a_quoted_schema(spark: Callable[..., ConnectionResult]) -> None:
    result = spark(schema="`default`")
    assert (result.status, result.warnings) == (HEALTHY, [])


def test_no_login_where_one_is_expected(spark: Callable[..., ConnectionResult]) -> None:
    result = spark(auth="NOSASL")
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONNECTION, "session")


def test_no_tls_where_some_is_expected(spark: Callable[..., ConnectionResult]) -> None:
    result = spark(use_ssl=True)
    assert (result.error_type, names(result)[-1]) == (ErrorType.CONNECTION, "tls")


def test_frozen_in_the_middle(spark: Callable[..., ConnectionResult], spark_port: int) -> None:
    with FaultProxy(spark_port) as proxy:
        freeze = threading.Timer(0.05, proxy.set, [Fault.FREEZE])
        freeze.start()
        result = spark(timeout=1.0, port=proxy.port)
        freeze.join()
    assert (result.status, result.error_type) in {
        (UNHEALTHY, ErrorType.TIMEOUT),
        (DEGRADED, ErrorType.TIMEOUT),
    }


@pytest.fixture
def kept(
    plugin: Any, spark_port: int, keys: Callable[..., dict[str, Any]]
) -> Iterator[tuple[FaultProxy, Callable[..., ConnectionResult]]]:
    """A way to the server that counts connections, and one more probe of a target that keeps its session."""

    def again(timeout: float = 30.0, **changes: Any) -> ConnectionResult:
        fields = keys(**{"port": proxy.port, "schema": "default", **changes}) | {"connection_reuse": True}
        with running_until(Deadline.after(timeout)):
            result: ConnectionResult = plugin.validate_connection(build_config(plugin, fields))
        return result

    with FaultProxy(spark_port) as proxy:
        yield proxy, again
        plugin.shutdown()


def test_a_kept_session_serves_many(kept: Any) -> None:
    proxy, again = kept
    first = again()
    for _ in range(5):
        result = again()
        assert (result.status, result.warnings, names(result)) == (HEALTHY, [], names(first)), result
    assert proxy.accepted == 1
    # It answers for the schema it is asked about, not for the one before.
    assert again(schema="gone").warnings
    assert proxy.accepted == 2


def test_a_session_that_idled_too_long_for_the_server_is_replaced(kept: Any) -> None:
    proxy, again = kept
    again()
    until = time.monotonic() + 60
    while proxy.accepted == 1:
        assert time.monotonic() < until
        # Each use begins the server's patience anew.
        time.sleep(8)
        assert again().status is HEALTHY


def test_a_kept_session_that_was_cut_off_is_replaced(kept: Any) -> None:
    proxy, again = kept
    again()
    proxy.set(Fault.RESET)
    proxy.set(Fault.PASS)
    assert again().status is HEALTHY
    assert proxy.accepted == 2


def test_a_kept_session_that_froze_is_replaced(kept: Any) -> None:
    proxy, again = kept
    again()
    proxy.set(Fault.HANG_AFTER, after=0)
    # Past the share of the time that the kept session gets.
    recovery = threading.Timer(3.5, proxy.set, [Fault.PASS])
    recovery.start()
    assert again(timeout=9.0).status is HEALTHY
    recovery.join()
    assert proxy.accepted == 2
