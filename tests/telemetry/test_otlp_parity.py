"""What goes out over OTLP is, when Prometheus has received it, what Prometheus would have scraped."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from floe_monitor.compute.models import (
    CheckResult,
    ConnectionStatus,
    EngineState,
    ExpiryKind,
    ObservedState,
)
from floe_monitor.domain.events import (
    LateReturn,
    ProbeStarted,
    ProfileGenerated,
    ProfileReconciled,
    TickSkipped,
)
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.maintenance import Maintenance, Window
from floe_monitor.domain.shards import Shard
from floe_monitor.domain.worker_counts import WorkerCounts
from floe_monitor.settings.models import OtlpSettings
from floe_monitor.settings.recurrence import Recurrence
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.instrument import Instrument, Kind
from floe_monitor.telemetry.instruments import INSTRUMENTS
from floe_monitor.telemetry.otel_export import build_otel
from floe_monitor.telemetry.prometheus import PrometheusSink
from tests.harness.otlp_translation import metric_name, samples
from tests.telemetry.otlp_receivers import Received, http_receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from floe_monitor.domain.events import Event
    from floe_monitor.telemetry.otel_pipeline import OtelSink
    from tests.telemetry.conftest import MakeFinished, MakeResult, World

    Eventually = Callable[[Callable[[], object]], None]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
CLOCKED = {"floe_compute_target_result_seconds_total", "floe_compute_target_maintenance_seconds_total"}
"""Their values go on between the two readings."""


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.name)
def test_prometheus_makes_the_documented_name_of_it(instrument: Instrument) -> None:
    kind = {Kind.COUNTER: "counter", Kind.HISTOGRAM: "histogram"}.get(instrument.kind, "gauge")
    assert metric_name(instrument.otlp, instrument.otlp_unit, kind) == instrument.name
    if instrument.otlp_ms is not None:
        names = {each.name for each in INSTRUMENTS}
        assert metric_name(instrument.otlp_ms, "ms", kind) not in names


def fill(world: World, make_result: MakeResult) -> None:
    """Targets of every kind: well, failing, in maintenance, stale, without any result."""
    ends = (WatchedExpiry(ExpiryKind.KEY, 2e9, "the key", 60.0), WatchedExpiry(ExpiryKind.TOKEN, 3e9, "", 0))
    woken = (ObservedState(EngineState.STARTING, 10.0), ObservedState(EngineState.RUNNING, 17.5))
    well = make_result(server_address="db.example.com", expiries=ends, engine_states=woken)
    world.add(world.target("well", labels={"team": "core", "tier": "1"}), well)
    twice = (CheckResult("query", HEALTHY, 1.5), CheckResult("query", DEGRADED, 2.0))
    world.add(world.target("failing"), make_result(UNHEALTHY, checks=twice), consecutive_failures=3)
    window = Window(Recurrence("0 3 * * *", "UTC"), 3600.0)
    maintained = world.add(world.target("maintained", windows=(window,)), make_result(DEGRADED))
    world.state.targets["maintained"] = maintained.with_maintenance(Maintenance(1.0, 9.5, "upgrade"), 6.0)
    world.add(world.target("spared", windows=(window,)), make_result())
    stale = world.add(world.target("stale"), make_result(UNHEALTHY))
    world.state.targets["stale"] = stale.as_stale(5.0, 5.0)
    world.add(world.target("new"))
    world.state.workers = {"duckdb": WorkerCounts(3, 1, 16)}
    world.state.profiles["p"] = ProfileReconciled("p", "unchanged", 1.0)
    world.state.dropped = {"log": 2}
    world.state.scheduler_beat = time.monotonic()
    world.state.keeps_history = True
    world.state.shard, world.state.configured = Shard(1, 3, 2), 7


def happened(make_finished: MakeFinished) -> list[Event]:
    return [
        make_finished(UNHEALTHY),
        make_finished(),
        ProbeStarted("well", "duckdb", 0.004, 0.25),
        TickSkipped("well", "duckdb", "stuck", 3),
        LateReturn("well", "duckdb", 9.0),
        ProfileGenerated("duckdb", 0.0004),
        ProfileReconciled("p", "written", 1.0),
    ]


def export(world: World, received: Received, **settings: Any) -> OtelSink:
    found = build_otel(
        OtlpSettings(enabled=True, endpoint=received.endpoint, traces=False, **settings),
        {},
        "1",
        world.state,
    )
    assert found is not None
    return found


def series(name: str, labels: Iterable[tuple[str, str]]) -> tuple[str, frozenset[tuple[str, str]]]:
    """Without what the receiver adds, and bounds as numbers: a scraped one ends in `.0`."""
    added = ("job", "instance", "db_system_name")
    shown = {key: f"{float(value):g}" if key == "le" else value for key, value in labels if value}
    return name, frozenset((key, value) for key, value in shown.items() if key not in added)


def test_it_is_what_a_scrape_says(world: World, make_result: MakeResult, make_finished: MakeFinished) -> None:
    fill(world, make_result)
    prometheus = PrometheusSink()
    with http_receiver() as received:
        sink = export(world, received, export_interval=3600)
        for event in happened(make_finished):
            prometheus.handle(event)
            sink.handle(event)
        body, _ = MetricsPage(world.state, prometheus, "1").render()
        assert sink.shutdown(30)
    scraped = {
        series(sample.name, sample.labels.items()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    came = {
        series(each.name, each.labels): each.value
        for kind, request, _ in received.requests
        if kind == "metrics"
        for each in samples(request)
    }
    names = {instrument.name for instrument in INSTRUMENTS}
    beside = {key for key in scraped if key[0].startswith("process_") and key[0] not in names}
    millis = {key for key in came if "_milliseconds" in key[0]}
    assert millis
    # A histogram of the client library has a status from the start; over OTLP one begins with its first.
    unseen = {
        key for key in scraped if key[0].startswith("floe_compute_validation_duration") and not scraped[key]
    }
    assert scraped.keys() - beside - unseen == {
        key for key in came if key[0] != "target_info" and key not in millis and key not in unseen
    }
    for key in came.keys() & scraped.keys():
        if key[0] in CLOCKED or key[0].startswith(("process_", "floe_monitor_scheduler")):
            assert came[key] >= scraped[key]
        else:
            assert came[key] == pytest.approx(scraped[key], abs=0.0011), key


def test_counts_are_since_the_last_export_where_that_is_preferred(
    world: World, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    snapshot = world.add(world.target("dev"), make_result())

    def found(results: int) -> None:
        after = replace(snapshot, availability=replace(snapshot.availability, results=results))
        world.state.targets["dev"] = after

    found(40)
    with http_receiver() as received:
        sink = export(world, received, export_interval=0.2)

        def points() -> list[Any]:
            return [
                point
                for _, request, _ in list(received.requests)
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
                if metric.name == "floe.compute.target.validations"
                for point in metric.sum.data_points
            ]

        eventually(points)
        found(42)
        eventually(lambda: sum(point.as_int for point in points()) == 42)
        assert sink.shutdown(30)
    periods = [(point.start_time_unix_nano, point.time_unix_nano) for point in points()]
    assert all(before[1] == after[0] for before, after in pairwise(periods))
    assert sum(point.as_int for point in points()) == 42
