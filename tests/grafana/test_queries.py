"""Every query of the dashboards is answered by a real Prometheus, with metrics scraped or come by OTLP."""

from __future__ import annotations

import math
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from conformance.loopback_server import free_port
from deploy.alerts.__main__ import text as rules_text
from deploy.alerts.rule import Parameters
from deploy.grafana.selection import VERDICT
from tests.grafana.boards import ANNOTATIONS, BOARDS, QUERIES, concrete
from tests.harness.otlp_prometheus import otlp_prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.harness.otlp_prometheus import Stored

    WaitUntil = Callable[[Callable[[], Any], float, str], Any]

pytestmark = pytest.mark.gate

PLUGIN = '''
"""An engine with moods: answers well, with a limitation, late, or never."""

import time

from floe_monitor.compute import (
    CheckResult, ComputePlugin, ConnectionResult, ConnectionStatus, EngineState, Expiry, ExpiryKind,
    ObservedState, ResourceSpec,
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
        woken = (ObservedState(EngineState.STARTING, 10.0), ObservedState(EngineState.RUNNING, 17.5))
        return ConnectionResult(
            status=status, latency_ms=1.0, message=mood, checks=checks, expiries=ends, engine_states=woken
        )
'''

CONFIGURATION = """
probe: {{interval: 500ms, timeout: 300ms}}
workers: {{limit: 16, per_plugin: 8, stuck_limit: 8}}
http: {{host: 127.0.0.1, port: {port}}}
log: {{format: json}}
shard: {{index: 0, count: 1}}
otlp: {{endpoint: "http://{collector}", traces: false, export_interval: 1s}}
maintenance:
  - {{cron: "* * * * *", duration: 1h, reason: move, targets: [limited]}}
history: {{url: "sqlite:///{home}/history.db"}}
profiles:
  - {{name: floe_project, path: {home}/profiles.yml, target: well}}
targets:
  well: {{plugin: duckdb, labels: {{team: core}}, probe: {{timeout: 5s}}, connection: {{path: ":memory:"}}}}
  missing:
    plugin: duckdb
    probe: {{timeout: 5s}}
    connection: {{path: "{home}/absent.duckdb", must_exist: true}}
  limited: {{plugin: moody, connection: {{mood: limited}}}}
  late: {{plugin: moody, connection: {{mood: late}}}}
  hung: {{plugin: moody, connection: {{mood: hung}}}}
"""


@dataclass
class Daemon:
    address: str
    sent: str
    """The instance under which its OTLP metrics are stored."""
    configuration: Path
    collector: Stored


@pytest.fixture
def daemon(tmp_path: Path, wait_until: WaitUntil, starts_processes: None) -> Iterator[Daemon]:
    """A real daemon over healthy, degraded, failing, late and hung targets."""
    site = tmp_path / "site"
    information = site / "floe_moody-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "floe_moody.py").write_text(textwrap.dedent(PLUGIN))
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: floe-moody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[floe.computes]\nmoody = floe_moody:Moody\n")
    port = free_port()
    configuration = tmp_path / "config.yaml"
    log = tmp_path / "log"
    address = f"127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)

    with otlp_prometheus() as collector:
        configuration.write_text(CONFIGURATION.format(port=port, home=tmp_path, collector=collector.address))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "floe_monitor", "run", "--config", str(configuration)],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(site)},
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(ready, 90, "the daemon's first round")
            yield Daemon(address, f"{socket.gethostname()}:{port}", configuration, collector)
        finally:
            process.terminate()
            try:
                code = process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
    assert code == 0, log.read_text()


def quick_rules(folder: Path) -> Path:
    """The shipped rules, on shorter intervals."""
    path = folder / "rules.yaml"
    text = re.sub(r"(interval|for|keep_firing_for): \d+[sm]", r"\1: 1s", rules_text(Parameters()))
    path.write_text(text)
    return path


def pattern(instance: str) -> str:
    """Of PromQL, in a string of which a backslash would be an escape."""
    return instance.replace(".", "[.]")


@pytest.mark.e2e
@pytest.mark.slow
def test_every_query_returns_data_whichever_way_it_came(
    daemon: Daemon,
    start_prometheus: Callable[[dict[str, Any]], Any],
    wait_until: WaitUntil,
    tmp_path: Path,
) -> None:
    came = [
        {"job_name": "floe-monitor", "static_configs": [{"targets": [daemon.address]}]},
        {
            "job_name": "otlp",
            "honor_labels": True,
            "static_configs": [{"targets": [daemon.collector.address]}],
        },
    ]
    prometheus = start_prometheus(
        {
            "global": {"scrape_interval": "500ms"},
            "rule_files": [str(quick_rules(tmp_path))],
            "scrape_configs": came,
        }
    )
    asked = {**QUERIES, **{f"annotation {name}": expr for name, expr in ANNOTATIONS.items()}}
    for name in ("Monitor started", "Configuration loaded"):  # nothing of the kind happens here
        del asked[f"annotation {name}"]
    pending = {
        (name, monitor): concrete(expression, monitor=pattern(monitor))
        for name, expression in asked.items()
        for monitor in (daemon.address, daemon.sent)
    }

    def answered() -> bool:
        for key, expression in list(pending.items()):
            values = [float(each["value"][1]) for each in prometheus.query(expression)]
            if not all(map(math.isnan, values)):  # NaN: a quantile of nothing
                del pending[key]
        return not pending

    try:
        wait_until(answered, 120, "data for every query")
    except AssertionError:
        pytest.fail(f"no data: {sorted(pending)}")

    def statuses(**chosen: str) -> dict[str, int]:
        rows = prometheus.query(concrete(VERDICT, **chosen))
        return {each["metric"]["target"]: int(float(each["value"][1])) for each in rows}

    everything = {"well": 1, "missing": 3, "limited": 2, "late": 3, "hung": 3}
    for monitor in (daemon.address, daemon.sent):
        assert statuses(monitor=pattern(monitor)) == everything
    assert statuses(monitor=pattern(daemon.address), team="core") == {"well": 1}
    assert prometheus.query("floe_monitor_workers_stuck{plugin='moody'} >= 1")
    wait_until(
        lambda: prometheus.query("floe_monitor_probes_skipped_total{reason='stuck'} > 0"), 30, "a skip"
    )
    wait_until(lambda: prometheus.query("floe_monitor_late_returns_total > 0"), 60, "a late return")
    answer = prometheus.get(
        "/api/v1/query_exemplars",
        query="floe_compute_validation_duration_seconds_bucket",
        start="0",
        end="4102444800",
    )
    assert answer["data"], "histograms carry exemplars"

    for variable in BOARDS["floe-fleet"]["templating"]["list"][1:]:
        metric, label = re.findall(r"label_values\((.+), (\w+)\)", variable["query"]["query"])[0]
        if label in ("cluster", "namespace"):  # which a Prometheus adds
            continue
        found = prometheus.get(f"/api/v1/label/{label}/values", **{"match[]": concrete(metric)})
        assert found["data"], variable["name"]

    # A target that is removed has series in the past, and no row.
    remaining = daemon.configuration.read_text().replace(
        "  late: {plugin: moody, connection: {mood: late}}\n", ""
    )
    daemon.configuration.write_text(remaining)
    os.utime(daemon.configuration, (time.time() + 2, time.time() + 2))
    scraped = pattern(daemon.address)
    wait_until(lambda: "late" not in statuses(monitor=scraped), 60, "the removal")
    assert statuses(monitor=scraped) == {
        name: status for name, status in everything.items() if name != "late"
    }
    assert prometheus.query('last_over_time(floe_compute_target_status{target="late"}[5m])')
