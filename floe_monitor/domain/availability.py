"""For how long a target's results stood: what a service level counts, whatever the pace of its probes.

Counting results instead would weigh an outage by how often it was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from floe_monitor.compute.models import ConnectionStatus

_NONE = (0.0,) * len(ConnectionStatus)


@dataclass(frozen=True, slots=True)
class Availability:
    """Seconds by single result, each from one result to the next. Times are `time.monotonic`.

    `current` is what results have found since `since`; None before the first one, and once the last is too
    old to say anything. `settled` has the seconds before that, best status first.
    """

    results: int = 0
    settled: tuple[float, ...] = _NONE
    current: ConnectionStatus | None = None
    since: float = 0.0

    def seconds(self, status: ConnectionStatus, now: float) -> float:
        settled = self.settled[status.severity - 1]
        return settled + max(0.0, now - self.since) if status is self.current else settled

    def after(self, status: ConnectionStatus, now: float) -> Availability:
        """With one more result, in force from `now` on. One like the last settles nothing."""
        if status is self.current:
            return Availability(self.results + 1, self.settled, status, self.since)
        return Availability(self.results + 1, self.stopped(now).settled, status, now)

    def stopped(self, now: float) -> Availability:
        """Without a result in force: time counts for none until the next one."""
        if self.current is None:
            return self
        settled = tuple(self.seconds(status, now) for status in ConnectionStatus)
        return replace(self, settled=settled, current=None)
