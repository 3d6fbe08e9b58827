"""What the scheduler and the controller publish, as incidents."""

from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.domain.events import (
    ConfigReloaded,
    IncidentChanged,
    ProbeFinished,
    ProbeResult,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import HealthStatus, Thresholds, advance
from floe_monitor.domain.incident_recorder import IncidentRecorder
from floe_monitor.domain.resources import Resource
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import ProbePolicy, Target
from floe_monitor.registry.discovery import PluginEntry
from floe_monitor.settings.models import TargetSettings

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
DB = Resource("host", "db:5432")


class World:
    """A state, what is published about it, and the scheduler's part played by hand."""

    def __init__(self, *names: str) -> None:
        self.state = MonitorState(started_at=0, config=ConfigStatus(0, 0))
        self.published: list[Any] = []
        self.recorder = IncidentRecorder(self.state, self.published.append)
        self.at = 1000.0
        for name in names:
            self.add(name)

    def add(self, name: str, fingerprint: str = "") -> None:
        self.state.targets[name] = TargetSnapshot(
            Target(
                name=name,
                entry=PluginEntry("engine", "floe-monitor-engine", "1", "module:Plugin", None, None),
                settings=TargetSettings(plugin="engine"),
                policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
                fingerprint=fingerprint or name,
                profile_config=None,
                resources=(DB,),
            )
        )

    def result(
        self, name: str, status: ConnectionStatus, error: ErrorType | None = None, message: str = ""
    ) -> None:
        self.at += 1
        if error is None and status is UNHEALTHY:
            error = ErrorType.CONNECTION
        result = ProbeResult(name, "engine", status, 0.0, self.at, "id", message, error_type=error)
        snapshot = self.state.targets[name]
        health, transition = advance(snapshot.health, status, self.at, Thresholds())
        self.state.targets[name] = snapshot.after(result, health, 5, 0.0)
        self.recorder.publish(ProbeFinished(result, health, transition))

    def stale(self, name: str) -> None:
        self.state.targets[name] = self.state.targets[name].as_stale(self.at, 0.0)
        self.recorder.publish(TargetStale(name, "engine", 100.0))

    def reload(self, *, removed: tuple[str, ...] = (), **changes: Any) -> None:
        for name in removed:
            del self.state.targets[name]
        self.recorder.publish(ConfigReloaded(self.at, removed=removed, **changes))

    @property
    def incident(self) -> Any:
        (found,) = self.state.incidents.view()
        return found


def test_healthy_results_are_no_incident() -> None:
    world = World("a")
    for _ in range(3):
        world.result("a", HEALTHY)
    assert world.state.incidents.view() == ()
    assert [type(event) for event in world.published] == [ProbeFinished] * 3


def test_from_the_change_for_the_worse_to_the_recovery() -> None:
    world = World("a", "b")
    world.result("a", HEALTHY)
    world.result("a", UNHEALTHY, message="connection refused")
    world.result("b", UNHEALTHY, ErrorType.TIMEOUT)
    world.result("a", UNHEALTHY, message="connection refused")
    world.result("a", HEALTHY)
    assert world.incident.is_open
    world.result("b", HEALTHY)
    assert (world.incident.end, world.incident.cause, world.incident.began_at) == ("recovered", DB, 1002.0)
    changes = [event.incident for event in world.published if isinstance(event, IncidentChanged)]
    assert [len(incident.members) for incident in changes] == [1, 2, 2, 2], (
        "a result like the last is no change"
    )
    assert changes[-1] is world.incident


def test_reasons_are_kept_over_time() -> None:
    world = World("a")
    for status, error in (
        (DEGRADED, ErrorType.EXTENSION),
        (UNHEALTHY, ErrorType.TIMEOUT),
        (UNHEALTHY, ErrorType.TIMEOUT),
        (UNHEALTHY, ErrorType.AUTHENTICATION),
        (DEGRADED, ErrorType.EXTENSION),
    ):
        world.result("a", status, error)
    assert [(reason.status, reason.error_type) for reason in world.incident.reasons] == [
        (HealthStatus.DEGRADED, ErrorType.EXTENSION),
        (HealthStatus.UNHEALTHY, ErrorType.TIMEOUT),
        (HealthStatus.UNHEALTHY, ErrorType.AUTHENTICATION),
        (HealthStatus.DEGRADED, ErrorType.EXTENSION),
    ]
    assert world.incident.status is HealthStatus.DEGRADED
    assert world.incident.worst is HealthStatus.UNHEALTHY


def test_a_long_message_is_cut() -> None:
    world = World("a")
    world.result("a", UNHEALTHY, message="x" * 5000)
    assert len(world.incident.reasons[0].message) == 300


def test_unknown_neither_begins_nor_ends_an_incident() -> None:
    world = World("a", "b")
    world.result("a", HEALTHY)
    world.stale("a")
    assert world.state.incidents.view() == ()
    world.result("b", UNHEALTHY)
    world.stale("b")
    assert (world.incident.is_open, world.incident.status) == (True, HealthStatus.UNKNOWN)
    world.result("b", UNHEALTHY)
    assert (world.incident.began_at, world.incident.status) == (1002.0, HealthStatus.UNHEALTHY)
    world.stale("b")
    world.result("b", HEALTHY)
    assert world.incident.end == "recovered"


def test_a_validation_that_hangs_is_a_timeout() -> None:
    world = World("a", "b")
    world.result("a", HEALTHY)
    _, transition = advance(world.state.targets["a"].health, UNHEALTHY, world.at, Thresholds())
    assert transition is not None
    world.recorder.publish(TargetHung("a", "engine", transition))
    world.result("b", UNHEALTHY, ErrorType.CONNECTION)
    assert set(world.incident.members) == {"a", "b"}
    assert world.incident.reasons[0].error_type is ErrorType.TIMEOUT


@pytest.mark.parametrize(("fingerprint", "end"), [("a", "renamed"), ("other", "removed")])
def test_a_target_that_is_not_configured_any_more_ends_its_part(fingerprint: str, end: str) -> None:
    world = World("a", "b")
    world.result("a", UNHEALTHY)
    world.result("b", UNHEALTHY)
    world.add("c", fingerprint)
    world.reload(removed=("a",), added=("c",))
    assert world.incident.is_open
    assert world.incident.members["a"].end == end
    world.reload(removed=("b",))
    assert (world.incident.end, len(world.state.incidents)) == ("removed", 0)


def test_a_target_that_is_changed_stays_in_its_incident_until_it_is_probed() -> None:
    world = World("a")
    world.result("a", UNHEALTHY)
    world.add("a", "changed")
    world.reload(changed=("a",))
    assert (world.incident.is_open, world.incident.status) == (True, HealthStatus.UNKNOWN)
    world.result("a", UNHEALTHY)
    assert world.incident.began_at == 1001.0
    world.result("a", HEALTHY)
    assert world.incident.end == "recovered"


def test_a_configuration_that_is_refused_changes_nothing() -> None:
    world = World("a")
    world.result("a", UNHEALTHY)
    before = world.incident
    world.recorder.publish(ConfigReloaded(world.at, problems=("bad",)))
    assert world.incident is before
