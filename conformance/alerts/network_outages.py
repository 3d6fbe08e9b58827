"""What happens to the network between monitors and engines: four addresses of one server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from conformance import postgres_servers
from conformance.alerts.engine_outages import ENVIRONMENT, postgres_target
from conformance.alerts.stage import CONNECTIVITY
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from conformance.alerts.stage import Stage

ADDRESSES = {"north": "127.0.0.2", "east": "127.0.0.3", "south": "127.0.0.4", "west": "127.0.0.5"}


def all_ways_cut(stage: Stage) -> None:
    """For two monitors."""
    _cut(stage, len(ADDRESSES), CONNECTIVITY, 2)


def one_way_cut(stage: Stage) -> None:
    _cut(stage, 1, "FloeTargetUnhealthy", 1)


def _cut(stage: Stage, ways: int, alert: str, monitors: int) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    with ExitStack() as stack:
        stack.callback(cluster.remove)
        proxies = {
            name: stack.enter_context(FaultProxy(cluster.port, host=host)) for name, host in ADDRESSES.items()
        }
        targets = {name: postgres_target(proxy.port, proxy.host) for name, proxy in proxies.items()}
        stage.watch(targets, monitors, ENVIRONMENT)
        cut = list(proxies.values())[:ways]
        stage.fault()
        for proxy in cut:
            proxy.set(Fault.REFUSE)
        stage.until_paged(alert)
        stage.sleep(180)
        for proxy in cut:
            proxy.set(Fault.PASS)
        stage.mended()
        stage.until_resolved(alert)
        stage.settle()
