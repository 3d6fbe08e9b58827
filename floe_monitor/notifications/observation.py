"""What is now, as far as there may be something to tell of it; and which of it a channel is to hear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from floe_monitor.domain.connectivity import Connectivity
from floe_monitor.domain.maintenance import Window, maintenance_at
from floe_monitor.domain.shards import assigned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.domain.health import HealthStatus
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.liveness import Verdict
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.settings.notification_models import ChannelSettings, NotificationSettings


@dataclass(frozen=True, slots=True)
class Observation:
    """`at` in Unix time; `incidents` are the open ones, oldest first; `problems` the monitor's, by kind."""

    at: float
    incidents: tuple[Incident, ...] = ()
    targets: Mapping[str, TargetSnapshot] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    cut_off: bool = False
    """Whether failures to connect may be the monitor's own."""
    with_expiries: bool = False
    """Whether ends are looked at this time: it takes a look at every target."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one channel is told. Times in seconds."""

    channel: str
    events: frozenset[str]
    targets: frozenset[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    repeat: float | None = None
    quiet: tuple[Window, ...] = ()
    group_wait: float = 0.0
    recovery_wait: float = 0.0

    @classmethod
    def of(cls, channel: str, settings: ChannelSettings, common: NotificationSettings) -> Rule:
        return cls(
            channel=channel,
            events=frozenset(settings.events),
            targets=None if settings.targets is None else frozenset(settings.targets),
            labels=settings.labels or {},
            repeat=settings.repeat,
            quiet=tuple(Window.of(each) for each in settings.quiet_hours),
            group_wait=common.group_wait,
            recovery_wait=common.recovery_wait,
        )

    def covers(self, snapshot: TargetSnapshot | None) -> bool:
        if snapshot is None:
            return False
        target = snapshot.target
        if self.targets is not None and target.name not in self.targets:
            return False
        return self.labels.items() <= target.labels.items()

    def tells(self, level: HealthStatus) -> bool:
        return level.word in self.events

    def is_quiet(self, at: float) -> bool:
        return maintenance_at(self.quiet, at) is not None


def observe(
    state: MonitorState, at: float, now: float, verdict: Callable[[], Verdict], *, with_expiries: bool
) -> Observation:
    """In any thread. `now` by `time.monotonic`. Of targets that several shards watch, those that this one
    is the first of."""
    targets = dict(state.targets)
    shard = state.shard
    if shard is not None and shard.replicas > 1:
        targets = {
            name: snapshot
            for name, snapshot in targets.items()
            if assigned(name, shard.count, 1) == (shard.index,)
        }
    incidents = tuple(each for each in state.incidents.view() if each.is_open)
    return Observation(
        at=at,
        incidents=tuple(sorted(incidents, key=lambda each: (each.began_at, each.id))),
        targets=targets,
        problems=problems_of(state, verdict()),
        cut_off=state.reach.judged(now) in (Connectivity.LOST, Connectivity.IN_DOUBT),
        with_expiries=with_expiries,
    )


def problems_of(state: MonitorState, verdict: Verdict) -> dict[str, str]:
    """What is wrong with the monitor itself, by what it is about."""
    found: dict[str, str] = {}
    if verdict.reasons:
        found["liveness"] = "; ".join(verdict.reasons)
    reach = state.reach
    if reach.is_lost:
        found["connectivity"] = f"none of {reach.targets} targets on the network is reached"
    problems = state.config.problems
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        found["configuration"] = f"a changed configuration was refused: {problems[0]}{more}"
    if state.history_problem:
        found["history"] = f"the history is not written: {state.history_problem}"
    failed = {
        name: done for name, done in tuple(state.profiles.items()) if done.result in ("refused", "failed")
    }
    if failed:
        name, done = min(failed.items())
        more = f" (and {len(failed) - 1} more profiles)" if len(failed) > 1 else ""
        found["profiles"] = f"profile {name} is not kept: {done.message}{more}"
    return found
