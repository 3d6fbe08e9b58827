"""A dashboard of rows of panels, with the variables and annotations that all three have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from deploy.alerts.rule import TARGET_LABELS
from deploy.grafana.links import TITLES, dashboard_links
from deploy.grafana.panels import BLUE, RED, SOURCE, YELLOW, Panel, Sized
from deploy.grafana.selection import FIRING, MONITORS, of, ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMNS = 24
_SCOPE = 'cluster=~"$cluster",namespace=~"$namespace"'
VARIABLES = (
    ("cluster", "Cluster", "label_values(floe_monitor_build_info, cluster)"),
    ("namespace", "Namespace", 'label_values(floe_monitor_build_info{cluster=~"$cluster"}, namespace)'),
    ("team", "Team", f"label_values(floe_compute_target_info{{{_SCOPE}}}, label_team)"),
    ("plugin", "Plugin", f"label_values(floe_compute_target_status{{{_SCOPE}}}, plugin)"),
    (
        "target",
        "Target",
        f'label_values(floe_compute_target_info{{{_SCOPE},label_team=~"$team",plugin=~"$plugin"}}, target)',
    ),
    ("monitor", "Monitor", f"label_values(floe_monitor_build_info{{{_SCOPE}}}, instance)"),
)
"""Names, headings and queries; each selects among what those before it have left."""
ANNOTATIONS = (
    ("Alerts", FIRING, RED, "{{alertname}} {{target}}", True),
    (
        "Maintenance",
        f"max by ({TARGET_LABELS}) ({of('floe_compute_target_maintenance')}) == 1",
        BLUE,
        "{{target}} is in maintenance",
        True,
    ),
    (
        "Monitor started",
        ours(f"changes(process_start_time_seconds{{{MONITORS}}}[2m]) > 0"),
        YELLOW,
        "{{instance}} started",
        True,
    ),
    (
        "Configuration loaded",
        f"changes(floe_monitor_config_last_reload_success_timestamp_seconds{{{MONITORS}}}[2m]) > 0",
        YELLOW,
        "{{instance}} loaded its configuration",
        False,
    ),
)
"""Names, queries, colours, texts, and whether they are shown at first."""


def build(
    uid: str,
    description: str,
    rows: Mapping[str, Sequence[Sized]],
    *,
    runbook: str,
    one: str = "",
) -> models.Dashboard:
    """`one`: the variable of which this dashboard shows one value at first, and not all."""
    board = (
        dashboard.Dashboard(TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(["dbt", "floe-monitor"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource")
            .label("Data source")
            .type("prometheus")
            .allow_custom_value(False)
        )
    )
    for link in dashboard_links(uid, runbook):
        board = board.link(link)
    for name, label, query in VARIABLES:
        board = board.with_variable(_variable(name, label, query, all_at_first=name != one))
    for name, expr, color, text, enabled in ANNOTATIONS:
        board = board.annotation(_annotation(name, expr, color, text, enabled=enabled))
    for item in _placed(rows):
        board = board.with_row(item) if isinstance(item, dashboard.Row) else board.with_panel(item)
    return board.build()


def _placed(rows: Mapping[str, Sequence[Sized]]) -> Iterator[Panel]:
    """Panels get their ids and places in the order in which they are listed."""
    number = y = 0
    for title, panels in rows.items():
        number += 1
        place = models.GridPos(h=1, w=COLUMNS, x=0, y=y)
        # A row that is open holds no panels of its own: they follow it.
        yield dashboard.Row(title).id(number).collapsed(False).grid_pos(place)
        y += 1
        x = height = 0
        for width, tall, panel in panels:
            number += 1
            if x + width > COLUMNS:
                x, y, height = 0, y + height, 0
            yield panel.id(number).grid_pos(models.GridPos(h=tall, w=width, x=x, y=y))
            x, height = x + width, max(height, tall)
        y += height


def _variable(name: str, label: str, query: str, *, all_at_first: bool) -> dashboard.QueryVariable:
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )
    if all_at_first:
        made = made.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return made


def _annotation(name: str, expr: str, color: str, text: str, *, enabled: bool) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(enabled)
        .icon_color(color)
        .expr(expr)
        .title_format(name)
        .text_format(text)
    )
