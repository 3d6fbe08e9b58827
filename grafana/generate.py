"""Writes floe-monitor.json, the dashboard: run it after a change here, and commit both.

    python grafana/generate.py           # writes
    python grafana/generate.py --print   # to standard output

Panels get their ids and places in the order they are listed; every query gets its refId.
"""

from __future__ import annotations

import sys
from pathlib import Path

from about_monitor import configuration, itself
from about_targets import failures, latency, now
from grafana_foundation_sdk.builders import (
    dashboard,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from kinds import INSTANCE, PLUGIN, RED, SOURCE

OUTPUT = Path(__file__).with_name("floe-monitor.json")
COLUMNS = 24

ROWS = (
    ("Targets", now),
    ("Latency", latency),
    ("Failures", failures),
    ("The monitor itself", itself),
    ("Configuration and profiles", configuration),
)


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    return (
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
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def alerts_annotation() -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Alerts")
        .datasource(SOURCE)
        .enable(True)
        .icon_color(RED)
        .expr('ALERTS{alertname=~"Floe.*", alertstate="firing"}')
    )


def build() -> models.Dashboard:
    board = (
        dashboard.Dashboard("floe-monitor")
        .uid("floe-monitor")
        .description("Health of the compute engines under dbt, and of the monitor that watches them.")
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
        .with_variable(variable("instance", "Monitor", "label_values(floe_monitor_build_info, instance)"))
        .with_variable(
            variable("plugin", "Plugin", f"label_values(floe_compute_target_status{{{INSTANCE}}}, plugin)")
        )
        .with_variable(
            variable("target", "Target", f"label_values(floe_compute_target_status{{{PLUGIN}}}, target)")
        )
        .annotation(alerts_annotation())
    )
    panel_id, y = 0, 0
    for title, panels in ROWS:
        panel_id += 1
        place = models.GridPos(h=1, w=COLUMNS, x=0, y=y)
        # A row that is open holds no panels of its own: they follow it.
        board = board.with_row(dashboard.Row(title).id(panel_id).collapsed(False).grid_pos(place))
        y += 1
        x = height = 0
        for width, rows, panel in panels():
            panel_id += 1
            if x + width > COLUMNS:
                x, y, height = 0, y + height, 0
            board = board.with_panel(panel.id(panel_id).grid_pos(models.GridPos(h=rows, w=width, x=x, y=y)))
            x, height = x + width, max(height, rows)
        y += height
    return board.build()


def render() -> str:
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(build()) + "\n"


if __name__ == "__main__":
    if "--print" in sys.argv[1:]:
        sys.stdout.write(render())
    else:
        OUTPUT.write_text(render(), encoding="utf-8")
        print(f"wrote {OUTPUT}")
