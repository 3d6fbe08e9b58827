"""The published upstream plugin, unmodified, in an environment of its own; and ours in upstream's loader."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance import environments

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.gate, pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def upstream(starts_processes: None) -> Path:
    """The interpreter of an environment with the monitor and what upstream's plugin imports of its own."""
    if reason := environments.unwanted("upstream.txt"):
        pytest.skip(reason)
    return environments.built(environments.UPSTREAM) / "bin" / "python"


def run(python: Path, source: str, *arguments: str, path: str = "", cwd: Path | None = None) -> Any:
    done = subprocess.run(
        [str(python), "-c", source, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


PROBING = """
import json, sys
from floe_monitor.registry import foreign_plugin
from floe_monitor.registry.config_validation import build_config
from floe_monitor.registry.discovery import discover
from floe_monitor.compute.models import CatalogConfig, ConnectionResult

entry = discover().get("duckdb")
plugin = entry.plugin
told = {"entry": [entry.distribution, entry.version, entry.problem]}
for name in sys.argv[1:]:
    raw = plugin.validate_connection(build_config(plugin, {"plugin": "duckdb", "connection": {"path": name}}))
    result = foreign_plugin.adapt_result(raw)
    is_ours, timed = isinstance(raw, ConnectionResult), result.latency_ms > 0
    told[name] = [is_ours, result.status.value, timed, result.error_type]
config = build_config(plugin, {"plugin": "duckdb", "threads": 2, "connection": {"path": "x.duckdb"}})
told["profile"] = plugin.generate_dbt_profile(config)
told["packages"] = plugin.get_required_dbt_packages()
told["isolation"] = foreign_plugin.default_isolation(plugin)
told["system"] = foreign_plugin.db_system_name(plugin)
told["catalogs"] = foreign_plugin.catalog_configs(plugin, config)
told["resources"] = foreign_plugin.resource_requirements(plugin, "small").memory_limit
catalog = CatalogConfig(catalog_uri="http://c/api", catalog_name="lake")
told["sql"] = foreign_plugin.catalog_attachment_sql(plugin, catalog)
print(json.dumps(told))
"""


def test_the_published_plugin_is_discovered_and_probed(upstream: Path, tmp_path: Path) -> None:
    database, junk = tmp_path / "real.duckdb", tmp_path / "junk.duckdb"
    run(upstream, f"import duckdb, json; duckdb.connect({str(database)!r}).close(); print(json.dumps(0))")
    junk.write_bytes(b"no database")
    told = run(upstream, PROBING, ":memory:", str(database), str(junk))
    assert told["entry"] == ["floe-compute-duckdb", "0.1.0a1", None]
    assert told[":memory:"] == [False, "healthy", True, None]
    assert told[str(database)] == [False, "healthy", True, None]
    assert told[str(junk)] == [False, "unhealthy", True, "connection"]
    assert told["profile"]["type"] == "duckdb"
    assert told["profile"]["path"] == "x.duckdb"
    assert any(package.startswith("dbt-duckdb") for package in told["packages"])
    assert (told["isolation"], told["system"], told["catalogs"]) == ("thread", "duckdb", [])
    assert told["resources"] == "512Mi"
    assert any("http://c/api" in statement for statement in told["sql"])


def test_the_command_line_checks_it(upstream: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        'targets:\n  dev: {plugin: duckdb, connection: {path: ":memory:"}}\n'
        "  gone: {plugin: duckdb, connection: {path: gone.duckdb}}\n"
    )
    done = subprocess.run(
        [str(upstream), "-m", "floe_monitor", "check", "--config", "config.yaml", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert '"healthy"' in done.stdout
    assert '"unhealthy"' in done.stdout


LOADING = """
import json, logging, structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
from floe_core.plugin_registry import PluginRegistry
from floe_core.plugin_types import PluginType

registry = PluginRegistry()
registry.discover_all()
plugin = registry.get(PluginType.COMPUTE, "toy")
configured = registry.configure(PluginType.COMPUTE, "toy", {})
started = registry.activate_plugin(PluginType.COMPUTE, "toy")
registry.shutdown_all()
listed = [one.name for one in registry.list(PluginType.COMPUTE)]
told = [type(plugin).__module__, plugin.version, plugin.description, plugin.dependencies, plugin.tracer_name]
print(json.dumps([told, configured, started, listed, plugin.get_dbt_macro_paths()]))
"""


def test_a_plugin_of_ours_serves_upstreams_registry(upstream: Path, site: Any) -> None:
    site.distribution("acme-toy", {"toy": site.plugin("acme_toy", "toy")})
    told, configured, started, listed, macros = run(upstream, LOADING, path=str(site.path))
    assert told == ["acme_toy", "1.0.0", "", [], None]
    assert (configured, started, macros) == (None, None, [])
    assert "toy" in listed


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_two_that_claim_duckdb_are_told_apart(upstream: Path, site: Any, first: str) -> None:
    site.distribution("acme-duckdb", {"duckdb": site.plugin("acme_duckdb", "duckdb")})
    source = """
import json, sys
from floe_monitor.registry.discovery import discover
found = discover()
print(json.dumps([found.get("duckdb").problem, found.get("duckdb", sys.argv[1]).target]))
"""
    picked, target = {
        "ours": ("acme-duckdb", "acme_duckdb:Plugin"),
        "theirs": ("floe-compute-duckdb", "floe_compute_duckdb:DuckDBComputePlugin"),
    }[first]
    problem, found = run(upstream, source, picked, path=str(site.path))
    assert "acme-duckdb 1.0 and floe-compute-duckdb 0.1.0a1" in problem
    assert found == target
