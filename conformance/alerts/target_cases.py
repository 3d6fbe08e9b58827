"""Promtool's cases of the alerts on targets: outages of engines, and of the monitors that watch them."""

from __future__ import annotations

from conformance.alerts.promtool import Case, Described, Series, firing, of_target, quiet, series, status, up

UNHEALTHY, SOME, ISOLATED = "FloeTargetUnhealthy", "FloeTargetUnhealthyFromSome", "FloeMonitorIsolated"
DOWN, ALL_DOWN = "FloeMonitorDown", "FloeMonitorsAllDown"
CHANGES = "floe_compute_target_status_changes_total"
LOADED = "floe_monitor_config_last_reload_success_timestamp_seconds"


def team(instance: str, values: str, name: str) -> list[Series]:
    return [of_target("floe_compute_target_info", instance, values, label_team=name)]


VOTES = (
    Case(
        "a lone monitor counts as all",
        [up("a", "1x80"), status("a", "1x19 3x19 1x40")],
        [
            quiet(UNHEALTHY, 0, 300), firing(UNHEALTHY, 315, 600), quiet(UNHEALTHY, 630, 900),
            quiet(DOWN, 0, 900), quiet(SOME, 0, 900),
        ],
    ),
    Case(
        "one bad scrape is no outage, one good scrape no recovery",
        [up("a", "1x80"), status("a", "1x9 3 1x10 3x9 1 3x9 1x20")],
        [quiet(UNHEALTHY, 0, 330), firing(UNHEALTHY, 345, 630), quiet(UNHEALTHY, 675, 900)],
    ),
    Case(
        "two of three page",
        [*(up(i, "1x60") for i in "abc"), status("a", "1x19 3x40"), status("b", "1x19 3x40"), status("c", "1x60")],
        [firing(UNHEALTHY, 315, 800), quiet(SOME, 0, 800)],
    ),
    Case(
        "one of two is a warning",
        [*(up(i, "1x80") for i in "ab"), status("a", "1x19 3x30 1x30"), status("b", "1x80")],
        [quiet(UNHEALTHY, 0, 1200), quiet(SOME, 0, 345), firing(SOME, 375, 740), quiet(SOME, 900, 1200)],
    ),
    Case(
        "one of two pages where the other has no verdict",
        [*(up(i, "1x60") for i in "ab"), status("a", "1x19 3x40"), status("b", "0x60")],
        [firing(UNHEALTHY, 315, 800), quiet(SOME, 0, 800)],
    ),
    Case(
        "one node of three cut off: one page, none of its targets'",
        [
            *(up(i, "1x80") for i in "abc"),
            *(status("a", "1x19 3x40 1x20", target=each) for each in "wxyz"),
            *(status(i, "1x80", target=each) for i in "bc" for each in "wxyz"),
        ],
        [
            quiet(UNHEALTHY, 0, 1200), quiet(SOME, 0, 1200),
            quiet(ISOLATED, 0, 315), firing(ISOLATED, 345, 900), quiet(ISOLATED, 1050, 1200),
        ],
    ),
    Case(
        "a monitor with two targets only is not isolated",
        [
            *(up(i, "1x60") for i in "ab"),
            *(status("a", "1x19 3x40", target=each) for each in "xy"),
            *(status("b", "1x60", target=each) for each in "xy"),
        ],
        [quiet(ISOLATED, 0, 800), firing(SOME, 375, 800, count=2)],
    ),
    Case(
        "sidecars only share a target's name: each is its own",
        [
            series("up", "1x60", instance="a", floe_scope="job-1"), series("up", "1x60", instance="b", floe_scope="job-2"),
            status("a", "1x19 3x40", floe_scope="job-1"), status("b", "1x60", floe_scope="job-2"),
        ],
        [firing(UNHEALTHY, 315, 800), quiet(SOME, 0, 800), firing(UNHEALTHY, 600, matchers='floe_scope="job-1"')],
    ),
    Case(
        "the same target in two clusters and namespaces is two",
        [
            *(series("up", "1x60", instance="a", cluster=c, namespace=n) for c in "pq" for n in "rs"),
            *(status("a", "1x19 3x40", cluster=c, namespace=n) for c in "pq" for n in "rs"),
        ],
        [firing(UNHEALTHY, 315, 800, count=4)],
    ),
)  # fmt: skip

GONE = (
    Case(
        "the lone monitor is killed for four minutes; the target is ill until later",
        [up("a", "1x39 0x15 1x60"), status("a", "1x19 3x19 stale _x15 0 3x9 1x40")],
        [
            firing(UNHEALTHY, 315, 1005), quiet(UNHEALTHY, 1050, 1200),
            firing(ALL_DOWN, 645, 840), quiet(DOWN, 0, 1200),
        ],
    ),
    Case(
        "the same, and it comes back to a target that is well",
        [up("a", "1x39 0x15 1x60"), status("a", "1x19 3x19 stale _x15 0 1x40")],
        [firing(UNHEALTHY, 315, 855), quiet(UNHEALTHY, 885, 1200)],
    ),
    Case(
        "one of two is killed while both see it ill",
        [up("a", "1x39 0x15 1x60"), up("b", "1x120"), status("a", "1x19 3x19 stale _x15 3x40"), status("b", "1x19 3x100")],
        [
            firing(UNHEALTHY, 315, 1500), quiet(ALL_DOWN, 0, 1500), quiet(SOME, 0, 1500),
            quiet(DOWN, 0, 630), firing(DOWN, 660, 1100), quiet(DOWN, 1170, 1500),
        ],
    ),
    Case(
        "only one sees it ill, and dies: the warning stays until that one can tell",
        [
            *(up(i, v) for i, v in (("a", "1x39 0x60 1x60"), ("b", "1x160"))),
            status("a", "1x19 3x19 stale _x59 0 1x60"),
            status("b", "1x160"),
        ],
        [quiet(SOME, 0, 345), firing(SOME, 375, 1500), quiet(SOME, 1680, 2000), quiet(UNHEALTHY, 0, 2000)],
    ),
    Case(
        "one of two is dead; the living one sees the recovery",
        [up("a", "1x39 0x60"), up("b", "1x120"), status("a", "1x19 3x19 stale"), status("b", "1x19 3x30 1x60")],
        [firing(UNHEALTHY, 315, 765), quiet(UNHEALTHY, 795, 1500), quiet(SOME, 0, 1500)],
    ),
    Case(
        "two of three see it ill and one of the two is killed: a tie changes nothing",
        [
            up("a", "1x39 0x60"), up("b", "1x120"), up("c", "1x120"),
            status("a", "1x19 3x19 stale"), status("b", "1x19 3x100"), status("c", "1x120"),
        ],
        [firing(UNHEALTHY, 315, 1400), quiet(SOME, 0, 1400)],
    ),
    Case(
        "both are down for an hour",
        [up("a", "1x39 0x300"), up("b", "1x39 0x300"), status("a", "1x19 3x19 stale"), status("b", "1x19 3x19 stale")],
        [firing(UNHEALTHY, 315, 4200, every=60), firing(ALL_DOWN, 645, 4200, every=60)],
    ),
    Case(
        "the pod is rolled: it leaves discovery, and 75 s later another has its place",
        [up("a", "1x39 stale"), up("n", "_x44 1x80"), status("a", "1x19 3x19 stale"), status("n", "_x44 0x2 3x30 1x40")],
        [firing(UNHEALTHY, 315, 1155), quiet(UNHEALTHY, 1200, 1800), quiet(DOWN, 0, 1200), quiet(SOME, 0, 1800)],
    ),
    Case(
        "a monitor that left for good is held for five minutes",
        [up("a", "1x39 stale"), up("other", "1x100"), status("a", "1x19 3x19 stale"), status("other", "1x100", target="x")],
        [firing(UNHEALTHY, 315, 870), quiet(UNHEALTHY, 945, 1500)],
    ),
    Case(
        "a target is removed while it is ill",
        [up("a", "1x120"), status("a", "1x19 3x19 stale")],
        [firing(UNHEALTHY, 315, 585), quiet(UNHEALTHY, 630, 1800)],
    ),
    Case(
        "it is removed, and the monitor goes down later: it stays ended",
        [up("a", "1x60 0x120"), status("a", "1x19 3x19 stale")],
        [quiet(UNHEALTHY, 630, 2000)],
    ),
    Case(
        "it is removed from one of two monitors, then from the other",
        [up("a", "1x120"), up("b", "1x120"), status("a", "1x19 3x19 stale"), status("b", "1x19 3x29 stale")],
        [firing(UNHEALTHY, 315, 735), quiet(UNHEALTHY, 780, 1800)],
    ),
    Case(
        "a target is renamed while it is ill",
        [up("a", "1x120"), status("a", "1x19 3x19 stale"), status("a", "_x40 3x80", target="wh2")],
        [
            quiet(UNHEALTHY, 645, 1200, matchers='target="wh"'),
            firing(UNHEALTHY, 630, 1200, matchers='target="wh2"'),
        ],
    ),
)  # fmt: skip

FLAPPING = (
    Case(
        "down and up every half a minute is one page, which ends when five minutes have less than five changes",
        [
            up("a", "1x160"),
            status("a", "1x19 3x5 1 1" + " 3 3 1 1" * 15 + " 1x80"),
            of_target(CHANGES, "a", "0x19 1x5 2 2" + "".join(f" {n} {n} {n + 1} {n + 1}" for n in range(3, 33, 2)) + " 32x80"),
        ],
        [quiet(UNHEALTHY, 0, 300), firing(UNHEALTHY, 600, 1440), quiet(UNHEALTHY, 1560, 2000)],
    ),
    Case(
        "two outages in five minutes end like any other",
        [
            up("a", "1x160"),
            status("a", "1x19 3x5 1x5 3x5 1x60"),
            of_target(CHANGES, "a", "0x19 1x5 2x5 3x5 4x60"),
        ],
        [firing(UNHEALTHY, 315, 390), quiet(UNHEALTHY, 420, 480), firing(UNHEALTHY, 510, 570), quiet(UNHEALTHY, 600, 900)],
    ),
)  # fmt: skip

IDENTITY = (
    Case(
        "the reason changes: the same alert says another",
        [
            up("a", "1x60"),
            status("a", "1x9 3x50"),
            of_target("floe_compute_target_error", "a", "_x10 1x9 stale", error_type="timeout"),
            of_target("floe_compute_target_error", "a", "_x20 1x40", error_type="authentication"),
            of_target("floe_compute_target_check_status", "a", "3x60", check="connect"),
            *team("a", "1x60", "core"),
            series(LOADED, "5x60", instance="a"),
        ],
        [firing(UNHEALTHY, 165, 800, matchers='team="core"'), firing(UNHEALTHY, 165, 800)],
        [
            Described(
                UNHEALTHY, second,
                {"job": "floe", "target": "wh", "plugin": "pg", "severity": "page", "team": "core"},
                {
                    "summary": f"wh (pg) is UNHEALTHY: {reason}, check connect",
                    "description": "dbt cannot work with it. Seen by 1 of 1 monitors with a verdict.",
                    "page_url": "http://a/targets/wh",
                    "runbook_url": "https://floe-monitor.example.com/docs/alerts.html#floetargetunhealthy",
                },
            )
            for second, reason in ((210, "timeout"), (450, "authentication"))
        ],
    ),
    Case(
        "two monitors see it fail for two reasons: both are told",
        [
            *(up(i, "1x60") for i in "ab"), *(status(i, "1x9 3x50") for i in "ab"),
            of_target("floe_compute_target_error", "a", "_x10 1x50", error_type="timeout"),
            of_target("floe_compute_target_error", "b", "_x10 1x50", error_type="connection"),
        ],
        [firing(UNHEALTHY, 165, 800)],
        [
            Described(
                UNHEALTHY, 600, {"job": "floe", "target": "wh", "plugin": "pg", "severity": "page"},
                {
                    "summary": "wh (pg) is UNHEALTHY: connection or timeout",
                    "description": "dbt cannot work with it. Seen by 2 of 2 monitors with a verdict.",
                    "page_url": "http://a/targets/wh",
                    "runbook_url": "https://floe-monitor.example.com/docs/alerts.html#floetargetunhealthy",
                },
            )
        ],
    ),
    Case(
        "two monitors have the target under two teams, while a new configuration is rolled out",
        [
            *(up(i, "1x60") for i in "ab"), *(status(i, "1x9 3x50") for i in "ab"),
            *team("a", "1x60", "old"), series(LOADED, "5x60", instance="a"),
            *team("b", "1x60", "new"), series(LOADED, "9x60", instance="b"),
        ],
        [firing(UNHEALTHY, 165, 800), firing(UNHEALTHY, 165, 800, matchers='team="new"')],
    ),
    Case(
        "the team is held while the monitor is gone, and the text says that nobody looks",
        [
            up("a", "1x39 0x60"), status("a", "1x19 3x19 stale"),
            *team("a", "1x38 stale", "core"), series(LOADED, "5x38 stale", instance="a"),
        ],
        [firing(UNHEALTHY, 315, 1400), firing(UNHEALTHY, 315, 1400, matchers='team="core"')],
        [
            Described(
                UNHEALTHY, 1200,
                {"job": "floe", "target": "wh", "plugin": "pg", "severity": "page", "team": "core"},
                {
                    "summary": "wh (pg) is UNHEALTHY",
                    "description": "dbt cannot work with it. No monitor says so any more: it is held because none that "
                    "could has seen it well.",
                    "page_url": "",
                    "runbook_url": "https://floe-monitor.example.com/docs/alerts.html#floetargetunhealthy",
                },
            )
        ],
    ),
)  # fmt: skip

LAST = "floe_compute_target_last_validation_timestamp_seconds"
INTERVAL = "floe_compute_target_interval_seconds"
WARNINGS = (
    Case(
        "degraded for twenty minutes, then for forty",
        [up("a", "1x140"), status("a", "1x9 2x20 1x9 2x40 1x20")],
        [
            quiet("FloeTargetDegraded", 0, 4100, every=60), firing("FloeTargetDegraded", 4320, 4800, every=60),
            quiet("FloeTargetDegraded", 5040, 5700, every=60),
        ],
        interval=60,
    ),
    Case(
        "unknown at the start and for a while, then for twenty minutes",
        [up("a", "1x140"), status("a", "0x2 1x9 0x5 1x9 0x20 1x20")],
        [
            quiet("FloeTargetUnknown", 0, 2200, every=60), firing("FloeTargetUnknown", 2460, 2760, every=60),
            quiet("FloeTargetUnknown", 3000, 3900, every=60),
        ],
        interval=60,
    ),
    Case(
        "validations stop for five minutes, then for half an hour; a target probed hourly concerns nobody",
        [
            up("a", "1x140"),
            status("a", "1x140"),
            of_target(LAST, "a", "0+60x30 1800x5 2160+60x30 3960x30 5820+60x20"),
            of_target(INTERVAL, "a", "60x140"),
            of_target(LAST, "a", "0x59 3600x59 7200x20", target="lake"),
            of_target(INTERVAL, "a", "3600x140", target="lake"),
        ],
        [
            quiet("FloeTargetStale", 0, 3000, every=60), quiet("FloeTargetStale", 4680),
            firing("FloeTargetStale", 4980, 5700, every=60), quiet("FloeTargetStale", 6000, 8000, every=60),
        ],
        interval=60,
    ),
    Case(
        "one failure and its recovery, then a change each minute; a target that is removed changes no more",
        [
            up("a", "1x200"),
            status("a", "1x200"),
            of_target(CHANGES, "a", "0x9 1 2x40 3+1x40 43x80"),
            status("a", "1x90 stale", target="gone"),
            of_target(CHANGES, "a", "0x50 1+1x38 stale", target="gone"),
        ],
        [
            quiet("FloeTargetFlapping", 0, 3000, every=60), firing("FloeTargetFlapping", 4800, matchers='target="wh"'),
            firing("FloeTargetFlapping", 5700, every=60, count=1), quiet("FloeTargetFlapping", 7800, 8400, every=60),
        ],
        interval=60,
    ),
)  # fmt: skip

CASES = (*VOTES, *GONE, *FLAPPING, *IDENTITY, *WARNINGS)
