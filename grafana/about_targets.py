"""The rows on the targets: what they are now, how long validations take, what fails."""

from __future__ import annotations

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    table,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from kinds import (
    BLUE,
    GREEN,
    GREY,
    INSTANCE,
    PLUGIN,
    RED,
    STATUS_STEPS,
    STATUSES,
    TARGET,
    YELLOW,
    Panel,
    Query,
    Sized,
    lines,
    number,
    quantile,
    rate,
    status_mapping,
    steps,
    timeline,
    with_queries,
)

DURATION = "floe_compute_validation_duration_seconds"
AGE = "time() - floe_compute_target_last_validation_timestamp_seconds"


def counted(status: int) -> Panel:
    word, color = STATUSES[status]
    return number(
        word.upper(),
        f"Targets that are {word} now, each counted once however many monitors see it so.",
        "none",
        steps((None, GREY), (1, color)),
        Query(
            "count(count by (target, plugin) "
            f"(floe_compute_target_status{{{TARGET}}} == {status})) or vector(0)",
            word,
            instant=True,
        ),
    )


def targets_table() -> Panel:
    columns = (
        ("Status", f"floe_compute_target_status{{{TARGET}}}"),
        ("Last validation", f"time() - floe_compute_target_last_validation_timestamp_seconds{{{TARGET}}}"),
        ("Last success", f"time() - floe_compute_target_last_success_timestamp_seconds{{{TARGET}}}"),
        ("Duration", f"floe_compute_target_last_duration_seconds{{{TARGET}}}"),
        ("Interval", f"floe_compute_target_interval_seconds{{{TARGET}}}"),
        ("Failures in a row", f"floe_compute_target_consecutive_failures{{{TARGET}}}"),
        ("Changes, 24 h", f"increase(floe_compute_target_status_changes_total{{{TARGET}}}[24h])"),
    )
    kept = "instance, target, plugin"
    panel = (
        table.Panel()
        .title("Targets")
        .description(
            "Every target as each monitor sees it now. No “Last success”: none since the monitor started."
        )
        .cell_height(common_models.TableCellHeight.SM)
        .filterable(True)
        .sort_by([common.TableSortByFieldState().display_name("Status").desc(True)])
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {
                        name: position
                        for position, name in enumerate(
                            (
                                "target",
                                "plugin",
                                "instance",
                                *(f"Value #{chr(ord('A') + n)}" for n in range(len(columns))),
                            )
                        )
                    },
                    "renameByName": {
                        "target": "Target",
                        "plugin": "Plugin",
                        "instance": "Monitor",
                        **{f"Value #{chr(ord('A') + n)}": name for n, (name, _) in enumerate(columns)},
                    },
                },
            )
        )
        .override_by_name(
            "Status",
            [
                models.DynamicConfigValue(id_val="mappings", value=status_mapping()),
                models.DynamicConfigValue(
                    id_val="thresholds",
                    value={
                        "mode": "absolute",
                        "steps": [{"value": value, "color": color} for value, color in STATUS_STEPS],
                    },
                ),
                models.DynamicConfigValue(
                    id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}
                ),
            ],
        )
        .override_by_regexp(
            "Last .*|Duration|Interval", [models.DynamicConfigValue(id_val="unit", value="s")]
        )
        .override_by_name("Changes, 24 h", [models.DynamicConfigValue(id_val="decimals", value=0)])
    )
    queries = [
        Query(f"max by ({kept}) ({expr})", instant=True, form=PromQueryFormat.TABLE) for _, expr in columns
    ]
    return with_queries(panel, queries)


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
    expr = f"sum by (le) (increase({DURATION}_bucket{{{PLUGIN}}}[$__rate_interval]))"
    return with_queries(panel, [Query(expr, "{{le}}", exemplar=True, form=PromQueryFormat.HEATMAP)])


def now() -> list[Sized]:
    return [
        *((4, 4, counted(status)) for status in (1, 2, 3, 0)),
        (
            4,
            4,
            number(
                "Monitors",
                "Daemons that answer, by version.",
                "none",
                steps((None, RED), (1, BLUE)),
                Query(
                    f"count by (version) (floe_monitor_build_info{{{INSTANCE}}})", "{{version}}", instant=True
                ),
            ),
        ),
        (
            4,
            4,
            number(
                "Most overdue verdict",
                "Age of the oldest verdict, in intervals of its target: above 5 nobody is looking any more.",
                "none",
                steps((None, GREEN), (2, YELLOW), (5, RED)),
                Query(
                    f"max(({AGE}{{{TARGET}}}) / floe_compute_target_interval_seconds{{{TARGET}}})",
                    "intervals",
                    instant=True,
                ),
            ).decimals(1),
        ),
        (24, 9, targets_table()),
        (
            24,
            9,
            timeline(
                "Status over time",
                "The worst status any monitor reports for the target.",
                Query(f"max by (target) (floe_compute_target_status{{{TARGET}}})", "{{target}}"),
            ),
        ),
    ]


def latency() -> list[Sized]:
    return [
        (
            12,
            9,
            lines(
                "Duration of validations",
                "From the moment the worker began, timeouts included; waiting for a slot is not in it.",
                "s",
                *(
                    Query(
                        quantile(q, DURATION, PLUGIN, "plugin"), f"{{{{plugin}}}} {name}", exemplar=q == 0.99
                    )
                    for q, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
                ),
            ),
        ),
        (12, 9, latency_heatmap()),
        (
            12,
            8,
            lines(
                "Last duration by target",
                "The last validation of each target, at the slowest monitor.",
                "s",
                Query(
                    f"max by (target) (floe_compute_target_last_duration_seconds{{{TARGET}}})", "{{target}}"
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Validations by status",
                "Validations finished per second, by what each of them found.",
                "ops",
                Query(rate(f"{DURATION}_count", PLUGIN, "plugin, status"), "{{plugin}} {{status}}"),
            ),
        ),
    ]


def failures() -> list[Sized]:
    return [
        (
            12,
            8,
            lines(
                "Duration of checks",
                "Each step of the last validation, at the slowest monitor: which of them takes the time.",
                "s",
                Query(
                    f"max by (target, check) (floe_compute_target_check_duration_seconds{{{TARGET}}})",
                    "{{target}} {{check}}",
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Time until something expires",
                "What is left of certificates, passwords, tokens and keys, and when the warning begins.",
                "s",
                Query(
                    "min by (target, what) "
                    f"(floe_compute_target_expiry_timestamp_seconds{{{TARGET}}} - time())",
                    "{{target}} {{what}}",
                ),
                Query(
                    f"max by (what) (floe_compute_target_expiry_warning_seconds{{{TARGET}}})",
                    "warning: {{what}}",
                ),
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
                    rate("floe_compute_validation_errors_total", PLUGIN, "plugin, error_type"),
                    "{{plugin}} {{error_type}}",
                ),
            ),
        ),
        (
            12,
            8,
            lines(
                "Failures in a row",
                "Unhealthy validations in a row, at the monitor that counts most.",
                "none",
                Query(
                    f"max by (target) (floe_compute_target_consecutive_failures{{{TARGET}}})", "{{target}}"
                ),
            ),
        ),
        (
            16,
            9,
            timeline(
                "Checks over time",
                "Each step of the validations: which of them fails.",
                Query(
                    f"max by (target, check) (floe_compute_target_check_status{{{TARGET}}})",
                    "{{target}} {{check}}",
                ),
            ),
        ),
        (
            8,
            9,
            lines(
                "Changes of status",
                "Changes in the last hour: a target that flaps needs higher thresholds, or a cure.",
                "none",
                Query(
                    f"sum by (target) (increase(floe_compute_target_status_changes_total{{{TARGET}}}[1h]))",
                    "{{target}}",
                ),
            ),
        ),
    ]
