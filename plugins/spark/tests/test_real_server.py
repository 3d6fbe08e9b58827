"""Against a real Spark Thrift server: what the stand-in is held to, and what only Spark can tell."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor.compute.faultproxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(700)]
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


@pytest.mark.parametrize(
    ("fault", "options", "kind"),
    [
        (Fault.HANG, {}, ErrorType.TIMEOUT),
        (Fault.DRIP, {"rate": 20}, ErrorType.TIMEOUT),
        (Fault.HANG_AFTER, {"after": 5}, ErrorType.TIMEOUT),
        (Fault.HANG_AFTER, {"after": 150}, ErrorType.TIMEOUT),
        (Fault.RESET, {}, ErrorType.CONNECTION),
    ],
)
def test_faults_of_the_network(
    spark: Callable[..., ConnectionResult], spark_port: int, fault: Fault, options: dict[str, Any], kind: Any
) -> None:
    with FaultProxy(spark_port, fault, **options) as proxy:
        result = spark(timeout=1.0, port=proxy.port)
    assert (result.status, result.error_type) == (UNHEALTHY, kind), result


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
