"""Kinds of panels: how a number, lines, a table, a timeline of statuses look here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN, YELLOW, RED, GREY, BLUE = "green", "yellow", "red", "#8e8e8e", "blue"
STATUSES = (("unknown", GREY), ("healthy", GREEN), ("degraded", YELLOW), ("unhealthy", RED))

Mapping: TypeAlias = models.ValueMap | models.RangeMap | models.RegexMap | models.SpecialValueMap
Panel: TypeAlias = Any
"""A builder of some kind of panel; the kinds share methods, but no base class that declares them."""

Sized: TypeAlias = "tuple[int, int, Panel]"
"""Width in columns, height in rows, and the panel."""


@dataclass(frozen=True)
class Query:
    expr: str
    legend: str = "__auto"
    instant: bool = False
    exemplar: bool = False
    form: PromQueryFormat = PromQueryFormat.TIME_SERIES

    def builder(self, ref_id: str) -> prometheus.Dataquery:
        query = (
            prometheus.Dataquery()
            .ref_id(ref_id)
            .datasource(SOURCE)
            .expr(self.expr)
            .legend_format(self.legend)
            .format(self.form)
            .exemplar(self.exemplar)
        )
        return query.instant() if self.instant else query.range()


def steps(*pairs: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from a value upwards; the first pair's value is None."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in pairs])
    )


def status_mapping() -> list[Mapping]:
    options = {
        str(number): models.ValueMappingResult(text=word, color=color, index=number)
        for number, (word, color) in enumerate(STATUSES)
    }
    return [models.ValueMap(options=options)]


STATUS_STEPS = tuple((None if n == 0 else float(n), color) for n, (_, color) in enumerate(STATUSES))


def with_queries(panel: Panel, queries: Sequence[Query]) -> Panel:
    panel = panel.datasource(SOURCE)
    for number, query in enumerate(queries):
        panel = panel.with_target(query.builder(chr(ord("A") + number)))
    return panel


def words(*pairs: tuple[int, str, str]) -> Mapping:
    """Values, and what each is called in which colour."""
    options = {
        str(value): models.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, text, color) in enumerate(pairs)
    }
    return models.ValueMap(options=options)


def yes_or_no(yes: str, no: str) -> list[Mapping]:
    """Of 1 and 0; each with its colour after a comma."""
    negative, affirmative = no.partition(", "), yes.partition(", ")
    return [words((0, negative[0], negative[2]), (1, affirmative[0], affirmative[2]))]


def number(
    title: str, description: str, unit: str, colors: dashboard.ThresholdsConfig, *queries: Query
) -> Panel:
    """One big number, or one for each series."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .thresholds(colors)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .color_mode(common_models.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )
    return with_queries(panel, queries)


def lines(title: str, description: str, unit: str, *queries: Query) -> Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .min(0)
        .fill_opacity(8)
        .line_width(1)
        .show_points(common_models.VisibilityMode.NEVER)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    return with_queries(panel, queries)


def bars(
    title: str, description: str, unit: str, colors: dashboard.ThresholdsConfig, *queries: Query
) -> Panel:
    """A bar for each series, of what is from 0 to 1."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .min(0)
        .max(1)
        .thresholds(colors)
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )
    return with_queries(panel, queries)


def alert_list(title: str, description: str) -> Panel:
    """Grafana's own list, which shows the alerts' annotations: what is wrong, the page, the runbook."""
    return (
        dashboard.Panel()
        .type("alertlist")
        .title(title)
        .description(description)
        .options(
            {
                "viewMode": "list",
                "groupMode": "default",
                "groupBy": [],
                "maxItems": 50,
                "sortOrder": 3,
                "alertName": "Floe",
                "alertInstanceLabelFilter": '{target=~"|$target",team=~"|$team",instance=~"|$monitor"}',
                "datasource": "${datasource}",
                "dashboardAlerts": False,
                "showInstances": True,
                "stateFilter": {
                    "firing": True,
                    "pending": True,
                    "error": True,
                    "noData": False,
                    "normal": False,
                    "recovering": True,
                },
            }
        )
    )


def timeline(title: str, description: str, *queries: Query, mappings: list[Mapping] | None = None) -> Panel:
    """Each series over time, in the colours of its values: statuses, unless others are named."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .mappings(status_mapping() if mappings is None else mappings)
        .thresholds(steps(*STATUS_STEPS))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .show_value(common_models.VisibilityMode.NEVER)
        .row_height(0.85)
        .merge_values(True)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(False)
        )
    )
    return with_queries(panel, queries)
