"""A monitor that is cut off, with real probes: told once, and every verdict as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.domain.connectivity import Connectivity
from floe_monitor.domain.events import ConnectivityLost, ConnectivityRegained
from floe_monitor.domain.health import HealthStatus
from tests.probing.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.targets import Target

    MakeTargets = Callable[..., dict[str, Target]]


async def test_the_cut_is_told_once_and_so_is_its_end(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor()
    behaviours = {f"t{n}": {"behave": "over_the_network", "host": f"h{n}"} for n in range(4)}
    targets = make_targets({**behaviours, "file": "healthy"}, interval=0.1, timeout=60)

    def told() -> list[str]:
        kinds = (ConnectivityLost, ConnectivityRegained)
        return [type(event).__name__ for event in monitor.events if isinstance(event, kinds)]

    async with monitor.watching(targets):
        await monitor.until(lambda: monitor.state.first_round_done)
        assert monitor.state.reach.judged(0.0) is Connectivity.REACHED
        lab.CUT.update({"h0", "h1", "h2"})
        await monitor.until(lambda: monitor.state.reach.unreached == 3)
        count = len(monitor.results("t0"))
        await monitor.until(lambda: len(monitor.results("t0")) >= count + 2)
        assert not told(), "one of four is reached"
        lab.CUT.add("h3")
        await monitor.until(lambda: monitor.state.reach.is_lost)
        count = len(monitor.results("t3"))
        await monitor.until(lambda: len(monitor.results("t3")) >= count + 2)
        statuses = {name: each.status for name, each in monitor.state.targets.items()}
        assert statuses == {
            **dict.fromkeys(behaviours, HealthStatus.UNHEALTHY),
            "file": HealthStatus.HEALTHY,
        }
        assert told() == ["ConnectivityLost"]
        lab.CUT.discard("h1")
        await monitor.until(lambda: not monitor.state.reach.is_lost)
        assert told() == ["ConnectivityLost", "ConnectivityRegained"]
        monitor.scheduler.apply({})
        assert monitor.state.reach.targets == 0
