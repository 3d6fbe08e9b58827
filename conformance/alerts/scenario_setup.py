"""What one scenario has: a job at Prometheus, daemons, what the pager got of it, and when things happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from conformance.alerts.clocks import PATIENCE
from conformance.alerts.monitors import Database, Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.alerts.clocks import Clock
    from conformance.alerts.servers import Notified, Servers

UNHEALTHY, BURNING = "FloeTargetUnhealthy", "FloeTargetBudgetBurning"
EXPIRING = "FloeExpiringSoon"
DOWN, ALL_DOWN, ISOLATED = "FloeMonitorDown", "FloeMonitorsAllDown", "FloeMonitorIsolated"
CONNECTIVITY = "FloeMonitorConnectivity"


class ScenarioSetup:
    """For one thread. Times and durations are those of the shipped clocks, except what `marks` holds."""

    def __init__(self, job: str, folder: Path, clock: Clock, servers: Servers, step: float) -> None:
        folder.mkdir()
        self.job, self.clock, self._folder, self._servers = job, clock, folder, servers
        self._probe = {"interval": clock.seconds(step)}
        self.monitors: list[Monitor] = []
        self.marks: dict[str, float] = {}
        """When the fault and its end came, by `time.monotonic`."""

    # ------------------------------------------------------------ what there is

    def database(self, name: str = "lake") -> Database:
        return Database(self._folder / f"{name}.duckdb")

    def monitor(
        self,
        targets: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        shard: Mapping[str, Any] | None = None,
    ) -> Monitor:
        """Not started, and not discovered. `shard`: with its ordinal in the environment's POD_NAME."""
        monitor = Monitor(
            self._folder / f"monitor-{len(self.monitors)}", targets, self._probe, environment or {}, shard
        )
        self.monitors.append(monitor)
        return monitor

    def watch(
        self, targets: Mapping[str, Any], count: int = 1, environment: Mapping[str, str] | None = None
    ) -> list[Monitor]:
        """So many monitors, up, scraped, and with a verdict on every target."""
        monitors = [self.monitor(targets, environment) for _ in range(count)]
        self.begin(*monitors)
        return monitors

    def begin(self, *monitors: Monitor) -> None:
        for monitor in monitors:
            monitor.start()
        for monitor in monitors:
            monitor.await_round(self.clock.seconds(60) + PATIENCE)
        self.discover(*monitors)
        # The state before the fault has to be seen for as long as it takes to page.
        self.wait_for(
            lambda: self._scraped(len(monitors)), "every monitor is scraped, and sees its targets well"
        )
        self.clock.sleep(60)

    def discover(self, *monitors: Monitor) -> None:
        self._servers.discover(self.job, [monitor.address for monitor in monitors])

    def close(self) -> None:
        for monitor in self.monitors:
            monitor.kill()

    def replace(self, new: Monitor) -> None:
        """The only monitor from now on, once it is ready, as Kubernetes does it."""
        new.start()
        new.await_round(self.clock.seconds(60) + PATIENCE)
        self.discover(new)

    # ------------------------------------------------------------ what happens

    def fault(self) -> None:
        self.marks["fault"] = time.monotonic()

    def mended(self) -> None:
        """From now on alerts may resolve."""
        self.marks["end"] = time.monotonic()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def settle(self) -> None:
        """Time enough for a second page to come, if there is one."""
        self.sleep(90)

    def until_scraped(self, condition: str, count: int) -> None:
        """So many series of the job meet it."""
        self.wait_for(
            lambda: len(self._servers.query(condition.replace("JOB", f'job="{self.job}"'))) == count,
            condition,
        )

    def until_paged(self, alert: str = UNHEALTHY, *, count: int = 1) -> None:
        self.wait_for(lambda: len(self.open(alert)) >= count, f"{alert} is paged")

    def until_resolved(self, alert: str = UNHEALTHY, *, count: int = 0) -> None:
        self.wait_for(lambda: len(self.open(alert)) <= count, f"{alert} is resolved")

    def notified(self) -> list[Notified]:
        return [each for each in list(self._servers.pager.received) if each.labels.get("job") == self.job]

    def open(self, alert: str) -> set[object]:
        """Alerts of the name that were told firing, and not resolved since."""
        now: set[object] = set()
        for each in self.notified():
            if each.labels["alertname"] == alert:
                (now.add if each.firing else now.discard)(each.identity)
        return now

    def _scraped(self, count: int) -> bool:
        seen = self._servers.query(f'up{{job="{self.job}"}} == 1')
        unwell = self._servers.query(f'floe_compute_target_status{{job="{self.job}"}} != 1')
        return len(seen) == count and not unwell

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        until = time.monotonic() + self.clock.seconds(480) + PATIENCE
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.job}: in vain: {what}")
            time.sleep(0.2)
