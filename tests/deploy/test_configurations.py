"""The configurations beside the manifests and the image: accepted by the settings and by each plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from floe_monitor.registry.config_validation import build_config
from floe_monitor.registry.discovery import discover
from floe_monitor.settings.models import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIGURATIONS = sorted(DEPLOY.rglob("floe-monitor.yaml"))


def test_there_is_one_for_each_way_to_run() -> None:
    ways = [str(path.parent.relative_to(DEPLOY)) for path in CONFIGURATIONS]
    kubernetes = [f"kubernetes/{way}" for way in ("daemonset", "deployment", "sidecar")]
    assert ways == ["compose/config", "docker", *kubernetes]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.parts[-2])
def test_plugins_accept_every_target(path: Path) -> None:
    settings = Settings.model_validate(yaml.safe_load(path.read_text()))
    registry = discover()
    for name, target in settings.targets.items():
        entry = registry.get(target.plugin)
        assert entry.plugin is not None, entry.problem
        fields: dict[str, Any] = target.model_dump(
            include={"plugin", "threads", "timeout_seconds", "connection"}
        )
        profile = entry.plugin.generate_dbt_profile(build_config(entry.plugin, fields))
        assert profile["type"] == target.plugin, name
