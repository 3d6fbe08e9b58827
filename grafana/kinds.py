"""Kinds of panels: how a number, lines, a timeline of statuses look here, and the queries they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from grafana_foundation_sdk.builders import (
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
INSTANCE = 'instance=~"$instance"'
PLUGIN = f'{INSTANCE},plugin=~"$plugin"'
TARGET = f'{PLUGIN},target=~"$target"'

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


def rate(metric: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantile(q: float, metric: str, labels: str, by: str = "") -> str:
    names = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', labels, names)})"


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


def timeline(title: str, description: str, query: Query) -> Panel:
    """The status of each series over time, in the colours of the statuses."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .mappings(status_mapping())
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
    return with_queries(panel, [query])
