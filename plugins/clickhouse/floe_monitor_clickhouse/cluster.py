"""The cluster on which dbt creates and drops: its replicas, and Keeper, which passes on statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType
from floe_monitor_clickhouse.errors import ACCESS_DENIED, UNKNOWN_TABLE, ServerError
from floe_monitor_clickhouse.grants import may
from floe_monitor_clickhouse.sql import literal

if TYPE_CHECKING:
    from floe_monitor.compute import Check
    from floe_monitor_clickhouse.config import ClickHouseConfig
    from floe_monitor_clickhouse.connect import Session

_NO_KEEPER = frozenset({UNKNOWN_TABLE, 139, 225})
_FAST = {"connections_with_failover_max_tries": "1", "connect_timeout_with_failover_ms": "1000"}
"""So that the server tells of a replica that is down within a probe's time."""


def judge_cluster(config: ClickHouseConfig, session: Session, check: Check, *, connects: bool) -> None:
    """`connects`: whether dbt needs the cluster to connect at all, for it creates the database there.

    Raises `ServerError` where a replica cannot be used: dbt reads all of them in each run.
    """
    name = config.on_cluster or ""
    rows = session.run(
        f"SELECT count() FROM system.clusters WHERE cluster = {literal(name)}",  # noqa: S608
        waits_for="the list of clusters",
    )
    if rows == [["0"]]:
        report = check.fail if connects else check.degrade
        report(f"the server knows no cluster {name!r}", ErrorType.CONFIGURATION)
        return
    session.run(
        f"SELECT count() FROM clusterAllReplicas({literal(name)}, system.one)",  # noqa: S608
        _FAST,
        f"the replicas of cluster {name!r}",
    )
    if "replicated" in (config.database_engine or "").lower():
        return  # the database itself passes statements on
    if may(session, "CLUSTER", "*.*") is False:
        check.degrade("the user lacks CLUSTER: dbt's statements say ON CLUSTER", ErrorType.PERMISSION)
        return
    _judge_keeper(session, check)


def _judge_keeper(session: Session, check: Check) -> None:
    try:
        session.run("SELECT count() FROM system.zookeeper WHERE path = '/'", waits_for="Keeper")
    except ServerError as error:
        if error.code == ACCESS_DENIED:
            check.warn(f"whether the server reaches Keeper, which ON CLUSTER needs, is not shown: {error}")
            return
        if error.code in _NO_KEEPER:
            check.degrade(
                f"the server has no Keeper, through which ON CLUSTER passes statements on: {error}",
                ErrorType.CONFIGURATION,
            )
            return
        raise
