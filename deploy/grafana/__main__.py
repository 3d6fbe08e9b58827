"""Writes the dashboards: run it after a change here, and commit all.

python -m deploy.grafana                       # deploy/grafana/dashboards and deploy/grafana/import
python -m deploy.grafana --print fleet --page-url 'https://floe.example.com/targets/{target}'   # yours

`dashboards` are for provisioning and the chart's ConfigMaps; `import` are the same for Grafana's import page,
which asks for the data source.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.fleet import fleet
from deploy.grafana.monitor import monitor
from deploy.grafana.parameters import Parameters
from deploy.grafana.target import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from grafana_foundation_sdk.models.dashboard import Dashboard

HERE = Path(__file__).parent
BOARDS: dict[str, Callable[[Parameters], Dashboard]] = {"fleet": fleet, "target": target, "monitor": monitor}
INPUT = "DS_PROMETHEUS"
SINCE = "11.0.0"
"""The Grafana from which on they are known to be read as they are meant."""


def provisioned(name: str, parameters: Parameters) -> str:
    return JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(BOARDS[name](parameters)) + "\n"


def importable(name: str, parameters: Parameters) -> str:
    """As Grafana itself exports a dashboard for others: what it needs, and what is asked for."""
    board: dict[str, Any] = json.loads(provisioned(name, parameters))
    kinds = sorted({panel["type"] for panel in board["panels"]} - {"row"})
    source = next(each for each in board["templating"]["list"] if each["type"] == "datasource")
    source["current"] = {"text": f"${{{INPUT}}}", "value": f"${{{INPUT}}}"}
    asked = {"label": "Prometheus", "description": "With the metrics of floe-monitor"}
    plugin = {"type": "datasource", "pluginId": "prometheus", "pluginName": "Prometheus"}
    whole = {
        "__elements": {},
        "__inputs": [{"name": INPUT, **asked, **plugin}],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": SINCE},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
        ],
        **board,
        "id": None,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def files(parameters: Parameters) -> dict[Path, str]:
    made = {}
    for name in BOARDS:
        made[HERE / "dashboards" / f"floe-{name}.json"] = provisioned(name, parameters)
        made[HERE / "import" / f"floe-{name}.json"] = importable(name, parameters)
    return made


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana")
    parser.add_argument("--print", choices=BOARDS, help="one, for provisioning, to standard output")
    for each in fields(Parameters):
        parser.add_argument(f"--{each.name.replace('_', '-')}", default=each.default, metavar="TEXT")
    options = vars(parser.parse_args(arguments))
    printed = options.pop("print")
    parameters = Parameters(**options)
    if printed:
        sys.stdout.write(provisioned(printed, parameters))
        return
    for path, text in files(parameters).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
