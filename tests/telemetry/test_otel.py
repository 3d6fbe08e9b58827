"""OTLP export against receivers that are real in protocol and wire, and as ill as collectors get."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace

from floe_monitor.compute.models import ConnectionStatus, EngineState, ExpiryKind, ObservedState
from floe_monitor.domain.events import (
    LateReturn,
    ProbeStarted,
    ProfileGenerated,
    ProfileReconciled,
    TickSkipped,
)
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.shards import Shard
from floe_monitor.domain.state import ChannelCounts
from floe_monitor.domain.worker_counts import WorkerCounts
from floe_monitor.settings.models import OtlpSettings
from floe_monitor.telemetry.fanout import Drops, Fanout
from floe_monitor.telemetry.instrument import Kind
from floe_monitor.telemetry.instruments import INSTRUMENTS
from floe_monitor.telemetry.otel_config import Scrubber, plan
from floe_monitor.telemetry.otel_export import build_otel
from tests.harness.otlp_translation import attributes
from tests.telemetry.otlp_receivers import (
    Received,
    grpc_receiver,
    http_receiver,
    refusing_receiver,
    silent_receiver,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from floe_monitor.probing.tracing import SpanHandle, Tracing
    from floe_monitor.telemetry.otel_pipeline import OtelSink
    from tests.telemetry.conftest import MakeFinished, MakeResult, World

    Eventually = Callable[[Callable[[], object]], None]

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def build(world: World, drops: Drops | None = None, **settings: Any) -> OtelSink:
    sink = build_otel(OtlpSettings(enabled=True, **settings), {}, "1.2.3", world.state, drops)
    assert sink is not None
    return sink


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_both_signals_arrive(
    protocol: str, world: World, make_result: MakeResult, make_finished: MakeFinished
) -> None:
    receive = grpc_receiver if protocol == "grpc" else http_receiver
    with receive() as received:
        world.add(world.target(), make_result())
        sink = build(
            world, endpoint=received.endpoint, protocol=protocol, resource={"deployment.environment": "test"}
        )
        span = sink.tracing.start(
            target="dev", plugin="postgres", db_system="postgresql", correlation_id="c0ffee"
        )
        result = make_result(
            UNHEALTHY,
            plugin="postgres",
            trace_id=span.trace_id,
            span_id=span.span_id,
            started_at=time.time(),
            server_address="db.example.com",
        )
        with span.activate():
            assert format(trace.get_current_span().get_span_context().span_id, "016x") == span.span_id
        span.end(result)
        sink.handle(make_finished(UNHEALTHY, plugin="postgres", trace_id=span.trace_id, span_id=span.span_id))
        assert sink.shutdown(10)
        validation, connect, query = sorted(received.spans(), key=lambda each: bool(each.parent_span_id))
        assert validation.name == "validate_connection"
        assert validation.trace_id.hex() == span.trace_id
        assert validation.span_id.hex() == span.span_id
        assert attributes(validation) == {
            "compute.plugin": "postgres",
            "compute.target": "dev",
            "compute.correlation_id": "c0ffee",
            "compute.status": "unhealthy",
            "error.type": "connection",
            "db.system.name": "postgresql",
            "server.address": "db.example.com",
        }
        assert (validation.status.code, validation.status.message) == (2, "refused")
        assert [each.name for each in (connect, query)] == ["connect", "query"]
        assert {each.parent_span_id for each in (connect, query)} == {validation.span_id}
        assert {each.trace_id for each in (connect, query)} == {validation.trace_id}
        assert validation.start_time_unix_nano <= connect.start_time_unix_nano
        assert query.end_time_unix_nano <= validation.end_time_unix_nano
        assert (connect.status.code, query.status.code) == (0, 2)
        metrics = received.metrics()
        asked = {"plugin": "postgres", "db.system.name": "duckdb"}
        for name, took in (("duration_ms", 12.0), ("duration", 0.012)):
            (point,) = metrics[f"floe.compute.validation.{name}"].histogram.data_points
            assert attributes(point) == {**asked, "status": "unhealthy"}
            assert point.sum == pytest.approx(took)
            assert [each.trace_id.hex() for each in point.exemplars] == [span.trace_id]
        errors = {
            attributes(each)["error.type"]: each
            for each in metrics["floe.compute.validation.errors"].sum.data_points
        }
        assert {name for name, each in errors.items() if each.as_int} == {"connection"}
        assert attributes(errors["connection"]) == {**asked, "error.type": "connection"}
        (up,) = metrics["floe.compute.target.up"].gauge.data_points
        assert (attributes(up), up.as_int) == ({"target": "dev", "plugin": "duckdb"}, 1)
        resource = attributes(received.requests[0][1].ListFields()[0][1][0].resource)
        assert resource["service.name"] == "floe-monitor"
        assert resource["service.version"] == "1.2.3"
        assert resource["deployment.environment"] == "test"


def test_otlp_is_the_table_and_nothing_else(
    world: World, make_result: MakeResult, make_finished: MakeFinished
) -> None:
    with http_receiver() as received:
        ends = WatchedExpiry(ExpiryKind.PASSWORD, 2e9, "", 60.0)
        woken = (ObservedState(EngineState.STARTING, 10.0), ObservedState(EngineState.RUNNING, 17.5))
        limited = make_result(
            UNHEALTHY, server_address="db.example.com", expiries=(ends,), engine_states=woken
        )
        snapshot = world.add(world.target(labels={"team": "core"}), make_result())
        snapshot = snapshot.after(limited, snapshot.health, 3, 1.0)
        world.state.targets["dev"] = snapshot.with_maintenance(Maintenance(1.0, 9.0, "upgrade"), 6.0)
        world.state.workers = {"duckdb": WorkerCounts(3, 1, 16)}
        world.state.profiles["p"] = ProfileReconciled("p", "unchanged", 1.0)
        world.state.dropped = {"otlp": 2}
        world.state.notifications = {"team": ChannelCounts(sent=3, failed=2, dead=1, pending=4, held=1)}
        world.state.scheduler_beat, world.state.keeps_history = 5.0, True
        world.state.shard, world.state.configured = Shard(1, 4, 2), 8000
        sink = build(world, endpoint=received.endpoint, traces=False)
        assert sink.tracing.start(target="", plugin="", db_system="", correlation_id="").trace_id is None
        for event in (
            make_finished(UNHEALTHY),
            ProbeStarted("dev", "duckdb", 0.004, 0.25),
            TickSkipped("dev", "duckdb", "stuck", 3),
            LateReturn("dev", "duckdb", 9.0),
            ProfileGenerated("duckdb", 0.0004),
            ProfileReconciled("p", "written", 1.0),
            ProfileReconciled("p", "unchanged", 1.0),
        ):
            sink.handle(event)
        assert sink.shutdown(10)
        assert received.spans() == []
        metrics = received.metrics()
    forms = {each.otlp: (each, each.otlp_unit, 1) for each in INSTRUMENTS}
    forms |= {each.otlp_ms: (each, "ms", 1000) for each in INSTRUMENTS if each.otlp_ms}
    assert metrics.keys() == forms.keys()
    data = {Kind.HISTOGRAM: "histogram", Kind.COUNTER: "sum", Kind.GAUGE: "gauge", Kind.INFO: "gauge"}
    for name, (instrument, unit, scale) in forms.items():
        metric = metrics[name]
        assert metric.unit == unit
        assert metric.description == instrument.description
        assert metric.WhichOneof("data") == data[instrument.kind]
        points = getattr(metric, data[instrument.kind]).data_points
        assert points
        for point in points:
            named = {"label_*" if key.startswith("label_") else key for key in attributes(point)}
            assert named - {"db.system.name"} == set(instrument.attributes)
            if instrument.kind is Kind.HISTOGRAM:
                assert list(point.explicit_bounds) == [bound * scale for bound in instrument.buckets]
    skipped = metrics["floe.monitor.probes.skipped"].sum.data_points
    assert {attributes(each)["reason"]: each.as_int for each in skipped}["stuck"] == 3


@pytest.mark.parametrize(
    ("setting", "variable", "kind"),
    [
        ("exponential", None, "exponential_histogram"),
        (None, "base2_exponential_bucket_histogram", "exponential_histogram"),
        ("explicit", "base2_exponential_bucket_histogram", "histogram"),
        (None, None, "histogram"),
    ],
)
def test_histograms_have_the_buckets_that_are_asked_for(
    setting: Any,
    variable: str | None,
    kind: str,
    *,
    world: World,
    make_finished: MakeFinished,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variable is not None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", variable)
    with http_receiver() as received:
        sink = build(world, endpoint=received.endpoint, traces=False, histograms=setting)
        sink.handle(make_finished())
        assert sink.shutdown(10)
        metric = received.metrics()["floe.compute.validation.duration"]
    assert metric.WhichOneof("data") == kind
    (point,) = getattr(metric, kind).data_points
    assert (point.count, point.sum) == (1, pytest.approx(0.012))


def test_exports_that_fail_are_counted(world: World, make_result: MakeResult, eventually: Eventually) -> None:
    drops = Drops()
    world.add(world.target(), make_result())
    with http_receiver(400) as received:
        sink = build(world, drops, endpoint=received.endpoint, traces=False, export_interval=0.1)
        assert drops["otlp_metrics"] == 0
        eventually(lambda: drops["otlp_metrics"] >= 2)
        assert sink.shutdown(10)


def test_each_monitor_of_a_host_has_an_instance_of_its_own(world: World) -> None:
    instances = []
    for listens in ("9464", "9465", None, None):
        with http_receiver() as received:
            sink = build_otel(
                OtlpSettings(enabled=True, endpoint=received.endpoint), {}, "1", world.state, listens=listens
            )
            assert sink is not None
            assert sink.shutdown(10)
            (resource, *_) = next(
                request.resource_metrics for kind, request, _ in received.requests if kind == "metrics"
            )
            instances.append(attributes(resource.resource)["service.instance.id"])
    assert len(set(instances)) == 4
    assert instances[0] == f"{socket.gethostname()}:9464"


@pytest.mark.gate
@pytest.mark.slow
def test_ten_thousand_targets_and_then_fewer(world: World, make_result: MakeResult) -> None:
    with http_receiver() as received:
        for number in range(10_500):
            world.add(world.target(f"t{number}"), make_result())
        sink = build(world, endpoint=received.endpoint, traces=False, export_interval=0.3)
        status = "floe.compute.target.status"

        def names() -> set[str]:
            # A request holds some hundred points: gather those of the latest export.
            newest = max((point.time_unix_nano for point in points()), default=0)
            return {attributes(point)["target"] for point in points() if point.time_unix_nano == newest}

        def points() -> list[Any]:
            return [
                point
                for _, request, _ in list(received.requests)
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
                if metric.name == status
                for point in metric.gauge.data_points
            ]

        deadline = time.monotonic() + 60
        while len(names()) < 10_500 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(names()) == 10_500
        for number in range(10_490):
            del world.state.targets[f"t{number}"]
        received.requests.clear()
        assert sink.shutdown(20)
        assert names() == {f"t{number}" for number in range(10_490, 10_500)}


ILL: dict[str, Callable[[], AbstractContextManager[Received]]] = {
    "silent": silent_receiver,
    "refusing": refusing_receiver,
    "503": lambda: http_receiver(503),
}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("how", ILL)
def test_an_ill_collector_is_not_felt(
    how: str,
    protocol: str,
    *,
    world: World,
    make_result: MakeResult,
    make_finished: MakeFinished,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    within: Any,
    eventually: Eventually,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    monkeypatch.setattr("floe_monitor.telemetry.otel_spans.PENDING_LIMIT", 2000)
    drops = Drops()
    with ILL[how]() as received:
        sink = build(world, drops, endpoint=received.endpoint, protocol=protocol, export_interval=0.2)
        fanout = Fanout([sink], drops=drops)
        fanout.start()
        for _ in range(1500):  # with its two checks each is three spans
            with within(0.4):
                span = sink.tracing.start(
                    target="dev", plugin="duckdb", db_system="duckdb", correlation_id="c"
                )
                span.end(make_result(started_at=time.time()))
                fanout.publish(make_finished())
        assert fanout.close(5)
        assert drops["otlp"] == 0
        with within(0.5, margin=1.5):
            sink.shutdown(0.5)
        assert drops["otlp_spans"] > 0
    # One line per kind of message, not one per span or attempt; what is under way may still add some.
    assert len(caplog.records) < 12
    # What it has abandoned ends too. (Its pauses are random, which Hypothesis forbids beside its own draws.)
    eventually(
        lambda: not [each for each in threading.enumerate() if each.name.startswith(("Otel", "otlp-"))]
    )
    assert not any(record.exc_info for record in caplog.records)


def test_secrets_of_headers_reach_the_collector_and_nobody_else(
    world: World,
    make_result: MakeResult,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    secret = tmp_path / "token"
    secret.write_text("canary-file\n")
    headers = {
        "Authorization": {"env": "TOKEN"},
        "x-api-key": {"file": str(secret)},
        "x-gone": {"env": "GONE"},
    }
    for receive in (http_receiver, grpc_receiver, refusing_receiver):
        with receive() as received:
            settings = OtlpSettings.model_validate(
                {
                    "endpoint": received.endpoint.replace("//", "//user:canary-url@")
                    if receive is refusing_receiver
                    else received.endpoint,
                    "protocol": "grpc" if receive is grpc_receiver else "http/protobuf",
                    "headers": headers,
                    "metrics": False,
                }
            )
            environ = {"TOKEN": "canary-env"}
            assert "canary" not in repr(plan(settings, environ, "monitor:9464"))
            sink = build_otel(settings, environ, "1", world.state)
            assert sink is not None
            sink.tracing.start(target="t", plugin="p", db_system="d", correlation_id="c").end(make_result())
            sink.shutdown(5)
            for _, _, sent in received.requests:
                assert sent["authorization"] == "canary-env"
                assert sent["x-api-key"] == "canary-file"
            assert bool(received.requests) == (receive is not refusing_receiver)
    assert "canary" not in caplog.text
    assert "otlp.headers.x-gone: GONE cannot be read" in caplog.text


def test_a_header_is_read_as_every_reference_is(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The file wins over the variable, without its line ending; what cannot be read is left out and told."""
    (tmp_path / "token").write_bytes(b"from the file\r\n")
    os.mkfifo(tmp_path / "pipe")
    headers = {
        "Both": {"env": "TOKEN", "file": str(tmp_path / "token")},
        "Pipe": {"env": "TOKEN", "file": str(tmp_path / "pipe")},
        "Empty": {"env": "EMPTY"},
    }
    settings = OtlpSettings.model_validate({"enabled": True, "headers": headers})
    wanted = plan(settings, {"TOKEN": "from the variable", "EMPTY": ""}, "monitor:9464")
    assert wanted is not None
    assert wanted.headers == {"both": "from the file"}
    assert [record.message for record in caplog.records] == [
        f"otlp.headers.Pipe: {tmp_path}/pipe cannot be read",
        "otlp.headers.Empty: EMPTY cannot be read",
    ]


def test_what_the_sdk_repeats_is_counted(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_receiver() as received:
        sink = build(world, endpoint=received.endpoint, traces=False, export_interval=3600)
    sdk = logging.getLogger("opentelemetry.sdk")
    for again in (1, 2):
        for _ in range(again + 1):
            sdk.warning("not exported")
        monkeypatch.setattr("floe_monitor.telemetry.otel_pipeline.REPORT_EVERY", -1.0)
        sdk.warning("not exported")
        monkeypatch.undo()
    lines = [record.message for record in caplog.records if "not exported" in record.message]
    assert lines == [
        "not exported",
        "not exported (1 more time before)",
        "not exported (3 more times before)",
    ]
    sink.shutdown(0.1)


def test_scrubbing_what_the_sdk_says() -> None:
    scrub = Scrubber(("hunter2", "", "hunter2-longer"))
    assert scrub("to http://u:p@host with hunter2-longer") == "to http://***@host with ***"


HTTP = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "settings", "traces", "metrics"),
    [
        ({}, {}, None, None),
        ({HTTP: ""}, {}, None, None),
        ({HTTP: "http://c:4318/"}, {}, "http://c:4318/v1/traces", "http://c:4318/v1/metrics"),
        ({HTTP: "http://c:4318"}, {"enabled": False}, None, None),
        ({HTTP: "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, {"enabled": True}, None, None),
        ({HTTP: "http://c", "OTEL_TRACES_EXPORTER": "none"}, {}, None, "http://c/v1/metrics"),
        ({HTTP: "http://c", "OTEL_METRICS_EXPORTER": "none"}, {}, "http://c/v1/traces", None),
        ({HTTP: "http://c", "OTEL_METRICS_EXPORTER": "prometheus"}, {}, "http://c/v1/traces", None),
        (
            {HTTP: "http://c", "OTEL_TRACES_EXPORTER": "console, otlp"},
            {"metrics": False},
            "http://c/v1/traces",
            None,
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/as/is"}, {}, "http://t/as/is", None),
        ({}, {"enabled": True}, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"),
        ({}, {"enabled": True, "protocol": "grpc"}, "http://localhost:4317", "http://localhost:4317"),
        (
            {HTTP: "http://env"},
            {"endpoint": "http://own/v1/traces"},
            "http://own/v1/traces",
            "http://own/v1/metrics",
        ),
        ({HTTP: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"traces": False}, None, "http://c"),
        (
            {HTTP: "http://c", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
            {},
            "http://c/v1/traces",
            "http://c",
        ),
        (
            {HTTP: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            {"metrics": False},
            "http://c/v1/traces",
            None,
        ),
    ],
)
def test_what_configuration_and_environment_ask_for(
    environ: Mapping[str, str], settings: dict[str, Any], traces: str | None, metrics: str | None
) -> None:
    made = plan(OtlpSettings(**settings), environ, "monitor:9464")
    found = (made.traces, made.metrics) if made else (None, None)
    assert tuple(each.endpoint if each else None for each in found) == (traces, metrics)


def test_the_standard_interval_variable_counts() -> None:
    environ = {HTTP: "http://c", "OTEL_METRIC_EXPORT_INTERVAL": "2500"}
    made = plan(OtlpSettings(), environ, "monitor:9464")
    assert made is not None
    assert made.metric_interval == 2.5
    made = plan(
        OtlpSettings(export_interval=7.0), {**environ, "OTEL_METRIC_EXPORT_INTERVAL": "junk"}, "monitor:9464"
    )
    assert made is not None
    assert made.metric_interval == 7.0


@pytest.mark.parametrize("variables", [{}, {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "a=1"}])
def test_the_environments_resource_goes_over_ours(
    variables: dict[str, str], world: World, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with http_receiver() as received:
        sink = build(world, endpoint=received.endpoint, metrics=False, resource={"a": "0", "b": "2"})
        sink.tracing.start(target="t", plugin="p", db_system="d", correlation_id="c").end(make_result())
        assert sink.shutdown(10)
        resource = attributes(received.requests[0][1].resource_spans[0].resource)
    expected = ("mine", "1", "2") if variables else ("floe-monitor", "0", "2")
    assert (resource["service.name"], resource["a"], resource["b"]) == expected


def test_without_grpc_it_is_told_and_nothing_else_suffers(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc", None)
    asked = OtlpSettings(enabled=True, protocol="grpc")
    assert build_otel(asked, {}, "1", world.state) is None
    assert "nothing is exported over OTLP: gRPC is not installed" in caplog.text
    assert "extra `otlp-grpc`" in caplog.text


OFF = """
import sys
import threading
from floe_monitor.settings.models import OtlpSettings
from floe_monitor.telemetry.otel_export import build_otel
assert build_otel(OtlpSettings(), {}, "1", None) is None
loaded = [name for name in sys.modules if name.startswith(("opentelemetry", "grpc", "requests"))]
assert not loaded, loaded
"""

NESTED = """
import sys, time
from floe_monitor.compute.models import ConnectionStatus, ExpiryKind
from floe_monitor.compute.redaction.current import knowing_secrets_of
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.domain.events import ProbeResult
from floe_monitor.settings.models import OtlpSettings
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.telemetry.otel_export import build_otel
from opentelemetry import trace
state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
early = trace.get_tracer("a.driver")  # as a driver does at import
sink = build_otel(OtlpSettings(endpoint=sys.argv[1], metrics=False), {}, "1", state)
span = sink.tracing.start(target="t", plugin="p", db_system="d", correlation_id="c")
import threading
def work():
    with span.activate(), knowing_secrets_of(Redactor(["canary"])):
        try:
            with early.start_as_current_span("of the plugin", attributes={"dsn": ["p:CANARY@h"]}) as own:
                own.add_event("canary", {"canary": "63616e617279", "n": 1})
                raise ValueError("canary")
        except ValueError:
            trace.get_current_span().set_attribute("leak", "canary")
thread = threading.Thread(target=work); thread.start(); thread.join()
span.end(ProbeResult("t", "p", ConnectionStatus.HEALTHY, 0.1, time.time(), "c"))
assert sink.shutdown(10)
"""


@pytest.mark.process
def test_without_configuration_the_sdk_is_not_imported() -> None:
    subprocess.run([sys.executable, "-c", OFF], check=True, timeout=120)


@pytest.mark.process
def test_a_plugins_own_spans_nest() -> None:
    with http_receiver() as received:
        subprocess.run([sys.executable, "-c", NESTED, received.endpoint], check=True, timeout=120)
        spans = {span.name: span for span in received.spans()}
        assert not re.search("canary|63616e", str(received.requests), re.IGNORECASE)
    added, event = spans["of the plugin"].events
    assert "p:***@h" in str(attributes(spans["of the plugin"])["dsn"])
    assert (added.name, attributes(added)) == ("***", {"***": "***", "n": 1})
    assert attributes(event)["exception.type"] == "ValueError"
    assert spans["of the plugin"].parent_span_id == spans["validate_connection"].span_id
    assert spans["of the plugin"].trace_id == spans["validate_connection"].trace_id


SEEDS = """
import sys, threading, time
from opentelemetry import metrics, trace
# As the seed has it, at import of the plugin: before anything is exported.
tracer = trace.get_tracer("floe.compute")
meter = metrics.get_meter("floe.compute")
validation_duration = meter.create_histogram(
    name="floe.compute.validation.duration_ms", description="Connection validation latency", unit="ms"
)
meter.create_observable_gauge("of.the.plugin", [lambda _: threading.Event().wait()] if "hang" in sys.argv else
    [lambda _: [metrics.Observation(7)]])
from floe_monitor.compute.models import ConnectionStatus, ExpiryKind
from floe_monitor.domain.events import ProbeFinished, ProbeResult
from floe_monitor.domain.health import Health
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.settings.models import OtlpSettings
from floe_monitor.telemetry.otel_export import build_otel
state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
sink = build_otel(OtlpSettings(endpoint=sys.argv[1], export_interval=0.2), {}, "1.2.3", state)
span = sink.tracing.start(target="t", plugin="p", db_system="d", correlation_id="c")
with span.activate():
    try:
        with tracer.start_as_current_span("of the plugin"):
            validation_duration.record(5.0, {"plugin": "seed"})
            raise ValueError("canary")
    except ValueError:
        pass
result = ProbeResult("t", "p", ConnectionStatus.HEALTHY, 0.1, time.time(), "c")
span.end(result)
sink.handle(ProbeFinished(result, Health(), None, "d"))
if "hang" in sys.argv:
    sys.stdin.read()  # until what is to arrive has arrived
    sink.shutdown(0.5)
else:
    assert sink.shutdown(30)
"""


def by_scope(received: Received, kind: str) -> dict[tuple[str, str], set[str]]:
    """Name and version of each scope, with the names of what came from it."""
    found: dict[tuple[str, str], set[str]] = {}
    for what, request, _ in list(received.requests):
        for resource in (
            getattr(request, f"resource_{kind}") if what == {"spans": "traces"}.get(kind, kind) else ()
        ):
            for scope in getattr(resource, f"scope_{kind}"):
                names = found.setdefault((scope.scope.name, scope.scope.version), set())
                names |= {each.name for each in getattr(scope, kind)}
    return found


@pytest.mark.process
def test_what_a_plugin_of_the_seed_traces_and_measures_is_exported_beside_ours() -> None:
    """Ours has the seed's scope and the monitor's version; the plugin's is its own, and has none."""
    duration = "floe.compute.validation.duration_ms"
    with http_receiver() as received:
        subprocess.run([sys.executable, "-c", SEEDS, received.endpoint], check=True, timeout=120)
        spans, measured = by_scope(received, "spans"), by_scope(received, "metrics")
        assert "canary" not in str(received.requests)
    assert spans == {
        ("floe.compute", "1.2.3"): {"validate_connection"},
        ("floe.compute", ""): {"of the plugin"},
    }
    assert measured.keys() == spans.keys()
    assert measured["floe.compute", ""] == {duration, "of.the.plugin"}
    assert duration in measured["floe.compute", "1.2.3"]
    assert "of.the.plugin" not in measured["floe.compute", "1.2.3"]


@pytest.mark.process
def test_a_plugins_instrument_that_hangs_holds_up_none_of_ours(eventually: Eventually) -> None:
    with http_receiver() as received:
        command = [sys.executable, "-c", SEEDS, received.endpoint, "hang"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            try:
                eventually(
                    lambda: (
                        sum(kind == "metrics" for kind, *_ in list(received.requests)) > 2
                        and "floe.compute.validation.duration_ms" in received.metrics()
                    )
                )
                process.communicate(timeout=120)
            finally:
                process.kill()
        assert process.returncode == 0


def test_a_trace_that_is_not_sampled_is_neither_exported_nor_named(
    world: World, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with http_receiver() as received:
        sink = build(world, endpoint=received.endpoint, metrics=False)
        span = sink.tracing.start(target="t", plugin="p", db_system="d", correlation_id="c")
        span.end(make_result())
        assert sink.shutdown(10)
    assert (span.trace_id, span.span_id) == (None, None)
    assert received.requests == []


def test_the_runner_can_use_what_is_built(world: World) -> None:
    with http_receiver() as received:
        for traces in (True, False):
            sink = build(world, endpoint=received.endpoint, traces=traces, metrics=not traces)
            tracing: Tracing = sink.tracing
            handle: SpanHandle = tracing.start(target="t", plugin="p", db_system="d", correlation_id="c")
            with handle.activate():
                pass
            assert sink.shutdown(10)


def test_spans_wait_for_a_collector_that_is_away(
    world: World,
    make_result: MakeResult,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    """Longer than the SDK tries to send a batch, after which it gives it up."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    monkeypatch.setattr("floe_monitor.telemetry.otel_spans.PAUSES", (0.05, 0.1))
    drops = Drops()
    with http_receiver(503) as received:
        sink = build(world, drops, endpoint=received.endpoint, metrics=False)
        for _ in range(700):  # with its two checks each is three spans: more than one batch
            sink.tracing.start(target="dev", plugin="duckdb", db_system="duckdb", correlation_id="c").end(
                make_result(started_at=time.time())
            )
        eventually(lambda: len(received.requests) >= 3)
        assert drops["otlp_spans"] == 0
        received.requests.clear()
        received.status = 200
        eventually(lambda: len({span.span_id for span in received.spans()}) == 2100)
        assert sink.shutdown(10)
    assert drops["otlp_spans"] == 0
