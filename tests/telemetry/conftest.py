"""Targets, results and states to export, as small as they can be."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

from floe_monitor.compute.models import CheckResult, ComputeConfig, ConnectionStatus, ErrorType
from floe_monitor.domain.events import ProbeFinished, ProbeResult
from floe_monitor.domain.health import Health, HealthStatus, Thresholds, Transition
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
from floe_monitor.settings.models import TargetSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.domain.maintenance import Window
    from floe_monitor.registry.discovery import PluginEntry


@dataclass
class World:
    """A state to render, and how to fill it."""

    state: MonitorState = field(
        default_factory=lambda: MonitorState(started_at=0.0, config=ConfigStatus(1_700_000_000.5, 0.0))
    )
    plugin: object = field(default_factory=object)

    def target(
        self,
        name: str = "dev",
        plugin: str = "duckdb",
        labels: Mapping[str, str] | None = None,
        adapter_type: str = "duckdb",
        windows: tuple[Window, ...] = (),
    ) -> Target:
        return Target(
            name=name,
            entry=cast("PluginEntry", SimpleNamespace(name=plugin, plugin=self.plugin, problem=None)),
            settings=TargetSettings.model_construct(plugin=plugin, labels=dict(labels or {})),
            policy=ProbePolicy(30.0, 5.0, Thresholds(), "thread"),
            fingerprint="",
            profile_config=ComputeConfig(plugin=plugin),
            adapter_type=adapter_type,
            windows=windows,
        )

    def add(self, target: Target, result: ProbeResult | None = None, **health: Any) -> TargetSnapshot:
        snapshot = TargetSnapshot(target)
        if result is not None:
            status = HealthStatus.of(result.status)
            snapshot = snapshot.after(result, Health(status=status, since=1.0, **health), keep=3, now=0.0)
        self.state.targets[target.name] = snapshot
        return snapshot


class MakeResult(Protocol):
    def __call__(self, status: ConnectionStatus = ..., **fields: Any) -> ProbeResult: ...


class MakeFinished(Protocol):
    def __call__(self, status: ConnectionStatus = ..., **fields: Any) -> ProbeFinished: ...


def build_result(status: ConnectionStatus = ConnectionStatus.HEALTHY, **fields: Any) -> ProbeResult:
    values: dict[str, Any] = {
        "target": "dev",
        "plugin": "duckdb",
        "duration": 0.012,
        "started_at": 1_700_000_000.25,
        "correlation_id": "c0ffee",
        "checks": (
            CheckResult("connect", ConnectionStatus.HEALTHY, 8.0),
            CheckResult("query", status, 3.0, "", None, 8.5),
        ),
    }
    if status is ConnectionStatus.UNHEALTHY:
        values |= {"error_type": ErrorType.CONNECTION, "message": "refused"}
    return ProbeResult(status=status, **(values | fields))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_result() -> MakeResult:
    return build_result


@pytest.fixture
def make_finished() -> MakeFinished:
    def make(status: ConnectionStatus = ConnectionStatus.HEALTHY, **fields: Any) -> ProbeFinished:
        changed = fields.pop("changed", False)
        result = build_result(status, **fields)
        after = HealthStatus.of(status)
        transition = Transition(HealthStatus.UNKNOWN, after, result.finished_at, 0.0) if changed else None
        return ProbeFinished(result, Health(status=after), transition, "duckdb")

    return make


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Poll until true, a minute at most."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within a minute"
            time.sleep(0.01)

    return wait
