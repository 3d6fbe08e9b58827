"""What pages say of the product, held to the product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from repository_links import DOCS

from floe_monitor.compute import ComputeConfig, DuckDBComputeConfig
from floe_monitor.registry.discovery import discover

ROOT = Path(__file__).parents[2]
SEED = (DOCS / "seed.md").read_text()


def test_the_packages_beside_the_seeds_are_those_of_the_plugins() -> None:
    table = SEED.split("## Packages of dbt's image")[1].split("##")[0]
    rows = [
        [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:4]]
        for line in table.splitlines()
        if line.startswith("| `")
    ]
    said = {name: packages for [name], _, packages in rows}
    registry = discover()
    plugins = {name: registry.get(name).plugin for name in said}
    assert said == {
        name: plugin.get_required_dbt_packages() for name, plugin in plugins.items() if plugin is not None
    }
    assert len(said) == len(list((ROOT / "plugins").iterdir()))


def test_the_bounds_beside_the_seeds_are_those_of_the_model() -> None:
    assert "at most 86400" in SEED
    assert ComputeConfig(plugin="x", timeout_seconds=86400).timeout_seconds == 86400
    for wrong in ({"plugin": "x", "timeout_seconds": 86401}, {"plugin": ""}):
        with pytest.raises(ValidationError):
            ComputeConfig.model_validate(wrong)
    assert DuckDBComputeConfig().memory_limit == "4GB"


def test_no_page_installs_from_an_index_that_has_nothing() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("plugins/*/README.md")]
    pages += [*ROOT.glob("floe_monitor/**/*.py"), *ROOT.glob("plugins/*/floe_monitor_*/**/*.py")]
    told = [
        str(page.relative_to(ROOT))
        for page in pages
        if "_build" not in page.parts and re.search(r"pip install [\"'`]?floe[-_]monitor", page.read_text())
    ]
    assert not told


def test_the_scrape_configuration_is_the_one_that_is_shipped() -> None:
    shipped = (ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text()
    [shown] = re.findall(r"```yaml\n(global:.*?)```", (DOCS / "metrics.md").read_text(), re.DOTALL)
    assert yaml.safe_load(shown) == yaml.safe_load(shipped)
