"""For how long a target's results stood: what a service level counts, whatever the pace of its probes.

Counting results instead would weigh an outage by how often it was looked at. Maintenance is counted apart: no
result stands while it lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from floe_monitor.compute.models import ConnectionStatus

_NONE = (0.0,) * len(ConnectionStatus)


@dataclass(frozen=True, slots=True)
class Availability:
    """Seconds by single result, each from one result to the next. Times are `time.monotonic`.

    `latest` is what the last result found; None before the first one, and once the last is too old to say
    anything. `settled` has the seconds before `since`, best status first, `maintained` those of maintenance
    before `maintained_since`, which is None outside of it.
    """

    results: int = 0
    settled: tuple[float, ...] = _NONE
    latest: ConnectionStatus | None = None
    since: float = 0.0
    maintained: float = 0.0
    maintained_since: float | None = None

    @property
    def current(self) -> ConnectionStatus | None:
        """For which result time counts."""
        return self.latest if self.maintained_since is None else None

    def seconds(self, status: ConnectionStatus, now: float) -> float:
        settled = self.settled[status.severity - 1]
        return settled + max(0.0, now - self.since) if status is self.current else settled

    def maintenance_seconds(self, now: float) -> float:
        since = self.maintained_since
        return self.maintained if since is None else self.maintained + max(0.0, now - since)

    def after(self, status: ConnectionStatus, now: float) -> Availability:
        """With one more result, in force from `now` on. One like the last settles nothing."""
        if status is self.latest or self.maintained_since is not None:
            return replace(self, results=self.results + 1, latest=status)
        return replace(self._settled(now), results=self.results + 1, latest=status, since=now)

    def stopped(self, now: float) -> Availability:
        """Without a result: time counts for none until the next one."""
        return replace(self._settled(now), latest=None)

    def in_maintenance(self, maintained: bool, now: float) -> Availability:
        """In it or out of it from `now` on; the last result stands again when it ends."""
        if maintained == (self.maintained_since is not None):
            return self
        if maintained:
            return replace(self._settled(now), maintained_since=now)
        return replace(self, maintained=self.maintenance_seconds(now), maintained_since=None, since=now)

    def _settled(self, now: float) -> Availability:
        if self.current is None:
            return self
        return replace(self, settled=tuple(self.seconds(status, now) for status in ConnectionStatus))
