"""Promtool's cases of targets in maintenance: no alert begins, none is resolved by the calendar."""

from __future__ import annotations

from conformance.alerts.promtool import Case, Series, firing, of_target, quiet, status, up
from conformance.alerts.service_level_cases import BURNING, HOUR, SLOWLY, watched
from conformance.alerts.target_cases import ALL_DOWN, CHANGES, INTERVAL, ISOLATED, LAST, SOME, UNHEALTHY

END = "floe_compute_target_maintenance_end_timestamp_seconds"
DEGRADED, UNKNOWN, STALE = "FloeTargetDegraded", "FloeTargetUnknown", "FloeTargetStale"
FLAPPING = "FloeTargetFlapping"


def window(instance: str, first: int, last: int, target: str = "wh", step: int = 15) -> Series:
    """Scrapes from second `first` on say that it ends at `last`."""
    before, during = first // step, (last - first) // step
    return of_target(END, instance, f"_x{before} {last}x{during - 1} stale", target)


PAGES = (
    Case(
        "a fault that begins in a window and outlasts it is paged when the window ends",
        [up("a", "1x100"), status("a", "1x19 3x60 1x20"), window("a", 150, 900)],
        [quiet(UNHEALTHY, 0, 900), firing(UNHEALTHY, 930, 1200), quiet(UNHEALTHY, 1260, 1500)],
    ),
    Case(
        "a fault that begins and ends in a window is nobody's",
        [up("a", "1x100"), status("a", "1x19 3x20 1x60"), window("a", 150, 900)],
        [quiet(UNHEALTHY, 0, 1500), quiet(SOME, 0, 1500)],
    ),
    Case(
        "a fault of the seconds before a window is not paged in it",
        [up("a", "1x100"), status("a", "1x19 3x20 1x60"), window("a", 315, 900)],
        [quiet(UNHEALTHY, 0, 1500)],
    ),
    Case(
        "a page that stood when the window began goes on until the target is well, and no other begins in it",
        [up("a", "1x160"), status("a", "1x19 3x40 1x19 3x20 1x60"), window("a", 450, 1800)],
        [firing(UNHEALTHY, 315, 900), quiet(UNHEALTHY, 945, 2300)],
    ),
    Case(
        "a page that stood outlasts a window in which nothing gets better",
        [up("a", "1x160"), status("a", "1x19 3x140"), window("a", 450, 900)],
        [firing(UNHEALTHY, 315, 2300)],
    ),
    Case(
        "one of two monitors knows the window already, while it is rolled out",
        [*(up(i, "1x100") for i in "ab"), *(status(i, "1x19 3x80") for i in "ab"), window("a", 150, 900)],
        [quiet(UNHEALTHY, 0, 900), firing(UNHEALTHY, 930, 1500)],
    ),
    Case(
        "the monitor dies in the window: it lasts until the end that was told, and then the fault is held",
        [
            up("a", "1x39 0x80"), status("a", "1x19 3x19 stale"),
            of_target(END, "a", "_x10 1200x29 stale"),
        ],
        [quiet(UNHEALTHY, 0, 1200), firing(UNHEALTHY, 1230, 1700), firing(ALL_DOWN, 645, 1700)],
    ),
    Case(
        "a window that is taken out of the configuration ends at once, whatever it had promised",
        [up("a", "1x100"), status("a", "1x19 3x80"), of_target(END, "a", "_x10 9000x29 stale")],
        [quiet(UNHEALTHY, 0, 600), firing(UNHEALTHY, 645, 1500)],
    ),
    Case(
        "four targets in maintenance make no monitor isolated, and nobody is warned of one node",
        [
            *(up(i, "1x100") for i in "ab"),
            *(status("a", "1x19 3x80", target=each) for each in "wxyz"),
            *(status("b", "1x100", target=each) for each in "wxyz"),
            *(window("a", 150, 1500, target=each) for each in "wxyz"),
        ],
        [quiet(ISOLATED, 0, 1500), quiet(SOME, 0, 1500), quiet(UNHEALTHY, 0, 1500)],
    ),
    Case(
        "another target of the same monitor is paged as ever",
        [up("a", "1x100"), *(status("a", "1x19 3x80", target=each) for each in "xy"), window("a", 150, 1500, "x")],
        [firing(UNHEALTHY, 315, 1500), firing(UNHEALTHY, 600, matchers='target="y"')],
    ),
)  # fmt: skip

WARNINGS = (
    Case(
        "neither degraded nor unknown nor overdue is told in a window of two hours, but after it",
        [
            up("a", "1x300"),
            status("a", "1x19 2x280", target="d"), window("a", 600, 7800, "d", 60),
            status("a", "1x19 0x280", target="u"), window("a", 600, 7800, "u", 60),
            status("a", "1x300", target="s"), window("a", 600, 7800, "s", 60),
            of_target(LAST, "a", "0+60x20 1200x280", target="s"),
            of_target(INTERVAL, "a", "60x300", target="s"),
        ],
        [
            *(quiet(each, 0, 7800, every=60) for each in (DEGRADED, UNKNOWN, STALE)),
            firing(DEGRADED, 9840, 12_000, every=120), firing(UNKNOWN, 8520, 12_000, every=120),
            firing(STALE, 8220, 12_000, every=120),
        ],
        interval=60,
    ),
    Case(
        "what changed again and again in a window is not told after it",
        [
            up("a", "1x200"), status("a", "1x200"), window("a", 600, 3000, step=60),
            of_target(CHANGES, "a", "0x9 1+1x39 40x150"),
        ],
        [quiet(FLAPPING, 0, 6000, every=120)],
        interval=60,
    ),
)  # fmt: skip


def seconds(*phases: tuple[int, float | None]) -> list[Series]:
    """As `service_level_cases.seconds`; in a phase without a share, maintenance, nothing is counted."""
    good, bad = 0.0, 0.0
    healthy, unhealthy = [], []
    for samples, share in phases:
        counted = 0 if share is None else 60
        more, worse = counted * (1 - (share or 0)), counted * (share or 0)
        healthy.append(f"{good:g}+{more:g}x{samples - 1}")
        unhealthy.append(f"{bad:g}+{worse:g}x{samples - 1}")
        good, bad = good + more * samples, bad + worse * samples
    name = "floe_compute_target_result_seconds_total"
    total = sum(samples for samples, _ in phases)
    return [
        of_target(name, "a", " ".join(healthy), status="healthy"),
        of_target(name, "a", f"0x{total - 1}", status="degraded"),
        of_target(name, "a", " ".join(unhealthy), status="unhealthy"),
        of_target("floe_compute_target_validations_total", "a", f"0+1x{total - 1}"),
    ]


BUDGETS = (
    Case(
        "no page of the budget begins in a window for what was before it",
        [
            *watched("a", "1x400"), *seconds((HOUR, 0), (4, 0.55), (HOUR, None), (3 * HOUR, 0)),
            window("a", 64 * 60, 124 * 60, step=60),
        ],
        [quiet(BURNING, 0, 18_000, every=60)],
        interval=60,
    ),
    Case(
        "an outage of two hours in maintenance spends nothing",
        [
            *watched("a", "1x59 3x120 1x400"), *seconds((HOUR, 0), (2 * HOUR, None), (5 * HOUR, 0)),
            window("a", 3600, 10_860, step=60),
        ],
        [quiet(each, 0, 20_000, every=300) for each in (BURNING, SLOWLY, UNHEALTHY)],
        interval=60,
    ),
    Case(
        "what burns when a window begins and goes on after it is one page",
        [
            *watched("a", "1x600"), *seconds((HOUR, 0), (HOUR, 0.5), (20, None), (2 * HOUR, 0.5), (3 * HOUR, 0)),
            window("a", 7200, 8400, step=60),
        ],
        [firing(BURNING, 4320, 15_000, every=60), quiet(BURNING, 18_600, 20_000, every=300)],
        interval=60,
    ),
)  # fmt: skip

CASES = (*PAGES, *WARNINGS, *BUDGETS)
