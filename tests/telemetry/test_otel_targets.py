"""How the state of many targets leaves: in small requests with pauses, and at the stop without them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from floe_monitor.domain.interpreter_turns import TURNS
from floe_monitor.telemetry import otel_targets
from floe_monitor.telemetry.otel_targets import TargetsExporter
from floe_monitor.telemetry.target_rows import METRICS_PER_TARGET

if TYPE_CHECKING:
    from tests.telemetry.conftest import MakeResult, World

AT_ONCE = 10
NOTHING = MetricsData([])


class Collecting(MetricExporter):
    """Takes what it is given, up to the request that is to fail."""

    def __init__(self, failing: int = 10**9) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.taken: list[tuple[str, str, float]] = []
        self.failing = failing

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self.sizes.append(
            sum(
                len(metric.data.data_points)
                for resource in metrics_data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            )
        )
        if len(self.sizes) >= self.failing:
            return MetricExportResult.FAILURE
        self.taken += [
            (metric.name, str((point.attributes or {})["target"]), point.value)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if isinstance(point, NumberDataPoint)
        ]
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those that an exporter has made, none of which takes its time."""
    made: list[float] = []

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if not self.is_set():
                made.append(timeout or 0.0)
            return self.is_set()

    class Threading:
        Event = Stopping

    monkeypatch.setattr(otel_targets, "threading", Threading)
    return made


def exporter(world: World, below: Collecting, spread: float = 1.0) -> TargetsExporter:
    scope = InstrumentationScope("scope", "1")
    return TargetsExporter(below, None, world.state, Resource.get_empty(), scope, AT_ONCE, AT_ONCE, spread)


@pytest.mark.parametrize("targets", [1, 30, 300])
def test_requests_are_small_and_pauses_take_no_more_than_their_share(
    targets: int, *, world: World, make_result: MakeResult, pauses: list[float]
) -> None:
    for number in range(targets):
        world.add(world.target(f"t{number}"), make_result())
    below = Collecting()
    spread = 0.5
    assert exporter(world, below, spread).export(NOTHING) is MetricExportResult.SUCCESS
    assert max(below.sizes) <= AT_ONCE
    assert sum(below.sizes) >= 10 * targets
    assert len(pauses) == len(below.sizes) - 1, "one before each request but the first"
    assert 0 < max(pauses) <= otel_targets.PAUSE
    requests_expected = targets * METRICS_PER_TARGET / AT_ONCE
    assert sum(pauses) <= spread * max(1.0, len(pauses) / requests_expected)


def test_a_stop_ends_the_pauses(world: World, make_result: MakeResult, pauses: list[float]) -> None:
    for number in range(30):
        world.add(world.target(f"t{number}"), make_result())
    below = Collecting()
    stopped = exporter(world, below)
    stopped.stop_pausing()
    with TURNS.take():  # and a scrape under way is not waited for
        started = time.monotonic()
        assert stopped.export(NOTHING) is MetricExportResult.SUCCESS
    assert len(below.sizes) > 30
    assert time.monotonic() - started < len(below.sizes) * otel_targets.PATIENCE
    assert pauses == []


def test_a_collector_that_fails_is_asked_no_more(
    world: World, make_result: MakeResult, pauses: list[float]
) -> None:
    for number in range(30):
        world.add(world.target(f"t{number}"), make_result())
    below = Collecting(failing=3)
    assert exporter(world, below).export(NOTHING) is MetricExportResult.FAILURE
    assert len(below.sizes) == 3
    assert len(pauses) == 2


def test_what_was_counted_while_a_collector_was_away_comes_with_the_next_export(
    world: World, make_result: MakeResult, pauses: list[float]
) -> None:
    """Also where it took a part of the export."""
    shown = {name: world.add(world.target(name), make_result()) for name in map("t{}".format, range(40))}

    def validated(results: int) -> None:
        for name, snapshot in shown.items():
            counted = replace(snapshot.availability, results=results)
            world.state.targets[name] = replace(snapshot, availability=counted)

    def counts() -> dict[str, float]:
        found = dict.fromkeys(shown, 0.0)
        for name, target, value in below.taken:
            if name == "floe.compute.target.validations":
                found[target] += value
        return found

    below = Collecting()
    below._preferred_temporality = {ObservableCounter: AggregationTemporality.DELTA}
    sent = exporter(world, below)
    validated(5)
    assert sent.export(NOTHING) is MetricExportResult.SUCCESS
    requests, in_part = len(below.sizes), 0
    for failing in range(1, requests + 1):
        validated(5 + failing)
        below.sizes.clear()
        below.failing = failing
        assert sent.export(NOTHING) is MetricExportResult.FAILURE
        in_part += len(set(counts().values())) > 1
    assert in_part, "the case needs an export of which the counts are taken in part"
    below.failing = 10**9
    assert sent.export(NOTHING) is MetricExportResult.SUCCESS
    assert counts() == dict.fromkeys(shown, 5 + requests)
    validated(50 + requests)
    assert sent.export(NOTHING) is MetricExportResult.SUCCESS
    assert counts() == dict.fromkeys(shown, 50 + requests)
