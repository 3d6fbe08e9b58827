from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from floe_monitor.compute.models import (
    CheckResult,
    ConnectionStatus,
    EngineState,
    ErrorType,
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
from floe_monitor.domain.state import ChannelCounts
from floe_monitor.domain.worker_counts import WorkerCounts
from floe_monitor.settings.recurrence import Recurrence
from floe_monitor.telemetry.exposition import OPENMETRICS, TEXT, MetricsPage
from floe_monitor.telemetry.instrument import Kind, Origin
from floe_monitor.telemetry.instruments import INSTRUMENTS
from floe_monitor.telemetry.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

    from floe_monitor.domain.events import ProbeResult
    from tests.telemetry.conftest import MakeFinished, MakeResult, World

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus

parse_openmetrics: Callable[[str], Iterable[Metric]] = openmetrics_parser.text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def families(page: MetricsPage) -> dict[str, Metric]:
    body, content_type = page.render(openmetrics=True)
    assert content_type == OPENMETRICS
    assert body.endswith(b"# EOF\n")
    return {family.name: family for family in parse_openmetrics(body.decode())}


def samples(page: MetricsPage) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(page).values()
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_a_target_as_it_is_now(world: World, make_result: MakeResult) -> None:
    page = MetricsPage(world.state, PrometheusSink(), "1.2.3")
    target = world.target(labels={"team": 'the "core"'})
    world.add(target)
    ids: dict[str, str] = {"target": "dev", "plugin": "duckdb"}
    before = samples(page)
    assert before[key("floe_compute_target_status", **ids)] == 0
    assert before[key("floe_compute_target_up", **ids)] == 0
    assert key("floe_compute_target_last_duration_seconds", **ids) not in before
    info = key("floe_compute_target_info", dbt_type="duckdb", label_team='the "core"', **ids)
    assert before[info] == 1
    world.add(target, make_result(DEGRADED), status_changes=4)
    after = samples(page)
    assert after[key("floe_compute_target_status", **ids)] == 2
    assert after[key("floe_compute_target_up", **ids)] == 1
    assert after[key("floe_compute_target_last_duration_seconds", **ids)] == 0.012
    assert after[key("floe_compute_target_last_validation_timestamp_seconds", **ids)] == 1_700_000_000.262
    assert after[key("floe_compute_target_last_success_timestamp_seconds", **ids)] == 1_700_000_000.262
    assert after[key("floe_compute_target_status_changes_total", **ids)] == 4
    assert after[key("floe_compute_target_interval_seconds", **ids)] == 30
    assert after[key("floe_compute_target_check_status", check="connect", **ids)] == 1
    assert after[key("floe_compute_target_check_status", check="query", **ids)] == 2
    world.add(target, make_result(UNHEALTHY), consecutive_failures=7)
    ill = samples(page)
    assert ill[key("floe_compute_target_status", **ids)] == 3
    assert ill[key("floe_compute_target_up", **ids)] == 0
    assert ill[key("floe_compute_target_consecutive_failures", **ids)] == 7
    assert key("floe_compute_target_last_success_timestamp_seconds", **ids) not in ill


def test_what_a_target_needs_and_when_that_ends(world: World, make_result: MakeResult) -> None:
    page = MetricsPage(world.state, PrometheusSink(), "1")
    ids = {"target": "dev", "plugin": "duckdb"}
    ends, warned = (
        "floe_compute_target_expiry_timestamp_seconds",
        "floe_compute_target_expiry_warning_seconds",
    )
    certificate = WatchedExpiry(ExpiryKind.SERVER_CERTIFICATE, 1_800_000_000.0, "", 86_400.0)
    password = WatchedExpiry(ExpiryKind.PASSWORD, 1_700_000_600.0, "", 0.0)
    target = world.target(labels={"team": "core"})
    snapshot = world.add(target, make_result(server_address="db", expiries=(certificate, password)))

    def found(*results: ProbeResult) -> Samples:
        nonlocal snapshot
        for result in results:
            snapshot = snapshot.after(result, snapshot.health, keep=1, now=0.0)
        world.state.targets["dev"] = snapshot
        return samples(page)

    info = key("floe_compute_target_info", dbt_type="duckdb", server_address="db", label_team="core", **ids)
    before = found()
    assert before[key(ends, what="server_certificate", **ids)] == 1_800_000_000
    assert before[key(warned, what="server_certificate", **ids)] == 86_400
    assert before[key(ends, what="password", **ids)] == 1_700_000_600
    assert key(warned, what="password", **ids) not in before
    assert before[info] == 1
    failed = found(make_result(UNHEALTHY, expiries=(certificate,)), make_result(UNHEALTHY))
    assert failed[key(ends, what="password", **ids)] == 1_700_000_600
    assert failed[info] == 1
    renewed = found(make_result(expiries=(replace(certificate, at=1_900_000_000.0),)))
    assert renewed[key(ends, what="server_certificate", **ids)] == 1_900_000_000
    assert key(ends, what="password", **ids) not in renewed


def test_how_long_each_check_took(world: World, make_result: MakeResult) -> None:
    page = MetricsPage(world.state, PrometheusSink(), "1")
    twice = (CheckResult("connect", HEALTHY, 8.25), CheckResult("connect", HEALTHY, 1.5))
    snapshot = world.add(world.target(), make_result(checks=twice))
    took = key("floe_compute_target_check_duration_seconds", target="dev", plugin="duckdb", check="connect")
    assert samples(page)[took] == 0.00975
    world.state.targets["dev"] = snapshot.as_stale(5.0, 0.0)
    assert took not in samples(page)


def test_a_stale_target_is_unknown_in_all_its_checks(world: World, make_result: MakeResult) -> None:
    page = MetricsPage(world.state, PrometheusSink(), "1")
    snapshot = world.add(world.target(), make_result())
    assert samples(page)[key("floe_compute_target_status", target="dev", plugin="duckdb")] == 1
    world.state.targets["dev"] = snapshot.as_stale(5.0, 0.0)
    stale = samples(page)
    assert stale[key("floe_compute_target_status", target="dev", plugin="duckdb")] == 0
    assert stale[key("floe_compute_target_check_status", target="dev", plugin="duckdb", check="query")] == 0


def test_the_result_in_force_counts_at_every_scrape(world: World, make_result: MakeResult) -> None:
    clock = 100.0
    page = MetricsPage(world.state, PrometheusSink(), "1", monotonic=lambda: clock)

    def seconds() -> dict[str, float]:
        name = "floe_compute_target_result_seconds_total"
        return {
            dict(labels)["status"]: value for (found, labels), value in samples(page).items() if found == name
        }

    snapshot = world.add(world.target())
    assert seconds() == {"healthy": 0, "degraded": 0, "unhealthy": 0}

    def found(status: ConnectionStatus) -> None:
        nonlocal snapshot
        snapshot = snapshot.after(make_result(status), snapshot.health, keep=1, now=clock)
        world.state.targets["dev"] = snapshot

    found(HEALTHY)
    clock = 107.0
    assert seconds() == {"healthy": 7, "degraded": 0, "unhealthy": 0}
    found(UNHEALTHY)
    clock = 110.5
    assert seconds() == {"healthy": 7, "degraded": 0, "unhealthy": 3.5}
    clock = 111.0
    assert seconds() == {"healthy": 7, "degraded": 0, "unhealthy": 4}
    world.state.targets["dev"] = snapshot.as_stale(1.0, clock)
    clock = 200.0
    assert seconds() == {"healthy": 7, "degraded": 0, "unhealthy": 4}
    assert samples(page)[key("floe_compute_target_validations_total", target="dev", plugin="duckdb")] == 2


def test_maintenance_is_shown_where_a_window_is_configured(world: World, make_result: MakeResult) -> None:
    clock = 100.0
    page = MetricsPage(world.state, PrometheusSink(), "1", monotonic=lambda: clock)
    world.add(world.target("without"), make_result(target="without"))
    window = Window(Recurrence("0 2 * * *", "UTC"), 3600.0)
    snapshot = world.add(world.target(windows=(window,)))
    world.state.targets["dev"] = snapshot = snapshot.after(make_result(), snapshot.health, 1, clock)

    def shown(name: str, **more: str) -> float | None:
        return samples(page).get(key(f"floe_compute_target_{name}", target="dev", plugin="duckdb", **more))

    def seconds() -> tuple[float | None, float | None]:
        return shown("result_seconds_total", status="healthy"), shown("maintenance_seconds_total")

    assert shown("maintenance") == 0
    assert shown("maintenance_end_timestamp_seconds") is None
    clock = 110.0
    assert seconds() == (10, 0)
    snapshot = snapshot.with_maintenance(Maintenance(5.0, 1_800_000_000.5, ""), clock)
    world.state.targets["dev"] = snapshot
    clock = 115.0
    assert seconds() == (10, 5)
    assert shown("maintenance") == 1
    assert shown("maintenance_end_timestamp_seconds") == 1_800_000_000.5
    assert shown("status") is not None
    world.state.targets["dev"] = snapshot.with_maintenance(None, clock)
    clock = 118.0
    assert seconds() == (13, 5)
    assert not any(
        "maintenance" in name and ("target", "without") in labels for name, labels in samples(page)
    )


def test_the_reason_of_the_last_result_is_a_series_while_it_holds(
    world: World, make_result: MakeResult
) -> None:
    page = MetricsPage(world.state, PrometheusSink(), "1")

    def reasons() -> list[str]:
        return [
            dict(labels)["error_type"]
            for name, labels in samples(page)
            if name == "floe_compute_target_error"
        ]

    world.add(world.target(), make_result(HEALTHY))
    assert reasons() == []
    world.add(world.target(), make_result(UNHEALTHY, error_type=ErrorType.AUTHENTICATION))
    assert reasons() == ["authentication"]
    ill = world.add(world.target(), make_result(UNHEALTHY, error_type=None))
    assert reasons() == ["query"]
    world.state.targets["dev"] = ill.as_stale(1.0, 1.0)
    assert reasons() == []


def test_series_of_a_removed_target_are_gone_and_a_changed_one_is_new(
    world: World, make_result: MakeResult
) -> None:
    page = MetricsPage(world.state, PrometheusSink(), "1")
    world.add(world.target("gone"), make_result())
    world.add(world.target("kept"), make_result())
    assert any(("target", "gone") in labels for _, labels in samples(page))
    del world.state.targets["gone"]
    world.state.targets["kept"] = world.add(world.target("kept", plugin="postgres"))
    after = samples(page)
    assert not any(("target", "gone") in labels for _, labels in after)
    assert {dict(labels)["plugin"] for _, labels in after if ("target", "kept") in labels} == {"postgres"}
    assert b"gone" not in page.render()[0]


def test_a_check_reported_twice_is_one_series_of_the_worse_status(
    world: World, make_result: MakeResult
) -> None:
    checks = tuple(CheckResult("query", status) for status in (HEALTHY, UNHEALTHY, DEGRADED))
    world.add(world.target(), make_result(UNHEALTHY, checks=checks))
    page = MetricsPage(world.state, PrometheusSink(), "1")
    found = [line for line in page.render()[0].decode().splitlines() if "check_status{" in line]
    assert found == ['floe_compute_target_check_status{target="dev",plugin="duckdb",check="query"} 3']


def full(world: World, make_result: MakeResult, make_finished: MakeFinished) -> MetricsPage:
    """A page on which every instrument of the table has a sample."""
    sink = PrometheusSink()
    ends = WatchedExpiry(ExpiryKind.PASSWORD, 1_700_086_400.0, "", 86_400.0)
    limited = make_result(
        DEGRADED,
        error_type=ErrorType.EXTENSION,
        server_address="db.example.com",
        expiries=(ends,),
        engine_states=(ObservedState(EngineState.STARTING, 10.0), ObservedState(EngineState.RUNNING, 17.5)),
    )
    snapshot = world.add(world.target(labels={"team": "core"}), limited)
    world.state.targets["dev"] = snapshot.with_maintenance(Maintenance(1.0, 9.0, "upgrade"), 6.0)
    world.state.workers = {"duckdb": WorkerCounts(3, 1, 16)}
    world.state.profiles["p"] = ProfileReconciled("p", "unchanged", 1.0)
    world.state.dropped = {"otlp": 2}
    world.state.notifications = {"team": ChannelCounts(sent=3, failed=2, dead=1, pending=4, held=1)}
    world.state.keeps_history = True
    world.state.scheduler_beat = 5.0
    world.state.shard, world.state.configured = Shard(1, 4, 2), 8000
    sink.handle(make_finished())
    sink.handle(make_finished(UNHEALTHY, trace_id="ab" * 16, correlation_id="x" * 500))
    sink.handle(ProbeStarted("dev", "duckdb", 0.004, 0.0))
    sink.handle(ProbeStarted("dev", "duckdb", None, 1.5))
    sink.handle(TickSkipped("dev", "duckdb", "stuck", 3))
    sink.handle(LateReturn("dev", "duckdb", 9.0))
    sink.handle(ProfileGenerated("duckdb", 0.0004))
    sink.handle(ProfileReconciled("p", "written", 1.0))
    sink.handle(ProfileReconciled("p", "unchanged", 1.0))
    return MetricsPage(world.state, sink, "1.2.3", monotonic=lambda: 7.0)


def test_openmetrics_is_the_table_and_nothing_else(
    world: World, make_result: MakeResult, make_finished: MakeFinished
) -> None:
    found = families(full(world, make_result, make_finished))
    ours = {name: family for name, family in found.items() if not name.startswith("process_")}
    of_process = [each for each in INSTRUMENTS if each.origin is Origin.PROCESS]
    assert {each.family for each in of_process} <= found.keys()
    table = [each for each in INSTRUMENTS if each not in of_process]
    assert ours.keys() == {instrument.family for instrument in table}
    for instrument in table:
        family = ours[instrument.family]
        assert family.type == instrument.kind.value
        assert family.documentation == instrument.description
        assert family.unit == instrument.unit
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert {"label_*" if name.startswith("label_") else name for name in labels} == set(instrument.labels)
        if instrument.kind is Kind.HISTOGRAM:
            bounds = {sample.labels["le"] for sample in family.samples if "le" in sample.labels}
            assert {float(bound) for bound in bounds} == {*instrument.buckets, float("inf")}
        else:
            assert {sample.name for sample in family.samples} == {instrument.name}


def test_plain_text_is_the_same_page(
    world: World, make_result: MakeResult, make_finished: MakeFinished
) -> None:
    page = full(world, make_result, make_finished)
    body, content_type = page.render()
    assert content_type == TEXT
    assert b"# EOF" not in body
    assert b"# UNIT" not in body
    plain = {
        (sample.name, frozenset(sample.labels.items()))
        for family in parse_text(body.decode())
        for sample in family.samples
    }
    assert plain == samples(page).keys()
    assert b"# TYPE floe_compute_target_info gauge\n" in body
    assert b"# TYPE floe_compute_target_status_changes_total counter\n" in body


def test_what_events_add_up_to(world: World, make_result: MakeResult, make_finished: MakeFinished) -> None:
    got = samples(full(world, make_result, make_finished))
    errors = {
        dict(labels)["error_type"]: value for (name, labels), value in got.items() if "errors_total" in name
    }
    assert errors.pop("connection") == 1
    assert set(errors.values()) == {0}  # every other reason begins at nought
    assert len(errors) == 8
    duration = "floe_compute_validation_duration_seconds_count"
    assert got[key(duration, plugin="duckdb", status="healthy")] == 1
    assert got[key(duration, plugin="duckdb", status="unhealthy")] == 1
    assert got[key("floe_monitor_probes_skipped_total", plugin="duckdb", reason="stuck")] == 3
    assert got[key("floe_monitor_profile_writes_total", profile="p", result="written")] == 1
    assert key("floe_monitor_profile_writes_total", profile="p", result="unchanged") not in got
    assert got[key("floe_monitor_schedule_lag_seconds_count")] == 1
    assert got[key("floe_monitor_slot_wait_seconds_count")] == 2
    assert got[key("floe_monitor_slot_wait_seconds_sum")] == 1.5
    assert got[key("floe_monitor_workers_stuck", plugin="duckdb")] == 1
    assert got[key("floe_monitor_scheduler_beat_age_seconds")] == 2
    assert got[key("floe_monitor_profile_in_sync", profile="p")] == 1
    assert got[key("floe_monitor_sink_dropped_total", sink="otlp")] == 2
    assert got[key("floe_monitor_notifications_total", channel="team", result="dead")] == 1
    assert got[key("floe_monitor_notifications_pending", channel="team")] == 5
    assert got[key("floe_compute_target_wake_duration_seconds", target="dev", plugin="duckdb")] == 7.5
    assert got[key("floe_monitor_history_up")] == 1
    world.state.history_problem = "the disk is full"
    assert samples(MetricsPage(world.state, PrometheusSink(), "1"))[key("floe_monitor_history_up")] == 0
    assert got[key("floe_monitor_build_info", version="1.2.3")] == 1


def test_exemplars_carry_the_trace_or_else_the_correlation(world: World, make_finished: MakeFinished) -> None:
    sink = PrometheusSink()
    sink.handle(make_finished(HEALTHY, correlation_id="c" * 500))
    sink.handle(make_finished(UNHEALTHY, trace_id="ab" * 16))
    family = families(MetricsPage(world.state, sink, "1"))["floe_compute_validation_duration_seconds"]
    exemplars = {s.labels["status"]: s.exemplar.labels for s in family.samples if s.exemplar}
    assert exemplars == {
        "healthy": {"correlation_id": "c" * 100},
        "unhealthy": {"trace_id": "ab" * 16},
    }


def test_an_unhealthy_result_without_a_reason_is_still_an_error(
    world: World, make_finished: MakeFinished
) -> None:
    sink = PrometheusSink()
    sink.handle(make_finished(UNHEALTHY, error_type=None))
    sink.handle(make_finished(DEGRADED))
    got = samples(MetricsPage(world.state, sink, "1"))
    errors = {k: v for k, v in got.items() if k[0] == "floe_compute_validation_errors_total" and v}
    assert errors == {key("floe_compute_validation_errors_total", plugin="duckdb", error_type="query"): 1.0}


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    names=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4, unique=True),
    labels=st.dictionaries(
        st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True), st.text(), max_size=4
    ),
    checks=st.lists(st.text(max_size=20), max_size=5),
)
def test_any_name_and_label_survives_the_parser(
    world: World, make_result: MakeResult, names: list[str], labels: dict[str, str], checks: list[str]
) -> None:
    world.state.targets.clear()
    results = tuple(CheckResult(name, HEALTHY) for name in checks)
    for name in names:
        world.add(world.target(name, labels=labels), make_result(checks=results))
    got = samples(MetricsPage(world.state, PrometheusSink(), "1"))
    assert {dict(found)["target"] for name, found in got if name == "floe_compute_target_status"} == set(
        names
    )
    expected = {f"label_{name}": value for name, value in labels.items()}
    infos = [dict(found) for name, found in got if name == "floe_compute_target_info"]
    assert [{n: v for n, v in info.items() if n.startswith("label_")} for info in infos] == [expected] * len(
        names
    )
    found_checks = {dict(found)["check"] for name, found in got if name == "floe_compute_target_check_status"}
    assert found_checks == set(checks)


def test_what_utf8_cannot_hold_does_not_cost_the_page(world: World) -> None:
    world.add(world.target(labels={"odd": "\ud800"}))
    body, _ = MetricsPage(world.state, PrometheusSink(), "1").render()
    assert b'label_odd="?"' in body


def test_the_type_is_what_the_plugin_declared_when_the_target_was_made(world: World) -> None:
    """A scrape runs no code of a plugin's: what it declares is read once, with the configuration."""
    world.add(world.target("declared", adapter_type="spark"))
    world.plugin = object()  # would fail whoever asked it
    world.add(world.target("broken", adapter_type=""))
    got = samples(MetricsPage(world.state, PrometheusSink(), "1"))
    infos = [dict(found) for name, found in got if name == "floe_compute_target_info"]
    assert {info["target"]: info["dbt_type"] for info in infos} == {"declared": "spark", "broken": ""}


def test_rendering_while_the_state_changes(
    world: World, make_result: MakeResult, make_finished: MakeFinished
) -> None:
    sink = PrometheusSink()
    page = MetricsPage(world.state, sink, "1")
    failures: list[BaseException] = []
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            try:
                list(parse_openmetrics(page.render(openmetrics=True)[0].decode()))
            except Exception as error:  # noqa: BLE001 - the test asserts that there was none
                failures.append(error)
                return

    threads = [threading.Thread(target=scrape) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(300):
        world.add(world.target(f"t{number % 40}"), make_result())
        world.state.targets.pop(f"t{(number * 7) % 40}", None)
        sink.handle(make_finished(plugin=f"p{number % 5}"))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_every_origin_and_kind_of_the_table_is_consistent() -> None:
    assert len({instrument.name for instrument in INSTRUMENTS}) == len(INSTRUMENTS)
    otlp = [name for each in INSTRUMENTS for name in (each.otlp, each.otlp_ms) if name]
    assert len(set(otlp)) == len(otlp)
    for instrument in INSTRUMENTS:
        assert (instrument.kind is Kind.COUNTER) == instrument.name.endswith("_total")
        assert (instrument.kind is Kind.INFO) == instrument.name.endswith("_info")
        assert (instrument.kind is Kind.HISTOGRAM) == bool(instrument.buckets)
        assert all(type(bound) is float for bound in instrument.buckets)
        assert instrument.otlp_ms is None or instrument.otlp_unit == "s"
        assert set(instrument.attributes) <= {*instrument.labels, "error.type", "server.address"}
        if instrument.origin is Origin.TARGET:
            assert instrument.labels[:2] == ("target", "plugin")
