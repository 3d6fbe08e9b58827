"""The dashboards as they are checked in, and their queries as Prometheus gets them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [
    (name, panel) for name, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"
]
PANEL_IDS = [f"{name} {panel['title']}" for name, panel in PANELS]
QUERIES = {
    f"{name} {panel['title']} {target['refId']}": target["expr"]
    for name, panel in PANELS
    for target in panel.get("targets", ())
}
ANNOTATIONS = {each["name"]: each["expr"] for each in BOARDS["floe-fleet"]["annotations"]["list"]}
VARIABLES = ("cluster", "namespace", "team", "plugin", "target", "monitor")


def concrete(expression: str, **chosen: str) -> str:
    """With Grafana's variables filled in: what is chosen, and “All” elsewhere."""
    filled = expression.replace("$__rate_interval", "15s").replace("$__range", "1m")
    filled = re.sub(rf"\$({'|'.join(VARIABLES)})\b", lambda found: chosen.get(found[1], ".*"), filled)
    assert "$" not in filled, filled
    return filled
