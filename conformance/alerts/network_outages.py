"""What happens to the network between monitors and engines: four addresses of one server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from conformance import postgres_servers
from conformance.alerts.engine_outages import ENVIRONMENT, postgres_target
from conformance.alerts.scenario_setup import CONNECTIVITY
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from conformance.alerts.scenario_setup import ScenarioSetup

ADDRESSES = {"north": "127.0.0.2", "east": "127.0.0.3", "south": "127.0.0.4", "west": "127.0.0.5"}


def all_ways_cut(setup: ScenarioSetup) -> None:
    """For two monitors."""
    _cut(setup, len(ADDRESSES), CONNECTIVITY, 2)


def one_way_cut(setup: ScenarioSetup) -> None:
    _cut(setup, 1, "FloeTargetUnhealthy", 1)


def _cut(setup: ScenarioSetup, ways: int, alert: str, monitors: int) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    with ExitStack() as stack:
        stack.callback(cluster.remove)
        proxies = {
            name: stack.enter_context(FaultProxy(cluster.port, host=host)) for name, host in ADDRESSES.items()
        }
        targets = {name: postgres_target(proxy.port, proxy.host) for name, proxy in proxies.items()}
        setup.watch(targets, monitors, ENVIRONMENT)
        cut = list(proxies.values())[:ways]
        setup.fault()
        for proxy in cut:
            proxy.set(Fault.REFUSE)
        setup.until_paged(alert)
        setup.sleep(180)
        for proxy in cut:
            proxy.set(Fault.PASS)
        setup.mended()
        setup.until_resolved(alert)
        setup.settle()
