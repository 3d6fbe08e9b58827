"""The stand-in starts compute as a workspace does: else tests that probes start none would prove nothing."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport.THttpClient import THttpClient

from conformance.databricks_standin import (
    CLUSTER,
    CLUSTER_PATH,
    TOKEN,
    WAREHOUSE,
    WAREHOUSE_PATH,
    StandIn,
    cluster,
    warehouse,
)
from floe_monitor.compute import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def client(standin: StandIn, root: Path) -> Iterator[Callable[..., Any]]:
    """Of the protocol that dbt's driver speaks, in Hive's own words."""
    opened: list[THttpClient] = []

    def connect(path: str, token: str = TOKEN) -> Any:
        context = ssl.create_default_context(cafile=str(root))
        transport = THttpClient(f"{standin.url}/{path.lstrip('/')}", ssl_context=context)
        transport.setCustomHeaders({"Authorization": f"Bearer {token}"})
        opened.append(transport)
        return TCLIService.Client(TBinaryProtocol(transport)), transport

    yield connect
    for transport in opened:
        transport.close()


def test_a_session_starts_compute_that_rests(
    standin: StandIn, client: Callable[..., Any], probe: Callable[..., Any]
) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse("STOPPED")
    standin.state.clusters[CLUSTER] = cluster("TERMINATED")
    assert probe().status is ConnectionStatus.HEALTHY
    assert standin.state.started == []
    for path in (WAREHOUSE_PATH, CLUSTER_PATH):
        connection, _ = client(path)
        session = connection.OpenSession(ttypes.TOpenSessionReq()).sessionHandle
        request = ttypes.TExecuteStatementReq(sessionHandle=session, statement="select 1 as id")
        operation = connection.ExecuteStatement(request).operationHandle
        request = ttypes.TFetchResultsReq(operationHandle=operation, maxRows=1)
        [column] = connection.FetchResults(request).results.columns
        assert column.i32Val.values == [1]
    assert set(standin.state.started) == {"transform", "shared"}
    assert standin.state.warehouses[WAREHOUSE]["state"] == "RUNNING"
    assert standin.state.clusters[CLUSTER]["state"] == "RUNNING"


@pytest.mark.parametrize(
    ("state", "token", "status"),
    [("STARTING", TOKEN, 503), ("DELETED", TOKEN, 404), ("RUNNING", "dapi-wrong-0123456789", 403)],
)
def test_what_the_drivers_path_refuses(
    standin: StandIn, client: Callable[..., Any], state: str, token: str, status: int
) -> None:
    standin.state.warehouses[WAREHOUSE] = warehouse(state)
    connection, transport = client(WAREHOUSE_PATH, token)
    with pytest.raises((TException, EOFError)):
        connection.OpenSession(ttypes.TOpenSessionReq())
    assert transport.code == status
    assert standin.state.started == []
