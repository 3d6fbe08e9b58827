"""Promtool's cases of the alerts on error budgets: a sample a minute."""

from __future__ import annotations

from conformance.alerts.promtool import Case, Expected, Series, firing, of_target, quiet, status, up

BURNING, SLOWLY = "FloeTargetBudgetBurning", "FloeTargetBudgetBurningSlowly"
UNHEALTHY = "FloeTargetUnhealthy"
HOUR = 60
"""In samples."""


def seconds(instance: str, *phases: tuple[int, float]) -> list[Series]:
    """Counters of a target that fails in each phase, so many samples long, such a share of the time."""
    healthy, unhealthy, good, bad = [], [], 0.0, 0.0
    for samples, share in phases:
        healthy.append(f"{good:g}+{60 * (1 - share):g}x{samples - 1}")
        unhealthy.append(f"{bad:g}+{60 * share:g}x{samples - 1}")
        good += 60 * (1 - share) * samples
        bad += 60 * share * samples
    total = sum(samples for samples, _ in phases)
    name = "floe_compute_target_result_seconds_total"
    return [
        of_target(name, instance, " ".join(healthy), status="healthy"),
        of_target(name, instance, f"0x{total - 1}", status="degraded"),
        of_target(name, instance, " ".join(unhealthy), status="unhealthy"),
        of_target("floe_compute_target_validations_total", instance, f"0+1x{total - 1}"),
    ]


def watched(instance: str, values: str, objective: float = 0.995) -> list[Series]:
    samples = 40 * HOUR
    return [
        up(instance, f"1x{samples}"),
        status(instance, values),
        of_target("floe_compute_target_slo_objective_ratio", instance, f"{objective:g}x{samples}"),
    ]


def case(name: str, series: list[Series], *expected: Expected) -> Case:
    return Case(name, series, expected, interval=60)


CASES = (
    case(
        "half of the time it fails, which thresholds hide: a page within ten minutes, and its end",
        [*watched("a", "1x400"), *seconds("a", (HOUR, 0), (2 * HOUR, 0.5), (3 * HOUR, 0))],
        quiet(BURNING, 0, 3600, every=60),
        firing(BURNING, 4320, 10_800, every=120),
        quiet(BURNING, 12_900, 20_000, every=300),
        quiet(UNHEALTHY, 0, 20_000, every=300),
    ),
    case(
        "an objective of 90 %, whose budget times 14.4 no engine can spend",
        [*watched("a", "1x400", 0.9), *seconds("a", (HOUR, 0), (3 * HOUR, 0.5))],
        quiet(BURNING, 0, 3600, every=60),
        firing(BURNING, 7200, 14_000, every=60),
    ),
    case(
        "an objective of 50 % is kept by an engine that fails 45 % of the time",
        [*watched("a", "1x400", 0.5), *seconds("a", (4 * HOUR, 0.45))],
        quiet(BURNING, 0, 14_000, every=60),
    ),
    case(
        "a tenth of the time it fails: six hours tell",
        [*watched("a", "1x800"), *seconds("a", (HOUR, 0), (10 * HOUR, 0.1))],
        quiet(BURNING, 0, 3600, every=60),
        firing(BURNING, 11_000, 20_000, every=300),
    ),
    case(
        "a hundredth of the time: no page, but more than the objective allows",
        [*watched("a", "1x2400"), *seconds("a", (24 * HOUR, 0.01), (14 * HOUR, 0))],
        quiet(BURNING, 0, 80_000, every=600),
        quiet(SLOWLY, 0, 900, every=300),
        firing(SLOWLY, 80_000, 86_000, every=600),
        quiet(SLOWLY, 108_000, 130_000, every=600),
    ),
    case(
        "few probes prove nothing",
        [
            *watched("a", "1x400"),
            *(each for each in seconds("a", (HOUR, 0), (HOUR, 0.5)) if "validations" not in each.name),
            of_target("floe_compute_target_validations_total", "a", "0x50 1x50 2x50"),
        ],
        quiet(BURNING, 0, 7000, every=60),
    ),
    case(
        "an outage that pages is not paged again by its budget, neither meanwhile nor afterwards",
        [*watched("a", f"1x{HOUR - 1} 3x15 1x350"), *seconds("a", (HOUR, 0), (16, 1), (5 * HOUR, 0))],
        firing(UNHEALTHY, 3720, 4500, every=60),
        quiet(BURNING, 0, 20_000, every=60),
        quiet(SLOWLY, 0, 20_000, every=300),
    ),
    case(
        "it fails half of the time and pages, then all of the time: the first page is not resolved",
        [*watched("a", f"1x{2 * HOUR - 1} 3x15 1x350"), *seconds("a", (HOUR, 0), (HOUR, 0.5), (16, 1), (5 * HOUR, 0))],
        firing(BURNING, 4320, 8100, every=120),
        firing(UNHEALTHY, 7320, 8100, every=60),
        quiet(BURNING, 10_500, 20_000, every=300),
    ),
    case(
        "the monitors go while it burns: held, and told well afterwards",
        [
            up("a", "1x150 0x30 1x200"),
            status("a", "1x150 stale _x30 0 1x200"),
            of_target("floe_compute_target_slo_objective_ratio", "a", "0.995x150 stale _x29 0.995x200"),
            *(
                Series(each.name, f"{each.values} stale _x29 {later}")
                for each, later in zip(
                    seconds("a", (151, 0.5)), ("0+60x200", "0x200", "0x200", "0+1x200"), strict=True
                )
            ),
        ],
        firing(BURNING, 3600, 10_800, every=60),
        quiet(BURNING, 12_000, 20_000, every=60),
    ),
    case(
        "what one of two nodes alone sees burns nothing",
        [
            *watched("a", "1x400"), *watched("b", "1x400"),
            *seconds("a", (5 * HOUR, 0)), *seconds("b", (HOUR, 0), (4 * HOUR, 1)),
        ],
        quiet(BURNING, 0, 18_000, every=60),
    ),
)  # fmt: skip
