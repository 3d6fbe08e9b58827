"""Promtool's cases of monitors that reach nothing on the network: one page, whatever they watch."""

from __future__ import annotations

from conformance.alerts.promtool import Case, Series, firing, of_target, quiet, series, status, up
from conformance.alerts.service_level_cases import BURNING, HOUR, seconds, watched
from conformance.alerts.target_cases import ALL_DOWN, ISOLATED, SOME, UNHEALTHY

CONNECTIVITY = "FloeMonitorConnectivity"
STATUS = "floe_monitor_connectivity_status"
CHECK = "floe_compute_target_check_status"
NAMES = "wxyz"


def connectivity(instance: str, values: str, **labels: str) -> Series:
    """0 not judged, 1 reached, 2 in doubt, 3 lost."""
    return series(STATUS, values, instance=instance, **labels)


def ill(instance: str, values: str, check: str, target: str) -> list[Series]:
    """A target with this status, and that of the check that fails."""
    return [
        status(instance, values, target=target),
        of_target(CHECK, instance, values, target, check=check),
    ]


def cut_off(instance: str, values: str) -> list[Series]:
    return [each for name in NAMES for each in ill(instance, values, "network", name)]


CASES = (
    Case(
        "a lone monitor is cut off for ten minutes: one page, for none of its four targets one",
        [up("a", "1x120"), *cut_off("a", "1x19 3x40 1x40"), connectivity("a", "1x19 2 3x39 1x40")],
        [
            quiet(UNHEALTHY, 0, 1500), quiet(ISOLATED, 0, 1500), quiet(SOME, 0, 1500),
            quiet(CONNECTIVITY, 0, 315), firing(CONNECTIVITY, 345, 900), quiet(CONNECTIVITY, 1065, 1500),
        ],
    ),
    Case(
        "one of three is cut off: one page, and it is not called isolated besides",
        [
            *(up(i, "1x120") for i in "abc"), *cut_off("a", "1x19 3x40 1x40"),
            *(status(i, "1x120", target=each) for i in "bc" for each in NAMES),
            connectivity("a", "1x19 2 3x39 1x40"), *(connectivity(i, "1x120") for i in "bc"),
        ],
        [
            quiet(UNHEALTHY, 0, 1500), quiet(ISOLATED, 0, 1500), quiet(SOME, 0, 1500),
            firing(CONNECTIVITY, 345, 900), quiet(CONNECTIVITY, 1065, 1500),
        ],
    ),
    Case(
        "both are cut off, one a minute later: it is the same page",
        [
            *(up(i, "1x120") for i in "ab"), *cut_off("a", "1x19 3x40 1x40"), *cut_off("b", "1x23 3x36 1x40"),
            connectivity("a", "1x19 2 3x39 1x40"), connectivity("b", "1x23 2 3x35 1x40"),
        ],
        [
            quiet(UNHEALTHY, 0, 1500), quiet(ISOLATED, 0, 1500), firing(CONNECTIVITY, 345, 900),
            quiet(CONNECTIVITY, 1065, 1500),
        ],
    ),
    Case(
        "a file that is gone meanwhile is paged, and an engine that another monitor reaches as little",
        [
            *(up(i, "1x80") for i in "ab"), *cut_off("a", "1x19 3x60 1"), connectivity("a", "1x19 3x60"),
            connectivity("b", "1x80"), *(status("b", "1x80", target=each) for each in "xyz"),
            *ill("b", "1x19 3x60 1", "network", "w"), *ill("a", "1x19 3x60 1", "file", "file"),
            *ill("b", "1x19 3x60 1", "file", "file"),
        ],
        [
            firing(UNHEALTHY, 315, 1100, count=2), firing(UNHEALTHY, 600, matchers='target="file"'),
            firing(UNHEALTHY, 600, matchers='target="w"'), firing(CONNECTIVITY, 330, 1100),
        ],
    ),
    Case(
        "one of four engines fails: in doubt for a scrape, then paged",
        [
            up("a", "1x80"), *ill("a", "1x19 3x40 1x20", "network", "w"), connectivity("a", "1x19 2 1x60"),
            *(status("a", "1x80", target=each) for each in "xyz"),
        ],
        [firing(UNHEALTHY, 345, 900), quiet(UNHEALTHY, 960, 1200), quiet(CONNECTIVITY, 0, 1200)],
    ),
    Case(
        "a page that stood goes on while the monitor is cut off, and ends when the target is seen well",
        [
            up("a", "1x120"), *ill("a", "1x19 3x60 1x40", "network", "w"),
            *(each for name in "xyz" for each in ill("a", "1x39 3x20 1x60", "network", name)),
            connectivity("a", "1x39 3x20 1x60"),
        ],
        [
            firing(UNHEALTHY, 315, 1200), quiet(UNHEALTHY, 1260, 1700),
            firing(CONNECTIVITY, 630, 900), quiet(CONNECTIVITY, 1080, 1700),
        ],
    ),
    Case(
        "the monitor dies while it is cut off, and is so when it is back: still one page",
        [
            up("a", "1x39 0x20 1x60"),
            *(
                each
                for name in NAMES
                for each in (
                    status("a", "1x19 3x19 stale _x20 0 3x20 1x30", target=name),
                    of_target(CHECK, "a", "1x19 3x19 stale _x21 3x20 1x30", name, check="network"),
                )
            ),
            connectivity("a", "1x19 3x19 stale _x20 2 3x20 1x30"),
        ],
        [
            quiet(UNHEALTHY, 0, 1700), firing(CONNECTIVITY, 330, 1200), firing(ALL_DOWN, 645, 900),
            quiet(CONNECTIVITY, 1400, 1700),
        ],
    ),
    Case(
        "the hour in which its monitor was cut off is no page of a target's budget",
        [
            *watched("a", f"1x{HOUR - 1} 3x{HOUR} 1x200")[:1], *watched("a", "1x1")[2:],
            *ill("a", f"1x{HOUR - 1} 3x{HOUR} 1x200", "network", "wh"),
            *seconds("a", (HOUR, 0), (HOUR, 1), (3 * HOUR, 0)),
            connectivity("a", f"1x{HOUR - 1} 3x{HOUR} 1x200"),
        ],
        [quiet(BURNING, 0, 15_000, every=120), quiet(UNHEALTHY, 0, 15_000, every=120), firing(CONNECTIVITY, 3720, 7000, every=120)],
        interval=60,
    ),
)  # fmt: skip
