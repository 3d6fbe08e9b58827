"""Service levels by the time that results stood, under sloth's names, and alerts on how fast budgets burn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.alerts.rule import TARGET_LABELS, Alert, Group, Record
from deploy.alerts.target_rules import NAMED, page_url, spared

if TYPE_CHECKING:
    from deploy.alerts.rule import Parameters

_SECONDS = "floe_compute_target_result_seconds_total"
_PROBES = "floe_compute_target_validations_total"
LEAST_PROBES = 10


def error_ratio(window: str) -> Record:
    """Of each monitor the share of failed time, and of those the least: one node alone burns nothing."""
    own = f"by ({TARGET_LABELS}, instance)"
    return Record(
        f"slo:sli_error:ratio_rate{window}",
        f"""
        min by ({TARGET_LABELS}) (
          sum {own} (rate({_SECONDS}{{status="unhealthy"}}[{window}]))
          / (sum {own} (rate({_SECONDS}[{window}])) > 0)
        )""",
    )


def tiled(window: str, tile: str) -> Record:
    return Record(
        f"slo:sli_error:ratio_rate{window}",
        f"avg_over_time(slo:sli_error:ratio_rate{tile}[{window}:{tile}])",
    )


def burning(short: str, long: str, factor: float, counted: str) -> str:
    """Both windows burn `factor` times the budget, by enough probes to say so.

    Above 40 % that is more than an engine which fails half of the time can reach: the threshold stops there,
    unless the budget itself is larger.
    """
    threshold = f"clamp_max({factor:g} * slo:error_budget:ratio, 0.4) > slo:error_budget:ratio"
    probes = f"sum_over_time(floe:target_validations:increase5m[{counted}:5m]) >= {LEAST_PROBES}"
    windows = [f"slo:sli_error:ratio_rate{window} > {threshold}" for window in (short, long)]
    return "\nand\n".join([*windows, probes])


def unless_paged(window: str, alert: str = "FloeTargetUnhealthy") -> str:
    """By itself, or, where its monitors reached nothing on the network, with all others."""
    fired = f'last_over_time(ALERTS{{alertname=~"{alert}", alertstate="firing"}}[{window}])'
    cut_off = f"max_over_time(floe:target_cut_off:held[{window}]) == 3"
    return f"unless on ({TARGET_LABELS}) {fired} unless on ({TARGET_LABELS}) {cut_off}"


def page(parameters: Parameters) -> Alert:
    itself = 'ALERTS{alertname="FloeTargetBudgetBurning", alertstate="firing"}'
    return Alert(
        name="FloeTargetBudgetBurning",
        expr=f"""
        floe:target_burn:ratio5m {unless_paged("10m")} {spared("FloeTargetBudgetBurning")}
        or
        floe:target_burn:ratio30m {unless_paged("45m")} {spared("FloeTargetBudgetBurning")}
        or
        (floe:target_burn:ratio5m or floe:target_burn:ratio30m) and on ({TARGET_LABELS}) {itself}
        or
        max by ({TARGET_LABELS}) ({itself})
          and on ({TARGET_LABELS}) floe:target_status:held
          unless on ({TARGET_LABELS}) floe_compute_target_status > 0""",
        wait="30s",
        keep="2m",
        severity="page",
        summary=f"{NAMED} fails often enough to spend its month's error budget within days",
        description="No outage long enough to page for explains it.",
        page_url=page_url(parameters),
        why="An outage that has paged burns too, for as long as the short window reaches back, and is not "
        "paged again; an alert that fires goes on while a worse one does, and while no monitor can tell. No "
        "result counts in maintenance, and none begins then.",
    )


def warning(parameters: Parameters) -> Alert:
    unpaged = unless_paged("6h30m", "FloeTargetUnhealthy|FloeTargetBudgetBurning")
    return Alert(
        name="FloeTargetBudgetBurningSlowly",
        expr=f"{burning('6h', '3d', 1, '6h')}\n{unpaged}\n{spared('FloeTargetBudgetBurningSlowly')}",
        wait="15m",
        keep="15m",
        severity="warning",
        summary=f"{NAMED} fails more of the time than its objective allows",
        description="If this goes on the month's error budget does not last.",
        page_url=page_url(parameters),
    )


def groups(parameters: Parameters) -> list[Group]:
    """Longer windows change more slowly, and cost more."""
    by_monitor = f"sum by ({TARGET_LABELS}, instance) (increase({_PROBES}[5m]))"
    objective = f"max by ({TARGET_LABELS}) (floe_compute_target_slo_objective_ratio)"
    at_once: list[Record | Alert] = [
        Record("slo:objective:ratio", objective),
        Record("slo:error_budget:ratio", "1 - slo:objective:ratio"),
        error_ratio("5m"),
        Record(
            "floe:target_burn:ratio5m",
            burning("5m", "1h", 14.4, "1h"),
            "Two days of this spend the budget of a month; few probes prove nothing.",
        ),
        page(parameters),
    ]
    by_the_minute: list[Record | Alert] = [
        error_ratio("30m"),
        error_ratio("1h"),
        tiled("6h", "5m"),
        tiled("3d", "30m"),
        Record("floe:target_validations:increase5m", f"max by ({TARGET_LABELS}) ({by_monitor})"),
        Record("floe:target_burn:ratio30m", burning("30m", "6h", 6, "6h"), "Five days of this do."),
        warning(parameters),
    ]
    left = [
        Record("slo:current_burn_rate:ratio", "slo:sli_error:ratio_rate5m / slo:error_budget:ratio"),
        tiled("30d", "1h"),
        Record(
            "slo:period_error_budget_remaining:ratio",
            "1 - slo:sli_error:ratio_rate30d / slo:error_budget:ratio",
        ),
    ]
    return [
        Group("floe-service-levels", "30s", at_once),
        Group("floe-service-level-windows", "1m", by_the_minute),
        Group("floe-error-budgets", "5m", left),
    ]
