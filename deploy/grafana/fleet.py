"""The fleet: how many targets are how, which of them need someone, how well they are kept, what ends soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import heatmap
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.alerts.rule import TARGET_LABELS
from deploy.grafana.board import build
from deploy.grafana.links import FLEET, to_target
from deploy.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    RED,
    STATUSES,
    YELLOW,
    Panel,
    Query,
    Sized,
    alert_list,
    bars,
    lines,
    number,
    steps,
    timeline,
    with_queries,
)
from deploy.grafana.selection import (
    AGE,
    BUDGET_LEFT,
    DISAGREED,
    FIRING,
    INFO,
    MONITORS,
    PLUGINS,
    STATUS,
    UPTIME,
    VERDICT,
    at_most,
    existing,
    of,
    quantile,
    rate,
)
from deploy.grafana.tables import Column, grid

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

    from deploy.grafana.parameters import Parameters

DURATION = "floe_compute_validation_duration_seconds"
ROW = {"target": "Target", "plugin": "Plugin", "cluster": "Cluster", "namespace": "Namespace"}
LEFT = ((None, RED), (0.0, YELLOW), (0.25, GREEN))
"""Colours of the budget that is left."""


def fleet(parameters: Parameters) -> Dashboard:
    return build(
        FLEET,
        "All targets of dbt's compute engines: how they are, which need someone, how well they were.",
        {
            "Now": now(),
            "Service levels, in the time range": service_levels(),
            "Validations": validations(),
            "What ends soon": expiry(),
            "Alerts": [(24, 10, alert_list("Alerts", "With what is wrong, the target's page, the runbook."))],
        },
        runbook=parameters.runbook_url,
    )


def counted(status: int) -> Sized:
    word, color = STATUSES[status]
    panel = number(
        word.upper(),
        f"Targets that are {word} as more than half of their monitors see them, each counted once.",
        "none",
        steps((None, GREY), (1, color)),
        Query(f"count(({VERDICT}) == {status}) or vector(0)", word, instant=True),
    )
    return 4, 4, panel


def how_many(title: str, description: str, expr: str, color: str = YELLOW) -> Sized:
    query = Query(f"{expr} or vector(0)", title.lower(), instant=True)
    return 4, 4, number(title, description, "none", steps((None, GREEN), (1, color)), query)


def now() -> list[Sized]:
    maintained = of("floe_compute_target_maintenance")
    overdue = f"({AGE}) / {of('floe_compute_target_interval_seconds')}"
    return [
        *(counted(status) for status in (1, 2, 3, 0)),
        how_many(
            "Seen differently",
            "Targets of which the monitors that watch them do not say the same.",
            f"count({DISAGREED})",
        ),
        how_many(
            "In maintenance",
            "Targets in a maintenance window: no alert begins on them.",
            f"count({at_most(maintained)} == 1)",
            BLUE,
        ),
        how_many(
            "Open incidents",
            "What is wrong, targets with one cause counted once; of the monitors the one that knows most.",
            f"max(floe_compute_incidents_open{{{MONITORS}}})",
            RED,
        ),
        how_many(
            "Alerts that fire",
            "On these targets and monitors, where Prometheus has the shipped rules.",
            f"count({FIRING})",
            RED,
        ),
        how_many(
            "Monitors cut off",
            "Monitors that reach no target on the network: look for the fault between them and all targets.",
            f"count(floe_monitor_connectivity_status{{{MONITORS}}} == 3)",
            RED,
        ),
        (
            6,
            4,
            number(
                "Monitors",
                "Daemons that answer, by version.",
                "none",
                steps((None, RED), (1, BLUE)),
                Query(
                    f"count by (version) (floe_monitor_build_info{{{MONITORS}}})", "{{version}}", instant=True
                ),
            ),
        ),
        (
            6,
            4,
            number(
                "Most overdue verdict",
                "Age of the oldest verdict, in intervals of its target: above 5 nobody is looking any more.",
                "none",
                steps((None, GREEN), (2, YELLOW), (5, RED)),
                Query(
                    f"max({existing(overdue)})",
                    "intervals",
                    instant=True,
                ),
            ).decimals(1),
        ),
        (24, 11, targets()),
        (
            24,
            9,
            timeline(
                "Status over time",
                "As more than half of the monitors see it; a removed target ends where it was removed.",
                Query(VERDICT, "{{target}}"),
            ),
        ),
    ]


def targets() -> Panel:
    newest = of("floe_compute_target_last_validation_timestamp_seconds")
    success = of("floe_compute_target_last_success_timestamp_seconds")
    changes = f"increase({of('floe_compute_target_status_changes_total')}[24h])"
    team = f"topk by ({TARGET_LABELS}) (1, max by ({TARGET_LABELS}, label_team) ({INFO}))"
    server = f"topk by ({TARGET_LABELS}) (1, max by ({TARGET_LABELS}, server_address) ({INFO}))"
    reason = f"count by ({TARGET_LABELS}, error_type) ({of('floe_compute_target_error')})"
    columns = (
        Column("Status", VERDICT, status=True),
        Column("Team", team, label="label_team"),
        Column("Reason", existing(f"topk by ({TARGET_LABELS}) (1, {reason})"), label="error_type"),
        Column("UNHEALTHY for", existing(f"count by ({TARGET_LABELS}) ({STATUS} == 3)"), "none"),
        Column("Monitors", existing(f"count by ({TARGET_LABELS}) ({STATUS})"), "none"),
        Column("Server", server, label="server_address"),
        Column("Last validation", existing(f"time() - max by ({TARGET_LABELS}) ({newest})"), "s"),
        Column("Last success", existing(f"time() - max by ({TARGET_LABELS}) ({success})"), "s"),
        Column("Duration", at_most(of("floe_compute_target_last_duration_seconds")), "s"),
        Column("Changes, 24 h", at_most(changes), "none", decimals=0),
        Column("Uptime", UPTIME, "percentunit", decimals=3),
        Column("Budget left", BUDGET_LEFT, "percentunit", colors=LEFT, decimals=1),
    )
    return grid(
        "Targets",
        "One row for each target that is configured, however many monitors watch it. “UNHEALTHY for” is how "
        "many of them see it so. Uptime and budget are of the time range.",
        ROW,
        columns,
        links={"Target": [to_target()]},
        sort="Status",
    )


def service_levels() -> list[Sized]:
    return [
        (
            12,
            9,
            bars(
                "Least uptime",
                "Share of the time in which dbt could work with it, without maintenance: the ten least.",
                "percentunit",
                steps((None, RED), (0.95, YELLOW), (0.99, GREEN)),
                Query(f"bottomk(10, {UPTIME})", "{{target}}", instant=True),
            ),
        ),
        (
            12,
            9,
            bars(
                "Least error budget left",
                "Of what the objective allows in the time range: the ten least. Nothing is left where more "
                "has failed.",
                "percentunit",
                steps(*LEFT),
                Query(f"bottomk(10, clamp_min({BUDGET_LEFT}, 0))", "{{target}}", instant=True),
            ),
        ),
    ]


def validations() -> list[Sized]:
    quantiles = [
        Query(quantile(q, DURATION, PLUGINS, "plugin"), f"{{{{plugin}}}} {name}", exemplar=q == 0.99)
        for q, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
    ]
    return [
        (
            12,
            9,
            lines(
                "Duration of validations",
                "From the moment the worker began, timeouts included; waiting for a slot is not in it.",
                "s",
                *quantiles,
            ),
        ),
        (12, 9, latency_heatmap()),
        (
            12,
            8,
            lines(
                "Validations by status",
                "Validations finished per second, by what each of them found.",
                "ops",
                Query(rate(f"{DURATION}_count", PLUGINS, "plugin, status"), "{{plugin}} {{status}}"),
            ),
        ),
        (
            12,
            8,
            lines(
                "Errors by type",
                "Validations per second that found something wrong, by the first reason.",
                "ops",
                Query(
                    rate("floe_compute_validation_errors_total", PLUGINS, "plugin, error_type"),
                    "{{plugin}} {{error_type}}",
                ),
            ),
        ),
    ]


def latency_heatmap() -> Panel:
    panel = (
        heatmap.Panel()
        .title("Validations by duration")
        .description("How many validations took how long. Diamonds are exemplars: each leads to its trace.")
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .fill("dark-orange")
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .exemplars_color("rgba(255,255,255,0.8)")
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .tooltip(
            heatmap.HeatmapTooltip()
            .mode(common_models.TooltipDisplayMode.SINGLE)
            .y_histogram(True)
            .show_color_scale(True)
        )
        .show_legend()
    )
    expr = f"sum by (le) (increase({DURATION}_bucket{{{PLUGINS}}}[$__rate_interval]))"
    return with_queries(panel, [Query(expr, "{{le}}", exemplar=True, form=PromQueryFormat.HEATMAP)])


def expiry() -> list[Sized]:
    by = f"{TARGET_LABELS}, what"
    ends = of("floe_compute_target_expiry_timestamp_seconds")
    table = grid(
        "What ends, soonest first",
        "Certificates, passwords, tokens and keys, and when the warning begins.",
        {**ROW, "what": "What"},
        (
            Column(
                "Ends in",
                existing(f"min by ({by}) ({ends}) - time()"),
                "s",
                colors=((None, RED), (0.0, YELLOW), (14 * 86_400.0, GREEN)),
            ),
            Column("Ends at", existing(f"1000 * min by ({by}) ({ends})"), "dateTimeAsIso"),
            Column(
                "Warned before",
                at_most(of("floe_compute_target_expiry_warning_seconds"), by),
                "s",
            ),
        ),
        links={"Target": [to_target()]},
        sort="Ends in",
        descending=False,
    )
    return [(24, 8, table)]
