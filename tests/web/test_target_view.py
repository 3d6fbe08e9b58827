"""What one target's page tells, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import CheckResult, ConnectionStatus, ExpiryKind
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.maintenance import Once, Window, WindowChoice
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.domain.uptime import PastChange, Period, TargetPast
from floe_monitor.settings.recurrence import Recurrence
from floe_monitor.web import target_view
from floe_monitor.web.latency_chart import HEIGHT, WIDTH, chart_of_periods, chart_of_results
from floe_monitor.web.result_comparison import changed_before
from tests.web.conftest import NOW, after_results, make_result, make_target

if TYPE_CHECKING:
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import TargetSnapshot

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
HOUR = 3_600


def run(*results: tuple[ConnectionStatus, str] | ConnectionStatus, pause: float = 30.0) -> TargetSnapshot:
    """After results, one each half minute."""
    made: list[ProbeResult] = []
    for number, each in enumerate(results):
        status, message = each if isinstance(each, tuple) else (each, "")
        made.append(
            make_result(
                "a", status, started_at=NOW + number * pause, correlation_id=str(number), message=message
            )
        )
    return after_results(make_target("a"), made)


def folded(snapshot: TargetSnapshot) -> list[tuple[Any, ...]]:
    return [
        (each.newest.message, each.count, round(each.ended_at - each.began_at), each.lasts, each.open_start)
        for each in target_view.fold(target_view.merged(snapshot), snapshot)
    ]


def test_equal_failures_are_one_with_their_count_and_duration() -> None:
    refused = (UNHEALTHY, "port 5432: refused")
    snapshot = run(
        HEALTHY,
        refused,
        refused,
        HEALTHY,
        refused,
        (UNHEALTHY, "port 5433: refused"),
        (UNHEALTHY, "no route"),
    )
    assert folded(snapshot) == [
        ("no route", 1, 0, True, False),
        ("port 5433: refused", 2, 30, False, False),
        ("port 5432: refused", 2, 30, False, False),
    ]
    assert folded(run(HEALTHY, HEALTHY)) == []
    assert folded(run((DEGRADED, "slow"), HEALTHY)) == [("slow", 1, 0, False, True)]


def test_what_may_lie_between_two_failures_is_not_folded_away() -> None:
    refused = (UNHEALTHY, "refused")
    snapshot = run(refused, refused, pause=600.0)
    assert [count for _, count, *_ in folded(snapshot)] == [1, 1]
    # Failures outlive the other results, which were healthy as far as anybody knows.
    assert all(open_start for *_, open_start in folded(snapshot))


def test_the_waterfall_is_in_percent_of_the_whole() -> None:
    checks = (CheckResult("connect", HEALTHY, 50.0), CheckResult("query", HEALTHY, 40.0, started_ms=60.0))
    bars = target_view.waterfall(make_result("a", duration=0.1, checks=checks))
    assert [(bar.x, bar.width) for bar in bars] == [(0, 50), (60, 40)]
    late = (CheckResult("connect", HEALTHY, 0.0, started_ms=500.0),)
    [bar] = target_view.waterfall(make_result("a", duration=0.1, checks=late))
    assert bar.x + bar.width <= 100
    nothing = target_view.waterfall(make_result("a", duration=0.0, checks=(CheckResult("connect", HEALTHY),)))
    assert [(bar.x, bar.width) for bar in nothing] == [(0, 100)]


def test_what_changed_is_told_beside_what_it_was() -> None:
    until = WatchedExpiry(ExpiryKind.SERVER_CERTIFICATE, NOW + 15, "db", 0.0)
    passed = (CheckResult("connect", HEALTHY, 10.0), CheckResult("login", HEALTHY, 300.0))
    well = make_result(
        "a", started_at=NOW, server_address="db-1",
        expiries=(until, replace(until, what=ExpiryKind.PASSWORD, at=NOW + 99)),
        checks=(*passed, CheckResult("query", HEALTHY)),
    )  # fmt: skip
    ill = make_result(
        "a", UNHEALTHY, started_at=NOW + 30, server_address="db-2",
        expiries=(replace(until, what=ExpiryKind.PASSWORD, at=NOW + 5),),
        checks=(CheckResult("connect", UNHEALTHY, 10.0), CheckResult("login", HEALTHY, 2000.0)),
    )  # fmt: skip
    told = changed_before(after_results(make_target("a"), [well, ill]), NOW + 20, 2)
    assert [(each.what, each.before, each.after) for each in told] == [
        ("configuration", "as before", "loaded anew 2026-11-18T11:07:00.000Z"),
        ("server", "db-1", "db-2"),
        ("server certificate of db", "until 2026-11-18T11:06:55.000Z", "has ended"),
        ("password of db", "until 2026-11-18T11:08:19.000Z", "until 2026-11-18T11:06:45.000Z"),
        ("check connect", "healthy", "unhealthy"),
        ("check login", "300 ms", "2000 ms"),
        ("checks not reached", "passed", "query"),
    ]


def test_nothing_changed_where_nothing_is_wrong_or_nothing_is_known() -> None:
    assert changed_before(run(UNHEALTHY, HEALTHY), NOW, 2) == ()
    assert changed_before(run(), NOW, 2) == ()
    assert changed_before(run(UNHEALTHY), NOW, 1) == ()
    same = (CheckResult("connect", HEALTHY),)
    alike = [make_result("a", checks=same), make_result("a", UNHEALTHY, started_at=NOW + 30, checks=same)]
    assert changed_before(after_results(make_target("a"), alike), NOW - 100, 2) == ()
    # The results of when it was well are gone from memory; the configuration is known still.
    old = replace(run(UNHEALTHY), last_success_at=NOW - 60)
    assert [each.what for each in changed_before(old, NOW - 30, 2)] == ["configuration"]


def test_the_chart_of_hours_has_a_gap_where_nothing_was_watched() -> None:
    now = 100 * HOUR + 10.0
    hours = [Period(n * HOUR, healthy=3600, p50=0.01, p95=0.03) for n in (50, 51, 52, 60, 61)]
    chart = chart_of_periods([*hours, Period(70 * HOUR)], now)
    assert chart is not None
    assert (chart.top, chart.p50, chart.p95) == (0.05, 0.01, 0.03)
    p50 = dict(chart.lines)["p50"]
    assert p50.count("M") == 2
    xs = [float(point.split()[0]) for point in p50.replace("M", "L").split("L")[1:]]
    assert xs == sorted(xs)
    assert max(xs) < WIDTH
    assert chart.label == "5 hours: median 10 ms, 95th percentile 30 ms"
    assert chart_of_periods(hours[:1], now) is None


def test_the_chart_of_results_goes_from_edge_to_edge() -> None:
    results = [make_result("a", duration=each) for each in (0.1, 0.4, 0.2)]
    chart = chart_of_results(results)
    assert chart is not None
    assert chart.lines[0][1] == f"M0.0 {HEIGHT - 4 - (HEIGHT - 8) * 0.2:.1f}L450.0 38.4L900.0 107.2"
    assert (chart.p50, chart.p95, chart.top) == (0.2, 0.4, 0.5)
    assert chart_of_results(results[:1]) is None


@pytest.mark.parametrize("kept", [True, False])
def test_a_page_is_made_of_what_there_is(kept: bool) -> None:
    state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
    snapshot = run(HEALTHY, (UNHEALTHY, "connection refused"))
    change = PastChange(NOW, HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, 60.0, "connection", "refused")
    past = TargetPast((Period(int(NOW // HOUR) * HOUR, healthy=60),), (), (change,) * 50) if kept else None
    view = target_view.build(snapshot, past, state, NOW + 60, kept=kept)
    assert view.remediation is not None
    assert view.remediation.startswith("start the engine")
    assert len(view.timelines) == (2 if kept else 0)
    assert len(view.changes) == (target_view.CHANGES if kept else 0)
    assert view.chart is not None
    assert view.chart.of_results
    if kept:
        [(place, words)] = view.timelines[1].marks
        assert place == 89 * 4
        assert words == "Nov 18, 11:00 UTC: 100 % usable"


def test_the_next_maintenance_is_told_a_week_ahead() -> None:
    daily = Window(Recurrence("0 3 * * *", "UTC"), 3600.0, "vacuum")
    snapshot = run(HEALTHY)
    target = replace(snapshot.target, windows=(daily,))
    planned = target_view.next_maintenance(replace(snapshot, target=target), [], NOW)
    assert planned is not None
    assert (planned.reason, planned.until - planned.since) == ("vacuum", 3600)
    assert planned.since > NOW
    yearly = replace(daily, recurrence=Recurrence("0 3 1 3 *", "UTC"))
    rare = replace(snapshot, target=replace(target, windows=(yearly,)))
    assert target_view.next_maintenance(rare, [], NOW) is None
    declared = WindowChoice(Window(Once(NOW + 60), 600.0, "disks"), frozenset({"a"}), None)
    others = replace(declared, targets=frozenset({"b"}))
    assert target_view.next_maintenance(rare, [others], NOW) is None
    planned = target_view.next_maintenance(rare, [declared, others], NOW)
    assert planned is not None
    assert (planned.since, planned.until, planned.reason) == (NOW + 60, NOW + 660, "disks")
