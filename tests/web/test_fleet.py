"""What the list shows and says, as pure functions: order, groups, pages, sentences, strips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from floe_monitor.compute.models import CheckResult, ConnectionStatus
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.liveness import Verdict
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.uptime import Period, Strip
from floe_monitor.web import favicon, fleet, formatters, status_bar, verdict
from floe_monitor.web.rendered_rows import RenderedRows
from floe_monitor.web.responses import ProblemError
from floe_monitor.web.status_summary import summarize
from floe_monitor.web.templating import environment
from tests.web.conftest import NOW, after_results, make_result, make_target

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus
HOUR, DAY = 3_600, 86_400


def target(
    name: str, status: ConnectionStatus | None = HEALTHY, *, maintained: bool = False, **labels: str
) -> Any:
    known = make_target(name, labels=labels)
    snapshot = after_results(known, [] if status is None else [make_result(name, status)])
    return snapshot.with_maintenance(Maintenance(NOW, NOW + 60, "disks"), 0.0) if maintained else snapshot


def arranged(snapshots: list[Any], *items: tuple[str, str]) -> fleet.FleetPage:
    return fleet.arrange(summarize(snapshots), fleet.FleetQuery.parse(items))


def names(rows: Any) -> list[str]:
    return [row.target.name for row in rows]


FLEET = [
    target("a", team="core"),
    target("b", UNHEALTHY, team="web"),
    target("c", DEGRADED, team="core"),
    target("d", UNHEALTHY, maintained=True),
    target("e", None, team="web"),
    target("f", UNHEALTHY, team="core"),
]


def test_the_worst_comes_first_and_what_is_maintained_after_its_like() -> None:
    assert names(arranged(FLEET).rows) == ["b", "f", "d", "c", "e", "a"]


def test_groups_come_by_their_worst() -> None:
    page = arranged(FLEET, ("group", "team"))
    assert [(group.name, names(group.troubled), names(group.healthy)) for group in page.groups] == [
        ("", ["d"], []),
        ("core", ["f", "c"], ["a"]),
        ("web", ["b", "e"], []),
    ]
    assert page.groups[1].counts == [
        (HealthStatus.UNHEALTHY, 1), (HealthStatus.DEGRADED, 1), (HealthStatus.HEALTHY, 1),
    ]  # fmt: skip


def test_every_target_is_on_one_page_whatever_the_order() -> None:
    many = [
        target(f"t{n:03}", (HEALTHY, UNHEALTHY, DEGRADED, None)[n % 4], team=f"g{n % 7}") for n in range(250)
    ]
    for extra in ((), (("group", "team"),), (("search", "t"),)):
        seen: list[str] = []
        offset: int | None = 0
        while offset is not None:
            page = arranged(many, ("offset", str(offset)), *extra)
            assert len(page.rows) <= fleet.ROWS
            assert sum(len(each.troubled) + len(each.healthy) for each in page.groups) == len(page.rows)
            seen += names(page.rows)
            offset = page.later
        assert sorted(seen) == [f"t{n:03}" for n in range(250)]
        assert page.earlier == 100


def test_filters_stand_in_every_link() -> None:
    query = fleet.FleetQuery.parse(
        [("label", "team=core,env"), ("search", ""), ("group", "team"), ("offset", "100")]
    )
    assert query.label_text == "team=core,env"
    assert query.link(status="degraded") == "?label=team%3Dcore%2Cenv&group=team&status=degraded"
    assert query.link(offset=0) == "?label=team%3Dcore%2Cenv&group=team"
    assert query.filters
    assert fleet.FleetQuery.parse([("past", "")]).link(offset=None) == "./"
    with pytest.raises(ProblemError, match="did you mean 'hours'"):
        fleet.FleetQuery.parse([("past", "hour")])


def test_text_finds_names_and_reasons() -> None:
    assert names(arranged(FLEET, ("search", "REFUSED")).rows) == ["b", "f", "d", "c"]
    assert names(arranged(FLEET, ("search", "a")).rows) == ["a"]


def test_filters_offer_what_there_is() -> None:
    offered = fleet.choices(FLEET)
    assert offered == fleet.Choices(("duckdb",), ("team",), ("team=core", "team=web"))


@pytest.mark.parametrize(
    ("snapshots", "sentence", "short"),
    [
        ([], "No targets are configured", "no targets"),
        ([target("a")], "a is healthy", "all healthy"),
        ([target("a"), target("b")], "All 2 targets are healthy", "all healthy"),
        ([target("a", UNHEALTHY)], "a is unhealthy", "1 unhealthy"),
        ([target("a"), target("b", DEGRADED)], "b is degraded", "1 degraded"),
        (FLEET, "b and f are unhealthy", "2 unhealthy"),
        ([target("a", None), target("b")], "a is not known", "1 not known"),
        ([target(n, UNHEALTHY) for n in "abc"] + [target("d")], "a, b and c are unhealthy", "3 unhealthy"),
        ([target(n, UNHEALTHY) for n in "abcd"], "4 of 4 targets are unhealthy", "4 unhealthy"),
        ([target("n" * 50, UNHEALTHY), target("e")], "1 of 2 targets is unhealthy", "1 unhealthy"),
        (
            [target("a"), target("b", UNHEALTHY, maintained=True)],
            "All targets are healthy, but for 1 in maintenance", "all healthy",
        ),
        ([target("a", maintained=True)], "a is in maintenance", "all healthy"),
        ([target(n, maintained=True) for n in "ab"], "Every target is in maintenance", "all healthy"),
    ],
)  # fmt: skip
def test_one_sentence_says_how_all_is(snapshots: list[Any], sentence: str, short: str) -> None:
    overall = verdict.overall(summarize(snapshots), Verdict())
    assert (overall.sentence, overall.short) == (sentence, short)


def test_an_ill_monitor_says_so_before_anything_else() -> None:
    overall = verdict.overall(summarize([target("a")]), Verdict(("stalled",)))
    assert overall.status is HealthStatus.UNHEALTHY
    assert overall.sentence.startswith("The monitor itself is not well")
    assert verdict.overall(summarize(FLEET), Verdict()).rest == (
        "2 unhealthy, 1 degraded, 1 unknown, 1 healthy, 1 in maintenance"
    )


def test_reasons_are_those_of_the_last_result() -> None:
    known = target("a")
    assert verdict.reason(target("a", None)) == "no result yet"
    assert verdict.reason(target("a", UNHEALTHY)) == "connection refused"
    assert verdict.reason(known) == "connect, query pass"
    ill = CheckResult("query", DEGRADED, 1.0, "slow")
    for fields, said in (
        ({"checks": (ill, CheckResult("more", UNHEALTHY))}, "query: slow; more: unhealthy"),
        ({"warnings": ("soon",)}, "soon"),
        ({"checks": ()}, "healthy"),
    ):
        assert verdict.reason(after_results(known.target, [make_result("a", **fields)])) == said
    assert verdict.reason(known.as_stale(NOW, 0.0)).startswith("no probe could run")
    assert verdict.reason(after_results(make_target("a", problem="not installed"), [])) == "not installed"


def test_maintenances_that_end_together_are_one() -> None:
    windows = verdict.maintenances([target(f"t{n}", maintained=True) for n in range(6)])
    assert [(each.names, each.reason) for each in windows] == [("t0, t1, t2 and 3 more", "disks")]


def test_a_strip_is_a_line_for_each_run_of_like_bars() -> None:
    now = 89 * HOUR + 60.0
    periods = [Period(n * HOUR, healthy=3600) for n in range(80)]
    periods[10] = Period(10 * HOUR, degraded=3600)
    periods[20] = Period(20 * HOUR, healthy=1800, unhealthy=1800)
    periods[21] = Period(21 * HOUR, unhealthy=3600)
    periods[22] = Period(22 * HOUR, maintenance=3600)
    drawing = status_bar.draw_strip(Strip("hours", tuple(periods)), now)
    paths = dict(drawing.paths)
    assert paths["healthy"] == "M0 14H39M44 14H83M92 14H319"
    assert paths["degraded"] == "M40 14H43"
    assert paths["foot"] == "M80 28h3v-14h-3z"
    assert paths["unhealthy"] == "M84 14H87"
    assert paths["maintenance"] == "M88 14H91"
    assert paths["unwatched"] == "M320 14H359"
    assert drawing.width == 359
    assert drawing.label == "the last 90 hours, watched in 80 of them: 98.1 % usable, failures in 2 hours"
    assert drawing.uptime == pytest.approx(1 - 1.5 / 79)


def test_what_is_older_than_the_strip_does_not_count() -> None:
    now = 200 * DAY
    old = Strip("days", (Period(1 * DAY, unhealthy=DAY), Period(199 * DAY, healthy=DAY)))
    drawing = status_bar.draw_strip(old, now)
    assert drawing.uptime == 1
    assert "no failure" in drawing.label
    assert "nothing was watched" in status_bar.draw_strip(Strip("days"), now).label


def test_a_short_failure_is_seen() -> None:
    drawing = status_bar.draw_strip(Strip("days", (Period(0, healthy=86_390, unhealthy=10),)), 10.0)
    assert dict(drawing.paths)["foot"] == "M356 28h3v-8.4h-3z"
    assert drawing.uptime is not None
    assert formatters.percent(drawing.uptime) == "99.98 %"


def test_a_drawing_is_kept_until_its_past_or_the_hour_is_another() -> None:
    drawings = status_bar.Drawings(kept=2)
    one = Strip("hours", (Period(0, healthy=1),))
    first = drawings.draw("a", one, 10.0)
    assert drawings.draw("a", one, 20.0) is first
    assert drawings.draw("a", one, 3_700.0) is not first
    assert drawings.draw("a", replace(one), 10.0) is not first
    for name in "bcd":
        drawings.draw(name, one, 10.0)
    assert len(drawings._known) == 2


def test_a_row_is_rendered_anew_when_anything_it_shows_is_another() -> None:
    rows, other = RenderedRows(environment()), status_bar.draw_strip(Strip("days"), NOW)
    known = target("a", UNHEALTHY, team="core")
    drawing = status_bar.draw_results(known, 0.0)
    first = rows.render(known, drawing, NOW + 60)
    assert rows.render(replace(known, last_success_at=1.0), replace(drawing), NOW + 60) is first
    later = [
        (known, drawing, NOW + 600.0),
        (known, other, NOW + 600.0),
        (replace(known, target=make_target("a", labels={"team": "web"})), other, NOW + 600.0),
        (replace(known, last=make_result("a", UNHEALTHY, message="no route")), other, NOW + 600.0),
        (known.with_maintenance(Maintenance(NOW, NOW + 60, "disks"), 0.0), other, NOW + 600.0),
        (known.with_maintenance(Maintenance(NOW, NOW + 90, "disks"), 0.0), other, NOW + 600.0),
        (known.as_stale(NOW + 30, 0.0), other, NOW + 600.0),
        (replace(known, awaited=True), other, NOW + 600.0),
        (replace(known, health=replace(known.health, status=HealthStatus.DEGRADED)), other, NOW + 600.0),
    ]
    seen = [first]
    for shown in later:
        seen.append(rows.render(*shown))
        assert seen[-1] == RenderedRows(environment()).render(*shown)
    assert len(set(seen)) == len(later) + 1


def test_of_rows_those_made_longest_ago_are_given_up() -> None:
    rows = RenderedRows(environment(), kept=2)
    shown = {name: target(name) for name in "abc"}
    made = {name: rows.render(each, status_bar.draw_results(each, 0.0), NOW) for name, each in shown.items()}
    again = [rows.render(shown[name], status_bar.draw_results(shown[name], 0.0), NOW) for name in "cba"]
    assert [row is made[name] for name, row in zip("cba", again, strict=True)] == [True, True, False]


def test_without_a_history_the_results_in_memory_are_the_strip() -> None:
    known = make_target("a")
    snapshot = after_results(known, [make_result("a"), make_result("a", UNHEALTHY, started_at=NOW + 30)])
    drawing = status_bar.draw_results(snapshot, 0.0)
    assert dict(drawing.paths)["unhealthy"] == "M116 14H119"
    assert drawing.label == "the last 2 results, 1 of them unhealthy"


def test_numbers_read_at_a_glance() -> None:
    shares = (None, 1.0, 0.99999, 0.9998, 0.9734, 0.0)
    assert [formatters.percent(each) for each in shares] == [
        "–",
        "100 %",
        "99.99 %",
        "99.98 %",
        "97.3 %",
        "0.0 %",
    ]
    assert formatters.listed([]) == ""
    assert formatters.listed(["a"]) == "a"
    assert formatters.thousands(10_000) == "10,000"
    assert formatters.sentence("ask them") == "Ask them."
    assert len(set(favicon.icons().values())) == len(HealthStatus)
