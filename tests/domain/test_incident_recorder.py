"""What the scheduler and the controller publish, as incidents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from floe_monitor.compute.models import CheckResult, ConnectionStatus, ErrorType
from floe_monitor.domain.connectivity import ReachJudge
from floe_monitor.domain.events import (
    ConfigReloaded,
    ConnectivityLost,
    ConnectivityRegained,
    IncidentChanged,
    MaintenanceEnded,
    ProbeFinished,
    ProbeResult,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import HealthStatus, Thresholds, advance
from floe_monitor.domain.incident_recorder import IncidentRecorder
from floe_monitor.domain.incidents import CONNECTIVITY
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.resources import Resource
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
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
        self.judge = ReachJudge()
        self.at = 1000.0
        for name in names:
            self.add(name)

    def add(self, name: str, fingerprint: str = "", host: Resource = DB) -> None:
        self.state.targets[name] = TargetSnapshot(
            Target(
                name=name,
                entry=PluginEntry("engine", "floe-monitor-engine", "1", "module:Plugin", None, None),
                settings=TargetSettings(plugin="engine"),
                policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
                fingerprint=fingerprint or name,
                profile_config=None,
                resources=(host,),
            )
        )

    def result(
        self,
        name: str,
        status: ConnectionStatus,
        error: ErrorType | None = None,
        message: str = "",
        **fields: Any,
    ) -> None:
        self.at += 1
        if error is None and status is UNHEALTHY:
            error = ErrorType.CONNECTION
        result = ProbeResult(name, "engine", status, 0.0, self.at, "id", message, error_type=error, **fields)
        snapshot = self.state.targets[name]
        health, transition = advance(snapshot.health, status, self.at, Thresholds())
        self.state.targets[name] = snapshot.after(result, health, 5, 0.0)
        self.recorder.publish(ProbeFinished(result, health, transition))

    def reached(self, name: str, *, reached: bool = True) -> None:
        """A result with a network check, and what the scheduler concludes from it, in its order."""
        status = HEALTHY if reached else UNHEALTHY
        result = ProbeResult(name, "engine", status, 0.0, self.at + 1, "id")
        result = replace(result, checks=(CheckResult("network", status),))
        was_lost = self.state.reach.is_lost
        self.judge.note(result, f"{name}.example", self.at)
        snapshot = self.state.targets[name]
        self.state.targets[name] = replace(snapshot, last=result)
        self.state.reach = self.judge.reach(complete=True)
        if self.state.reach.is_lost and not was_lost:
            self.recorder.publish(ConnectivityLost(self.state.reach.targets))
        elif was_lost and not self.state.reach.is_lost:
            self.recorder.publish(ConnectivityRegained(1.0))
        self.result(name, status, checks=result.checks)

    def maintain(self, name: str, *, maintained: bool) -> None:
        maintenance = Maintenance(self.at, self.at + 3600, "works") if maintained else None
        self.state.targets[name] = self.state.targets[name].with_maintenance(maintenance, self.at)
        if not maintained:
            self.recorder.publish(MaintenanceEnded((name,), "works", self.at - 60, self.at))

    def stale(self, name: str) -> None:
        self.state.targets[name] = self.state.targets[name].as_stale(self.at, 0.0)
        self.recorder.publish(TargetStale(name, "engine", 100.0))

    def reload(self, *, removed: tuple[str, ...] = (), **changes: Any) -> None:
        for name in removed:
            del self.state.targets[name]
        self.recorder.publish(ConfigReloaded(self.at, removed=removed, **changes))

    @property
    def incident_of_all(self) -> Any:
        """The one that the others were merged into."""
        (found,) = (each for each in self.state.incidents.view() if each.end != "merged")
        return found

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


def test_a_target_in_maintenance_begins_no_incident() -> None:
    world = World("a", "b")
    world.maintain("a", maintained=True)
    world.result("a", UNHEALTHY)
    world.result("a", UNHEALTHY)
    world.result("b", UNHEALTHY)
    assert set(world.incident.members) == {"b"}
    world.result("a", HEALTHY)
    world.maintain("a", maintained=False)
    world.result("a", HEALTHY)
    assert set(world.incident.members) == {"b"}


def test_what_still_fails_after_maintenance_begins_one_with_its_next_result() -> None:
    world = World("a")
    world.maintain("a", maintained=True)
    world.result("a", UNHEALTHY, ErrorType.TIMEOUT)
    world.maintain("a", maintained=False)
    assert world.state.incidents.view() == ()
    world.result("a", UNHEALTHY, ErrorType.AUTHENTICATION, "password of dbt is wrong")
    assert (world.incident.began_at, world.incident.reasons[0].message) == (
        world.at,
        "password of dbt is wrong",
    )
    world.result("a", UNHEALTHY, ErrorType.AUTHENTICATION)
    assert len(world.incident.reasons) == 1
    world.result("a", HEALTHY)
    assert world.incident.end == "recovered"


def test_a_validation_that_hangs_since_before_the_end_of_maintenance_begins_one_at_that() -> None:
    """There is no further result of it that could."""
    world = World("a", "b")
    for name in "ab":
        world.maintain(name, maintained=True)
    world.result("a", UNHEALTHY, ErrorType.TIMEOUT, worker="stuck")
    world.result("b", HEALTHY)
    world.at += 600
    for name in "ab":
        world.maintain(name, maintained=False)
    assert (set(world.incident.members), world.incident.began_at) == ({"a"}, world.at)
    assert world.incident.reasons[0].error_type is ErrorType.TIMEOUT


def test_an_incident_goes_on_in_maintenance_and_ends_as_without() -> None:
    world = World("a", "b")
    world.result("a", DEGRADED, ErrorType.CONNECTION)
    world.maintain("a", maintained=True)
    world.result("b", UNHEALTHY)
    world.result("a", UNHEALTHY)
    incident = world.state.incidents.of("a")
    assert incident is not None
    assert (incident.is_open, incident.worst) == (True, HealthStatus.UNHEALTHY)
    world.result("a", HEALTHY)
    assert "a" not in world.state.incidents


def test_targets_of_several_hosts_that_a_monitor_cut_off_does_not_reach_are_one_incident() -> None:
    world = World()
    for name in "abcd":
        world.add(name, host=Resource("host", name))
        world.reached(name)
    for name in "abc":
        world.reached(name, reached=False)
    assert len(world.state.incidents) == 3
    world.reached("d", reached=False)
    assert len(world.state.incidents) == 1
    whole = world.state.incidents.of("a")
    assert whole is not None
    assert (set(whole.members), whole.cause) == ({"a", "b", "c", "d"}, CONNECTIVITY)
    world.at += 10_000
    world.add("late", host=Resource("host", "late"))
    world.reached("late", reached=False)
    assert world.state.incidents.of("late") is world.state.incidents.of("a")
    for name in ("a", "b", "c", "d", "late"):
        world.reached(name)
    assert (len(world.state.incidents), world.incident_of_all.end) == (0, "recovered")
    world.reached("a", reached=False)
    again = world.state.incidents.of("a")
    assert again is not None
    assert again.cause is None, "one that is not reached by a monitor that reaches others"


def test_what_failed_long_before_the_monitor_was_cut_off_is_no_part_of_that() -> None:
    world = World()
    for name in "abc":
        world.add(name, host=Resource("host", name))
        world.reached(name)
    world.reached("a", reached=False)
    world.at += 3600
    world.reached("a", reached=False)
    world.reached("b", reached=False)
    world.reached("c", reached=False)
    assert len(world.state.incidents) == 2
    assert world.state.incidents.of("b") is world.state.incidents.of("c")
