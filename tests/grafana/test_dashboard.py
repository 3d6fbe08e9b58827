"""The dashboard: checked in as generated, well formed, every query answered from a real daemon's metrics."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest

from conformance.loopback_server import free_port
from floe_monitor.telemetry.instrument import Kind
from floe_monitor.telemetry.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GRAFANA = Path(__file__).parents[2] / "grafana"
BOARD: dict[str, Any] = json.loads((GRAFANA / "floe-monitor.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel, target) for panel in PANELS for target in panel["targets"]]
QUERY_IDS = [f"{panel['title']} {target['refId']}" for panel, target in QUERIES]


def concrete(expression: str, interval: str = "15s") -> str:
    """With Grafana's variables filled in, as for “All”."""
    filled = expression.replace("$__rate_interval", interval)
    filled = re.sub(r"\$(instance|plugin|target)\b", ".*", filled)
    assert "$" not in filled, filled
    return filled


@pytest.mark.process
def test_it_is_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, str(GRAFANA / "generate.py"), "--print"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == (GRAFANA / "floe-monitor.json").read_text(), "run: python grafana/generate.py"


def test_ids_are_unique_and_panels_do_not_overlap() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place.get("x", 0), place.get("x", 0) + place["w"])
            for y in range(place.get("y", 0), place.get("y", 0) + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    refs = [target["refId"] for target in panel["targets"]]
    assert refs
    assert len(set(refs)) == len(refs)
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    if panel["type"] in {"stat", "timeseries"}:
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_its_variables_are_the_data_source_and_what_to_look_at() -> None:
    names = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert names == ["datasource", "instance", "plugin", "target"]
    assert BOARD["uid"] == "floe-monitor"


@pytest.mark.parametrize(("panel", "target"), QUERIES, ids=QUERY_IDS)
def test_each_query_is_promql(panel: dict[str, Any], target: dict[str, Any]) -> None:
    promql_parser.parse(concrete(target["expr"]))


def test_annotations_are_promql() -> None:
    for annotation in BOARD["annotations"]["list"]:
        promql_parser.parse(concrete(annotation["expr"]))


def test_it_shows_every_instrument_and_no_other() -> None:
    named = set(re.findall(r"\bfloe_\w+", " ".join(target["expr"] for _, target in QUERIES)))
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    exported = {instrument.name for instrument in INSTRUMENTS}
    assert shown <= exported
    # `up` is what `status` says, in fewer words; labels of `info` are for joins of one's own. What a service
    # level counts, and the reason that pages quote, are the alert rules'. Incidents have the API.
    missing = {
        each.name for each in INSTRUMENTS if each.kind is not Kind.INFO and each.name.startswith("floe_")
    } - shown
    # Maintenance, shards and the monitor's own network are told by alerts, the page and the API.
    assert missing == {
        "floe_compute_target_maintenance",
        "floe_compute_target_maintenance_end_timestamp_seconds",
        "floe_compute_target_maintenance_seconds_total",
        "floe_monitor_configured_targets",
        "floe_monitor_connectivity_status",
        "floe_compute_target_up",
        "floe_compute_target_validations_total",
        "floe_compute_target_result_seconds_total",
        "floe_compute_target_slo_objective_ratio",
        "floe_compute_target_error",
        "floe_compute_incidents_open",
    }


PLUGIN = '''
"""An engine with moods: answers well, with a limitation, late, or never."""

import time

from floe_monitor.compute import (
    CheckResult, ComputePlugin, ConnectionResult, ConnectionStatus, Expiry, ExpiryKind, ResourceSpec
)


class Moody(ComputePlugin):
    name = "moody"
    version = "1.0"
    floe_api_version = "1.0"
    is_self_hosted = True

    def generate_dbt_profile(self, config):
        return {"type": "moody", "threads": config.threads}

    def get_required_dbt_packages(self):
        return []

    def get_resource_requirements(self, workload_size):
        return ResourceSpec()

    def get_config_schema(self):
        return None

    def validate_connection(self, config):
        mood = config.connection["mood"]
        if mood == "hung":
            time.sleep(3600)
        if mood == "late":
            time.sleep(0.6)
        status = ConnectionStatus.DEGRADED if mood == "limited" else ConnectionStatus.HEALTHY
        ends = (Expiry(ExpiryKind.PASSWORD, time.time() + 86400),)
        checks = (CheckResult("query", status),)
        return ConnectionResult(status=status, latency_ms=1.0, message=mood, checks=checks, expiries=ends)
'''

CONFIGURATION = """
probe: {{interval: 500ms, timeout: 300ms}}
workers: {{limit: 16, per_plugin: 8, stuck_limit: 8}}
http: {{host: 127.0.0.1, port: {port}}}
log: {{format: json}}
profiles:
  - {{name: floe_project, path: {home}/profiles.yml, target: well}}
targets:
  well: {{plugin: duckdb, probe: {{timeout: 5s}}, connection: {{path: ":memory:"}}}}
  missing:
    plugin: duckdb
    probe: {{timeout: 5s}}
    connection: {{path: "{home}/absent.duckdb", must_exist: true}}
  limited: {{plugin: moody, connection: {{mood: limited}}}}
  late: {{plugin: moody, connection: {{mood: late}}}}
  hung: {{plugin: moody, connection: {{mood: hung}}}}
"""


@pytest.fixture
def daemon(
    tmp_path: Path, wait_until: Callable[[Callable[[], Any], float, str], Any], starts_processes: None
) -> Iterator[str]:
    """A real daemon over healthy, degraded, failing, late and hung targets; its host and port."""
    site = tmp_path / "site"
    information = site / "floe_moody-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "floe_moody.py").write_text(textwrap.dedent(PLUGIN))
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: floe-moody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[floe.computes]\nmoody = floe_moody:Moody\n")
    port = free_port()
    (tmp_path / "config.yaml").write_text(CONFIGURATION.format(port=port, home=tmp_path))
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "floe_monitor", "run", "--config", str(tmp_path / "config.yaml")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site)},
            stdout=output,
            stderr=output,
        )
    address = f"127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)

    try:
        wait_until(ready, 90, "the daemon's first round")
        yield address
    finally:
        process.terminate()
        try:
            code = process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    assert code == 0, log.read_text()


@pytest.mark.e2e
@pytest.mark.slow
def test_every_query_returns_data_from_a_real_daemon(
    daemon: str,
    start_prometheus: Callable[[dict[str, Any]], Any],
    wait_until: Callable[[Callable[[], Any], float, str], Any],
) -> None:
    prometheus = start_prometheus(
        {
            "global": {"scrape_interval": "500ms"},
            "scrape_configs": [
                {"job_name": "floe-monitor", "static_configs": [{"targets": [daemon]}]},
            ],
        }
    )
    pending = {f"{panel['title']} {target['refId']}": concrete(target["expr"]) for panel, target in QUERIES}

    def answered() -> bool:
        for name, expression in list(pending.items()):
            values = [float(each["value"][1]) for each in prometheus.query(expression)]
            if not all(map(math.isnan, values)):  # NaN: a quantile of nothing
                del pending[name]
        return not pending

    try:
        wait_until(answered, 90, "data for every query")
    except AssertionError:
        pytest.fail(f"no data: {pending}")

    status = {
        each["metric"]["target"]: int(each["value"][1])
        for each in prometheus.query("floe_compute_target_status")
    }
    assert status == {"well": 1, "missing": 3, "limited": 2, "late": 3, "hung": 3}
    assert prometheus.query("floe_monitor_workers_stuck{plugin='moody'} >= 1")
    wait_until(
        lambda: prometheus.query("floe_monitor_probes_skipped_total{reason='stuck'} > 0"), 10, "a skip"
    )
    wait_until(lambda: prometheus.query("floe_monitor_late_returns_total > 0"), 60, "a late return")
    answer = prometheus.get(
        "/api/v1/query_exemplars",
        query="floe_compute_validation_duration_seconds_bucket",
        start="0",
        end="4102444800",
    )
    assert answer["data"], "histograms carry exemplars"

    for variable in BOARD["templating"]["list"][1:]:
        metric, label = re.findall(r"label_values\((.+), (\w+)\)", variable["query"]["query"])[0]
        found = prometheus.get(f"/api/v1/label/{label}/values", **{"match[]": concrete(metric)})
        assert found["data"], variable["name"]
