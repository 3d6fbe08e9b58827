"""Tables: a row for each target, monitor or expiry, merged of one query for each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.panels import STATUS_STEPS, Panel, Query, status_mapping, with_queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Column:
    """The value of a query, or that `label` of its series; `colors` from a value upwards."""

    name: str
    expr: str
    unit: str = ""
    label: str = ""
    colors: Sequence[tuple[float | None, str]] = ()
    status: bool = False
    decimals: int | None = None


def grid(
    title: str,
    description: str,
    keys: Mapping[str, str],
    columns: Sequence[Column],
    *,
    links: Mapping[str, Sequence[tuple[str, str]]],
    sort: str,
    descending: bool = True,
) -> Panel:
    """`keys`: labels that make a row, and their headings; `links`: by heading, titles and addresses."""
    refs = [f"Value #{chr(ord('A') + number)}" for number in range(len(columns))]
    shown = {ref: column for ref, column in zip(refs, columns, strict=True) if not column.label}
    labels = {column.label: column.name for column in columns if column.label}
    renamed = {**keys, **labels, **{ref: column.name for ref, column in shown.items()}}
    order = [*keys, *labels, *shown]
    hidden = ["Time", *(ref for ref in refs if ref not in shown)]
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .cell_height(common_models.TableCellHeight.SM)
        .filterable(True)
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": dict.fromkeys(hidden, True),
                    "includeByName": {},
                    "indexByName": {name: position for position, name in enumerate(order)},
                    "renameByName": renamed,
                },
            )
        )
        .with_transformation(
            models.DataTransformerConfig(
                id_val="filterFieldsByName", options={"include": {"names": [renamed[each] for each in order]}}
            )
        )
    )
    for column in shown.values():
        panel = panel.override_by_name(column.name, _look(column))
    for heading, addresses in links.items():
        panel = panel.override_by_name(heading, [_links(addresses)])
    queries = [Query(each.expr, instant=True, form=PromQueryFormat.TABLE) for each in columns]
    return with_queries(panel, queries)


def _look(column: Column) -> list[models.DynamicConfigValue]:
    values: list[tuple[str, Any]] = []
    if column.unit:
        values.append(("unit", column.unit))
    if column.decimals is not None:
        values.append(("decimals", column.decimals))
    colors = STATUS_STEPS if column.status else column.colors
    if column.status:
        values.append(("mappings", status_mapping()))
    if colors:
        steps = [{"value": value, "color": color} for value, color in colors]
        values.append(("thresholds", {"mode": "absolute", "steps": steps}))
        values.append(("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    return [models.DynamicConfigValue(id_val=key, value=value) for key, value in values]


def _links(addresses: Sequence[tuple[str, str]]) -> models.DynamicConfigValue:
    links = [{"title": title, "url": url, "targetBlank": False} for title, url in addresses]
    return models.DynamicConfigValue(id_val="links", value=links)
